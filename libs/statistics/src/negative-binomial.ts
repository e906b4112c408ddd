import { refuse } from './answer';
import { fitLogLinear, type LogLinearData, type LogLinearFit } from './glm';
import { digamma, trigamma } from './special/digamma';

export type NegativeBinomialFit = LogLinearFit & {
  /** 1/√ of the observed information of θ, the coefficients held. */
  readonly seTheta: number;
};

/** Score and observed information of θ at fitted means. */
const thetaScore = (y: readonly number[], mu: readonly number[], theta: number): { score: number; information: number } => {
  let score = 0;
  let information = 0;
  y.forEach((value, i) => {
    const m = mu[i]!;
    // ψ(y + θ) − ψ(θ) as the sum it is for whole counts: the difference of two large digammas has few digits left.
    if (Number.isInteger(value) && value <= 100)
      for (let j = 0; j < value; j++) {
        score += 1 / (theta + j);
        information += 1 / (theta + j) ** 2;
      }
    else {
      score += digamma(value + theta) - digamma(theta);
      information += trigamma(theta) - trigamma(value + theta);
    }
    score += -Math.log1p(m / theta) + (m - value) / (m + theta);
    information += -1 / theta + 2 / (m + theta) - (value + theta) / (m + theta) ** 2;
  });
  return { score, information };
};

/** θ by maximum likelihood at fitted means: Newton on ln θ inside a bracket that shrinks. */
const thetaOf = (y: readonly number[], mu: readonly number[], start: number): number => {
  let low = 0;
  let high = Infinity;
  let theta = start;
  for (let step = 0; step < 80; step++) {
    const { score, information } = thetaScore(y, mu, theta);
    if (score > 0) low = theta;
    else high = theta;
    const curvature = information * theta - score;
    let next = curvature > 0 ? theta * Math.exp(Math.max(-2, Math.min(2, score / curvature))) : score > 0 ? theta * 4 : theta / 4;
    if (!(next > low && next < high)) next = high === Infinity ? low * 2 : low === 0 ? high / 2 : Math.sqrt(low * high);
    if (Math.abs(next - theta) <= 1e-12 * theta) return next;
    theta = next;
    if (theta > 1e10) break;
  }
  return theta;
};

/**
 * Negative binomial (NB2, Var = μ + μ²/θ) log-linear model: coefficients at θ by IRLS and θ at the means by maximum likelihood,
 * in turn until both stand still. The standard errors take θ as known, as R's MASS::glm.nb. Refuses what `fitLogLinear` refuses,
 * and counts no more dispersed than Poisson, where θ has no finite estimate. Venables & Ripley (2002) 7.4; Lawless (1987).
 */
export const fitNegativeBinomial = (data: LogLinearData): NegativeBinomialFit => {
  let fit = fitLogLinear(data);
  const { y } = data;
  // The slope of the log-likelihood in 1/θ at 0: not above 0 means that Poisson is the likeliest of the family nearby.
  const excess = y.reduce((sum, value, i) => sum + (value - fit.fitted[i]!) ** 2 - value, 0);
  if (!(excess > 0)) refuse('no-overdispersion', 'the counts vary no more than Poisson counts: θ has no finite estimate');
  let theta = y.length / y.reduce((sum, value, i) => sum + (value / fit.fitted[i]! - 1) ** 2, 0);
  for (let step = 0; ; step++) {
    const next = thetaOf(y, fit.fitted, theta);
    if (next > 1e9) refuse('no-overdispersion', 'the counts vary hardly more than Poisson counts: θ has no finite estimate');
    const before = fit.coefficients;
    fit = fitLogLinear(data, { theta: next, start: before });
    const moved = fit.coefficients.reduce((most, b, j) => Math.max(most, Math.abs(b - before[j]!)), 0);
    const still = Math.abs(next - theta) <= 1e-10 * theta && moved < 1e-10 * Math.max(1, ...before.map(Math.abs));
    theta = next;
    if (still) break;
    if (step > 100) refuse('no-convergence', 'θ and the coefficients do not settle');
  }
  const { information } = thetaScore(y, fit.fitted, theta);
  if (!(information > 0)) refuse('no-convergence', 'the likelihood of θ has no maximum');
  return { ...fit, seTheta: 1 / Math.sqrt(information) };
};
