import { createReadStream } from 'node:fs';
import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { problemItem } from '../http/problem';
import { eventStream, type SseEvent } from '../http/sse';
import { notFound } from '../http/validate';
import { header } from '../http/request';
import type { JobEvent, JobView } from '../jobs';
import { route, type Call, type Route } from '../route';
import { json200 } from './answers';

const tag = 'jobs';
export const jobParam = z.object({ id: z.uuid() });
export const ERRORS_FILE = 'errors.csv';

const progressSchema = z.object({
  done: z.number(),
  total: z.number().nullable(),
  rate: z.number(),
  etaSeconds: z.number().nullable(),
  phase: z.string(),
});
const jobSchema = z.object({
  id: z.uuid(),
  kind: z.enum(['import', 'rebuild', 'check', 'linkage']),
  state: z.enum(['queued', 'running', 'done', 'failed', 'interrupted']),
  progress: progressSchema,
  createdAt: z.string(),
  finishedAt: z.string().optional(),
  result: z.unknown().optional(),
  problem: z.object({ code: z.string(), detail: z.string() }).optional(),
});

export const jobOf = async (call: Call, id: string): Promise<JobView> => {
  const found = await call.ask('job', id);
  if (!found)
    throw notFound(
      { zh: `没有作业 ${id}(作业保留七天)`, en: `there is no job ${id}; jobs are kept for seven days` },
      'job-not-found',
    );
  return found;
};

const view = ({ problem, ...rest }: JobView, { language }: Pick<Call, 'language'>) => ({
  ...rest,
  ...(problem && { problem: problemItem(problem, language) }),
});

async function* following(
  events: AsyncGenerator<JobEvent, void>,
  { language }: Pick<Call, 'language'>,
): AsyncGenerator<SseEvent, void> {
  for await (const { id, event, data } of events) {
    const { problem, detail } = data as { problem?: JobView['problem']; detail?: unknown };
    if (problem) yield { id, event, data: { ...(data as object), problem: problemItem(problem, language) } };
    else if (typeof detail === 'object') yield { id, event, data: problemItem(data as never, language) };
    else yield { id, event, data };
  }
}

export const jobRoutes: readonly Route[] = [
  route({
    method: 'GET',
    path: '/jobs/{id}',
    tag,
    summary: { zh: '作业的状态与结果', en: 'A job: where it is, what came of it' },
    params: jobParam,
    answers: json200(jobSchema, { zh: '状态', en: 'its state' }),
    handler: async (call) => ({ status: 200, body: view(await jobOf(call as Call, call.params.id), call) }),
  }),
  route({
    method: 'GET',
    path: '/jobs/{id}/events',
    tag,
    summary: {
      zh: '作业的事件流:progress、row-error、done;Last-Event-ID 续接',
      en: 'A job’s events: progress, row-error, done; Last-Event-ID resumes',
    },
    params: jobParam,
    answers: { 200: { type: 'text/event-stream', about: { zh: '至 done 为止', en: 'ends with `done`' } } },
    handler: async (call) => {
      const { id } = await jobOf(call as Call, call.params.id);
      const last = header(call.request.headers, 'last-event-id');
      const after = last !== undefined && /^\d{1,9}$/.test(last) ? Number(last) : 0;
      return eventStream(call, (signal) => following(call.engine.jobs.follow(id, after, signal), call));
    },
  }),
  route({
    method: 'GET',
    path: '/imports/{id}/errors.csv',
    tag: 'feeds',
    summary: {
      zh: '被拒绝的行:原有各列加 _row,_code,_error,改好后可再次导入',
      en: 'Refused rows: the input’s own columns and _row, _code, _error; mended, it imports again',
    },
    params: jobParam,
    answers: { 200: { type: 'text/csv', about: { zh: '带 BOM 的 CSV', en: 'CSV with a byte order mark' } } },
    handler: async (call) => {
      const job = await jobOf(call as Call, call.params.id);
      const path = join(call.engine.jobs.dirOf(job.id), ERRORS_FILE);
      const found = job.kind === 'import' ? await stat(path).catch(() => undefined) : undefined;
      if (!found)
        throw notFound(
          { zh: '该导入没有被拒绝的行,或尚未完成', en: 'this import refused no row, or is not done yet' },
          'errors-not-found',
        );
      return {
        status: 200,
        type: 'text/csv; charset=utf-8',
        stream: createReadStream(path),
        headers: { 'Content-Disposition': `attachment; filename="errors-${job.id}.csv"`, 'Content-Length': String(found.size) },
      };
    },
  }),
];
