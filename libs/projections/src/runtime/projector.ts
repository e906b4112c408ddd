import type { RecordedEvent } from '@vigil/event-log';
import type { TransactionSql } from 'postgres';

export type Transaction = TransactionSql<{ date: string; array: (string | null)[] }>;

/** Which events a projection handles, and how a page of them changes what it keeps. */
export interface Projector<Tx = Transaction> {
  readonly name: string;
  readonly handles: ReadonlySet<string>;
  /**
   * `model`: counts; an event it can't apply halts it, for a wrong rate is worse than a late one.
   * `effect`: acts on the world; an event it can't act on is parked with the later ones of its stream, the others go on.
   */
  readonly kind: 'model' | 'effect';
  /** In one transaction with the checkpoint, so an effect is there exactly when the checkpoint says so. Throws on an event it can't apply. */
  readonly apply: (tx: Tx, events: readonly RecordedEvent[]) => Promise<void>;
}

/**
 * A projection into tables. They are named without a schema: the transaction's search path says whether the live
 * model is written or one that is being rebuilt beside it. Keeps nothing in memory between two calls of `apply`.
 */
export interface ReadModel extends Projector {
  readonly kind: 'model';
  readonly tables: readonly string[];
  /** Indexes that `apply` finds its rows by. The others are made once a rebuilt model is full. */
  readonly keys: readonly string[];
  /**
   * For a parallel rebuild, called once per rebuild: events with one key are applied in their order, those with different
   * keys in any; one without a key after all before it and before all after it.
   */
  readonly lanes?: () => (event: RecordedEvent) => string | undefined;
}
