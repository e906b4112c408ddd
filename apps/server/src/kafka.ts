import { hostname } from 'node:os';
import { randomBytes } from 'node:crypto';
import type { EventLog } from '@vigil/event-log';
import {
  createEventPublisher,
  createKafkajsBroker,
  feedOf,
  startFeedConsumer,
  type Broker,
  type DeadLetterStore,
  type FeedCounts,
} from '@vigil/feeds';
import type { KafkaConfig, Logger, SqlClient } from '@vigil/platform';
import { createPostgresStore, createRuntime, type Projections, type Projector, type Runtime } from '@vigil/projections';
import type { Text } from '@vigil/vocabulary';
import { Counter, Gauge, type Registry } from 'prom-client';
import type { DependencyHealth } from './engine';

/** Its name among the projections. */
export const PUBLISHER = 'kafka-publisher';

/** Every type of event, those of later versions too. */
class Every extends Set<string> {
  override has(): boolean {
    return true;
  }
}

/** Publishing as an effect of the projection runtime, with a checkpoint of its own: what can't be published is parked with its stream. */
export const publisherOf = (broker: Broker): Projector => {
  const publish = createEventPublisher(broker);
  return { name: PUBLISHER, kind: 'effect', handles: new Every(), apply: (_tx, events) => publish(events) };
};

/** The read models and, beside them, an effect that runs at its own pace: answers never wait for a broker. */
export const alongside = (projections: Projections, effect: Runtime): Projections => ({
  ...projections,
  status: async () => (await Promise.all([projections.status(), effect.status()])).flat(),
  retry: (name) => (name === PUBLISHER ? effect : projections).retry(name),
  skip: (name, ...decision) => (name === PUBLISHER ? effect : projections).skip(name, ...decision),
});

const createKafkaMetrics = (registry: Registry) => {
  const registers = [registry];
  const records = new Counter({
    name: 'vigil_kafka_records_total',
    help: 'Records of feeds that were settled, by what became of them',
    labelNames: ['feed', 'outcome'],
    registers,
  });
  const lag = new Gauge({
    name: 'vigil_kafka_lag_records',
    help: 'Records of a feed that are not settled yet, in all partitions of the group',
    labelNames: ['feed'],
    registers,
  });
  const up = new Gauge({
    name: 'vigil_kafka_consumer_up',
    help: '1 while the consumer reads, or has no topic to read',
    registers,
  });
  const rebalances = new Counter({
    name: 'vigil_kafka_rebalances_total',
    help: 'How often partitions were given to this consumer anew',
    registers,
  });
  const pauses = new Counter({
    name: 'vigil_kafka_pauses_total',
    help: 'How often a partition was left alone because the log took no more',
    labelNames: ['feed'],
    registers,
  });
  return { records, lag, up, rebalances, pauses };
};

export interface KafkaOptions {
  readonly config: KafkaConfig;
  readonly log: EventLog;
  readonly deadLetters: DeadLetterStore;
  /** For the publisher's checkpoint. */
  readonly sql: SqlClient;
  readonly logger: Logger;
  readonly registry: Registry;
  readonly onCounts: (feed: string, counts: FeedCounts) => void;
  /** Whether this process serves nothing else: then it is down without its broker. */
  readonly alone: boolean;
}

export interface KafkaSide {
  /** Absent when nothing is published. */
  readonly publisher?: Runtime;
  health(): Promise<Omit<DependencyHealth, 'name' | 'latencyMs'>>;
  /** Figures that are looked at when they are asked for. */
  refresh(): void;
  /** As {@link Engine.failed}. */
  readonly failed: Promise<Text>;
  close(): Promise<void>;
}

/** The role `feeds` on Kafka: feeds' topics into the log, the log's events out. A broker that is away is waited for. */
export const startKafka = async (options: KafkaOptions): Promise<KafkaSide> => {
  const { config, log, deadLetters, sql, logger, registry, onCounts, alone } = options;
  const metrics = createKafkaMetrics(registry);
  const broker = createKafkajsBroker(config, logger);
  let publisher: Runtime | undefined;
  const store = createPostgresStore({ sql });
  if (config.publish) {
    const owner = `${hostname()}:${process.pid}:${randomBytes(4).toString('hex')}`;
    publisher = createRuntime({ store, log, projectors: [publisherOf(broker)], owner, logger });
    await publisher.start();
  }
  const consumer = startFeedConsumer({
    broker,
    log,
    deadLetters,
    group: config.group,
    ...(config.feeds && { feeds: config.feeds }),
    logger,
    onCounts: (feed, counts) => {
      metrics.records.inc({ feed, outcome: 'accepted' }, counts.accepted);
      metrics.records.inc({ feed, outcome: 'duplicate' }, counts.duplicates);
      metrics.records.inc({ feed, outcome: 'refused' }, counts.rejected);
      onCounts(feed, counts);
    },
    onRebalance: () => metrics.rebalances.inc(),
    onPause: (feed) => metrics.pauses.inc({ feed }),
  });
  return {
    ...(publisher && { publisher }),
    failed: consumer.failed,
    health: async () => {
      const { state, problem, paused } = consumer.status();
      if (problem) return { status: state === 'failed' || alone ? 'down' : 'degraded', detail: problem };
      if (paused.length > 0)
        return {
          status: 'degraded',
          detail: {
            zh: `日志暂不能写入,已暂停 ${paused.join('、')}`,
            en: `the log takes no more for now; paused: ${paused.join(', ')}`,
          },
        };
      return state === 'starting'
        ? { status: 'degraded', detail: { zh: '正在连接 Kafka', en: 'connecting to Kafka' } }
        : { status: 'up' };
    },
    refresh: () => {
      const { state, lag } = consumer.status();
      metrics.up.set(state === 'consuming' || state === 'waiting' ? 1 : 0);
      const feeds = new Map<string, number>();
      for (const { topic, lag: behind } of lag) {
        const feed = feedOf(topic)!;
        feeds.set(feed, (feeds.get(feed) ?? 0) + Number(behind));
      }
      metrics.lag.reset();
      for (const [feed, behind] of feeds) metrics.lag.set({ feed }, behind);
    },
    close: async () => {
      await consumer.close();
      await publisher?.stop();
      await store.close();
      await broker.close();
    },
  };
};
