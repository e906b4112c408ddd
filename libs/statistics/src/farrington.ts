import { answer, refuse, type Answer } from './answer';
import { nonNegative, positive, level01, wholeNumber } from './checks';
import { zUpper } from './interval';
import { pt } from './special/beta';
import { nbinomUpper, pnbinom, poissonUpper } from './special/discrete';
import { ppois } from './special/gamma';

export type FarringtonOptions = {
  /** Points per year. */
  readonly frequency?: number;
  /** Years to look back. */
  readonly years?: number;
  /** Points either side of each reference point. */
  readonly halfWidth?: number;
  /** Seasonal levels of a year, the reference window being one; 1 leaves only the windows in the baseline. */
  readonly periods?: number;
  /** Latest points kept out of the baseline, so that an outbreak under way doesn't hide itself. */
  readonly excludeLatest?: number;
  readonly reweight?: boolean;
  /** Anscombe residuals above it are weighted down. */
  readonly weightsThreshold?: number;
  readonly trend?: boolean;
  /** The trend is kept at P below it; 1 keeps it wherever the other two conditions hold. */
  readonly trendP?: number;
  /**
   * Which dispersion the P of the trend uses: the fit's own, or (`prior-weights`) that of R surveillance 1.20.3, where the working
   * weights have been overwritten by the prior ones.
   */
  readonly trendDispersion?: 'pearson' | 'prior-weights';
  /** One-sided. */
  readonly alpha?: number;
  /** No alarm unless the last `points` hold `events`. */
  readonly minimum?: { readonly events: number; readonly points: number };
};

export type FarringtonPoint = {
  /** Index in the series. */
  readonly at: number;
  readonly observed: number;
  readonly expected: number | null;
  /** Never below 1. */
  readonly dispersion: number | null;
  readonly trend: boolean;
  /** Threshold; `null` where too few events in the last points make an alarm impossible, and where no model could be fitted. */
  readonly upper: number | null;
  readonly alarm: boolean;
  /** Chance of at least the observed count (`flexible` only). */
  readonly p: number | null;
  /** Why there is no threshold, or a caution about it. */
  readonly reason: string | null;
};

type Baseline = {
  readonly y: Float64Array;
  /** Time less the time judged: a prediction there is the level alone. */
  readonly t: Float64Array;
  /** Level of the season, 0 … groups − 1; the judged point has the last. */
  readonly group: Uint8Array;
  readonly groups: number;
};

type Fit = {
  readonly level: number;
  readonly slope: number;
  readonly slopeVariance: number;
  /** Of the linear predictor at the judged point, at dispersion 1. */
  readonly levelVariance: number;
  readonly dispersion: number;
  readonly priorDispersion: number;
  readonly df: number;
  readonly eta: Float64Array;
  readonly mu: Float64Array;
  readonly leverage: Float64Array;
};

const maxSteps = 100;

/**
 * Poisson regression on one factor and (perhaps) time by IRLS. The normal equations of a factor and one covariate are an arrow:
 * each step is a weighted mean per level and one slope through the deviations, O(n) and without a matrix. Start (y + 0.1) and
 * the use of the last working weights are those of R's glm at epsilon = 1e-14. A level without events runs to 0 by a factor e
 * a step, and settles with the deviance. `null`: no convergence.
 */
const fitLevels = ({ y, t, group, groups }: Baseline, prior: Float64Array, trend: boolean): Fit | null => {
  const n = y.length;
  const eta = new Float64Array(n);
  const mu = new Float64Array(n);
  const w = new Float64Array(n);
  const leverage = new Float64Array(n);
  const working = new Float64Array(n);
  const weight = new Float64Array(groups);
  const meanT = new Float64Array(groups);
  const meanZ = new Float64Array(groups);
  const logY = new Float64Array(n);
  let devianceBefore = 0;
  for (let i = 0; i < n; i++) {
    mu[i] = y[i]! + 0.1;
    eta[i] = Math.log(mu[i]!);
    logY[i] = y[i] === 0 ? 0 : Math.log(y[i]!);
    devianceBefore += prior[i]! * (y[i]! * (logY[i]! - eta[i]!) - (y[i]! - mu[i]!));
  }
  devianceBefore *= 2;
  let slope = 0;
  let spread = 0;
  for (let step = 0; ; step++) {
    if (step === maxSteps) return null;
    weight.fill(0);
    meanT.fill(0);
    meanZ.fill(0);
    for (let i = 0; i < n; i++) {
      const g = group[i]!;
      const wi = prior[i]! * mu[i]!;
      const wz = wi * eta[i]! + prior[i]! * (y[i]! - mu[i]!);
      w[i] = wi;
      working[i] = wz;
      weight[g]! += wi;
      meanT[g]! += wi * t[i]!;
      meanZ[g]! += wz;
    }
    for (let g = 0; g < groups; g++) {
      meanT[g]! /= weight[g]!;
      meanZ[g]! /= weight[g]!;
    }
    slope = 0;
    if (trend) {
      let cross = 0;
      spread = 0;
      for (let i = 0; i < n; i++) {
        const g = group[i]!;
        const d = t[i]! - meanT[g]!;
        spread += w[i]! * d * d;
        cross += d * (working[i]! - w[i]! * meanZ[g]!);
      }
      slope = cross / spread;
    }
    let sum = 0;
    let moved = 0;
    for (let i = 0; i < n; i++) {
      const g = group[i]!;
      const e = meanZ[g]! + slope * (t[i]! - meanT[g]!);
      moved = Math.max(moved, Math.abs(e - eta[i]!));
      eta[i] = e;
      mu[i] = Math.exp(e);
      sum += prior[i]! * (y[i]! * (logY[i]! - e) - (y[i]! - mu[i]!));
    }
    const deviance = 2 * sum;
    if (!Number.isFinite(deviance)) return null;
    // With counts in the thousands the deviance is rounded more coarsely than that; then the predictors themselves decide.
    const settled = moved < 1e-9 || Math.abs(deviance - devianceBefore) < 1e-14 * (Math.abs(deviance) + 0.1);
    devianceBefore = deviance;
    if (settled) break;
  }
  let pearson = 0;
  let priorPearson = 0;
  for (let i = 0; i < n; i++) {
    const g = group[i]!;
    const residual = (y[i]! - mu[i]!) / mu[i]!;
    pearson += w[i]! * residual * residual;
    priorPearson += prior[i]! * residual * residual;
    leverage[i] = w[i]! * (1 / weight[g]! + (trend ? (t[i]! - meanT[g]!) ** 2 / spread : 0));
  }
  const df = n - groups - (trend ? 1 : 0);
  const own = groups - 1;
  return {
    level: meanZ[own]! - slope * meanT[own]!,
    slope,
    slopeVariance: trend ? 1 / spread : 0,
    levelVariance: 1 / weight[own]! + (trend ? meanT[own]! ** 2 / spread : 0),
    dispersion: pearson / df,
    priorDispersion: priorPearson / df,
    df,
    eta,
    mu,
    leverage,
  };
};

/** Weights that take past outbreaks out: 1 up to the threshold, (threshold passed) residual⁻², scaled to sum to n. */
const outbreakWeights = (y: Float64Array, fit: Fit, threshold: number): Float64Array => {
  const phi = Math.max(1, fit.dispersion);
  const weights = y.map((value, i) => {
    const free = 1 - fit.leverage[i]!;
    // A point that is its level's only one fits itself: it has no residual.
    if (free < 1e-10) return 1;
    const raw = 1.5 * (Math.cbrt(value) ** 2 * Math.exp(-fit.eta[i]! / 6) - Math.sqrt(fit.mu[i]!));
    const residual = raw / Math.sqrt(phi * free);
    return residual > threshold ? residual ** -2 : 1;
  });
  const factor = y.length / weights.reduce((a, b) => a + b, 0);
  return weights.map((x) => x * factor);
};

type Model = Fit & { readonly phi: number; readonly trend: boolean };
type Rules = {
  readonly reweight: boolean;
  readonly weightsThreshold: number;
  readonly trend: boolean;
  readonly years: number;
  readonly trendP: number;
  readonly trendDispersion: 'pearson' | 'prior-weights';
};

const modelOf = (baseline: Baseline, rules: Rules): Model | null => {
  const even = new Float64Array(baseline.y.length).fill(1);
  const fitted = (trend: boolean): Model | null => {
    let used = trend;
    let fit = fitLevels(baseline, even, used);
    if (!fit && trend) fit = fitLevels(baseline, even, (used = false));
    if (fit && rules.reweight) fit = fitLevels(baseline, outbreakWeights(baseline.y, fit, rules.weightsThreshold), used);
    return fit && { ...fit, phi: Math.max(1, fit.dispersion), trend: used };
  };
  const model = fitted(rules.trend);
  if (!model?.trend) return model;
  const significant = (): boolean => {
    const dispersion = rules.trendDispersion === 'pearson' ? model.dispersion : model.priorDispersion;
    const t = model.slope / Math.sqrt(dispersion * model.slopeVariance);
    return 2 * pt(-Math.abs(t), model.df) < rules.trendP;
  };
  // No trend is believed that takes the expected count beyond all that was ever seen.
  const largest = baseline.y.reduce((a, b) => Math.max(a, b), 0);
  const kept = rules.years >= 3 && Math.exp(model.level) <= largest && (rules.trendP >= 1 || significant());
  return kept ? model : fitted(false);
};

/**
 * Baseline of a point: the windows around the same point of each year before and, with `periods` > 1, the points between them cut
 * into `periods` − 1 levels of equal length (the first ones longer by the rest).
 */
const baselineOf = (
  counts: ArrayLike<number>,
  k: number,
  { frequency, years, halfWidth: w, periods, excludeLatest }: Required<Omit<FarringtonOptions, 'minimum'>>,
): Baseline => {
  const y: number[] = [];
  const t: number[] = [];
  const level: number[] = [];
  const last = k - excludeLatest - 1;
  const take = (from: number, to: number, group: number): void => {
    for (let i = from; i <= Math.min(to, last); i++) {
      y.push(counts[i]!);
      t.push(i - k);
      level.push(group);
    }
  };
  const gap = frequency - 2 * w - 1;
  for (let year = years; year >= 1; year--) {
    const reference = k - year * frequency;
    take(reference - w, reference + w, periods - 1);
    if (periods === 1) continue;
    let from = reference + w + 1;
    for (let j = 0; j < periods - 1; j++) {
      const length = Math.floor(gap / (periods - 1)) + (j < gap % (periods - 1) ? 1 : 0);
      take(from, from + length - 1, j);
      from += length;
    }
  }
  if (periods > 1) take(k - w, k, periods - 1);
  return { y: Float64Array.from(y), t: Float64Array.from(t), group: Uint8Array.from(level), groups: periods };
};

const checkedOptions = (counts: readonly number[], at: readonly number[], options: Required<FarringtonOptions>): void => {
  const { frequency, years, halfWidth, periods, excludeLatest, minimum, alpha } = options;
  counts.forEach((y, i) => wholeNumber(`counts[${i}]`, y));
  positive('frequency', wholeNumber('frequency', frequency));
  positive('years', wholeNumber('years', years));
  positive('periods', wholeNumber('periods', periods));
  wholeNumber('halfWidth', halfWidth);
  wholeNumber('excludeLatest', excludeLatest);
  level01('alpha', alpha);
  nonNegative('minimum.events', minimum.events);
  positive('minimum.points', wholeNumber('minimum.points', minimum.points));
  if (2 * halfWidth + 1 + Math.max(0, periods - 1) > frequency)
    refuse(
      'bad-input',
      `${periods} levels and a window of ${2 * halfWidth + 1} do not fit into ${frequency} points a year`,
      'periods',
    );
  const first = years * frequency + halfWidth;
  for (const k of at) {
    if (!(wholeNumber('at', k) < counts.length))
      refuse('bad-input', `point ${k} lies beyond the series of ${counts.length}`, 'at');
    if (k < first) refuse('too-short', `point ${k} has ${k} before it; ${years} years need ${first}`, 'at');
  }
};

const judge = (
  counts: readonly number[],
  at: readonly number[] | undefined,
  options: Required<FarringtonOptions>,
  threshold: (model: Model, expected: number, observed: number) => { upper: number | null; p: number | null },
): Answer<readonly FarringtonPoint[]> =>
  answer(() => {
    const first = options.years * options.frequency + options.halfWidth;
    if (!at && counts.length <= first)
      refuse('too-short', `${counts.length} points; ${options.years} years before the first judged need ${first + 1}`);
    const points = at ?? Array.from({ length: counts.length - first }, (_, i) => first + i);
    checkedOptions(counts, points, options);
    return points.map((k): FarringtonPoint => {
      const observed = counts[k]!;
      const none = { at: k, observed, expected: null, dispersion: null, trend: false, upper: null, alarm: false, p: null };
      const baseline = baselineOf(counts, k, options);
      const spare = baseline.y.length - baseline.groups - (options.trend ? 1 : 0);
      const held = new Set(baseline.group);
      if (spare < 1 || held.size < baseline.groups)
        return { ...none, reason: 'too few points of baseline for the levels of the season' };
      const model = modelOf(baseline, options);
      if (!model) return { ...none, reason: 'the model of the baseline does not converge' };
      const expected = Math.exp(model.level);
      const { upper, p } = threshold(model, expected, observed);
      let recent = 0;
      for (let i = Math.max(0, k - options.minimum.points + 1); i <= k; i++) recent += counts[i]!;
      const enough = recent >= options.minimum.events;
      const seen = baseline.y.some((value, i) => value > 0 && baseline.group[i] === baseline.groups - 1);
      return {
        at: k,
        observed,
        expected,
        dispersion: model.phi,
        trend: model.trend,
        upper: enough ? upper : null,
        alarm: enough && upper !== null && observed > 0 && observed > upper,
        p,
        reason: !enough
          ? `fewer than ${options.minimum.events} events in the last ${options.minimum.points} points`
          : upper === null
            ? 'the threshold is not finite'
            : seen
              ? null
              : 'no event at this season in the baseline: any count is above it',
      };
    });
  });

const flexibleDefaults: Required<FarringtonOptions> = {
  frequency: 52,
  years: 5,
  halfWidth: 3,
  periods: 10,
  excludeLatest: 26,
  reweight: true,
  weightsThreshold: 2.58,
  trend: true,
  trendP: 1,
  trendDispersion: 'pearson',
  alpha: 0.01,
  minimum: { events: 5, points: 4 },
};

/**
 * Farrington flexible: a quasi-Poisson regression of the past on season and trend, past outbreaks weighted down, and the plug-in
 * negative binomial quantile at 1 − alpha as threshold (Poisson at dispersion 1). Judges the points `at` (indices; all with enough
 * years before them where absent). Alarm: more than the threshold, more than none, and at least 5 in the last 4 points.
 * Noufaily et al (2013) Stat Med 32:1206; R surveillance::farringtonFlexible(thresholdMethod = "nbPlugin"). Refused with a reason: a
 * series too short, counts not whole, options that don't fit a year.
 */
export const farringtonFlexible = (
  counts: readonly number[],
  options: FarringtonOptions = {},
  at?: readonly number[],
): Answer<readonly FarringtonPoint[]> => {
  const all = { ...flexibleDefaults, ...options };
  return judge(counts, at, all, ({ phi }, expected, observed) => {
    if (!(expected > 0 && Number.isFinite(expected))) return { upper: expected === 0 ? 0 : null, p: null };
    const poisson = phi - 1 < 1e-14;
    const p = () => (poisson ? ppois(observed - 1, expected, 'upper') : pnbinom(observed - 1, expected, phi, 'upper'));
    return {
      upper: poisson ? poissonUpper(all.alpha, expected) : nbinomUpper(all.alpha, expected, phi),
      p: observed === 0 ? 1 : p(),
    };
  });
};

/**
 * Farrington's first method: only the windows of the years before, residuals above 1 weighted down, the trend kept at P < 0.05,
 * threshold (μ^⅔ + z √(4/9 μ^⅓ τ))^1.5 with τ = φ + var μ / μ. Farrington et al (1996) JRSS A 159:547; R algo.farrington(powertrans =
 * "2/3"), whose alpha is two-sided: R's 0.01 is 0.005 here. Refused as `farringtonFlexible`.
 */
export const farringtonOriginal = (
  counts: readonly number[],
  options: Omit<FarringtonOptions, 'periods' | 'excludeLatest'> = {},
  at?: readonly number[],
): Answer<readonly FarringtonPoint[]> => {
  const own = { periods: 1, excludeLatest: 0, weightsThreshold: 1, trendP: 0.05, alpha: 0.005 };
  const all = { ...flexibleDefaults, ...own, ...options };
  return judge(counts, at, all, ({ phi, levelVariance }, expected) => {
    const tau = phi + expected * phi * levelVariance;
    const upper = (expected ** (2 / 3) + zUpper(all.alpha) * Math.sqrt((4 / 9) * Math.cbrt(expected) * tau)) ** 1.5;
    return { upper: Number.isFinite(upper) ? upper : null, p: null };
  });
};
