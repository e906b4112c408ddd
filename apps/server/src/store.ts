import { access } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { createEventStoreLog, createPostgresLog, LOG_MIGRATIONS, type EventLog, type SealerOptions } from '@vigil/event-log';
import {
  claimDataFolder,
  connect,
  migrate,
  PlatformError,
  startEmbeddedPostgres,
  type Config,
  type SqlClient,
} from '@vigil/platform';

const openEventStore = ({ eventStoreUrl }: Config): EventLog => {
  try {
    return createEventStoreLog({ url: eventStoreUrl! });
  } catch (cause) {
    const { message } = cause as Error;
    throw new PlatformError(
      'event-store-unavailable',
      { zh: `EVENTSTORE_URL 无法使用:${message}`, en: `EVENTSTORE_URL cannot be used: ${message}` },
      { cause },
    );
  }
};

/**
 * The event log that a configuration names; `sql` is for a store that lives in PostgreSQL.
 * @throws PlatformError `event-store-unavailable` when the connection string, or a file it names, can't be read
 */
export const createLog = (config: Config, sql: SqlClient): EventLog =>
  config.store === 'eventstoredb' ? openEventStore(config) : createPostgresLog({ sql });

/** Where a configuration keeps the log's heads. */
export const headsFolder = ({ headsDir, dataDir }: Pick<Config, 'headsDir' | 'dataDir'>): string =>
  headsDir !== undefined ? resolve(headsDir) : join(resolve(dataDir), 'heads');

/** The private key is part of the data folder; the heads may be told to lie elsewhere. */
export const sealerPlaces = (config: Pick<Config, 'headsDir' | 'dataDir'>): Pick<SealerOptions, 'folder' | 'keyFile'> => ({
  folder: headsFolder(config),
  keyFile: join(resolve(config.dataDir), 'keys', 'log-signing.pem'),
});

export interface OpenLog {
  readonly log: EventLog;
  close(): Promise<void>;
}

/** Whether the configuration's log is on this machine's embedded PostgreSQL, which one process at a time can open. */
export const isEmbedded = ({ store, databaseUrl }: Config): boolean => store === 'postgres' && databaseUrl === undefined;

/** Whether the data folder has an embedded PostgreSQL in it; opening a log to read would make one. */
export const hasEmbeddedLog = ({ dataDir }: Config): Promise<boolean> =>
  access(join(resolve(dataDir), 'postgres', 'cluster', 'PG_VERSION')).then(
    () => true,
    () => false,
  );

/**
 * The log alone: no projections, no server, nothing sealed. `write` claims the data folder and brings the log's schema up to date;
 * to read, the folder is claimed only where PostgreSQL is in it.
 * @throws PlatformError data folder in use, PostgreSQL won't start …
 */
export const openLog = async (config: Config, { write }: { readonly write: boolean }): Promise<OpenLog> => {
  const closers: (() => Promise<unknown>)[] = [];
  const close = async (): Promise<void> => {
    for (const step of closers.splice(0).reverse()) await step();
  };
  try {
    if (write || isEmbedded(config)) closers.push((await claimDataFolder(config.dataDir)).release);
    if (config.store === 'eventstoredb') {
      const log = openEventStore(config);
      closers.push(log.close);
      return { log, close };
    }
    let url = config.databaseUrl;
    if (url === undefined) {
      const embedded = await startEmbeddedPostgres({ dataDir: resolve(config.dataDir) });
      closers.push(embedded.stop);
      url = embedded.url;
    }
    const sql = connect(url, { max: 4, applicationName: 'vigil-log', statementTimeoutMs: 120_000 });
    closers.push(() => sql.end({ timeout: 5 }));
    if (write) await migrate(sql, LOG_MIGRATIONS);
    const log = createLog(config, sql);
    closers.push(log.close);
    return { log, close };
  } catch (error) {
    await close();
    throw error;
  }
};
