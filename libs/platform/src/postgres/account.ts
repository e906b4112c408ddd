import { spawn, type SpawnOptions } from 'node:child_process';
import { chmod, lchown, readdir, readFile, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { type Binaries, copyBinaries, linkLibraries, unavailable } from './binaries';

/**
 * The account PostgreSQL runs under (it refuses root), with binaries that account can read.
 * As an ordinary user: ourselves. As root, the first of these that works:
 * the owner of existing data, if not root · a user namespace in which our root is called 65534 (files stay root's, no
 * user is created, nothing changes hands) · uid 65534 · uid 65534 that may pass root's closed folders (a container without
 * namespaces, data under /root) · the owner of a folder above that shuts others out.
 */
export interface Account {
  /** Owner of the data as the host sees it; null when nothing needs to change hands. */
  readonly owner: { readonly uid: number; readonly gid: number } | null;
  readonly binaries: Binaries;
  /** As `postgres --version` says it: `18.4`. */
  readonly version: string;
  /** Command line and options that run `file` under the account and signal it when this process dies, where the system can. */
  command(deathSignal: 'INT' | 'KILL', file: string, args: readonly string[]): [string, string[], SpawnOptions];
}

type Way = Pick<Account, 'owner'> & { readonly prefix: readonly string[]; readonly ids: { uid?: number; gid?: number } };

const NOBODY = 65534;

const ourselves: Way = { owner: null, prefix: [], ids: {} };
const namespace: Way = {
  owner: { uid: 0, gid: 0 },
  prefix: ['unshare', '--user', `--map-user=${NOBODY}`, `--map-group=${NOBODY}`, '--'],
  ids: {},
};
const as = (uid: number, gid: number): Way => ({ owner: { uid, gid }, prefix: [], ids: { uid, gid } });

const passing: Way = {
  owner: { uid: NOBODY, gid: NOBODY },
  prefix: [
    'setpriv',
    `--reuid=${NOBODY}`,
    `--regid=${NOBODY}`,
    '--clear-groups',
    '--securebits=+no_setuid_fixup', // else access(2), which initdb asks about its own program, ignores the capability
    '--inh-caps=+dac_override',
    '--ambient-caps=+dac_override',
    '--',
  ],
  ids: {},
};

/** Nothing of ours reaches PostgreSQL by environment (PGDATA, PGPORT, a locale this machine lacks). */
const environment = (): NodeJS.ProcessEnv => ({
  PATH: process.env['PATH'],
  SYSTEMROOT: process.env['SYSTEMROOT'],
  LC_ALL: 'C',
  TZ: 'UTC',
});

const commandFor =
  (way: Way, mortal: boolean): Account['command'] =>
  (deathSignal, file, args) => {
    // The death signal is set last: changing credentials clears it (prctl(2)).
    const [command, ...rest] = [...way.prefix, ...(mortal ? ['setpriv', '--pdeathsig', deathSignal, '--'] : []), file, ...args];
    return [command!, rest, { ...way.ids, env: environment() }];
  };

/**
 * Finds the account for `dataDir` (exists) with data, if any, in `cluster`.
 * @throws PlatformError `embedded-postgres-unavailable` with the last thing the system said
 */
export const chooseAccount = async (dataDir: string, cluster: string, installed: Binaries): Promise<Account> => {
  const linked = await linkLibraries(installed);
  const build = await buildOf(installed);
  const places = [...(linked ? [async () => installed] : []), () => copyBinaries(installed, dataDir, build)];
  let said = '';
  for (const way of await ways(dataDir, cluster)) {
    if (!(await reaches(way, dataDir))) continue;
    for (const place of places) {
      const binaries = await place();
      for (const mortal of process.platform === 'linux' ? [true, false] : [false]) {
        const command = commandFor(way, mortal);
        const answer = await run(command('KILL', binaries.postgres, ['--version']), 20_000);
        const version = /PostgreSQL\)? (\S+)/.exec(answer.out)?.[1];
        if (answer.ok && version) return { owner: way.owner, binaries, version, command };
        said = lastLine(answer.err) || said;
      }
    }
  }
  throw unavailable(said || '无可用账户能运行它', said || 'no account can run it');
};

const buildOf = async ({ native }: Binaries): Promise<string> =>
  (JSON.parse(await readFile(join(dirname(native), 'package.json'), 'utf8')) as { version: string }).version;

const ways = async (dataDir: string, cluster: string): Promise<Way[]> => {
  const uid = process.getuid?.();
  if (uid !== 0) return named(ourselves, uid);
  const holder = await stat(cluster).catch(() => stat(dataDir));
  const usual = [namespace, as(NOBODY, NOBODY), passing, ...(await ancestors(dataDir))];
  return holder.uid === 0 ? usual : [...(await named(as(holder.uid, holder.gid), holder.uid)), ...usual];
};

/** initdb insists that its user has a name; in a namespace even the bare number of `docker run --user 12345` has one: nobody. */
const named = async (way: Way, uid: number | undefined): Promise<Way[]> => {
  if (process.platform !== 'linux' || (await run(['id', ['-nu', String(uid)], {}], 5_000)).ok) return [way];
  return [{ ...way, prefix: namespace.prefix }, way];
};

/** Owners of the folders above, nearest first: root loses its privilege over them inside a user namespace. */
const ancestors = async (dir: string): Promise<Way[]> => {
  const owners = new Map<number, Way>();
  for (let at = dirname(dir); at !== dirname(at); at = dirname(at)) {
    const { uid, gid } = await stat(at);
    if (uid !== 0 && !owners.has(uid)) owners.set(uid, as(uid, gid));
  }
  return [...owners.values()];
};

/** Can this account get into the data folder? If only the folder's own 0700 stands in the way, let others pass (not read). */
const reaches = async (way: Way, dataDir: string): Promise<boolean> => {
  if (way.owner === null) return true;
  const enters = async (): Promise<boolean> =>
    (await run(commandFor(way, false)('KILL', 'test', ['-d', `${dataDir}/.`]), 5_000)).ok;
  if (await enters()) return true;
  const { mode, uid } = await stat(dataDir);
  if (uid !== 0 || way.owner.uid === 0 || !(await parentOpen(way, dataDir))) return false;
  await chmod(dataDir, (mode & 0o777) | 0o011);
  return enters();
};

const parentOpen = async (way: Way, dataDir: string): Promise<boolean> =>
  (await run(commandFor(way, false)('KILL', 'test', ['-d', `${dirname(dataDir)}/.`]), 5_000)).ok;

/** Hands a tree to the account that will run on it (root only; links themselves, not what they point to). */
export const handOver = async (tree: string, { owner }: Account): Promise<void> => {
  if (!owner || (await stat(tree)).uid === owner.uid) return;
  const walk = async (dir: string): Promise<void> => {
    for (const entry of await readdir(dir, { withFileTypes: true })) {
      const path = join(dir, entry.name);
      if (entry.isDirectory()) await walk(path);
      else await lchown(path, owner.uid, owner.gid);
    }
    await lchown(dir, owner.uid, owner.gid); // last: a walk cut short is taken up again
  };
  await walk(tree);
};

export interface Answer {
  readonly ok: boolean;
  readonly out: string;
  readonly err: string;
}

/** Runs a command to its end; after `ms` it is killed and `ok` is false. Never throws. */
export const run = ([file, args, options]: [string, string[], SpawnOptions], ms: number, input = ''): Promise<Answer> =>
  new Promise((resolve) => {
    const child = spawn(file, args, { ...options, stdio: 'pipe', windowsHide: true });
    const [out, err]: [Buffer[], Buffer[]] = [[], []];
    child.stdout!.on('data', (chunk: Buffer) => out.push(chunk));
    child.stderr!.on('data', (chunk: Buffer) => err.push(chunk));
    child.stdin!.on('error', () => undefined); // it ended without reading: its exit code tells
    child.stdin!.end(input);
    const timer = setTimeout(() => child.kill('SIGKILL'), ms);
    const done = (ok: boolean, said = ''): void => {
      clearTimeout(timer);
      resolve({ ok, out: Buffer.concat(out).toString(), err: Buffer.concat(err).toString() + said });
    };
    child.on('error', (error) => done(false, error.message));
    child.on('close', (code) => done(code === 0));
  });

export const lastLine = (text: string): string => text.trim().split('\n').at(-1)?.trim() ?? '';
