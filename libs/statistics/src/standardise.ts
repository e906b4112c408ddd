import { level01, nonNegative, positive, sameLength } from './checks';
import { defined, interval, logSymmetric, scaleInterval, symmetric, undefinedInterval, zOf, type Interval } from './interval';
import { poissonByar, poissonExact, poissonLognormal, type CountLimits } from './poisson';
import { ppois, qchisq } from './special/gamma';

const sum = (values: readonly number[]): number => values.reduce((total, value) => total + value, 0);
const each = (name: string, values: readonly number[], check = nonNegative): void =>
  values.forEach((value, i) => check(`${name}[${i}]`, value));

/**
 * A weighted sum of independent Poisson counts: y = Σ cᵢxᵢ with v = Σ cᵢ²xᵢ. `count` is Σ xᵢ; `largest` and `mean` carry the
 * weights an interval needs to allow for the events not seen (mean and mean square over the terms).
 */
export type WeightedSum = {
  readonly estimate: number;
  readonly variance: number;
  readonly count: number;
  readonly largest: number;
  readonly mean: number;
  readonly meanSquare: number;
};

/** Σ weight · count over terms of equal length; weights ≥ 0. RangeError on negatives, NaN or unequal lengths. */
export const weightedSum = (counts: readonly number[], weights: readonly number[]): WeightedSum => {
  const n = sameLength({ counts, weights });
  each('counts', counts);
  each('weights', weights);
  return {
    estimate: sum(counts.map((x, i) => x * weights[i]!)),
    variance: sum(counts.map((x, i) => x * weights[i]! ** 2)),
    count: sum(counts),
    largest: weights.reduce((a, b) => Math.max(a, b), 0),
    mean: n ? sum(weights as number[]) / n : 0,
    meanSquare: n ? sum(weights.map((w) => w * w)) / n : 0,
  };
};

/** y + √(v/X)(limits of X − X). Dobson et al (1991) Stat Med 10:457, on Byar or exact limits of the total count. Undefined at no events. */
export const dobson = (
  y: Pick<WeightedSum, 'estimate' | 'variance' | 'count'>,
  level = 0.95,
  limits: CountLimits = poissonByar,
): Interval => {
  const { lower, upper } = limits(y.count, level);
  if (y.count === 0) return undefinedInterval;
  const factor = Math.sqrt(y.variance / y.count);
  const shift = (limit: number | null) => (limit === null ? null : defined(y.estimate + factor * (limit - y.count)));
  return { lower: shift(lower), upper: shift(upper) };
};

const gammaLimits = (y: { estimate: number; variance: number }, extra: number, extraSquare: number, level: number): Interval => {
  const half = (1 - level01('level', level)) / 2;
  const { estimate, variance } = y;
  const lower = estimate === 0 ? 0 : (variance / (2 * estimate)) * qchisq(half, (2 * estimate * estimate) / variance);
  const up = estimate + extra;
  const upVariance = variance + extraSquare;
  if (!(up > 0 && upVariance > 0)) return { lower: defined(lower), upper: null };
  return interval(lower, (upVariance / (2 * up)) * qchisq(half, (2 * up * up) / upVariance, 'upper'));
};

/** Gamma limits, the unseen event given the largest weight: conservative. Fay & Feuer (1997) Stat Med 16:791. Lower 0 at no events. */
export const fayFeuer = (y: Pick<WeightedSum, 'estimate' | 'variance' | 'largest'>, level = 0.95): Interval =>
  gammaLimits(y, y.largest, y.largest ** 2, level);

/** As Fay–Feuer with the mean weight and mean square weight in place of the largest. Tiwari, Clegg & Zou (2006) Stat Methods Med Res 15:547. */
export const tiwari = (y: Pick<WeightedSum, 'estimate' | 'variance' | 'mean' | 'meanSquare'>, level = 0.95): Interval =>
  gammaLimits(y, y.mean, y.meanSquare, level);

/** y ± z √v; not truncated. */
export const normalLimits = (y: Pick<WeightedSum, 'estimate' | 'variance'>, level = 0.95): Interval =>
  symmetric(y.estimate, Math.sqrt(y.variance), zOf(level));

/** y · exp(∓ z √v / y); undefined at 0. */
export const lognormalLimits = (y: Pick<WeightedSum, 'estimate' | 'variance'>, level = 0.95): Interval =>
  logSymmetric(y.estimate, Math.sqrt(y.variance) / y.estimate, zOf(level));

/**
 * Directly standardised rate per `multiplier`: Σ wᵢxᵢ/nᵢ / Σ w over bands (arrays of equal length; the standard's weights are
 * divided by their sum). Returned as a `WeightedSum`, to be given to `dobson`, `fayFeuer`, `tiwari` and the rest.
 * RangeError on negatives, a weight sum of 0, or a band with weight but exposure 0: no rate exists there — join bands first.
 */
export const standardisedRate = ({
  counts,
  exposures,
  weights,
  multiplier = 1,
}: {
  counts: readonly number[];
  exposures: readonly number[];
  weights: readonly number[];
  multiplier?: number;
}): WeightedSum => {
  sameLength({ counts, exposures, weights });
  each('weights', weights);
  const total = positive('sum of weights', sum(weights));
  positive('multiplier', multiplier);
  const scaled = weights.map((w, i) => (w === 0 ? 0 : (multiplier * w) / (total * positive(`exposures[${i}]`, exposures[i]!))));
  each('exposures', exposures);
  return weightedSum(counts, scaled);
};

type Estimate = { readonly estimate: number; readonly variance: number };

/** Ratio of two independent rates with a log-normal interval; se on the log scale. `null`s where either is 0. */
export const ratioOf = (a: Estimate, b: Estimate, level = 0.95): Interval & { ratio: number | null; seLog: number | null } => {
  const ratio = a.estimate / b.estimate;
  const seLog = Math.sqrt(a.variance / a.estimate ** 2 + b.variance / b.estimate ** 2);
  return { ratio: defined(ratio), seLog: defined(seLog), ...logSymmetric(ratio, seLog, zOf(level)) };
};

/** Difference a − b of two independent rates, in their units, with a normal interval. */
export const differenceOf = (a: Estimate, b: Estimate, level = 0.95): Interval & { difference: number; se: number } => {
  const difference = a.estimate - b.estimate;
  const se = Math.sqrt(a.variance + b.variance);
  return { difference, se, ...symmetric(difference, se, zOf(level)) };
};

/** Events expected at the reference's band rates: Σ exposure · refCount / refExposure. RangeError where exposure meets refExposure 0. */
export const expectedCount = (
  exposures: readonly number[],
  refCounts: readonly number[],
  refExposures: readonly number[],
): number => {
  sameLength({ exposures, refCounts, refExposures });
  each('exposures', exposures);
  each('refCounts', refCounts);
  return sum(exposures.map((n, i) => (n === 0 ? 0 : (n * refCounts[i]!) / positive(`refExposures[${i}]`, refExposures[i]!))));
};

/**
 * Indirectly standardised ratio observed / expected, the observed count's limits divided by the expected (taken as known).
 * Breslow & Day (1987). All `null` at expected 0. Multiply by a reference crude rate for a standardised rate.
 */
export const standardisedRatio = (
  observed: number,
  expected: number,
  level = 0.95,
  limits: CountLimits = poissonByar,
): Interval & { readonly ratio: number | null } => {
  const counted = limits(nonNegative('observed', observed), level);
  if (nonNegative('expected', expected) === 0) return { ratio: null, ...undefinedInterval };
  return { ratio: defined(observed / expected), ...scaleInterval(counted, 1 / expected) };
};

/** Limits of a standardised ratio on the log scale; at 0 observed the lower is 0 and the upper undefined. */
export const lognormalRatioLimits: CountLimits = (count, level = 0.95) =>
  count === 0 ? { lower: 0, upper: null } : poissonLognormal(count, level);

/** Exact two-sided P of a Poisson count against an expected one: the smaller tail doubled, at most 1. */
export const poissonTest = (observed: number, expected: number): number => {
  nonNegative('observed', observed);
  return Math.min(1, 2 * Math.min(ppois(observed, expected), ppois(observed - 1, expected, 'upper')));
};

/** Exact limits of a ratio at 95 % and 99.8 %, for funnel comparison against 1. */
export const funnelLimits = (observed: number, expected: number): { at95: Interval; at998: Interval } => {
  const at = (level: number): Interval => {
    const { lower, upper } = standardisedRatio(observed, expected, level, poissonExact);
    return { lower, upper };
  };
  return { at95: at(0.95), at998: at(0.998) };
};
