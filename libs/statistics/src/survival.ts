import { nonNegative, sameLength } from './checks';
import { defined, undefinedInterval, zOf, type Interval } from './interval';
import { pchisq } from './special/gamma';

/** One step of a survival curve at an observed time; `greenwood` is Σ d/(r(r−d)) up to it. */
export type SurvivalStep = {
  readonly time: number;
  readonly atRisk: number;
  readonly events: number;
  readonly survival: number;
  readonly greenwood: number;
};

export type SurvivalInterval = 'plain' | 'log' | 'log-log';

/**
 * Kaplan–Meier product-limit estimate. `times` ≥ 0 and `observed` (true = event, false = censored) of equal length; censored at a
 * time counts as at risk at it. One step per distinct time. RangeError on negatives, NaN, unequal lengths.
 */
export const kaplanMeier = (times: readonly number[], observed: readonly boolean[]): SurvivalStep[] => {
  sameLength({ times, observed });
  times.forEach((t, i) => nonNegative(`times[${i}]`, t));
  const order = times.map((_, i) => i).sort((i, j) => times[i]! - times[j]!);
  const steps: SurvivalStep[] = [];
  let survival = 1;
  let greenwood = 0;
  for (let i = 0; i < order.length; ) {
    const time = times[order[i]!]!;
    const atRisk = order.length - i;
    let events = 0;
    for (; i < order.length && times[order[i]!] === time; i++) if (observed[order[i]!]) events++;
    survival = events === atRisk ? 0 : survival * (1 - events / atRisk);
    greenwood += events === 0 ? 0 : events / (atRisk * (atRisk - events));
    steps.push({ time, atRisk, events, survival, greenwood });
  }
  return steps;
};

const stepLimits = ({ survival: s, greenwood }: SurvivalStep, kind: SurvivalInterval, z: number): Interval => {
  const relative = Math.sqrt(greenwood);
  if (s === 0) return undefinedInterval;
  if (greenwood === 0) return { lower: s, upper: s };
  if (kind === 'plain') return { lower: Math.max(0, s - z * s * relative), upper: Math.min(1, s + z * s * relative) };
  if (kind === 'log') return { lower: s * Math.exp(-z * relative), upper: Math.min(1, s * Math.exp(z * relative)) };
  const spread = (z * relative) / Math.abs(Math.log(s));
  return { lower: s ** Math.exp(spread), upper: s ** Math.exp(-spread) };
};

/** Survival, its Greenwood se and limits at a time, with the number still at risk just before it. At S = 0 the limits are undefined. */
export const survivalAt = (
  curve: readonly SurvivalStep[],
  time: number,
  level = 0.95,
  kind: SurvivalInterval = 'log-log',
): Interval & { atRisk: number; survival: number; se: number | null } => {
  const z = zOf(level);
  const next = curve.find((step) => step.time >= time);
  const last = curve.filter((step) => step.time <= time).at(-1);
  const atRisk = next?.atRisk ?? 0;
  if (!last) return { atRisk, survival: 1, se: 0, lower: 1, upper: 1 };
  return {
    atRisk,
    survival: last.survival,
    se: defined(last.survival * Math.sqrt(last.greenwood)),
    ...stepLimits(last, kind, z),
  };
};

/** First time a falling step curve is at or below 1 − q; the middle of the flat when exactly on it (R's quantile.survfit). */
const crossing = (curve: readonly SurvivalStep[], heights: readonly (number | null)[], q: number): number | null => {
  const slack = 1e-9;
  const at = heights.findIndex((height) => height !== null && height <= 1 - q + slack);
  if (at < 0) return null;
  if (Math.abs(heights[at]! - (1 - q)) > slack) return curve[at]!.time;
  const after = heights.findIndex((height, i) => i > at && height !== null && height < 1 - q - slack);
  return after < 0 ? curve[at]!.time : (curve[at]!.time + curve[after]!.time) / 2;
};

/**
 * Time by which a share `q` (0.5: the median) has had the event, its limits by inverting the curve's pointwise limits.
 * `null` where the curve doesn't fall so far: an open limit. Brookmeyer & Crowley (1982).
 */
export const survivalQuantile = (
  curve: readonly SurvivalStep[],
  q = 0.5,
  level = 0.95,
  kind: SurvivalInterval = 'log-log',
): Interval & { quantile: number | null } => {
  const z = zOf(level);
  const limits = curve.map((step) => stepLimits(step, kind, z));
  return {
    quantile: crossing(
      curve,
      curve.map((step) => step.survival),
      q,
    ),
    lower: crossing(
      curve,
      limits.map((l) => l.lower),
      q,
    ),
    upper: crossing(
      curve,
      limits.map((l) => l.upper),
      q,
    ),
  };
};

/** Mean time up to `until` (area under the curve) and its se: √ Σ A² d/(r(r−d)), A the area from the step on. */
export const restrictedMean = (curve: readonly SurvivalStep[], until: number): { mean: number; se: number | null } => {
  const steps = curve.filter((step) => step.time < until);
  const ends = [...steps.slice(1).map((step) => step.time), until];
  const areas = steps.map((step, i) => step.survival * (ends[i]! - step.time));
  let after = 0;
  let variance = 0;
  for (let i = steps.length - 1; i >= 0; i--) {
    after += areas[i]!;
    const { events, atRisk } = steps[i]!;
    if (events > 0 && after > 0) variance += (after * after * events) / (atRisk * (atRisk - events));
  }
  return { mean: Math.min(until, steps[0]?.time ?? until) + after, se: defined(Math.sqrt(variance)) };
};

/** Log-rank (Mantel–Haenszel) test of equal survival in k groups: χ² on k − 1 df. `group` labels of the length of `times`. */
export const logRank = (
  times: readonly number[],
  observed: readonly boolean[],
  group: readonly (string | number)[],
): { statistic: number | null; df: number; p: number | null } => {
  sameLength({ times, observed, group });
  const names = [...new Set(group)];
  const k = names.length;
  const excess = names.map(() => 0);
  const covariance = names.map(() => names.map(() => 0));
  const at = new Map<number, { events: number[]; leaving: number[] }>();
  times.forEach((time, i) => {
    const row = at.get(nonNegative(`times[${i}]`, time)) ?? { events: names.map(() => 0), leaving: names.map(() => 0) };
    const g = names.indexOf(group[i]!);
    row.leaving[g]!++;
    if (observed[i]) row.events[g]!++;
    at.set(time, row);
  });
  const risk = names.map((name) => group.filter((g) => g === name).length);
  for (const [, { events, leaving }] of [...at].sort(([s], [t]) => s - t)) {
    const r = risk.reduce((a, b) => a + b, 0);
    const d = events.reduce((a, b) => a + b, 0);
    for (let i = 0; i < k && d > 0; i++) {
      excess[i]! += events[i]! - (d * risk[i]!) / r;
      for (let j = 0; j < k && r > 1; j++)
        covariance[i]![j]! += ((d * (r - d)) / (r - 1)) * (risk[i]! / r) * ((i === j ? 1 : 0) - risk[j]! / r);
    }
    leaving.forEach((n, i) => (risk[i]! -= n));
  }
  const statistic =
    k > 1
      ? quadraticForm(
          covariance.slice(1).map((row) => row.slice(1)),
          excess.slice(1),
        )
      : NaN;
  return Number.isFinite(statistic)
    ? { statistic, df: k - 1, p: pchisq(Math.max(0, statistic), k - 1, 'upper') }
    : { statistic: null, df: k - 1, p: null };
};

/** u' V⁻¹ u for positive definite V, by Cholesky; NaN when V is singular. */
const quadraticForm = (v: readonly (readonly number[])[], u: readonly number[]): number => {
  const l: number[][] = v.map(() => []);
  const solved: number[] = [];
  for (let i = 0; i < u.length; i++) {
    for (let j = 0; j <= i; j++) {
      let s = v[i]![j]!;
      for (let m = 0; m < j; m++) s -= l[i]![m]! * l[j]![m]!;
      l[i]![j] = i === j ? Math.sqrt(s) : s / l[j]![j]!;
    }
    let s = u[i]!;
    for (let m = 0; m < i; m++) s -= l[i]![m]! * solved[m]!;
    solved[i] = s / l[i]![i]!;
  }
  return solved.reduce((sum, x) => sum + x * x, 0);
};
