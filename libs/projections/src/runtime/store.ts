import type { Position, RecordedEvent } from '@vigil/event-log';

/** An event that a projection can't apply. */
export interface Problem {
  readonly position: string;
  readonly type: string;
  readonly message: string;
}

/** Of a projection this instance owns. */
export interface Claim {
  /** Rises with every change of owner and every switch to a rebuilt model: a commit under an older one is refused. */
  readonly epoch: bigint;
  /** Everything up to here is in the read model. */
  readonly position: Position;
  /** What halted it, as long as nobody asked for another try. */
  readonly problem?: Problem;
}

/** A projection as anybody sees it. */
export interface Checkpoint {
  readonly position: Position;
  readonly owner?: string;
  /** Since the owner was last heard of, seconds. */
  readonly heartbeatAge?: number;
  readonly problem?: Problem;
}

/** A step of the checkpoint, taken only by whoever owns the projection and left it at `from`. */
export interface Move {
  readonly projection: string;
  readonly epoch: bigint;
  readonly from: Position;
  readonly to: Position;
}

/** An event for which an effect (publishing, mail) couldn't be done; later ones of its stream wait behind it. */
export interface Parked {
  readonly position: Position;
  readonly stream: string;
  readonly type: string;
  readonly reason: string;
}

/** An event passed over by a person's decision; a rebuild passes over it as well. */
export interface Skip {
  readonly position: Position;
  readonly reason: string;
  readonly by: string;
  readonly at: string;
}

/**
 * What projections stand on: ownership, checkpoints, and the transactions in which they move.
 * `Tx`: what a projector writes through.
 */
export interface ProjectionStore<Tx> {
  /** Takes the projection for `owner`, or keeps it; undefined while another living instance has it. */
  claim(projection: string, owner: string): Promise<Claim | undefined>;
  /** Gives it up, so that the next instance needn't wait for the lease to run out. */
  release(projection: string, owner: string): Promise<void>;
  look(projection: string): Promise<Checkpoint>;
  /** One transaction: the effect, and the checkpoint's move. @throws CheckpointMoved, nothing done */
  commit(move: Move, effect: (tx: Tx) => Promise<void>): Promise<void>;
  /** Writes down what halted it; undefined asks its owner for another try. */
  note(projection: string, problem: Problem | undefined): Promise<void>;

  skips(projection: string): Promise<Skip[]>;
  /** Decides that an event is passed over; a parked one is parked no more. Nothing is decided of one that was done meanwhile. */
  skip(projection: string, position: Position, reason: string, by: string): Promise<void>;

  /** By position. */
  parked(projection: string): Promise<Parked[]>;
  /** Within a commit. */
  park(tx: Tx, projection: string, event: RecordedEvent, reason: string): Promise<void>;
  /** One transaction: the effect of a parked event, and its leaving the park. @throws CheckpointMoved when the epoch is past or it isn't parked */
  settle(projection: string, epoch: bigint, position: Position, effect: (tx: Tx) => Promise<void>): Promise<void>;
}

/** The checkpoint stood elsewhere, or under another owner: this instance no longer runs the projection. */
export class CheckpointMoved extends Error {
  override readonly name = 'CheckpointMoved';
}
