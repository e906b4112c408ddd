import fc from 'fast-check';
import { intercept, fitLogLinear } from './glm';
import { dataRows, expectClose, golden, type Oracle } from './golden';
import { interruptedSeries, type InterruptedFit, type InterruptedSeries } from './interrupted';
import { clusteredCovariance, neweyWestCovariance, robustCovariance } from './sandwich';

const fitOf = (series: InterruptedSeries): InterruptedFit => {
  const outcome = interruptedSeries(series);
  if (!outcome.ok) throw new Error(`${outcome.problem.code}: ${outcome.problem.detail}`);
  return outcome.value;
};

const refusal = (series: InterruptedSeries) => {
  const outcome = interruptedSeries(series);
  return outcome.ok ? 'fitted' : { code: outcome.problem.code, at: outcome.problem.at };
};

const seatBelts = (y: string, options: Partial<InterruptedSeries>, offset?: string, covariates: string[] = []) => {
  const rows = dataRows('intervention/seatbelts_gb_1969_1984.csv');
  const column = (name: string) => rows.map((row) => Number(row[name]));
  return fitOf({
    counts: column(y),
    exposures: offset ? column(offset) : undefined,
    before: 169,
    phase: column('month'),
    covariates: covariates.map((name) => ({ name, values: column(name) })),
    ...options,
  });
};

const common = (fit: InterruptedFit) => ({
  n: fit.n,
  df_residual: fit.df,
  deviance: fit.deviance,
  null_deviance: fit.nullDeviance,
  log_likelihood: fit.logLikelihood,
  aic: fit.aic,
  deviance_residual_acf_1_12: fit.autocorrelation,
  ljung_box_12: { statistic: fit.ljungBox.statistic, p: 1 - (1 - fit.ljungBox.p!) },
  post_observed: fit.after.observed,
  post_fitted: fit.after.fitted,
  post_counterfactual: fit.after.counterfactual,
  post_counterfactual_se_delta: fit.after.seDispersed,
  averted: fit.after.averted.estimate,
  relative_change: fit.after.relativeChange.estimate,
  level_effect_at_end: fit.atEnd && {
    steps_after_T0: fit.atEnd.steps,
    rr: fit.atEnd.ratio,
    lower_z: fit.atEnd.dispersed.lower,
    upper_z: fit.atEnd.dispersed.upper,
  },
});

describe('interrupted time series', () => {
  golden('09_its_segmented_poisson', ({ expected, tolerance }) => {
    const family = 'quasi-poisson';
    const fits: Record<string, InterruptedFit> = {
      A: seatBelts('DriversKilled', { family, harmonics: 2 }),
      B: seatBelts('DriversKilled', { family, harmonics: 2, slope: true }),
      C: seatBelts('drivers', { family, harmonics: 2 }, 'kms'),
      D: seatBelts('drivers', { family, harmonics: 3, slope: true }, 'kms', ['PetrolPrice']),
      E: seatBelts('front', { family }),
    };
    for (const [name, { coefficients, ...rest }] of Object.entries<Oracle>(expected)) {
      const fit = fits[name]!;
      expectClose({ ...common(fit), dispersion_pearson: fit.dispersion }, rest, tolerance.relative, name);
      const terms = fit.terms.map(({ term, estimate, ratio, se, ...limits }) => ({
        term,
        estimate,
        se_poisson: se.model,
        se_quasi: se.dispersed,
        se_hc0: se.hc0,
        se_newey_west: se.neweyWest,
        rr: ratio,
        rr_lower_z: limits.dispersed.lower,
        rr_upper_z: limits.dispersed.upper,
        p_z: limits.pDispersed,
        rr_lower_t: limits.onT.lower,
        rr_upper_t: limits.onT.upper,
        p_t: limits.pOnT,
        rr_lower_poisson: limits.model.lower,
        rr_upper_poisson: limits.model.upper,
      }));
      expect(terms).toHaveLength(coefficients.length);
      expectClose(terms, coefficients, tolerance.relative, name);
      for (const { se } of fit.terms) expect(se.reported).toBe(Math.max(se.model, se.dispersed, se.neweyWest));
    }
  });

  golden('10_its_negative_binomial', ({ expected, tolerance }) => {
    const family = 'negative-binomial';
    const fits: Record<string, InterruptedFit> = {
      A: seatBelts('DriversKilled', { family, harmonics: 2 }),
      B: seatBelts('drivers', { family, harmonics: 2, slope: true }, 'kms'),
    };
    for (const [name, { coefficients, se_theta, ...rest }] of Object.entries<Oracle>(expected)) {
      const fit = fits[name]!;
      const figures = { ...common(fit), theta: fit.theta, two_log_likelihood: 2 * fit.logLikelihood };
      expectClose(figures, rest, tolerance.relative, name);
      expectClose(fit.seTheta, se_theta, 1e-5, name);
      const terms = fit.terms.map(({ term, estimate, ratio, se, dispersed, pDispersed }) => ({
        term,
        estimate,
        se: se.model,
        se_hc0: se.hc0,
        se_newey_west: se.neweyWest,
        rr: ratio,
        rr_lower_z: dispersed.lower,
        rr_upper_z: dispersed.upper,
        p_z: pDispersed,
      }));
      expectClose(terms, coefficients, tolerance.relative, name);
    }
  });

  const quiet = { before: 12, minimum: { points: 3, events: 5 } };
  const series = fc.array(fc.integer({ min: 1, max: 60 }), { minLength: 24, maxLength: 24 });

  test('exposures ×c move only the intercept; the fit of a Poisson model keeps the total', () => {
    fc.assert(
      fc.property(series, fc.double({ min: 0.01, max: 1000, noNaN: true }), (counts, c) => {
        const family = 'quasi-poisson' as const;
        const one = fitOf({ counts, ...quiet, slope: true, family });
        const other = fitOf({ counts, exposures: counts.map(() => c), ...quiet, slope: true, family });
        expect(other.terms[0]!.estimate).toBeCloseTo(one.terms[0]!.estimate - Math.log(c), 6);
        one.terms.slice(1).forEach(({ estimate }, j) => expect(other.terms[j + 1]!.estimate).toBeCloseTo(estimate, 6));
        expectClose(one.after.fitted, one.after.observed, 1e-8);
        expectClose(other.after.averted.estimate, one.after.averted.estimate, 1e-5);
      }),
      { numRuns: 50 },
    );
  });

  test('with a level term only and no trend to speak of, the ratio is that of the means', () => {
    const counts = [...new Array(12).fill(30), ...new Array(12).fill(15)];
    const fit = fitOf({ counts, ...quiet, family: 'poisson' });
    expectClose(fit.terms[1]!.ratio, 0.5, 1e-9);
    expectClose(fit.after.averted.estimate, 180, 1e-9);
    expectClose(fit.after.relativeChange.estimate, -0.5, 1e-9);
    expect(fit.path.map(({ expected }) => Math.round(expected))).toEqual(new Array(12).fill(30));
    // Nothing is left over: a dispersion of 0 narrows nothing that is reported.
    expect(fit.terms[1]!.se.reported).toBe(fit.terms[1]!.se.model);
  });

  test('a transition is left out of the fit, not shifted', () => {
    const counts = [...new Array(12).fill(30), 900, 700, ...new Array(12).fill(15)];
    const fit = fitOf({ counts, ...quiet, transition: 2, family: 'poisson' });
    expect(fit.n).toBe(24);
    expectClose(fit.terms[1]!.ratio, 0.5, 1e-9);
    expect(fit.path[0]!.time).toBe(15);
  });

  test('by dispersion: quiet counts are quasi-Poisson, wild ones negative binomial', () => {
    const calm = Array.from({ length: 40 }, (_, i) => 50 + ((i * 7) % 5));
    const wild = Array.from({ length: 40 }, (_, i) => 20 + ((i * 37) % 61));
    expect(fitOf({ counts: calm, before: 20 }).family).toBe('quasi-poisson');
    const fit = fitOf({ counts: wild, before: 20 });
    expect(fit.family).toBe('negative-binomial');
    expect(fit.theta).toBeGreaterThan(1);
  });

  test('refused with a reason', () => {
    const counts = Array.from({ length: 30 }, (_, i) => 5 + (i % 4));
    const at = (options: Partial<InterruptedSeries>) => refusal({ counts, before: 15, ...options });
    expect(at({})).toBe('fitted');
    expect(at({ before: 7 })).toMatchObject({ code: 'too-short' });
    expect(at({ before: 23 })).toMatchObject({ code: 'too-short' });
    expect(at({ before: 0, minimum: { points: 0, events: 0 } })).toMatchObject({ code: 'too-short' });
    expect(at({ transition: 10 })).toMatchObject({ code: 'too-short' });
    expect(at({ counts: counts.map((_, i) => (i < 19 ? 1 : 0)) })).toMatchObject({ code: 'too-few-events' });
    expect(at({ counts: counts.map(() => 0), minimum: { points: 8, events: 0 } })).toMatchObject({ code: 'no-events' });
    expect(at({ counts: counts.map((y, i) => (i < 15 ? y : 0)) })).toEqual({ code: 'separation', at: 'post' });
    expect(at({ counts: counts.map((y, i) => (i < 15 ? 0 : y)) })).toMatchObject({ code: 'separation' });
    expect(at({ exposures: counts.map((_, i) => (i === 3 ? -1 : 1)) })).toMatchObject({ code: 'bad-input' });
    expect(at({ exposures: counts.map((_, i) => (i === 3 ? 0 : 1)) })).toMatchObject({ code: 'bad-input' });
    expect(at({ counts: counts.map((y, i) => (i === 3 ? NaN : y)) })).toMatchObject({ code: 'bad-input' });
    expect(at({ counts: counts.map((y, i) => (i === 3 ? 2.5 : y)) })).toMatchObject({ code: 'bad-input' });
    expect(at({ times: counts.map((_, i) => 30 - i) })).toMatchObject({ code: 'bad-input' });
    expect(at({ covariates: [{ name: 'twice', values: counts.map((_, i) => 2 * i) }] })).toEqual({
      code: 'collinear',
      at: 'twice',
    });
    expect(at({ covariates: [{ name: 'law', values: counts.map((_, i) => (i < 15 ? 0 : 1)) }] })).toEqual({
      code: 'collinear',
      at: 'law',
    });
    expect(at({ family: 'negative-binomial' })).toMatchObject({ code: 'no-overdispersion' });
    expect(at({ harmonics: 14, period: 100, minimum: { points: 8, events: 1 } })).toMatchObject({ code: 'too-short' });
  });

  test('no figure of a fit is NaN or infinite, whatever the counts', () => {
    const wild = fc.array(fc.oneof(fc.constant(0), fc.integer({ min: 0, max: 3 }), fc.integer({ min: 0, max: 1e6 })), {
      minLength: 4,
      maxLength: 40,
    });
    const sound = (value: unknown): boolean =>
      typeof value === 'number'
        ? Number.isFinite(value)
        : typeof value !== 'object' || value === null || Object.values(value).every(sound);
    fc.assert(
      fc.property(
        wild,
        fc.boolean(),
        fc.constantFrom('quasi-poisson', 'negative-binomial', 'by-dispersion'),
        (counts, slope, family) => {
          const outcome = interruptedSeries({
            counts,
            before: Math.floor(counts.length / 2),
            slope,
            family: family as 'quasi-poisson',
            minimum: { points: 1, events: 1 },
          });
          if (outcome.ok) expect([outcome.value, sound(outcome.value)]).toEqual([outcome.value, true]);
          else expect(outcome.problem.detail).not.toBe('');
        },
      ),
      { numRuns: 300 },
    );
  });
});

describe('sandwich', () => {
  const y = Array.from({ length: 30 }, (_, i) => 5 + ((i * 13) % 11));
  const fit = fitLogLinear({ y, columns: [intercept(30), { name: 't', values: y.map((_, i) => i) }] });

  test('lag 0, and clusters of one, are the plain sandwich; gaps leave their pairs out', () => {
    const plain = robustCovariance(fit);
    expectClose(neweyWestCovariance(fit, 0), plain, 1e-13);
    expectClose(
      clusteredCovariance(
        fit,
        y.map((_, i) => i),
        false,
      ),
      plain,
      1e-13,
    );
    expectClose(
      neweyWestCovariance(
        fit,
        3,
        y.map((_, i) => 10 * i),
      ),
      plain,
      1e-13,
    );
    expectClose(
      neweyWestCovariance(
        fit,
        3,
        y.map((_, i) => i + 7),
      ),
      neweyWestCovariance(fit, 3),
      1e-13,
    );
    expect(
      clusteredCovariance(
        fit,
        y.map(() => 'all'),
      ),
    ).toBeNull();
    expectClose(
      clusteredCovariance(
        fit,
        y.map((_, i) => i),
      )![0]![0],
      (plain[0]![0]! * 30) / 29,
      1e-13,
    );
  });
});
