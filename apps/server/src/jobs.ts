import { randomUUID } from 'node:crypto';
import { mkdir, readdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Logger } from '@vigil/platform';
import { isUuid, type Problem, type Text } from '@vigil/vocabulary';
import { HttpProblem, unavailable } from './http/problem';

export interface JobProgress {
  readonly done: number;
  /** Unknown until the work can tell. */
  readonly total: number | null;
  readonly rate: number;
  readonly etaSeconds: number | null;
  readonly phase: string;
}

export interface JobView {
  readonly id: string;
  readonly kind: 'import' | 'rebuild' | 'check' | 'linkage';
  readonly state: 'queued' | 'running' | 'done' | 'failed' | 'interrupted';
  readonly progress: JobProgress;
  readonly createdAt: string;
  readonly finishedAt?: string;
  readonly result?: unknown;
  readonly problem?: Problem;
}

/** `id` counts from 1 within the job: what `Last-Event-ID` resumes after. */
export type JobEvent = { readonly id: number; readonly event: 'progress' | 'row-error' | 'done'; readonly data: unknown };

export interface JobHandle {
  readonly id: string;
  /** A folder of the job's own, kept as long as the job is. */
  readonly dir: string;
  readonly signal: AbortSignal;
  progress(at: { done: number; total?: number | null; phase: string }): void;
  rowError(data: unknown): void;
}

/** A job that ends with a sentence; `result` says what was done before. */
export class JobFailed extends Error {
  override readonly name = 'JobFailed';
  constructor(
    readonly problem: Problem,
    readonly result?: unknown,
  ) {
    super(problem.code);
  }
}

export interface Jobs {
  /** @throws HttpProblem 503 when too many wait */
  start(kind: JobView['kind'], id: string, run: (job: JobHandle) => Promise<unknown>): Promise<JobView>;
  get(id: string): Promise<JobView | undefined>;
  dirOf(id: string): string;
  /** Events after `after`, then live ones, until the job has ended or the signal aborts. */
  follow(id: string, after: number, signal: AbortSignal): AsyncGenerator<JobEvent, void>;
  counts(): { queued: number; running: number };
  close(): Promise<void>;
}

const MOST_RUNNING = 2;
const MOST_QUEUED = 50;
/** Events kept for resuming; a follower further behind sees the latest progress and the end all the same. */
const KEEP_EVENTS = 2_000;
const PROGRESS_EVERY_MS = 250;
const KEEP_DAYS = 7;

interface Live {
  view: JobView;
  events: JobEvent[];
  lastId: number;
  told: number;
  wake: Set<() => void>;
  abort: AbortController;
}

const NOTHING: JobProgress = { done: 0, total: null, rate: 0, etaSeconds: null, phase: 'queued' };
const INTERRUPTED: Problem = {
  code: 'job-interrupted',
  detail: {
    zh: '服务在作业期间停止;已接收的行都已保存,重新提交同一文件不会重复计数',
    en: 'the server stopped during the job; rows it took are kept, and sending the same file again counts nothing twice',
  },
};

/** Long work: at most two at a time, the others in line; the last state of each is kept on disk for a week. */
export const createJobs = async ({ dir, logger }: { readonly dir: string; readonly logger: Logger }): Promise<Jobs> => {
  await mkdir(dir, { recursive: true, mode: 0o700 });
  const live = new Map<string, Live>();
  const line: (() => void)[] = [];
  const running = new Set<Promise<void>>();
  let closing = false;

  const dirOf = (id: string): string => join(dir, id);
  const file = (id: string): string => join(dirOf(id), 'job.json');
  const save = async (view: JobView): Promise<void> => {
    try {
      await writeFile(`${file(view.id)}.new`, JSON.stringify(view), { mode: 0o600 });
      await rename(`${file(view.id)}.new`, file(view.id));
    } catch (err) {
      logger.warn({ err }, 'the state of a job was not saved');
    }
  };
  void (async () => {
    for (const id of await readdir(dir)) {
      const made = await stat(dirOf(id)).catch(() => undefined);
      if (made && made.mtimeMs < Date.now() - KEEP_DAYS * 86_400_000) await rm(dirOf(id), { recursive: true, force: true });
    }
  })().catch((err: unknown) => logger.warn({ err }, 'old jobs not removed'));

  const emit = (job: Live, event: JobEvent['event'], data: unknown): void => {
    job.events.push({ id: ++job.lastId, event, data });
    if (job.events.length > KEEP_EVENTS) job.events.splice(0, job.events.length - KEEP_EVENTS);
    for (const wake of [...job.wake]) wake();
  };

  const execute = async (job: Live, run: (handle: JobHandle) => Promise<unknown>): Promise<void> => {
    const began = Date.now();
    job.view = { ...job.view, state: 'running', progress: { ...NOTHING, phase: 'starting' } };
    const handle: JobHandle = {
      id: job.view.id,
      dir: dirOf(job.view.id),
      signal: job.abort.signal,
      progress: ({ done, total = null, phase }) => {
        const seconds = (Date.now() - began) / 1000;
        const rate = seconds > 0 ? Math.round(done / seconds) : 0;
        const etaSeconds = total !== null && rate > 0 ? Math.max(0, Math.round((total - done) / rate)) : null;
        const moved = phase !== job.view.progress.phase || done === total;
        job.view = { ...job.view, progress: { done, total, rate, etaSeconds, phase } };
        if (!moved && Date.now() - job.told < PROGRESS_EVERY_MS) return;
        job.told = Date.now();
        emit(job, 'progress', job.view.progress);
      },
      rowError: (data) => emit(job, 'row-error', data),
    };
    let end: Pick<JobView, 'state' | 'result' | 'problem'>;
    try {
      end = { state: 'done', result: await run(handle) };
    } catch (error) {
      if (job.abort.signal.aborted) end = { state: 'interrupted', problem: INTERRUPTED };
      else {
        const told = problemOfFailure(error);
        if (!told) logger.error({ err: error }, 'a job failed');
        end = {
          state: 'failed',
          ...(error instanceof JobFailed && error.result !== undefined && { result: error.result }),
          problem: told ?? {
            code: 'internal',
            detail: { zh: '作业因内部错误而中止;详见服务日志', en: 'the job ended by an internal error; see the server log' },
          },
        };
      }
    }
    job.view = { ...job.view, ...end, finishedAt: new Date().toISOString() };
    await save(job.view);
    emit(job, 'done', end);
    setTimeout(() => live.delete(job.view.id), 10 * 60_000).unref(); // the file answers from then on
  };

  const get = async (id: string): Promise<JobView | undefined> => {
    if (!isUuid(id)) return undefined;
    const found = live.get(id);
    if (found) return found.view;
    const kept = await readFile(file(id), 'utf8').catch(() => undefined);
    if (kept === undefined) return undefined;
    const view = JSON.parse(kept) as JobView;
    return view.finishedAt ? view : { ...view, state: 'interrupted', problem: INTERRUPTED };
  };

  return {
    start: async (kind, id, run) => {
      if (closing || line.length >= MOST_QUEUED)
        throw unavailable(
          'too-many-jobs',
          { zh: `已有 ${line.length} 个作业在排队;请稍后再提交`, en: `${line.length} jobs are waiting; send it again later` },
          30,
        );
      await mkdir(dirOf(id), { recursive: true, mode: 0o700 });
      const view: JobView = { id, kind, state: 'queued', progress: NOTHING, createdAt: new Date().toISOString() };
      const job: Live = { view, events: [], lastId: 0, told: 0, wake: new Set(), abort: new AbortController() };
      live.set(id, job);
      await save(view);
      const go = (): void => {
        const done = execute(job, run).finally(() => {
          running.delete(done);
          line.shift()?.();
        });
        running.add(done);
      };
      if (running.size < MOST_RUNNING) go();
      else line.push(go);
      return job.view;
    },
    get,
    dirOf,
    follow: async function* (id, after, signal) {
      const job = live.get(id);
      if (!job) {
        const view = await get(id);
        if (view)
          yield {
            id: after + 1,
            event: 'done',
            data: { state: view.state, ...(view.problem ? { problem: view.problem } : { result: view.result }) },
          };
        return;
      }
      let at = after > job.lastId ? 0 : after; // an id of another life of this server
      while (!signal.aborted) {
        for (const event of job.events.filter((one) => one.id > at)) {
          yield event;
          at = event.id;
          if (event.event === 'done') return;
        }
        if (job.events.some((one) => one.id > at)) continue;
        if (job.view.finishedAt && job.lastId <= at) return;
        await new Promise<void>((resolve) => {
          const wake = (): void => {
            job.wake.delete(wake);
            signal.removeEventListener('abort', wake);
            resolve();
          };
          job.wake.add(wake);
          signal.addEventListener('abort', wake);
        });
      }
    },
    counts: () => ({ queued: line.length, running: running.size }),
    close: async () => {
      closing = true;
      line.length = 0;
      for (const job of live.values()) job.abort.abort();
      await Promise.allSettled([...running]);
    },
  };
};

/** PostgreSQL's disk_full, or our own: which of the two meets it first is chance. */
const DISK_FULL: Problem = {
  code: 'no-space',
  detail: {
    zh: '服务器磁盘已满;已接收的行保留;腾出空间后再次导入同一文件即可',
    en: 'the server has no disk space left; the rows it took are kept; import the same file again once there is room',
  },
};

/** Faults that speak for themselves (of the file, of the disk) carry a sentence; others are ours. */
const problemOfFailure = (error: unknown): Problem | undefined => {
  if (error instanceof JobFailed) return error.problem;
  if (error instanceof HttpProblem) return { code: error.code, detail: error.detail };
  const { code, detail } = error as { code?: unknown; detail?: Partial<Text> };
  if (code === '53100' || code === 'ENOSPC') return DISK_FULL;
  return typeof code === 'string' && typeof detail?.zh === 'string' && typeof detail.en === 'string'
    ? { code, detail: detail as Text }
    : undefined;
};

export const newJobId = (): string => randomUUID();
