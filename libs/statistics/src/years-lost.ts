import { nonNegative, positive, sameLength } from './checks';
import { weightedSum, type WeightedSum } from './standardise';

/**
 * Years up to a limit lost by events at given ages: Σ count · max(0, limit − age). `ages` are mid-points in years (a single year
 * of age is age + 0.5); `below` counts events under the limit. `sum` carries the variance for `dobson` and the other limits.
 * CDC MMWR 1986;35(2S). RangeError on negatives, unequal lengths or limit ≤ 0.
 */
export const yearsLost = (
  ages: readonly number[],
  counts: readonly number[],
  limit: number,
): { below: number; years: number; perEvent: number | null; sum: WeightedSum } => {
  sameLength({ ages, counts });
  ages.forEach((age, i) => nonNegative(`ages[${i}]`, age));
  positive('limit', limit);
  const kept = ages.flatMap((age, i) => (age < limit ? [i] : []));
  const sum = weightedSum(
    kept.map((i) => counts[i]!),
    kept.map((i) => limit - ages[i]!),
  );
  return { below: sum.count, years: sum.estimate, perEvent: sum.count ? sum.estimate / sum.count : null, sum };
};
