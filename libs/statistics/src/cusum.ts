import { answer, refuse, type Answer } from './answer';
import { nonNegative, positive, sameLength, wholeNumber } from './checks';

export type CusumPoint = { readonly at: number; readonly sum: number; readonly alarm: boolean };

/**
 * Poisson CUSUM against expected counts: Sₜ = max(0, Sₜ₋₁ + yₜ − kₜ), kₜ = expectedₜ (r − 1)/ln r, the reference that tells a rate
 * `ratio` = r times the expected from the expected best; for r < 1 the sum runs on the shortfall. Alarm where S > `limit`;
 * `restart` sets S to 0 after one. Lucas (1985) Technometrics 27:129; Rossi, Lampugnani & Marchi (1999) Stat Med 18:2111.
 * Refused with a reason: ratio 1 or not above 0, expected counts not above 0, counts not whole.
 */
export const poissonCusum = (
  { counts, expected }: { counts: readonly number[]; expected: readonly number[] },
  { ratio = 2, limit, start = 0, restart = false }: { ratio?: number; limit: number; start?: number; restart?: boolean },
): Answer<readonly CusumPoint[]> =>
  answer(() => {
    sameLength({ counts, expected });
    positive('limit', limit);
    nonNegative('start', start);
    if (positive('ratio', ratio) === 1) refuse('bad-input', 'ratio must differ from 1', 'ratio');
    const sign = ratio > 1 ? 1 : -1;
    const reference = (ratio - 1) / Math.log(ratio);
    let sum = start;
    return counts.map((y, at): CusumPoint => {
      const k = positive(`expected[${at}]`, expected[at]!) * reference;
      if (restart && sum > limit) sum = 0;
      sum = Math.max(0, sum + sign * (wholeNumber(`counts[${at}]`, y) - k));
      return { at, sum, alarm: sum > limit };
    });
  });
