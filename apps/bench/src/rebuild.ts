import { importFile } from '@vigil/feeds';
import { request } from './append';
import { median, NEISS, NEISS_ROWS, openWorld, quantile, seconds, sharedFile, whole, type Figure, type World } from './world';

/** From the append's start until the read models hold it, ms, at a steady trickle until `done`. */
const liveWhile = async ({ log, projections }: World, done: Promise<unknown>): Promise<{ acks: number[]; held: number[] }> => {
  const acks: number[] = [];
  const held: number[] = [];
  let going = true;
  void done.finally(() => (going = false));
  const waits: Promise<void>[] = [];
  while (going) {
    const began = performance.now();
    const outcome = await log.append(request());
    acks.push(performance.now() - began);
    if (outcome.kind === 'appended')
      waits.push(projections.waitFor(outcome.position, 60_000).then(() => void held.push(performance.now() - began)));
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  await Promise.all(waits);
  return { acks, held };
};

/** Rebuilds through the real projections, beside live traffic and without. */
export const benchRebuild = async (rounds: number): Promise<Figure[]> => {
  const file = sharedFile(NEISS);
  if (!file) return [{ what: 'rebuild: not run, ../shared/data is not there', value: '–' }];
  const world = await openWorld();
  try {
    await importFile({ log: world.log }, { path: file, mapping: 'neiss-under2' });
    await world.projections.start();
    await world.projections.waitFor(await world.log.head(), 600_000);
    const alone: number[] = [];
    let equal = true;
    for (let round = 0; round < rounds; round++) {
      const [rebuilt] = await world.projections.rebuild('injury-facts');
      equal &&= rebuilt!.digest?.equal === true;
      alone.push(rebuilt!.seconds);
    }
    const quiet = await liveWhile(world, new Promise((resolve) => setTimeout(resolve, 10_000)));
    let took = 0;
    const beside = await liveWhile(
      world,
      seconds(() => world.projections.rebuild('injury-facts')).then((s) => (took = s)),
    );
    const rate = NEISS_ROWS / median(alone);
    const p99 = (values: readonly number[]): number => quantile(values, 0.99);
    const ackRatio = p99(beside.acks) / p99(quiet.acks);
    const heldRatio = p99(beside.held) / p99(quiet.held);
    return [
      {
        what: 'rebuild of injury-facts beside the live one, compared and switched',
        value: `${whole(rate)} events/s (${median(alone).toFixed(1)} s)`,
        aim: '≥ 60,000',
        met: rate >= 60_000,
      },
      { what: 'digests of live and rebuilt model', value: equal ? 'equal' : 'DIFFERENT', aim: 'equal', met: equal },
      {
        what: 'append p99, without / beside a rebuild',
        value: `${p99(quiet.acks).toFixed(1)} / ${p99(beside.acks).toFixed(1)} ms`,
        aim: '< 2 ×',
        met: ackRatio < 2,
      },
      {
        what: 'append to read model p99, without / beside a rebuild',
        value: `${p99(quiet.held).toFixed(1)} / ${p99(beside.held).toFixed(1)} ms`,
        aim: '< 2 ×',
        met: heldRatio < 2,
      },
      { what: 'that rebuild, with the live traffic', value: `${took.toFixed(1)} s` },
    ];
  } finally {
    await world.close();
  }
};
