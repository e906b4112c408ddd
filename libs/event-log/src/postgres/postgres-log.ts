import postgres, { type Options, type Sql } from 'postgres';
import { createCoalescer } from '../coalescer';
import {
  LogMismatch,
  position,
  START,
  type AppendOutcome,
  type AppendRequest,
  type AtomicOutcome,
  type EventLog,
  type ExpectedRevision,
  type Position,
  type ReadAll,
  type ReadStream,
  type RecordedEvent,
  type Restored,
} from '../event-log';
import { checkAtomic, checkRestore } from '../request';
import { senderTime, sendUntilKnown } from '../send-until-known';
import { createTail } from '../tail';

const CHANNEL = 'vigil_log';

export interface PostgresLogOptions {
  /** A client whose `timestamptz` and `int8` arrive as text and whose session time zone is UTC. */
  readonly sql: Sql;
  /** How often a follower looks although nobody notified it, ms. */
  readonly pollMs?: number;
  /** Most time an append may take before its outcome counts as unknown, ms. */
  readonly deadlineMs?: number;
  /** Called at named points of an append, for tests that kill the process there. */
  readonly crashPoint?: (name: 'append.before-write' | 'append.after-commit-before-ack') => void;
}

const EXPECTED = { any: -2, none: -1 } as const;
const wire = (expected: ExpectedRevision): number => (typeof expected === 'number' ? expected : EXPECTED[expected]);

/** Parts texts of one column; JSON texts and names can't hold it. */
const SEPARATOR = '\u001e';

interface Columns {
  readonly requests: string;
  readonly numbers: string;
  readonly lasts: string;
  readonly expected: string;
  readonly ids: string;
  readonly versions: string;
  readonly prints: string;
  readonly streams: string;
  readonly types: string;
  readonly data: string;
  readonly metadata: string;
}

const array = (values: readonly unknown[]): string => `{${values.join()}}`;
const joined = (values: readonly string[]): string => {
  for (const value of values)
    if (value.includes(SEPARATOR)) throw new RangeError('a stream name, type, data or metadata holds U+001E');
  return values.join(SEPARATOR);
};

/** A batch as the columns that append_batch takes, one entry per event. */
const columnsOf = (batch: readonly AppendRequest[]): Columns => {
  const rows = batch.flatMap(({ stream, expected, events }, request) =>
    events.map((event, number) => ({
      request,
      number,
      last: number === events.length - 1,
      stream,
      expected: wire(expected),
      event,
    })),
  );
  return {
    requests: array(rows.map((row) => row.request)),
    numbers: array(rows.map((row) => row.number)),
    lasts: array(rows.map((row) => row.last)),
    expected: array(rows.map((row) => row.expected)),
    ids: array(rows.map((row) => row.event.id)),
    versions: array(rows.map((row) => row.event.version)),
    prints: array(rows.map((row) => row.event.fingerprint)),
    streams: joined(rows.map((row) => row.stream)),
    types: joined(rows.map((row) => row.event.type)),
    data: joined(rows.map((row) => row.event.data)),
    metadata: joined(rows.map((row) => row.event.metadata)),
  };
};

interface AppendRow {
  outcome: AppendOutcome['kind'] | 'whole';
  request: number | null;
  event: string | null;
  revision: string | null;
  pos: string | null;
}

interface RestoreRow {
  fault: keyof typeof MISMATCH | null;
  at: string | null;
  present: string;
}
const MISMATCH = {
  differs: 'stands here with another content or place',
  'recorded-earlier': 'was recorded before the last one here',
  'stream-moved': 'does not follow the last revision of its stream here',
} as const;

interface EventRow {
  position: string;
  event_id: string;
  stream_id: string;
  revision: string;
  type: string;
  version: number;
  recorded_at: string;
  fingerprint: string;
  data: string;
  metadata: string;
}

const instantOf = (text: string): string => text.replace(' ', 'T').replace(/\+00$/, 'Z');

/** Events in one joined text: parted by the client in a third of the time that a row of ten columns takes. */
const FIELDS = 10;
const MOST_JOINED = 1_000;
const fromJoined = (joined: string): RecordedEvent[] => {
  const parts = joined.split(SEPARATOR);
  const events = new Array<RecordedEvent>(parts.length / FIELDS);
  let [raw, recordedAt] = ['', ''];
  for (let at = 0, n = 0; at < parts.length; at += FIELDS, n++) {
    if (parts[at + 6] !== raw) recordedAt = instantOf((raw = parts[at + 6]!)); // the events of a batch share it
    events[n] = {
      position: position(parts[at]!),
      id: parts[at + 1]!,
      stream: parts[at + 2]!,
      revision: Number(parts[at + 3]),
      type: parts[at + 4]!,
      version: Number(parts[at + 5]),
      recordedAt,
      fingerprint: parts[at + 7]!,
      data: parts[at + 8]!,
      metadata: parts[at + 9]!,
    };
  }
  return events;
};
/** Joined they are more than one value of PostgreSQL can hold. */
const isTooLarge = (error: unknown): boolean => ['54000', '53200', 'XX000'].includes((error as { code?: string }).code ?? '');

const fromRow = (row: EventRow): RecordedEvent => ({
  position: position(row.position),
  id: row.event_id,
  stream: row.stream_id,
  revision: Number(row.revision),
  type: row.type,
  version: row.version,
  recordedAt: instantOf(row.recorded_at),
  fingerprint: row.fingerprint,
  data: row.data,
  metadata: row.metadata,
});

/**
 * The event log on PostgreSQL 15 or later. The schema is {@link LOG_MIGRATIONS}.
 * Appends from one process share batches; several processes may append to one database.
 */
export const createPostgresLog = ({ sql, pollMs = 500, deadlineMs = 15_000, crashPoint }: PostgresLogOptions): EventLog => {
  /** Other processes hear of an append after its commit, at most once per burst: inside the transaction it halves throughput. */
  let notifying: Promise<void> | undefined;
  let notifyAgain = false;
  const notify = (): void => {
    tail.wakeAll();
    notifyAgain = true;
    notifying ??= (async () => {
      while (notifyAgain) {
        notifyAgain = false;
        await sql`SELECT pg_notify(${CHANNEL}, '')`.catch(() => undefined); // followers poll anyway
        await senderTime.sleep(20);
      }
    })().finally(() => (notifying = undefined));
  };

  const write = async (batch: readonly AppendRequest[], atomic = false): Promise<AtomicOutcome[]> => {
    const answer = await send(columnsOf(batch), atomic);
    const [first] = answer;
    if (first?.outcome === 'whole') {
      notify();
      let at = BigInt(first.pos!);
      return batch.map(({ events }) => ({
        kind: 'appended',
        revision: events.length - 1,
        position: position((at += BigInt(events.length))),
      }));
    }
    const refused = new Map(answer.filter((row) => row.request !== null).map((row) => [row.request, row]));
    const appended = new Map(answer.filter((row) => row.request === null).map((row) => [row.event, row]));
    if (appended.size > 0) notify();
    return batch.map(({ events }, r): AtomicOutcome => {
      const row = refused.get(r) ?? appended.get(events.at(-1)!.id);
      if (row === undefined) return { kind: 'aborted' };
      switch (row.outcome) {
        case 'conflict':
          return { kind: 'conflict', actual: row.revision === null ? null : Number(row.revision) };
        case 'id-conflict':
          return { kind: 'id-conflict', eventId: row.event! };
        default:
          return { kind: row.outcome as 'appended' | 'duplicate', revision: Number(row.revision), position: position(row.pos!) };
      }
    });
  };

  const send = (c: Columns, atomic: boolean): Promise<AppendRow[]> =>
    sendUntilKnown({
      deadlineMs,
      crashPoint,
      send: () => sql<AppendRow[]>`
        SELECT outcome, request, event, revision, pos FROM log.append_batch(
          ${c.requests}::text::int[], ${c.numbers}::text::int[], ${c.lasts}::text::boolean[], ${c.expected}::text::bigint[],
          ${c.ids}::text::uuid[], ${c.versions}::text::smallint[], ${c.prints}::text::uuid[],
          ${c.streams}::text, ${c.types}::text, ${c.data}::text, ${c.metadata}::text, ${atomic})`,
    });

  const restore = async (events: readonly RecordedEvent[]): Promise<Restored> => {
    const column = <K extends keyof RecordedEvent>(name: K): RecordedEvent[K][] => events.map((event) => event[name]);
    const [answer] = await sendUntilKnown({
      deadlineMs,
      crashPoint,
      send: () => sql<RestoreRow[]>`
        SELECT fault, at, present FROM log.restore_batch(
          ${array(column('id'))}::text::uuid[], ${array(column('revision'))}::text::bigint[], ${array(column('version'))}::text::smallint[],
          ${array(column('recordedAt'))}::text::timestamptz[], ${array(column('fingerprint'))}::text::uuid[],
          ${joined(column('stream'))}::text, ${joined(column('type'))}::text, ${joined(column('data'))}::text, ${joined(column('metadata'))}::text)`,
    });
    const { fault, at, present } = answer!;
    if (fault) throw new LogMismatch(`event ${events[Number(at) - 1]?.id ?? '?'} ${MISMATCH[fault]}`);
    const written = events.length - Number(present);
    if (written > 0) notify();
    return { written, present: Number(present) };
  };

  const coalescer = createCoalescer({ write: (batch) => write(batch) as Promise<AppendOutcome[]> });

  const readRows = async (after: Position, limit: number): Promise<RecordedEvent[]> =>
    (
      await sql<EventRow[]>`
        SELECT position, event_id, stream_id, revision, type, version, recorded_at, fingerprint, data, metadata
        FROM log.events WHERE position > ${after.toString()} ORDER BY position LIMIT ${limit}`
    ).map(fromRow);

  const readJoined = async (after: Position, limit: number): Promise<RecordedEvent[]> => {
    try {
      const [row] = await sql<{ page: string | null }[]>`
        SELECT string_agg(position || E'\\x1e' || event_id || E'\\x1e' || stream_id || E'\\x1e' || revision || E'\\x1e' || type || E'\\x1e' ||
          version || E'\\x1e' || recorded_at || E'\\x1e' || fingerprint || E'\\x1e' || data || E'\\x1e' || metadata, E'\\x1e') AS page
        FROM (SELECT * FROM log.events WHERE position > ${after.toString()} ORDER BY position LIMIT ${limit}) e`;
      return row!.page === null ? [] : fromJoined(row!.page);
    } catch (error) {
      if (isTooLarge(error)) return readRows(after, limit);
      throw error;
    }
  };

  const readAll = async ({ after, limit }: ReadAll): Promise<RecordedEvent[]> => {
    let events = await readJoined(after, Math.min(limit, MOST_JOINED));
    for (let last = events.length; last === MOST_JOINED && events.length < limit; ) {
      const more = await readJoined(events.at(-1)!.position, Math.min(limit - events.length, MOST_JOINED));
      last = more.length;
      events = events.concat(more);
    }
    return events;
  };

  const tail = createTail({ readAll, pollMs });

  const head = async (): Promise<Position> => {
    const [row] = await sql<{ position: string }[]>`SELECT position FROM log.events ORDER BY position DESC LIMIT 1`;
    return row ? position(row.position) : START;
  };

  let closed = false;
  let listener: Sql | undefined;
  /** One connection for all followers; when LISTEN can't be had, polling still brings every event. */
  const listen = (): void => {
    if (listener) return;
    // A client of our own: the one inside `sql` outlives unlisten, and keeps a failed LISTEN for ever.
    const own = (listener = postgres(sql.options as unknown as Options<never>));
    own.listen(CHANNEL, tail.wakeAll, tail.wakeAll).catch(() => {
      if (listener === own) listener = undefined;
      return own.end({ timeout: 0 });
    });
  };

  /** Writes that go past the coalescer. */
  const underway = new Set<Promise<unknown>>();
  const tracked = <T>(written: Promise<T>): Promise<T> => {
    underway.add(written);
    return written.finally(() => underway.delete(written));
  };

  return {
    guarantees: { uniqueIds: 'log', atomicAcrossStreams: true },
    append: coalescer.append,
    appendMany: coalescer.appendMany,
    appendAtomic: async (requests) => {
      checkAtomic(requests);
      return tracked(write(requests, true));
    },
    restore: async (events) => {
      checkRestore(events);
      return events.length === 0 ? { written: 0, present: 0 } : tracked(restore(events));
    },
    readAll,
    head,
    readStream: async (stream, { from, limit, direction = 'forwards' }: ReadStream = {}) => {
      const rows =
        direction === 'forwards'
          ? await sql<EventRow[]>`
              SELECT position, event_id, stream_id, revision, type, version, recorded_at, fingerprint, data, metadata
              FROM log.events WHERE stream_id = ${stream} AND revision >= ${from ?? 0} ORDER BY revision LIMIT ${limit ?? null}`
          : await sql<EventRow[]>`
              SELECT position, event_id, stream_id, revision, type, version, recorded_at, fingerprint, data, metadata
              FROM log.events WHERE stream_id = ${stream} AND revision <= ${from ?? Number.MAX_SAFE_INTEGER} ORDER BY revision DESC LIMIT ${limit ?? null}`;
      return rows.map(fromRow);
    },
    positionAt: async (instant) => {
      const [row] = await sql<{ at: string }[]>`SELECT log.position_at(${instant}::text::timestamptz) AS at`;
      return position(row!.at);
    },
    count: async (after, upTo) => {
      const [row] = await sql<
        { n: string }[]
      >`SELECT count(*) AS n FROM log.events WHERE position > ${after.toString()} AND position <= ${upTo.toString()}`;
      return Number(row!.n);
    },
    subscribe: (options) => {
      if (!closed) listen();
      return tail.subscribe(options);
    },
    close: async () => {
      closed = true;
      tail.close();
      await Promise.all([coalescer.drained(), Promise.allSettled(underway)]);
      await notifying;
      await listener?.end({ timeout: 5 });
    },
  };
};
