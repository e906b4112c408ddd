import { spawn, type ChildProcess } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Acknowledged } from '@vigil/testing';
import { build } from 'esbuild';
import { taskAt } from './work';
import type { WorkerOrders } from './worker';

/** The worker as one file: it starts in a quarter of a second, where compiling its sources takes two. */
export interface WorkerProgram {
  readonly path: string;
  remove(): Promise<void>;
}

export const bundleWorker = async (): Promise<WorkerProgram> => {
  const folder = await mkdtemp(join(tmpdir(), 'vigil-proof-worker-'));
  const path = join(folder, 'worker.js');
  await build({
    entryPoints: [join(__dirname, 'worker.ts')],
    outfile: path,
    bundle: true,
    minifySyntax: true,
    platform: 'node',
    target: 'node20',
    format: 'cjs',
    logLevel: 'error',
  });
  return { path, remove: () => rm(folder, { recursive: true, force: true }) };
};

export type Said = readonly [word: string, ...rest: unknown[]];

/** One worker process. */
export interface Worker {
  readonly child: ChildProcess;
  /** How it ended; everything it said before has been heard by then. */
  readonly ended: Promise<{ readonly code: number | null; readonly signal: NodeJS.Signals | null; readonly err: string }>;
  order(orders: WorkerOrders): void;
  kill(): void;
  /** The next thing it says that begins with this word. @throws when it ends without */
  hears(word: string): Promise<Said>;
}

const startWorker = (path: string, listen: (said: Said) => void): Worker => {
  const child = spawn(process.execPath, ['--max-old-space-size=256', path], {
    env: { PATH: process.env['PATH'], TZ: 'UTC' },
    stdio: ['pipe', 'pipe', 'pipe'],
  });
  let [rest, err] = ['', ''];
  const waiting = new Set<(said: Said) => void>();
  child.stdout!.on('data', (chunk: Buffer) => {
    const lines = (rest + chunk.toString()).split('\n');
    rest = lines.pop()!; // a line that death cut off was not said
    for (const line of lines) {
      const said = JSON.parse(line) as Said;
      listen(said);
      for (const hear of [...waiting]) hear(said);
    }
  });
  child.stderr!.on('data', (chunk: Buffer) => (err = (err + chunk.toString()).slice(-20_000)));
  child.stdin!.on('error', () => undefined);
  const ended = new Promise<{ code: number | null; signal: NodeJS.Signals | null; err: string }>((done) =>
    child.once('close', (code, signal) => done({ code, signal, err })),
  );
  return {
    child,
    ended,
    order: (orders) => void child.stdin!.write(`${JSON.stringify(orders)}\n`),
    kill: () => void child.kill('SIGKILL'),
    hears: (word) =>
      new Promise((done, fail) => {
        const hear = (said: Said): void => {
          if (said[0] !== word) return;
          waiting.delete(hear);
          done(said);
        };
        waiting.add(hear);
        void ended.then((how) => fail(new Error(`the worker ended (${JSON.stringify(how)}) before it said ${word}`)));
      }),
  };
};

export interface StoryOptions {
  readonly program: WorkerProgram;
  readonly url: string;
  readonly seed: number;
  /** Writers side by side in one worker. */
  readonly lanes?: number;
}

/** One database's life: workers that follow one another on one workload, and everything they acknowledged. */
export interface Story {
  readonly acknowledged: Acknowledged[];
  /** Per lane, the tasks that were answered. */
  readonly next: readonly number[];
  /** Answers that were unknown or refused for load, and sent again. */
  readonly retries: number;
  /** What a worker said it couldn't do; any of it is a fault of the engine. */
  readonly failures: string[];
  start(orders?: Partial<WorkerOrders>): Worker;
  /** Resolves at the next acknowledgement from now on. */
  nextAcknowledgement(): Promise<void>;
  /** Every event id that was or may have been sent. */
  sent(): Set<string>;
  /** Ends the spare worker and all that still run. */
  close(): Promise<void>;
}

export const createStory = ({ program, url, seed, lanes = 8 }: StoryOptions): Story => {
  const acknowledged: Acknowledged[] = [];
  const next = Array.from({ length: lanes }, () => 0);
  const failures: string[] = [];
  const awaiting = new Set<() => void>();
  const running = new Set<Worker>();
  let retries = 0;
  const listen = ([word, ...rest]: Said): void => {
    if (word === 'ack') {
      const [id, stream, revision, at] = rest as [string, string, number | null, string | null];
      acknowledged.push({
        id,
        ...(stream && { stream }),
        ...(revision !== null && { revision }),
        ...(at !== null && { position: BigInt(at) }),
      });
      for (const tell of [...awaiting]) tell();
      awaiting.clear();
    } else if (word === 'next') {
      const [lane, index] = rest as [number, number];
      next[lane] = Math.max(next[lane]!, index);
    } else if (word === 'retry') retries++;
    else if (word === 'failed') failures.push(rest.join(' '));
  };
  const spawnOne = (): Worker => {
    const worker = startWorker(program.path, listen);
    running.add(worker);
    void worker.ended.then(() => running.delete(worker));
    return worker;
  };
  let spare = spawnOne();
  return {
    acknowledged,
    next,
    failures,
    get retries() {
      return retries;
    },
    start: (orders = {}) => {
      const worker = spare;
      worker.order({ url, seed, next, ...orders });
      spare = spawnOne();
      return worker;
    },
    nextAcknowledgement: () => new Promise((done) => awaiting.add(done)),
    sent: () =>
      new Set(
        next.flatMap((done, lane) => Array.from({ length: done + 1 }, (_, index) => taskAt(seed, lanes, lane, index).ids).flat()),
      ),
    close: async () => {
      const all = [...running];
      for (const worker of all) worker.kill();
      await Promise.all(all.map(({ ended }) => ended));
    },
  };
};
