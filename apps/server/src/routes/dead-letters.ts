import { retryLetter, type KeptLetter, type Retry } from '@vigil/feeds';
import { z } from 'zod';
import { problemItem, refused } from '../http/problem';
import { notFound } from '../http/validate';
import { wirePosition } from '../queries';
import { route, type Call, type Route } from '../route';
import { json200, listOf, nextUrl, positionSchema } from './answers';
import { codeParam } from './communities';

const tag = 'feeds';

const problemSchema = z.object({ code: z.string(), detail: z.string() }).loose();

const letterSchema = z.object({
  id: z.string(),
  feed: z.string(),
  status: z.enum(['open', 'settled']),
  arrivedAt: z.string(),
  origin: z.object({ topic: z.string(), partition: z.int(), offset: z.string() }),
  key: z.string().nullable(),
  eventId: z.string().nullable(),
  problem: problemSchema,
  bytes: z.int(),
  sha256: z.string(),
  withheld: z.enum(['identity', 'too-large']).optional().meta({ description: 'why the payload was not kept' }),
  removed: z.array(z.string()).meta({ description: 'JSON pointers of fields with identities that were taken out' }),
});
const retrySchema = z.object({
  at: z.string(),
  status: z.enum(['accepted', 'duplicate', 'rejected']),
  edited: z.boolean(),
  position: positionSchema.optional(),
  problem: problemSchema.optional(),
});
const wholeSchema = letterSchema.extend({
  payload: z.unknown().meta({ description: 'the event, where it is JSON' }),
  text: z.string().optional().meta({ description: 'the payload where it is UTF-8 and no JSON' }),
  base64: z.string().optional().meta({ description: 'the payload where it is neither' }),
  retries: z.array(retrySchema),
});

const view = ({ problem, origin, ...rest }: Omit<KeptLetter, 'payload' | 'retries'>, { language }: Pick<Call, 'language'>) => ({
  ...rest,
  origin: { ...origin, offset: origin.offset.toString() },
  problem: problemItem(problem, language),
});

const retryView = ({ problem, position, ...rest }: Retry, { language }: Pick<Call, 'language'>) => ({
  ...rest,
  ...(position !== undefined && { position: wirePosition(position) }),
  ...(problem && { problem: problemItem(problem, language) }),
});

const payloadView = (payload: Uint8Array | null): { payload: unknown; text?: string; base64?: string } => {
  if (payload === null) return { payload: null };
  let text: string;
  try {
    text = new TextDecoder('utf-8', { fatal: true }).decode(payload);
  } catch {
    return { payload: null, base64: Buffer.from(payload).toString('base64') };
  }
  try {
    return { payload: JSON.parse(text) as unknown };
  } catch {
    return { payload: null, text };
  }
};

const query = z.object({
  feed: codeParam.shape.code.optional(),
  status: z.enum(['open', 'settled']).optional(),
  code: z.string().max(100).optional(),
  limit: z.coerce.number().int().min(1).max(10_000).default(100),
  cursor: z.uuid().optional(),
});

const idParam = z.object({ id: z.uuid() });

const find = async ({ engine, params: { id } }: Call<{ id: string }>): Promise<KeptLetter> => {
  const found = await engine.deadLetters.get(id);
  if (!found) throw notFound({ zh: `没有死信 ${id}`, en: `there is no dead letter ${id}` }, 'dead-letter-not-found');
  return found;
};

/** A CloudEvent, bare or as `payload`. */
const edited = z.union([z.looseObject({ specversion: z.string() }), z.strictObject({ payload: z.unknown().optional() })]);

export const deadLetterRoutes: readonly Route[] = [
  route({
    method: 'GET',
    path: '/dead-letters',
    tag,
    summary: { zh: '未被接收的消息', en: 'Records that were refused' },
    query,
    answers: json200(listOf(letterSchema), {
      zh: '由新到旧,不含内容',
      en: 'newest first, without payloads',
    }),
    handler: async (call) => {
      const { limit, cursor, ...wanted } = call.query;
      const rows = await call.engine.deadLetters.list({ ...wanted, ...(cursor && { before: cursor }), limit: limit + 1 });
      const data = rows.slice(0, limit).map((row) => view(row, call));
      if (rows.length <= limit) return { status: 200, body: { data } };
      const next = data.at(-1)!.id;
      return { status: 200, body: { data, next }, headers: { Link: `<${nextUrl(call, { cursor: next })}>; rel="next"` } };
    },
  }),
  route({
    method: 'GET',
    path: '/dead-letters/{id}',
    tag,
    summary: { zh: '一条未被接收的消息及其重试', en: 'One refused record, with its retries' },
    params: idParam,
    answers: json200(wholeSchema, { zh: '消息', en: 'the record' }),
    handler: async (call) => {
      const { payload, retries, ...letter } = await find(call);
      return {
        status: 200,
        body: { ...view(letter, call), ...payloadView(payload), retries: retries.map((each) => retryView(each, call)) },
      };
    },
  }),
  route({
    method: 'POST',
    path: '/dead-letters/{id}/retry',
    tag,
    summary: {
      zh: '重试:照原样,或以修改后的事件(payload);原内容保留',
      en: 'Try it again, as it was or with an edited event (payload); the original stays',
    },
    params: idParam,
    body: edited,
    bodyOptional: true,
    refusesIdentities: true,
    idempotent: 'by-body',
    answers: json200(retrySchema.omit({ at: true }).extend({ id: z.string() }), { zh: '重试的结果', en: 'what it came to' }),
    handler: async (call) => {
      const letter = await find(call);
      const body = call.body ?? {};
      const payload = 'specversion' in body ? body : (body as { payload?: unknown }).payload;
      const result = await retryLetter({ log: call.engine.log, store: call.engine.deadLetters }, letter, payload);
      if (!result.ok) throw refused(result.problem, 422);
      const { status, position, problem } = result.value;
      return {
        status: 200,
        body: {
          id: letter.id,
          ...retryView({ at: '', status, position, problem, edited: payload !== undefined }, call),
          at: undefined,
        },
      };
    },
  }),
];
