import {
  designTotal,
  dobson,
  poissonByar,
  poissonByRule,
  scaleInterval,
  standardisedRate,
  wilson,
  type UnitTotal,
} from '@vigil/statistics';

/** What a row's cell holds: injuries in all, and by band and by primary unit where the method needs them. */
export interface Tally {
  n: number;
  weight: number;
  /** Standard bands × plain or weighted count; one band when not standardised. */
  readonly bands: Map<number, number>;
  /** `stratum unit` → per band weighted count. */
  readonly units: Map<string, { readonly stratum: string; readonly unit: string; readonly bands: Map<number, number> }>;
  /** Weight outside any sample: known without sampling error. */
  certain: Map<number, number>;
}

export const emptyTally = (): Tally => ({ n: 0, weight: 0, bands: new Map(), units: new Map(), certain: new Map() });

const add = (map: Map<number, number>, band: number, amount: number): void => void map.set(band, (map.get(band) ?? 0) + amount);

/** Adds an elementary count to a cell, in the given standard band. */
export const tally = (
  cell: Tally,
  count: { n: number; weight: number; stratum: string | null; unit: string | null },
  band: number,
): void => {
  cell.n += count.n;
  cell.weight += count.weight;
  add(cell.bands, band, count.weight);
  if (count.stratum === null || count.unit === null) return add(cell.certain, band, count.weight);
  const key = `${count.stratum} ${count.unit}`;
  let unit = cell.units.get(key);
  if (!unit) cell.units.set(key, (unit = { stratum: count.stratum, unit: count.unit, bands: new Map() }));
  add(unit.bands, band, count.weight);
};

/** A value with its interval, in the row's unit. */
export interface Estimate {
  readonly value: number;
  readonly low: number | null;
  readonly high: number | null;
  readonly method: string;
  /** Relative standard error of a sample estimate. */
  readonly cv?: number | null;
}

/** Rate of a plain count: exact Poisson below 10 events, Byar from 10. */
export const plainRate = (count: number, personYears: number, multiplier: number, level: number): Estimate => {
  const { method, ...limits } = poissonByRule(count, level);
  const { lower, upper } = scaleInterval(limits, multiplier / personYears);
  return {
    value: (multiplier * count) / personYears,
    low: lower,
    high: upper,
    method: method === 'exact' ? 'exact-poisson' : 'byar',
  };
};

/** Directly standardised rate of plain counts, Dobson–Byar. `exposures` and `weights` by band. */
export const standardRate = (
  cell: Tally,
  exposures: readonly number[],
  weights: readonly number[],
  multiplier: number,
  level: number,
): Estimate => {
  const y = standardisedRate({ counts: weights.map((_, band) => cell.bands.get(band) ?? 0), exposures, weights, multiplier });
  const { lower, upper } = dobson(y, level, poissonByar);
  return { value: y.estimate, low: lower, high: upper, method: 'dobson-byar' };
};

/** Share of plain counts. */
export const share = (part: number, whole: number, multiplier: number, level: number): Estimate => {
  const { lower, upper } = scaleInterval(wilson(part, whole, level), multiplier);
  return { value: (multiplier * part) / whole, low: lower, high: upper, method: 'wilson' };
};

const sumOf = (bands: ReadonlyMap<number, number>, factor: (band: number) => number): number => {
  let sum = 0;
  for (const [band, weight] of bands) sum += weight * factor(band);
  return sum;
};

/**
 * A weighted total over the sample's strata and primary units, each band times its factor: a rate with one band and
 * multiplier/person-years, a standardised rate with the standard's weight over each band's person-years. Interval on t over all listed units.
 */
export const sampleTotal = (
  cell: Tally,
  factor: (band: number) => number,
  listed: ReadonlyMap<string, number>,
  level: number,
): Estimate => {
  const units: UnitTotal[] = [...cell.units.values()].map(({ stratum, unit, bands }) => ({
    stratum,
    unit,
    total: sumOf(bands, factor),
  }));
  const certain = sumOf(cell.certain, factor);
  if (listed.size === 0) return { value: certain, low: certain, high: certain, method: 'no-sample' };
  const { estimate, lower, upper, cv } = designTotal({ units, listed }, level);
  return {
    value: estimate + certain,
    low: lower === null ? null : Math.max(0, lower + certain),
    high: upper === null ? null : upper + certain,
    method: 'taylor-linearised-t',
    cv,
  };
};

/** A weighted share: the ratio of two sample totals, linearised. */
export const sampleShare = (
  part: Tally,
  whole: Tally,
  listed: ReadonlyMap<string, number>,
  multiplier: number,
  level: number,
): Estimate => {
  const p = part.weight / whole.weight;
  const one = (): number => 1;
  const residuals: UnitTotal[] = [...whole.units].map(([key, { stratum, unit, bands }]) => {
    const own = part.units.get(key);
    return { stratum, unit, total: ((own ? sumOf(own.bands, one) : 0) - p * sumOf(bands, one)) / whole.weight };
  });
  if (listed.size === 0) return { value: multiplier * p, low: multiplier * p, high: multiplier * p, method: 'no-sample' };
  const { lower, upper, se } = designTotal({ units: residuals, listed }, level);
  return {
    value: multiplier * p,
    low: lower === null ? null : multiplier * Math.max(0, p + lower),
    high: upper === null ? null : multiplier * Math.min(1, p + upper),
    method: 'taylor-linearised-t',
    cv: se === null || p === 0 ? null : se / p,
  };
};
