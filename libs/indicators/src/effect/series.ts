/** Monthly series of units before and after their own starts. Months are whole numbers inside: year × 12 + month − 1. */
import type { EffectUnit } from './effect';

export const monthIndex = (month: string): number => Number(month.slice(0, 4)) * 12 + Number(month.slice(5, 7)) - 1;
export const monthId = (index: number): string =>
  `${Math.floor(index / 12)}`.padStart(4, '0') + `-${`${(index % 12) + 1}`.padStart(2, '0')}`;
/** 0 for January. */
export const monthOfYear = (index: number): number => index % 12;

/** Months in rising order that all units of a sum have, with their events and person-years. */
export interface Series {
  readonly at: readonly number[];
  readonly counts: readonly number[];
  readonly exposures: readonly number[];
}

/** A unit whose months with a count and person-years above 0 are at hand. */
export interface Followed {
  readonly unit: string;
  readonly role: EffectUnit['role'];
  readonly startedOn?: string | undefined;
  readonly cells: ReadonlyMap<number, { readonly count: number; readonly personYears: number }>;
  /** The first month in which it is no longer without the programme; never: Infinity. */
  readonly until: number;
}

/** Treated units that start in the same month, and so have the same months before and after. */
export interface Cohort {
  readonly units: readonly Followed[];
  readonly startedOn: string;
  /** The month of the start: earlier ones are before. */
  readonly start: number;
  /** The first month that counts as after: the wash-out, and a month begun before the start's day, count for neither side. */
  readonly after: number;
}

export const follow = ({ unit, role, startedOn, months }: EffectUnit): Followed => ({
  unit,
  role,
  startedOn,
  cells: new Map(
    months.flatMap(({ month, count, personYears }) =>
      count !== null && personYears !== null && personYears > 0 ? [[monthIndex(month), { count, personYears }]] : [],
    ),
  ),
  until: startedOn === undefined ? Infinity : monthIndex(startedOn),
});

export const cohortsOf = (units: readonly Followed[], washOutMonths: number): Cohort[] => {
  const groups = new Map<string, Followed[]>();
  for (const unit of units)
    if (unit.role === 'treated' && unit.startedOn !== undefined) {
      const key = `${unit.until} ${unit.startedOn.endsWith('-01') ? 0 : 1}`;
      groups.set(key, [...(groups.get(key) ?? []), unit]);
    }
  return [...groups.entries()]
    .map(([key, members]): Cohort => {
      const [start, part] = key.split(' ').map(Number) as [number, number];
      const startedOn = members.map((one) => one.startedOn!).sort()[0]!;
      return { units: members, startedOn, start, after: start + washOutMonths + part };
    })
    .sort((a, b) => (a.startedOn < b.startedOn ? -1 : 1));
};

/** The sum of units over the months that each of them has, `from` to before `to`: with a unit come or gone it would be another series. */
export const sumOf = (units: readonly Followed[], from = -Infinity, to = Infinity): Series => {
  const [first, ...rest] = units;
  const at = [...(first?.cells.keys() ?? [])]
    .filter((month) => month >= from && month < to && rest.every(({ cells }) => cells.has(month)))
    .sort((a, b) => a - b);
  const over = (pick: 'count' | 'personYears') =>
    at.map((month) => units.reduce((sum, { cells }) => sum + cells.get(month)![pick], 0));
  return { at, counts: over('count'), exposures: over('personYears') };
};

/** Of a series, the months that fulfil a condition. */
export const among = (series: Series, holds: (month: number) => boolean): Series => {
  const kept = series.at.map((_, i) => i).filter((i) => holds(series.at[i]!));
  const pick = (values: readonly number[]) => kept.map((i) => values[i]!);
  return { at: pick(series.at), counts: pick(series.counts), exposures: pick(series.exposures) };
};

export const total = (values: readonly number[]): number => values.reduce((sum, x) => sum + x, 0);

/**
 * Months over which counts may hang together: half a year, less of a short series. A year of lags makes Newey–West's variance of
 * 36 to 60 points smaller and wilder.
 */
export const lagOf = (points: number): number => Math.max(1, Math.min(6, Math.floor(points / 4)));

/**
 * Variance of a sum of influences that follow each other in time: Newey–West with Bartlett weights, or the one without lags where
 * that is larger, times n/(n − parameters). Only pairs that really lie `l` months apart count.
 */
export const serialVariance = (influences: ReadonlyMap<number, number>, parameters: number): number => {
  const n = influences.size;
  const lag = lagOf(n);
  let [alone, together] = [0, 0];
  for (const [month, here] of influences) {
    alone += here * here;
    for (let l = 1; l <= lag; l++) together += 2 * (1 - l / (lag + 1)) * here * (influences.get(month - l) ?? 0);
  }
  return n > parameters ? ((alone + Math.max(0, together)) * n) / (n - parameters) : 0;
};

/** Months that some unit has, between the first and the last of the sum, and the sum hasn't. */
export const missingMonths = (units: readonly Followed[], { at }: Series): number => {
  const whole = new Set(at);
  const seen = new Set(units.flatMap(({ cells }) => [...cells.keys()]));
  return [...seen].filter((month) => !whole.has(month)).length;
};
