import { readExport, readPages, START, verifyLog } from '@vigil/event-log';
import { createLogger, readConfig, type Config } from '@vigil/platform';
import { freshDatabase, type FreshDatabase } from '@vigil/testing';
import { mkdtemp, rm } from 'node:fs/promises';
import { request as httpRequest } from 'node:http';
import { connect as tcp } from 'node:net';
import { tmpdir } from 'node:os';
import { Readable } from 'node:stream';
import { join } from 'node:path';
import { parquetReadObjects } from 'hyparquet';
import readWorkbook from 'read-excel-file/node';
import { pathOf, routes, startServer, type Server } from './index';
import type { Json } from './served.fixture';

jest.setTimeout(60_000);

let database: FreshDatabase;
let folder: string;
let config: Config;
let server: Server;

const logger = createLogger({ level: (process.env['SPEC_LOG'] as 'error' | undefined) ?? 'silent', program: 'serve' });

beforeAll(async () => {
  database = await freshDatabase();
  folder = await mkdtemp(join(tmpdir(), 'vigil-server-'));
  const read = readConfig({ DATABASE_URL: database.url, VIGIL_DATA_DIR: folder, PORT: '0' });
  if (!read.ok) throw new Error(JSON.stringify(read.faults));
  config = read.value;
  server = await startServer(config, { port: 0, logger });
});

afterAll(async () => {
  await server?.close();
  await database?.drop();
  await rm(folder, { recursive: true, force: true });
});

interface Got {
  status: number;
  headers: Headers;
  text: string;
  json: Json;
}

const send = async (method: string, path: string, body?: unknown, headers: Record<string, string> = {}): Promise<Got> => {
  const text = body === undefined || typeof body === 'string' ? (body as string | undefined) : JSON.stringify(body);
  const response = await fetch(`${server.url}${path}`, {
    method,
    body: text,
    headers: { ...(text !== undefined && { 'content-type': 'application/json' }), ...headers },
  });
  const answer = await response.text();
  let json: Json = {};
  try {
    json = JSON.parse(answer) as Json;
  } catch {
    // not JSON
  }
  return { status: response.status, headers: response.headers, text: answer, json };
};
const get = (path: string, headers: Record<string, string> = {}) => send('GET', `/api/v1${path}`, undefined, headers);
const post = (path: string, body: unknown, headers: Record<string, string> = {}) => send('POST', `/api/v1${path}`, body, headers);

const expectProblem = ({ status, headers, json, text }: Got, expected: number, code: string): void => {
  expect({ status, code: json['code'], type: headers.get('content-type') }).toEqual({
    status: expected,
    code,
    type: 'application/problem+json; charset=utf-8',
  });
  expect(json).toMatchObject({
    type: expect.any(String),
    title: expect.any(String),
    status: expected,
    detail: expect.any(String),
    traceId: expect.any(String),
    errors: expect.any(Array),
  });
  expect(text).not.toMatch(/\n\s+at |<html|node_modules/);
};

const community = (code: string, more: object = {}) => ({
  code,
  name: { zh: `社区${code}`, en: `Community ${code}` },
  type: 'street',
  ...more,
});
let counter = 0;
const injury = (more: object = {}) => ({
  recordId: `it-${++counter}`,
  occurredAt: '2026-03-02',
  knownAt: '2026-03-02T09:10:00+08:00',
  community: 'C-001',
  ...more,
});

/** The sample of api.md. */
const sample = (id: string, recordId: string) => ({
  specversion: '1.0',
  type: 'org.vigil.injury.reported.v1',
  source: '/feeds/clinic-03',
  id,
  subject: recordId,
  time: '2026-03-02T01:10:00Z',
  datacontenttype: 'application/json',
  data: {
    recordId,
    occurredAt: '2026-03-02',
    knownAt: '2026-03-02T09:10:00+08:00',
    visit: 'first',
    community: 'C-001',
    residence: 'C-002',
    age: { value: 71, unit: 'year' },
    sex: 'F',
    mechanism: { system: 'niss-card', version: '14', code: '3' },
    intent: { system: 'niss-card', version: '14', code: '1' },
    place: { system: 'niss-card', version: '14', code: '1' },
    disposition: { system: 'niss-card', version: '14', code: '4' },
  },
});
const single = { 'content-type': 'application/cloudevents+json' };
const batch = { 'content-type': 'application/cloudevents-batch+json' };
const ndjson = { 'content-type': 'application/x-ndjson' };

/** Events of a stream until it ends, or until `enough`. */
const sse = async (
  path: string,
  headers: Record<string, string> = {},
  enough: (events: Json[]) => boolean = () => false,
): Promise<Json[]> => {
  const stop = new AbortController();
  const response = await fetch(`${server.url}/api/v1${path}`, { headers, signal: stop.signal });
  expect(response.headers.get('content-type')).toMatch('text/event-stream');
  const events: Json[] = [];
  let text = '';
  const decoder = new TextDecoder();
  try {
    for await (const chunk of response.body as unknown as AsyncIterable<Uint8Array>) {
      text += decoder.decode(chunk, { stream: true });
      for (let end = text.indexOf('\n\n'); end >= 0; end = text.indexOf('\n\n')) {
        const fields = Object.fromEntries(
          text
            .slice(0, end)
            .split('\n')
            .map((line) => [line.slice(0, line.indexOf(':')), line.slice(line.indexOf(':') + 2)]),
        );
        text = text.slice(end + 2);
        if (fields['event'])
          events.push({ id: fields['id'], event: fields['event'], data: JSON.parse(fields['data'] as string) });
      }
      if (enough(events)) break;
    }
  } finally {
    stop.abort();
  }
  return events;
};

describe('from a fact to a rate', () => {
  let position: number;

  it('registers communities', async () => {
    const made = await post('/communities', community('C-001', { name: { zh: '第一街道', en: 'First Street' } }));
    expect(made.status).toBe(201);
    expect(made.json).toEqual({ id: 'C-001', revision: 0, position: expect.any(Number) });
    expect(made.headers.get('etag')).toBe('"r0"');
    expect(made.headers.get('location')).toBe('/api/v1/communities/C-001');
    expect(made.headers.get('cache-control')).toBe('no-store');
    expectProblem(await post('/communities', community('C-001')), 409, 'community-exists');
    expect((await post('/communities', community('C-002', { parent: 'C-001' }))).status).toBe(201);
    const one = await get('/communities/C-001');
    expect(one.json).toMatchObject({
      code: 'C-001',
      name: { zh: '第一街道', en: 'First Street' },
      parent: null,
      revision: 0,
      status: 'registered',
    });
    expect(one.headers.get('etag')).toBe('"r0"');
    expectProblem(await get('/communities/C-404'), 404, 'community-not-found');
  });

  it('records cells and exposures in one append', async () => {
    const cells = [
      { sex: 'F', ageFrom: 0, ageTo: 64, persons: 30_000 },
      { sex: 'F', ageFrom: 65, ageTo: null, persons: 10_000 },
      { sex: 'M', ageFrom: 0, ageTo: 64, persons: 35_000 },
      { sex: 'M', ageFrom: 65, ageTo: null, persons: 5_000 },
    ];
    const made = await post('/communities/C-001/populations', {
      year: 2026,
      cells,
      exposures: [{ kind: 'households', amount: 25_000 }],
    });
    expect(made.status).toBe(201);
    expect(made.json).toMatchObject({ id: 'C-001', revision: 2 });
    const { json } = await get('/communities/C-001');
    expect(json).toMatchObject({
      populationYears: [2026],
      exposures: [{ year: 2026, kind: 'households', amount: 25_000 }],
      populations: [{ year: 2026, cells: expect.any(Array) }],
    });
    expectProblem(await post('/communities/C-001/populations', { year: 2026 }), 422, 'nothing-to-record');
    expectProblem(await post('/communities/C-404/populations', { year: 2026, cells }), 404, 'community-not-found');
    const overlapping = await post('/communities/C-001/populations', {
      year: 2026,
      cells: [cells[0], { ...cells[0], ageFrom: 60, ageTo: 70 }],
    });
    expectProblem(overlapping, 422, 'overlapping-cells');
    expect(overlapping.json['errors'][0].pointer).toBe('/cells/1');
    expectProblem(
      await post('/communities/C-001/populations', { year: 2026, cells }, { 'if-match': '"r0"' }),
      412,
      'stream-moved',
    );
  });

  it('takes the sample CloudEvent once', async () => {
    const event = sample('c3-000123-1', '000123');
    const first = await post('/feeds/clinic-03/events', event, single);
    expect(first.status).toBe(200);
    expect(first.json).toMatchObject({
      accepted: 1,
      duplicates: 0,
      rejected: 0,
      results: [{ id: 'c3-000123-1', status: 'accepted', position: expect.any(Number) }],
    });
    position = first.json['results'][0].position as number;
    expect((await post('/feeds/clinic-03/events', event, single)).json).toMatchObject({
      accepted: 0,
      duplicates: 1,
      results: [{ status: 'duplicate', position }],
    });
    const other = await post('/feeds/clinic-03/events', { ...event, data: { ...event.data, sex: 'M' } }, single);
    expect(other.json).toMatchObject({
      rejected: 1,
      results: [{ status: 'rejected', problem: { code: 'event-id-conflict', detail: expect.any(String) } }],
    });
    const feed = await get('/feeds/clinic-03');
    expect(feed.json).toMatchObject({
      feed: 'clinic-03',
      accepted: 1,
      duplicates: 1,
      rejected: 1,
      lastEvent: { type: 'InjuryReported' },
    });
    expect((await get('/feeds')).json['data']).toEqual([feed.json]);
    expectProblem(await get('/feeds/nobody'), 404, 'feed-not-found');
  });

  it('answers the rate, having waited for the position', async () => {
    const path = `/observations?dimension=dx:INC-01&dimension=pe:2026&dimension=ou:C-001&minPosition=${position}`;
    const { status, json, headers } = await get(path, { prefer: 'wait=10' });
    expect({ status, problem: json['code'] }).toEqual({ status: 200, problem: undefined });
    expect(json['data']).toHaveLength(1);
    expect(json['data'][0]).toMatchObject({
      dx: 'INC-01',
      pe: '2026',
      ou: 'C-001',
      num: 1,
      den: 80_000,
      value: 1.25,
      conf: 'F',
      ci: { method: expect.any(String) },
    });
    expect(json['meta'].position).toBeGreaterThanOrEqual(position);
    expect(headers.get('preference-applied')).toBe('wait=10');
    const byBody = await post('/observations/query', { dimension: ['dx:INC-01', 'pe:2026', 'ou:C-001'], minPosition: position });
    expect(byBody.json['data']).toEqual(json['data']);
  });

  it('answers as CSV and NDJSON by suffix and by Accept; others in words', async () => {
    const query = '?dimension=dx:INC-01&dimension=pe:2026&dimension=ou:C-001';
    const csv = await fetch(`${server.url}/api/v1/observations.csv${query}`);
    expect(csv.headers.get('content-type')).toBe('text/csv; charset=utf-8');
    const bytes = Buffer.from(await csv.arrayBuffer());
    expect([...bytes.subarray(0, 3)]).toEqual([0xef, 0xbb, 0xbf]);
    expect(bytes.toString()).toContain('INC-01,2026,C-001');
    expect((await get(`/observations${query}&bom=false`, { accept: 'text/csv' })).text).toMatch(/^dx,pe,ou/);
    const lines = await get(`/observations.ndjson${query}`);
    expect(JSON.parse(lines.text.trim())).toMatchObject({ dx: 'INC-01', definitionHash: expect.any(String) });
    expect((await get(`/observations${query}`, { accept: 'application/x-ndjson' })).headers.get('content-type')).toMatch(
      'application/x-ndjson',
    );
    expect((await get(`/observations.ods${query}`)).status).toBe(404);
    expectProblem(await get(`/observations${query}`, { accept: 'image/png' }), 406, 'format-not-available');
  });

  it('answers as XLSX, Parquet and JSON-stat by suffix, by Accept and to a posted query, with the digits of JSON', async () => {
    const query = '?dimension=dx:INC-01&dimension=pe:2026&dimension=ou:C-001&dimension=sex:F;M';
    const { json } = await get(`/observations${query}`);
    const values = (json['data'] as { value: number }[]).map(({ value }) => value);
    expect(values.length).toBeGreaterThan(0);
    const read: Record<string, (bytes: Buffer) => Promise<unknown>> = {
      'application/vnd.openxmlformats-officedocument.spreadsheetml.sheet': async (bytes) => {
        const { data } = (await readWorkbook(bytes))[0]!;
        const at = data[0]!.indexOf('value');
        return data.slice(1).map((cells) => cells[at]);
      },
      'application/vnd.apache.parquet': async (bytes) => {
        const file = new ArrayBuffer(bytes.length);
        new Uint8Array(file).set(bytes);
        return (await parquetReadObjects({ file })).map((record) => (record as { value: number }).value);
      },
      'application/vnd.json-stat+json': async (bytes) => {
        const { value, size } = JSON.parse(bytes.toString()) as { value: Record<string, number>; size: number[] };
        return values.map((_, i) => value[i * size.at(-1)!] ?? null);
      },
    };
    const { paths } = (await (await fetch(`${server.url}/api/openapi.json`)).json()) as {
      paths: Record<string, Record<string, { responses: Record<string, { content: object }> }>>;
    };
    const suffixes = ['xlsx', 'parquet', 'json-stat'];
    for (const [i, [type, valuesIn]] of Object.entries(read).entries()) {
      const answers = [
        await fetch(`${server.url}/api/v1/observations.${suffixes[i]}${query}`),
        await fetch(`${server.url}/api/v1/observations${query}`, { headers: { accept: type } }),
        await fetch(`${server.url}/api/v1/observations/query`, {
          method: 'POST',
          headers: { accept: type, 'content-type': 'application/json' },
          body: JSON.stringify({ dimension: ['dx:INC-01', 'pe:2026', 'ou:C-001', 'sex:F;M'] }),
        }),
      ];
      for (const answered of answers) {
        expect([answered.status, answered.headers.get('content-type')]).toEqual([200, type]);
        expect(await valuesIn(Buffer.from(await answered.arrayBuffer()))).toEqual(values);
      }
      expect(paths[`/api/v1/observations.${suffixes[i]}`]!['get']!.responses['200']!.content).toHaveProperty([type]);
      expect(paths['/api/v1/observations']!['get']!.responses['200']!.content).toHaveProperty([type]);
      expect(paths['/api/v1/observations/query']!['post']!.responses['200']!.content).toHaveProperty([type]);
    }
    for (const accept of ['application/json+jsonstat', 'application/vnd.json-stat+json;q=0.9, image/png'])
      expect((await get(`/observations${query}`, { accept })).json).toMatchObject({ class: 'dataset', version: '2.0' });
  });

  it('names the nearest valid code', async () => {
    const got = await get('/observations?dimension=dx:INC-1&dimension=pe:2026');
    expectProblem(got, 400, 'unknown-indicator');
    expect(got.json['errors'][0]).toMatchObject({ suggestion: 'INC-01', value: 'INC-1' });
    expect((await get('/observations?dimension=dx:INC-01&dimension=pe:2026&dimension=ou:C-01')).status).toBe(400);
  });

  it('refuses to wait for a position nobody reached', async () => {
    const got = await get('/communities?minPosition=999999999', { prefer: 'wait=0' });
    expectProblem(got, 503, 'position-not-reached');
    expect(got.headers.get('retry-after')).toBe('1');
    expectProblem(await get('/communities?minPosition=-1'), 400, 'invalid-position');
  });
});

describe('an injury by hand', () => {
  it('goes through its life with If-Match', async () => {
    const made = await post('/injuries', injury({ recordId: undefined, sex: 'F', mechanism: 'fall' }));
    expect(made.status).toBe(201);
    const { id } = made.json as { id: string };
    expect(made.headers.get('location')).toBe(`/api/v1/injuries/${id}`);
    const correct = (headers: Record<string, string>, body: object = { replaces: { sex: 'M' }, reason: 'typing error' }) =>
      post(`/injuries/${id}/corrections`, body, headers);
    expectProblem(await correct({}), 428, 'if-match-required');
    const moved = await correct({ 'if-match': '"r7"' });
    expectProblem(moved, 412, 'stream-moved');
    expect(moved.headers.get('etag')).toBe('"r0"');
    expectProblem(await correct({ 'if-match': 'seven' }), 400, 'invalid-if-match');
    const done = await correct({ 'if-match': '"r0"' });
    expect({ status: done.status, etag: done.headers.get('etag') }).toEqual({ status: 201, etag: '"r1"' });
    expect(
      (
        await post(
          `/injuries/${id}/outcomes`,
          { disposition: 'died', daysToDeath: 3, asOf: '2026-03-05' },
          { 'if-match': '"r1"' },
        )
      ).json,
    ).toMatchObject({ revision: 2 });
    const other = (await post('/injuries', injury())).json['id'] as string;
    expect((await post(`/injuries/${id}/links`, { other }, { 'if-match': '"r2"' })).json).toMatchObject({ revision: 3 });
    const nobody = '00000000-0000-4000-8000-000000000000';
    const missing = await post(`/injuries/${id}/links`, { other: nobody }, { 'if-match': '"r3"' });
    expectProblem(missing, 404, 'injury-not-found');
    expect(missing.json['detail']).toContain(nobody);
    expect(
      (await post(`/injuries/${id}/links/${other}/removal`, { reason: 'two people' }, { 'if-match': '"r3"' })).json,
    ).toMatchObject({ revision: 4 });
    expect((await post(`/injuries/${id}/retraction`, { reason: 'not an injury' }, { 'if-match': '"r4"' })).json).toMatchObject({
      revision: 5,
    });
    expectProblem(await correct({ 'if-match': '"r5"' }), 409, 'injury-retracted');
    const { json, headers } = await get(`/injuries/${id}`);
    expect(json).toMatchObject({
      id,
      status: 'retracted',
      revision: 5,
      record: { sex: 'M', feed: 'api' },
      canonical: { sex: 'M', disposition: 'died' },
      links: [{ other, linked: false }],
    });
    expect(headers.get('etag')).toBe('"r5"');
    const types = ((await get(`/injuries/${id}/timeline`)).json['data'] as Json[]).map(({ type }) => type as string);
    expect(types).toEqual([
      'InjuryReported',
      'InjuryCorrected',
      'InjuryOutcomeUpdated',
      'InjuryLinked',
      'InjuryUnlinked',
      'InjuryRetracted',
    ]);
    for (const path of [`/injuries/${nobody}`, '/injuries/nothing', `/injuries/${nobody}/timeline`])
      expect((await get(path)).status).toBe(404);
    expectProblem(await post(`/injuries/${nobody}/retraction`, { reason: 'x' }, { 'if-match': '"r0"' }), 404, 'injury-not-found');
  });

  it('takes no identity, in either language, and quotes none', async () => {
    for (const [field, value] of Object.entries({
      name: 'Zhang San',
      idNumber: '11010519491231002X',
      phone: '13800138000',
      address: 'Lane 5',
      姓名: '张三',
      身份证号: '11010519491231002X',
      电话: '13800138000',
      住址: '第五弄',
    })) {
      const got = await post('/injuries', injury({ [field]: value }));
      expectProblem(got, 422, 'identity-not-accepted');
      expect(got.text).not.toContain(value);
    }
  });

  it('says every fault of a body at once, with pointers and the nearest word', async () => {
    const got = await post(
      '/injuries',
      injury({ knownAt: '2026-02-30', sex: 'Q', mecanism: 'fall', age: { value: 200, unit: 'year' } }),
    );
    expect(got.status).toBe(422);
    const pointers = (got.json['errors'] as Json[]).map(({ pointer }) => pointer as string);
    expect(pointers).toEqual(expect.arrayContaining(['/knownAt', '/sex', '/mecanism', '/age']));
    expect((got.json['errors'] as Json[]).find(({ pointer }) => pointer === '/mecanism')).toMatchObject({
      suggestion: 'mechanism',
    });
  });
});

describe('idempotency', () => {
  it('runs a request once per key', async () => {
    const headers = { 'idempotency-key': 'k-1' };
    const body = injury({ recordId: undefined });
    const first = await post('/injuries', body, headers);
    const second = await post('/injuries', body, headers);
    expect(first.status).toBe(201);
    expect(first.headers.get('idempotency-replayed')).toBeNull();
    expect({
      status: second.status,
      body: second.text,
      etag: second.headers.get('etag'),
      location: second.headers.get('location'),
      replayed: second.headers.get('idempotency-replayed'),
    }).toEqual({
      status: 201,
      body: first.text,
      etag: first.headers.get('etag'),
      location: first.headers.get('location'),
      replayed: 'true',
    });
    expectProblem(await post('/injuries', { ...body, sex: 'F' }, headers), 422, 'idempotency-key-reused');
    expectProblem(await post('/injuries', body, { 'idempotency-key': ' ' }), 400, 'invalid-idempotency-key');
  });

  it('executes one of many at once', async () => {
    const body = injury({ recordId: undefined });
    const answers = await Promise.all(Array.from({ length: 12 }, () => post('/injuries', body, { 'idempotency-key': 'k-many' })));
    expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([201]));
    expect(new Set(answers.map(({ json }) => json['position'] as number)).size).toBe(1);
    expect(answers.filter(({ headers }) => headers.get('idempotency-replayed') === 'true')).toHaveLength(11);
  });

  it('leaves the key free when the request was refused', async () => {
    const headers = { 'idempotency-key': 'k-refused' };
    expect(
      (await post('/communities/C-900/populations', { year: 2026, exposures: [{ kind: 'workers', amount: 1 }] }, headers)).status,
    ).toBe(404);
    expect((await post('/communities', community('C-900'))).status).toBe(201);
    expect(
      (await post('/communities/C-900/populations', { year: 2026, exposures: [{ kind: 'workers', amount: 1 }] }, headers)).status,
    ).toBe(201);
  });

  it('covers streams and files', async () => {
    const lines = [sample('s-1', 's1'), sample('s-2', 's2')].map((event) => JSON.stringify(event)).join('\n');
    const first = await post('/feeds/clinic-03/events', lines, { ...ndjson, 'idempotency-key': 'k-stream' });
    const second = await post('/feeds/clinic-03/events', lines, { ...ndjson, 'idempotency-key': 'k-stream' });
    expect(first.json).toMatchObject({ accepted: 2 });
    expect([second.text, second.headers.get('idempotency-replayed')]).toEqual([first.text, 'true']);
    expectProblem(
      await post('/feeds/clinic-03/events', `${lines}\n`, { ...ndjson, 'idempotency-key': 'k-stream' }),
      422,
      'idempotency-key-reused',
    );
  });
});

describe('problems', () => {
  it('speak the reader’s language', async () => {
    const zh = await get('/communities/C-404', { 'accept-language': 'zh-CN,zh;q=0.9,en;q=0.8' });
    const en = await get('/communities/C-404', { 'accept-language': 'en-GB' });
    const none = await get('/communities/C-404');
    expect(zh.json).toMatchObject({ title: '未找到', code: 'community-not-found', detail: expect.stringMatching(/没有登记/) });
    expect(zh.headers.get('content-language')).toBe('zh-CN');
    expect(en.json).toMatchObject({ title: 'Not found', detail: expect.stringMatching(/not registered/) });
    expect(none.json['detail']).toBe(en.json['detail']);
    const faults = await post('/injuries', injury({ visit: 'third' }), { 'accept-language': 'zh' });
    expect((faults.json['errors'] as Json[]).every(({ detail }) => /[\u4e00-\u9fff]/.test(detail as string))).toBe(true);
  });

  it('carry the caller’s trace', async () => {
    const { json, headers } = await get('/nothing', { traceparent: '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01' });
    expect([json['traceId'], headers.get('x-request-id')]).toEqual([
      '4bf92f3577b34da6a3ce929d0e0e4736',
      '4bf92f3577b34da6a3ce929d0e0e4736',
    ]);
  });

  it('answer whatever a stranger sends', async () => {
    expectProblem(await post('/communities', '{"code": '), 400, 'malformed-json');
    expectProblem(await post('/communities', ''), 400, 'empty-body');
    expectProblem(await post('/communities', '['.repeat(100_000) + ']'.repeat(100_000)), 400, 'json-too-deep');
    expectProblem(await post('/communities', `{"code":${'['.repeat(100_000)}${']'.repeat(100_000)}}`), 400, 'json-too-deep');
    expectProblem(await post('/communities', '{"code":"a\u0000b"}'), 400, 'malformed-json');
    expect((await post('/communities', community('C-\u0000'))).status).toBe(422);
    expect((await post('/communities', community('C-1', { name: { zh: 'a\u0000', en: '\ud800' } }))).status).toBe(422);
    expectProblem(await post('/communities', 'x'.repeat(17 * 2 ** 20)), 413, 'body-too-large');
    expectProblem(await post('/communities', '<a/>', { 'content-type': 'application/xml' }), 415, 'unsupported-media-type');
    expectProblem(
      await post('/communities', 'a=1', { 'content-type': 'application/x-www-form-urlencoded' }),
      415,
      'unsupported-media-type',
    );
    expectProblem(await post('/communities', '{}', { 'content-encoding': 'gzip' }), 415, 'unsupported-encoding');
    expectProblem(await post('/communities', JSON.stringify(community('C-2')), ndjson), 415, 'unsupported-media-type');
    expect((await post('/communities', 'null')).status).toBe(422);
    expect((await post('/communities', '[]')).status).toBe(422);
    expect((await post('/communities', '{"__proto__": {"code": "C-3"}}')).status).toBe(422);
    const invalid = await fetch(`${server.url}/api/v1/communities`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: Buffer.from([0x22, 0xff, 0x22]),
    });
    expect([invalid.status, ((await invalid.json()) as Json)['code']]).toEqual([400, 'invalid-utf8']);
  });

  it('name what is wrong with a path or a method', async () => {
    expectProblem(await get('/nothing'), 404, 'route-not-found');
    expectProblem(await send('GET', '/favicon.ico'), 404, 'route-not-found');
    const slip = await get('/comunities');
    expect(slip.json['errors'][0]).toMatchObject({ suggestion: '/api/v1/communities' });
    expectProblem(await get('/reports'), 404, 'not-in-this-version');
    expectProblem(await post('/snapshots', {}), 404, 'not-in-this-version');
    const patched = await send('PATCH', '/api/v1/communities/C-001', {});
    expectProblem(patched, 405, 'method-not-allowed');
    expect(patched.headers.get('allow')).toBe('GET');
    expectProblem(await get('/communities?limt=5'), 400, 'unknown-field');
    expectProblem(await get('/communities?limit=0'), 400, 'too-small');
    expect((await get('/communities/%00')).status).toBe(404);
    expect((await get('/communities/%zz')).status).toBeGreaterThanOrEqual(400);
    expect((await get('/indicators/INC-1')).json['errors'][0]).toMatchObject({ suggestion: 'INC-01' });
  });

  it('answer even what is not HTTP', async () => {
    const { port } = new URL(server.url);
    const text = await new Promise<string>((resolve, reject) => {
      const socket = tcp(Number(port), '127.0.0.1', () => socket.write('NONSENSE\r\n\r\n'));
      let got = '';
      socket.on('data', (chunk: Buffer) => (got += chunk.toString()));
      socket.on('close', () => resolve(got));
      socket.on('error', reject);
    });
    expect(text).toMatch(/^HTTP\/1.1 400[\s\S]*application\/problem\+json/);
  });
});

describe('feeds', () => {
  it('take a batch and a stream, each event judged alone', async () => {
    const good = [sample('b-1', 'b1'), sample('b-2', 'b2')];
    const bad = { ...sample('b-3', 'b3'), data: { ...sample('b-3', 'b3').data, knownAt: 'yesterday' } };
    const batched = await post('/feeds/clinic-03/events', [...good, bad], batch);
    expect(batched.json).toMatchObject({
      accepted: 2,
      rejected: 1,
      results: [{ status: 'accepted' }, { status: 'accepted' }, { status: 'rejected', id: 'b-3' }],
    });
    const stream = await post(
      '/feeds/clinic-03/events',
      `${JSON.stringify(good[0])}\nnot json\n${JSON.stringify(sample('b-4', 'b4'))}\n`,
      ndjson,
    );
    expect(stream.json).toMatchObject({ accepted: 1, duplicates: 1, rejected: 1 });
    const atomic = await post('/feeds/clinic-03/events?atomic=true', [sample('b-5', 'b5'), bad], batch);
    expect(atomic.json).toMatchObject({ accepted: 0, rejected: 2 });
    expect((await post('/feeds/clinic-03/events', sample('b-5', 'b5'), single)).json).toMatchObject({ accepted: 1 });
  });

  it('takes incidents and hazards from feeds into the registers that the API writes', async () => {
    const of = (type: string, recordId: string, data: Json) => ({
      specversion: '1.0',
      type: `org.vigil.${type}.v1`,
      source: '/feeds/police-7',
      id: `${type}-${recordId}`,
      subject: recordId,
      data: { recordId, ...data },
    });
    const fire = { kind: 'fire', community: 'C-001', knownAt: '2026-03-02' };
    const found = { community: 'C-001', domain: 'fire', description: '通道堵塞', identifiedAt: '2026-03-02' };
    const events = [
      of('incident.reported', 'F-1', fire),
      of('incident.corrected', 'F-1', { replaces: { cause: 'smoking' }, reason: '调查' }),
      of('hazard.identified', 'H-1', found),
      of('incident.reported', 'F-2', { ...fire, occurredAt: '2026-03-03' }),
    ];
    const pushed = await post('/feeds/police-7/events', events, batch);
    expect(pushed.json).toMatchObject({ accepted: 3, rejected: 1 });
    expect((pushed.json['results'] as Json[])[3]).toMatchObject({
      problem: { code: 'known-before-it-happened', pointer: '/data/occurredAt' },
    });
    const again = await post('/incidents', { ...fire, feed: 'police-7', recordId: 'F-1' });
    expectProblem(again, 409, 'incident-exists');
    const { position } = pushed.json;
    const incidents = (await get(`/incidents?kind=fire&minPosition=${position}`)).json['data'] as Json[];
    expect(incidents).toMatchObject([{ report: { recordId: 'F-1', feed: 'police-7', cause: 'smoking' } }]);
    expect((await get('/hazards?kind=fire')).json['data']).toMatchObject([{ state: 'identified', identification: found }]);
  });

  it('refuse a request that is none', async () => {
    expectProblem(await post('/feeds/clinic-03/events', '{"specversion":', single), 400, 'invalid-json');
    expectProblem(await post('/feeds/clinic-03/events', '{}', batch), 400, 'not-an-array');
    expectProblem(
      await post('/feeds/clinic-03/events', sample('x', 'x'), { 'content-type': 'application/json' }),
      415,
      'unsupported-media-type',
    );
    expectProblem(await post('/feeds/clinic-03/events?atomic=perhaps', [], batch), 400, 'unknown-code');
  });

  it('stream past the body limit', async () => {
    const padding = 'x'.repeat(220);
    const events = 22_000; // 17 MB
    async function* lines(): AsyncGenerator<Uint8Array> {
      for (let at = 0; at < events; at += 500)
        yield Buffer.from(
          Array.from({ length: 500 }, (_, i) =>
            JSON.stringify({ ...sample(`flood-${at + i}-${padding}`, `flood-${at + i}`) }),
          ).join('\n') + '\n',
        );
    }
    const response = await fetch(`${server.url}/api/v1/feeds/flood/events`, {
      method: 'POST',
      headers: ndjson,
      body: lines() as never,
      duplex: 'half',
    } as RequestInit);
    const json = (await response.json()) as Json;
    expect([response.status, json['accepted'], json['rejected'], (json['results'] as unknown[]).length]).toEqual([
      200,
      events,
      0,
      0,
    ]);
  });
});

describe('imports', () => {
  const form = (content: string, fields: Record<string, string>, name = 'people.csv'): FormData => {
    const data = new FormData();
    data.set('file', new Blob([content]), name);
    for (const [key, value] of Object.entries(fields)) data.set(key, value);
    return data;
  };
  const upload = async (body: FormData, headers: Record<string, string> = {}): Promise<Got> => {
    const response = await fetch(`${server.url}/api/v1/imports`, { method: 'POST', body, headers });
    const text = await response.text();
    return { status: response.status, headers: response.headers, text, json: JSON.parse(text) as Json };
  };
  const people = 'year,sex,age,population\n2025,F,0,100\n2025,M,0,110\n2025,F,nonsense,5\n2025,M,1,90\n';

  it('become jobs that tell how they go on, and give back what was refused', async () => {
    await post('/communities', community('C-IMP'));
    const fields = { mapping: 'population', community: 'C-IMP' };
    const dry = await upload(form(people, { ...fields, dryRun: 'true' }));
    expect({ status: dry.status, location: dry.headers.get('location') }).toEqual({
      status: 202,
      location: `/api/v1/jobs/${dry.json['jobId']}`,
    });
    expect((await sse(`/jobs/${dry.json['jobId']}/events`)).at(-1)).toMatchObject({
      event: 'done',
      data: { state: 'done', result: { accepted: 3, rejected: 1, dryRun: true } },
    });
    expect((await get('/communities/C-IMP')).json['populationYears']).toEqual([]);

    const { jobId } = (await upload(form(people, fields), { 'idempotency-key': 'k-import' })).json as { jobId: string };
    const events = await sse(`/jobs/${jobId}/events`, { 'accept-language': 'zh' });
    expect(events.map(({ event }) => event as string)).toEqual(expect.arrayContaining(['progress', 'row-error', 'done']));
    expect(events.find(({ event }) => event === 'progress')?.['data']).toEqual({
      done: expect.any(Number),
      total: expect.any(Number),
      rate: expect.any(Number),
      etaSeconds: 0,
      phase: expect.any(String),
    });
    expect(events.find(({ event }) => event === 'row-error')?.['data']).toMatchObject({
      row: 3,
      detail: expect.stringMatching(/[\u4e00-\u9fff]/),
    });
    expect(events.at(-1)).toMatchObject({
      event: 'done',
      data: {
        state: 'done',
        result: {
          accepted: 3,
          duplicates: 0,
          rejected: 1,
          position: expect.any(Number),
          errors: `/api/v1/imports/${jobId}/errors.csv`,
        },
      },
    });
    const resumed = await sse(`/jobs/${jobId}/events`, { 'last-event-id': events.at(-2)!['id'] as string });
    expect(resumed.map(({ event }) => event as string)).toEqual(['done']);
    expect((await get(`/jobs/${jobId}`)).json).toMatchObject({
      id: jobId,
      kind: 'import',
      state: 'done',
      result: { accepted: 3 },
    });
    const errors = await get(`/imports/${jobId}/errors.csv`);
    expect(errors.headers.get('content-type')).toBe('text/csv; charset=utf-8');
    expect(errors.text).toMatch(/_row,_code,_error\r\n2025,F,nonsense,5,3,/);
    expect((await get('/communities/C-IMP')).json['populationYears']).toEqual([2025]);

    const again = await upload(form(people, fields), { 'idempotency-key': 'k-import' });
    expect([again.json['jobId'], again.headers.get('idempotency-replayed')]).toEqual([jobId, 'true']);
  });

  it('are refused in words before a job is made', async () => {
    const unknown = await upload(form(people, { mapping: 'populatoin' }));
    expectProblem(unknown, 400, 'unknown-mapping');
    expect(unknown.json['errors'][0]).toMatchObject({ suggestion: 'population' });
    expectProblem(await upload(form(people, {})), 422, 'missing-field');
    const empty = new FormData();
    empty.set('mapping', 'population');
    expectProblem(await upload(empty), 422, 'missing-field');
    expectProblem(await post('/imports', {}), 415, 'unsupported-media-type');
    const cut =
      '--b\r\nContent-Disposition: form-data; name="mapping"\r\n\r\npopulation\r\n--b\r\nContent-Disposition: form-data; name="file"; filename="a.csv"\r\n\r\nyear,sex,age,population\r\n2025,F,0,1';
    expectProblem(await post('/imports', cut, { 'content-type': 'multipart/form-data; boundary=b' }), 400, 'malformed-multipart');
    expectProblem(
      await post('/imports', 'nothing of the kind', { 'content-type': 'multipart/form-data' }),
      400,
      'malformed-multipart',
    );
    const broken = (await upload(form('', { mapping: 'population', community: 'C-IMP' }))).json['jobId'] as string;
    expect((await sse(`/jobs/${broken}/events`, { 'accept-language': 'zh' })).at(-1)).toMatchObject({
      event: 'done',
      data: { state: 'failed', problem: { code: 'empty-file', detail: '文件为空' } },
    });
    expectProblem(await get('/jobs/00000000-0000-4000-8000-000000000000'), 404, 'job-not-found');
  });
});

describe('the log and its read models', () => {
  it('is read from a position on', async () => {
    const first = await get('/events?after=0&limit=2');
    expect(first.json['data']).toHaveLength(2);
    expect(first.json['data'][0]).toMatchObject({
      position: 1,
      stream: 'community-C-001',
      revision: 0,
      type: 'CommunityRegistered',
      version: 1,
      data: { code: 'C-001' },
      metadata: { source: '/api/v1' },
    });
    expect(first.headers.get('link')).toBe('</api/v1/events?after=2&limit=2>; rel="next"');
    expect((await get(`/events?after=${first.json['next']}&limit=1`)).json['data'][0]).toMatchObject({ position: 3 });
    expect((await get('/events?after=9223372036854775807')).json).toEqual({ data: [] });
    for (const after of ['-1', '9223372036854775808', 'x', '%00']) expect((await get(`/events?after=${after}`)).status).toBe(400);
  });

  it('is exported byte for byte, whole or from a position on, with the digest that its heads sign', async () => {
    const { text, headers } = await get('/log/export');
    expect(headers.get('content-type')).toBe('application/x-ndjson; charset=utf-8');
    const lines = text.split('\n');
    expect(JSON.parse(lines[0]!)).toEqual({ vigil: 'log-export', format: 1, store: 'postgres', first: '1' });
    const read = async (content: string) => {
      const reading = readExport(Readable.from([Buffer.from(content)]));
      const events: unknown[] = [];
      for (;;) {
        const { done, value } = await reading.next();
        if (done) return { events, end: value };
        events.push(...value);
      }
    };
    const whole = await read(text);
    expect(whole.events).toEqual(await server.engine.log.readAll({ after: START, limit: 1_000_000 }));
    await server.engine.sealer.sealAll();
    expect(await verifyLog({ pages: readPages(server.engine.log), heads: join(folder, 'heads') })).toMatchObject({
      verified: whole.end.events,
      digest: whole.end.digest,
      unsealed: 0,
    });
    expect((await read((await get('/log/export?after=2')).text)).events).toEqual(whole.events.slice(2));
    expect((await get('/log/export?after=x')).status).toBe(400);
  });

  it('pages lists', async () => {
    await get('/communities?limit=1', { prefer: 'wait=5' });
    const head = (await get('/events?after=0&limit=10000')).json['data'] as Json[];
    const { json } = await get(
      `/communities?limit=2&minPosition=${head.filter(({ type }) => type === 'CommunityRegistered').at(-1)!['position']}`,
    );
    expect((json['data'] as Json[]).map(({ code }) => code as string)).toEqual(['C-001', 'C-002']);
    const rest = await get(`/communities?limit=2&cursor=${json['next']}`);
    expect((rest.json['data'] as Json[]).map(({ code }) => code as string)).toEqual(['C-900', 'C-IMP']);
    expectProblem(await get('/communities?cursor=%20'), 400, 'invalid-cursor');
  });

  it('tells live what the read models hold', async () => {
    const following = sse('/live', {}, (events) => events.length >= 2);
    await new Promise((resolve) => setTimeout(resolve, 300));
    const { position } = (await post('/injuries', injury())).json as { position: number };
    const events = await following;
    expect(events.every(({ event }) => event === 'position')).toBe(true);
    expect(events.at(-1)!['data'].position).toBeGreaterThanOrEqual(position);
  });

  it('rebuilds as a job', async () => {
    const before = (await get('/projections')).json['data'] as Json[];
    expect(before.map(({ name }) => name as string).length).toBeGreaterThanOrEqual(2);
    const { jobId } = (await post(`/projections/${before[0]!['name']}/rebuild`, undefined)).json as { jobId: string };
    expect((await sse(`/jobs/${jobId}/events`)).at(-1)).toMatchObject({ event: 'done', data: { state: 'done' } });
    const all = await post('/projections/rebuild', {});
    expect((await sse(`/jobs/${all.json['jobId']}/events`)).at(-1)).toMatchObject({ event: 'done', data: { state: 'done' } });
    expectProblem(await post('/projections/nothing/rebuild', undefined), 404, 'projection-not-found');
  });

  it('checks the read models against an independent fold, as a job', async () => {
    const { jobId } = (await post('/projections/check', undefined)).json as { jobId: string };
    const last = (await sse(`/jobs/${jobId}/events`)).at(-1)!;
    expect(last).toMatchObject({ event: 'done', data: { state: 'done' } });
    const { projections } = (await get(`/jobs/${jobId}`)).json['result'] as { projections: Json[] };
    expect(projections.map(({ name, equal }) => [name, equal])).toEqual([
      ['communities', true],
      ['injury-facts', true],
      ['case-files', true],
      ['survey-responses', true],
      ['activity-facts', true],
      ['casualty-facts', true],
    ]);
  });

  it('refuses to retry or skip what does not exist, and to skip what halted nothing', async () => {
    expectProblem(await post('/projections/nothing/retry', undefined), 404, 'projection-not-found');
    expectProblem(await post('/projections/injury-facts/skip', { position: 1, reason: 'no reason' }), 409, 'not-now');
    expectProblem(await post('/projections/injury-facts/skip', { position: 0, reason: '' }), 422, 'too-small');
    expect((await post('/projections/injury-facts/retry', undefined)).json).toMatchObject({
      name: 'injury-facts',
      state: 'live',
    });
  });
});

describe('what describes itself', () => {
  it('is OpenAPI 3.1 with every route', async () => {
    const { json, status } = await send('GET', '/api/openapi.json');
    expect([status, json['openapi']]).toEqual([200, '3.1.0']);
    const ids = new Set<string>();
    for (const route of routes) {
      const operation = json['paths'][pathOf(route)]?.[route.method.toLowerCase()] as Json | undefined;
      expect([pathOf(route), operation?.['summary']]).toEqual([pathOf(route), expect.any(String)]);
      ids.add(operation!['operationId'] as string);
      const inPath = [...pathOf(route).matchAll(/\{(\w+)\}/g)].map(([, name]) => name);
      expect(
        (operation!['parameters'] as Json[]).filter((one) => one['in'] === 'path').map(({ name }) => name as string),
      ).toEqual(inPath);
    }
    expect(ids.size).toBe(routes.length);
    expect(
      json['paths']['/api/v1/injuries'].post.requestBody.content['application/json'].schema.properties.mechanism,
    ).toBeDefined();
    expect(JSON.stringify(json)).not.toContain('"$schema"');
  });

  it('is a page that works offline', async () => {
    const page = await send('GET', '/docs');
    expect(page.text).toContain('swagger-ui-bundle.js');
    expect(page.text).not.toMatch(/https?:\/\//);
    expect(page.headers.get('content-security-policy')).toMatch("default-src 'none'");
    for (const file of ['swagger-ui.css', 'swagger-ui-bundle.js', 'start.js', 'favicon-32x32.png'])
      expect((await send('GET', `/docs/${file}`)).status).toBe(200);
    expect((await send('GET', '/docs/..%2fpackage.json')).status).toBe(404);
    expect((await send('GET', '/docs/package.json')).status).toBe(404);
  });

  it('lists the words of the field', async () => {
    for (const path of ['/indicators', '/mappings', '/code-systems', '/standard-populations', '/schemas']) {
      const { json, status } = await get(`${path}?limit=1`);
      expect([path, status, (json['data'] as unknown[]).length]).toEqual([path, 200, 1]);
    }
    expect((await get('/indicators/INC-01')).json).toMatchObject({
      code: 'INC-01',
      hash: expect.stringMatching(/^[0-9a-f]{64}$/),
    });
    const schema = await get('/schemas/org.vigil.injury.reported.v1');
    expect(schema.headers.get('content-type')).toMatch('application/schema+json');
    expect(schema.json['properties']).toHaveProperty('recordId');
    const incident = await get('/schemas/org.vigil.incident.reported.v1');
    expect((incident.json['oneOf'] as Json[]).map((each) => Object.keys(each['properties'] as Json)[0])).toEqual(
      Array(7).fill('kind'),
    );
    expect((await get('/schemas/org.vigil.hazard.identified.v1')).json['required']).toContain('recordId');
    expectProblem(await get('/schemas/org.vigil.injury.reported.v9'), 404, 'schema-not-found');
  });

  it('reports health and metrics, bare and under the prefix', async () => {
    for (const prefix of ['', '/api/v1']) {
      expect((await send('GET', `${prefix}/health/live`)).json).toEqual({ status: 'live' });
      expect((await send('GET', `${prefix}/health/ready`)).json).toMatchObject({
        status: 'ready',
        dependencies: [
          { name: 'postgresql', status: 'up', latencyMs: expect.any(Number) },
          { name: 'projections', status: 'up' },
          { name: 'log-seal', status: 'up' },
        ],
      });
      const metrics = await send('GET', `${prefix}/metrics`);
      for (const name of [
        'vigil_http_request_duration_seconds_bucket',
        'vigil_log_appended_events_total',
        'vigil_projection_lag_events',
        'vigil_projection_lag_seconds',
        'nodejs_eventloop_lag_p99_seconds',
        'vigil_log_append_queue',
        'vigil_log_sealed_position',
        'vigil_log_seal_lag_seconds',
        'vigil_log_seal_breach 0',
        'vigil_jobs',
      ])
        expect([name, metrics.text.includes(name)]).toEqual([name, true]);
    }
  });
});

describe('closing', () => {
  it('finishes what is in flight, ends streams, and lets the next owner in', async () => {
    const live = sse('/live');
    const agent = new Promise<number>((resolve, reject) => {
      // A body that arrives while the server is closing.
      const request = httpRequest(
        `${server.url}/api/v1/injuries`,
        { method: 'POST', headers: { 'content-type': 'application/json' } },
        (response) => {
          response.resume();
          resolve(response.statusCode!);
        },
      );
      request.on('error', reject);
      const body = JSON.stringify(injury());
      request.write(body.slice(0, 20));
      setTimeout(() => request.end(body.slice(20)), 500);
    });
    await new Promise((resolve) => setTimeout(resolve, 200));
    const began = performance.now();
    const closed = server.close();
    await expect(agent).resolves.toBe(201);
    await live;
    await closed;
    expect(performance.now() - began).toBeLessThan(8_000);
    await expect(fetch(`${server.url}/health/live`)).rejects.toThrow();
    const start = performance.now();
    server = await startServer(config, { port: 0, logger });
    expect(performance.now() - start).toBeLessThan(2_000);
    expect((await get('/communities/C-001')).status).toBe(200);
  });
});
