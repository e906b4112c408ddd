import fc from 'fast-check';
import { expectClose, golden } from './golden';
import { crudeRate, poissonByar, poissonByRule, poissonExact, poissonLognormal, poissonMidP, poissonNormal } from './poisson';

const level = fc.double({ min: 0.5, max: 0.9999, noNaN: true });
const count = fc.oneof(fc.integer({ min: 0, max: 30 }), fc.integer({ min: 0, max: 10_000_000 }));

describe('limits of a Poisson count', () => {
  golden('01_crude_rate', ({ inputs, expected, tolerance }) => {
    inputs.cases.forEach((c: typeof inputs, i: number) => {
      const want = expected[i];
      const at = (limits?: typeof poissonExact) =>
        crudeRate({ count: c.count, exposure: c.population, multiplier: c.multiplier }, c.confidence, limits);
      const close = (actual: object, e: object) => expectClose(actual, e, tolerance.relative, c.label);
      close(at(), { rate: want.rate, lower: want.phe_rule.lower, upper: want.phe_rule.upper });
      close(at(poissonExact), want.exact);
      close(at(poissonByar), want.byar);
      close(at(poissonMidP), want.mid_p);
      close(at(poissonNormal), want.normal);
      close(at(poissonLognormal), want.lognormal ?? { lower: null, upper: null });
    });
  });

  test.each([
    ['exact', poissonExact],
    ['Byar', poissonByar],
    ['mid-P', poissonMidP],
    ['log-normal', poissonLognormal],
  ])('%s limits bracket the count and widen with the level', (_, limits) => {
    fc.assert(
      fc.property(count, level, level, (x, one, two) => {
        const [narrow, wide] = [limits(x, Math.min(one, two)), limits(x, Math.max(one, two))];
        if (narrow.lower === null || wide.lower === null) return;
        // At a level of 0.5 a small count's Byar limit may stand above the count: the approximation, not an error.
        if (Math.min(one, two) > 0.8) {
          expect(narrow.lower).toBeLessThanOrEqual(x);
          expect(narrow.upper).toBeGreaterThanOrEqual(x);
        }
        expect(wide.lower).toBeLessThanOrEqual(narrow.lower * (1 + 1e-12));
        expect(wide.upper! * (1 + 1e-12)).toBeGreaterThanOrEqual(narrow.upper!);
      }),
    );
  });

  test('the rule changes from exact to Byar at 10', () => {
    expect(poissonByRule(9).method).toBe('exact');
    expect(poissonByRule(10)).toEqual({ method: 'byar', ...poissonByar(10) });
  });

  test('no exposure: no rate; nonsense is named', () => {
    expect(crudeRate({ count: 3, exposure: 0 })).toEqual({ rate: null, lower: null, upper: null });
    expect(() => crudeRate({ count: -1, exposure: 10 })).toThrow(/count/);
    expect(() => crudeRate({ count: 1, exposure: NaN })).toThrow(/exposure/);
    expect(() => crudeRate({ count: 1, exposure: 1, multiplier: 0 })).toThrow(/multiplier/);
    expect(() => poissonExact(1, 95)).toThrow(/level/);
    expect(() => poissonMidP(NaN)).toThrow(/count/);
  });
});
