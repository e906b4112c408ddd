import { findMove, type Effort, type Move } from './moves';
import { systemOf, type System } from './system';
import type { Table } from './table';

/**
 * `primary`: a count of 1 … k−1; `held`: a change of 1 … k−1 from a value shown before; `complementary`: hidden so that no other
 * can be worked out. Whoever is told which of the three it is learns bounds on the count: publish one reason for all.
 */
export type Hidden = 'primary' | 'held' | 'complementary';
export type Decision =
  | { readonly state: 'shown'; readonly value: number }
  | {
      readonly state: Hidden;
      readonly value: null;
      /** Two counts of this cell, each in a whole table that agrees with everything shown. The proof; not for publication. */
      readonly possible: { readonly least: number; readonly most: number };
    };

/** By cell id, in the order of the ids. */
export type Protection = ReadonlyMap<string, Decision>;

/** What earlier releases told. */
export interface Told {
  /** Every value shown of the cell, once each. */
  readonly values: (id: string) => readonly number[];
  /** Hidden in the last release: hidden again, it tells nothing new and needs no holding later. */
  readonly hidden: (id: string) => boolean;
}

const NOTHING_TOLD: Told = { values: () => [], hidden: () => false };

/**
 * Decides which cells are hidden. For each hidden cell there are two whole tables, of integers, none of its hidden cells 0, that
 * agree with everything shown and differ in that cell; for a small one (primary, held) by k−1 at least, one of them with k or more
 * (above the value shown before). Throws on a table that isn't one (see systemOf). The order of cells and sums decides nothing.
 */
export const protectTable = (table: Table, told: Told = NOTHING_TOLD): Protection => {
  const system = systemOf(table);
  const guard = new Guard(system, told);
  const small = system.ids.map((_, cell) => cell).filter((cell) => guard.references(cell).length > 0);
  for (const cell of small) guard.hide(cell);
  // The hardest first: a cell of few has the farthest to go, and what is hidden for it serves the others.
  for (const cell of small.sort((a, b) => system.counts[a]! - system.counts[b]! || a - b)) guard.secure(cell);
  return new Map(system.ids.map((id, cell) => [id, guard.decision(cell)]));
};

/** Searches among the cells already hidden, then among all for the cheapest, for a cheap one, for any way at all. */
const EFFORT = {
  hidden: { states: 60, open: 2.5 },
  any: { states: 1000, open: 1 },
  dive: { states: 600, open: 5 },
  last: { states: 6000, open: 25 },
} satisfies Record<string, Effort>;
/** Cells of a table from which on the cheapest way is sought less and less hard, so that time grows with the table only. */
const LARGE = 10_000;
/** What moving a hidden cell costs: next to nothing, but a short way is still better than a long one. */
const FREE = 0.05;
/** What hiding again costs, against hiding anew. */
const AGAIN = 0.6;

class Guard {
  private readonly hidden: Uint8Array;
  private readonly least: Float64Array;
  private readonly most: Float64Array;
  /** The table a walk has reached: as good as the true one to whoever sees what is shown. */
  private readonly values: Float64Array;
  private readonly price: Float64Array;
  private readonly cheapest: Effort;
  private readonly small: (readonly number[])[];

  constructor(
    private readonly system: System,
    told: Told,
  ) {
    const { counts, thresholds, ids } = system;
    this.cheapest = { ...EFFORT.any, states: Math.ceil(EFFORT.any.states * Math.min(1, LARGE / counts.length)) };
    this.hidden = new Uint8Array(counts.length);
    this.least = Float64Array.from(counts);
    this.most = Float64Array.from(counts);
    this.values = Float64Array.from(counts);
    // A large cell is a total more often than not, and more people look at it.
    this.price = Float64Array.from(
      counts,
      (count, cell) => (1 + Math.log2(count + 1) / 2) * (told.hidden(ids[cell]!) ? AGAIN : 1),
    );
    // A count is a change from 0, so one rule serves small counts and small changes. 0 itself is always shown.
    this.small = ids.map((id, cell) => {
      const count = counts[cell]!;
      const near = (from: number) => count !== from && Math.abs(count - from) < thresholds[cell]!;
      return count === 0 ? [] : [0, ...told.values(id)].filter(near);
    });
  }

  /** The values known before from which the cell's count is a small change. */
  references(cell: number): readonly number[] {
    return this.small[cell]!;
  }

  hide(cell: number): void {
    this.hidden[cell] = 1;
  }

  decision(cell: number): Decision {
    const value = this.system.counts[cell]!;
    if (!this.hidden[cell]) return { state: 'shown', value };
    const references = this.references(cell);
    const state = references.includes(0) ? 'primary' : references.length > 0 ? 'held' : 'complementary';
    return { state, value: null, possible: { least: this.least[cell]!, most: this.most[cell]! } };
  }

  /**
   * Hides what it takes until nobody can tell that the cell is small: it might be as it was (0 aside, which is never hidden), and
   * it might have changed by k. How low it can go is limited by its own parts, none of which is 0; how high is not.
   */
  secure(cell: number): void {
    const count = this.system.counts[cell]!;
    const k = this.system.thresholds[cell]!;
    const references = this.references(cell);
    const below = Math.min(count, ...references.map((from) => Math.max(from, 1)));
    this.walk(cell, below, !references.includes(0));
    const above = references.filter((from) => from > count);
    // Down by k from where it stood is as good as up by k, and nearer.
    if (above.length > 0) this.walk(cell, Math.max(1, Math.max(...above) - k), false);
    const goal = Math.max(...references.map((from) => (from > count && this.least[cell]! <= from - k ? from : from + k)));
    if (!this.walk(cell, goal, true)) this.surrender(cell, goal);
    // What went up on others may well go down on them; how far it can't, it has to go up more.
    this.walk(cell, below, false);
    const width = this.least[cell]! + k - 1;
    if (!this.walk(cell, width, true)) this.surrender(cell, width);
  }

  /** Moves the table until the cell has the value, hiding all that moves; false when no way was found or none may be hidden. */
  private walk(cell: number, goal: number, mayHide: boolean): boolean {
    if (this.least[cell]! <= goal && goal <= this.most[cell]!) return true;
    const { values } = this;
    const touched = new Set<number>();
    while (values[cell] !== goal) {
      const move = this.way(cell, goal - values[cell]!, mayHide);
      if (!move) break;
      const times = this.times(move, Math.abs(goal - values[cell]!));
      move.cells.forEach((moved, i) => {
        const value = values[moved]! + times * move.deltas[i]!;
        values[moved] = value;
        touched.add(moved);
        this.witness(moved, value);
      });
    }
    const reached = values[cell] === goal;
    for (const moved of touched) values[moved] = this.system.counts[moved]!;
    return reached;
  }

  private way(cell: number, gap: number, mayHide: boolean): Move | undefined {
    const one = Math.sign(gap);
    const hidden = (other: number) => (this.hidden[other] ? FREE : Infinity);
    const any = (other: number) => (this.hidden[other] ? FREE : this.price[other]!);
    const find = (cost: (other: number) => number, delta: number, effort: Effort) =>
      findMove({ system: this.system, values: this.values, cost, effort }, cell, delta);
    const free = find(hidden, gap, EFFORT.hidden) ?? (gap === one ? undefined : find(hidden, one, EFFORT.hidden));
    if (free || !mayHide) return free;
    for (const effort of [this.cheapest, EFFORT.dive]) {
      const found = find(any, gap, effort) ?? find(any, one, effort);
      if (found) return found;
    }
    return find(any, one, EFFORT.last);
  }

  /** How often a move can be made, up to where it is wanted, before a cell falls below 1. */
  private times({ cells, deltas }: Move, wanted: number): number {
    const each = Math.abs(deltas[0]!);
    return cells.reduce(
      (most, cell, i) => (deltas[i]! < 0 ? Math.min(most, Math.floor((this.values[cell]! - 1) / each)) : most),
      Math.floor(wanted / each),
    );
  }

  /** The way that always is: everything connected with the cell is hidden, for a table and its multiple have the same sums. */
  private surrender(cell: number, goal: number): void {
    const { counts, cellsOf, sumsOf } = this.system;
    const factor = Math.ceil(goal / counts[cell]!);
    const found = new Set([cell]);
    for (const at of found) {
      for (const signed of sumsOf[at]!) for (const other of cellsOf[signed < 0 ? ~signed : signed]!) found.add(other);
    }
    for (const at of found) this.witness(at, Math.max(2, factor) * counts[at]!);
  }

  private witness(cell: number, value: number): void {
    this.hidden[cell] = 1;
    this.least[cell] = Math.min(this.least[cell]!, value);
    this.most[cell] = Math.max(this.most[cell]!, value);
  }
}
