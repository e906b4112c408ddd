import { withDeadline, type SqlClient } from '@vigil/platform';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { Worker } from 'node:worker_threads';
import type { CountRequest, ElementaryCount } from '../answer/counts';
import { STANDING, type Standing } from './keeper';
import { countsOf, planOf } from './plan';
import type { Question, Reply } from './worker';

export interface FactColumnsOptions {
  /** Of the database that the read models are in. */
  readonly url: string;
  /** Size of the table from which on columns are worth their memory, bytes; default 16 MB, about 90,000 facts. */
  readonly leastBytes?: number;
  readonly onProblem?: (message: string) => void;
}

/** Counts facts of injuries in memory, in a thread of its own, where that gives the database's own answer sooner. */
export interface FactColumns {
  /** Undefined: ask the database. The answer is the one that `tx` would have given. */
  counts(tx: SqlClient, request: CountRequest): Promise<ElementaryCount[] | undefined>;
  close(): Promise<void>;
}

/** A thread that doesn't answer must not keep a question longer than the database would. */
const ANSWER_MS = 3_000;
/** Between two looks at the table's size, and between two threads. */
const PAUSE_MS = 30_000;

/** The sources where they lie, the built file beside the bundle. */
const startWorker = (url: string): Worker => {
  const source = join(__dirname, 'worker.ts');
  const project = process.env['SWC_NODE_PROJECT'] ?? join(__dirname, '../../../../tsconfig.base.json');
  const options = { workerData: { url }, env: { ...process.env, TZ: 'UTC', SWC_NODE_PROJECT: project } };
  if (!existsSync(source)) return new Worker(join(__dirname, 'fact-columns-worker.js'), options);
  const hook = require.resolve('@swc-node/register');
  return new Worker(`require(${JSON.stringify(hook)}); require(${JSON.stringify(source)});`, { ...options, eval: true });
};

/** Nothing is read before the first question that columns could answer; until they are there, the database answers. */
export const createFactColumns = ({
  url,
  leastBytes = 16 << 20,
  onProblem = () => undefined,
}: FactColumnsOptions): FactColumns => {
  let worker: Worker | undefined;
  let notBefore = 0;
  let closed = false;
  let last = 0;
  const waiting = new Map<number, (reply: Reply) => void>();

  const end = (from: Worker): void => {
    if (worker !== from) return;
    worker = undefined;
    notBefore = Date.now() + PAUSE_MS;
    for (const [id, answer] of waiting) answer({ id });
    waiting.clear();
  };
  const start = (): void => {
    const started = startWorker(url);
    started.unref();
    started.on('message', (reply: Reply) => {
      waiting.get(reply.id)?.(reply);
      waiting.delete(reply.id);
    });
    started.on('error', (error) => {
      onProblem(error.message);
      end(started);
    });
    started.on('exit', () => end(started));
    worker = started;
  };
  const ask = (to: Worker, plan: Question['plan']): Promise<Reply> =>
    new Promise((resolve) => {
      const id = ++last;
      waiting.set(id, resolve);
      to.postMessage({ id, plan } satisfies Question);
    });

  /** Whether there is a thread; starts one where the facts are many. */
  const running = async (tx: SqlClient): Promise<Worker | undefined> => {
    if (worker || closed || Date.now() < notBefore) return worker;
    notBefore = Date.now() + PAUSE_MS;
    const [size] = await tx<{ bytes: number }[]>`SELECT pg_relation_size('read.injury_facts')::float8 AS bytes`;
    if (!closed && !worker && size!.bytes >= leastBytes) start();
    return worker;
  };

  return {
    counts: async (tx, request) => {
      const plan = planOf(request);
      const thread = plan && (await running(tx));
      if (!thread) return undefined;
      const { answer, problem, forGood } = await withDeadline(ANSWER_MS, ask(thread, plan), 'fact columns').catch(
        (error: Error): Omit<Reply, 'id'> => ({ problem: error.message }),
      );
      if (problem !== undefined) onProblem(problem);
      if (forGood) {
        closed = true;
        void thread.terminate();
      }
      if (!answer) return undefined;
      // The thread reads in snapshots of its own: what it holds must be what this one shows.
      const { held, cells } = answer;
      const [standing] = await tx.unsafe<Standing[]>(STANDING, [held.position], { prepare: true });
      if (standing?.table === held.table && standing.skips === held.skips) return countsOf(request, cells);
      thread.postMessage('look');
      return undefined;
    },
    close: async () => {
      closed = true;
      const ending = worker;
      if (!ending) return;
      const exited = new Promise<void>((resolve) => ending.once('exit', () => resolve()));
      ending.postMessage('close');
      await withDeadline(2_000, exited, 'fact columns').catch(() => ending.terminate());
    },
  };
};
