import { atMost, level01, nonNegative } from './checks';
import { interval, symmetric, undefinedInterval, zOf, type Interval } from './interval';
import { qbeta } from './special/beta';

/** Limits for a proportion: x of n (0 ≤ x ≤ n) at a level in (0, 1). Both `null` at n = 0; RangeError on x > n, negatives, NaN. */
export type ProportionLimits = (x: number, n: number, level?: number) => Interval;

const limits =
  (compute: (x: number, n: number, level: number) => Interval): ProportionLimits =>
  (x, n, level = 0.95) => {
    level01('level', level);
    atMost('x', nonNegative('x', x), 'n', nonNegative('n', n));
    return n === 0 ? undefinedInterval : compute(x, n, level);
  };

/** Score limits without continuity correction. Wilson (1927) JASA 22:209. */
export const wilson = limits((x, n, level) => {
  const z = zOf(level);
  const root = z * Math.sqrt(z * z + 4 * x * (1 - x / n));
  const base = 2 * (n + z * z);
  // At the ends the limits are 0 and 1; written out, for √(z²) may be an ulp from z.
  return interval(x === 0 ? 0 : (2 * x + z * z - root) / base, x === n ? 1 : (2 * x + z * z + root) / base);
});

/** Score limits with continuity correction. Newcombe (1998) Stat Med 17:857, method 4. */
export const wilsonCorrected = limits((x, n, level) => {
  const z = zOf(level);
  const p = x / n;
  const base = 2 * (n + z * z);
  const lower = (2 * x + z * z - 1 - z * Math.sqrt(z * z - 2 - 1 / n + 4 * p * (n * (1 - p) + 1))) / base;
  const upper = (2 * x + z * z + 1 + z * Math.sqrt(z * z + 2 - 1 / n + 4 * p * (n * (1 - p) - 1))) / base;
  return interval(x === 0 ? 0 : Math.max(0, lower), x === n ? 1 : Math.min(1, upper));
});

/** Exact (binomial tail) limits. Clopper & Pearson (1934) Biometrika 26:404. */
export const clopperPearson = limits((x, n, level) => {
  const half = (1 - level) / 2;
  return interval(x === 0 ? 0 : qbeta(half, x, n - x + 1), x === n ? 1 : qbeta(half, x + 1, n - x, 'upper'));
});

/** Wald about the shrunken centre; not truncated to [0, 1]. Agresti & Coull (1998) Am Stat 52:119. */
export const agrestiCoull = limits((x, n, level) => {
  const z = zOf(level);
  const size = n + z * z;
  const p = (x + (z * z) / 2) / size;
  return symmetric(p, Math.sqrt((p * (1 - p)) / size), z);
});

/** p ± z √(p(1−p)/n); not truncated. For comparison only: poor near 0 and 1. */
export const wald = limits((x, n, level) => symmetric(x / n, Math.sqrt(((x / n) * (1 - x / n)) / n), zOf(level)));

/** Equal-tailed posterior limits under Beta(1/2, 1/2); 0 at x = 0, 1 at x = n. Brown, Cai & DasGupta (2001) Stat Sci 16:101. */
export const jeffreys = limits((x, n, level) => {
  const half = (1 - level) / 2;
  return interval(x === 0 ? 0 : qbeta(half, x + 0.5, n - x + 0.5), x === n ? 1 : qbeta(half, x + 0.5, n - x + 0.5, 'upper'));
});
