import {
  chapman,
  designTotal,
  dobson,
  kaplanMeier,
  poissonByar,
  poissonByRule,
  scaleInterval,
  standardisedRate,
  surveyProportion,
  survivalQuantile,
  wilson,
  type SurveyRow,
  type UnitTotal,
} from '@vigil/statistics';
import type { Tally } from './tally';

/** A value with its interval, in the row's unit. */
export interface Estimate {
  /** Null where the data have none, such as a median that isn't reached. */
  readonly value: number | null;
  readonly low: number | null;
  readonly high: number | null;
  readonly method: string;
  /** Relative standard error of a sample estimate. */
  readonly cv?: number | null;
  /** Of a standardised rate. */
  readonly variance?: number;
}

/** Rate of a plain count: exact Poisson below 10 events, Byar from 10. */
export const plainRate = (count: number, personYears: number, multiplier: number, level: number): Estimate => {
  const { method, ...limits } = poissonByRule(count, level);
  const { lower, upper } = scaleInterval(limits, multiplier / personYears);
  return {
    value: (multiplier * count) / personYears,
    low: lower,
    high: upper,
    method: method === 'exact' ? 'exact-poisson' : 'byar',
  };
};

/** Directly standardised rate of plain counts, Dobson–Byar. `exposures` and `weights` by band. */
export const standardRate = (
  cell: Tally,
  exposures: readonly number[],
  weights: readonly number[],
  multiplier: number,
  level: number,
): Estimate => {
  const y = standardisedRate({ counts: weights.map((_, band) => cell.bands.get(band) ?? 0), exposures, weights, multiplier });
  const { lower, upper } = dobson(y, level, poissonByar);
  return { value: y.estimate, low: lower, high: upper, method: 'dobson-byar', variance: y.variance };
};

/** Share of plain counts. */
export const share = (part: number, whole: number, multiplier: number, level: number): Estimate => {
  const { lower, upper } = scaleInterval(wilson(part, whole, level), multiplier);
  return { value: (multiplier * part) / whole, low: lower, high: upper, method: 'wilson' };
};

const sumOf = (bands: ReadonlyMap<number, number>, factor: (band: number) => number): number => {
  let sum = 0;
  for (const [band, weight] of bands) sum += weight * factor(band);
  return sum;
};

/**
 * A weighted total over the sample's strata and primary units, each band times its factor: a rate with one band and
 * multiplier/person-years, a standardised rate with the standard's weight over each band's person-years. Interval on t over all listed units.
 */
export const sampleTotal = (
  cell: Tally,
  factor: (band: number) => number,
  listed: ReadonlyMap<string, number>,
  level: number,
): Estimate => {
  const units: UnitTotal[] = [...cell.units.values()].map(({ stratum, unit, bands }) => ({
    stratum,
    unit,
    total: sumOf(bands, factor),
  }));
  const certain = sumOf(cell.certain, factor);
  if (listed.size === 0) return { value: certain, low: certain, high: certain, method: 'no-sample' };
  const { estimate, lower, upper, cv } = designTotal({ units, listed }, level);
  return {
    value: estimate + certain,
    low: lower === null ? null : Math.max(0, lower + certain),
    high: upper === null ? null : upper + certain,
    method: 'taylor-linearised-t',
    cv,
  };
};

/** A weighted share: the ratio of two sample totals, linearised. */
export const sampleShare = (
  part: Tally,
  whole: Tally,
  listed: ReadonlyMap<string, number>,
  multiplier: number,
  level: number,
): Estimate => {
  const p = part.weight / whole.weight;
  const one = (): number => 1;
  const residuals: UnitTotal[] = [...whole.units].map(([key, { stratum, unit, bands }]) => {
    const own = part.units.get(key);
    return { stratum, unit, total: ((own ? sumOf(own.bands, one) : 0) - p * sumOf(bands, one)) / whole.weight };
  });
  if (listed.size === 0) return { value: multiplier * p, low: multiplier * p, high: multiplier * p, method: 'no-sample' };
  const { lower, upper, se } = designTotal({ units: residuals, listed }, level);
  return {
    value: multiplier * p,
    low: lower === null ? null : multiplier * Math.max(0, p + lower),
    high: upper === null ? null : multiplier * Math.min(1, p + upper),
    method: 'taylor-linearised-t',
    cv: se === null || p === 0 ? null : se / p,
  };
};

/** An amount per person-year, such as years of life lost: Dobson's interval on the weighted Poisson sum. */
export const amountRate = (cell: Tally, personYears: number, multiplier: number, level: number): Estimate => {
  const sum = { estimate: cell.amount, variance: cell.squares, count: cell.n };
  const { lower, upper } = scaleInterval(dobson(sum, level, poissonByar), multiplier / personYears);
  return { value: (multiplier * cell.amount) / personYears, low: lower, high: upper, method: 'dobson-weighted-poisson' };
};

/** Observed over expected. */
export const standardisedCountRatio = (observed: number, expected: number, multiplier: number, level: number): Estimate => {
  const { method, ...limits } = poissonByRule(observed, level);
  const { lower, upper } = scaleInterval(limits, multiplier / expected);
  return {
    value: (multiplier * observed) / expected,
    low: lower,
    high: upper,
    method: method === 'exact' ? 'exact-poisson' : 'byar',
  };
};

/** Median of the cell's durations, days; null where fewer than half have ended by the longest time. */
export const medianDuration = (cell: Tally, level: number): Estimate & { readonly ended: number } => {
  const times: number[] = [];
  const observed: boolean[] = [];
  let ended = 0;
  for (const { days, ended: over, n } of cell.durations) {
    if (over) ended += n;
    for (let i = 0; i < n; i++) {
      times.push(days);
      observed.push(over);
    }
  }
  const { quantile, lower, upper } = survivalQuantile(kaplanMeier(times, observed), 0.5, level, 'log-log');
  return { value: quantile, low: lower, high: upper, method: 'kaplan-meier-log-log', ended };
};

/** Share of correct answers over a design: `rows` hold every response of the waves, `inside` tells those of the cell. */
export const surveyShare = (
  rows: readonly SurveyRow[],
  inside: (row: SurveyRow, index: number) => boolean,
  multiplier: number,
  level: number,
): Estimate & { readonly deff: number | null; readonly nEff: number | null } => {
  const { n, proportion, logitT, deffWithReplacement: deff } = surveyProportion(rows, level, inside);
  const { lower, upper } = scaleInterval(logitT, multiplier);
  return {
    value: multiplier * proportion,
    low: lower,
    high: upper,
    method: 'taylor-logit-t',
    deff,
    nEff: deff ? n / deff : null,
  };
};

/** Share of all cases that neither of two lists holds; undefined where they have no case in common to judge by. */
export const unreported = (
  first: number,
  second: number,
  both: number,
  multiplier: number,
  level: number,
): Estimate | undefined => {
  const found = chapman(first, second, both, level);
  if (!found.ok || !(found.value.total > 0)) return undefined;
  const { distinct, total, lognormal } = found.value;
  const missed = (all: number | null): number | null => (all === null ? null : multiplier * (1 - distinct / all));
  return {
    value: multiplier * (1 - distinct / total),
    low: missed(lognormal.lower),
    high: missed(lognormal.upper),
    method: 'chapman-lognormal',
  };
};
