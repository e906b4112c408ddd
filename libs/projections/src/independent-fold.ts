import {
  caseFiles,
  communityEvents,
  incident,
  injuryEvents,
  intervention,
  NONE,
  readCommunityEvent,
  readInjuryEvent,
  survey,
  type CaseFile,
  type CommunityEvent,
  type FileState,
  type IncidentState,
  type InjuryRecord,
  type SurveyResponse,
} from '@vigil/domain';
import { position, START, type EventLog, type Position, type RecordedEvent } from '@vigil/event-log';
import type { SqlClient } from '@vigil/platform';
import { localDate } from '@vigil/vocabulary';
import { casualtiesOf } from './casualty-facts/fact';
import { factOf, type Fact } from './injury-facts/fact';

// The read models told a second time, by code that shares nothing with the projectors but the domain's reading of one event
// and one record: what both agree on is no slip of one of them. Plain and in memory; nothing here is meant to be fast.

type Value = string | number | boolean | null;

interface Table {
  readonly projection: string;
  readonly key: readonly string[];
  readonly rest: readonly string[];
}

const FACT = [
  'reported',
  'day',
  'age',
  'eligible',
  'counted',
  'death',
  'weight',
  'community',
  'residence',
  'residency',
  'sex',
  'mechanism',
  'intent',
  'place',
  'activity',
  'nature',
  'body',
  'disposition',
  'severity',
  'feed',
  'frame',
  'stratum',
  'unit',
] as const;

const TABLES = {
  communities: {
    projection: 'communities',
    key: ['code'],
    rest: ['name_zh', 'name_en', 'type', 'parent', 'groups', 'status', 'revision', 'known_from'],
  },
  population: {
    projection: 'communities',
    key: ['community', 'year', 'sex', 'age_from', 'age_to', 'residency', 'known_from'],
    rest: ['known_to', 'persons'],
  },
  exposures: { projection: 'communities', key: ['community', 'year', 'kind', 'known_from'], rest: ['known_to', 'amount'] },
  injury_facts: { projection: 'injury-facts', key: ['injury_id', 'known_from'], rest: ['known_to', ...FACT] },
  injury_pairs: { projection: 'injury-facts', key: ['low', 'high'], rest: ['linked', 'manual'] },
  case_files: {
    projection: 'case-files',
    key: ['register', 'id', 'known_from'],
    rest: ['known_to', 'revision', 'state', 'community', 'communities', 'kind', 'day', 'due', 'body'],
  },
  activity_facts: {
    projection: 'activity-facts',
    key: ['intervention', 'revision'],
    rest: [
      'known_from',
      'day',
      'community',
      'domain',
      'kind',
      'setting',
      'organisations',
      'pledges',
      'pledged',
      'pledges_expire',
    ],
  },
  activity_attendance: {
    projection: 'activity-facts',
    key: ['intervention', 'revision', 'group'],
    rest: ['known_from', 'persons', 'expected'],
  },
  casualty_facts: {
    projection: 'casualty-facts',
    key: ['incident', 'casualty', 'known_from'],
    rest: ['known_to', 'kind', 'day', 'community', 'role', 'vehicle', 'age', 'sex', 'scale', 'severity', 'death', 'injury_id'],
  },
  survey_responses: {
    projection: 'survey-responses',
    key: ['survey', 'wave', 'response'],
    rest: ['community', 'stratum', 'cluster', 'weight', 'group', 'answers', 'known_from'],
  },
  sampling_units: { projection: 'injury-facts', key: ['frame', 'year', 'stratum', 'unit'], rest: ['known_from'] },
} as const satisfies Record<string, Table>;

export type FoldedTable = keyof typeof TABLES;
/** Per table: a row's key to the row, both as JSON arrays of the columns' values; 64-bit integers are strings. */
export type Folded = Readonly<Record<FoldedTable, Map<string, string>>>;

export interface FoldOptions {
  /** IANA name; the calendar by which instants become days. */
  readonly timeZone: string;
  /** Per projection, where its fold ends; absent: with the events. */
  readonly upTo?: ReadonlyMap<string, Position>;
  /** Per projection, positions that a person decided to pass over. */
  readonly skip?: ReadonlyMap<string, ReadonlySet<Position>>;
}

const FOR_EVER = 2n ** 63n - 1n;

interface Span {
  readonly from: bigint;
  to: bigint;
}

const isOpen = (span: Span): boolean => span.to === FOR_EVER;

interface Cell extends Span {
  readonly sex: string;
  readonly ageFrom: number;
  readonly ageTo: number | null;
  readonly residency: string | null;
  readonly persons: number;
}

interface Exposure extends Span {
  readonly amount: number;
}

interface Community {
  readonly registered: Extract<CommunityEvent, { type: 'CommunityRegistered' }>['data'];
  readonly from: bigint;
  revision: number;
  status: 'registered' | 'retired';
}

const foldCommunities = () => {
  const communities = new Map<string, Community>();
  const cells = new Map<string, Cell[]>();
  const exposures = new Map<string, Exposure[]>();
  const under = <T>(map: Map<string, T[]>, key: string): T[] => {
    const list = map.get(key) ?? [];
    map.set(key, list);
    return list;
  };

  const apply = (event: RecordedEvent): void => {
    const code = event.stream.replace(/^community-/, '');
    const at = event.position;
    const { type, data } = readCommunityEvent(event);
    if (type === 'CommunityRegistered')
      communities.set(code, { registered: data, from: at, revision: event.revision, status: 'registered' });
    if (type === 'PopulationRecorded') {
      const known = under(cells, JSON.stringify([code, data.year]));
      const told = data.cells.map(
        (cell): Cell => ({ ...cell, ageTo: cell.ageTo ?? null, residency: cell.residency ?? null, from: at, to: FOR_EVER }),
      );
      for (const old of known) if (isOpen(old) && told.some((cell) => speaksOfTheSame(old, cell))) old.to = at;
      known.push(...told);
    }
    if (type === 'ExposureRecorded') {
      const known = under(exposures, JSON.stringify([code, data.year, data.kind]));
      for (const old of known) if (isOpen(old)) old.to = at;
      known.push({ amount: data.amount, from: at, to: FOR_EVER });
    }
    const community = communities.get(code);
    if (!community) return;
    community.revision = event.revision;
    if (type === 'CommunityRetired') community.status = 'retired';
  };

  const rows = (put: Put): void => {
    for (const [code, { registered, from, revision, status }] of communities)
      put('communities', [
        code,
        registered.name.zh,
        registered.name.en,
        registered.type,
        registered.parent ?? null,
        JSON.stringify(registered.groups ?? []),
        status,
        `${revision}`,
        `${from}`,
      ]);
    for (const [key, list] of cells)
      for (const c of list)
        put('population', [...parts(key), c.sex, c.ageFrom, c.ageTo, c.residency, `${c.from}`, `${c.to}`, c.persons]);
    for (const [key, list] of exposures)
      for (const { amount, from, to } of list) put('exposures', [...parts(key), `${from}`, `${to}`, amount]);
  };
  return { apply, rows };
};

const speaksOfTheSame = (a: Cell, b: Cell): boolean => {
  if (a.sex !== b.sex || a.residency !== b.residency) return false;
  const [first, second] = a.ageFrom <= b.ageFrom ? [a, b] : [b, a];
  return first.ageTo === null || first.ageTo >= second.ageFrom;
};

interface Version extends Span {
  /** JSON text, and the fact made of it again when it is told: of a long log there is no room for both. */
  readonly record: string;
  readonly eligible: boolean;
  counted: boolean;
}

interface Injury {
  readonly reported: bigint;
  /** By time; at most the last is open. */
  readonly versions: Version[];
}

const foldInjuries = (timeZone: string) => {
  const injuries = new Map<string, Injury>();
  const pairs = new Map<string, { linked: boolean; manual: boolean }>();
  const partners = new Map<string, Set<string>>();
  const units = new Map<string, bigint>();

  const openOf = (id: string): Version | undefined => {
    const last = injuries.get(id)?.versions.at(-1);
    return last && isOpen(last) ? last : undefined;
  };

  const samePerson = (id: string): string[] => {
    const found = new Set([id]);
    for (const each of found) for (const partner of partners.get(each) ?? []) found.add(partner); // a Set's walk sees what is added
    return [...found];
  };

  /** Of those who are the same person in the same event the first reported counts, if it is of a kind that counts at all. */
  const recount = (id: string, at: bigint): void => {
    const living = samePerson(id).filter(openOf);
    const eligible = living.filter((each) => openOf(each)!.eligible).map((each) => injuries.get(each)!.reported);
    const first = eligible.reduce((a, b) => (b < a ? b : a), FOR_EVER);
    for (const each of living) {
      const open = openOf(each)!;
      const counts = injuries.get(each)!.reported === first;
      if (open.counted === counts) continue;
      if (open.from === at) open.counted = counts;
      else {
        open.to = at;
        injuries
          .get(each)!
          .versions.push({ record: open.record, eligible: open.eligible, counted: counts, from: at, to: FOR_EVER });
      }
    }
  };

  const factIn = (record: string): Fact => factOf(JSON.parse(record) as InjuryRecord, timeZone);

  const state = (id: string, { versions }: Injury, record: string, at: bigint): void => {
    const fact = factIn(record);
    versions.push({ record, eligible: fact.eligible, counted: false, from: at, to: FOR_EVER });
    if (fact.frame !== null) {
      const unit = JSON.stringify([fact.frame, Number(fact.day.slice(0, 4)), fact.stratum, fact.unit]);
      if (!units.has(unit)) units.set(unit, at);
    }
    recount(id, at);
  };

  const decide = (id: string, other: string, linked: boolean, manual: boolean, at: bigint): void => {
    const key = JSON.stringify([id, other].sort());
    if (!manual && pairs.get(key)?.manual) return;
    pairs.set(key, { linked, manual });
    for (const [one, two] of [
      [id, other],
      [other, id],
    ] as const) {
      const known = partners.get(one) ?? new Set();
      partners.set(one, known);
      if (linked) known.add(two);
      else known.delete(two);
    }
    recount(id, at);
    recount(other, at);
  };

  const apply = (event: RecordedEvent): void => {
    const id = event.stream.replace(/^injury-/, '');
    const at = event.position;
    const { type, data } = readInjuryEvent(event);
    if (type === 'InjuryReported') {
      const injury: Injury = { reported: at, versions: [] };
      injuries.set(id, injury);
      return state(id, injury, JSON.stringify(data), at);
    }
    if (type === 'InjuryLinked' || type === 'InjuryUnlinked')
      return decide(id, data.other.toLowerCase(), type === 'InjuryLinked', data.decidedBy === 'manual', at);
    const injury = injuries.get(id);
    const open = openOf(id);
    if (!injury || !open) return;
    open.to = at;
    if (type === 'InjuryRetracted') return recount(id, at);
    const { asOf: _, ...changed } = type === 'InjuryCorrected' ? { ...data.replaces, asOf: '' } : data;
    const fields = Object.entries({ ...JSON.parse(open.record), ...changed } as Record<string, unknown>);
    state(id, injury, JSON.stringify(Object.fromEntries(fields.filter(([, value]) => value !== null))), at);
  };

  const rows = (put: Put): void => {
    for (const [id, { reported, versions }] of injuries) {
      for (const { record, counted, from, to } of versions) {
        const told: Record<string, Value> = { ...factIn(record), reported: `${reported}`, counted };
        put('injury_facts', [id, `${from}`, `${to}`, ...FACT.map((column) => told[column]!)]);
      }
      injuries.delete(id);
    }
    for (const [key, { linked, manual }] of pairs) put('injury_pairs', [...parts(key), linked, manual]);
    for (const [key, from] of units) put('sampling_units', [...parts(key), `${from}`]);
  };
  return { apply, rows };
};

interface FileVersion extends Span {
  readonly revision: number;
  readonly body: FileState;
}

const fileOf = new Map(caseFiles.flatMap((file) => Object.keys(file.events).map((type) => [type, file] as const)));

const foldCaseFiles = (timeZone: string) => {
  const files = new Map<string, { file: CaseFile; id: string; versions: FileVersion[] }>();
  const apply = (event: RecordedEvent): void => {
    const file = fileOf.get(event.type)!;
    const known = files.get(event.stream) ?? { file, id: event.stream.replace(`${file.name}-`, ''), versions: [] };
    files.set(event.stream, known);
    const last = known.versions.at(-1);
    if (last) last.to = event.position;
    const body = file.decider.evolve(last?.body ?? file.initialState, file.read(event));
    known.versions.push({ revision: event.revision, body, from: event.position, to: FOR_EVER });
  };
  const rows = (put: Put): void => {
    for (const { file, id, versions } of files.values())
      for (const { revision, body, from, to } of versions) {
        if (body.state === NONE) continue;
        const { community, communities = community === undefined ? [] : [community], kind, day, due } = file.facets(body);
        const on = day === undefined || day.length === 10 ? day : localDate(day, timeZone);
        const facets = [community, JSON.stringify(communities), kind, on, due].map((facet) => facet ?? null);
        put('case_files', [
          file.name,
          id,
          `${from}`,
          `${to}`,
          `${revision}`,
          body.state,
          ...facets,
          canonicalJson(JSON.stringify(body)),
        ]);
      }
  };
  return { apply, rows };
};

const foldResponses = () => {
  const rows = new Map<string, Value[]>();
  const apply = (event: RecordedEvent): void => {
    const { wave, responses } = survey.read(event).data as { wave: number; responses: readonly SurveyResponse[] };
    for (const { id, community, stratum, cluster, weight, group, answers } of responses) {
      const key: Value[] = [event.stream.replace('survey-', ''), wave, id];
      const optional = [community, stratum, cluster, weight, group].map((each) => each ?? null);
      // Sent again, the first stays.
      if (!rows.has(JSON.stringify(key)))
        rows.set(JSON.stringify(key), [...key, ...optional, canonicalJson(JSON.stringify(answers)), `${event.position}`]);
    }
  };
  return { apply, rows: (put: Put): void => rows.forEach((row) => put('survey_responses', row)) };
};

interface Activity {
  readonly kind: string;
  readonly setting?: string;
  readonly heldOn: string;
  readonly unit?: string;
  readonly attendance?: readonly { readonly group: string; readonly persons: number; readonly expected?: number }[];
  readonly organisations?: readonly string[];
  readonly pledges?: readonly { readonly count: number; readonly expiresOn: string }[];
}

const foldActivities = () => {
  const domains = new Map<string, string>();
  const held: { readonly key: Value[]; readonly at: string; readonly domain: string; readonly data: Activity }[] = [];
  const apply = (event: RecordedEvent): void => {
    const { type, data } = intervention.read(event);
    const id = event.stream.replace('intervention-', '');
    if (type === 'InterventionDesigned') domains.set(id, (data as { domain: string }).domain);
    else held.push({ key: [id, `${event.revision}`], at: `${event.position}`, domain: domains.get(id)!, data: data as Activity });
  };
  const rows = (put: Put): void => {
    for (const { key, at, domain, data } of held) {
      const { kind, setting = null, heldOn, unit = null, organisations = [], pledges = [], attendance = [] } = data;
      const departments = organisations.filter((code, index) => organisations.indexOf(code) === index);
      let [pledged, expire] = [0, null as string | null];
      for (const { count, expiresOn } of pledges) {
        pledged += count;
        if (expire === null || expiresOn < expire) expire = expiresOn;
      }
      const texts = [JSON.stringify(departments), canonicalJson(JSON.stringify(pledges)), `${pledged}`, expire];
      put('activity_facts', [...key, at, heldOn, unit, domain, kind, setting, ...texts]);
      for (const { group, persons, expected = null } of attendance)
        put('activity_attendance', [...key, group, at, persons, expected]);
    }
  };
  return { apply, rows };
};

interface CasualtyVersion extends Span {
  readonly told: readonly Value[];
}

const foldCasualties = (timeZone: string) => {
  const incidents = new Map<string, { state: IncidentState; readonly casualties: Map<string, CasualtyVersion[]> }>();
  const apply = (event: RecordedEvent): void => {
    const known = incidents.get(event.stream) ?? {
      state: incident.initialState,
      casualties: new Map<string, CasualtyVersion[]>(),
    };
    incidents.set(event.stream, known);
    known.state = incident.decider.evolve(known.state, incident.read(event));
    const now = new Map(casualtiesOf(known.state, timeZone).map(({ casualty, ...rest }) => [casualty, Object.values(rest)]));
    for (const casualty of new Set([...known.casualties.keys(), ...now.keys()])) {
      const versions = known.casualties.get(casualty) ?? [];
      known.casualties.set(casualty, versions);
      const last = versions.at(-1);
      const standing = last && isOpen(last) ? last : undefined;
      const told = now.get(casualty);
      if (JSON.stringify(standing?.told) === JSON.stringify(told)) continue;
      if (standing) standing.to = event.position;
      if (told) versions.push({ told, from: event.position, to: FOR_EVER });
    }
  };
  const rows = (put: Put): void => {
    for (const [stream, { casualties }] of incidents)
      for (const [casualty, versions] of casualties)
        for (const { told, from, to } of versions)
          put('casualty_facts', [stream.replace('incident-', ''), casualty, `${from}`, `${to}`, ...told]);
  };
  return { apply, rows };
};

/** The same JSON value, the same text: keys in order. */
const canonicalJson = (text: string): string =>
  JSON.stringify(JSON.parse(text), (_, value: unknown) =>
    value !== null && typeof value === 'object' && !Array.isArray(value)
      ? Object.fromEntries(Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1)))
      : value,
  );

const parts = (key: string): Value[] => JSON.parse(key) as Value[];
type Put = (table: FoldedTable, row: readonly Value[]) => void;

const keyOf = (table: FoldedTable, row: readonly Value[]): string => JSON.stringify(row.slice(0, TABLES[table].key.length));
const columnsOf = (table: FoldedTable): readonly string[] => [...TABLES[table].key, ...TABLES[table].rest];

const foldsOf = (timeZone: string): readonly Fold[] => [
  { projection: 'communities', handles: (type) => type in communityEvents, ...foldCommunities() },
  { projection: 'injury-facts', handles: (type) => type in injuryEvents, ...foldInjuries(timeZone) },
  { projection: 'case-files', handles: (type) => fileOf.has(type), ...foldCaseFiles(timeZone) },
  { projection: 'survey-responses', handles: (type) => type === 'ResponsesRecorded', ...foldResponses() },
  {
    projection: 'activity-facts',
    handles: (type) => type === 'ActivityHeld' || type === 'InterventionDesigned',
    ...foldActivities(),
  },
  { projection: 'casualty-facts', handles: (type) => type in incident.events, ...foldCasualties(timeZone) },
];

interface Fold {
  readonly projection: string;
  handles(type: string): boolean;
  apply(event: RecordedEvent): void;
  rows(put: Put): void;
}

/** What every read model must hold after these events, in pages and in their order. */
export const foldLog = async (events: AsyncIterable<readonly RecordedEvent[]>, options: FoldOptions): Promise<Folded> => {
  const folds = foldsOf(options.timeZone);
  const isFor = (projection: string, { position: at }: RecordedEvent): boolean =>
    !(at > (options.upTo?.get(projection) ?? at)) && !options.skip?.get(projection)?.has(at);
  for await (const page of events)
    for (const event of page)
      for (const { projection, handles, apply } of folds) if (handles(event.type) && isFor(projection, event)) apply(event);
  const folded = Object.fromEntries(Object.keys(TABLES).map((table) => [table, new Map()])) as Record<
    FoldedTable,
    Map<string, string>
  >;
  for (const fold of folds) fold.rows((table, row) => folded[table].set(keyOf(table, row), JSON.stringify(row)));
  return folded;
};

/** One table beside the fold of the log. Equal when nothing is missing, surplus or different. */
export interface TableComparison {
  readonly table: FoldedTable;
  readonly projection: string;
  /** Up to where the log was folded: the projection's checkpoint. */
  readonly position: Position;
  readonly rows: number;
  readonly expected: number;
  readonly missing: number;
  readonly surplus: number;
  readonly different: number;
  /** Of all that isn't equal the one with the lowest key; rows as JSON objects. */
  readonly first?: { readonly key: string; readonly expected?: string; readonly found?: string };
}

export interface CompareOptions {
  /** Has a connection to spare besides the one that the log reads by, if they share a pool. */
  readonly sql: SqlClient;
  readonly log: EventLog;
  readonly timeZone: string;
  /** Where the tables are: `read`, or that of a model beside it. */
  readonly schema?: string;
  /** Default: every projection there is. */
  readonly projections?: readonly string[];
  /** Instead of the checkpoints, for a model that has none of its own. */
  readonly upTo?: Position;
}

/**
 * Compares read models with a fold of the log up to their checkpoints, in one snapshot, while they may go on moving.
 * Holds the fold in memory (about 1 KB an injury), the tables row by row.
 */
export const compareWithFold = async ({
  sql,
  log,
  timeZone,
  schema = 'read',
  projections,
  upTo,
}: CompareOptions): Promise<TableComparison[]> => {
  if (!/^[a-z_]\w*$/.test(schema)) throw new RangeError(`${schema} is no schema's name`);
  return sql.begin('ISOLATION LEVEL REPEATABLE READ READ ONLY', async (tx) => {
    const checkpoints = new Map(
      (await tx<{ projection: string; position: string }[]>`SELECT projection, position FROM read.checkpoints`).map((row) => [
        row.projection,
        upTo ?? position(row.position),
      ]),
    );
    const skip = new Map<string, Set<Position>>();
    for (const row of await tx<{ projection: string; position: string }[]>`SELECT projection, position FROM read.skips`)
      skip.set(row.projection, (skip.get(row.projection) ?? new Set()).add(position(row.position)));
    const tables = (Object.keys(TABLES) as FoldedTable[]).filter(
      (table) => projections === undefined || projections.includes(TABLES[table].projection),
    );
    const positions = new Map(
      Object.values(TABLES).map(({ projection }) => [projection, checkpoints.get(projection) ?? START] as const),
    );
    const last = tables.map((table) => positions.get(TABLES[table].projection)!).reduce((a, b) => (a > b ? a : b), START);
    const folded = await foldLog(pagesUpTo(log, last), { timeZone, upTo: positions, skip });

    const compared: TableComparison[] = [];
    for (const table of tables) {
      const { projection } = TABLES[table];
      const difference = differ(table, folded[table]);
      const columns = columnsOf(table).map((column) => AS_TEXT[`${table}.${column}`] ?? `"${column}"`);
      const json = columnsOf(table).findIndex((column) => JSON_COLUMNS.has(`${table}.${column}`));
      const query = tx.unsafe<Value[][]>(`SELECT ${columns.join()} FROM "${schema}"."${table}"`).values();
      for await (const rows of query.cursor(1_000))
        for (const row of rows as Value[][])
          difference.meets(json < 0 ? row : row.with(json, canonicalJson(row[json] as string)));
      compared.push({ table, projection, position: positions.get(projection)!, ...difference.done() });
    }
    return compared;
  }) as Promise<TableComparison[]>;
};

/** Columns that no client need decode, by table and name. */
const AS_TEXT: Readonly<Record<string, string>> = {
  'communities.groups': 'to_json(groups)::text',
  'case_files.body': 'body::text',
  'case_files.communities': 'to_json(communities)::text',
  'survey_responses.answers': 'answers::text',
  'activity_facts.organisations': 'to_json(organisations)::text',
  'activity_facts.pledges': 'pledges::text',
};

/** Those of them whose keys PostgreSQL keeps in an order of its own. */
const JSON_COLUMNS = new Set(['case_files.body', 'survey_responses.answers', 'activity_facts.pledges']);

async function* pagesUpTo(log: EventLog, last: Position): AsyncGenerator<RecordedEvent[]> {
  for (let after = START; after < last; ) {
    const page = await log.readAll({ after, limit: 1_000 });
    if (page.length === 0) return;
    yield page;
    after = page.at(-1)!.position;
  }
}

/** Crosses a table's rows off the expected ones; what is left of either side is told. */
const differ = (table: FoldedTable, expected: Map<string, string>) => {
  const total = expected.size;
  let [rows, surplus, different] = [0, 0, 0];
  let first: { key: string; expected?: string; found?: string } | undefined;
  const shown = (row?: string): string | undefined =>
    row && JSON.stringify(Object.fromEntries(columnsOf(table).map((column, at) => [column, parts(row)[at]])));
  const note = (key: string, wanted?: string, found?: string): void => {
    if (first && first.key <= key) return;
    first = { key, ...(wanted && { expected: shown(wanted) }), ...(found && { found: shown(found) }) };
  };
  return {
    meets: (row: readonly Value[]): void => {
      rows++;
      const [key, found] = [keyOf(table, row), JSON.stringify(row)];
      const wanted = expected.get(key);
      if (wanted === undefined)
        surplus++; // never expected, or met before
      else expected.delete(key);
      if (wanted !== undefined && wanted !== found) different++;
      if (wanted !== found) note(key, wanted, found);
    },
    done: () => {
      for (const [key, wanted] of expected) note(key, wanted);
      return { rows, expected: total, missing: expected.size, surplus, different, ...(first && { first }) };
    },
  };
};
