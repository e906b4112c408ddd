import { position as toPosition, START, type EventLog, type Position, type RecordedEvent } from '@vigil/event-log';
import type { SqlClient } from '@vigil/platform';
import postgres, { type Options } from 'postgres';
import { enter, LIVE } from './postgres-store';
import type { DigestCheck, Rebuilt, RebuildProgress } from './projections';
import type { ReadModel, Transaction } from './projector';
import { isTransient } from './runtime';
import type { ProjectionStore } from './store';

const NEXT = 'read_next';
const PREVIOUS = 'read_previous';
/** Events read at once, and lanes that apply them. */
const PAGE = 2_000;
const LANES = 2;
/** What the switch may still apply while the live projection waits for it. */
const LAST_STEP = 1_000;
/** How long the live projection is waited for, to compare both at one position, ms. */
const PATIENCE = 15_000;
/** Readers that hold the old tables are waited for this long, then let pass, that often. */
const LOCK_TIMEOUT = '2s';
const SWITCH_TRIES = 30;

export type RebuildCrashPoint = 'rebuild.before-switch' | 'rebuild.after-switch';

export interface RebuilderOptions {
  readonly sql: SqlClient;
  readonly log: EventLog;
  readonly store: ProjectionStore<Transaction>;
  readonly crashPoint?: (name: RebuildCrashPoint) => void;
}

/** A rebuild met an event that the model can't apply; the live model is as it was. */
export class CannotApply extends Error {
  override readonly name = 'CannotApply';
  constructor(
    readonly projection: string,
    readonly event: RecordedEvent,
    cause: unknown,
  ) {
    super(`${projection} can't apply the event at ${event.position} (${event.type}): ${(cause as Error).message}`, { cause });
  }
}

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

/** FNV-1a: spreads keys over lanes; nothing depends on which. */
const laneOf = (key: string): number => {
  let hash = 0x811c9dc5;
  for (let i = 0; i < key.length; i++) hash = Math.imul(hash ^ key.charCodeAt(i), 0x01000193);
  return (hash >>> 0) % LANES;
};

/** Tables like the live ones, with the keys that `apply` needs; answers the statements that make the other indexes. */
const createNext = async (sql: SqlClient, { tables, keys }: ReadModel): Promise<string[]> =>
  sql.begin(async (tx) => {
    const later: string[] = [];
    for (const table of tables) {
      await tx.unsafe(`DROP TABLE IF EXISTS ${NEXT}.${table}`);
      await tx.unsafe(`CREATE TABLE ${NEXT}.${table} (LIKE ${LIVE}.${table} INCLUDING ALL EXCLUDING INDEXES)`);
      const indexes = await tx<{ name: string; definition: string; constraint: string | null }[]>`
        SELECT c.relname AS name, pg_get_indexdef(i.indexrelid) AS definition, pg_get_constraintdef(k.oid) AS constraint
        FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid LEFT JOIN pg_constraint k ON k.conindid = i.indexrelid AND k.conrelid = i.indrelid
        WHERE i.indrelid = ${`${LIVE}.${table}`}::text::regclass`;
      for (const { name, definition, constraint } of indexes) {
        const statement = constraint
          ? `ALTER TABLE ${NEXT}.${table} ADD CONSTRAINT ${name} ${constraint}`
          : definition.replace(` ON ${LIVE}.`, ` ON ${NEXT}.`);
        if (constraint || keys.includes(name)) await tx.unsafe(statement);
        else later.push(statement);
      }
    }
    return later;
  }) as Promise<string[]>;

/** An order-free digest of each table. */
const digests = async (sql: SqlClient | Transaction, schema: string, tables: readonly string[]): Promise<string[]> => {
  const found: string[] = [];
  for (const table of tables) {
    const [row] = await sql.unsafe<{ digest: string }[]>(
      `SELECT count(*) || ':' || coalesce(sum(hashtextextended(t::text, 0)::numeric), 0) AS digest FROM ${schema}.${table} t`,
    );
    found.push(row!.digest);
  }
  return found;
};

/** Rebuilds read models beside the live ones. */
export const createRebuilder = ({ sql, log, store, crashPoint }: RebuilderOptions) => {
  // Two lanes may meet in one row from two sides (a sampling unit), and so may the last transaction of a rebuild that was killed.
  const applyAll = (model: ReadModel, events: readonly RecordedEvent[]): Promise<unknown> =>
    patiently(() =>
      sql.begin(async (tx) => {
        enter(tx, NEXT);
        await model.apply(tx, events);
      }),
    );

  /** @throws CannotApply naming the event */
  const apply = async (model: ReadModel, events: readonly RecordedEvent[]): Promise<void> => {
    if (events.length === 0) return;
    try {
      await applyAll(model, events);
    } catch (cause) {
      if (isTransient(cause)) throw cause;
      for (const event of events)
        await applyAll(model, [event]).catch((error: unknown) => {
          throw isTransient(error) ? error : new CannotApply(model.name, event, error);
        });
    }
  };

  /** Folds (after, upTo] into the next tables, by lanes where the model has them. */
  const build = async (
    model: ReadModel,
    after: Position,
    upTo: Position,
    skips: ReadonlySet<bigint>,
    lanes: ReturnType<NonNullable<ReadModel['lanes']>> | undefined,
    done: (events: number) => void,
  ): Promise<void> => {
    const busy: Promise<void>[] = Array.from({ length: LANES }, () => Promise.resolve());
    let failure: unknown;
    const queue = (lane: number, events: readonly RecordedEvent[]): void => {
      busy[lane] = busy[lane]!.then(() => (failure ? undefined : apply(model, events))).catch((error: unknown) => {
        failure ??= error;
      });
    };
    const settle = async (): Promise<void> => {
      await Promise.all(busy);
      if (failure) throw failure;
    };

    /** One page's events between two that need to be alone, by lane. */
    let parts: RecordedEvent[][] = Array.from({ length: LANES }, () => []);
    const spread = (): void => {
      parts.forEach((part, lane) => part.length > 0 && queue(lane, part));
      parts = Array.from({ length: LANES }, () => []);
    };

    let at = after;
    let coming = log.readAll({ after: at, limit: PAGE });
    try {
      while (at < upTo) {
        const page = await coming;
        if (page.length === 0) break;
        const last = page.at(-1)!.position;
        coming = last < upTo ? log.readAll({ after: last, limit: PAGE }) : Promise.resolve([]);
        coming.catch(() => undefined);
        const wanted = page.filter(({ position, type }) => position <= upTo && model.handles.has(type) && !skips.has(position));
        if (!lanes) {
          await settle();
          queue(0, wanted);
        } else {
          const before = [...busy];
          for (const event of wanted) {
            const key = lanes(event);
            if (key !== undefined) {
              parts[laneOf(key)]!.push(event);
              continue;
            }
            spread();
            await settle();
            queue(0, [event]);
            await settle();
          }
          spread();
          await Promise.all(before); // one page waits while another is written: memory stays bounded
          if (failure) throw failure;
        }
        done(page.length);
        at = last;
      }
    } finally {
      await Promise.all(busy);
      await coming.catch(() => undefined);
    }
    if (failure) throw failure;
  };

  /** The live model's digests and position in one snapshot, once it has come to `from`; undefined when it doesn't. */
  const liveDigests = async (model: ReadModel, from: Position) => {
    const until = Date.now() + PATIENCE;
    for (;;) {
      const { position, owner, problem } = await store.look(model.name);
      if (position >= from) break;
      if (owner === undefined || problem || Date.now() > until) return undefined;
      await pause(50);
    }
    return (await sql.begin('ISOLATION LEVEL REPEATABLE READ READ ONLY', async (tx) => {
      const [row] = await tx<{ position: string }[]>`SELECT position FROM read.checkpoints WHERE projection = ${model.name}`;
      const at = toPosition(row!.position);
      return at > (await log.head()) ? undefined : { position: at, digests: await digests(tx, LIVE, model.tables) };
    })) as { position: Position; digests: string[] } | undefined;
  };

  /** The next tables take the live ones' place if they stand where those do, or can be brought there with a few events more. */
  const trySwitch = async (model: ReadModel, at: Position, skips: ReadonlySet<bigint>): Promise<Position | undefined> =>
    (await sql.begin(async (tx) => {
      await tx`SELECT set_config('lock_timeout', ${LOCK_TIMEOUT}, true), set_config('search_path', ${NEXT}, true)`;
      const [row] = await tx<{ position: string }[]>`
        SELECT position FROM read.checkpoints WHERE projection = ${model.name} FOR UPDATE`;
      const live = toPosition(row!.position);
      // A checkpoint beyond the log's end is of a log that is no more.
      const behind = live > at && live <= (await log.head());
      if (behind) {
        const rest = await log.readAll({ after: at, limit: LAST_STEP + 1 });
        const missing = rest.filter(({ position }) => position <= live);
        if (missing.length > LAST_STEP) return undefined;
        const wanted = missing.filter(({ position, type }) => model.handles.has(type) && !skips.has(position));
        if (wanted.length > 0) await model.apply(tx, wanted);
      }
      await replace(tx, model, NEXT, true);
      await tx`
        INSERT INTO read.previous (projection, position) VALUES (${model.name}, ${live.toString()})
        ON CONFLICT (projection) DO UPDATE SET position = excluded.position, replaced_at = now()`;
      const now = behind ? live : at;
      // The epoch stops a commit that was prepared for the tables that have just left.
      await tx`
        UPDATE read.checkpoints SET position = ${now.toString()}, epoch = epoch + 1, problem = NULL, moved_at = now()
        WHERE projection = ${model.name}`;
      crashPoint?.('rebuild.before-switch');
      return now;
    })) as Position | undefined;

  /** The tables of `from` become the live ones; the live ones become the previous. */
  const replace = async (tx: Transaction, { tables }: ReadModel, from: string, dropPrevious: boolean): Promise<void> => {
    const all = tables.map((table) => `${LIVE}.${table}`).join(', ');
    await tx.unsafe(`LOCK TABLE ${all} IN ACCESS EXCLUSIVE MODE`);
    for (const table of tables) {
      if (dropPrevious) await tx.unsafe(`DROP TABLE IF EXISTS ${PREVIOUS}.${table}`);
      // Aside first: the names are taken on both sides when a switch is undone.
      else await tx.unsafe(`ALTER TABLE ${from}.${table} SET SCHEMA ${NEXT}`);
      await tx.unsafe(`ALTER TABLE ${LIVE}.${table} SET SCHEMA ${PREVIOUS}`);
      await tx.unsafe(`ALTER TABLE ${NEXT}.${table} SET SCHEMA ${LIVE}`);
    }
  };

  const isLockTimeout = (error: unknown): boolean => ['55P03', '40P01'].includes((error as { code?: string }).code ?? '');
  const patiently = async <T>(attempt: () => Promise<T>): Promise<T> => {
    for (let tries = 1; ; tries++) {
      try {
        return await attempt();
      } catch (error) {
        if (!isLockTimeout(error) || tries >= SWITCH_TRIES) throw error;
        await pause(200);
      }
    }
  };

  /** One rebuild of a model at a time, whichever process asks: the lock goes with its connection. */
  const alone = async <T>(name: string, work: () => Promise<T>): Promise<T> => {
    const guard = postgres({ ...(sql.options as unknown as Options<never>), max: 1, idle_timeout: 0 } as Options<never>);
    try {
      const [row] = await guard<
        { free: boolean }[]
      >`SELECT pg_try_advisory_lock(hashtextextended(${`vigil rebuild ${name}`}, 0)) AS free`;
      if (!row!.free) throw new RangeError(`${name} is being rebuilt already`);
      return await work();
    } finally {
      await guard.end({ timeout: 5 });
    }
  };

  const rebuildOne = async (model: ReadModel, progress: (at: RebuildProgress) => void): Promise<Rebuilt> => {
    const { name, tables } = model;
    const began = performance.now();
    await sql`INSERT INTO read.checkpoints (projection, position) VALUES (${name}, 0) ON CONFLICT DO NOTHING`;
    const skips = new Set<bigint>((await store.skips(name)).map(({ position }) => position));
    const later = await patiently(() => createNext(sql, model));
    const lanes = model.lanes?.();
    const head = await log.head();
    const total = await log.count(START, head);
    let events = 0;
    const step = (read: number): void => progress({ projection: name, done: Math.min((events += read), total), total });

    await build(model, START, head, skips, lanes, step);
    for (const statement of later) await sql.unsafe(statement);
    for (const table of tables) await sql.unsafe(`ANALYZE ${NEXT}.${table}`);

    let at = head;
    const live = await liveDigests(model, at);
    let digest: DigestCheck | undefined;
    if (live) {
      await build(model, at, live.position, skips, lanes, step);
      at = live.position;
      const rebuilt = await digests(sql, NEXT, tables);
      digest = {
        position: at.toString(),
        equal: rebuilt.every((each, i) => each === live.digests[i]),
        tables: tables.map((table, i) => ({ table, live: live.digests[i]!, rebuilt: rebuilt[i]! })),
      };
    }
    for (;;) {
      const switched = await patiently(() => trySwitch(model, at, skips));
      if (switched !== undefined) {
        crashPoint?.('rebuild.after-switch');
        const seconds = (performance.now() - began) / 1000;
        return { name, events, seconds, position: switched.toString(), ...(digest && { digest }) };
      }
      const now = await log.head();
      await build(model, at, now, skips, lanes, step);
      at = now;
    }
  };

  const columnsOf = (schema: string, tables: readonly string[]) =>
    sql<{ table_name: string; column_name: string; data_type: string }[]>`
      SELECT table_name, column_name, data_type FROM information_schema.columns
      WHERE table_schema = ${schema} AND table_name = ANY (${tables as string[]}::text[]) ORDER BY table_name, ordinal_position`;

  return {
    rebuild: (model: ReadModel, progress: (at: RebuildProgress) => void): Promise<Rebuilt> =>
      alone(model.name, () => rebuildOne(model, progress)),
    goBack: (model: ReadModel): Promise<void> =>
      alone(model.name, async () => {
        const { name, tables } = model;
        const [before] = await sql<{ position: string }[]>`SELECT position FROM read.previous WHERE projection = ${name}`;
        if (!before) throw new RangeError(`no earlier ${name} is kept: it was never rebuilt`);
        const [kept, live] = await Promise.all([columnsOf(PREVIOUS, tables), columnsOf(LIVE, tables)]);
        if (JSON.stringify(kept) !== JSON.stringify(live))
          throw new RangeError(`the ${name} that is kept was made by another version and has other columns; rebuild instead`);
        await patiently(() =>
          sql.begin(async (tx) => {
            await tx`SELECT set_config('lock_timeout', ${LOCK_TIMEOUT}, true)`;
            const [now] = await tx<
              { position: string }[]
            >`SELECT position FROM read.checkpoints WHERE projection = ${name} FOR UPDATE`;
            for (const table of tables) await tx.unsafe(`DROP TABLE IF EXISTS ${NEXT}.${table}`);
            await replace(tx, model, PREVIOUS, false);
            await tx`UPDATE read.previous SET position = ${now!.position}, replaced_at = now() WHERE projection = ${name}`;
            await tx`
              UPDATE read.checkpoints SET position = ${before.position}, epoch = epoch + 1, problem = NULL, moved_at = now()
              WHERE projection = ${name}`;
          }),
        );
      }),
  };
};
