import { dayNumber, fromDayNumber, periodOf, periodsWithin } from '@vigil/vocabulary';
import { activityWeights, CAUSE_CODES, CAUSES, isRoad, placeWeights, rateBand, type Cause } from './causes';
import { chance, type Chance } from './chance';
import { COMMUNITIES, DISTRICT, population, UNIT_CODES, type Cell, type Sex, type Unit } from './district';

/**
 * A made-up district's injuries as two feeds would report them: pure, the same for the same seed and end. A month's injuries depend
 * on the seed and that month alone, so that a later run with a later end sends what was sent before plus what has become known.
 */

export const FEEDS = ['clinic-01', 'police-01'] as const;
export type Feed = (typeof FEEDS)[number];

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

export type Step =
  | { readonly kind: 'community'; readonly body: (typeof COMMUNITIES)[number] }
  | {
      readonly kind: 'population';
      readonly community: Unit;
      readonly body: { readonly year: number; readonly cells: readonly Cell[]; readonly source: string };
    }
  | { readonly kind: 'events'; readonly feed: Feed; readonly events: readonly CloudEvent[] };

export interface StoryOptions {
  readonly seed: number;
  /** Months of occurrence, the last of them `until`. */
  readonly months: number;
  /** `YYYY-MM`; nothing that became known after its last day is in the story. */
  readonly until: string;
}

export interface Story {
  readonly district: string;
  /** First and last day of occurrence. */
  readonly first: string;
  readonly last: string;
  readonly events: number;
  readonly steps: readonly Step[];
}

/** First visits a year per 1,000 persons: 6,568 people had about 420. */
export const ANNUAL_PER_1000 = 64;
export const BATCH = 500;
/** The port town is the more dangerous place. */
const UNIT_RISK: Record<Unit, number> = { 'S-01': 0.94, 'S-02': 1.08 };
const CARD = { system: 'niss-card', version: '14' } as const;
const card = (code: string) => ({ ...CARD, code });

const MINUTES = 1440;
const two = (n: number): string => String(n).padStart(2, '0');
/** Minutes since 1970-01-01T00:00 on Shanghai's clocks, as its clocks write it. The country keeps one offset since 1991. */
const shanghai = (minute: number): string =>
  `${fromDayNumber(Math.floor(minute / MINUTES))}T${two(Math.floor((minute % MINUTES) / 60))}:${two(minute % 60)}:00+08:00`;
const utc = (minute: number): string => {
  const at = minute - 480;
  return `${fromDayNumber(Math.floor(at / MINUTES))}T${two(Math.floor((at % MINUTES) / 60))}:${two(at % 60)}:00Z`;
};

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

interface Timed {
  readonly at: number;
  readonly feed: Feed;
  readonly event: CloudEvent;
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

/** A report, and whatever the feed says of it later. `number` is the record's own within seed, month and feed. */
const tell = (luck: Chance, draft: Draft, feed: Feed, number: number, seed: number): Timed[] => {
  const { unit, cause, age, minute } = draft;
  const clinic = feed === 'clinic-01';
  const month = fromDayNumber(Math.floor(minute / MINUTES))
    .slice(0, 7)
    .replace('-', '');
  const recordId = `${seed}-${month}-${String(number).padStart(4, '0')}`;
  const source = `/feeds/${feed}`;
  const letter = clinic ? 'c1' : 'p1';
  const envelope = (type: CloudEvent['type'], step: string, at: number, data: CloudEvent['data'], subject = recordId): Timed => ({
    at,
    feed,
    event: {
      specversion: '1.0',
      type,
      source,
      id: `${letter}-${subject}-${step}`,
      subject,
      time: utc(at),
      datacontenttype: 'application/json',
      data,
    },
  });

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
  const place = luck.pick(placeWeights(cause, age, unit === 'S-02'));
  const activity = luck.pick(activityWeights(cause, place, age));
  const known = minute + (clinic ? clinicDelay(luck) : 15 + luck.below(luck.holds(0.9) ? 180 : 3 * MINUTES));
  const dated = !luck.holds(0.012);
  const day = fromDayNumber(Math.floor(minute / MINUTES));
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
    occurredAt: clinic ? day : shanghai(minute),
  };
  const mistaken: Record<string, unknown> = {
    mechanism: card(luck.pick({ '14': 50, '13': 35, '4': 15 })),
    place: card('9'),
    age: { value: age + 10, unit: 'year' },
    residence: other,
    occurredAt: clinic ? fromDayNumber(Math.floor(minute / MINUTES) - 1) : shanghai(minute - MINUTES),
  };
  const first: CloudEvent['data'] = {
    recordId,
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
    ...(clinic && {
      activity: blankOr(luck, 0.03, 0.01, activity),
      nature: card(luck.pick(CAUSES[cause].nature)),
      bodyPart: card(luck.pick(CAUSES[cause].bodyPart)),
    }),
    disposition: blankOr(luck, 0.008, 0.002, lateDeath ? '4' : disposition),
    severity: clinic
      ? { scale: 'NISS3', value: ['minor', 'moderate', 'severe'][severity]! }
      : { scale: 'GA16', value: died && !lateDeath ? 'fatal' : ['none', 'minor', 'severe'][severity]! },
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
    ...(clinic && age >= 15 && luck.holds(0.15) && { alcohol: luck.pick({ yes: 18, suspected: 7, no: 75 }) }),
    ...(amended && { [amended]: mistaken[amended] }),
  };

  const told = [envelope('org.vigil.injury.reported.v1', '1', known, first)];
  const later = (days: number): number => known + days * MINUTES + luck.below(600);
  if (luck.holds(0.007))
    return [
      ...told,
      envelope('org.vigil.injury.retracted.v1', '2', later(1 + luck.below(30)), {
        recordId,
        reason: luck.pick({ 'entered twice': 3, 'not an injury': 1 }),
      }),
    ];
  if (lateDeath) {
    const replaces = {
      disposition: card('5'),
      daysToDeath: diedAfter,
      ...(!clinic && { severity: { scale: 'GA16', value: 'fatal' } }),
    };
    told.push(envelope('org.vigil.injury.corrected.v1', '2', later(diedAfter), { recordId, replaces, reason: 'died later' }));
  } else if (amended)
    told.push(
      envelope('org.vigil.injury.corrected.v1', '2', later(2 + luck.below(40)), {
        recordId,
        replaces: { [amended]: truth[amended] },
        reason: 'checked against the file',
      }),
    );
  if (clinic && !died && luck.holds(severity === 0 ? 0.05 : 0.2)) {
    const again = later(3 + luck.below(18));
    const revisit = `${recordId}-v2`;
    const { daysToDeath: _none, ...rest } = first;
    told.push(
      envelope(
        'org.vigil.injury.reported.v1',
        '1',
        again,
        { ...rest, recordId: revisit, knownAt: shanghai(again), visit: 'follow-up' },
        revisit,
      ),
    );
  }
  return told;
};

/** The police hear of crashes and of violence that nobody took to the health centre. */
const feedOf = (luck: Chance, { cause }: Draft): Feed => {
  const police = cause === '1' ? 0.42 : cause === '2' ? 0.16 : cause === '4' ? 0.07 : cause === '12' ? 0.7 : 0;
  return luck.holds(police) ? 'police-01' : 'clinic-01';
};

const monthStory = (seed: number, month: string, scale: number): Timed[] => {
  const numbers: Record<Feed, number> = { 'clinic-01': 0, 'police-01': 0 };
  return UNIT_CODES.flatMap((unit) => {
    const luck = chance(`${seed} ${month} ${unit}`);
    const drafts = drawMonth(luck, unit, month, scale).sort((a, b) => a.minute - b.minute);
    return drafts.flatMap((draft) => {
      const feed = feedOf(luck, draft);
      return tell(luck, draft, feed, ++numbers[feed], seed);
    });
  });
};

const byTime = (a: Timed, b: Timed): number => a.at - b.at || (a.event.id < b.event.id ? -1 : a.event.id > b.event.id ? 1 : 0);

export const story = ({ seed, months, until }: StoryOptions): Story => {
  const end = periodOf('month', `${until}-01`).end;
  let first = `${until}-01`;
  for (let i = 1; i < months; i++) first = periodOf('month', fromDayNumber(dayNumber(first) - 1)).start;
  const cutOff = dayNumber(end) * MINUTES;
  const scale = ANNUAL_PER_1000 / baseline();
  const told = periodsWithin('month', first, end)
    .flatMap(({ id }) => monthStory(seed, id, scale))
    .filter(({ at }) => at < cutOff)
    .sort(byTime);

  const steps: Step[] = COMMUNITIES.map((body) => ({ kind: 'community', body }));
  for (let year = Number(first.slice(0, 4)); year <= Number(until.slice(0, 4)); year++)
    for (const community of UNIT_CODES)
      steps.push({ kind: 'population', community, body: { year, cells: population(community, year), source: 'vigil simulate' } });

  // Clinics and police upload by the month; within an upload the reports stand in the order in which they became known.
  let upload: { month: string; byFeed: Map<Feed, CloudEvent[]> } | undefined;
  const flush = (): void => {
    for (const feed of FEEDS) {
      const events = upload?.byFeed.get(feed) ?? [];
      for (let i = 0; i < events.length; i += BATCH) steps.push({ kind: 'events', feed, events: events.slice(i, i + BATCH) });
    }
  };
  for (const { at, feed, event } of told) {
    const month = fromDayNumber(Math.floor(at / MINUTES)).slice(0, 7);
    if (upload?.month !== month) {
      flush();
      upload = { month, byFeed: new Map() };
    }
    const events = upload.byFeed.get(feed);
    if (events) events.push(event);
    else upload.byFeed.set(feed, [event]);
  }
  flush();
  return { district: DISTRICT, first, last: fromDayNumber(dayNumber(end) - 1), events: told.length, steps };
};
