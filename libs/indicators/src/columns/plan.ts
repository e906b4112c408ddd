import { dayNumber } from '@vigil/vocabulary';
import { periodCuts, type CountRequest, type ElementaryCount } from '../answer/counts';
import type { Condition, Filter } from '../definitions/definition';
import { factSource, type FactSource } from '../facts/facts';
import { parseItems, type DimensionName } from '../query/query';
import type { Amount, Cells, Clause, Plan, Test } from './scan';
import { CODED, type Coded } from './table';

const RELATION = 'read.injury_facts';

/**
 * What conditions and amounts mean to columns, by their SQL: one that is reworded is counted by the database until it has its
 * counterpart here.
 */
const CLAUSES: ReadonlyMap<string, Clause> = new Map<string, Clause>([
  ['counted', [[{ flags: 'counted' }]]],
  ['eligible', [[{ flags: 'eligible' }]]],
  ['NOT counted', [[{ flags: 'not-counted' }]]],
  ['death <= 30', [[{ flags: 'died-by-30' }]]],
  [
    `(death IS NOT NULL OR disposition NOT IN ('unknown', 'unmapped'))`,
    [[{ flags: 'death-known' }], [{ column: 'disposition', among: ['unknown', 'unmapped'], not: true }]],
  ],
]);
/** Of which the scan itself takes care. */
const KNOWN = new Set(['known_from <= :position', 'known_to > :position']);

const isCoded = (name: string | undefined): name is Coded => (CODED as readonly (string | undefined)[]).includes(name);

const amountFor = (sql: string): Amount | undefined => {
  if (sql === 'CASE WHEN death <= 30 THEN greatest(0, 75 - age) END') return { kind: 'years-lost', until: 75 };
  if (/^\d+$/.test(sql)) return { kind: 'each', amount: Number(sql) };
  const columns = sql.startsWith('(')
    ? sql
        .slice(1, -1)
        .split(' + ')
        .map((part) => /^\((\w+) <> 'unknown'\)::int$/.exec(part)?.[1])
    : [];
  return columns.length > 0 && columns.every(isCoded) ? { kind: 'known', columns } : undefined;
};

/** Undefined where columns can't tell. */
const testOf = (source: FactSource, name: DimensionName, items: readonly string[]): Test | undefined => {
  const column = source.columns[name];
  if (column === 'age') {
    const parsed = parseItems('age', items, '');
    return parsed.ok ? { ages: parsed.value.ages ?? [], unknown: items.includes('unknown') } : undefined;
  }
  return isCoded(column) ? { column, among: items } : undefined;
};

const testsOf = (source: FactSource, condition: Condition): (Test | undefined)[] =>
  Object.entries(condition).flatMap(([name, items]) =>
    items === undefined ? [] : [testOf(source, name as DimensionName, items)],
  );

const clausesOf = (source: FactSource, { any, visit: _visit, ...condition }: Filter): (readonly (Test | undefined)[])[][] => [
  [testsOf(source, condition as Condition)],
  ...(any ? [any.map((each) => testsOf(source, each))] : []),
];

/** A request as columns count it; undefined where the database must: other facts, sampling weights, conditions unknown here. */
export const planOf = (request: CountRequest): Plan | undefined => {
  const { counted, basis, weighted, communities, ageCuts } = request;
  const source: FactSource = factSource(counted.fact);
  const position = Number(request.position);
  if (source.relation !== RELATION || weighted || request.since !== undefined || !Number.isSafeInteger(position))
    return undefined;
  if (source.days[counted.day ?? Object.keys(source.days)[0] ?? ''] !== 'day') return undefined;
  const place = basis === 'residence' ? source.residence : source.community;
  if (place !== 'community' && place !== 'residence') return undefined;

  const conditions = [
    ...source.where.filter((sql) => !KNOWN.has(sql)),
    ...(counted.is ?? []).map((name) => source.conditions[name]?.sql ?? ''),
  ].map((sql) => CLAUSES.get(sql));
  const clauses = [...conditions, ...[counted.filter ?? {}, ...request.filters].flatMap((filter) => clausesOf(source, filter))];
  const groups = request.dimensions.map((name) => source.columns[name]);
  const sum = source.amounts[counted.measure];
  const amount: Amount | undefined = counted.measure === 'count' ? { kind: 'rows' } : sum && amountFor(sum.sql);
  if (!amount || !groups.every(isCoded) || clauses.some((clause) => !clause?.flat().every(Boolean))) return undefined;

  return {
    position,
    cuts: periodCuts(request.periods).map(dayNumber),
    place,
    communities,
    apart: communities.length > 1 && !request.together,
    clauses: clauses as Clause[],
    ageCuts,
    groups,
    amount,
  };
};

/** The cells of a plan as the database would have answered them. */
export const countsOf = ({ communities, dimensions }: CountRequest, { cells, width, names }: Cells): ElementaryCount[] =>
  Array.from({ length: cells.length / width }, (_, row) => {
    const at = (index: number): number => cells[row * width + index]!;
    const n = at(width - 3);
    return {
      period: at(0),
      community: communities[at(1)]!,
      age: at(2),
      codes: dimensions.map((_name, index) => names[index]![at(3 + index)]!),
      stratum: null,
      unit: null,
      n,
      weight: n,
      amount: at(width - 2),
      squares: at(width - 1),
    };
  });
