import { Readable } from 'node:stream';
import {
  parseObservationQuery,
  type AsOf,
  toCsv,
  toJsonStat,
  toNdjson,
  toParquet,
  toXlsx,
  type ObservationAnswer,
} from '@vigil/indicators';
import { localDate, parseInstant } from '@vigil/vocabulary';
import { z } from 'zod';
import { HttpProblem, problemItem, refusedAll, type Language } from '../http/problem';
import { header, weighted } from '../http/request';
import { wirePosition } from '../queries';
import { route, type Answer, type AnswerSpec, type Call, type Route } from '../route';
import { positionSchema } from './answers';
import { indicatorsFor } from './indicators';

const tag = 'observations';
/** By suffix. JSON-stat has no registered type; this one is as RFC 6838 would have it. */
const FORMATS = {
  json: 'application/json',
  csv: 'text/csv',
  ndjson: 'application/x-ndjson',
  xlsx: 'application/vnd.openxmlformats-officedocument.spreadsheetml.sheet',
  parquet: 'application/vnd.apache.parquet',
  'json-stat': 'application/vnd.json-stat+json',
} as const;
type Format = keyof typeof FORMATS;
/** What readers also ask by. */
const ALIASES: Readonly<Record<string, Format>> = {
  ...(Object.fromEntries(Object.entries(FORMATS).map(([format, type]) => [type, format])) as Record<string, Format>),
  'application/ndjson': 'ndjson',
  'application/x-parquet': 'parquet',
  'application/json+jsonstat': 'json-stat',
  'application/*': 'json',
  'text/*': 'csv',
  '*/*': 'json',
};

const notAcceptable = (asked: string): HttpProblem =>
  new HttpProblem(
    406,
    'format-not-available',
    {
      zh: `本版本不提供 ${asked};可用 JSON、CSV(.csv)、NDJSON(.ndjson)、XLSX(.xlsx)、Parquet(.parquet)或 JSON-stat(.json-stat)`,
      en: `this version does not write ${asked}; there are JSON, CSV (.csv), NDJSON (.ndjson), XLSX (.xlsx), Parquet (.parquet) and JSON-stat (.json-stat)`,
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
  const found = asked.find((name) => Object.hasOwn(ALIASES, name));
  if (found) return ALIASES[found]!;
  throw notAcceptable(asked.slice(0, 3).join(', ').slice(0, 100));
};

const observe = async (
  call: Call,
  source: URLSearchParams | Readonly<Record<string, unknown>>,
  format: Format,
): Promise<Answer> => {
  const today = localDate(new Date().toISOString(), call.engine.config.timeZone);
  const parsed = parseObservationQuery(source, { today, indicators: await indicatorsFor(call, source) });
  if (!parsed.ok) throw refusedAll(400, parsed.problems);
  const query = parsed.value;
  if (query.minPosition !== undefined) await call.waitFor(query.minPosition);
  const result = await call.ask('observations', query);
  if (!result.ok) throw refusedAll(result.status ?? 400, result.problems);
  const answer = result.value;
  if (format === 'json') return { status: 200, body: localised(answer, call) };
  return { status: 200, ...written(answer, format, { bom: query.bom, language: call.language }) };
};

/** A moment of the log: a position, or an instant. */
const momentOf = (name: 'from' | 'to', text: string): AsOf => {
  if (/^\d{1,18}$/.test(text)) return { position: BigInt(text) };
  if (parseInstant(text) !== undefined) return { instant: text };
  const detail = {
    zh: `${name} 应为日志位置,或带时区的时刻(如 2026-03-02T08:00:00Z)`,
    en: `${name} is a position of the log, or an instant with its offset, such as 2026-03-02T08:00:00Z`,
  };
  throw refusedAll(400, [{ code: `invalid-${name}`, detail, pointer: `/${name}`, value: text.slice(0, 120) }]);
};

const explainChanges = async (call: Call): Promise<Answer> => {
  const source = searchOf(call);
  const [from, to] = [source.get('from'), source.get('to')];
  for (const name of ['from', 'to']) source.delete(name);
  if (from === null) {
    const detail = { zh: '请用 from= 指明从哪个位置或时刻起', en: 'say since when: from=<position or instant>' };
    throw refusedAll(400, [{ code: 'missing-from', detail, pointer: '/from' }]);
  }
  const ends = { from: momentOf('from', from), ...(to !== null && { to: momentOf('to', to) }) };
  const today = localDate(new Date().toISOString(), call.engine.config.timeZone);
  const parsed = parseObservationQuery(source, { today, indicators: await indicatorsFor(call, source) });
  if (!parsed.ok) throw refusedAll(400, parsed.problems);
  const query = parsed.value;
  const barred = (['asOf', 'release', 'weighted', 'compare', 'updatedAfter', 'includeHistory'] as const).find(
    (name) => query[name] !== undefined && query[name] !== false,
  );
  if (barred) {
    const detail = { zh: `changes 不接受 ${barred}`, en: `changes take no ${barred}` };
    throw refusedAll(400, [{ code: 'not-with-changes', detail, pointer: `/${barred}` }]);
  }
  if (query.minPosition !== undefined) await call.waitFor(query.minPosition);
  const result = await call.ask('observationChanges', { query, ends });
  if (!result.ok) throw refusedAll(result.status, result.problems);
  const { changes, meta } = result.value;
  const position = <T extends { readonly position: string }>(each: T) => ({ ...each, position: wirePosition(each.position) });
  return {
    status: 200,
    body: {
      changes: changes.map((change) => ({
        ...change,
        causes: change.causes.map((cause) => ({ ...cause, events: cause.events.map(position) })),
      })),
      meta: { ...meta, from: position(meta.from), to: position(meta.to) },
    },
  };
};

const attachment = (name: string) => ({ 'Content-Disposition': `attachment; filename="${name}"` });

/** An answer on its way in pieces. */
const written = (
  answer: ObservationAnswer,
  format: Exclude<Format, 'json'>,
  { bom, language }: { readonly bom: boolean; readonly language: Language },
): Omit<Answer, 'status'> => {
  const type = FORMATS[format];
  const text = `${type}; charset=utf-8`;
  switch (format) {
    case 'csv':
      return { type: text, stream: Readable.from(toCsv(answer, { bom })), headers: attachment('observations.csv') };
    case 'ndjson':
      return { type: text, stream: Readable.from(toNdjson(answer)) };
    case 'xlsx':
      return { type, stream: Readable.from(toXlsx(answer, { language })), headers: attachment('observations.xlsx') };
    case 'parquet':
      return { type, stream: Readable.from(toParquet(answer)), headers: attachment('observations.parquet') };
    case 'json-stat': {
      const cube = toJsonStat(answer, { language });
      if (!cube.ok) throw refusedAll(413, [cube.problem]);
      return { type, stream: Readable.from(cube.value) };
    }
  }
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
  release: z.enum(['staff', 'public']).optional().meta({ description: 'hides small numbers for these readers' }),
  compare: one.meta({ description: 'previous, previous-year, ALL or a community: each row beside that one' }),
  updatedAfter: one.meta({ description: 'an instant: only rows that changed since' }),
  includeHistory: z.stringbool().optional().meta({ description: 'every version of each row' }),
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
const endsSchema = z
  .object({ value: z.number().nullable(), num: z.number().nullable(), den: z.number().nullable(), status: z.string() })
  .loose()
  .nullable();
const changesSchema = z.object({
  changes: z.array(
    z
      .object({
        dx: z.string(),
        pe: z.string(),
        ou: z.string(),
        before: endsSchema,
        after: endsSchema,
        causes: z.array(
          z.object({
            kind: z.enum(['real', 'late', 'correction', 'retraction', 'linkage', 'population', 'boundary', 'definition']),
            amount: z.number().nullable(),
            num: z.number(),
            events: z.array(z.object({ position: positionSchema, type: z.string(), stream: z.string(), kind: z.string() })),
          }),
        ),
      })
      .loose(),
  ),
  meta: z.looseObject({}),
});
const answered: Readonly<Record<number, AnswerSpec>> = {
  200: {
    schema: answerSchema,
    alsoTypes: Object.values(FORMATS).filter((type) => type !== FORMATS.json),
    about: { zh: '数值、区间与出处', en: 'values, intervals and their provenance' },
  },
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

const suffixed = (format: Exclude<Format, 'json'>, name: string): Route =>
  route({
    method: 'GET',
    path: `/observations.${format}`,
    tag,
    summary: { zh: `指标数值,${name}`, en: `Observations as ${name}` },
    query: querySchema,
    freeQuery: true,
    answers: tables(FORMATS[format]),
    handler: (call) => observe(call as Call, searchOf(call as Call), format),
  });

export const observationRoutes: readonly Route[] = [
  route({
    method: 'GET',
    path: '/observations/changes',
    tag,
    summary: {
      zh: '两个时刻之间哪些数值变了、变了多少、由哪些事件引起',
      en: 'Which values moved between two moments, by how much, and through which events',
    },
    query: querySchema.extend({
      from: z.string().meta({ description: 'a position of the log or an instant', examples: ['1200'] }),
      to: one.meta({ description: 'default: now' }),
    }),
    freeQuery: true,
    answers: { 200: { schema: changesSchema, about: { zh: '变化及其原因', en: 'changes and their causes' } } },
    handler: (call) => explainChanges(call as Call),
  }),
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
  suffixed('csv', 'CSV'),
  suffixed('ndjson', 'NDJSON'),
  suffixed('xlsx', 'XLSX'),
  suffixed('parquet', 'Parquet'),
  suffixed('json-stat', 'JSON-stat 2.0'),
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
];
