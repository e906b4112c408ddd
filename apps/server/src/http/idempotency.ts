import { setTimeout as sleep } from 'node:timers/promises';
import { randomUUID } from 'node:crypto';
import type { Logger, Migration, SqlClient } from '@vigil/platform';
import { HttpProblem } from './problem';

/** The server's own step of the schema; everything else it knows is in the log. */
export const API_MIGRATIONS: readonly Migration[] = [
  {
    id: 'api/001-idempotency',
    sql: `
CREATE SCHEMA api;
-- command_id is drawn once, when the key is first seen, and committed before anything is appended: whoever repeats
-- the request after a crash runs the same command, and the log holds it once.
CREATE TABLE api.idempotency (
  scope       text NOT NULL,
  key         text NOT NULL,
  fingerprint uuid NOT NULL,
  command_id  uuid NOT NULL,
  made_at     timestamptz NOT NULL DEFAULT now(),
  held_until  timestamptz NOT NULL,
  status      smallint,
  headers     text,
  body        text,
  PRIMARY KEY (scope, key)
);
CREATE INDEX idempotency_by_age ON api.idempotency (made_at);
`,
  },
];

/** An answer as it can be kept and sent again. */
export interface KeptAnswer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
}

export interface Keyed {
  /** Method and path: the same key elsewhere is another key. */
  readonly scope: string;
  readonly key: string;
  readonly fingerprint: string;
}

export interface Idempotency {
  /**
   * Runs a request once per key within 24 hours; a repeat gets the first answer, `replayed`. A refused request (4xx)
   * changed nothing and leaves the key free; one that failed keeps its command id for the repeat.
   * @throws HttpProblem 422 `idempotency-key-reused`, 409 `idempotency-key-in-use`
   */
  once(keyed: Keyed, run: (commandId: string) => Promise<KeptAnswer>): Promise<KeptAnswer & { readonly replayed: boolean }>;
  /** Frees the keys that a killed process held. */
  release(): Promise<void>;
  close(): void;
}

const KEPT = '24 hours';
/** Longer than any handler may run. */
const HELD = '70 seconds';
/** How long a repeat waits for the first to finish. */
const PATIENCE_MS = 10_000;
const PURGE_MS = 10 * 60_000;

const CLAIM = `
  INSERT INTO api.idempotency AS k (scope, key, fingerprint, command_id, held_until)
  VALUES ($1, $2, $3, $4, now() + interval '${HELD}')
  ON CONFLICT (scope, key) DO UPDATE SET
    fingerprint = excluded.fingerprint, held_until = excluded.held_until, status = NULL, headers = NULL, body = NULL,
    command_id = CASE WHEN k.made_at < now() - interval '${KEPT}' THEN excluded.command_id ELSE k.command_id END,
    made_at    = CASE WHEN k.made_at < now() - interval '${KEPT}' THEN now() ELSE k.made_at END
  WHERE k.made_at < now() - interval '${KEPT}'
     OR (k.status IS NULL AND k.held_until < now() AND k.fingerprint = excluded.fingerprint)
  RETURNING command_id`;

interface Row {
  fingerprint: string;
  status: number | null;
  headers: string | null;
  body: string | null;
}

export const createIdempotency = (sql: SqlClient, logger: Logger): Idempotency => {
  const purge = (): void =>
    void sql`DELETE FROM api.idempotency WHERE made_at < now() - ${KEPT}::text::interval`.catch((err: unknown) =>
      logger.warn({ err }, 'expired idempotency keys not removed'),
    );
  const timer = setInterval(purge, PURGE_MS).unref();

  const claim = async ({ scope, key, fingerprint }: Keyed): Promise<string | undefined> => {
    const [row] = await sql.unsafe<{ command_id: string }[]>(CLAIM, [scope, key, fingerprint, randomUUID()], { prepare: true });
    return row?.command_id;
  };

  const settle = async ({ scope, key }: Keyed, commandId: string, answer: KeptAnswer | undefined): Promise<void> => {
    if (answer && answer.status < 300)
      await sql`
        UPDATE api.idempotency SET status = ${answer.status}, headers = ${JSON.stringify(answer.headers)}, body = ${answer.body}
        WHERE scope = ${scope} AND key = ${key} AND command_id = ${commandId}`;
    else if (answer) await sql`DELETE FROM api.idempotency WHERE scope = ${scope} AND key = ${key} AND command_id = ${commandId}`;
    else
      await sql`UPDATE api.idempotency SET held_until = now() WHERE scope = ${scope} AND key = ${key} AND command_id = ${commandId}`;
  };

  const execute = async (
    keyed: Keyed,
    commandId: string,
    run: (commandId: string) => Promise<KeptAnswer>,
  ): Promise<KeptAnswer> => {
    let answer: KeptAnswer | undefined;
    let refusal: KeptAnswer | undefined;
    try {
      answer = await run(commandId);
      return answer;
    } catch (error) {
      if (error instanceof HttpProblem && error.status < 500) refusal = { status: error.status, headers: {}, body: '' };
      throw error;
    } finally {
      // An answer that couldn't be kept is still true: the repeat runs the same command id and finds it done.
      await settle(keyed, commandId, answer ?? refusal).catch((err: unknown) =>
        logger.warn({ err }, 'idempotent answer not kept'),
      );
    }
  };

  return {
    once: async (keyed, run) => {
      const until = Date.now() + PATIENCE_MS;
      for (;;) {
        const commandId = await claim(keyed);
        if (commandId !== undefined) return { ...(await execute(keyed, commandId, run)), replayed: false };
        const [row] = await sql<
          Row[]
        >`SELECT fingerprint, status, headers, body FROM api.idempotency WHERE scope = ${keyed.scope} AND key = ${keyed.key}`;
        if (!row) continue;
        if (row.fingerprint !== keyed.fingerprint)
          throw new HttpProblem(422, 'idempotency-key-reused', {
            zh: '该 Idempotency-Key 已用于另一内容;不同的请求请用新的键',
            en: 'this Idempotency-Key came before with another body; use a new key for another request',
          });
        if (row.status !== null)
          return {
            status: row.status,
            headers: JSON.parse(row.headers!) as Record<string, string>,
            body: row.body!,
            replayed: true,
          };
        if (Date.now() > until)
          throw new HttpProblem(
            409,
            'idempotency-key-in-use',
            {
              zh: '带该 Idempotency-Key 的请求仍在处理;请稍后重试',
              en: 'the first request of this Idempotency-Key is still running; try again shortly',
            },
            { headers: { 'Retry-After': '2' } },
          );
        await sleep(50);
      }
    },
    release: async () => {
      await sql`UPDATE api.idempotency SET held_until = now() WHERE status IS NULL`;
      purge();
    },
    close: () => clearInterval(timer),
  };
};
