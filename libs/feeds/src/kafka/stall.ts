import type { PartitionLag } from './broker';

export interface Stalled {
  readonly topic: string;
  readonly partition: number;
  readonly lag: bigint;
  /** Since when nothing of it was settled, ms. */
  readonly forMs: number;
}

export interface StallDetector {
  /**
   * What is seen now of the partitions that are this consumer's own, at a time in ms. `excused`: it waits for something else on
   * purpose (the log is away), so that nothing is held against it.
   */
  look(now: number, lags: readonly PartitionLag[], excused: boolean): Stalled | undefined;
}

/**
 * Finds the partition in which records wait and none was settled for `ms`: a client that hangs says nothing of it. `gapMs`: the most
 * that counts between two looks, for a broker that was away for a while let nobody settle anything.
 */
export const createStallDetector = (ms: number, gapMs: number): StallDetector => {
  let seen = new Map<string, { readonly settled: bigint; readonly quiet: number }>();
  let last: number | undefined;
  return {
    look: (now, lags, excused) => {
      const passed = last === undefined ? 0 : Math.min(now - last, gapMs);
      last = now;
      const next = new Map<string, { readonly settled: bigint; readonly quiet: number }>();
      let worst: Stalled | undefined;
      for (const { topic, partition, settled, lag } of lags) {
        const key = `${topic}/${partition}`;
        const before = seen.get(key);
        const still = before !== undefined && before.settled === settled && lag > 0n && !excused;
        const quiet = still ? before.quiet + passed : 0;
        next.set(key, { settled, quiet });
        if (quiet >= ms && (!worst || quiet > worst.forMs)) worst = { topic, partition, lag, forMs: quiet };
      }
      seen = next;
      return worst;
    },
  };
};
