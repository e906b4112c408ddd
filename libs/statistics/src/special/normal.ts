import { probability } from '../checks';
import { gammaTails, qgamma, type Tail } from './gamma';

/** Standard normal distribution function at z, or its upper tail; full relative accuracy down to 1e-308. RangeError on NaN. */
export const pnorm = (z: number, tail: Tail = 'lower'): number => {
  if (Number.isNaN(z)) throw new RangeError('z must be a number, got NaN');
  const half = gammaTails((z * z) / 2, 0.5);
  return z < 0 === (tail === 'lower') ? half.upper / 2 : 0.5 + half.lower / 2;
};

/** Standard normal quantile at lower probability p; ∓Infinity at 0 and 1. Z² / 2 is Gamma(1/2), which settles both tails and the middle. */
export const qnorm = (p: number): number => {
  probability('p', p);
  if (p === 0.5) return 0;
  const half = Math.abs(p - 0.5) < 0.25 ? qgamma(2 * Math.abs(p - 0.5), 0.5) : qgamma(2 * Math.min(p, 1 - p), 0.5, 'upper');
  return Math.sign(p - 0.5) * Math.sqrt(2 * half);
};
