import postgres from 'postgres';

/** Our client: dates and timestamps are read and written as text. */
export type SqlClient = postgres.Sql<{ date: string }>;

export interface SqlClientOptions {
  /** Connections at most; default 10. */
  readonly max?: number;
  /** Shown in pg_stat_activity. */
  readonly applicationName: string;
  /** Server-side limit of one statement in ms; default 30 000, 0 for none (bulk loads, rebuilds). */
  readonly statementTimeoutMs?: number;
  /** Limit of one connection attempt in seconds; default 10. */
  readonly connectTimeoutSeconds?: number;
}

/**
 * A pool that connects when first used; `sql.end({ timeout: seconds })` closes it.
 * int8 and numeric arrive as strings (exact), `date`, `timestamp`, `timestamptz` as strings in ISO form and UTC: a JS Date
 * would shift a plain date by the machine's time zone.
 */
export const connect = (url: string, options: SqlClientOptions): SqlClient =>
  postgres(url, {
    max: options.max ?? 10,
    connect_timeout: options.connectTimeoutSeconds ?? 10,
    prepare: true,
    onnotice: () => undefined,
    types: { date: { to: 1184, from: [1082, 1114, 1184], serialize: asText, parse: (text: string) => text } },
    connection: {
      application_name: options.applicationName,
      statement_timeout: options.statementTimeoutMs ?? 30_000,
      TimeZone: 'UTC',
      DateStyle: 'ISO',
    },
  });

const asText = (value: unknown): string => (value instanceof Date ? value.toISOString() : String(value));
