import { positive, probability, wholeNumber } from '../checks';
import { betaTails } from './beta';
import { gammaTails, poissonDensity, type Tail } from './gamma';

/** Negative binomial with mean > 0 and dispersion φ > 1 (Var = φ·mean; size mean/(φ − 1)): P(X ≤ k) or, upper, P(X > k). */
export const pnbinom = (k: number, mean: number, dispersion: number, tail: Tail = 'lower'): number => {
  positive('mean', mean);
  const excess = positive('dispersion − 1', dispersion - 1);
  if (Number.isNaN(k)) throw new RangeError('k must be a number, got NaN');
  if (k < 0 || k === Infinity) return k < 0 === (tail === 'lower') ? 0 : 1;
  return betaTails(1 / dispersion, excess / dispersion, mean / excess, Math.floor(k) + 1)[tail];
};

/** Smallest whole x with upper tail P(X > x) ≤ `upper`, given that tail as a function; started near `guess`. */
const smallest = (above: (x: number) => number, upper: number, guess: number): number => {
  // A tail that equals the bound up to rounding counts as reached, as R's discrete quantiles have it.
  const bound = upper * (1 + 64 * Number.EPSILON);
  let step = 1;
  let low = Math.max(-1, Math.floor(guess));
  while (low >= 0 && above(low) <= bound) {
    low = Math.max(-1, low - step);
    step *= 2;
  }
  let high = low + 1;
  for (step = 1; above(high) > bound; step *= 2) {
    low = high;
    high += step;
  }
  while (high - low > 1) {
    const middle = Math.floor((low + high) / 2);
    if (above(middle) <= bound) high = middle;
    else low = middle;
  }
  return high;
};

/** Smallest x with P(X > x) ≤ `upper` of a Poisson with mean ≥ 0; `upper` in (0, 1). */
export const poissonUpper = (upper: number, mean: number): number => {
  if (!(probability('upper', upper) > 0 && upper < 1)) throw new RangeError(`upper must lie inside (0, 1), got ${upper}`);
  if (mean === 0) return 0;
  return smallest((x) => gammaTails(positive('mean', mean), x + 1).lower, upper, mean + 2 * Math.sqrt(mean));
};

/** Smallest x with P(X > x) ≤ `upper` of a negative binomial as in `pnbinom`. R's qnbinom(1 − upper, mean/(φ − 1), 1/φ). */
export const nbinomUpper = (upper: number, mean: number, dispersion: number): number => {
  if (!(probability('upper', upper) > 0 && upper < 1)) throw new RangeError(`upper must lie inside (0, 1), got ${upper}`);
  positive('mean', mean);
  const excess = positive('dispersion − 1', dispersion - 1);
  // The first few terms by recurrence: thresholds of weekly counts are small, and a beta tail costs as much as all of them.
  const size = mean / excess;
  let term = Math.exp(-size * Math.log(dispersion));
  if (term > 1e-8 && upper > 1e-9) {
    let sum = term;
    for (let x = 0; x < 1000; x++) {
      if (1 - sum < upper * (1 - 1e-6)) return x;
      if (1 - sum < upper * (1 + 1e-6)) break;
      term *= ((size + x) / (x + 1)) * (excess / dispersion);
      sum += term;
    }
  }
  return smallest((x) => pnbinom(x, mean, dispersion, 'upper'), upper, mean + 2 * Math.sqrt(mean * dispersion));
};

/** P(X ≤ x) of a Poisson and the same one lower, for interpolating between whole counts. */
export const poissonStep = (x: number, mean: number): { at: number; below: number } => {
  const at = gammaTails(mean, wholeNumber('x', x) + 1).upper;
  return { at, below: at - poissonDensity(x, mean) };
};
