/** Numbers that one seed decides, on every machine alike. */
export interface Random {
  /** Whole, from 0 to 2³² − 1. */
  next(): number;
  /** Whole, from 0 to `limit` − 1. */
  below(limit: number): number;
  /** Whole, from `low` to `high`, both included. */
  between(low: number, high: number): number;
  chance(probability: number): boolean;
  pick<T>(from: readonly T[]): T;
}

const TWO_32 = 2 ** 32;

/** sfc32 (Doty-Humphrey, PractRand): 128 bits of state, a few nanoseconds a number. Any safe integer is a seed. */
export const createRandom = (seed: number): Random => {
  let a = seed | 0;
  let b = Math.floor(seed / TWO_32) | 0;
  let c = 0x9e3779b9 | 0;
  let counter = 1;
  const next = (): number => {
    const sum = (((a + b) | 0) + counter) | 0;
    counter = (counter + 1) | 0;
    a = b ^ (b >>> 9);
    b = (c + (c << 3)) | 0;
    c = (((c << 21) | (c >>> 11)) + sum) | 0;
    return sum >>> 0;
  };
  // Neighbouring seeds begin alike; a dozen rounds part them.
  for (let n = 0; n < 12; n++) next();
  const below = (limit: number): number => Math.floor((next() / TWO_32) * limit);
  return {
    next,
    below,
    between: (low, high) => low + below(high - low + 1),
    chance: (probability) => next() < probability * TWO_32,
    pick: (from) => from[below(from.length)]!,
  };
};
