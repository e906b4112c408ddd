import { createHash } from 'node:crypto';
import type { Sql } from 'postgres';

/** One step of a schema. Never edited once released: a changed step is a new step. */
export interface Migration {
  /** Sorts and names the step for ever, e.g. `log/001-events`. */
  readonly id: string;
  readonly sql: string;
}

/** Serialises starters that share a database; any constant not used elsewhere would do. */
const MIGRATION_LOCK = 7_420_001;

/**
 * Brings a database up to the given steps, each in a transaction of its own, once.
 * Throws when a step that was applied reads otherwise now: the database belongs to another build.
 */
export const migrate = async (sql: Sql, migrations: readonly Migration[]): Promise<string[]> => {
  const applied: string[] = [];
  await sql.begin(async (tx) => {
    await tx`SELECT pg_advisory_xact_lock(${MIGRATION_LOCK})`;
    await tx`CREATE TABLE IF NOT EXISTS public.vigil_migrations (id text PRIMARY KEY, checksum text NOT NULL, applied_at timestamptz NOT NULL DEFAULT now())`;
    const known = new Map(
      (await tx`SELECT id, checksum FROM public.vigil_migrations`).map((row) => [row.id as string, row.checksum as string]),
    );
    for (const { id, sql: text } of migrations) {
      const checksum = createHash('sha256').update(text).digest('hex');
      const before = known.get(id);
      if (before === checksum) continue;
      if (before !== undefined)
        throw new Error(`migration ${id} was applied with another text; this database was made by another build of Vigil`);
      await tx.unsafe(text);
      await tx`INSERT INTO public.vigil_migrations (id, checksum) VALUES (${id}, ${checksum})`;
      applied.push(id);
    }
  });
  return applied;
};
