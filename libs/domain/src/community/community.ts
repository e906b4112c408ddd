import { ok, refuse, type Result } from '@vigil/vocabulary';
import { z } from 'zod';
import type { Decider, DomainEvent } from '../decider';
import { eventType } from '../event-type';
import { bilingual, codeName, plainDate, say, text } from '../fields';

const kebab = z
  .string()
  .regex(
    /^[a-z][a-z0-9-]{0,31}$/,
    say('invalid-type', '类型应为小写英文短语,如 street', 'a type is a lower-case word such as street'),
  );

const registration = z.strictObject({
  code: codeName,
  name: bilingual,
  /** street, township, park, enterprise, district, … */
  type: kebab,
  parent: codeName.optional(),
  /** Groups of communities that are asked for together (`GROUP-x`). */
  groups: z.array(codeName).max(32).optional(),
});

const ring = z
  .array(z.tuple([z.number().min(-180).max(180), z.number().min(-90).max(90)]))
  .min(4)
  .max(10_000);
const boundary = z.strictObject({
  /** China's maps are shifted: the reference system is never guessed. */
  referenceSystem: z.enum(['WGS84', 'CGCS2000', 'GCJ-02', 'BD-09']),
  /** GeoJSON Polygon rings: longitude, latitude. */
  rings: z.array(ring).min(1).max(100),
  validFrom: plainDate.optional(),
});

const OPEN = 999;
const cell = z
  .strictObject({
    sex: z.enum(['F', 'M', 'X', 'unknown', 'total']),
    ageFrom: z.number().int().min(0).max(130),
    /** Completed years, inclusive; absent or null: and over. */
    ageTo: z.number().int().min(0).max(130).nullish(),
    residency: z.enum(['resident', 'migrant']).optional(),
    persons: z.number().min(0).max(1e10),
  })
  .refine(
    (c) => c.ageTo === null || c.ageTo === undefined || c.ageTo >= c.ageFrom,
    say('invalid-age-range', 'ageTo 不能小于 ageFrom', 'ageTo is not below ageFrom'),
  );
export type PopulationCell = z.infer<typeof cell>;

/** Two cells speak of some of the same people. */
export const overlap = (a: PopulationCell, b: PopulationCell): boolean =>
  a.sex === b.sex && a.residency === b.residency && a.ageFrom <= (b.ageTo ?? OPEN) && b.ageFrom <= (a.ageTo ?? OPEN);

const year = z.number().int().min(1900).max(2200);
const population = z
  .strictObject({ year, cells: z.array(cell).min(1).max(5_000), source: text(200).optional() })
  .superRefine(({ cells }, context) => {
    const seen = new Map<string, PopulationCell[]>();
    cells.forEach((one, index) => {
      const key = `${one.sex} ${one.residency ?? ''}`;
      const before = seen.get(key) ?? [];
      if (before.some((other) => overlap(one, other)))
        context.addIssue({
          code: 'custom',
          path: ['cells', index],
          ...say(
            'overlapping-cells',
            '与同一年同性别的另一单元年龄重叠',
            'overlaps another cell of the same sex and year in age',
          ),
        });
      seen.set(key, [...before, one]);
    });
  });

/** What else a rate may be per: mid-year stock, or hours worked in the year. */
export const EXPOSURE_KINDS = [
  'households',
  'vehicles',
  'workers',
  'students',
  'enterprises',
  'rental-units',
  'worked-hours',
  'site-workers',
  'enterprises-at-standard',
  'dwellings-eligible',
  'dwellings-adapted',
] as const;
const exposure = z.strictObject({
  year,
  kind: z.enum(EXPOSURE_KINDS),
  amount: z.number().min(0).max(1e13),
  source: text(200).optional(),
});
const retirement = z.strictObject({ on: plainDate, reason: text(500), successor: codeName.optional() });

export const communityCommands = {
  RegisterCommunity: registration,
  DrawBoundary: boundary,
  RecordPopulation: population,
  RecordExposure: exposure,
  RetireCommunity: retirement,
} as const;
export type CommunityCommand = {
  [K in keyof typeof communityCommands]: { readonly type: K; readonly data: z.infer<(typeof communityCommands)[K]> };
}[keyof typeof communityCommands];

export const communityEvents = {
  CommunityRegistered: eventType('CommunityRegistered', 1, registration),
  CommunityBoundaryDrawn: eventType('CommunityBoundaryDrawn', 1, boundary),
  PopulationRecorded: eventType('PopulationRecorded', 1, population),
  // Version 2 knows more kinds; what version 1 says still holds.
  ExposureRecorded: eventType('ExposureRecorded', 2, exposure, (data) => data),
  CommunityRetired: eventType('CommunityRetired', 1, retirement),
} as const;
export type CommunityEvent =
  | DomainEvent<'CommunityRegistered', z.infer<typeof registration>>
  | DomainEvent<'CommunityBoundaryDrawn', z.infer<typeof boundary>>
  | DomainEvent<'PopulationRecorded', z.infer<typeof population>>
  | DomainEvent<'ExposureRecorded', z.infer<typeof exposure>>
  | DomainEvent<'CommunityRetired', z.infer<typeof retirement>>;

export type CommunityState = { readonly status: 'none' | 'registered' | 'retired' };

export const communityStream = (code: string): string => `community-${code}`;

const exists = refuse({
  code: 'community-exists',
  detail: { zh: '该代码的社区已登记', en: 'a community of this code is registered already' },
});
const missing = refuse({
  code: 'community-not-found',
  detail: { zh: '没有登记该社区;请先 POST /communities', en: 'the community is not registered; POST /communities first' },
});
const retired = refuse({ code: 'community-retired', detail: { zh: '该社区已注销', en: 'the community is retired' } });

const EVENT_OF = {
  DrawBoundary: 'CommunityBoundaryDrawn',
  RecordPopulation: 'PopulationRecorded',
  RecordExposure: 'ExposureRecorded',
  RetireCommunity: 'CommunityRetired',
} as const;

export const community: Decider<CommunityCommand, CommunityEvent, CommunityState> = {
  initialState: { status: 'none' },
  decide: (command, state): Result<readonly CommunityEvent[]> => {
    if (command.type === 'RegisterCommunity') {
      if (state.status !== 'none') return exists;
      if (command.data.parent === command.data.code)
        return refuse({
          code: 'own-parent',
          detail: { zh: '社区不能是自己的上级', en: 'a community is not its own parent' },
          pointer: '/parent',
          value: command.data.parent,
        });
      return ok([{ type: 'CommunityRegistered', data: command.data }]);
    }
    if (state.status === 'none') return missing;
    // Population of past years may still arrive after a community is merged away.
    if (state.status === 'retired' && (command.type === 'RetireCommunity' || command.type === 'DrawBoundary')) return retired;
    return ok([{ type: EVENT_OF[command.type], data: command.data } as CommunityEvent]);
  },
  evolve: (state, event) => {
    switch (event.type) {
      case 'CommunityRegistered':
        return { status: 'registered' };
      case 'CommunityRetired':
        return { status: 'retired' };
      default:
        return state;
    }
  },
};
