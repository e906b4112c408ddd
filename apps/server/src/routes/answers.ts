import { createHash } from 'node:crypto';
import type { CommandDone } from '@vigil/event-log';
import type { Result, Text } from '@vigil/vocabulary';
import { z } from 'zod';
import { HttpProblem, refused } from '../http/problem';
import { wirePosition } from '../queries';
import type { Answer, AnswerSpec, Call } from '../route';

export const positionSchema = z
  .union([z.int().min(0), z.string().regex(/^\d+$/)])
  .meta({ description: 'a place in the log; a number while it is below 2^53, then text' });
export const writtenSchema = z.object({
  id: z.string(),
  revision: z.int(),
  position: positionSchema,
  warnings: z
    .array(z.looseObject({ code: z.string(), detail: z.string(), pointer: z.string(), value: z.string() }))
    .optional()
    .meta({ description: '`unknown-reference`: it names a file that is nowhere; taken all the same' }),
});
export const bilingualSchema = z.object({ zh: z.string(), en: z.string() });

export const written201: Readonly<Record<number, AnswerSpec>> = {
  201: { schema: writtenSchema, about: { zh: '已写入日志;ETag 为修订号', en: 'durable in the log; ETag is the revision' } },
};
export const json200 = (schema: z.ZodType, about: Text): Readonly<Record<number, AnswerSpec>> => ({ 200: { schema, about } });
export const accepted202: Readonly<Record<number, AnswerSpec>> = {
  202: {
    schema: z.object({ jobId: z.string() }),
    about: { zh: '已排入作业;Location 指向它', en: 'a job was started; Location names it' },
  },
};

/** 201 with the revision and the position; a refusal is thrown with its status. */
export const written = (id: string, location: string, result: Result<CommandDone>): Answer => {
  if (!result.ok) throw refused(result.problem);
  const { revision, position } = result.value;
  return {
    status: 201,
    body: { id, revision, position: position === null ? 0 : wirePosition(position) },
    headers: { ETag: `"r${revision}"`, Location: location },
  };
};

export const page = z.object({
  cursor: z.string().max(512).optional().meta({ description: 'as `next` of the page before gave it' }),
  limit: z.coerce.number().int().min(1).max(10_000).default(100),
});
export const listOf = (item: z.ZodType) => z.object({ data: z.array(item), next: z.string().optional() });

/** A page of a list that is sorted by its key; `next` is the key of the last item, opaque to callers. */
export const paged = <T>(
  call: Call<unknown, { cursor?: string; limit: number }>,
  items: readonly T[],
  keyOf: (item: T) => string,
): Answer => {
  const { cursor, limit } = call.query;
  const after = cursor === undefined ? undefined : Buffer.from(cursor, 'base64url').toString('utf8');
  if (after !== undefined && Buffer.from(after, 'utf8').toString('base64url') !== cursor)
    throw new HttpProblem(400, 'invalid-cursor', {
      zh: 'cursor 应取自上一页的 next',
      en: 'a cursor is the `next` of the page before',
    });
  const sorted = [...items].sort((a, b) => (keyOf(a) < keyOf(b) ? -1 : 1));
  const rest = after === undefined ? sorted : sorted.filter((item) => keyOf(item) > after);
  const data = rest.slice(0, limit);
  if (rest.length <= limit) return { status: 200, body: { data } };
  const next = Buffer.from(keyOf(data.at(-1)!), 'utf8').toString('base64url');
  return { status: 200, body: { data, next }, headers: { Link: `<${nextUrl(call, { cursor: next })}>; rel="next"` } };
};

/** This request's own URL with other parameters. */
export const nextUrl = (call: Pick<Call, 'request'>, change: Readonly<Record<string, string>>): string => {
  const url = new URL(call.request.url, 'http://localhost');
  for (const [name, value] of Object.entries(change)) url.searchParams.set(name, value);
  return `${url.pathname}${url.search}`;
};

export const sha256 = (content: Uint8Array | string): string => createHash('sha256').update(content).digest('hex');
