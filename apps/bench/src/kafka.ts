import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import {
  createDeadLetterStore,
  createEventPublisher,
  createKafkajsBroker,
  DEAD_LETTER_MIGRATIONS,
  startFeedConsumer,
  topicOf,
  type Broker,
  type OutgoingRecord,
} from '@vigil/feeds';
import { createLogger, migrate } from '@vigil/platform';
import { median, openWorld, seconds, whole, type Figure } from './world';

const SCRIPT = join(__dirname, '../../../deploy/dev/kafka/broker.mjs');
const RECORDS = 100_000;

const record = (feed: string, n: number): OutgoingRecord => {
  const number = `${feed}-${n}`;
  const code = (value: string) => ({ system: 'niss-card', version: '14', code: value });
  const event = {
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
      residence: 'C-002',
      age: { value: n % 90, unit: 'year' },
      sex: n % 2 ? 'F' : 'M',
      mechanism: code(String(1 + (n % 12))),
      intent: code('1'),
      place: code('1'),
      disposition: code('4'),
    },
  };
  return {
    topic: topicOf(feed),
    key: number,
    value: JSON.stringify(event),
    headers: { 'content-type': 'application/cloudevents+json' },
  };
};

const startBroker = async () => {
  const child = spawn(process.execPath, [SCRIPT, '--until-stdin-ends'], { stdio: ['pipe', 'pipe', 'inherit'] });
  const ended = once(child, 'exit');
  let said = '';
  const brokers = await new Promise<string>((resolve, reject) => {
    child.stdout.on('data', (chunk: Buffer) => {
      said += chunk.toString();
      if (said.includes('\n')) resolve((JSON.parse(said) as { brokers: string }).brokers);
    });
    void ended.then(() => reject(new Error('the broker did not start')));
  });
  return {
    brokers,
    stop: async (): Promise<void> => {
      child.kill('SIGTERM');
      await ended;
    },
  };
};

/** Records that wait in a feed's topic until they are durable in the log and settled; and the log's events out. Broker, database and engine share the machine. */
export const benchKafka = async (rounds: number): Promise<Figure[]> => {
  const server = await startBroker();
  const world = await openWorld();
  const logger = createLogger({ level: 'error', program: 'serve' });
  const brokers: Broker[] = [];
  const opened = (): Broker => {
    const broker = createKafkajsBroker({ brokers: [server.brokers], clientId: 'bench' }, logger);
    brokers.push(broker);
    return broker;
  };
  try {
    await migrate(world.sql, DEAD_LETTER_MIGRATIONS);
    const sender = opened();
    const [rates, outRates]: [number[], number[]] = [[], []];
    let lost = 0;
    for (let round = 0; round <= rounds; round++) {
      const feed = `bench-${round}`;
      const count = round === 0 ? RECORDS / 5 : RECORDS; // the first round warms up
      await sender.ensureTopic(topicOf(feed));
      for (let at = 0; at < count; at += 2_000)
        await sender.send(Array.from({ length: Math.min(2_000, count - at) }, (_, n) => record(feed, at + n)));
      const before = await world.log.head();
      let [settled, first] = [0, 0];
      const consumer = startFeedConsumer({
        broker: opened(),
        log: world.log,
        deadLetters: createDeadLetterStore({ sql: world.sql }),
        group: `bench-${round}`,
        feeds: [feed],
        logger,
        onRebalance: () => (first ||= performance.now()),
        onCounts: (_feed, { accepted, duplicates, rejected }) => (settled += accepted + duplicates + rejected),
      });
      while (settled < count) await sleep(5);
      const took = (performance.now() - first) / 1000; // from when it has its partitions
      await consumer.close();
      lost += count - (await world.log.count(before, await world.log.head()));
      if (round === 0) continue;
      rates.push(count / took);

      const publish = createEventPublisher(sender);
      const out = await seconds(async () => {
        for (let after = before, done = 0; done < count; ) {
          const page = await world.log.readAll({ after, limit: 1_000 });
          if (page.length === 0) break;
          await publish(page);
          after = page.at(-1)!.position;
          done += page.length;
        }
      });
      outRates.push(count / out);
    }
    return [
      {
        what: `from a feed’s topic into the log, durable and settled, ${whole(RECORDS)} records in 3 partitions`,
        value: `${whole(median(rates))}/s`,
        aim: '≥ 10,000',
        met: median(rates) >= 10_000,
      },
      { what: 'records that did not become an event', value: whole(lost), aim: '0', met: lost === 0 },
      { what: 'from the log to vigil.events.v1, acknowledged', value: `${whole(median(outRates))}/s` },
    ];
  } finally {
    for (const broker of brokers) await broker.close();
    await world.close();
    await server.stop();
  }
};
