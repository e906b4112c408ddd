import { intervention, type InterventionState } from '@vigil/domain';
import { position as toPosition } from '@vigil/event-log';
import {
  definitionHash,
  effectOf,
  monthsBetween,
  parseObservationQuery,
  type Effect,
  type EffectMonth,
  type EffectOutcome,
  type EffectUnit,
  type IndicatorDefinition,
  type ObservationMeta,
  type ObservationRow,
} from '@vigil/indicators';
import { addDays, localDate, nearest, type Problem } from '@vigil/vocabulary';
import { z } from 'zod';
import { problemItem, refusedAll } from '../http/problem';
import { notFound } from '../http/validate';
import { wirePosition } from '../queries';
import { route, type Call, type Route } from '../route';
import { bilingualSchema, json200, positionSchema } from './answers';
import { asOfPosition, asOfQuery } from './as-of';

const MOST_OUTCOMES = 10;
/** How far back a series goes where the reader doesn't say. */
const YEARS_BACK = 10;

const monthParam = z.string().regex(/^\d{4}-(0[1-9]|1[0-2])$/);
const query = asOfQuery.extend({
  dx: z
    .union([z.string().max(1_000), z.array(z.string().max(1_000)).max(MOST_OUTCOMES)])
    .optional()
    .meta({
      description: 'indicators, joined by `;`; absent: the rates among the outcomes of its design',
      examples: ['INC-04;INC-01'],
    }),
  method: z.enum(['auto', 'rr', 'did', 'its']).default('auto').meta({ description: 'auto: the strongest that the data allow' }),
  from: monthParam.optional().meta({ description: 'first month; absent: the first with population and events' }),
  to: monthParam.optional().meta({ description: 'last month; absent: the last that had ended' }),
  ci: z.coerce.number().min(50).max(99.99).default(95).meta({ description: 'level of intervals in percent' }),
});
type Asked = z.output<typeof query>;

const intervalSchema = z.object({
  measure: z.literal('ratio'),
  value: z.number(),
  low: z.number().nullable(),
  high: z.number().nullable(),
  level: z.number(),
});
const rangeSchema = z.object({ value: z.number(), low: z.number().nullable(), high: z.number().nullable() });
const problemSchema = z.looseObject({ code: z.string(), detail: z.string() });
const methodSchema = z.enum(['its', 'did', 'rr']);
const stepSchema = z.object({
  method: methodSchema,
  chosen: z.boolean(),
  possible: z.boolean(),
  reason: problemSchema.optional(),
  estimate: rangeSchema.optional(),
});
const effectSchema = z.object({
  dx: z.string(),
  name: bilingualSchema,
  method: methodSchema,
  why: bilingualSchema,
  estimate: intervalSchema,
  level: intervalSchema.optional(),
  slope: intervalSchema.optional(),
  steps: z.array(stepSchema),
  series: z.array(
    z.object({
      month: z.string(),
      observed: z.number(),
      exposure: z.number(),
      fitted: z.number().nullable(),
      counterfactual: z.number().nullable(),
    }),
  ),
  diagnostics: z.looseObject({
    family: z.string(),
    dispersion: z.number().nullable(),
    points: z.object({ before: z.int(), after: z.int() }),
    events: z.object({ before: z.int(), after: z.int() }),
    se: z.looseObject({ reported: z.number().nullable(), which: z.string() }),
    ljungBox: z.object({ statistic: z.number().nullable(), df: z.number(), p: z.number().nullable() }),
  }),
  eventsAverted: rangeSchema,
  units: z.array(
    z.object({
      unit: z.string(),
      startedOn: z.string(),
      estimate: intervalSchema.nullable(),
      reason: problemSchema.optional(),
      events: z.object({ before: z.int(), after: z.int() }).nullable(),
    }),
  ),
  comparison: z.array(z.string()),
  warnings: z.array(problemSchema),
});
const answerSchema = effectSchema.extend({
  id: z.string(),
  outcomes: z.array(
    z.union([
      effectSchema,
      z.object({ dx: z.string(), name: bilingualSchema, refusal: problemSchema, steps: z.array(stepSchema) }),
    ]),
  ),
  meta: z.looseObject({ asOf: z.string(), position: positionSchema, from: z.string(), to: z.string() }),
});

const fail = (status: number, problem: Problem): never => {
  throw refusedAll(status, [problem]);
};

interface Found {
  readonly state: InterventionState;
  readonly last: bigint;
}
/** Folded from its stream up to a position. @throws HttpProblem 404 */
const interventionAt = async ({ engine }: Pick<Call, 'engine'>, id: string, at: bigint | undefined): Promise<Found> => {
  const events = (await engine.log.readStream(intervention.streamOf(id))).filter(
    ({ position }) => at === undefined || position <= at,
  );
  if (events.length === 0)
    throw notFound(
      {
        zh: at === undefined ? `没有安全促进项目 ${id}` : `位置 ${at} 时没有安全促进项目 ${id}`,
        en: at === undefined ? `there is no intervention ${id}` : `there was no intervention ${id} at position ${at}`,
      },
      'intervention-not-found',
    );
  const { evolve } = intervention.decider;
  const state = events.reduce((before, event) => evolve(before, intervention.read(event)), intervention.initialState);
  return { state: state as InterventionState, last: events.at(-1)!.position };
};

/** A count over person-years or another exposure: what a ratio of rates can be told of. */
const isRate = ({ method }: IndicatorDefinition): boolean => method === 'poisson-phe';

/** The indicators asked for, or those of the design that are rates. @throws HttpProblem 400 unknown, 422 not a rate */
const outcomesOf = (
  asked: Asked['dx'],
  { design }: InterventionState,
  known: ReadonlyMap<string, IndicatorDefinition>,
): readonly IndicatorDefinition[] => {
  const rates = [...known.values()].filter(isRate).map(({ code }) => code);
  if (asked === undefined) {
    const found = design!.outcomes.flatMap((code) => known.get(code) ?? []).filter(isRate);
    if (found.length > 0) return found;
    fail(422, {
      code: 'no-rate-outcome',
      detail: {
        zh: `结果指标 ${design!.outcomes.join('、')} 都不是按人年计的率;请用 dx= 指明一个`,
        en: `none of the outcomes ${design!.outcomes.join(', ')} is a rate of events; name one by dx=`,
      },
      pointer: '/dx',
      allowed: rates,
    });
  }
  const codes = [...new Set([asked!].flat().flatMap((text) => text.split(';').map((code) => code.trim())))];
  if (codes.length > MOST_OUTCOMES)
    fail(400, {
      code: 'too-many-indicators',
      detail: { zh: `一次至多 ${MOST_OUTCOMES} 个指标`, en: `at most ${MOST_OUTCOMES} indicators at once` },
      pointer: '/dx',
      value: codes.length,
    });
  const unknown = codes.filter((code) => !known.has(code));
  if (unknown.length > 0)
    throw refusedAll(
      400,
      unknown.map((code): Problem => {
        const suggestion = nearest(code, known.keys());
        return {
          code: 'unknown-indicator',
          detail: {
            zh: `没有指标“${code}”${suggestion ? `;是否为 ${suggestion}` : ''}`,
            en: `there is no indicator "${code}"${suggestion ? `; did you mean ${suggestion}` : ''}`,
          },
          pointer: '/dx',
          value: code,
          allowed: rates,
          ...(suggestion && { suggestion }),
        };
      }),
    );
  const found = codes.map((code) => known.get(code)!);
  const other = found.filter((one) => !isRate(one));
  if (other.length > 0)
    throw refusedAll(
      422,
      other.map(
        ({ code }): Problem => ({
          code: 'not-a-rate',
          detail: {
            zh: `${code} 不是事件数除以人年的率,不能估计率比`,
            en: `${code} is not events over person-years: there is no ratio of rates to estimate`,
          },
          pointer: '/dx',
          value: code,
          allowed: rates,
        }),
      ),
    );
  return found;
};

interface Roles {
  readonly treated: ReadonlyMap<string, string>;
  readonly comparison: readonly string[];
  /** Comparison units that hold a treated one, or are held by one. */
  readonly overlapping: ReadonlySet<string>;
}
const rolesOf = ({ design, starts = {} }: InterventionState, parents: ReadonlyMap<string, string | null>): Roles => {
  const treated = new Map(Object.entries(starts));
  // A unit of the design that hasn't started yet is one to compare with until it does.
  const comparison = [...new Set([...(design!.comparison ?? []), ...design!.units])].filter((unit) => !treated.has(unit));
  const above = (unit: string): string[] => {
    const chain: string[] = [];
    for (let at = parents.get(unit); at != null && !chain.includes(at); at = parents.get(at)) chain.push(at);
    return chain;
  };
  const holders = new Set([...treated.keys()].flatMap(above));
  const overlapping = comparison.filter((unit) => holders.has(unit) || above(unit).some((each) => treated.has(each)));
  return { treated, comparison, overlapping: new Set(overlapping) };
};

/** The instant that an answer speaks of, for the calendar. */
const instantOf = async ({ engine }: Pick<Call, 'engine'>, { asOf }: Asked, at: bigint | undefined): Promise<string> => {
  if (asOf !== undefined) return new Date(asOf).toISOString();
  if (at === undefined || at === 0n) return new Date().toISOString();
  const [event] = await engine.log.readAll({ after: toPosition(at - 1n), limit: 1 });
  return event?.recordedAt ?? new Date().toISOString();
};

const lastMonthBefore = (day: string): string => addDays(`${day.slice(0, 7)}-01`, -1).slice(0, 7);

interface Rows {
  readonly rows: readonly ObservationRow[];
  readonly meta: ObservationMeta;
}

/** Monthly counts and person-years of the units at one position of the log. @throws HttpProblem as /observations */
const rowsOf = async (
  call: Call,
  { code }: IndicatorDefinition,
  known: ReadonlyMap<string, IndicatorDefinition>,
  units: readonly string[],
  months: readonly string[],
  day: string,
  asOf: Readonly<Record<string, string>>,
): Promise<Rows> => {
  const source = { dimension: [`dx:${code}`, `pe:${months.join(';')}`, `ou:${units.join(';')}`], ...asOf };
  const parsed = parseObservationQuery(source, { today: day, indicators: [...known.values()] });
  if (!parsed.ok) throw refusedAll(400, parsed.problems);
  const result = await call.ask('observations', parsed.value);
  if (!result.ok) throw refusedAll(result.status ?? 400, result.problems);
  return { rows: result.value.data, meta: result.value.meta };
};

const unitsOf = ({ treated, comparison, overlapping }: Roles, rows: readonly ObservationRow[], from?: string): EffectUnit[] => {
  const cells = new Map<string, EffectMonth[]>();
  for (const { ou, pe, num, den } of rows) {
    const list = cells.get(ou) ?? [];
    list.push({ month: pe, count: num, personYears: den });
    cells.set(ou, list);
  }
  const of = (unit: string) => (cells.get(unit) ?? []).filter(({ month }) => from === undefined || month >= from);
  return [
    ...[...treated].map(([unit, startedOn]): EffectUnit => ({ unit, role: 'treated', startedOn, months: of(unit) })),
    ...comparison.map(
      (unit): EffectUnit => ({
        unit,
        role: 'comparison',
        overlaps: overlapping.has(unit),
        months: of(unit),
      }),
    ),
  ];
};

/** The first month in which treated units have both a population and an event: surveillance had begun by then. */
const firstMonth = (treated: ReadonlyMap<string, string>, rows: readonly ObservationRow[]): string | undefined =>
  rows
    .filter(({ ou, num, den }) => treated.has(ou) && (num ?? 0) > 0 && (den ?? 0) > 0)
    .map(({ pe }) => pe)
    .sort()[0];

const answer = async (call: Call<{ id: string }, Asked>) => {
  const { params, query: asked, language } = call;
  const at = await asOfPosition(call, asked);
  const { state, last } = await interventionAt(call, params.id, at);
  // The read models hold the start before they are asked: else the two halves of the answer would speak of different days.
  // A position that the log hasn't reached is refused below, as by /observations.
  if (at === undefined || at <= (await call.engine.log.head())) await call.waitFor(at ?? last);
  const { design, starts = {} } = state;
  const began = Object.values(starts).sort()[0];
  if (began === undefined)
    throw refusedAll(422, [
      {
        code: 'not-started',
        detail: {
          zh: `${design!.name} 尚未在任何单位启动,没有前后可比;先 POST /interventions/${params.id}/starts`,
          en: `${design!.name} has not started in any unit: there is no before and after; POST /interventions/${params.id}/starts first`,
        },
        allowed: ['starts'],
      },
    ]);
  const known = await call.engine.definitionsAt(at);
  const outcomes = outcomesOf(asked.dx, state, known);
  const communities = await call.engine.readModels.communities();
  const parents = new Map(communities.map(({ code, parent }) => [code, parent]));
  const roles = rolesOf(state, parents);

  const day = localDate(await instantOf(call, asked, at), call.engine.config.timeZone);
  const ended = lastMonthBefore(day);
  const to = asked.to ?? ended;
  if (to > ended)
    fail(422, {
      code: 'month-not-ended',
      detail: { zh: `${to} 尚未结束;最后一个完整的月是 ${ended}`, en: `${to} has not ended; the last whole month is ${ended}` },
      pointer: '/to',
      value: to,
      suggestion: ended,
    });
  const back = `${Number(began.slice(0, 4)) - YEARS_BACK}${began.slice(4, 7)}`;
  const first = asked.from ?? back;
  const months = monthsBetween(first, to);
  if (months.length === 0 || months.length > 600)
    fail(422, {
      code: 'empty-period',
      detail: {
        zh: `${first} 至 ${to} 不是可用的时段(至多 600 个月)`,
        en: `${first} to ${to} holds no month to look at (at most 600)`,
      },
      pointer: '/from',
      value: first,
    });

  // A unit that isn't a registered community has no population, and is left out by name.
  const units = [...roles.treated.keys(), ...roles.comparison].filter(
    (unit) => parents.has(unit) && !roles.overlapping.has(unit),
  );
  const bare = [...roles.treated.keys()].filter((unit) => !parents.has(unit));
  if (bare.length === roles.treated.size)
    fail(422, {
      code: 'unit-not-registered',
      detail: {
        zh: `${bare.join('、')} 不是已登记的社区;请先 POST /communities`,
        en: `${bare.join(', ')}: no registered community; POST /communities first`,
      },
      value: bare[0],
    });
  let position: string | undefined = at?.toString();
  let meta: ObservationMeta | undefined;
  let from: string | undefined;
  const problems = new Map<string, Problem>();
  const results: { readonly definition: IndicatorDefinition; readonly outcome: EffectOutcome }[] = [];
  for (const definition of outcomes) {
    // The first answer says of which position it speaks; the others are asked for the same.
    const found = await rowsOf(
      call,
      definition,
      known,
      units,
      months,
      day,
      position === undefined ? {} : { asOfPosition: position },
    );
    meta ??= found.meta;
    position ??= found.meta.position;
    for (const problem of found.meta.problems) problems.set(`${problem.code} ${String(problem.value)}`, problem);
    const begins = asked.from ?? firstMonth(roles.treated, found.rows);
    if (begins !== undefined && (from === undefined || begins < from)) from = begins;
    const outcome = effectOf({
      units: unitsOf(roles, found.rows, begins),
      washOutMonths: design!.washOutMonths ?? 0,
      method: asked.method,
      level: asked.ci / 100,
      knownOn: day,
    });
    results.push({ definition, outcome });
  }

  const said = (problem: Problem) => problemItem(problem, language);
  const steps = (all: Effect['steps']) =>
    all.map(({ reason, ...step }) => ({ ...step, ...(reason && { reason: said(reason) }) }));
  const shown = results.map(({ definition: { code, name }, outcome }) => {
    if (!outcome.ok) return { dx: code, name, refusal: said(outcome.problem), steps: steps(outcome.steps) };
    const { ok: _, ...effect } = outcome;
    return {
      dx: code,
      name,
      ...effect,
      steps: steps(effect.steps),
      units: effect.units.map(({ reason, ...unit }) => ({ ...unit, ...(reason && { reason: said(reason) }) })),
      warnings: effect.warnings.map(said),
    };
  });
  const main = shown.find((one) => 'estimate' in one);
  if (main === undefined)
    throw refusedAll(
      422,
      results.flatMap(({ definition, outcome }) =>
        outcome.ok
          ? []
          : [
              {
                ...outcome.problem,
                pointer: '/dx',
                value: definition.code,
                allowed: outcome.steps.filter(({ possible }) => possible).map(({ method }) => method),
              },
            ],
      ),
    );
  return {
    status: 200,
    body: {
      id: params.id,
      ...main,
      outcomes: shown,
      meta: {
        asOf: meta!.asOf,
        position: wirePosition(meta!.position),
        lagSeconds: meta!.lagSeconds,
        from: from ?? first,
        to,
        washOutMonths: design!.washOutMonths ?? 0,
        starts,
        populationVersion: meta!.populationVersion,
        definitions: outcomes.map((one) => ({ code: one.code, version: one.version, hash: definitionHash(one), name: one.name })),
        problems: [...problems.values()].map(said),
      },
    },
  };
};

/** Before and after: what an intervention did to a rate, by the strongest method that the data allow. */
export const effectRoutes: readonly Route[] = [
  route({
    method: 'GET',
    path: '/interventions/{id}/effect',
    tag: 'interventions',
    summary: { zh: '项目效果:前后评估,方法与理由', en: 'What it did: before and after, the method and why' },
    params: z.object({ id: z.string().regex(/^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/) }),
    query,
    answers: json200(answerSchema, {
      zh: '率比及区间、所用方法及理由、序列与反事实、诊断、避免的事件数、注意事项',
      en: 'the ratio with its interval, the method and why, the series and its counterfactual, diagnostics, events averted, warnings',
    }),
    handler: (call) => answer(call as unknown as Call<{ id: string }, Asked>),
  }),
];
