import postgres from 'postgres';
import { socketsFor } from './postgres/socket';

/** Our client: dates and timestamps are read and written as text. */
export type SqlClient = postgres.Sql<{ date: string; array: (string | null)[] }>;

export interface SqlClientOptions {
  /** Connections at most; default 10. */
  readonly max?: number;
  /** Shown in pg_stat_activity. */
  readonly applicationName: string;
  /** Server-side limit of one statement in ms; default 30 000, 0 for none (bulk loads, rebuilds). */
  readonly statementTimeoutMs?: number;
  /**
   * A connection on which an answer is due and nothing has come for so long is closed, ms; 0 for never.
   * Default: 5 s beyond the limit of one statement, never where that has none.
   */
  readonly silenceMs?: number;
  /** Limit of one connection attempt in seconds; default 10. */
  readonly connectTimeoutSeconds?: number;
}

/**
 * A pool that connects when first used; `sql.end({ timeout: seconds })` closes it.
 * int8 and numeric arrive as strings (exact), `date`, `timestamp`, `timestamptz` as strings in ISO form and UTC: a JS Date
 * would shift a plain date by the machine's time zone.
 */
export const connect = (url: string, options: SqlClientOptions): SqlClient => {
  const statementTimeoutMs = options.statementTimeoutMs ?? 30_000;
  const silenceMs = options.silenceMs ?? (statementTimeoutMs > 0 ? statementTimeoutMs + 5_000 : 0);
  return postgres(url, {
    ...{ socket: socketsFor(silenceMs) }, // an option that the driver's types don't name
    max: options.max ?? 10,
    connect_timeout: options.connectTimeoutSeconds ?? 10,
    prepare: true,
    onnotice: () => undefined,
    // Its look-up of array types on every new connection rejects unhandled when that backend is killed meanwhile.
    fetch_types: false,
    backoff: (attempt: number) => Math.min(0.05 * 2 ** attempt, 1),
    types: {
      date: { to: 1184, from: [1082, 1114, 1184], serialize: asText, parse: (text: string) => text },
      // Arrays of int4, text, date and uuid: all that statements take and answer.
      array: { to: 1009, from: [1007, 1009, 1182, 2951], serialize: arrayLiteral, parse: fromArrayLiteral },
    },
    connection: {
      application_name: options.applicationName,
      statement_timeout: statementTimeoutMs,
      TimeZone: 'UTC',
      DateStyle: 'ISO',
    },
  });
};

const arrayLiteral = (values: readonly (string | number | null)[]): string =>
  `{${values.map((value) => (value === null ? 'NULL' : `"${String(value).replace(/[\\"]/g, '\\$&')}"`)).join()}}`;

/** One dimension, as text. */
const fromArrayLiteral = (text: string): (string | null)[] =>
  [...text.slice(1, -1).matchAll(/"((?:[^"\\]|\\.)*)"|([^,]+)/g)].map(([, quoted, plain]) =>
    quoted !== undefined ? quoted.replace(/\\(.)/g, '$1') : plain === 'NULL' ? null : plain!,
  );

const asText = (value: unknown): string => (value instanceof Date ? value.toISOString() : String(value));
