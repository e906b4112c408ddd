import { injuries } from '@vigil/cli/src/simulate/chapters/injuries';
import { population, UNIT_CODES } from '@vigil/cli/src/simulate/district';
import { FALL_PROGRAMME, programmeStarts } from '@vigil/cli/src/simulate/truth';
import { effectOf, monthsBetween, type EffectInput, type EffectMethod, type EffectUnit } from '@vigil/indicators';
import { wilson } from '@vigil/statistics';
import { dayNumber, daysInYear, localDate, periodOf } from '@vigil/vocabulary';
import { parseArgs } from 'node:util';

/**
 * Does the effect that the engine finds hold the true one as often as its interval says? Stories of a made-up district, whose fall
 * programme prevents a known share of falls, are counted as the engine counts them and put to `effectOf`.
 */

const USAGE = `effect-recovery [--seeds N] [--seed S] [--months M] [--until YYYY-MM] [--spread V]

  --seeds N         how many districts (default 1000), each a seed, from --seed on (default 1)
  --months M        of the story (default 36), the last of them --until (default 2026-06)
  --spread V        besides the story's chance, a month's risk varies with this variance (default 0): counts wilder than Poisson

Ends with 1 when the method that auto takes holds the truth in fewer than 93 % of the intervals beyond what chance explains.`;

export interface World {
  readonly months: number;
  /** `YYYY-MM`, the last month. */
  readonly until: string;
  /** Variance of a month's relative risk in a unit, beside the story's own chance. */
  readonly spread: number;
}

const CARD_FALL = FALL_PROGRAMME.cause;
const TIME_ZONE = 'Asia/Shanghai';

interface Card {
  readonly community: string;
  readonly occurredAt?: string;
  readonly knownAt: string;
  readonly visit: string;
  readonly age?: { readonly value: number; readonly unit: string };
  readonly mechanism: { readonly code: string };
}

const monthOf = (text: string): string => (text.length === 10 ? text : localDate(text, TIME_ZONE)).slice(0, 7);

/** Falls at 65 and over by unit and month, of what was known at the end of the last month. */
const fallsOf = (seed: number, months: readonly string[], endYear: number): ReadonlyMap<string, number> => {
  const cards = new Map<string, Card | undefined>();
  const end = dayNumber(periodOf('month', `${months.at(-1)}-01`).end) * 1440;
  const told = injuries(seed, months, endYear).filter(({ at, bad }) => at < end && !bad);
  for (const { event, feed } of told.sort((a, b) => a.at - b.at)) {
    const { data, type, subject } = event;
    const key = `${feed} ${subject}`;
    if (type.includes('.reported.')) cards.set(key, data as unknown as Card);
    else if (type.includes('.retracted.')) cards.set(key, undefined);
    else if (cards.get(key)) cards.set(key, { ...cards.get(key)!, ...(data['replaces'] as Partial<Card>) });
  }
  const falls = new Map<string, number>();
  for (const card of cards.values()) {
    if (card?.visit !== 'first' || card.mechanism.code !== CARD_FALL) continue;
    if (card.age?.unit !== 'year' || card.age.value < FALL_PROGRAMME.ageFrom) continue;
    const key = `${card.community} ${monthOf(card.occurredAt ?? card.knownAt)}`;
    falls.set(key, (falls.get(key) ?? 0) + 1);
  }
  return falls;
};

/** A generator of its own for what isn't in the story: uniform in (0, 1). */
const uniform = (seed: number): (() => number) => {
  let state = BigInt(seed) * 2n + 1n;
  return () => {
    state = (state * 6364136223846793005n + 1442695040888963407n) & ((1n << 64n) - 1n);
    return (Number(state >> 11n) + 0.5) / 2 ** 53;
  };
};

/** Thins a month's events by a risk of mean 1/2 and the relative variance asked: each event stays or goes. */
const thinned = (count: number, next: () => number, spread: number): number => {
  const normal = Math.sqrt(-2 * Math.log(next())) * Math.cos(2 * Math.PI * next());
  const sigma2 = Math.log1p(spread);
  const risk = Math.min(1, 0.5 * Math.exp(Math.sqrt(sigma2) * normal - sigma2 / 2));
  let kept = 0;
  for (let i = 0; i < count; i++) if (next() < risk) kept++;
  return kept;
};

/** The story of one seed as `effectOf` takes it. */
export const districtOf = (seed: number, { months: length, until, spread }: World): readonly EffectUnit[] => {
  const endYear = Number(until.slice(0, 4));
  const months = monthsBetween('1990-01', until).slice(-length);
  const starts = programmeStarts(endYear);
  const falls = fallsOf(seed, months, endYear);
  const next = uniform(seed);
  return UNIT_CODES.map((unit) => ({
    unit,
    role: 'treated',
    startedOn: starts[unit],
    months: months.map((month) => {
      const year = Number(month.slice(0, 4));
      const persons = population(unit, year)
        .filter(({ ageFrom }) => ageFrom >= FALL_PROGRAMME.ageFrom)
        .reduce((sum, cell) => sum + cell.persons, 0);
      const count = falls.get(`${unit} ${month}`) ?? 0;
      return {
        month,
        count: spread > 0 ? thinned(count, next, spread) : count,
        personYears: (persons * periodOf('month', `${month}-01`).days) / daysInYear(year),
      };
    }),
  }));
};

const ASKED = ['auto', 'its', 'did', 'rr'] as const;

export interface Recovery {
  readonly asked: (typeof ASKED)[number];
  readonly answered: number;
  /** Of those, how many intervals hold the truth, lie above it, lie below it. */
  readonly covered: number;
  readonly above: number;
  readonly below: number;
  /** Mean of ln estimate − ln truth, and its standard error. */
  readonly bias: number;
  readonly biasSe: number;
  /** Standard deviation of ln estimate, and the mean of what the intervals take it for. */
  readonly spread: number;
  readonly claimed: number;
  readonly chosen: ReadonlyMap<EffectMethod, number>;
  readonly refused: ReadonlyMap<string, number>;
}

/** How often the truth was recovered. */
export const recover = (districts: Iterable<readonly EffectUnit[]>, truth: number, level = 0.95): readonly Recovery[] => {
  const tallies = ASKED.map((asked) => ({
    asked,
    logs: [] as number[],
    widths: [] as number[],
    sides: { covered: 0, above: 0, below: 0 },
    chosen: new Map<EffectMethod, number>(),
    refused: new Map<string, number>(),
  }));
  const add = <K>(to: Map<K, number>, key: K): void => void to.set(key, (to.get(key) ?? 0) + 1);
  for (const units of districts)
    for (const tally of tallies) {
      const input: EffectInput = { units, washOutMonths: 0, method: tally.asked, level };
      const found = effectOf(input);
      if (!found.ok) {
        add(tally.refused, found.problem.code);
        continue;
      }
      const { value, low, high } = found.estimate;
      add(tally.chosen, found.method);
      tally.logs.push(Math.log(value));
      tally.widths.push(Math.log(high! / low!));
      tally.sides[low! > truth ? 'above' : high! < truth ? 'below' : 'covered']++;
    }
  const mean = (values: readonly number[]) => values.reduce((a, b) => a + b, 0) / values.length;
  return tallies.map(({ asked, logs, widths, sides, chosen, refused }) => {
    const average = mean(logs);
    const spread = Math.sqrt(mean(logs.map((x) => (x - average) ** 2)));
    return {
      asked,
      answered: logs.length,
      ...sides,
      bias: average - Math.log(truth),
      biasSe: spread / Math.sqrt(logs.length),
      spread,
      claimed: mean(widths) / (2 * 1.959964),
      chosen,
      refused,
    };
  });
};

const percent = (share: number): string => `${(100 * share).toFixed(1)} %`;
const list = (of: ReadonlyMap<string, number>): string => [...of].map(([key, n]) => `${key} ${n}`).join(', ') || '–';

const lines = (all: readonly Recovery[]): string[] =>
  all.map(({ asked, answered, covered, above, below, bias, biasSe, spread, claimed, chosen, refused }) => {
    if (answered === 0) return `${asked.padEnd(5)} no answer (${list(refused)})`;
    const { lower, upper } = wilson(covered, answered);
    return [
      asked.padEnd(5),
      `holds it ${percent(covered / answered)} (${percent(lower!)} to ${percent(upper!)})`,
      `too high ${above}, too low ${below}`,
      `bias ${(100 * bias).toFixed(1)} ± ${(100 * biasSe).toFixed(1)} %`,
      `sd ${spread.toFixed(3)}, claimed ${claimed.toFixed(3)}`,
      `taken: ${list(chosen)}`,
      `refused: ${list(refused)}`,
    ].join(' | ');
  });

const options = {
  seeds: { type: 'string', default: '1000' },
  seed: { type: 'string', default: '1' },
  months: { type: 'string', default: '36' },
  until: { type: 'string', default: '2026-06' },
  spread: { type: 'string', default: '0' },
  help: { type: 'boolean', default: false },
} as const;

const whole = (name: string, text: string): number => {
  const value = Number(text);
  if (!Number.isSafeInteger(value) || value < 1) throw new RangeError(`--${name} takes a whole number above 0, not ${text}`);
  return value;
};

const print = (line: string): void => void process.stdout.write(`${line}\n`);

const run = (argv: string[]): number => {
  const { values } = parseArgs({ args: argv, options });
  if (values.help) return (print(USAGE), 0);
  const [seeds, first, months] = [whole('seeds', values.seeds), whole('seed', values.seed), whole('months', values.months)];
  if (!/^\d{4}-(0[1-9]|1[0-2])$/.test(values.until)) throw new RangeError(`--until takes YYYY-MM, not ${values.until}`);
  const spread = Number(values.spread);
  if (!(spread >= 0 && spread <= 1)) throw new RangeError(`--spread takes 0 to 1, not ${values.spread}`);
  const world: World = { months, until: values.until, spread };
  print(
    `${seeds} districts from seed ${first}, ${months} months until ${world.until}, spread ${spread}; truth ${FALL_PROGRAMME.rateRatio}`,
  );
  const districts = function* (): Generator<readonly EffectUnit[]> {
    for (let seed = first; seed < first + seeds; seed++) yield districtOf(seed, world);
  };
  const all = recover(districts(), FALL_PROGRAMME.rateRatio);
  lines(all).forEach(print);
  const auto = all.find(({ asked }) => asked === 'auto')!;
  return auto.answered > 0 && wilson(auto.covered, auto.answered).upper! >= 0.93 ? 0 : 1;
};

/** The command. Ends with 1 when the intervals hold the truth too seldom, with 2 when it was called wrongly. */
export const main = (argv: string[]): void => {
  try {
    process.exitCode = run(argv);
  } catch (error) {
    process.stderr.write(`${(error as Error).message}\n`);
    process.exitCode = 2;
  }
};
