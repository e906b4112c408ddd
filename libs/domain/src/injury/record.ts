import { codedValueSchema, type AxisName } from '@vigil/vocabulary';
import { z } from 'zod';
import { age, coded, codeName, dateOrInstant, daysToDeath, severity, text } from '../fields';

/** The axes of a record that carry codes; each field has the axis's own name. */
export const CODED_FIELDS = [
  'sex',
  'mechanism',
  'intent',
  'place',
  'activity',
  'nature',
  'bodyPart',
  'disposition',
  'residency',
] as const satisfies readonly AxisName[];

/**
 * One injured person in one event, as a feed reports it: WHO's minimum data set and its optional one.
 * There is no field for a name, an id number, a phone or an exact address.
 */
export const injuryRecord = z.strictObject({
  /** The sender's own number of the record; with the feed it names the injury for ever. */
  recordId: text(128),
  feed: codeName,
  /** When it happened. Absent: unknown, and the record counts on the day it became known. */
  occurredAt: dateOrInstant.optional(),
  /** When the reporting organisation learned of it. */
  knownAt: dateOrInstant,
  /** Only first visits count as incidence. */
  visit: z.enum(['first', 'follow-up']).default('first'),
  /** Where it happened. */
  community: codeName,
  /** Where the injured person lives. */
  residence: codeName.optional(),
  residency: coded('residency').optional(),
  age: age.optional(),
  sex: coded('sex').optional(),
  mechanism: coded('mechanism').optional(),
  intent: coded('intent').optional(),
  place: coded('place').optional(),
  activity: coded('activity').optional(),
  nature: coded('nature').optional(),
  bodyPart: coded('bodyPart').optional(),
  disposition: coded('disposition').optional(),
  severity: severity.optional(),
  externalCause: codedValueSchema.optional(),
  daysToDeath: daysToDeath.optional(),
  alcohol: z.enum(['yes', 'suspected', 'no', 'unknown']).optional(),
  transport: z
    .strictObject({
      mode: text(64).optional(),
      role: text(64).optional(),
      counterpart: text(64).optional(),
      seatBelt: z.enum(['yes', 'no', 'unknown']).optional(),
      helmet: z.enum(['yes', 'no', 'unknown']).optional(),
    })
    .optional(),
  violence: z.strictObject({ relationship: text(64).optional(), weapon: text(64).optional() }).optional(),
  selfHarm: z
    .strictObject({ method: text(64).optional(), previousAttempt: z.enum(['yes', 'no', 'unknown']).optional() })
    .optional(),
  products: z.array(codedValueSchema).max(8).optional(),
  /** The record's place in a sample: how many injuries it stands for, and its stratum and primary unit in the frame. */
  sampling: z
    .strictObject({ frame: codeName, weight: z.number().positive().max(1e9), stratum: text(32), unit: text(32) })
    .optional(),
});

export type InjuryRecord = z.infer<typeof injuryRecord>;

const optional = injuryRecord.omit({
  recordId: true,
  feed: true,
  sampling: true,
  knownAt: true,
  visit: true,
  community: true,
}).shape;
type Emptiable = { [K in keyof typeof optional]: z.ZodNullable<(typeof optional)[K]> };
const emptiable = Object.fromEntries(Object.entries(optional).map(([field, schema]) => [field, schema.nullable()])) as Emptiable;

/** What a correction may replace; `null` empties a field that may be absent. The record's identity and its sampling stay. */
export const injuryReplacement = z.strictObject({
  ...emptiable,
  knownAt: injuryRecord.shape.knownAt.optional(),
  // No default here: a correction that doesn't speak of the visit leaves it.
  visit: injuryRecord.shape.visit.removeDefault().optional(),
  community: injuryRecord.shape.community.optional(),
});

export type InjuryReplacement = z.infer<typeof injuryReplacement>;
