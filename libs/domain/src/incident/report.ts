import type { Problem } from '@vigil/vocabulary';
import { z } from 'zod';
import { isBefore, problem } from '../case-file';
import { codeName, coordinates, dateOrInstant, say, tellsAHome, text } from '../fields';
import { casualty, contradictsDeath, type Casualty } from './casualty';

export const INCIDENT_KINDS = ['crash', 'fire', 'work-accident', 'burglary', 'bag-snatching', 'dispute', 'disaster'] as const;
export type IncidentKind = (typeof INCIDENT_KINDS)[number];

export const VEHICLE_TYPES = [
  'car',
  'bus',
  'truck',
  'motorcycle',
  'e-bike',
  'bicycle',
  'tricycle',
  'special',
  'rail',
  'other',
  'unknown',
] as const;
/** As fire services class causes (起火原因). */
export const FIRE_CAUSES = [
  'electrical',
  'production',
  'careless-fire',
  'smoking',
  'playing-with-fire',
  'self-ignition',
  'lightning',
  'static',
  'arson',
  'fireworks',
  'other',
  'unknown',
] as const;
/** GB 6441-1986, its twenty types in their order. */
export const WORK_ACCIDENT_TYPES = [
  'struck-by-object',
  'vehicle',
  'machinery',
  'lifting',
  'electrocution',
  'drowning',
  'burn',
  'fire',
  'fall-from-height',
  'collapse',
  'roof-fall',
  'flooding',
  'blasting',
  'explosives',
  'gas-explosion',
  'boiler-explosion',
  'vessel-explosion',
  'other-explosion',
  'poisoning-asphyxia',
  'other',
] as const;
export const BURGLARY_ENTRIES = ['forced', 'unlocked', 'climbed', 'lock-picked', 'deception', 'other', 'unknown'] as const;
export const SNATCHING_MODES = ['on-foot', 'e-bike', 'motorcycle', 'car', 'other', 'unknown'] as const;
export const DISPUTE_MATTERS = [
  'neighbours',
  'family',
  'rent',
  'labour',
  'debt',
  'consumer',
  'property-management',
  'land',
  'traffic',
  'medical',
  'other',
] as const;
export const DISASTER_TYPES = [
  'flood',
  'storm',
  'typhoon',
  'lightning',
  'hail',
  'earthquake',
  'landslide',
  'heat',
  'cold',
  'drought',
  'environmental',
  'other',
] as const;

const vehicle = z.strictObject({
  /** Its number within the crash; never its plate. */
  id: codeName,
  type: z.enum(VEHICLE_TYPES),
  manoeuvre: text(64).optional(),
});
const losses = z.strictObject({
  /** Direct loss in yuan. */
  yuan: z.number().min(0).max(1e13).optional(),
  households: z.number().int().min(0).max(1e7).optional(),
  squareMetres: z.number().min(0).max(1e9).optional(),
});
const persons = z.number().int().min(0).max(1e7);

const required = {
  /** Where it happened. */
  community: codeName,
  /** When the reporting organisation learned of it. */
  knownAt: dateOrInstant,
} as const;
const optional = {
  /** When it happened. Absent: unknown, and it stands under the day it became known. */
  occurredAt: dateOrInstant.optional(),
  placeId: codeName.optional(),
  coordinates: coordinates.optional(),
  description: text(2_000).optional(),
  casualties: z.array(casualty).max(2_000).optional(),
} as const;
/** Who reports it and under which number: what it is known by stays. */
const source = {
  feed: codeName.optional(),
  /** The sender's own number of it; with the feed it names the incident for ever. */
  recordId: text(128).optional(),
  /** The code of the organisation that reports it. */
  reportedBy: codeName.optional(),
} as const;

const crash = { vehicles: z.array(vehicle).max(200).optional(), losses: losses.optional() } as const;
const fire = { cause: z.enum(FIRE_CAUSES).optional(), losses: losses.optional() } as const;
const workAccident = {
  accidentType: z.enum(WORK_ACCIDENT_TYPES).optional(),
  /** An organisation's code. */
  employer: codeName.optional(),
  losses: losses.optional(),
} as const;
const burglary = { entry: z.enum(BURGLARY_ENTRIES).optional(), losses: losses.optional() } as const;
const snatching = { mode: z.enum(SNATCHING_MODES).optional(), losses: losses.optional() } as const;
const dispute = { matter: z.enum(DISPUTE_MATTERS).optional(), parties: persons.min(2).optional() } as const;
const disaster = {
  disasterType: z.enum(DISASTER_TYPES).optional(),
  evacuated: persons.optional(),
  losses: losses.optional(),
} as const;
const all = { ...crash, ...fire, ...workAccident, ...burglary, ...snatching, ...dispute, ...disaster } as const;

type Shape = Readonly<Record<string, z.ZodType>>;
/** One incident: what all kinds have, and what its kind has. */
const reportWith = <S extends Shape>(source: S) => {
  const common = { ...source, ...required, ...optional } as const;
  return z.discriminatedUnion(
    'kind',
    [
      z.strictObject({ kind: z.literal('crash'), ...common, ...crash }),
      z.strictObject({ kind: z.literal('fire'), ...common, ...fire }),
      z.strictObject({ kind: z.literal('work-accident'), ...common, ...workAccident }),
      z.strictObject({ kind: z.literal('burglary'), ...common, ...burglary }),
      z.strictObject({ kind: z.literal('bag-snatching'), ...common, ...snatching }),
      z.strictObject({ kind: z.literal('dispute'), ...common, ...dispute }),
      z.strictObject({ kind: z.literal('disaster'), ...common, ...disaster }),
    ],
    {
      error: ({ code }) =>
        code === 'invalid_union'
          ? say('unknown-kind', `类别应为 ${INCIDENT_KINDS.join('、')} 之一`, `the kind is one of ${INCIDENT_KINDS.join(', ')}`)
              .message
          : undefined,
    },
  );
};
export const incidentReport = reportWith(source);
/** As a feed pushes it: under the sender's number, of the feed that it is sent to. */
export const pushedIncident = reportWith({ recordId: source.recordId.unwrap(), reportedBy: source.reportedBy });
export type IncidentReport = z.infer<typeof incidentReport>;

const emptiable = <S extends Shape>(shape: S) =>
  Object.fromEntries(Object.entries(shape).map(([field, schema]) => [field, schema.nullable()])) as {
    [K in keyof S]: z.ZodNullable<S[K]>;
  };

/** What a correction may replace; `null` empties a field that may be absent. Its kind and its source stay. */
export const incidentReplacement = z.strictObject({
  community: required.community.optional(),
  knownAt: required.knownAt.optional(),
  ...emptiable({ ...optional, ...all }),
});
export type IncidentReplacement = z.infer<typeof incidentReplacement>;

const OF_KIND: Readonly<Record<IncidentKind, Shape>> = {
  crash,
  fire,
  'work-accident': workAccident,
  burglary,
  'bag-snatching': snatching,
  dispute,
  disaster,
};
/** Fields that a correction of an incident of this kind may name. */
export const replaceable = (kind: IncidentKind): string[] => Object.keys({ ...required, ...optional, ...OF_KIND[kind] });

const repeated = (items: readonly { readonly id: string }[] = []): number =>
  items.findIndex(({ id }, index) => items.findIndex((other) => other.id === id) < index);

const casualtyFault = (casualties: readonly Casualty[], vehicles: readonly string[], at: string): Problem | undefined => {
  for (const [index, one] of casualties.entries()) {
    if (one.vehicle !== undefined && !vehicles.includes(one.vehicle))
      return problem(
        'unknown-vehicle',
        `没有车辆 ${one.vehicle};已列出:${vehicles.join('、') || '(无)'}`,
        `there is no vehicle ${one.vehicle}; listed are ${vehicles.join(', ') || 'none'}`,
        { pointer: `${at}/${index}/vehicle`, value: one.vehicle, allowed: vehicles },
      );
    const days = contradictsDeath(one);
    if (days !== undefined)
      return problem(
        'severity-contradicts-death',
        `${one.severity!.scale} 的死亡指 ${days} 日内死亡,而此人死于第 ${one.daysToDeath} 日;请填伤情等级`,
        `on ${one.severity!.scale} fatal means dead within ${days} days, and this person died after ${one.daysToDeath}; give the injury’s grade`,
        { pointer: `${at}/${index}/severity`, value: one.severity!.value, allowed: [`daysToDeath <= ${days}`] },
      );
  }
  return undefined;
};

/** What the fields of a report say against each other. `base`: where the report stands in what was sent. */
export const faultOf = (report: IncidentReport, base = ''): Problem | undefined => {
  const { occurredAt, knownAt, casualties = [] } = report;
  if (isBefore(knownAt, occurredAt))
    return problem(
      'known-before-it-happened',
      `发生时间(${occurredAt})不能晚于知悉时间(${knownAt})`,
      `it cannot have happened (${occurredAt}) after it was known (${knownAt})`,
      { pointer: `${base}/occurredAt`, value: occurredAt, allowed: [`<= ${knownAt}`] },
    );
  if (report.kind !== 'crash' && report.coordinates && tellsAHome(report.coordinates))
    return problem(
      'too-exact',
      '除道路交通事故外,坐标至多保留三位小数(约 100 米):它可能是某人的住处',
      'but for crashes, coordinates have three decimals at most (about 100 m): it may be somebody’s home',
      { pointer: `${base}/coordinates` },
    );
  const vehicles = report.kind === 'crash' ? (report.vehicles ?? []) : [];
  for (const [field, items] of Object.entries({ vehicles, casualties })) {
    const index = repeated(items);
    if (index >= 0)
      return problem(
        'repeated-id',
        `编号 ${items[index]!.id} 重复`,
        `the id ${items[index]!.id} is there twice; each has its own`,
        {
          pointer: `${base}/${field}/${index}/id`,
          value: items[index]!.id,
        },
      );
  }
  return casualtyFault(
    casualties,
    vehicles.map(({ id }) => id),
    `${base}/casualties`,
  );
};
