/** Difference-in-differences of each cohort that starts together with units that haven't started by then, pooled. */
import { differenceInDifferences, ljungBox, pchisq, qt, zOf } from '@vigil/statistics';
import type { Result } from '@vigil/vocabulary';
import { pooledMean, ratioInterval, together, type Diagnostics, type Estimated, type LeftOut, type PathPoint } from './estimate';
import { lagOf, missingMonths, serialVariance, sumOf, total, type Cohort, type Followed, type Series } from './series';
import { LEAST, ofFit, reasons } from './words';

/** Clusters a side from which their own variance can be trusted at all. */
const CLUSTERS = 6;
/** Months before from which a difference of trends can show. */
const TREND_POINTS = 12;

/** One of the four sums that a difference-in-differences is made of. */
interface Block {
  readonly sign: 1 | -1;
  readonly units: ReadonlySet<Followed>;
  readonly months: readonly number[];
  readonly events: number;
}

interface Compared {
  readonly cohort: Cohort;
  readonly controls: readonly Followed[];
  readonly log: number;
  readonly variance: number;
  /** The variance that Poisson counts would have. */
  readonly poisson: number;
  readonly df: number;
  readonly blocks: readonly Block[];
  readonly path: readonly PathPoint[];
  readonly diagnostics: Diagnostics;
  readonly missing: number;
  readonly trendsP: number | null;
}

interface Window {
  readonly controls: readonly Followed[];
  /** The first month that is not compared any more. */
  readonly end: number;
  readonly treated: Series;
  readonly control: Series;
  readonly before: number;
}

/** Treated and comparison over the months that both have, wash-out left out. */
const windowOf = (cohort: Cohort, controls: readonly Followed[], end: number): Window => {
  const counted = (month: number) => month < end && (month < cohort.start || month >= cohort.after);
  const both = sumOf([...cohort.units, ...controls]).at.filter(counted);
  const over = (units: readonly Followed[]): Series => ({
    at: both,
    counts: both.map((month) => total(units.map(({ cells }) => cells.get(month)!.count))),
    exposures: both.map((month) => total(units.map(({ cells }) => cells.get(month)!.personYears))),
  });
  return {
    controls,
    end,
    treated: over(cohort.units),
    control: over(controls),
    before: both.filter((month) => month < cohort.start).length,
  };
};

/**
 * Which units to compare with, and until when: all that start no sooner than a month, compared until that month. Of those choices
 * the one whose person-years promise the narrowest interval; how many events there were doesn't decide.
 */
const chooseWindow = (cohort: Cohort, others: readonly Followed[]): Result<Window> => {
  const usable = others.filter(({ until }) => until >= cohort.after + LEAST.points);
  const ends = [...new Set(usable.map(({ until }) => until))];
  const windows = ends.map((end) => windowOf(cohort, usable.filter(({ until }) => until >= end), end)); // prettier-ignore
  const after = ({ treated, before }: Window) => treated.at.length - before;
  const long = windows.filter((w) => w.before >= LEAST.points && after(w) >= LEAST.points);
  const [some] = windows;
  if (some === undefined) return { ok: false, problem: reasons.noComparison() };
  if (long.length === 0) {
    const most = windows.reduce(
      (best, w) => (Math.min(w.before, after(w)) > Math.min(best.before, after(best)) ? w : best),
      some,
    );
    return { ok: false, problem: reasons.tooShort(most.before, after(most), LEAST.points) };
  }
  const width = ({ treated, control, before }: Window) =>
    [treated, control].reduce(
      (sum, { exposures }) => sum + 1 / total(exposures.slice(0, before)) + 1 / total(exposures.slice(before)),
      0,
    );
  return { ok: true, value: long.reduce((best, w) => (width(w) < width(best) ? w : best)) };
};

interface Share {
  readonly month: number;
  /** The treated units' events less those expected of the month's, and the binomial variance of that. */
  readonly score: number;
  readonly information: number;
}

interface Fit {
  readonly did: number;
  /** Of `did`, of Poisson counts. */
  readonly variance: number;
  readonly dispersion: number;
  readonly df: number;
  readonly shares: readonly Share[];
}

/**
 * Treated against comparison with an effect of every month. Months of a side whose person-years stand in one proportion are put
 * into the panel as two sums, odd and even ones: the estimate is the same to the last digits, and ten years don't need 120 columns.
 * Months without events tell nothing of a ratio and are left out.
 */
const fitMonths = (treated: Series, control: Series, isAfter: (month: number) => boolean): Result<Fit> => {
  const rows = new Map<
    string,
    { readonly after: 0 | 1; readonly counts: [number, number]; readonly exposures: [number, number] }
  >();
  const told = treated.at.map((_, i) => i).filter((i) => treated.counts[i]! + control.counts[i]! > 0);
  told.forEach((i, place) => {
    const after = isAfter(treated.at[i]!) ? 1 : 0;
    const key = `${after} ${place % 2} ${(treated.exposures[i]! / control.exposures[i]!).toPrecision(9)}`;
    const row = rows.get(key) ?? { after, counts: [0, 0], exposures: [0, 0] };
    [control, treated].forEach(({ counts, exposures }, group) => {
      row.counts[group]! += counts[i]!;
      row.exposures[group]! += exposures[i]!;
    });
    rows.set(key, row);
  });
  const both = [...rows].flatMap(([period, row]) => ([0, 1] as const).map((group) => ({ period, group, ...row })));
  const fit = differenceInDifferences({
    counts: both.map(({ counts, group }) => counts[group]),
    exposures: both.map(({ exposures, group }) => exposures[group]),
    treated: both.map(({ group }) => group),
    after: both.map(({ after }) => after),
    period: both.map(({ period }) => period),
  });
  if (!fit.ok) return { ok: false, problem: ofFit(fit.problem) };
  const term = (name: string) => fit.value.terms.find((each) => each.term === name)!;
  const [treat, did] = [term('treat').estimate, term('did').estimate];
  // Given a month's events, the treated units' share of them is binomial; its Pearson residuals are those of the panel.
  const shares = treated.at.map((month, i): Share => {
    const odds = (treated.exposures[i]! / control.exposures[i]!) * Math.exp(treat + (isAfter(month) ? did : 0));
    const share = odds / (1 + odds);
    const events = treated.counts[i]! + control.counts[i]!;
    return { month, score: treated.counts[i]! - events * share, information: events * share * (1 - share) };
  });
  const df = told.length - 2;
  const chi = total(shares.map(({ score, information }) => (information > 0 ? score ** 2 / information : 0)));
  return { ok: true, value: { did, variance: term('did').se.model ** 2, dispersion: df > 0 ? chi / df : 1, df, shares } };
};

/** Whether the groups' ratio moved before the start: a difference-in-differences of the earlier against the later months before. */
const trendsBefore = ({ treated, control, before }: Window): number | null => {
  if (before < TREND_POINTS) return null;
  const middle = treated.at[Math.floor(before / 2)]!;
  const head = ({ at, counts, exposures }: Series): Series => ({
    at: at.slice(0, before),
    counts: counts.slice(0, before),
    exposures: exposures.slice(0, before),
  });
  const fit = fitMonths(head(treated), head(control), (month) => month >= middle);
  if (!fit.ok) return null;
  const { did, variance, dispersion } = fit.value;
  return pchisq(did ** 2 / (variance * Math.max(1, dispersion)), 1, 'upper');
};

/** Variance by units: what each does beside its group's rates, before and after. */
const clusteredVariance = (cohort: Cohort, { treated, controls, before, control }: Window): number | null => {
  if (Math.min(cohort.units.length, controls.length) < CLUSTERS) return null;
  let variance = 0;
  for (const [units, series] of [
    [cohort.units, treated],
    [controls, control],
  ] as const)
    for (const { cells } of units) {
      const influence = ([from, to]: [number, number]) => {
        const events = total(series.counts.slice(from, to));
        const rate = events / total(series.exposures.slice(from, to));
        return total(series.at.slice(from, to).map((m) => cells.get(m)!.count - rate * cells.get(m)!.personYears)) / events;
      };
      variance += (influence([before, series.at.length]) - influence([0, before])) ** 2;
    }
  const clusters = cohort.units.length + controls.length;
  return (variance * clusters) / (clusters - 1);
};

const compare = (cohort: Cohort, others: readonly Followed[]): Result<Compared> => {
  const chosen = chooseWindow(cohort, others);
  if (!chosen.ok) return chosen;
  const window = chosen.value;
  const { treated, control, before, controls } = window;
  const n = treated.at.length;
  const sums = [treated, control].map(({ counts }) => [total(counts.slice(0, before)), total(counts.slice(before))] as const);
  const [[a0, a1], [b0, b1]] = sums as [readonly [number, number], readonly [number, number]];
  if (a0 + a1 < LEAST.events) return { ok: false, problem: reasons.tooFewEvents(a0 + a1) };
  if (Math.min(a0, a1, b0, b1) === 0) return { ok: false, problem: reasons.comparisonEmpty() };
  const fit = fitMonths(treated, control, (month) => month >= cohort.start);
  if (!fit.ok) return fit;
  const { did, variance: poisson, dispersion, df, shares } = fit.value;

  const known = (from: number, to: number) => total(shares.slice(from, to).map(({ information }) => information));
  const [knownBefore, knownAfter] = [known(0, before), known(before, n)];
  const influences = new Map(
    treated.at.map((month, i) => [month, i < before ? -shares[i]!.score / knownBefore : shares[i]!.score / knownAfter]),
  );
  const model = poisson * Math.max(1, dispersion);
  const serial = serialVariance(influences, 2);
  const clustered = clusteredVariance(cohort, window);
  const variance = Math.max(model, serial, clustered ?? 0);
  const block = (sign: 1 | -1, units: readonly Followed[], from: number, to: number, events: number): Block => ({
    sign,
    units: new Set(units),
    months: treated.at.slice(from, to),
    events,
  });
  const atControl = treated.exposures.map((e, i) => (e * control.counts[i]!) / control.exposures[i]!);
  const standing = a0 / total(atControl.slice(0, before));
  return {
    ok: true,
    value: {
      cohort,
      controls,
      log: did,
      variance,
      poisson,
      df: dispersion > 1 && df > 0 ? df : Infinity,
      blocks: [
        block(1, cohort.units, before, n, a1),
        block(-1, cohort.units, 0, before, a0),
        block(-1, controls, before, n, b1),
        block(1, controls, 0, before, b0),
      ],
      path: pathOf(cohort, window, standing, Math.exp(did)),
      missing: missingMonths(cohort.units, sumOf(cohort.units)),
      trendsP: trendsBefore(window),
      diagnostics: {
        family: 'quasi-poisson',
        dispersion,
        theta: null,
        points: { before, after: n - before },
        events: { before: a0, after: a1 },
        se: {
          model: Math.sqrt(model),
          neweyWest: Math.sqrt(serial),
          clustered: clustered && Math.sqrt(clustered),
          reported: Math.sqrt(variance),
          which: variance === model ? 'model' : variance === serial ? 'newey-west' : 'clustered',
        },
        ljungBox: ljungBox(
          shares.map(({ score, information }) => (information > 0 ? score / Math.sqrt(information) : 0)),
          lagOf(n),
        ),
        harmonics: 0,
      },
    },
  };
};

/** Expected without it: the comparison's rate of the month, times how the two groups stood before. */
const pathOf = (cohort: Cohort, { controls, end }: Window, standing: number, effect: number): PathPoint[] => {
  const treated = sumOf(cohort.units);
  return treated.at.map((month, i) => {
    const cells = controls.map((unit) => unit.cells.get(month));
    const point = { month, observed: treated.counts[i]!, exposure: treated.exposures[i]! };
    if (month >= end || cells.some((cell) => cell === undefined)) return { ...point, fitted: null, counterfactual: null };
    const rate = total(cells.map((cell) => cell!.count)) / total(cells.map((cell) => cell!.personYears));
    const counterfactual = rate * standing * point.exposure;
    const fitted = month < cohort.start ? counterfactual : month < cohort.after ? null : counterfactual * effect;
    return { ...point, fitted, counterfactual };
  });
};

/** Events that two estimates share make them vary together. */
const covarianceOf = (x: Compared, y: Compared): number => {
  let sum = 0;
  for (const p of x.blocks)
    for (const q of y.blocks) {
      const months = new Set(q.months);
      const shared = p.months.filter((month) => months.has(month));
      let events = 0;
      for (const unit of p.units) if (q.units.has(unit)) for (const month of shared) events += unit.cells.get(month)!.count;
      sum += (p.sign * q.sign * events) / (p.events * q.events);
    }
  return sum * Math.sqrt((x.variance / x.poisson) * (y.variance / y.poisson));
};

/**
 * ln μ = ln person-years + month + group + δ·treated·after for each cohort against units that haven't started in the months compared;
 * standard error by the model (dispersion never below 1), Newey–West on the shares of the months, or units as clusters, whichever
 * is largest. Cohorts are pooled on the log by inverse variance, with the covariance that shared comparison events give them.
 */
export const differenceOf = (cohorts: readonly Cohort[], all: readonly Followed[], level: number): Result<Estimated> => {
  const compared: Compared[] = [];
  const leftOut: LeftOut[] = [];
  for (const cohort of cohorts) {
    const own = new Set(cohort.units);
    const others = all.filter((unit) => !own.has(unit));
    const outcome = compare(cohort, others);
    if (outcome.ok) compared.push(outcome.value);
    else leftOut.push({ cohort, reason: outcome.problem });
  }
  const [first] = compared;
  if (first === undefined) return { ok: false, problem: leftOut[0]!.reason };
  const covariance = compared.map((x, i) => compared.map((y, j) => (i === j ? x.variance : covarianceOf(x, y))));
  const { log, variance, weights } = pooledMean(
    compared.map((one) => one.log),
    covariance,
  );
  const se = Math.sqrt(variance);
  const quantile = compared.length === 1 && first.df < Infinity ? -qt((1 - level) / 2, first.df) : zOf(level);
  const observed = total(compared.map(({ diagnostics }) => diagnostics.events.after));
  const over = (pick: (d: Diagnostics['se']) => number | null) =>
    Math.sqrt(total(compared.map(({ diagnostics }, i) => (weights[i]! * (pick(diagnostics.se) ?? 0)) ** 2)));
  const clustered = compared.every(({ diagnostics }) => diagnostics.se.clustered !== null) ? over((d) => d.clustered) : null;
  const ses = { model: over((d) => d.model), neweyWest: over((d) => d.neweyWest), clustered };
  const of = { model: ses.model, 'newey-west': ses.neweyWest, clustered: clustered ?? 0 };
  const controls = new Set(compared.flatMap((one) => one.controls));
  const last = Math.max(...compared.flatMap(({ cohort }) => cohort.units.flatMap(({ cells }) => [...cells.keys()])));
  const trends = compared.flatMap(({ trendsP }) => (trendsP === null ? [] : [trendsP]));
  const q = total(compared.map((one) => (one.log - log) ** 2 / one.variance));
  return {
    ok: true,
    value: {
      ...ratioInterval(log, se, quantile),
      observed,
      expected: observed / Math.exp(log),
      paths: compared.map(({ path }) => path),
      diagnostics: together(
        compared.map(({ diagnostics }) => diagnostics),
        {
          ...ses,
          reported: se,
          which: (['model', 'newey-west', 'clustered'] as const).reduce((most, name) => (of[name] > of[most] ? name : most)),
        },
      ),
      leftOut,
      monthsMissing: total(compared.map(({ missing }) => missing)),
      season: 'same-months',
      // Bonferroni: the smallest of several.
      trendsP: trends.length === 0 ? null : Math.min(1, Math.min(...trends) * trends.length),
      comparison: [...controls].map(({ unit }) => unit).sort(),
      joined: [...controls].filter(({ until }) => until <= last).map(({ unit }) => unit).sort(), // prettier-ignore
      differP: compared.length > 1 ? pchisq(q, compared.length - 1, 'upper') : null,
    },
  };
};
