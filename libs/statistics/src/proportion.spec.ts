import fc from 'fast-check';
import { expectClose, golden } from './golden';
import { agrestiCoull, clopperPearson, jeffreys, wald, wilson, wilsonCorrected } from './proportion';

const methods = {
  wilson,
  wilson_cc: wilsonCorrected,
  clopper_pearson: clopperPearson,
  agresti_coull: agrestiCoull,
  wald,
  jeffreys,
};

describe('limits of a proportion', () => {
  golden('04_proportion', ({ inputs, expected, tolerance }) => {
    inputs.cases.forEach(({ label, x, n, confidence }: typeof inputs, i: number) => {
      for (const [name, limits] of Object.entries(methods))
        expectClose(limits(x, n, confidence), expected[i][name], tolerance.relative, `${label} ${name}`);
    });
  });

  test('limits bracket the share, stay in [0, 1], widen with the level', () => {
    const pair = fc.integer({ min: 1, max: 1_000_000 }).chain((n) => fc.tuple(fc.integer({ min: 0, max: n }), fc.constant(n)));
    const level = fc.double({ min: 0.8, max: 0.9999, noNaN: true });
    fc.assert(
      fc.property(pair, level, level, ([x, n], one, two) => {
        for (const limits of [wilson, wilsonCorrected, clopperPearson]) {
          const [narrow, wide] = [limits(x, n, Math.min(one, two)), limits(x, n, Math.max(one, two))];
          expect(narrow.lower).toBeLessThanOrEqual((x / n) * (1 + 1e-12));
          expect(narrow.upper! * (1 + 1e-12)).toBeGreaterThanOrEqual(x / n);
          expect(wide.lower).toBeLessThanOrEqual(narrow.lower! * (1 + 1e-12));
          expect(wide.upper! * (1 + 1e-12)).toBeGreaterThanOrEqual(narrow.upper!);
          expect(wide.lower).toBeGreaterThanOrEqual(0);
          expect(wide.upper).toBeLessThanOrEqual(1);
        }
      }),
    );
  });

  test('nothing of nothing has no limits; nonsense is named', () => {
    for (const limits of Object.values(methods)) {
      expect(limits(0, 0)).toEqual({ lower: null, upper: null });
      expect(() => limits(3, 2)).toThrow(/x must be at most n/);
      expect(() => limits(-1, 2)).toThrow(/x must be/);
      expect(() => limits(1, 2, 1)).toThrow(/level/);
    }
  });
});
