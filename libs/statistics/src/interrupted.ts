import { answer, refuse, type Answer } from './answer';
import { autocorrelation, ljungBox } from './autocorrelation';
import { level01, positive, sameLength, wholeNumber } from './checks';
import { devianceResiduals, fitLogLinear, intercept, logLikelihood, nullDeviance, type Column } from './glm';
import { interval, logSymmetric, symmetric, zOf, type Interval } from './interval';
import { quadratic, type Square } from './linear';
import { fitNegativeBinomial, type NegativeBinomialFit } from './negative-binomial';
import { neweyWestCovariance, robustCovariance } from './sandwich';
import { pt, qt } from './special/beta';
import { pnorm } from './special/normal';

export type CountFamily = 'poisson' | 'quasi-poisson' | 'negative-binomial';

export type InterruptedSeries = {
  /** Whole counts per period, in order. */
  readonly counts: readonly number[];
  /** Person-time (above 0) per period; 1 where absent. */
  readonly exposures?: readonly number[] | undefined;
  /** How many periods lie before the interruption. */
  readonly before: number;
  /** Time of each period in whole steps, rising; 1 … n where absent. */
  readonly times?: readonly number[] | undefined;
  /** Periods right after the interruption that are left out of the fit. */
  readonly transition?: number;
  /** Also a change of slope (time since the last period before). */
  readonly slope?: boolean;
  /** Pairs of sine and cosine of `period` steps; `phase` is the place within the period (month of year), else the time. */
  readonly harmonics?: number;
  readonly period?: number;
  readonly phase?: readonly number[] | undefined;
  readonly covariates?: readonly Column[];
  /** `by-dispersion`: negative binomial where the Pearson dispersion of the Poisson fit passes `overdispersed`, else quasi-Poisson. */
  readonly family?: CountFamily | 'by-dispersion';
  readonly overdispersed?: number;
  /** Newey–West lag, and the lags of the residual checks; the period where absent. */
  readonly lag?: number;
  readonly level?: number;
  /** Fewer points a side, or fewer events in all, are refused. */
  readonly minimum?: { readonly points: number; readonly events: number };
};

export type InterruptedTerm = {
  readonly term: string;
  readonly estimate: number;
  /** exp(estimate): a rate ratio (for the intercept, a rate). */
  readonly ratio: number;
  readonly se: {
    /** At dispersion 1. */
    readonly model: number;
    /** Model × √dispersion (negative binomial: the model's). */
    readonly dispersed: number;
    readonly hc0: number;
    readonly neweyWest: number;
    /** The larger of `dispersed` (never below `model`) and `neweyWest`: the one to show. */
    readonly reported: number;
  };
  /** On the normal quantile: of the ratio at se `reported`, `dispersed` and `model`. */
  readonly reported: Interval;
  readonly dispersed: Interval;
  readonly model: Interval;
  /** At se `dispersed` on t with n − p df. */
  readonly onT: Interval;
  /** Two-sided P at se `reported`, at `dispersed`, and of the latter on t. */
  readonly p: number;
  readonly pDispersed: number;
  readonly pOnT: number;
};

export type InterruptedFit = {
  readonly family: CountFamily;
  readonly n: number;
  readonly df: number;
  readonly terms: readonly InterruptedTerm[];
  /** Pearson dispersion about the fitted family. */
  readonly dispersion: number;
  readonly theta: number | null;
  readonly seTheta: number | null;
  readonly deviance: number;
  readonly nullDeviance: number;
  readonly logLikelihood: number;
  readonly aic: number;
  /** Of the deviance residuals, lags 1 … lag. */
  readonly autocorrelation: readonly (number | null)[];
  readonly ljungBox: ReturnType<typeof ljungBox>;
  /** Over the periods after the interruption that were fitted. `counterfactual`: expected without it. */
  readonly after: {
    readonly observed: number;
    readonly fitted: number;
    readonly counterfactual: number;
    /** Delta method at se `dispersed`, and at Newey–West's covariance. */
    readonly seDispersed: number;
    readonly seNeweyWest: number;
    /** counterfactual − observed, with normal limits at the larger se. Negative: more than expected. */
    readonly averted: Interval & { readonly estimate: number };
    /** observed/counterfactual − 1, with limits of the counterfactual carried over on the log. */
    readonly relativeChange: Interval & { readonly estimate: number };
  };
  /** Rate ratio of the interruption at the last period, level and slope together; `null` without a slope term. */
  readonly atEnd: {
    readonly steps: number;
    readonly ratio: number;
    readonly dispersed: Interval;
    readonly reported: Interval;
  } | null;
  /** Per period after the interruption: expected without it, at the larger se. */
  readonly path: readonly (Interval & { readonly time: number; readonly observed: number; readonly expected: number })[];
};

const scaled = (m: Square, factor: number): number[][] => m.map((row) => row.map((x) => x * factor));
/** A sandwich whose meat is nearly 0 may round below it. */
const at = (m: Square, j: number): number => Math.sqrt(Math.max(0, m[j]![j]!));

const shape = (s: InterruptedSeries) => {
  const { counts, before, slope = false, harmonics = 0, period = 12, covariates = [], transition = 0 } = s;
  const exposures = s.exposures ?? counts.map(() => 1);
  const times = s.times ?? counts.map((_, i) => i + 1);
  const phase = s.phase ?? times;
  const n = sameLength({
    counts,
    exposures,
    times,
    phase,
    ...Object.fromEntries(covariates.map(({ name, values }) => [name, values])),
  });
  counts.forEach((y, i) => wholeNumber(`counts[${i}]`, y));
  exposures.forEach((e, i) => positive(`exposures[${i}]`, e));
  times.forEach((t, i) => {
    if (!Number.isSafeInteger(t) || (i > 0 && t <= times[i - 1]!))
      refuse('bad-input', `times[${i}] must be a whole number and rise`);
  });
  positive('period', period);
  const { points, events } = s.minimum ?? { points: 8, events: 20 };
  const after = n - wholeNumber('before', before) - wholeNumber('transition', transition);
  if (before < Math.max(1, points) || after < Math.max(1, points))
    refuse('too-short', `${before} points before and ${after} after the interruption; at least ${Math.max(1, points)} a side`);
  const all = counts.reduce((a, b) => a + b, 0);
  if (all < events) refuse('too-few-events', `${all} events in the series; at least ${events}`);

  const kept = counts.map((_, i) => i).filter((i) => i < before || i >= before + transition);
  const pick = <T>(values: ArrayLike<T>): T[] => kept.map((i) => values[i]!);
  const last = times[before - 1]!;
  const post = (i: number): number => (i < before ? 0 : 1);
  const wave = (f: (x: number) => number, k: number) => kept.map((i) => f((2 * Math.PI * k * phase[i]!) / period));
  const pairs = Array.from({ length: wholeNumber('harmonics', harmonics) }, (_, k) => k + 1);
  const columns: Column[] = [
    intercept(kept.length),
    { name: 'post', values: kept.map(post) },
    { name: 'time', values: pick(times) },
    ...(slope ? [{ name: 'post_slope', values: kept.map((i) => (times[i]! - last) * post(i)) }] : []),
    ...pairs.map((k) => ({ name: `sin${k}`, values: wave(Math.sin, k) })),
    ...pairs.map((k) => ({ name: `cos${k}`, values: wave(Math.cos, k) })),
    ...covariates.map(({ name, values }) => ({ name, values: pick(values) })),
  ];
  const data = { y: pick(counts), exposures: pick(exposures), columns };
  return { data, times: pick(times), post: kept.map(post), steps: times.at(-1)! - last, period };
};

const choose = (data: ReturnType<typeof shape>['data'], family: InterruptedSeries['family'], bound: number) => {
  if (family === 'negative-binomial') return { family, fit: fitNegativeBinomial(data) };
  const fit = fitLogLinear(data);
  if (family !== 'by-dispersion') return { family: family ?? ('quasi-poisson' as const), fit };
  if (fit.dispersion <= bound) return { family: 'quasi-poisson' as const, fit };
  const nb = answer(() => fitNegativeBinomial(data));
  return nb.ok ? { family: 'negative-binomial' as const, fit: nb.value } : { family: 'quasi-poisson' as const, fit };
};

/**
 * Interrupted time series of counts: ln μ = ln exposure + β₀ + β₁post + β₂t (+ β₃(t − T₀)post) + harmonics + covariates, T₀ the last
 * period before. Poisson, quasi-Poisson or negative binomial; Newey–West beside the model's error and the larger of the two
 * reported; counterfactual with `post` terms at 0 and events averted. Everything per period of the series, ratios per step of time.
 * Refused with a reason: fewer points a side or events than `minimum` (8 and 20), exposures not above 0, a collinear column, no
 * events on one side. Wagner et al (2002) J Clin Pharm Ther 27:299; Lopez Bernal et al (2017) IJE 46:348.
 */
export const interruptedSeries = (series: InterruptedSeries): Answer<InterruptedFit> =>
  answer(() => {
    const level = level01('level', series.level ?? 0.95);
    const { data, times, post, steps, period } = shape(series);
    const lag = wholeNumber('lag', series.lag ?? Math.round(period));
    const { family, fit } = choose(data, series.family ?? 'by-dispersion', series.overdispersed ?? 1.5);
    const z = zOf(level);
    const t = -qt((1 - level) / 2, fit.df);
    const phi = family === 'quasi-poisson' ? fit.dispersion : 1;
    const dispersed = scaled(fit.covariance, phi);
    const hc0 = robustCovariance(fit);
    const neweyWest = neweyWestCovariance(fit, lag, times);
    const floored = scaled(fit.covariance, Math.max(1, phi));
    const seOf = (gradient: readonly number[]) => {
      const along = (covariance: Square) => Math.sqrt(Math.max(0, quadratic(gradient, covariance)));
      const nw = along(neweyWest);
      return { dispersed: along(dispersed), neweyWest: nw, reported: Math.max(along(floored), nw) };
    };

    const terms = fit.names.map((term, j): InterruptedTerm => {
      const estimate = fit.coefficients[j]!;
      const ratio = Math.exp(estimate);
      const se = { model: at(fit.covariance, j), dispersed: at(dispersed, j), hc0: at(hc0, j), neweyWest: at(neweyWest, j) };
      const reported = Math.max(at(floored, j), se.neweyWest);
      return {
        term,
        estimate,
        ratio,
        se: { ...se, reported },
        reported: logSymmetric(ratio, reported, z),
        dispersed: logSymmetric(ratio, se.dispersed, z),
        model: logSymmetric(ratio, se.model, z),
        onT: logSymmetric(ratio, se.dispersed, t),
        p: twoSided(estimate / reported),
        pDispersed: twoSided(estimate / se.dispersed),
        pOnT: Math.min(1, 2 * pt(-Math.abs(estimate / se.dispersed || 0), fit.df)),
      };
    });

    const index = (name: string): number => fit.names.indexOf(name);
    const isPost = fit.names.map((name) => name === 'post' || name === 'post_slope');
    const effect = (i: number): number =>
      fit.columns.reduce((sum, { values }, j) => sum + (isPost[j] ? fit.coefficients[j]! * values[i]! : 0), 0);
    const rowWithout = (i: number): number[] => fit.columns.map(({ values }, j) => (isPost[j] ? 0 : values[i]!));
    const gradient = fit.names.map(() => 0);
    const path = post.flatMap((after, i) => {
      if (!after) return [];
      const expected = fit.fitted[i]! * Math.exp(-effect(i));
      const row = rowWithout(i);
      row.forEach((x, j) => (gradient[j]! += expected * x));
      const limits = logSymmetric(expected, seOf(row).reported, z);
      return [{ time: times[i]!, observed: fit.y[i]!, expected, ...limits }];
    });
    const sum = (values: readonly number[]): number => values.reduce((a, b) => a + b, 0);
    const observed = sum(path.map((point) => point.observed));
    const counterfactual = sum(path.map((point) => point.expected));
    const se = seOf(gradient);
    const change = logSymmetric(1, se.reported / counterfactual, z);
    const relative = (factor: number | null): number => (observed / counterfactual) * (factor ?? NaN) - 1;

    const slope = index('post_slope');
    const ending = fit.names.map((_, j) => (j === slope ? steps : j === index('post') ? 1 : 0));
    const endSe = seOf(ending);
    const endRatio = Math.exp(fit.coefficients.reduce((total, b, j) => total + b * ending[j]!, 0));
    const residuals = devianceResiduals(fit);
    const likelihood = logLikelihood(fit);
    const nb = family === 'negative-binomial' ? (fit as NegativeBinomialFit) : null;
    return {
      family,
      n: fit.y.length,
      df: fit.df,
      terms,
      dispersion: fit.dispersion,
      theta: nb?.theta ?? null,
      seTheta: nb?.seTheta ?? null,
      deviance: fit.deviance,
      nullDeviance: nullDeviance(fit),
      logLikelihood: likelihood,
      aic: 2 * (fit.names.length + (nb ? 1 : 0)) - 2 * likelihood,
      autocorrelation: autocorrelation(residuals, lag),
      ljungBox: ljungBox(residuals, lag),
      after: {
        observed,
        fitted: sum(fit.fitted.filter((_, i) => post[i])),
        counterfactual,
        seDispersed: se.dispersed,
        seNeweyWest: se.neweyWest,
        averted: { estimate: counterfactual - observed, ...symmetric(counterfactual - observed, se.reported, z) },
        relativeChange: {
          estimate: observed / counterfactual - 1,
          ...interval(relative(change.lower), relative(change.upper)),
        },
      },
      atEnd:
        slope < 0
          ? null
          : {
              steps,
              ratio: endRatio,
              dispersed: logSymmetric(endRatio, endSe.dispersed, z),
              reported: logSymmetric(endRatio, endSe.reported, z),
            },
      path,
    };
  });

const twoSided = (z: number): number => (Number.isNaN(z) ? 1 : Math.min(1, 2 * pnorm(-Math.abs(z))));
