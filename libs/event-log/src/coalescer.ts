import { LogOverloaded, type AppendOutcome, type AppendRequest } from './event-log';
import { checkRequest } from './request';

export interface CoalescerOptions {
  /** Writes one batch in one transaction; outcomes in order. Streams and event ids in a batch are distinct. */
  readonly write: (batch: readonly AppendRequest[]) => Promise<AppendOutcome[]>;
  /** Batches in flight at once; two hide the round trip of one behind the commit of the other. */
  readonly lanes?: number;
  readonly maxRequests?: number;
  readonly maxBytes?: number;
  /** Waiting requests beyond this are refused with {@link LogOverloaded}. */
  readonly maxWaiting?: number;
  /** Runs it at the end of the current tick; default `setImmediate`. A simulation brings its own. */
  readonly soon?: (run: () => void) => void;
}

interface Waiting {
  readonly request: AppendRequest;
  readonly bytes: number;
  readonly resolve: (outcome: AppendOutcome) => void;
  readonly reject: (error: unknown) => void;
  /** The next request to the same stream: ready once this one is answered. */
  next?: Waiting;
}

const sizeOf = (request: AppendRequest): number => {
  let bytes = 0;
  for (const event of request.events) bytes += event.data.length + event.metadata.length + 200;
  return bytes;
};

/**
 * Gathers concurrent appends into batches: a batch leaves as soon as a lane is free, so a lone caller
 * waits for nothing and sixty-four callers share one commit. No timer.
 */
export const createCoalescer = (options: CoalescerOptions) => {
  const { write, lanes = 2, maxRequests = 1000, maxBytes = 1 << 20, maxWaiting = 20_000, soon = setImmediate } = options;
  /** May leave with the next batch; at most one request per stream is ready or in flight, so that a stream keeps its callers' order. */
  let ready: Waiting[] = [];
  /** The last request of each stream that is ready or in flight. */
  const tails = new Map<string, Waiting>();
  let waiting = 0;
  let flying = 0;
  let scheduled = false;
  const idle: (() => void)[] = [];

  /** Takes from the front; a request whose event id is in the batch already waits for the next one. */
  const take = (): Waiting[] => {
    const batch: Waiting[] = [];
    const left: Waiting[] = [];
    const ids = new Set<string>();
    let bytes = 0;
    let at = 0;
    for (; at < ready.length && batch.length < maxRequests && (bytes < maxBytes || batch.length === 0); at++) {
      const entry = ready[at]!;
      const { events } = entry.request;
      if (events.some((event) => ids.has(event.id))) {
        left.push(entry);
        continue;
      }
      for (const event of events) ids.add(event.id);
      bytes += entry.bytes;
      batch.push(entry);
    }
    ready = left.concat(ready.slice(at));
    waiting -= batch.length;
    return batch;
  };

  const fly = async (batch: Waiting[]): Promise<void> => {
    flying++;
    try {
      const outcomes = await write(batch.map((entry) => entry.request));
      batch.forEach((entry, index) => entry.resolve(outcomes[index]!));
    } catch (error) {
      for (const entry of batch) entry.reject(error);
    } finally {
      flying--;
      for (const { request, next } of batch) {
        if (next) ready.push(next);
        else tails.delete(request.stream);
      }
      depart();
      if (flying === 0 && waiting === 0) for (const done of idle.splice(0)) done();
    }
  };

  const depart = (): void => {
    while (flying < lanes && ready.length > 0) void fly(take());
  };

  /** Departure waits for the end of the current tick, so that callers of one tick share a batch. */
  const schedule = (): void => {
    if (scheduled) return;
    scheduled = true;
    soon(() => {
      scheduled = false;
      depart();
    });
  };

  const enqueue = (request: AppendRequest): Promise<AppendOutcome> =>
    new Promise((resolve, reject) => {
      const entry: Waiting = { request, bytes: sizeOf(request), resolve, reject };
      const tail = tails.get(request.stream);
      if (tail) tail.next = entry;
      else ready.push(entry);
      tails.set(request.stream, entry);
      waiting++;
      schedule();
    });

  const admit = (): void => {
    if (waiting >= maxWaiting) throw new LogOverloaded(`${waiting} appends are waiting`);
  };

  return {
    append: async (request: AppendRequest): Promise<AppendOutcome> => {
      checkRequest(request);
      admit();
      return enqueue(request);
    },
    /** A bulk caller is one caller: its requests are never refused halfway, it waits for them instead. */
    appendMany: async (requests: readonly AppendRequest[]): Promise<AppendOutcome[]> => {
      requests.forEach(checkRequest);
      admit();
      return Promise.all(requests.map(enqueue));
    },
    /** Resolves once nothing waits and nothing flies. */
    drained: (): Promise<void> =>
      flying === 0 && waiting === 0 ? Promise.resolve() : new Promise((resolve) => idle.push(resolve)),
  };
};
