import type { Position } from '@vigil/event-log';

/** Where a projection stands. */
export interface ProjectionStatus {
  readonly name: string;
  readonly state: 'stopped' | 'catching-up' | 'live' | 'rebuilding' | 'halted';
  /** Everything up to here is in the read model. */
  readonly position: Position;
  readonly head: Position;
  readonly lagEvents: number;
  /** Age of the oldest event not yet projected; 0 when there is none. */
  readonly lagSeconds: number;
  /** Why it halted: the event it can't apply. A wrong rate is worse than a late one. */
  readonly problem?: { readonly position: string; readonly type: string; readonly message: string };
}

export interface RebuildProgress {
  readonly projection: string;
  readonly done: number;
  readonly total: number;
}

export interface Projections {
  /** Follows the log until `stop`. */
  start(): Promise<void>;
  stop(): Promise<void>;
  status(): Promise<ProjectionStatus[]>;
  /** Whether every projection holds everything up to `position` within `ms`. */
  waitFor(position: Position, ms: number): Promise<boolean>;
  /** Empties one read model (or all) and folds the log from zero. Queries meanwhile are refused as stale. */
  rebuild(
    name: string | undefined,
    progress?: (at: RebuildProgress) => void,
  ): Promise<{ name: string; events: number; seconds: number }[]>;
  /** Called after each committed page with the lowest position that all projections hold; returns the unsubscriber. */
  onMoved(listener: (position: Position) => void): () => void;
}
