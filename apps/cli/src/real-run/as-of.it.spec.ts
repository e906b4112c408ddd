import { createLogger, readConfig } from '@vigil/platform';
import { startServer, type Server } from '@vigil/server';
import { createWorld, csvRows, observe, type Row } from './world';

// What was known when: reports, a correction, a retraction, a late report and a recount of the people, asked for as of each moment.
jest.setTimeout(120_000);

const world = createWorld();
let server: Server;

interface Written {
  readonly position: number;
}
const post = async <T>(path: string, body: unknown, type = 'application/json'): Promise<T> => {
  const response = await fetch(`${server.url}/api/v1${path}`, {
    method: 'POST',
    headers: { 'content-type': type },
    body: JSON.stringify(body),
  });
  const text = await response.text();
  if (!response.ok) throw new Error(`${response.status} ${path}: ${text}`);
  return JSON.parse(text) as T;
};

const SOURCE = '/feeds/clinic-03';
const envelope = (type: string, id: string, subject: string, data: object) => ({
  specversion: '1.0',
  type: `org.vigil.injury.${type}.v1`,
  source: SOURCE,
  id,
  subject,
  time: '2026-03-02T01:10:00Z',
  datacontenttype: 'application/json',
  data: { recordId: subject, ...data },
});
const card = (code: string) => ({ system: 'niss-card', version: '14', code });
/** The sample of api.md. */
const reported = (recordId: string, more: object = {}) =>
  envelope('reported', `c3-${recordId}-1`, recordId, {
    occurredAt: '2026-03-02',
    knownAt: '2026-03-02T09:10:00+08:00',
    visit: 'first',
    community: 'C-001',
    residence: 'C-002',
    age: { value: 71, unit: 'year' },
    sex: 'F',
    mechanism: card('3'),
    intent: card('1'),
    place: card('1'),
    disposition: card('4'),
    ...more,
  });

interface Pushed {
  readonly accepted: number;
  readonly results: readonly { readonly id: string; readonly status: string; readonly position: number }[];
}
/** Pushes all and answers with the last position. */
const push = async (...events: readonly object[]): Promise<number> => {
  const { accepted, results } = await post<Pushed>('/feeds/clinic-03/events', events, 'application/cloudevents-batch+json');
  expect(accepted).toBe(events.length);
  return Math.max(...results.map(({ position }) => position));
};
const ask = (query: string, ...more: readonly string[]) => observe(server.url, [query, ...more].filter(Boolean).join('&'));
const cells = (of: readonly [string, number, number | null, number][]) =>
  of.map(([sex, ageFrom, ageTo, persons]) => ({ sex, ageFrom, ageTo, persons }));
const nums = (rows: readonly Row[], key: 'ou' | 'sex' | 'pe' | 'mechanism'): Record<string, number> =>
  Object.fromEntries(rows.map((row) => [row[key]!, row.num]));

const MARCH = 'dimension=dx:INC-01&dimension=pe:2026-03';
/** Positions after each step. */
let at: Record<'registered' | 'people' | 'reports' | 'correction' | 'retraction' | 'late' | 'recount', number>;

beforeAll(async () => {
  const read = readConfig({ DATABASE_URL: (await world.database()).url, VIGIL_DATA_DIR: await world.folder(), PORT: '0' });
  if (!read.ok) throw new Error(JSON.stringify(read.faults));
  server = await startServer(read.value, { port: 0, logger: createLogger({ level: 'error', program: 'serve' }) });
  world.later(undefined, () => server.close());

  const register = (code: string, parent?: string) =>
    post<Written>('/communities', { code, name: { zh: `社区${code}`, en: `Community ${code}` }, type: 'street', parent });
  const people = (code: string, year: number, persons: number) =>
    post<Written>(`/communities/${code}/populations`, {
      year,
      cells: cells([
        ['F', 0, 64, persons / 4],
        ['F', 65, null, persons / 4],
        ['M', 0, 64, persons / 4],
        ['M', 65, null, persons / 4],
      ]),
    });
  await register('D-01');
  await register('C-001', 'D-01');
  const registered = (await register('C-002', 'D-01')).position;
  await people('C-001', 2026, 40_000);
  const counted = (await people('C-002', 2026, 20_000)).position;
  const reports = await push(
    reported('000123'),
    reported('000124', { sex: 'M', mechanism: card('1') }),
    reported('000125', { community: 'C-002', residence: 'C-001', sex: 'M', mechanism: card('99') }),
    reported('000126', { community: 'C-002', residence: undefined }),
  );
  const correction = await push(
    envelope('corrected', 'c3-000124-2', '000124', { replaces: { sex: 'F', community: 'C-002' }, reason: 'typing error' }),
  );
  const retraction = await push(envelope('retracted', 'c3-000126-2', '000126', { reason: 'not an injury' }));
  const late = await push(reported('000127', { occurredAt: '2026-03-30', knownAt: '2026-05-04' }));
  const recount = (await people('C-001', 2026, 44_000)).position;
  at = { registered, people: counted, reports, correction, retraction, late, recount };
});
afterAll(() => world.close());

const asOf = (moment: keyof typeof at): string => `asOfPosition=${at[moment]}`;

test.each<[keyof typeof at, Record<string, number>, Record<string, number>]>([
  ['registered', { 'D-01': 0, 'C-001': 0, 'C-002': 0 }, { F: 0, M: 0 }],
  ['people', { 'D-01': 0, 'C-001': 0, 'C-002': 0 }, { F: 0, M: 0 }],
  ['reports', { 'D-01': 4, 'C-001': 2, 'C-002': 2 }, { F: 2, M: 2 }],
  ['correction', { 'D-01': 4, 'C-001': 1, 'C-002': 3 }, { F: 3, M: 1 }],
  ['retraction', { 'D-01': 3, 'C-001': 1, 'C-002': 2 }, { F: 2, M: 1 }],
  ['late', { 'D-01': 4, 'C-001': 2, 'C-002': 2 }, { F: 3, M: 1 }],
  ['recount', { 'D-01': 4, 'C-001': 2, 'C-002': 2 }, { F: 3, M: 1 }],
])('as of the %s each place and sex counts what was known', async (moment, byPlace, bySex) => {
  const wait = `minPosition=${at.recount}`;
  const places = await ask(`${MARCH}&dimension=ou:D-01;C-001;C-002`, asOf(moment), wait);
  expect(nums(places.data, 'ou')).toEqual(byPlace);
  expect(places.meta.position).toBe(at[moment]);
  expect(nums((await ask(`${MARCH}&dimension=ou:D-01&dimension=sex:F;M`, asOf(moment), wait)).data, 'sex')).toEqual(bySex);
});

test('an instant names the same knowledge as the position recorded then', async () => {
  const { data: events } = (await (await fetch(`${server.url}/api/v1/events?after=0&limit=1000`)).json()) as {
    data: { position: number; recordedAt: string }[];
  };
  const instants = Object.values(at).map((position) => events.find((event) => event.position === position)!.recordedAt);
  expect(new Set(instants).size).toBe(instants.length);
  for (const [index, position] of Object.values(at).entries()) {
    const query = `${MARCH}&dimension=ou:D-01;C-001;C-002&dimension=sex:F;M`;
    const byInstant = await ask(query, `asOf=${instants[index]}`);
    expect(byInstant.meta.position).toBe(position);
    expect(byInstant.data).toEqual((await ask(query, `asOfPosition=${position}`)).data);
  }
});

test('a late report belongs to the month in which it happened, once it is known', async () => {
  const query = 'dimension=dx:INC-01&dimension=pe:2026-03;2026-05&dimension=ou:D-01';
  expect(nums((await ask(query, asOf('retraction'))).data, 'pe')).toEqual({ '2026-03': 3, '2026-05': 0 });
  expect(nums((await ask(query, asOf('late'))).data, 'pe')).toEqual({ '2026-03': 4, '2026-05': 0 });
});

test('a denominator is the one known then, and one not yet known is missing', async () => {
  const year = 'dimension=dx:INC-01&dimension=pe:2026&dimension=ou:C-001;D-01';
  const dens = async (moment: keyof typeof at) => (await ask(year, asOf(moment))).data.map(({ den }) => den);
  expect(await dens('late')).toEqual([40_000, 60_000]);
  expect(await dens('recount')).toEqual([44_000, 64_000]);
  const before = await ask(year, asOf('registered'));
  expect(before.data).toMatchObject([
    { value: null, den: null, status: 'M', reason: 'missing-denominator' },
    { value: null, den: null, status: 'M', reason: 'missing-denominator' },
  ]);
});

test('a row without people still comes with its count, and the answer names the request that mends it', async () => {
  const position = await push(reported('000200', { occurredAt: '2025-12-31', knownAt: '2025-12-31' }));
  const { data, meta } = await ask('dimension=dx:INC-01&dimension=pe:2025-12&dimension=ou:C-001', `minPosition=${position}`);
  expect(data).toMatchObject([{ num: 1, value: null, den: null, ci: null, status: 'M', reason: 'missing-denominator' }]);
  expect(meta.problems).toMatchObject([{ code: 'missing-denominator' }]);
  expect(meta.problems[0]!.detail).toMatch(/C-001.*2025.*POST \/api\/v1\/communities\/C-001\/populations/);
});

test('a parent adds up its sub-districts, by every way of naming them', async () => {
  const year = 'dimension=dx:INC-01&dimension=pe:2026';
  const children = (await ask(`${year}&dimension=ou:C-001;C-002`)).data;
  const [parent] = (await ask(`${year}&dimension=ou:D-01`)).data;
  expect(parent).toMatchObject({
    num: children.reduce((sum, { num }) => sum + num, 0),
    den: children.reduce((sum, { den }) => sum + den!, 0),
  });
  expect(parent!.value).toBeCloseTo((100_000 * parent!.num) / parent!.den!, 9);
  expect((await ask(`${year}&dimension=ou:LEVEL-2`)).data).toEqual(children);
  expect((await ask(`${year}&dimension=ou:D-01_CHILDREN`)).data).toEqual(children);
  expect((await ask(`${year}&dimension=ou:LEVEL-1`)).data).toEqual([parent]);
  const [collapsed] = (await ask(`${year}&filter=ou:D-01_CHILDREN`)).data;
  expect(collapsed).toMatchObject({ num: parent!.num, den: parent!.den, value: parent!.value });
});

test('by residence an injury counts where the person lives, and nowhere when that is unknown', async () => {
  const query = `${MARCH}&dimension=ou:C-001;C-002`;
  expect(nums((await ask(query, asOf('reports'), 'basis=residence')).data, 'ou')).toEqual({ 'C-001': 1, 'C-002': 2 });
  expect(nums((await ask(query, asOf('late'), 'basis=residence')).data, 'ou')).toEqual({ 'C-001': 1, 'C-002': 3 });
});

test('codes answer in canonical words, and one that nobody knows as unmapped', async () => {
  const { data } = await ask(`${MARCH}&dimension=ou:D-01&dimension=mechanism`, asOf('late'));
  expect(nums(data, 'mechanism')).toMatchObject({ fall: 2, unmapped: 1 });
});

test('CSV says what JSON says', async () => {
  const query = `${MARCH}&dimension=ou:D-01;C-001;C-002&dimension=sex:F;M&${asOf('late')}`;
  const { data, meta } = await ask(query);
  const bytes = Buffer.from(await (await fetch(`${server.url}/api/v1/observations.csv?${query}`)).arrayBuffer());
  expect(bytes.subarray(0, 3).toString('hex')).toBe('efbbbf');
  const rows = csvRows(bytes.subarray(3).toString('utf8'));
  expect(rows).toHaveLength(data.length);
  data.forEach(({ dx, pe, ou, sex, num, den, value, status }, i) =>
    expect(rows[i]).toMatchObject({
      dx,
      pe,
      ou,
      sex,
      num: String(num),
      den: String(den),
      value: String(value),
      status,
      position: String(meta.position),
    }),
  );
});

test('with minPosition every write is read at once by its writer', async () => {
  for (let n = 1; n <= 25; n++) {
    const position = await push(reported(`ryw-${n}`, { occurredAt: '2026-07-01', knownAt: '2026-07-01' }));
    const { data, meta } = await ask('dimension=dx:INC-01&dimension=pe:2026-07&dimension=ou:C-001', `minPosition=${position}`);
    expect(data[0]!.num).toBe(n);
    expect(meta.position).toBeGreaterThanOrEqual(position);
  }
});
