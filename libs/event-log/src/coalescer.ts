import { LogOverloaded, type AppendOutcome, type AppendRequest } from './event-log';

export interface CoalescerOptions {
  /** Writes one batch in one transaction; outcomes in order. Streams and event ids in a batch are distinct. */
  readonly write: (batch: readonly AppendRequest[]) => Promise<AppendOutcome[]>;
  /** Batches in flight at once; two hide the round trip of one behind the commit of the other. */
  readonly lanes?: number;
  readonly maxRequests?: number;
  readonly maxBytes?: number;
  /** Waiting requests beyond this are refused with {@link LogOverloaded}. */
  readonly maxWaiting?: number;
}

interface Waiting {
  readonly request: AppendRequest;
  readonly bytes: number;
  readonly resolve: (outcome: AppendOutcome) => void;
  readonly reject: (error: unknown) => void;
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
  const { write, lanes = 2, maxRequests = 1000, maxBytes = 1 << 20, maxWaiting = 20_000 } = options;
  let waiting: Waiting[] = [];
  let flying = 0;
  let scheduled = false;
  let idle: (() => void)[] = [];

  /** Takes from the front; a request whose stream or event id is in the batch already waits for the next one. */
  const take = (): Waiting[] => {
    const batch: Waiting[] = [];
    const left: Waiting[] = [];
    const streams = new Set<string>();
    const ids = new Set<string>();
    let bytes = 0;
    let at = 0;
    for (; at < waiting.length && batch.length < maxRequests && (bytes < maxBytes || batch.length === 0); at++) {
      const entry = waiting[at]!;
      const { stream, events } = entry.request;
      if (streams.has(stream) || events.some((event) => ids.has(event.id))) {
        streams.add(stream);
        left.push(entry);
        continue;
      }
      streams.add(stream);
      for (const event of events) ids.add(event.id);
      bytes += entry.bytes;
      batch.push(entry);
    }
    waiting = left.length === 0 ? waiting.slice(at) : left.concat(waiting.slice(at));
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
      depart();
      if (flying === 0 && waiting.length === 0) for (const done of idle.splice(0)) done();
    }
  };

  const depart = (): void => {
    while (flying < lanes && waiting.length > 0) void fly(take());
  };

  /** Departure waits for the end of the current tick, so that callers of one tick share a batch. */
  const schedule = (): void => {
    if (scheduled) return;
    scheduled = true;
    setImmediate(() => {
      scheduled = false;
      depart();
    });
  };

  const append = (request: AppendRequest): Promise<AppendOutcome> =>
    new Promise((resolve, reject) => {
      if (request.events.length === 0) return reject(new RangeError('an append needs at least one event'));
      if (waiting.length >= maxWaiting) return reject(new LogOverloaded(`${waiting.length} appends are waiting`));
      waiting.push({ request, bytes: sizeOf(request), resolve, reject });
      schedule();
    });

  return {
    append,
    /** A bulk caller is one caller: its requests are never refused halfway, it waits for them instead. */
    appendMany: (requests: readonly AppendRequest[]): Promise<AppendOutcome[]> => {
      if (waiting.length >= maxWaiting) return Promise.reject(new LogOverloaded(`${waiting.length} appends are waiting`));
      return Promise.all(
        requests.map(
          (request) =>
            new Promise<AppendOutcome>((resolve, reject) => {
              if (request.events.length === 0) return reject(new RangeError('an append needs at least one event'));
              waiting.push({ request, bytes: sizeOf(request), resolve, reject });
              schedule();
            }),
        ),
      );
    },
    /** Resolves once nothing waits and nothing flies. */
    drained: (): Promise<void> =>
      flying === 0 && waiting.length === 0 ? Promise.resolve() : new Promise((resolve) => idle.push(resolve)),
  };
};
