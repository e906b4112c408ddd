/** Aberrations: more cases than the past of the same place leads to expect. Pure; all statistics are those of `@vigil/statistics`. */
import { benjaminiHochberg, ears, farringtonFlexible, pbinom, pnbinom, poissonCusum, type EarsMethod } from '@vigil/statistics';
import { deterministicId, type Text } from '@vigil/vocabulary';
import { certaintyOf, ranked, scoreOf, severityOf } from './rank';
import { dimsKey, endOf, seriesKey, startOf, type CountSeries, type NotLooked } from './series';
import { refusals, whys } from './words';

export type AlertKind = 'aberration' | 'hazard-overdue';
export type AlertMethod = 'farrington-flexible' | 'poisson-cusum' | 'ears-c1' | 'ears-c2' | 'ears-c3' | 'deadline';

export interface Alert {
  /** Of kind, indicator, place, dimensions and period: the same alert has the same id in every run. */
  readonly id: string;
  readonly kind: AlertKind;
  readonly dx: string;
  readonly ou: string;
  readonly dims: Readonly<Record<string, string>>;
  readonly cases: Readonly<Record<string, string>>;
  /** The day or ISO week judged; of a hazard the deadline. */
  readonly period: string;
  /** First and last day of what was counted: a CUSUM adds up the weeks of its run. */
  readonly since: string;
  readonly until: string;
  /** Cases from `since` to `until`, what the past leads to expect of them, and the count from which on it is an alarm. */
  readonly observed: number;
  readonly expected: number | null;
  readonly upper: number | null;
  readonly excess: number;
  /** Chance of as many cases or more, were nothing the matter; `q` adjusted for everything judged together. */
  readonly p: number | null;
  readonly q: number | null;
  readonly severity: number;
  readonly certainty: number;
  readonly score: number;
  readonly method: AlertMethod;
  readonly why: Text;
}

export interface DetectOptions {
  /** Judged are days in it, and weeks that end in it; both ends included. */
  readonly from: string;
  readonly to: string;
  /** Fewer cases never alarm. */
  readonly minCount?: number;
  /** The share of false alarms among all alerts that is borne. */
  readonly fdr?: number;
  readonly ears?: EarsMethod;
  readonly severity?: (dx: string, cases: Readonly<Record<string, string>>) => number;
}

export interface Detection {
  /** By score. */
  readonly alerts: readonly Alert[];
  readonly notLooked: readonly NotLooked[];
  /** Judgements that could have alarmed: what the adjustment reckons with. */
  readonly tests: number;
}

export const DETECTION_DEFAULTS = { minCount: 3, fdr: 0.05, ears: 'C2' } as const;

/** Baselines: days of EARS (whole weeks), weeks of the CUSUM (whole years once there is one), years of Farrington. */
const EARS_DAYS = { least: 7, most: 56 } as const;
const CUSUM_WEEKS = { run: 8, least: 16, year: 52 } as const;
const YEARS = 5;
const HALF_WIDTH = 3;
/** Fewer cases in five years tell no season from chance. */
const FARRINGTON_CASES = 50;
/** Weeks at rest between two alarms of a CUSUM, on average and at least, before the adjustment for many series. */
const CUSUM_REST = 104;

/** Days and weeks before the first one judged that every method can use. */
export const HISTORY = { days: EARS_DAYS.most + 4, weeks: YEARS * 52 + HALF_WIDTH + 1 } as const;

/** One point judged. */
interface Judgement {
  readonly at: number;
  readonly sinceAt: number;
  readonly observed: number;
  readonly expected: number;
  readonly upper: number;
  readonly alarm: boolean;
  readonly p: number;
  readonly method: AlertMethod;
  readonly why: Text;
}
type Judged = Judgement | Pick<NotLooked, 'code' | 'detail'> | 'cannot-alarm';

const sum = (values: readonly number[]): number => values.reduce((a, b) => a + b, 0);

/**
 * Chance of `observed` or more in `width` periods after `baseline`: the larger of two. Given the total, the count is binomial
 * whatever the unknown rate is, so that a short or empty baseline is paid for; where the baseline varies more than Poisson counts do,
 * the negative binomial with its dispersion.
 */
const chance = (observed: number, width: number, baseline: readonly number[]): number => {
  if (observed === 0) return 1;
  const total = sum(baseline);
  const conditional = pbinom(observed - 1, observed + total, width / (width + baseline.length), 'upper');
  if (total === 0) return conditional;
  const mean = total / baseline.length;
  const dispersion = sum(baseline.map((y) => (y - mean) ** 2)) / (baseline.length - 1) / mean;
  return dispersion > 1 ? Math.max(conditional, pnbinom(observed - 1, mean * width, dispersion, 'upper')) : conditional;
};

const judgeDay = (counts: readonly number[], at: number, method: EarsMethod, minCount: number): Judged => {
  const gap = method === 'C1' ? 0 : 2;
  const width = method === 'C3' ? 3 : 1;
  const before = at - gap - (width - 1);
  const days = Math.min(EARS_DAYS.most, Math.floor(before / 7) * 7);
  if (days < EARS_DAYS.least)
    return { code: 'too-short', detail: refusals.tooShort(at, EARS_DAYS.least + gap + width - 1, 'day') };
  const baseline = counts.slice(before - days, before);
  const observed = sum(counts.slice(at - width + 1, at + 1));
  if (observed + sum(baseline) < minCount) return 'cannot-alarm';
  const answer = ears(counts.slice(before - days, at + 1), method, { baseline: days, minCount });
  if (!answer.ok) return { code: 'no-baseline', detail: refusals.noBaseline(answer.problem.detail) };
  const { upper, alarm } = answer.value.at(-1)!;
  return {
    at,
    sinceAt: at - width + 1,
    observed,
    expected: (sum(baseline) / days) * width,
    // C3 bounds the last day given the two before.
    upper: upper! + observed - counts[at]!,
    alarm,
    p: chance(observed, width, baseline),
    method: `ears-${method.toLowerCase()}` as AlertMethod,
    why: whys.ears(method, days),
  };
};

const judgeRise = (counts: readonly number[], at: number, minCount: number, sparse?: number): Judged => {
  const start = at - CUSUM_WEEKS.run + 1;
  if (start < CUSUM_WEEKS.least)
    return { code: 'too-short', detail: refusals.tooShort(at, CUSUM_WEEKS.least + CUSUM_WEEKS.run - 1, 'week') };
  const years = Math.min(YEARS, Math.floor(start / CUSUM_WEEKS.year));
  const weeks = years === 0 ? start : years * CUSUM_WEEKS.year;
  const baseline = counts.slice(start - weeks, start);
  const total = sum(baseline);
  const run = counts.slice(start, at + 1);
  if (sum(run) + total < minCount) return 'cannot-alarm';
  // Half a case for an empty baseline: never seen isn't impossible.
  const expected = Math.max(total, 0.5) / weeks;
  // Wald: a run passes h by chance at most with 2^−h at ratio 2, and where cases are rare only a case begins one.
  const limit = Math.max(2, Math.log2(CUSUM_REST * Math.min(1, 2 * expected)));
  const answer = poissonCusum({ counts: run, expected: run.map(() => expected) }, { ratio: 2, limit });
  if (!answer.ok) return { code: 'no-baseline', detail: refusals.noBaseline(answer.problem.detail) };
  const { sum: reached, alarm } = answer.value.at(-1)!;
  const zeros = answer.value.findLastIndex(({ sum: each }) => each === 0);
  const length = reached === 0 ? 1 : run.length - 1 - zeros;
  const observed = sum(run.slice(run.length - length));
  const reference = expected / Math.LN2;
  return {
    at,
    sinceAt: at - length + 1,
    observed,
    expected: expected * length,
    upper: limit + reference * length,
    // A sum that falls again tells of weeks gone by.
    alarm: alarm && observed >= minCount && counts[at]! > reference,
    // The start of the run was chosen by the data: Σ 1/(l(l + 1)) = 1 shares the chance among all lengths.
    p: Math.min(1, chance(observed, length, baseline) * length * (length + 1)),
    method: 'poisson-cusum',
    why: sparse === undefined ? whys.cusum(weeks) : whys.cusumSparse(weeks, sparse),
  };
};

const judgeWeek = (counts: readonly number[], at: number, minCount: number, fdr: number): Judged => {
  if (at < YEARS * 52 + HALF_WIDTH) return judgeRise(counts, at, minCount);
  const cases = sum(counts.slice(at - YEARS * 52 - HALF_WIDTH, at));
  if (cases < FARRINGTON_CASES) return judgeRise(counts, at, minCount, cases);
  const observed = counts[at]!;
  const season = Array.from({ length: YEARS }, (_, year) => {
    const reference = at - (year + 1) * 52;
    return counts.slice(reference - HALF_WIDTH, reference + HALF_WIDTH + 1);
  }).flat();
  const total = sum(season);
  const bySeason = observed === 0 ? 1 : pbinom(observed - 1, observed + total, 1 / (1 + season.length), 'upper');
  const judged = { at, sinceAt: at, observed, method: 'farrington-flexible' as const, why: whys.farrington(cases) };
  // The model's P can only be larger, and adjustment never lowers one: without an alarm to come it isn't fitted, which is most of the work.
  if (observed < minCount || bySeason > fdr)
    return { ...judged, expected: total / season.length, upper: observed, alarm: false, p: bySeason };
  const answer = farringtonFlexible(counts, { years: YEARS, halfWidth: HALF_WIDTH, minimum: { events: minCount, points: 4 } }, [
    at,
  ]);
  if (!answer.ok) return { code: 'no-baseline', detail: refusals.noBaseline(answer.problem.detail) };
  const { expected, upper, alarm, p, reason } = answer.value[0]!;
  if (expected === null) return { code: 'no-baseline', detail: refusals.noBaseline(reason ?? 'no model') };
  // The model takes its expected count for known; the season's own windows say how little that may be.
  return { ...judged, expected, upper: upper ?? observed, alarm, p: Math.max(p ?? 0, bySeason) };
};

export const alertId = ({ kind, dx, ou, dims, period }: Pick<Alert, 'kind' | 'dx' | 'ou' | 'dims' | 'period'>): string =>
  deterministicId('alert', kind, dx, ou, dimsKey(dims), period);

const round = (value: number): number => Number(value.toPrecision(6));

/**
 * Judges every day in `from`–`to` and every week that ends there, of each series by the method that its length and unit allow, and
 * keeps the alarms whose chance, adjusted over all judgements (Benjamini–Hochberg), is at most `fdr`. The order of the series is
 * of no consequence. A series, or a judged point with its baseline, that holds fewer than `minCount` cases together can't alarm and is
 * no test.
 */
export const detect = (series: readonly CountSeries[], options: DetectOptions): Detection => {
  const { from, to, minCount, fdr, ears: method, severity } = { ...DETECTION_DEFAULTS, severity: severityOf, ...options };
  const found: { series: CountSeries; judgement: Judgement }[] = [];
  const refused = new Map<string, NotLooked>();
  const looked = new Set<string>();
  // The same weeks come in every series, and the calendar is asked about each once.
  const isJudged = new Map<string, boolean>();
  const judgedAt = (unit: CountSeries['unit'], period: string): boolean => {
    const known = isJudged.get(period);
    if (known !== undefined) return known;
    const end = endOf(unit, period);
    const inside = end >= from && end <= to;
    isJudged.set(period, inside);
    return inside;
  };
  for (const one of series) {
    const { counts, periods, unit, dx, ou, dims } = one;
    if (counts.every((count) => count === 0)) continue;
    periods.forEach((period, at) => {
      if (!judgedAt(unit, period)) return;
      const judged = unit === 'day' ? judgeDay(counts, at, method, minCount) : judgeWeek(counts, at, minCount, fdr);
      const key = seriesKey(one);
      if (judged !== 'cannot-alarm' && 'code' in judged) refused.set(key, { dx, ou, dims, unit, ...judged });
      else looked.add(key);
      if (judged !== 'cannot-alarm' && 'at' in judged) found.push({ series: one, judgement: judged });
    });
  }
  const adjusted = benjaminiHochberg(found.map(({ judgement }) => judgement.p));
  const alerts = found.flatMap(({ series: one, judgement }, index): Alert[] => {
    const q = adjusted[index]!;
    if (!judgement.alarm || q > fdr) return [];
    const { dx, ou, dims, cases, unit, periods } = one;
    const { at, sinceAt, observed, expected, upper, p, method: by, why } = judgement;
    const weight = {
      severity: severity(dx, cases),
      excess: round(observed - expected),
      certainty: round(certaintyOf(q)),
    };
    const head = { kind: 'aberration' as const, dx, ou, dims, period: periods[at]! };
    return [
      {
        id: alertId(head),
        ...head,
        cases,
        since: startOf(unit, periods[sinceAt]!),
        until: endOf(unit, periods[at]!),
        observed,
        expected: round(expected),
        upper: round(upper),
        p: round(p),
        q: round(q),
        ...weight,
        score: scoreOf(weight),
        method: by,
        why,
      },
    ];
  });
  const keyed = [...refused]
    .filter(([key]) => !looked.has(key))
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([, each]) => each);
  return { alerts: ranked(alerts), notLooked: keyed, tests: found.length };
};
