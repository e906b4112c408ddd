import { DEFAULT_AGE_BANDS, UNKNOWN, type AgeRange, type Period } from '@vigil/vocabulary';
import type { Counted } from '../definitions/definition';
import { factSource } from '../facts/facts';
import { codesOf, type Dimension, type DimensionName } from '../query/query';
import type { OuTarget } from './communities';
import type { RowsContext } from './context';
import {
  asFilter,
  countStatement,
  cutsWithin,
  periodCuts,
  periodIndices,
  type CountRequest,
  type ElementaryCount,
} from './counts';
import { emptyTally, tally, type Tally } from './tally';

/** A dimension's possible values and, for ages, their ranges. */
export interface Values {
  readonly name: DimensionName;
  readonly codes: readonly string[];
  readonly ages: readonly AgeRange[];
}

export const cellKey = (period: number, ou: number, codes: readonly string[]): string =>
  `${period} ${ou} ${codes.join('\u001f')}`;

/** A {@link cellKey} taken apart. */
export const cellOf = (key: string): { period: number; ou: number; codes: string[] } => {
  const [period, ou] = key.split(' ', 2) as [string, string];
  const rest = key.slice(period.length + ou.length + 2);
  return { period: Number(period), ou: Number(ou), codes: rest === '' ? [] : rest.split('\u001f') };
};

/** A count and the period group it was taken for, where groups were asked for one by one. */
type Taken = ElementaryCount & { readonly group?: number };

/** The counts of one part of an indicator, and the cells they add up to. */
export interface Part {
  readonly counts: readonly Taken[];
  readonly cells: Map<string, Tally>;
  /** When changes were asked for: each, in the cell that it changed. */
  readonly changes: readonly Change[];
}

/** A count that came to a cell or left it. */
export interface Change {
  readonly key: string;
  readonly period: number;
  readonly ou: number;
  readonly codes: readonly string[];
  readonly count: ElementaryCount;
  readonly band: number;
}

const membership = <T>(size: number, groups: readonly T[], indices: (group: T) => readonly number[]): number[][] => {
  const of: number[][] = Array.from({ length: size }, () => []);
  groups.forEach((group, index) => {
    for (const at of indices(group)) of[at]?.push(index);
  });
  return of;
};

/** How the rows of a query cut ages: by the dimension's bands, or by the standard's. */
const ageRangesOf = ({ query, bands }: Pick<RowsContext, 'query' | 'bands'>): readonly AgeRange[] => {
  const asked = query.dimensions.find(({ name }) => name === 'age');
  return asked ? (asked.ages ?? DEFAULT_AGE_BANDS) : bands;
};

const cutsOf = (ranges: readonly AgeRange[]): number[] => {
  const cuts = [...new Set(ranges.flatMap(({ from, to }) => (to === null ? [from] : [from, to + 1])))].sort((a, b) => a - b);
  // Ages below the first cut are of no row, and width_bucket gives them -1, which stands for unknown.
  if (cuts.length > 0 && cuts[0] !== 0) cuts.unshift(0);
  return cuts;
};

/**
 * Counts one part of an indicator for every cell that the query has, over `targets`. A stock is asked for period by period; all
 * else in one statement. With `since`, what became known after that position instead.
 */
export const takePart = async (
  context: RowsContext,
  name: 'numerator' | 'denominator' | 'list',
  counted: Counted,
  targets: readonly OuTarget[],
  since?: string,
): Promise<Part> => {
  const { query, bands, periods, tx, position, definition, explained } = context;
  const members = [...new Set(targets.flatMap((target) => target.members))];
  const ranges = ageRangesOf(context);
  const ageCuts = cutsOf(ranges);
  const coded = query.dimensions.filter(({ name: each }) => each !== 'age');
  const windows = periods.flatMap(({ window }) => window);

  const fetch = async (over: readonly Period[]): Promise<ElementaryCount[]> => {
    if (members.length === 0) return [];
    const request: CountRequest = {
      position,
      counted,
      basis: query.basis,
      periods: over,
      communities: members,
      together: targets.every((target) => target.members.length === members.length),
      filters: [...query.filters.map(asFilter), ...coded.map(asFilter)],
      dimensions: coded.map((each) => each.name),
      ageCuts,
      weighted: query.weighted,
      censoredOn: context.ended,
      ...(since !== undefined && { since }),
    };
    const statement = countStatement(request);
    const counts =
      (await context.columns?.counts(tx, request)) ??
      (await tx.unsafe(statement.text, statement.parameters as never[], { prepare: true })).map((row) =>
        statement.read(row as Record<string, unknown>),
      );
    explained.push({
      dx: definition.code,
      part: name,
      statement: statement.text,
      periods: over.map(({ id }) => id),
      communities: members,
      events: counts.reduce((sum, { n }) => sum + n, 0),
    });
    return counts;
  };

  const stock = Object.keys(factSource(counted.fact).days).length === 0;
  const counts: Taken[] = [];
  if (stock)
    for (const [group, { window }] of periods.entries()) {
      // What stood at the end of several periods together stands at the end of the last.
      const last = window.reduce((a, b) => (b.end > a.end ? b : a));
      counts.push(...(await fetch([last])).map((count) => ({ ...count, group })));
    }
  else counts.push(...(await fetch(windows)));

  const cuts = periodCuts(windows);
  const ofPeriod = membership(cuts.length, periods, ({ window }) => window.flatMap((period) => periodIndices(cuts, period)));
  const ofCommunity = new Map<string, number[]>();
  targets.forEach((target, index) => {
    for (const member of target.members) {
      const list = ofCommunity.get(member);
      if (list) list.push(index);
      else ofCommunity.set(member, [index]);
    }
  });
  const ofAge = membership(ageCuts.length, ranges, ({ from, to }) => cutsWithin(ageCuts, from, to === null ? null : to + 1));
  const byAge = query.dimensions.some((each) => each.name === 'age');

  const cells = new Map<string, Tally>();
  const changes: Change[] = [];
  for (const count of counts) {
    const ageIds = byAge ? (count.age < 0 ? [UNKNOWN] : (ofAge[count.age] ?? []).map((index) => ranges[index]!.id)) : [''];
    const band = bands.length === 0 ? 0 : count.age < 0 ? -1 : (ofAge[count.age]?.[0] ?? -1);
    let at = 0;
    const codes = query.dimensions.map((each) => (each.name === 'age' ? null : count.codes[at++]!));
    for (const period of count.group === undefined ? (ofPeriod[count.period] ?? []) : [count.group])
      for (const ou of ofCommunity.get(count.community) ?? [])
        for (const age of ageIds) {
          const key = cellKey(
            period,
            ou,
            codes.map((code) => code ?? age),
          );
          if (since !== undefined) {
            changes.push({ key, period, ou, codes: codes.map((code) => code ?? age), count, band });
            continue;
          }
          let cell = cells.get(key);
          if (!cell) cells.set(key, (cell = emptyTally()));
          tally(cell, count, band);
        }
  }
  return { counts, cells, changes };
};

/** Explicit items as asked, with zeros; otherwise the sexes and age bands of a population, and of all else what was met. */
export const valuesOf = (dimension: Dimension, counts: readonly ElementaryCount[], coded: readonly DimensionName[]): Values => {
  const { name, items, ages } = dimension;
  if (name === 'age') {
    const ranges = ages ?? DEFAULT_AGE_BANDS;
    const unknown = items === 'all' ? counts.some(({ age }) => age < 0) : items.includes(UNKNOWN);
    return { name, ages: ranges, codes: [...ranges.map(({ id }) => id), ...(unknown ? [UNKNOWN] : [])] };
  }
  if (items !== 'all') return { name, ages: [], codes: items };
  const at = coded.indexOf(name);
  const met = new Set(counts.map(({ codes }) => codes[at]!));
  if (name === 'sex') for (const sex of ['F', 'M']) met.add(sex);
  const order = codesOf(name) ?? [...met].sort();
  return { name, ages: [], codes: order.filter((code) => met.has(code)) };
};

/** Every way to take one of each list. */
export const product = (lists: readonly (readonly string[])[]): string[][] =>
  lists.reduce<string[][]>((rows, list) => rows.flatMap((row) => list.map((item) => [...row, item])), [[]]);
