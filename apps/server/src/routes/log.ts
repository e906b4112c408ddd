import { position as toPosition } from '@vigil/event-log';
import { nearest } from '@vigil/vocabulary';
import { z } from 'zod';
import { HttpProblem } from '../http/problem';
import { eventStream, type SseEvent } from '../http/sse';
import { newJobId } from '../jobs';
import { eventView, wirePosition } from '../queries';
import { route, type Answer, type Call, type Route } from '../route';
import { accepted202, json200, listOf, nextUrl, positionSchema } from './answers';

const tag = 'log';
const LAST = 2n ** 63n - 1n;
const positionParam = z
  .string()
  .regex(/^\d{1,19}$/)
  .transform(BigInt)
  .refine((value) => value <= LAST);

const eventSchema = z.object({
  position: positionSchema,
  id: z.uuid(),
  stream: z.string(),
  revision: z.int(),
  type: z.string(),
  version: z.int(),
  recordedAt: z.string(),
  data: z.unknown(),
  metadata: z.unknown(),
});

const projectionSchema = z.object({
  name: z.string(),
  state: z.enum(['stopped', 'catching-up', 'live', 'rebuilding', 'halted']),
  position: positionSchema,
  head: positionSchema,
  lagEvents: z.number(),
  lagSeconds: z.number(),
  problem: z.looseObject({ position: z.string(), type: z.string() }).optional(),
});

const projectionsNow = async (call: Call) =>
  (await call.ask('projections', undefined)).map((status) => ({
    ...status,
    position: wirePosition(status.position),
    head: wirePosition(status.head),
  }));

const rebuild = async (call: Call, name: string | undefined): Promise<Answer> => {
  const names = (await call.engine.projections.status()).map((status) => status.name);
  if (name !== undefined && !names.includes(name)) {
    const suggestion = nearest(name, names);
    const detail = {
      zh: `没有投影 ${name};有 ${names.join('、')}`,
      en: `there is no projection ${name}; there are ${names.join(', ')}`,
    };
    throw new HttpProblem(404, 'projection-not-found', detail, {
      errors: [{ code: 'projection-not-found', detail, value: name, allowed: names, ...(suggestion && { suggestion }) }],
    });
  }
  const id = newJobId();
  await call.engine.jobs.start('rebuild', id, async (job) => ({
    projections: await call.engine.projections.rebuild(name, ({ projection, done, total }) =>
      job.progress({ done, total, phase: projection }),
    ),
  }));
  return { status: 202, body: { jobId: id }, headers: { Location: `/api/v1/jobs/${id}` } };
};

/** The latest position only: a client that reads slowly misses steps, never the newest state. */
async function* moves(call: Call, signal: AbortSignal): AsyncGenerator<SseEvent, void> {
  let latest: bigint | undefined;
  let wake: (() => void) | undefined;
  const off = call.engine.projections.onMoved((at) => {
    latest = at;
    wake?.();
  });
  const abort = (): void => wake?.();
  signal.addEventListener('abort', abort);
  try {
    const now = await call.engine.projections.status();
    latest ??= now.reduce<bigint | undefined>((low, { position: at }) => (low === undefined || at < low ? at : low), undefined);
    while (!signal.aborted) {
      if (latest !== undefined) {
        const at = latest;
        latest = undefined;
        yield { id: at.toString(), event: 'position', data: { position: wirePosition(at) } };
        continue;
      }
      await new Promise<void>((resolve) => (wake = resolve));
      wake = undefined;
    }
  } finally {
    off();
    signal.removeEventListener('abort', abort);
  }
}

export const logRoutes: readonly Route[] = [
  route({
    method: 'GET',
    path: '/events',
    tag,
    summary: { zh: '日志:某位置之后的事件', en: 'The log: events after a position' },
    query: z.object({ after: positionParam.default(0n), limit: z.coerce.number().int().min(1).max(10_000).default(100) }),
    answers: json200(listOf(eventSchema), {
      zh: '按位置排序;next 即下一页的 after',
      en: 'by position; `next` is the next page’s `after`',
    }),
    handler: async (call) => {
      const { after, limit } = call.query;
      const events = await call.ask('events', { after: toPosition(after), limit });
      const data = events.map(eventView);
      if (events.length < limit) return { status: 200, body: { data } };
      const next = events.at(-1)!.position.toString();
      return { status: 200, body: { data, next }, headers: { Link: `<${nextUrl(call, { after: next })}>; rel="next"` } };
    },
  }),
  route({
    method: 'GET',
    path: '/live',
    tag,
    summary: { zh: '事件流:投影推进到位置 N', en: 'Event stream: the read models moved to position N' },
    answers: { 200: { type: 'text/event-stream', about: { zh: 'position 事件', en: '`position` events' } } },
    handler: async (call) => eventStream(call, (signal) => moves(call as Call, signal)),
  }),
  route({
    method: 'GET',
    path: '/projections',
    tag,
    summary: { zh: '投影的进度', en: 'Where the read models stand' },
    answers: json200(listOf(projectionSchema), { zh: '位置与滞后', en: 'positions and lag' }),
    handler: async (call) => ({ status: 200, body: { data: await projectionsNow(call as Call) } }),
  }),
  route({
    method: 'POST',
    path: '/projections/rebuild',
    tag,
    summary: { zh: '重建全部投影', en: 'Rebuild every read model' },
    bodyOptional: true,
    answers: accepted202,
    handler: (call) => rebuild(call as Call, undefined),
  }),
  route({
    method: 'POST',
    path: '/projections/{name}/rebuild',
    tag,
    summary: { zh: '重建一个投影', en: 'Rebuild one read model' },
    params: z.object({ name: z.string().max(64) }),
    bodyOptional: true,
    answers: accepted202,
    handler: (call) => rebuild(call as Call, call.params.name),
  }),
];
