import { Readable } from 'node:stream';
import { position as toPosition, readPages, writeExport } from '@vigil/event-log';
import { z } from 'zod';
import { eventStream, type SseEvent } from '../http/sse';
import { eventView, wirePosition } from '../queries';
import { route, type Call, type Route } from '../route';
import { json200, listOf, nextUrl, positionSchema } from './answers';

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
    path: '/log/export',
    tag,
    summary: {
      zh: '日志原文:导出文件,逐字节(vigil import-log 可读入)',
      en: 'The log as it is stored, byte for byte: a file that vigil import-log reads',
    },
    query: z.object({ after: positionParam.default(0n) }),
    answers: {
      200: {
        type: 'application/x-ndjson',
        about: { zh: '首行、每事件一行、结束行;见 log-export 文档', en: 'a header, a line per event, a trailer with the digest' },
      },
    },
    handler: async ({ engine, query }) => ({
      status: 200,
      type: 'application/x-ndjson; charset=utf-8',
      headers: { 'Vigil-Store': engine.config.store },
      stream: Readable.from(writeExport(engine.config.store, readPages(engine.log, { after: toPosition(query.after) }))),
    }),
  }),
  route({
    method: 'GET',
    path: '/live',
    tag,
    summary: { zh: '事件流:投影推进到位置 N', en: 'Event stream: the read models moved to position N' },
    answers: { 200: { type: 'text/event-stream', about: { zh: 'position 事件', en: '`position` events' } } },
    handler: async (call) => eventStream(call, (signal) => moves(call as Call, signal)),
  }),
];
