import type { Problem, Text } from './result';

/** A word in both tongues of the engine. */
export type Label = Text;

/** Why a word was not understood: a `Problem` that always quotes the word. A value beside the answer's type; never thrown. */
export type Refusal = Problem & { readonly value: unknown };

export const isRefusal = (x: unknown): x is Refusal =>
  typeof x === 'object' && x !== null && !Array.isArray(x) && 'code' in x && 'detail' in x && 'value' in x;

/**
 * The candidate that `word` most likely meant, by edit distance with transpositions, ignoring case. `undefined` when none is
 * within a third of the word's length (at least one edit): a wild guess in an error message is worse than none.
 */
export const nearest = (word: string, candidates: Iterable<string>): string | undefined => {
  const wanted = word.trim().toLowerCase();
  let best: string | undefined;
  let least = Math.max(1, Math.floor(wanted.length / 3)) + 1;
  for (const candidate of candidates) {
    const distance = editDistance(wanted, candidate.toLowerCase(), least);
    if (distance < least) [best, least] = [candidate, distance];
  }
  return best;
};

/** Optimal string alignment distance; gives up (returns `limit`) once it can't come out below `limit`. */
const editDistance = (a: string, b: string, limit: number): number => {
  if (Math.abs(a.length - b.length) >= limit) return limit;
  let before: number[] = [];
  let previous = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (let i = 1; i <= a.length; i++) {
    const row = [i];
    for (let j = 1; j <= b.length; j++) {
      const cost = a[i - 1] === b[j - 1] ? 0 : 1;
      let d = Math.min(previous[j]! + 1, row[j - 1]! + 1, previous[j - 1]! + cost);
      if (i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1]) d = Math.min(d, before[j - 2]! + 1);
      row.push(d);
    }
    if (Math.min(...row) >= limit) return limit;
    [before, previous] = [previous, row];
  }
  return previous[b.length]!;
};
