import type { Server } from './index';
import { served, type Json, type Served } from './served.fixture';

jest.setTimeout(120_000);

let world: Served;
let server: Server;

const send: Served['send'] = (...call) => world.send(...call);
const get: Served['get'] = (...call) => world.get(...call);
const post: Served['post'] = (...call) => world.post(...call);
const command = (id: string, path: string, body: unknown): Promise<Json> => world.command(`/interventions/${id}`, path, body);

const MONTHS = Array.from({ length: 48 }, (_, i) => `${2022 + Math.floor(i / 12)}-${String((i % 12) + 1).padStart(2, '0')}`);
const START = '2024-07';
/** Falls a month of those 65 and over, as they are sent: with a season, and 0.6 of it from the start on in S-01. */
const fallsIn = (unit: string, month: string): number => {
  const season = 1 + 0.25 * Math.cos((2 * Math.PI * Number(month.slice(5))) / 12);
  const wobble = 1 + 0.15 * Math.sin(MONTHS.indexOf(month) * (unit === 'S-01' ? 2.1 : 3.7));
  return Math.round((unit === 'S-01' ? 18 : 12) * season * wobble * (unit === 'S-01' && month >= START ? 0.6 : 1));
};

let falls: string;
let idle: string;
let alone: string;
let before: number;
let latest: number;

const card = (code: string) => ({ system: 'niss-card', version: '14', code });
const eventsOf = (months: readonly string[], prefix = ''): string => {
  let n = 0;
  const lines: string[] = [];
  for (const unit of ['S-01', 'S-02'])
    for (const month of months)
      for (let i = 0; i < fallsIn(unit, month); i++) {
        const record = `${prefix}${unit}-${month}-${n++}`;
        lines.push(
          JSON.stringify({
            specversion: '1.0',
            type: 'org.vigil.injury.reported.v1',
            source: '/feeds/clinic-01',
            id: `e-${record}`,
            subject: record,
            time: `${month}-28T02:00:00Z`,
            datacontenttype: 'application/json',
            data: {
              recordId: record,
              occurredAt: `${month}-${String(1 + (i % 28)).padStart(2, '0')}`,
              knownAt: `${month}-28T09:00:00+08:00`,
              visit: 'first',
              community: unit,
              residence: unit,
              age: { value: 70 + (i % 20), unit: 'year' },
              sex: i % 3 === 0 ? 'M' : 'F',
              mechanism: card('3'),
              intent: card('1'),
              place: card('1'),
              disposition: card('1'),
            },
          }),
        );
      }
  return lines.join('\n');
};

beforeAll(async () => {
  world = await served('effect');
  server = world.server;

  await post('/communities', { code: 'D-1', name: { zh: '区', en: 'District' }, type: 'district' });
  for (const code of ['S-01', 'S-02', 'S-03'])
    await post('/communities', { code, name: { zh: code, en: code }, type: 'street', parent: 'D-1' });
  for (const code of ['S-01', 'S-02'])
    for (const year of [2022, 2023, 2024, 2025])
      await send('POST', `/communities/${code}/populations`, {
        year,
        cells: ['F', 'M'].flatMap((sex) => [
          { sex, ageFrom: 0, ageTo: 64, persons: 20_000 },
          { sex, ageFrom: 65, persons: 4_000 },
        ]),
      }).then(({ status, json }) => {
        if (status !== 201) throw new Error(JSON.stringify(json));
      });
  const push = await send('POST', '/feeds/clinic-01/events', eventsOf(MONTHS), { 'content-type': 'application/x-ndjson' });
  expect(push.json).toMatchObject({ rejected: 0 });

  const design = { domain: 'elderly', targetGroup: '65+', outcomes: ['INC-04'], units: ['S-01'], comparison: ['S-02', 'D-1'] };
  const made = await post('/interventions', { ...design, name: '防跌倒' });
  falls = made['id'] as string;
  before = made['position'] as number;
  idle = (await post('/interventions', { ...design, name: '未启动' }))['id'] as string;
  alone = (await post('/interventions', { ...design, name: '无人口', units: ['S-03'], comparison: [] }))['id'] as string;
  await command(alone, 'starts', { unit: 'S-03', startedOn: '2024-07-01' });
  latest = (await command(falls, 'starts', { unit: 'S-01', startedOn: '2024-07-01' }))['position'] as number;
});
afterAll(() => world.close());

const effect = (id: string, search = '', headers: Record<string, string> = {}) =>
  get(`/interventions/${id}/effect?to=2025-12${search}`, headers);

describe('GET /interventions/{id}/effect', () => {
  it('chooses the method, says why, and gives the ratio, the series, the averted events and the units', async () => {
    const { status, json } = await effect(falls);
    expect(status).toBe(200);
    expect(json).toMatchObject({
      id: falls,
      dx: 'INC-04',
      method: 'its',
      estimate: { measure: 'ratio', level: 95 },
      diagnostics: { points: { before: 30, after: 18 } },
      meta: { from: '2022-01', to: '2025-12', starts: { 'S-01': '2024-07-01' } },
    });
    const { low, value, high } = json['estimate'];
    expect(low < 0.6 && 0.6 < high && low < value && value < high).toBe(true);
    expect(json['steps'].map(({ method, chosen, possible }: Json) => [method, chosen, possible])).toEqual([
      ['its', true, true],
      ['did', false, true],
      ['rr', false, true],
    ]);
    expect(json['series']).toHaveLength(48);
    const at = MONTHS.indexOf('2025-03');
    expect(json['series'][at]).toMatchObject({ month: '2025-03', observed: fallsIn('S-01', '2025-03') });
    expect(json['series'][at].exposure).toBeCloseTo((8_000 * 31) / 365, 0);
    expect(json['eventsAverted'].value).toBeGreaterThan(80);
    expect(json['units']).toEqual([
      { unit: 'S-01', startedOn: '2024-07-01', estimate: json['estimate'], events: expect.anything() },
    ]);
    expect(json['warnings'].map(({ code }: Json) => code)).toContain('comparison-overlaps');
  });

  it('by the method asked for: with the comparison, whose own change is taken out', async () => {
    const { json } = await effect(falls, '&method=did&ci=90');
    expect(json).toMatchObject({
      method: 'did',
      comparison: ['S-02'],
      estimate: { level: 90 },
      why: { zh: expect.stringContaining('按请求') },
    });
    expect(Math.abs(json['estimate'].value - 0.6)).toBeLessThan(0.06);
    const rr = (await effect(falls, '&method=rr')).json;
    expect(rr['method']).toBe('rr');
    expect(rr['warnings'][0].code).toBe('descriptive');
  });

  it('of several outcomes, each with its units, the first beside the whole', async () => {
    const { status, json } = await effect(falls, '&dx=INC-01;INC-04');
    expect(status).toBe(200);
    expect(json['outcomes'].map(({ dx }: Json) => dx)).toEqual(['INC-01', 'INC-04']);
    expect(json).toMatchObject({ dx: 'INC-01', estimate: json['outcomes'][0].estimate });
    expect(json['outcomes'][1].units[0].estimate.value).toBeLessThan(0.8);
    expect(json['meta'].definitions).toHaveLength(2);
  });

  it('a part of the outcomes that has no estimate is refused in its place', async () => {
    const { status, json } = await effect(falls, '&dx=MOR-01;INC-04');
    expect(status).toBe(200);
    expect(json['dx']).toBe('INC-04');
    expect(json['outcomes'][0]).toMatchObject({ dx: 'MOR-01', refusal: { code: 'too-few-events' } });
  });

  it('as of a position: the start was not known yet; what is reported later changes only later answers', async () => {
    expect(await get(`/interventions/${falls}/effect?asOfPosition=${before}`)).toMatchObject({
      status: 422,
      json: { code: 'not-started', errors: [{ allowed: ['starts'] }] },
    });
    expect((await get(`/interventions/${falls}/effect?asOfPosition=1`)).status).toBe(404);
    expect(await effect(falls, '&asOfPosition=999999999')).toMatchObject({ status: 400, json: { code: 'position-ahead' } });
    const now = (await effect(falls, `&asOfPosition=${latest}`)).json;
    const late = eventsOf(['2025-11'], 'late-');
    const { json: pushed } = await send('POST', '/feeds/clinic-01/events', late, { 'content-type': 'application/x-ndjson' });
    expect(pushed['rejected']).toBe(0);
    const again = (await effect(falls, `&asOfPosition=${latest}`)).json;
    expect(again).toEqual({ ...now, meta: { ...now['meta'], lagSeconds: again['meta'].lagSeconds } });
    expect(again['meta'].position).toBe(latest);
    const { position } = await post('/communities', {
      code: 'S-04',
      name: { zh: 'S-04', en: 'S-04' },
      type: 'street',
      parent: 'D-1',
    });
    const later = (await effect(falls, `&minPosition=${position}`)).json;
    const of = (json: Json) => json['series'].find(({ month }: Json) => month === '2025-11').observed as number;
    expect(of(later)).toBe(2 * of(now));
  });

  it('refuses with the reason and what is possible, in the reader’s language', async () => {
    const short = await effect(falls, '&from=2024-01&method=its', { 'accept-language': 'en' });
    expect(short).toMatchObject({
      status: 422,
      json: { code: 'too-short', errors: [{ pointer: '/dx', allowed: ['did', 'rr'] }] },
    });
    expect(short.json['detail']).toContain('at least 8 a side');
    expect((await effect(falls, '&from=2024-01&method=its', { 'accept-language': 'zh-CN' })).json['detail']).toContain(
      '至少需要 8 个月',
    );
    expect(await effect(idle)).toMatchObject({ status: 422, json: { code: 'not-started' } });
    expect(await effect('nothing')).toMatchObject({ status: 404, json: { code: 'intervention-not-found' } });
    expect(await effect(alone)).toMatchObject({ status: 422, json: { code: 'missing-denominator' } });
    expect(await effect(falls, '&dx=INC-40')).toMatchObject({
      status: 400,
      json: {
        code: 'unknown-indicator',
        errors: [{ pointer: '/dx', value: 'INC-40', suggestion: expect.stringMatching(/^INC-0\d$/) }],
      },
    });
    expect(await effect(falls, '&dx=SEV-01')).toMatchObject({ status: 422, json: { code: 'not-a-rate' } });
    expect(await effect(falls, '&method=guess')).toMatchObject({ status: 400 });
    expect(await effect(falls, '&from=2026-13')).toMatchObject({ status: 400 });
    expect(await get(`/interventions/${falls}/effect?to=2099-01`)).toMatchObject({
      status: 422,
      json: { code: 'month-not-ended' },
    });
    expect(await effect(falls, '&mehtod=rr')).toMatchObject({ status: 400 });
  });

  it('is described in OpenAPI', async () => {
    const document = (await (await fetch(`${server.url}/api/openapi.json`)).json()) as Json;
    const found = document['paths']['/api/v1/interventions/{id}/effect'].get;
    expect(found.parameters.map(({ name }: Json) => name)).toEqual(
      expect.arrayContaining(['id', 'dx', 'method', 'from', 'to', 'ci', 'asOf', 'asOfPosition', 'minPosition']),
    );
  });

  it('a unit rolled out later is treated from its own start on, and compared with until then', async () => {
    const { id } = await post('/interventions', {
      domain: 'elderly',
      targetGroup: '65+',
      outcomes: ['INC-04'],
      units: ['S-01'],
      name: '由点到面',
    });
    await command(id, 'pilot-sites', { unit: 'S-01', reason: 'r' });
    await command(id, 'starts', { unit: 'S-01', startedOn: '2024-07-01' });
    await command(id, 'roll-outs', { units: ['S-02'], startedOn: '2025-07-15' });
    const { json } = await effect(id, '&method=did');
    expect(json).toMatchObject({ comparison: ['S-02'], diagnostics: { points: { before: 30, after: 12 } } });
    expect(json['units'].map(({ unit, estimate }: Json) => [unit, estimate === null])).toEqual([
      ['S-01', false],
      ['S-02', true],
    ]);
    expect(json['warnings'].map(({ code }: Json) => code)).toEqual(
      expect.arrayContaining(['comparison-contaminated', 'cohort-left-out']),
    );
  });
});
