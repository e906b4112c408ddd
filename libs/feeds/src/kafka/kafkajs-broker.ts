import { readFileSync } from 'node:fs';
import type { KafkaConfig, Logger } from '@vigil/platform';
import {
  Kafka,
  logLevel,
  Partitioners,
  type Admin,
  type Consumer,
  type EachBatchPayload,
  type IHeaders,
  type KafkaConfig as KafkaJsSettings,
  type KafkaMessage,
  type Producer,
  type SASLOptions,
} from 'kafkajs';
import {
  BrokerUnavailable,
  RecordRefused,
  type Broker,
  type BrokerRecord,
  type ConsumeOptions,
  type OutgoingRecord,
} from './broker';

/** Shorter than the lease of a projection: a request that hangs is given up before another instance may publish. */
const SEND_MS = 8_000;
const REQUEST_MS = 30_000;
const CONNECT_MS = 5_000;
/** A consumer that is silent for so long loses its partitions; also how long those of a killed one wait. */
const SESSION_MS = 10_000;
/** How long the others are waited for when partitions are given out anew. */
const REBALANCE_MS = 20_000;
/** What one fetch may bring: the most that waits in memory. */
const FETCH_BYTES = 16 * 2 ** 20;
const FETCH_PARTITION_BYTES = 4 * 2 ** 20;
/** How long the broker holds an empty answer; also how late a resumed partition is fetched again, ms. */
const FETCH_WAIT_MS = 500;
const ABREAST = 4;
/** Brokers measure a batch of one partition, not its records: 1 MB by default. */
const SEND_BYTES = 500_000;
const CLOSE_MS = 5_000;

/** What a broker says of a record that it will say again whenever it is asked. */
const REFUSALS: ReadonlySet<string> = new Set([
  'MESSAGE_TOO_LARGE',
  'RECORD_LIST_TOO_LARGE',
  'INVALID_RECORD',
  'CORRUPT_MESSAGE',
  'INVALID_TIMESTAMP',
]);

const causes = function* (error: unknown): Generator<Error & { type?: string }> {
  for (let each = error; each instanceof Error; each = each.cause) yield each;
};

/** The client's errors in the port's words. */
const translated = (error: unknown): Error => {
  const [first] = causes(error);
  const message = first?.message ?? String(error);
  for (const { type } of causes(error))
    if (type !== undefined && REFUSALS.has(type)) return new RecordRefused(message, { cause: error });
  return new BrokerUnavailable(message, { cause: error });
};

const attempt = async <T>(work: Promise<T>): Promise<T> => {
  try {
    return await work;
  } catch (error) {
    throw translated(error);
  }
};

const bytesOf = (value: Buffer | string): Uint8Array => (typeof value === 'string' ? Buffer.from(value) : value);

const headersOf = (headers: IHeaders | undefined): BrokerRecord['headers'] =>
  Object.fromEntries(
    Object.entries(headers ?? {}).map(([name, value]) => [
      name,
      value === undefined ? [] : (Array.isArray(value) ? value : [value]).map(bytesOf),
    ]),
  );

const recordOf = ({ offset, key, value, headers }: KafkaMessage): BrokerRecord => ({
  offset: BigInt(offset),
  key,
  value,
  headers: headersOf(headers),
});

const sizeOf = ({ value, key, headers }: OutgoingRecord): number =>
  (value?.length ?? 0) +
  (key?.length ?? 0) +
  Object.entries(headers).reduce((sum, [name, each]) => sum + name.length + each.length, 70);

/** Pieces of at most so many bytes; one larger record stands alone. */
const pieces = function* (records: readonly OutgoingRecord[]): Generator<OutgoingRecord[]> {
  let piece: OutgoingRecord[] = [];
  let bytes = 0;
  for (const record of records) {
    const size = sizeOf(record);
    if (piece.length > 0 && bytes + size > SEND_BYTES) {
      yield piece;
      [piece, bytes] = [[], 0];
    }
    piece.push(record);
    bytes += size;
  }
  if (piece.length > 0) yield piece;
};

const asBuffer = (value: Uint8Array | string): Buffer =>
  typeof value === 'string' ? Buffer.from(value) : Buffer.from(value.buffer, value.byteOffset, value.byteLength);

const byTopic = (records: readonly OutgoingRecord[]) => {
  const topics = new Map<string, OutgoingRecord[]>();
  for (const record of records) {
    const of = topics.get(record.topic);
    if (of) of.push(record);
    else topics.set(record.topic, [record]);
  }
  return [...topics].map(([topic, of]) => ({
    topic,
    messages: of.map(({ key, value, headers }) => ({
      key: key === null ? null : asBuffer(key),
      value: value === null ? null : asBuffer(value),
      headers: headers as IHeaders,
    })),
  }));
};

/** Waits that long at most: a client that waits for a broker that is gone closes when its socket does. */
const briefly = async (work: Promise<unknown>): Promise<void> => {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<void>((resolve) => (timer = setTimeout(resolve, CLOSE_MS)));
  await Promise.race([work.catch(() => undefined), late]);
  clearTimeout(timer);
};

/**
 * The port over kafkajs 2.2.4. Of it only what it does well is used: no transactions and no idempotent producer, offsets are
 * committed by our word alone, and a consumer that says it won't go on ends for whoever started it.
 * @throws Error when a file of the TLS settings can't be read
 */
export const createKafkajsBroker = (
  config: Pick<KafkaConfig, 'brokers' | 'clientId' | 'ssl' | 'sasl'>,
  logger: Logger,
  { sessionMs = SESSION_MS }: { readonly sessionMs?: number } = {},
): Broker => {
  const { brokers, clientId, ssl, sasl } = config;
  const settings: KafkaJsSettings = {
    clientId,
    brokers: [...brokers],
    ...(ssl && {
      ssl: {
        ...(ssl.ca !== undefined && { ca: [readFileSync(ssl.ca, 'utf8')] }),
        ...(ssl.cert !== undefined && { cert: readFileSync(ssl.cert, 'utf8') }),
        ...(ssl.key !== undefined && { key: readFileSync(ssl.key, 'utf8') }),
      },
    }),
    ...(sasl && { sasl: sasl as SASLOptions }),
    connectionTimeout: CONNECT_MS,
    requestTimeout: REQUEST_MS,
    retry: { initialRetryTime: 200, maxRetryTime: 5_000, retries: 5 },
    logLevel: logLevel.WARN,
    // Its messages name topics, groups and addresses; what they carry besides is left out by the logger's own list.
    logCreator:
      () =>
      ({ level, log, namespace }) => {
        const of = { component: `kafkajs ${namespace}`, reason: [log.message, log['error']].filter(Boolean).join(': ') };
        if (level === logLevel.ERROR) logger.warn(of, 'the Kafka client reports an error');
        else logger.debug(of, 'the Kafka client');
      },
  };
  const kafka = new Kafka(settings);

  let admin: Promise<Admin> | undefined;
  let producer: Promise<Producer> | undefined;
  const consumers = new Set<Consumer>();

  /** One connection, made when first asked for, and again after it couldn't be made. */
  const administer = async <T>(work: (of: Admin) => Promise<T>): Promise<T> => {
    const connecting = (admin ??= (async () => {
      const made = kafka.admin({ retry: { initialRetryTime: 200, maxRetryTime: 1_000, retries: 2 } });
      await made.connect();
      return made;
    })());
    try {
      return await attempt(connecting.then(work));
    } catch (error) {
      if (admin === connecting) admin = undefined;
      void connecting.then((made) => made.disconnect()).catch(() => undefined);
      throw error;
    }
  };

  const producing = async (): Promise<Producer> => {
    const connecting = (producer ??= (async () => {
      const sender = new Kafka({ ...settings, requestTimeout: SEND_MS });
      const made = sender.producer({
        createPartitioner: Partitioners.DefaultPartitioner,
        allowAutoTopicCreation: false,
        retry: { initialRetryTime: 100, maxRetryTime: 500, retries: 2 },
      });
      await made.connect();
      return made;
    })());
    try {
      return await connecting;
    } catch (error) {
      if (producer === connecting) producer = undefined;
      throw error;
    }
  };

  const consume = async ({ group, topics, onBatch, onAssigned, onCrash }: ConsumeOptions) => {
    let passing = false;
    const consumer = kafka.consumer({
      groupId: group,
      sessionTimeout: sessionMs,
      rebalanceTimeout: REBALANCE_MS,
      heartbeatInterval: sessionMs / 4,
      maxBytes: FETCH_BYTES,
      maxBytesPerPartition: FETCH_PARTITION_BYTES,
      maxWaitTimeInMs: FETCH_WAIT_MS,
      allowAutoTopicCreation: false,
      // It never begins again by itself: closed in the middle of that, it would go on unseen. Asked only of what may pass.
      retry: { restartOnFailure: async () => (passing = true) && false },
    });
    consumers.add(consumer);
    const timers = new Set<NodeJS.Timeout>();
    let closing = false;
    const eachBatch = async (payload: EachBatchPayload): Promise<void> => {
      const { batch, resolveOffset, commitOffsetsIfNecessary, heartbeat, isRunning, isStale, pause } = payload;
      const { topic, partition } = batch;
      const last = batch.messages.at(-1)?.offset;
      await onBatch(
        { topic, partition, records: batch.messages.map(recordOf) },
        {
          isOurs: () => isRunning() && !isStale() && !closing,
          heartbeat,
          settle: async ({ offset }) => {
            const at = offset.toString();
            resolveOffset(at);
            // After the last record there may stand marks of a transaction, which never come here.
            const next = BigInt(at === last ? batch.lastOffset() : at) + 1n;
            await commitOffsetsIfNecessary({ topics: [{ topic, partitions: [{ partition, offset: next.toString() }] }] });
            await heartbeat();
          },
          pause: (ms) => {
            const resume = pause();
            const timer = setTimeout(() => {
              timers.delete(timer);
              resume();
            }, ms);
            timers.add(timer);
          },
        },
      );
    };
    consumer.on(consumer.events.GROUP_JOIN, ({ payload: { memberAssignment } }) =>
      onAssigned(new Map(Object.entries(memberAssignment as Record<string, number[]>))),
    );
    consumer.on(consumer.events.CRASH, ({ payload: { error } }) => {
      if (!closing) onCrash(error, !passing);
    });
    const close = async (): Promise<void> => {
      closing = true;
      timers.forEach(clearTimeout);
      consumers.delete(consumer);
      await briefly(consumer.disconnect());
    };
    try {
      await consumer.connect();
      await consumer.subscribe({ topics: [...topics], fromBeginning: true });
      await consumer.run({ autoCommit: false, eachBatchAutoResolve: false, partitionsConsumedConcurrently: ABREAST, eachBatch });
      return { close };
    } catch (error) {
      await close();
      throw translated(error);
    }
  };

  return {
    topics: () => administer((of) => of.listTopics()),
    ensureTopic: (name) =>
      administer(async (of) => void (await of.createTopics({ topics: [{ topic: name }], waitForLeaders: true }))),
    consume,
    send: async (records) => {
      if (records.length === 0) return;
      const sender = await attempt(producing());
      for (const piece of pieces(records))
        await attempt(sender.sendBatch({ topicMessages: byTopic(piece), acks: -1, timeout: SEND_MS }));
    },
    lag: (group, topics) =>
      administer(async (of) => {
        const settled = new Map<string, string>();
        for (const { topic, partitions } of await of.fetchOffsets({ groupId: group, topics: [...topics] }))
          for (const { partition, offset } of partitions) settled.set(`${topic}/${partition}`, offset);
        const ends = await Promise.all(topics.map(async (topic) => ({ topic, of: await of.fetchTopicOffsets(topic) })));
        return ends.flatMap(({ topic, of: partitions }) =>
          partitions.map(({ partition, high, low }) => {
            const at = BigInt(settled.get(`${topic}/${partition}`) ?? -1);
            const from = at > BigInt(low) ? at : BigInt(low);
            return { topic, partition, settled: at, lag: BigInt(high) > from ? BigInt(high) - from : 0n };
          }),
        );
      }),
    close: async () => {
      await Promise.all([
        ...[...consumers].map((consumer) => briefly(consumer.disconnect())),
        briefly(Promise.resolve(admin?.then((made) => made.disconnect()))),
        briefly(Promise.resolve(producer?.then((made) => made.disconnect()))),
      ]);
    },
  };
};
