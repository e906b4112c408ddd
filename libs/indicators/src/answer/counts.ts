import type { AgeRange, Period } from '@vigil/vocabulary';
import { dayNumber } from '@vigil/vocabulary';
import type { Condition, Filter } from '../definitions';
import { parseItems, type Dimension, type DimensionName } from '../query/query';

/** The fact table's column of each coded dimension. */
const COLUMN: Readonly<Record<Exclude<DimensionName, 'age'>, string>> = {
  sex: 'sex',
  mechanism: 'mechanism',
  intent: 'intent',
  place: 'place',
  activity: 'activity',
  nature: 'nature',
  bodyPart: 'body',
  severity: 'severity',
  disposition: 'disposition',
  residency: 'residency',
  feed: 'feed',
};

export interface CountRequest {
  /** The log's position whose knowledge is asked for. */
  readonly position: string;
  readonly basis: 'occurrence' | 'residence';
  readonly periods: readonly Period[];
  readonly communities: readonly string[];
  readonly filters: readonly Filter[];
  readonly dimensions: readonly DimensionName[];
  /** Ages at which a requested band begins or ends; empty when ages don't matter. */
  readonly ageCuts: readonly number[];
  /** Totals of weights per stratum and primary unit instead of plain counts. */
  readonly weighted: boolean;
}

/** A count in the finest cells that the request can tell apart; sums of them make every row. */
export interface ElementaryCount {
  /** Index among {@link periodCuts}: days from that cut to the next. */
  readonly period: number;
  readonly community: string;
  /** Index among the age cuts, -1 when unknown; 0 when ages don't matter. */
  readonly age: number;
  readonly codes: readonly string[];
  /** `frame/stratum`, null for an injury that is no part of a sample. */
  readonly stratum: string | null;
  readonly unit: string | null;
  readonly n: number;
  readonly weight: number;
}

export interface CountStatement {
  readonly text: string;
  readonly parameters: readonly unknown[];
  readonly read: (row: Readonly<Record<string, unknown>>) => ElementaryCount;
}

/** Days on which a requested period begins or ends, in order. Between two cuts no row's membership changes. */
export const periodCuts = (periods: readonly Period[]): string[] =>
  [...new Set(periods.flatMap(({ start, end }) => [start, end]))].sort();

/** Indices of the elementary intervals that lie in `[from, to)`, `to` null for open. */
export const cutsWithin = (cuts: readonly number[], from: number, to: number | null): number[] => {
  const found: number[] = [];
  cuts.forEach((cut, index) => {
    if (cut >= from && (to === null || cut < to)) found.push(index);
  });
  return found;
};

/** Indices of the elementary intervals inside a period. */
export const periodIndices = (cuts: readonly string[], period: Period): number[] =>
  cutsWithin(cuts.map(dayNumber), dayNumber(period.start), dayNumber(period.end));

/**
 * Compiles a request to one grouped statement over the fact rows known at the position. Dates and ages are
 * bucketed between cuts, so that overlapping periods and bands cost one scan.
 */
export const countStatement = (request: CountRequest): CountStatement => {
  const parameters: unknown[] = [];
  const bind = (value: unknown, type: string): string => {
    parameters.push(value);
    return `$${parameters.length}::${type}`;
  };
  const cuts = periodCuts(request.periods);
  const place = request.basis === 'occurrence' ? 'community' : 'residence';

  const ageClause = (ranges: readonly AgeRange[], unknown: boolean): string => {
    const clauses = ranges.map(({ from, to }) =>
      to === null ? `age >= ${bind(from, 'int')}` : `age BETWEEN ${bind(from, 'int')} AND ${bind(to, 'int')}`,
    );
    if (unknown) clauses.push('age IS NULL');
    return `(${clauses.join(' OR ') || 'false'})`;
  };
  const clauseOf = (name: DimensionName, items: readonly string[]): string => {
    if (name !== 'age') return `${COLUMN[name]} = ANY (${bind(items, 'text[]')})`;
    const parsed = parseItems('age', items, '');
    if (!parsed.ok) throw new RangeError(parsed.problem[0]!.detail.en);
    return ageClause(parsed.value.ages ?? [], items.includes('unknown'));
  };
  const clausesOf = (condition: Condition): string[] =>
    Object.entries(condition).flatMap(([name, items]) => (items === undefined ? [] : [clauseOf(name as DimensionName, items)]));

  const where = [
    `known_from <= ${bind(request.position, 'bigint')}`,
    `known_to > $1::bigint`,
    'counted',
    `day >= ${bind(cuts[0]!, 'date')}`,
    `day < ${bind(cuts.at(-1)!, 'date')}`,
    `${place} = ANY (${bind(request.communities, 'text[]')})`,
  ];
  // Counted rows are first visits already.
  for (const { any, visit: _visit, ...condition } of request.filters) {
    where.push(...clausesOf(condition as Condition));
    if (any) where.push(`(${any.map((each) => clausesOf(each).join(' AND ') || 'true').join(' OR ')})`);
  }

  const groups = [
    ['period', cuts.length > 2 ? `width_bucket(day, ${bind(cuts, 'date[]')}) - 1` : undefined],
    ['community', request.communities.length > 1 ? place : undefined],
    ['age', request.ageCuts.length > 0 ? `width_bucket(age::int, ${bind(request.ageCuts, 'int[]')}) - 1` : undefined],
    ...request.dimensions.map((name, index) => [`d${index}`, COLUMN[name as Exclude<DimensionName, 'age'>]]),
    ...(request.weighted
      ? [
          ['stratum', "frame || '/' || stratum"],
          ['unit', 'unit'],
        ]
      : []),
  ].filter((group): group is [string, string] => group[1] !== undefined);

  const columns = [
    ...groups.map(([name, expression]) => `${expression} AS ${name}`),
    'count(*)::int AS n',
    ...(request.weighted ? ['sum(coalesce(weight, 1)) AS weight'] : []),
  ];
  const text = `SELECT ${columns.join(', ')} FROM read.injury_facts WHERE ${where.join(' AND ')}${groups.length > 0 ? ` GROUP BY ${groups.map((_, index) => index + 1).join(', ')}` : ''}`;
  const only = request.communities[0];
  return {
    text,
    parameters,
    read: (row) => ({
      period: (row['period'] as number | undefined) ?? 0,
      community: (row['community'] as string | undefined) ?? only!,
      age: request.ageCuts.length === 0 ? 0 : ((row['age'] as number | null) ?? -1),
      codes: request.dimensions.map((_, index) => row[`d${index}`] as string),
      stratum: (row['stratum'] as string | null | undefined) ?? null,
      unit: (row['unit'] as string | null | undefined) ?? null,
      n: row['n'] as number,
      weight: request.weighted ? ((row['weight'] as number | null) ?? 0) : (row['n'] as number),
    }),
  };
};

/** A dimension's items as a filter restricts by them; nothing for "all". */
export const asFilter = ({ name, items }: Dimension): Filter => (items === 'all' ? {} : ({ [name]: [...items] } as Filter));
