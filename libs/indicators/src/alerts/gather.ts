/** The series that detection looks at, asked of the observations: the same counts that every other answer has. */
import { addDays, periodOf, periodsWithin, type Problem } from '@vigil/vocabulary';
import type { Answered } from '../answer/answer';
import type { IndicatorDefinition } from '../definitions';
import type { ObservationRow } from '../output';
import { LIMITS, parseObservationQuery, type ObservationQuery } from '../query/query';
import { HISTORY } from './detect';
import { casesOf, seriesOf, startOf, type CountSeries, type NotLooked, type SeriesUnit } from './series';

/** Looked at where nobody says what: injuries (and each mechanism of them), falls at 65 and over, children's injuries, deaths. */
export const WATCHED = ['INC-01', 'INC-04', 'INC-05', 'MOR-01'] as const;
/** Split by mechanism besides. */
const SPLIT = 'INC-01';

/** Rows of one question: others are answered between two, which take half a second each. */
const MOST_ROWS = 25_000;
/** More than any axis has codes. */
const MECHANISMS = 20;
/** Days that one detection may judge. */
export const MOST_DAYS = 92;

export interface GatherOptions {
  readonly ask: (query: ObservationQuery) => Promise<Answered>;
  /** In force at the position. */
  readonly definitions: ReadonlyMap<string, IndicatorDefinition>;
  /** Indicators; default: {@link WATCHED}. */
  readonly dx?: readonly string[] | undefined;
  /** Which places, of those known at the position; default: all, leaves and those above them. */
  readonly within?: ((ou: string) => boolean) | undefined;
  readonly from: string;
  readonly to: string;
  readonly position: bigint;
  readonly today: string;
}

export type Gathered =
  | {
      readonly ok: true;
      /** The places looked at. */
      readonly places: readonly string[];
      readonly series: readonly CountSeries[];
      readonly notLooked: readonly NotLooked[];
      readonly problems: readonly Problem[];
    }
  | { readonly ok: false; readonly status: number; readonly problems: readonly Problem[] };

/** Days judged and before them; weeks that end in the days judged, and before them. */
export const periodsOf = (unit: SeriesUnit, from: string, to: string): string[] => {
  if (unit === 'day') return periodsWithin('day', addDays(from, -HISTORY.days), addDays(to, 1)).map(({ id }) => id);
  // The last whole week; none that is still running.
  const end = periodOf('week', addDays(to, 1)).start;
  const first = addDays(periodOf('week', from).start, -7 * HISTORY.weeks);
  return periodsWithin('week', first, end).map(({ id }) => id);
};

/** What can't be watched among indicators asked for: shares, medians, rates of something else than cases. */
export const unwatchable = (dx: readonly string[], definitions: ReadonlyMap<string, IndicatorDefinition>): Problem[] =>
  dx.flatMap((code): Problem[] => {
    const definition = definitions.get(code);
    if (definition && casesOf(definition)) return [];
    const watched = [...definitions.values()].filter((each) => casesOf(each)).map((each) => each.code);
    return [
      {
        code: definition ? 'not-counts' : 'unknown-indicator',
        detail: definition
          ? { zh: `${code} 不是病例数之率,无从预警`, en: `${code} is no rate of cases: there is nothing to raise an alarm about` }
          : { zh: `没有指标 ${code}`, en: `there is no indicator ${code}` },
        pointer: '/dx',
        value: code,
        allowed: watched.slice(0, 50),
      },
    ];
  });

/** Every series by place, indicator and mechanism, weekly and daily, all as of one position. */
export const gather = async ({
  ask,
  definitions,
  dx = WATCHED,
  within = () => true,
  from,
  to,
  position,
  today,
}: GatherOptions): Promise<Gathered> => {
  const codes = [...new Set(dx)].filter((code) => definitions.has(code));
  const series: CountSeries[] = [];
  const notLooked: NotLooked[] = [];
  const problems = new Map<string, Problem>();
  const asked = async (dimension: readonly string[]) => {
    const source = { dimension, basis: 'occurrence', asOfPosition: position.toString() };
    const parsed = parseObservationQuery(source, { today, indicators: [...definitions.values()] });
    if (!parsed.ok) return { ok: false as const, status: 400, problems: parsed.problems };
    const answer = await ask({ ...parsed.value, countsOnly: true });
    if (!answer.ok) return answer;
    // Counts need no denominator.
    for (const problem of answer.value.meta.problems)
      if (!problem.code.endsWith('-denominator')) problems.set(`${problem.code} ${String(problem.value)}`, problem);
    return { ok: true as const, rows: answer.value.data };
  };
  // One row a place: those known at the position, registered or not.
  const known = codes.length === 0 ? undefined : await asked([`dx:${codes[0]}`, `pe:${to}`, 'ou']);
  if (known && !known.ok) return known;
  const places = (known?.rows ?? []).map(({ ou }) => ou).filter(within);

  const rowsOf = async (of: readonly string[], periods: readonly string[], dimension?: 'mechanism') => {
    const perPlace = of.length * periods.length * (dimension ? MECHANISMS : 1);
    const size = Math.max(1, Math.min(LIMITS.ou, Math.floor(MOST_ROWS / perPlace)));
    const rows: ObservationRow[] = [];
    for (let from = 0; from < places.length; from += size) {
      const ou = `ou:${places.slice(from, from + size).join(';')}`;
      const answer = await asked([`dx:${of.join(';')}`, `pe:${periods.join(';')}`, ou, ...(dimension ? [dimension] : [])]);
      if (!answer.ok) return answer;
      for (const row of answer.rows) rows.push(row);
    }
    return { ok: true as const, rows };
  };

  /** The first day of a place's first record: of its first week with any, weeks going back furthest. */
  const begun = new Map<string, string>();
  for (const unit of ['week', 'day'] as const) {
    const periods = periodsOf(unit, from, to);
    const starts = new Map(periods.map((id) => [id, startOf(unit, id)]));
    for (const dimension of [undefined, 'mechanism'] as const) {
      const of = codes.filter(
        (code) => dimension === undefined || code === SPLIT || (dx !== WATCHED && splittable(definitions.get(code)!)),
      );
      if (of.length === 0) continue;
      const answer = await rowsOf(of, periods, dimension);
      if (!answer.ok) return answer;
      if (dimension === undefined)
        for (const { ou, pe, num } of answer.rows) {
          const start = starts.get(pe)!;
          if ((num ?? 0) > 0 && (begun.get(ou) ?? '9999') > start) begun.set(ou, start);
        }
      for (const code of of) {
        const made = seriesOf(
          answer.rows.filter((row) => row.dx === code),
          { unit, periods, dimension, cases: casesOf(definitions.get(code)!)!, begun },
        );
        series.push(...made.series);
        // That a place has no record is said once, of its weeks.
        notLooked.push(...made.notLooked.filter((each) => each.code !== 'no-records' || (unit === 'week' && code === of[0])));
      }
    }
  }
  return { ok: true, places, series, notLooked, problems: [...problems.values()] };
};

const splittable = (definition: IndicatorDefinition): boolean =>
  definition.strata.includes('mechanism') && casesOf(definition)?.['mechanism'] === undefined;
