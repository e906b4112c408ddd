import { sameLength, wholeNumber } from './checks';
import { bothSides } from './linear';
import type { LogLinearFit } from './glm';

type Scored = Pick<LogLinearFit, 'columns' | 'scores' | 'covariance'>;

const rowsOf = ({ columns, scores }: Scored): number[][] => scores.map((s, i) => columns.map(({ values }) => s * values[i]!));

const add = (meat: number[][], a: readonly number[], b: readonly number[], factor: number): void => {
  for (let i = 0; i < a.length; i++) {
    const x = factor * a[i]!;
    const row = meat[i]!;
    if (x !== 0) for (let j = 0; j < b.length; j++) row[j]! += x * b[j]!;
  }
};

const zeros = (p: number): number[][] => Array.from({ length: p }, () => new Array<number>(p).fill(0));

/** B(Σ s s')B, B = (X'WX)⁻¹: heteroscedasticity-consistent without a small-sample factor. White (1980) Econometrica 48:817; R sandwich(). */
export const robustCovariance = (fit: Scored): number[][] => {
  const meat = zeros(fit.columns.length);
  for (const row of rowsOf(fit)) add(meat, row, row, 1);
  return bothSides(fit.covariance, meat);
};

/**
 * Scores summed within clusters; `adjust` multiplies by G/(G − 1). Liang & Zeger (1986); R vcovCL(type = "HC0"). `null` with one
 * cluster: the scores of a fit sum to 0, and so would the variance.
 */
export const clusteredCovariance = (fit: Scored, cluster: readonly (string | number)[], adjust = true): number[][] | null => {
  sameLength({ scores: fit.scores, cluster });
  const p = fit.columns.length;
  const sums = new Map<string | number, number[]>();
  rowsOf(fit).forEach((row, i) => {
    const sum = sums.get(cluster[i]!) ?? new Array<number>(p).fill(0);
    row.forEach((x, j) => (sum[j]! += x));
    sums.set(cluster[i]!, sum);
  });
  if (sums.size < 2) return null;
  const meat = zeros(p);
  for (const sum of sums.values()) add(meat, sum, sum, adjust ? sums.size / (sums.size - 1) : 1);
  return bothSides(fit.covariance, meat);
};

/**
 * Newey–West (1987) Econometrica 55:703: Bartlett weights 1 − l/(L + 1) up to lag L, no prewhitening, no small-sample factor
 * (R NeweyWest(lag = L, prewhite = FALSE, adjust = FALSE)). `times` are whole steps in rising order, for series with gaps: only
 * pairs that really lie l steps apart count (Datta & Du 2012). L is cut to the length of the series.
 */
export const neweyWestCovariance = (fit: Scored, lag: number, times?: readonly number[]): number[][] => {
  wholeNumber('lag', lag);
  const rows = rowsOf(fit);
  const at = new Map((times ?? rows.map((_, i) => i)).map((time, i) => [time, i]));
  const meat = zeros(fit.columns.length);
  for (const [time, i] of at) {
    add(meat, rows[i]!, rows[i]!, 1);
    for (let l = 1; l <= lag; l++) {
      const before = at.get(time - l);
      if (before === undefined) continue;
      add(meat, rows[i]!, rows[before]!, 1 - l / (lag + 1));
      add(meat, rows[before]!, rows[i]!, 1 - l / (lag + 1));
    }
  }
  return bothSides(fit.covariance, meat);
};
