import { answer, refuse, type Answer } from './answer';
import { level01, nonNegative, wholeNumber } from './checks';
import { zUpper } from './interval';

export type EarsMethod = 'C1' | 'C2' | 'C3';

export type EarsOptions = {
  /** One-sided chance of a false alarm: 0.001 for C1 and C2, 0.025 for C3 where absent. */
  readonly alpha?: number;
  /** Points of baseline, at least 3. */
  readonly baseline?: number;
  /** Floor on the baseline's standard deviation: after a week of zeros one event must not alarm. R's default is 0. */
  readonly minSigma?: number;
  /** Fewer events at a point never alarm. R has none. */
  readonly minCount?: number;
};

export type EarsPoint = {
  /** Index in the series. */
  readonly at: number;
  readonly upper: number | null;
  readonly alarm: boolean;
  /** Why `upper` is null. */
  readonly reason: string | null;
};

/**
 * EARS on a series of counts, every point with enough before it (7, 9 and 11 points for C1, C2, C3 at baseline 7).
 * C1: mean + z·max(sd, minSigma) of the 7 points before; C2: of the 7 points up to the third before; C3: from the C2 statistics of
 * this point and the two before, Uₜ = yₜ + sₜ(z − Σ max(0, Cₜ₋ᵢ − 1)), cut at 0. Alarm: y > upper. Without a floor a baseline
 * without spread leaves C3 undefined (`upper` null, no alarm). Fricker, Hegler & Dunfee (2008) Stat Med 27:3407; R
 * surveillance::earsC. Refused with a reason: a series too short, counts not whole.
 */
export const ears = (
  counts: readonly number[],
  method: EarsMethod,
  { alpha = method === 'C3' ? 0.025 : 0.001, baseline = 7, minSigma = 0.5, minCount = 3 }: EarsOptions = {},
): Answer<readonly EarsPoint[]> =>
  answer(() => {
    const z = zUpper(level01('alpha', alpha));
    nonNegative('minSigma', minSigma);
    nonNegative('minCount', minCount);
    if (wholeNumber('baseline', baseline) < 3) refuse('bad-input', 'baseline must hold 3 points or more', 'baseline');
    counts.forEach((y, i) => wholeNumber(`counts[${i}]`, y));
    const first = baseline + { C1: 0, C2: 2, C3: 4 }[method];
    if (counts.length <= first) refuse('too-short', `${counts.length} points; ${method} needs ${first + 1}`);
    const moments = (at: number, gap: number): { mean: number; sd: number } => {
      let sum = 0;
      for (let i = at - gap - baseline; i < at - gap; i++) sum += counts[i]!;
      const mean = sum / baseline;
      let squares = 0;
      for (let i = at - gap - baseline; i < at - gap; i++) squares += (counts[i]! - mean) ** 2;
      // A constant baseline whose mean isn't a double must still have spread 0.
      const sd = Math.sqrt(squares / (baseline - 1));
      return { mean, sd: Math.max(sd < 1e-12 * mean ? 0 : sd, minSigma) };
    };
    const above = (at: number): number => {
      const { mean, sd } = moments(at, 2);
      const statistic = (counts[at]! - mean) / sd;
      return Number.isNaN(statistic) ? NaN : Math.max(0, statistic - 1);
    };
    const bound = (at: number): number => {
      const { mean, sd } = moments(at, method === 'C1' ? 0 : 2);
      if (method !== 'C3') return mean + z * sd;
      const limit = counts[at]! + sd * (z - (above(at - 1) + above(at - 2)));
      return Number.isNaN(limit) ? NaN : Math.max(0, limit);
    };
    return counts.slice(first).map((y, i): EarsPoint => {
      const upper = bound(first + i);
      const usable = Number.isFinite(upper);
      return {
        at: first + i,
        upper: usable ? upper : null,
        alarm: usable && y > upper && y >= minCount,
        reason: usable ? null : 'the baseline does not vary: set a floor on its standard deviation',
      };
    });
  });
