import { Readable } from 'node:stream';
import {
  definitionHash,
  indicator,
  indicators,
  parseObservationQuery,
  toCsv,
  toNdjson,
  type ObservationAnswer,
} from '@vigil/indicators';
import { localDate, nearest } from '@vigil/vocabulary';
import { z } from 'zod';
import { HttpProblem, problemItem, refusedAll } from '../http/problem';
import { header, weighted } from '../http/request';
import { wirePosition } from '../queries';
import { route, type Answer, type AnswerSpec, type Call, type Route } from '../route';
import { bilingualSchema, json200, listOf, page, paged, positionSchema } from './answers';

const tag = 'observations';
const FORMATS = { json: 'application/json', csv: 'text/csv', ndjson: 'application/x-ndjson' } as const;
type Format = keyof typeof FORMATS;
const NOT_YET: Readonly<Record<string, string>> = {
  'application/vnd.openxmlformats-officedocument.spreadsheetml.sheet': 'XLSX',
  'application/vnd.apache.parquet': 'Parquet',
  'application/x-parquet': 'Parquet',
};

const notAcceptable = (asked: string): HttpProblem =>
  new HttpProblem(
    406,
    'format-not-available',
    {
      zh: `本版本不提供 ${asked};可用 JSON、CSV(.csv)或 NDJSON(.ndjson)`,
      en: `this version does not write ${asked}; there are JSON, CSV (.csv) and NDJSON (.ndjson)`,
    },
    {
      errors: [
        {
          code: 'format-not-available',
          detail: { zh: '没有这种格式', en: 'no such format' },
          value: asked,
          allowed: Object.values(FORMATS),
        },
      ],
    },
  );

/** The best format the reader takes; JSON when it says nothing. */
const negotiated = (call: Call): Format => {
  const asked = weighted(header(call.request.headers, 'accept'));
  if (asked.length === 0) return 'json';
  for (const name of asked) {
    const found = (Object.keys(FORMATS) as Format[]).find(
      (format) => FORMATS[format] === name || (format === 'ndjson' && name === 'application/ndjson'),
    );
    if (found) return found;
    if (name === '*/*' || name === 'application/*') return 'json';
    if (name === 'text/*') return 'csv';
    if (NOT_YET[name]) throw notAcceptable(NOT_YET[name]);
  }
  throw notAcceptable(asked.slice(0, 3).join(', ').slice(0, 100));
};

const observe = async (
  call: Call,
  source: URLSearchParams | Readonly<Record<string, unknown>>,
  format: Format,
): Promise<Answer> => {
  const today = localDate(new Date().toISOString(), call.engine.config.timeZone);
  const parsed = parseObservationQuery(source, { today });
  if (!parsed.ok) throw refusedAll(400, parsed.problems);
  const query = parsed.value;
  if (query.minPosition !== undefined) await call.waitFor(query.minPosition);
  const result = await call.ask('observations', query);
  if (!result.ok) throw refusedAll(result.status ?? 400, result.problems);
  const answer = result.value;
  const type = `${FORMATS[format]}; charset=utf-8`;
  if (format === 'csv')
    return {
      status: 200,
      type,
      stream: Readable.from(toCsv(answer, { bom: query.bom })),
      headers: { 'Content-Disposition': 'attachment; filename="observations.csv"' },
    };
  if (format === 'ndjson') return { status: 200, type, stream: Readable.from(toNdjson(answer)) };
  return { status: 200, body: localised(answer, call) };
};

const localised = ({ data, meta }: ObservationAnswer, { language }: Call) => ({
  data,
  meta: {
    ...meta,
    position: wirePosition(meta.position),
    problems: meta.problems.map((problem) => problemItem(problem, language)),
  },
});

const one = z.string().optional();
const querySchema = z.object({
  dimension: z
    .union([z.string(), z.array(z.string())])
    .meta({ description: '`dim[:item(;item)*]`, repeatable: dx, pe, ou, sex, age, mechanism …', examples: ['dx:INC-01'] }),
  filter: z
    .union([z.string(), z.array(z.string())])
    .optional()
    .meta({ description: 'restricts and collapses, repeatable', examples: ['mechanism:fall'] }),
  asOf: one.meta({ description: 'an instant: what the log held then' }),
  asOfPosition: z.coerce.number().int().optional().meta({ description: 'a position: what the log held there' }),
  today: one.meta({ description: 'moves relative periods only' }),
  standard: one.meta({ description: 'WHO-2000, ESP-2013, CN-2020 …' }),
  ci: z.coerce.number().optional().meta({ description: 'level of intervals in percent' }),
  basis: z.enum(['occurrence', 'residence']).optional(),
  rolling: one.meta({ description: 'P3Y: three years ending with each period' }),
  weighted: z.stringbool().optional(),
  explain: z.stringbool().optional(),
  bom: z.stringbool().optional().meta({ description: 'CSV: false leaves out the byte order mark' }),
});

const bodySchema = z
  .object({
    dimension: z.union([z.string(), z.array(z.string())]),
    filter: z.union([z.string(), z.array(z.string())]).optional(),
    asOf: z.string().optional(),
    asOfPosition: z.union([z.int(), z.string()]).optional(),
    minPosition: z.union([z.int(), z.string()]).optional(),
  })
  .loose();

const rowSchema = z
  .object({
    dx: z.string(),
    pe: z.string(),
    ou: z.string(),
    value: z.number().nullable(),
    unit: z.string(),
    num: z.number().nullable(),
    den: z.number().nullable(),
    ci: z.object({ level: z.number(), low: z.number(), high: z.number().nullable(), method: z.string() }).nullable(),
    status: z.enum(['A', 'P', 'E', 'U', 'M']),
    conf: z.enum(['F', 'C', 'N']),
    reason: z.string().optional(),
  })
  .loose();
const answerSchema = z.object({
  data: z.array(rowSchema),
  meta: z
    .object({
      asOf: z.string(),
      position: positionSchema,
      lagSeconds: z.number(),
      standard: z.string(),
      definitions: z.array(z.looseObject({ code: z.string(), hash: z.string() })),
      populationVersion: z.string().nullable(),
    })
    .loose(),
});
const answered: Readonly<Record<number, AnswerSpec>> = {
  200: { schema: answerSchema, about: { zh: '数值、区间与出处', en: 'values, intervals and their provenance' } },
};
const tables = (type: string): Readonly<Record<number, AnswerSpec>> => ({
  200: { type, about: { zh: '每行带出处', en: 'provenance on every row' } },
});

/** The query string as it was sent: the grammar reads `+` and `;` itself. */
const searchOf = (call: Call): URLSearchParams => {
  const { url } = call.request;
  const at = url.indexOf('?');
  return new URLSearchParams(at < 0 ? '' : url.slice(at + 1));
};

const suffixed = (format: Exclude<Format, 'json'>): Route =>
  route({
    method: 'GET',
    path: `/observations.${format}`,
    tag,
    summary: { zh: `指标数值,${format.toUpperCase()}`, en: `Observations as ${format.toUpperCase()}` },
    query: querySchema,
    freeQuery: true,
    answers: tables(FORMATS[format]),
    handler: (call) => observe(call as Call, searchOf(call as Call), format),
  });

const refusedSuffix = (suffix: string, name: string): Route =>
  route({
    method: 'GET',
    path: `/observations.${suffix}`,
    tag,
    summary: { zh: `${name}:本版本不提供`, en: `${name}: not in this version` },
    freeQuery: true,
    answers: { 406: { about: { zh: '没有这种格式', en: 'no such format' } } },
    handler: async () => {
      throw notAcceptable(name);
    },
  });

const indicatorSchema = z.looseObject({ code: z.string(), version: z.int(), name: bilingualSchema, hash: z.string() });
const indicatorView = (definition: ReturnType<typeof indicators>[number]) => ({
  ...definition,
  hash: definitionHash(definition),
});

export const observationRoutes: readonly Route[] = [
  route({
    method: 'GET',
    path: '/observations',
    tag,
    summary: { zh: '查询指标:率、区间、出处', en: 'Ask for indicators: rates, intervals, provenance' },
    query: querySchema,
    freeQuery: true,
    answers: answered,
    handler: (call) => observe(call as Call, searchOf(call as Call), negotiated(call as Call)),
  }),
  suffixed('csv'),
  suffixed('ndjson'),
  refusedSuffix('xlsx', 'XLSX'),
  refusedSuffix('parquet', 'Parquet'),
  route({
    method: 'POST',
    path: '/observations/query',
    tag,
    summary: { zh: '查询指标,参数在 JSON 中(长查询用)', en: 'The same query as JSON, for long ones' },
    body: bodySchema,
    idempotent: 'never', // a question changes nothing
    answers: answered,
    handler: (call) => observe(call as Call, call.body as Record<string, unknown>, negotiated(call as Call)),
  }),
  route({
    method: 'GET',
    path: '/indicators',
    tag,
    summary: { zh: '指标定义目录', en: 'Indicator definitions' },
    query: page,
    answers: json200(listOf(indicatorSchema), { zh: '按代码排序', en: 'by code' }),
    handler: async (call) => paged(call, indicators().map(indicatorView), ({ code }) => code),
  }),
  route({
    method: 'GET',
    path: '/indicators/{code}',
    tag,
    summary: { zh: '一个指标的定义', en: 'One indicator definition' },
    params: z.object({ code: z.string().max(64) }),
    answers: json200(indicatorSchema, { zh: '定义及其哈希', en: 'the definition and its hash' }),
    handler: async ({ params: { code } }) => {
      const found = indicator(code);
      if (found) return { status: 200, body: indicatorView(found) };
      const codes = indicators().map((known) => known.code);
      const suggestion = nearest(code, codes);
      const detail = {
        zh: `没有指标 ${code}${suggestion ? `;是否为 ${suggestion}` : ''}`,
        en: `there is no indicator ${code}${suggestion ? `; did you mean ${suggestion}` : ''}`,
      };
      throw new HttpProblem(404, 'indicator-not-found', detail, {
        errors: [{ code: 'indicator-not-found', detail, value: code, allowed: codes, ...(suggestion && { suggestion }) }],
      });
    },
  }),
];
