import { PlatformError } from './platform-error';

/**
 * The promise's outcome if it comes within `ms` milliseconds.
 * `onLate` is where the caller destroys what still runs (a failed COPY hangs its connection for ever in postgres 3.4.9).
 * @throws PlatformError `deadline-exceeded` naming `what`
 */
export const withDeadline = async <T>(ms: number, promise: PromiseLike<T>, what: string, onLate?: () => void): Promise<T> => {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => {
      reject(
        new PlatformError('deadline-exceeded', { zh: `${what}:超过 ${ms} 毫秒未完成`, en: `${what}: not done within ${ms} ms` }),
      );
      onLate?.();
    }, ms);
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
};
