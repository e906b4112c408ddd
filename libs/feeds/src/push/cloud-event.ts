/** The envelope and payloads a feed may push, and what is refused of them before any decision. */
import { say, type DomainEvent } from '@vigil/domain';
import { deterministicId, fingerprint, nearest, parseInstant, type Problem } from '@vigil/vocabulary';
import { z } from 'zod';
import { isIdentityName } from '../identity';
import { pointerOf, zodProblems } from '../problems';
import { PUSHED, type PushedType, type RecordKind } from './kinds';

// U+001F parts the pieces of an id; the others have no place in one either.
const PLAIN = /^[^\u0000-\u001f\u007f]+$/;
const attribute = (most: number) =>
  z
    .string()
    .min(1)
    .max(most)
    .regex(PLAIN, say('invalid-text', '含有控制字符', 'it holds control characters'));

const envelope = z.looseObject({
  specversion: z.literal('1.0'),
  type: attribute(256),
  source: attribute(512),
  id: attribute(256),
  subject: attribute(128).optional(),
  time: z
    .string()
    .max(40)
    .refine(
      (time) => parseInstant(time) !== undefined,
      say('invalid-date', '时间应为带时区的 RFC 3339 时刻', 'a time is an RFC 3339 instant with its offset'),
    )
    .optional(),
  datacontenttype: z
    .string()
    .regex(/^[^;]*[/+]json\s*(;|$)/i, say('unsupported-media-type', 'data 应为 JSON', 'the data must be JSON'))
    .optional(),
  data: z.record(z.string(), z.unknown()),
});

const typeOf = (type: string): PushedType | undefined => (Object.hasOwn(PUSHED, type) ? PUSHED[type] : undefined);

/** Schemas of `data` by event type, for `/api/v1/schemas/{type}`: `z.toJSONSchema(schema, { io: 'input' })`. */
export const feedSchemas = (): Record<string, z.ZodType> =>
  Object.fromEntries(Object.entries(PUSHED).map(([type, { schema }]) => [type, schema]));

/** A pushed event, understood: what is to be decided, and under which ids. */
export interface Understood {
  /** The sender's id. */
  readonly id: string;
  /** In the log: of source and id. */
  readonly eventId: string;
  readonly aggregate: RecordKind['aggregate'];
  /** Of the record that its feed and number name. */
  readonly stream: string;
  /** It begins the record. */
  readonly first: boolean;
  readonly command: DomainEvent;
  readonly metadata: string;
  readonly fingerprint: string;
}

/** JSON nested deeper is refused; V8 parses any depth, but what walks or writes it again overflows. */
const MOST_DEPTH = 64;

const problem = (code: string, zh: string, en: string, more: Partial<Problem> = {}): Problem => ({
  code,
  detail: { zh, en },
  ...more,
});

/** The first thing that has no place anywhere in an event: identities, NUL, half characters, numbers that were rounded, great depth. */
const unacceptable = (value: unknown, path: PropertyKey[], depth: number): Problem | undefined => {
  const pointer = () => pointerOf(path.map((part) => (typeof part === 'string' ? part.slice(0, 100).toWellFormed() : part)));
  if (typeof value === 'string') {
    if (value.includes('\0'))
      return problem('nul-character', '含有 NUL 字符', 'it holds a NUL character', { pointer: pointer() });
    if (!value.isWellFormed())
      return problem('lone-surrogate', '含有不成对的 UTF-16 代理字符', 'it holds half of a UTF-16 surrogate pair', {
        pointer: pointer(),
      });
    return undefined;
  }
  if (typeof value === 'number') {
    if (Math.abs(value) <= Number.MAX_SAFE_INTEGER) return undefined;
    return problem('not-representable', '数字过大,无法准确表示', 'the number is too large to be kept exactly', {
      pointer: pointer(),
    });
  }
  if (typeof value !== 'object' || value === null) return undefined;
  if (depth >= MOST_DEPTH) return problem('too-deep', `嵌套超过 ${MOST_DEPTH} 层`, `nested more than ${MOST_DEPTH} deep`);
  for (const key of Array.isArray(value) ? value.keys() : Object.keys(value)) {
    path.push(key);
    if (typeof key === 'string') {
      const bad = unacceptable(key, path, depth);
      if (bad) return bad;
      // Zod leaves it out without a word.
      if (key === '__proto__')
        return problem('unknown-field', '没有字段“__proto__”', 'there is no field "__proto__"', { pointer: pointer() });
      if (isIdentityName(key))
        return problem(
          'identity-not-accepted',
          `字段“${key.slice(0, 60)}”含个人身份信息,目前不接收(将来以密封方式接收);请删除`,
          `field "${key.slice(0, 60)}" holds an identity, for which there is no place yet (they come sealed, later): remove it`,
          { pointer: pointer() },
        );
    }
    const bad = unacceptable((value as Record<PropertyKey, unknown>)[key], path, depth + 1);
    if (bad) return bad;
    path.pop();
  }
  return undefined;
};

const unknownType = (type: string): Problem => {
  const allowed = Object.keys(PUSHED);
  const suggestion = nearest(type, allowed);
  return problem(
    'unknown-event-type',
    `不认识事件类型${suggestion ? `,是否为“${suggestion}”` : ''}`,
    `there is no such event type${suggestion ? `; did you mean "${suggestion}"` : ''}`,
    { pointer: '/type', value: type, allowed, ...(suggestion && { suggestion }) },
  );
};

/** A parsed CloudEvent as a command, or the first reason why not. `id` is the sender's where it could be made out. */
export const understand = (
  value: unknown,
  feed: string,
): { readonly event: Understood } | { readonly id: string | null; readonly problem: Problem } => {
  const given = typeof value === 'object' && value !== null ? (value as { id?: unknown }).id : undefined;
  const id = typeof given === 'string' && given.length <= 256 ? given.toWellFormed() : null;
  const bad = unacceptable(value, [], 0);
  if (bad) return { id, problem: bad };
  const parsed = envelope.safeParse(value);
  if (!parsed.success) return { id, problem: zodProblems(parsed.error, value)[0]! };
  const { type, source, subject, time, data } = parsed.data;
  const pushed = typeOf(type);
  if (!pushed) return { id, problem: unknownType(type) };
  const { schema, command, first } = pushed;
  const { aggregate, idOf, keepsNumber } = pushed.kind;
  const payload = schema.safeParse(data);
  if (!payload.success) return { id, problem: zodProblems(payload.error, data, { schema, base: '/data' })[0]! };
  const { recordId, ...rest } = payload.data as { recordId: string };
  if (subject !== undefined && subject !== recordId)
    return {
      id,
      problem: problem('subject-mismatch', 'subject 应与 data.recordId 相同', 'subject must equal data.recordId', {
        pointer: '/subject',
        value: subject,
      }),
    };
  return {
    event: {
      id: parsed.data.id,
      eventId: deterministicId('event', source, parsed.data.id),
      aggregate,
      stream: aggregate.streamOf(idOf(feed, recordId)),
      first,
      // A report keeps its number where it has a field for it; other events stand in its stream.
      command: { type: command, data: first && keepsNumber ? { recordId, feed, ...rest } : rest },
      metadata: JSON.stringify({
        source,
        id: parsed.data.id,
        feed,
        ...(first && !keepsNumber && { recordId }),
        ...(time !== undefined && { time }),
      }),
      fingerprint: fingerprint(JSON.stringify(value)),
    },
  };
};
