import { randomBytes } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { createPostgresLog, LOG_MIGRATIONS } from '@vigil/event-log';
import { connect, migrate, startEmbeddedPostgres, type EmbeddedPostgres, type SqlClient } from '@vigil/platform';
import { compareWithFold, PROJECTION_MIGRATIONS } from '@vigil/projections';
import { checkWorld, type WorldReport } from '@vigil/testing';
import type { Story } from './supervisor';

/** A PostgreSQL of the proof's own, durable as in earnest, that may be killed and started again in its folder. */
export interface ProofServer {
  readonly running: EmbeddedPostgres;
  /** An empty database with the schema of log and read models; its url is as the role `vigil`. */
  database(): Promise<string>;
  /** Drops it, whoever is connected. */
  forget(url: string): Promise<void>;
  /** `kill -9` of the postmaster; its children find out by themselves. */
  kill(): Promise<void>;
  /** Starts it again in the same folder, on another port. */
  restart(): Promise<void>;
  close(): Promise<void>;
}

export const startProofServer = async (settings: Record<string, string> = {}): Promise<ProofServer> => {
  const dataDir = await mkdtemp(join(tmpdir(), 'vigil-proof-'));
  let running = await startEmbeddedPostgres({ dataDir, settings });
  const administer = async (statement: string): Promise<void> => {
    const admin = connect(running.adminUrl, { max: 1, applicationName: 'proof-admin' });
    await admin.unsafe(statement);
    await admin.end({ timeout: 5 });
  };
  return {
    get running() {
      return running;
    },
    database: async () => {
      const name = `proof_${randomBytes(6).toString('hex')}`;
      await administer(`CREATE DATABASE ${name} OWNER vigil TEMPLATE template0`);
      const url = new URL(running.url);
      url.pathname = `/${name}`;
      await prepare(url.href);
      return url.href;
    },
    forget: (url) => administer(`DROP DATABASE ${new URL(url).pathname.slice(1)} WITH (FORCE)`),
    kill: async () => {
      process.kill(running.pid, 'SIGKILL');
      await running.exited;
    },
    restart: async () => {
      running = await startEmbeddedPostgres({ dataDir, settings });
    },
    close: async () => {
      await running.stop();
      await rm(dataDir, { recursive: true, force: true, maxRetries: 5, retryDelay: 100 });
    },
  };
};

/** The schema of log and read models. */
export const prepare = async (url: string): Promise<void> => {
  const sql = connect(url, { max: 1, applicationName: 'proof-migrate' });
  await migrate(sql, [...LOG_MIGRATIONS, ...PROJECTION_MIGRATIONS]);
  await sql.end({ timeout: 5 });
};

/**
 * A statement that PostgreSQL had received goes on, and may commit, after its client was killed: a world is looked at once the
 * dead clients' sessions have ended.
 */
export const sessionsEnded = async (sql: SqlClient): Promise<void> => {
  for (;;) {
    const [row] = await sql<{ n: number }[]>`
      SELECT count(*)::int AS n FROM pg_stat_activity WHERE datname = current_database() AND application_name LIKE 'proof-%'
        AND application_name <> 'proof-check'`;
    if (row!.n === 0) return;
    await sleep(10);
  }
};

/** {@link checkWorld} over what a story's workers acknowledged and the database they left. */
export const checkStory = async (story: Story, url: string): Promise<WorldReport> => {
  const sql = connect(url, { max: 3, applicationName: 'proof-check', statementTimeoutMs: 0 });
  const log = createPostgresLog({ sql });
  try {
    await sessionsEnded(sql);
    return await checkWorld({
      log,
      acknowledged: story.acknowledged,
      sent: story.sent(),
      compare: () => compareWithFold({ sql, log, timeZone: 'Asia/Shanghai' }),
    });
  } finally {
    await log.close();
    await sql.end({ timeout: 5 });
  }
};
