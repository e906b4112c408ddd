import { PlatformError, type Config } from '@vigil/platform';
import { EXIT, Failure, type ExitCode } from './exit';
import { createClient, type Client } from './http';
import { language, say } from './language';
import { note } from './terminal';

export interface Connection {
  readonly client: Client;
  /** The engine runs in this process, on this data folder. */
  readonly inProcess: boolean;
  close(): Promise<void>;
}

export type Answer = 'ready' | 'starting' | 'stranger' | 'nobody';

/** Who answers at a URL? A Vigil is known by its JSON at /health/ready, also while it is starting. */
export const whoAnswers = async (url: string, ms = 3_000): Promise<Answer> => {
  try {
    const response = await fetch(`${url.replace(/\/+$/, '')}/health/ready`, {
      headers: { accept: 'application/json' },
      signal: AbortSignal.timeout(ms),
    });
    const body: unknown = await response.json().catch(() => undefined);
    if (typeof body !== 'object' || body === null || !('status' in body)) return 'stranger';
    return response.ok ? 'ready' : response.status === 503 ? 'starting' : 'stranger';
  } catch (error) {
    return (error as Error).name === 'TimeoutError' ? 'stranger' : 'nobody';
  }
};

const STARTING_MS = 15_000;

/** Waits while a Vigil at `url` is starting. */
export const untilReady = async (url: string, ms = STARTING_MS): Promise<Answer> => {
  const until = performance.now() + ms;
  for (;;) {
    const answer = await whoAnswers(url);
    if (answer !== 'starting' || performance.now() > until) return answer;
    await new Promise((done) => setTimeout(done, 50));
  }
};

const unreachable = (zh: string, en: string): Failure => new Failure(EXIT.unreachable, say(zh, en));

/**
 * One way to every command's work: HTTP. Talks to the Vigil at VIGIL_URL when one answers there, else (unless VIGIL_URL was set by
 * hand) starts the engine on the data folder in this process, with a server on a free loopback port.
 */
export const connectEngine = async (config: Config, options: { readonly quiet?: boolean } = {}): Promise<Connection> => {
  const explicit = Boolean(process.env['VIGIL_URL']?.trim());
  const url = config.serverUrl;
  const answer = await untilReady(url);
  if (answer === 'ready') {
    if (!options.quiet) note(say(`使用 ${url} 的守安服务`, `talking to the Vigil at ${url}`));
    return { client: createClient(url), inProcess: false, close: async () => undefined };
  }
  if (answer === 'starting')
    throw unreachable(`${url} 的守安尚未就绪,请稍后再试`, `the Vigil at ${url} isn't ready yet; try again in a moment`);
  if (explicit && answer === 'stranger')
    throw unreachable(
      `${url} 有程序应答,但不是守安;请检查 VIGIL_URL`,
      `something answers at ${url}, but it is no Vigil; check VIGIL_URL`,
    );
  if (explicit)
    throw unreachable(
      `${url}(VIGIL_URL)没有应答:请先运行 vigil serve,或去掉 VIGIL_URL 以直接使用数据目录`,
      `nothing answers at ${url} (VIGIL_URL): start vigil serve there, or unset VIGIL_URL to use the data folder directly`,
    );
  if (!options.quiet)
    note(
      say(
        `没有运行中的服务,直接使用数据目录 ${config.dataDir}`,
        `no server is running; using the data folder ${config.dataDir} directly`,
      ),
    );
  const { url: own, close } = await startHere({ ...config, port: 0, logLevel: config.logLevel ?? 'warn' }, 0);
  return { client: createClient(own), inProcess: true, close };
};

/** Loaded only when a server is to run in this process: it is most of a start. */
// eslint-disable-next-line @typescript-eslint/no-require-imports -- `import()` would give TypeScript another module than swc-node runs
export const loadServer = () => require('@vigil/server') as typeof import('@vigil/server');

export interface Running {
  readonly url: string;
  /** Rejects, with the line for a person, when the engine can't go on; never resolves. */
  readonly failed: Promise<never>;
  close(): Promise<void>;
}

/** Engine and server in this process. A fault of the machine becomes one clear line with `exitCode`. */
export const startHere = async (config: Config, port: number, exitCode: ExitCode = EXIT.unreachable): Promise<Running> => {
  try {
    const server = await loadServer().startServer(config, { port });
    const failed = server.failed.then((detail) => {
      throw new Failure(EXIT.unreachable, detail[language()]);
    });
    failed.catch(() => undefined); // told where somebody waits for it
    return { url: server.url, failed, close: server.close };
  } catch (error) {
    throw startFailure(error, exitCode, port);
  }
};

/** A start that failed, as one line. */
export const startFailure = (error: unknown, exitCode: ExitCode, port: number): unknown => {
  if (error instanceof PlatformError) return new Failure(exitCode, error.detail[language()]);
  const code = (error as NodeJS.ErrnoException).code;
  if (code === 'EADDRINUSE')
    return new PortTaken(
      EXIT.refused,
      say(
        `端口 ${port} 已被占用:用 --port 另选一个,或先停止占用它的程序`,
        `port ${port} is taken: choose another with --port, or stop what uses it`,
      ),
    );
  if (code === 'EACCES')
    return new Failure(
      EXIT.refused,
      say(`无权使用端口 ${port}:请选 1024 以上的端口`, `port ${port} may not be used: choose one above 1024`),
    );
  const detail = (error as { detail?: { zh?: string; en?: string } }).detail;
  return detail?.en ? new Failure(exitCode, (language() === 'zh' && detail.zh) || detail.en) : error;
};

export class PortTaken extends Failure {}

/** Runs `work` on a connection and closes it whatever happens; Ctrl-C closes the engine before the process ends. */
export const withEngine = async <T>(
  config: Config,
  work: (client: Client, connection: Connection) => Promise<T>,
  options: { readonly quiet?: boolean } = {},
): Promise<T> => {
  const connection = await connectEngine(config, options);
  const stop = (signal: NodeJS.Signals): void => {
    void connection.close().finally(() => process.exit(signal === 'SIGINT' ? EXIT.interrupted : 143));
  };
  process.once('SIGINT', stop).once('SIGTERM', stop);
  try {
    return await work(connection.client, connection);
  } finally {
    process.removeListener('SIGINT', stop).removeListener('SIGTERM', stop);
    await connection.close();
  }
};
