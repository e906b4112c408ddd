import { position as toPosition } from '@vigil/event-log';
import { CannotApply } from '@vigil/projections';
import { nearest } from '@vigil/vocabulary';
import { z } from 'zod';
import { HttpProblem } from '../http/problem';
import { JobFailed, newJobId, type JobHandle } from '../jobs';
import { wirePosition } from '../queries';
import { route, type Answer, type Call, type Route } from '../route';
import { accepted202, json200, listOf, positionSchema } from './answers';

const tag = 'log';

const projectionSchema = z.object({
  name: z.string(),
  kind: z.enum(['model', 'effect']).meta({ description: 'a model counts, and halts at what it can’t apply; an effect parks it' }),
  state: z.enum(['stopped', 'waiting', 'catching-up', 'live', 'halted']),
  position: positionSchema,
  head: positionSchema,
  lagEvents: z.number(),
  lagSeconds: z.number(),
  owner: z.string().optional().meta({ description: 'the instance that runs it' }),
  heartbeatSeconds: z.number().optional(),
  problem: z.object({ position: z.string(), type: z.string(), message: z.string() }).optional(),
  skips: z.array(z.object({ position: positionSchema, reason: z.string(), by: z.string(), at: z.string() })),
  parked: z.array(z.object({ position: positionSchema, stream: z.string(), type: z.string(), reason: z.string() })),
});

/** The owner acts on a decision at its next beat: waited for, so that the answer shows what came of it. */
const SETTLE_MS = 2_500;

const nameParam = z.object({ name: z.string().max(64) });

const statusNow = async (call: Call) =>
  (await call.ask('projections', undefined)).map((status) => ({
    ...status,
    position: wirePosition(status.position),
    head: wirePosition(status.head),
    skips: status.skips.map((skip) => ({ ...skip, position: wirePosition(skip.position) })),
    parked: status.parked.map((parked) => ({ ...parked, position: wirePosition(parked.position) })),
  }));

const known = async (call: Call, name: string): Promise<void> => {
  const names = (await call.engine.projections.status()).map((status) => status.name);
  if (names.includes(name)) return;
  const suggestion = nearest(name, names);
  const detail = {
    zh: `没有投影 ${name};有 ${names.join('、')}`,
    en: `there is no projection ${name}; there are ${names.join(', ')}`,
  };
  throw new HttpProblem(404, 'projection-not-found', detail, {
    errors: [{ code: 'projection-not-found', detail, value: name, allowed: names, ...(suggestion && { suggestion }) }],
  });
};

const failed = (error: unknown): never => {
  if (error instanceof CannotApply) {
    const { projection, event, message } = error;
    throw new JobFailed({
      code: 'cannot-apply',
      detail: {
        zh: `重建在位置 ${event.position} 停下:${projection} 无法处理 ${event.type}(${message});原读模型未变`,
        en: `the rebuild stopped at position ${event.position}: ${message}; the read model is as it was`,
      },
    });
  }
  if (error instanceof RangeError)
    throw new JobFailed({ code: 'not-now', detail: { zh: `现在不能这样做:${error.message}`, en: error.message } });
  throw error;
};

const job = async (
  call: Call,
  kind: 'rebuild' | 'check',
  name: string | undefined,
  work: (job: JobHandle) => Promise<unknown>,
): Promise<Answer> => {
  if (name !== undefined) await known(call, name);
  const id = newJobId();
  await call.engine.jobs.start(kind, id, (handle) => work(handle).catch(failed));
  return { status: 202, body: { jobId: id }, headers: { Location: `/api/v1/jobs/${id}` } };
};

const rebuild = (call: Call, name?: string): Promise<Answer> =>
  job(call, 'rebuild', name, async (handle) => ({
    projections: await call.engine.projections.rebuild(name, ({ projection, done, total }) =>
      handle.progress({ done, total, phase: projection }),
    ),
  }));

const check = (call: Call, name?: string): Promise<Answer> =>
  job(call, 'check', name, async () => ({ projections: await call.engine.projections.check(name) }));

/** Does it, and says where the projection stands. What the projection's state doesn't allow is 409. */
const act = async (call: Call, name: string, work: () => Promise<void>): Promise<Answer> => {
  await known(call, name);
  try {
    await work();
  } catch (error) {
    if (error instanceof RangeError)
      throw new HttpProblem(409, 'not-now', { zh: `现在不能这样做:${error.message}`, en: error.message });
    throw error;
  }
  const until = Date.now() + SETTLE_MS;
  for (;;) {
    const status = (await statusNow(call)).find((each) => each.name === name)!;
    if (status.state !== 'halted' || Date.now() > until) return { status: 200, body: status };
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
};
const stands = json200(projectionSchema, { zh: '投影的状态', en: 'where it stands' });

export const projectionRoutes: readonly Route[] = [
  route({
    method: 'GET',
    path: '/projections',
    tag,
    summary: { zh: '投影的进度', en: 'Where the read models stand' },
    answers: json200(listOf(projectionSchema), {
      zh: '位置、滞后、归属、停止的原因',
      en: 'positions, lag, owners, what halted them',
    }),
    handler: async (call) => ({ status: 200, body: { data: await statusNow(call as Call) } }),
  }),
  route({
    method: 'POST',
    path: '/projections/rebuild',
    tag,
    summary: {
      zh: '由日志重建全部读模型:在旁边建好,核对摘要后一次切换',
      en: 'Rebuild every read model beside the live one, compare digests, switch at once',
    },
    bodyOptional: true,
    answers: accepted202,
    handler: (call) => rebuild(call as Call),
  }),
  route({
    method: 'POST',
    path: '/projections/check',
    tag,
    summary: {
      zh: '把全部读模型与另一套代码由日志算出的结果逐行比较',
      en: 'Compare every read model, row by row, with a fold of the log by independent code',
    },
    bodyOptional: true,
    answers: accepted202,
    handler: (call) => check(call as Call),
  }),
  route({
    method: 'POST',
    path: '/projections/{name}/rebuild',
    tag,
    summary: { zh: '重建一个读模型', en: 'Rebuild one read model' },
    params: nameParam,
    bodyOptional: true,
    answers: accepted202,
    handler: (call) => rebuild(call as Call, call.params.name),
  }),
  route({
    method: 'POST',
    path: '/projections/{name}/check',
    tag,
    summary: { zh: '核对一个读模型', en: 'Check one read model' },
    params: nameParam,
    bodyOptional: true,
    answers: accepted202,
    handler: (call) => check(call as Call, call.params.name),
  }),
  route({
    method: 'POST',
    path: '/projections/{name}/go-back',
    tag,
    summary: { zh: '换回上次重建前的读模型', en: 'Put back the read model that the last rebuild replaced' },
    params: nameParam,
    bodyOptional: true,
    answers: stands,
    handler: (call) => act(call as Call, call.params.name, () => call.engine.projections.goBack(call.params.name)),
  }),
  route({
    method: 'POST',
    path: '/projections/{name}/retry',
    tag,
    summary: { zh: '再试一次使它停止的事件,或被搁置的事件', en: 'Try again the event that halted it, or the parked ones' },
    params: nameParam,
    bodyOptional: true,
    answers: stands,
    handler: (call) => act(call as Call, call.params.name, () => call.engine.projections.retry(call.params.name)),
  }),
  route({
    method: 'POST',
    path: '/projections/{name}/skip',
    tag,
    summary: {
      zh: '跳过使它停止(或被搁置)的事件;此后的统计不含它',
      en: 'Pass over the event that halted it, or a parked one; answers will be without it',
    },
    params: nameParam,
    body: z.strictObject({
      position: z.union([z.int().min(1), z.string().regex(/^[1-9]\d{0,18}$/)]),
      reason: z.string().trim().min(3).max(500),
      by: z.string().trim().min(1).max(100).default('unnamed'),
    }),
    answers: stands,
    handler: (call) => {
      const { position: at, reason, by } = call.body;
      return act(call as Call, call.params.name, () =>
        call.engine.projections.skip(call.params.name, toPosition(at), reason, by),
      );
    },
  }),
];
