import type { RecordedEvent } from '@vigil/event-log';
import type { SqlClient } from '@vigil/platform';
import type { TransactionSql } from 'postgres';

export type Transaction = TransactionSql<{ date: string; array: (string | null)[] }>;

/** One read model: which events it handles, how a page of them changes it, and how it is emptied. */
export interface Projector {
  readonly name: string;
  readonly handles: ReadonlySet<string>;
  /** In one transaction with the checkpoint, so an effect is there exactly when the checkpoint says so. Throws on an event it can't apply. */
  readonly apply: (tx: Transaction, events: readonly RecordedEvent[]) => Promise<void>;
  readonly empty: (tx: Transaction) => Promise<void>;
  /** Around a rebuild: what is dearer to maintain row by row than to make anew, such as secondary indexes. */
  readonly beforeBulk?: (sql: SqlClient) => Promise<void>;
  readonly afterBulk?: (sql: SqlClient) => Promise<void>;
}
