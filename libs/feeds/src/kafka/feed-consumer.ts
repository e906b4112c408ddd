import { setTimeout as sleep } from 'node:timers/promises';
import { LogOverloaded, LogUnavailable, type EventLog } from '@vigil/event-log';
import type { Logger } from '@vigil/platform';
import type { Result, Text } from '@vigil/vocabulary';
import { letterOf, type DeadLetter } from '../dead-letters/letter';
import type { DeadLetterStore } from '../dead-letters/store';
import { pushParsed, type PushResult } from '../push/push';
import {
  BrokerUnavailable,
  type BatchControl,
  type Broker,
  type BrokerRecord,
  type PartitionLag,
  type RecordBatch,
} from './broker';
import { DEAD_LETTER_TOPIC, eventOf, feedOf } from './record';
import { createStallDetector } from './stall';

/** Records appended together; as many as a pushed stream takes at a time. */
const WINDOW = 1_000;
/** A batch that takes long tells the broker in between that its consumer lives, ms. */
const ALIVE_MS = 1_000;
/** How long a partition is left alone when the log can't take more, at first and at most, ms. */
const PAUSE_MS = 250;
const MOST_PAUSE_MS = 10_000;
const LOOK_MS = 5_000;
const STALL_MS = 60_000;

export interface FeedCounts {
  readonly accepted: number;
  readonly duplicates: number;
  readonly rejected: number;
}

export interface FeedConsumerOptions {
  readonly broker: Broker;
  readonly log: EventLog;
  readonly deadLetters: DeadLetterStore;
  /** Instances of one group share the partitions. */
  readonly group: string;
  /** Codes; absent: every topic that is named like a feed's, also those made later. */
  readonly feeds?: readonly string[];
  readonly logger: Logger;
  /** What was settled of a feed's records. */
  readonly onCounts?: (feed: string, counts: FeedCounts) => void;
  readonly onRebalance?: () => void;
  readonly onPause?: (feed: string) => void;
  /** Between two looks at topics and lag, ms. */
  readonly lookEveryMs?: number;
  /** Records that wait so long without one being settled: the client hangs, ms. */
  readonly stallMs?: number;
  /** Named points for tests that kill the process there. */
  readonly crashPoint?: (name: 'kafka.after-append' | 'kafka.after-commit') => void;
}

export interface FeedConsumerStatus {
  /** `waiting`: no topic to read yet. `unreachable`: the broker doesn't answer. */
  readonly state: 'starting' | 'consuming' | 'waiting' | 'unreachable' | 'failed' | 'closed';
  readonly topics: readonly string[];
  /** Partitions of this consumer. */
  readonly assigned: ReadonlyMap<string, readonly number[]>;
  /** Of the whole group, as last looked at. */
  readonly lag: readonly PartitionLag[];
  /** Partitions left alone because the log can't take more, as `topic/partition`. */
  readonly paused: readonly string[];
  readonly problem?: Text;
}

export interface FeedConsumer {
  status(): FeedConsumerStatus;
  /** Resolves, with a line for a person, when it can't go on: whoever runs it ends and is started again. Never rejects. */
  readonly failed: Promise<Text>;
  /** Finishes the window under way; what it didn't settle comes again. */
  close(): Promise<void>;
}

/** Not the record's fault: the same may be taken a moment later. */
const LATER = 'stream-moved';

/** The log, its database or the broker is away or full: the same records are tried again. */
class NotNow extends Error {}

/** What belongs to the connection and not to a record. */
const isTransient = (error: unknown): boolean =>
  error instanceof LogUnavailable ||
  error instanceof LogOverloaded ||
  error instanceof BrokerUnavailable ||
  /^(CONNECTION_|CONNECT_|ECONN|EPIPE|57P0|08|53|40001|40P01|55P03|57014|deadline-exceeded)/.test(
    (error as { code?: string }).code ?? '',
  );

const same = (one: readonly string[], other: readonly string[]): boolean =>
  one.length === other.length && one.every((each, index) => each === other[index]);

const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));

/**
 * Reads the feeds' topics into the log. Each window of a partition is appended, what was refused of it written down, and only then
 * its offset committed: killed anywhere, it reads some records twice, which their ids make harmless, and loses none.
 */
export const startFeedConsumer = (options: FeedConsumerOptions): FeedConsumer => {
  const { broker, log, deadLetters, group, feeds, logger, crashPoint } = options;
  const { lookEveryMs = LOOK_MS, stallMs = STALL_MS } = options;
  const ending = new AbortController();
  let tell: (text: Text) => void = () => undefined;
  const failed = new Promise<Text>((resolve) => (tell = resolve));
  const fail = (problem: Text): void => {
    if (ending.signal.aborted || state === 'failed') return;
    state = 'failed';
    trouble = problem;
    logger.fatal({ reason: problem.en }, 'the Kafka consumer cannot go on');
    tell(problem);
  };

  let state: FeedConsumerStatus['state'] = 'starting';
  let trouble: Text | undefined;
  let topics: readonly string[] = [];
  let assigned: ReadonlyMap<string, readonly number[]> = new Map();
  let joined = false;
  let lag: readonly PartitionLag[] = [];
  let consumption: { close(): Promise<void> } | undefined;
  /** Partition to how long it was left alone last. */
  const pauses = new Map<string, number>();
  let detector = createStallDetector(stallMs, 2 * lookEveryMs);

  /** Keeps the partition while something takes long. What a heartbeat says is thrown when the work is done. */
  const alive = async <T>(control: BatchControl, work: () => Promise<T>): Promise<T> => {
    const timer = setInterval(() => control.heartbeat().catch(() => undefined), ALIVE_MS); // `settle` meets the same answer
    try {
      return await work();
    } finally {
      clearInterval(timer);
    }
  };

  const lettersOf = (
    feed: string,
    { topic, partition }: RecordBatch,
    records: readonly BrokerRecord[],
    events: readonly Result<unknown>[],
    results: readonly PushResult[],
  ): Promise<DeadLetter[]> =>
    Promise.all(
      results.flatMap(({ status, problem, id }, index) => {
        if (status !== 'rejected') return [];
        const [record, event] = [records[index]!, events[index]!];
        const content = event.ok && 'ce_specversion' in record.headers ? Buffer.from(JSON.stringify(event.value)) : record.value;
        const origin = { topic, partition, offset: record.offset };
        return [letterOf({ feed, origin, key: record.key, content, eventId: id, problem: problem! })];
      }),
    );

  /** To the store, where they are mended, and to the topic, where others may follow them. */
  const bury = async (letters: readonly DeadLetter[]): Promise<void> => {
    if (letters.length === 0) return;
    await deadLetters.put(letters);
    await broker.send(
      letters.map(({ id, feed, origin, key, problem, payload, withheld, removed }) => ({
        topic: DEAD_LETTER_TOPIC,
        key,
        value: payload,
        headers: {
          'dead-letter-id': id,
          feed,
          code: problem.code,
          problem: JSON.stringify(problem),
          'origin-topic': origin.topic,
          'origin-partition': String(origin.partition),
          'origin-offset': String(origin.offset),
          ...(withheld && { withheld }),
          ...(removed.length > 0 && { removed: JSON.stringify(removed) }),
        },
      })),
    );
  };

  const takeWindow = async (feed: string, batch: RecordBatch, records: readonly BrokerRecord[]): Promise<FeedCounts> => {
    const events = records.map(eventOf);
    const results = await pushParsed({ log }, feed, events);
    if (results.some(({ problem }) => problem?.code === LATER)) throw new NotNow('a record is being changed by others');
    await bury(await lettersOf(feed, batch, records, events, results));
    const count = (wanted: PushResult['status']) => results.filter(({ status }) => status === wanted).length;
    return { accepted: count('accepted'), duplicates: count('duplicate'), rejected: count('rejected') };
  };

  const onBatch = async (batch: RecordBatch, control: BatchControl): Promise<void> => {
    const { topic, partition, records } = batch;
    const feed = feedOf(topic)!;
    const key = `${topic}/${partition}`;
    for (let at = 0; at < records.length && control.isOurs(); at += WINDOW) {
      const window = records.slice(at, at + WINDOW);
      let counts: FeedCounts;
      try {
        counts = await alive(control, () => takeWindow(feed, batch, window));
      } catch (error) {
        if (!(error instanceof NotNow) && !isTransient(error)) {
          const reason = messageOf(error);
          logger.error({ err: error, topic, partition, offset: window[0]!.offset }, 'a window of records could not be taken');
          fail({
            zh: `主题 ${topic} 分区 ${partition} 的消息无法处理:${reason}`,
            en: `records of ${topic}, partition ${partition}, could not be dealt with: ${reason}`,
          });
        }
        const ms = Math.min((pauses.get(key) ?? PAUSE_MS / 2) * 2, MOST_PAUSE_MS);
        pauses.set(key, ms);
        options.onPause?.(feed);
        logger.warn({ topic, partition, ms, reason: messageOf(error) }, 'the log takes no more for now; the partition is paused');
        control.pause(ms);
        return;
      }
      pauses.delete(key);
      crashPoint?.('kafka.after-append');
      await control.settle(window.at(-1)!);
      crashPoint?.('kafka.after-commit');
      options.onCounts?.(feed, counts);
    }
  };

  const stopConsuming = async (): Promise<void> => {
    const closing = consumption;
    consumption = undefined;
    assigned = new Map();
    joined = false;
    pauses.clear();
    await closing?.close();
  };

  const consume = async (wanted: readonly string[]): Promise<void> => {
    await stopConsuming();
    topics = wanted;
    detector = createStallDetector(stallMs, 2 * lookEveryMs);
    if (wanted.length === 0) return;
    await broker.ensureTopic(DEAD_LETTER_TOPIC).catch((error: unknown) =>
      // It may be there and only not ours to make; the first dead letter says so.
      logger.warn({ topic: DEAD_LETTER_TOPIC, reason: messageOf(error) }, 'the dead-letter topic could not be made'),
    );
    let over = false;
    const made = await broker.consume({
      group,
      topics: wanted,
      onBatch,
      onAssigned: (partitions) => {
        assigned = partitions;
        joined = true;
        pauses.clear();
        options.onRebalance?.();
      },
      onCrash: (error, final) => {
        over = true;
        if (!final) {
          logger.warn({ reason: error.message }, 'the Kafka consumer begins again');
          return void stopConsuming().catch(() => undefined); // the next look begins anew
        }
        fail({ zh: `Kafka 消费者已停止:${error.message}`, en: `the Kafka consumer has stopped: ${error.message}` });
      },
    });
    if (over) await made.close();
    else consumption = made;
  };

  const wantedTopics = async (): Promise<string[]> =>
    (await broker.topics())
      .filter((topic) => {
        const feed = feedOf(topic);
        return feed !== undefined && (feeds === undefined || feeds.includes(feed));
      })
      .sort();

  /** Since when the broker answers and the group isn't joined: a client that never comes back is found as well. */
  let outsideSince: number | undefined;
  const look = async (): Promise<void> => {
    const wanted = await wantedTopics();
    if (!same(wanted, topics) || (wanted.length > 0 && !consumption)) await consume(wanted);
    lag = wanted.length > 0 ? await broker.lag(group, wanted) : [];
    const now = Date.now();
    const own = lag.filter(({ topic, partition }) => assigned.get(topic)?.includes(partition));
    const stalled = detector.look(now, own, pauses.size > 0);
    if (stalled)
      fail({
        zh: `主题 ${stalled.topic} 分区 ${stalled.partition} 有 ${stalled.lag} 条消息等待,${Math.round(stalled.forMs / 1000)} 秒内没有进展`,
        en: `${stalled.lag} records of ${stalled.topic}, partition ${stalled.partition}, wait and none was settled for ${Math.round(stalled.forMs / 1000)} s`,
      });
    outsideSince = wanted.length > 0 && !joined ? (outsideSince ?? now) : undefined;
    if (outsideSince !== undefined && now - outsideSince >= stallMs)
      fail({
        zh: `Kafka 已可连接,但 ${Math.round(stallMs / 1000)} 秒内未能加入消费组 ${group}`,
        en: `the broker answers, yet the group ${group} was not joined for ${Math.round(stallMs / 1000)} s`,
      });
  };

  const isOver = (): boolean => ending.signal.aborted || state === 'failed';
  const run = async (): Promise<void> => {
    while (!isOver()) {
      try {
        await look();
        if (!isOver()) {
          if (state === 'unreachable') logger.info({ count: topics.length }, 'the broker answers again');
          state = topics.length > 0 ? 'consuming' : 'waiting';
          trouble = undefined;
        }
      } catch (error) {
        if (isOver()) return;
        if (state !== 'unreachable') logger.warn({ reason: messageOf(error) }, 'the broker does not answer');
        state = 'unreachable';
        outsideSince = undefined;
        trouble = { zh: `Kafka 没有应答:${messageOf(error)}`, en: `the broker does not answer: ${messageOf(error)}` };
      }
      await sleep(lookEveryMs, undefined, { signal: ending.signal }).catch(() => undefined);
    }
  };
  const running = run();

  return {
    status: () => ({ state, topics, assigned, lag, paused: [...pauses.keys()], ...(trouble && { problem: trouble }) }),
    failed,
    close: async () => {
      ending.abort();
      if (state !== 'failed') state = 'closed';
      await stopConsuming();
      await Promise.race([running, sleep(5_000, undefined, { ref: false })]);
      await stopConsuming();
    },
  };
};
