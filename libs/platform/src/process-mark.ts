import { execFileSync } from 'node:child_process';
import { readFileSync, readlinkSync } from 'node:fs';

/**
 * A process told apart from any later one that got the same number: `pid` alone is reused (soon, in containers, where
 * the engine is always pid 1), so the start time goes with it, and the boot and pid namespace in which both mean something.
 */
export interface ProcessMark {
  readonly pid: number;
  /** Kernel ticks since boot on Linux, `ps lstart` elsewhere; null where the system doesn't tell. */
  readonly started: string | null;
  /** Boot and pid namespace; equal strings mean that pids can be compared. */
  readonly realm: string;
}

const attempt = <T>(read: () => T): T | null => {
  try {
    return read();
  } catch {
    return null; // the process or the file isn't there: that is the answer
  }
};

const realm = (): string =>
  process.platform === 'linux'
    ? `${attempt(() => readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim())} ${attempt(() => readlinkSync('/proc/self/ns/pid'))}`
    : process.platform;

/** Start time of a running process; null for none, for a zombie (killed, not yet collected by its parent), or if unknowable. */
const startTime = (pid: number): string | null => {
  if (process.platform === 'linux') {
    const stat = attempt(() => readFileSync(`/proc/${pid}/stat`, 'utf8'));
    if (stat === null) return null;
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' '); // the name before may hold blanks and brackets
    return fields[0] === 'Z' || fields[0] === 'X' ? null : (fields[19] ?? null);
  }
  if (process.platform === 'win32') return null;
  return (
    attempt(() => execFileSync('ps', ['-o', 'lstart=', '-p', String(pid)], { encoding: 'utf8', stdio: 'pipe' }).trim()) || null
  );
};

/** Does a process of this number run in our pid namespace? Zombies don't. */
export const pidRuns = (pid: number): boolean => {
  if (process.platform !== 'win32') return startTime(pid) !== null;
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
};

export const thisProcess = (): ProcessMark => ({ pid: process.pid, started: startTime(process.pid), realm: realm() });

/** `foreign`: marked before a reboot, or in another container, so this system can't say. */
export const stateOf = (mark: ProcessMark): 'alive' | 'gone' | 'foreign' => {
  if (mark.realm !== realm()) return 'foreign';
  return pidRuns(mark.pid) && startTime(mark.pid) === mark.started ? 'alive' : 'gone';
};

/** A mark read back from disk, or null when it isn't one. */
export const parseMark = (text: string): ProcessMark | null => {
  const value = attempt(() => JSON.parse(text) as Partial<ProcessMark> | null);
  if (!value || !Number.isInteger(value.pid) || typeof value.realm !== 'string') return null;
  return { pid: value.pid!, started: value.started ?? null, realm: value.realm };
};
