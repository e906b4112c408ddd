import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { randomUUID } from 'node:crypto';
import { createPostgresLog, LOG_MIGRATIONS, type EventLog } from '@vigil/event-log';
import { BrokerUnavailable, createKafkajsBroker, EVENTS_TOPIC, topicOf, type Broker } from '@vigil/feeds';
import { connect, createLogger, migrate, readConfig, type SqlClient } from '@vigil/platform';
import { createPostgresStore, createRuntime, PROJECTION_MIGRATIONS, type Runtime } from '@vigil/projections';
import { freshDatabase, kafkaIsHere, startTestBroker, type FreshDatabase, type TestBroker } from '@vigil/testing';
import { fingerprint } from '@vigil/vocabulary';
import { Kafka, logLevel, type IHeaders } from 'kafkajs';
import { startServer } from './index';
import { PUBLISHER, publisherOf } from './kafka';
import type { Json } from './served.fixture';

jest.setTimeout(180_000);

const logger = createLogger({ level: 'silent', program: 'serve' });

(kafkaIsHere() ? describe : describe.skip)('a server with Kafka', () => {
  let server: TestBroker;
  let client: Kafka;
  let database: FreshDatabase;
  let sql: SqlClient;
  let log: EventLog;
  const closers: (() => Promise<unknown>)[] = [];

  beforeEach(async () => {
    server = await startTestBroker();
    client = new Kafka({ brokers: [server.brokers], clientId: 'spec', logLevel: logLevel.NOTHING });
    database = await freshDatabase();
    sql = connect(database.url, { applicationName: 'kafka-spec' });
    log = createPostgresLog({ sql });
  });
  afterEach(async () => {
    for (const close of closers.splice(0).reverse()) await close();
    await log.close();
    await sql.end({ timeout: 5 });
    await database.drop();
    await server.stop();
  });

  const until = async (holds: () => boolean | Promise<boolean>, ms = 40_000): Promise<void> => {
    for (const end = Date.now() + ms; !(await holds()); await sleep(50))
      if (Date.now() > end) throw new Error(`not within ${ms} ms`);
  };

  interface Published {
    readonly partition: number;
    readonly key: string;
    readonly value: string;
    readonly headers: Record<string, string>;
  }
  /** What comes by a topic, from its beginning. */
  const listening = async (topic: string): Promise<Published[]> => {
    const found: Published[] = [];
    let closed = false;
    const reader = client.consumer({
      groupId: `reader-${randomUUID()}`,
      maxWaitTimeInMs: 100,
      retry: { restartOnFailure: async () => !closed }, // closed while it begins again, it would keep jest from ending
    });
    closers.push(() => ((closed = true), reader.disconnect()));
    await reader.connect();
    await reader.subscribe({ topics: [topic], fromBeginning: true });
    const texts = (headers: IHeaders = {}) =>
      Object.fromEntries(Object.entries(headers).map(([name, value]) => [name, String(value)]));
    await reader.run({
      eachMessage: async ({ partition, message }) =>
        void found.push({ partition, key: String(message.key), value: String(message.value), headers: texts(message.headers) }),
    });
    return found;
  };

  describe('publishes the log', () => {
    beforeEach(() => migrate(sql, [...LOG_MIGRATIONS, ...PROJECTION_MIGRATIONS]));

    let revisions = new Map<string, number>();
    beforeEach(() => (revisions = new Map()));
    const append = async (streams: number, each: number): Promise<void> => {
      const requests = Array.from({ length: streams * each }, (_, n) => {
        const stream = `ticks-${n % streams}`;
        const revision = revisions.get(stream) ?? -1;
        revisions.set(stream, revision + 1);
        const data = `{ "n" : ${revision + 1}, "nonce" : "${randomUUID()}" }`;
        const event = {
          id: randomUUID(),
          type: 'Ticked',
          version: 1,
          data,
          metadata: '{"source":"/spec"}',
          fingerprint: fingerprint(data),
        };
        return { stream, expected: revision < 0 ? ('none' as const) : revision, events: [event] };
      });
      const outcomes = await log.appendMany(requests);
      expect(outcomes.every(({ kind }) => kind === 'appended')).toBe(true);
    };
    const publishing = async (broker: Broker, crashPoint?: (name: string) => void): Promise<Runtime> => {
      const store = createPostgresStore({ sql });
      const runtime = createRuntime({ store, log, projectors: [publisherOf(broker)], owner: randomUUID(), crashPoint });
      await runtime.start();
      let stopped: Promise<void> | undefined;
      const stop = () => (stopped ??= runtime.stop().then(() => store.close()));
      closers.push(stop);
      return { ...runtime, stop };
    };
    const opened = (): Broker => {
      const broker = createKafkajsBroker({ brokers: [server.brokers], clientId: 'vigil-spec' }, logger);
      closers.push(broker.close);
      return broker;
    };
    /** Each stream's revisions in the order they came. */
    const byStream = (found: readonly Published[]): Map<string, number[]> => {
      const streams = new Map<string, number[]>();
      for (const { key, headers } of found) streams.set(key, [...(streams.get(key) ?? []), Number(headers['revision'])]);
      return streams;
    };
    const dense = (revisions: readonly number[]): number[] => [...new Set(revisions)];

    it('each event with its bytes, position and stream; in order per stream; going on where it stopped', async () => {
      await append(20, 30);
      const first = await publishing(opened());
      await until(async () => (await first.status())[0]!.lagEvents === 0);
      await first.stop();
      await append(20, 20);
      const second = await publishing(opened());
      await until(async () => (await second.status())[0]!.lagEvents === 0);
      const found = await listening(EVENTS_TOPIC);
      await until(() => found.length >= 1_000);
      await sleep(300);
      expect(found.length).toBe(1_000); // stopped in order, it repeats nothing
      for (const [, revisions] of byStream(found)) expect(revisions).toEqual(Array.from({ length: 50 }, (_, n) => n));
      expect(new Set(found.map(({ key, partition }) => `${key} ${partition}`)).size).toBe(20);
      const events = new Map(
        (await log.readAll({ after: 0n as never, limit: 2_000 })).map((event) => [event.position.toString(), event]),
      );
      for (const { key, value, headers } of found) {
        const event = events.get(headers['position']!)!;
        expect([key, value, headers['ce_type'], headers['ce_time'], headers['metadata']]).toEqual([
          event.stream, event.data, event.type, event.recordedAt, event.metadata,
        ]); // prettier-ignore
      }
    });

    it('again after a fault between sending and the checkpoint: repeated, not lost, and in order', async () => {
      await append(5, 100);
      let faults = 3;
      const flaky = await publishing(opened(), (name) => {
        if (name === 'projector.after-effect' && faults-- > 0)
          throw Object.assign(new Error('the database went away'), { code: 'ECONNRESET' });
      });
      await until(async () => (await flaky.status())[0]!.lagEvents === 0);
      const found = await listening(EVENTS_TOPIC);
      await until(() => found.length >= 2_000);
      for (const [, revisions] of byStream(found)) expect(dense(revisions)).toEqual(Array.from({ length: 100 }, (_, n) => n));
    });

    it('waits for a broker that stands still, and parks nothing', async () => {
      const broker = opened();
      const runtime = await publishing(broker);
      await append(5, 10);
      await until(async () => (await runtime.status())[0]!.lagEvents === 0);
      server.freeze();
      await append(5, 40);
      await sleep(10_000);
      expect((await runtime.status())[0]).toMatchObject({ lagEvents: 200, parked: [] });
      server.thaw();
      await until(async () => (await runtime.status())[0]!.lagEvents === 0);
      expect((await runtime.status())[0]!.parked).toEqual([]);
      const found = await listening(EVENTS_TOPIC);
      await until(() => [...byStream(found).values()].filter((revisions) => dense(revisions).length === 50).length === 5);
      for (const [, revisions] of byStream(found)) expect(dense(revisions)).toEqual(Array.from({ length: 50 }, (_, n) => n));
    });

    it('parks what the broker won’t ever take, with what follows in its stream; the others go on', async () => {
      const broker = opened();
      await broker.ensureTopic(EVENTS_TOPIC);
      const runtime = await publishing(broker);
      const data = JSON.stringify({ x: 'x'.repeat(11_000_000) });
      const event = { id: randomUUID(), type: 'Ticked', version: 1, data, metadata: '{}', fingerprint: fingerprint(data) };
      await log.append({ stream: 'ticks-0', expected: 'none', events: [event] });
      revisions.set('ticks-0', 0);
      await append(3, 5);
      await until(async () => (await runtime.status())[0]!.lagEvents === 0);
      expect((await runtime.status())[0]!.parked.map(({ stream }) => stream)).toEqual(Array.from({ length: 6 }, () => 'ticks-0'));
      const found = await listening(EVENTS_TOPIC);
      await until(() => found.length >= 10);
      expect([...byStream(found).keys()].sort()).toEqual(['ticks-1', 'ticks-2']);
    });

    it('a broker that isn’t there is no fault of the events', async () => {
      await append(1, 3);
      const gone = createKafkajsBroker({ brokers: ['127.0.0.1:1'], clientId: 'vigil-spec' }, logger);
      closers.push(gone.close);
      await expect(gone.send([{ topic: 't', key: null, value: 'x', headers: {} }])).rejects.toBeInstanceOf(BrokerUnavailable);
      const runtime = await publishing(gone);
      await sleep(3_000);
      expect((await runtime.status())[0]).toMatchObject({ lagEvents: 3, parked: [] });
    });
  });

  it('takes feeds by topics, tells of them, keeps what it refuses, and publishes what it took', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'vigil-kafka-server-'));
    closers.push(() => rm(folder, { recursive: true, force: true }));
    const admin = client.admin();
    await admin.connect();
    await admin.createTopics({ topics: [{ topic: topicOf('clinic-03') }] });
    await admin.disconnect();
    const config = readConfig({ VIGIL_DATA_DIR: folder, PORT: '0', DATABASE_URL: database.url, KAFKA_BROKERS: server.brokers });
    if (!config.ok) throw new Error(JSON.stringify(config.faults));
    const running = await startServer(config.value, { logger });
    closers.push(running.close);
    const ask = async (method: string, path: string, body?: unknown): Promise<{ status: number; json: Json; text: string }> => {
      const response = await fetch(`${running.url}${path}`, {
        method,
        ...(body !== undefined && { body: JSON.stringify(body), headers: { 'content-type': 'application/json' } }),
      });
      const text = await response.text();
      return { status: response.status, text, json: text.startsWith('{') ? (JSON.parse(text) as Json) : {} };
    };
    const event = (number: string, community: unknown = 'C-001') => ({
      specversion: '1.0',
      type: 'org.vigil.injury.reported.v1',
      source: '/feeds/clinic-03',
      id: `${number}-1`,
      subject: number,
      data: { recordId: number, occurredAt: '2026-03-02', knownAt: '2026-03-02T09:10:00+08:00', community },
    });
    const sender = client.producer();
    await sender.connect();
    closers.push(() => sender.disconnect());
    const messages = [event('r1'), event('r2', 7), event('r3'), event('r1')].map((each) => ({
      key: each.subject,
      value: JSON.stringify(each),
    }));
    await sender.send({ topic: topicOf('clinic-03'), messages });

    const feed = () => ask('GET', '/api/v1/feeds/clinic-03');
    await until(async () => {
      const { accepted, duplicates, rejected } = (await feed()).json;
      return accepted + duplicates + rejected === 4;
    });
    expect((await feed()).json).toMatchObject({ accepted: 2, duplicates: 1, rejected: 1 });

    const { json: list } = await ask('GET', '/api/v1/dead-letters?status=open');
    expect(list['data']).toMatchObject([
      {
        feed: 'clinic-03',
        key: 'r2',
        eventId: 'r2-1',
        origin: { topic: topicOf('clinic-03') },
        problem: { code: 'wrong-type', pointer: '/data/community' },
      },
    ]);
    const path = `/api/v1/dead-letters/${list['data'][0].id}`;
    expect((await ask('GET', path)).json).toMatchObject({ payload: event('r2', 7), retries: [] });
    expect(await ask('POST', `${path}/retry`)).toMatchObject({
      status: 200,
      json: { status: 'rejected', problem: { code: 'wrong-type' } },
    });
    expect(await ask('POST', `${path}/retry`, { payload: event('r2') })).toMatchObject({
      status: 200,
      json: { status: 'accepted', edited: true, position: expect.any(Number) },
    });
    expect(await ask('POST', `${path}/retry`, event('r2'))).toMatchObject({ status: 200, json: { status: 'duplicate' } });
    expect((await ask('GET', path)).json).toMatchObject({ status: 'settled', payload: event('r2', 7), retries: [{}, {}, {}] });
    expect((await ask('POST', `${path}/retry`, { ...event('r2'), data: { name: '张三' } })).status).toBe(422);
    expect((await ask('GET', `/api/v1/dead-letters/${randomUUID()}`)).status).toBe(404);
    expect((await ask('GET', '/api/v1/dead-letters?status=open')).json).toEqual({ data: [] });

    // At least once: a topic that is just being made lets the first page be sent again.
    const published = await listening(EVENTS_TOPIC);
    const positions = () => new Set(published.map(({ headers }) => headers['position']));
    await until(() => positions().size === 3);
    expect(new Set(published.map(({ headers }) => headers['ce_type']))).toEqual(new Set(['InjuryReported']));

    expect((await ask('GET', '/api/v1/projections')).json['data']).toContainEqual(
      expect.objectContaining({ name: PUBLISHER, kind: 'effect', state: 'live' }),
    );
    const { status, json: health } = await ask('GET', '/health/ready');
    expect([status, health['dependencies'].find(({ name }: Json) => name === 'kafka').status]).toEqual([200, 'up']);
    const { text } = await ask('GET', '/metrics');
    for (const line of [
      'vigil_kafka_records_total{feed="clinic-03",outcome="accepted"} 2',
      'vigil_kafka_records_total{feed="clinic-03",outcome="duplicate"} 1',
      'vigil_kafka_records_total{feed="clinic-03",outcome="refused"} 1',
      'vigil_kafka_lag_records{feed="clinic-03"}',
      'vigil_kafka_consumer_up 1',
      `vigil_projection_lag_events{projection="${PUBLISHER}"} 0`,
    ])
      expect(text).toContain(line);

    // Without its broker it still answers; it says what is missing.
    await server.stop();
    await until(
      async () =>
        (await ask('GET', '/health/ready')).json['dependencies'].some(
          ({ name, status: is }: Json) => name === 'kafka' && is === 'degraded',
        ),
      90_000,
    );
    expect((await ask('GET', '/health/ready')).status).toBe(200);
  });
});
