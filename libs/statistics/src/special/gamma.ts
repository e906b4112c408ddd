import { nonNegative, positive, probability } from '../checks';
import { continuedFraction, roughNormal, solveMass } from './solve';

export type Tail = 'lower' | 'upper';

const halfLog2Pi = 0.5 * Math.log(2 * Math.PI);
const oneMinusEuler = 0.42278433509846713939;

/** ζ(k) − 1 for k = 2 … 40 by Euler–Maclaurin from n = 20. */
const zetaMinusOne = Array.from({ length: 39 }, (_, i) => {
  const k = i + 2;
  let sum = 0;
  for (let n = 19; n >= 2; n--) sum += n ** -k;
  const tail = 20 ** (1 - k) / (k - 1) + 20 ** -k / 2 + (k * 20 ** (-k - 1)) / 12;
  const third = (k * (k + 1) * (k + 2) * 20 ** (-k - 3)) / 720;
  const fifth = (k * (k + 1) * (k + 2) * (k + 3) * (k + 4) * 20 ** (-k - 5)) / 30240;
  return sum + tail - third + fifth;
});

/** ln Γ(2 + e) for |e| ≤ 1/2: the series keeps its relative accuracy through the zeros at 1 and 2, where Stirling loses it. */
const lgammaNearTwo = (e: number): number => {
  let sum = 0;
  for (let i = zetaMinusOne.length - 1; i >= 0; i--) sum = zetaMinusOne[i]! / (i + 2) - e * sum;
  return e * (oneMinusEuler + e * sum);
};

const stirlingSeries = (x: number): number => {
  const s = 1 / (x * x);
  return (1 / 12 - s * (1 / 360 - s * (1 / 1260 - s * (1 / 1680 - s * (1 / 1188 - s * (691 / 360360 - s / 156)))))) / x;
};

const lgammaPositive = (x: number): number => {
  if (x < 0.5) return lgammaNearTwo(x) - Math.log1p(x) - Math.log(x);
  if (x <= 1.5) return lgammaNearTwo(x - 1) - Math.log1p(x - 1);
  if (x >= 10) return (x - 0.5) * Math.log(x) - x + halfLog2Pi + stirlingSeries(x);
  let rest = x;
  let product = 1;
  while (rest > 2.5) product *= --rest;
  return lgammaNearTwo(rest - 2) + Math.log(product);
};

/** ln Γ(x), x > 0. RangeError otherwise. */
export const lgamma = (x: number): number => lgammaPositive(positive('x', x));

/** ln Γ(x + 1) less Stirling's leading terms. Loader C (2000) Fast and accurate computation of binomial probabilities. */
export const stirlingError = (x: number): number =>
  x >= 10 ? stirlingSeries(x) : lgammaPositive(x) - (x - 0.5) * Math.log(x) + x - halfLog2Pi;

/** x ln(x/m) + m − x without cancellation near x = m (Loader's deviance part). */
export const devianceTerm = (x: number, m: number): number => {
  // Written so that a NaN or infinite mean takes this way out: the series below would never end on it.
  if (!(Math.abs(x - m) < 0.1 * (x + m))) return x * Math.log(x / m) + m - x;
  const v = (x - m) / (x + m);
  let power = 2 * x * v;
  let sum = (x - m) * v;
  for (let j = 3; ; j += 2) {
    power *= v * v;
    const next = sum + power / j;
    if (next === sum) return next;
    sum = next;
  }
};

/** e^−m m^x / Γ(x + 1) for real x ≥ 0. */
export const poissonDensity = (x: number, m: number): number => {
  if (x === 0) return Math.exp(-m);
  if (m === 0) return 0;
  return x < 1
    ? Math.exp(x * Math.log(m) - m - lgammaPositive(x + 1))
    : Math.exp(-stirlingError(x) - devianceTerm(x, m)) / Math.sqrt(2 * Math.PI * x);
};

/** Both tails of Gamma(a, 1) at x and `density` = d lower / d ln x; each tail to full relative accuracy. */
export const gammaTails = (x: number, a: number): { lower: number; upper: number; density: number } => {
  if (x === 0) return { lower: 0, upper: 1, density: 0 };
  if (x === Infinity) return { lower: 1, upper: 0, density: 0 };
  const density = a * poissonDensity(a, x);
  if (x >= a + 1) {
    const upper =
      density /
      continuedFraction(
        x + 1 - a,
        (i) => -i * (i - a),
        (i) => x + 2 * i + 1 - a,
      );
    return { lower: 1 - upper, upper, density };
  }
  let term = 1;
  let sum = 1;
  for (let n = 1; term > 1e-17 * sum; n++) sum += term *= x / (a + n);
  const lower = (density / a) * sum;
  if (a >= 1) return { lower, upper: 1 - lower, density };
  // A shape far below 1 puts nearly all mass under x: 1 − lower would leave the upper tail no digits.
  const power = a * Math.log(x) - lgammaPositive(a + 1);
  let alternating = 0;
  let t = 1;
  for (let n = 1; n < 60; n++) alternating += (t *= -x / n) * (a / (a + n));
  return { lower, upper: -Math.expm1(power) - Math.exp(power) * alternating, density };
};

/** Distribution function of Gamma(shape, scale 1) at x ≥ 0, or its upper tail. RangeError on x < 0 or shape ≤ 0. */
export const pgamma = (x: number, shape: number, tail: Tail = 'lower'): number =>
  gammaTails(x === Infinity ? x : nonNegative('x', x), positive('shape', shape))[tail];

/**
 * Quantile of Gamma(shape, scale 1) at probability p of the given tail. 0 or Infinity at the ends; values below 5e-324
 * underflow to 0. RangeError unless 0 ≤ p ≤ 1 and shape > 0. Newton is run on the smaller tail.
 */
export const qgamma = (p: number, shape: number, tail: Tail = 'lower'): number => {
  probability('p', p);
  positive('shape', shape);
  if (p === (tail === 'lower' ? 0 : 1)) return 0;
  if (p === (tail === 'lower' ? 1 : 0)) return Infinity;
  const side: Tail = p <= 0.5 ? tail : tail === 'lower' ? 'upper' : 'lower';
  const target = p <= 0.5 ? p : 1 - p;
  const logLower = side === 'lower' ? Math.log(target) : Math.log1p(-target);
  // The lower tail is at most x^a / Γ(a+1): a bound from below for the quantile, and exact to rounding far down.
  const logBound = (logLower + lgammaPositive(shape + 1)) / shape;
  if (logBound < -40) return Math.exp(logBound);
  const z = roughNormal(side === 'lower' ? target : 1 - target || 1 - 1e-16);
  const cube = 1 - 1 / (9 * shape) + z / (3 * Math.sqrt(shape));
  const start = Math.max(Math.exp(logBound), cube > 0 ? shape * cube ** 3 : 0);
  const sign = side === 'lower' ? 1 : -1;
  const at = (x: number) => {
    const tails = gammaTails(x, shape);
    return { mass: tails[side], slope: sign * tails.density };
  };
  return solveMass(at, target, start, side === 'lower');
};

/** Distribution function (or upper tail) of χ² with df > 0 degrees of freedom. */
export const pchisq = (x: number, df: number, tail: Tail = 'lower'): number => pgamma(x / 2, positive('df', df) / 2, tail);

/** Quantile of χ² with df > 0 degrees of freedom at probability p of the given tail. */
export const qchisq = (p: number, df: number, tail: Tail = 'lower'): number => 2 * qgamma(p, positive('df', df) / 2, tail);

/** Poisson: P(X ≤ k) (lower) or P(X > k) (upper) at mean ≥ 0; k is floored, below 0 the lower tail is 0. */
export const ppois = (k: number, mean: number, tail: Tail = 'lower'): number => {
  nonNegative('mean', mean);
  if (Number.isNaN(k)) throw new RangeError('k must be a number, got NaN');
  if (k < 0 || k === Infinity) return k < 0 === (tail === 'lower') ? 0 : 1;
  return gammaTails(mean, Math.floor(k) + 1)[tail === 'lower' ? 'upper' : 'lower'];
};
