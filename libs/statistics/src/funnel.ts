import { answer, type Answer } from './answer';
import { level01, nonNegative, positive } from './checks';
import { poissonStep, poissonUpper } from './special/discrete';

/** The count at which P(X ≤ x) = p of a Poisson, read off a straight line between whole counts; 0 below the first step. */
const interpolated = (p: number, mean: number): number => {
  const x = poissonUpper(1 - p, mean);
  const { at, below } = poissonStep(x, mean);
  return Math.max(0, x - (at - p) / (at - below));
};

export type FunnelLimits = { readonly lower: number; readonly upper: number };

/**
 * Control limits of a rate whose true value is `target` (events per unit of exposure), at an exposure: where a unit of that size
 * would fall with chance `level` by Poisson variation alone. Limits of the rate at 95 % and 99.8 % are the usual pair. Interpolated
 * between whole counts after Spiegelhalter (2005) Stat Med 24:1185, A.1.1. Refused: target or exposure not above 0.
 */
export const funnelRateLimits = (target: number, exposure: number, level = 0.95): Answer<FunnelLimits> =>
  answer(() => {
    const mean = nonNegative('expected count', positive('target', target) * positive('exposure', exposure));
    const half = (1 - level01('level', level)) / 2;
    return { lower: interpolated(half, mean) / exposure, upper: interpolated(1 - half, mean) / exposure };
  });
