import fc from 'fast-check';
import { expectClose, golden } from './golden';
import { poissonByar, poissonExact, poissonMidP } from './poisson';
import {
  differenceOf,
  dobson,
  expectedCount,
  fayFeuer,
  funnelLimits,
  lognormalLimits,
  lognormalRatioLimits,
  normalLimits,
  poissonTest,
  ratioOf,
  standardisedRate,
  standardisedRatio,
  tiwari,
} from './standardise';

describe('direct standardisation', () => {
  golden('02_direct_standardisation', ({ inputs, expected, tolerance }) => {
    const rates = new Map(
      inputs.cases.map((c: typeof inputs) => [
        c.label,
        standardisedRate({ counts: c.count, exposures: c.population, weights: c.std_weights, multiplier: c.multiplier }),
      ]),
    ) as Map<string, ReturnType<typeof standardisedRate>>;
    inputs.cases.forEach((c: typeof inputs, i: number) => {
      const { dsr, variance, total_count, dobson_byar, dobson_exact, fay_feuer_gamma, tiwari_gamma, normal, lognormal } =
        expected.results[i];
      const rate = rates.get(c.label)!;
      const close = (actual: object, e: object) => expectClose(actual, e, tolerance.relative, c.label);
      close(rate, { estimate: dsr, variance, count: total_count });
      close(dobson(rate, c.confidence), dobson_byar);
      close(dobson(rate, c.confidence, poissonExact), dobson_exact);
      close(fayFeuer(rate, c.confidence), fay_feuer_gamma);
      close(tiwari(rate, c.confidence), tiwari_gamma);
      close(normalLimits(rate, c.confidence), normal);
      close(lognormalLimits(rate, c.confidence), lognormal);
    });
    const e = expected.male_vs_female;
    const [male, female] = [rates.get(e.male_label)!, rates.get(e.female_label)!];
    expectClose(ratioOf(male, female), { ratio: e.ratio, seLog: e.se_log, lower: e.lower, upper: e.upper });
    const difference = { difference: e.difference, lower: e.difference_lower, upper: e.difference_upper };
    expectClose(differenceOf(male, female), difference);
  });

  test('one band, or equal rates in all, is the crude rate; weights count by their shares', () => {
    fc.assert(
      fc.property(
        fc.array(fc.tuple(fc.integer({ min: 1, max: 1e6 }), fc.integer({ min: 1, max: 1e4 })), { minLength: 1, maxLength: 20 }),
        (bands) => {
          const exposures = bands.map(([n]) => n);
          const weights = bands.map(([, w]) => w);
          const counts = exposures.map((n) => n * 0.03);
          expectClose(standardisedRate({ counts, exposures, weights, multiplier: 1000 }).estimate, 30, 1e-12);
          const doubled = standardisedRate({ counts, exposures, weights: weights.map((w) => w * 7), multiplier: 1000 });
          for (const limits of [dobson, fayFeuer, tiwari, lognormalLimits]) {
            const { lower, upper } = limits(doubled);
            if (lower === null) continue;
            expect(lower).toBeLessThanOrEqual(30.0001);
            expect(upper).toBeGreaterThanOrEqual(29.9999);
          }
        },
      ),
    );
  });

  test('no events: gamma limits start at 0, Dobson and log-normal are undefined', () => {
    const none = standardisedRate({ counts: [0, 0], exposures: [10, 20], weights: [1, 3] });
    expect(dobson(none)).toEqual({ lower: null, upper: null });
    expect(lognormalLimits(none)).toEqual({ lower: null, upper: null });
    expect(normalLimits(none)).toEqual({ lower: 0, upper: 0 });
    expect(fayFeuer(none).lower).toBe(0);
    // χ²(0.975; 2)/2 unseen events at the largest weight.
    expectClose(fayFeuer(none).upper, 0.0375 * -Math.log(0.025), 1e-12);
    expect(ratioOf(none, none)).toEqual({ ratio: null, seLog: null, lower: null, upper: null });
  });

  test('nonsense is named', () => {
    const rate = (counts: number[], exposures: number[], weights: number[]) => () =>
      standardisedRate({ counts, exposures, weights });
    expect(rate([1], [1, 2], [1, 2])).toThrow(/exposures/);
    expect(rate([1, 1], [1, 0], [1, 2])).toThrow(/exposures\[1\]/);
    expect(rate([-1, 1], [1, 1], [1, 2])).toThrow(/counts\[0\]/);
    expect(rate([1, 1], [1, 1], [0, 0])).toThrow(/sum of weights/);
    expect(rate([1, 1], [1, 0], [1, 0])).not.toThrow();
  });
});

describe('indirect standardisation', () => {
  golden('03_indirect_standardisation', ({ inputs, expected }) => {
    inputs.cases.forEach((c: typeof inputs, i: number) => {
      const e = expected[i];
      const fitted = expectedCount(c.population, c.ref_count, c.ref_population);
      const at = (limits: typeof poissonExact) => standardisedRatio(e.observed, fitted, c.confidence, limits);
      expectClose(fitted, e.expected);
      expectClose(at(poissonByar), { ratio: e.smr, ...e.byar });
      expectClose(at(poissonExact), e.exact);
      expectClose(at(poissonMidP), e.mid_p);
      expectClose(at(lognormalRatioLimits), e.lognormal);
      expectClose(poissonTest(e.observed, fitted), e.p_exact_two_sided);
      expectClose(funnelLimits(e.observed, fitted), { at95: e.funnel95, at998: e.funnel998 });
    });
  });

  test('nothing expected: no ratio', () => {
    expect(standardisedRatio(2, 0)).toEqual({ ratio: null, lower: null, upper: null });
    expect(() => expectedCount([5], [1], [0])).toThrow(/refExposures\[0\]/);
    expect(() => standardisedRatio(-2, 1)).toThrow(/observed/);
  });
});
