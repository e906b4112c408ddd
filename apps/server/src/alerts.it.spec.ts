import { connect } from '@vigil/platform';
import { addDays, localDate, periodOf } from '@vigil/vocabulary';
import { createAlertSchedule, runDetection } from './alerts';
import type { Server } from './index';
import { served, type Json, type Served } from './served.fixture';

jest.setTimeout(120_000);

let world: Served;
let server: Server;

const send: Served['send'] = (...call) => world.send(...call);
const get: Served['get'] = (...call) => world.get(...call);
const post: Served['post'] = (...call) => world.post(...call);
const command: Served['command'] = (...call) => world.command(...call);

const ZONE = 'Asia/Shanghai';
const TODAY = localDate(new Date().toISOString(), ZONE);
/** The last whole ISO week, Monday to Sunday. */
const MONDAY = addDays(periodOf('week', TODAY).start, -7);
const SUNDAY = addDays(MONDAY, 6);
const WEEK = periodOf('week', MONDAY).id;
const RANGE = `from=${MONDAY}&to=${SUNDAY}`;

let number = 0;
/** Reports as a feed sends them; the position of the last. */
const reported = async (cases: readonly { community: string; day: string; mechanism: string }[]): Promise<number> => {
  const lines = cases.map(({ community, day, mechanism }) => {
    const recordId = `r-${++number}`;
    return JSON.stringify({
      ...{
        specversion: '1.0',
        type: 'org.vigil.injury.reported.v1',
        source: '/feeds/hospital-1',
        id: recordId,
        subject: recordId,
      },
      time: `${day}T02:00:00Z`,
      data: {
        ...{ recordId, occurredAt: day, knownAt: day, visit: 'first', community, mechanism, sex: 'F' },
        age: { value: 30, unit: 'year' },
      },
    });
  });
  const response = await fetch(`${server.url}/api/v1/feeds/hospital-1/events`, {
    method: 'POST',
    headers: { 'content-type': 'application/x-ndjson' },
    body: lines.join('\n'),
  });
  const answer = (await response.json()) as Json;
  expect(answer).toMatchObject({ accepted: cases.length, rejected: 0 });
  return Number(await server.engine.log.head());
};
const events = async (): Promise<number> => Number(await server.engine.log.count(0n as never, await server.engine.log.head()));

beforeAll(async () => {
  world = await served('alerts', { VIGIL_TIME_ZONE: ZONE });
  server = world.server;

  const community = (code: string, parent?: string) =>
    post('/communities', { code, name: { zh: code, en: code }, type: 'street', ...(parent && { parent }) });
  await community('T');
  for (const code of ['T-1', 'T-2', 'T-9']) await community(code, 'T');
  // A year and a half of falls, one a day here and one every other day there; never a drowning. T-9 never reports.
  const past = Array.from({ length: 540 }, (_, i) => addDays(MONDAY, -1 - i));
  await reported(
    past.flatMap((day, i) => [
      { community: 'T-1', day, mechanism: 'fall' },
      ...(i % 2 === 0 ? [{ community: 'T-2', day, mechanism: 'fall' }] : []),
    ]),
  );
});
afterAll(() => world.close());

describe('a cluster of drownings', () => {
  let quiet: number;
  let cluster: number;
  let id: string;

  it('one drowning is no alert; five in two days are, and the same group holds its parent and its week', async () => {
    quiet = await reported([{ community: 'T-1', day: addDays(MONDAY, 2), mechanism: 'drowning' }]);
    const before = await get(`/alerts?${RANGE}&minPosition=${quiet}`);
    expect(before).toMatchObject({ status: 200, json: { data: [] } });
    expect(before.json['meta']).toMatchObject({
      found: { groups: 0, alerts: 0 },
      from: MONDAY,
      to: SUNDAY,
      dismissed: { groups: 0 },
    });
    expect(before.json['meta']['tests']).toBeGreaterThan(20);

    const [first, second] = [addDays(MONDAY, 4), addDays(MONDAY, 5)];
    cluster = await reported(
      [first, second, second, second, second].map((day) => ({ community: 'T-1', day, mechanism: 'drowning' })),
    );
    const { json } = await get(`/alerts?${RANGE}&minPosition=${cluster}`);
    expect(json['data']).toHaveLength(1);
    const [group] = json['data'] as Json[];
    expect(group).toMatchObject({
      ...{ kind: 'aberration', dx: 'INC-01', dims: { mechanism: 'drowning' }, state: 'new', severity: 4 },
    });
    const all = [group, ...group!['members']] as Json[];
    const seen = all.map(({ ou, period, method }) => [ou, period, method].join(' '));
    expect(seen).toEqual(
      expect.arrayContaining([
        `T-1 ${WEEK} poisson-cusum`,
        `T ${WEEK} poisson-cusum`,
        `T-1 ${second} ears-c2`,
        `T ${second} ears-c2`,
      ]),
    );
    expect(json['meta']['found']).toEqual({ groups: 1, alerts: all.length });
    for (const alert of all) {
      expect(alert['observed']).toBeGreaterThan(alert['upper']);
      expect(alert['why']).toEqual({ zh: expect.stringMatching(/\p{Script=Han}/u), en: expect.stringMatching(/[a-z]{3}/) });
    }
    id = group!['id'] as string;
  });

  it('is the same answer for the same position, then and now', async () => {
    const once = await get(`/alerts?${RANGE}&asOfPosition=${cluster}`);
    expect((await get(`/alerts?${RANGE}&asOfPosition=${cluster}`)).json).toEqual(once.json);
    expect((await get(`/alerts?${RANGE}&asOfPosition=${quiet}`)).json['data']).toEqual([]);
  });

  it('a run puts it on the register; run again it raises nothing new', async () => {
    const run = await post('/detection-runs', { from: MONDAY, to: SUNDAY }, { 'idempotency-key': 'run-1' });
    expect(run).toMatchObject({ raised: [id], revised: [], unchanged: 0, groups: 1, rest: { groups: 0, alerts: 0 } });
    expect((await post('/detection-runs', { from: MONDAY, to: SUNDAY }, { 'idempotency-key': 'run-1' }))['id']).toBe(run['id']);
    const before = await events();
    expect(await post('/detection-runs', { from: MONDAY, to: SUNDAY })).toMatchObject({ raised: [], revised: [], unchanged: 1 });
    // The run itself, and nothing else.
    expect(await events()).toBe(before + 1);
    const file = await get(`/alerts/${id}`);
    expect(file.json).toMatchObject({
      ...{ state: 'raised', ou: 'T-1', firstSeen: TODAY, sightings: 1, revision: 0 },
      allowed: ['acknowledgement', 'dismissal', 'corrective-actions'],
    });
    const runs = await get(`/detection-runs?minPosition=${run['position']}`);
    expect(runs.json['data'].map((each: Json) => each['id'])).toContain(run['id']);
  });

  it('a late report revises it where it stands', async () => {
    await reported([{ community: 'T-1', day: addDays(MONDAY, 5), mechanism: 'drowning' }]);
    const position = Number(await server.engine.log.head());
    await get(`/alerts/raised?minPosition=${position}`);
    expect(await post('/detection-runs', { from: MONDAY, to: SUNDAY })).toMatchObject({ raised: [], revised: [id] });
    expect((await get(`/alerts/${id}`)).json).toMatchObject({ state: 'raised', sightings: 2, revision: 1 });
  });

  it('is acknowledged, and opens a corrective action that the evaluation verifies', async () => {
    await command(`/alerts/${id}`, 'acknowledgement', { by: '值班室' });
    const cycle = (await post('/evaluations', { criteriaSet: 'CN-SITE-TRIAL', communities: ['T-1'], period: TODAY.slice(0, 4) }))[
      'id'
    ] as string;
    const wanted = { evaluation: cycle, text: '封闭野塘,设警示与救生设备', responsible: '水务站', deadline: addDays(TODAY, 30) };
    const opened = await post(`/alerts/${id}/corrective-actions`, wanted);
    expect(opened).toMatchObject({ id, evaluation: cycle });
    const action = opened['action'] as string;
    expect(opened['warnings']).toBeUndefined();
    // A second one under the same id is refused; one with its own is taken.
    const again = await send('POST', `/alerts/${id}/corrective-actions`, wanted, { 'accept-language': 'zh-CN' });
    expect([again.status, again.json['code']]).toEqual([409, 'action-exists']);
    expect(again.json['detail']).toMatch(/\p{Script=Han}/u);
    await post(`/alerts/${id}/corrective-actions`, { ...wanted, action: 'A-7', text: '游泳课' });

    for (const each of [action, 'A-7']) {
      await command(`/evaluations/${cycle}`, `corrective-actions/${each}/completion`, { completedOn: TODAY });
      await command(`/evaluations/${cycle}`, `corrective-actions/${each}/verification`, { verifiedOn: TODAY });
    }
    expect((await get(`/evaluations/${cycle}`)).json).toMatchObject({
      actions: [
        { id: action, alert: id, verifiedOn: TODAY },
        { id: 'A-7', alert: id, verifiedOn: TODAY },
      ],
      open: { actions: [] },
    });
    expect((await get(`/alerts/${id}`)).json).toMatchObject({
      state: 'action-opened',
      actions: [
        { evaluation: cycle, action },
        { evaluation: cycle, action: 'A-7' },
      ],
    });
    const timeline = (await get(`/alerts/${id}/timeline`)).json['data'] as Json[];
    expect(timeline.map(({ type }) => type as string)).toEqual([
      ...['AlertRaised', 'AlertRevised', 'AlertAcknowledged', 'AlertActionOpened', 'AlertActionOpened'],
    ]);
    expect((await get(`/alerts?${RANGE}`)).json['data'][0]).toMatchObject({ id, state: 'action-opened', firstSeen: TODAY });
  });

  it('an action broken off half-way is mended by the next try', async () => {
    const cycle = (await post('/evaluations', { criteriaSet: 'CN-SITE-TRIAL', communities: ['T-1'], period: TODAY.slice(0, 4) }))[
      'id'
    ] as string;
    const assignment = { text: '巡查', responsible: '网格员', deadline: addDays(TODAY, 7), action: 'half' };
    await command(`/evaluations/${cycle}`, 'corrective-actions', { ...assignment, alert: id });
    await post(`/alerts/${id}/corrective-actions`, { ...assignment, evaluation: cycle });
    expect((await get(`/evaluations/${cycle}`)).json['actions']).toHaveLength(1);
    expect((await get(`/alerts/${id}`)).json['actions'].at(-1)).toEqual({ evaluation: cycle, action: 'half' });
  });

  it('what can’t be: refused with where and why', async () => {
    const wanted = { text: 't', responsible: 'r', deadline: TODAY };
    const refused = async (path: string, body: Json) => {
      const { status, json } = await send('POST', path, body);
      return [status, json['code'], json['errors'][0]?.pointer];
    };
    expect(await refused(`/alerts/${id}/corrective-actions`, { ...wanted, evaluation: 'none' })).toEqual([
      404,
      'evaluation-not-found',
      '/evaluation',
    ]);
    expect(await refused('/alerts/none/corrective-actions', { ...wanted, evaluation: 'none' })).toEqual([
      404,
      'alert-not-found',
      undefined,
    ]);
    expect(await refused(`/alerts/${id}/corrective-actions`, wanted)).toEqual([422, 'missing-field', '/evaluation']);
    expect((await send('POST', '/alerts', {})).status).toBe(405);
    for (const [query, code] of [
      ['dx=INC-99', 'unknown-indicator'],
      ['dx=HAZ-01', 'not-counts'],
      ['community=T-77', 'unknown-code'],
      [`to=${addDays(TODAY, 2)}`, 'in-the-future'],
      ['from=2026-01-01&to=2025-12-01', 'ends-before-it-starts'],
      ['from=2025-01-01&to=2025-12-01', 'range-too-long'],
      ['limt=3', 'unknown-field'],
    ] as const)
      expect([query, (await get(`/alerts?${query}`)).json['code']]).toEqual([query, code]);
  });
});

describe('what else there is to see', () => {
  it('filters by community and indicator, and says what could not be looked at', async () => {
    const of = async (query: string) => (await get(`/alerts?${RANGE}&${query}`)).json;
    expect((await of('community=T-2'))['data']).toEqual([]);
    const within = (await of('community=T'))['data'][0] as Json;
    expect(within['ou']).toBe('T-1');
    expect((await of('dx=INC-04'))['data']).toEqual([]);
    const { notLooked } = (await of(''))['meta'] as Json;
    expect(notLooked['byCode']['no-records']).toBe(1);
    expect(notLooked['first']).toEqual(expect.arrayContaining([expect.objectContaining({ ou: 'T-9', code: 'no-records' })]));
  });

  it('overdue hazards are alerts of their own; a dismissed group is counted and not shown; what the cap leaves out is counted', async () => {
    for (const [community, level] of [
      ['T-1', 'critical'],
      ['T-1', 'general'],
      ['T-2', 'general'],
    ]) {
      const hazard = (
        await post('/hazards', { community, domain: 'fire', description: '通道堵塞', identifiedAt: addDays(TODAY, -60) })
      )['id'];
      await command(`/hazards/${hazard}`, 'classification', { level });
      await command(`/hazards/${hazard}`, 'rectification-orders', { responsible: '物业', deadline: addDays(TODAY, -30) });
    }
    const position = Number(await server.engine.log.head());
    const hazards = async (query = '') => (await get(`/alerts?${RANGE}&dx=HAZ-02&minPosition=${position}${query}`)).json;
    const { data, meta } = await hazards();
    expect(data).toMatchObject([
      { kind: 'hazard-overdue', ou: 'T-1', severity: 5, excess: 1, members: [{ severity: 1 }] },
      { ou: 'T-2', severity: 1, members: [] },
    ]);
    expect(meta['tests']).toBe(0);
    const one = await hazards('&limit=1');
    expect(one['data']).toHaveLength(1);
    expect(one['meta']['rest']).toEqual({ groups: 1, alerts: 1 });

    const run = await post('/detection-runs', { from: MONDAY, to: SUNDAY });
    expect(run['raised']).toHaveLength(2);
    const dismissed = (await hazards())['data'][0]['id'] as string;
    await command(`/alerts/${dismissed}`, 'dismissal', { reason: '同一处重复登记' });
    const after = await hazards();
    expect(after['data'].map(({ ou }: Json) => ou as string)).toEqual(['T-2']);
    expect(after['meta']).toMatchObject({ dismissed: { groups: 1, alerts: 2 }, found: { groups: 2, alerts: 3 } });
    expect((await hazards('&dismissed=true'))['data'][0]).toMatchObject({ id: dismissed, state: 'dismissed' });
    expect(await post('/detection-runs', { from: MONDAY, to: SUNDAY })).toMatchObject({ raised: [], revised: [] });
    expect((await get(`/alerts/raised?state=dismissed&minPosition=${await events()}`)).status).toBe(200);
  });
});

describe('once a day', () => {
  /** 06:30 in Shanghai, tomorrow. */
  const morning = new Date(`${TODAY}T22:30:00Z`);
  const early = new Date(`${TODAY}T21:30:00Z`);
  const schedule = (now: Date, at = '06:00') => createAlertSchedule({ engine: server.engine, at, now: () => now });

  it('runs when its hour has come, once, whoever runs it; two servers at once raise nothing twice', async () => {
    expect(await schedule(early).tick()).toBe(false);
    const [one, two] = [schedule(morning), schedule(morning)];
    const ran = await Promise.all([one.tick(), two.tick()]);
    expect(ran).toContain(true);
    expect(await one.tick()).toBe(false);
    const tomorrow = addDays(TODAY, 1);
    const run = await get(`/detection-runs/${tomorrow}`);
    expect(run.json).toMatchObject({ state: 'completed', trigger: 'schedule', day: tomorrow, revision: 0 });
    const raised = (await get(`/alerts/raised?limit=1000&minPosition=${run.json['position']}`)).json['data'] as Json[];
    expect(new Set(raised.map(({ id }) => id as string)).size).toBe(raised.length);
  });

  it('two runs of the same moment make one file of each alert', async () => {
    await reported(Array.from({ length: 6 }, () => ({ community: 'T-2', day: addDays(MONDAY, 3), mechanism: 'poisoning' })));
    const position = Number(await server.engine.log.head());
    await get(`/alerts/raised?minPosition=${position}`);
    const now = new Date();
    const runs = await Promise.all(
      ['x-1', 'x-2'].map((id) => runDetection(server.engine, { id, trigger: 'request', from: MONDAY, to: SUNDAY, now })),
    );
    const raised = runs.flatMap(({ outcome }) => outcome.raised);
    expect(raised).toHaveLength(1);
    const file = (await get(`/alerts/${raised[0]}`)).json;
    expect(file).toMatchObject({ ou: 'T-2', dims: { mechanism: 'poisoning' }, sightings: 1 });
  });

  it('the read model of alerts is what a fold of the log gives', async () => {
    await get(`/alerts/raised?minPosition=${Number(await server.engine.log.head())}`);
    const sql = connect(world.databaseUrl, { applicationName: 'alerts-spec' });
    const rows = await sql<{ id: string; kind: string; community: string }[]>`
      SELECT id, kind, community FROM read.case_files WHERE register = 'alert' AND known_to = 9223372036854775807`;
    await sql.end({ timeout: 5 });
    expect(rows.map(({ kind, community }) => `${kind} ${community}`).sort()).toEqual([
      'HAZ-02 T-1',
      'HAZ-02 T-2',
      'INC-01 T-1',
      'INC-01 T-2',
    ]);
    const [check] = await server.engine.projections.check('case-files');
    expect(check).toMatchObject({ equal: true });
  });
});
