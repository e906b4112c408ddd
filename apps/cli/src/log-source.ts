import { ExportFault, position, readExport, readPages, type Position, type RecordedEvent } from '@vigil/event-log';
import { PlatformError, type Config } from '@vigil/platform';
import { loadServer, startFailure, untilReady } from './connect';
import { EXIT, Failure } from './exit';
import { createClient, unreachable, type Client } from './http';
import { say } from './language';

/** The stored events, byte for byte, without the engine between where that can be. */
export interface LogSource {
  readonly store: string;
  /** In words: where events come from. */
  readonly from: string;
  pages(after: Position): AsyncIterable<readonly RecordedEvent[]>;
  close(): Promise<void>;
}

const IN_USE: ReadonlySet<string> = new Set(['data-folder-in-use', 'embedded-postgres-in-use']);

/**
 * Reads the log itself: from DATABASE_URL, or from the data folder while nobody else has it. Where a server has it (or VIGIL_URL names
 * one) it gives the events.
 */
export const openLogSource = async (config: Config): Promise<LogSource> => {
  if (process.env['VIGIL_URL']?.trim()) return throughServer(config);
  const { hasEmbeddedLog, isEmbedded, openLog } = loadServer();
  const embedded = isEmbedded(config);
  if (embedded && !(await hasEmbeddedLog(config)))
    throw new Failure(
      EXIT.unreachable,
      say(
        `数据目录 ${config.dataDir} 中没有日志;用 VIGIL_DATA_DIR、DATABASE_URL 或 VIGIL_URL 指明`,
        `there is no log in the data folder ${config.dataDir}; name it with VIGIL_DATA_DIR, DATABASE_URL or VIGIL_URL`,
      ),
    );
  try {
    const { log, close } = await openLog(config, { write: false });
    return {
      store: config.store,
      from: embedded ? say(`数据目录 ${config.dataDir}`, `the data folder ${config.dataDir}`) : say('数据库', 'the database'),
      pages: (after) => told(readPages(log, { after })),
      close,
    };
  } catch (error) {
    if (error instanceof PlatformError && IN_USE.has(error.code) && (await untilReady(config.serverUrl)) === 'ready')
      return throughServer(config);
    throw startFailure(error, EXIT.unreachable, 0);
  }
};

const throughServer = async ({ serverUrl, store }: Config): Promise<LogSource> => {
  const client = createClient(serverUrl);
  const { headers } = await askExport(client, position(2n ** 63n - 1n)); // none: who answers, and from which store
  return {
    store: headers.get('vigil-store') ?? store,
    from: say(`${serverUrl} 的服务`, `the server at ${serverUrl}`),
    pages: (after) => exported(client, after),
    close: async () => undefined,
  };
};

const EXPORT_MS = 6 * 3_600_000;

const askExport = (client: Client, after: Position): Promise<Response> =>
  client.send(`/api/v1/log/export?after=${after}`, { headers: { accept: 'application/x-ndjson' }, ms: EXPORT_MS });

async function* exported(client: Client, after: Position): AsyncGenerator<readonly RecordedEvent[], void> {
  const { body } = await askExport(client, after);
  try {
    yield* readExport(body as unknown as AsyncIterable<Uint8Array>);
  } catch (error) {
    throw error instanceof ExportFault
      ? new Failure(EXIT.unreachable, `${client.url}: ${words(error)}`)
      : unreachable(client.url, error);
  }
}

/** A database that isn't Vigil's, in words. */
async function* told(pages: AsyncIterable<readonly RecordedEvent[]>): AsyncGenerator<readonly RecordedEvent[], void> {
  try {
    yield* pages;
  } catch (error) {
    if ((error as { code?: string }).code !== '42P01') throw error; // undefined_table
    throw new Failure(EXIT.unreachable, say('这个数据库中没有日志', 'there is no log in this database'));
  }
}

const words = ({ detail }: ExportFault): string => say(detail.zh, detail.en);

/** A fault of an exported file, as the command's last line. */
export const fileFailure = (error: unknown, file: string): unknown =>
  error instanceof ExportFault
    ? new Failure(EXIT.refused, `${file === '-' ? say('标准输入', 'stdin') : file}: ${words(error)}`)
    : error;
