import { level01 } from './checks';
import { qnorm } from './special/normal';

/** Limits of a confidence interval; `null` where the method defines none (never NaN, never Infinity). */
export type Interval = { readonly lower: number | null; readonly upper: number | null };

export const undefinedInterval: Interval = { lower: null, upper: null };

/** Replaces NaN and infinities by `null`: what JSON can carry and what "not defined" means throughout this library. */
export const defined = (value: number): number | null => (Number.isFinite(value) ? value : null);

export const interval = (lower: number, upper: number): Interval => ({ lower: defined(lower), upper: defined(upper) });

/** Both limits times a non-negative factor; undefined limits stay undefined. */
export const scaleInterval = ({ lower, upper }: Interval, factor: number): Interval => ({
  lower: lower === null ? null : defined(lower * factor),
  upper: upper === null ? null : defined(upper * factor),
});

/** Two-sided normal quantile of a confidence level: 0.95 gives 1.959964. RangeError outside (0, 1). */
export const zOf = (level: number): number => -qnorm((1 - level01('level', level)) / 2);

/** estimate ± quantile · se. */
export const symmetric = (estimate: number, se: number, quantile: number): Interval =>
  interval(estimate - quantile * se, estimate + quantile * se);

/** exp(ln estimate ± z · seLog): for ratios; undefined unless the estimate is above 0. */
export const logSymmetric = (estimate: number, seLog: number, z: number): Interval =>
  estimate > 0 && Number.isFinite(seLog)
    ? interval(estimate * Math.exp(-z * seLog), estimate * Math.exp(z * seLog))
    : undefinedInterval;

/** Upper normal quantile of a one-sided alpha: 0.025 gives 1.959964. RangeError outside (0, 1). */
export const zUpper = (alpha: number): number => -qnorm(level01('alpha', alpha));
