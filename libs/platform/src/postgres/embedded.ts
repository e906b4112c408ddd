import { type ChildProcess, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import {
  type FileHandle,
  lchown,
  mkdir,
  open,
  readdir,
  readFile,
  readlink,
  realpath,
  rename,
  rm,
  stat,
  statfs,
  writeFile,
} from 'node:fs/promises';
import { createServer } from 'node:net';
import { basename, join, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { withDeadline } from '../deadline';
import { fileFault, noSpace, PlatformError, systemCode } from '../platform-error';
import { parseMark, pidRuns, stateOf, thisProcess } from '../process-mark';
import { type Account, chooseAccount, handOver, lastLine, run } from './account';
import { installedBinaries } from './binaries';

export interface EmbeddedPostgresOptions {
  /** The data folder; ours is its subfolder `postgres`. Made if absent, cut off from other accounts (0700). */
  readonly dataDir: string;
  /** One line per step worth telling (initialising, stopping an orphan). */
  readonly log?: (line: string) => void;
  /** Server settings over ours, for tests: `{ fsync: 'off' }`. */
  readonly settings?: Readonly<Record<string, string>>;
}

export interface EmbeddedPostgres {
  /** Database `vigil` as its owner, role `vigil`, no superuser. */
  readonly url: string;
  /** Superuser, database `postgres`: only for CREATE DATABASE in tests. */
  readonly adminUrl: string;
  readonly port: number;
  /** `18.4` */
  readonly version: string;
  readonly pid: number;
  /** Milliseconds initdb took; 0 when the data was there. */
  readonly initMs: number;
  /** Milliseconds from launch to ready. */
  readonly startedMs: number;
  /** Settles when the server has ended, whoever ended it. */
  readonly exited: Promise<PostgresExit>;
  /** Fast shutdown, harder after 10 s; safe to call twice. */
  stop(): Promise<void>;
}

export interface PostgresExit {
  /** False when nobody called `stop`. */
  readonly expected: boolean;
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  /** Last line of `postgres/server.log`. */
  readonly lastLine: string;
}

/** Room for the 40 MB of an empty cluster and the first WAL segments. */
const MIN_FREE_BYTES = 200 * 2 ** 20;
/** Replaying 1 GB of WAL after a crash may take this long on a slow disk. */
const READY_MS = 180_000;
const LOG_KEEP_BYTES = 4 * 2 ** 20;

const SETTINGS: Readonly<Record<string, string>> = {
  listen_addresses: '127.0.0.1',
  unix_socket_directories: '', // a socket's path may hold 107 bytes; a data folder's may be longer
  shared_buffers: '128MB',
  max_connections: '60',
  max_wal_size: '1GB',
  fsync: 'on',
  synchronous_commit: 'on',
  jit: 'off', // compiling costs more than our short queries take
  timezone: 'UTC',
  log_timezone: 'UTC',
  // ERROR lines stay out of the file: they quote values ("invalid input syntax …"), and the client gets them anyway.
  log_min_messages: 'log',
  log_min_error_statement: 'panic',
  log_checkpoints: 'off',
};

interface Places {
  readonly dataDir: string;
  readonly home: string;
  readonly cluster: string;
  readonly passwords: string;
  readonly keeper: string;
  readonly serverLog: string;
  readonly postmasterPid: string;
}

const placesIn = (dataDir: string, home = join(dataDir, 'postgres')): Places => ({
  dataDir,
  home,
  cluster: join(home, 'cluster'),
  passwords: join(home, 'passwords.json'),
  keeper: join(home, 'keeper.json'),
  serverLog: join(home, 'server.log'),
  postmasterPid: join(home, 'cluster', 'postmaster.pid'),
});

interface Passwords {
  readonly admin: string;
  readonly vigil: string;
}

/**
 * PostgreSQL from the npm binaries, on a random port of 127.0.0.1, data under `dataDir/postgres`; offline, as root or not.
 * It doesn't keep the event loop alive and doesn't survive this process: on Linux the kernel signals it when the calling
 * thread dies, elsewhere the next start stops it.
 *
 * @throws PlatformError `embedded-postgres-unavailable | embedded-postgres-in-use | embedded-postgres-failed |
 *   foreign-postgres-version | data-folder-not-writable | data-folder-not-a-folder | no-space`
 */
export const startEmbeddedPostgres = async (options: EmbeddedPostgresOptions): Promise<EmbeddedPostgres> => {
  const asked = resolve(options.dataDir);
  try {
    await mkdir(asked, { recursive: true, mode: 0o700 });
    return await startIn(placesIn(await realpath(asked)), options);
  } catch (error) {
    throw fileFault(error, asked);
  }
};

const startIn = async (
  at: Places,
  { log = () => undefined, settings = {} }: EmbeddedPostgresOptions,
): Promise<EmbeddedPostgres> => {
  await stopOrphan(at, log);
  const account = await chooseAccount(at.dataDir, at.cluster, installedBinaries());
  const initMs = await ensureCluster(at, account, log);
  await handOver(at.home, account);
  const passwords = await readPasswords(at, account);
  await writeFile(at.keeper, JSON.stringify(thisProcess()), { mode: 0o600 });
  const { child, port, startedMs, exited } = await launch(at, account, { ...SETTINGS, ...settings });
  const url = (role: string, password: string, database: string): string =>
    `postgres://${role}:${password}@127.0.0.1:${port}/${database}`;

  let stopping: Promise<void> | undefined;
  const interrupt = (): void => void child.kill('SIGINT'); // process.exit() where no death signal exists
  process.once('exit', interrupt);
  const ended = exited.then(async ({ code, signal }): Promise<PostgresExit> => {
    process.removeListener('exit', interrupt);
    return {
      expected: stopping !== undefined,
      code,
      signal,
      lastLine: lastLine(await readFile(at.serverLog, 'utf8').catch(() => '')),
    };
  });
  const stop = async (): Promise<void> => {
    child.ref();
    await terminate(child.pid!, at, account, () => child.exitCode !== null || child.signalCode !== null);
    await ended;
    await rm(at.keeper, { force: true });
  };
  return {
    url: url('vigil', passwords.vigil, 'vigil'),
    adminUrl: url('postgres', passwords.admin, 'postgres'),
    port,
    version: account.version,
    pid: child.pid!,
    initMs,
    startedMs,
    exited: ended,
    stop: () => (stopping ??= stop()),
  };
};

// ---- the cluster on disk

/** Makes the cluster in a draft folder and renames it into place: killed halfway, the next start begins afresh. */
const ensureCluster = async (at: Places, account: Account, log: (line: string) => void): Promise<number> => {
  for (const name of await readdir(at.dataDir))
    if (name.startsWith('postgres.draft-'))
      await rm(join(at.dataDir, name), { recursive: true, force: true, maxRetries: 5, retryDelay: 100 });

  const found = await readFile(join(at.cluster, 'PG_VERSION'), 'utf8').catch((error: unknown) => {
    if (systemCode(error) === 'ENOENT') return null;
    throw error;
  });
  const major = account.version.split('.')[0]!;
  if (found !== null && found.trim() !== major) throw foreignVersion(at.cluster, found.trim(), major);
  if (found !== null) return 0;

  const { bavail, bsize } = await statfs(at.dataDir);
  if (bavail * bsize < MIN_FREE_BYTES) throw noSpace(at.dataDir);
  log(`initialising PostgreSQL ${account.version} in ${at.home}`);
  const began = performance.now();
  const draft = placesIn(at.dataDir, join(at.dataDir, `postgres.draft-${randomBytes(4).toString('hex')}`));
  for (const dir of [draft.home, draft.cluster]) {
    await mkdir(dir, { mode: 0o700 });
    if (account.owner) await lchown(dir, account.owner.uid, account.owner.gid);
  }
  try {
    await initialise(draft, account);
    await syncFolder(draft.home);
    await rename(draft.home, at.home);
    await syncFolder(at.dataDir);
  } catch (error) {
    await rm(draft.home, { recursive: true, force: true });
    if (['ENOTEMPTY', 'EEXIST'].includes(systemCode(error) ?? ''))
      throw failed(at, `${at.home} holds no cluster but other files`, '');
    throw error;
  }
  return performance.now() - began;
};

const initialise = async (at: Places, account: Account): Promise<void> => {
  const args = [
    '-D',
    at.cluster,
    '-U',
    'postgres',
    '-A',
    'reject',
    '--encoding=UTF8',
    '--locale=C',
    '--locale-provider=builtin',
    '--builtin-locale=C.UTF-8',
  ];
  const made = await run(account.command('KILL', account.binaries.initdb, args), 120_000);
  if (!made.ok) throw failed(at, lastLine(made.err.replaceAll(/^initdb: removing.*$/gm, '')) || 'initdb was killed', made.err);
  const passwords: Passwords = { admin: randomBytes(24).toString('hex'), vigil: randomBytes(24).toString('hex') };
  await offline(at, account, [
    `ALTER ROLE postgres PASSWORD '${passwords.admin}'`,
    `CREATE ROLE vigil LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE PASSWORD '${passwords.vigil}'`,
    'CREATE DATABASE vigil OWNER vigil',
  ]);
  // Until here every connection was refused; from here a password is asked, on the loopback only.
  await writeFile(join(at.cluster, 'pg_hba.conf'), 'host all all 127.0.0.1/32 scram-sha-256\n');
  await writePasswords(at, passwords);
};

/** SQL by the stand-alone backend: no port is open yet, and the files are synced when it ends. */
const offline = async (at: Places, account: Account, statements: readonly string[]): Promise<void> => {
  const args = ['--single', '-D', at.cluster, '-c', 'exit_on_error=on', '-c', 'log_checkpoints=off', 'postgres'];
  const answer = await run(
    account.command('KILL', account.binaries.postgres, args),
    60_000,
    statements.map((s) => `${s};\n`).join(''),
  );
  if (!answer.ok) throw failed(at, lastLine(answer.err), answer.err);
};

const writePasswords = async (at: Places, passwords: Passwords): Promise<void> => {
  const file: FileHandle = await open(at.passwords, 'w', 0o600);
  try {
    await file.writeFile(JSON.stringify(passwords));
    await file.sync();
  } finally {
    await file.close();
  }
};

const readPasswords = async (at: Places, account: Account): Promise<Passwords> => {
  const text = await readFile(at.passwords, 'utf8').catch((error: unknown) => {
    if (systemCode(error) === 'ENOENT') return null;
    throw error;
  });
  if (text !== null) return JSON.parse(text) as Passwords;
  // Deleted or left out of a copy: whoever owns the files may set new ones.
  const passwords: Passwords = { admin: randomBytes(24).toString('hex'), vigil: randomBytes(24).toString('hex') };
  await offline(at, account, [
    `ALTER ROLE postgres PASSWORD '${passwords.admin}'`,
    `ALTER ROLE vigil PASSWORD '${passwords.vigil}'`,
  ]);
  await writePasswords(at, passwords);
  return passwords;
};

const syncFolder = async (dir: string): Promise<void> => {
  if (process.platform === 'win32') return; // a folder can't be opened there
  const handle = await open(dir, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
};

// ---- the running server

interface Launched {
  readonly child: ChildProcess;
  readonly port: number;
  readonly startedMs: number;
  readonly exited: Promise<{ code: number | null; signal: NodeJS.Signals | null }>;
}

const launch = async (at: Places, account: Account, settings: Readonly<Record<string, string>>): Promise<Launched> => {
  const log = await openLog(at);
  try {
    const patience = performance.now() + 15_000;
    for (;;) {
      const port = await freePort();
      const from = (await log.stat()).size;
      const began = performance.now();
      const flags = Object.entries({ ...settings, port: String(port) }).flatMap(([name, value]) => ['-c', `${name}=${value}`]);
      const [file, args, options] = account.command('INT', account.binaries.postgres, ['-D', at.cluster, ...flags]);
      // Its own session: Ctrl-C at the terminal reaches the whole process group, and we still have events to write.
      const child = spawn(file, args, { ...options, detached: true, windowsHide: true, stdio: ['ignore', log.fd, log.fd] });
      const exited = new Promise<{ code: number | null; signal: NodeJS.Signals | null }>((done, fail) => {
        child.once('exit', (code, signal) => done({ code, signal }));
        child.once('error', fail);
      });
      if (await becomesReady(at, child, exited)) {
        child.unref();
        return { child, port, startedMs: performance.now() - began, exited };
      }
      const said = (await readFile(at.serverLog)).subarray(from).toString();
      // The port was taken in between, or children of a killed postmaster are still leaving its shared memory.
      const passing = /could not bind|could not create any TCP|shared memory block .* in use|lock file "postmaster.pid" already/;
      if (!passing.test(said) || performance.now() > patience) throw failed(at, fatalLine(said), said, at.serverLog);
      await sleep(100);
    }
  } finally {
    await log.close();
  }
};

const openLog = async (at: Places): Promise<FileHandle> => {
  const size = await stat(at.serverLog).then(
    (found) => found.size,
    () => 0,
  );
  if (size > LOG_KEEP_BYTES) await rename(at.serverLog, `${at.serverLog}.1`);
  return open(at.serverLog, 'a', 0o600);
};

/** The server writes `ready` into line 8 of postmaster.pid: no connection, no password needed to see it. False: it ended. */
const becomesReady = async (at: Places, child: ChildProcess, exited: Promise<unknown>): Promise<boolean> => {
  let over = false;
  void exited.then(
    () => (over = true),
    () => (over = true),
  );
  const watch = async (): Promise<boolean> => {
    while (!over) {
      const lines = (await readFile(at.postmasterPid, 'utf8').catch(() => '')).split('\n');
      if (Number(lines[0]) === child.pid && lines[7]?.trim() === 'ready') return true;
      await sleep(5);
    }
    await exited; // rethrows a failed spawn
    return false;
  };
  return withDeadline(READY_MS, watch(), 'PostgreSQL start', () => {
    over = true;
    child.kill('SIGQUIT');
  });
};

const freePort = (): Promise<number> =>
  new Promise((done, fail) => {
    const server = createServer();
    server.once('error', fail);
    server.listen(0, '127.0.0.1', () => {
      const address = server.address();
      server.close(() => done(typeof address === 'object' && address ? address.port : 0));
    });
  });

/** SIGINT is PostgreSQL's fast shutdown, SIGQUIT its immediate one (recovery at next start, nothing committed is lost). */
const terminate = async (pid: number, at: Places, account: Account | null, gone: () => boolean): Promise<void> => {
  for (const [signal, mode, ms] of [
    ['SIGINT', 'fast', 10_000],
    ['SIGQUIT', 'immediate', 5_000],
    ['SIGKILL', '', 5_000],
  ] as const) {
    if (gone()) return;
    const { pgCtl } = account?.binaries ?? installedBinaries();
    if (process.platform === 'win32' && mode) await run([pgCtl, ['stop', '-D', at.cluster, '-m', mode, '-W'], {}], ms);
    else kill(pid, signal);
    for (const until = performance.now() + ms; !gone() && performance.now() < until; ) await sleep(10);
  }
  if (!gone()) throw failed(at, `process ${pid} doesn't end`, '');
};

const kill = (pid: number, signal: NodeJS.Signals): void => {
  try {
    process.kill(pid, signal);
  } catch (error) {
    if (systemCode(error) !== 'ESRCH') throw error;
  }
};

/**
 * Stops what a killed engine left running, and removes a postmaster.pid whose number now belongs to a stranger
 * (PostgreSQL itself would refuse to start: after a reboot or in a container such numbers come back).
 */
const stopOrphan = async (at: Places, log: (line: string) => void): Promise<void> => {
  const pid = Number((await readFile(at.postmasterPid, 'utf8').catch(() => '')).split('\n')[0]);
  if (!Number.isInteger(pid) || pid <= 0) return;
  if (!(await isPostmasterOf(pid, at.cluster))) return rm(at.postmasterPid, { force: true });
  const keeper = parseMark(await readFile(at.keeper, 'utf8').catch(() => ''));
  if (keeper && stateOf(keeper) === 'alive')
    throw new PlatformError('embedded-postgres-in-use', {
      zh: `${at.home} 的 PostgreSQL(进程 ${pid})正由进程 ${keeper.pid} 使用:请先停止它(kill ${keeper.pid})`,
      en: `the PostgreSQL of ${at.home} (process ${pid}) is in use by process ${keeper.pid}: stop that first (kill ${keeper.pid})`,
    });
  log(`stopping PostgreSQL ${pid}, left behind by an engine that was killed`);
  await terminate(pid, at, null, () => !pidRuns(pid));
};

/** Is this process a server, and on this very folder? A server's working directory is its data folder. */
const isPostmasterOf = async (pid: number, cluster: string): Promise<boolean> => {
  if (!pidRuns(pid)) return false;
  if (process.platform === 'win32') return true; // pg_ctl stop checks for itself
  if (process.platform !== 'linux') {
    const { out } = await run(['ps', ['-ww', '-o', 'command=', '-p', String(pid)], {}], 5_000);
    return out.includes('postgres') && out.includes(` -D ${cluster} `);
  }
  const [program, folder] = await Promise.all(
    [`/proc/${pid}/exe`, `/proc/${pid}/cwd`].map((path) => readlink(path).catch(() => '')),
  );
  return basename(program!).startsWith('postgres') && folder === cluster;
};

// ---- what went wrong

const fatalLine = (said: string): string =>
  /^.*(?:FATAL|PANIC): {1,2}(.*)$/m.exec(said)?.[1] ?? (lastLine(said) || 'it ended without a word');

const failed = (at: Places, line: string, said: string, log?: string): PlatformError =>
  /No space left on device|Disk quota exceeded/.test(said)
    ? noSpace(at.dataDir)
    : new PlatformError('embedded-postgres-failed', {
        zh: `内嵌 PostgreSQL 未能运行:${line}${log ? `(见 ${log})` : ''}`,
        en: `the embedded PostgreSQL failed: ${line}${log ? ` (see ${log})` : ''}`,
      });

const foreignVersion = (cluster: string, found: string, ours: string): PlatformError =>
  new PlatformError('foreign-postgres-version', {
    zh: `${cluster} 由 PostgreSQL ${found} 建立,本程序为 ${ours}:请用 pg_upgrade 升级、用 DATABASE_URL 连接旧服务器,或用 VIGIL_DATA_DIR 另指一处`,
    en: `${cluster} was made by PostgreSQL ${found}, ours is ${ours}: run pg_upgrade, point DATABASE_URL at a server of the old version, or choose another VIGIL_DATA_DIR`,
  });
