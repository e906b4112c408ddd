import { connect } from '@vigil/platform';
import { fingerprint } from '@vigil/vocabulary';
import { randomUUID } from 'node:crypto';
import type { Server } from './index';
import { served, type Json, type Served } from './served.fixture';

jest.setTimeout(60_000);

let world: Served;
let server: Server;
beforeAll(async () => {
  world = await served('files');
  server = world.server;
});
afterAll(() => world.close());

const send: Served['send'] = (...call) => world.send(...call);
const get: Served['get'] = (...call) => world.get(...call);
/** A command to an existing file at its current revision. */
const command = async (plural: string, id: string, path: string, body: unknown) => {
  const { headers } = await get(`/${plural}/${id}`);
  return send('POST', `/${plural}/${id}/${path}`, body, { 'if-match': headers.get('etag')! });
};
const hazard = (over: Json = {}) => ({
  community: 'S-01',
  domain: 'fire',
  description: '出租屋疏散通道堆放杂物',
  identifiedAt: '2026-03-02',
  ...over,
});

describe('a register over HTTP: hazards', () => {
  it('takes a hazard through its life; GET shows state, deadline, originalDeadline and revision', async () => {
    const created = await send('POST', '/hazards', hazard(), { 'idempotency-key': 'h1' });
    expect(created.status).toBe(201);
    const { id } = created.json as { id: string };
    expect((await send('POST', '/hazards', hazard(), { 'idempotency-key': 'h1' })).json['id']).toBe(id);
    for (const [path, body] of [
      ['classification', { level: 'major' }],
      ['rectification-orders', { responsible: '房东', deadline: '2026-03-16' }],
      ['deadline-extensions', { deadline: '2026-04-01', reason: '节假日' }],
      ['rectifications', { completedAt: '2026-03-30' }],
      ['verifications', { result: 'passed', verifiedAt: '2026-04-02' }],
      ['reopenings', { reason: '杂物又堆上了' }],
    ] as const)
      expect((await command('hazards', id, path, body)).status).toBe(201);
    const { json, headers } = await get(`/hazards/${id}`);
    expect(json).toMatchObject({ state: 'reopened', originalDeadline: '2026-03-16', level: 'major', revision: 6, reopenings: 1 });
    expect(headers.get('etag')).toBe('"r6"');
    expect(json['allowed']).toEqual(expect.arrayContaining(['rectification-orders', 'rectifications', 'withdrawal']));
  });

  it('sent again after its Idempotency-Key is forgotten, is found and not made twice', async () => {
    const first = await send('POST', '/hazards', hazard(), { 'idempotency-key': 'h2' });
    const sql = connect(world.databaseUrl, { applicationName: 'case-files-spec' });
    await sql`DELETE FROM api.idempotency WHERE key = 'h2'`;
    await sql.end({ timeout: 5 });
    expect(await send('POST', '/hazards', hazard(), { 'idempotency-key': 'h2' })).toMatchObject({
      status: 409,
      json: { code: 'hazard-exists' },
    });
    const another = await send('POST', '/hazards', hazard({ description: '灭火器过期' }), { 'idempotency-key': 'h2' });
    expect(another.status).toBe(201);
    expect(another.json['id']).not.toBe(first.json['id']);
  });

  it('asks for If-Match, and refuses what is not allowed now with what is', async () => {
    const { id } = (await send('POST', '/hazards', hazard())).json as { id: string };
    expect((await send('POST', `/hazards/${id}/reopenings`, { reason: 'r' })).status).toBe(428);
    const refused = await command('hazards', id, 'reopenings', { reason: 'too early' });
    expect(refused.status).toBe(409);
    expect(refused.json).toMatchObject({
      code: 'not-allowed-now',
      errors: [{ allowed: expect.arrayContaining(['rectification-orders']) }],
    });
    expect((await command('hazards', id, 'deadline-extensions', { deadline: 'soon', reason: 'r' })).status).toBe(422);
    const stale = await send('POST', `/hazards/${id}/classification`, { level: 'major' }, { 'if-match': '"r7"' });
    expect(stale.status).toBe(412);
    expect((await send('POST', '/hazards/nothing/classification', { level: 'major' }, { 'if-match': '"r0"' })).status).toBe(404);
    expect((await send('POST', '/hazards', hazard({ domain: 'volcano' }))).json).toMatchObject({ code: 'unknown-domain' });
    expect((await get('/hazards/nothing')).status).toBe(404);
  });

  it('lists by state, community and day, pages, and finds the overdue', async () => {
    const ids: string[] = [];
    for (let n = 0; n < 5; n++)
      ids.push(
        (await send('POST', '/hazards', hazard({ community: 'S-09', identifiedAt: `2026-02-0${n + 1}` }))).json['id'] as string,
      );
    await command('hazards', ids[0]!, 'rectification-orders', { responsible: 'x', deadline: '2026-02-10' });
    const { position } = (await command('hazards', ids[1]!, 'rectification-orders', { responsible: 'x', deadline: '2199-01-01' }))
      .json;
    const listed = async (query: string) =>
      ((await get(`/hazards?minPosition=${position}&community=S-09${query}`)).json['data'] as Json[]).map(
        ({ id }) => id as string,
      );
    expect(new Set(await listed(''))).toEqual(new Set(ids));
    expect(await listed('&state=overdue')).toEqual([ids[0]]);
    expect(new Set(await listed('&state=ordered'))).toEqual(new Set(ids.slice(0, 2)));
    expect(await listed('&from=2026-02-05&to=2026-02-05')).toEqual([ids[4]]);
    const first = await get('/hazards?community=S-09&limit=3');
    const second = await get(`/hazards?community=S-09&limit=3&cursor=${first.json['next']}`);
    expect([...first.json['data'], ...second.json['data']].map(({ id }: Json) => id)).toEqual([...ids].sort());
    expect(second.json['next']).toBeUndefined();
    expect((await get('/hazards?state=burning')).json).toMatchObject({ code: 'unknown-state' });
    expect((await get('/hazards/board?community=S-09')).json['data']).toEqual([
      { community: 'S-09', kind: 'fire', state: 'identified', files: 3, overdue: 0 },
      { community: 'S-09', kind: 'fire', state: 'ordered', files: 2, overdue: 1 },
    ]);
  });

  it('answers as it was known, and tells the timeline on both clocks with what each event changed', async () => {
    const created = await send('POST', '/hazards', hazard({ community: 'S-11' }));
    const { id, position: first } = created.json as { id: string; position: number };
    const ordered = await command('hazards', id, 'rectification-orders', { responsible: '房东', deadline: '2026-03-16' });
    const { position: last } = (await command('hazards', id, 'rectifications', { completedAt: '2026-03-10' })).json as {
      position: number;
    };
    expect((await get(`/hazards/${id}?asOfPosition=${first}`)).json).toMatchObject({ state: 'identified', revision: 0 });
    expect((await get(`/hazards/${id}?asOfPosition=${first - 1}`)).status).toBe(404);
    const then = async (at: number) =>
      ((await get(`/hazards?community=S-11&asOfPosition=${at}&minPosition=${last}`)).json['data'] as Json[]).map(
        ({ state }) => state as string,
      );
    expect(await then(first - 1)).toEqual([]);
    expect(await then(first)).toEqual(['identified']);
    expect(await then(ordered.json['position'] as number)).toEqual(['ordered']);
    expect(await then(last)).toEqual(['rectified']);
    const timeline = (await get(`/hazards/${id}/timeline`)).json['data'] as Json[];
    expect(timeline.map(({ type, occurredAt, state }) => [type, occurredAt, state])).toEqual([
      ['HazardIdentified', '2026-03-02', 'identified'],
      ['RectificationOrdered', null, 'ordered'],
      ['RectificationCompleted', '2026-03-10', 'rectified'],
    ]);
    expect(timeline[2]!['changes']).toEqual([
      { field: 'state', before: 'ordered', after: 'rectified' },
      { field: 'completedAt', before: null, after: '2026-03-10' },
    ]);
  });
});

/** Files something and answers its id. */
const filed = async (plural: string, body: unknown): Promise<string> => {
  const { status, json } = await send('POST', `/${plural}`, body);
  expect({ status, json }).toMatchObject({ status: 201 });
  return json['id'] as string;
};
/** A command that is taken. */
const done = async (plural: string, id: string, path: string, body: unknown): Promise<Json> => {
  const { status, json } = await command(plural, id, path, body);
  expect({ status, json }).toMatchObject({ status: 201 });
  return json;
};

describe('incidents', () => {
  it('a crash reported by police and by the clinic: its severity derived, its injuries attached and removed', async () => {
    const report = {
      kind: 'crash',
      feed: 'police-1',
      recordId: 'A-17',
      community: 'S-21',
      occurredAt: '2026-03-02T08:40:00+08:00',
      knownAt: '2026-03-02T09:10:00+08:00',
      vehicles: [
        { id: 'v1', type: 'truck' },
        { id: 'v2', type: 'e-bike' },
      ],
      casualties: [
        { id: 'c1', role: 'rider', vehicle: 'v2', severity: { scale: 'GA16', value: 'severe' }, sex: 'F' },
        { id: 'c2', role: 'driver', vehicle: 'v1', severity: { scale: 'GA16', value: 'none' } },
      ],
    };
    const id = await filed('incidents', report);
    const again = await send('POST', '/incidents', report);
    expect(again).toMatchObject({ status: 409, json: { code: 'incident-exists' } });

    const injury = { community: 'S-21', occurredAt: '2026-03-02', mechanism: 'road-transport', sex: 'F' };
    const police = await filed('injuries', { ...injury, feed: 'police-1', recordId: 'A-17-c1', knownAt: '2026-03-02' });
    const clinic = await filed('injuries', { ...injury, feed: 'clinic-03', recordId: '000123', knownAt: '2026-03-03' });
    await done('injuries', police, 'links', { other: clinic });
    await done('incidents', id, 'injuries', { injuryId: police, casualtyId: 'c1' });
    await done('incidents', id, 'injuries', { injuryId: clinic, casualtyId: 'c1' });
    expect((await command('incidents', id, 'injuries', { injuryId: clinic })).json).toMatchObject({ code: 'already-attached' });
    expect((await command('incidents', id, 'injuries', { injuryId: 'c1' })).status).toBe(422);

    const crash = async () => (await get(`/incidents/${id}`)).json;
    expect(await crash()).toMatchObject({
      state: 'reported',
      injuries: [{ injuryId: police }, { injuryId: clinic }],
      summary: { persons: 2, severity: { GA16: 'ga16-severe' }, deaths: { within7Days: 0, within30Days: 0 } },
    });
    const [first, second] = report.casualties;
    await done('incidents', id, 'corrections', {
      replaces: { casualties: [{ ...first, daysToDeath: 12 }, second] },
      reason: '抢救无效',
    });
    expect(await crash()).toMatchObject({
      summary: { severity: { GA16: 'ga16-severe' }, deaths: { within7Days: 0, within30Days: 1 } },
      injuries: [{ injuryId: police }, { injuryId: clinic }],
    });
    const { position } = await done('incidents', id, `injuries/${clinic}/removal`, { reason: '另一人' });
    expect(await crash()).toMatchObject({ injuries: [{ injuryId: police, casualtyId: 'c1' }] });
    const listed = await get(`/incidents?community=S-21&kind=crash&from=2026-03-02&to=2026-03-02&minPosition=${position}`);
    expect(listed.json['data']).toMatchObject([{ id, summary: { deaths: { within30Days: 1 } } }]);
  });

  it('refuses who it was, and names the kinds and the fields of a kind', async () => {
    const fire = { kind: 'fire', community: 'S-21', knownAt: '2026-03-02' };
    const post = async (over: Json) => (await send('POST', '/incidents', { ...fire, ...over })).json;
    expect(await post({ casualties: [{ id: 'c1', role: 'occupant', name: 'canary' }] })).toMatchObject({
      status: 422,
      code: 'identity-not-accepted',
      errors: [{ pointer: '/casualties/0/name' }],
    });
    expect(await post({ kind: 'volcano' })).toMatchObject({ status: 422, code: 'unknown-kind' });
    expect(await post({ vehicles: [] })).toMatchObject({
      status: 422,
      code: 'unknown-field',
      errors: [{ pointer: '/vehicles' }],
    });
    expect(await post({ occurredAt: '2026-03-03' })).toMatchObject({ status: 422, code: 'known-before-it-happened' });
  });

  it('a dispute mediated, escalated', async () => {
    const id = await filed('incidents', {
      kind: 'dispute',
      matter: 'rent',
      parties: 2,
      community: 'S-22',
      occurredAt: '2026-01-10',
      knownAt: '2026-01-12',
    });
    await done('incidents', id, 'mediation', { outcome: 'failed', on: '2026-01-20', by: 'O-MEDIATION' });
    const { position: settled } = await done('incidents', id, 'mediation', {
      outcome: 'agreed',
      on: '2026-02-01',
      by: 'O-MEDIATION',
    });
    const { position } = await done('incidents', id, 'escalation', {
      to: '桥北派出所',
      on: '2026-03-01',
      reason: '一方反悔,动手伤人',
      nature: 'criminal',
    });
    expect((await get(`/incidents/${id}?asOfPosition=${settled}`)).json).toMatchObject({ state: 'settled' });
    const refused = await command('incidents', id, 'mediation', { outcome: 'agreed', on: '2026-03-02' });
    expect(refused).toMatchObject({ status: 409, json: { errors: [{ allowed: expect.arrayContaining(['retraction']) }] } });
    const timeline = (await get(`/incidents/${id}/timeline`)).json['data'] as Json[];
    expect(timeline.map(({ occurredAt, state }) => [occurredAt, state])).toEqual([
      ['2026-01-10', 'reported'],
      ['2026-01-20', 'unsettled'],
      ['2026-02-01', 'settled'],
      ['2026-03-01', 'escalated'],
    ]);
    const board = await get(`/incidents/board?community=S-22&minPosition=${position}`);
    expect(board.json['data']).toEqual([{ community: 'S-22', kind: 'dispute', state: 'escalated', files: 1, overdue: 0 }]);
    expect((await get('/incidents?state=unsettled')).status).toBe(200);
    const fire = await filed('incidents', { kind: 'fire', community: 'S-22', knownAt: '2026-01-12' });
    expect(await command('incidents', fire, 'mediation', { outcome: 'agreed', on: '2026-03-02' })).toMatchObject({
      status: 422,
      json: { code: 'not-a-dispute' },
    });
  });
});

describe('places and inspections', () => {
  it('rental housing is inspected for fire safety (出租屋消防): hazards filed, one rectified late and reopened', async () => {
    const rental = (code: string) => ({
      code,
      community: 'S-31',
      type: 'rental-housing',
      name: `出租屋 ${code}`,
      coordinates: { referenceSystem: 'GCJ-02', longitude: 121.4737, latitude: 31.2304 },
      supervisedBy: 'O-FIRE',
    });
    const places = ['rental-0017', 'rental-0018', 'rental-0019'];
    for (const code of places) expect(await filed('places', rental(code))).toBe(code);
    expect((await send('POST', '/places', rental('rental-0017'))).json).toMatchObject({ code: 'place-exists' });

    const inspection = await filed('inspections', {
      community: 'S-31',
      domain: 'migrants-and-rental',
      plannedFor: '2026-03',
      places,
      by: 'O-FIRE',
    });
    const found = await Promise.all(
      ['私拉电线', '疏散通道堆放杂物'].map((description) =>
        filed(
          'hazards',
          hazard({
            community: 'S-31',
            domain: 'migrants-and-rental',
            description,
            placeId: 'rental-0017',
            inspectionId: inspection,
            identifiedAt: '2026-03-10',
            identifiedBy: 'O-FIRE',
          }),
        ),
      ),
    );
    await done('inspections', inspection, 'results', {
      carriedOutAt: '2026-03-10',
      placesCovered: ['rental-0017', 'rental-0018'],
      hazardsFound: found,
    });
    expect((await get(`/inspections/${inspection}`)).json).toMatchObject({
      state: 'under-way',
      covered: 2,
      planned: 3,
      remaining: ['rental-0019'],
      hazards: 2,
      due: '2026-03-31',
    });
    const { position } = await done('inspections', inspection, 'results', {
      carriedOutAt: '2026-03-12',
      placesCovered: ['rental-0019'],
    });
    expect((await get(`/inspections/${inspection}`)).json).toMatchObject({ state: 'completed', coverage: 1, parts: 2 });
    expect((await get(`/inspections?community=S-31&state=completed&minPosition=${position}`)).json['data']).toHaveLength(1);

    const [late] = found as [string];
    for (const [path, body] of [
      ['classification', { level: 'critical', classFile: '消防-出租屋' }],
      ['rectification-orders', { responsible: '房东', deadline: '2026-03-20' }],
      ['deadline-extensions', { deadline: '2026-03-25', reason: '电工排期' }],
      ['rectifications', { completedAt: '2026-03-30' }],
      ['verifications', { result: 'passed', verifiedAt: '2026-04-01', verifiedBy: 'O-FIRE' }],
      ['reopenings', { reason: '又接上了', reopenedAt: '2026-05-02' }],
    ] as const)
      await done('hazards', late, path, body);
    const { json } = await get(`/hazards/${late}`);
    expect(json).toMatchObject({ state: 'reopened', originalDeadline: '2026-03-20', reopenings: 1, level: 'critical' });
    const timeline = (await get(`/hazards/${late}/timeline`)).json['data'] as Json[];
    const completed = timeline.find(({ type }) => type === 'RectificationCompleted')!;
    expect(completed['occurredAt'] > json['originalDeadline']).toBe(true);
  });

  it('a home goes by a code; its address is refused, and not quoted', async () => {
    const home = { community: 'S-31', type: 'home', name: '幸福路12号302室' };
    const refused = await send('POST', '/places', home);
    expect(refused).toMatchObject({ status: 422, json: { code: 'home-needs-code', errors: [{ pointer: '/name' }] } });
    expect(JSON.stringify(refused.json)).not.toContain('幸福路');
    expect((await send('POST', '/places', { ...home, name: 'H-1', homeAddress: 'canary' })).json).toMatchObject({
      code: 'identity-not-accepted',
    });
    const id = await filed('places', { ...home, name: 'H-1' });
    await done('places', id, 'closure', { on: '2026-02-01', reason: '拆迁' });
    expect(
      (await command('places', id, 'reclassifications', { type: 'building', on: '2026-02-02', reason: 'r' })).json,
    ).toMatchObject({
      code: 'not-allowed-now',
      errors: [{ allowed: ['reopening'] }],
    });
  });
});

describe('organisations', () => {
  it('one renamed and merged in the reform of its department, its names kept by date', async () => {
    const name = (zh: string, en: string) => ({ zh, en });
    const id = await filed('organisations', {
      code: 'O-SAFETY',
      name: name('安监局', 'Work safety bureau'),
      kind: 'government',
      validFrom: '2003-01-01',
    });
    expect(id).toBe('O-SAFETY');
    await done('organisations', id, 'memberships', { community: 'S-41', role: 'feed', on: '2015-01-01' });
    await done('organisations', id, 'renamings', { name: name('安全局', 'Safety bureau'), validFrom: '2016-01-01' });
    await done('organisations', id, 'merger', { into: 'O-EMERGENCY', on: '2018-11-01', reason: '机构改革' });
    // Found in the files years later.
    const { position } = await done('organisations', id, 'renamings', {
      name: name('安全生产监督管理局', 'Bureau of work safety'),
      validFrom: '2010-05-01',
    });
    const { json } = await get(`/organisations/${id}`);
    expect(json).toMatchObject({
      state: 'merged',
      mergedInto: 'O-EMERGENCY',
      name: { zh: '安全局' },
      history: [
        { from: '2003-01-01', until: '2010-05-01', zh: '安监局' },
        { from: '2010-05-01', until: '2016-01-01', zh: '安全生产监督管理局' },
        { from: '2016-01-01', until: '2018-11-01', zh: '安全局' },
      ],
      memberships: [{ community: 'S-41', role: 'feed', from: '2015-01-01', until: '2018-11-01' }],
    });
    expect(
      (await command('organisations', id, 'memberships', { community: 'S-42', role: 'feed', on: '2019-01-01' })).status,
    ).toBe(409);
    const listed = await get(`/organisations?kind=government&state=merged&minPosition=${position}`);
    expect(listed.json['data']).toMatchObject([{ id, history: [{}, {}, {}] }]);
  });
});

describe('a programme from its pilot to its evaluation', () => {
  const filed = async (plural: string, body: Json): Promise<string> => {
    const { status, json } = await send('POST', `/${plural}`, body);
    expect({ status, json }).toMatchObject({ status: 201 });
    return json['id'] as string;
  };
  const all = async (plural: string, id: string, commands: readonly (readonly [string, Json])[]): Promise<number> => {
    let position = 0;
    for (const [path, body] of commands) {
      const { status, json } = await command(plural, id, path, body);
      expect({ path, status, json }).toMatchObject({ status: 201 });
      position = json['position'] as number;
    }
    return position;
  };
  const ndjson = (path: string, lines: readonly Json[], headers: Record<string, string> = {}) =>
    fetch(`${server.url}/api/v1${path}`, {
      method: 'POST',
      body: lines.map((line) => JSON.stringify(line)).join('\n'),
      headers: { 'content-type': 'application/x-ndjson', ...headers },
    }).then(async (response) => ({
      status: response.status,
      headers: response.headers,
      json: (await response.json()) as Json,
    }));

  it('试点先行、以点带面: falls of older people, piloted in one sub-district, rolled out, measured and closed', async () => {
    const id = await filed('interventions', {
      name: '居家老人防跌倒',
      domain: 'elderly',
      targetGroup: '65 岁及以上居家老人',
      outcomes: ['INC-04'],
      units: ['S-51', 'S-52', 'S-53'],
      comparison: ['S-58'],
      washOutMonths: 3,
    });
    await all('interventions', id, [['pilot-sites', { unit: 'S-51', reason: '老年人口最多' }]]);
    expect((await command('interventions', id, 'roll-outs', { units: ['S-52'], startedOn: '2025-01-01' })).json).toMatchObject({
      code: 'not-allowed-now',
      errors: [{ allowed: expect.arrayContaining(['starts', 'activities']) }],
    });
    await all('interventions', id, [
      ['starts', { unit: 'S-51', startedOn: '2024-01-01' }],
      [
        'activities',
        { kind: 'training', setting: 'household', heldOn: '2024-02-01', attendance: [{ group: 'elderly', persons: 80 }] },
      ],
      ['activities', { kind: 'joint-meeting', heldOn: '2024-02-05', organisations: ['O-HEALTH'] }],
      ['roll-outs', { units: ['S-52', 'S-53'], startedOn: '2024-09-01' }],
    ]);
    const early = await command('interventions', id, 'closure', { closedOn: '2025-02-01' });
    expect([early.status, early.json]).toMatchObject([422, { code: 'not-ready-to-close', errors: [{ allowed: ['effects'] }] }]);
    const effect = { dx: 'INC-04', method: 'did', estimate: 0.78, interval: { level: 95, low: 0.64, high: 0.95 } };
    expect(
      (await command('interventions', id, 'effects', { ...effect, dx: 'INC-40', measuredAt: '2024-12-31' })).json,
    ).toMatchObject({
      code: 'unknown-outcome',
      errors: [{ suggestion: 'INC-04' }],
    });
    expect(
      (await command('interventions', id, 'sustained', { ...effect, months: 12, measuredAt: '2024-12-31' })).json,
    ).toMatchObject({
      code: 'date-too-early',
    });
    const position = await all('interventions', id, [
      ['effects', { ...effect, measuredAt: '2024-12-31' }],
      ['sustained', { ...effect, months: 12, measuredAt: '2025-01-15' }],
      ['closure', { closedOn: '2025-02-01' }],
    ]);
    expect((await get(`/interventions/${id}`)).json).toMatchObject({
      state: 'closed',
      revision: 8,
      starts: { 'S-51': '2024-01-01', 'S-52': '2024-09-01', 'S-53': '2024-09-01' },
      activities: { kinds: { training: 1, 'joint-meeting': 1 }, settings: { household: 1 }, attendance: { elderly: 80 } },
      allowed: [],
    });
    expect((await get(`/interventions?kind=elderly&state=closed&minPosition=${position}`)).json['data']).toMatchObject([{ id }]);
    const timeline = (await get(`/interventions/${id}/timeline`)).json['data'] as Json[];
    expect(timeline.map(({ type, occurredAt }) => [type, occurredAt]).slice(1, 4)).toEqual([
      ['PilotSiteSelected', null],
      ['InterventionStarted', '2024-01-01'],
      ['ActivityHeld', '2024-02-01'],
    ]);
  });

  it('知晓率: a survey in two waves, its responses as JSON and as NDJSON', async () => {
    const id = await filed('surveys', {
      name: '安全社区知晓率调查',
      communities: ['S-51', 'S-52'],
      questions: [
        {
          code: 'aware',
          kind: 'knowledge',
          text: { zh: '是否知道安全社区', en: 'Heard of the safe community' },
          type: 'single',
          options: [{ code: 'yes' }, { code: 'no' }],
          correct: ['yes'],
        },
      ],
      strata: [
        { code: 'old-town', population: 12_000 },
        { code: 'new-town', population: 30_000 },
      ],
      weights: true,
    });
    const answer = (n: number, over: Json = {}): Json => ({
      id: `r-${n}`,
      stratum: n % 2 ? 'old-town' : 'new-town',
      weight: 12.5,
      answers: { aware: n % 3 ? 'yes' : 'no' },
      ...over,
    });
    const answers = (from: number, to: number) => Array.from({ length: to - from }, (_, n) => answer(from + n));
    await all('surveys', id, [['waves', { wave: 1, opensOn: '2025-03-01', closesOn: '2025-03-31' }]]);
    expect((await send('POST', `/surveys/${id}/waves/1/responses`, { responses: answers(0, 10) })).status).toBe(201);
    const streamed = await ndjson(`/surveys/${id}/waves/1/responses`, answers(10, 1_210), { 'idempotency-key': 'survey-1' });
    expect(streamed).toMatchObject({ status: 201, json: { id, revision: 5 } });
    const again = await ndjson(`/surveys/${id}/waves/1/responses`, answers(10, 1_210), { 'idempotency-key': 'survey-1' });
    expect([again.json['revision'], again.headers.get('idempotency-replayed')]).toEqual([5, 'true']);
    // A tablet sends its day once more, under no key: the ids tell.
    const repeat = await ndjson(`/surveys/${id}/waves/1/responses`, answers(1_200, 1_220));
    expect(repeat.status).toBe(201);

    const wrong = await ndjson(`/surveys/${id}/waves/1/responses`, [answer(2_000), answer(2_001, { answers: { awrae: 'yes' } })]);
    expect([wrong.status, wrong.json]).toMatchObject([
      422,
      { code: 'unknown-question', errors: [{ pointer: '/responses/1/answers/awrae', suggestion: 'aware', allowed: ['aware'] }] },
    ]);
    const stray = await ndjson(`/surveys/${id}/waves/1/responses`, [answer(2_000, { stratum: 'old-twon' })]);
    expect(stray.json).toMatchObject({ code: 'unknown-stratum', errors: [{ suggestion: 'old-town' }] });
    expect((await ndjson(`/surveys/${id}/waves/1/responses`, [answer(2_000, { phone: '1' })])).json).toMatchObject({
      code: 'identity-not-accepted',
    });
    expect((await ndjson(`/surveys/${id}/waves/2/responses`, [answer(1)])).status).toBe(404);

    await all('surveys', id, [
      ['waves/1/closure', { closedOn: '2025-04-01' }],
      ['waves', { wave: 2, opensOn: '2026-03-01' }],
    ]);
    const late = await ndjson(`/surveys/${id}/waves/1/responses`, [answer(3_000)]);
    expect([late.status, late.json]).toMatchObject([409, { code: 'not-allowed-now', errors: [{ allowed: ['2'] }] }]);
    const second = await ndjson(`/surveys/${id}/waves/2/responses`, answers(0, 30));
    expect(second.status).toBe(201);
    // Many interviewers at once, none of whom knows the revision.
    const many = await Promise.all(
      Array.from({ length: 8 }, (_, n) => ndjson(`/surveys/${id}/waves/2/responses`, [answer(100 + n)])),
    );
    expect(many.map(({ status }) => status)).toEqual(Array(8).fill(201));
    const { json } = await get(`/surveys/${id}`);
    expect(json).toMatchObject({
      state: 'open',
      waves: [
        { wave: 1, closedOn: '2025-04-01', received: 1_230 },
        { wave: 2, received: 38 },
      ],
    });
    expect(JSON.stringify(json)).not.toContain('r-17');
    await get(`/surveys?minPosition=${Math.max(...many.map(({ json: { position } }) => position as number))}`);
    const sql = connect(world.databaseUrl, { applicationName: 'case-files-spec' });
    const counted = await sql`
      SELECT wave, count(*)::int AS n, count(DISTINCT response)::int AS ids, sum(weight)::float8 AS weight
      FROM read.survey_responses WHERE survey = ${id} GROUP BY wave ORDER BY wave`;
    await sql.end({ timeout: 5 });
    expect(counted.map((row) => ({ ...row }))).toEqual([
      { wave: 1, n: 1_220, ids: 1_220, weight: 15_250 },
      { wave: 2, n: 38, ids: 38, weight: 475 },
    ]);
  });

  it('动态评估、持续改进: an evaluation cycle from its targets to a verified corrective action', async () => {
    const sets = (await get('/criteria-sets')).json['data'] as Json[];
    expect(sets.map(({ code }) => code as string)).toEqual(['AQT-9001-2006', 'CN-SITE-TRIAL', 'ISCCC-6', 'ISCCC-7', 'WHO-6']);
    const { json: set } = await get('/criteria-sets/CN-SITE-TRIAL');
    expect(set).toMatchObject({ points: 150, toBeConfirmed: { zh: expect.stringContaining('现行文本') } });
    const queries = (set['criteria'] as Json[]).flatMap(({ evidence }) =>
      (evidence as Json[]).map(({ query }) => query as string),
    );
    expect(queries).toContain('/hazards?state=verified&community={community}');
    expect((await get('/criteria-sets/CN-SITE')).json).toMatchObject({ code: 'criteria-set-not-found' });

    const cycle = { criteriaSet: 'CN-SITE-TRIAL', communities: ['S-51'], period: '2026' };
    expect((await send('POST', '/evaluations', { ...cycle, criteriaSet: 'CN-SITE-TRAIL' })).json).toMatchObject({
      code: 'unknown-criteria-set',
      errors: [{ suggestion: 'CN-SITE-TRIAL' }],
    });
    expect((await send('POST', '/evaluations', { ...cycle, period: 'LAST_YEAR' })).json).toMatchObject({
      code: 'invalid-period',
    });
    const id = await filed('evaluations', cycle);
    const query = '/hazards?state=verified&community=S-51';
    expect((await get(query)).status).toBe(200);
    await all('evaluations', id, [
      ['targets', { dx: 'INC-04', value: 12, direction: 'at-most', baseline: 15.2 }],
      [
        'judgements',
        {
          criterion: '8.2',
          exists: 'yes',
          traced: 'yes',
          effective: 'partly',
          evidence: [{ kind: 'query', query }],
          judgedBy: '评定组',
        },
      ],
    ]);
    expect(
      (
        await command('evaluations', id, 'judgements', {
          criterion: '8.9',
          exists: 'yes',
          traced: 'no',
          effective: 'no',
          judgedBy: 'x',
        })
      ).json,
    ).toMatchObject({
      code: 'unknown-criterion',
      errors: [{ pointer: '/criterion', suggestion: expect.stringMatching(/^8\.\d$/) }],
    });
    await all('evaluations', id, [
      ['findings', { finding: 1, criterion: '8.2', text: '两处重大隐患逾期未改', severity: 'major' }],
      ['corrective-actions', { finding: 1, text: '挂牌督办', responsible: '安监科', deadline: '2026-02-01' }],
    ]);
    const { json: open } = await get(`/evaluations/${id}`);
    expect(open).toMatchObject({
      state: 'open',
      ...cycle,
      judged: { criteria: 1, of: 50 },
      score: { points: 2.16, of: 150 },
      open: { findings: ['1'], actions: ['A-1'] },
      due: '2026-02-01',
      overdue: true,
    });
    expect((await command('evaluations', id, 'closure', { closedOn: '2027-03-01' })).json).toMatchObject({
      code: 'open-items',
      errors: [{ allowed: ['1', 'A-1'] }],
    });
    const early = await command('evaluations', id, 'corrective-actions/A-1/verification', { verifiedOn: '2026-01-21' });
    expect([early.status, early.json]).toMatchObject([409, { code: 'not-allowed-now', errors: [{ allowed: ['completion'] }] }]);
    expect(
      (await command('evaluations', id, 'corrective-actions/A-9/completion', { completedOn: '2026-01-20' })).json,
    ).toMatchObject({
      code: 'action-not-found',
      errors: [{ allowed: ['A-1'] }],
    });
    const position = await all('evaluations', id, [
      ['corrective-actions/A-1/completion', { completedOn: '2026-01-20', note: '已整改' }],
      ['corrective-actions/A-1/verification', { verifiedOn: '2026-01-25', verifiedBy: '评定组' }],
      ['closure', { closedOn: '2027-03-01' }],
    ]);
    expect((await get(`/evaluations/${id}`)).json).toMatchObject({ state: 'closed', open: { findings: [], actions: [] } });
    const listed = await get(`/evaluations?community=S-51&kind=CN-SITE-TRIAL&from=2026-01-01&minPosition=${position}`);
    expect(listed.json['data']).toMatchObject([{ id, state: 'closed' }]);
    expect((await get('/evaluations/board')).json['data']).toContainEqual({
      community: 'S-51',
      kind: 'CN-SITE-TRIAL',
      state: 'closed',
      files: 1,
      overdue: 0,
    });
  });
});

describe('shares of organisations', () => {
  it('counts what each department shared and took part in, as it was known', async () => {
    const name = { zh: '某局', en: 'A bureau' };
    const organisation = (code: string, kind: string, more: Json = {}) =>
      filed('organisations', { code, name, kind, validFrom: '2010-01-01', ...more });
    await organisation('X-FIRE', 'fire', { department: 'X-EMERGENCY' });
    await organisation('X-HEALTH', 'health');
    await organisation('X-SILENT', 'social');
    await done('organisations', 'X-SILENT', 'memberships', { community: 'S-71', role: 'partner', on: '2020-01-01' });
    const injury = { community: 'S-71', occurredAt: '2026-03-02', knownAt: '2026-03-02', feed: 'X-HEALTH' };
    for (const recordId of ['1', '2', '3']) await filed('injuries', { ...injury, recordId });
    await filed('injuries', { ...injury, recordId: '4', feed: 'x-clinic' });
    await filed('injuries', { ...injury, recordId: '5', occurredAt: '2025-12-31' });
    const incident = { kind: 'fire', community: 'S-71', knownAt: '2026-03-02' };
    await filed('incidents', { ...incident, reportedBy: 'X-FIRE', feed: 'x-f' });
    const retracted = await filed('incidents', { ...incident, reportedBy: 'X-FIRE' });
    await filed('incidents', incident);
    const { position: before } = await done('incidents', retracted, 'retraction', { reason: '重复' });
    await filed('hazards', hazard({ community: 'S-71', identifiedBy: 'X-FIRE' }));
    await filed('inspections', { community: 'S-71', domain: 'fire', plannedFor: '2026-03', places: 2, by: 'X-FIRE' });
    const inspection = await filed('inspections', {
      community: 'S-71',
      domain: 'fire',
      plannedFor: '2026-03',
      places: 2,
      by: 'X-FIRE',
    });
    await done('inspections', inspection, 'results', { carriedOutAt: '2026-03-05', placesCovered: 1 });
    const project = await filed('interventions', {
      name: '防火',
      domain: 'fire',
      targetGroup: '租户',
      outcomes: ['INC-01'],
      units: ['S-71', 'S-72'],
    });
    const meeting = { kind: 'joint-meeting', heldOn: '2026-03-06', organisations: ['X-FIRE', 'X-HEALTH'] };
    await done('interventions', project, 'activities', { ...meeting, unit: 'S-71' });
    const { position } = await done('interventions', project, 'activities', { ...meeting, unit: 'S-72' });

    const asked = 'from=2026-01-01&to=2026-12-31&community=S-71';
    const { status, json } = await get(`/organisations/shares?${asked}&minPosition=${position}`);
    expect(status).toBe(200);
    const none = { injuries: 0, incidents: 0, hazards: 0, inspections: 0, activities: 0 };
    expect(json['data']).toEqual([
      {
        organisation: 'X-FIRE',
        registered: true,
        name,
        kind: 'fire',
        department: 'X-EMERGENCY',
        counts: { injuries: 0, incidents: 1, hazards: 1, inspections: 1, activities: 1 },
        shares: { injuries: 0, incidents: 0.5, hazards: 1, inspections: 1, activities: 1 },
      },
      expect.objectContaining({
        organisation: 'X-HEALTH',
        counts: { ...none, injuries: 3, activities: 1 },
        shares: { ...none, injuries: 0.75, activities: 1 },
      }),
      expect.objectContaining({ organisation: 'X-SILENT', registered: true, counts: none }),
      {
        organisation: 'x-clinic',
        registered: false,
        name: null,
        kind: null,
        department: null,
        counts: { ...none, injuries: 1 },
        shares: { ...none, injuries: 0.25 },
      },
      expect.objectContaining({ organisation: null, registered: false, counts: { ...none, incidents: 1 } }),
    ]);
    expect(json['kinds']).toEqual([
      expect.objectContaining({ kind: 'fire', organisations: 1, counts: expect.objectContaining({ incidents: 1 }) }),
      expect.objectContaining({ kind: 'health', organisations: 1, counts: { ...none, injuries: 3, activities: 1 } }),
      expect.objectContaining({ kind: 'social', organisations: 1, counts: none }),
      expect.objectContaining({ kind: null, organisations: 1, counts: { ...none, injuries: 1, incidents: 1 } }),
    ]);
    expect(json['totals']).toEqual({
      organisations: 4,
      participating: 3,
      sharing: 3,
      counts: { injuries: 4, incidents: 2, hazards: 1, inspections: 1, activities: 1 },
    });

    const then = (await get(`/organisations/shares?${asked}&asOfPosition=${Number(before) - 1}`)).json;
    expect(then['totals']).toMatchObject({ counts: { injuries: 4, incidents: 3, hazards: 0, inspections: 0, activities: 0 } });
    expect((await get('/organisations/shares?from=2026-01-01&to=2025-01-01')).status).toBe(400);
    expect((await get('/organisations/shares?commmunity=S-71')).status).toBe(400);
    const everywhere = (await get('/organisations/shares?from=2026-01-01&to=2026-12-31')).json;
    expect((everywhere['data'] as Json[]).find((row) => row['organisation'] === 'X-FIRE')!['counts']['activities']).toBe(2);
  });
});

describe('an injury on two clocks', () => {
  it('answers as it was known, and its timeline says what each event changed', async () => {
    const created = await send('POST', '/injuries', {
      recordId: 'two-clocks',
      occurredAt: '2026-03-02',
      knownAt: '2026-03-04',
      community: 'S-81',
      sex: 'F',
    });
    const { id, position: first } = created.json as { id: string; position: number };
    const other = await filed('injuries', { knownAt: '2026-03-04', community: 'S-81' });
    const { position: corrected } = await done('injuries', id, 'corrections', {
      replaces: { sex: 'M', occurredAt: null },
      reason: '登记错误',
    });
    await done('injuries', id, 'outcomes', { disposition: 'died', daysToDeath: 3, asOf: '2026-03-07' });
    await done('injuries', id, 'links', { other });
    await done('injuries', id, 'retraction', { reason: '重复' });

    expect((await get(`/injuries/${id}?asOfPosition=${first}`)).json).toMatchObject({
      status: 'reported',
      revision: 0,
      position: first,
      record: { sex: 'F', occurredAt: '2026-03-02' },
      links: [],
    });
    expect((await get(`/injuries/${id}?asOfPosition=${first}`)).headers.get('etag')).toBe('"r0"');
    expect((await get(`/injuries/${id}?asOfPosition=${corrected}`)).json).toMatchObject({ revision: 1, record: { sex: 'M' } });
    expect((await get(`/injuries/${id}?asOfPosition=${first - 1}`)).json).toMatchObject({ code: 'injury-not-found' });
    expect((await get(`/injuries/${id}?asOf=2020-01-01T00:00:00Z`)).status).toBe(404);
    expect((await get(`/injuries/${id}`)).json).toMatchObject({ status: 'retracted', revision: 4 });

    const timeline = (await get(`/injuries/${id}/timeline`)).json['data'] as Json[];
    expect(timeline.map(({ type, occurredAt, state }) => [type, occurredAt, state])).toEqual([
      ['InjuryReported', '2026-03-02', 'reported'],
      ['InjuryCorrected', null, 'reported'],
      ['InjuryOutcomeUpdated', '2026-03-07', 'reported'],
      ['InjuryLinked', null, 'reported'],
      ['InjuryRetracted', null, 'retracted'],
    ]);
    expect(timeline[0]!['changes']).toEqual(
      expect.arrayContaining([
        { field: 'state', before: 'none', after: 'reported' },
        { field: 'sex', before: null, after: 'F' },
      ]),
    );
    expect(timeline.slice(1).map(({ changes }) => changes as unknown)).toEqual([
      expect.arrayContaining([
        { field: 'occurredAt', before: '2026-03-02', after: null },
        { field: 'sex', before: 'F', after: 'M' },
      ]),
      [
        { field: 'disposition', before: null, after: 'died' },
        { field: 'daysToDeath', before: null, after: 3 },
      ],
      [{ field: 'links', before: null, after: [{ other, linked: true, decidedBy: 'manual' }] }],
      [{ field: 'state', before: 'reported', after: 'retracted' }],
    ]);
    const then = await get(`/injuries/${id}/timeline?asOfPosition=${corrected}`);
    expect((then.json['data'] as Json[]).length).toBe(2);
    expect(then.headers.get('etag')).toBe('"r1"');
  });
});

describe('what a file names that is nowhere', () => {
  it('is warned of in the answer, and taken: it may be filed later', async () => {
    await filed('places', { code: 'named-1', community: 'S-91', type: 'home', name: '17-3' });
    const known = await send('POST', '/hazards', hazard({ community: 'S-91', placeId: 'named-1' }));
    expect(known).toMatchObject({ status: 201 });
    expect(known.json).not.toHaveProperty('warnings');
    const headers = { 'idempotency-key': 'nowhere' };
    const body = hazard({ community: 'S-91', placeId: 'named-2', inspectionId: 'nowhere', identifiedBy: 'O-NOBODY' });
    const stray = await send('POST', '/hazards', body, headers);
    expect(stray).toMatchObject({ status: 201, json: { revision: 0 } });
    expect(stray.json['warnings']).toEqual([
      { code: 'unknown-reference', detail: expect.stringContaining('named-2'), pointer: '/placeId', value: 'named-2' },
      { code: 'unknown-reference', detail: expect.any(String), pointer: '/inspectionId', value: 'nowhere' },
      { code: 'unknown-reference', detail: expect.any(String), pointer: '/identifiedBy', value: 'O-NOBODY' },
    ]);
    expect((await send('POST', '/hazards', body, headers)).json['warnings']).toEqual(stray.json['warnings']);

    const injuryId = '6f1c2a52-7f0e-5b7e-9d0a-4f6f0a3b1c11';
    const injured = await filed('injuries', { community: 'S-91', knownAt: '2026-03-02' });
    const crash = await send('POST', '/incidents', {
      kind: 'crash',
      community: 'S-91',
      knownAt: '2026-03-02',
      casualties: [
        { id: '1', role: 'driver', injuryId: injured },
        { id: '2', role: 'driver', injuryId },
      ],
    });
    expect(crash.json['warnings']).toMatchObject([{ pointer: '/casualties/1/injuryId', value: injuryId }]);
    const { json } = await command('incidents', crash.json['id'] as string, 'corrections', {
      replaces: { placeId: 'named-3' },
      reason: 'r',
    });
    expect(json['warnings']).toMatchObject([{ pointer: '/replaces/placeId' }]);

    const inspection = await filed('inspections', {
      community: 'S-91',
      domain: 'fire',
      plannedFor: '2026-03',
      places: ['named-1'],
    });
    const many = {
      carriedOutAt: '2026-03-05',
      placesCovered: ['named-1'],
      hazardsFound: Array.from({ length: 50 }, (_, n) => `h-${n}`),
    };
    const found = (await command('inspections', inspection, 'results', many)).json['warnings'] as Json[];
    expect(found).toHaveLength(20);
    expect(found[19]).toMatchObject({ pointer: '/hazardsFound/19', value: 'h-19' });
  });
});

describe('a file that lies in several communities', () => {
  it('is found by each of them', async () => {
    const project = await filed('interventions', {
      name: '防火',
      domain: 'fire',
      targetGroup: '租户',
      outcomes: ['INC-01'],
      units: ['S-95', 'S-96'],
      comparison: ['S-97'],
    });
    const questions = [
      {
        code: 'q1',
        kind: 'knowledge',
        text: { zh: '知道', en: 'aware' },
        type: 'single',
        options: [{ code: 'y' }, { code: 'n' }],
      },
    ];
    const asked = await filed('surveys', { name: '知晓率', communities: ['S-95', 'S-97'], questions });
    const cycle = await send('POST', '/evaluations', { criteriaSet: 'WHO-6', communities: ['S-96', 'S-97'], period: '2026' });
    expect(cycle).toMatchObject({ status: 201 });
    const { position } = cycle.json;
    const found = async (plural: string, community: string) =>
      ((await get(`/${plural}?community=${community}&minPosition=${position}`)).json['data'] as Json[]).map(
        ({ id }) => id as string,
      );
    for (const [plural, id, there, elsewhere] of [
      ['interventions', project, ['S-95', 'S-96'], 'S-97'],
      ['surveys', asked, ['S-95', 'S-97'], 'S-96'],
      ['evaluations', cycle.json['id'], ['S-96', 'S-97'], 'S-95'],
    ] as const) {
      for (const community of there) expect(await found(plural, community)).toEqual([id]);
      expect(await found(plural, elsewhere)).toEqual([]);
    }
    await done('interventions', project, 'pilot-sites', { unit: 'S-95', reason: 'r' });
    await done('interventions', project, 'starts', { unit: 'S-95', startedOn: '2026-01-01' });
    const { position: rolled } = await done('interventions', project, 'roll-outs', { units: ['S-98'], startedOn: '2026-02-01' });
    await get(`/interventions?minPosition=${rolled}`);
    expect(await found('interventions', 'S-98')).toEqual([project]);
    expect((await get('/interventions/board?community=S-96')).json['data']).toEqual([
      { community: null, kind: 'fire', state: 'rolled-out', files: 1, overdue: 0 },
    ]);
  });
});

// The last one: the read model halts at the event, as it should.
it('a file that a newer version of the program wrote to is neither shown nor changed, and the answer says so', async () => {
  const { id } = (await send('POST', '/hazards', hazard())).json as { id: string };
  const data = '{"of":"tomorrow"}';
  const event = { id: randomUUID(), type: 'HazardClassified', version: 99, data, metadata: '{}', fingerprint: fingerprint(data) };
  await server.engine.log.append({ stream: `hazard-${id}`, expected: 0, events: [event] });
  const newer = { status: 503, json: { code: 'newer-event' } };
  expect(await get(`/hazards/${id}`)).toMatchObject(newer);
  expect(await get(`/hazards/${id}/timeline`)).toMatchObject(newer);
  const change = { responsible: '房东', deadline: '2026-03-16' };
  expect(await send('POST', `/hazards/${id}/rectification-orders`, change, { 'if-match': '"r1"' })).toMatchObject(newer);
});
