/** An indicator definition: a document that says what is counted, over what, and how sure that is. Never code. */
import { isPlainDate, isRefusal, standardPopulation } from '@vigil/vocabulary';
import { hash } from 'node:crypto';
import { z } from 'zod';
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

const injuries = z.strictObject({ fact: z.literal('injury'), measure: z.literal('count'), filter: filter.optional() });
const personYears = z.strictObject({
  fact: z.literal('population'),
  measure: z.literal('person-years'),
  // A population knows nothing of injuries: only what its cells are split by.
  filter: condition.pick({ age: true, sex: true, residency: true }).optional(),
});

export type Numerator = z.infer<typeof injuries>;
export type Denominator = z.infer<typeof injuries> | z.infer<typeof personYears>;

export const STRATA = ['pe', 'ou', ...DIMENSION_NAMES] as const;

export const indicatorDefinition = z
  .strictObject({
    code: z.string().regex(/^[A-Z][A-Z0-9]{1,7}-\d{2,3}$/),
    /** From 1; a changed definition is a new version. */
    version: z.int().min(1),
    name: bilingual,
    numerator: injuries,
    denominator: z.discriminatedUnion('fact', [injuries, personYears]),
    unit: z.union([bilingual, text]),
    /** value = multiplier × numerator / denominator. */
    multiplier: z.number().positive().max(1e9),
    /** Which community an injury counts for, where the query doesn't say. */
    basis: z.enum(['occurrence', 'residence']),
    /** The dimensions it may be split by. */
    strata: z.array(z.enum(STRATA as unknown as [string, ...string[]])).max(32),
    /** poisson-phe: exact below 10 events, Byar from 10. direct-standardisation: Dobson–Byar. */
    method: z.enum(['poisson-phe', 'direct-standardisation', 'wilson']),
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
  .superRefine(({ method, denominator, standard }, context) => {
    const wants = method === 'wilson' ? 'injury' : 'population';
    if (denominator.fact !== wants)
      context.addIssue({ code: 'custom', path: ['denominator', 'fact'], message: `${method} divides by ${wants}` });
    if ((method === 'direct-standardisation') !== (standard !== undefined))
      context.addIssue({ code: 'custom', path: ['standard'], message: 'direct-standardisation, and it alone, names a standard' });
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
