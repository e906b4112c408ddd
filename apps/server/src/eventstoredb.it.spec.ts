import { createEventStoreLog } from '@vigil/event-log';
import { connect, createLogger, readConfig, type Config, type SqlClient } from '@vigil/platform';
import { freshDatabase, startEventStorePeer, type EventStorePeer, type FreshDatabase } from '@vigil/testing';
import { randomUUID } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { startEngine, startServer, type Server } from './index';
import { bindLog } from './log-identity';
import type { Json } from './served.fixture';

jest.setTimeout(60_000);

let database: FreshDatabase;
let folder: string;
let peer: EventStorePeer;
let config: Config;
let server: Server | undefined;
const logger = createLogger({ level: 'silent', program: 'serve' });

const configFor = (env: Record<string, string>): Config => {
  const read = readConfig({ VIGIL_DATA_DIR: folder, PORT: '0', DATABASE_URL: database.url, ...env });
  if (!read.ok) throw new Error(JSON.stringify(read.faults));
  return read.value;
};

beforeEach(async () => {
  database = await freshDatabase();
  folder = await mkdtemp(join(tmpdir(), 'vigil-eventstoredb-'));
  peer = await startEventStorePeer();
  config = configFor({ VIGIL_STORE: 'eventstoredb', EVENTSTORE_URL: peer.url() });
});

afterEach(async () => {
  await server?.close();
  server = undefined;
  await peer.close();
  await database.drop();
  await rm(folder, { recursive: true, force: true });
});

const ask = async (
  method: string,
  path: string,
  body?: unknown,
  headers: Record<string, string> = {},
): Promise<{ status: number; json: Json }> => {
  const response = await fetch(`${server!.url}${path}`, {
    method,
    body: body === undefined ? undefined : JSON.stringify(body),
    headers: { ...(body !== undefined && { 'content-type': 'application/json' }), ...headers },
  });
  const text = await response.text();
  return { status: response.status, json: text === '' ? {} : (JSON.parse(text) as Json) };
};

const cloudEvent = (n: number, community = 'C-001') => ({
  specversion: '1.0',
  type: 'org.vigil.injury.reported.v1',
  source: '/feeds/clinic-03',
  id: `11111111-1111-4111-8111-${String(n).padStart(12, '0')}`,
  subject: `rec-${n}`,
  time: '2026-03-02T01:10:00Z',
  datacontenttype: 'application/json',
  data: { recordId: `rec-${n}`, occurredAt: '2026-03-02', knownAt: '2026-03-02T09:10:00+08:00', community },
});
const batch = { 'content-type': 'application/cloudevents-batch+json' };
const push = (events: unknown[], query = '') => ask('POST', `/api/v1/feeds/clinic-03/events${query}`, events, batch);

const register = async (): Promise<void> => {
  const registered = await ask(
    'POST',
    '/api/v1/communities',
    { code: 'C-001', name: { zh: '社区', en: 'Community' }, type: 'street' },
    { 'idempotency-key': 'c-001' },
  );
  expect(registered.status).toBe(201);
};
/** Injuries of March in C-001, once the read models have caught up with what was acknowledged. */
const injuries = async (after: number, query = ''): Promise<number | null> => {
  for (;;) {
    const path = `/api/v1/observations?dimension=dx:INC-01&dimension=pe:2026-03&dimension=ou:C-001${query}`;
    const { status, json } = await ask('GET', path);
    if (status === 200 && (json['meta'].position as number) >= after) return json['data'][0]?.num ?? null;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
};
const dependencies = async (): Promise<Record<string, string>> => {
  const { json } = await ask('GET', '/health/ready');
  return Object.fromEntries((json['dependencies'] as Json[]).map(({ name, status }) => [name, status]));
};

it('takes registrations and pushes, answers from read models in PostgreSQL, and goes on after a restart', async () => {
  server = await startServer(config, { port: 0, logger });
  await register();
  const pushed = await push([1, 2, 3].map((n) => cloudEvent(n)));
  expect(pushed).toMatchObject({ status: 200, json: { accepted: 3, duplicates: 0, rejected: 0 } });
  const { position } = pushed.json as { position: number };
  expect(await injuries(position)).toBe(3);
  expect(await dependencies()).toMatchObject({ postgresql: 'up', eventstoredb: 'up', projections: 'up' });

  await server.close();
  server = await startServer(config, { port: 0, logger });
  const again = await push([2, 3, 4].map((n) => cloudEvent(n)));
  expect(again.json).toMatchObject({ accepted: 1, duplicates: 2 });
  expect(await injuries(again.json['position'] as number)).toBe(4);
  expect(await injuries(0, `&asOfPosition=${position}`)).toBe(3);

  const { json } = await ask('GET', '/api/v1/events?limit=2');
  const { json: rest } = await ask('GET', `/api/v1/events?limit=100&after=${json['next'] as number}`);
  expect([...(json['data'] as Json[]), ...(rest['data'] as Json[])].map(({ type }) => type)).toEqual([
    'CommunityRegistered',
    ...Array.from({ length: 4 }, () => 'InjuryReported'),
  ]);

  for (const kind of ['rebuild', 'check']) {
    const started = await ask('POST', `/api/v1/projections/${kind}`, {}, { 'idempotency-key': kind });
    expect(started.status).toBe(202);
    let job: Json;
    do ({ json: job } = await ask('GET', `/api/v1/jobs/${started.json['jobId'] as string}`));
    while (['queued', 'running'].includes(job['state'] as string));
    expect(job).toMatchObject({ state: 'done' });
    if (kind === 'check') expect((job['result'].projections as Json[]).map(({ equal }) => equal)).not.toContain(false);
  }
  expect(await injuries(0)).toBe(4);
});

it('says that it has no transaction over several records, and takes an atomic batch about one', async () => {
  server = await startServer(config, { port: 0, logger });
  const refused = await push([cloudEvent(1), cloudEvent(2)], '?atomic=true');
  expect(refused).toMatchObject({ status: 422, json: { code: 'not-offered' } });
  expect((await ask('GET', '/api/v1/events')).json['data']).toEqual([]);
  expect((await push([cloudEvent(1)], '?atomic=true')).json).toMatchObject({ accepted: 1 });
});

it('names the store that is down, and goes on when it is back', async () => {
  server = await startServer(config, { port: 0, logger });
  expect((await push([cloudEvent(1)])).json).toMatchObject({ accepted: 1 });
  peer.down();
  expect(await dependencies()).toMatchObject({ postgresql: 'up', eventstoredb: 'down' });
  const waiting = push([cloudEvent(2)]);
  peer.up();
  const { json } = await waiting;
  expect(json).toMatchObject({ accepted: 1 });
  expect(await injuries(json['position'] as number)).toBe(2);
  expect(await dependencies()).toMatchObject({ eventstoredb: 'up' });
});

describe('does not lay one log over the read models of another', () => {
  const foreign = { code: 'foreign-log' };
  const close = async (): Promise<void> => {
    await server?.close();
    server = undefined;
  };
  const filled = async (one: Config): Promise<void> => {
    server = await startServer(one, { port: 0, logger });
    const { json } = await push([1, 2].map((n) => cloudEvent(n)));
    expect(await injuries(json['position'] as number)).toBe(2);
    await close();
  };

  it.each<[string, (sql: SqlClient) => Promise<unknown>]>([
    ['whose first event is known', async () => undefined],
    ['of which only its places are known', (sql) => sql`UPDATE api.log_identity SET first = NULL`],
  ])('%s', async (_, forget) => {
    await filled(config);
    const sql = connect(database.url, { max: 1, applicationName: 'spec' });
    await forget(sql);
    await expect(startEngine(configFor({}), { logger })).rejects.toMatchObject(foreign);
    const another = await startEventStorePeer();
    const other = configFor({ VIGIL_STORE: 'eventstoredb', EVENTSTORE_URL: another.url() });
    const log = createEventStoreLog({ url: another.url() });
    const event = () => ({ id: randomUUID(), type: 'Other', version: 1, data: '{}', metadata: '{}', fingerprint: randomUUID() });
    for (let n = 0; n < 9; n++) await log.append({ stream: `s${n}`, expected: 'none', events: [event()] });
    await log.close();
    await forget(sql);
    await expect(startEngine(other, { logger })).rejects.toMatchObject(foreign);
    await another.close();
    await sql.end();
    server = await startServer(config, { port: 0, logger }); // its own is as welcome as before
    expect(await injuries(0)).toBe(2);
  });

  it('nor EventStoreDB over those of PostgreSQL; an unused database takes either', async () => {
    server = await startServer(configFor({}), { port: 0, logger });
    await close();
    server = await startServer(config, { port: 0, logger });
    await close();
    await filled(configFor({}));
    await expect(startEngine(config, { logger })).rejects.toMatchObject(foreign);
  });
});

it('says at start that the store cannot be reached, or how the connection string is wrong', async () => {
  const wrong = configFor({
    VIGIL_STORE: 'eventstoredb',
    EVENTSTORE_URL: `${peer.url().replace('tls=false', 'tls=true')}&tlsCAFile=/none`,
  });
  await expect(startEngine(wrong, { logger })).rejects.toMatchObject({
    code: 'event-store-unavailable',
    detail: { en: expect.stringMatching(/^EVENTSTORE_URL cannot be used: .*not found/i) },
  });
  peer.down();
  const sql = connect(database.url, { max: 1, applicationName: 'spec' });
  const log = createEventStoreLog({ url: peer.url(), deadlineMs: 200 });
  await expect(bindLog(sql, log, 'eventstoredb')).rejects.toMatchObject({
    code: 'event-store-unavailable',
    detail: { zh: expect.stringMatching(/EventStoreDB/), en: 'the event store (EventStoreDB) cannot be reached' },
  });
  await log.close();
  await sql.end();
});
