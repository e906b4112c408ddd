import { setTimeout as sleep } from 'node:timers/promises';
import type { Config, Logger } from '@vigil/platform';
import type { Text } from '@vigil/vocabulary';
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

/** Most that closing may take once something has broken: pools of a broken driver may never drain. */
const BROKEN_CLOSE_MS = 15_000;

/**
 * An exception nobody could catch leaves the process in a state nobody knows: it says so and ends, and the supervisor starts it again.
 * The known one is of the driver (postgres 3.4.9, porsager/postgres#1208): a write to a connection that has just closed throws from a
 * timer, and that connection may never send again.
 */
const breakage = (logger: Logger): { broken: Promise<Text>; off: () => void } => {
  let tell: (text: Text) => void = () => undefined;
  const broken = new Promise<Text>((resolve) => (tell = resolve));
  const listener = (err: Error): void => {
    logger.fatal({ err }, 'uncaught exception');
    const ofDriver = /node_modules\/postgres\//.test(err.stack ?? '');
    tell(
      ofDriver
        ? {
            zh: '与 PostgreSQL 的连接意外中断;已提交的数据不受影响,请重新启动本程序',
            en: 'the connection to PostgreSQL broke; nothing committed is lost, start this program again',
          }
        : {
            zh: '发生未预料的内部错误,本程序即将退出;已提交的数据不受影响',
            en: 'an unforeseen internal error ends this program; nothing committed is lost',
          },
    );
  };
  process.on('uncaughtException', listener);
  return { broken, off: () => process.off('uncaughtException', listener) };
};

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
  const { broken, off } = breakage(server.engine.logger);
  const announced = async (): Promise<never> => {
    while (!(await server.engine.health()).ready) await sleep(100);
    print(`listening on ${server.url}`);
    return new Promise<never>(() => undefined);
  };
  // When PostgreSQL dies, the driver's complaint may come before the news of the death, which says more.
  const failure = broken.then((text) => Promise.race([server.failed, sleep(1_000, text)]));
  const why = await Promise.race([signalled, server.failed, failure, announced()]);
  const failed = typeof why === 'string' ? undefined : why;
  if (failed) complain(failed[language]);
  const closing = server.close();
  await (failed ? Promise.race([closing, sleep(BROKEN_CLOSE_MS)]) : closing);
  off();
  return failed ? 1 : 0;
};
