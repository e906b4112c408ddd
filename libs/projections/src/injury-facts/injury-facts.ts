import { injury, injuryEvents, readInjuryEvent, type InjuryRecord, type InjuryState } from '@vigil/domain';
import type { EventLog, RecordedEvent } from '@vigil/event-log';
import { STILL_KNOWN } from '../communities/communities';
import type { ReadModel, Transaction } from '../runtime/projector';
import { factOf, type Fact } from './fact';

export const INJURY_FACTS_MIGRATION = {
  id: 'read/003-injury-facts',
  sql: `
-- A row holds from the position that made it to the one that replaced it; the log as of N is
-- known_from <= N < known_to. \`counted\`: eligible, and the first report of its cluster of linked reports.
CREATE TABLE read.injury_facts (
  injury_id   uuid NOT NULL,
  known_from  bigint NOT NULL,
  known_to    bigint NOT NULL DEFAULT ${STILL_KNOWN},
  reported    bigint NOT NULL,
  day         date NOT NULL,
  age         smallint,
  eligible    boolean NOT NULL,
  counted     boolean NOT NULL,
  death       int,
  weight      double precision,
  community   text COLLATE "C" NOT NULL,
  residence   text COLLATE "C",
  residency   text COLLATE "C" NOT NULL,
  sex         text COLLATE "C" NOT NULL,
  mechanism   text COLLATE "C" NOT NULL,
  intent      text COLLATE "C" NOT NULL,
  place       text COLLATE "C" NOT NULL,
  activity    text COLLATE "C" NOT NULL,
  nature      text COLLATE "C" NOT NULL,
  body        text COLLATE "C" NOT NULL,
  disposition text COLLATE "C" NOT NULL,
  severity    text COLLATE "C" NOT NULL,
  feed        text COLLATE "C" NOT NULL,
  frame       text COLLATE "C",
  stratum     text COLLATE "C",
  unit        text COLLATE "C"
);

-- The last decision about a pair of reports, whichever of the two it was made on.
CREATE TABLE read.injury_pairs (
  low    uuid NOT NULL,
  high   uuid NOT NULL,
  linked boolean NOT NULL,
  manual boolean NOT NULL,
  PRIMARY KEY (low, high)
);
CREATE INDEX injury_pairs_by_high ON read.injury_pairs (high) WHERE linked;

-- Every primary unit ever seen in a frame and year: one without cases of a kind still counts in the variance.
CREATE TABLE read.sampling_units (
  frame      text COLLATE "C" NOT NULL,
  year       smallint NOT NULL,
  stratum    text COLLATE "C" NOT NULL,
  unit       text COLLATE "C" NOT NULL,
  known_from bigint NOT NULL,
  PRIMARY KEY (frame, year, stratum, unit)
);
`,
} as const;

export const INJURY_INDEXES_MIGRATION = {
  id: 'read/004-injury-fact-indexes',
  sql: [
    'CREATE UNIQUE INDEX IF NOT EXISTS injury_facts_key ON read.injury_facts (injury_id, known_from);',
    'CREATE INDEX IF NOT EXISTS injury_facts_by_community ON read.injury_facts (community, day);',
    'CREATE INDEX IF NOT EXISTS injury_facts_by_residence ON read.injury_facts (residence, day) WHERE residence IS NOT NULL;',
  ].join('\n'),
} as const;

/** What began and what ended between two positions, for those who keep the facts elsewhere too. */
export const INJURY_POSITIONS_MIGRATION = {
  id: 'read/011-injury-fact-positions',
  sql: [
    'CREATE INDEX IF NOT EXISTS injury_facts_by_start ON read.injury_facts (known_from);',
    `CREATE INDEX IF NOT EXISTS injury_facts_by_end ON read.injury_facts (known_to) WHERE known_to < ${STILL_KNOWN};`,
  ].join('\n'),
} as const;

/** Rows per statement. */
const CHUNK = 500;
/** Lets what was queued for the socket leave. */
const nextTurn = (): Promise<void> => new Promise((resolve) => setImmediate(() => setImmediate(resolve)));

const CATEGORY = 'injury-';
const idOf = (event: RecordedEvent): string => event.stream.slice(CATEGORY.length);
/** The report that a decision about two of them names. */
const otherOf = (event: RecordedEvent): string => (readInjuryEvent(event).data as { other: string }).other;

/** Columns that a new version of a row takes over from the old one. */
const CARRIED =
  'reported, day, age, eligible, death, weight, community, residence, residency, sex, mechanism, intent, place, activity, nature, body, disposition, severity, feed, frame, stratum, unit';

/** New facts, many at once, as literals of the table's own row type: as json they took twice the time. */
const INSERT_FACTS = 'INSERT INTO injury_facts SELECT f.* FROM unnest($1::text::injury_facts[]) f';

const PLAIN = /^[\w.-]+$/;
const escaped = (text: string): string => text.replace(/[\\"]/g, '\\$&');
/** A field of a row literal inside an array literal: both quote with `"` and escape with `\`. */
const field = (value: string | number | null): string => {
  if (value === null) return '';
  if (typeof value === 'number' || PLAIN.test(value)) return `${value}`;
  return escaped(`"${escaped(value)}"`);
};

/** The row literal of a fact, in the order of the table's columns. */
const rowOf = (f: Fact, id: string, at: string, reported: string, counted: boolean): string =>
  `"(${id},${at},${STILL_KNOWN},${reported},${f.day},${field(f.age)},${f.eligible},${counted},${field(f.death)},${field(f.weight)},` +
  `${field(f.community)},${field(f.residence)},${f.residency},${f.sex},${f.mechanism},${f.intent},${f.place},${f.activity},${f.nature},` +
  `${f.body},${f.disposition},${f.severity},${field(f.feed)},${field(f.frame)},${field(f.stratum)},${field(f.unit)})"`;

// Two lanes of a rebuild may meet the same unit: the earlier sight of it stays, and only unknown ones are waited for.
const INSERT_UNITS = `
  INSERT INTO sampling_units AS u (frame, year, stratum, unit, known_from)
  SELECT t.frame, t.year, t.stratum, t.unit, t.p
  FROM json_to_recordset($1::text::json) AS t(frame text, year smallint, stratum text, unit text, p bigint)
  WHERE NOT EXISTS (
    SELECT FROM sampling_units k
    WHERE k.frame = t.frame AND k.year = t.year AND k.stratum = t.stratum AND k.unit = t.unit AND k.known_from <= t.p)
  ORDER BY t.frame, t.year, t.stratum, t.unit
  ON CONFLICT (frame, year, stratum, unit) DO UPDATE SET known_from = least(u.known_from, excluded.known_from)`;

export interface InjuryFactsOptions {
  readonly log: EventLog;
  /** Where a day begins and ends for an instant. */
  readonly timeZone: string;
}

/** Injuries as they are counted, each version with the positions between which it was known. */
export const injuryFactsProjector = ({ log, timeZone }: InjuryFactsOptions): ReadModel => {
  const insert = (tx: Transaction, rows: readonly string[]): Promise<unknown> =>
    tx.unsafe(INSERT_FACTS, [`{${rows.join()}}`], { prepare: true }).execute();

  const insertUnits = (tx: Transaction, units: ReadonlyMap<string, unknown>): Promise<unknown> =>
    tx.unsafe(INSERT_UNITS, [JSON.stringify([...units.values()])], { prepare: true }).execute();

  const noteUnit = (fact: Fact, at: string, seen: Map<string, unknown>): void => {
    const year = fact.day.slice(0, 4);
    const key = `${year} ${fact.frame}\u001e${fact.stratum}\u001e${fact.unit}`;
    if (!seen.has(key)) seen.set(key, { frame: fact.frame, year, stratum: fact.stratum, unit: fact.unit, p: at });
  };

  const applyReports = async (tx: Transaction, events: readonly RecordedEvent[]): Promise<void> => {
    const units = new Map<string, unknown>();
    const sent: Promise<unknown>[] = [];
    try {
      for (let from = 0; from < events.length; from += CHUNK) {
        const rows = events.slice(from, from + CHUNK).map((event) => {
          const fact = factOf(readInjuryEvent(event).data as InjuryRecord, timeZone);
          const at = event.position.toString();
          if (fact.frame !== null) noteUnit(fact, at, units);
          return rowOf(fact, idOf(event), at, at, fact.eligible);
        });
        // PostgreSQL inserts this chunk while the next one is folded here.
        const sending = insert(tx, rows);
        sending.catch(() => undefined); // told below; until then a lost connection must not pass for an unhandled rejection
        sent.push(sending);
        await nextTurn();
      }
      if (units.size > 0) sent.push(insertUnits(tx, units));
      await Promise.all(sent);
    } catch (error) {
      await Promise.allSettled(sent);
      throw error;
    }
  };

  /** The injury as the log had it at a position: folded from its stream, so that a correction needs no copy of the record here. */
  const stateAt = async (id: string, event: RecordedEvent): Promise<InjuryState> => {
    const history = await log.readStream(event.stream, { limit: event.revision + 1 });
    if (history.at(-1)?.id !== event.id)
      throw new Error(`the stream of injury ${id} doesn't end with the event at ${event.position}`);
    return history.reduce<InjuryState>((state, each) => injury.evolve(state, readInjuryEvent(each)), injury.initialState);
  };

  const decidePair = async (tx: Transaction, id: string, other: string, linked: boolean, manual: boolean): Promise<void> => {
    const [low, high] = id < other ? [id, other] : [other, id];
    // A manual decision outlives an automatic one, whichever of the two reports carries it.
    await tx`
      INSERT INTO injury_pairs AS p (low, high, linked, manual) VALUES (${low}, ${high}, ${linked}, ${manual})
      ON CONFLICT (low, high) DO UPDATE SET linked = excluded.linked, manual = excluded.manual WHERE excluded.manual OR NOT p.manual`;
  };

  /** All reports of the same person in the same event as any of these, themselves included. */
  const clustersOf = async (tx: Transaction, ids: readonly string[]): Promise<string[][]> => {
    const clusters: string[][] = [];
    for (const id of ids) {
      if (clusters.some((cluster) => cluster.includes(id))) continue;
      const rows = await tx<{ id: string }[]>`
        WITH RECURSIVE cluster(id) AS (
          SELECT ${id}::uuid
          UNION
          SELECT CASE WHEN p.low = c.id THEN p.high ELSE p.low END
          FROM cluster c JOIN injury_pairs p ON p.linked AND (p.low = c.id OR p.high = c.id)
        ) SELECT id FROM cluster`;
      clusters.push(rows.map((row) => row.id));
    }
    return clusters;
  };

  /** Of each cluster the first reported eligible member counts; rows whose part changes are closed and written anew. */
  const recount = async (tx: Transaction, clusters: readonly (readonly string[])[], at: string): Promise<void> => {
    for (const cluster of clusters) {
      await tx.unsafe(
        `WITH open AS (
           SELECT f.*, f.eligible AND f.reported = min(f.reported) FILTER (WHERE f.eligible) OVER () AS should
           FROM injury_facts f WHERE f.injury_id = ANY ($1::uuid[]) AND f.known_to = ${STILL_KNOWN}
         ), closed AS (
           UPDATE injury_facts f SET known_to = $2 FROM open
           WHERE f.injury_id = open.injury_id AND f.known_from = open.known_from AND open.counted <> open.should AND open.known_from < $2
         ), mended AS (
           UPDATE injury_facts f SET counted = open.should FROM open
           WHERE f.injury_id = open.injury_id AND f.known_from = open.known_from AND open.counted <> open.should AND open.known_from = $2
         )
         INSERT INTO injury_facts (injury_id, known_from, counted, ${CARRIED})
         SELECT injury_id, $2, should, ${CARRIED} FROM open WHERE counted <> should AND known_from < $2`,
        [cluster as string[], at],
        { prepare: true },
      );
    }
  };

  /** Reports of the page that a decision speaks of, made before them or within the page: a link may overtake the report it names. */
  const pairedAmong = async (tx: Transaction, events: readonly RecordedEvent[]): Promise<Set<string>> => {
    const paired = new Set<string>();
    const [any] = await tx<{ some: boolean }[]>`SELECT EXISTS (SELECT FROM injury_pairs) AS some`;
    if (any!.some) {
      const reported = events.filter(({ type }) => type === 'InjuryReported').map(idOf);
      const found = await tx<{ id: string }[]>`
        SELECT r.id FROM unnest(${reported}::text[]::uuid[]) AS r(id)
        WHERE EXISTS (SELECT FROM injury_pairs p WHERE p.low = r.id) OR EXISTS (SELECT FROM injury_pairs p WHERE p.high = r.id AND p.linked)`;
      for (const { id } of found) paired.add(id);
    }
    for (const event of events) if (event.type === 'InjuryLinked') paired.add(idOf(event)).add(otherOf(event));
    return paired;
  };

  const applyPairedReport = async (tx: Transaction, event: RecordedEvent): Promise<void> => {
    const id = idOf(event);
    await applyReports(tx, [event]);
    await recount(tx, await clustersOf(tx, [id]), event.position.toString());
  };

  const applyChange = async (tx: Transaction, event: RecordedEvent): Promise<void> => {
    const id = idOf(event);
    const at = event.position.toString();
    const { type, data } = readInjuryEvent(event);
    if (type === 'InjuryLinked' || type === 'InjuryUnlinked') {
      await decidePair(tx, id, data.other, type === 'InjuryLinked', data.decidedBy === 'manual');
      return recount(tx, await clustersOf(tx, [id, data.other]), at);
    }
    const [before] = await tx<{ reported: string }[]>`
      UPDATE injury_facts SET known_to = ${at} WHERE injury_id = ${id} AND known_to = ${STILL_KNOWN} RETURNING reported`;
    if (!before) throw new Error(`injury ${id} has no fact to change`);
    const state = await stateAt(id, event);
    if (state.status === 'reported') {
      const fact = factOf(state.record, timeZone);
      await insert(tx, [rowOf(fact, id, at, before.reported, false)]);
      // Corrected into another year, the injury may be the first of its unit there.
      const units = new Map<string, unknown>();
      if (fact.frame !== null) noteUnit(fact, at, units);
      if (units.size > 0) await insertUnits(tx, units);
    }
    await recount(tx, await clustersOf(tx, [id]), at);
  };

  return {
    name: 'injury-facts',
    kind: 'model',
    tables: ['injury_facts', 'injury_pairs', 'sampling_units'],
    keys: ['injury_facts_key', 'injury_pairs_by_high'],
    handles: new Set(Object.keys(injuryEvents)),
    apply: async (tx, events) => {
      const paired = await pairedAmong(tx, events);
      let reports: RecordedEvent[] = [];
      for (const event of events) {
        const isReport = event.type === 'InjuryReported';
        if (isReport && !paired.has(idOf(event))) {
          reports.push(event);
          continue;
        }
        if (reports.length > 0) await applyReports(tx, reports);
        reports = [];
        if (isReport) await applyPairedReport(tx, event);
        else await applyChange(tx, event);
      }
      if (reports.length > 0) await applyReports(tx, reports);
    },
    // The others of a cluster change with one of its reports: what was ever paired can't be applied beside anything else.
    lanes: () => {
      const paired = new Set<string>();
      return (event) => {
        const id = idOf(event);
        if (event.type === 'InjuryLinked' || event.type === 'InjuryUnlinked') {
          paired.add(id).add(otherOf(event));
          return undefined;
        }
        return paired.has(id) ? undefined : id;
      };
    },
  };
};
