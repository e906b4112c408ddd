import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { Readable } from 'node:stream';
import { importFile, InterruptedImport, mappings, type ImportAnswer, type ImportProgress } from '@vigil/feeds';
import { fingerprint, nearest } from '@vigil/vocabulary';
import { z } from 'zod';
import { keepable } from '../dispatch';
import { HttpProblem } from '../http/problem';
import { idempotencyKeyOf } from '../http/request';
import { checked, notFound } from '../http/validate';
import { JobFailed, newJobId, type JobHandle } from '../jobs';
import { wirePosition } from '../queries';
import { route, type Answer, type Call, type Route } from '../route';
import { receiveUpload, type Upload } from '../upload';
import { accepted202, json200, listOf, page, paged } from './answers';
import { codeParam } from './communities';
import { ERRORS_FILE } from './jobs';
import { pushRoute } from './push';

const tag = 'feeds';
export const feedParam = z.object({ feed: codeParam.shape.code });

const feedSchema = z.object({
  feed: z.string(),
  accepted: z.int(),
  duplicates: z.int(),
  rejected: z.int(),
  lastEvent: z.object({ position: z.string(), type: z.string(), recordedAt: z.string() }).nullable(),
});

const importForm = z.strictObject({
  mapping: z.string().min(1).max(64),
  dryRun: z.enum(['true', 'false', '']).default('false'),
  community: codeParam.shape.code.optional(),
});

/** What the form says, with a name for every fault before a job is made of it. */
const readForm = (upload: Upload): z.output<typeof importForm> => {
  const form = checked(importForm, Object.fromEntries(Object.entries(upload.fields).filter(([, value]) => value !== '')), 422);
  const names = mappings().map(({ name }) => name);
  if (names.includes(form.mapping)) return form;
  const suggestion = nearest(form.mapping, names);
  const detail = {
    zh: `没有映射 ${form.mapping}${suggestion ? `;是否为 ${suggestion}` : ''}(见 GET /mappings)`,
    en: `there is no mapping ${form.mapping}${suggestion ? `; did you mean ${suggestion}` : ''} (see GET /mappings)`,
  };
  throw new HttpProblem(400, 'unknown-mapping', detail, {
    errors: [
      {
        code: 'unknown-mapping',
        detail,
        pointer: '/mapping',
        value: form.mapping,
        allowed: names,
        ...(suggestion && { suggestion }),
      },
    ],
  });
};

const estimate = ({ done, bytesRead, bytesTotal }: ImportProgress): number | null =>
  bytesRead > 0 ? Math.max(done, Math.round((done * bytesTotal) / bytesRead)) : null;

const resultOf = (id: string, { position, errorsFile, firstErrors, ...rest }: ImportAnswer) => ({
  ...rest,
  position: position === null ? null : wirePosition(position),
  firstErrors,
  ...(errorsFile !== undefined && { errors: `/api/v1/imports/${id}/errors.csv` }),
});

const runImport = (call: Call, upload: Upload, form: z.output<typeof importForm>) => async (job: JobHandle) => {
  const tell = (answer: ImportAnswer): void => {
    for (const problem of answer.firstErrors) job.rowError(problem);
    job.progress({ done: answer.rows, total: answer.rows, phase: 'done' });
  };
  try {
    const answer = await importFile(
      { log: call.engine.log },
      {
        path: upload.path,
        mapping: form.mapping,
        ...(form.community !== undefined && { community: form.community }),
        timeZone: call.engine.config.timeZone,
        dryRun: form.dryRun === 'true',
        errorsTo: join(job.dir, ERRORS_FILE),
        onProgress: (at) =>
          job.progress({ done: at.done, total: estimate(at), phase: form.dryRun === 'true' ? 'checking' : 'importing' }),
        signal: job.signal,
      },
    );
    tell(answer);
    return resultOf(job.id, answer);
  } catch (error) {
    if (!(error instanceof InterruptedImport)) throw error;
    tell(error.answer);
    const { accepted, duplicates, rejected } = error.answer;
    throw new JobFailed(
      {
        code: error.code,
        detail: {
          zh: `${error.detail.zh};此前的行已处理:接收 ${accepted}、重复 ${duplicates}、拒绝 ${rejected}`,
          en: `${error.detail.en}; rows before it were dealt with: ${accepted} accepted, ${duplicates} duplicates, ${rejected} rejected`,
        },
      },
      resultOf(job.id, error.answer),
    );
  } finally {
    await rm(upload.path, { force: true });
  }
};

const startImport = async (call: Call): Promise<Answer> => {
  const { engine, request, gone } = call;
  const key = idempotencyKeyOf(request.headers);
  const id = newJobId();
  const dir = engine.jobs.dirOf(id);
  const upload = await receiveUpload(request.body as Readable, request.headers, dir, gone);
  const start = async (): Promise<Answer> => {
    await engine.jobs.start('import', id, runImport(call, upload, readForm(upload)));
    return { status: 202, body: { jobId: id }, headers: { Location: `/api/v1/jobs/${id}` } };
  };
  try {
    if (key === undefined) return await start();
    const { replayed, status, headers, body } = await engine.idempotency.once(
      { scope: 'POST /api/v1/imports', key, fingerprint: fingerprint(upload.digest) },
      async () => keepable(await start()),
    );
    if (!replayed) return { status, headers, text: body, type: 'application/json; charset=utf-8' };
    await rm(dir, { recursive: true, force: true });
    return {
      status,
      headers: { ...headers, 'Idempotency-Replayed': 'true' },
      text: body,
      type: 'application/json; charset=utf-8',
    };
  } catch (error) {
    await rm(dir, { recursive: true, force: true });
    throw error;
  }
};

export const feedRoutes: readonly Route[] = [
  pushRoute,
  route({
    method: 'GET',
    path: '/feeds',
    tag,
    summary: { zh: '数据来源及其计数', en: 'Feeds and their counts' },
    query: page,
    answers: json200(listOf(feedSchema), {
      zh: '按代码排序;重复与拒绝自服务启动起计',
      en: 'by code; duplicates and rejections since this server started',
    }),
    handler: async (call) => paged(call, await call.ask('feeds', undefined), ({ feed }) => feed),
  }),
  route({
    method: 'GET',
    path: '/feeds/{feed}',
    tag,
    summary: { zh: '一个数据来源', en: 'One feed' },
    params: feedParam,
    answers: json200(feedSchema, { zh: '最近事件与计数', en: 'its last event and counts' }),
    handler: async ({ params: { feed }, ask }) => {
      const found = await ask('feed', feed);
      if (!found)
        throw notFound({ zh: `来源 ${feed} 还没有送来任何事件`, en: `feed ${feed} has sent nothing yet` }, 'feed-not-found');
      return { status: 200, body: found };
    },
  }),
  route({
    method: 'POST',
    path: '/imports',
    tag,
    summary: {
      zh: '导入文件(multipart:file、mapping、dryRun、community)',
      en: 'Import a file (multipart: file, mapping, dryRun, community)',
    },
    body: importForm.extend({ file: z.string().meta({ format: 'binary' }) }),
    takes: { types: ['multipart/form-data'], json: false },
    idempotent: 'by-handler',
    deadlineMs: 30 * 60_000, // the time of an upload
    answers: accepted202,
    handler: (call) => startImport(call as Call),
  }),
];
