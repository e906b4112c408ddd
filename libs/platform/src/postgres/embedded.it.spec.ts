import { spawn } from 'node:child_process';
import { cp, mkdir, mkdtemp, readdir, readFile, readlink, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { childNode } from '../child-node.fixture';
import { pidRuns } from '../process-mark';
import { connect } from '../sql-client';
import { run } from './account';
import { copyBinaries, installedBinaries, linkLibraries } from './binaries';
import { type EmbeddedPostgres, startEmbeddedPostgres } from './embedded';

jest.setTimeout(60_000);

const onLinux = process.platform === 'linux' ? it : it.skip;
const asRoot = process.platform === 'linux' && process.getuid?.() === 0 ? it : it.skip;
const running: EmbeddedPostgres[] = [];
let seed: string; // a stopped data folder to copy: not every test needs an initdb of its own
let home: string;
beforeAll(async () => {
  seed = await mkdtemp(join(tmpdir(), 'vigil-seed-'));
  await (await startEmbeddedPostgres({ dataDir: seed })).stop();
});
afterAll(() => rm(seed, { recursive: true, force: true }));
const seeded = (): Promise<void> => cp(seed, home, { recursive: true });
beforeEach(async () => void (home = await mkdtemp(join(tmpdir(), 'vigil 守安 '))));
afterEach(async () => {
  await Promise.all(running.splice(0).map((server) => server.stop()));
  await rm(home, { recursive: true, force: true, maxRetries: 5 });
});

const start = async (dataDir: string, log: (line: string) => void = () => undefined): Promise<EmbeddedPostgres> => {
  const server = await startEmbeddedPostgres({ dataDir, log });
  running.push(server);
  return server;
};

const query = async (url: string, text: string): Promise<Record<string, unknown>> => {
  const sql = connect(url, { max: 1, applicationName: 'spec' });
  try {
    return (await sql.unsafe(text))[0] ?? {};
  } finally {
    await sql.end({ timeout: 5 });
  }
};

const owns = `SELECT current_user AS role, (SELECT rolsuper FROM pg_roles WHERE rolname = current_user) AS superuser`;
const until = async (holds: () => boolean | Promise<boolean>): Promise<void> => {
  for (let tries = 0; tries < 500 && !(await holds()); tries += 1) await sleep(20);
  expect(await holds()).toBe(true);
};
const starting = (dir: string): string =>
  `const pg = await platform.startEmbeddedPostgres({ dataDir: ${JSON.stringify(dir)}, log: console.log }); console.log('pid ' + pg.pid);`;

it('starts in a new folder whose path has blanks and Chinese; a restart keeps the data', async () => {
  const dir = join(home, 'data folder');
  const first = await start(dir);
  expect(await query(first.url, owns)).toEqual({ role: 'vigil', superuser: false });
  expect(await query(first.adminUrl, owns)).toEqual({ role: 'postgres', superuser: true });
  await query(
    first.url,
    `CREATE TABLE kept AS SELECT '伤害监测' AS word, lower('Ä') AS folded, date '2024-02-29' AS day, 9007199254740993 AS big`,
  );
  await first.stop();
  await first.stop();
  expect(await first.exited).toMatchObject({ expected: true, code: 0 });
  const second = await start(dir);
  expect(second.initMs).toBe(0);
  expect(await query(second.url, 'SELECT * FROM kept')).toEqual({
    word: '伤害监测',
    folded: 'ä',
    day: '2024-02-29',
    big: '9007199254740993',
  });
});

it('listens on the loopback only, asks a password, and keeps it from others', async () => {
  await seeded();
  const { port, pid } = await start(home);
  const url = (password: string): string => `postgres://postgres:${password}@127.0.0.1:${port}/postgres`;
  await expect(query(url('guess'), 'SELECT 1')).rejects.toMatchObject({ code: '28P01' });
  expect((await stat(join(home, 'postgres/passwords.json'))).mode & 0o077).toBe(0);
  if (process.platform !== 'linux') return;
  const inodes = (
    await Promise.all((await readdir(`/proc/${pid}/fd`)).map((fd) => readlink(`/proc/${pid}/fd/${fd}`).catch(() => '')))
  ).join();
  const listening = [4, 6].map((v) => readFile(`/proc/net/tcp${v === 6 ? '6' : ''}`, 'utf8').catch(() => ''));
  const sockets = (await Promise.all(listening))
    .join('\n')
    .split('\n')
    .map((line) => line.trim().split(/\s+/));
  const ours = sockets.filter((field) => field[3] === '0A' && inodes.includes(`socket:[${field[9]}]`)).map((field) => field[1]);
  expect(ours).toEqual([`0100007F:${port.toString(16).toUpperCase().padStart(4, '0')}`]);
});

it('refuses a second start while the first runs', async () => {
  await seeded();
  await start(home);
  await expect(startEmbeddedPostgres({ dataDir: home })).rejects.toMatchObject({
    code: 'embedded-postgres-in-use',
    message: expect.stringContaining(`${process.pid}`),
  });
});

it('tells when the server ended by itself, and recovers', async () => {
  await seeded();
  const first = await start(home);
  await query(first.url, 'CREATE TABLE kept AS SELECT 1 AS x');
  process.kill(first.pid, 'SIGKILL');
  expect(await first.exited).toMatchObject({ expected: false, signal: 'SIGKILL' });
  expect(await query((await start(home)).url, 'SELECT x FROM kept')).toEqual({ x: 1 });
});

onLinux('does not outlive its node, killed by -9', async () => {
  await seeded();
  const node = childNode(`${starting(home)} setInterval(() => 0, 1e3);`);
  const pid = Number((await node.line('pid ')).slice(4));
  expect(pidRuns(pid)).toBe(true);
  await node.kill();
  await until(() => !pidRuns(pid));
  await start(home);
});

it('lets a node that forgot to stop it end, and goes with it', async () => {
  await seeded();
  const node = childNode(starting(home));
  const pid = Number((await node.line('pid ')).slice(4));
  await node.ended;
  await until(() => !pidRuns(pid));
});

onLinux('stops the orphan of a killed node where the kernel would not', async () => {
  const bin = join(home, 'bin'); // no setpriv in it
  await mkdir(bin);
  for (const tool of ['unshare', 'test']) await symlink(`/usr/bin/${tool}`, join(bin, tool));
  const dir = join(home, 'data');
  const node = childNode(`${starting(dir)} setInterval(() => 0, 1e3);`, { env: { PATH: bin } });
  const pid = Number((await node.line('pid ')).slice(4));
  await node.kill();
  await sleep(300);
  expect(pidRuns(pid)).toBe(true);
  const lines: string[] = [];
  await start(dir, (line) => lines.push(line));
  expect(pidRuns(pid)).toBe(false);
  expect(lines.join()).toContain(`stopping PostgreSQL ${pid}`);
});

it('signals no stranger that got the number of a dead server', async () => {
  await seeded();
  const first = await start(home);
  await first.stop();
  const stranger = spawn(process.execPath, ['-e', 'setInterval(() => 0, 1e3)'], { stdio: 'ignore' });
  try {
    await writeFile(
      join(home, 'postgres/cluster/postmaster.pid'),
      `${stranger.pid}\n${home}/postgres/cluster\n1\n5432\n\n127.0.0.1\n\nready   \n`,
    );
    await start(home);
    expect(stranger.exitCode ?? stranger.signalCode).toBeNull();
  } finally {
    stranger.kill('SIGKILL');
  }
});

it.each([60, 300, 600])('begins afresh after a kill -9 %i ms into initdb', async (ms) => {
  const node = childNode(starting(home));
  await node.line('initialising');
  await sleep(ms);
  await node.kill();
  const server = await start(home);
  expect(await query(server.url, owns)).toEqual({ role: 'vigil', superuser: false });
  expect((await readdir(home)).filter((name) => name.includes('draft'))).toEqual([]);
});

it('sets new passwords when their file is lost', async () => {
  await seeded();
  await (await start(home)).stop();
  await rm(join(home, 'postgres/passwords.json'));
  expect(await query((await start(home)).url, owns)).toEqual({ role: 'vigil', superuser: false });
});

it('says in one line what is wrong with the folder', async () => {
  await writeFile(join(home, 'file'), '');
  await mkdir(join(home, 'old/postgres/cluster'), { recursive: true });
  await writeFile(join(home, 'old/postgres/cluster/PG_VERSION'), '15\n');
  const refusal = (dir: string) => startEmbeddedPostgres({ dataDir: join(home, dir) }).catch((error: unknown) => error);
  expect(await refusal('file')).toMatchObject({ code: 'data-folder-not-a-folder' });
  expect(await refusal('file/below')).toMatchObject({ code: 'data-folder-not-a-folder' });
  expect(await refusal('old')).toMatchObject({ code: 'foreign-postgres-version', message: expect.stringMatching(/^[^\n]+$/) });
});

it('makes the library links an install without scripts leaves out', async () => {
  const { native } = installedBinaries();
  const bare = join(home, 'package/native');
  await mkdir(join(bare, 'lib'), { recursive: true });
  await cp(join(native, 'pg-symlinks.json'), join(bare, 'pg-symlinks.json')).catch(() => undefined);
  await expect(linkLibraries({ native: bare, postgres: '', initdb: '', pgCtl: '' })).resolves.toBe(true);
  if (process.platform === 'linux') expect(await readlink(join(bare, 'lib/libpq.so.5'))).toBe('libpq.so.5.18');
});

it('runs from a copy where node_modules can be neither read nor written', async () => {
  const copy = await copyBinaries(installedBinaries(), home, 'copy');
  const said = await run([copy.initdb, ['--version'], {}], 5_000);
  expect(said).toMatchObject({ ok: true, out: expect.stringContaining('18.') });
  expect((await copyBinaries(installedBinaries(), home, 'copy')).native).toBe(copy.native);
});

describe('as root', () => {
  const withPath = async <T>(tools: string[], act: () => Promise<T>): Promise<T> => {
    const bin = await mkdtemp(join(home, 'bin'));
    for (const tool of tools) await symlink(`/usr/bin/${tool}`, join(bin, tool));
    const before = process.env['PATH'];
    process.env['PATH'] = bin;
    try {
      return await act();
    } finally {
      process.env['PATH'] = before;
    }
  };
  const owner = async (dir: string): Promise<number> => (await stat(join(dir, 'postgres/cluster'))).uid;

  asRoot('leaves the files to root where namespaces work', async () => {
    const { pid } = await start(home);
    expect(await owner(home)).toBe(0);
    expect(await readFile(`/proc/${pid}/uid_map`, 'utf8')).toMatch(/^\s+65534\s+0\s+1\s*$/);
  });

  asRoot('runs as uid 65534 without namespaces, and takes the data back later', async () => {
    const open = await mkdtemp(join(tmpdir(), 'vigil-open-'));
    try {
      const { chmod } = await import('node:fs/promises');
      await chmod(open, 0o755);
      const dir = join(open, 'data');
      const first = await withPath(['setpriv', 'test'], () => start(dir));
      expect((await stat(`/proc/${first.pid}`)).uid).toBe(65534);
      expect(await owner(dir)).toBe(65534);
      await query(first.url, 'CREATE TABLE kept AS SELECT 1 AS x');
      await first.stop();
      const second = await start(dir);
      expect(await query(second.url, 'SELECT x FROM kept')).toEqual({ x: 1 });
      await second.stop();
    } finally {
      await rm(open, { recursive: true, force: true });
    }
  });

  asRoot('without namespaces, passes through folders closed to all but root', async () => {
    const { url, pid } = await withPath(['setpriv', 'test'], () => start(join(home, 'data')));
    expect((await stat(`/proc/${pid}`)).uid).toBe(65534);
    expect(await query(url, owns)).toEqual({ role: 'vigil', superuser: false });
  });

  asRoot('keeps the data of an ordinary user that user’s, who starts it too', async () => {
    const open = await mkdtemp(join(tmpdir(), 'vigil-user-'));
    try {
      const { chown } = await import('node:fs/promises');
      await chown(open, 12345, 12345);
      const node = childNode(`${starting(open)} await pg.stop(); console.log('stopped')`, {
        uid: 12345,
        gid: 12345,
        env: { HOME: '/' },
      });
      await node.line('stopped');
      await node.ended;
      expect(await owner(open)).toBe(12345);
      const server = await start(open);
      expect(await owner(open)).toBe(12345);
      await server.stop();
    } finally {
      await rm(open, { recursive: true, force: true });
    }
  });
});
