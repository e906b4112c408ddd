/**
 * Seeded chance, the same on every machine: only 32-bit integers, division and comparison (V8's Math.exp and Math.pow may differ
 * between versions in the last bit, and one bit is another story).
 */
export interface Chance {
  /** In [0, 1). */
  next(): number;
  /** 0 … n − 1. */
  below(n: number): number;
  holds(probability: number): boolean;
  /** Index of a weight, drawn in proportion. */
  index(weights: readonly number[]): number;
  /** A key, drawn in proportion to its value. */
  pick(weights: Readonly<Record<string, number>>): string;
  /** A count whose mean is `mean`, nearly Poisson (the variance is 5 % short): a sum of many rare Bernoulli draws. */
  count(mean: number): number;
}

/** FNV-1a with a final avalanche: words to one seed. */
const seedOf = (text: string): number => {
  let h = 0x811c9dc5;
  for (let i = 0; i < text.length; i++) h = Math.imul(h ^ text.charCodeAt(i), 0x01000193);
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b);
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
  return (h ^ (h >>> 16)) >>> 0;
};

/** Mulberry32 (T. Ettinger), a stream per name. */
export const chance = (name: string): Chance => {
  let state = seedOf(name);
  const next = (): number => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = state;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 4_294_967_296;
  };
  const index = (weights: readonly number[]): number => {
    let left = next() * weights.reduce((sum, w) => sum + w, 0);
    for (let i = 0; i < weights.length; i++) if ((left -= weights[i]!) < 0) return i;
    return weights.length - 1;
  };
  return {
    next,
    below: (n) => Math.floor(next() * n),
    holds: (probability) => next() < probability,
    index,
    pick: (weights) => Object.keys(weights)[index(Object.values(weights))]!,
    count: (mean) => {
      const trials = Math.max(1, Math.ceil(mean * 20));
      let n = 0;
      for (let i = 0; i < trials; i++) if (next() < mean / trials) n++;
      return n;
    },
  };
};
