/** What one needs to know of a stream to decide about an append. */
export interface Known {
  /** Everything up to this revision is known; -1: nothing. */
  readonly last: number;
  readonly ids: ReadonlyMap<string, { readonly revision: number; readonly fingerprint: string }>;
}

interface Growing {
  last: number;
  readonly ids: Map<string, { readonly revision: number; readonly fingerprint: string }>;
}

/** Most event ids kept, over all streams: some ten megabytes. */
const MOST = 50_000;

/**
 * The streams appended to of late, so that not every append reads its stream from the beginning. What is kept never becomes wrong,
 * only short: streams only grow, and an append at a revision that is past is refused by the server.
 */
export const createKnownIds = () => {
  const streams = new Map<string, Growing>();
  let ids = 0;
  return {
    get: (stream: string): Known => streams.get(stream) ?? { last: -1, ids: new Map() },
    /**
     * What stands from a revision on. Told twice it is learnt once, for an attempt that its caller gave up may still come to its end
     * beside the next one; what would leave a gap isn't kept.
     */
    learn: (stream: string, from: number, events: readonly { readonly id: string; readonly fingerprint: string }[]): void => {
      if (events.length === 0) return;
      const known = streams.get(stream) ?? { last: -1, ids: new Map() };
      if (from > known.last + 1) return;
      events.forEach(({ id, fingerprint }, index) => {
        const revision = from + index;
        if (revision <= known.last) return;
        known.ids.set(id, { revision, fingerprint });
        known.last = revision;
        ids++;
      });
      streams.delete(stream);
      streams.set(stream, known); // as the one used last; the longest unused ones go
      for (const [oldest, { ids: gone }] of streams) {
        if (ids <= MOST || oldest === stream) break;
        streams.delete(oldest);
        ids -= gone.size;
      }
    },
  };
};
