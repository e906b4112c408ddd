/** Rate ratio of after to before, each cohort against its own months before: describes, and explains nothing. */
import { ljungBox, qt, rateRatioExact, zOf } from '@vigil/statistics';
import type { Result } from '@vigil/vocabulary';
import type { Estimated, LeftOut, PathPoint } from './estimate';
import { among, lagOf, missingMonths, monthOfYear, serialVariance, sumOf, total, type Cohort, type Series } from './series';
import { LEAST, reasons } from './words';

interface Sides {
  readonly before: Series;
  readonly after: Series;
  /** Both sides hold the same months of the year, each equally often. */
  readonly matched: boolean;
}
const SIDES = ['before', 'after'] as const;

/** Both sides cut to whole years next to the start, or the longer to the months that the shorter has, where there is a year to cut from. */
const sidesOf = (before: Series, after: Series): Sides => {
  const years = { before: Math.floor(before.at.length / 12), after: Math.floor(after.at.length / 12) };
  const monthsOf = ({ at }: Series) => new Set(at.map(monthOfYear));
  const kept = years.before > 0 ? (years.after > 0 ? monthsOf(before) : monthsOf(after)) : monthsOf(before);
  const from = years.before > 0 ? before.at.at(-1)! - 12 * years.before : -Infinity;
  const to = years.after > 0 ? after.at[0]! + 12 * years.after : Infinity;
  const cut = {
    before: among(before, (month) => month > from && kept.has(monthOfYear(month))),
    after: among(after, (month) => month < to && kept.has(monthOfYear(month))),
  };
  const even = (side: 'before' | 'after') =>
    [...kept].every((month) => cut[side].at.filter((at) => monthOfYear(at) === month).length === Math.max(1, years[side]));
  const matched = years.before + years.after > 0 && even('before') && even('after');
  return matched ? { ...cut, matched } : { before, after, matched };
};

interface Expectation {
  readonly before: readonly number[];
  readonly after: readonly number[];
  /** Multiplies the rate, by month of the year. */
  readonly season: readonly number[];
  readonly parameters: number;
}

/** Events expected by side and month of the year, by iterative proportional fitting; without the season where too few months could tell it. */
const expectationOf = (sides: Sides): Expectation => {
  const season = new Array<number>(12).fill(1);
  const rates = { before: 0, after: 0 };
  const months = [...new Set([...sides.before.at, ...sides.after.at].map(monthOfYear))];
  const seasonal = sides.matched && sides.before.at.length + sides.after.at.length >= months.length + 4;
  for (let round = 0; round < (seasonal ? 40 : 1); round++) {
    const [seen, expected] = [new Array<number>(12).fill(0), new Array<number>(12).fill(0)];
    for (const side of SIDES) {
      const { at, counts, exposures } = sides[side];
      rates[side] = total(counts) / total(exposures.map((e, i) => e * season[monthOfYear(at[i]!)]!));
      at.forEach((month, i) => {
        seen[monthOfYear(month)]! += counts[i]!;
        expected[monthOfYear(month)]! += exposures[i]! * rates[side];
      });
    }
    if (seasonal) for (const month of months) season[month] = expected[month]! > 0 ? seen[month]! / expected[month]! : 1;
  }
  const of = (side: 'before' | 'after') =>
    sides[side].exposures.map((e, i) => e * rates[side] * season[monthOfYear(sides[side].at[i]!)]!);
  return { before: of('before'), after: of('after'), season, parameters: seasonal ? months.length + 1 : 2 };
};

/**
 * Events after ÷ those expected at each cohort's own rate before (E = Σ b·t₁/t₀). Limits on the log with variance
 * φ(1/a + Σ b(t₁/t₀)² / E²), φ the Pearson dispersion about side and season, never below 1, or by Newey–West where that is larger;
 * below 10 events on a side the conditional exact ones.
 */
export const rateRatioOf = (cohorts: readonly Cohort[], level: number): Result<Estimated> => {
  const parts: { readonly cohort: Cohort; readonly whole: Series; readonly sides: Sides; readonly scale: number }[] = [];
  const leftOut: LeftOut[] = [];
  for (const cohort of cohorts) {
    const whole = sumOf(cohort.units);
    const before = among(whole, (month) => month < cohort.start);
    const after = among(whole, (month) => month >= cohort.after);
    if (Math.min(before.at.length, after.at.length) < LEAST.points) {
      leftOut.push({ cohort, reason: reasons.tooShort(before.at.length, after.at.length, LEAST.points) });
      continue;
    }
    const sides = sidesOf(before, after);
    parts.push({ cohort, whole, sides, scale: total(sides.after.exposures) / total(sides.before.exposures) });
  }
  if (parts.length === 0) return { ok: false, problem: leftOut[0]!.reason };
  const a = total(parts.map(({ sides }) => total(sides.after.counts)));
  const b = total(parts.map(({ sides }) => total(sides.before.counts)));
  if (a + b < LEAST.events) return { ok: false, problem: reasons.tooFewEvents(a + b) };
  if (b === 0) return { ok: false, problem: reasons.noEventsBefore() };
  const expected = total(parts.map(({ sides, scale }) => scale * total(sides.before.counts)));
  const ratio = a / expected;

  let [chi, df] = [0, 0];
  const influences = new Map<number, number>();
  const residuals = new Map<number, number>();
  const add = (to: Map<number, number>, month: number, by: number) => void to.set(month, (to.get(month) ?? 0) + by);
  const paths = parts.map(({ cohort, whole, sides, scale }): PathPoint[] => {
    const expectation = expectationOf(sides);
    const { season } = expectation;
    df += sides.before.at.length + sides.after.at.length - expectation.parameters;
    for (const side of SIDES)
      sides[side].at.forEach((month, i) => {
        const mu = expectation[side][i]!;
        const off = sides[side].counts[i]! - mu;
        if (mu > 0) chi += off ** 2 / mu;
        add(residuals, month, mu > 0 ? off / Math.sqrt(mu) : 0);
        add(influences, month, side === 'before' ? (-off * scale) / expected : a > 0 ? off / a : 0);
      });
    const weighed = sides.before.exposures.map((e, i) => e * season[monthOfYear(sides.before.at[i]!)]!);
    const base = total(sides.before.counts) / total(weighed);
    return whole.at.map((month, i) => {
      const counterfactual = base * season[monthOfYear(month)]! * whole.exposures[i]!;
      const fitted = month < cohort.start ? counterfactual : month < cohort.after ? null : counterfactual * ratio;
      return { month, observed: whole.counts[i]!, exposure: whole.exposures[i]!, fitted, counterfactual };
    });
  });

  const dispersion = df >= 3 ? chi / df : null;
  const phi = Math.max(1, dispersion ?? 1);
  const variance = total(parts.map(({ sides, scale }) => scale ** 2 * total(sides.before.counts))) / expected ** 2;
  const exact = a < 10 || b < 10;
  const model = a === 0 ? null : Math.sqrt(phi * (1 / a + variance));
  const serial = Math.sqrt(serialVariance(influences, influences.size - df));
  const reported = exact || model === null ? null : Math.max(model, serial);
  const quantile = phi > 1 ? -qt((1 - level) / 2, df) : zOf(level);
  const limits =
    reported === null
      ? rateRatioExact({ a, t1: expected, b, t0: b }, level)
      : { lower: ratio * Math.exp(-quantile * reported), upper: ratio * Math.exp(quantile * reported) };
  const inOrder = [...residuals].sort(([x], [y]) => x - y).map(([, value]) => value);
  const fewest = (side: 'before' | 'after') => Math.min(...parts.map(({ sides }) => sides[side].at.length));
  return {
    ok: true,
    value: {
      value: ratio,
      low: limits.lower,
      high: limits.upper,
      observed: a,
      expected,
      paths,
      diagnostics: {
        family: exact ? 'exact-poisson' : 'quasi-poisson',
        dispersion,
        theta: null,
        points: { before: fewest('before'), after: fewest('after') },
        events: { before: b, after: a },
        se: {
          model,
          neweyWest: serial,
          clustered: null,
          reported,
          which: reported === null ? 'exact' : serial > model! ? 'newey-west' : 'model',
        },
        ljungBox: ljungBox(inOrder, lagOf(inOrder.length)),
        harmonics: 0,
      },
      leftOut,
      monthsMissing: total(parts.map(({ cohort, whole }) => missingMonths(cohort.units, whole))),
      season: parts.every(({ sides }) => sides.matched) ? 'matched' : 'not-modelled',
    },
  };
};
