import type { Migration, SqlClient } from '@vigil/platform';
import type { LinkRecord } from './columns';
import type { FieldEvidence } from './link';

/** A casualty of an incident, by its number there. */
export interface CasualtyRef {
  readonly incident: string;
  readonly casualty: string;
}

export interface Compared extends LinkRecord {
  readonly fresh: boolean;
  /** Absent: an injury record. */
  readonly casualty?: CasualtyRef;
  /** Of a casualty: the injury attached to it. */
  readonly attached?: string;
}

export type ReviewStatus = 'open' | 'linked' | 'rejected';
export interface Candidate {
  /** Of the pair: the same two reports have the same for ever. */
  readonly id: string;
  /** An injury record. */
  readonly a: string;
  /** Another injury record; or a casualty of an incident. */
  readonly b: string | CasualtyRef;
  readonly probability: number;
  readonly weight: number;
  readonly fields: readonly (FieldEvidence & { readonly a: unknown; readonly b: unknown })[];
}
export interface KeptCandidate extends Candidate {
  readonly status: ReviewStatus;
  readonly proposedAt: string;
  readonly decidedAt?: string;
}

export const LINKAGE_MIGRATIONS: readonly Migration[] = [
  {
    id: 'linkage/001-review',
    sql: `
CREATE SCHEMA linkage;
-- One row per finished run; the next begins after the last one's position.
CREATE TABLE linkage.runs (
  id          uuid PRIMARY KEY,
  number      bigint GENERATED ALWAYS AS IDENTITY UNIQUE,
  position    bigint NOT NULL,
  finished_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  outcome     text NOT NULL
);
-- Pairs that a person is asked about. A row that was decided stays: the pair isn't proposed again.
CREATE TABLE linkage.review (
  id          uuid PRIMARY KEY,
  a           uuid NOT NULL,
  b           uuid,
  incident    text COLLATE "C",
  casualty    text COLLATE "C",
  probability double precision NOT NULL,
  weight      double precision NOT NULL,
  fields      text NOT NULL,
  status      text NOT NULL DEFAULT 'open',
  proposed_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  decided_at  timestamptz,
  CHECK ((b IS NULL) <> (incident IS NULL) AND (incident IS NULL) = (casualty IS NULL))
);
CREATE INDEX linkage_review_open ON linkage.review (probability DESC, id) WHERE status = 'open';
`,
  },
];

/**
 * What is compared, as of a position: first visits that count for incidence, and casualties not known to be unhurt. Records of a
 * sample stand for many and are left out. A mechanism follows from an incident's kind where the kind tells it.
 */
const REPORTS = `
  SELECT injury_id::text AS id, feed, day, community, age, sex, mechanism, known_from > $1 AS fresh,
    NULL::text AS incident, NULL::text AS casualty, NULL::uuid AS attached
  FROM read.injury_facts WHERE known_from <= $2 AND known_to > $2 AND eligible AND frame IS NULL
  UNION ALL
  SELECT incident || ' ' || casualty, 'casualties of incidents', day, community, age, sex,
    CASE kind WHEN 'crash' THEN 'road-transport' WHEN 'fire' THEN 'burn' END, known_from > $1, incident, casualty, injury_id
  FROM read.casualty_facts WHERE known_from <= $2 AND known_to > $2
    AND NOT (death IS NULL AND severity IN ('kabco-o', 'ga16-none', 'who-none'))`;
/** Never one of the same incident twice, and two incidents' casualties can't be linked. */
export const CASUALTIES = 'casualties of incidents';

const DAYS = `SELECT day::text, count(*)::int AS records, count(*) FILTER (WHERE fresh)::int AS fresh FROM (${REPORTS}) r GROUP BY day ORDER BY day`;
const WINDOW = `SELECT id, feed, day::text, community, age, sex, mechanism, fresh, incident, casualty, attached::text
  FROM (${REPORTS}) r WHERE day BETWEEN $3::date AND $4::date ORDER BY id`;
const BY_ID = `SELECT id, feed, day::text, community, age, sex, mechanism, fresh, incident, casualty, attached::text
  FROM (${REPORTS}) r WHERE incident IS NULL AND id = ANY ($3::text[])`;

interface ReportRow {
  id: string;
  feed: string;
  day: string;
  community: string;
  age: number | null;
  sex: string;
  mechanism: string | null;
  fresh: boolean;
  incident: string | null;
  casualty: string | null;
  attached: string | null;
}
/** Neither says anything about the person. */
const SILENT = new Set(['unknown', 'unmapped']);
const said = (code: string | null): string | null => (code === null || SILENT.has(code) ? null : code);

const compared = ({
  id,
  feed,
  day,
  community,
  age,
  sex,
  mechanism,
  fresh,
  incident,
  casualty,
  attached,
}: ReportRow): Compared => ({
  ...{ id, feed, day, community, sex: said(sex), mechanism: said(mechanism), fresh },
  age: age === null ? null : { value: age, unit: 'year' },
  ...(incident !== null && casualty !== null && { casualty: { incident, casualty } }),
  ...(attached !== null && { attached }),
});

interface ReviewRow {
  id: string;
  a: string;
  b: string | null;
  incident: string | null;
  casualty: string | null;
  probability: number;
  weight: number;
  fields: string;
  status: ReviewStatus;
  proposed: string;
  decided: string | null;
}
const INSTANT = `'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"'`;
const COLUMNS = `id, a, b, incident, casualty, probability, weight, fields, status,
  to_char(proposed_at AT TIME ZONE 'UTC', ${INSTANT}) AS proposed, to_char(decided_at AT TIME ZONE 'UTC', ${INSTANT}) AS decided`;

const kept = ({
  id,
  a,
  b,
  incident,
  casualty,
  probability,
  weight,
  fields,
  status,
  proposed,
  decided,
}: ReviewRow): KeptCandidate => ({
  ...{ id, a, probability, weight, status, proposedAt: proposed },
  b: b ?? { incident: incident!, casualty: casualty! },
  fields: JSON.parse(fields) as KeptCandidate['fields'],
  ...(decided !== null && { decidedAt: decided }),
});

/** The runs' and the review queue's tables, and what the read models say. The schema is `LINKAGE_MIGRATIONS`. */
export const createLinkageStore = ({ sql }: { readonly sql: SqlClient }) => ({
  /** Where the last finished run stood; 0 before the first. */
  checkpoint: async (): Promise<bigint> => {
    const [row] = await sql<{ position: string }[]>`SELECT coalesce(max(position), 0)::text AS position FROM linkage.runs`;
    return BigInt(row!.position);
  },
  finish: async (id: string, position: bigint, outcome: unknown): Promise<void> => {
    await sql`
      INSERT INTO linkage.runs (id, position, outcome) VALUES (${id}, ${position.toString()}, ${JSON.stringify(outcome)})
      ON CONFLICT (id) DO NOTHING`;
  },

  /** Reports by day as of a position, and those of them that began after another. */
  days: async (after: bigint, position: bigint): Promise<{ day: string; records: number; fresh: number }[]> =>
    sql.unsafe<{ day: string; records: number; fresh: number }[]>(DAYS, [after.toString(), position.toString()]),
  window: async (after: bigint, position: bigint, from: string, to: string): Promise<Compared[]> =>
    (await sql.unsafe<ReportRow[]>(WINDOW, [after.toString(), position.toString(), from, to])).map(compared),
  injuries: async (after: bigint, position: bigint, ids: readonly string[]): Promise<Compared[]> =>
    ids.length === 0
      ? []
      : (await sql.unsafe<ReportRow[]>(BY_ID, [after.toString(), position.toString(), ids as string[]])).map(compared),

  /** Decisions about pairs with any of these injuries. */
  pairs: async (ids: readonly string[]): Promise<{ low: string; high: string; linked: boolean; manual: boolean }[]> =>
    sql<{ low: string; high: string; linked: boolean; manual: boolean }[]>`
      SELECT low::text, high::text, linked, manual FROM read.injury_pairs
      WHERE low = ANY (${ids as string[]}::uuid[]) OR high = ANY (${ids as string[]}::uuid[])`,

  /** Those ever decided in the queue. */
  decided: async (): Promise<{ a: string; b: string | CasualtyRef; status: ReviewStatus }[]> =>
    (await sql<ReviewRow[]>`SELECT ${sql.unsafe(COLUMNS)} FROM linkage.review WHERE status <> 'open'`).map(kept),
  /** Puts them into the queue, or says anew what is open there. Of decided ones nothing changes. How many are new. */
  propose: async (candidates: readonly Candidate[]): Promise<number> => {
    if (candidates.length === 0) return 0;
    const rows = candidates.map(({ id, a, b, probability, weight, fields }) => ({
      ...{ id, a, probability, weight, fields: JSON.stringify(fields) },
      ...(typeof b === 'string' ? { b } : b),
    }));
    const done = await sql<{ fresh: boolean }[]>`
      INSERT INTO linkage.review AS r (id, a, b, incident, casualty, probability, weight, fields)
      SELECT id, a, b, incident, casualty, probability, weight, fields
      FROM json_to_recordset(${JSON.stringify(rows)}::text::json) AS t(
        id uuid, a uuid, b uuid, incident text, casualty text, probability float8, weight float8, fields text)
      ON CONFLICT (id) DO UPDATE SET probability = excluded.probability, weight = excluded.weight, fields = excluded.fields
        WHERE r.status = 'open'
      RETURNING xmax = 0 AS fresh`;
    return done.filter(({ fresh }) => fresh).length;
  },
  /** Takes open questions about these injuries and casualties off the queue, but for those still asked. */
  withdraw: async (ids: readonly string[], asked: readonly string[]): Promise<number> =>
    (
      await sql`
        DELETE FROM linkage.review
        WHERE status = 'open' AND NOT id = ANY (${asked as string[]}::uuid[])
          AND (a::text = ANY (${ids as string[]}) OR b::text = ANY (${ids as string[]}) OR incident || ' ' || casualty = ANY (${ids as string[]}))`
    ).count,
  /** Likeliest first. */
  list: async ({
    status,
    after,
    limit,
  }: {
    readonly status: ReviewStatus;
    readonly after?: { readonly probability: number; readonly id: string };
    readonly limit: number;
  }): Promise<KeptCandidate[]> =>
    (
      await sql<ReviewRow[]>`
        SELECT ${sql.unsafe(COLUMNS)} FROM linkage.review WHERE status = ${status}
          ${after === undefined ? sql`` : sql`AND (probability < ${after.probability} OR (probability = ${after.probability} AND id > ${after.id}))`}
        ORDER BY probability DESC, id LIMIT ${limit}`
    ).map(kept),
  get: async (id: string): Promise<KeptCandidate | undefined> => {
    const [row] = await sql<ReviewRow[]>`SELECT ${sql.unsafe(COLUMNS)} FROM linkage.review WHERE id = ${id}`;
    return row && kept(row);
  },
  settle: async (id: string, status: Exclude<ReviewStatus, 'open'>): Promise<void> => {
    await sql`UPDATE linkage.review SET status = ${status}, decided_at = clock_timestamp() WHERE id = ${id}`;
  },
});
export type LinkageStore = ReturnType<typeof createLinkageStore>;
