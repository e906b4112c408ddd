import { withDeadline } from '@vigil/platform';
import { LogUnavailable } from './event-log';

/** Time as a sender sees it; a simulation brings its own. */
export interface SenderTime {
  now(): number;
  sleep(ms: number): Promise<void>;
  /** The outcome of `promise` if it comes within `ms`; else an error with the code `deadline-exceeded`. */
  within<T>(ms: number, promise: PromiseLike<T>, what: string): Promise<T>;
}

export const senderTime: SenderTime = {
  now: () => Date.now(),
  sleep: (ms) => new Promise((resolve) => setTimeout(resolve, ms)),
  within: withDeadline,
};

export interface SendOptions<T> {
  readonly send: () => PromiseLike<T>;
  readonly deadlineMs: number;
  readonly time?: SenderTime;
  /** Errors after which the same may be sent again; default: those of a connection to PostgreSQL. */
  readonly isTransient?: (error: unknown) => boolean;
  /** What the LogUnavailable says. */
  readonly unavailable?: string;
  /** Called before the first try and after each answer, for tests that kill the process there. */
  readonly crashPoint?: ((name: 'append.before-write' | 'append.after-commit-before-ack') => void) | undefined;
}

/** Errors after which the same batch may be sent again: the ids make the retry harmless. */
const isPostgresTransient = (error: unknown): boolean => {
  const code = (error as { code?: string }).code ?? '';
  return /^(CONNECTION_|CONNECT_|ECONN|EPIPE|57P0|08|53300|40001|40P01)/.test(code);
};

/**
 * Sends one batch until its outcome is known or the deadline has passed.
 * @throws LogUnavailable when the outcome stays unknown; whatever else `send` throws, at once
 */
export const sendUntilKnown = async <T>({
  send,
  deadlineMs,
  time = senderTime,
  isTransient = isPostgresTransient,
  unavailable = 'the outcome of an append is unknown; retry with the same event ids',
  crashPoint,
}: SendOptions<T>): Promise<T> => {
  crashPoint?.('append.before-write');
  const until = time.now() + deadlineMs;
  for (let attempt = 0; ; attempt++) {
    try {
      const answer = await time.within(Math.max(until - time.now(), 1), send(), 'append');
      crashPoint?.('append.after-commit-before-ack');
      return answer;
    } catch (error) {
      const late = (error as { code?: string }).code === 'deadline-exceeded';
      if (!late && !isTransient(error)) throw error;
      const wait = Math.min(50 * 2 ** attempt, 1000);
      if (late || time.now() + wait > until) throw new LogUnavailable(unavailable, { cause: error });
      await time.sleep(wait);
    }
  }
};
