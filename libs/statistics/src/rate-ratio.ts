import { level01, positive, wholeNumber } from './checks';
import { defined, interval, logSymmetric, symmetric, undefinedInterval, zOf, type Interval } from './interval';
import { betaQuantile, betaTails, binomialDensity, pbinom } from './special/beta';
import { pnorm } from './special/normal';
import { solveMass } from './special/solve';

/** Events `a` in exposure `t1` against events `b` in exposure `t0`; whole counts, exposures above 0 in one unit. */
export type TwoRates = { readonly a: number; readonly t1: number; readonly b: number; readonly t0: number };

const checked = ({ a, t1, b, t0 }: TwoRates): TwoRates => ({
  a: wholeNumber('a', a),
  t1: positive('t1', t1),
  b: wholeNumber('b', b),
  t0: positive('t0', t0),
});

/** (a/t1)/(b/t0); `null` at b = 0. */
export const rateRatio = (rates: TwoRates): number | null => {
  const { a, t1, b, t0 } = checked(rates);
  return defined(a / t1 / (b / t0));
};

/** Wald interval and two-sided P on the log ratio, se √(1/a + 1/b). `null` when either count is 0: use the exact limits. Rothman et al (2008) ch 14. */
export const rateRatioWald = (rates: TwoRates, level = 0.95): (Interval & { seLog: number; p: number }) | null => {
  const { a, t1, b, t0 } = checked(rates);
  const z = zOf(level);
  if (a === 0 || b === 0) return null;
  const ratio = a / t1 / (b / t0);
  const seLog = Math.sqrt(1 / a + 1 / b);
  return { seLog, ...logSymmetric(ratio, seLog, z), p: 2 * pnorm(-Math.abs(Math.log(ratio)) / seLog) };
};

/** Conditional exact limits: a given a + b is binomial (Clopper–Pearson), odds · t0/t1. Upper `null` (unbounded) at b = 0; both at a + b = 0. */
export const rateRatioExact = (rates: TwoRates, level = 0.95): Interval => {
  const { a, t1, b, t0 } = checked(rates);
  const half = (1 - level01('level', level)) / 2;
  if (a + b === 0) return undefinedInterval;
  const odds = ({ x, y }: { x: number; y: number }): number => ((x / y) * t0) / t1;
  return interval(
    a === 0 ? 0 : odds(betaQuantile(half, a, b + 1)),
    b === 0 ? Infinity : odds(betaQuantile(half, a + 1, b, 'upper')),
  );
};

/** P(X > a) + P(X = a)/2 of a binomial with success odds w, and its derivative in ln w. */
const midAbove = (a: number, b: number, w: number): { mass: number; slope: number } => {
  const p = w / (1 + w);
  const q = 1 / (1 + w);
  const point = binomialDensity(a, b, p, q);
  const rest = b === 0 ? { lower: 0, density: 0 } : betaTails(p, q, a + 1, b);
  return { mass: rest.lower + point / 2, slope: rest.density + (point * (a * q - b * p)) / 2 };
};

/** Mid-P limits and the median-unbiased estimate (not defined when either count is 0). */
export const rateRatioMidP = (rates: TwoRates, level = 0.95): Interval & { medianUnbiased: number | null } => {
  const { a, t1, b, t0 } = checked(rates);
  const half = (1 - level01('level', level)) / 2;
  if (a + b === 0) return { ...undefinedInterval, medianUnbiased: null };
  const start = (a + 0.5) / (b + 0.5);
  // The mirror image (b over a) turns the upper limit into a lower one, so that the smaller tail is always the one solved for.
  const above = (x: number, y: number, mass: number): number =>
    solveMass((w) => midAbove(x, y, w), mass, x === a ? start : 1 / start, true);
  const scale = t0 / t1;
  return {
    ...interval(a === 0 ? 0 : above(a, b, half) * scale, b === 0 ? Infinity : scale / above(b, a, half)),
    medianUnbiased: a === 0 || b === 0 ? null : above(a, b, 0.5) * scale,
  };
};

/**
 * Two-sided exact P of equal rates: `doubled` (smaller tail twice), `minlike` (all outcomes no likelier than the one seen, as R's
 * poisson.test with its 1e-7 slack) and `mid` (smaller mid-P tail twice). All 1 at a + b = 0.
 */
export const rateRatioTest = (rates: TwoRates): { doubled: number; minlike: number; mid: number } => {
  const { a, t1, b, t0 } = checked(rates);
  const n = a + b;
  const p = t1 / (t1 + t0);
  const q = t0 / (t1 + t0);
  const below = pbinom(a, n, p);
  const above = a === 0 ? 1 : pbinom(a - 1, n, p, 'upper');
  const point = binomialDensity(a, b, p, q);
  const up = (b === 0 ? 0 : pbinom(a, n, p, 'upper')) + point / 2;
  const down = (a === 0 ? 0 : pbinom(a - 1, n, p)) + point / 2;
  return {
    doubled: Math.min(1, 2 * Math.min(below, above)),
    minlike: minlike(a, n, p, q, point * (1 + 1e-7)),
    mid: Math.min(1, 2 * Math.min(up, down)),
  };
};

const minlike = (a: number, n: number, p: number, q: number, bound: number): number => {
  const mean = n * p;
  if (a === mean) return 1;
  const density = (k: number): number => binomialDensity(k, n - k, p, q);
  // Beyond the mean the density only falls, so the first outcome rare enough is found by halving.
  if (a < mean) {
    let low = Math.ceil(mean);
    let high = n + 1;
    while (low < high) {
      const mid = Math.floor((low + high) / 2);
      if (density(mid) <= bound) high = mid;
      else low = mid + 1;
    }
    return Math.min(1, pbinom(a, n, p) + (low > n ? 0 : pbinom(low - 1, n, p, 'upper')));
  }
  let low = -1;
  let high = Math.floor(mean);
  while (low < high) {
    const mid = Math.ceil((low + high) / 2);
    if (density(mid) <= bound) low = mid;
    else high = mid - 1;
  }
  return Math.min(1, pbinom(a - 1, n, p, 'upper') + (low < 0 ? 0 : pbinom(low, n, p)));
};

/** a/t1 − b/t0 with a normal interval; per unit of exposure. */
export const rateDifference = (rates: TwoRates, level = 0.95): Interval & { difference: number; se: number } => {
  const { a, t1, b, t0 } = checked(rates);
  const difference = a / t1 - b / t0;
  const se = Math.sqrt(a / t1 ** 2 + b / t0 ** 2);
  return { difference, se, ...symmetric(difference, se, zOf(level)) };
};

/** 1 − 1/ratio: the share of the exposed events due to exposure (negative when it protects); `null` at a = 0, 1 at b = 0. */
export const attributableFraction = (rates: TwoRates): number | null => {
  const { a, t1, b, t0 } = checked(rates);
  return a === 0 ? null : defined(1 - b / t0 / (a / t1));
};
