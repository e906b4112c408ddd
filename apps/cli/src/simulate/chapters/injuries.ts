import { dayNumber, periodOf } from '@vigil/vocabulary';
import { activityWeights, CAUSE_CODES, CAUSES, isRoad, placeWeights, rateBand, type Cause } from '../causes';
import { chance, type Chance } from '../chance';
import { dayIn, dayOf, MINUTES, moment, monthOf, shanghai, utc, type Minute } from '../clock';
import { population, UNIT_CODES, type Sex, type Unit } from '../district';
import { FALL_PROGRAMME, LATE_BATCH, programmeStarts } from '../truth';

/**
 * Injuries as the feeds would report them. A month's depend on the seed and that month alone (and those that the fall programme
 * prevents on when it starts), so that a later run with a later end sends what was sent before plus what has become known since.
 */

export const FEEDS = ['clinic-01', 'police-01', 'school-01'] as const;
export type Feed = (typeof FEEDS)[number];
const LETTER: Record<Feed, string> = { 'clinic-01': 'c1', 'police-01': 'p1', 'school-01': 's1' };

export interface CloudEvent {
  readonly specversion: '1.0';
  readonly type: 'org.vigil.injury.reported.v1' | 'org.vigil.injury.corrected.v1' | 'org.vigil.injury.retracted.v1';
  readonly source: string;
  readonly id: string;
  readonly subject: string;
  readonly time: string;
  readonly datacontenttype: 'application/json';
  readonly data: Readonly<Record<string, unknown>>;
}

/** An event and when it is sent. */
export interface Timed {
  readonly at: Minute;
  readonly feed: Feed;
  readonly event: CloudEvent;
  /** Part of the batch that comes after its quarter's end. */
  readonly late?: boolean;
  /** Something about it is impossible: it will be refused. */
  readonly bad?: boolean;
}

export const cloudEvent = (
  feed: Feed,
  recordId: string,
  step: string,
  what: 'reported' | 'corrected' | 'retracted',
  at: Minute,
  data: CloudEvent['data'],
): Timed => ({
  at,
  feed,
  event: {
    specversion: '1.0',
    type: `org.vigil.injury.${what}.v1`,
    source: `/feeds/${feed}`,
    id: `${LETTER[feed]}-${recordId}-${step}`,
    subject: recordId,
    time: utc(at),
    datacontenttype: 'application/json',
    data: { recordId, ...data },
  },
});

/** First visits a year per 1,000 persons: 6,568 people had about 420. */
const ANNUAL_PER_1000 = 64;
/** The port town is the more dangerous place. */
const UNIT_RISK: Record<Unit, number> = { 'S-01': 0.94, 'S-02': 1.08 };
const CARD = { system: 'niss-card', version: '14' } as const;
export const card = (code: string) => ({ ...CARD, code });

/** What the causes' rates add up to per 1,000 in the district of 2020, men's and women's ratios included. */
const baseline = (): number => {
  let [cases, persons] = [0, 0];
  for (const unit of UNIT_CODES)
    for (const cell of population(unit, 2020)) {
      persons += cell.persons;
      for (const cause of CAUSE_CODES) cases += cell.persons * rate(cause, cell.ageFrom, cell.sex) * UNIT_RISK[unit];
    }
  return cases / persons;
};

/** Per 1,000 a year, unscaled. A ratio of r leaves the two sexes' mean as it is: men 2r/(1+r), women 2/(1+r). */
const rate = (cause: Cause, age: number, sex: Sex): number => {
  const { rates, men } = CAUSES[cause];
  const ratio = men[age < 65 ? 0 : 1];
  return (rates[rateBand(age)]! * 2 * (sex === 'M' ? ratio : 1)) / (1 + ratio);
};

const mean = (weights: readonly number[]): number => weights.reduce((sum, w) => sum + w, 0) / weights.length;

/** One report as drawn, before it is written for its feed. */
interface Draft {
  readonly unit: Unit;
  readonly cause: Cause;
  readonly sex: Sex;
  readonly age: number;
  readonly minute: number;
}

const HOURS: Readonly<Record<'road' | 'school' | 'any', readonly number[]>> = {
  road: [2, 1, 1, 1, 1, 2, 5, 12, 11, 7, 6, 6, 6, 6, 6, 7, 9, 13, 12, 8, 7, 6, 4, 3],
  school: [0, 0, 0, 0, 0, 0, 1, 4, 6, 8, 10, 7, 5, 6, 8, 10, 11, 8, 6, 4, 2, 1, 0, 0],
  any: [1, 1, 1, 1, 1, 2, 4, 6, 8, 9, 9, 7, 6, 6, 7, 8, 8, 7, 7, 6, 5, 4, 2, 1],
};

/** Everything that happened to people in one month in one place. */
const drawMonth = (luck: Chance, unit: Unit, month: string, scale: number): Draft[] => {
  const { start, days } = periodOf('month', `${month}-01`);
  const [year, m] = [Number(month.slice(0, 4)), Number(month.slice(5)) - 1];
  const first = dayNumber(start);
  const dates = Array.from({ length: days }, (_, i) => first + i);
  const drafts: Draft[] = [];
  for (const cause of CAUSE_CODES) {
    const shape = CAUSES[cause];
    const season = shape.months[m]! / mean(shape.months);
    const byDay = dates.map((day) => shape.days[(day + 4) % 7]!); // 1970-01-01 was a Thursday
    for (const { sex, ageFrom, ageTo, persons } of population(unit, year)) {
      const perYear = (persons * rate(cause, ageFrom, sex) * UNIT_RISK[unit] * scale) / 1000;
      const cases = luck.count((perYear * days * season) / 365.25);
      for (let i = 0; i < cases; i++) {
        const age = ageFrom + (ageTo === undefined ? Math.min(luck.below(8), luck.below(16)) : luck.below(5));
        const hours = HOURS[isRoad(cause) ? 'road' : age >= 5 && age < 15 ? 'school' : 'any'];
        const minute = (dates[luck.index(byDay)]! * 24 + luck.index(hours)) * 60 + luck.below(60);
        drafts.push({ unit, cause, sex, age, minute });
      }
    }
  }
  return drafts;
};

/** Minutes until a clinic knows: most the same day, some after days or weeks, a few after months. */
const clinicDelay = (luck: Chance): number => {
  const kind = luck.index([70, 21, 7, 2]);
  const days = kind === 0 ? 0 : kind === 1 ? 1 + luck.below(6) : kind === 2 ? 7 + luck.below(24) : 31 + luck.below(60);
  return days * MINUTES + 20 + luck.below(240);
};

const blankOr = (luck: Chance, blank: number, odd: number, code: string): { system: string; version: string; code: string } =>
  card(luck.holds(blank) ? '' : luck.holds(odd) ? luck.pick({ '99': 2, '15': 1, '3a': 1 }) : code);

/** The police hear of crashes and of violence that nobody took to the health centre, schools of what happens there. */
const feedOf = (luck: Chance, { cause, age }: Draft, place: string): Feed => {
  const police = cause === '1' ? 0.42 : cause === '2' ? 0.16 : cause === '4' ? 0.07 : cause === '12' ? 0.7 : 0;
  if (luck.holds(police)) return 'police-01';
  return place === '3' && age >= 5 && age < 18 && luck.holds(0.6) ? 'school-01' : 'clinic-01';
};

const isPrevented = ({ unit, cause, age, minute }: Draft, recordId: string, starts: Readonly<Record<Unit, string>>): boolean =>
  cause === FALL_PROGRAMME.cause &&
  age >= FALL_PROGRAMME.ageFrom &&
  dayOf(minute) >= starts[unit] &&
  !chance(`programme ${recordId}`).holds(FALL_PROGRAMME.rateRatio);

/** Ways in which a record can't be true or can't be read, and what they do to it. */
const FAULTS: Readonly<Record<string, (data: CloudEvent['data']) => CloudEvent['data']>> = {
  age: (data) => ({ ...data, age: { value: 207, unit: 'year' } }),
  day: (data) => ({ ...data, occurredAt: `${String(data['knownAt']).slice(0, 4)}-02-30` }),
  severity: (data) => ({ ...data, severity: { scale: 'NISS3', value: 'fine' } }),
  community: ({ community: _, ...data }) => data,
};
const BAD_SHARE = 0.004;

/** A report, and whatever the feed says of it later; nothing when the programme prevented it. */
const tell = (
  luck: Chance,
  draft: Draft,
  seed: number,
  starts: Readonly<Record<Unit, string>>,
  numberOf: (feed: Feed) => number,
): Timed[] => {
  const { unit, cause, age, minute } = draft;
  const place = luck.pick(placeWeights(cause, age, unit === 'S-02'));
  const activity = luck.pick(activityWeights(cause, place, age));
  const feed = feedOf(luck, draft, place);
  const police = feed === 'police-01';
  const month = dayOf(minute).slice(0, 7);
  const recordId = `${seed}-${month.replace('-', '')}-${String(numberOf(feed)).padStart(4, '0')}`;
  const late =
    feed === LATE_BATCH.feed &&
    unit === LATE_BATCH.unit &&
    place === '7' &&
    age >= 15 &&
    age < FALL_PROGRAMME.ageFrom &&
    LATE_BATCH.quarterEnds.some((end) => end === monthOf(month));

  const other: Unit = unit === 'S-01' ? 'S-02' : 'S-01';
  const grave = CAUSES[cause].grave * (age >= 75 ? 2 : age >= 65 ? 1.5 : 1);
  const severity = luck.index([84, 13 * grave, 2.2 * grave]);
  const died = severity === 2 && luck.holds(0.045);
  const disposition = died
    ? '5'
    : severity === 2
      ? luck.pick({ '4': 70, '3': 25, '2': 5 })
      : severity === 1
        ? luck.pick({ '1': 50, '2': 20, '3': 6, '4': 24 })
        : luck.pick({ '1': 96, '2': 3, '6': 1 });
  const delay = police ? 15 + luck.below(luck.holds(0.9) ? 180 : 3 * MINUTES) : clinicDelay(luck);
  const known = late ? moment(dayIn(month, LATE_BATCH.day, 1), 10) + luck.below(240) : minute + delay;
  const dated = !luck.holds(0.012);
  const day = dayOf(minute);
  const lateDeath = died && luck.holds(0.5);
  const diedAfter = lateDeath ? 1 + luck.below(25) : 0;
  const vehicle = luck.pick(
    cause === '1'
      ? { car: 42, 'e-bike': 26, motorcycle: 14, van: 8, pedestrian: 10 }
      : { 'e-bike': 58, bicycle: 32, pedestrian: 10 },
  );
  const wheels = vehicle === 'e-bike' || vehicle === 'motorcycle' || vehicle === 'bicycle';
  const worn = luck.holds(vehicle === 'car' || vehicle === 'van' ? 0.66 : 0.48) ? 'yes' : 'no';
  const amended = luck.holds(0.03) ? luck.pick({ mechanism: 35, place: 20, age: 20, residence: 15, occurredAt: 10 }) : undefined;
  const truth: Record<string, unknown> = {
    mechanism: card(cause),
    place: card(place),
    age: age < 1 ? { value: luck.below(12), unit: 'month' } : { value: age, unit: 'year' },
    residence: unit,
    occurredAt: police ? shanghai(minute) : day,
  };
  const mistaken: Record<string, unknown> = {
    mechanism: card(luck.pick({ '14': 50, '13': 35, '4': 15 })),
    place: card('9'),
    age: { value: age + 10, unit: 'year' },
    residence: other,
    occurredAt: police ? shanghai(minute - MINUTES) : dayOf(minute - MINUTES),
  };
  const first: CloudEvent['data'] = {
    ...(dated && { occurredAt: truth['occurredAt'] }),
    knownAt: shanghai(known),
    visit: 'first',
    community: unit,
    ...(!luck.holds(0.02) && { residence: luck.holds(0.1) ? other : unit }),
    residency: card(luck.pick(unit === 'S-02' ? { '1': 70, '2': 12, '3': 18 } : { '1': 84, '2': 8, '3': 8 })),
    ...(!luck.holds(0.008) && { age: truth['age'] }),
    sex: luck.holds(0.006) ? 'unknown' : draft.sex,
    mechanism: blankOr(luck, 0.012, 0.006, cause),
    intent: blankOr(luck, 0.015, 0.003, luck.pick(CAUSES[cause].intent)),
    place: blankOr(luck, 0.02, 0.01, place),
    ...(!police && {
      activity: blankOr(luck, 0.03, 0.01, activity),
      nature: card(luck.pick(CAUSES[cause].nature)),
      bodyPart: card(luck.pick(CAUSES[cause].bodyPart)),
    }),
    disposition: blankOr(luck, 0.008, 0.002, lateDeath ? '4' : disposition),
    severity: police
      ? { scale: 'GA16', value: died && !lateDeath ? 'fatal' : ['none', 'minor', 'severe'][severity]! }
      : { scale: 'NISS3', value: ['minor', 'moderate', 'severe'][severity]! },
    ...(died && !lateDeath && { daysToDeath: 0 }),
    ...(isRoad(cause) && {
      transport: {
        mode: vehicle,
        role:
          vehicle === 'pedestrian'
            ? 'pedestrian'
            : luck.pick(wheels ? { rider: 88, passenger: 12 } : { driver: 62, passenger: 38 }),
        ...(wheels ? { helmet: worn } : vehicle !== 'pedestrian' ? { seatBelt: worn } : {}),
      },
    }),
    ...(!police && age >= 15 && luck.holds(0.15) && { alcohol: luck.pick({ yes: 18, suspected: 7, no: 75 }) }),
    ...(amended && { [amended]: mistaken[amended] }),
  };

  // Refused as it stands; mostly the feed mends it and sends it again, and whatever it says later waits for that.
  const fault = luck.holds(BAD_SHARE) ? FAULTS[luck.pick({ age: 30, day: 30, severity: 15, community: 25 })]! : undefined;
  const mended = luck.holds(0.75);
  const wait = fault ? (1 + luck.below(6)) * MINUTES : 0;
  /** What is said of a late card in later months goes up with everything else. */
  const inBatch = (one: Timed): Timed => (late && dayOf(one.at) < dayIn(month, 1, 2) ? { ...one, late } : one);
  const event = (
    step: string,
    what: 'reported' | 'corrected' | 'retracted',
    at: Minute,
    data: CloudEvent['data'],
    id = recordId,
  ) => inBatch(cloudEvent(feed, id, step, what, at + wait, data));
  const later = (days: number): Minute => known + days * MINUTES + luck.below(600);

  const told: Timed[] = [event('1', 'reported', known, first)];
  if (luck.holds(0.007)) {
    const reason = luck.pick({ 'entered twice': 3, 'not an injury': 1 });
    told.push(event('2', 'retracted', later(1 + luck.below(30)), { reason }));
  } else {
    if (lateDeath) {
      const replaces = {
        disposition: card('5'),
        daysToDeath: diedAfter,
        ...(police && { severity: { scale: 'GA16', value: 'fatal' } }),
      };
      told.push(event('2', 'corrected', later(diedAfter), { replaces, reason: 'died later' }));
    } else if (amended)
      told.push(
        event('2', 'corrected', later(2 + luck.below(40)), {
          replaces: { [amended]: truth[amended] },
          reason: 'checked against the file',
        }),
      );
    if (feed === 'clinic-01' && !died && luck.holds(severity === 0 ? 0.05 : 0.2)) {
      const again = later(3 + luck.below(18));
      const { daysToDeath: _none, ...rest } = first;
      const revisit = { ...rest, knownAt: shanghai(again), visit: 'follow-up' };
      told.push(event('1', 'reported', again, revisit, `${recordId}-v2`));
    }
  }
  if (isPrevented(draft, recordId, starts)) return [];
  if (!fault) return told;
  const bad = { ...inBatch(cloudEvent(feed, recordId, '0', 'reported', known, fault(first))), bad: true };
  return mended ? [bad, ...told] : [bad];
};

const monthOfInjuries = (seed: number, month: string, scale: number, starts: Readonly<Record<Unit, string>>): Timed[] => {
  const numbers: Record<Feed, number> = { 'clinic-01': 0, 'police-01': 0, 'school-01': 0 };
  return UNIT_CODES.flatMap((unit) => {
    const luck = chance(`${seed} ${month} ${unit}`);
    const drafts = drawMonth(luck, unit, month, scale).sort((a, b) => a.minute - b.minute);
    return drafts.flatMap((draft) => tell(luck, draft, seed, starts, (feed) => ++numbers[feed]));
  });
};

/** All that the feeds say of what happened in these months, in no order. */
export const injuries = (seed: number, months: readonly string[], endYear: number): Timed[] => {
  const scale = ANNUAL_PER_1000 / baseline();
  const starts = programmeStarts(endYear);
  return months.flatMap((month) => monthOfInjuries(seed, month, scale, starts));
};
