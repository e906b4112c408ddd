import type { Migration, SqlClient } from '@vigil/platform';
import type { Problem } from '@vigil/vocabulary';
import type { DeadLetter } from './letter';

export interface Retry {
  /** UTC instant `…Z`. */
  readonly at: string;
  readonly status: 'accepted' | 'duplicate' | 'rejected';
  /** Whether another payload than the letter's own was sent. */
  readonly edited: boolean;
  readonly problem?: Problem;
  /** Where the event stands in the log. */
  readonly position?: bigint;
}

/** `open`: not mended yet. `settled`: a retry was accepted, or found the event in the log. */
export type LetterStatus = 'open' | 'settled';

export interface KeptLetter extends DeadLetter {
  /** UTC instant `…Z`. */
  readonly arrivedAt: string;
  readonly status: LetterStatus;
  /** By time. */
  readonly retries: readonly Retry[];
}

export interface LetterQuery {
  readonly feed?: string;
  readonly status?: LetterStatus;
  /** Code of the problem. */
  readonly code?: string;
  /** Older than this letter. */
  readonly before?: string;
  readonly limit: number;
}

export interface DeadLetterStore {
  /** Durable when it resolves; a letter that is there stays as it is. How many are new. */
  put(letters: readonly DeadLetter[]): Promise<number>;
  /** Newest first, without payloads and retries. */
  list(query: LetterQuery): Promise<Omit<KeptLetter, 'payload' | 'retries'>[]>;
  get(id: string): Promise<KeptLetter | undefined>;
  /** Adds what a retry came to; the letter and its payload stay. `payload`: what was sent instead of it. */
  addRetry(id: string, retry: Omit<Retry, 'at'>, payload: Uint8Array | null): Promise<void>;
}

export const DEAD_LETTER_MIGRATIONS: readonly Migration[] = [
  {
    id: 'feeds/001-dead-letters',
    sql: `
CREATE SCHEMA feeds;
CREATE TABLE feeds.dead_letters (
  id         uuid PRIMARY KEY,
  number     bigint GENERATED ALWAYS AS IDENTITY UNIQUE,
  arrived_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  feed       text COLLATE "C" NOT NULL,
  topic      text NOT NULL,
  partition  int NOT NULL,
  "offset"   bigint NOT NULL,
  record_key text,
  event_id   text,
  code       text COLLATE "C" NOT NULL,
  problem    text NOT NULL,
  bytes      int NOT NULL,
  sha256     text NOT NULL,
  payload    bytea,
  withheld   text,
  removed    text[] NOT NULL,
  settled    boolean NOT NULL DEFAULT false
);
CREATE INDEX dead_letters_by_feed ON feeds.dead_letters (feed, number);
CREATE INDEX dead_letters_open ON feeds.dead_letters (number) WHERE NOT settled;

-- Attempts to mend one. The letter itself is never changed but for whether it is settled.
CREATE TABLE feeds.dead_letter_retries (
  letter   uuid NOT NULL REFERENCES feeds.dead_letters (id),
  number   bigint GENERATED ALWAYS AS IDENTITY,
  tried_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  status   text NOT NULL,
  problem  text,
  position bigint,
  edited   boolean NOT NULL,
  -- What was sent in the letter's stead; kept only of what was taken.
  payload  bytea,
  PRIMARY KEY (letter, number)
);
`,
  },
];

interface Row {
  id: string;
  at: string;
  feed: string;
  topic: string;
  partition: number;
  offset: string;
  record_key: string | null;
  event_id: string | null;
  problem: string;
  bytes: number;
  sha256: string;
  withheld: 'identity' | 'too-large' | null;
  removed: string[];
  settled: boolean;
}

const INSTANT = `'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"'`;
const COLUMNS = `id, to_char(arrived_at AT TIME ZONE 'UTC', ${INSTANT}) AS at, feed, topic, partition, "offset", record_key, event_id,
  problem, bytes, sha256, withheld, removed, settled`;

const letter = (row: Row): Omit<KeptLetter, 'payload' | 'retries'> => ({
  id: row.id,
  arrivedAt: row.at,
  feed: row.feed,
  origin: { topic: row.topic, partition: row.partition, offset: BigInt(row.offset) },
  key: row.record_key,
  eventId: row.event_id,
  problem: JSON.parse(row.problem) as Problem,
  bytes: row.bytes,
  sha256: row.sha256,
  ...(row.withheld && { withheld: row.withheld }),
  removed: row.removed,
  status: row.settled ? 'settled' : 'open',
});

/** Dead letters in PostgreSQL. The schema is `DEAD_LETTER_MIGRATIONS`. */
export const createDeadLetterStore = ({ sql }: { readonly sql: SqlClient }): DeadLetterStore => ({
  put: async (letters) => {
    if (letters.length === 0) return 0;
    const rows = letters.map(({ id, feed, origin, key, eventId, problem, bytes, sha256, payload, withheld, removed }) => ({
      id,
      feed,
      topic: origin.topic,
      partition: origin.partition,
      offset: origin.offset.toString(),
      record_key: key,
      event_id: eventId,
      code: problem.code,
      problem: JSON.stringify(problem),
      bytes,
      sha256,
      payload: payload === null ? null : Buffer.from(payload).toString('hex'),
      withheld: withheld ?? null,
      removed,
    }));
    const done = await sql`
      INSERT INTO feeds.dead_letters
        (id, feed, topic, partition, "offset", record_key, event_id, code, problem, bytes, sha256, payload, withheld, removed)
      SELECT id, feed, topic, partition, "offset", record_key, event_id, code, problem, bytes, sha256, decode(payload, 'hex'), withheld, removed
      FROM json_to_recordset(${JSON.stringify(rows)}::text::json) AS t(
        id uuid, feed text, topic text, partition int, "offset" bigint, record_key text, event_id text, code text, problem text,
        bytes int, sha256 text, payload text, withheld text, removed text[])
      ON CONFLICT (id) DO NOTHING`;
    return done.count;
  },
  list: async ({ feed, status, code, before, limit }) => {
    const rows = await sql<Row[]>`
      SELECT ${sql.unsafe(COLUMNS)} FROM feeds.dead_letters
      WHERE true
        ${feed === undefined ? sql`` : sql`AND feed = ${feed}`}
        ${code === undefined ? sql`` : sql`AND code = ${code}`}
        ${status === undefined ? sql`` : status === 'settled' ? sql`AND settled` : sql`AND NOT settled`}
        ${before === undefined ? sql`` : sql`AND number < (SELECT number FROM feeds.dead_letters WHERE id = ${before})`}
      ORDER BY number DESC LIMIT ${limit}`;
    return rows.map(letter);
  },
  get: async (id) => {
    const [row] = await sql<(Row & { payload: Buffer | null })[]>`
      SELECT ${sql.unsafe(COLUMNS)}, payload FROM feeds.dead_letters WHERE id = ${id}`;
    if (!row) return undefined;
    const retries = await sql<
      { at: string; status: Retry['status']; problem: string | null; position: string | null; edited: boolean }[]
    >`
      SELECT to_char(tried_at AT TIME ZONE 'UTC', ${sql.unsafe(INSTANT)}) AS at, status, problem, position, edited
      FROM feeds.dead_letter_retries WHERE letter = ${id} ORDER BY number`;
    return {
      ...letter(row),
      payload: row.payload,
      retries: retries.map(({ at, status, problem, position, edited }) => ({
        at,
        status,
        edited,
        ...(problem !== null && { problem: JSON.parse(problem) as Problem }),
        ...(position !== null && { position: BigInt(position) }),
      })),
    };
  },
  addRetry: async (id, { status, problem, position, edited }, payload) => {
    await sql.begin(async (tx) => {
      await tx`
        INSERT INTO feeds.dead_letter_retries (letter, status, problem, position, edited, payload)
        VALUES (${id}, ${status}, ${problem ? JSON.stringify(problem) : null}, ${position?.toString() ?? null}, ${edited},
                decode(${payload === null ? null : Buffer.from(payload).toString('hex')}::text, 'hex'))`;
      if (status !== 'rejected') await tx`UPDATE feeds.dead_letters SET settled = true WHERE id = ${id}`;
    });
  },
});
