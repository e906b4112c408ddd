import type { Table } from './table';

/** A table by number: cells in the order of their ids, so that the order they came in decides nothing. */
export interface System {
  readonly ids: readonly string[];
  readonly counts: Int32Array;
  readonly thresholds: Int32Array;
  /** The cells of each sum that aren't 0: 0 is always shown, so it never moves. */
  readonly cellsOf: readonly Int32Array[];
  /** For each cell, the sums it stands in: `s` as a part, `~s` (negative) as the total. */
  readonly sumsOf: readonly Int32Array[];
}

/** Throws on what can't be a table of counts: ids twice, cells unknown, counts that aren't whole, sums that don't add up. */
export const systemOf = (table: Table): System => {
  const cells = [...table.cells].sort((a, b) => compare(a.id, b.id));
  const at = new Map<string, number>();
  cells.forEach(({ id, count, threshold }, i) => {
    if (at.has(id)) throw new Error(`cell ${id} is there twice`);
    if (!Number.isInteger(count) || count < 0 || count > MOST)
      throw new Error(`cell ${id} has no count from 0 to ${MOST}: ${count}`);
    if (!Number.isInteger(threshold) || threshold < 1 || threshold > MOST_THRESHOLD)
      throw new Error(`cell ${id} has no threshold: ${threshold}`);
    at.set(id, i);
  });
  const place = (id: string): number => {
    const found = at.get(id);
    if (found === undefined) throw new Error(`a sum names cell ${id}, which isn't there`);
    return found;
  };
  const counts = Int32Array.from(cells, ({ count }) => count);
  const sums = table.sums
    .map(({ total, parts }) => ({ total: place(total), parts: parts.map(place).sort((a, b) => a - b) }))
    .sort((a, b) => a.total - b.total || a.parts.length - b.parts.length || firstDifference(a.parts, b.parts));
  const sumsOf = cells.map((): number[] => []);
  const cellsOf = sums.map(({ total, parts }, s) => {
    const all = [total, ...parts];
    if (new Set(all).size !== all.length) throw new Error(`the sum of cell ${cells[total]!.id} names a cell twice`);
    const added = parts.reduce((sum, part) => sum + counts[part]!, 0);
    if (added !== counts[total]) throw new Error(`cell ${cells[total]!.id} is ${counts[total]}, its parts add up to ${added}`);
    for (const part of parts) sumsOf[part]!.push(s);
    sumsOf[total]!.push(~s);
    return Int32Array.from(all.filter((cell) => counts[cell]! > 0));
  });
  return {
    ids: cells.map(({ id }) => id),
    counts,
    thresholds: Int32Array.from(cells, ({ threshold }) => threshold),
    cellsOf,
    sumsOf: sumsOf.map((found) => Int32Array.from(found)),
  };
};

const MOST = 2_000_000_000;
const MOST_THRESHOLD = 1000;

// By code unit: a locale would order differently on another machine.
const compare = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0);

const firstDifference = (a: readonly number[], b: readonly number[]): number => {
  const at = a.findIndex((value, i) => value !== b[i]);
  return at < 0 ? 0 : a[at]! - b[at]!;
};
