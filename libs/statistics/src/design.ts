import { finite, level01, positive } from './checks';
import { defined, interval, symmetric, undefinedInterval, zOf, type Interval } from './interval';
import { betaQuantile, qbeta, qt } from './special/beta';
import { weightedSum, type WeightedSum } from './standardise';

export type UnitTotal = { readonly stratum: string; readonly unit: string | number; readonly total: number };

export type DesignTotal = Interval & {
  readonly estimate: number;
  /** √ of the with-replacement variance; `null` when no stratum has two units. */
  readonly se: number | null;
  readonly cv: number | null;
  /** Listed units less strata. */
  readonly df: number;
  /** The same interval on the normal quantile. */
  readonly normal: Interval;
  /** Strata with one listed unit, whose deviation was taken from the grand mean. */
  readonly singletonStrata: number;
  /** Why there is no interval; `null` where there is one. */
  readonly reason: string | null;
};

const noFreedom = (units: number, strata: number): string =>
  `${units} units in ${strata} strata leave no degree of freedom: a variance needs two units in a stratum`;

/**
 * Total over a stratified sample of units drawn with replacement, with its linearisation variance:
 * var = Σ_h n_h/(n_h−1) Σ_i (z_hi − z̄_h)², over **all listed** units — one without a case is a 0, not an absence (leaving it
 * out understates the variance). `units` holds weighted totals per unit (several rows of one unit are added); `listed` the
 * number of units drawn per stratum. Interval on t with units − strata df (Korn & Graubard 1999; Lumley 2004).
 *
 * A stratum with one unit has no variance of its own. Its deviation is taken from the mean over all listed units, without the
 * n/(n−1) factor (R survey's `lonely.psu = "adjust"`): too large rather than too small, and counted in `singletonStrata`.
 * RangeError: a unit in a stratum not listed, more units than listed, totals not finite.
 */
export const designTotal = (
  { units, listed }: { units: Iterable<UnitTotal>; listed: ReadonlyMap<string, number> | Readonly<Record<string, number>> },
  level = 0.95,
): DesignTotal => {
  level01('level', level);
  const sizes = new Map(listed instanceof Map ? (listed as ReadonlyMap<string, number>) : Object.entries(listed));
  const strata = new Map<string, Map<string | number, number>>();
  for (const [stratum, n] of sizes) {
    if (!Number.isSafeInteger(n) || n < 1) throw new RangeError(`listed[${stratum}] must be a whole number above 0, got ${n}`);
    strata.set(stratum, new Map());
  }
  for (const { stratum, unit, total } of units) {
    const seen = strata.get(stratum);
    if (!seen) throw new RangeError(`units: stratum ${stratum} is not listed`);
    seen.set(unit, (seen.get(unit) ?? 0) + finite('total', total));
  }
  let estimate = 0;
  let count = 0;
  for (const [stratum, seen] of strata) {
    const n = sizes.get(stratum)!;
    if (seen.size > n) throw new RangeError(`units: ${seen.size} units in stratum ${stratum}, listed ${n}`);
    for (const total of seen.values()) estimate += total;
    count += n;
  }
  let variance = 0;
  let singletonStrata = 0;
  for (const [stratum, seen] of strata) {
    const n = sizes.get(stratum)!;
    let stratumTotal = 0;
    for (const total of seen.values()) stratumTotal += total;
    if (n === 1) singletonStrata++;
    const centre = n === 1 ? estimate / count : stratumTotal / n;
    let squares = (n - seen.size) * centre * centre;
    for (const total of seen.values()) squares += (total - centre) ** 2;
    variance += squares * (n === 1 ? 1 : n / (n - 1));
  }
  const df = count - strata.size;
  if (df < 1) {
    const reason = noFreedom(count, strata.size);
    return { estimate, se: null, cv: null, df, ...undefinedInterval, normal: undefinedInterval, singletonStrata, reason };
  }
  const se = Math.sqrt(variance);
  const t = -qt((1 - level) / 2, df);
  return {
    estimate,
    se,
    cv: defined(se / estimate),
    df,
    ...symmetric(estimate, se, t),
    normal: symmetric(estimate, se, zOf(level)),
    singletonStrata,
    reason: null,
  };
};

/**
 * A sum of case weights (times a constant per case) read as a weighted Poisson sum: y = Σ c, v = Σ c², each case one count.
 * For `fayFeuer` and the other limits of a `WeightedSum`. Says nothing of clustering: beside `designTotal`, not in its place.
 */
export const weightedCases = (contributions: readonly number[]): WeightedSum =>
  weightedSum(
    contributions.map(() => 1),
    contributions,
  );

export type SurveyRow = { readonly stratum?: string; readonly cluster: string; readonly weight: number; readonly value: number };

/**
 * Weighted proportion (or mean of 0/1 values) of a stratified cluster sample by Taylor linearisation, with-replacement clusters.
 * `domain` restricts the estimate to some rows; all clusters stay in the variance, df counts those with a row in the domain.
 * Intervals: t on p, t on logit p, and Korn–Graubard beta. Rows need weight > 0. Lumley (2004); Korn & Graubard (1998); Kish (1992).
 * RangeError on weights ≤ 0, values outside [0, 1], or an empty domain. se and intervals `null` without df.
 */
export const surveyProportion = (
  rows: readonly SurveyRow[],
  level = 0.95,
  domain: (row: SurveyRow, i: number) => boolean = () => true,
) => {
  const half = (1 - level01('level', level)) / 2;
  rows.forEach(({ weight, value }, i) => {
    positive(`rows[${i}].weight`, weight);
    if (!(value >= 0 && value <= 1)) throw new RangeError(`rows[${i}].value must be in [0, 1], got ${value}`);
  });
  const inside = rows.filter(domain);
  const n = positive('rows in domain', inside.length);
  const sumWeights = inside.reduce((s, r) => s + r.weight, 0);
  const proportion = inside.reduce((s, r) => s + r.weight * r.value, 0) / sumWeights;
  const listed = clustersPerStratum(rows);
  const linear = inside.map(({ stratum = '', cluster, weight, value }) => ({
    stratum,
    unit: cluster,
    total: (weight * (value - proportion)) / sumWeights,
  }));
  const { se, singletonStrata } = designTotal({ units: linear, listed }, level);
  const seen = clustersPerStratum(inside);
  const df = [...seen.values()].reduce((s, k) => s + k, 0) - seen.size;
  const squares = inside.reduce((s, r) => s + r.weight ** 2, 0);
  const spread = (n / (n - 1)) * (inside.reduce((s, r) => s + r.weight * (r.value - proportion) ** 2, 0) / sumWeights);
  const variance = se === null ? NaN : se * se;
  const t = df > 0 ? -qt(half, df) : NaN;
  const binomialVariance = proportion * (1 - proportion);
  const onLogit = (sign: number): number => {
    const z = Math.log(proportion / (1 - proportion)) + (sign * t * Math.sqrt(variance)) / binomialVariance;
    return 1 / (1 + Math.exp(-z));
  };
  return {
    n,
    sumWeights,
    proportion,
    unweighted: inside.reduce((s, r) => s + r.value, 0) / n,
    se,
    df,
    singletonStrata,
    /** Why an interval is missing; `null` where none is. */
    reason: withoutInterval(df, seen, proportion),
    deff: defined(variance / ((spread / n) * (1 - n / sumWeights))),
    deffWithReplacement: defined(variance / (spread / n)),
    kishDeff: (n * squares) / sumWeights ** 2,
    kishEffectiveSize: sumWeights ** 2 / squares,
    waldT: symmetric(proportion, Math.sqrt(variance), t),
    logitT: interval(onLogit(-1), onLogit(1)),
    beta: kornGraubard(proportion, variance, n, t, half),
  };
};

const withoutInterval = (df: number, clusters: ReadonlyMap<string, number>, proportion: number): string | null => {
  if (df < 1)
    return noFreedom(
      [...clusters.values()].reduce((a, b) => a + b, 0),
      clusters.size,
    );
  return proportion > 0 && proportion < 1 ? null : `all values are ${proportion}: the sample shows no variance`;
};

const clustersPerStratum = (rows: readonly SurveyRow[]): Map<string, number> => {
  const clusters = new Map<string, Set<string>>();
  for (const { stratum = '', cluster } of rows) clusters.set(stratum, (clusters.get(stratum) ?? new Set()).add(cluster));
  return new Map([...clusters].map(([stratum, names]) => [stratum, names.size]));
};

const kornGraubard = (p: number, variance: number, n: number, t: number, half: number): Interval => {
  const size = n > 1 ? ((p * (1 - p)) / variance) * (qt(half, n - 1) / t) ** 2 : NaN;
  if (!(size > 0 && Number.isFinite(size))) return undefinedInterval;
  return interval(betaQuantile(half, size * p, size * (1 - p) + 1).x, qbeta(half, size * p + 1, size * (1 - p), 'upper'));
};

/**
 * Ratio of two domain proportions of one sample (for instance exposed against not), with the covariance the shared clusters
 * bring: linearisation of ln(p₁/p₀), normal limits. RangeError when a group has no row.
 */
export const surveyRatio = (
  rows: readonly (SurveyRow & { readonly group: 0 | 1 })[],
  level = 0.95,
): Interval & {
  ratio: number | null;
  seLog: number | null;
  groups: { group: 0 | 1; proportion: number; se: number | null }[];
} => {
  const groups = ([0, 1] as const).map((group) => {
    const { proportion, se, sumWeights } = surveyProportion(rows, level, (_, i) => rows[i]!.group === group);
    return { group, proportion, se, sumWeights };
  });
  const linear = rows.map(({ stratum = '', cluster, weight, value, group }) => {
    const { proportion, sumWeights } = groups[group]!;
    const e = (weight * (value - proportion)) / (sumWeights * proportion);
    return { stratum, unit: cluster, total: group === 1 ? e : -e };
  });
  const ratio = groups[1]!.proportion / groups[0]!.proportion;
  const published = groups.map(({ group, proportion, se }) => ({ group, proportion, se }));
  if (!(ratio > 0 && Number.isFinite(ratio)))
    return { ratio: defined(ratio), seLog: null, ...undefinedInterval, groups: published };
  const { se } = designTotal({ units: linear, listed: clustersPerStratum(rows) }, level);
  const quantile = zOf(level);
  const bound = (sign: number) => (se === null ? NaN : ratio * Math.exp(sign * quantile * se));
  return { ratio, seLog: se, ...interval(bound(-1), bound(1)), groups: published };
};
