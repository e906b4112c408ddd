import fc from 'fast-check';
import { expectClose, golden } from './golden';
import {
  attributableFraction,
  rateDifference,
  rateRatio,
  rateRatioExact,
  rateRatioMidP,
  rateRatioTest,
  rateRatioWald,
} from './rate-ratio';

describe('two rates', () => {
  golden('06_rate_ratio', ({ inputs, expected }) => {
    inputs.cases.forEach(({ confidence, ...c }: typeof inputs, i: number) => {
      const e = expected[i];
      expectClose(rateRatio(c), e.rr);
      const { se_log: seLog, ...wald } = e.wald ?? {};
      expectClose(rateRatioWald(c, confidence), e.wald && { seLog, ...wald });
      expectClose(rateRatioExact(c, confidence), e.exact);
      const { median_unbiased: medianUnbiased, ...midP } = e.mid_p;
      expectClose(rateRatioMidP(c, confidence), { medianUnbiased, ...midP });
      expectClose(rateRatioTest(c), { doubled: e.p_exact_doubled, minlike: e.p_exact_minlike, mid: e.p_mid_doubled });
      expectClose(rateDifference(c, confidence), {
        difference: e.rate_difference,
        se: e.rd_se,
        lower: e.rd_lower,
        upper: e.rd_upper,
      });
      expectClose(attributableFraction(c), e.attributable_fraction_exposed);
    });
  });

  test('swapping the groups inverts the interval; exact holds mid-P holds the estimate', () => {
    const count = fc.integer({ min: 1, max: 5000 });
    const time = fc.double({ min: 0.1, max: 1e6, noNaN: true });
    fc.assert(
      fc.property(count, count, time, time, (a, b, t1, t0) => {
        const exact = rateRatioExact({ a, t1, b, t0 });
        const swapped = rateRatioExact({ a: b, t1: t0, b: a, t0: t1 });
        expectClose(exact.lower! * swapped.upper!, 1, 1e-9);
        const mid = rateRatioMidP({ a, t1, b, t0 });
        const ratio = rateRatio({ a, t1, b, t0 })!;
        expect([exact.lower!, mid.lower!, ratio, mid.upper!, exact.upper!]).toEqual(
          [exact.lower!, mid.lower!, ratio, mid.upper!, exact.upper!].sort((x, y) => x - y),
        );
      }),
    );
  });

  test('no events at all', () => {
    const none = { a: 0, t1: 3, b: 0, t0: 4 };
    expect(rateRatioExact(none)).toEqual({ lower: null, upper: null });
    expect(rateRatioMidP(none)).toEqual({ lower: null, upper: null, medianUnbiased: null });
    expect(rateRatioTest(none)).toEqual({ doubled: 1, minlike: 1, mid: 1 });
    expect(() => rateRatio({ a: 1.5, t1: 1, b: 1, t0: 1 })).toThrow(/a must be/);
    expect(() => rateRatio({ a: 1, t1: 0, b: 1, t0: 1 })).toThrow(/t1/);
  });
});
