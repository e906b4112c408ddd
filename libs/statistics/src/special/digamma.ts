import { positive } from '../checks';

// ψ(x) ~ ln x − 1/2x − Σ B₂ₖ/(2k x²ᵏ), used from 10 on; below, the recurrence ψ(x) = ψ(x + 1) − 1/x.
const bernoulli = [1 / 6, -1 / 30, 1 / 42, -1 / 30, 5 / 66, -691 / 2730, 7 / 6];

/** Derivative of ln Γ at x > 0. Abramowitz & Stegun 6.3.5, 6.3.18. RangeError otherwise. */
export const digamma = (x: number): number => {
  positive('x', x);
  let shift = 0;
  let at = x;
  for (; at < 10; at++) shift -= 1 / at;
  const s = 1 / (at * at);
  let sum = 0;
  for (let k = bernoulli.length; k >= 1; k--) sum = s * (bernoulli[k - 1]! / (2 * k) + sum);
  return shift + Math.log(at) - 0.5 / at - sum;
};

/** Second derivative of ln Γ at x > 0. Abramowitz & Stegun 6.4.6, 6.4.12. RangeError otherwise. */
export const trigamma = (x: number): number => {
  positive('x', x);
  let shift = 0;
  let at = x;
  for (; at < 10; at++) shift += 1 / (at * at);
  const s = 1 / (at * at);
  let sum = 0;
  for (let k = bernoulli.length; k >= 1; k--) sum = s * (bernoulli[k - 1]! + sum);
  return shift + (1 + 0.5 / at + sum) / at;
};
