import { yearShares, type AgeRange, type Period } from '@vigil/vocabulary';
import type { CommunityTree, OuTarget } from './communities';

export interface PopulationRow {
  readonly community: string;
  readonly year: number;
  readonly sex: string;
  readonly ageFrom: number;
  readonly ageTo: number | null;
  readonly residency: string | null;
  readonly persons: number;
}

/** Whose person-years: absent fields don't restrict. */
export interface PeopleFilter {
  readonly sexes?: readonly string[];
  /** Distinct ranges; a person may be in any of them. */
  readonly ages?: readonly AgeRange[];
  readonly residencies?: readonly string[];
}

/** A year's figure that nobody recorded, taken from the years around it. */
export interface Estimated {
  readonly community: string;
  readonly year: number;
  readonly how: 'interpolated' | 'extrapolated';
}

export interface PersonYears {
  readonly value: number;
  /** Communities that have neither a population of their own for a year nor one below them. */
  readonly missing: readonly string[];
  readonly estimated: readonly Estimated[];
}

/** Why there is no figure. */
export interface NoPersonYears {
  readonly reason: 'missing-denominator' | 'age-cells-do-not-nest';
  readonly community: string;
  readonly year: number;
}

export type PersonYearsAnswer =
  | { readonly ok: true; readonly value: PersonYears }
  | { readonly ok: false; readonly why: NoPersonYears };
type Answer = PersonYearsAnswer;

/** What is known of one year in a place. */
interface PlaceYear {
  readonly known: readonly PersonYears[];
  readonly clash: NoPersonYears | undefined;
  /** The first of those that have no figure. */
  readonly none: NoPersonYears | undefined;
  readonly missing: readonly string[];
  readonly estimated: readonly Estimated[];
}

/** Where a cell's ages lie. By hand: it is asked of every cell for every row's people. */
const placeAmong = ({ ageFrom, ageTo }: PopulationRow, ages: readonly AgeRange[]): 'inside' | 'outside' | 'across' => {
  let met = false;
  for (const { from, to } of ages) {
    if (ageFrom >= from && (to === null || (ageTo !== null && ageTo <= to))) return 'inside';
    met ||= (to === null || ageFrom <= to) && (ageTo === null || from <= ageTo);
  }
  return met ? 'across' : 'outside';
};

/** So many years past the last one known its figure still stands in; nothing is carried backwards. */
export const CARRIED_YEARS = 3;
/** No gap between two known years wider than this is bridged. */
export const BRIDGED_YEARS = 10;

/**
 * Person-years: each calendar year's mid-year population times the share of the year that the period takes.
 * A community's own population stands for all below it; where it has none, its children's are added up. A year without a figure lies
 * on the line between its neighbours, or takes the last one's, and says so.
 */
export const personYearsOf = (tree: CommunityTree, rows: readonly PopulationRow[]) => {
  const cells = new Map<string, Map<number, PopulationRow[]>>();
  for (const row of rows) {
    let years = cells.get(row.community);
    if (!years) cells.set(row.community, (years = new Map()));
    const list = years.get(row.year);
    if (list) list.push(row);
    else years.set(row.year, [row]);
  }
  const memo = new Map<string, Answer>();
  const places = new WeakMap<OuTarget, Map<string, PlaceYear>>();

  /** Of one community's own cells those that speak of the people asked for, each person once. */
  const own = (list: readonly PopulationRow[], filter: PeopleFilter, community: string, year: number): Answer => {
    const { sexes, ages, residencies } = filter;
    // Totals and their parts may both be recorded: parts where there are any, else the totals.
    const bySex = list.some((cell) => cell.sex !== 'total');
    const whole = list.some((cell) => cell.residency === null);
    let value = 0;
    let met = false;
    for (const cell of list) {
      if (sexes ? !sexes.includes(cell.sex) : bySex && cell.sex === 'total') continue;
      if (residencies ? !residencies.includes(cell.residency ?? '') : whole && cell.residency !== null) continue;
      if (ages) {
        const place = placeAmong(cell, ages);
        if (place === 'across') return { ok: false, why: { reason: 'age-cells-do-not-nest', community, year } };
        if (place === 'outside') continue;
      }
      met = true;
      value += cell.persons;
    }
    return met
      ? { ok: true, value: { value, missing: [], estimated: [] } }
      : { ok: false, why: { reason: 'missing-denominator', community, year } };
  };

  /** From the years around it; undefined where there are none near enough. */
  const estimate = (
    years: ReadonlyMap<number, readonly PopulationRow[]>,
    filter: PeopleFilter,
    community: string,
    year: number,
  ): Answer | undefined => {
    const known = [...years.keys()];
    const before = Math.max(...known.filter((each) => each < year));
    const after = Math.min(...known.filter((each) => each > year));
    const said = (value: number, how: Estimated['how']): Answer => ({
      ok: true,
      value: { value, missing: [], estimated: [{ community, year, how }] },
    });
    if (after - before <= BRIDGED_YEARS) {
      const [first, last] = [own(years.get(before)!, filter, community, year), own(years.get(after)!, filter, community, year)];
      if (!first.ok) return first;
      if (!last.ok) return last;
      const share = (year - before) / (after - before);
      return said(first.value.value * (1 - share) + last.value.value * share, 'interpolated');
    }
    if (year - before > CARRIED_YEARS) return undefined;
    const last = own(years.get(before)!, filter, community, year);
    return last.ok ? said(last.value.value, 'extrapolated') : last;
  };

  const sumOfChildren = (community: string, year: number, filter: PeopleFilter, key: string): Answer => {
    const children = tree.children(community).map((child) => persons(child, year, filter, key));
    const clash = children.find((child) => !child.ok && child.why.reason !== 'missing-denominator');
    if (clash) return clash;
    const known = children.flatMap((child) => (child.ok ? [child.value] : []));
    if (known.length === 0) return { ok: false, why: { reason: 'missing-denominator', community, year } };
    return {
      ok: true,
      value: {
        value: known.reduce((sum, child) => sum + child.value, 0),
        missing: [
          ...known.flatMap((child) => child.missing),
          ...children.flatMap((child) => (child.ok ? [] : [child.why.community])),
        ],
        estimated: known.flatMap((child) => child.estimated),
      },
    };
  };

  const persons = (community: string, year: number, filter: PeopleFilter, key: string): Answer => {
    const at = `${community} ${year} ${key}`;
    const before = memo.get(at);
    if (before) return before;
    const years = cells.get(community);
    const list = years?.get(year);
    const answer = list
      ? own(list, filter, community, year)
      : ((years && estimate(years, filter, community, year)) ?? sumOfChildren(community, year, filter, key));
    memo.set(at, answer);
    return answer;
  };

  /** One calendar year of a place: the periods of a year, and rows by the dozen, ask for the same. */
  const yearOf = (target: OuTarget, year: number, filter: PeopleFilter, key: string): PlaceYear => {
    let years = places.get(target);
    if (!years) places.set(target, (years = new Map()));
    const at = `${year} ${key}`;
    const before = years.get(at);
    if (before) return before;
    const answers = target.tops.map((community) => persons(community, year, filter, key));
    const unknown = answers.flatMap((answer) => (answer.ok ? [] : [answer.why]));
    const known = answers.flatMap((answer) => (answer.ok ? [answer.value] : []));
    const found: PlaceYear = {
      known,
      clash: unknown.find(({ reason }) => reason === 'age-cells-do-not-nest'),
      none: unknown[0],
      missing: answers.flatMap((answer) => (answer.ok ? answer.value.missing : [answer.why.community])),
      estimated: known.flatMap(({ estimated }) => estimated),
    };
    years.set(at, found);
    return found;
  };

  return (target: OuTarget, period: Period, filter: PeopleFilter): Answer => {
    const key = JSON.stringify([filter.sexes, filter.ages?.map(({ id }) => id), filter.residencies]);
    let value = 0;
    const missing = new Set<string>();
    const estimated = new Map<string, Estimated>();
    let none: NoPersonYears | undefined;
    let met = false;
    for (const { year, share } of yearShares(period)) {
      const found = yearOf(target, year, filter, key);
      if (found.clash) return { ok: false, why: found.clash };
      none ??= found.none;
      for (const each of found.known) value += each.value * share;
      for (const code of found.missing) missing.add(code);
      for (const each of found.estimated) estimated.set(`${each.community} ${each.year}`, each);
      // A year without any population can't be left out of a longer period: the rate would come out too high.
      if (found.known.length === 0) return { ok: false, why: none! };
      met = true;
    }
    return met
      ? { ok: true, value: { value, missing: [...missing], estimated: [...estimated.values()] } }
      : {
          ok: false,
          why: none ?? {
            reason: 'missing-denominator',
            community: target.tops[0] ?? target.ou,
            year: Number(period.start.slice(0, 4)),
          },
        };
  };
};
export type PersonYearsOf = ReturnType<typeof personYearsOf>;
