import { positive, probability, wholeNumber } from '../checks';
import { devianceTerm, lgamma, stirlingError, type Tail } from './gamma';
import { pnorm, qnorm } from './normal';
import { continuedFraction, roughNormal, solveMass } from './solve';

/** Γ(a+b+1)/(Γ(a+1)Γ(b+1)) x^a y^b with y = 1 − x given apart, so that neither side is rounded away (Loader 2000). */
export const binomialDensity = (a: number, b: number, x: number, y: number): number => {
  const power = (n: number, q: number, p: number) => (n === 0 ? 1 : Math.exp(n * (p < 0.5 ? Math.log1p(-p) : Math.log(q))));
  if (a === 0) return power(b, y, x);
  if (b === 0) return power(a, x, y);
  if (x === 0 || y === 0) return 0;
  const n = a + b;
  const exponent = stirlingError(n) - stirlingError(a) - stirlingError(b) - devianceTerm(a, n * x) - devianceTerm(b, n * y);
  // a·b may overflow or underflow where the quotient doesn't.
  return Math.exp(exponent) * Math.sqrt(n / a / b / (2 * Math.PI));
};

/** Both tails of Beta(a, b) at x = 1 − y and `density` = d lower / d logit(x). */
export const betaTails = (x: number, y: number, a: number, b: number): { lower: number; upper: number; density: number } => {
  if (x <= 0) return { lower: 0, upper: 1, density: 0 };
  if (y <= 0) return { lower: 1, upper: 0, density: 0 };
  const density = binomialDensity(a, b, x, y) * (a / (a + b)) * b;
  // DiDonato & Morris (1992) ACM TOMS 18:360, eq. 9. The plainer fraction cancels when one shape is 1e8 and z nearly 1
  // (a rare event among millions); here the nearness enters only through w = 1 − z.
  const smaller = (z: number, w: number, c: number, d: number): number => {
    const numerator = (i: number) =>
      ((((c + i - 1) / (c + 2 * i - 1)) * (c + d + i - 1)) / (c + 2 * i - 1)) * i * (d - i) * z * z;
    const denominator = (i: number) =>
      i + (i * (d - i) * z) / (c + 2 * i - 1) + ((c + i) / (c + 2 * i + 1)) * (c * w - d * z + 1 + i * (1 + w));
    // At i = 0 written out: (c − 1) may be 0.
    return density / continuedFraction((c / (c + 1)) * (c * w - d * z + 1), numerator, denominator);
  };
  if (x * (a + b + 2) < a + 1) {
    const lower = smaller(x, y, a, b);
    return { lower, upper: 1 - lower, density };
  }
  const upper = smaller(y, x, b, a);
  return { lower: 1 - upper, upper, density };
};

/** Distribution function (or upper tail) of Beta(a, b) at x in [0, 1]. RangeError unless a, b > 0. */
export const pbeta = (x: number, a: number, b: number, tail: Tail = 'lower'): number =>
  betaTails(probability('x', x), 1 - x, positive('a', a), positive('b', b))[tail];

/** ln B(a, b): the difference of two large ln Γ is taken term by term. */
const logBeta = (a: number, b: number): number => {
  const [small, large] = a < b ? [a, b] : [b, a];
  const sum = small + large;
  const fall = -(large - 0.5) * Math.log1p(small / large) - small * Math.log(sum) + small;
  return lgamma(small) + fall + stirlingError(large) - stirlingError(sum);
};

/** The quantile x together with y = 1 − x, each to full relative accuracy. */
export const betaQuantile = (p: number, a: number, b: number, tail: Tail = 'lower'): { x: number; y: number } => {
  if (p === (tail === 'lower' ? 0 : 1)) return { x: 0, y: 1 };
  if (p === (tail === 'lower' ? 1 : 0)) return { x: 1, y: 0 };
  const half = betaTails(0.5, 0.5, a, b);
  if (tail === 'lower' ? p > half.lower : p < half.upper) {
    const { x, y } = betaQuantile(p, b, a, tail === 'lower' ? 'upper' : 'lower');
    return { x: y, y: x };
  }
  const side: Tail = p <= 0.5 ? tail : tail === 'lower' ? 'upper' : 'lower';
  const target = p <= 0.5 ? p : 1 - p;
  const logBound = ((side === 'lower' ? Math.log(target) : Math.log1p(-target)) + Math.log(a) + logBeta(a, b)) / a;
  // So far down that (1 − x)^(b−1) is 1 to rounding: the power law is exact.
  if (logBound + Math.log1p(b) < -40) return { x: Math.exp(logBound), y: 1 };
  const mean = a / (a + b);
  const spread = Math.sqrt((mean * (1 - mean)) / (a + b + 1));
  const guess = mean + (side === 'lower' ? 1 : -1) * roughNormal(target) * spread;
  const sign = side === 'lower' ? 1 : -1;
  const at = (x: number) => {
    const tails = betaTails(x, 1 - x, a, b);
    return { mass: tails[side], slope: (sign * tails.density) / (1 - x) };
  };
  const x = solveMass(at, target, guess > 0.2 * mean ? guess : Math.min(0.4, Math.exp(logBound)), side === 'lower', 0.5000001);
  return { x, y: 1 - x };
};

/** Quantile of Beta(a, b) at probability p of the given tail. RangeError unless 0 ≤ p ≤ 1 and a, b > 0. */
export const qbeta = (p: number, a: number, b: number, tail: Tail = 'lower'): number =>
  betaQuantile(probability('p', p), positive('a', a), positive('b', b), tail).x;

/** Binomial: P(X ≤ k) (lower) or P(X > k) (upper), n trials, success probability p; `k` floored. */
export const pbinom = (k: number, n: number, p: number, tail: Tail = 'lower'): number => {
  wholeNumber('n', n);
  probability('p', p);
  const whole = Math.floor(k);
  if (whole < 0 || whole >= n) return whole < 0 === (tail === 'lower') ? 0 : 1;
  return betaTails(p, 1 - p, whole + 1, n - whole)[tail === 'lower' ? 'upper' : 'lower'];
};

const studentTails = (t: number, df: number): { tail: number; centre: number; density: number } => {
  const r = t / Math.sqrt(df);
  const square = r * r;
  const { lower, upper, density } = betaTails(1 / (1 + square), square / (1 + square), df / 2, 0.5);
  return { tail: lower / 2, centre: upper / 2, density };
};

const degrees = (df: number): number => (df === Infinity ? df : positive('df', df));

/** Student's t with df > 0 (Infinity = normal): distribution function or upper tail at t. */
export const pt = (t: number, df: number, tail: Tail = 'lower'): number => {
  if (Number.isNaN(t)) throw new RangeError('t must be a number, got NaN');
  if (degrees(df) === Infinity || !Number.isFinite(t)) return pnorm(t, tail);
  const { tail: outer, centre } = studentTails(Math.abs(t), df);
  return t < 0 === (tail === 'lower') ? outer : 0.5 + centre;
};

/** Quantile of Student's t with df > 0 (Infinity = normal) at lower probability p; ∓Infinity at 0 and 1. */
export const qt = (p: number, df: number): number => {
  probability('p', p);
  if (degrees(df) === Infinity || p === 0 || p === 1 || p === 0.5) return qnorm(p);
  const inner = Math.abs(p - 0.5);
  const { x, y } =
    inner < 0.25 ? betaQuantile(2 * inner, df / 2, 0.5, 'upper') : betaQuantile(2 * Math.min(p, 1 - p), df / 2, 0.5);
  return Math.sign(p - 0.5) * Math.sqrt(df) * Math.sqrt(y / x);
};
