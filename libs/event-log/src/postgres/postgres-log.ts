import { withDeadline } from '@vigil/platform';
import postgres, { type Options, type Sql } from 'postgres';
import { createCoalescer } from '../coalescer';
import {
  LogUnavailable,
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
  type Subscription,
} from '../event-log';
import { checkAtomic } from '../request';

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

/** Errors after which the same batch may be sent again: the ids make the retry harmless. */
const isTransient = (error: unknown): boolean => {
  const code = (error as { code?: string }).code ?? '';
  return /^(CONNECTION_|CONNECT_|ECONN|EPIPE|57P0|08|53300|40001|40P01)/.test(code);
};

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

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

const fromRow = (row: EventRow): RecordedEvent => ({
  position: position(row.position),
  id: row.event_id,
  stream: row.stream_id,
  revision: Number(row.revision),
  type: row.type,
  version: row.version,
  recordedAt: row.recorded_at.replace(' ', 'T').replace(/\+00$/, 'Z'),
  fingerprint: row.fingerprint,
  data: row.data,
  metadata: row.metadata,
});

/**
 * The event log on PostgreSQL 15 or later. The schema is {@link LOG_MIGRATIONS}.
 * Appends from one process share batches; several processes may append to one database.
 */
export const createPostgresLog = ({ sql, pollMs = 500, deadlineMs = 15_000, crashPoint }: PostgresLogOptions): EventLog => {
  const followers = new Set<() => void>();
  const wakeFollowers = (): void => {
    for (const wake of [...followers]) wake();
  };

  /** Other processes hear of an append after its commit, at most once per burst: inside the transaction it halves throughput. */
  let notifying: Promise<void> | undefined;
  let notifyAgain = false;
  const notify = (): void => {
    wakeFollowers();
    notifyAgain = true;
    notifying ??= (async () => {
      while (notifyAgain) {
        notifyAgain = false;
        await sql`SELECT pg_notify(${CHANNEL}, '')`.catch(() => undefined); // followers poll anyway
        await pause(20);
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

  /** Sends one batch until its outcome is known or the deadline has passed. */
  const send = async (c: Columns, atomic: boolean): Promise<AppendRow[]> => {
    crashPoint?.('append.before-write');
    const until = Date.now() + deadlineMs;
    for (let attempt = 0; ; attempt++) {
      try {
        const query = sql<AppendRow[]>`
          SELECT outcome, request, event, revision, pos FROM log.append_batch(
            ${c.requests}::text::int[], ${c.numbers}::text::int[], ${c.lasts}::text::boolean[], ${c.expected}::text::bigint[],
            ${c.ids}::text::uuid[], ${c.versions}::text::smallint[], ${c.prints}::text::uuid[],
            ${c.streams}::text, ${c.types}::text, ${c.data}::text, ${c.metadata}::text, ${atomic})`;
        const answer = await withDeadline(Math.max(until - Date.now(), 1), query, 'append');
        crashPoint?.('append.after-commit-before-ack');
        return answer;
      } catch (error) {
        const late = (error as { code?: string }).code === 'deadline-exceeded';
        if (!late && !isTransient(error)) throw error;
        const wait = Math.min(50 * 2 ** attempt, 1000);
        if (late || Date.now() + wait > until)
          throw new LogUnavailable('the outcome of an append is unknown; retry with the same event ids', { cause: error });
        await pause(wait);
      }
    }
  };

  const coalescer = createCoalescer({ write: (batch) => write(batch) as Promise<AppendOutcome[]> });

  const readAll = async ({ after, limit }: ReadAll): Promise<RecordedEvent[]> =>
    (
      await sql<EventRow[]>`
        SELECT position, event_id, stream_id, revision, type, version, recorded_at, fingerprint, data, metadata
        FROM log.events WHERE position > ${after.toString()} ORDER BY position LIMIT ${limit}`
    ).map(fromRow);

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
    own.listen(CHANNEL, wakeFollowers, wakeFollowers).catch(() => {
      if (listener === own) listener = undefined;
      return own.end({ timeout: 0 });
    });
  };

  const atomics = new Set<Promise<unknown>>();

  return {
    append: coalescer.append,
    appendMany: coalescer.appendMany,
    appendAtomic: async (requests) => {
      checkAtomic(requests);
      const written = write(requests, true);
      atomics.add(written);
      return written.finally(() => atomics.delete(written));
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
    async *subscribe({ after, pageSize = 1000, signal }: Subscription) {
      if (!closed) listen();
      let at = after;
      let awake = true;
      const wake = (): void => {
        awake = true;
        rouse?.();
      };
      let rouse: (() => void) | undefined;
      followers.add(wake);
      signal.addEventListener('abort', wake);
      try {
        while (!signal.aborted && !closed) {
          awake = false;
          const page = await readAll({ after: at, limit: pageSize });
          if (page.length > 0) {
            yield page;
            at = page.at(-1)!.position;
            continue;
          }
          if (awake) continue; // something arrived while the empty page was on its way
          await new Promise<void>((resolve) => {
            const timer = setTimeout(resolve, pollMs);
            rouse = () => {
              clearTimeout(timer);
              resolve();
            };
          });
          rouse = undefined;
        }
      } finally {
        followers.delete(wake);
        signal.removeEventListener('abort', wake);
      }
    },
    close: async () => {
      closed = true;
      wakeFollowers();
      await Promise.all([coalescer.drained(), Promise.allSettled(atomics)]);
      await notifying;
      await listener?.end({ timeout: 5 });
    },
  };
};
