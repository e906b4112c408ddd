/**
 * What disclosure control protects: counts, and the sums a reader can write between them. A table of axes is one way to get
 * there; a share (numerator, denominator and what is left) is another; anything else can be written as cells and sums directly.
 */

/** `threshold` k ≥ 1: counts 1 … k−1 are small. 0 never is. */
export interface Cell {
  readonly id: string;
  /** A whole number ≥ 0. */
  readonly count: number;
  readonly threshold: number;
}

/** total = Σ parts, by cell id. */
export interface Sum {
  readonly total: string;
  readonly parts: readonly string[];
}

/** Every relation a reader knows between cells belongs in `sums`: one that is missing is one that isn't protected. */
export interface Table {
  readonly cells: readonly Cell[];
  readonly sums: readonly Sum[];
}

/**
 * `members` distinct. A sum is a member whose count is that of other members put together (a quarter of its months, a street of
 * its communities, the total of everything). Members that overlap otherwise (a person in two groups) have none.
 */
export interface Axis {
  readonly members: readonly string[];
  readonly sums: readonly Sum[];
}

const SEPARATOR = '\u001f';

/** The id of a cell in a table of axes: one member of each axis, in the axes' order. */
export const cellId = (members: readonly string[]): string => members.join(SEPARATOR);

/** Every combination of the axes' members as a cell, and every sum of every axis at every combination of the others. */
export const tableOf = (
  axes: readonly Axis[],
  count: (members: readonly string[]) => number,
  threshold: number | ((members: readonly string[]) => number),
): Table => {
  const k = typeof threshold === 'number' ? () => threshold : threshold;
  const cells = combinations(axes.map(({ members }) => members)).map((members) => ({
    id: cellId(members),
    count: count(members),
    threshold: k(members),
  }));
  const sums = axes.flatMap((axis, at) => {
    const others = combinations(axes.map(({ members }, i) => (i === at ? [''] : members)));
    return axis.sums.flatMap(({ total, parts }) =>
      others.map((other) => ({
        total: cellId(other.with(at, total)),
        parts: parts.map((part) => cellId(other.with(at, part))),
      })),
    );
  });
  return { cells, sums };
};

const combinations = (lists: readonly (readonly string[])[]): string[][] =>
  lists.reduce<string[][]>((found, list) => found.flatMap((head) => list.map((item) => [...head, item])), [[]]);

/** The ids of one cell of a share: how many did, of how many, and how many did not. */
export const shareIds = (id: string) => ({ num: `num:${id}`, den: `den:${id}`, rest: `rest:${id}` });

/**
 * A share as one table, since who knows two of numerator, denominator and rest knows the third. The two tables have the same
 * ids and sums. `rest` is guarded at the higher of the two thresholds, as strictly as a count that is printed.
 */
export const shareTable = (num: Table, den: Table): Table => {
  const dens = new Map(den.cells.map((cell) => [cell.id, cell]));
  if (dens.size !== num.cells.length) throw new Error('a share needs a numerator and a denominator for the same cells');
  const cells = num.cells.flatMap((cell) => {
    const below = dens.get(cell.id);
    if (!below) throw new Error(`a share needs a denominator for cell ${cell.id}`);
    const ids = shareIds(cell.id);
    const rest = { count: below.count - cell.count, threshold: Math.max(cell.threshold, below.threshold) };
    return [
      { ...cell, id: ids.num },
      { ...below, id: ids.den },
      { ...rest, id: ids.rest },
    ];
  });
  const within = num.cells.map(({ id }) => {
    const ids = shareIds(id);
    return { total: ids.den, parts: [ids.num, ids.rest] };
  });
  const along = (kind: 'num' | 'den' | 'rest', sums: readonly Sum[]) =>
    sums.map(({ total, parts }) => ({ total: shareIds(total)[kind], parts: parts.map((part) => shareIds(part)[kind]) }));
  return { cells, sums: [...within, ...along('num', num.sums), ...along('rest', num.sums), ...along('den', den.sums)] };
};
