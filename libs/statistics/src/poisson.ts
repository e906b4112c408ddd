import { level01, nonNegative, positive } from './checks';
import { defined, interval, logSymmetric, scaleInterval, symmetric, undefinedInterval, zOf, type Interval } from './interval';
import { gammaTails, poissonDensity, qchisq } from './special/gamma';
import { solveMass } from './special/solve';

// Every limit below is for an expected count. Counts may be fractional (weighted or shared events): the gamma form of each
// limit is continuous in the count.

/** A function from an observed count (≥ 0) and a level in (0, 1) to limits for the expected count. */
export type CountLimits = (count: number, level?: number) => Interval;

/** Exact limits for the mean of a Poisson count: lower χ²(α/2; 2x)/2, 0 at x = 0; upper χ²(1−α/2; 2x+2)/2. Garwood (1936). RangeError on a negative count. */
export const poissonExact: CountLimits = (count, level = 0.95) => {
  const half = (1 - level01('level', level)) / 2;
  return interval(nonNegative('count', count) === 0 ? 0 : qchisq(half, 2 * count) / 2, qchisq(half, 2 * count + 2, 'upper') / 2);
};

/** Byar's approximation (Breslow & Day 1987, p 69). Lower is 0 at 0 and `null` where the cube is negative (small counts at high levels). */
export const poissonByar: CountLimits = (count, level = 0.95) => {
  const z = zOf(level);
  const side = (x: number, sign: number): number => 1 - 1 / (9 * x) + (sign * z) / (3 * Math.sqrt(x));
  const cube = nonNegative('count', count) === 0 ? 0 : side(count, -1);
  return interval(cube < 0 ? NaN : count * cube ** 3, (count + 1) * side(count + 1, 1) ** 3);
};

/** Mid-P limits: P(X > x | m) + P(X = x | m)/2 = α/2 and its mirror; lower 0 at 0. Lancaster (1961) JASA 56:223. */
export const poissonMidP: CountLimits = (count, level = 0.95) => {
  const half = (1 - level01('level', level)) / 2;
  if (nonNegative('count', count) === 0) return interval(0, -Math.log(2 * half));
  const { lower, upper } = poissonExact(count, level);
  const above = (m: number) => {
    const density = poissonDensity(count, m);
    return { mass: gammaTails(m, count + 1).lower + density / 2, slope: (density * (m + count)) / 2 };
  };
  const below = (m: number) => {
    const density = poissonDensity(count, m);
    return { mass: gammaTails(m, count).upper + density / 2, slope: (-density * (m + count)) / 2 };
  };
  return interval(solveMass(above, half, lower!, true), solveMass(below, half, upper!, false));
};

/** x ± z √x, not truncated at 0. */
export const poissonNormal: CountLimits = (count, level = 0.95) =>
  symmetric(count, Math.sqrt(nonNegative('count', count)), zOf(level));

/** x · exp(∓ z/√x); not defined at 0. */
export const poissonLognormal: CountLimits = (count, level = 0.95) =>
  logSymmetric(nonNegative('count', count), 1 / Math.sqrt(count), zOf(level));

/** Exact below 10, Byar from 10, and which it was (PHE Fingertips technical guide). */
export const poissonByRule = (count: number, level = 0.95): Interval & { readonly method: 'exact' | 'byar' } =>
  count < 10 ? { method: 'exact', ...poissonExact(count, level) } : { method: 'byar', ...poissonByar(count, level) };

/**
 * Crude rate and its limits per `multiplier` units of `exposure` (default per 1): the count's limits carried over, the exposure
 * taken as known. All `null` at exposure 0. RangeError on negative or non-finite arguments.
 */
export const crudeRate = (
  { count, exposure, multiplier = 1 }: { count: number; exposure: number; multiplier?: number },
  level = 0.95,
  limits: CountLimits = poissonByRule,
): Interval & { readonly rate: number | null } => {
  const factor = positive('multiplier', multiplier) / nonNegative('exposure', exposure);
  const counted = limits(nonNegative('count', count), level);
  if (exposure === 0) return { rate: null, ...undefinedInterval };
  return { rate: defined(count * factor), ...scaleInterval(counted, factor) };
};
