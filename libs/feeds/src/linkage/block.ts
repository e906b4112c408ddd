import { blockKeys, NO_DAY, type Columns } from './columns';
import type { LinkageModel, Pass } from './model';

/** A block too large to compare. Its pairs may still have been compared in another pass. */
export interface SkippedBlock {
  readonly pass: string;
  /** One of its records. */
  readonly example: number;
  /** In the block: those of its day and of the days after it within the pass. */
  readonly records: number;
  /** Left out in this pass. */
  readonly pairs: number;
}

interface Blocked {
  readonly pass: Pass;
  readonly keys: Float64Array;
  /** Rows whose block, the one that begins with their day, was skipped. */
  readonly skipped: Uint8Array;
}

const isTogether = ({ day }: Columns, { pass, keys, skipped }: Blocked, a: number, b: number): boolean => {
  if (keys[a]! < 0 || keys[a] !== keys[b]) return false;
  if (pass.days === null) return skipped[a] === 0;
  if (Math.abs(day[a]! - day[b]!) > pass.days) return false;
  return skipped[day[a]! <= day[b]! ? a : b] === 0;
};

/**
 * Visits each pair that any pass puts together once, whichever passes do, if `wanted`. Blocks over `largestBlock` records are
 * left out and told.
 */
export const block = (
  columns: Columns,
  { passes, largestBlock }: Pick<LinkageModel, 'passes' | 'largestBlock'>,
  wanted: (a: number, b: number) => boolean,
  visit: (a: number, b: number) => void,
): SkippedBlock[] => {
  const { day } = columns;
  const done: Blocked[] = [];
  const told: SkippedBlock[] = [];
  for (const pass of passes) {
    const keys = blockKeys(columns, pass);
    const skipped = new Uint8Array(columns.length);
    const order = Uint32Array.from({ length: columns.length }, (_, row) => row)
      .filter((row) => keys[row]! >= 0)
      .sort((a, b) => keys[a]! - keys[b]! || (pass.days === null ? 0 : day[a]! - day[b]!) || a - b);
    const dayAt = Int32Array.from(order, (row) => (pass.days === null ? NO_DAY : day[row]!));
    const keyAt = Float64Array.from(order, (row) => keys[row]!);
    for (let from = 0; from < order.length; ) {
      let own = from + 1;
      while (own < order.length && keyAt[own] === keyAt[from] && dayAt[own] === dayAt[from]) own++;
      let end = own;
      while (end < order.length && keyAt[end] === keyAt[from] && dayAt[end]! - dayAt[from]! <= (pass.days ?? 0)) end++;
      if (end - from > largestBlock) {
        for (let at = from; at < own; at++) skipped[order[at]!] = 1;
        const size = own - from;
        told.push({
          pass: pass.name,
          example: order[from]!,
          records: end - from,
          pairs: (size * (size - 1)) / 2 + size * (end - own),
        });
      } else
        for (let at = from; at < own; at++) {
          const a = order[at]!;
          for (let next = at + 1; next < end; next++) {
            const b = order[next]!;
            if (wanted(a, b) && !done.some((earlier) => isTogether(columns, earlier, a, b))) visit(a, b);
          }
        }
      from = own;
    }
    done.push({ pass, keys, skipped });
  }
  return told;
};
