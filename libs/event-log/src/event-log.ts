/**
 * The event log's port. It stores bytes and knows no domain event by name.
 *
 * Order: positions are the commit order. Whoever has read up to a position has read everything that
 * will ever stand at or below it; holes may exist and never fill later.
 */

declare const positionBrand: unique symbol;
/** A place in the log with a total order. Opaque: compare and pass on, never compute with. */
export type Position = bigint & { readonly [positionBrand]: true };
export const position = (value: bigint | string | number): Position => BigInt(value) as Position;
/** Before the first event. */
export const START = position(0n);

export interface NewEvent {
  /** Caller-made UUID. A retry with an unknown outcome reuses it; that makes the retry harmless. */
  readonly id: string;
  /** Wire name, e.g. `InjuryReported`. */
  readonly type: string;
  /** Schema version of the payload, from 1. */
  readonly version: number;
  /** JSON text, kept byte for byte. */
  readonly data: string;
  /** JSON text, kept byte for byte: source, sender's id, actor. */
  readonly metadata: string;
  /** 128 bits as UUID text over what the sender sent: tells a repeat from another content under the same id. */
  readonly fingerprint: string;
}

export interface RecordedEvent extends NewEvent {
  readonly position: Position;
  readonly stream: string;
  /** 0-based, dense within the stream. */
  readonly revision: number;
  /** UTC instant `…Z`, never decreasing along positions. */
  readonly recordedAt: string;
}

/** `none`: the stream must not exist. A number: its last revision. `any`: no check. */
export type ExpectedRevision = 'any' | 'none' | number;

export interface AppendRequest {
  readonly stream: string;
  readonly expected: ExpectedRevision;
  /** At least one; all become durable together or not at all. */
  readonly events: readonly NewEvent[];
}

/** Outcomes are data: one request's conflict doesn't disturb its neighbours in a batch. */
export type AppendOutcome =
  /** Durable now. Revision and position of the request's last event. */
  | { readonly kind: 'appended'; readonly revision: number; readonly position: Position }
  /** These very events were durable already; where they stand. */
  | { readonly kind: 'duplicate'; readonly revision: number; readonly position: Position }
  /** The stream moved; `actual` is its last revision, null when it doesn't exist. */
  | { readonly kind: 'conflict'; readonly actual: number | null }
  /** An event id is taken by another content, stream or grouping. */
  | { readonly kind: 'id-conflict'; readonly eventId: string };

/** In an all-or-none append: would have been written, had another request not been refused. */
export type AtomicOutcome = AppendOutcome | { readonly kind: 'aborted' };

export interface ReadAll {
  /** Exclusive. */
  readonly after: Position;
  readonly limit: number;
}

export interface ReadStream {
  /** Inclusive; default 0 forwards, the end backwards. */
  readonly from?: number;
  readonly limit?: number;
  readonly direction?: 'forwards' | 'backwards';
}

export interface Subscription {
  readonly after: Position;
  /** Most events in one page; default 1,000. */
  readonly pageSize?: number;
  readonly signal: AbortSignal;
}

/** What a store promises beyond the contract's core; a caller refuses in words what it can't have. */
export interface Guarantees {
  /** Where an event id is looked up before it is taken: in the whole log, or only in its own stream. */
  readonly uniqueIds: 'log' | 'stream';
  /** Whether `appendAtomic` takes requests to more than one stream. */
  readonly atomicAcrossStreams: boolean;
}

/** Of a restore: events written now, and events that stood here already. */
export interface Restored {
  readonly written: number;
  readonly present: number;
}

export interface EventLog {
  readonly guarantees: Guarantees;
  /**
   * Resolves when durable. Rejects with {@link LogUnavailable} when the outcome is unknown: retry with the same ids;
   * with a RangeError, before anything is tried, what no store could keep (no event, an id that is no UUID, an empty text, NUL, U+001E, half a character).
   */
  append(request: AppendRequest): Promise<AppendOutcome>;
  /** Many independent requests; outcomes in order, and requests to one stream are written in order. Same meaning as `append`. */
  appendMany(requests: readonly AppendRequest[]): Promise<AppendOutcome[]>;
  /**
   * All requests or none, in one transaction: when any is a conflict or an id-conflict nothing is written and the others
   * answer `aborted`. Requests name distinct streams and event ids; at most 10,000 events.
   * Rejects with {@link NotOffered}, nothing tried, where the store has no such transaction.
   */
  appendAtomic(requests: readonly AppendRequest[]): Promise<AtomicOutcome[]>;
  /**
   * Moves a log: writes events of another one at the end of this one, in their order, with id, stream, revision, `recordedAt`
   * and every byte as they were; positions are this log's own. At most 10,000 at a time; nobody else appends meanwhile.
   * Events that stand here already are passed over, so a broken-off move goes on by repeating its last page.
   * Rejects with {@link LogMismatch} at the first event that stands here otherwise, or whose stream has moved on.
   */
  restore(events: readonly RecordedEvent[]): Promise<Restored>;
  readStream(stream: string, options?: ReadStream): Promise<RecordedEvent[]>;
  readAll(options: ReadAll): Promise<RecordedEvent[]>;
  /** Position of the last event, {@link START} when empty. */
  head(): Promise<Position>;
  /** The last position recorded at or before a UTC instant. */
  positionAt(instant: string): Promise<Position>;
  /** Number of events in (after, upTo]. */
  count(after: Position, upTo: Position): Promise<number>;
  /** Catches up from `after`, then follows live, page by page, until the signal aborts. */
  subscribe(options: Subscription): AsyncIterable<RecordedEvent[]>;
  /** Waits for appends under way and ends subscriptions; leaves no timer or connection of its own. */
  close(): Promise<void>;
}

/** The store couldn't be reached or didn't answer in time; an append may or may not have happened. */
export class LogUnavailable extends Error {
  override readonly name = 'LogUnavailable';
}

/** The append queue is full: refused before anything was tried. */
export class LogOverloaded extends Error {
  override readonly name = 'LogOverloaded';
}

/** The store has no such operation: nothing was tried, and trying again won't help. */
export class NotOffered extends Error {
  override readonly name = 'NotOffered';
}

/** Two logs that should agree don't; names the first event where. */
export class LogMismatch extends Error {
  override readonly name = 'LogMismatch';
}
