import { injuryId } from '@vigil/domain';
import { connect, type SqlClient } from '@vigil/platform';
import type { Server } from './index';
import { served, type Json, type Served } from './served.fixture';

jest.setTimeout(120_000);

let world: Served;
let server: Server;
let sql: SqlClient;

const send: Served['send'] = (...call) => world.send(...call);
const get = async (path: string): Promise<Json> => (await world.get(path)).json;
const post: Served['post'] = (...call) => world.post(...call);
const command: Served['command'] = (...call) => world.command(...call);

const run = async (body: Json = {}): Promise<Json> => {
  await server.engine.projections.waitFor(await server.engine.log.head(), 30_000);
  const { status, json } = await send('POST', '/linkage/runs', body);
  expect(status).toBe(202);
  const { jobId } = json;
  for (;;) {
    const job = await get(`/jobs/${jobId}`);
    if (job['state'] === 'failed') throw new Error(JSON.stringify(job));
    if (job['state'] === 'done') return job['result'] as Json;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
};

/** Injuries counted as incidence in a community, and the facts' rows themselves. */
const counted = async (community: string): Promise<number> => {
  await server.engine.projections.waitFor(await server.engine.log.head(), 30_000);
  const { data } = await get(`/observations?dimension=dx:INC-01&dimension=pe:2026&dimension=ou:${community}`);
  return (data as Json[])[0]!['num'] as number;
};
const facts = async (community: string): Promise<unknown[]> => [
  ...(await sql`
    SELECT injury_id, day, age, sex, counted, feed, mechanism FROM read.injury_facts
    WHERE community = ${community} AND known_to = 9223372036854775807 ORDER BY injury_id`),
];

const report = async (feed: string, recordId: string, over: Json): Promise<string> => {
  const data = { feed, recordId, occurredAt: '2026-03-02', knownAt: '2026-03-09', sex: 'F', mechanism: 'fall', ...over };
  await post('/injuries', { age: { value: 71, unit: 'year' }, ...data });
  return injuryId(feed, recordId);
};
const linksOf = async (id: string): Promise<unknown> => (await get(`/injuries/${id}`))['links'];

beforeAll(async () => {
  world = await served('linkage');
  server = world.server;
  sql = connect(world.databaseUrl, { max: 1, applicationName: 'spec' });
  for (const code of ['A', 'B', 'C', 'D', 'E'])
    await post('/communities', { code, name: { zh: code, en: code }, type: 'residential' });
});
afterAll(async () => {
  await sql?.end();
  await world.close();
});

describe('the same person by two feeds', () => {
  let clinic: string;
  let police: string;
  let before: unknown[];

  it('counts once after a run, with an event that says how sure it was and why', async () => {
    clinic = await report('clinic', 'a-1', { community: 'A' });
    police = await report('police', 'p-1', { community: 'A', occurredAt: '2026-03-03' });
    await report('police', 'p-2', { community: 'A', sex: 'M', age: { value: 8, unit: 'year' }, mechanism: 'burn' });
    expect(await counted('A')).toBe(3);
    before = await facts('A');
    const done = await run();
    expect(done).toMatchObject({ linked: 1, unlinked: 0, attached: 0, refused: {}, skipped: [], without: ['key'], fresh: 3 });
    expect(await counted('A')).toBe(2);
    const carrier = clinic < police ? clinic : police;
    const { data } = await get(`/injuries/${carrier}/timeline`);
    const event = (data as Json[]).find(({ type }) => type === 'InjuryLinked')!;
    expect(JSON.stringify(event)).toContain('linked automatically');
    expect(await linksOf(carrier)).toMatchObject([{ linked: true, decidedBy: 'automatic' }]);
  });

  it('is found once: a second run, over what is new or over everything, writes nothing', async () => {
    const head = await server.engine.log.head();
    expect(await run()).toMatchObject({ linked: 0, refused: {} });
    expect(await run()).toMatchObject({ fresh: 0, linked: 0 });
    expect(await run({ everything: true })).toMatchObject({ linked: 0, refused: {}, after: '0' });
    expect(await server.engine.log.head()).toBe(head);
  });

  it('unlinked by hand, the counts and the facts are exactly as before, and no run links it again', async () => {
    const [low, high] = [clinic, police].sort() as [string, string];
    // Declared on the other report than the one that carries the link.
    await command(`/injuries/${high}`, `links/${low}/removal`, { reason: 'mother and daughter' });
    expect(await counted('A')).toBe(3);
    expect(await facts('A')).toEqual(before);
    await run({ everything: true });
    await run({ everything: true, estimate: true });
    expect(await counted('A')).toBe(3);
    expect(await facts('A')).toEqual(before);
  });
});

it('a correction that parts two reports undoes an automatic link, and one that joins them again links them', async () => {
  const clinic = await report('clinic', 'b-1', { community: 'B' });
  const police = await report('police', 'b-2', { community: 'B' });
  expect(await run()).toMatchObject({ linked: 1 });
  expect(await counted('B')).toBe(1);
  const correct = (sex: string, age: number) =>
    command(`/injuries/${police}`, 'corrections', {
      ...{
        replaces: { sex, age: { value: age, unit: 'year' }, mechanism: sex === 'M' ? 'burn' : 'fall' },
        reason: 'typed wrong',
      },
    });
  await correct('M', 20);
  expect(await run()).toMatchObject({ linked: 0, unlinked: 1 });
  expect(await counted('B')).toBe(2);
  await correct('F', 71);
  expect(await run()).toMatchObject({ linked: 1, unlinked: 0 });
  expect(await counted('B')).toBe(1);
  // A manual link stays whatever is corrected.
  await command(`/injuries/${clinic}`, 'links', { other: police });
  await correct('M', 20);
  expect(await run()).toMatchObject({ linked: 0, unlinked: 0 });
  expect(await counted('B')).toBe(1);
});

describe('a pair that is not sure', () => {
  const vague = { age: undefined, mechanism: undefined };
  let asked: Json[];

  it('is put before a person with its fields, likeliest first, a page at a time', async () => {
    await report('clinic', 'c-1', { community: 'C', occurredAt: '2026-04-11' });
    await report('police', 'c-2', { community: 'C', ...vague, occurredAt: '2026-04-12' });
    await report('clinic', 'd-1', { community: 'D', occurredAt: '2026-05-02' });
    await report('police', 'd-2', { community: 'D', ...vague, occurredAt: '2026-05-03' });
    expect(await run()).toMatchObject({ linked: 0, proposed: 2 });
    asked = (await get('/linkage/review'))['data'] as Json[];
    expect(asked).toHaveLength(2);
    const [first] = asked;
    expect(first!['score']).toBeGreaterThanOrEqual(0.2);
    expect(first!['score']).toBeLessThan(0.75);
    const fields = first!['fields'] as Json[];
    expect(fields.find(({ field }) => field === 'community')).toMatchObject({ level: 'same' });
    expect(fields.find(({ field }) => field === 'age')).toMatchObject({ level: 'missing', weight: 0 });
    expect(fields.reduce((sum, { weight }) => sum + (weight as number), 0)).toBeCloseTo(first!['weight'] as number, 6);
    const page = await get('/linkage/review?limit=1');
    expect(page['data']).toEqual([asked[0]]);
    const rest = await get(`/linkage/review?limit=1&cursor=${page['next']}`);
    expect(rest).toEqual({ data: [asked[1]] });
    expect((await send('GET', '/linkage/review?cursor=x')).status).toBe(400);
  });

  it('linked or rejected by a person, it is a manual decision, and is not asked again', async () => {
    const community = async (pair: Json): Promise<string> =>
      (await get(`/injuries/${pair['injury']}`))['record'].community as string;
    const [one, two] = asked as [Json, Json];
    const [yes, no] = [await community(one), await community(two)];
    const done = await post(`/linkage/review/${one['id']}/decision`, { decision: 'link' });
    expect(done).toMatchObject({ status: 'linked', revision: 1 });
    expect(await linksOf(one['injury'])).toEqual([{ other: one['other'].injury, linked: true, decidedBy: 'manual' }]);
    await post(`/linkage/review/${two['id']}/decision`, { decision: 'reject', reason: 'two neighbours' });
    expect(await linksOf(two['injury'])).toEqual([{ other: two['other'].injury, linked: false, decidedBy: 'manual' }]);
    expect([await counted(yes), await counted(no)]).toEqual([1, 2]);
    expect(await run({ everything: true })).toMatchObject({ linked: 0, proposed: 0 });
    expect((await get('/linkage/review'))['data']).toEqual([]);
    expect((await get('/linkage/review?status=rejected'))['data']).toMatchObject([{ id: two['id'] }]);
    // The same again is the same; the contrary is refused.
    expect(await post(`/linkage/review/${one['id']}/decision`, { decision: 'link' })).toEqual(done);
    expect(await send('POST', `/linkage/review/${one['id']}/decision`, { decision: 'reject' })).toMatchObject({
      status: 409,
      json: { code: 'not-allowed-now' },
    });
    const nobody = '00000000-0000-4000-8000-000000000000';
    expect((await send('POST', `/linkage/review/${nobody}/decision`, { decision: 'link' })).status).toBe(404);
  });
});

it('police casualties and injury records: attached to their incident, and not again once detached by hand', async () => {
  const over = { community: 'E', mechanism: 'road-transport', occurredAt: '2026-06-01' };
  const injury = await report('clinic', 'e-1', over);
  const { id } = await post('/incidents', {
    ...{ kind: 'crash', community: 'E', occurredAt: '2026-06-01', knownAt: '2026-06-01' },
    casualties: [
      { id: '1', role: 'pedestrian', age: { value: 71, unit: 'year' }, sex: 'F' },
      { id: '2', role: 'driver', age: { value: 34, unit: 'year' }, sex: 'M' },
    ],
  });
  expect(await run()).toMatchObject({ attached: 1, linked: 0, refused: {} });
  expect(await get(`/incidents/${id}`)).toMatchObject({ injuries: [{ injuryId: injury, casualtyId: '1' }] });
  expect(await counted('E')).toBe(1);
  await command(`/incidents/${id}`, `injuries/${injury}/removal`, { reason: 'another crash' });
  const head = await server.engine.log.head();
  await run({ everything: true });
  expect(await server.engine.log.head()).toBe(head);
});
