import { START, type EventLog } from '@vigil/event-log';
import { readMessagesBatch } from '@event-driven-io/emmett-postgresql';
import { dumbo } from '@event-driven-io/dumbo';
import { randomUUID } from 'node:crypto';
import { besideEmmett, request, theirEvents, type Peers } from './append';
import { median, seconds, whole, type Figure } from './world';

const EVENTS = 200_000;
const PAGE = 1_000;
const WRITERS = 16;
const WRITE_MS = 8_000;

/** The whole log, page by page, every payload parsed. */
const readOurs = async (log: EventLog): Promise<number> => {
  let n = 0;
  let coming = log.readAll({ after: START, limit: PAGE });
  for (;;) {
    const page = await coming;
    if (page.length === 0) return n;
    coming = log.readAll({ after: page.at(-1)!.position, limit: PAGE });
    for (const event of page) if (JSON.parse(event.data)) n++;
  }
};

const readTheirs = async (execute: Parameters<typeof readMessagesBatch>[0]): Promise<number> => {
  let n = 0;
  let coming = readMessagesBatch(execute, { after: -1n, batchSize: PAGE });
  for (;;) {
    const { messages } = await coming;
    if (messages.length === 0) return n;
    coming = readMessagesBatch(execute, { after: messages.at(-1)!.metadata.globalPosition, batchSize: PAGE });
    for (const { data } of messages) if (data) n++;
  }
};

/** Writers write while a subscription follows; what it has seen 10 s after the last acknowledgement. */
const delivered = async (
  append: () => Promise<unknown>,
  follow: (seen: (n: number) => void) => Promise<() => Promise<unknown>>,
): Promise<{ written: number; seen: number }> => {
  let written = 0;
  let seen = 0;
  const stop = await follow((n) => (seen += n));
  const until = performance.now() + WRITE_MS;
  await Promise.all(
    Array.from({ length: WRITERS }, async () => {
      while (performance.now() < until) {
        await append();
        written++;
      }
    }),
  );
  for (let waited = 0; seen < written && waited < 10_000; waited += 100) await new Promise((resolve) => setTimeout(resolve, 100));
  await stop();
  return { written, seen };
};

const followOurs = async ({ log }: Peers, seen: (n: number) => void): Promise<() => Promise<unknown>> => {
  const abort = new AbortController();
  const after = await log.head();
  const done = (async () => {
    for await (const page of log.subscribe({ after, signal: abort.signal })) seen(page.length);
  })();
  return async () => {
    abort.abort();
    await done;
  };
};

/** Reading back, beside emmett on the same server, and following. */
export const benchRead = (rounds: number): Promise<Figure[]> =>
  besideEmmett(async (peers) => {
    const { log, emmett, emmettUrl } = peers;
    for (let n = 0; n < EVENTS; n += 10_000) await log.appendMany(Array.from({ length: 10_000 }, () => request()));
    for (let n = 0; n < EVENTS; n += 1_000) await emmett.appendToStream(`injury-${randomUUID()}`, theirEvents(1_000));
    const pool = dumbo({ connectionString: emmettUrl });
    const ours: number[] = [];
    const theirs: number[] = [];
    try {
      for (let round = 0; round < rounds; round++) {
        let n = 0;
        ours.push((1 / (await seconds(async () => (n = await readOurs(log))))) * n);
        theirs.push((1 / (await seconds(async () => (n = await readTheirs(pool.execute))))) * n);
      }
    } finally {
      await pool.close();
    }
    const ratio = median(ours.map((value, i) => value / theirs[i]!));
    const figures: Figure[] = [
      {
        what: `read-all of ${whole(EVENTS)} events, parsed: ours / emmett`,
        value: `${whole(median(ours))} / ${whole(median(theirs))} events/s`,
        aim: '≥ 100,000',
        met: median(ours) >= 100_000,
      },
      { what: 'ours ÷ emmett', value: ratio.toFixed(1), aim: '≥ 5', met: ratio >= 5 },
    ];
    const mine = await delivered(
      () => log.append(request()),
      (seen) => followOurs(peers, seen),
    );
    figures.push({
      what: `catch-up subscription beside ${WRITERS} writers: ours`,
      value: `${whole(mine.seen)} of ${whole(mine.written)} delivered`,
      aim: 'all',
      met: mine.seen === mine.written,
    });
    return figures;
  });
