import type { AgeRange, Period } from '@vigil/vocabulary';
import { dayNumber } from '@vigil/vocabulary';
import type { Condition, Counted, Filter } from '../definitions/definition';
import { factSource, KNOWN } from '../facts/facts';
import { parseItems, type Dimension, type DimensionName } from '../query/query';

export interface CountRequest {
  /** The log's position whose knowledge is asked for. */
  readonly position: string;
  readonly counted: Counted;
  readonly basis: 'occurrence' | 'residence';
  readonly periods: readonly Period[];
  readonly communities: readonly string[];
  /** All communities count as one: each count names the first. */
  readonly together?: boolean;
  /** Besides the fact's own. */
  readonly filters: readonly Filter[];
  readonly dimensions: readonly DimensionName[];
  /** Ages at which a requested band begins or ends; empty when ages don't matter. */
  readonly ageCuts: readonly number[];
  /** Totals of weights per stratum and primary unit instead of plain counts. */
  readonly weighted: boolean;
  /** Where the measure is a duration: the day at which open ones are censored. */
  readonly censoredOn?: string;
  /**
   * Instead of what was known at `position`, what became known after `since` up to it: each count with the position that brought it,
   * negative for what ceased to hold. Of facts that keep their rows in a table of their own.
   */
  readonly since?: string;
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
  /** The measure summed, and its squares; rows without it are in neither. For a count both are `n`. */
  readonly amount: number;
  readonly squares: number;
  /** Of a duration: days, and whether it ended. */
  readonly duration?: { readonly days: number; readonly ended: boolean };
  /** Of a change: the position of the event. */
  readonly at?: bigint;
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

type Bind = (value: unknown, type: string) => string;

const clauses = (columns: Readonly<Partial<Record<DimensionName, string>>>, bind: Bind) => {
  const ageClause = (ranges: readonly AgeRange[], unknown: boolean): string => {
    const age = columns.age!;
    const alternatives = ranges.map(({ from, to }) =>
      to === null ? `${age} >= ${bind(from, 'int')}` : `${age} BETWEEN ${bind(from, 'int')} AND ${bind(to, 'int')}`,
    );
    if (unknown) alternatives.push(`${age} IS NULL`);
    return `(${alternatives.join(' OR ') || 'false'})`;
  };
  const clauseOf = (name: DimensionName, items: readonly string[]): string => {
    if (name !== 'age') return `${columns[name]} = ANY (${bind(items, 'text[]')})`;
    const parsed = parseItems('age', items, '');
    if (!parsed.ok) throw new RangeError(parsed.problem[0]!.detail.en);
    return ageClause(parsed.value.ages ?? [], items.includes('unknown'));
  };
  const conditionOf = (condition: Condition): string[] =>
    Object.entries(condition).flatMap(([name, items]) => (items === undefined ? [] : [clauseOf(name as DimensionName, items)]));
  // `visit`: counted rows are first visits already.
  return ({ any, visit: _visit, ...condition }: Filter): string[] => [
    ...conditionOf(condition as Condition),
    ...(any ? [`(${any.map((each) => conditionOf(each).join(' AND ') || 'true').join(' OR ')})`] : []),
  ];
};

/**
 * Compiles a request to one grouped statement over the fact's rows known at the position. Dates and ages are bucketed between
 * cuts, so that overlapping periods and bands cost one scan. Of a stock, which stands at a period's end, one period is asked for.
 */
export const countStatement = (request: CountRequest): CountStatement => {
  const { counted, communities, dimensions, ageCuts, weighted, censoredOn } = request;
  const source = factSource(counted.fact);
  const parameters: unknown[] = [];
  const bind: Bind = (value, type) => {
    parameters.push(value);
    return `$${parameters.length}::${type}`;
  };
  const cuts = periodCuts(request.periods);
  const stands: Record<string, string> = {};
  const named = (sql: string): string =>
    sql.replace(/:(position|from|to)\b(?!:)/g, (_, name: string) => {
      stands[name] ??=
        name === 'position' ? bind(request.position, 'bigint') : bind(name === 'from' ? cuts[0]! : cuts.at(-1)!, 'date');
      return stands[name];
    });

  const { since } = request;
  const where = (since === undefined ? source.where : source.where.filter((each) => !KNOWN.includes(each))).map(named);
  if (since !== undefined) where.push(`at > ${bind(since, 'bigint')}`, `at <= ${named(':position')}`);
  const day = source.days[counted.day ?? Object.keys(source.days)[0] ?? ''];
  if (day !== undefined) where.push(`${day} >= ${bind(cuts[0]!, 'date')}`, `${day} < ${bind(cuts.at(-1)!, 'date')}`);
  const place = request.basis === 'residence' ? source.residence! : source.community;
  where.push(`${place} = ANY (${bind(communities, 'text[]')})`);
  const clausesOf = clauses(source.columns, bind);
  for (const filter of [counted.filter ?? {}, ...request.filters]) where.push(...clausesOf(filter));
  for (const name of counted.is ?? []) where.push(source.conditions[name]!.sql);

  const duration = source.durations[counted.measure];
  if (duration) where.push(`${duration.from} IS NOT NULL`);
  const until = duration && `(${named(duration.until)})`;
  const censor = duration && bind(censoredOn, 'date');
  const amount = counted.measure === 'count' || duration ? undefined : source.amounts[counted.measure]!.sql;

  const groups = [
    ['at', since === undefined ? undefined : 'at'],
    ['sign', since === undefined ? undefined : 'sign'],
    ['period', day !== undefined && cuts.length > 2 ? `width_bucket(${day}, ${bind(cuts, 'date[]')}) - 1` : undefined],
    ['community', communities.length > 1 && !request.together ? place : undefined],
    ['age', ageCuts.length > 0 ? `width_bucket(${source.columns.age}::int, ${bind(ageCuts, 'int[]')}) - 1` : undefined],
    ...dimensions.map((name, index) => [`d${index}`, source.columns[name]]),
    ...(weighted
      ? [
          ['stratum', "frame || '/' || stratum"],
          ['unit', 'unit'],
        ]
      : []),
    ...(duration
      ? [
          ['days', `greatest(0, least(coalesce(${until}, ${censor}), ${censor}) - ${duration.from})::int`],
          ['ended', `coalesce(${until} <= ${censor}, false)`],
        ]
      : []),
  ].filter((group): group is [string, string] => group[1] !== undefined);

  const columns = [
    ...groups.map(([name, expression]) => `${expression} AS ${name}`),
    `count(${amount ?? '*'})::int AS n`,
    ...(amount ? [`coalesce(sum(${amount}), 0)::float8 AS amount`, `coalesce(sum((${amount})::float8 ^ 2), 0) AS squares`] : []),
    ...(weighted ? ['sum(coalesce(weight, 1)) AS weight'] : []),
  ];
  const text = `SELECT ${columns.join(', ')} FROM ${since === undefined ? named(source.relation) : `${source.relation} CROSS JOIN LATERAL (VALUES (known_from, 1), (known_to, -1)) AS change(at, sign)`} WHERE ${where.join(' AND ')}${groups.length > 0 ? ` GROUP BY ${groups.map((_, index) => index + 1).join(', ')}` : ''}`;
  const only = communities[0];
  return {
    text,
    parameters,
    read: (row) => {
      const sign = (row['sign'] as number | undefined) ?? 1;
      const n = sign * (row['n'] as number);
      return {
        period: (row['period'] as number | undefined) ?? 0,
        community: (row['community'] as string | undefined) ?? only!,
        age: ageCuts.length === 0 ? 0 : ((row['age'] as number | null) ?? -1),
        codes: dimensions.map((_, index) => row[`d${index}`] as string),
        stratum: (row['stratum'] as string | null | undefined) ?? null,
        unit: (row['unit'] as string | null | undefined) ?? null,
        n,
        weight: weighted ? ((row['weight'] as number | null) ?? 0) : n,
        amount: amount ? sign * (row['amount'] as number) : n,
        squares: amount ? sign * (row['squares'] as number) : n,
        ...(since !== undefined && { at: BigInt(row['at'] as string) }),
        ...(duration && { duration: { days: row['days'] as number, ended: row['ended'] as boolean } }),
      };
    },
  };
};

/** A dimension's items as a filter restricts by them; nothing for "all". */
export const asFilter = ({ name, items }: Dimension): Filter => (items === 'all' ? {} : ({ [name]: [...items] } as Filter));
