import { spawn, type ChildProcess } from 'node:child_process';
import { existsSync, readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { connect, type SqlClient } from '@vigil/platform';
import { freshDatabase, type FreshDatabase } from '@vigil/testing';

// What the specs of the real run share: the public files beside the repository, databases, and the program in processes of its own.

const repository = join(__dirname, '../../../..');
const launcher = join(repository, 'apps/cli/bin/vigil.js');
const shared = resolve(repository, process.env['VIGIL_SHARED'] ?? '../shared');

export const sharedPath = (name: string): string => join(shared, name);

/**
 * `describe` where the files are there. Elsewhere the tests are skipped and the run says which and why; on CI, where a green run
 * must mean that they ran, that is a failure.
 */
export const describeWith = (files: readonly string[], title: string, body: () => void): void => {
  const missing = files.map(sharedPath).filter((path) => !existsSync(path));
  if (missing.length === 0) return void describe(title, body);
  const why = `NOT RUN: "${title}" needs ${missing.join(', ')} (VIGIL_SHARED names another folder than ../shared)`;
  if (process.env['CI']) return void test(title, () => Promise.reject(new Error(why)));
  // eslint-disable-next-line no-console -- a skipped real run must be seen
  console.warn(why);
  describe.skip(title, body);
};

export const sharedJson = <T>(name: string): T => JSON.parse(readFileSync(sharedPath(name), 'utf8')) as T;

/** A shared CSV by a reader of our own, that owes nothing to the one under test. */
export const sharedRows = (name: string): Record<string, string>[] => {
  const bytes = readFileSync(sharedPath(name));
  return csvRows((name.endsWith('.gz') ? gunzipSync(bytes) : bytes).toString('utf8'));
};

export const csvRows = (text: string): Record<string, string>[] => {
  const cells: string[][] = [[]];
  for (const [, quoted, plain, end] of text.matchAll(/(?:"((?:[^"]|"")*)"|([^",\r\n]*))(,|\r?\n|$)/g)) {
    cells.at(-1)!.push(quoted?.replaceAll('""', '"') ?? plain!);
    if (end !== ',') cells.push([]);
  }
  const [header, ...rows] = cells.filter((row) => row.length > 1);
  return rows.map((row) => Object.fromEntries(header!.map((column, at) => [column, row[at]!])));
};

export const tally = <T>(items: Iterable<T>, keyOf: (item: T) => string): Record<string, number> => {
  const counts: Record<string, number> = {};
  for (const item of items) counts[keyOf(item)] = (counts[keyOf(item)] ?? 0) + 1;
  return counts;
};

export const relativeError = (got: number, wanted: number): number => Math.abs(got - wanted) / Math.max(1e-300, Math.abs(wanted));

/** Databases, folders, processes and connections of one suite, all gone when it ends. */
export const createWorld = () => {
  const closers: (() => Promise<unknown> | unknown)[] = [];
  const later = <T>(made: T, close: () => Promise<unknown> | unknown): T => (closers.push(close), made);
  return {
    close: async (): Promise<void> => {
      const faults: unknown[] = [];
      for (const close of closers.splice(0).reverse())
        await Promise.resolve()
          .then(close)
          .catch((fault: unknown) => faults.push(fault));
      if (faults.length > 0) throw faults[0];
    },
    later,
    folder: async (): Promise<string> => {
      const path = await mkdtemp(join(tmpdir(), 'vigil-real-'));
      return later(path, () => rm(path, { recursive: true, force: true, maxRetries: 10, retryDelay: 200 }));
    },
    database: async (): Promise<FreshDatabase & { readonly sql: SqlClient }> => {
      const fresh = later(await freshDatabase(), () => undefined);
      const sql = connect(fresh.url, { max: 2, applicationName: 'spec' });
      later(undefined, async () => {
        await sql.end({ timeout: 5 });
        await fresh.drop();
      });
      return { ...fresh, sql };
    },
    vigil: (args: readonly string[], env: NodeJS.ProcessEnv = {}, cwd?: string): Program => {
      const program = vigil(args, env, cwd);
      return later(program, async () => {
        program.child.kill('SIGKILL');
        await program.ended;
      });
    },
  };
};
export type World = ReturnType<typeof createWorld>;

export interface Ended {
  readonly code: number | null;
  readonly out: string;
  readonly err: string;
}
export interface Program {
  readonly child: ChildProcess;
  readonly ended: Promise<Ended>;
  /** The first match in what was said on either stream; rejects when the program ends without it. */
  hears(pattern: RegExp): Promise<string>;
}

const inherited = (): NodeJS.ProcessEnv =>
  Object.fromEntries(
    Object.entries(process.env).filter(([name]) => !/^(VIGIL_|LC_|LANG|PORT$|DATABASE_URL|SWC_NODE|JEST)/.test(name)),
  );

const program = (args: readonly string[], env: NodeJS.ProcessEnv, cwd?: string): Program => {
  const child = spawn(process.execPath, args, {
    cwd,
    env: { ...inherited(), LANG: 'C', TZ: 'UTC', ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let [out, err] = ['', ''];
  const listeners = new Set<() => void>();
  const hear = (): void => listeners.forEach((listener) => listener());
  child.stdout.on('data', (chunk: Buffer) => ((out += chunk.toString()), hear()));
  child.stderr.on('data', (chunk: Buffer) => ((err += chunk.toString()), hear()));
  const ended = new Promise<Ended>((done) => child.once('close', (code) => done({ code, out, err })));
  return {
    child,
    ended,
    hears: (pattern) =>
      new Promise((done, fail) => {
        const listener = (): void => {
          const found = pattern.exec(out) ?? pattern.exec(err);
          if (!found) return;
          listeners.delete(listener);
          done(found[1] ?? found[0]);
        };
        listeners.add(listener);
        listener();
        void ended.then(({ code }) => fail(new Error(`ended with ${code} without ${pattern}:\n${out}\n${err}`)));
      }),
  };
};

/** The command as its users start it. */
const vigil = (args: readonly string[], env: NodeJS.ProcessEnv, cwd?: string): Program => program([launcher, ...args], env, cwd);

/** A node that runs `body` (of an async function, `load('libs/feeds')` requires our sources). */
export const node = (body: string, env: NodeJS.ProcessEnv = {}): Program =>
  program(
    [
      '-r',
      join(repository, 'node_modules/@swc-node/register'),
      '-e',
      `const load = (name) => require(${JSON.stringify(`${repository}/`)} + name + '/src/index.ts');
       (async () => { ${body} })().catch((error) => { process.stderr.write(String(error.stack)); process.exit(70); });`,
    ],
    { SWC_NODE_PROJECT: join(repository, 'tsconfig.base.json'), ...env },
    repository,
  );

/** The address of a `vigil serve`, once it answers. */
export const serving = (program: Program): Promise<string> => program.hears(/^listening on (\S+)$/m);

/** Rows of `vigil import --json`'s last line. */
export interface Imported {
  readonly accepted: number;
  readonly duplicates: number;
  readonly rejected: number;
  readonly position: number | null;
  readonly problem?: { readonly code?: string; readonly detail?: string };
}
export const importedBy = ({ code, out, err }: Ended): Imported => {
  const last = out.trimEnd().split('\n').at(-1)!;
  if (!last.startsWith('{')) throw new Error(`exit ${code}, no JSON line:\n${out}\n${err}`);
  return JSON.parse(last) as Imported;
};

export interface Row {
  readonly dx: string;
  readonly pe: string;
  readonly ou: string;
  readonly sex?: string;
  readonly age?: string;
  readonly mechanism?: string;
  readonly value: number | null;
  readonly num: number;
  readonly den: number | null;
  readonly n?: number;
  readonly status: string;
  readonly reason?: string;
  readonly ci: { readonly level: number; readonly low: number; readonly high: number; readonly method: string } | null;
}
export interface Observed {
  readonly data: readonly Row[];
  readonly meta: {
    readonly position: number;
    readonly asOf: string;
    readonly problems: readonly { readonly code: string; readonly detail: string }[];
  };
}

export const observe = async (url: string, query: string): Promise<Observed> => {
  const response = await fetch(`${url}/api/v1/observations?${query}`, { headers: { prefer: 'wait=60' } });
  const text = await response.text();
  if (!response.ok) throw new Error(`${response.status} ${query}: ${text}`);
  return JSON.parse(text) as Observed;
};

/** Processes that have a folder below `folder` as their own, as PostgreSQL's have the cluster. */
export const processesIn = (folder: string): string[] =>
  readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .flatMap((pid) => {
      try {
        const inside = readlinkSync(`/proc/${pid}/cwd`).startsWith(`${folder}/`);
        return inside ? [`${pid} ${readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ').trim()}`] : [];
      } catch {
        return []; // it has just ended
      }
    });

/** Every event once, by id: a digest over id, stream, revision, type and the bytes of its data. Order doesn't matter. */
export const logContent = async (sql: SqlClient): Promise<{ events: number; ids: number; digest: string }> => {
  const [row] = await sql<{ events: number; ids: number; digest: string }[]>`
    SELECT count(*)::int AS events, count(DISTINCT event_id)::int AS ids,
           md5(string_agg(md5(concat_ws('|', event_id, stream_id, revision, type, version, md5(data::text))), '' ORDER BY event_id)) AS digest
    FROM log.events`;
  return row!;
};

/** What the read models hold, but for positions and times, which differ between two logs of one content. */
export const readModelContent = async (sql: SqlClient): Promise<Record<string, string>> => {
  const digests: Record<string, string> = {};
  for (const table of ['injury_facts', 'sampling_units', 'communities', 'population']) {
    const [row] = await sql.unsafe<{ rows: number; digest: string }[]>(
      `SELECT count(*)::int AS rows, md5(string_agg(t, '' ORDER BY t)) AS digest
       FROM (SELECT md5((to_jsonb(r) - 'known_from' - 'reported')::text) AS t FROM read.${table} r) s`,
    );
    digests[table] = `${row!.rows} ${row!.digest}`;
  }
  return digests;
};
