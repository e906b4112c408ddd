import type { ElementaryCount } from './counts';

/** What a row's cell holds: rows in all, and by band and by primary unit where the method needs them. */
export interface Tally {
  n: number;
  weight: number;
  /** The measure summed, and its squares. */
  amount: number;
  squares: number;
  /** Standard bands × plain or weighted count; one band when not standardised. */
  readonly bands: Map<number, number>;
  /** `stratum unit` → per band weighted count. */
  readonly units: Map<string, { readonly stratum: string; readonly unit: string; readonly bands: Map<number, number> }>;
  /** Weight outside any sample: known without sampling error. */
  readonly certain: Map<number, number>;
  /** Times, ended or not, and how many of each. */
  readonly durations: { readonly days: number; readonly ended: boolean; readonly n: number }[];
}

export const emptyTally = (): Tally => ({
  n: 0,
  weight: 0,
  amount: 0,
  squares: 0,
  bands: new Map(),
  units: new Map(),
  certain: new Map(),
  durations: [],
});

const add = (map: Map<number, number>, band: number, amount: number): void => void map.set(band, (map.get(band) ?? 0) + amount);

/** Adds an elementary count to a cell, in the given standard band. */
export const tally = (cell: Tally, count: ElementaryCount, band: number): void => {
  cell.n += count.n;
  cell.weight += count.weight;
  cell.amount += count.amount;
  cell.squares += count.squares;
  if (count.duration) cell.durations.push({ ...count.duration, n: count.n });
  add(cell.bands, band, count.weight);
  if (count.stratum === null || count.unit === null) return add(cell.certain, band, count.weight);
  const key = `${count.stratum} ${count.unit}`;
  let unit = cell.units.get(key);
  if (!unit) cell.units.set(key, (unit = { stratum: count.stratum, unit: count.unit, bands: new Map() }));
  add(unit.bands, band, count.weight);
};
