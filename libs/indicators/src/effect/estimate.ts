/** What every step of the ladder answers, and how the answers of cohorts become one. */
import type { ljungBox } from '@vigil/statistics';
import type { Problem } from '@vigil/vocabulary';
import type { Cohort } from './series';

export interface RatioInterval {
  readonly value: number;
  readonly low: number | null;
  readonly high: number | null;
}

export interface Diagnostics {
  readonly family: 'poisson' | 'quasi-poisson' | 'negative-binomial' | 'exact-poisson';
  /** Pearson; above 1 the counts vary more than the family says. Of several cohorts the largest. */
  readonly dispersion: number | null;
  /** Of a negative binomial. */
  readonly theta: number | null;
  /** Months a side; of several cohorts the fewest. */
  readonly points: { readonly before: number; readonly after: number };
  readonly events: { readonly before: number; readonly after: number };
  /** Standard errors of the log ratio; the interval is made of the largest, `which`. */
  readonly se: {
    readonly model: number | null;
    readonly neweyWest: number | null;
    readonly clustered: number | null;
    readonly reported: number | null;
    readonly which: 'model' | 'newey-west' | 'clustered' | 'exact';
  };
  /** Of the residuals; of several cohorts the one with the smallest P. */
  readonly ljungBox: ReturnType<typeof ljungBox>;
  /** Pairs of sine and cosine of a year. */
  readonly harmonics: number;
}

/** One month; `null` where a side counts for nothing (wash-out) or nothing is expected by the method. */
export interface PathPoint {
  readonly month: number;
  readonly observed: number;
  readonly exposure: number;
  readonly fitted: number | null;
  readonly counterfactual: number | null;
}

export interface LeftOut {
  readonly cohort: Cohort;
  readonly reason: Problem;
}

export interface Estimated extends RatioInterval {
  /** Events of the treated units in the months that count as after. */
  readonly observed: number;
  /** Events expected in them without the programme. */
  readonly expected: number;
  readonly paths: readonly (readonly PathPoint[])[];
  readonly diagnostics: Diagnostics;
  readonly leftOut: readonly LeftOut[];
  /** Months that a unit lacks, of all cohorts used. */
  readonly monthsMissing: number;
  readonly season: 'modelled' | 'matched' | 'same-months' | 'not-modelled';
  /** Its: the change at the start and the change of trend per month, which the estimate sums up. */
  readonly level?: RatioInterval;
  readonly slope?: RatioInterval;
  /** Did: P of a difference of the two groups' trends before. */
  readonly trendsP?: number | null;
  /** Did: compared with. */
  readonly comparison?: readonly string[];
  readonly joined?: readonly string[];
  /** Several cohorts: P of Cochran's Q. */
  readonly differP?: number | null;
}

export const ratioInterval = (log: number, se: number, quantile: number): RatioInterval => ({
  value: Math.exp(log),
  low: Math.exp(log - quantile * se),
  high: Math.exp(log + quantile * se),
});

/** Weights by inverse variance, and the variance of the weighted mean under the whole covariance. */
export const pooledMean = (
  logs: readonly number[],
  covariance: readonly (readonly number[])[],
): { readonly weights: readonly number[]; readonly log: number; readonly variance: number } => {
  const inverse = logs.map((_, i) => 1 / covariance[i]![i]!);
  const sum = inverse.reduce((a, b) => a + b, 0);
  const weights = inverse.map((w) => w / sum);
  const log = logs.reduce((at, value, i) => at + weights[i]! * value, 0);
  const variance = weights.reduce((at, w, i) => at + weights.reduce((row, v, j) => row + w * v * covariance[i]![j]!, 0), 0);
  return { weights, log, variance };
};

export const diagonal = (variances: readonly number[]): number[][] =>
  variances.map((v, i) => variances.map((_, j) => (i === j ? v : 0)));

/** The diagnostics of several cohorts: the least favourable of each, events summed. */
export const together = (all: readonly Diagnostics[], se: Diagnostics['se']): Diagnostics => {
  const [first, ...rest] = all;
  if (rest.length === 0) return first!;
  const least = (pick: (d: Diagnostics) => number) => Math.min(...all.map(pick));
  const sum = (pick: (d: Diagnostics) => number) => all.reduce((at, d) => at + pick(d), 0);
  const worst = [...all].sort((x, y) => (x.ljungBox.p ?? 1) - (y.ljungBox.p ?? 1))[0]!;
  const wildest = [...all].sort((x, y) => (y.dispersion ?? 0) - (x.dispersion ?? 0))[0]!;
  return {
    family: wildest.family,
    dispersion: wildest.dispersion,
    theta: wildest.theta,
    points: { before: least(({ points }) => points.before), after: least(({ points }) => points.after) },
    events: { before: sum(({ events }) => events.before), after: sum(({ events }) => events.after) },
    se,
    ljungBox: worst.ljungBox,
    harmonics: least(({ harmonics }) => harmonics),
  };
};
