import { injuryRecord } from '@vigil/domain';
import { ok, refuse, type Problem, type Result } from '@vigil/vocabulary';
import { MOST_LINE, parseJson } from '../push/body';
import type { BrokerRecord } from './broker';

export const DEAD_LETTER_TOPIC = 'vigil.dead-letter.v1';
export const EVENTS_TOPIC = 'vigil.events.v1';

export const topicOf = (feed: string): string => `vigil.feed.${feed}.v1`;

/** The feed that a topic carries, undefined of any other topic. */
export const feedOf = (topic: string): string | undefined => {
  const code = /^vigil\.feed\.(.+)\.v1$/.exec(topic)?.[1];
  return code !== undefined && injuryRecord.shape.feed.safeParse(code).success ? code : undefined;
};

const fault = (code: string, zh: string, en: string, more: Partial<Problem> = {}): Result<never> =>
  refuse<Problem>({ code, detail: { zh, en }, ...more });

const decoder = new TextDecoder('utf-8', { fatal: true });
const textOf = (bytes: Uint8Array): string | undefined => {
  try {
    return decoder.decode(bytes);
  } catch {
    return undefined;
  }
};

/** In this order whatever order the headers come in: an event's bytes are compared when it comes again. */
const FIRST = ['specversion', 'type', 'source', 'id', 'subject', 'time'];

/** Attributes of binary mode, `ce_…` headers by the CloudEvents binding for Kafka. */
const attributes = (headers: BrokerRecord['headers']): Result<Record<string, string>> => {
  const found = new Map<string, string>();
  for (const [name, values] of Object.entries(headers)) {
    if (!name.startsWith('ce_')) continue;
    const text = values.length === 1 ? textOf(values[0]!) : undefined;
    if (text === undefined)
      return fault(
        'invalid-header',
        `消息头 ${name.slice(0, 60)} 应只有一个,且为 UTF-8 文本`,
        `the header ${name.slice(0, 60)} must be there once, as UTF-8 text`,
      );
    found.set(name.slice(3), text);
  }
  const names = [...FIRST.filter((name) => found.has(name)), ...[...found.keys()].filter((name) => !FIRST.includes(name)).sort()];
  return ok(Object.fromEntries(names.map((name) => [name, found.get(name)!])));
};

/**
 * The CloudEvent that a record carries, in structured mode (the value is the event) or binary mode (attributes in `ce_` headers, the
 * value is the data), as `/feeds/{feed}/events` takes it; or why it carries none.
 */
export const eventOf = ({ value, headers }: BrokerRecord): Result<unknown> => {
  if (value === null || value.length === 0) return fault('empty-record', '消息没有内容', 'the record has no value');
  if (value.length > MOST_LINE)
    return fault('record-too-large', `消息超过 ${MOST_LINE} 字节`, `the record is longer than ${MOST_LINE} bytes`);
  const types = headers['content-type'] ?? [];
  const contentType = types.length > 0 ? textOf(types[0]!)?.trim() : undefined;
  const parsed = parseJson(value);
  if (!('ce_specversion' in headers) || /^application\/cloudevents/i.test(contentType ?? '')) return parsed;
  const found = attributes(headers);
  if (!found.ok) return found;
  // Judged before the data: what isn't said to be JSON needn't parse as such.
  if (contentType !== undefined && !/^[^;]*[/+]json\s*(;|$)/i.test(contentType))
    return fault('unsupported-media-type', 'data 应为 JSON', 'the data must be JSON', {
      pointer: '/datacontenttype',
      value: contentType.slice(0, 200),
    });
  if (!parsed.ok) return parsed;
  return ok({ ...found.value, ...(contentType !== undefined && { datacontenttype: contentType }), data: parsed.value });
};
