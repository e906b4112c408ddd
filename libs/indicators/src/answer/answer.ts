import type { SqlClient } from '@vigil/platform';
import {
  addDays,
  collapseStandard,
  isRefusal,
  localDate,
  nests,
  standardPopulation,
  type AgeRange,
  type Period,
  type Problem,
} from '@vigil/vocabulary';
import type { FactColumns } from '../columns/fact-columns';
import { definitionHash, indicators, isCounted, type IndicatorDefinition } from '../definitions';
import { factSource } from '../facts/facts';
import type { Explanation, ObservationAnswer, ObservationRow } from '../output';
import { formatObservationQuery, type AsOf, type ObservationQuery } from '../query/query';
import { causesOf, MOST_STEPS, movedRows, type Moved, type CauseKind, type RowChange, type ToldEvent } from './changes';
import { communityTree, ouTargets, targetOf, type Community, type CommunityTree, type OuTarget } from './communities';
import { before, comparedRow, isShadow, shadowOf } from './compare';
import { personYearsOf, BRIDGED_YEARS, type PersonYearsOf, type PopulationRow } from './person-years';
import type { RowsContext } from './context';
import { refuse, Refused, type RefusalStatus } from './refused';
import { isPersonal, protectRows, THRESHOLDS } from './release';
import { rowsOf } from './rows';

/** What the answers need of the log; the event log's port has it. */
export interface LogView {
  head(): Promise<bigint>;
  positionAt(instant: string): Promise<bigint>;
  readAll(options: { after: bigint; limit: number }): Promise<readonly LoggedEvent[]>;
}

/** An event as the log holds it; `data` is its payload's JSON. */
export interface LoggedEvent {
  readonly recordedAt: string;
  readonly position: bigint;
  readonly type: string;
  readonly stream: string;
  readonly data: string;
}

/** Between which two moments of the log something changed. */
export interface ChangesQuery {
  readonly from: AsOf;
  /** Absent: now. */
  readonly to?: AsOf;
}

export interface ChangesAnswer {
  readonly changes: readonly RowChange[];
  readonly meta: {
    readonly from: { readonly position: string; readonly asOf: string };
    readonly to: { readonly position: string; readonly asOf: string };
    readonly definitions: readonly { readonly code: string; readonly before: string; readonly after: string }[];
    readonly query: string;
  };
}

export interface ObservationsOptions {
  readonly sql: SqlClient;
  /** Facts in memory; absent: the database counts everything. */
  readonly columns?: Pick<FactColumns, 'counts'> | undefined;
  readonly log: LogView;
  /** The calendar in which a period has ended or not. */
  readonly timeZone: string;
  /** The definitions in force at a position; absent: those shipped. */
  readonly definitionsAt?: (tx: SqlClient, position: bigint) => Promise<ReadonlyMap<string, IndicatorDefinition>>;
  readonly now?: () => Date;
}

/** `status` is the HTTP status that fits: 400, 413 or 503. */
export type Asked<T> =
  | { readonly ok: true; readonly value: T }
  | { readonly ok: false; readonly status: RefusalStatus; readonly problems: readonly Problem[] };
export type Answered = Asked<ObservationAnswer>;

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

interface Standing {
  readonly projection: string;
  readonly position: bigint;
  readonly problem: string | null;
  readonly skips: readonly string[];
}

type Sql = SqlClient;

const SHIPPED: ReadonlyMap<string, IndicatorDefinition> = new Map(indicators().map((each) => [each.code, each]));

/** The read models that an indicator is made of. */
const modelsOf = ({ numerator, denominator, lists = [] }: IndicatorDefinition): string[] => [
  'communities',
  ...[numerator, denominator, ...lists].flatMap((part) =>
    isCounted(part) ? factSource(part.fact).models : part?.fact === 'survey' ? ['case-files', 'survey-responses'] : [],
  ),
];

/** The community that rows are put beside, unless it is one of the rows' own. */
const benchmarkOf = (
  { compare }: ObservationQuery,
  tree: CommunityTree,
  unregistered: ReadonlySet<string>,
  everywhere: OuTarget,
): OuTarget[] => {
  if (!compare || !('ou' in compare)) return [];
  if (compare.ou === 'ALL') return [{ ...everywhere, ou: shadowOf('ALL') }];
  const { targets, problems } = ouTargets(tree, unregistered, [{ kind: 'code', code: compare.ou }], true);
  if (problems.length > 0)
    throw new Refused(
      400,
      problems.map((each) => ({ ...each, pointer: '/compare' })),
    );
  return targets.map((target) => ({ ...target, ou: shadowOf(target.ou) }));
};

/** Rows with what the one beside each says; those that were only there to be compared with go. */
const beside = (rows: readonly ObservationRow[], definition: IndicatorDefinition, query: ObservationQuery): ObservationRow[] => {
  const { compare, dimensions } = query;
  const plain = ({ variance: _, ...row }: ObservationRow): ObservationRow => row;
  if (!compare) return rows.map(plain);
  const keyOf = (pe: string, ou: string, row: ObservationRow): string =>
    JSON.stringify([pe, ou, ...dimensions.map(({ name }) => row[name])]);
  const others = new Map(rows.map((row) => [keyOf(row.pe, row.ou, row), row]));
  return rows
    .filter(({ pe, ou }) => !isShadow(pe) && !isShadow(ou))
    .map((row) => {
      const other = 'pe' in compare ? keyOf(shadowOf(row.pe), row.ou, row) : keyOf(row.pe, shadowOf(compare.ou), row);
      return { ...plain(row), ...comparedRow(row, others.get(other), definition, query) };
    });
};

/** The window of each requested period: itself, or the years that end with it. */
const windowOf = (period: Period, rolling: ObservationQuery['rolling']): Period => {
  if (!rolling) return period;
  const last = addDays(period.end, -1);
  const start = `${String(Number(period.end.slice(0, 4)) - rolling.years).padStart(4, '0')}${period.end.slice(4)}`;
  // 29 February has no namesake in most years.
  return {
    ...period,
    kind: 'range',
    start: start.endsWith('02-29') && Number.isNaN(Date.parse(start)) ? `${start.slice(0, 8)}28` : start,
    end: addDays(last, 1),
  };
};

/** Answers to `/observations`, each from one snapshot of the read models, restricted to what was known at its position. */
export const createObservations = ({
  sql,
  log,
  timeZone,
  columns,
  definitionsAt = async () => SHIPPED,
  now = () => new Date(),
}: ObservationsOptions) => {
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

  const standingOf = async (tx: Sql): Promise<Standing[]> =>
    (
      await tx<{ projection: string; position: string; problem: string | null; skips: string[] }[]>`
        SELECT projection, position, problem,
          ARRAY(SELECT s.position::text FROM read.skips s WHERE s.projection = c.projection ORDER BY s.position) AS skips
        FROM read.checkpoints c ORDER BY projection`
    ).map((row) => ({ ...row, position: BigInt(row.position) }));

  const lowest = (standing: readonly Standing[]): bigint =>
    standing.reduce((low, { position }) => (position < low ? position : low), standing[0]?.position ?? 0n);

  /** The definitions asked for as they stood, and the read models that they need. */
  const definitionsFor = async (tx: Sql, query: ObservationQuery, all: readonly Standing[]) => {
    const at =
      query.asOf === undefined
        ? (all.find(({ projection }) => projection === 'case-files')?.position ?? 0n)
        : 'instant' in query.asOf
          ? await log.positionAt(query.asOf.instant)
          : query.asOf.position;
    const known = await definitionsAt(tx, at);
    const definitions = query.dx.map(
      (code) =>
        known.get(code) ??
        refuse(400, {
          code: 'unknown-indicator',
          detail: { zh: `当时没有指标“${code}”`, en: `there was no indicator "${code}" then` },
          pointer: '/dimension',
          value: code,
        }),
    );
    const models = new Set(definitions.flatMap(modelsOf));
    // A definition of somebody's own is itself part of a read model.
    if (definitions.some((each) => SHIPPED.get(each.code) !== each)) models.add('case-files');
    return { definitions, standing: all.filter(({ projection }) => models.has(projection)) };
  };

  /** All that the rows of a query need besides their definition, as known at a position. */
  const prepare = async (
    tx: Sql,
    query: ObservationQuery,
    definitions: readonly IndicatorDefinition[],
    { position: known, asOf }: Pick<Snapshot, 'position' | 'asOf'>,
    note: (problem: Problem) => void,
    /** Places settled by another moment's question. */
    places?: Pick<RowsContext, 'targets' | 'everywhere'>,
  ) => {
    const position = known.toString();
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
    const found = places
      ? { targets: places.targets, problems: [] }
      : ouTargets(tree, unregistered, query.ou, query.ouIsDimension);
    if (found.problems.length > 0) throw new Refused(400, found.problems);
    const everywhere = places?.everywhere ?? targetOf(tree, 'ALL', [...tree.byCode.keys(), ...unregistered]);
    const targets = [...found.targets, ...(places ? [] : benchmarkOf(query, tree, unregistered, everywhere))];

    const own = query.pe.map((period) => windowOf(period, query.rolling));
    const asked = query.peIsDimension
      ? query.pe.map(({ id }, index) => ({ id, window: [own[index]!] }))
      : [{ id: query.pe.map(({ id }) => id).join(';'), window: own }];
    const compare = query.compare;
    const periods =
      compare && 'pe' in compare
        ? [
            ...asked,
            ...asked.map(({ id, window }) => ({ id: shadowOf(id), window: window.map((period) => before(period, compare.pe)) })),
          ]
        : asked;
    const windows = periods.flatMap(({ window }) => window);
    // The years around those asked for, so that a gap can be bridged.
    const years = {
      first: Math.min(...windows.map(({ start }) => Number(start.slice(0, 4)))) - BRIDGED_YEARS,
      last: Math.max(...windows.map(({ end }) => Number(addDays(end, -1).slice(0, 4)))) + BRIDGED_YEARS,
    };
    const expecting = definitions.some(({ method }) => method === 'indirect-standardisation');
    const members = [...new Set([...targets, ...(expecting ? [everywhere] : [])].flatMap((target) => target.members))];
    const population = members.length === 0 || query.countsOnly ? [] : await populationRows(tx, members, years, position);
    const exposures = members.length === 0 ? [] : await exposureRows(tx, members, years, position, definitions);
    const populationVersion = [...population, ...exposures]
      .filter(({ year }) => year >= years.first + BRIDGED_YEARS && year <= years.last - BRIDGED_YEARS)
      .reduce((latest, { known_from }) => (BigInt(known_from) > latest ? BigInt(known_from) : latest), 0n);
    const byKind = new Map<string, PersonYearsOf>();
    const exposure = (kind: string): PersonYearsOf => {
      const before = byKind.get(kind);
      if (before) return before;
      const lookUp = personYearsOf(
        tree,
        exposures.filter((row) => row.kind === kind),
      );
      byKind.set(kind, lookUp);
      return lookUp;
    };

    const explained: Explanation[] = [];
    const shared = {
      ...{ tx, columns, query, position, targets, everywhere, periods, exposure, note, explained },
      personYears: personYearsOf(tree, population),
      ended: localDate(asOf, timeZone),
    };
    const contextOf = (definition: IndicatorDefinition): RowsContext => {
      const standardised = definition.method === 'direct-standardisation' || definition.method === 'indirect-standardisation';
      return { ...shared, definition, bands: standardised ? standardBands(query) : [] };
    };
    return {
      contextOf,
      tree,
      members,
      explained,
      populationVersion: populationVersion === 0n ? null : populationVersion.toString(),
    };
  };

  const answerFrom = async (tx: Sql, query: ObservationQuery): Promise<ObservationAnswer> => {
    const { definitions, standing } = await definitionsFor(tx, query, await standingOf(tx));
    const snapshot = await snapshotOf(query, lowest(standing));
    const problems = new Map<string, Problem>();
    const note = (problem: Problem): void => void problems.set(`${problem.code} ${String(problem.value)}`, problem);
    for (const { projection, problem, skips } of standing) {
      if (problem) note(halted(projection, JSON.parse(problem) as { position: string; type: string }));
      const missing = skips.filter((at) => BigInt(at) <= snapshot.position);
      if (missing.length > 0) note(skipped(projection, missing));
    }

    const { contextOf, tree, explained, populationVersion } = await prepare(tx, query, definitions, snapshot, note);
    const data: ObservationRow[] = [];
    for (const definition of definitions) {
      const context = contextOf(definition);
      const rows = await rowsOf(context);
      const free = query.release ? await protectRows(context, tree, query.release, rows) : rows;
      for (const row of beside(free, definition, query)) data.push(row);
    }
    // How many were left out is a count like any other.
    if (query.release) for (const [key, { code }] of problems) if (code === 'unknown-age-excluded') problems.delete(key);

    return {
      data,
      meta: {
        asOf: snapshot.asOf,
        position: snapshot.position.toString(),
        lagSeconds: snapshot.lagSeconds,
        standard: query.standard,
        definitions: definitions.map((definition) => ({
          code: definition.code,
          version: definition.version,
          hash: definitionHash(definition),
          name: definition.name,
        })),
        populationVersion,
        suppression: query.release
          ? {
              release: query.release,
              threshold: THRESHOLDS[query.release],
              sensitive: THRESHOLDS.sensitive,
              hidden: data.filter(({ conf }) => conf === 'C').length,
              unhidden: definitions.filter((each) => !isPersonal(each)).map(({ code }) => code),
            }
          : null,
        problems: [...problems.values()],
        query: formatObservationQuery(query),
        dimensions: query.dimensions.map(({ name }) => name),
        // The statements are no secret, but the events behind them are counts.
        ...(query.explain && { explain: query.release ? explained.map(({ events: _, ...each }) => each) : explained }),
      },
    };
  };

  /** The answer, less what already stood so at an earlier instant. */
  const updatedFrom = async (tx: Sql, query: ObservationQuery): Promise<ObservationAnswer> => {
    const answer = await answerFrom(tx, query);
    const { updatedAfter } = query;
    if (updatedAfter === undefined) return answer;
    const keyOf = (row: ObservationRow): string =>
      JSON.stringify([row.dx, row.pe, row.ou, ...query.dimensions.map(({ name }) => row[name])]);
    const known = new Map((await earlierRows(tx, query, { instant: updatedAfter })).map((row) => [keyOf(row), row]));
    const same = (a: ObservationRow, b: ObservationRow | undefined): boolean =>
      b !== undefined && a.value === b.value && a.num === b.num && a.den === b.den && a.reason === b.reason;
    return { ...answer, data: answer.data.filter((row) => !same(row, known.get(keyOf(row)))) };
  };

  /** The rows as they stood, for places as they are now: a community that wasn't there yet had none. */
  const earlierRows = async (tx: Sql, query: ObservationQuery, asOf: AsOf): Promise<ObservationRow[]> => {
    const all = await standingOf(tx);
    const { definitions, standing } = await definitionsFor(tx, query, all);
    const now = await snapshotOf(query, lowest(standing));
    const then = await snapshotOf({ ...query, asOf }, lowest(standing));
    const silent = (): void => undefined;
    const places = placesOf((await prepare(tx, query, definitions, now, silent)).contextOf(definitions[0]!));
    const { contextOf } = await prepare(tx, query, definitions, then, silent, places);
    const rows: ObservationRow[] = [];
    for (const definition of definitions) rows.push(...(await rowsOf(contextOf(definition))));
    return rows;
  };

  /** Every version of every row, oldest first. */
  const historyFrom = async (tx: Sql, query: ObservationQuery): Promise<ObservationAnswer> => {
    const answer = await answerFrom(tx, query);
    const { definitions, standing } = await definitionsFor(tx, query, await standingOf(tx));
    const end = await snapshotOf(query, lowest(standing));
    const silent = (): void => undefined;
    const atEnd = await prepare(tx, query, definitions, end, silent);
    const places = placesOf(atEnd.contextOf(definitions[0]!));
    const prepared = (position: bigint) => prepare(tx, query, definitions, { position, asOf: end.asOf }, silent, places);
    const nothing = await prepared(0n);
    const settings = await settingsBetween(tx, atEnd.members, '0', end.position.toString());
    const keyOf = (row: Pick<ObservationRow, 'dx' | 'pe' | 'ou'>): string =>
      JSON.stringify([row.dx, row.pe, row.ou, ...query.dimensions.map(({ name }) => (row as ObservationRow)[name])]);
    const moved = new Map<string, Moved>();
    for (const definition of definitions)
      for (const each of await movedRows(
        {
          from: nothing.contextOf(definition),
          to: atEnd.contextOf(definition),
          contextAt: async (position) => (await prepared(position)).contextOf(definition),
          settings,
          recordsOf: (models) => recordsBetween(tx, models, '0', end.position.toString()),
        },
        undefined,
      ))
        moved.set(keyOf(each.row), each);
    const steps = [...moved.values()].reduce((sum, each) => sum + each.steps.length, 0);
    if (steps > MOST_VERSIONS)
      refuse(413, {
        code: 'too-much-history',
        detail: {
          zh: `所求各行共有 ${steps} 个版本,至多 ${MOST_VERSIONS} 个;请少选行或时期`,
          en: `the rows have ${steps} versions, at most ${MOST_VERSIONS}; ask for fewer rows or periods`,
        },
      });
    const told = await toldOf(
      new Set([...moved.values()].flatMap((each) => each.steps.flatMap(({ at }) => (typeof at === 'bigint' ? [at] : [])))),
      localDate(end.asOf, timeZone),
    );
    const data = answer.data.flatMap((row): ObservationRow[] => {
      const versions = (moved.get(keyOf(row))?.steps ?? []).flatMap(({ at, figures }) =>
        typeof at !== 'bigint' || figures === undefined ? [] : [{ at, figures }],
      );
      if (versions.length === 0) return [{ ...row, validFromPosition: '0', validFrom: EPOCH, validTo: null }];
      return versions.map(({ at, figures }, index) => {
        const next = versions[index + 1];
        const { variance: _, ...plain } = figures;
        return {
          ...row,
          ...(next ? { reason: undefined, ...plain } : {}),
          validFromPosition: at.toString(),
          validFrom: told.get(at)?.recordedAt ?? end.asOf,
          validTo: next ? (told.get(next.at)?.recordedAt ?? end.asOf) : null,
        } as ObservationRow;
      });
    });
    return { ...answer, data };
  };

  const changesFrom = async (tx: Sql, query: ObservationQuery, ends: ChangesQuery): Promise<ChangesAnswer> => {
    const all = await standingOf(tx);
    const { asOf: _, ...open } = query;
    const earlier: ObservationQuery = { ...open, asOf: ends.from };
    const later: ObservationQuery = ends.to === undefined ? open : { ...open, asOf: ends.to };
    const was = await definitionsFor(tx, earlier, all);
    const is = await definitionsFor(tx, later, all);
    const start = await snapshotOf(earlier, lowest(was.standing));
    const end = await snapshotOf(later, lowest(is.standing));
    if (end.position < start.position)
      refuse(400, {
        code: 'from-after-to',
        detail: { zh: 'from 不能晚于 to', en: 'from is not after to' },
        pointer: '/from',
        value: start.position.toString(),
      });
    const silent = (): void => undefined;
    const atEnd = await prepare(tx, query, is.definitions, end, silent);
    const places = placesOf(atEnd.contextOf(is.definitions[0]!));
    const prepared = (at: Pick<Snapshot, 'position' | 'asOf'>) => prepare(tx, query, was.definitions, at, silent, places);
    const atStart = await prepared(start);
    const between = [start.position.toString(), end.position.toString()] as const;
    const settings = await settingsBetween(tx, atEnd.members, ...between);

    const moved = [];
    for (const [index, definition] of was.definitions.entries()) {
      const anew = is.definitions[index]!;
      moved.push(
        ...(await movedRows(
          {
            from: atStart.contextOf(definition),
            to: atEnd.contextOf(definition),
            // The day stays that of the beginning: what moves by its passing is a step of its own.
            contextAt: async (position) => (await prepared({ position, asOf: start.asOf })).contextOf(definition),
            settings,
            recordsOf: (models) => recordsBetween(tx, models, ...between),
          },
          definitionHash(anew) === definitionHash(definition) ? undefined : anew,
        )),
      );
    }
    const told = await toldOf(
      new Set(moved.flatMap(({ steps }) => steps.flatMap(({ at }) => (typeof at === 'bigint' ? [at] : [])))),
      localDate(start.asOf, timeZone),
    );
    return {
      changes: moved.map((each) => ({ ...each.row, causes: causesOf(each, (position) => told.get(position)) })),
      meta: {
        from: { position: between[0], asOf: start.asOf },
        to: { position: between[1], asOf: end.asOf },
        definitions: was.definitions.map((definition, index) => ({
          code: definition.code,
          before: definitionHash(definition),
          after: definitionHash(is.definitions[index]!),
        })),
        query: formatObservationQuery(open),
      },
    };
  };

  /** The events at some positions, and what kind of change each is to who last looked on a day. */
  const toldOf = async (positions: ReadonlySet<bigint>, lookedOn: string): Promise<ReadonlyMap<bigint, ToldEvent>> => {
    const told = new Map<bigint, ToldEvent>();
    for (const position of positions) {
      const [event] = await log.readAll({ after: position - 1n, limit: 1 });
      if (event?.position === position)
        told.set(position, {
          position: position.toString(),
          type: event.type,
          stream: event.stream,
          recordedAt: event.recordedAt,
          kind: kindOf(event, lookedOn, timeZone),
        });
    }
    return told;
  };

  /** Runs a question in one snapshot; refusals become values. */
  const asked = async <T>(mode: string, run: (tx: Sql) => Promise<T>): Promise<Asked<T>> => {
    try {
      return { ok: true, value: (await again(() => sql.begin(mode, (tx) => run(tx as unknown as Sql)))) as T };
    } catch (error) {
      if (error instanceof Refused) return { ok: false, status: error.status, problems: error.problems };
      throw error;
    }
  };
  const READING = 'ISOLATION LEVEL REPEATABLE READ READ ONLY';

  return {
    // An answer for release is remembered, so that a later one tells nothing by its difference.
    answer: (query: ObservationQuery): Promise<Answered> =>
      asked(query.release ? 'ISOLATION LEVEL REPEATABLE READ' : READING, (tx) =>
        query.includeHistory ? historyFrom(tx, query) : updatedFrom(tx, query),
      ),
    /** Which rows of the answer changed between two moments of the log, by how much, and through which events. */
    changes: (query: ObservationQuery, ends: ChangesQuery): Promise<Asked<ChangesAnswer>> =>
      asked(READING, (tx) => changesFrom(tx, query, ends)),
  };
};

/** More versions than this are a different question. */
const MOST_VERSIONS = 20_000;
const EPOCH = new Date(0).toISOString();

const placesOf = ({ targets, everywhere }: RowsContext): Pick<RowsContext, 'targets' | 'everywhere'> => ({ targets, everywhere });

/** Where an event says when what it tells of happened. */
const HAPPENED = ['occurredAt', 'identifiedAt', 'heldOn', 'completedAt', 'verifiedAt', 'startedOn', 'knownAt'] as const;

const kindOf = ({ type, data }: LoggedEvent, lookedOn: string, timeZone: string): CauseKind => {
  if (/^Population|^Exposure/.test(type)) return 'population';
  if (/^Community/.test(type)) return 'boundary';
  if (/^Indicator/.test(type)) return 'definition';
  if (/Corrected$/.test(type)) return 'correction';
  if (/(Retracted|Withdrawn|Cancelled)$/.test(type)) return 'retraction';
  if (/(Linked|Unlinked|AttachedToIncident|DetachedFromIncident)$/.test(type)) return 'linkage';
  const said = JSON.parse(data) as Readonly<Record<string, unknown>>;
  const happened = HAPPENED.map((field) => said[field]).find((value): value is string => typeof value === 'string');
  const day = happened === undefined || happened.length === 10 ? happened : localDate(happened, timeZone);
  return day !== undefined && day < lookedOn ? 'late' : 'real';
};

export type Observations = ReturnType<typeof createObservations>;

/** Two answers for release that remember the same count at once: the later one asks again. */
const again = async <T>(run: () => Promise<T>, tries = 5): Promise<T> => {
  for (let left = tries; ; left--)
    try {
      return await run();
    } catch (error) {
      if ((error as { code?: string }).code !== '40001' || left <= 1) throw error;
    }
};

/** Positions at which a population, another yearly figure or the tree of communities changed. */
const settingsBetween = async (tx: Sql, members: readonly string[], from: string, to: string): Promise<bigint[]> => {
  const within = (column: string): string => `${column} > $1::bigint AND ${column} <= $2::bigint`;
  const of = (table: string, column: string): string =>
    `SELECT ${column} AS at FROM read.${table} WHERE ${within(column)} AND community = ANY ($3::text[])`;
  const rows = await tx.unsafe<{ at: string }[]>(
    `SELECT DISTINCT at FROM (
       ${['population', 'exposures'].flatMap((table) => [of(table, 'known_from'), of(table, 'known_to')]).join(' UNION ALL ')}
       UNION ALL SELECT known_from FROM read.communities WHERE ${within('known_from')}) AS settings ORDER BY at`,
    [from, to, members as string[]],
  );
  return rows.map(({ at }) => BigInt(at));
};

/** Where each read model keeps what came and went. */
const RECORDS: Readonly<Record<string, readonly string[]>> = {
  'case-files': ['case_files.known_from', 'case_files.known_to'],
  'casualty-facts': ['casualty_facts.known_from', 'casualty_facts.known_to'],
  'activity-facts': ['activity_facts.known_from'],
  'survey-responses': ['survey_responses.known_from'],
  'injury-facts': ['injury_facts.known_from', 'injury_facts.known_to'],
};

/** Positions at which a record of some read models came or went. */
const recordsBetween = async (tx: Sql, models: readonly string[], from: string, to: string): Promise<bigint[]> => {
  const columns = [...new Set(models)].flatMap((model) => RECORDS[model] ?? []);
  if (columns.length === 0) return [];
  const rows = await tx.unsafe<{ at: string }[]>(
    `SELECT DISTINCT at FROM (${columns
      .map((each) => `SELECT ${each} AS at FROM read.${each.split('.')[0]} WHERE ${each} > $1::bigint AND ${each} <= $2::bigint`)
      .join(' UNION ALL ')}) AS records ORDER BY at LIMIT ${10 * MOST_STEPS}`,
    [from, to],
  );
  return rows.map(({ at }) => BigInt(at));
};

interface Years {
  readonly first: number;
  readonly last: number;
}
type Known = { readonly known_from: string };

/** Of the years asked for, and of those around them for the communities alone that lack one: most rows are never bridged. */
const populationRows = async (
  tx: Sql,
  members: readonly string[],
  years: Years,
  position: string,
): Promise<readonly (PopulationRow & Known)[]> => {
  const [first, last] = [years.first + BRIDGED_YEARS, years.last - BRIDGED_YEARS];
  const asked = await populationBetween(tx, members, { first, last }, position);
  const known = new Map(members.map((code) => [code, new Set<number>()]));
  for (const { community, year } of asked) known.get(community)!.add(year);
  const lacking = members.filter((code) => known.get(code)!.size <= last - first);
  if (lacking.length === 0) return asked;
  const before = await populationBetween(tx, lacking, { first: years.first, last: first - 1 }, position);
  return [...asked, ...before, ...(await populationBetween(tx, lacking, { first: last + 1, last: years.last }, position))];
};

const populationBetween = async (
  tx: Sql,
  members: readonly string[],
  { first, last }: Years,
  position: string,
): Promise<readonly (PopulationRow & Known)[]> => tx<(PopulationRow & Known)[]>`
  SELECT community, year, sex, age_from AS "ageFrom", age_to AS "ageTo", residency, persons, known_from FROM read.population
  WHERE community = ANY (${members as string[]}::text[]) AND year BETWEEN ${first} AND ${last}
    AND known_from <= ${position} AND known_to > ${position}`;

/** Yearly figures besides the population, each as one cell of everybody. */
const exposureRows = async (
  tx: Sql,
  members: readonly string[],
  { first, last }: Years,
  position: string,
  definitions: readonly IndicatorDefinition[],
): Promise<(PopulationRow & Known & { readonly kind: string })[]> => {
  const kinds = definitions.flatMap(({ numerator, denominator }) =>
    [numerator, denominator].flatMap((part) => (part?.fact === 'exposure' ? [part.kind] : [])),
  );
  if (kinds.length === 0) return [];
  const rows = await tx<{ community: string; year: number; kind: string; amount: number; known_from: string }[]>`
    SELECT community, year, kind, amount, known_from FROM read.exposures
    WHERE community = ANY (${members as string[]}::text[]) AND year BETWEEN ${first} AND ${last} AND kind = ANY (${kinds}::text[])
      AND known_from <= ${position} AND known_to > ${position}`;
  return rows.map(({ amount, ...row }) => ({ ...row, sex: 'total', ageFrom: 0, ageTo: null, residency: null, persons: amount }));
};

const distinctOf = (column: string): string => `
  WITH RECURSIVE codes(code) AS (
    (SELECT min(${column}) FROM read.injury_facts)
    UNION ALL
    SELECT (SELECT min(f.${column}) FROM read.injury_facts f WHERE f.${column} > codes.code) FROM codes WHERE codes.code IS NOT NULL
  ) SELECT code FROM codes WHERE code IS NOT NULL`;
const DISTINCT_COMMUNITIES = distinctOf('community');
const DISTINCT_RESIDENCES = distinctOf('residence');

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
