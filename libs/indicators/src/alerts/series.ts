/** Counts over time of one kind of case in one place: what detection looks at. Populations play no part. */
import { addDays, periodOf, type Text } from '@vigil/vocabulary';
import type { DimensionName } from '../query/dimensions';
import { isCounted, type IndicatorDefinition } from '../definitions';
import type { ObservationRow } from '../output';

export type SeriesUnit = 'day' | 'week';

export interface CountSeries {
  readonly dx: string;
  readonly ou: string;
  /** How the indicator was split: `{mechanism: 'drowning'}`, or nothing. */
  readonly dims: Readonly<Record<string, string>>;
  /** Which cases these are, in full: what the definition filters by and `dims`. One kind of case holds another whose `cases` say more. */
  readonly cases: Readonly<Record<string, string>>;
  readonly unit: SeriesUnit;
  /** Consecutive days or ISO weeks by id, oldest first, from the first in which the place reported anything. */
  readonly periods: readonly string[];
  readonly counts: readonly number[];
}

/** What was asked about and can't be judged, and why. */
export interface NotLooked {
  readonly dx: string;
  readonly ou: string;
  readonly dims: Readonly<Record<string, string>>;
  readonly unit: SeriesUnit;
  readonly code: 'no-records' | 'too-short' | 'no-baseline' | 'counts-withheld' | 'not-counts';
  readonly detail: Text;
}

const canonical = (dims: Readonly<Record<string, string>>): string =>
  JSON.stringify(Object.entries(dims).sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0)));

/** One series' name among all: stable, and the same in whatever order its dimensions are written. */
export const seriesKey = ({ dx, ou, dims, unit }: Pick<CountSeries, 'dx' | 'ou' | 'dims' | 'unit'>): string =>
  JSON.stringify([dx, ou, canonical(dims), unit]);
export const dimsKey = canonical;

/** Cases of an indicator: its fact and every filter that has one meaning. Undefined where it counts no cases one by one. */
export const casesOf = ({ numerator, denominator, method }: IndicatorDefinition): Record<string, string> | undefined => {
  if (!isCounted(numerator) || numerator.measure !== 'count' || isCounted(denominator)) return undefined;
  // Of what two lists share, or of durations, more is no alarm.
  if (method === 'chapman' || method === 'kaplan-meier' || method === 'wilson') return undefined;
  const { visit: _, any, ...filter } = numerator.filter ?? {};
  const named = Object.entries(filter).flatMap(([name, items]) => (items ? [[name, [...items].sort().join(';')]] : []));
  return Object.fromEntries([
    ['fact', numerator.fact],
    ...named,
    ...(numerator.is ? [['is', [...numerator.is].sort().join(';')]] : []),
    ...(any ? [['any', JSON.stringify(any)]] : []),
  ]) as Record<string, string>;
};

/** Whether one kind of case holds the other (or is it): all injuries the drownings, falls those at 65 and over. */
export const holds = (wide: Readonly<Record<string, string>>, narrow: Readonly<Record<string, string>>): boolean =>
  Object.entries(wide).every(([name, value]) => narrow[name] === value);

export const startOf = (unit: SeriesUnit, id: string): string => {
  if (unit === 'day') return id;
  // 4 January lies in week 1 of its ISO year.
  const monday = periodOf('week', `${id.slice(0, 4)}-01-04`).start;
  return addDays(monday, (Number(id.slice(6)) - 1) * 7);
};
export const endOf = (unit: SeriesUnit, id: string): string => (unit === 'day' ? id : addDays(startOf('week', id), 6));

export interface RowsOptions {
  readonly unit: SeriesUnit;
  /** The periods asked for, in order; each place and kind of case has a row for every one of them. */
  readonly periods: readonly string[];
  readonly dimension?: DimensionName | undefined;
  readonly cases: Readonly<Record<string, string>>;
  /** By place: the first day of its first record, of whatever kind. A place that isn't here has never reported. */
  readonly begun: ReadonlyMap<string, string>;
}

/**
 * Rows of one indicator as series. What lies before a place's first record isn't zero but unknown, and is cut off: a place that has
 * begun to report would look like an outbreak.
 */
export const seriesOf = (
  rows: readonly ObservationRow[],
  { unit, periods, dimension, cases, begun }: RowsOptions,
): { series: CountSeries[]; notLooked: NotLooked[] } => {
  const at = new Map(periods.map((id, index) => [id, index]));
  const ends = periods.map((id) => endOf(unit, id));
  const found = new Map<string, { head: ObservationRow; counts: number[]; withheld: boolean }>();
  for (const row of rows) {
    const key = `${row.ou}\u0000${dimension ? row[dimension] : ''}`;
    const one = found.get(key) ?? { head: row, counts: periods.map(() => 0), withheld: false };
    found.set(key, one);
    const index = at.get(row.pe);
    if (index === undefined) continue;
    if (row.num === null || row.conf === 'C') one.withheld = true;
    else one.counts[index] = row.num;
  }
  const series: CountSeries[] = [];
  const notLooked: NotLooked[] = [];
  const silent = new Set<string>();
  for (const { head, counts, withheld } of found.values()) {
    const { dx, ou } = head;
    const dims: Record<string, string> = dimension ? { [dimension]: head[dimension]! } : {};
    const refused = (code: NotLooked['code'], zh: string, en: string): void =>
      void notLooked.push({ dx, ou, dims, unit, code, detail: { zh, en } });
    const first = begun.get(ou);
    const from = first === undefined ? -1 : ends.findIndex((end) => end >= first);
    if (from < 0) {
      // Once for the place: it has no record of any kind.
      if (!silent.has(ou) && !dimension) refused('no-records', '这段时间没有任何记录', 'no record of any kind in this time');
      silent.add(ou);
    } else if (withheld) refused('counts-withheld', '计数已隐去', 'its counts are withheld');
    else if (counts.some((count) => !Number.isInteger(count)))
      refused('not-counts', '加权合计不是计数', 'weighted totals are no counts');
    else
      series.push({ dx, ou, dims, cases: { ...cases, ...dims }, unit, periods: periods.slice(from), counts: counts.slice(from) });
  }
  return { series, notLooked };
};
