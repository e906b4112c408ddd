import { position } from '@vigil/event-log';
import type { SqlClient } from '@vigil/platform';
import postgres, { type Options } from 'postgres';
import type { Transaction } from './projector';
import { CheckpointMoved, type Problem, type ProjectionStore } from './store';

/** A lease whose holder is connected but silent ends after this. */
const LEASE = '10s';
/** Where the live models are. */
export const LIVE = 'read';

const parsed = (problem: string | null): { problem?: Problem } => (problem ? { problem: JSON.parse(problem) as Problem } : {});

export type PostgresProjectionStore = ProjectionStore<Transaction> & {
  /** Lets go of the connection that the leases hang on; the next claim opens another. */
  close(): Promise<void>;
};

/**
 * Within a transaction: unqualified names mean this schema; a crash may take the commit back (the log still has the events);
 * and a process that stands still in it keeps the checkpoint's row no longer than its lease.
 */
export const enter = (tx: Transaction, schema: string): void => {
  // Not waited for: when it fails the next statement fails as well.
  tx`
    SELECT set_config('search_path', ${schema}, true), set_config('synchronous_commit', 'off', true),
           set_config('idle_in_transaction_session_timeout', ${LEASE}, true)`.catch(() => undefined);
};

/** Ownership and checkpoints in PostgreSQL, in the database of the read models. The schema is `PROJECTION_MIGRATIONS`. */
export const createPostgresStore = ({ sql }: { readonly sql: SqlClient }): PostgresProjectionStore => {
  let holder: SqlClient | undefined;
  /** A connection of its own that lives as long as this instance: with it the leases end. One from a pool may be closed for idleness. */
  const held = (): SqlClient =>
    (holder ??= postgres({
      ...(sql.options as unknown as Options<never>),
      max: 1,
      idle_timeout: 0,
      max_lifetime: null,
    } as Options<never>) as unknown as SqlClient);
  const ensured = new Set<string>();

  return {
    claim: async (projection, owner) => {
      if (!ensured.has(projection)) {
        await sql`INSERT INTO read.checkpoints (projection, position) VALUES (${projection}, 0) ON CONFLICT DO NOTHING`;
        ensured.add(projection);
      }
      const [row] = await held()<{ epoch: string; position: string; problem: string | null }[]>`
        UPDATE read.checkpoints c SET
          epoch = c.epoch + (c.owner IS DISTINCT FROM ${owner})::int,
          owner = ${owner}, lease_until = clock_timestamp() + ${LEASE}::text::interval, heartbeat_at = clock_timestamp(),
          backend = pg_backend_pid(), backend_start = (SELECT a.backend_start FROM pg_stat_activity a WHERE a.pid = pg_backend_pid())
        WHERE projection = ${projection} AND (
          c.owner IS NULL OR c.owner = ${owner} OR c.lease_until < clock_timestamp()
          OR NOT EXISTS (SELECT FROM pg_stat_activity a WHERE a.pid = c.backend AND a.backend_start = c.backend_start))
        RETURNING epoch, position, problem`;
      return row && { epoch: BigInt(row.epoch), position: position(row.position), ...parsed(row.problem) };
    },
    release: async (projection, owner) => {
      await sql`UPDATE read.checkpoints SET owner = NULL, lease_until = '-infinity' WHERE projection = ${projection} AND owner = ${owner}`;
    },
    look: async (projection) => {
      const [row] = await sql<{ position: string; owner: string | null; age: number | null; problem: string | null }[]>`
        SELECT position, owner, extract(epoch FROM clock_timestamp() - heartbeat_at)::float8 AS age, problem
        FROM read.checkpoints WHERE projection = ${projection}`;
      return {
        position: position(row?.position ?? 0),
        ...(row?.owner && { owner: row.owner, heartbeatAge: row.age ?? undefined }),
        ...parsed(row?.problem ?? null),
      };
    },
    commit: async ({ projection, epoch, from, to }, effect) => {
      await sql.begin(async (tx) => {
        enter(tx, LIVE);
        const moved = await tx`
          UPDATE read.checkpoints SET position = ${to.toString()}, moved_at = now(), lease_until = clock_timestamp() + ${LEASE}::text::interval
          WHERE projection = ${projection} AND position = ${from.toString()} AND epoch = ${epoch.toString()}`;
        if (moved.count !== 1)
          throw new CheckpointMoved(`${projection} is no longer at ${from} under this instance (epoch ${epoch})`);
        await effect(tx);
      });
    },
    note: async (projection, problem) => {
      await sql`UPDATE read.checkpoints SET problem = ${problem ? JSON.stringify(problem) : null} WHERE projection = ${projection}`;
    },

    skips: async (projection) =>
      (
        await sql<{ position: string; reason: string; decided_by: string; decided_at: string }[]>`
          SELECT position, reason, decided_by, to_char(decided_at, 'YYYY-MM-DD"T"HH24:MI:SS"Z"') AS decided_at
          FROM read.skips WHERE projection = ${projection} ORDER BY position`
      ).map((row) => ({
        position: position(row.position),
        reason: row.reason,
        by: row.decided_by,
        at: row.decided_at,
      })),
    skip: async (projection, at, reason, by) => {
      await sql.begin(async (tx) => {
        // Locked in the order that `settle` locks: what was done meanwhile isn't said to be passed over.
        const [row] = await tx<
          { position: string }[]
        >`SELECT position FROM read.checkpoints WHERE projection = ${projection} FOR UPDATE`;
        const parked = await tx`DELETE FROM read.parked WHERE projection = ${projection} AND position = ${at.toString()}`;
        if (parked.count === 0 && row && position(row.position) >= at) return;
        await tx`
          INSERT INTO read.skips (projection, position, reason, decided_by) VALUES (${projection}, ${at.toString()}, ${reason}, ${by})
          ON CONFLICT DO NOTHING`;
      });
    },

    parked: async (projection) =>
      (
        await sql<{ position: string; stream: string; type: string; reason: string }[]>`
          SELECT position, stream, type, reason FROM read.parked WHERE projection = ${projection} ORDER BY position`
      ).map((row) => ({ position: position(row.position), stream: row.stream, type: row.type, reason: row.reason })),
    park: async (tx, projection, event, reason) => {
      await tx`
        INSERT INTO read.parked (projection, position, stream, type, reason)
        VALUES (${projection}, ${event.position.toString()}, ${event.stream}, ${event.type}, ${reason})`;
    },
    settle: async (projection, epoch, at, effect) => {
      await sql.begin(async (tx) => {
        enter(tx, LIVE);
        const settled = await tx`
          DELETE FROM read.parked WHERE projection = ${projection} AND position = ${at.toString()}
            AND EXISTS (SELECT FROM read.checkpoints c WHERE c.projection = ${projection} AND c.epoch = ${epoch.toString()} FOR UPDATE)`;
        if (settled.count !== 1) throw new CheckpointMoved(`${projection} has no parked event at ${at} under epoch ${epoch}`);
        await effect(tx);
      });
    },
    close: async () => {
      const closing = holder;
      holder = undefined;
      await closing?.end({ timeout: 5 });
    },
  };
};
