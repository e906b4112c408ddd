import type { SqlClient } from '@vigil/platform';
import { scan, type Cells, type Plan } from './scan';
import { CODED, createFactTable, NotForColumns, type FactRow, type FactTable, type Segment } from './table';

/** Positions read at once. */
const STEP = 20_000;
/** A question waits until columns that are no more than this behind have caught up. */
const SHORT = 5_000;

/**
 * Which facts columns hold: those of one table, as the log had them at a position, with so many events passed over by decision
 * up to there. What a table says of positions up to its checkpoint never changes, but by a switch to another table.
 */
export interface Held {
  readonly table: string;
  readonly position: number;
  readonly skips: number;
}
/** The same as it stands in the database; the epoch rises with every switch. */
export interface Standing extends Held {
  readonly epoch: number;
}

/** All of the snapshot that asks: the system's own tables are read in it as any other. */
export const STANDING = `
SELECT c.oid::text AS "table", coalesce(k.position, 0)::float8 AS position, coalesce(k.epoch, 0)::float8 AS epoch,
  (SELECT count(*)::int FROM read.skips s WHERE s.projection = 'injury-facts' AND s.position <= $1::float8::bigint) AS skips
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace LEFT JOIN read.checkpoints k ON k.projection = 'injury-facts'
WHERE n.nspname = 'read' AND c.relname = 'injury_facts'`;

const COLUMNS = `
  day - date '1970-01-01', age,
  eligible::int + 2 * counted::int + CASE WHEN death <= 30 THEN 4 WHEN death IS NOT NULL THEN 8 ELSE 0 END,
  ${CODED.map((name) => `coalesce(${name}, '')`).join(' || chr(31) || ')}`;
/** Rows begun after $1 up to $2, as they were known at $3. */
const BEGUN = `
SELECT known_from::float8, CASE WHEN known_to <= $3::float8::bigint THEN known_to::float8 END, ${COLUMNS}
FROM read.injury_facts WHERE known_from > $1::float8::bigint AND known_from <= $2::float8::bigint`;
/** Rows that $3 still knew and that ended after $1 up to $2. The constant is that of the index. */
const ENDED = `
SELECT known_from::float8, known_to::float8, ${COLUMNS}
FROM read.injury_facts
WHERE known_to > $1::float8::bigint AND known_to <= $2::float8::bigint AND known_to < 9223372036854775807 AND known_from <= $3::float8::bigint`;

/** Holds the facts in columns and brings them up to date when it is asked. Opens no transaction: no step of it depends on another's snapshot. */
export const createKeeper = (sql: SqlClient) => {
  let kept: { readonly table: FactTable; held: Held } | undefined;
  let catching: Promise<void> | undefined;
  /** What the next question is told; for ever where trying again is no use. */
  let failure: unknown;

  const look = async (upTo: number): Promise<Standing> => {
    const [held] = await sql.unsafe<Standing[]>(STANDING, [upTo], { prepare: true });
    if (!held) throw new Error('there is no table of facts');
    return { ...held };
  };
  const rows = (text: string, parameters: number[]): Promise<FactRow[]> =>
    sql.unsafe(text, parameters, { prepare: true }).values() as unknown as Promise<FactRow[]>;

  /** In steps, the next of which is read while one is folded. */
  const inSteps = async (
    after: number,
    upTo: number,
    read: (from: number, to: number) => Promise<FactRow[]>,
    take: (rows: FactRow[]) => void,
  ) => {
    let coming = read(after, Math.min(upTo, after + STEP));
    for (let at = after; at < upTo; at += STEP) {
      const found = await coming;
      if (at + STEP < upTo) coming = read(at + STEP, Math.min(upTo, at + 2 * STEP));
      coming.catch(() => undefined);
      take(found);
    }
  };

  const isSame = (one: Standing, other: Standing): boolean => one.table === other.table && one.epoch === other.epoch;

  const load = async (): Promise<void> => {
    kept = undefined;
    const now = await look(0);
    const { skips } = await look(now.position);
    const table = createFactTable();
    const segments: Segment[] = [];
    await inSteps(
      0,
      now.position,
      (from, to) => rows(BEGUN, [from, to, now.position]),
      (found) => segments.push(table.encode(found)),
    );
    const then = await look(now.position);
    // What was read while tables changed places may be of both; the next question begins anew.
    if (!isSame(now, then) || then.skips !== skips) return;
    table.add(segments);
    kept = { table, held: { table: now.table, position: now.position, skips } };
  };

  const catchUp = async (): Promise<void> => {
    if (!kept) return load();
    const { table, held } = kept;
    const now = await look(held.position);
    if (now.table !== held.table || now.skips !== held.skips || now.position < held.position) return load();
    if (now.position === held.position) return;
    const after = held.position;
    const upTo = now.position;
    const begun: Segment[] = [];
    const ended: FactRow[] = [];
    await inSteps(
      after,
      upTo,
      (from, to) => rows(BEGUN, [from, to, upTo]),
      (found) => begun.push(table.encode(found)),
    );
    await inSteps(
      after,
      upTo,
      (from, to) => rows(ENDED, [from, to, after]),
      (found) => ended.push(...found),
    );
    const then = await look(upTo);
    if (!isSame(now, then)) return load();
    // At once: no question sees it half done. When it fails nothing is kept, for the table may be.
    kept = undefined;
    for (const row of ended) table.close(row);
    table.add(begun);
    kept = { table, held: { table: held.table, position: upTo, skips: then.skips } };
  };

  /** One at a time. */
  const current = (): Promise<void> =>
    (catching ??= catchUp()
      .catch((error: unknown) => {
        kept = undefined;
        failure = error;
      })
      .finally(() => {
        catching = undefined;
      }));
  const throwFailure = (): void => {
    const error = failure;
    if (!(error instanceof NotForColumns)) failure = undefined;
    if (error !== undefined) throw error;
  };

  return {
    /** Undefined: not up to that position shortly; it catches up meanwhile. @throws what the last catching up failed of */
    count: async (plan: Plan): Promise<{ readonly held: Held; readonly cells: Cells } | undefined> => {
      throwFailure();
      if (!kept || kept.held.position < plan.position) {
        const isShort = kept !== undefined && plan.position - kept.held.position <= SHORT;
        const coming = current();
        if (!isShort) return undefined;
        await coming;
        throwFailure();
      }
      if (!kept || kept.held.position < plan.position) return undefined;
      const cells = scan(kept.table, plan);
      return cells && { held: kept.held, cells };
    },
    /** Resolves when it holds what the database holds now, or couldn't. */
    current,
    get held(): Held | undefined {
      return kept?.held;
    },
    get rows(): number {
      return kept?.table.rows ?? 0;
    },
  };
};
export type Keeper = ReturnType<typeof createKeeper>;
