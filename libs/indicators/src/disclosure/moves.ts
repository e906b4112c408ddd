import type { System } from './system';

/** A change of some cells that keeps every sum true: added to a table, it gives another table of the same relations. */
export interface Move {
  readonly cells: readonly number[];
  readonly deltas: readonly number[];
}

export interface Effort {
  /** States looked into before giving up. */
  readonly states: number;
  /** What an open sum is reckoned to cost still. Reckoned high, a search dives for any end; low, it compares and takes longer. */
  readonly open: number;
}

export interface Search {
  readonly system: System;
  /** The table the move starts from. */
  readonly values: Float64Array;
  /** What it costs a reader that a cell moves; Infinity: it may not. */
  readonly cost: (cell: number) => number;
  readonly effort: Effort;
}

interface State {
  readonly cell: number;
  readonly delta: number;
  readonly parent: State | undefined;
  readonly cost: number;
  /** Sums out of balance and by how much (parts − total), pairwise. */
  readonly open: readonly number[];
  readonly rank: number;
}

interface Branch {
  readonly cell: number;
  readonly delta: number;
  readonly price: number;
  readonly rank: number;
}

/** Branches kept at each state. */
const BREADTH = 16;

/**
 * The cheapest move found in which `cell` changes by `delta` and every other cell by as much, up or down, none falling below 1:
 * everybody knows that what is hidden isn't 0. Best first over sums out of balance; `undefined` when the budget runs out or none is.
 */
export const findMove = ({ system, values, cost, effort }: Search, cell: number, delta: number): Move | undefined => {
  const { cellsOf, sumsOf } = system;
  const step = Math.abs(delta);
  if (values[cell]! + delta < 1) return undefined;
  const queue = new Heap();
  queue.push(next(system, undefined, cell, delta, cost(cell), effort));
  for (let spent = 0; spent < effort.states; spent++) {
    const state = queue.pop();
    if (!state) return undefined;
    if (state.open.length === 0) return moveOf(state);
    const { sum, residual } = tightest(state.open, cellsOf);
    const branches: Branch[] = [];
    for (const other of cellsOf[sum]!) {
      const price = cost(other);
      if (price === Infinity || uses(state, other)) continue;
      const asTotal = sumsOf[other]!.includes(~sum);
      const change = residual > 0 === asTotal ? step : -step;
      if (values[other]! + change < 1) continue;
      branches.push({ cell: other, delta: change, price, rank: price + effort.open * opened(system, state, other, change) });
    }
    if (branches.length > BREADTH) branches.sort((a, b) => a.rank - b.rank).length = BREADTH;
    for (const branch of branches) queue.push(next(system, state, branch.cell, branch.delta, branch.price, effort));
  }
  return undefined;
};

/** How many more sums are out of balance once the cell has changed. */
const opened = ({ sumsOf }: System, { open }: State, cell: number, delta: number): number => {
  let more = 0;
  for (const signed of sumsOf[cell]!) {
    const sum = signed < 0 ? ~signed : signed;
    let i = 0;
    while (i < open.length && open[i] !== sum) i += 2;
    if (i === open.length) more++;
    else if (open[i + 1] === (signed < 0 ? delta : -delta)) more--;
  }
  return more;
};

/** The open sum with the fewest cells: where there is least choice, a dead end shows soonest. */
const tightest = (open: readonly number[], cellsOf: readonly Int32Array[]) => {
  let best = 0;
  for (let i = 2; i < open.length; i += 2) if (cellsOf[open[i]!]!.length < cellsOf[open[best]!]!.length) best = i;
  return { sum: open[best]!, residual: open[best + 1]! };
};

const uses = (state: State, cell: number): boolean => {
  for (let at: State | undefined = state; at; at = at.parent) if (at.cell === cell) return true;
  return false;
};

const next = (
  { sumsOf }: System,
  parent: State | undefined,
  cell: number,
  delta: number,
  price: number,
  effort: Effort,
): State => {
  const open = parent ? [...parent.open] : [];
  for (const signed of sumsOf[cell]!) {
    const sum = signed < 0 ? ~signed : signed;
    const change = signed < 0 ? -delta : delta;
    let i = 0;
    while (i < open.length && open[i] !== sum) i += 2;
    if (i === open.length) open.push(sum, change);
    else if (open[i + 1] === -change) open.splice(i, 2);
    else open[i + 1]! += change;
  }
  const cost = (parent?.cost ?? 0) + price;
  return { cell, delta, parent, cost, open, rank: cost + (effort.open * open.length) / 2 };
};

const moveOf = (state: State): Move => {
  const cells: number[] = [];
  const deltas: number[] = [];
  for (let at: State | undefined = state; at; at = at.parent) {
    cells.push(at.cell);
    deltas.push(at.delta);
  }
  return { cells, deltas };
};

/** A binary heap; among equals the order of arrival decides, so that a search always goes the same way. */
class Heap {
  private readonly items: { state: State; order: number }[] = [];
  private arrived = 0;

  push(state: State): void {
    const { items } = this;
    let at = items.push({ state, order: this.arrived++ }) - 1;
    while (at > 0) {
      const above = (at - 1) >> 1;
      if (!this.before(at, above)) break;
      [items[at], items[above]] = [items[above]!, items[at]!];
      at = above;
    }
  }

  pop(): State | undefined {
    const { items } = this;
    const first = items[0];
    const last = items.pop();
    if (!first || !last || items.length === 0) return first?.state;
    items[0] = last;
    for (let at = 0; ; ) {
      const left = 2 * at + 1;
      const right = left + 1;
      let least = left < items.length && this.before(left, at) ? left : at;
      if (right < items.length && this.before(right, least)) least = right;
      if (least === at) return first.state;
      [items[at], items[least]] = [items[least]!, items[at]!];
      at = least;
    }
  }

  private before(a: number, b: number): boolean {
    const [one, other] = [this.items[a]!, this.items[b]!];
    return one.state.rank < other.state.rank || (one.state.rank === other.state.rank && one.order < other.order);
  }
}
