import { createSimulation } from '@vigil/testing';
import { position, START, type RecordedEvent } from './event-log';
import { createTail } from './tail';

/** A tail over a log that grows when told to, and what a follower of it has seen when. */
const followed = (readMs = 0, events = 0) => {
  const simulation = createSimulation(1);
  const { clock } = simulation.process('follower');
  const start = simulation.now();
  const log: RecordedEvent[] = [];
  const grow = (count: number): void => {
    for (let n = 0; n < count; n++) log.push({ position: position(log.length + 1) } as RecordedEvent);
  };
  grow(events);
  const seen: [count: number, after: number][] = [];
  const abort = new AbortController();
  const tail = createTail({
    pollMs: 500,
    readAll: async ({ after, limit }) => {
      const page = log.slice(Number(after), Number(after) + limit);
      await clock.sleep(readMs);
      return page;
    },
    timer: (ms, wake) => {
      let cancelled = false;
      void clock.sleep(ms).then(() => cancelled || wake());
      return () => void (cancelled = true);
    },
  });
  let ended = false;
  void (async () => {
    for await (const page of tail.subscribe({ after: START, pageSize: 2, signal: abort.signal }))
      seen.push([page.length, simulation.now() - start]);
    ended = true;
  })();
  return {
    tail,
    abort,
    seen,
    hasEnded: () => ended,
    at: (ms: number, what: () => void) => simulation.after(ms, what),
    grow,
    run: (ms: number) => simulation.run(() => false, start + ms),
  };
};

it('brings what is there page by page, then what comes when it looks again', async () => {
  const { grow, at, run, seen } = followed(0, 3);
  at(700, () => grow(1));
  await run(2_000);
  expect(seen).toEqual([
    [2, 0],
    [1, 0],
    [1, 1_000],
  ]);
});

it('looks at once when woken, and again when woken while an empty page was on its way', async () => {
  const { grow, at, run, seen, tail } = followed(100);
  at(150, () => (grow(1), tail.wakeAll())); // waits: an empty page came at 100
  at(300, () => (grow(1), tail.wakeAll())); // reads: the page asked for at 250 will be empty
  await run(450);
  expect(seen).toEqual([
    [1, 250],
    [1, 450],
  ]);
});

it('ends where the signal aborts or the log is closed', async () => {
  for (const how of ['abort', 'close'] as const) {
    const { at, run, tail, abort, hasEnded } = followed();
    at(100, () => (how === 'abort' ? abort.abort() : tail.close()));
    await run(99);
    expect(hasEnded()).toBe(false);
    await run(101);
    expect(hasEnded()).toBe(true);
  }
});
