import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type EmbeddedPostgres, startEmbeddedPostgres } from '@vigil/platform';

/** What global-teardown needs: jest loads the two files apart, only the global object is shared. */
export interface TestServer {
  readonly server: EmbeddedPostgres;
  readonly folder: string;
}
export const SHELF = Symbol.for('vigil.test-server');

const PREFIX = 'vigil-jest-';

/** One PostgreSQL per run, in a folder of its own; DATABASE_URL_TEST (a role with CREATEDB) is used instead when set. */
export default async (): Promise<void> => {
  if (process.env['DATABASE_URL_TEST']) return;
  await removeAbandoned();
  const folder = await mkdtemp(join(tmpdir(), `${PREFIX}${process.pid}-`));
  const server = await startEmbeddedPostgres({ dataDir: folder, settings: { fsync: 'off', full_page_writes: 'off' } });
  (globalThis as Record<symbol, unknown>)[SHELF] = { server, folder } satisfies TestServer;
  process.env['VIGIL_TEST_PG_ADMIN'] = server.adminUrl;
  process.env['VIGIL_TEST_PG_URL'] = server.url;
};

/** Folders of runs that were killed (40 MB each); their servers ended with them. */
const removeAbandoned = async (): Promise<void> => {
  for (const name of await readdir(tmpdir())) {
    const pid = name.startsWith(PREFIX) ? Number(name.slice(PREFIX.length).split('-')[0]) : NaN;
    if (pid > 0 && !runs(pid)) await rm(join(tmpdir(), name), { recursive: true, force: true }).catch(() => undefined);
  }
};

const runs = (pid: number): boolean => {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
};
