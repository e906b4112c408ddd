import { START, type EventLog, type Position } from '@vigil/event-log';

export interface FeedView {
  readonly feed: string;
  /** Events in the log that came by this feed. */
  readonly accepted: number;
  /** Repeats and refusals leave no event; counted since this server started. */
  readonly duplicates: number;
  readonly rejected: number;
  readonly lastEvent: { readonly position: string; readonly type: string; readonly recordedAt: string } | null;
}

export interface FeedTally {
  /** What a push came to; rejected records leave nothing in the log. */
  count(feed: string, outcome: { readonly duplicates: number; readonly rejected: number }): void;
  /** Every feed that was heard of, by code, the log read to its end. */
  all(): Promise<FeedView[]>;
  one(feed: string): Promise<FeedView | undefined>;
}

const PAGE = 5_000;

/** Counts events by feed. It reads on from where it stood each time it's asked: nothing is kept that the log doesn't say. */
export const createFeedTally = (log: EventLog): FeedTally => {
  const feeds = new Map<string, { accepted: number; duplicates: number; rejected: number; lastEvent: FeedView['lastEvent'] }>();
  let at: Position = START;
  let reading: Promise<void> | undefined;
  const entry = (feed: string) => {
    const found = feeds.get(feed) ?? { accepted: 0, duplicates: 0, rejected: 0, lastEvent: null };
    feeds.set(feed, found);
    return found;
  };
  const read = async (): Promise<void> => {
    for (;;) {
      const page = await log.readAll({ after: at, limit: PAGE });
      for (const { metadata, position, type, recordedAt } of page) {
        const { feed } = JSON.parse(metadata) as { feed?: unknown };
        if (typeof feed !== 'string') continue;
        const one = entry(feed);
        one.accepted++;
        one.lastEvent = { position: position.toString(), type, recordedAt };
      }
      at = page.at(-1)?.position ?? at;
      if (page.length < PAGE) return;
    }
  };
  const all = async (): Promise<FeedView[]> => {
    await (reading ??= read().finally(() => (reading = undefined)));
    return [...feeds].map(([feed, counts]) => ({ feed, ...counts })).sort((a, b) => (a.feed < b.feed ? -1 : 1));
  };
  return {
    count: (feed, { duplicates, rejected }) => {
      const one = entry(feed);
      one.duplicates += duplicates;
      one.rejected += rejected;
    },
    all,
    one: async (feed) => (await all()).find((view) => view.feed === feed),
  };
};
