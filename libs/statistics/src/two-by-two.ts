import { atMost, positive, wholeNumber } from './checks';
import { defined, interval, logSymmetric, symmetric, undefinedInterval, zOf, type Interval } from './interval';
import { wilson } from './proportion';
import { binomialDensity } from './special/beta';
import { pchisq } from './special/gamma';

/** `a` of `n1` against `b` of `n0`; whole counts, groups above 0. */
export type TwoGroups = { readonly a: number; readonly n1: number; readonly b: number; readonly n0: number };

const checked = ({ a, n1, b, n0 }: TwoGroups): TwoGroups => ({
  a: atMost('a', wholeNumber('a', a), 'n1', positive('n1', wholeNumber('n1', n1))),
  n1,
  b: atMost('b', wholeNumber('b', b), 'n0', positive('n0', wholeNumber('n0', n0))),
  n0,
});

export type RatioEstimate = Interval & { readonly estimate: number | null; readonly seLog: number | null };

const ratioEstimate = (estimate: number, variance: number, z: number): RatioEstimate => {
  const usable = estimate > 0 && Number.isFinite(estimate) && Number.isFinite(variance);
  const seLog = Math.sqrt(variance);
  return usable
    ? { estimate, seLog, ...logSymmetric(estimate, seLog, z) }
    : { estimate: defined(estimate), seLog: null, ...undefinedInterval };
};

/** (a/n1)/(b/n0) with log limits. Katz et al (1978). Interval `null` when a or b is 0. */
export const riskRatio = (groups: TwoGroups, level = 0.95): RatioEstimate => {
  const { a, n1, b, n0 } = checked(groups);
  return ratioEstimate(a / n1 / (b / n0), 1 / a - 1 / n1 + 1 / b - 1 / n0, zOf(level));
};

/** ad/bc with Woolf's log limits; interval `null` when any cell is 0. */
export const oddsRatio = (groups: TwoGroups, level = 0.95): RatioEstimate => {
  const { a, n1, b, n0 } = checked(groups);
  return ratioEstimate((a * (n0 - b)) / (b * (n1 - a)), 1 / a + 1 / b + 1 / (n1 - a) + 1 / (n0 - b), zOf(level));
};

/** a/n1 − b/n0: Wald limits, and Newcombe's from the two Wilson intervals (1998, Stat Med 17:873, method 10); needed to treat = 1/|difference|. */
export const riskDifference = (
  groups: TwoGroups,
  level = 0.95,
): { estimate: number; se: number; wald: Interval; newcombe: Interval; numberNeeded: number | null } => {
  const { a, n1, b, n0 } = checked(groups);
  const p1 = a / n1;
  const p0 = b / n0;
  const estimate = p1 - p0;
  const se = Math.sqrt((p1 * (1 - p1)) / n1 + (p0 * (1 - p0)) / n0);
  const one = wilson(a, n1, level);
  const zero = wilson(b, n0, level);
  return {
    estimate,
    se,
    wald: symmetric(estimate, se, zOf(level)),
    newcombe: interval(
      estimate - Math.hypot(p1 - one.lower!, zero.upper! - p0),
      estimate + Math.hypot(one.upper! - p1, p0 - zero.lower!),
    ),
    numberNeeded: defined(1 / Math.abs(estimate)),
  };
};

export type ChiSquare = { readonly statistic: number | null; readonly p: number | null };

const chiSquare = (statistic: number): ChiSquare =>
  Number.isFinite(statistic) ? { statistic, p: pchisq(statistic, 1, 'upper') } : { statistic: null, p: null };

/** Pearson's χ² on 1 df of a 2 × 2 table, and with Yates' correction (at most |ad − bc|, as R). `null` when a margin is 0. */
export const chiSquareTest = (groups: TwoGroups): { pearson: ChiSquare; yates: ChiSquare } => {
  const { a, n1, b, n0 } = checked(groups);
  const total = n1 + n0;
  const gap = Math.abs(a * (n0 - b) - b * (n1 - a));
  const statistic = (correction: number): number => (gap - correction) ** 2 * (total / n1 / n0 / (a + b) / (total - a - b));
  return { pearson: chiSquare(statistic(0)), yates: chiSquare(statistic(Math.min(total / 2, gap))) };
};

/** Fisher's exact two-sided P: all tables of the same margins no likelier than the one seen (R's 1e-7 slack). */
export const fisherTest = (groups: TwoGroups): number => {
  const { a, n1, b, n0 } = checked(groups);
  const cases = a + b;
  const total = n1 + n0;
  const density = (x: number): number => {
    const p = cases / total;
    return (
      (binomialDensity(x, n1 - x, p, 1 - p) * binomialDensity(cases - x, n0 - cases + x, p, 1 - p)) /
      binomialDensity(cases, total - cases, p, 1 - p)
    );
  };
  const bound = density(a) * (1 + 1e-7);
  let sum = 0;
  for (let x = Math.max(0, cases - n0); x <= Math.min(cases, n1); x++) {
    const d = density(x);
    if (d <= bound) sum += d;
  }
  return Math.min(1, sum);
};

/**
 * Mantel–Haenszel pooling over strata: risk ratio (Greenland & Robins 1985), odds ratio (Robins, Breslow & Greenland 1986), and the
 * Cochran–Mantel–Haenszel χ² without correction. RangeError on no strata.
 */
export const mantelHaenszel = (
  strata: readonly TwoGroups[],
  level = 0.95,
): { riskRatio: RatioEstimate; oddsRatio: RatioEstimate; test: ChiSquare } => {
  positive('strata', strata.length);
  const z = zOf(level);
  const add = (term: (s: TwoGroups & { c: number; d: number; total: number }) => number): number =>
    strata.reduce((sum, stratum) => {
      const { a, n1, b, n0 } = checked(stratum);
      return sum + term({ a, n1, b, n0, c: n1 - a, d: n0 - b, total: n1 + n0 });
    }, 0);
  const riskUp = add(({ a, n0, total }) => (a * n0) / total);
  const riskDown = add(({ b, n1, total }) => (b * n1) / total);
  const riskSpread = add(({ a, b, n1, n0, total }) => (n1 * n0 * (a + b) - a * b * total) / total ** 2);
  const r = add(({ a, d, total }) => (a * d) / total);
  const s = add(({ b, c, total }) => (b * c) / total);
  const pr = add(({ a, d, total }) => ((a + d) * a * d) / total ** 2);
  const mixed = add(({ a, b, c, d, total }) => ((a + d) * b * c + (b + c) * a * d) / total ** 2);
  const qs = add(({ b, c, total }) => ((b + c) * b * c) / total ** 2);
  const excess = add(({ a, b, n1, total }) => a - ((a + b) * n1) / total);
  const spread = add(({ a, b, n1, n0, total }) =>
    total > 1 ? ((((a + b) / total) * (total - a - b)) / total / (total - 1)) * n1 * n0 : 0,
  );
  return {
    riskRatio: ratioEstimate(riskUp / riskDown, riskSpread / (riskUp * riskDown), z),
    oddsRatio: ratioEstimate(r / s, pr / (2 * r * r) + mixed / (2 * r * s) + qs / (2 * s * s), z),
    test: chiSquare(excess ** 2 / spread),
  };
};
