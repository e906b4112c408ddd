/** An indicator definition: a document that says what is counted, over what, and how sure that is. Never code. */
import { EXPOSURE_KINDS, QUESTION_KINDS } from '@vigil/domain';
import { isPlainDate, isRefusal, standardPopulation } from '@vigil/vocabulary';
import { hash } from 'node:crypto';
import { z } from 'zod';
import { FACT_NAMES, factSource, type FactName } from '../facts/facts';
import { DIMENSION_NAMES, parseItems, type DimensionName } from '../query/dimensions';

const text = z.string().trim().min(1).max(500);
const bilingual = z.strictObject({ zh: text, en: text });

const items = (name: DimensionName) =>
  z
    .array(z.string().max(64))
    .min(1)
    .max(100)
    .superRefine((values, context) => {
      const read = parseItems(name, values, '');
      if (!read.ok) for (const { detail } of read.problem) context.addIssue({ code: 'custom', message: detail.en });
    })
    .optional();

/** Items within a dimension are alternatives; dimensions restrict together. */
const condition = z.strictObject(
  Object.fromEntries(DIMENSION_NAMES.map((name) => [name, items(name)])) as Record<DimensionName, ReturnType<typeof items>>,
);
export type Condition = z.infer<typeof condition>;

/**
 * All dimensions named must hold, and, where `any` stands, one of its conditions too (severe **or** admitted). `visit: ['first']`
 * says that new injuries are counted, each once; no query can ask for follow-up visits, so it is no dimension.
 */
const filter = condition.extend({
  visit: z.array(z.literal('first')).length(1).optional(),
  any: z.array(condition).min(2).max(10).optional(),
});
export type Filter = z.infer<typeof filter>;

/** Rows of a fact, or an amount summed over them. */
const counted = z.strictObject({
  fact: z.enum(FACT_NAMES as [FactName, ...FactName[]]),
  /** `count`, or the name of one of the fact's amounts or durations. */
  measure: z.string().max(64),
  filter: filter.optional(),
  /** Conditions of the fact that must hold. */
  is: z.array(z.string().max(64)).min(1).max(10).optional(),
  /** Which of the fact's days puts a row into a period; absent: the usual one. */
  day: z.string().max(64).optional(),
});
const personYears = z.strictObject({
  fact: z.literal('population'),
  measure: z.literal('person-years'),
  // A population knows nothing of injuries: only what its cells are split by.
  filter: condition.pick({ age: true, sex: true, residency: true }).optional(),
});
/** A yearly figure of a community besides its population; `unit-years` times the period, `stock` as it stood. */
const exposure = z.strictObject({
  fact: z.literal('exposure'),
  measure: z.enum(['unit-years', 'stock']),
  kind: z.enum(EXPOSURE_KINDS),
});
/** Answers to questions of surveys, by their kind or code: 1 for a correct one, 0 for another. */
const answers = z.strictObject({
  fact: z.literal('survey'),
  measure: z.literal('correct'),
  question: z.union([z.strictObject({ kind: z.enum(QUESTION_KINDS) }), z.strictObject({ code: text })]),
});

export type Counted = z.infer<typeof counted>;
export type Exposure = z.infer<typeof exposure>;
export type SurveyAnswers = z.infer<typeof answers>;
export type Numerator = Counted | Exposure | SurveyAnswers;
export type Denominator = Counted | z.infer<typeof personYears> | Exposure;

export const isCounted = (part: Numerator | Denominator | undefined): part is Counted =>
  part !== undefined && part.fact !== 'population' && part.fact !== 'exposure' && part.fact !== 'survey';

export const STRATA = ['pe', 'ou', ...DIMENSION_NAMES] as const;

/** What each method divides: the facts that its numerator and denominator may be. */
const METHODS = {
  /** Exact below 10 events, Byar from 10. */
  'poisson-phe': { numerator: ['counted'], denominator: ['population', 'exposure'] },
  /** Dobson–Byar. */
  'direct-standardisation': { numerator: ['counted'], denominator: ['population'] },
  /** Observed over expected at the rates, by age, of all communities together in the same period; exact below 10, Byar from 10. */
  'indirect-standardisation': { numerator: ['counted'], denominator: ['population'] },
  /** An amount per person-year; Dobson's interval on the weighted sum. */
  'weighted-poisson': { numerator: ['counted'], denominator: ['population'] },
  wilson: { numerator: ['counted', 'exposure'], denominator: ['counted', 'exposure'] },
  /** Median of a duration by Kaplan–Meier, open ones censored at the answer's day; log-log interval. */
  'kaplan-meier': { numerator: ['counted'], denominator: [] },
  /** Weighted share by strata and clusters, Taylor linearisation, logit interval. */
  'survey-proportion': { numerator: ['survey'], denominator: [] },
  /** One less what two lists hold over Chapman's estimate of all; the numerator is on both lists. */
  chapman: { numerator: ['counted'], denominator: [] },
  /** A plain number. */
  count: { numerator: ['counted'], denominator: [] },
} as const;
export type Method = keyof typeof METHODS;

const kindOf = (part: Numerator | Denominator): 'counted' | 'population' | 'exposure' | 'survey' =>
  isCounted(part) ? 'counted' : (part.fact as 'population' | 'exposure' | 'survey');

type Issue = (path: readonly (string | number)[], message: string) => void;

/** What a counted part says that its fact doesn't know. */
const checkCounted = (part: Counted, at: string, method: Method, issue: Issue): void => {
  const source = factSource(part.fact);
  const known = (what: string, name: string, names: readonly string[], path: readonly (string | number)[]): void => {
    if (!names.includes(name)) issue([at, ...path], `${part.fact} has no ${what} ${name}; it has ${names.join(', ') || 'none'}`);
  };
  const measures = Object.keys(method === 'kaplan-meier' ? source.durations : { count: 0, ...source.amounts });
  known(method === 'kaplan-meier' ? 'duration' : 'measure', part.measure, measures, ['measure']);
  for (const [index, name] of (part.is ?? []).entries()) known('condition', name, Object.keys(source.conditions), ['is', index]);
  if (part.day !== undefined) known('day', part.day, Object.keys(source.days), ['day']);
  const { visit, any, ...dimensions } = part.filter ?? {};
  if (visit && part.fact !== 'injury' && part.fact !== 'report') issue([at, 'filter', 'visit'], `${part.fact} knows no visits`);
  for (const each of [dimensions, ...(any ?? [])])
    for (const name of Object.keys(each)) known('dimension', name, Object.keys(source.columns), ['filter', name]);
};

export const indicatorDefinition = z
  .strictObject({
    code: z.string().regex(/^[A-Z][A-Z0-9]{1,7}-\d{2,3}$/),
    /** From 1; a changed definition is a new version. */
    version: z.int().min(1),
    name: bilingual,
    numerator: z.discriminatedUnion('fact', [counted, exposure, answers]),
    denominator: z.discriminatedUnion('fact', [counted, personYears, exposure]).optional(),
    /** chapman: the two lists whose common cases the numerator is. */
    lists: z.array(counted).length(2).optional(),
    unit: z.union([bilingual, text]),
    /** value = multiplier × numerator / denominator. */
    multiplier: z.number().positive().max(1e9),
    /** Which community an injury counts for, where the query doesn't say. */
    basis: z.enum(['occurrence', 'residence']),
    /** The dimensions it may be split by. */
    strata: z.array(z.enum(STRATA as unknown as [string, ...string[]])).max(32),
    method: z.enum(Object.keys(METHODS) as [Method, ...Method[]]),
    /** The standard population where the query names none. */
    standard: z
      .string()
      .refine((id) => !isRefusal(standardPopulation(id)), 'no such standard population')
      .optional(),
    /** Fewer events than this: the value is withheld. */
    minEvents: z.int().min(0).max(1000),
    /** sensitive (minors, self-harm, …): hidden below 10 even for staff; standard: below 5 for staff, 10 for publication. */
    releaseClass: z.enum(['standard', 'sensitive']),
    /** The first day that this version speaks for. */
    validFrom: z.string().refine(isPlainDate, 'not a date that exists'),
    /** What a reader must know of it, such as the scale of a severity. */
    note: bilingual.optional(),
  })
  .superRefine(({ method, numerator, denominator, lists, standard, strata }, context) => {
    const issue: Issue = (path, message) => context.addIssue({ code: 'custom', path: [...path], message });
    const wants = METHODS[method];
    if (!(wants.numerator as readonly string[]).includes(kindOf(numerator)))
      issue(['numerator', 'fact'], `${method} counts ${wants.numerator.join(' or ')}`);
    if (
      denominator === undefined
        ? wants.denominator.length > 0
        : !(wants.denominator as readonly string[]).includes(kindOf(denominator))
    )
      issue(
        ['denominator', ...(denominator ? ['fact'] : [])],
        `${method} divides by ${wants.denominator.join(' or ') || 'nothing'}`,
      );
    const standardised = method === 'direct-standardisation' || method === 'indirect-standardisation';
    if (standardised !== (standard !== undefined))
      issue(['standard'], 'direct-standardisation and indirect-standardisation, and they alone, name a standard');
    if ((method === 'chapman') !== (lists !== undefined)) issue(['lists'], 'chapman, and it alone, names two lists');
    const parts: [string, Numerator | Denominator | undefined][] = [
      ['numerator', numerator],
      ['denominator', denominator],
      ...(lists ?? []).map((list, index): [string, Counted] => [`lists/${index}`, list]),
    ];
    for (const [at, part] of parts) {
      if (!isCounted(part)) continue;
      checkCounted(part, at, method, issue);
      const columns = Object.keys(factSource(part.fact).columns);
      strata.forEach((name, index) => {
        if (name !== 'pe' && name !== 'ou' && !columns.includes(name))
          issue(['strata', index], `${part.fact} can't be split by ${name}; it can by ${columns.join(', ') || 'nothing'}`);
      });
    }
    if (numerator.fact === 'survey')
      strata.forEach((name, index) => {
        if (!['pe', 'ou', 'group'].includes(name))
          issue(['strata', index], `answers can't be split by ${name}; they can by group`);
      });
    if (method === 'wilson' && kindOf(numerator) === 'exposure' && denominator && kindOf(denominator) !== 'exposure')
      issue(['denominator', 'fact'], 'an exposure is a share of another exposure only');
    for (const [at, part] of parts)
      if (part?.fact === 'exposure' && (part.measure === 'stock') !== (method === 'wilson'))
        issue([at, 'measure'], 'wilson takes a stock, a rate takes unit-years');
  });

export type IndicatorDefinition = z.infer<typeof indicatorDefinition>;

/** JSON with sorted keys and no spaces: equal documents give equal text, in whatever order they were written. */
const canonicalJson = (value: unknown): string => {
  if (Array.isArray(value)) return `[${value.map(canonicalJson).join(',')}]`;
  if (typeof value !== 'object' || value === null) return JSON.stringify(value);
  const entries = Object.entries(value).filter(([, v]) => v !== undefined);
  entries.sort(([a], [b]) => (a < b ? -1 : 1));
  return `{${entries.map(([key, v]) => `${JSON.stringify(key)}:${canonicalJson(v)}`).join(',')}}`;
};

/** SHA-256, as hex, over the canonical JSON of the whole definition; every published value carries it. */
export const definitionHash = (definition: IndicatorDefinition): string => hash('sha256', canonicalJson(definition), 'hex');
