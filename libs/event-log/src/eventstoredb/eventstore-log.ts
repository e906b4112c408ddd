import { randomBytes } from 'node:crypto';
import { setImmediate as endOfTick } from 'node:timers/promises';
import { createCoalescer } from '../coalescer';
import {
  LogMismatch,
  LogUnavailable,
  NotOffered,
  START,
  type AppendOutcome,
  type AppendRequest,
  type EventLog,
  type Position,
  type ReadStream,
  type RecordedEvent,
  type Restored,
  type Subscription,
} from '../event-log';
import { isBefore, toUtc } from '../instant';
import { checkAtomic, checkRestore } from '../request';
import { sameEvent } from '../same-event';
import { sendUntilKnown } from '../send-until-known';
import { createConnection, isInvalidPosition, isTooLarge, mayTryAgain, TryAgain, type Feed } from './connection';
import { createKnownIds, type Known } from './known-ids';
import { createLandmarks } from './landmarks';
import { createReadBack } from './read-back';
import { allRequest, appendMessages, eventOf, streamRequest, subscriptionRequest, type Read } from './wire';

export interface EventStoreLogOptions {
  /**
   * As EventStoreDB and KurrentDB write it: `esdb://user:password@host:2113?tls=true&tlsCAFile=/path/ca.crt` for a node,
   * `esdb://host1,host2,host3` for a cluster by its members, `esdb+discover://name` by DNS; `kurrentdb` for `esdb` is the same.
   * TLS is on unless `tls=false`; without it user and password are not sent.
   */
  readonly url: string;
  /** What the names of this log's streams begin with; nobody else may write to such streams. */
  readonly prefix?: string;
  /** Most time a call of this log may take before it rejects with LogUnavailable, ms. */
  readonly deadlineMs?: number;
  /** Most time for one attempt; after it the connection counts as dead and the next is made on a new one, ms. */
  readonly callMs?: number;
  /** A subscription that hears nothing for so long while the log goes on is made anew, ms. */
  readonly heartbeatMs?: number;
  /** Appends under way at once, each to another stream. */
  readonly inFlight?: number;
  /** Waiting appends beyond this are refused with LogOverloaded. */
  readonly maxWaiting?: number;
  /** Called at named points of an append, for tests that kill the process there. */
  readonly crashPoint?: (name: 'append.before-write' | 'append.after-commit-before-ack') => void;
}

/** Events asked for in one read. */
const PAGE = 2000;
/** What is known of the log's last instant is asked anew after this, ms. */
const CLOCK_MS = 1000;
/** Events of one append of a restore together; a server's own limit may be a mebibyte. */
const RUN_BYTES = 800_000;
const sizeOf = ({ data, metadata }: RecordedEvent): number => Buffer.byteLength(data) + Buffer.byteLength(metadata) + 500;
/** Races lost to other writers of a stream before one steps back for a while. */
const RACES = 20;

type Refusal =
  | { readonly kind: 'duplicate'; readonly revision: number }
  | Extract<AppendOutcome, { readonly kind: 'conflict' | 'id-conflict' }>;

/** What a request comes to in a stream of which this is known; undefined: it is to be written. */
const judge = ({ expected, events }: AppendRequest, { last, ids }: Known): Refusal | undefined => {
  const found = events.map(({ id }) => ids.get(id));
  const first = found.findIndex((event) => event !== undefined);
  if (first >= 0) {
    const same = events.every(({ fingerprint }, index) => found[index]?.fingerprint === fingerprint);
    if (!same) return { kind: 'id-conflict', eventId: events[first]!.id };
    return { kind: 'duplicate', revision: Math.max(...found.map((event) => event!.revision)) };
  }
  const holds = expected === 'any' || (expected === 'none' ? last < 0 : last === expected);
  return holds ? undefined : { kind: 'conflict', actual: last < 0 ? null : last };
};

const wait = (ms: number, signal: AbortSignal): Promise<void> =>
  new Promise((resolve) => {
    const done = (): void => {
      clearTimeout(timer);
      signal.removeEventListener('abort', done);
      resolve();
    };
    const timer = setTimeout(done, ms);
    signal.addEventListener('abort', done);
    if (signal.aborted) done();
  });

/**
 * The event log on EventStoreDB 22.10 or later, or KurrentDB: one node or a cluster. Positions are commit positions, so they leave
 * holes. An event id is looked up in its own stream only, and there is no transaction over several streams.
 * Several processes may write to one log.
 */
export const createEventStoreLog = (options: EventStoreLogOptions): EventLog => {
  const { url, prefix = 'vigil-', deadlineMs = 15_000, callMs = Math.ceil(deadlineMs / 3), heartbeatMs = 5_000 } = options;
  const { inFlight = 64, maxWaiting, crashPoint } = options;
  const connection = createConnection({ url, callMs });
  const closing = new AbortController();
  const knownIds = createKnownIds();

  const retried = { deadlineMs, isTransient: mayTryAgain } as const;
  const untilKnown = <T>(send: () => Promise<T>): Promise<T> =>
    sendUntilKnown({ ...retried, send, unavailable: 'EventStoreDB cannot be reached, or did not answer in time' });

  /** The latest instant seen in the log, and when it was last certain to be the log's last. */
  let latest: string | undefined;
  let certainAt = -Infinity;
  const hear = ({ recordedAt }: RecordedEvent): void => {
    if (latest === undefined || isBefore(latest, recordedAt)) latest = recordedAt;
  };

  const streamPage = async (stream: string, from: number | 'end', backwards: boolean, count: number): Promise<Read[]> =>
    (await connection.read(streamRequest(prefix + stream, from, backwards, count))).flatMap(
      (answer) => eventOf(answer, prefix) ?? [],
    );
  const allPage = async (from: bigint | 'end', backwards: boolean, count: number): Promise<Read[]> =>
    (await connection.read(allRequest(prefix, from, backwards, count))).flatMap((answer) => eventOf(answer, prefix) ?? []);
  const readBack = createReadBack(async (from, count) => {
    const asked = performance.now();
    const page = await allPage(from, false, count);
    for (const { event } of page) hear(event);
    certainAt = asked;
    return page;
  });

  const lastOnce = async (): Promise<RecordedEvent | undefined> => {
    const asked = performance.now();
    const [last] = await allPage('end', true, 1);
    certainAt = asked;
    if (last) hear(last.event);
    return last?.event;
  };
  const last = (): Promise<RecordedEvent | undefined> => untilKnown(lastOnce);
  const head = async (): Promise<Position> => (await last())?.position ?? START;

  /**
   * One page after a position. $all can be read only from where a record begins. The position of an event is such a place; one
   * before it, which a caller gets who looks for that very event, isn't, but the one after is; any other is looked up.
   */
  const pageAfter = async (after: Position, count: number): Promise<RecordedEvent[]> => {
    const read = async (from: bigint): Promise<RecordedEvent[]> =>
      (await untilKnown(() => allPage(from, false, count + (from === START ? 0 : 1))))
        .map(({ event }) => event)
        .filter(({ position }) => position > after)
        .slice(0, count);
    for (const from of [after, after + 1n])
      try {
        return await read(from);
      } catch (error) {
        if (!isInvalidPosition(error)) throw error;
      }
    return read(await landmarks.floor(after));
  };
  const landmarks = createLandmarks((after, limit) => pageAfter(after, limit));

  const readAll: EventLog['readAll'] = async ({ after, limit }) => {
    const events: RecordedEvent[] = [];
    while (events.length < limit) {
      const count = Math.min(PAGE, limit - events.length);
      const page = await pageAfter(events.at(-1)?.position ?? after, count);
      for (const event of page) events.push(event);
      if (page.length < count) break;
    }
    return events;
  };

  const readStream = async (
    stream: string,
    { from, limit = Infinity, direction = 'forwards' }: ReadStream = {},
  ): Promise<RecordedEvent[]> => {
    const backwards = direction === 'backwards';
    const events: RecordedEvent[] = [];
    for (let next: number | 'end' = from ?? (backwards ? 'end' : 0); events.length < limit; ) {
      const count = Math.min(PAGE, limit - events.length);
      const page = await untilKnown(() => streamPage(stream, next, backwards, count));
      for (const { event } of page) events.push(event);
      next = (events.at(-1)?.revision ?? 0) + (backwards ? -1 : 1);
      if (page.length < count || next < 0) break;
    }
    // Who reads a whole stream is about to append to it.
    if (!backwards && limit === Infinity) knownIds.learn(stream, from ?? 0, events);
    return events;
  };

  /** Reads on from where a stream was known to end. */
  const readOn = async (stream: string): Promise<void> => {
    for (let from = knownIds.get(stream).last + 1; ; from += PAGE) {
      const page = await streamPage(stream, from, false, PAGE);
      knownIds.learn(
        stream,
        from,
        page.map(({ event }) => event),
      );
      if (page.length < PAGE) return;
    }
  };

  /**
   * Looks before it writes, and writes at the revision it saw: the server's own recognition of repeats is a cache, and it compares
   * no contents. Afterwards it reads what stands there, which tells a write of its own from the same ids written by another process.
   */
  const write = async (request: AppendRequest, attempt: string, until: number): Promise<AppendOutcome> => {
    const { stream, events } = request;
    let fresh = false;
    const look = async (): Promise<void> => {
      await readOn(stream);
      fresh = true;
    };
    for (let race = 0; race < RACES; race++) {
      // Of an unknown stream it is supposed that there is none: the server says if there is.
      const known = knownIds.get(stream);
      const { last: seen } = known;
      const refused = judge(request, known);
      if (refused && !fresh) {
        await look();
        continue;
      }
      if (refused && refused.kind !== 'duplicate') return refused;
      if (refused) {
        const [found] = await streamPage(stream, refused.revision, true, 1);
        return { ...refused, kind: found!.attempt === attempt ? 'appended' : 'duplicate', position: found!.event.position };
      }
      if (performance.now() - certainAt > CLOCK_MS) await lastOnce();
      if (performance.now() > until) throw new LogUnavailable('the append took too long');
      const answer = await connection.append(
        appendMessages(prefix + stream, seen, events, { attempt, ...(latest !== undefined && { notBefore: latest }) }),
      );
      const written = answer.getSuccess();
      const commit = written?.getPosition()?.getCommitPosition();
      const found = commit === undefined ? undefined : await readBack(BigInt(commit));
      if (found?.attempt === attempt && found.event.id === events.at(-1)!.id) {
        knownIds.learn(stream, seen + 1, events);
        return { kind: 'appended', revision: found.event.revision, position: found.event.position };
      }
      await look();
    }
    throw new TryAgain('other writers of the stream always came first');
  };

  const settle = async (request: AppendRequest): Promise<AppendOutcome> => {
    const attempt = randomBytes(6).toString('base64url');
    const until = performance.now() + deadlineMs;
    try {
      return await sendUntilKnown({ ...retried, send: () => write(request, attempt, until), crashPoint });
    } catch (error) {
      if (!isTooLarge(error)) throw error;
      throw new RangeError(`an append is larger than the store takes (its max-append-size): ${(error as Error).message}`, {
        cause: error,
      });
    }
  };
  // No batches here, only its order within a stream and its bounds: a request that must be tried again holds up no other.
  const coalescer = createCoalescer({
    write: async ([request]) => [await settle(request!)],
    maxRequests: 1,
    lanes: inFlight,
    maxWaiting,
  });

  const restoreNow = async (events: readonly RecordedEvent[]): Promise<Restored> => {
    const streams = new Map<string, { readonly known: Known; readonly from: number; readonly here: RecordedEvent[] }>();
    for (const { stream, revision } of events) {
      if (streams.has(stream)) continue;
      await untilKnown(() => readOn(stream));
      streams.set(stream, { known: knownIds.get(stream), from: revision, here: await readStream(stream, { from: revision }) });
    }
    let at = START;
    const missing = events.findIndex((event) => {
      const { known, from, here } = streams.get(event.stream)!;
      if (!known.ids.has(event.id)) return true;
      const found = here[event.revision - from];
      if (!found || !sameEvent(found, event))
        throw new LogMismatch(`event ${event.id} stands here with another content or place`);
      if (found.position <= at) throw new LogMismatch(`event ${event.id} stands here before the one it follows`);
      at = found.position;
      return false;
    });
    const fresh = missing < 0 ? [] : events.slice(missing);
    if (fresh.length === 0) return { written: 0, present: events.length };
    const before = await last();
    const next = new Map<string, number>();
    for (const { id, stream, revision, recordedAt } of fresh) {
      const { known } = streams.get(stream)!;
      if (known.ids.has(id)) throw new LogMismatch(`event ${id} stands here, and one before it does not`);
      const length = next.get(stream) ?? known.last + 1;
      if (revision !== length)
        throw new LogMismatch(`event ${id} is revision ${revision} of ${stream}, whose next here is ${length}`);
      next.set(stream, length + 1);
      if (before && isBefore(recordedAt, before.recordedAt))
        throw new LogMismatch(`event ${id} was recorded before the last one here`);
    }
    const attempt = randomBytes(6).toString('base64url');
    for (let from = 0; from < fresh.length; ) {
      const { stream, recordedAt } = fresh[from]!;
      // Neighbours in one stream go together, as long as any server takes them; beyond that only one append after the other keeps the order.
      let to = from;
      let size = 0;
      do size += sizeOf(fresh[to++]!);
      while (fresh[to]?.stream === stream && fresh[to]!.recordedAt === recordedAt && size + sizeOf(fresh[to]!) < RUN_BYTES);
      const run = fresh.slice(from, to);
      const messages = appendMessages(prefix + stream, run[0]!.revision - 1, run, { attempt, recordedAt });
      const answer = await untilKnown(() => connection.append(messages));
      if (!answer.hasSuccess()) throw new LogMismatch(`${stream} moved on while event ${run[0]!.id} was restored`);
      knownIds.learn(stream, run[0]!.revision, run);
      from = to;
    }
    hear(fresh.at(-1)!);
    return { written: fresh.length, present: events.length - fresh.length };
  };
  const restoring = new Set<Promise<Restored>>();

  /** What stands between two pages of a subscription. */
  interface Place {
    /** Everything up to here was given, or is none of ours. */
    at: Position;
    /** The log's end when the subscription was made: pages are filled whole until then. */
    goal: Position;
  }

  const pageOf = async (feed: Feed, place: Place, pageSize: number, stop: AbortSignal): Promise<RecordedEvent[]> => {
    const page: RecordedEvent[] = [];
    while (page.length < pageSize) {
      const live = page.length > 0 && place.at >= place.goal;
      try {
        let answer = await feed.next(live ? 0 : heartbeatMs);
        if (!answer && live) {
          await endOfTick(); // what the connection holds already comes along
          answer = await feed.next(0);
        }
        if (answer) {
          const event = eventOf(answer, prefix)?.event;
          const checkpoint = answer.getCheckpoint();
          if (event && event.position > place.at) page.push(event);
          const seen = event?.position ?? (checkpoint ? (BigInt(checkpoint.getCommitPosition()) as Position) : START);
          if (seen > place.at) place.at = seen;
          continue;
        }
      } catch (error) {
        if (page.length === 0) throw error;
      }
      if (page.length > 0 || stop.aborted) return page;
      if (((await lastOnce())?.position ?? START) > place.at)
        throw new TryAgain('a subscription kept silent although the log went on');
    }
    return page;
  };

  async function* subscribe({ after, pageSize = 1000, signal }: Subscription): AsyncGenerator<RecordedEvent[], void> {
    const stop = AbortSignal.any([signal, closing.signal]);
    const place: Place = { at: after, goal: START };
    for (let failures = 0; !stop.aborted; ) {
      let feed: Feed | undefined;
      try {
        place.goal = (await lastOnce())?.position ?? START;
        feed = await connection.follow(subscriptionRequest(prefix, place.at), stop);
        for (;;) {
          const page = await pageOf(feed, place, pageSize, stop);
          if (stop.aborted) return;
          failures = 0;
          if (page.length > 0) yield page;
        }
      } catch (error) {
        if (stop.aborted) return;
        if (isInvalidPosition(error)) place.at = await landmarks.floor(place.at);
        else if (!mayTryAgain(error)) throw error;
        else await wait(Math.min(50 * 2 ** failures++, 2000), stop);
      } finally {
        feed?.close();
      }
    }
  }

  return {
    guarantees: { uniqueIds: 'stream', atomicAcrossStreams: false },
    append: coalescer.append,
    appendMany: coalescer.appendMany,
    appendAtomic: async (requests) => {
      checkAtomic(requests);
      if (requests.length > 1) throw new NotOffered('EventStoreDB has no transaction over several streams');
      return coalescer.appendMany(requests);
    },
    restore: (events) => {
      const restored = (async () => {
        checkRestore(events);
        return restoreNow(events);
      })();
      restoring.add(restored);
      return restored.finally(() => restoring.delete(restored));
    },
    readStream,
    readAll,
    head,
    positionAt: async (instant) => {
      const wanted = toUtc(instant);
      const end = await last();
      if (!end) return START;
      return isBefore(wanted, end.recordedAt) ? landmarks.at(wanted, end.position) : end.position;
    },
    count: landmarks.count,
    subscribe,
    close: async () => {
      closing.abort();
      await Promise.all([coalescer.drained(), Promise.allSettled(restoring)]);
      await connection.close();
    },
  };
};
