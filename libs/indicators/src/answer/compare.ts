/** A row beside another: the year before, a neighbour, everybody. */
import { rateRatioExact, rateRatioWald, ratioOf, riskRatio, type Interval } from '@vigil/statistics';
import { addDays, dateRange, periodOf, type Period } from '@vigil/vocabulary';
import type { IndicatorDefinition } from '../definitions/definition';
import type { ObservationRow } from '../output/answer';
import type { ObservationQuery } from '../query/query';

/** What a row says of another one beside it. */
type Compared = Required<Pick<ObservationRow, 'ref' | 'ratio' | 'ratioLow' | 'ratioHigh' | 'ratioMethod' | 'verdict'>>;

/** Marks the rows that are there to be compared with; no period or community is called so. */
const SHADOW = '\u0000';
export const shadowOf = (id: string): string => `${SHADOW}${id}`;
export const isShadow = (id: string): boolean => id.startsWith(SHADOW);

const yearEarlier = (day: string): string => {
  const year = `${Number(day.slice(0, 4)) - 1}`.padStart(4, '0');
  return day.endsWith('-02-29') ? `${year}-02-28` : `${year}${day.slice(4)}`;
};

/** The period that a period is compared with. */
export const before = (period: Period, which: 'previous' | 'previous-year'): Period => {
  if (which === 'previous-year')
    return { ...dateRange(yearEarlier(period.start), addDays(yearEarlier(period.end), -1)), id: period.id };
  if (period.kind !== 'range') return periodOf(period.kind, addDays(period.start, -1));
  return dateRange(addDays(period.start, -period.days), addDays(period.start, -1));
};

const NOTHING: Compared = { ref: null, ratio: null, ratioLow: null, ratioHigh: null, ratioMethod: null, verdict: null };

const told = (ref: number, ratio: number | null, { lower, upper }: Interval, ratioMethod: string): Compared => ({
  ...{ ref, ratio, ratioLow: lower, ratioHigh: upper, ratioMethod },
  verdict: lower !== null && lower > 1 ? 'higher' : upper !== null && upper < 1 ? 'lower' : 'similar',
});

/** Ratio of two rows of one indicator with its interval, by the method that the indicator's own calls for. */
export const comparedRow = (
  row: ObservationRow,
  other: ObservationRow | undefined,
  { method }: IndicatorDefinition,
  { level, weighted }: Pick<ObservationQuery, 'level' | 'weighted'>,
): Compared => {
  if (other?.value == null) return NOTHING;
  const only = { ...NOTHING, ref: other.value };
  if (row.value === null || weighted || row.num === null || other.num === null) return only;
  switch (method) {
    case 'poisson-phe': {
      if (!row.den || !other.den) return only;
      const rates = { a: row.num, t1: row.den, b: other.num, t0: other.den };
      const ratio = other.num === 0 ? null : row.value / other.value;
      // Wald on the log agrees with the exact limits where both counts are large, and costs nothing.
      const wald = Math.min(rates.a, rates.b) >= 100 ? rateRatioWald(rates, level) : null;
      return told(other.value, ratio, wald ?? rateRatioExact(rates, level), wald ? 'wald-log' : 'conditional-exact');
    }
    case 'wilson': {
      if (!row.den || !other.den) return only;
      const { estimate, lower, upper } = riskRatio({ a: row.num, n1: row.den, b: other.num, n0: other.den }, level);
      return told(other.value, estimate, { lower, upper }, 'katz-log');
    }
    case 'direct-standardisation': {
      if (row.variance == null || other.variance == null) return only;
      const { ratio, lower, upper } = ratioOf(
        { estimate: row.value, variance: row.variance },
        { estimate: other.value, variance: other.variance },
        level,
      );
      return told(other.value, ratio, { lower, upper }, 'log-normal');
    }
    default:
      return only;
  }
};
