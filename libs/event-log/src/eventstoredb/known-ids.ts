/** What one needs to know of a stream to decide about an append. */
export interface Known {
  /** Its last revision when it was looked at; -1: it didn't exist. */
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
  const streams = new Map<string, Known>();
  let ids = 0;
  return {
    get: (stream: string): Known | undefined => streams.get(stream),
    /** Keeps it as the one used last; the longest unused ones go. */
    keep: (stream: string, known: Known, added: number): void => {
      ids += added;
      streams.delete(stream);
      streams.set(stream, known);
      for (const [oldest, { ids: gone }] of streams) {
        if (ids <= MOST) break;
        streams.delete(oldest);
        ids -= gone.size;
      }
    },
  };
};
