import {
  position,
  START,
  type AppendOutcome,
  type AppendRequest,
  type EventLog,
  type Position,
  type ReadAll,
  type ReadStream,
  type RecordedEvent,
  type Subscription,
} from '../event-log';
import { checkAtomic, checkRequest } from '../request';

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
    const before = streams.get(stream) ?? [];
    const last = all.at(-1)?.recordedAt ?? '';
    const clock = now().toISOString();
    const recordedAt = clock < last ? last : clock;
    for (const event of events) {
      const recorded: RecordedEvent = {
        ...event,
        stream,
        revision: before.length,
        position: position(all.length + 1),
        recordedAt,
      };
      before.push(recorded);
      all.push(recorded);
      byId.set(event.id, recorded);
    }
    streams.set(stream, before);
    for (const wake of [...listeners]) wake();
    return { kind: 'appended', revision: before.length - 1, position: all.at(-1)!.position };
  };

  const readAll = ({ after, limit }: ReadAll): RecordedEvent[] => all.slice(Number(after), Number(after) + limit);

  return {
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
    readStream: async (stream, { from, limit = Infinity, direction = 'forwards' }: ReadStream = {}) => {
      const events = streams.get(stream) ?? [];
      const picked =
        direction === 'forwards' ? events.slice(from ?? 0) : events.slice(0, (from ?? events.length - 1) + 1).reverse();
      return picked.slice(0, limit);
    },
    readAll: async (options) => readAll(options),
    head: async () => all.at(-1)?.position ?? START,
    positionAt: async (instant) => {
      const limit = new Date(instant).toISOString();
      return all.findLast((event) => event.recordedAt <= limit)?.position ?? START;
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
