import { probability } from './checks';

const order = (p: readonly number[]): number[] => p.map((_, i) => i).sort((i, j) => p[i]! - p[j]!);

/** Adjusted P values controlling the false discovery rate: p₍ᵢ₎·m/i, made monotone from the largest. Benjamini & Hochberg (1995) JRSS B 57:289. */
export const benjaminiHochberg = (p: readonly number[]): number[] => {
  p.forEach((value, i) => probability(`p[${i}]`, value));
  const out = p.map(() => 1);
  let least = 1;
  order(p)
    .map((index, rank) => [index, rank + 1] as const)
    .reverse()
    .forEach(([index, rank]) => (out[index] = least = Math.min(least, p[index]! * (p.length / rank))));
  return out;
};

/** Adjusted P values controlling the family-wise error: p₍ᵢ₎·(m − i + 1), made monotone from the smallest, at most 1. Holm (1979). */
export const holm = (p: readonly number[]): number[] => {
  p.forEach((value, i) => probability(`p[${i}]`, value));
  const out = p.map(() => 1);
  let most = 0;
  order(p).forEach((index, rank) => (out[index] = most = Math.max(most, Math.min(1, p[index]! * (p.length - rank)))));
  return out;
};
