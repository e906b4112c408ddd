import { runHistory, type History } from './history';
import { MUTANTS, type MutantName } from './mutants';

const LANES = 16;

/** Histories from one seed on, until one breaks a promise; that one. */
const firstFailure = async (from: number, count: number, mutant?: MutantName): Promise<History | undefined> => {
  let next = from;
  const failed: History[] = [];
  const lane = async (): Promise<void> => {
    while (next < from + count && failed.length === 0) {
      const history = await runHistory({ seed: next++, mutant });
      if (history.violations.length > 0) failed.push(history);
    }
  };
  await Promise.all(Array.from({ length: LANES }, lane));
  return failed.sort((a, b) => a.seed - b.seed)[0];
};

const traceOf = async (seed: number, mutant?: MutantName): Promise<string> => {
  const lines: string[] = [];
  const { violations, digest, events } = await runHistory({ seed, mutant, keep: (line) => lines.push(line) });
  return [...lines, ...violations.map(({ promise, what }) => `${promise} ${what}`), `${digest} ${events}`].join('\n');
};

it('keeps every promise in 3,000 histories, whatever fails in them', async () => {
  expect(await firstFailure(1, 3_000)).toBeUndefined();
}, 60_000);

/** By which promise each mutant is found out. */
const CAUGHT_BY: Record<MutantName, readonly string[]> = {
  'ack-before-commit': ['I1'],
  'new-id-on-retry': ['I6'],
  'no-unique-key': ['I6'],
  'high-water-read': ['I3', 'I5'],
  'split-checkpoint': ['I2', 'I5'],
  'checkpoint-first': ['I3', 'I5'],
  unfenced: ['I2', 'I5', 'lease'],
  'no-epoch': ['lease'],
  'lease-ignored': ['lease'],
  'park-knows-no-streams': ['I8'],
  'halt-skips': ['I5', 'I8'],
};

it.each(Object.keys(MUTANTS) as MutantName[])(
  'finds out the mutant %s within 2,000 histories',
  async (mutant) => {
    const failure = await firstFailure(1, 2_000, mutant);
    expect(failure).toBeDefined();
    expect(failure!.violations.map(({ promise }) => promise)).toEqual(
      expect.arrayContaining([expect.stringMatching(CAUGHT_BY[mutant].join('|'))]),
    );
  },
  60_000,
);

it('lives through the same history twice, byte for byte, alone or among others', async () => {
  const seeds = Array.from({ length: 60 }, (_, n) => 7_000 + n);
  const alone: string[] = [];
  for (const seed of seeds) alone.push(await traceOf(seed));
  expect(await Promise.all(seeds.map((seed) => traceOf(seed)))).toEqual(alone);
  expect(new Set(alone).size).toBe(seeds.length);
  expect(alone.join('\n')).toMatch(/process crashed[^]*lost reply[^]*paused/);
});

it('gives a failing history again from its seed', async () => {
  const { seed } = (await firstFailure(1, 2_000, 'split-checkpoint'))!;
  const trace = await traceOf(seed, 'split-checkpoint');
  expect(trace).toMatch(/^I\d /m);
  expect(await traceOf(seed, 'split-checkpoint')).toBe(trace);
});
