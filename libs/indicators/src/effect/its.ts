/** Interrupted time series of each cohort that starts together, pooled by inverse variance. */
import { interruptedSeries, pchisq, qt, zOf, type InterruptedFit } from '@vigil/statistics';
import type { Result } from '@vigil/vocabulary';
import {
  diagonal,
  pooledMean,
  ratioInterval,
  together,
  type Diagnostics,
  type Estimated,
  type LeftOut,
  type PathPoint,
} from './estimate';
import { among, lagOf, missingMonths, monthOfYear, sumOf, total, type Cohort, type Series } from './series';
import { LEAST, ofFit, reasons } from './words';

/** From so many months before the start on the trend and the season can be told apart. */
export const LONG_BASELINE = 24;

interface Fitted {
  readonly cohort: Cohort;
  readonly log: number;
  readonly se: number;
  readonly quantile: number;
  readonly observed: number;
  readonly fit: InterruptedFit;
  readonly diagnostics: Diagnostics;
  readonly path: readonly PathPoint[];
  readonly missing: number;
}

/** Two pairs where the years before could tell them, one where there is a year before and another somewhere. */
const harmonicsFor = (before: number, points: number): number =>
  before >= LONG_BASELINE && points >= 36 ? 2 : before >= 12 && points >= 24 ? 1 : 0;

const fitCohort = (cohort: Cohort, level: number, asked: number | undefined): Result<Fitted> => {
  const series = sumOf(cohort.units);
  const before = among(series, (month) => month < cohort.start);
  const after = among(series, (month) => month >= cohort.after);
  const points = { before: before.at.length, after: after.at.length };
  if (Math.min(points.before, points.after) < LEAST.itsPoints)
    return { ok: false, problem: reasons.tooShort(points.before, points.after, LEAST.itsPoints) };
  const events = { before: total(before.counts), after: total(after.counts) };
  if (events.before + events.after < LEAST.events)
    return { ok: false, problem: reasons.tooFewEvents(events.before + events.after) };
  const origin = series.at[0]! - 1;
  const harmonics = asked ?? harmonicsFor(points.before, points.before + points.after);
  const outcome = interruptedSeries({
    counts: series.counts,
    exposures: series.exposures,
    before: points.before,
    transition: series.at.length - points.before - points.after,
    times: series.at.map((month) => month - origin),
    phase: series.at.map((month) => monthOfYear(month) + 1),
    slope: true,
    harmonics,
    lag: lagOf(points.before + points.after),
    level,
    minimum: { points: LEAST.itsPoints, events: LEAST.events },
  });
  if (!outcome.ok) return { ok: false, problem: ofFit(outcome.problem) };
  const fit = outcome.value;
  const path = pathOf(fit, series, cohort, origin);

  const { observed, counterfactual } = fit.after;
  // The library's limits are those of the expected events alone; those observed vary as well, and so does their ratio. Pearson's
  // dispersion widens a negative binomial too: θ by maximum likelihood forgets the coefficients fitted, a tenth of the error at 36 months.
  const quasi = fit.family === 'quasi-poisson';
  const phi = Math.max(1, fit.dispersion);
  const wild = path
    .filter(({ month }) => month >= cohort.after)
    .map(({ fitted }) => fitted! + (fit.theta ? fitted! ** 2 / fit.theta : 0));
  const ofObserved = Math.sqrt(phi * total(wild)) / observed;
  const unscaled = quasi && fit.dispersion > 0 ? fit.after.seDispersed / Math.sqrt(fit.dispersion) : fit.after.seDispersed;
  const model = (unscaled * Math.sqrt(phi)) / counterfactual;
  const serial = (fit.after.seNeweyWest * Math.sqrt(fit.n / fit.df)) / counterfactual;
  // What hangs together in time does so after the start too.
  const ofSerial = ofObserved * Math.max(1, serial / model);
  const se = Math.max(Math.hypot(model, ofObserved), Math.hypot(serial, ofSerial));
  const quantile = phi > 1 ? -qt((1 - level) / 2, fit.df) : zOf(level);
  return {
    ok: true,
    value: {
      cohort,
      log: Math.log(observed / counterfactual),
      se,
      quantile,
      observed,
      fit,
      path,
      missing: missingMonths(cohort.units, series),
      diagnostics: {
        family: fit.family,
        dispersion: fit.dispersion,
        theta: fit.theta,
        points,
        events,
        se: {
          model: Math.hypot(model, ofObserved),
          neweyWest: Math.hypot(serial, ofSerial),
          clustered: null,
          reported: se,
          which: serial > model ? 'newey-west' : 'model',
        },
        ljungBox: fit.ljungBox,
        harmonics,
      },
    },
  };
};

/** Fitted with and without the terms of the interruption, the wash-out drawn through without them. */
const pathOf = (fit: InterruptedFit, series: Series, cohort: Cohort, origin: number): PathPoint[] => {
  const terms = new Map(fit.terms.map(({ term, estimate }) => [term, estimate]));
  const b = (term: string): number => terms.get(term) ?? 0;
  const last = series.at.filter((month) => month < cohort.start).at(-1)!;
  return series.at.map((month, i) => {
    let eta = b('(Intercept)') + b('time') * (month - origin);
    for (let k = 1; terms.has(`sin${k}`); k++) {
      const angle = (2 * Math.PI * k * (monthOfYear(month) + 1)) / 12;
      eta += b(`sin${k}`) * Math.sin(angle) + b(`cos${k}`) * Math.cos(angle);
    }
    const counterfactual = series.exposures[i]! * Math.exp(eta);
    const effect = Math.exp(b('post') + b('post_slope') * (month - last));
    const fitted = month < cohort.start ? counterfactual : month < cohort.after ? null : counterfactual * effect;
    return { month, observed: series.counts[i]!, exposure: series.exposures[i]!, fitted, counterfactual };
  });
};

/**
 * The average effect over the months after the wash-out: observed ÷ expected by the trend and season before. Its variance is that of
 * the expected (the larger of the model's and Newey–West's) and that of the observed together. Cohorts are pooled on the log by
 * inverse variance; those that can't stand alone are left out and named.
 */
export const interruptedOf = (cohorts: readonly Cohort[], level: number, harmonics?: number): Result<Estimated> => {
  const fitted: Fitted[] = [];
  const leftOut: LeftOut[] = [];
  for (const cohort of cohorts) {
    const outcome = fitCohort(cohort, level, harmonics);
    if (outcome.ok) fitted.push(outcome.value);
    else leftOut.push({ cohort, reason: outcome.problem });
  }
  const [first] = fitted;
  if (first === undefined) return { ok: false, problem: leftOut[0]!.reason };
  const pool = pooledMean(
    fitted.map(({ log }) => log),
    diagonal(fitted.map(({ se }) => se ** 2)),
  );
  const quantile = fitted.length === 1 ? first.quantile : zOf(level);
  const { log, variance, weights } = pool;
  const se = Math.sqrt(variance);
  const ofTerm = (name: string) => {
    const terms = fitted.map(({ fit }) => fit.terms.find(({ term }) => term === name)!);
    const mean = pooledMean(
      terms.map(({ estimate }) => estimate),
      diagonal(terms.map((term) => term.se.reported ** 2)),
    );
    return ratioInterval(mean.log, Math.sqrt(mean.variance), quantile);
  };
  const over = (pick: (d: Diagnostics['se']) => number | null) =>
    Math.sqrt(total(fitted.map(({ diagnostics }, i) => (weights[i]! * (pick(diagnostics.se) ?? 0)) ** 2)));
  const ses = { model: over((d) => d.model), neweyWest: over((d) => d.neweyWest), clustered: null, reported: se };
  const q = total(fitted.map((one) => (one.log - log) ** 2 / one.se ** 2));
  const observed = total(fitted.map((one) => one.observed));
  return {
    ok: true,
    value: {
      ...ratioInterval(log, se, quantile),
      observed,
      expected: observed / Math.exp(log),
      paths: fitted.map(({ path }) => path),
      diagnostics: together(
        fitted.map(({ diagnostics }) => diagnostics),
        { ...ses, which: ses.neweyWest > ses.model ? 'newey-west' : 'model' },
      ),
      leftOut,
      monthsMissing: total(fitted.map(({ missing }) => missing)),
      season: fitted.every(({ diagnostics }) => diagnostics.harmonics > 0) ? 'modelled' : 'not-modelled',
      level: ofTerm('post'),
      slope: ofTerm('post_slope'),
      differP: fitted.length > 1 ? pchisq(q, fitted.length - 1, 'upper') : null,
    },
  };
};
