import type { Writable } from 'node:stream';
import { count, say } from './language';

/** Results: stdout, nothing else goes there. */
export const out = (text: string): void => void process.stdout.write(`${text}\n`);
/** Everything for the person watching: stderr. */
export const note = (text: string): void => void process.stderr.write(`${text}\n`);

let quieted = false;
/** A reader such as `head` that leaves early is no fault of ours. */
export const quietBrokenPipes = (): void => {
  if (quieted) return;
  quieted = true;
  for (const stream of [process.stdout, process.stderr])
    stream.on('error', (error: NodeJS.ErrnoException) => {
      if (error.code === 'EPIPE') process.exit(process.exitCode ?? 0);
      throw error;
    });
};

export interface Progress {
  to(done: number, total?: number, phase?: string): void;
  /** Clears the bar; a second call does nothing. */
  end(): void;
}

const bar = async (title: string, stream: NodeJS.WritableStream): Promise<Progress> => {
  const { SingleBar } = await import('cli-progress');
  const single = new SingleBar({
    format: `${title} [{bar}] {percentage}% {value}/{total} {phase}`,
    stream,
    hideCursor: true,
    clearOnComplete: true,
    barCompleteChar: '█',
    barIncompleteChar: '░',
    etaBuffer: 50,
    linewrap: false,
  });
  let started = false;
  return {
    to: (done, total = 0, phase = '') => {
      if (!started) single.start(Math.max(total, done, 1), done, { phase });
      started = true;
      if (total > 0) single.setTotal(Math.max(total, done));
      single.update(done, { phase });
    },
    end: () => {
      if (started) single.stop();
      started = false;
    },
  };
};

const LINE_EVERY_MS = 5_000;

/** Without a terminal: a line every five seconds, so that a log tells that it lives and doesn't drown. */
export const progressLines = (title: string, write: (line: string) => void, now: () => number): Progress => {
  let last = now();
  return {
    to: (done, total = 0, phase = '') => {
      if (now() - last < LINE_EVERY_MS) return;
      last = now();
      write(`${title}: ${count(done)}${total > 0 ? ` / ${count(total)}` : ''}${phase ? ` (${phase})` : ''}`);
    },
    end: () => undefined,
  };
};

export const progress = async (title: string): Promise<Progress> =>
  process.stderr.isTTY ? bar(title, process.stderr) : progressLines(title, note, () => Date.now());

/** A plain table: no colours, full-width characters counted as two. Columns named in `right` hold figures. */
export const table = async (
  head: readonly string[],
  rows: readonly (readonly string[])[],
  right: readonly number[] = [],
): Promise<string> => {
  const { default: Table } = await import('cli-table3');
  const drawn = new Table({
    head: [...head],
    colAligns: head.map((_, i) => (right.includes(i) ? 'right' : 'left')),
    style: { head: [], border: [], compact: true, 'padding-left': 0, 'padding-right': 2 },
    chars: {
      top: '', 'top-mid': '', 'top-left': '', 'top-right': '', bottom: '', 'bottom-mid': '', 'bottom-left': '', 'bottom-right': '',
      left: '', 'left-mid': '', mid: '', 'mid-mid': '', right: '', 'right-mid': '', middle: '',
    }, // prettier-ignore
  });
  drawn.push(...rows.map((row) => [...row]));
  return drawn
    .toString()
    .split('\n')
    .map((line) => line.trimEnd())
    .join('\n');
};

/** Resolves at Ctrl-C or SIGTERM; a second signal ends at once. */
export const untilSignal = (): Promise<NodeJS.Signals> =>
  new Promise((done) => {
    const on = (signal: NodeJS.Signals): void => {
      process.removeListener('SIGINT', on);
      process.removeListener('SIGTERM', on);
      process.once('SIGINT', () => process.exit(130));
      process.once('SIGTERM', () => process.exit(143));
      note(say('正在停止…', 'stopping …'));
      done(signal);
    };
    process.on('SIGINT', on);
    process.on('SIGTERM', on);
  });

/** Waits for a slow reader of stdout. */
export const writeAll = (stream: Writable, chunk: string | Uint8Array): Promise<void> =>
  new Promise((done, fail) => stream.write(chunk, (error) => (error ? fail(error) : done())));
