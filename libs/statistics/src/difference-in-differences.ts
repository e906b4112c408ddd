import { answer, refuse, type Answer } from './answer';
import { level01, positive, sameLength, wholeNumber } from './checks';
import { fitLogLinear, intercept, logLikelihood, type Column } from './glm';
import { logSymmetric, zOf, type Interval } from './interval';
import { clusteredCovariance, robustCovariance } from './sandwich';
import { pnorm } from './special/normal';

/** Events of the treated and the comparison group after and before; exposures (1 where absent) per cell in one unit. */
export type FourCounts = {
  readonly treatedAfter: number;
  readonly treatedBefore: number;
  readonly controlAfter: number;
  readonly controlBefore: number;
};

/**
 * (a₁/a₀)/(b₁/b₀): the treated group's change as a multiple of the comparison's, Wald limits and P on the log with
 * se √(1/a₁ + 1/a₀ + 1/b₁ + 1/b₀). Poisson counts: no allowance for more variation than that. Refused where a count is 0.
 */
export const ratioOfRateRatios = (
  counts: FourCounts,
  level = 0.95,
  exposures: FourCounts = { treatedAfter: 1, treatedBefore: 1, controlAfter: 1, controlBefore: 1 },
): Answer<Interval & { readonly ratio: number; readonly log: number; readonly seLog: number; readonly p: number }> =>
  answer(() => {
    const z = zOf(level);
    const cells = ['treatedAfter', 'treatedBefore', 'controlAfter', 'controlBefore'] as const;
    for (const cell of cells) {
      positive(`exposures.${cell}`, exposures[cell]);
      if (wholeNumber(cell, counts[cell]) === 0) refuse('no-events', `${cell} is 0: the ratio has no log`, cell);
    }
    const rate = (cell: keyof FourCounts): number => counts[cell] / exposures[cell];
    const ratio = rate('treatedAfter') / rate('treatedBefore') / (rate('controlAfter') / rate('controlBefore'));
    const log = Math.log(ratio);
    const seLog = Math.sqrt(cells.reduce((sum, cell) => sum + 1 / counts[cell], 0));
    return { ratio, log, seLog, ...logSymmetric(ratio, seLog, z), p: Math.min(1, 2 * pnorm(-Math.abs(log) / seLog)) };
  });

export type Panel = {
  /** Whole counts, one per unit and period, in any order. */
  readonly counts: readonly number[];
  readonly exposures?: readonly number[] | undefined;
  readonly treated: readonly (0 | 1)[];
  readonly after: readonly (0 | 1)[];
  /** A label per row; given, every period has its own effect and `after` none beside them. */
  readonly period?: readonly (string | number)[] | undefined;
  /** A label per row; given, scores are summed within. */
  readonly cluster?: readonly (string | number)[] | undefined;
  readonly level?: number;
};

export type PanelTerm = {
  readonly term: string;
  readonly estimate: number;
  readonly ratio: number;
  readonly se: {
    readonly model: number;
    /** × √ Pearson dispersion. */
    readonly dispersed: number;
    readonly hc0: number;
    /** G/(G − 1) included; `null` without clusters or with one. */
    readonly clustered: number | null;
  };
  /** Of the ratio, on the normal quantile, at se `dispersed`. */
  readonly dispersed: Interval;
  readonly pDispersed: number;
};

/**
 * Difference-in-differences of counts: ln μ = ln exposure + β₀ + β₁treated + β₂after + δ treated·after, or with an effect per
 * period. exp δ is the ratio of the two groups' changes (term `did`). Terms: (Intercept), treat, post, did; with period effects
 * treat and did only. Wooldridge (2023) Econometrics Journal 26:C31. Refused with a reason: a group or period without events,
 * `after` the same for all, fewer rows than coefficients, exposures not above 0.
 */
export const differenceInDifferences = (
  panel: Panel,
): Answer<{
  readonly terms: readonly PanelTerm[];
  readonly n: number;
  readonly df: number;
  readonly dispersion: number;
  readonly deviance: number;
  readonly logLikelihood: number;
}> =>
  answer(() => {
    const { counts, treated, after, period, cluster } = panel;
    const z = zOf(level01('level', panel.level ?? 0.95));
    const n = sameLength({ counts, treated, after, ...(period && { period }), ...(cluster && { cluster }) });
    counts.forEach((y, i) => wholeNumber(`counts[${i}]`, y));
    for (const [name, values] of Object.entries({ treated, after }))
      values.forEach((x, i) => {
        if (x !== 0 && x !== 1) refuse('bad-input', `${name}[${i}] must be 0 or 1`, name);
      });
    const did: Column = { name: 'did', values: treated.map((x, i) => x * after[i]!) };
    const treat: Column = { name: 'treat', values: treated };
    const labels = [...new Set(period ?? [])];
    const columns = period
      ? // Orthogonal blocks first: one indicator per period stands for the intercept.
        [...labels.map((label) => ({ name: `period ${label}`, values: period.map((x) => (x === label ? 1 : 0)) })), treat, did]
      : [intercept(n), treat, { name: 'post', values: after }, did];
    const fit = fitLogLinear({ y: counts, exposures: panel.exposures, columns });
    const hc0 = robustCovariance(fit);
    const clustered = cluster ? clusteredCovariance(fit, cluster) : null;
    const terms = fit.names.flatMap((term, j): PanelTerm[] => {
      if (j < labels.length) return [];
      const estimate = fit.coefficients[j]!;
      const model = Math.sqrt(fit.covariance[j]![j]!);
      const dispersed = model * Math.sqrt(fit.dispersion);
      return [
        {
          term,
          estimate,
          ratio: Math.exp(estimate),
          se: {
            model,
            dispersed,
            hc0: Math.sqrt(Math.max(0, hc0[j]![j]!)),
            clustered: clustered && Math.sqrt(Math.max(0, clustered[j]![j]!)),
          },
          dispersed: logSymmetric(Math.exp(estimate), dispersed, z),
          pDispersed: Math.min(1, 2 * pnorm(-Math.abs(estimate) / (dispersed || model))),
        },
      ];
    });
    const { df, dispersion, deviance } = fit;
    return { terms, n, df, dispersion, deviance, logLikelihood: logLikelihood(fit) };
  });
