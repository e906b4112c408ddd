import {
  LogMismatch,
  position,
  START,
  type AppendOutcome,
  type AppendRequest,
  type EventLog,
  type Position,
  type ReadAll,
  type ReadStream,
  type RecordedEvent,
  type Restored,
  type Subscription,
} from '../event-log';
import { isBefore, normalInstant, toUtc } from '../instant';
import { checkAtomic, checkRequest, checkRestore } from '../request';
import { sameEvent } from '../same-event';

/** The port's meaning in its plainest form: for pure specs, and the model that adapters are compared with. */
export const createMemoryLog = (options: { readonly now?: () => Date } = {}): EventLog => {
  const now = options.now ?? (() => new Date());
  const all: RecordedEvent[] = [];
  const byId = new Map<string, RecordedEvent>();
  const streams = new Map<string, RecordedEvent[]>();
  const listeners = new Set<() => void>();
  let closed = false;

  /** The outcome of a request that must not be written; undefined when it may. */
  const refusal = ({ stream, expected, events }: AppendRequest): AppendOutcome | undefined => {
    const known = events.map((event) => byId.get(event.id));
    const first = known.find((event) => event !== undefined);
    if (first) {
      const same = events.every(
        (event, index) => known[index]?.stream === stream && known[index]?.fingerprint === event.fingerprint,
      );
      if (!same) return { kind: 'id-conflict', eventId: first.id };
      const last = known.reduce((a, b) => (b!.revision > a!.revision ? b : a))!;
      return { kind: 'duplicate', revision: last.revision, position: last.position };
    }
    const before = streams.get(stream) ?? [];
    const actual = before.length === 0 ? null : before.length - 1;
    if (expected !== 'any' && (expected === 'none' ? actual !== null : actual !== expected)) return { kind: 'conflict', actual };
    return undefined;
  };

  const appendNow = (request: AppendRequest): AppendOutcome => {
    const refused = refusal(request);
    if (refused) return refused;
    const { stream, events } = request;
    const next = streams.get(stream)?.length ?? 0;
    const last = all.at(-1)?.recordedAt;
    const clock = normalInstant(now().toISOString());
    const recordedAt = last !== undefined && isBefore(clock, last) ? last : clock;
    events.forEach((event, index) => record({ ...event, stream, revision: next + index, recordedAt }));
    for (const wake of [...listeners]) wake();
    return { kind: 'appended', revision: next + events.length - 1, position: all.at(-1)!.position };
  };

  const record = (event: Omit<RecordedEvent, 'position'>): void => {
    const recorded: RecordedEvent = { ...event, position: position(all.length + 1) };
    all.push(recorded);
    byId.set(event.id, recorded);
    const stream = streams.get(event.stream);
    if (stream) stream.push(recorded);
    else streams.set(event.stream, [recorded]);
  };

  const restoreNow = (events: readonly RecordedEvent[]): Restored => {
    let at = START;
    const missing = events.findIndex((event) => {
      const here = byId.get(event.id);
      if (!here) return true;
      if (!sameEvent(here, event)) throw new LogMismatch(`event ${event.id} stands here with another content or place`);
      if (here.position <= at) throw new LogMismatch(`event ${event.id} stands here before the one it follows`);
      at = here.position;
      return false;
    });
    const fresh = missing < 0 ? [] : events.slice(missing);
    const lengths = new Map<string, number>();
    for (const { id, stream, revision, recordedAt } of fresh) {
      if (byId.has(id)) throw new LogMismatch(`event ${id} stands here, and one before it does not`);
      const length = lengths.get(stream) ?? streams.get(stream)?.length ?? 0;
      if (revision !== length)
        throw new LogMismatch(`event ${id} is revision ${revision} of ${stream}, whose next here is ${length}`);
      lengths.set(stream, length + 1);
      const last = all.at(-1)?.recordedAt;
      if (last !== undefined && isBefore(recordedAt, last))
        throw new LogMismatch(`event ${id} was recorded before the last one here`);
    }
    fresh.forEach(({ position: _, ...event }) => record(event));
    if (fresh.length > 0) for (const wake of [...listeners]) wake();
    return { written: fresh.length, present: events.length - fresh.length };
  };

  const readAll = ({ after, limit }: ReadAll): RecordedEvent[] => all.slice(Number(after), Number(after) + limit);

  return {
    guarantees: { uniqueIds: 'log', atomicAcrossStreams: true },
    append: async (request) => {
      checkRequest(request);
      return appendNow(request);
    },
    appendMany: async (requests) => {
      requests.forEach(checkRequest);
      return requests.map(appendNow);
    },
    appendAtomic: async (requests) => {
      checkAtomic(requests);
      const refused = requests.map(refusal);
      return refused.some((outcome) => outcome && outcome.kind !== 'duplicate')
        ? refused.map((outcome) => outcome ?? { kind: 'aborted' })
        : requests.map(appendNow);
    },
    restore: async (events) => {
      checkRestore(events);
      return restoreNow(events);
    },
    readStream: async (stream, { from, limit = Infinity, direction = 'forwards' }: ReadStream = {}) => {
      const events = streams.get(stream) ?? [];
      const picked =
        direction === 'forwards' ? events.slice(from ?? 0) : events.slice(0, (from ?? events.length - 1) + 1).reverse();
      return picked.slice(0, limit);
    },
    readAll: async (options) => readAll(options),
    head: async () => all.at(-1)?.position ?? START,
    positionAt: async (instant) => {
      const limit = toUtc(instant);
      return all.findLast((event) => !isBefore(limit, event.recordedAt))?.position ?? START;
    },
    count: async (after, upTo) => all.filter((event) => event.position > after && event.position <= upTo).length,
    async *subscribe({ after, pageSize = 1000, signal }: Subscription) {
      let at: Position = after;
      while (!signal.aborted && !closed) {
        const page = readAll({ after: at, limit: pageSize });
        if (page.length > 0) {
          yield page;
          at = page.at(-1)!.position;
          continue;
        }
        await new Promise<void>((resolve) => {
          const wake = () => {
            listeners.delete(wake);
            signal.removeEventListener('abort', wake);
            resolve();
          };
          listeners.add(wake);
          signal.addEventListener('abort', wake, { once: true });
        });
      }
    },
    close: async () => {
      closed = true;
      for (const wake of [...listeners]) wake();
    },
  };
};
