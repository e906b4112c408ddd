import { addDays, periodOf, UNKNOWN, UNMAPPED, type AgeRange, type Period, type Problem } from '@vigil/vocabulary';
import { isCounted, type Counted } from '../definitions/definition';
import { factSource } from '../facts/facts';
import type { ObservationRow } from '../output/answer';
import { parseItems } from '../query/query';
import { cellKey, product, takePart, valuesOf, type Part, type Values } from './cells';
import type { OuTarget } from './communities';
import type { RowsContext } from './context';
import {
  amountRate,
  medianDuration,
  plainRate,
  sampleShare,
  sampleTotal,
  share,
  standardisedCountRatio,
  standardRate,
  surveyShare,
  unreported,
  type Estimate,
} from './estimate';
import type { Estimated, NoPersonYears, PeopleFilter, PersonYears, PersonYearsOf } from './person-years';
import { refuse } from './refused';
import { livesIn, respondents } from './survey';
import type { ElementaryCount } from './counts';
import { emptyTally, type Tally } from './tally';

/** More rows than this are a different question. */
const MOST_ROWS = 200_000;
/** From here on a sample estimate is called unreliable: a relative standard error as statistical offices draw the line. */
const UNRELIABLE_CV = 0.3;

/** A row's figures before it knows where it stands; undefined: no such row can be. */
export type Figures = Omit<ObservationRow, 'dx' | 'pe' | 'ou'>;

/** One row's place in the table. */
export interface Place {
  readonly period: number;
  readonly ou: number;
  readonly target: OuTarget;
  readonly window: readonly Period[];
  readonly codes: readonly string[];
}

const yearOf = (periods: readonly Period[], end: 'first' | 'last'): number =>
  end === 'first'
    ? Math.min(...periods.map(({ start }) => Number(start.slice(0, 4))))
    : Math.max(...periods.map((period) => Number(addDays(period.end, -1).slice(0, 4))));

/** Every row of one indicator. */
export const rowsOf = async (context: RowsContext): Promise<ObservationRow[]> => {
  const { query, definition, periods, targets } = context;
  checkDimensions(context);
  const table = await (isCounted(definition.numerator)
    ? countedTable(context, definition.numerator)
    : definition.numerator.fact === 'survey'
      ? surveyTable(context)
      : exposureTable(context));
  const combinations = product(table.values.map(({ codes }) => codes));
  const size = combinations.length * targets.length * periods.length;
  if (size > MOST_ROWS)
    refuse(413, {
      code: 'too-many-rows',
      detail: {
        zh: `该查询有 ${size} 行,至多 ${MOST_ROWS} 行;请少选维度或项目`,
        en: `the query has ${size} rows, at most ${MOST_ROWS}; ask for fewer dimensions or items`,
      },
    });
  const rows: ObservationRow[] = [];
  for (const [period, { id, window }] of periods.entries())
    for (const [ou, target] of targets.entries())
      for (const codes of combinations) {
        const figures = table.row({ period, ou, target, window, codes });
        if (figures === undefined) continue;
        const dims = Object.fromEntries(query.dimensions.map(({ name }, index) => [name, codes[index]!]));
        rows.push({ dx: definition.code, pe: id, ou: target.ou, ...dims, ...figures });
      }
  return rows;
};

export interface Table {
  readonly values: readonly Values[];
  readonly row: (place: Place) => Figures | undefined;
}

/** Refuses what the indicator can't be split, restricted or weighted by. */
export const checkDimensions = ({ query, definition }: RowsContext): void => {
  const { code, numerator, denominator, strata } = definition;
  const foreign = query.dimensions.find(({ name }) => !strata.includes(name));
  if (foreign)
    refuse(400, {
      code: 'not-a-stratum',
      detail: { zh: `${code} 不能按 ${foreign.name} 细分`, en: `${code} can't be split by ${foreign.name}` },
      pointer: '/dimension',
      value: foreign.name,
      allowed: strata,
    });
  const counted = [numerator, denominator].filter(isCounted);
  const columns = (each: Counted): string[] => Object.keys(factSource(each.fact).columns);
  const known =
    counted.length === 0 ? strata : columns(counted[0]!).filter((name) => counted.every((each) => columns(each).includes(name)));
  const barred = query.filters.find(({ name }) => !known.includes(name));
  if (barred)
    refuse(400, {
      code: 'not-a-stratum',
      detail: { zh: `${code} 不能按 ${barred.name} 筛选`, en: `${code} can't be restricted by ${barred.name}` },
      pointer: '/filter',
      value: barred.name,
      allowed: known,
    });
  if (query.basis === 'residence' && counted.some((each) => factSource(each.fact).residence === undefined))
    refuse(400, {
      code: 'no-residence',
      detail: { zh: `${code} 只能按发生地统计`, en: `${code} is counted where it happened: it knows no residence` },
      pointer: '/basis',
      value: 'residence',
      allowed: ['occurrence'],
    });
  const weighable = (each: Counted): boolean => each.fact === 'injury' || each.fact === 'report';
  if (query.weighted && (counted.length === 0 || !counted.every(weighable)))
    refuse(400, {
      code: 'not-weighted',
      detail: { zh: `${code} 的记录没有抽样权重`, en: `${code} counts records that carry no sampling weight` },
      pointer: '/weighted',
      value: true,
      allowed: ['false'],
    });
};

/** How a row of this indicator is written down. */
const writer = ({ query, definition, ended }: RowsContext, window: readonly Period[], num: number, n?: number) => {
  const { zh: _, en } = typeof definition.unit === 'string' ? { zh: '', en: definition.unit } : definition.unit;
  const common = { unit: en, num, ...(n !== undefined && { n }) };
  return {
    missing: (reason: string, den: number | null = null): Figures => ({
      value: null,
      ...common,
      den,
      ci: null,
      status: 'M',
      conf: 'F',
      reason,
    }),
    found: (
      { value, low, high, method, cv, variance }: Estimate,
      den: number | null,
      doubt: { readonly incomplete?: boolean; readonly estimated?: Estimated['how'] | undefined } = {},
    ): Figures => {
      const unreliable = doubt.incomplete
        ? 'incomplete-denominator'
        : cv != null && cv > UNRELIABLE_CV
          ? 'high-relative-standard-error'
          : undefined;
      const running = window.some(({ end }) => end > ended);
      const reason =
        unreliable ?? (doubt.estimated ? `${doubt.estimated}-denominator` : running ? 'period-not-ended' : undefined);
      return {
        value,
        ...common,
        den,
        ci: low === null ? null : { level: Number((query.level * 100).toFixed(6)), low, high, method },
        status: unreliable ? 'U' : doubt.estimated ? 'E' : running ? 'P' : 'A',
        conf: 'F',
        ...(reason && { reason }),
        ...(variance !== undefined && { variance }),
      };
    },
  };
};

// ── What is counted row by row ────────────────────────────────────────────────────────────────────────────────────────────────

/** What a counted indicator is made of, each part with the cells of every row. */
export interface Parts {
  readonly numerator: Part;
  readonly denominator?: Part;
  readonly lists: readonly Part[];
  /** Primary units by stratum that a sample listed for a period. */
  readonly listed: (window: readonly Period[]) => ReadonlyMap<string, number>;
}

export const takeParts = async (context: RowsContext, numerator: Counted): Promise<Parts> => {
  const { query, definition, targets, everywhere } = context;
  const { denominator, lists = [], method } = definition;
  // Expected numbers need the rates of all together.
  const over = method === 'indirect-standardisation' ? [...targets, everywhere] : targets;
  const onLists: Part[] = [];
  const part = await takePart(context, 'numerator', numerator, over);
  const whole = isCounted(denominator) ? await takePart(context, 'denominator', denominator, targets) : undefined;
  for (const list of lists) onLists.push(await takePart(context, 'list', list, targets));
  return {
    numerator: part,
    ...(whole && { denominator: whole }),
    lists: onLists,
    listed: query.weighted ? await listedUnits(context) : () => new Map<string, number>(),
  };
};

const countedTable = async (context: RowsContext, numerator: Counted): Promise<Table> => {
  const { definition, bands, note } = context;
  const parts = await takeParts(context, numerator);
  const excluded = bands.length > 0 ? parts.numerator.counts.reduce((sum, { age, n }) => sum + (age < 0 ? n : 0), 0) : 0;
  if (excluded > 0)
    note({
      code: 'unknown-age-excluded',
      detail: {
        zh: `${definition.code}:${excluded} 例年龄不详,未计入标化`,
        en: `${definition.code}: ${excluded} injuries of unknown age are not in the standardised rate`,
      },
      value: excluded,
    });
  return tableOfParts(context, parts);
};

/** Rows from parts; the parts' cells are looked up when a row is asked for. `more` counts are met besides those of the parts. */
export const tableOfParts = (context: RowsContext, parts: Parts, more: readonly ElementaryCount[] = []): Table => {
  const { query, definition, targets } = context;
  const { denominator, method } = definition;
  const { numerator: part, denominator: whole, lists, listed } = parts;
  const coded = query.dimensions.filter(({ name }) => name !== 'age').map(({ name }) => name);
  const met = [part, ...(whole ? [whole] : []), ...lists].flatMap(({ counts }) => counts);
  const values = query.dimensions.map((dimension) => valuesOf(dimension, more.length > 0 ? [...met, ...more] : met, coded));
  const at = ({ cells }: Part, { period, ou, codes }: Pick<Place, 'period' | 'ou' | 'codes'>): Tally =>
    cells.get(cellKey(period, ou, codes)) ?? emptyTally();
  return {
    values,
    row: (place) => {
      const tally = at(part, place);
      switch (method) {
        case 'wilson':
          return denominator?.fact === 'exposure'
            ? shareOfStock(context, place, tally.amount, denominator.kind)
            : shareRow(context, place, tally, at(whole!, place), listed(place.window));
        case 'kaplan-meier':
          return medianRow(context, place, tally);
        case 'chapman':
          return unreportedRow(
            context,
            place,
            tally,
            lists.map((list) => at(list, place)),
          );
        case 'count':
          return countRow(context, place, tally);
        default: {
          const reference = method === 'indirect-standardisation' ? at(part, { ...place, ou: targets.length }) : undefined;
          return rateRow(context, place, values, tally, reference, listed(place.window));
        }
      }
    },
  };
};

const shareRow = (
  context: RowsContext,
  { window }: Place,
  part: Tally,
  whole: Tally,
  listed: ReadonlyMap<string, number>,
): Figures => {
  const { query, definition } = context;
  const { multiplier, minEvents } = definition;
  const num = query.weighted ? part.weight : part.amount;
  const den = query.weighted ? whole.weight : whole.amount;
  const write = writer(context, window, num, query.weighted ? part.n : undefined);
  if (den === 0) return write.missing('no-cases', 0);
  // More came than were expected: a share above the whole is no share.
  if (num > den) return write.missing('more-than-the-whole', den);
  if (part.n < minEvents) return write.missing('too-few-events', den);
  return write.found(
    query.weighted ? sampleShare(part, whole, listed, multiplier, query.level) : share(num, den, multiplier, query.level),
    den,
  );
};

const medianRow = (context: RowsContext, { window }: Place, part: Tally): Figures => {
  const { ended, ...estimate } =
    part.n === 0 ? { ended: 0, value: null, low: null, high: null, method: '' } : medianDuration(part, context.query.level);
  const write = writer(context, window, ended);
  if (part.n === 0) return write.missing('no-cases', 0);
  if (estimate.value === null) return write.missing('median-not-reached', part.n);
  return write.found(estimate, part.n);
};

const unreportedRow = (context: RowsContext, { window }: Place, both: Tally, lists: readonly Tally[]): Figures => {
  const { query, definition } = context;
  const [first, second] = [lists[0]!.n, lists[1]!.n];
  const write = writer(context, window, first + second - both.n);
  if (first + second === 0) return write.missing('no-cases', 0);
  const estimate = unreported(first, second, both.n, definition.multiplier, query.level);
  if (!estimate || both.n < definition.minEvents) return write.missing('too-few-events');
  return write.found(estimate, null);
};

const countRow = (context: RowsContext, { window }: Place, part: Tally): Figures => {
  const value = part.amount * context.definition.multiplier;
  return writer(context, window, part.amount).found({ value, low: null, high: null, method: 'count' }, null);
};

/** A denominator for all the periods of a row: added up, with what is missing or estimated in it. */
const exposureOver = (
  lookUp: PersonYearsOf,
  target: OuTarget,
  window: readonly Period[],
  filter: PeopleFilter,
): { ok: true; value: PersonYears } | { ok: false; why: NoPersonYears } => {
  let value = 0;
  const missing: string[] = [];
  const estimated: Estimated[] = [];
  for (const period of window) {
    const answer = lookUp(target, period, filter);
    if (!answer.ok) return answer;
    value += answer.value.value;
    missing.push(...answer.value.missing);
    estimated.push(...answer.value.estimated);
  }
  return { ok: true, value: { value, missing, estimated } };
};

/** Tells what a denominator lacks, and how the row is to be doubted for it. */
const doubtOf = ({ note }: RowsContext, { missing, estimated }: PersonYears, window: readonly Period[], kind?: string) => {
  for (const community of missing)
    note(denominatorProblem({ reason: 'missing-denominator', community, year: yearOf(window, 'first') }, kind));
  for (const each of estimated) note(estimatedProblem(each, kind));
  return {
    incomplete: missing.length > 0,
    estimated: estimated.some(({ how }) => how === 'extrapolated') ? ('extrapolated' as const) : estimated[0]?.how,
  };
};

const rateRow = (
  context: RowsContext,
  { target, window, codes }: Place,
  values: readonly Values[],
  part: Tally,
  reference: Tally | undefined,
  listed: ReadonlyMap<string, number>,
): Figures | undefined => {
  const { query, definition, bands, everywhere, personYears } = context;
  const { multiplier, minEvents, method, denominator } = definition;
  const kind = denominator?.fact === 'exposure' ? denominator.kind : undefined;
  const lookUp = kind === undefined ? personYears : context.exposure(kind);
  const people = kind === undefined ? peopleOf(context, values, codes) : {};
  if (people === 'none') return undefined;
  const banded = [...part.bands].reduce((sum, [band, amount]) => sum + (band < 0 ? 0 : amount), 0);
  const num = bands.length > 0 ? banded : method === 'weighted-poisson' ? part.amount : part.weight;
  const write = writer(context, window, num, query.weighted || method === 'weighted-poisson' ? part.n : undefined);
  if (query.countsOnly) return write.missing('counts-only');
  if (people === 'unknown')
    return part.n === 0 && query.dimensions.some(({ name, items }) => name === 'age' && items === 'all')
      ? undefined
      : write.missing('missing-denominator');

  const total = exposureOver(lookUp, target, window, people);
  if (!total.ok) {
    // Nobody counts a population of unknown sex: that gap is no one's to fill.
    if (!people.sexes?.some((sex) => sex === UNKNOWN || sex === UNMAPPED)) context.note(denominatorProblem(total.why, kind));
    return write.missing(total.why.reason);
  }
  const doubt = doubtOf(context, total.value, window, kind);
  const den = total.value.value;
  if (!(den > 0)) return write.missing('empty-denominator', den);

  if (bands.length === 0) {
    if (part.n < minEvents) return write.missing('too-few-events', den);
    if (method === 'weighted-poisson') return write.found(amountRate(part, den, multiplier, query.level), den, doubt);
    return write.found(
      query.weighted
        ? sampleTotal(part, () => multiplier / den, listed, query.level)
        : plainRate(part.n, den, multiplier, query.level),
      den,
      doubt,
    );
  }

  const exposuresOf = (place: OuTarget): readonly number[] | Figures => {
    const exposures: number[] = [];
    for (const band of bands) {
      const answer = exposureOver(lookUp, place, window, { ...people, ages: [band] });
      if (!answer.ok) {
        context.note(denominatorProblem(answer.why));
        return write.missing(answer.why.reason, den);
      }
      exposures.push(answer.value.value);
    }
    return exposures;
  };
  const exposures = exposuresOf(target);
  if (!Array.isArray(exposures)) return exposures as Figures;
  if (reference) {
    const everyone = exposuresOf(everywhere);
    if (!Array.isArray(everyone)) return everyone as Figures;
    const expected = (exposures as number[]).reduce((sum, people, band) => {
      const cases = reference.bands.get(band) ?? 0;
      return sum + (people === 0 || cases === 0 ? 0 : (people * cases) / (everyone as number[])[band]!);
    }, 0);
    if (!(expected > 0)) return write.missing('nothing-expected', expected);
    if (banded < minEvents) return write.missing('too-few-events', expected);
    return write.found(standardisedCountRatio(banded, expected, multiplier, query.level), expected, doubt);
  }
  if (exposures.some((each) => !(each > 0))) return write.missing('empty-denominator', den);
  if ((query.weighted ? part.n : banded) < minEvents) return write.missing('too-few-events', den);
  const weights = bands.map(({ weight }) => weight);
  const sum = weights.reduce((a, b) => a + b, 0);
  const estimate = query.weighted
    ? sampleTotal(part, (band) => (band < 0 ? 0 : (multiplier * weights[band]!) / sum / exposures[band]!), listed, query.level)
    : standardRate(part, exposures, weights, multiplier, query.level);
  return write.found(estimate, den, doubt);
};

/** The people a row's denominator counts, or `none` when they can't be in the indicator at all. */
const peopleOf = (
  { query, definition }: RowsContext,
  values: readonly Values[],
  codes: readonly string[],
): PeopleFilter | 'none' | 'unknown' => {
  const { denominator } = definition;
  if (denominator?.fact !== 'population') return {};
  let ages: readonly AgeRange[] | undefined;
  const restrict = (ranges: readonly AgeRange[]): void => {
    ages = ages === undefined ? ranges : ages.flatMap((a) => ranges.flatMap((b) => common(a, b) ?? []));
  };
  if (denominator.filter?.age) {
    const parsed = parseItems('age', denominator.filter.age, '');
    if (parsed.ok) restrict(parsed.value.ages ?? []);
  }
  let sexes: readonly string[] | undefined = denominator.filter?.sex;
  let residencies: readonly string[] | undefined = denominator.filter?.residency;
  for (const { name, items, ages: ranges } of query.filters) {
    if (items === 'all') continue;
    if (name === 'age' && ranges) restrict(ranges);
    if (name === 'sex') sexes = items;
    if (name === 'residency') residencies = items;
  }
  for (const [index, { name, ages: ranges }] of values.entries()) {
    const code = codes[index]!;
    if (name === 'sex') sexes = [code];
    if (name === 'residency') residencies = [code];
    if (name === 'age') {
      const range = ranges.find(({ id }) => id === code);
      if (!range) return 'unknown';
      restrict([range]);
    }
  }
  if (ages?.length === 0) return 'none';
  return { ...(sexes && { sexes }), ...(ages && { ages }), ...(residencies && { residencies }) };
};

const common = (a: AgeRange, b: AgeRange): AgeRange | undefined => {
  const from = Math.max(a.from, b.from);
  const to = a.to === null ? b.to : b.to === null ? a.to : Math.min(a.to, b.to);
  return to !== null && to < from ? undefined : { id: `${from}-${to ?? ''}`, from, to };
};

/** Primary units listed per stratum for the years a period touches, those without a case included. */
const listedUnits = async ({
  tx,
  periods,
  position,
}: RowsContext): Promise<(window: readonly Period[]) => Map<string, number>> => {
  const all = periods.flatMap(({ window }) => window);
  const rows = await tx<{ stratum: string; unit: string; year: number }[]>`
    SELECT frame || '/' || stratum AS stratum, unit, year FROM read.sampling_units
    WHERE year BETWEEN ${yearOf(all, 'first')} AND ${yearOf(all, 'last')} AND known_from <= ${position}`;
  const memo = new Map<string, Map<string, number>>();
  return (window) => {
    const years = new Set(
      window.flatMap((period) =>
        Array.from({ length: yearOf([period], 'last') - yearOf([period], 'first') + 1 }, (_, i) => yearOf([period], 'first') + i),
      ),
    );
    const key = [...years].join();
    const before = memo.get(key);
    if (before) return before;
    const units = new Map<string, Set<string>>();
    for (const { stratum, unit, year } of rows)
      if (years.has(year)) units.set(stratum, (units.get(stratum) ?? new Set()).add(unit));
    const listed = new Map([...units].map(([stratum, set]) => [stratum, set.size]));
    memo.set(key, listed);
    return listed;
  };
};

// ── What surveys say ──────────────────────────────────────────────────────────────────────────────────────────────────────────

const surveyTable = async (context: RowsContext): Promise<Table> => {
  const { query, definition, targets } = context;
  const { multiplier, minEvents, numerator } = definition;
  if (numerator.fact !== 'survey') throw new TypeError('not an indicator of surveys');
  const everyone = await respondents(context, numerator);
  const restricting = query.filters.find(({ name }) => name === 'group');
  const inGroup = (group: string | null): boolean =>
    !restricting || restricting.items === 'all' || restricting.items.includes(group ?? '');
  const met = [...new Set(everyone.flatMap(({ group }) => group ?? []))].sort();
  const values = query.dimensions.map(({ name, items }): Values => ({ name, ages: [], codes: items === 'all' ? met : items }));
  const at = query.dimensions.findIndex(({ name }) => name === 'group');
  // Who lives where is asked once per target, not once per row.
  const here = targets.map((target) => everyone.map((one) => livesIn(one, target)));
  return {
    values,
    row: ({ ou, window, codes }) => {
      const asked = everyone.map(({ day }) => window.some(({ start, end }) => day >= start && day < end));
      const rows = everyone.filter((_, index) => asked[index]);
      const inside = new Set(
        everyone.filter(
          ({ answered, group }, index) =>
            asked[index] && here[ou]![index] && answered && inGroup(group) && (at < 0 || group === codes[at]),
        ),
      );
      const sum = (value: (one: (typeof everyone)[number]) => number): number =>
        [...inside].reduce((total, one) => total + value(one), 0);
      const write = writer(
        context,
        window,
        sum(({ weight, value }) => weight * value),
        inside.size,
      );
      if (inside.size === 0) return write.missing('no-cases', 0);
      const den = sum(({ weight }) => weight);
      if (inside.size < minEvents) return write.missing('too-few-events', den);
      const { deff, nEff, ...estimate } = surveyShare(
        rows,
        (row) => inside.has(row as (typeof everyone)[number]),
        multiplier,
        query.level,
      );
      return { ...write.found(estimate, den), deff, nEff };
    },
  };
};

// ── Shares of yearly figures ──────────────────────────────────────────────────────────────────────────────────────────────────

/** The whole calendar year in which a row's last day lies: figures of a stock are yearly. */
const lastYear = (window: readonly Period[]): Period => periodOf('year', `${yearOf(window, 'last')}-01-01`);

const exposureTable = async (context: RowsContext): Promise<Table> => {
  const { numerator, denominator } = context.definition;
  if (numerator.fact !== 'exposure' || denominator?.fact !== 'exposure') throw new TypeError('not a share of yearly figures');
  return {
    values: [],
    row: (place) => {
      const part = exposureOver(context.exposure(numerator.kind), place.target, [lastYear(place.window)], {});
      if (part.ok) return shareOfStock(context, place, part.value.value, denominator.kind);
      context.note(denominatorProblem(part.why, numerator.kind));
      return writer(context, place.window, 0).missing('missing-numerator');
    },
  };
};

/** A number among those of a yearly figure. */
const shareOfStock = (context: RowsContext, { target, window }: Place, num: number, kind: string): Figures => {
  const { query, definition } = context;
  const write = writer(context, window, num);
  const whole = exposureOver(context.exposure(kind), target, [lastYear(window)], {});
  if (!whole.ok) {
    context.note(denominatorProblem(whole.why, kind));
    return write.missing('missing-denominator');
  }
  const den = whole.value.value;
  if (!(den > 0)) return write.missing('empty-denominator', den);
  if (num > den) return write.missing('more-than-the-whole', den);
  return write.found(share(num, den, definition.multiplier, query.level), den, doubtOf(context, whole.value, window, kind));
};

// ── What the reader can mend ──────────────────────────────────────────────────────────────────────────────────────────────────

const request = (community: string, year: number, kind: string | undefined): string =>
  kind === undefined
    ? `POST /api/v1/communities/${community}/populations {"year": ${year}, "cells": [...]}`
    : `POST /api/v1/communities/${community}/populations {"year": ${year}, "exposures": [{"kind": "${kind}", "amount": …}]}`;

/** What is missing under a rate, and the request that mends it. */
const denominatorProblem = ({ reason, community, year }: NoPersonYears, kind?: string): Problem =>
  reason === 'missing-denominator'
    ? {
        code: reason,
        detail: {
          zh: `${community} 没有 ${year} 年所需的${kind === undefined ? '人口' : ` ${kind} 数`};请 ${request(community, year, kind)}`,
          en: `${community} has no ${kind === undefined ? 'population' : `figure of ${kind}`} of ${year} for ${kind === undefined ? 'these people' : 'this rate'}; ${request(community, year, kind)}`,
        },
        value: `${community} ${year}${kind === undefined ? '' : ` ${kind}`}`,
      }
    : {
        code: reason,
        detail: {
          zh: `${community} ${year} 年的人口年龄组跨越所求年龄段的边界;请按更细的年龄组录入,或改用与之一致的年龄段`,
          en: `population cells of ${community} in ${year} cross the ages asked for; record finer cells, or ask for ages that they fill`,
        },
        value: `${community} ${year}`,
      };

const estimatedProblem = ({ community, year, how }: Estimated, kind?: string): Problem => ({
  code: `${how}-denominator`,
  detail: {
    zh: `${community} ${year} 年的${kind === undefined ? '人口' : ` ${kind} 数`}${how === 'interpolated' ? '由前后年份插值' : '沿用此前最后一年'};录入实际数:${request(community, year, kind)}`,
    en: `the ${kind ?? 'population'} of ${community} in ${year} is ${how === 'interpolated' ? 'interpolated between the years around it' : 'carried on from the last year known'}; record it: ${request(community, year, kind)}`,
  },
  value: `${community} ${year}${kind === undefined ? '' : ` ${kind}`}`,
});
