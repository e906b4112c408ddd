import { answer, type Answer } from './answer';
import { wholeNumber } from './checks';
import { fitLogLinear, intercept } from './glm';
import { logSymmetric, zOf, type Interval } from './interval';

const percent = ({ lower, upper }: Interval): Interval => ({
  lower: lower === null ? null : 100 * (lower - 1),
  upper: upper === null ? null : 100 * (upper - 1),
});

/**
 * Annual percent change 100(e^b − 1) of a rate from the Poisson log-linear trend ln μ = ln exposure + a + b·year, with normal limits
 * at the Poisson se (`poisson`) and at that × √ Pearson dispersion (`dispersed`). Equal-length arrays. Refused with a reason: fewer than
 * three points, no events, one year only, exposures not above 0. Kim et al (2000) Stat Med 19:335 without joinpoints.
 */
export const annualChange = (
  { years, counts, exposures }: { years: readonly number[]; counts: readonly number[]; exposures: readonly number[] },
  level = 0.95,
): Answer<{ slope: number; se: number; dispersion: number; change: number; poisson: Interval; dispersed: Interval }> =>
  answer(() => {
    const z = zOf(level);
    counts.forEach((y, i) => wholeNumber(`counts[${i}]`, y));
    const columns = [intercept(counts.length), { name: 'year', values: years }];
    const fit = fitLogLinear({ y: counts, exposures, columns });
    const slope = fit.coefficients[1]!;
    const se = Math.sqrt(fit.covariance[1]![1]!);
    const at = (factor: number) => percent(logSymmetric(Math.exp(slope), se * factor, z));
    return {
      slope,
      se,
      dispersion: fit.dispersion,
      change: 100 * Math.expm1(slope),
      poisson: at(1),
      dispersed: at(Math.sqrt(fit.dispersion)),
    };
  });
