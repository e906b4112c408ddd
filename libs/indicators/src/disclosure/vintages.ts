import { protectTable, type Protection } from './protect';
import type { Table } from './table';

/** What releases so far told of each cell: the values shown, and whether it was hidden in the last one. */
export interface History {
  readonly cells: ReadonlyMap<string, { readonly shown: readonly number[]; readonly hidden: boolean }>;
}

export const NO_HISTORY: History = { cells: new Map() };

/**
 * One release more. A cell is shown when its count differs from every value ever shown of it by 0 or by its threshold at least;
 * else it is hidden, null like any hidden cell. The value shown before is not repeated as though it still held: it would be
 * wrong, and its table would not add up by just the change it should conceal.
 */
export const nextVintage = (history: History, table: Table): { readonly protection: Protection; readonly history: History } => {
  const protection = protectTable(table, {
    values: (id) => history.cells.get(id)?.shown ?? [],
    hidden: (id) => history.cells.get(id)?.hidden ?? false,
  });
  const cells = new Map(history.cells);
  for (const [id, decision] of protection) {
    const shown = cells.get(id)?.shown ?? [];
    const hidden = decision.state !== 'shown';
    cells.set(id, { shown: hidden || shown.includes(decision.value) ? shown : [...shown, decision.value], hidden });
  }
  return { protection, history: { cells } };
};

/**
 * The last of successive releases, in order, each the whole table as then known. Decisions follow from the sequence alone, so
 * that any past release comes out as it did. At least one table.
 */
export const protectVintages = (tables: readonly Table[]): Protection => {
  const [first, ...later] = tables;
  if (!first) throw new Error('there is no release to protect');
  return later.reduce(({ history }, table) => nextVintage(history, table), nextVintage(NO_HISTORY, first)).protection;
};
