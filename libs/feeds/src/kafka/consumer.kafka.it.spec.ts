import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { createPostgresLog, LOG_MIGRATIONS, LogUnavailable, START, type EventLog } from '@vigil/event-log';
import { connect, createLogger, migrate, type SqlClient } from '@vigil/platform';
import { createRandom, freshDatabase, kafkaIsHere, startTestBroker, type FreshDatabase, type TestBroker } from '@vigil/testing';
import { build } from 'esbuild';
import { Kafka, logLevel, type Message } from 'kafkajs';
import { createDeadLetterStore, DEAD_LETTER_MIGRATIONS, retryLetter, type DeadLetterStore } from '../dead-letters';
import type { Broker } from './broker';
import { startFeedConsumer, type FeedConsumer, type FeedConsumerOptions } from './feed-consumer';
import { createKafkajsBroker } from './kafkajs-broker';
import { DEAD_LETTER_TOPIC, topicOf } from './record';

jest.setTimeout(240_000);

/** How often the consumer is killed in the last spec. */
const KILLS = Number(process.env['VIGIL_KAFKA_KILLS'] ?? 10);

const SESSION_MS = 1_500;
const logger = createLogger({ level: 'silent', program: 'serve' });

const code = (value: string) => ({ system: 'niss-card', version: '14', code: value });
const report = (feed: string, number: string, more: object = {}) => ({
  specversion: '1.0',
  type: 'org.vigil.injury.reported.v1',
  source: `/feeds/${feed}`,
  id: `${number}-1`,
  subject: number,
  time: '2026-03-02T01:10:00Z',
  datacontenttype: 'application/json',
  data: {
    recordId: number,
    occurredAt: '2026-03-02',
    knownAt: '2026-03-02T09:10:00+08:00',
    visit: 'first',
    community: 'C-001',
    age: { value: 71, unit: 'year' },
    sex: 'F',
    mechanism: code('3'),
    ...more,
  },
});
const correction = (feed: string, number: string, sex = 'M') => ({
  ...report(feed, number),
  type: 'org.vigil.injury.corrected.v1',
  id: `${number}-2`,
  data: { recordId: number, replaces: { sex }, reason: 'typing error' },
});
const structured = (event: { readonly subject: string; readonly [more: string]: unknown }): Message => ({
  key: event.subject,
  value: JSON.stringify(event),
  headers: { 'content-type': 'application/cloudevents+json; charset=utf-8' },
});
const binary = ({ data, datacontenttype, ...attributes }: ReturnType<typeof report>): Message => ({
  key: attributes.subject,
  value: JSON.stringify(data),
  headers: {
    'content-type': datacontenttype,
    ...Object.fromEntries(Object.entries(attributes).map(([name, value]) => [`ce_${name}`, value])),
  },
});

(kafkaIsHere() ? describe : describe.skip)('feeds on Kafka', () => {
  let server: TestBroker;
  let client: Kafka;
  let produce: (topic: string, messages: Message[]) => Promise<void>;
  let program: { path: string; remove(): Promise<void> };
  let database: FreshDatabase;
  let sql: SqlClient;
  let log: EventLog;
  let letters: DeadLetterStore;
  let feed: string;
  let count = 0;
  let looking: Broker | undefined;
  const closers: (() => Promise<unknown>)[] = [];

  beforeAll(async () => {
    const folder = await mkdtemp(join(tmpdir(), 'vigil-kafka-spec-'));
    program = { path: join(folder, 'consumer.js'), remove: () => rm(folder, { recursive: true, force: true }) };
    [server] = await Promise.all([
      startTestBroker({ 'group.min.session.timeout.ms': '500' }),
      build({
        entryPoints: [join(__dirname, 'consumer.fixture.ts')],
        outfile: program.path,
        bundle: true,
        platform: 'node',
        target: 'node20',
        format: 'cjs',
        logLevel: 'error',
      }),
    ]);
    client = new Kafka({ brokers: [server.brokers], clientId: 'sender', logLevel: logLevel.NOTHING });
    const sender = client.producer({ allowAutoTopicCreation: false });
    await sender.connect();
    produce = async (topic, messages) => {
      for (let at = 0; at < messages.length; at += 500) await sender.send({ topic, messages: messages.slice(at, at + 500) });
    };
  });
  afterAll(async () => {
    await server?.stop();
    await program?.remove();
  });
  beforeEach(async () => {
    feed = `clinic-${++count}`;
    looking = undefined;
    database = await freshDatabase();
    sql = connect(database.url, { applicationName: 'kafka-spec' });
    await migrate(sql, [...LOG_MIGRATIONS, ...DEAD_LETTER_MIGRATIONS]);
    log = createPostgresLog({ sql });
    letters = createDeadLetterStore({ sql });
    await newTopic(topicOf(feed));
  });
  afterEach(async () => {
    for (const close of closers.splice(0).reverse()) await close();
    await log.close();
    await sql.end({ timeout: 5 });
    await database.drop();
  });

  const newTopic = async (topic: string, configEntries: { name: string; value: string }[] = []): Promise<void> => {
    const admin = client.admin();
    await admin.connect();
    await admin.createTopics({ topics: [{ topic, numPartitions: 3, configEntries }], waitForLeaders: true });
    await admin.disconnect();
  };

  const opened = (): Broker => {
    const broker = createKafkajsBroker({ brokers: [server.brokers], clientId: 'vigil-spec' }, logger, { sessionMs: SESSION_MS });
    closers.push(broker.close);
    return broker;
  };
  const consuming = (more: Partial<FeedConsumerOptions> = {}): FeedConsumer & { counts: Record<string, number> } => {
    const counts: Record<string, number> = { accepted: 0, duplicates: 0, rejected: 0 };
    const consumer = startFeedConsumer({
      broker: opened(),
      log,
      deadLetters: letters,
      group: `group-${feed}`,
      feeds: [feed],
      logger,
      lookEveryMs: 200,
      onCounts: (_feed, of) => Object.entries(of).forEach(([name, n]) => (counts[name]! += n as number)),
      ...more,
    });
    closers.push(consumer.close);
    return { ...consumer, counts };
  };

  const until = async (holds: () => boolean | Promise<boolean>, ms = 60_000): Promise<number> => {
    const began = performance.now();
    while (!(await holds())) {
      if (performance.now() - began > ms) throw new Error(`not within ${ms} ms`);
      await sleep(50);
    }
    return performance.now() - began;
  };
  /** Sender's ids of what is in the log, in its order. */
  const logged = async (): Promise<string[]> => {
    const ids: string[] = [];
    for (let after = START; ; ) {
      const page = await log.readAll({ after, limit: 5_000 });
      for (const { metadata } of page) ids.push((JSON.parse(metadata) as { id: string }).id);
      if (page.length < 5_000) return ids;
      after = page.at(-1)!.position;
    }
  };
  const total = ({ counts }: { counts: Record<string, number> }): number =>
    counts['accepted']! + counts['duplicates']! + counts['rejected']!;
  const lagOf = async (): Promise<bigint> =>
    (await (looking ??= opened()).lag(`group-${feed}`, [topicOf(feed)])).reduce((sum, { lag }) => sum + lag, 0n);
  const settledAll = async (): Promise<boolean> => (await lagOf()) === 0n;

  const worker = (env: Record<string, string> = {}): { child: ChildProcess; ended: Promise<unknown>; said: () => string } => {
    let said = '';
    const child = spawn(process.execPath, [program.path], {
      env: {
        PATH: process.env['PATH'],
        TZ: 'UTC',
        SPEC_DATABASE: database.url,
        SPEC_BROKERS: server.brokers,
        SPEC_GROUP: `group-${feed}`,
        SPEC_FEED: feed,
        SPEC_SESSION_MS: String(SESSION_MS),
        ...env,
      },
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    child.stdout.on('data', (chunk: Buffer) => (said += chunk.toString()));
    const ended = once(child, 'exit');
    closers.push(async () => {
      child.kill('SIGKILL');
      await ended;
    });
    return { child, ended, said: () => said };
  };

  it('takes both modes, and what is delivered or sent again adds nothing', async () => {
    const numbers = Array.from({ length: 60 }, (_, n) => `r${n}`);
    const messages = numbers.flatMap((number, n) => [
      (n % 2 ? structured : binary)(report(feed, number)),
      structured(correction(feed, number)),
    ]);
    await produce(topicOf(feed), messages);
    const first = consuming();
    await until(() => total(first) === 120);
    expect(first.counts).toEqual({ accepted: 120, duplicates: 0, rejected: 0 });
    await produce(topicOf(feed), messages);
    await until(() => total(first) === 240);
    expect(first.counts).toEqual({ accepted: 120, duplicates: 120, rejected: 0 });
    // A group that has settled nothing is delivered everything.
    const second = consuming({ group: `other-${feed}` });
    await until(() => total(second) === 240);
    expect(second.counts).toEqual({ accepted: 0, duplicates: 240, rejected: 0 });
    expect((await logged()).sort()).toEqual(numbers.flatMap((number) => [`${number}-1`, `${number}-2`]).sort());
    await until(() => first.status().lag.every(({ lag }) => lag === 0n));
    expect(first.status().state).toBe('consuming');
  });

  it('reads a topic that was made after it began', async () => {
    const late = `${feed}-late`;
    const consumer = consuming({ feeds: [late] });
    await until(() => consumer.status().state === 'waiting');
    await newTopic(topicOf(late));
    await produce(topicOf(late), [structured(report(late, 'r1'))]);
    await until(() => consumer.counts['accepted'] === 1);
  });

  it('sets poison aside, in store and topic, and takes every other record', async () => {
    const good = Array.from({ length: 40 }, (_, n) => structured(report(feed, `g${n}`)));
    const sent = report(feed, 'p');
    const named = { ...report(feed, 'p-name'), data: { ...report(feed, 'p-name').data, patientName: 'CANARY-7f3' } };
    const poison: Record<string, Message> = {
      'nul-character': structured({ ...sent, id: 'nul', data: { ...sent.data, community: 'C\0' } }),
      'lone-surrogate': { key: 'p', value: JSON.stringify(sent).replace('C-001', '\\ud800') },
      'unknown-event-type': structured({ ...sent, id: 'type', type: 'org.vigil.injury.reported.v99' }),
      'record-too-large': structured({ ...sent, id: 'large', data: { ...sent.data, community: 'x'.repeat(5_000_000) } }),
      'invalid-encoding': { key: 'p', value: Buffer.from([0x7b, 0xff, 0xfe, 0x7d]) },
      'invalid-json': { key: 'p', value: '{"specversion": "1.0", ' },
      'empty-record': { key: 'p', value: null },
      'identity-not-accepted': structured(named),
      'too-deep': { key: 'p', value: `${'['.repeat(100_000)}${']'.repeat(100_000)}` },
      'invalid-header': { ...binary(sent), headers: { ...binary(sent).headers, ce_id: ['a', 'b'] } },
      'unsupported-media-type': { ...binary(sent), headers: { ...binary(sent).headers, 'content-type': 'text/xml' } },
      'missing-field': { key: 'p', value: '{}' },
      'subject-mismatch': structured({ ...sent, id: 'subject', subject: 'q' }),
    };
    const bad = Object.entries(poison);
    const messages = good.flatMap((message, n) => (bad[n] ? [message, bad[n][1]] : [message]));
    await newTopic(topicOf(`${feed}-p`), [{ name: 'max.message.bytes', value: '10000000' }]);
    const consumer = consuming({ feeds: [`${feed}-p`] });
    for (const message of messages) await produce(topicOf(`${feed}-p`), [message]);
    await until(() => total(consumer) === messages.length);
    expect(consumer.counts).toEqual({ accepted: 40, duplicates: 0, rejected: bad.length });

    const kept = await letters.list({ limit: 100 });
    expect(kept.map(({ problem }) => problem.code).sort()).toEqual(bad.map(([name]) => name).sort());
    const byCode = async (name: string) => (await letters.get(kept.find(({ problem }) => problem.code === name)!.id))!;
    expect(await byCode('record-too-large')).toMatchObject({ payload: null, withheld: 'too-large', bytes: expect.any(Number) });
    const identity = await byCode('identity-not-accepted');
    expect(identity.removed).toEqual(['/data/patientName']);
    expect(Buffer.from(identity.payload!).toString()).not.toContain('CANARY');
    expect(Buffer.from((await byCode('invalid-encoding')).payload!)).toEqual(Buffer.from([0x7b, 0xff, 0xfe, 0x7d]));

    // The same letters in the topic, and no identity among them.
    const found: { id: string; value: string }[] = [];
    const reader = client.consumer({ groupId: `reader-${feed}` });
    closers.push(() => reader.disconnect());
    await reader.connect();
    await reader.subscribe({ topics: [DEAD_LETTER_TOPIC], fromBeginning: true });
    await reader.run({
      eachMessage: async ({ message }) =>
        void found.push({ id: String(message.headers!['dead-letter-id']), value: String(message.value) }),
    });
    const ids = kept.map(({ id }) => id);
    await until(() => ids.every((id) => found.some((each) => each.id === id)));
    expect(JSON.stringify(found)).not.toContain('CANARY');

    // What is delivered again is the same letters.
    const again = consuming({ group: `again-${feed}`, feeds: [`${feed}-p`] });
    await until(() => total(again) === messages.length);
    expect((await letters.list({ limit: 100 })).length).toBe(bad.length);
  });

  it('a dead letter is tried again as it was or mended; the original stays', async () => {
    const consumer = consuming();
    await produce(topicOf(feed), [structured(correction(feed, 'early')), structured(report(feed, 'wrong', { sex: 'Z' }))]);
    await until(() => consumer.counts['rejected'] === 2);
    const open = await letters.list({ status: 'open', feed, limit: 10 });
    const early = (await letters.get(open.find(({ eventId }) => eventId === 'early-2')!.id))!;
    const wrong = (await letters.get(open.find(({ eventId }) => eventId === 'wrong-1')!.id))!;

    // The correction came before its report: once that is here, the letter as it was is taken.
    expect(await retryLetter({ log, store: letters }, early)).toMatchObject({ ok: true, value: { status: 'rejected' } });
    await produce(topicOf(feed), [structured(report(feed, 'early'))]);
    await until(() => consumer.counts['accepted'] === 1);
    expect(await retryLetter({ log, store: letters }, early)).toMatchObject({ ok: true, value: { status: 'accepted' } });
    expect(await retryLetter({ log, store: letters }, early)).toMatchObject({ ok: true, value: { status: 'duplicate' } });

    expect(await retryLetter({ log, store: letters }, wrong, report(feed, 'wrong', { sex: 'X' }))).toMatchObject({
      value: { status: 'accepted' },
    });
    const after = (await letters.get(wrong.id))!;
    expect(after).toMatchObject({ status: 'settled', retries: [{ status: 'accepted', edited: true }] });
    expect(JSON.parse(Buffer.from(after.payload!).toString())).toMatchObject({ data: { sex: 'Z' } });
    expect((await letters.get(early.id))!.retries.map(({ status }) => status)).toEqual(['rejected', 'accepted', 'duplicate']);
    expect(await letters.list({ status: 'open', limit: 10 })).toEqual([]);
    expect((await logged()).sort()).toEqual(['early-1', 'early-2', 'wrong-1']);
  });

  it('killed between append and commit it loses nothing and doubles nothing', async () => {
    const numbers = Array.from({ length: 3_000 }, (_, n) => `k${n}`);
    await produce(
      topicOf(feed),
      numbers.map((number) => structured(report(feed, number))),
    );
    const dying = worker({ VIGIL_CRASH: 'kafka.after-append:2' });
    await dying.ended;
    expect(dying.child.signalCode).toBe('SIGKILL');
    expect((await logged()).length).toBeGreaterThan(0);
    expect(await settledAll()).toBe(false);
    const consumer = consuming();
    await until(async () => total(consumer) > 0 && (await settledAll()));
    expect(consumer.counts['duplicates']).toBeGreaterThan(0); // what the dead one had appended and not committed
    expect((await logged()).sort()).toEqual(numbers.map((number) => `${number}-1`).sort());
  });

  it('two consumers share the partitions; when one goes the other takes them over', async () => {
    const numbers = Array.from({ length: 4_000 }, (_, n) => `s${n}`);
    const messages = numbers.flatMap((number) => [structured(report(feed, number)), structured(correction(feed, number))]);
    const one = consuming();
    await until(() => [...one.status().assigned.values()].flat().length === 3);
    const sending = produce(topicOf(feed), messages);
    const other = consuming();
    await until(
      () =>
        [...one.status().assigned.values()].flat().length > 0 &&
        [...other.status().assigned.values()].flat().length > 0 &&
        [...one.status().assigned.values(), ...other.status().assigned.values()].flat().length === 3,
    );
    await sending;
    await one.close();
    await until(async () => [...other.status().assigned.values()].flat().length === 3 && (await settledAll()));
    expect((await logged()).sort()).toEqual(numbers.flatMap((number) => [`${number}-1`, `${number}-2`]).sort());
    expect(one.counts['rejected']! + other.counts['rejected']!).toBe(0); // a correction never overtook its report
  });

  it('pauses while the log takes nothing, and goes on when it does', async () => {
    const away = { now: true };
    const moody: EventLog = {
      ...log,
      appendMany: (requests) => (away.now ? Promise.reject(new LogUnavailable('away')) : log.appendMany(requests)),
    };
    let pauses = 0;
    const consumer = consuming({ log: moody, onPause: () => pauses++, stallMs: 600 });
    await produce(topicOf(feed), [structured(report(feed, 'a')), structured(report(feed, 'b'))]);
    await until(() => pauses >= 4);
    expect(consumer.status()).toMatchObject({ state: 'consuming' }); // what waits on purpose isn't stalled
    expect(await logged()).toEqual([]);
    away.now = false;
    await until(() => consumer.counts['accepted'] === 2);
    expect(consumer.status().paused).toEqual([]);
  });

  it('says so and ends when records wait and none is settled', async () => {
    let giveUp: (error: Error) => void = () => undefined;
    const hanging: EventLog = { ...log, appendMany: () => new Promise((_, reject) => (giveUp = reject)) };
    const consumer = consuming({ log: hanging, stallMs: 2_000 });
    await produce(topicOf(feed), [structured(report(feed, 'a'))]);
    expect(await consumer.failed).toMatchObject({ en: expect.stringContaining('none was settled') });
    expect(consumer.status().state).toBe('failed');
    giveUp(new LogUnavailable('away'));
  });

  it('says so and ends when the client gives up, as at a codec that it lacks', async () => {
    const topic = topicOf(`${feed}-z`);
    await newTopic(topic, [{ name: 'compression.type', value: 'snappy' }]);
    await produce(topic, [structured(report(`${feed}-z`, 'a'))]);
    const consumer = consuming({ feeds: [`${feed}-z`] });
    expect(await consumer.failed).toMatchObject({ en: expect.stringMatching(/stopped: .*snappy/i) });
  });

  it('a broker that stands still for 10 s: caught up within 10 s of its return, nothing lost', async () => {
    const numbers = Array.from({ length: 5_000 }, (_, n) => `f${n}`);
    const consumer = consuming();
    await until(() => consumer.status().assigned.size > 0);
    const sending = produce(
      topicOf(feed),
      numbers.map((number) => structured(report(feed, number))),
    );
    await until(() => consumer.counts['accepted']! > 0);
    server.freeze();
    await sleep(10_000);
    server.thaw();
    const ms = await until(async () => (await logged()).length === numbers.length);
    await sending;
    await until(settledAll);
    expect((await logged()).sort()).toEqual(numbers.map((number) => `${number}-1`).sort());
    expect(consumer.status().state).not.toBe('failed');
    expect(ms).toBeLessThan(10_000);
  });

  it(
    `killed ${KILLS} times at any moment: the log is the input`,
    async () => {
      const random = createRandom(20260302);
      const numbers = Array.from({ length: KILLS * 600 }, (_, n) => `n${n}`);
      const messages = numbers.flatMap((number) => [structured(report(feed, number)), structured(correction(feed, number))]);
      const sending = (async () => {
        for (let at = 0; at < messages.length; at += 400) {
          await produce(topicOf(feed), messages.slice(at, at + 400));
          await sleep(250);
        }
      })();
      for (let kill = 0; kill < KILLS; kill++) {
        const one = worker(
          kill % 3 === 0
            ? { VIGIL_CRASH: 'kafka.after-append:3' }
            : kill % 3 === 1
              ? { VIGIL_CRASH: 'kafka.after-commit:2' }
              : {},
        );
        await Promise.race([until(() => one.said().includes('joined')), one.ended]);
        await Promise.race([sleep(random.below(1_000)), one.ended]);
        one.child.kill('SIGKILL');
        await one.ended;
      }
      await sending;
      const last = worker();
      await until(() => last.said().includes('joined'));
      // However much is left: as long as some of it is settled, it is waited for.
      for (let left = await lagOf(); left > 0n; ) {
        const before = left;
        await until(async () => (left = await lagOf()) < before);
      }
      const wanted = numbers.flatMap((number) => [`${number}-1`, `${number}-2`]);
      expect((await logged()).sort()).toEqual(wanted.sort());
      expect(await letters.list({ limit: 10 })).toEqual([]);
    },
    60_000 + KILLS * 18_000,
  );
});
