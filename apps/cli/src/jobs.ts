import { EXIT, Failure, type ProblemDocument } from './exit';
import { language, say } from './language';
import type { Client, ServerEvent } from './http';
import type { Progress } from './terminal';

/** A long piece of work on the server: api.md, "Long work". */
export interface Job<Result> {
  readonly id: string;
  readonly state: 'queued' | 'running' | 'done' | 'failed' | 'interrupted';
  readonly result?: Result;
  readonly problem?: ProblemDocument;
}

/** The answer of a 202. */
export interface Started {
  readonly jobId: string;
}

interface ProgressData {
  readonly done?: number;
  readonly total?: number | null;
  readonly phase?: string;
}

const parsed = <T>(event: ServerEvent): T | undefined => {
  try {
    return JSON.parse(event.data) as T;
  } catch {
    return undefined;
  }
};

/** Follows a job to its end, good or bad, and answers with the job as it then is; `onRow` hears of each refused row. */
export const followJob = async <Result, RowError = unknown>(
  client: Client,
  id: string,
  progress: Progress,
  onRow: (row: RowError) => void = () => undefined,
): Promise<Job<Result>> => {
  const address = `/api/v1/jobs/${encodeURIComponent(id)}`;
  for await (const event of client.events(`${address}/events`)) {
    if (event.event === 'progress') {
      const at = parsed<ProgressData>(event);
      if (at) progress.to(at.done ?? 0, at.total ?? 0, at.phase);
    } else if (event.event === 'row-error') {
      const row = parsed<RowError>(event);
      if (row !== undefined) onRow(row);
    } else if (event.event === 'done') break;
  }
  return client.get<Job<Result>>(address);
};

/** The result of a job that was done; else why it wasn't, thrown. */
export const resultOf = <Result>(job: Job<Result>): Result => {
  if (job.state !== 'done' || job.result === undefined) throw jobFailure(job);
  return job.result;
};

export const jobFailure = ({ id, problem }: Job<unknown>): Failure => {
  const detail: unknown = problem?.detail;
  const sentence =
    typeof detail === 'object' && detail !== null
      ? (detail as Record<string, string>)[language()]
      : (detail as string | undefined);
  return new Failure(EXIT.refused, sentence ?? problem?.title ?? say(`任务 ${id} 失败`, `job ${id} failed`), problem);
};
