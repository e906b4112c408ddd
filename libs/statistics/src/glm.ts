import { refuse } from './answer';
import { nonNegative, positive, sameLength } from './checks';
import { inverseGram, leastSquares, type LeastSquares, type Square } from './linear';
import { devianceTerm, lgamma, stirlingError } from './special/gamma';

/** One regressor, named so that a refusal can say which. */
export type Column = { readonly name: string; readonly values: ArrayLike<number> };

export const intercept = (n: number): Column => ({ name: '(Intercept)', values: new Float64Array(n).fill(1) });

export type LogLinearData = {
  /** Counts ≥ 0, n of them. */
  readonly y: readonly number[];
  readonly columns: readonly Column[];
  /** Exposure > 0 per count (offset ln exposure); 1 where absent. */
  readonly exposures?: readonly number[] | undefined;
};

export type LogLinearFit = {
  readonly names: readonly string[];
  readonly columns: readonly Column[];
  readonly coefficients: readonly number[];
  readonly y: readonly number[];
  readonly fitted: readonly number[];
  readonly exposures: readonly number[];
  /** Infinity for Poisson, else the size of the negative binomial: Var = μ + μ²/θ. */
  readonly theta: number;
  /** (X'WX)⁻¹ at the estimates, W = μ/(1 + μ/θ): the covariance at dispersion 1. */
  readonly covariance: Square;
  /** (y − μ)/(1 + μ/θ): times a regressor, the score of an observation. */
  readonly scores: readonly number[];
  readonly deviance: number;
  readonly df: number;
  /** Pearson: Σ (y − μ)²/(μ + μ²/θ) / df. */
  readonly dispersion: number;
};

const devianceOf = (y: number, mu: number, theta: number): number =>
  (y === 0 ? mu : devianceTerm(y, mu)) - (theta === Infinity ? 0 : devianceTerm(y + theta, mu + theta));

/** sign(y − μ) √(unit deviance). */
export const devianceResiduals = ({ y, fitted, theta }: Pick<LogLinearFit, 'y' | 'fitted' | 'theta'>): number[] =>
  y.map((value, i) => {
    const root = Math.sqrt(2 * Math.max(0, devianceOf(value, fitted[i]!, theta)));
    return value < fitted[i]! ? -root : root;
  });

/** ln P(y) summed, of a Poisson (θ infinite) or negative binomial fit. */
export const logLikelihood = ({ y, fitted, theta }: Pick<LogLinearFit, 'y' | 'fitted' | 'theta'>): number =>
  y.reduce((sum, value, i) => {
    const mu = fitted[i]!;
    const poisson = value === 0 ? -mu : -stirlingError(value) - devianceTerm(value, mu) - 0.5 * Math.log(2 * Math.PI * value);
    if (theta === Infinity) return sum + poisson;
    const combinations = lgamma(theta + value) - lgamma(theta) - (value === 0 ? 0 : lgamma(value + 1));
    const share = value === 0 ? 0 : value * Math.log(mu / (mu + theta));
    return sum + combinations + share - theta * Math.log1p(mu / theta);
  }, 0);

const runaway = (name: string): never =>
  refuse('separation', `the coefficient of ${name} has no finite estimate: a group without events`, name);

/** The weights of the first step follow the counts alone; a column lost later was lost because its weights ran to 0. */
const solvable = (solved: LeastSquares, names: readonly string[], first: boolean): Extract<LeastSquares, { r: unknown }> => {
  if (!('collinear' in solved)) return solved;
  const name = names[solved.collinear]!;
  return first ? refuse('collinear', `column ${name} is a combination of the columns before it`, name) : runaway(name);
};

const maxSteps = 100;

/**
 * ln μ = ln exposure + x'b by iteratively reweighted least squares on a QR factor, Poisson or (at a given θ) negative binomial.
 * Iterated until the deviance moves by less than 1e-14 of itself; covariance and scores take the last step's weights, as R's glm
 * (a difference of 1e-9 of a standard error, which a P of 1e-200 shows). A step that raises the deviance is halved. Refuses: all
 * counts 0, no degree of freedom, a collinear column (named), separation — a coefficient that still runs away while the deviance
 * stands still (named), as where a group has no event at all. McCullagh & Nelder (1989).
 */
export const fitLogLinear = (
  { y, columns, exposures = y.map(() => 1) }: LogLinearData,
  { theta = Infinity, start }: { theta?: number; start?: readonly number[] } = {},
): LogLinearFit => {
  const n = sameLength({ y, exposures, ...Object.fromEntries(columns.map(({ name, values }) => [name, values])) });
  const p = columns.length;
  y.forEach((value, i) => nonNegative(`y[${i}]`, value));
  exposures.forEach((value, i) => positive(`exposures[${i}]`, value));
  for (const { name, values } of columns)
    for (let i = 0; i < n; i++) if (!Number.isFinite(values[i]!)) refuse('bad-input', `${name}[${i}] is not a number`, name);
  if (n <= p) refuse('too-short', `${n} points for ${p} coefficients`);
  if (y.every((value) => value === 0)) refuse('no-events', 'all counts are 0');

  const names = columns.map(({ name }) => name);
  const values = columns.map((column) => column.values);
  const offset = exposures.map(Math.log);
  const mus = (eta: Float64Array) => eta.map((e, i) => Math.exp(e + offset[i]!));
  const deviance = (mu: Float64Array): number => 2 * y.reduce((sum, value, i) => sum + devianceOf(value, mu[i]!, theta), 0);
  const weightsAt = (mu: Float64Array) => mu.map((m) => m / (1 + m / theta));
  const predictor = (b: ArrayLike<number>) => {
    const eta = new Float64Array(n);
    values.forEach((column, j) => {
      for (let i = 0; i < n; i++) eta[i]! += column[i]! * b[j]!;
    });
    return eta;
  };

  let b: Float64Array | null = start ? Float64Array.from(start) : null;
  let eta = b ? predictor(b) : Float64Array.from(y, (value, i) => Math.log(value + 0.1) - offset[i]!);
  let mu = mus(eta);
  let height = deviance(mu);
  let r: readonly Float64Array[];
  let weights: Float64Array;
  for (let step = 1; ; step++) {
    const working = eta.map((e, i) => e + (y[i]! - mu[i]!) / mu[i]!);
    weights = weightsAt(mu);
    const solved = solvable(leastSquares(values, working, weights), names, b === null);
    let next: Float64Array = solved.coefficients;
    let nextEta = predictor(next);
    const distance = (to: Float64Array) => to.reduce((most, e, i) => Math.max(most, Math.abs(e - eta[i]!)), 0);
    // From a mean far too low a step shoots past by the ratio of the two; e⁴ a step is fast enough.
    const leap = b ? distance(nextEta) : 0;
    if (leap > 4) {
      next = next.map((value, j) => b![j]! + ((value - b![j]!) * 4) / leap);
      nextEta = predictor(next);
    }
    let nextMu = mus(nextEta);
    let nextHeight = deviance(nextMu);
    let half = 0;
    for (; b && half < 30 && !(nextHeight <= height + 1e-9 * (height + 0.1)); half++) {
      next = next.map((value, j) => (value + b![j]!) / 2);
      nextEta = predictor(next);
      nextMu = mus(nextEta);
      nextHeight = deviance(nextMu);
    }
    const moved = distance(nextEta);
    const still = Math.abs(nextHeight - height) < 1e-14 * (Math.abs(nextHeight) + 0.1);
    if (b && still && half === 0 && moved > 1e-3) {
      const reach = (j: number) => Math.abs(next[j]! - b![j]!) * Math.max(...Array.from(values[j]!, Math.abs));
      const worst = names.map((_, j) => j).reduce((most, j) => (reach(j) > reach(most) ? j : most), 0);
      runaway(names[worst]!);
    }
    const done = still || (b && moved < 1e-9);
    b = next;
    eta = nextEta;
    mu = nextMu;
    height = nextHeight;
    r = solved.r;
    if (done) break;
    if (step > maxSteps || !Number.isFinite(height)) refuse('no-convergence', `no convergence in ${step} steps`);
  }
  const scores = y.map((value, i) => ((value - mu[i]!) / mu[i]!) * weights[i]!);
  const df = n - p;
  return {
    names,
    columns,
    coefficients: [...b],
    y,
    fitted: [...mu],
    exposures,
    theta,
    covariance: inverseGram(r),
    scores,
    deviance: height,
    df,
    dispersion: y.reduce((sum, value, i) => sum + (value - mu[i]!) ** 2 / mu[i]! / (1 + mu[i]! / theta), 0) / df,
  };
};

/** Deviance of the fit with an intercept (and the exposures) only, at the same θ. */
export const nullDeviance = ({ y, exposures, theta }: LogLinearFit): number =>
  fitLogLinear({ y, exposures, columns: [intercept(y.length)] }, { theta }).deviance;
