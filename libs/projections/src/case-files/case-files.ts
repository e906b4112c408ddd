import { caseFiles, NONE, type CaseFile, type FileState } from '@vigil/domain';
import type { RecordedEvent } from '@vigil/event-log';
import type { SqlClient } from '@vigil/platform';
import { localDate } from '@vigil/vocabulary';
import { STILL_KNOWN } from '../communities/communities';
import type { ReadModel, Transaction } from '../runtime/projector';

export const CASE_FILES_MIGRATION = {
  id: 'read/006-case-files',
  sql: `
-- Hazards, places, interventions, surveys … : a row per version of a file, its state as the domain folds it, and what
-- lists are filtered by. A row holds from the position that made it to the one that replaced it.
CREATE TABLE read.case_files (
  register   text COLLATE "C" NOT NULL,
  id         text COLLATE "C" NOT NULL,
  known_from bigint NOT NULL,
  known_to   bigint NOT NULL DEFAULT ${STILL_KNOWN},
  revision   bigint NOT NULL,
  state      text COLLATE "C" NOT NULL,
  community  text COLLATE "C",
  kind       text COLLATE "C",
  day        date,
  due        date,
  body       jsonb NOT NULL
);
CREATE UNIQUE INDEX case_files_key ON read.case_files (register, id, known_from);
CREATE INDEX case_files_by_community ON read.case_files (register, community, day);
CREATE INDEX case_files_due ON read.case_files (register, due) WHERE due IS NOT NULL;
`,
} as const;

export const CASE_FILE_COMMUNITIES_MIGRATION = {
  id: 'read/010-case-file-communities',
  sql: `
-- All communities that a file lies in; \`community\` is the one, where it is one. Filled for what stands by the same rules as
-- the domain's, so that nobody has to rebuild.
ALTER TABLE read.case_files ADD COLUMN communities text[] NOT NULL DEFAULT '{}';
UPDATE read.case_files SET communities = CASE
  WHEN register = 'survey' THEN ARRAY(SELECT jsonb_array_elements_text(body->'design'->'communities'))
  WHEN register = 'evaluation' THEN ARRAY(SELECT jsonb_array_elements_text(body->'communities'))
  WHEN register = 'intervention' THEN
    ARRAY(SELECT jsonb_array_elements_text(body->'design'->'units'))
    || ARRAY(SELECT s.key FROM jsonb_each(body->'starts') AS s(key, day)
             WHERE NOT body->'design'->'units' ? s.key ORDER BY s.key COLLATE "C")
  WHEN register = 'organisation' THEN ARRAY(
    SELECT c.code FROM (
      SELECT body->'registration'->>'community' AS code, 0::bigint AS n
      UNION ALL
      SELECT m.one->>'community', m.n FROM jsonb_array_elements(body->'memberships') WITH ORDINALITY AS m(one, n)
    ) c WHERE c.code IS NOT NULL GROUP BY c.code ORDER BY min(c.n))
  WHEN community IS NOT NULL THEN ARRAY[community]
  ELSE '{}' END;
CREATE INDEX case_files_by_communities ON read.case_files USING gin (communities);
`,
} as const;

const ofEvent = new Map(caseFiles.flatMap((file) => Object.keys(file.events).map((event) => [event, file] as const)));

interface Row {
  register: string;
  id: string;
  known_from: string;
  known_to: string;
  revision: number;
  state: string;
  community: string | null;
  communities: readonly string[];
  kind: string | null;
  day: string | null;
  due: string | null;
  body: FileState;
}

/** The day on the local calendar of a plain date or an instant. */
export const localDay = (time: string | undefined, timeZone: string): string | null =>
  time === undefined ? null : time.length === 10 ? time : localDate(time, timeZone);

const rowOf = (file: CaseFile, id: string, event: RecordedEvent, body: FileState, timeZone: string): Row => {
  const { community, communities, kind, day, due } = file.facets(body);
  return {
    register: file.name,
    id,
    known_from: event.position.toString(),
    known_to: STILL_KNOWN,
    revision: event.revision,
    state: body.state,
    community: community ?? null,
    communities: communities ?? (community === undefined ? [] : [community]),
    kind: kind ?? null,
    day: localDay(day, timeZone),
    due: due ?? null,
    body,
  };
};

/** The standing state of each file that the page touches. */
const standing = async (tx: Transaction, keys: readonly { register: string; id: string }[]): Promise<Map<string, FileState>> => {
  const rows = await tx<{ register: string; id: string; body: FileState }[]>`
    SELECT f.register, f.id, f.body FROM json_to_recordset(${JSON.stringify(keys)}::text::json) AS k(register text, id text)
    JOIN case_files f ON f.register = k.register AND f.id = k.id AND f.known_to = ${STILL_KNOWN}`;
  return new Map(rows.map(({ register, id, body }) => [`${register} ${id}`, body]));
};

/** Every register of case files, each version with the positions between which it was known. */
export const caseFilesProjector = ({ timeZone }: { readonly timeZone: string }): ReadModel => ({
  name: 'case-files',
  kind: 'model',
  tables: ['case_files'],
  keys: ['case_files_key'],
  handles: new Set(ofEvent.keys()),
  lanes: () => (event) => event.stream,
  apply: async (tx, events) => {
    const files = new Map<string, { register: string; id: string }>();
    const keyed = events.map((event) => {
      const file = ofEvent.get(event.type)!;
      const id = event.stream.slice(file.name.length + 1);
      const key = `${file.name} ${id}`;
      files.set(key, { register: file.name, id });
      return { file, id, key, event };
    });
    const states = await standing(tx, [...files.values()]);
    const last = new Map<string, Row>();
    const rows: Row[] = [];
    const closed: { register: string; id: string; at: string }[] = [];
    for (const { file, id, key, event } of keyed) {
      const before = states.get(key) ?? file.initialState;
      if (before.state === NONE && event.revision !== 0)
        throw new Error(`${event.stream} has no file to change at revision ${event.revision}`);
      const after = file.decider.evolve(before, file.read(event));
      const row = rowOf(file, id, event, after, timeZone);
      const earlier = last.get(key);
      if (earlier) earlier.known_to = row.known_from;
      else if (before.state !== NONE) closed.push({ register: file.name, id, at: row.known_from });
      states.set(key, after);
      last.set(key, row);
      rows.push(row);
    }
    if (closed.length > 0)
      await tx`
        UPDATE case_files f SET known_to = c.at
        FROM json_to_recordset(${JSON.stringify(closed)}::text::json) AS c(register text, id text, at bigint)
        WHERE f.register = c.register AND f.id = c.id AND f.known_to = ${STILL_KNOWN}`;
    await tx`
      INSERT INTO case_files (register, id, known_from, known_to, revision, state, community, communities, kind, day, due, body)
      SELECT register, id, known_from, known_to, revision, state, community, communities, kind, day, due, body
      FROM json_to_recordset(${JSON.stringify(rows)}::text::json) AS r(register text, id text, known_from bigint, known_to bigint,
        revision bigint, state text, community text, communities text[], kind text, day date, due date, body jsonb)`;
  },
});

export interface FileRow {
  readonly id: string;
  readonly revision: number;
  readonly knownFrom: string;
  readonly day: string | null;
  readonly due: string | null;
  readonly body: FileState;
}

export interface FileQuery {
  readonly register: string;
  /** A state's name, or `overdue`. */
  readonly state?: string | undefined;
  /** One that it lies in, alone or among others. */
  readonly community?: string | undefined;
  readonly kind?: string | undefined;
  /** Files by day, inclusive. */
  readonly from?: string | undefined;
  readonly to?: string | undefined;
  /** What was known at this position; default: now. */
  readonly asOfPosition?: bigint | undefined;
  /** The day by which something is overdue. */
  readonly today: string;
  /** Ids after this one. */
  readonly after?: string | undefined;
  readonly limit: number;
}

export interface FileName {
  /** A register's name, or `injury`. */
  readonly register: string;
  readonly id: string;
}

export interface FileCount {
  readonly community: string | null;
  readonly kind: string | null;
  readonly state: string;
  readonly files: number;
  readonly overdue: number;
}

/** Looks into the registers of case files. */
export const createFileViews = ({ sql }: { readonly sql: SqlClient }) => {
  const matching = ({ register, state, community, kind, from, to, asOfPosition, today }: FileQuery) => {
    const at = asOfPosition?.toString();
    return sql`
      register = ${register}
      AND ${at === undefined ? sql`known_to = ${STILL_KNOWN}` : sql`known_from <= ${at} AND known_to > ${at}`}
      ${state === undefined ? sql`` : state === 'overdue' ? sql`AND due < ${today}` : sql`AND state = ${state}`}
      ${community === undefined ? sql`` : sql`AND communities @> ARRAY[${community}]`}
      ${kind === undefined ? sql`` : sql`AND kind = ${kind}`}
      ${from === undefined ? sql`` : sql`AND day >= ${from}`}
      ${to === undefined ? sql`` : sql`AND day <= ${to}`}`;
  };
  return {
    /** By id. */
    files: async (query: FileQuery): Promise<FileRow[]> =>
      (
        await sql<
          { id: string; revision: string; known_from: string; day: string | null; due: string | null; body: FileState }[]
        >`
          SELECT id, revision, known_from, day, due, body FROM read.case_files
          WHERE ${matching(query)} ${query.after === undefined ? sql`` : sql`AND id > ${query.after}`}
          ORDER BY id LIMIT ${query.limit}`
      ).map((row) => ({
        id: row.id,
        revision: Number(row.revision),
        knownFrom: row.known_from,
        day: row.day,
        due: row.due,
        body: row.body,
      })),
    /** How many, by community, kind and state: the board. */
    fileCounts: async (query: FileQuery): Promise<FileCount[]> =>
      (
        await sql<{ community: string | null; kind: string | null; state: string; files: string; overdue: string }[]>`
          SELECT community, kind, state, count(*) AS files, count(*) FILTER (WHERE due < ${query.today}) AS overdue
          FROM read.case_files WHERE ${matching(query)} GROUP BY 1, 2, 3 ORDER BY 1, 2, 3`
      ).map((row) => ({ ...row, files: Number(row.files), overdue: Number(row.overdue) })),
    /** Those of the files (and injuries) named that the read models have never held, in their order. */
    unknownFiles: async (named: readonly FileName[]): Promise<FileName[]> =>
      (
        await sql<{ register: string; id: string }[]>`
          SELECT n.register, n.id
          FROM ROWS FROM (json_to_recordset(${JSON.stringify(named)}::text::json) AS (register text, id text)) WITH ORDINALITY AS n(register, id, nth)
          WHERE NOT CASE WHEN n.register = 'injury' THEN EXISTS (SELECT FROM read.injury_facts i WHERE i.injury_id = n.id::uuid)
            ELSE EXISTS (SELECT FROM read.case_files f WHERE f.register = n.register AND f.id = n.id) END
          ORDER BY n.nth`
      ).map(({ register, id }) => ({ register, id })),
  };
};
export type FileViews = ReturnType<typeof createFileViews>;
