/**
 * What an intervention did to a rate: the strongest of interrupted time series, difference-in-differences and the rate ratio of
 * before and after that the data allow, and why. Pure: monthly series in, one estimate with its interval, or the reason why none.
 */
import type { Problem, Result, Text } from '@vigil/vocabulary';
import { differenceOf } from './did';
import type { Diagnostics, Estimated, RatioInterval } from './estimate';
import { interruptedOf, LONG_BASELINE } from './its';
import { rateRatioOf } from './rr';
import { cohortsOf, follow, monthId, monthIndex, total, type Cohort, type Followed } from './series';
import { METHOD_NAMES, reasons, warnings, type Method } from './words';

export type EffectMethod = Method;

export interface EffectMonth {
  /** `YYYY-MM`. */
  readonly month: string;
  /** Events; `null` where they aren't known. */
  readonly count: number | null;
  /** `null` where there is no population. */
  readonly personYears: number | null;
}

export interface EffectUnit {
  readonly unit: string;
  readonly role: 'treated' | 'comparison';
  /** Of a treated unit its start, `YYYY-MM-DD`; of a comparison unit the day until which it can be compared with. */
  readonly startedOn?: string | undefined;
  /** It and a treated unit hold one another: no comparison. */
  readonly overlaps?: boolean;
  readonly months: readonly EffectMonth[];
}

export interface EffectInput {
  readonly units: readonly EffectUnit[];
  /** Months after a start that count for neither side. */
  readonly washOutMonths: number;
  readonly method: 'auto' | Method;
  /** 0.95. */
  readonly level: number;
  /** Pairs of sine and cosine of a year in the time series; by the months at hand where absent. */
  readonly harmonics?: number | undefined;
  /** The day as of which the counts stand: reports of the last months may come after it. */
  readonly knownOn?: string | undefined;
}

export interface EffectStep {
  readonly method: Method;
  readonly chosen: boolean;
  readonly possible: boolean;
  /** Why it isn't possible, or possible and not taken. */
  readonly reason?: Problem;
  readonly estimate?: RatioInterval;
}

/** `measure: 'ratio'`: the rate with the intervention ÷ the rate without. `level` in per cent. A limit is `null` where there is none. */
export interface EffectEstimate extends RatioInterval {
  readonly measure: 'ratio';
  readonly level: number;
}

export interface EffectPoint {
  readonly month: string;
  readonly observed: number;
  readonly exposure: number;
  readonly fitted: number | null;
  readonly counterfactual: number | null;
}

export interface UnitEffect {
  readonly unit: string;
  readonly startedOn: string;
  readonly estimate: EffectEstimate | null;
  /** Why there is no estimate. */
  readonly reason?: Problem;
  readonly events: { readonly before: number; readonly after: number } | null;
}

export interface Effect {
  readonly method: Method;
  readonly why: Text;
  /**
   * Its: observed ÷ expected over all months after the wash-out (the average effect); did: the ratio of the two groups' changes;
   * rr: the rate after ÷ the rate before.
   */
  readonly estimate: EffectEstimate;
  /** Its only: the change at the start, and of the trend per month. */
  readonly level?: EffectEstimate;
  readonly slope?: EffectEstimate;
  readonly steps: readonly EffectStep[];
  readonly series: readonly EffectPoint[];
  readonly diagnostics: Diagnostics;
  /** observed × (1/ratio − 1) at the estimate and its limits; below 0: more than expected. */
  readonly eventsAverted: RatioInterval;
  readonly units: readonly UnitEffect[];
  /** Did: what was compared with. */
  readonly comparison: readonly string[];
  readonly warnings: readonly Problem[];
}

export type EffectOutcome =
  | ({ readonly ok: true } & Effect)
  | { readonly ok: false; readonly problem: Problem; readonly steps: readonly EffectStep[] };

const LADDER: readonly Method[] = ['its', 'did', 'rr'];
/** Of more units than this the forest is cut, by name of the unit: each is a fit of its own. */
export const FOREST_MOST = 60;
/** Reports of so many days back may still come. */
const LATE_DAYS = 45;

interface Data {
  readonly cohorts: readonly Cohort[];
  readonly all: readonly Followed[];
}

const estimateBy = (method: Method, { cohorts, all }: Data, { level, harmonics }: EffectInput): Result<Estimated> =>
  method === 'its'
    ? interruptedOf(cohorts, level, harmonics)
    : method === 'did'
      ? differenceOf(cohorts, all, level)
      : rateRatioOf(cohorts, level);

/** Which of the possible steps is taken: the time series first, unless its baseline is short and there is something to compare with. */
const choose = (tried: ReadonlyMap<Method, Result<Estimated>>, asked: EffectInput['method']): Method | undefined => {
  if (asked !== 'auto') return tried.get(asked)!.ok ? asked : undefined;
  const its = tried.get('its')!;
  const short = its.ok && its.value.diagnostics.points.before < LONG_BASELINE;
  if (short && tried.get('did')!.ok) return 'did';
  return LADDER.find((method) => tried.get(method)!.ok);
};

const whyOf = (chosen: Method, steps: readonly EffectStep[], asked: EffectInput['method']): Text => {
  const name = METHOD_NAMES[chosen];
  if (asked !== 'auto') return { zh: `按请求采用${name.zh}`, en: `${name.en}, as the request asked` };
  const passed = steps.slice(0, LADDER.indexOf(chosen)).filter(({ reason }) => reason !== undefined);
  if (passed.length === 0)
    return { zh: `数据允许最强的方法:${name.zh}`, en: `the strongest method, and the data allow it: ${name.en}` };
  const because = (language: keyof Text) =>
    passed
      .map(({ method, reason }) => `${METHOD_NAMES[method][language]}: ${reason!.detail[language]}`)
      .join(language === 'zh' ? ';' : '; ');
  return {
    zh: `采用${name.zh},因更强的方法不适用 —— ${because('zh')}`,
    en: `${name.en}, because stronger ones do not serve here: ${because('en')}`,
  };
};

const shown = ({ value, low, high }: RatioInterval, level: number): EffectEstimate => ({
  measure: 'ratio',
  value,
  low,
  high,
  level: Number((level * 100).toFixed(6)),
});

/** Over months that all cohorts used have; one in its wash-out leaves the whole without a fitted value. */
const seriesOf = (paths: Estimated['paths']): EffectPoint[] => {
  const byMonth = new Map<number, (typeof paths)[number][number][]>();
  for (const path of paths) for (const point of path) byMonth.set(point.month, [...(byMonth.get(point.month) ?? []), point]);
  const sum = (values: readonly (number | null)[]): number | null =>
    values.includes(null) ? null : total(values as readonly number[]);
  return [...byMonth]
    .filter(([, points]) => points.length === paths.length)
    .sort(([a], [b]) => a - b)
    .map(([month, points]) => ({
      month: monthId(month),
      observed: total(points.map(({ observed }) => observed)),
      exposure: total(points.map(({ exposure }) => exposure)),
      fitted: sum(points.map(({ fitted }) => fitted)),
      counterfactual: sum(points.map(({ counterfactual }) => counterfactual)),
    }));
};

const avertedOf = ({ value, low, high, observed, expected }: Estimated): RatioInterval => {
  const at = (ratio: number | null): number | null => (ratio === null || ratio === 0 ? null : observed * (1 / ratio - 1));
  return { value: value === 0 ? expected : at(value)!, low: at(high), high: at(low) };
};

const forest = (method: Method, { cohorts, all }: Data, input: EffectInput, whole: Result<Estimated>): UnitEffect[] => {
  const alone = total(cohorts.map(({ units }) => units.length)) === 1 ? whole : undefined;
  return cohorts
    .flatMap((cohort) => cohort.units.map((unit) => ({ unit, cohort: { ...cohort, units: [unit] } })))
    .sort((a, b) => (a.unit.unit < b.unit.unit ? -1 : 1))
    .slice(0, FOREST_MOST)
    .map(({ unit, cohort }): UnitEffect => {
      // Others that started in the same month are treated too; only those still without it are compared with.
      const outcome = alone ?? estimateBy(method, { cohorts: [cohort], all }, input);
      const about = { unit: unit.unit, startedOn: unit.startedOn! };
      return outcome.ok
        ? { ...about, estimate: shown(outcome.value, input.level), events: outcome.value.diagnostics.events }
        : { ...about, estimate: null, reason: outcome.problem, events: null };
    });
};

const warningsOf = (
  method: Method,
  tried: ReadonlyMap<Method, Result<Estimated>>,
  data: Data,
  input: EffectInput,
  withoutPopulation: readonly string[],
): Problem[] => {
  const found = tried.get(method)!;
  if (!found.ok) return [];
  const { diagnostics, season, leftOut, monthsMissing, trendsP, joined = [], differP, low, high } = found.value;
  const { points, events, ljungBox } = diagnostics;
  const last = Math.max(...data.cohorts.flatMap(({ units }) => units.flatMap(({ cells }) => [...cells.keys()])));
  const overlapping = input.units.filter(({ overlaps }) => overlaps).map(({ unit }) => unit);
  const known = input.knownOn === undefined ? Infinity : Date.parse(input.knownOn) / 86_400_000;
  const lastEnd = Date.parse(`${monthId(last + 1)}-01`) / 86_400_000;
  return [
    ...(method === 'rr' ? [warnings.descriptive()] : []),
    ...(points.before < 36 && !tried.get('did')!.ok ? [warnings.regressionToTheMean(points.before)] : []),
    ...(ljungBox.p !== null && ljungBox.p < 0.05 ? [warnings.autocorrelation(ljungBox.p)] : []),
    ...(Math.min(events.before, events.after) < 20 ? [warnings.fewEvents(events.before, events.after)] : []),
    ...(Math.min(points.before, points.after) < 12 ? [warnings.fewPoints(points.before, points.after)] : []),
    ...(season === 'not-modelled' ? [warnings.seasonNotModelled()] : []),
    ...(method === 'its' && points.after > points.before ? [warnings.longExtrapolation(points.before, points.after)] : []),
    ...(trendsP != null && trendsP < 0.05 ? [warnings.trendsDiffer(trendsP)] : []),
    ...(differP != null && differP < 0.05 ? [warnings.unitsDiffer(differP)] : []),
    ...(joined.length > 0 ? [warnings.comparisonJoined(joined)] : []),
    ...(overlapping.length > 0 ? [warnings.comparisonOverlaps(overlapping)] : []),
    ...(withoutPopulation.length > 0 ? [warnings.withoutPopulation(withoutPopulation)] : []),
    ...leftOut.map(({ cohort, reason }) => warnings.leftOut(cohort.units.map(({ unit }) => unit), reason)), // prettier-ignore
    ...(monthsMissing > 0 ? [warnings.monthsMissing(monthsMissing)] : []),
    ...(known - lastEnd < LATE_DAYS ? [warnings.recentMonths()] : []),
    ...LADDER.flatMap((other) => {
      const another = tried.get(other)!;
      if (other === method || !another.ok || low === null || high === null) return [];
      const apart = (another.value.low ?? 0) > high || (another.value.high ?? Infinity) < low;
      return apart ? [warnings.methodsDisagree(other)] : [];
    }),
  ];
};

/**
 * The ladder: interrupted time series (8 months a side), difference-in-differences (3 months a side, with units that haven't
 * started), rate ratio (3 months a side); each from 20 events on. `auto` takes the first possible one, but difference-in-differences
 * before a time series with fewer than 24 months before the start. With staggered starts the units that start together are one
 * series, and those series' estimates are pooled.
 * @throws RangeError when no treated unit has a start, or the level isn't between 0 and 1
 */
export const effectOf = (input: EffectInput): EffectOutcome => {
  if (!(input.level > 0 && input.level < 1)) throw new RangeError(`level must be between 0 and 1, got ${input.level}`);
  const followed = input.units.filter(({ overlaps }) => !overlaps).map(follow);
  const withoutPopulation = followed.filter(({ cells }) => cells.size === 0).map(({ unit }) => unit);
  const all = followed.filter(({ cells }) => cells.size > 0);
  const data: Data = { cohorts: cohortsOf(all, input.washOutMonths), all };
  if (data.cohorts.length === 0) {
    const treated = input.units.filter(({ role, startedOn }) => role === 'treated' && startedOn !== undefined);
    if (treated.length === 0) throw new RangeError('no treated unit has a start');
    const reason = reasons.noPopulation(treated.map(({ unit }) => unit));
    return { ok: false, problem: reason, steps: LADDER.map((method) => ({ method, chosen: false, possible: false, reason })) };
  }
  const tried = new Map(LADDER.map((method) => [method, estimateBy(method, data, input)]));
  const chosen = choose(tried, input.method);
  const steps = LADDER.map((method): EffectStep => {
    const outcome = tried.get(method)!;
    if (!outcome.ok) return { method, chosen: false, possible: false, reason: outcome.problem };
    const step = { method, chosen: method === chosen, possible: true, estimate: ratioOnly(outcome.value) };
    if (method === chosen || chosen === undefined) return step;
    const weak = method === 'its' && chosen === 'did' && input.method === 'auto';
    const reason =
      input.method !== 'auto'
        ? reasons.notAsked(chosen)
        : weak
          ? reasons.shortBaseline(outcome.value.diagnostics.points.before)
          : reasons.stronger(chosen);
    return { ...step, reason };
  });
  if (chosen === undefined) {
    const refused = tried.get(input.method === 'auto' ? 'rr' : input.method)!;
    return { ok: false, problem: refused.ok ? reasons.noComparison() : refused.problem, steps };
  }
  const found = (tried.get(chosen) as { readonly ok: true; readonly value: Estimated }).value;
  return {
    ok: true,
    method: chosen,
    why: whyOf(chosen, steps, input.method),
    estimate: shown(found, input.level),
    ...(found.level && { level: shown(found.level, input.level) }),
    ...(found.slope && { slope: shown(found.slope, input.level) }),
    steps,
    series: seriesOf(found.paths),
    diagnostics: found.diagnostics,
    eventsAverted: avertedOf(found),
    units: forest(chosen, data, input, tried.get(chosen)!),
    comparison: found.comparison ?? [],
    warnings: warningsOf(chosen, tried, data, input, withoutPopulation),
  };
};

const ratioOnly = ({ value, low, high }: RatioInterval): RatioInterval => ({ value, low, high });

/** `YYYY-MM` from the one to the other, both included. */
export const monthsBetween = (from: string, to: string): string[] =>
  Array.from({ length: Math.max(0, monthIndex(to) - monthIndex(from) + 1) }, (_, i) => monthId(monthIndex(from) + i));
