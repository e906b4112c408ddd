import type { Config } from '@vigil/platform';
import type { EngineOptions } from './engine';
import { startServer } from './server';

export interface ServeOptions extends EngineOptions {
  readonly port?: number;
  /** Gets `listening on <url>` once `/health/ready` answers 200. */
  readonly print: (line: string) => void;
  /** Gets what a person must know: why it ends. */
  readonly complain: (line: string) => void;
  readonly language?: 'zh' | 'en';
}

/**
 * `vigil serve`: runs until SIGTERM or SIGINT (exit 0) or until the engine can't go on (exit 1: restarting is the supervisor's
 * task). A second signal ends it at once.
 * @returns the exit code
 * @throws what {@link startServer} throws
 */
export const serve = async (config: Config, { print, complain, language = 'en', ...options }: ServeOptions): Promise<number> => {
  const signalled = new Promise<NodeJS.Signals>((resolve) => {
    for (const signal of ['SIGTERM', 'SIGINT'] as const)
      process.once(signal, () => {
        resolve(signal);
        process.once(signal, () => process.exit(130));
      });
  });
  const server = await startServer(config, options);
  const why = await Promise.race([
    signalled,
    server.failed,
    (async () => {
      while (!(await server.engine.health()).ready) await new Promise((resolve) => setTimeout(resolve, 100));
      print(`listening on ${server.url}`);
      return new Promise<never>(() => undefined);
    })(),
  ]);
  const failure = typeof why === 'string' ? undefined : why;
  if (failure) complain(failure[language]);
  await server.close();
  return failure ? 1 : 0;
};
