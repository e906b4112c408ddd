import type { ReadAll, RecordedEvent, Subscription } from './event-log';

export interface TailOptions {
  readonly readAll: (options: ReadAll) => Promise<RecordedEvent[]>;
  /** How often a follower looks although nobody woke it, ms. */
  readonly pollMs: number;
  /** Calls `wake` after `ms`; returns how to take that back. A simulation brings its own. */
  readonly timer?: (ms: number, wake: () => void) => () => void;
}

const systemTimer = (ms: number, wake: () => void): (() => void) => {
  const timer = setTimeout(wake, ms);
  return () => clearTimeout(timer);
};

interface Tail extends Required<TailOptions> {
  readonly followers: Set<() => void>;
  closed: boolean;
}

/** Follows a log that is read page by page: at once when woken, else by polling. */
export const createTail = (options: TailOptions) => {
  const tail: Tail = { timer: systemTimer, ...options, followers: new Set(), closed: false };
  const wakeAll = (): void => {
    for (const wake of [...tail.followers]) wake();
  };
  return {
    /** There may be something new. */
    wakeAll,
    /** Ends every subscription, those to come included. */
    close: (): void => {
      tail.closed = true;
      wakeAll();
    },
    subscribe: (subscription: Subscription): AsyncGenerator<RecordedEvent[], void> => follow(tail, subscription),
  };
};

// Not a closure of createTail: each generator function has a hidden class of its own, which holds what it closes over
// until a full collection. A simulation, which makes thousands a second, spent half of its time on that.
async function* follow(tail: Tail, { after, pageSize = 1000, signal }: Subscription): AsyncGenerator<RecordedEvent[], void> {
  let at = after;
  let awake = true;
  let rouse: (() => void) | undefined;
  const wake = (): void => {
    awake = true;
    rouse?.();
  };
  tail.followers.add(wake);
  signal.addEventListener('abort', wake);
  try {
    while (!signal.aborted && !tail.closed) {
      awake = false;
      const page = await tail.readAll({ after: at, limit: pageSize });
      if (page.length > 0) {
        yield page;
        at = page.at(-1)!.position;
        continue;
      }
      if (awake) continue; // something arrived while the empty page was on its way
      await new Promise<void>((resolve) => {
        const cancel = tail.timer(tail.pollMs, resolve);
        rouse = () => {
          cancel();
          resolve();
        };
      });
      rouse = undefined;
    }
  } finally {
    tail.followers.delete(wake);
    signal.removeEventListener('abort', wake);
  }
}
