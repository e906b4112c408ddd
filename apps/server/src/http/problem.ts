import type { Problem, Text } from '@vigil/vocabulary';

export type Language = keyof Text;

/** One fault of a request: a field (`pointer`), or a cell of a table (`row`, `column`). */
export type ProblemItem = Problem & { readonly row?: number; readonly column?: string };

export interface HttpProblemOptions {
  readonly errors?: readonly ProblemItem[];
  readonly headers?: Readonly<Record<string, string>>;
  readonly cause?: unknown;
}

/** An answer that isn't the one asked for, thrown on the way to it; the one filter writes it as RFC 9457. */
export class HttpProblem extends Error {
  override readonly name = 'HttpProblem';
  readonly errors: readonly ProblemItem[];
  readonly headers: Readonly<Record<string, string>>;

  constructor(
    readonly status: number,
    readonly code: string,
    readonly detail: Text,
    { errors = [], headers = {}, cause }: HttpProblemOptions = {},
  ) {
    super(`${status} ${code}`, { cause });
    this.errors = errors;
    this.headers = headers;
  }
}

const TITLES: Readonly<Record<number, Text>> = {
  400: { zh: '请求有误', en: 'Bad request' },
  401: { zh: '需要登录', en: 'Sign-in required' },
  403: { zh: '无权访问', en: 'Forbidden' },
  404: { zh: '未找到', en: 'Not found' },
  405: { zh: '不支持该方法', en: 'Method not allowed' },
  406: { zh: '没有所要求的格式', en: 'Format not available' },
  408: { zh: '请求接收超时', en: 'Request timeout' },
  409: { zh: '与已有内容冲突', en: 'Conflict' },
  410: { zh: '已被删除', en: 'Gone' },
  412: { zh: '对象已被更改', en: 'Changed meanwhile' },
  413: { zh: '请求体过大', en: 'Request too large' },
  414: { zh: '网址过长', en: 'URI too long' },
  415: { zh: '不支持该内容类型', en: 'Unsupported content type' },
  422: { zh: '内容未通过校验', en: 'Validation failed' },
  428: { zh: '缺少 If-Match', en: 'If-Match required' },
  429: { zh: '请求过多', en: 'Too many requests' },
  431: { zh: '请求头过大', en: 'Request headers too large' },
  500: { zh: '服务器内部错误', en: 'Internal error' },
  503: { zh: '暂时无法服务', en: 'Unavailable' },
};

export interface ProblemBody {
  type: string;
  title: string;
  status: number;
  detail: string;
  code: string;
  traceId: string;
  errors: {
    pointer?: string;
    row?: number;
    column?: string;
    code: string;
    detail: string;
    value?: unknown;
    allowed?: readonly string[];
    suggestion?: string;
  }[];
}

/** A problem as it goes over the wire, in the reader's language. */
export const problemBody = (problem: HttpProblem, language: Language, traceId: string): ProblemBody => ({
  type: `urn:vigil:problem:${problem.code}`,
  title: (TITLES[problem.status] ?? TITLES[problem.status >= 500 ? 500 : 400]!)[language],
  status: problem.status,
  detail: problem.detail[language],
  code: problem.code,
  traceId,
  errors: problem.errors.map((item) => problemItem(item, language)),
});

export const problemItem = ({ detail, value, ...rest }: ProblemItem, language: Language): ProblemBody['errors'][number] => ({
  ...rest,
  detail: detail[language],
  ...(value !== undefined && { value: echo(value) }),
});

/** A sender's value as an answer quotes it: scalars, cut; never a whole record. */
export const echo = (value: unknown): unknown => {
  if (typeof value === 'string') return value.length > 120 ? `${value.slice(0, 119).toWellFormed()}…` : value.toWellFormed();
  if (typeof value === 'bigint') return value.toString();
  return typeof value === 'number' || typeof value === 'boolean' || value === null ? value : undefined;
};

/** The HTTP status of a refusal; the domain knows none. */
export const statusOf = (code: string): number => {
  if (code === 'stream-moved') return 412;
  if (code.endsWith('-not-found')) return 404;
  if (
    code === 'not-allowed-now' ||
    code.endsWith('-exists') ||
    code === 'event-id-conflict' ||
    code.endsWith('-retracted') ||
    code.endsWith('-retired')
  )
    return 409;
  return 422;
};

/** A refusal of the domain as an answer. */
export const refused = (problem: Problem, status = statusOf(problem.code)): HttpProblem =>
  new HttpProblem(status, problem.code, problem.detail, {
    errors: [problem],
    ...(problem.code === 'stream-moved' && problem.allowed?.[0] && { headers: { ETag: `"${problem.allowed[0]}"` } }),
  });

/** Several refusals at once; the first gives the answer its code. */
export const refusedAll = (status: number, problems: readonly ProblemItem[]): HttpProblem => {
  const [first] = problems;
  if (!first) return new HttpProblem(status, 'invalid-request', { zh: '请求有误', en: 'the request is not valid' });
  const more = problems.length - 1;
  const detail =
    more === 0
      ? first.detail
      : { zh: `${first.detail.zh}(另有 ${more} 处,见 errors)`, en: `${first.detail.en} (and ${more} more, see errors)` };
  return new HttpProblem(status, first.code, detail, {
    errors: problems.slice(0, 100),
    ...(status === 503 && { headers: { 'Retry-After': '1' } }),
  });
};

export const unavailable = (code: string, detail: Text, seconds: number, cause?: unknown): HttpProblem =>
  new HttpProblem(503, code, detail, { headers: { 'Retry-After': String(seconds) }, cause });
