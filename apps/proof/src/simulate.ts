import { lightenAbort } from '@vigil/testing';
import { parseArgs } from 'node:util';
import { runHistory, type History } from './simulation/history';
import { isMutant, MUTANTS, type MutantName } from './simulation/mutants';

const USAGE = `npm run simulate -- [--seed S] [--histories N] [--seconds T] [--mutant NAME] [--trace]

  --seed S        first seed; each further history takes the next one (default: by the clock, and printed)
  --histories N   how many (default 20000, or as many as --seconds allows)
  --seconds T     stop after T seconds
  --mutant NAME   build a known fault in: ${Object.keys(MUTANTS).join(', ')}
  --trace         print the history line by line (with --histories 1)

A failure prints its seed and its trace, and ends with 1.`;

/** Histories under way at once in this process: each is alone in its world, and together they wait less for the event loop. */
const LANES = 16;
/** Lines of a failed history's trace that are printed; the rest is had with --trace. */
const TRACE_LINES = 200;

interface Totals {
  histories: number;
  events: number;
  acknowledged: number;
  lost: number;
  doubled: number;
  healedAfter: number;
  readonly faults: Map<string, number>;
  readonly failed: History[];
}

interface Task {
  readonly seed: number;
  readonly histories: number;
  readonly isOver: () => boolean;
  readonly mutant: MutantName | undefined;
}

/** Runs histories of consecutive seeds until there are enough, it is over, or one has failed. */
const runMany = async ({ seed, histories, isOver, mutant }: Task): Promise<Totals> => {
  const totals: Totals = {
    histories: 0,
    events: 0,
    acknowledged: 0,
    lost: 0,
    doubled: 0,
    healedAfter: 0,
    faults: new Map(),
    failed: [],
  };
  let next = seed;
  const lane = async (): Promise<void> => {
    while (next < seed + histories && totals.failed.length === 0 && !isOver()) {
      const history = await runHistory({ seed: next++, mutant });
      totals.histories++;
      totals.events += history.events;
      totals.acknowledged += history.acknowledged;
      totals.lost += history.lost;
      totals.doubled += history.doubled;
      totals.healedAfter = Math.max(totals.healedAfter, history.healedAfter);
      for (const [kind, count] of history.faults) totals.faults.set(kind, (totals.faults.get(kind) ?? 0) + count);
      if (history.violations.length > 0) totals.failed.push(history);
    }
  };
  await Promise.all(Array.from({ length: LANES }, lane));
  totals.failed.sort((a, b) => a.seed - b.seed);
  return totals;
};

const print = (line: string): void => void process.stdout.write(`${line}\n`);
const number = (value: number): string => Math.round(value).toLocaleString('en-US');

const report = (totals: Totals, seconds: number): void => {
  // On a machine that others use too, only the processor's own seconds say what a history costs.
  const { user, system } = process.cpuUsage();
  print(
    `${number(totals.histories)} histories in ${seconds.toFixed(1)} s: ${number(totals.histories / seconds)} a second, ` +
      `${number((totals.histories / (user + system)) * 1e6)} a second of processor time`,
  );
  print(
    `events ${number(totals.events)}, acknowledged ${number(totals.acknowledged)}, lost ${totals.lost}, doubled ${totals.doubled}`,
  );
  print(
    `longest from the end of the faults until all was projected: ${(totals.healedAfter / 1000).toFixed(1)} s of virtual time`,
  );
  print('faults injected:');
  for (const [kind, count] of [...totals.faults].sort(([, a], [, b]) => b - a)) print(`  ${number(count).padStart(12)}  ${kind}`);
};

/** Runs one history again with its trace. */
const replay = async (seed: number, mutant: MutantName | undefined): Promise<History & { lines: string[] }> => {
  const lines: string[] = [];
  return { ...(await runHistory({ seed, mutant, keep: (line) => lines.push(line) })), lines };
};

const options = {
  seed: { type: 'string' },
  histories: { type: 'string' },
  seconds: { type: 'string' },
  mutant: { type: 'string' },
  trace: { type: 'boolean', default: false },
  help: { type: 'boolean', default: false },
} as const;

const whole = (name: string, text: string): number => {
  const value = Number(text);
  if (!Number.isSafeInteger(value) || value < 0) throw new RangeError(`--${name} takes a whole number, not ${text}`);
  return value;
};

const run = async (argv: string[]): Promise<number> => {
  const { values } = parseArgs({ args: argv, options });
  if (values.help) return (print(USAGE), 0);
  const seed = values.seed === undefined ? Date.now() : whole('seed', values.seed);
  const seconds = values.seconds === undefined ? Infinity : whole('seconds', values.seconds);
  const histories = values.histories === undefined ? (values.seconds ? Infinity : 20_000) : whole('histories', values.histories);
  const { mutant } = values;
  if (mutant !== undefined && !isMutant(mutant)) throw new RangeError(`there is no mutant ${mutant}\n\n${USAGE}`);

  if (values.trace) {
    const { lines, violations } = await replay(seed, mutant);
    lines.forEach(print);
    for (const { promise, what } of violations) print(`${promise}: ${what}`);
    return violations.length > 0 ? 1 : 0;
  }
  print(`seeds from ${seed}${mutant ? `, mutant ${mutant}: ${MUTANTS[mutant].what}` : ''}`);
  const started = performance.now();
  let stopped = false;
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => (stopped = true));
  const isOver = (): boolean => stopped || performance.now() >= started + seconds * 1000;
  const totals = await runMany({ seed, histories, mutant, isOver });
  report(totals, (performance.now() - started) / 1000);
  const [first] = totals.failed;
  if (first === undefined) return 0;
  const { lines, violations } = await replay(first.seed, mutant);
  print(`\nseed ${first.seed} broke a promise:`);
  for (const { promise, what } of violations) print(`  ${promise}: ${what}`);
  print('\nits history (virtual ms, who, what):');
  lines.slice(-TRACE_LINES).forEach(print);
  print(`\nagain: npm run simulate -- --seed ${first.seed} --trace${mutant ? ` --mutant ${mutant}` : ''}`);
  return 1;
};

/** The command. Ends with 1 when a history broke a promise, with 2 when it was called wrongly. */
export const main = async (argv: string[]): Promise<void> => {
  // An error's stack costs more than ten steps of a history, and nobody reads those of simulated faults.
  Error.stackTraceLimit = 0;
  lightenAbort();
  try {
    process.exitCode = await run(argv);
  } catch (error) {
    process.stderr.write(`${(error as Error).message}\n`);
    process.exitCode = 2;
  }
};
