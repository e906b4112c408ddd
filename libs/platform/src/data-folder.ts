import { randomBytes } from 'node:crypto';
import { link, mkdir, readdir, readFile, rename, rm, stat, utimes, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { fileFault, PlatformError, systemCode } from './platform-error';
import { parseMark, type ProcessMark, stateOf, thisProcess } from './process-mark';

export interface DataFolderClaim {
  /** Absolute path. */
  readonly dir: string;
  /** Lets the next owner in; safe to call twice. */
  release(): Promise<void>;
}

const HEARTBEAT_MS = 2_000;
const SILENT_MS = 10_000;
const RELEASED = 'released\n';

/**
 * Makes `dir` (0700) if need be and becomes its only owner. A killed owner needs no clean-up: the claim counts only as
 * long as its process lives.
 *
 * Claims are numbered files `owner/1, owner/2 …`; the highest is the owner's, and whoever finds it dead or released adds
 * the next by link(2), which at most one of several racers can. The highest is never deleted, so a racer who slept
 * between looking and linking always sees that it came too late. (Deleting a stale lock and making a new one, the usual
 * way, lets two in: the slower deletes the new lock of the faster.)
 *
 * @throws PlatformError `data-folder-in-use`, `data-folder-not-writable`, `data-folder-not-a-folder`, `no-space`
 */
export const claimDataFolder = async (dir: string): Promise<DataFolderClaim> => {
  const folder = resolve(dir);
  try {
    return await claim(folder);
  } catch (error) {
    throw fileFault(error, folder);
  }
};

const claim = async (folder: string): Promise<DataFolderClaim> => {
  const owners = join(folder, 'owner');
  await mkdir(owners, { recursive: true, mode: 0o700 });
  const draft = join(owners, `draft-${process.pid}-${randomBytes(4).toString('hex')}`);
  await writeFile(draft, JSON.stringify(thisProcess()), { mode: 0o600 });
  try {
    for (;;) {
      const last = await highest(owners);
      const holder = last === 0 ? null : await liveHolder(join(owners, String(last)));
      if (holder) throw inUse(folder, holder);
      const mine = join(owners, String(last + 1));
      try {
        await link(draft, mine);
      } catch (error) {
        if (systemCode(error) === 'EEXIST') continue;
        throw error;
      }
      if ((await highest(owners)) !== last + 1) {
        await rm(mine, { force: true });
        continue;
      }
      await forgetBefore(owners, last, draft);
      return hold(folder, mine);
    }
  } finally {
    await rm(draft, { force: true });
  }
};

const highest = async (owners: string): Promise<number> =>
  (await readdir(owners)).reduce((max, name) => (/^\d+$/.test(name) ? Math.max(max, Number(name)) : max), 0);

/** Who holds this claim now? A claim of another boot or container is believed only while its heartbeat is fresh. */
const liveHolder = async (file: string): Promise<ProcessMark | null> => {
  const mark = parseMark(await readFile(file, 'utf8').catch(() => ''));
  if (!mark) return null;
  const state = stateOf(mark);
  if (state !== 'foreign') return state === 'alive' ? mark : null;
  const silence = Date.now() - (await stat(file)).mtimeMs;
  return silence < SILENT_MS ? mark : null;
};

/** The claim just superseded stays (a racer may be reading it); older ones and drafts of the dead go. */
const forgetBefore = async (owners: string, last: number, draft: string): Promise<void> => {
  for (const name of await readdir(owners)) {
    const file = join(owners, name);
    const stale = /^\d+$/.test(name) ? Number(name) < last : file !== draft && !(await liveHolder(file));
    if (stale) await rm(file, { force: true });
  }
};

const hold = (folder: string, mine: string): DataFolderClaim => {
  // Only readers in another container look at the time; a missed beat harms nothing here.
  const beat = setInterval(() => void utimes(mine, new Date(), new Date()).catch(() => undefined), HEARTBEAT_MS).unref();
  let released: Promise<void> | undefined;
  const release = async (): Promise<void> => {
    clearInterval(beat);
    const note = `${mine}.released-${process.pid}`;
    try {
      await writeFile(note, RELEASED, { mode: 0o600 });
      await rename(note, mine);
    } catch (error) {
      if (systemCode(error) !== 'ENOENT') throw fileFault(error, folder); // gone: someone deleted the whole folder
    }
  };
  return { dir: folder, release: () => (released ??= release()) };
};

const inUse = (folder: string, { pid }: ProcessMark): PlatformError =>
  new PlatformError('data-folder-in-use', {
    zh: `数据目录 ${folder} 正被进程 ${pid} 使用:请先停止它(kill ${pid}),或用 VIGIL_URL 连接它的服务,或用 VIGIL_DATA_DIR 另指一处`,
    en: `the data folder ${folder} is in use by process ${pid}: stop it (kill ${pid}), talk to its server through VIGIL_URL, or choose another VIGIL_DATA_DIR`,
  });
