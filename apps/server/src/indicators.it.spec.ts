import { definitionHash, indicator, indicators } from '@vigil/indicators';
import type { Server } from './index';
import { served, type Json, type Served } from './served.fixture';

jest.setTimeout(60_000);

let world: Served;
let server: Server;
beforeAll(async () => {
  world = await served('indicators');
  server = world.server;
  await done(send('POST', '/communities', { code: 'S-01', name: { zh: '桥北', en: 'Qiaobei' }, type: 'sub-district' }));
  await done(
    send('POST', '/communities/S-01/populations', {
      year: 2026,
      cells: ['F', 'M'].flatMap((sex) => [
        { sex, ageFrom: 0, ageTo: 14, persons: 2_000 },
        { sex, ageFrom: 15, ageTo: null, persons: 3_000 },
      ]),
    }),
  );
  for (const [n, mechanism] of ['drowning', 'drowning', 'fall'].entries())
    await done(
      send('POST', '/injuries', {
        recordId: `r-${n}`,
        community: 'S-01',
        occurredAt: `2026-06-0${n + 1}`,
        knownAt: '2026-06-10T09:00:00+08:00',
        visit: 'first',
        sex: 'M',
        age: { value: 9, unit: 'year' },
        mechanism,
      }),
    );
});
afterAll(() => world.close());

const send: Served['send'] = (...call) => world.send(...call);
const get: Served['get'] = (...call) => world.get(...call);
/** At the revision that GET shows. */
const revise = async (code: string, body: unknown, path = 'revisions') => {
  const etag = (await get(`/indicators/${code}`)).headers.get('etag')!;
  return send('POST', `/indicators/${code}/${path}`, body, { 'if-match': etag });
};
const done = async (sent: ReturnType<typeof send>): Promise<number> => {
  const { status, json } = await sent;
  expect({ status, json }).toMatchObject({ status: 201 });
  return json['position'] as number;
};

const document = (code: string, over: Json = {}): Json => {
  const { version: _, standard: __, ...shipped } = indicator('INC-01')!;
  return {
    ...shipped,
    code,
    name: { zh: '学龄儿童溺水率', en: 'drowning of children' },
    numerator: { ...shipped.numerator, filter: { visit: ['first'], age: ['0-14'], mechanism: ['drowning'] } },
    denominator: { fact: 'population', measure: 'person-years', filter: { age: ['0-14'] } },
    ...over,
  };
};
const hashed = (version: number, of: Json): string => definitionHash({ ...of, version } as never);
const figure = async (code: string, more = '') => {
  const { status, json } = await get(`/observations?dimension=dx:${code}&dimension=pe:2026&dimension=ou:S-01${more}`);
  if (status !== 200) return { status, json };
  const [{ num, den, value }] = json['data'] as [Json];
  return { num, den, value, version: json['meta'].definitions[0].version, hash: json['meta'].definitions[0].hash };
};

it('is defined, asked for, revised, asked for as it was, and withdrawn', async () => {
  const first = document('DRN-01');
  const second = document('DRN-01', { unit: { zh: '每千人', en: 'per 1,000' }, multiplier: 1_000 });
  const at1 = await done(send('POST', '/indicators', first));
  const one = await get('/indicators/DRN-01');
  expect(one.headers.get('etag')).toBe('"r0"');
  expect(one.json).toMatchObject({
    ...first,
    version: 1,
    hash: hashed(1, first),
    state: 'in-force',
    shipped: false,
    revision: 0,
    versions: [{ version: 1, hash: hashed(1, first), position: at1 }],
  });
  // 2 of the 4,000 children: asked for at once, when the position is waited for.
  const rate = await figure('DRN-01', `&minPosition=${at1}`);
  expect(rate).toMatchObject({ num: 2, den: 4_000, value: 50, version: 1, hash: hashed(1, first) });

  expect(await send('POST', '/indicators/DRN-01/revisions', second)).toMatchObject({
    status: 428,
    json: { code: 'if-match-required' },
  });
  const at2 = await done(
    send('POST', '/indicators/DRN-01/revisions', { ...second, reason: '改为每千人' }, { 'if-match': '"r0"' }),
  );
  const stale = await send('POST', '/indicators/DRN-01/revisions', second, { 'if-match': '"r0"' });
  expect([stale.status, stale.json['code'], stale.headers.get('etag')]).toEqual([412, 'stream-moved', '"r1"']);

  expect((await get('/indicators/DRN-01')).json).toMatchObject({
    version: 2,
    multiplier: 1_000,
    revision: 1,
    versions: [
      { version: 1, hash: hashed(1, first) },
      { version: 2, hash: hashed(2, second), position: at2, reason: '改为每千人' },
    ],
  });
  expect((await get('/indicators/DRN-01?version=1')).json).toMatchObject({ version: 1, hash: hashed(1, first) });
  expect(await get('/indicators/DRN-01?version=7')).toMatchObject({
    status: 404,
    json: { code: 'version-not-found', errors: [{ pointer: '/version', value: 7, allowed: ['1', '2'] }] },
  });
  const then = await get(`/indicators/DRN-01?asOfPosition=${at1}`);
  expect(then.json).toMatchObject({ version: 1, versions: [{ version: 1 }], hash: hashed(1, first) });
  expect((await get(`/indicators/DRN-01?asOfPosition=${at1 - 1}`)).status).toBe(404);
  expect(await figure('DRN-01', `&minPosition=${at2}`)).toMatchObject({ value: 0.5, version: 2, hash: hashed(2, second) });
  expect(await figure('DRN-01', `&asOfPosition=${at1}`)).toEqual(rate);

  const withdrawn = await done(revise('DRN-01', { reason: '由 DRN-02 取代' }, 'withdrawal'));
  expect((await get('/indicators/DRN-01')).json).toMatchObject({
    state: 'withdrawn',
    withdrawnFor: '由 DRN-02 取代',
    version: 2,
    versions: [{}, {}],
  });
  expect(await figure('DRN-01', `&minPosition=${withdrawn}`)).toMatchObject({ status: 400, json: { code: 'unknown-indicator' } });
  expect(await figure('DRN-01', `&asOfPosition=${at2}`)).toMatchObject({ value: 0.5, version: 2 });
  expect(await revise('DRN-01', { reason: 'again' }, 'withdrawal')).toMatchObject({
    status: 409,
    json: { code: 'not-allowed-now' },
  });

  const { json } = await get('/indicators/DRN-01/timeline');
  expect(json['data'].map(({ revision, state }: Json) => [revision, state])).toEqual([
    [0, 'in-force'],
    [1, 'in-force'],
    [2, 'withdrawn'],
  ]);

  const back = await done(revise('DRN-01', first));
  expect(await figure('DRN-01', `&minPosition=${back}`)).toMatchObject({ value: 50, version: 3, hash: hashed(3, first) });
  expect(await send('POST', '/indicators', first)).toMatchObject({ status: 409, json: { code: 'indicator-exists' } });
});

it('lists those shipped with those defined, now and as of an earlier position, page by page', async () => {
  const position = await done(send('POST', '/indicators', document('LST-01')));
  const codes = async (query: string) => (await get(`/indicators?${query}`)).json['data'].map(({ code }: Json) => code as string);
  expect(await codes(`limit=1000&minPosition=${position}`)).toEqual(
    expect.arrayContaining(['LST-01', ...indicators().map(({ code }) => code)]),
  );
  expect(await codes(`limit=1000&asOfPosition=${position - 1}`)).not.toContain('LST-01');
  const first = await get('/indicators?limit=3');
  const second = await get(`/indicators?limit=1000&cursor=${first.json['next']}`);
  expect([...first.json['data'], ...second.json['data']]).toEqual((await get('/indicators?limit=1000')).json['data']);
  expect(second.json['next']).toBeUndefined();
  expect(first.json['data'][0]).toMatchObject({ hash: expect.stringMatching(/^[0-9a-f]{64}$/), version: expect.any(Number) });
});

it('one that came with the program is revised as version 2, and neither defined anew nor withdrawn', async () => {
  const shipped = indicator('INC-05')!;
  const { version: _, ...rest } = shipped;
  const untouched = await get('/indicators/INC-05');
  expect(untouched.headers.get('etag')).toBe('"r-1"');
  expect(untouched.json).toMatchObject({
    shipped: true,
    revision: -1,
    versions: [{ version: 1, hash: definitionHash(shipped) }],
  });
  expect((await get('/indicators/INC-05/timeline')).json).toEqual({ data: [] });
  expect(await send('POST', '/indicators', rest)).toMatchObject({
    status: 409,
    json: { code: 'indicator-exists', errors: [{ pointer: '/code', value: 'INC-05' }] },
  });
  const refused = { status: 409, json: { code: 'indicator-is-shipped' } };
  expect(await revise('INC-05', { reason: 'r' }, 'withdrawal')).toMatchObject(refused);
  expect(await send('POST', '/indicators/INC-05/revisions', rest, { 'if-match': '"r0"' })).toMatchObject({
    status: 412,
    json: { code: 'stream-moved' },
  });

  const before = await figure('INC-05');
  const position = await done(revise('INC-05', { ...rest, multiplier: 100_000 }));
  const after = await get('/indicators/INC-05');
  expect(after.headers.get('etag')).toBe('"r0"');
  expect(after.json).toMatchObject({
    version: 2,
    shipped: true,
    revision: 0,
    versions: [{ version: 1 }, { version: 2, position }],
  });
  expect((await get('/indicators/INC-05?version=1')).json['hash']).toBe(definitionHash(shipped));
  expect(await figure('INC-05', `&minPosition=${position}`)).toMatchObject({ version: 2, value: 75 });
  expect(await figure('INC-05', `&asOfPosition=${position - 1}`)).toEqual(before);
  expect(await revise('INC-05', { reason: 'r' }, 'withdrawal')).toMatchObject(refused);
});

describe('a definition that can not be', () => {
  it('is refused with each fault at its place, in both languages, with what would do', async () => {
    const wrong = document('BAD-01', {
      numerator: { fact: 'injury', measure: 'cuont', filter: { mechanism: ['fall', 'drownign'], age: ['old'] } },
      standard: 'WHO-2001',
      validFrom: '2026-02-30',
    });
    const { status, json } = await send('POST', '/indicators', wrong, { 'accept-language': 'zh-CN' });
    expect(status).toBe(422);
    expect(json['errors']).toEqual(
      expect.arrayContaining([
        expect.objectContaining({ pointer: '/numerator/filter/mechanism/1', code: 'unknown-code', suggestion: 'drowning' }),
        expect.objectContaining({ pointer: '/numerator/filter/age/0', code: 'invalid-age' }),
        expect.objectContaining({ pointer: '/standard', code: 'unknown-standard', suggestion: 'WHO-2000' }),
        expect.objectContaining({ pointer: '/validFrom', code: 'invalid-date', value: '2026-02-30' }),
        expect.objectContaining({ pointer: '/numerator/measure', code: 'unknown-measure', suggestion: 'count' }),
      ]),
    );
    for (const { detail } of json['errors'] as Json[]) expect(detail).toMatch(/[\u4e00-\u9fff]/);
    const english = await send('POST', '/indicators', wrong);
    for (const { detail } of english.json['errors'] as Json[]) expect(detail).not.toMatch(/[\u4e00-\u9fff]/);
    expect((await get('/indicators/BAD-01')).status).toBe(404);
  });

  it.each<[string, Json, Json]>([
    ['a field nobody knows', { mutliplier: 5 }, { pointer: '/mutliplier', code: 'unknown-field', suggestion: 'multiplier' }],
    ['a dimension nobody knows', { numerator: { fact: 'injury', measure: 'count', filter: { mechanizm: ['fall'] } } }, { pointer: '/numerator/filter/mechanizm', code: 'unknown-field', suggestion: 'mechanism' }], // prettier-ignore
    ['a method nobody knows', { method: 'willson' }, { pointer: '/method', code: 'unknown-code', suggestion: 'wilson' }],
    ['a name in one language', { name: { zh: '溺水' } }, { pointer: '/name/en', code: 'missing-field' }],
    ['a version of its own', { version: 3 }, { pointer: '/version', code: 'version-not-next', allowed: ['1'] }],
  ])('%s', async (_, over, error) => {
    const { status, json } = await send('POST', '/indicators', document('BAD-02', over));
    expect({ status, errors: json['errors'] }).toMatchObject({ status: 422, errors: [error] });
  });

  it('nor can a revision of what is not there, of another code, or with an empty reason', async () => {
    await done(send('POST', '/indicators', document('REV-01')));
    const missing = await send('POST', '/indicators/REV-O1/revisions', document('REV-O1'), { 'if-match': '"r0"' });
    expect(missing).toMatchObject({ status: 404, json: { code: 'indicator-not-found' } });
    expect((await send('POST', '/indicators/nothing/withdrawal', { reason: 'r' }, { 'if-match': '"r0"' })).status).toBe(404);
    expect(await revise('REV-01', document('REV-02'))).toMatchObject({
      status: 422,
      json: { code: 'code-differs', errors: [{ pointer: '/code', value: 'REV-02', allowed: ['REV-01'] }] },
    });
    expect((await revise('REV-01', { ...document('REV-01'), reason: ' ', multiplier: -1 })).json['errors']).toMatchObject([
      { pointer: '/multiplier' },
      { pointer: '/reason', code: 'empty' },
    ]);
    expect(await revise('REV-01', { ...document('REV-01'), version: 5 })).toMatchObject({
      status: 422,
      json: { code: 'version-not-next', errors: [{ pointer: '/version', allowed: ['2'] }] },
    });
    expect(await revise('REV-01', {}, 'withdrawal')).toMatchObject({ status: 422, json: { errors: [{ pointer: '/reason' }] } });
  });

  it('leaves the query to say what is wrong with the query', async () => {
    expect(await figure('INC-01', '&asOf=yesterday')).toMatchObject({ status: 400, json: { code: 'invalid-as-of' } });
    expect(await figure('INC-01', '&minPosition=soon')).toMatchObject({ status: 400, json: { code: 'invalid-min-position' } });
    expect(await figure('INC-O1')).toMatchObject({ status: 400, json: { errors: [{ suggestion: 'INC-01' }] } });
  });
});

it('is the same command again under the same Idempotency-Key', async () => {
  const key = { 'idempotency-key': 'define-1' };
  const first = await send('POST', '/indicators', document('IDM-01'), key);
  const again = await send('POST', '/indicators', document('IDM-01'), key);
  expect([again.status, again.json, again.headers.get('idempotency-replayed')]).toEqual([201, first.json, 'true']);
});

it('is a definition in OpenAPI, without what the server fills in', async () => {
  const { paths } = (await (await fetch(`${server.url}/api/openapi.json`)).json()) as Json;
  const schema = (path: string) => paths[`/api/v1/indicators${path}`].post.requestBody.content['application/json'].schema as Json;
  expect(schema('').required).toEqual(expect.arrayContaining(['code', 'name', 'method']));
  expect(schema('').required).not.toContain('version');
  expect(schema('/{code}/revisions').required).not.toContain('code');
  expect(schema('/{code}/revisions').properties).toHaveProperty('reason');
});
