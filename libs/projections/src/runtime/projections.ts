import type { Position } from '@vigil/event-log';
import type { Parked, Problem, Skip } from './store';

/** Where a projection stands. */
export interface ProjectionStatus {
  readonly name: string;
  readonly kind: 'model' | 'effect';
  /** `waiting`: another instance runs it. `halted`: it met an event it can't apply; its answers stand at `position`. */
  readonly state: 'stopped' | 'waiting' | 'catching-up' | 'live' | 'halted';
  /** Everything up to here is in the read model. */
  readonly position: Position;
  readonly head: Position;
  readonly lagEvents: number;
  /** Age of the oldest event not yet projected; 0 when there is none. */
  readonly lagSeconds: number;
  /** Who runs it, and how long ago it was heard of; absent when nobody does. */
  readonly owner?: string;
  readonly heartbeatSeconds?: number;
  /** Why it halted, or why its oldest parked event is parked. */
  readonly problem?: Problem;
  /** Events passed over by a person's decision: they are missing in its answers. */
  readonly skips: readonly Skip[];
  /** Of an effect: events waiting for another try, by position. */
  readonly parked: readonly Parked[];
}

export interface RebuildProgress {
  readonly projection: string;
  readonly done: number;
  readonly total: number;
}

/** Of the live model and the rebuilt one at the same position. */
export interface DigestCheck {
  readonly position: string;
  readonly equal: boolean;
  readonly tables: readonly { readonly table: string; readonly live: string; readonly rebuilt: string }[];
}

export interface Rebuilt {
  readonly name: string;
  readonly events: number;
  readonly seconds: number;
  /** Everything up to here was in the rebuilt model when it took the live one's place. */
  readonly position: string;
  /** Absent when the live model stood at no position that both could be compared at: it had halted, or nobody ran it. */
  readonly digest?: DigestCheck;
}

/** One table of a read model against an independent fold of the log up to its checkpoint. */
export interface TableCheck {
  readonly table: string;
  readonly rows: number;
  readonly missing: number;
  readonly surplus: number;
  readonly different: number;
  /** The first that isn't equal, by key. */
  readonly first?: { readonly key: string; readonly expected?: string; readonly found?: string };
}
export interface Checked {
  readonly name: string;
  readonly position: string;
  readonly equal: boolean;
  readonly tables: readonly TableCheck[];
}

export interface Projections {
  /** Follows the log until `stop`. Projections that another instance runs are waited for. */
  start(): Promise<void>;
  stop(): Promise<void>;
  status(): Promise<ProjectionStatus[]>;
  /** Whether every projection holds everything up to `position` within `ms`. */
  waitFor(position: Position, ms: number): Promise<boolean>;
  /** Called after each committed page with the lowest position that all projections hold; returns the unsubscriber. */
  onMoved(listener: (position: Position) => void): () => void;
  /**
   * Folds the log from zero into tables beside the live ones, compares both at an equal position, and puts the new ones in
   * their place in one transaction. Answers come from the old ones until then; those are kept for `goBack`.
   * @throws RangeError an unknown name
   */
  rebuild(name: string | undefined, progress?: (at: RebuildProgress) => void): Promise<Rebuilt[]>;
  /** Compares read models with a fold of the log by independent code; changes nothing. Holds the fold in memory. @throws RangeError an unknown name */
  check(name: string | undefined): Promise<Checked[]>;
  /** Puts the model back that the last rebuild replaced; it goes on from where it stood. @throws RangeError there is none */
  goBack(name: string): Promise<void>;
  /** Tries the event again that halted it, or the parked ones. @throws RangeError an unknown name */
  retry(name: string): Promise<void>;
  /** Passes over the event that halted it, or a parked one. @throws RangeError unknown name, or the projection doesn't stand before that event */
  skip(name: string, at: Position, reason: string, by: string): Promise<void>;
}
