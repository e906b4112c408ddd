import { createPostgresLog, LOG_MIGRATIONS, type EventLog } from '@vigil/event-log';
import { connect, migrate, startEmbeddedPostgres, type EmbeddedPostgres, type SqlClient } from '@vigil/platform';
import { createProjections, PROJECTION_MIGRATIONS, type Projections } from '@vigil/projections';
import { existsSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';

/** A line of a table: what was measured, the figure, and what the project aims at. */
export interface Figure {
  readonly what: string;
  readonly value: string;
  readonly aim?: string;
  readonly met?: boolean;
}

export interface World {
  readonly server: EmbeddedPostgres;
  readonly sql: SqlClient;
  readonly log: EventLog;
  readonly projections: Projections;
  /** A client on another, empty database of the same server. */
  readonly elsewhere: (name: string) => Promise<{ url: string; sql: SqlClient }>;
  readonly close: () => Promise<void>;
}

/** An empty engine on an embedded PostgreSQL with the settings users get, in a folder of its own. */
export const openWorld = async (): Promise<World> => {
  const dataDir = await mkdtemp(join(tmpdir(), 'vigil-bench-'));
  const server = await startEmbeddedPostgres({ dataDir });
  const sql = connect(server.url, { applicationName: 'bench', statementTimeoutMs: 0 });
  await migrate(sql, [...LOG_MIGRATIONS, ...PROJECTION_MIGRATIONS]);
  const log = createPostgresLog({ sql });
  const projections = createProjections({ sql, log, timeZone: 'Asia/Shanghai' });
  const others: SqlClient[] = [];
  return {
    server,
    sql,
    log,
    projections,
    elsewhere: async (name) => {
      const admin = connect(server.adminUrl, { applicationName: 'bench', max: 1 });
      await admin.unsafe(`CREATE DATABASE ${name}`);
      await admin.end();
      const url = server.adminUrl.replace(/\/[^/]*$/, `/${name}`);
      const client = connect(url, { applicationName: 'bench', statementTimeoutMs: 0 });
      others.push(client);
      return { url, sql: client };
    },
    close: async () => {
      await projections.stop();
      await log.close();
      for (const client of [sql, ...others]) await client.end({ timeout: 5 });
      await server.stop();
      await rm(dataDir, { recursive: true, force: true });
    },
  };
};

/** A file of the shared real data, or undefined where it isn't there. */
export const sharedFile = (path: string): string | undefined => {
  const file = resolve(process.env['VIGIL_SHARED'] ?? join(__dirname, '../../../../shared'), 'data', path);
  return existsSync(file) ? file : undefined;
};

export const NEISS = 'neiss/neiss_under2_2002_2017.csv.gz';
export const NEISS_ROWS = 361_306;

export const seconds = async (work: () => Promise<unknown>): Promise<number> => {
  const started = performance.now();
  await work();
  return (performance.now() - started) / 1000;
};

export const median = (values: readonly number[]): number => {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)]!;
};

export const quantile = (values: readonly number[], q: number): number =>
  [...values].sort((a, b) => a - b)[Math.min(values.length - 1, Math.ceil(values.length * q) - 1)]!;

export const whole = (value: number): string => Math.round(value).toLocaleString('en');
