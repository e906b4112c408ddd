import { parseSeverity, severityCodes, type Severity, type SeverityScale } from '@vigil/vocabulary';
import { z } from 'zod';
import { age, coded, codeName, daysToDeath, severity } from '../fields';

export const CASUALTY_ROLES = [
  'driver',
  'rider',
  'passenger',
  'cyclist',
  'pedestrian',
  'worker',
  'occupant',
  'responder',
  'bystander',
  'victim',
  'party',
  'other',
  'unknown',
] as const;

/** The id of an injury record, in one spelling. */
export const injuryRef = z.uuid().toLowerCase();

/** A person hurt, or involved and unhurt, as the incident's reporter saw them. There is no field that says who. */
export const casualty = z.strictObject({
  /** Its number within the incident. */
  id: codeName,
  role: z.enum(CASUALTY_ROLES),
  /** Of a crash: the id of the vehicle they were in, on, or hit by. */
  vehicle: codeName.optional(),
  severity: severity.optional(),
  age: age.optional(),
  sex: coded('sex').optional(),
  /** Whole days to death; 0 on the day itself. Absent: alive, or not known to have died. */
  daysToDeath: daysToDeath.optional(),
  /** The injury record of the same person. */
  injuryId: injuryRef.optional(),
});
export type Casualty = z.infer<typeof casualty>;

/** Police count deaths within 7 days, WHO (and with it KABCO and STATS19) within 30. */
export const POLICE_DAYS = 7;
export const WHO_DAYS = 30;

/** The scales with a grade for death: that grade, and within how many days it is one. */
const FATAL: Readonly<Partial<Record<SeverityScale, { readonly code: string; readonly days: number }>>> = {
  KABCO: { code: 'kabco-k', days: WHO_DAYS },
  STATS19: { code: 'stats19-fatal', days: WHO_DAYS },
  GA16: { code: 'ga16-fatal', days: POLICE_DAYS },
};
const GRAVEST_FIRST: ReadonlySet<SeverityScale> = new Set(['KABCO', 'STATS19', 'GA16'] as const);

/** Of one casualty; undefined when ungraded. */
const graded = ({ severity }: Casualty): Severity | undefined => {
  if (!severity) return undefined;
  const parsed = parseSeverity(severity);
  return 'detail' in parsed ? undefined : parsed;
};

/** Called dead by its grade and dead too late for it; the days within which the grade counts. */
export const contradictsDeath = (one: Casualty): number | undefined => {
  const grade = graded(one);
  const fatal = grade && FATAL[grade.scale];
  return fatal?.code === grade?.code && one.daysToDeath !== undefined && fatal && one.daysToDeath > fatal.days
    ? fatal.days
    : undefined;
};

const gravity = ({ scale, code }: Pick<Severity, 'scale' | 'code'>): number => {
  const codes = severityCodes(scale);
  return GRAVEST_FIRST.has(scale) ? codes.length - codes.indexOf(code) : codes.indexOf(code);
};

export interface CasualtySummary {
  readonly persons: number;
  /** The gravest grade of each scale that any of them is graded on. Scales are never mixed. */
  readonly severity: Readonly<Partial<Record<SeverityScale, string>>>;
  readonly ungraded: number;
  readonly deaths: {
    /** As police count. */
    readonly within7Days: number;
    /** As WHO counts. */
    readonly within30Days: number;
    /** Dead within 30 days, and whether within 7 isn't known. */
    readonly daysUnknown: number;
  };
}

/** What an incident's casualties say of it: its severity by scale, and its deaths by both definitions. */
export const summaryOf = (casualties: readonly Casualty[]): CasualtySummary => {
  const worst = new Map<SeverityScale, string>();
  const deaths = { within7Days: 0, within30Days: 0, daysUnknown: 0 };
  let ungraded = 0;
  for (const one of casualties) {
    const grade = graded(one);
    const { daysToDeath } = one;
    const fatal = grade && FATAL[grade.scale];
    if (daysToDeath !== undefined) {
      if (daysToDeath <= POLICE_DAYS) deaths.within7Days++;
      if (daysToDeath <= WHO_DAYS) deaths.within30Days++;
    } else if (fatal && fatal.code === grade.code) {
      deaths.within30Days++;
      if (fatal.days === POLICE_DAYS) deaths.within7Days++;
      else deaths.daysUnknown++;
    }
    if (!grade) {
      ungraded++;
      continue;
    }
    const { scale } = grade;
    const died = fatal && daysToDeath !== undefined && daysToDeath <= fatal.days;
    const code = died ? fatal.code : grade.code;
    const before = worst.get(scale);
    if (before === undefined || gravity({ scale, code }) > gravity({ scale, code: before })) worst.set(scale, code);
  }
  return { persons: casualties.length, severity: Object.fromEntries(worst), ungraded, deaths };
};
