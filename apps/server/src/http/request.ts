import { randomUUID } from 'node:crypto';
import { HttpProblem, type Language } from './problem';

type Headers = Readonly<Record<string, string | string[] | undefined>>;

export const header = (headers: Headers, name: string): string | undefined => {
  const value = headers[name];
  return Array.isArray(value) ? value.join(', ') : value;
};

/** Items of a header such as `zh-CN, en;q=0.8`, best first; what has `q=0` is left out. */
export const weighted = (value: string | undefined): string[] =>
  (value ?? '')
    .split(',')
    .slice(0, 50)
    .map((part, index) => {
      const [name = '', ...parameters] = part.trim().split(';');
      const q = parameters
        .map((parameter) => /^\s*q\s*=\s*([01](?:\.\d{0,3})?)\s*$/i.exec(parameter)?.[1])
        .find((found) => found !== undefined);
      return { name: name.trim().toLowerCase(), q: q === undefined ? 1 : Number(q), index };
    })
    .filter(({ name, q }) => name !== '' && q > 0)
    .sort((a, b) => b.q - a.q || a.index - b.index)
    .map(({ name }) => name);

/** The language of the answer's sentences; English unless Chinese is asked for before it. */
export const languageOf = (headers: Headers): Language =>
  weighted(header(headers, 'accept-language'))
    .find((name) => /^(zh|en)(-|$)/.test(name))
    ?.startsWith('zh')
    ? 'zh'
    : 'en';

/** The trace of a W3C `traceparent`, the caller's `x-request-id`, or a new one. */
export const traceOf = (headers: Headers): string => {
  const parent = /^[0-9a-f]{2}-([0-9a-f]{32})-[0-9a-f]{16}-[0-9a-f]{2}/.exec(header(headers, 'traceparent') ?? '')?.[1];
  const asked = header(headers, 'x-request-id');
  return parent ?? (asked && /^[A-Za-z0-9._:-]{1,64}$/.test(asked) ? asked : randomUUID().replaceAll('-', ''));
};

/** `Prefer: wait=5` in milliseconds: 5 s when it isn't said, 30 s at most. */
export const waitOf = (headers: Headers): number => {
  const found = /(?:^|[,;\s])wait\s*=\s*"?(\d{1,6})"?/i.exec(header(headers, 'prefer') ?? '')?.[1];
  return Math.min(found === undefined ? 5 : Number(found), 30) * 1000;
};

/** The revision of `If-Match: "r3"` (`"r-1"`: nothing happened to it yet); `any` for `*`, undefined when there is none. */
export const ifMatchOf = (headers: Headers): number | 'any' | undefined => {
  const value = header(headers, 'if-match')?.trim();
  if (value === undefined || value === '') return undefined;
  if (value === '*') return 'any';
  const revision = /^(?:W\/)?"?r(-1|\d{1,15})"?$/.exec(value)?.[1];
  if (revision === undefined)
    throw new HttpProblem(400, 'invalid-if-match', {
      zh: 'If-Match 应为一个 ETag,如 "r3"(取自上次的应答)',
      en: 'If-Match is one ETag such as "r3", as the last answer gave it',
    });
  return Number(revision);
};

/** `Idempotency-Key`, with or without the quotes of a structured header. */
export const idempotencyKeyOf = (headers: Headers): string | undefined => {
  const value = header(headers, 'idempotency-key');
  if (value === undefined) return undefined;
  const key = /^\s*"(.*)"\s*$/.exec(value)?.[1] ?? value.trim();
  if (!/^[\x21-\x7e]{1,255}$/.test(key))
    throw new HttpProblem(400, 'invalid-idempotency-key', {
      zh: 'Idempotency-Key 应为 1 至 255 个可见 ASCII 字符,例如一个 UUID',
      en: 'an Idempotency-Key is 1 to 255 visible ASCII characters, a UUID for example',
    });
  return key;
};

/** The media type of a request's body without parameters, lower case. */
export const mediaTypeOf = (headers: Headers): string =>
  (header(headers, 'content-type') ?? '').split(';')[0]!.trim().toLowerCase();
