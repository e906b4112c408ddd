import type { SqlClient } from '@vigil/platform';
import {
  AXES,
  collapseStandard,
  DEFAULT_AGE_BANDS,
  addDays,
  isRefusal,
  localDate,
  nests,
  standardPopulation,
  UNKNOWN,
  UNMAPPED,
  type AgeRange,
  type Period,
  type Problem,
} from '@vigil/vocabulary';
import { definitionHash, indicator, type IndicatorDefinition } from '../definitions';
import type { ObservationAnswer, ObservationRow } from '../output';
import { formatObservationQuery, parseItems, type Dimension, type DimensionName, type ObservationQuery } from '../query/query';
import { communityTree, ouTargets, type Community, type OuTarget } from './communities';
import { asFilter, countStatement, cutsWithin, periodCuts, periodIndices, type ElementaryCount } from './counts';
import {
  emptyTally,
  plainRate,
  sampleShare,
  sampleTotal,
  share,
  standardRate,
  tally,
  type Estimate,
  type Tally,
} from './estimate';
import { personYearsOf, type NoPersonYears, type PeopleFilter, type PopulationRow } from './person-years';

/** What the answers need of the log; the event log's port has it. */
export interface LogView {
  head(): Promise<bigint>;
  positionAt(instant: string): Promise<bigint>;
  readAll(options: { after: bigint; limit: number }): Promise<readonly { readonly recordedAt: string }[]>;
}

export interface ObservationsOptions {
  readonly sql: SqlClient;
  readonly log: LogView;
  /** The calendar in which a period has ended or not. */
  readonly timeZone: string;
  readonly now?: () => Date;
}

export type Answered =
  | { readonly ok: true; readonly value: ObservationAnswer }
  /** `status` is the HTTP status that fits: 400, 413 or 503. */
  | { readonly ok: false; readonly status: 400 | 413 | 503; readonly problems: readonly Problem[] };

/** More rows than this are a different question. */
const MOST_ROWS = 200_000;
/** From here on a sample estimate is called unreliable: a relative standard error as statistical offices draw the line. */
const UNRELIABLE_CV = 0.3;

class Refused extends Error {
  constructor(
    readonly status: 400 | 413 | 503,
    readonly problems: readonly Problem[],
  ) {
    super(problems[0]?.detail.en);
  }
}

const refuse = (status: 400 | 413 | 503, problem: Problem): never => {
  throw new Refused(status, [problem]);
};

/** The read models that answers are made of. */
const READ: readonly string[] = ['communities', 'injury-facts'];

const halted = (projection: string, { position, type }: { position: string; type: string }): Problem => ({
  code: 'projection-halted',
  detail: {
    zh: `读模型 ${projection} 停在位置 ${position} 的事件${type ? `(${type})` : ''}之前,此后的事件未计入;vigil projections 说明原因`,
    en: `the read model ${projection} halted before the event at position ${position}${type ? ` (${type})` : ''}: nothing later is counted; vigil projections says why`,
  },
  value: projection,
});
const skipped = (projection: string, positions: readonly string[]): Problem => ({
  code: 'events-skipped',
  detail: {
    zh: `按决定跳过的 ${positions.length} 个事件未计入(位置 ${positions.slice(0, 5).join('、')});vigil projections 列出理由`,
    en: `${positions.length} event(s) passed over by decision are not counted (position ${positions.slice(0, 5).join(', ')}); vigil projections lists the reasons`,
  },
  value: projection,
});

interface Snapshot {
  readonly position: bigint;
  readonly asOf: string;
  readonly lagSeconds: number;
}

/** Rows within one answer that share the definition. */
interface Plan {
  readonly definition: IndicatorDefinition;
  readonly bands: readonly (AgeRange & { readonly weight: number })[];
}

type Sql = SqlClient;

/** Answers to `/observations`, each from one snapshot of the read models, restricted to what was known at its position. */
export const createObservations = ({ sql, log, timeZone, now = () => new Date() }: ObservationsOptions) => {
  /** Which position the answer speaks of; the read models must hold it. */
  const snapshotOf = async (query: ObservationQuery, projected: bigint): Promise<Snapshot> => {
    const head = await log.head();
    const [next] = projected < head ? await log.readAll({ after: projected, limit: 1 }) : [];
    const lagSeconds = next ? Math.max(0, (now().getTime() - Date.parse(next.recordedAt)) / 1000) : 0;
    if (query.asOf === undefined) return { position: projected, asOf: now().toISOString(), lagSeconds };
    if ('instant' in query.asOf) {
      const position = await log.positionAt(query.asOf.instant);
      if (position > projected) behind(position, projected);
      return { position, asOf: new Date(query.asOf.instant).toISOString(), lagSeconds };
    }
    const { position } = query.asOf;
    if (position > head)
      refuse(400, {
        code: 'position-ahead',
        detail: { zh: `日志目前只到位置 ${head}`, en: `the log ends at position ${head}` },
        pointer: '/asOfPosition',
        value: position.toString(),
      });
    if (position > projected) behind(position, projected);
    const [event] = position > 0n ? await log.readAll({ after: position - 1n, limit: 1 }) : [];
    return { position, asOf: event?.recordedAt ?? new Date(0).toISOString(), lagSeconds };
  };

  const behind = (position: bigint, projected: bigint): never =>
    refuse(503, {
      code: 'projection-behind',
      detail: {
        zh: `统计尚未处理到位置 ${position}(现在是 ${projected});请稍后再试`,
        en: `the read models hold position ${projected}, not yet ${position}; ask again shortly`,
      },
    });

  const answerFrom = async (tx: Sql, query: ObservationQuery): Promise<ObservationAnswer> => {
    const standing = await tx<{ projection: string; position: string; problem: string | null; skips: string[] }[]>`
      SELECT projection, position, problem,
        ARRAY(SELECT s.position::text FROM read.skips s WHERE s.projection = c.projection ORDER BY s.position) AS skips
      FROM read.checkpoints c WHERE projection = ANY (${READ as string[]}::text[]) ORDER BY projection`;
    const positions = standing.map((each) => BigInt(each.position));
    const snapshot = await snapshotOf(
      query,
      positions.reduce((low, at) => (at < low ? at : low), positions[0] ?? 0n),
    );
    const position = snapshot.position.toString();
    const problems = new Map<string, Problem>();
    const note = (problem: Problem): void => void problems.set(`${problem.code} ${String(problem.value)}`, problem);
    for (const { projection, problem, skips } of standing) {
      if (problem) note(halted(projection, JSON.parse(problem) as { position: string; type: string }));
      const missing = skips.filter((at) => BigInt(at) <= snapshot.position);
      if (missing.length > 0) note(skipped(projection, missing));
    }

    const communities = (
      await tx<
        { code: string; parent: string | null; groups: string[] }[]
      >`SELECT code, parent, groups FROM read.communities WHERE known_from <= ${position} ORDER BY code`
    ).map((row): Community => ({ ...row }));
    const tree = communityTree(communities);
    const unregistered = new Set(
      (
        await tx.unsafe<{ code: string }[]>(
          // Distinct values by skipping through the index: the number of communities, not of injuries, is what it costs.
          query.basis === 'occurrence' ? DISTINCT_COMMUNITIES : DISTINCT_RESIDENCES,
        )
      ).flatMap(({ code }) => (tree.byCode.has(code) ? [] : [code])),
    );
    const { targets, problems: unknown } = ouTargets(tree, unregistered, query.ou, query.ouIsDimension);
    if (unknown.length > 0) throw new Refused(400, unknown);

    const members = [...new Set(targets.flatMap((target) => target.members))];
    const population =
      members.length === 0
        ? []
        : (
            await tx<
              {
                community: string;
                year: number;
                sex: string;
                age_from: number;
                age_to: number | null;
                residency: string | null;
                persons: number;
                known_from: string;
              }[]
            >`
              SELECT community, year, sex, age_from, age_to, residency, persons, known_from FROM read.population
              WHERE community = ANY (${members}::text[]) AND year BETWEEN ${yearOf(query.pe, 'first')} AND ${yearOf(query.pe, 'last')}
                AND known_from <= ${position} AND known_to > ${position}`
          ).map((row) => ({ ...row, ageFrom: row.age_from, ageTo: row.age_to }));
    const personYears = personYearsOf(tree, population as PopulationRow[]);
    const populationVersion = population.reduce(
      (latest, { known_from }) => (BigInt(known_from) > latest ? BigInt(known_from) : latest),
      0n,
    );

    const periods = query.peIsDimension ? query.pe.map((period) => [period]) : [query.pe];
    const ended = localDate(snapshot.asOf, timeZone);
    const plans = query.dx.map((code): Plan => {
      const definition = indicator(code)!;
      if (definition.method !== 'direct-standardisation') return { definition, bands: [] };
      return { definition, bands: standardBands(query) };
    });

    const statements: { dx: string; statement: string }[] = [];
    const data: ObservationRow[] = [];
    for (const plan of plans)
      data.push(
        ...(await rowsOf(tx, { query, plan, position, targets, members, periods, personYears, ended, note, statements })),
      );

    return {
      data,
      meta: {
        asOf: snapshot.asOf,
        position: position,
        lagSeconds: snapshot.lagSeconds,
        standard: query.standard,
        definitions: plans.map(({ definition }) => ({
          code: definition.code,
          version: definition.version,
          hash: definitionHash(definition),
          name: definition.name,
        })),
        populationVersion: populationVersion === 0n ? null : populationVersion.toString(),
        suppression: null,
        problems: [...problems.values()],
        query: formatObservationQuery(query),
        dimensions: query.dimensions.map(({ name }) => name),
        ...(query.explain && { explain: statements }),
      },
    };
  };

  return {
    answer: async (query: ObservationQuery): Promise<Answered> => {
      try {
        const value = await sql.begin('ISOLATION LEVEL REPEATABLE READ READ ONLY', (tx) =>
          answerFrom(tx as unknown as Sql, query),
        );
        return { ok: true, value: value as ObservationAnswer };
      } catch (error) {
        if (error instanceof Refused) return { ok: false, status: error.status, problems: error.problems };
        throw error;
      }
    },
  };
};

export type Observations = ReturnType<typeof createObservations>;

const distinctOf = (column: string): string => `
  WITH RECURSIVE codes(code) AS (
    (SELECT min(${column}) FROM read.injury_facts)
    UNION ALL
    SELECT (SELECT min(f.${column}) FROM read.injury_facts f WHERE f.${column} > codes.code) FROM codes WHERE codes.code IS NOT NULL
  ) SELECT code FROM codes WHERE code IS NOT NULL`;
const DISTINCT_COMMUNITIES = distinctOf('community');
const DISTINCT_RESIDENCES = distinctOf('residence');

const yearOf = (periods: readonly Period[], end: 'first' | 'last'): number =>
  end === 'first'
    ? Math.min(...periods.map(({ start }) => Number(start.slice(0, 4))))
    : Math.max(...periods.map((period) => Number(addDays(period.end, -1).slice(0, 4))));

/** Bands of the standard that the query's ages leave whole. */
const standardBands = (query: ObservationQuery): (AgeRange & { weight: number })[] => {
  const standard = standardPopulation(query.standard);
  if (isRefusal(standard)) throw new Refused(400, [standard]);
  const filter = query.filters.find(({ name }) => name === 'age');
  if (!filter?.ages) return [...standard.bands];
  const inside = standard.bands.filter((band) => filter.ages!.some((age) => nests(band, age)));
  for (const age of filter.ages) {
    const collapsed = collapseStandard(standard, [age]);
    if (isRefusal(collapsed)) throw new Refused(400, [{ ...collapsed, pointer: '/filter' }]);
  }
  return inside;
};

interface RowsContext {
  readonly query: ObservationQuery;
  readonly plan: Plan;
  readonly position: string;
  readonly targets: readonly OuTarget[];
  readonly members: readonly string[];
  /** Each entry is one row's period: one of the dimension's, or all of a filter's together. */
  readonly periods: readonly (readonly Period[])[];
  readonly personYears: ReturnType<typeof personYearsOf>;
  /** The day after which a period hasn't ended. */
  readonly ended: string;
  readonly note: (problem: Problem) => void;
  /** What was asked of the database, for `explain`. */
  readonly statements: { dx: string; statement: string }[];
}

/** A dimension's possible values and, for ages, their ranges. */
interface Values {
  readonly name: DimensionName;
  readonly codes: readonly string[];
  readonly ages: readonly AgeRange[];
}

const rowsOf = async (tx: Sql, context: RowsContext): Promise<ObservationRow[]> => {
  const { query, plan, targets, members, periods, note } = context;
  const { definition, bands } = plan;
  const foreign = query.dimensions.find(({ name }) => !definition.strata.includes(name));
  if (foreign)
    refuse(400, {
      code: 'not-a-stratum',
      detail: {
        zh: `${definition.code} 不能按 ${foreign.name} 细分`,
        en: `${definition.code} can't be split by ${foreign.name}`,
      },
      pointer: '/dimension',
      value: foreign.name,
      allowed: definition.strata,
    });

  const asked = query.dimensions.find(({ name }) => name === 'age');
  const ageRanges = asked ? (asked.ages ?? DEFAULT_AGE_BANDS) : bands;
  const ageCuts = [...new Set(ageRanges.flatMap(({ from, to }) => (to === null ? [from] : [from, to + 1])))].sort(
    (a, b) => a - b,
  );
  // Ages below the first cut are of no row, and width_bucket gives them -1, which stands for unknown.
  if (ageCuts.length > 0 && ageCuts[0] !== 0) ageCuts.unshift(0);
  const coded = query.dimensions.filter(({ name }) => name !== 'age').map(({ name }) => name);
  const cuts = periodCuts(query.pe);

  const fetch = async (filter: IndicatorDefinition['numerator']['filter']): Promise<ElementaryCount[]> => {
    if (members.length === 0) return [];
    const statement = countStatement({
      position: context.position,
      basis: query.basis,
      periods: query.pe,
      communities: members,
      filters: [
        filter ?? {},
        ...query.filters.map(asFilter),
        ...query.dimensions.filter(({ name }) => name !== 'age').map(asFilter),
      ],
      dimensions: coded,
      ageCuts,
      weighted: query.weighted,
    });
    context.statements.push({ dx: definition.code, statement: statement.text });
    return (await tx.unsafe(statement.text, statement.parameters as never[], { prepare: true })).map((row) =>
      statement.read(row as Record<string, unknown>),
    );
  };

  const numerators = await fetch(definition.numerator.filter);
  const wholes = definition.denominator.fact === 'injury' ? await fetch(definition.denominator.filter) : undefined;

  const values = query.dimensions.map((dimension) => valuesOf(dimension, [...numerators, ...(wholes ?? [])], coded));
  const size = values.reduce((product, { codes }) => product * codes.length, targets.length * periods.length);
  if (size > MOST_ROWS)
    refuse(413, {
      code: 'too-many-rows',
      detail: {
        zh: `该查询有 ${size} 行,至多 ${MOST_ROWS} 行;请少选维度或项目`,
        en: `the query has ${size} rows, at most ${MOST_ROWS}; ask for fewer dimensions or items`,
      },
    });

  // Which rows an elementary cell belongs to.
  const ofPeriod = membership(cuts.length, periods, (group) => group.flatMap((period) => periodIndices(cuts, period)));
  const ofCommunity = new Map<string, number[]>();
  targets.forEach((target, index) => {
    for (const member of target.members) ofCommunity.set(member, [...(ofCommunity.get(member) ?? []), index]);
  });
  const ofAge = membership(ageCuts.length, ageRanges, ({ from, to }) => cutsWithin(ageCuts, from, to === null ? null : to + 1));

  const collect = (counts: readonly ElementaryCount[]): Map<string, Tally> => {
    const cells = new Map<string, Tally>();
    for (const count of counts) {
      const ageIds = asked ? (count.age < 0 ? [UNKNOWN] : (ofAge[count.age] ?? []).map((index) => ageRanges[index]!.id)) : [''];
      const band = bands.length === 0 ? 0 : count.age < 0 ? -1 : (ofAge[count.age]?.[0] ?? -1);
      let at = 0;
      const codes = query.dimensions.map(({ name }) => (name === 'age' ? null : count.codes[at++]!));
      for (const period of ofPeriod[count.period] ?? [])
        for (const ou of ofCommunity.get(count.community) ?? [])
          for (const age of ageIds) {
            const key = cellKey(
              period,
              ou,
              codes.map((code) => code ?? age),
            );
            let cell = cells.get(key);
            if (!cell) cells.set(key, (cell = emptyTally()));
            tally(cell, count, band);
          }
    }
    return cells;
  };
  const parts = collect(numerators);
  const all = wholes && collect(wholes);
  const listedFor = query.weighted ? await listedUnits(tx, context) : () => new Map<string, number>();

  const rows: ObservationRow[] = [];
  const combinations = product(values.map(({ codes }) => codes));
  for (const [p, group] of periods.entries())
    for (const [o, target] of targets.entries())
      for (const codes of combinations) {
        const key = cellKey(p, o, codes);
        const row = rowOf({
          context,
          target,
          group,
          people: peopleOf(context, values, codes),
          part: parts.get(key) ?? emptyTally(),
          whole: all?.get(key) ?? (all ? emptyTally() : undefined),
          listed: listedFor(group),
        });
        if (row === undefined) continue;
        const dims = Object.fromEntries(values.map(({ name }, index) => [name, codes[index]!]));
        rows.push({ dx: definition.code, pe: group.map(({ id }) => id).join(';'), ou: target.ou, ...dims, ...row });
      }
  const excluded = bands.length > 0 ? numerators.reduce((sum, { age, n }) => sum + (age < 0 ? n : 0), 0) : 0;
  if (excluded > 0)
    note({
      code: 'unknown-age-excluded',
      detail: {
        zh: `${definition.code}:${excluded} 例年龄不详,未计入标化`,
        en: `${definition.code}: ${excluded} injuries of unknown age are not in the standardised rate`,
      },
      value: excluded,
    });
  return rows;
};

const cellKey = (period: number, ou: number, codes: readonly string[]): string => `${period} ${ou} ${codes.join(' ')}`;

const membership = <T>(size: number, groups: readonly T[], indices: (group: T) => readonly number[]): number[][] => {
  const of: number[][] = Array.from({ length: size }, () => []);
  groups.forEach((group, index) => {
    for (const at of indices(group)) of[at]?.push(index);
  });
  return of;
};

const product = (lists: readonly (readonly string[])[]): string[][] =>
  lists.reduce<string[][]>((rows, list) => rows.flatMap((row) => list.map((item) => [...row, item])), [[]]);

/** Explicit items as asked, with zeros; otherwise the sexes and age bands of a population, and of all else what was met. */
const valuesOf = (
  { name, items, ages }: Dimension,
  counts: readonly ElementaryCount[],
  coded: readonly DimensionName[],
): Values => {
  if (name === 'age') {
    const ranges = ages ?? DEFAULT_AGE_BANDS;
    const unknown = items === 'all' ? counts.some(({ age }) => age < 0) : items.includes(UNKNOWN);
    return { name, ages: ranges, codes: [...ranges.map(({ id }) => id), ...(unknown ? [UNKNOWN] : [])] };
  }
  if (items !== 'all') return { name, ages: [], codes: items };
  const at = coded.indexOf(name);
  const met = new Set(counts.map(({ codes }) => codes[at]!));
  if (name === 'sex') for (const sex of ['F', 'M']) met.add(sex);
  const order = name === 'feed' ? [...met].sort() : [...AXES[name].codes.map(({ code }) => code), 'unmapped'];
  return { name, ages: [], codes: order.filter((code) => met.has(code)) };
};

/** The people a row's denominator counts, or `none` when they can't be in the indicator at all. */
const peopleOf = (
  { query, plan }: RowsContext,
  values: readonly Values[],
  codes: readonly string[],
): PeopleFilter | 'none' | 'unknown' => {
  const { denominator } = plan.definition;
  if (denominator.fact !== 'population') return {};
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
const listedUnits = async (
  tx: Sql,
  { query, position }: RowsContext,
): Promise<(group: readonly Period[]) => Map<string, number>> => {
  const rows = await tx<{ stratum: string; unit: string; year: number }[]>`
    SELECT frame || '/' || stratum AS stratum, unit, year FROM read.sampling_units
    WHERE year BETWEEN ${yearOf(query.pe, 'first')} AND ${yearOf(query.pe, 'last')} AND known_from <= ${position}`;
  const memo = new Map<string, Map<string, number>>();
  return (group) => {
    const years = new Set(
      group.flatMap((period) =>
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

interface RowInput {
  readonly context: RowsContext;
  readonly target: OuTarget;
  readonly group: readonly Period[];
  readonly people: PeopleFilter | 'none' | 'unknown';
  readonly part: Tally;
  /** The denominator's injuries, for a share. */
  readonly whole: Tally | undefined;
  readonly listed: ReadonlyMap<string, number>;
}

type RowFigures = Omit<ObservationRow, 'dx' | 'pe' | 'ou'>;

const rowOf = ({ context, target, group, people, part, whole, listed }: RowInput): RowFigures | undefined => {
  const { query, plan, ended } = context;
  const { definition, bands } = plan;
  const { multiplier, minEvents } = definition;
  const unit = typeof definition.unit === 'string' ? definition.unit : definition.unit.en;
  const num = bands.length > 0 ? [...part.bands].reduce((sum, [band, amount]) => sum + (band < 0 ? 0 : amount), 0) : part.weight;
  const n = query.weighted ? { n: part.n } : {};
  const missing = (reason: string, den: number | null = null): RowFigures => ({
    value: null,
    unit,
    num,
    den,
    ...n,
    ci: null,
    status: 'M',
    conf: 'F',
    reason,
  });
  const found = (estimate: Estimate, den: number, incomplete: boolean): RowFigures => {
    const unreliable = incomplete
      ? 'incomplete-denominator'
      : estimate.cv != null && estimate.cv > UNRELIABLE_CV
        ? 'high-relative-standard-error'
        : undefined;
    const running = group.some(({ end }) => end > ended);
    return {
      value: estimate.value,
      unit,
      num,
      den,
      ...n,
      ci:
        estimate.low === null
          ? null
          : { level: Number((query.level * 100).toFixed(6)), low: estimate.low, high: estimate.high, method: estimate.method },
      status: unreliable ? 'U' : running ? 'P' : 'A',
      conf: 'F',
      ...(unreliable ? { reason: unreliable } : running ? { reason: 'period-not-ended' } : {}),
    };
  };

  if (whole) {
    if (whole.weight === 0) return missing('no-cases', 0);
    const estimate = query.weighted
      ? sampleShare(part, whole, listed, multiplier, query.level)
      : share(part.n, whole.n, multiplier, query.level);
    return found(estimate, whole.weight, false);
  }
  if (people === 'none') return undefined;
  if (people === 'unknown')
    return part.n === 0 && query.dimensions.some(({ name, items }) => name === 'age' && items === 'all')
      ? undefined
      : missing('missing-denominator');

  const exposure = (filter: PeopleFilter): { ok: true; value: number; missing: string[] } | { ok: false; why: NoPersonYears } => {
    let value = 0;
    const gaps: string[] = [];
    for (const period of group) {
      const answer = context.personYears(target, period, filter);
      if (!answer.ok) return answer;
      value += answer.value.value;
      gaps.push(...answer.value.missing);
    }
    return { ok: true, value, missing: gaps };
  };
  const noteGap = (why: NoPersonYears): void => context.note(denominatorProblem(why));

  const total = exposure(people);
  if (!total.ok) {
    // Nobody counts a population of unknown sex: that gap is no one's to fill.
    if (!people.sexes?.some((sex) => sex === UNKNOWN || sex === UNMAPPED)) noteGap(total.why);
    return missing(total.why.reason);
  }
  for (const community of total.missing)
    noteGap({ reason: 'missing-denominator', community, year: Number(group[0]!.start.slice(0, 4)) });
  if (!(total.value > 0)) return missing('empty-denominator', total.value);

  if (bands.length === 0) {
    if (part.n < minEvents) return missing('too-few-events', total.value);
    const estimate = query.weighted
      ? sampleTotal(part, () => multiplier / total.value, listed, query.level)
      : plainRate(part.n, total.value, multiplier, query.level);
    return found(estimate, total.value, total.missing.length > 0);
  }

  const exposures: number[] = [];
  for (const band of bands) {
    const answer = exposure({ ...people, ages: [band] });
    if (!answer.ok) {
      noteGap(answer.why);
      return missing(answer.why.reason, total.value);
    }
    if (!(answer.value > 0)) return missing('empty-denominator', total.value);
    exposures.push(answer.value);
  }
  const events = query.weighted ? part.n : num;
  if (events < minEvents) return missing('too-few-events', total.value);
  const weights = bands.map(({ weight }) => weight);
  const sum = weights.reduce((a, b) => a + b, 0);
  const estimate = query.weighted
    ? sampleTotal(part, (band) => (band < 0 ? 0 : (multiplier * weights[band]!) / sum / exposures[band]!), listed, query.level)
    : standardRate(part, exposures, weights, multiplier, query.level);
  return found(estimate, total.value, total.missing.length > 0);
};

/** What is missing under a rate, and the request that mends it. */
const denominatorProblem = ({ reason, community, year }: NoPersonYears): Problem =>
  reason === 'missing-denominator'
    ? {
        code: reason,
        detail: {
          zh: `${community} 没有 ${year} 年所需的人口;请 POST /api/v1/communities/${community}/populations {"year": ${year}, "cells": [...]}`,
          en: `${community} has no population of ${year} for these people; POST /api/v1/communities/${community}/populations {"year": ${year}, "cells": [...]}`,
        },
        value: `${community} ${year}`,
      }
    : {
        code: reason,
        detail: {
          zh: `${community} ${year} 年的人口年龄组跨越所求年龄段的边界;请按更细的年龄组录入,或改用与之一致的年龄段`,
          en: `population cells of ${community} in ${year} cross the ages asked for; record finer cells, or ask for ages that they fill`,
        },
        value: `${community} ${year}`,
      };
