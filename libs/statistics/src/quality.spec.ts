import fc from 'fast-check';
import { kappa } from './agreement';
import type { Answer } from './answer';
import { autocorrelation, ljungBox } from './autocorrelation';
import { chapman } from './capture';
import { cChart, gChart, uChart, uPrimeChart } from './control-charts';
import { funnelRateLimits } from './funnel';
import { expectClose, golden, type Oracle } from './golden';
import { benjaminiHochberg, holm } from './multiplicity';
import { nbinomUpper, pnbinom, poissonUpper } from './special/discrete';
import { digamma, trigamma } from './special/digamma';
import { lgamma, ppois } from './special/gamma';
import { annualChange } from './trend';

const valueOf = <T>(outcome: Answer<T>): T => {
  if (!outcome.ok) throw new Error(`${outcome.problem.code}: ${outcome.problem.detail}`);
  return outcome.value;
};
const code = (outcome: Answer<unknown>) => (outcome.ok ? 'given' : outcome.problem.code);

golden('15_quality_trend_multiplicity', ({ inputs, expected, tolerance }) => {
  const close = (actual: unknown, e: unknown, path: string) => expectClose(actual as Oracle, e, tolerance.relative, path);
  inputs.capture.forEach(({ M, C, R }: Oracle, i: number) => {
    const { distinct, chapman_n: total, variance, se, normal, chao_lognormal: lognormal, ...shares } = expected.capture[i];
    const completeness = {
      first: shares.completeness_source1,
      second: shares.completeness_source2,
      either: shares.completeness_union,
    };
    close(valueOf(chapman(M, C, R)), { distinct, total, variance, se, normal, lognormal, completeness }, `capture ${i}`);
  });
  const { se_fleiss_cohen_everitt: se, ...agreement } = expected.kappa;
  close(valueOf(kappa(inputs.kappa)), { se, ...agreement }, 'kappa');
  const { year: years, count: counts, population: exposures } = inputs.trend;
  const t = expected.trend;
  close(
    valueOf(annualChange({ years, counts, exposures })),
    {
      slope: t.beta,
      se: t.se,
      dispersion: t.dispersion,
      change: t.apc,
      poisson: { lower: t.lower, upper: t.upper },
      dispersed: { lower: t.quasi_lower, upper: t.quasi_upper },
    },
    'trend',
  );
  close(benjaminiHochberg(inputs.p_values), expected.bh, 'bh');
  close(holm(inputs.p_values), expected.holm, 'holm');
});

describe('two lists', () => {
  test('the estimate is never below what was seen, and symmetric in the lists', () => {
    fc.assert(
      fc.property(fc.nat(5000), fc.nat(5000), fc.nat(5000), (both, a, b) => {
        const one = valueOf(chapman(both + a, both + b, both));
        expect(one.total).toBeGreaterThanOrEqual(one.distinct - 1e-9);
        if (one.lognormal.lower !== null) expect(one.lognormal.lower).toBeGreaterThanOrEqual(one.distinct);
        expectClose(valueOf(chapman(both + b, both + a, both)).total, one.total, 1e-12);
      }),
    );
  });

  test('nothing unseen, nothing at all, nonsense', () => {
    expect(valueOf(chapman(10, 10, 10))).toMatchObject({ total: 10, se: 0, lognormal: { lower: null, upper: null } });
    expect(valueOf(chapman(0, 0, 0)).completeness).toEqual({ first: null, second: null, either: null });
    expect(code(chapman(5, 9, 6))).toBe('bad-input');
    expect(code(chapman(-1, 9, 0))).toBe('bad-input');
  });
});

describe('agreement', () => {
  test('perfect is 1, by chance is 0; one category has no kappa', () => {
    expect(
      valueOf(
        kappa([
          [5, 0],
          [0, 7],
        ]),
      ),
    ).toMatchObject({ kappa: 1, se: 0 });
    expectClose(
      valueOf(
        kappa([
          [10, 20],
          [30, 60],
        ]),
      ).kappa,
      0,
      1e-12,
    );
    expect(
      valueOf(
        kappa([
          [5, 0],
          [0, 0],
        ]),
      ),
    ).toMatchObject({ kappa: null, lower: null });
    expect(
      code(
        kappa([
          [0, 0],
          [0, 0],
        ]),
      ),
    ).toBe('no-events');
    expect(code(kappa([[1, 2], [3]]))).toBe('bad-input');
  });
});

describe('trend', () => {
  test('a rate that grows by a tenth a year; shifting the years moves nothing', () => {
    const years = [0, 1, 2, 3, 4, 5];
    const exposures = years.map(() => 1e9);
    const counts = years.map((t) => Math.round(1e7 * 1.1 ** t));
    expectClose(valueOf(annualChange({ years, counts, exposures })).change, 10, 1e-6);
    const late = valueOf(annualChange({ years: years.map((t) => t + 2020), counts, exposures }));
    expectClose(late.change, 10, 1e-6);
    expect(code(annualChange({ years: years.map(() => 7), counts, exposures }))).toBe('collinear');
    expect(code(annualChange({ years: [1, 2], counts: [3, 4], exposures: [1, 1] }))).toBe('too-short');
    expect(code(annualChange({ years, counts: years.map(() => 0), exposures }))).toBe('no-events');
    expect(code(annualChange({ years, counts, exposures: exposures.with(2, -1) }))).toBe('bad-input');
  });
});

describe('many P values', () => {
  const ps = fc.array(fc.double({ min: 0, max: 1, noNaN: true }), { maxLength: 30 });

  test('adjusted are no smaller, keep the order, and Holm is the stricter', () => {
    fc.assert(
      fc.property(ps, (p) => {
        const [bh, strict] = [benjaminiHochberg(p), holm(p)];
        p.forEach((value, i) => {
          expect(bh[i]! >= value && strict[i]! >= bh[i]! - 1e-15 && strict[i]! <= 1).toBe(true);
          p.forEach((other, j) => {
            if (value < other) expect(bh[i]! <= bh[j]! && strict[i]! <= strict[j]!).toBe(true);
          });
        });
      }),
    );
    expect(() => holm([2])).toThrow(/p\[0\]/);
  });
});

describe('residual correlation', () => {
  test('an alternating series; too short or flat is undefined', () => {
    const zigzag = Array.from({ length: 100 }, (_, i) => (i % 2 ? 1 : -1));
    expectClose(autocorrelation(zigzag, 2), [-0.99, 0.98], 1e-12);
    expect(ljungBox(zigzag, 2).p).toBeLessThan(1e-30);
    expect(autocorrelation([1, 2], 3).slice(1)).toEqual([null, null]);
    expect(ljungBox([3, 3, 3, 3], 2)).toEqual({ statistic: null, df: 2, p: null });
  });
});

describe('control charts', () => {
  test('limits by hand', () => {
    const c = valueOf(cChart([4, 9, 5, 6, 26]));
    expectClose([c.centre, c.points[0]!.upper, c.points[0]!.lower], [10, 10 + 3 * Math.sqrt(10), 10 - 3 * Math.sqrt(10)], 1e-12);
    expect(c.points.map(({ outside }) => outside)).toEqual([false, false, false, false, true]);
    const u = valueOf(uChart({ counts: [4, 9], exposures: [2, 8] }));
    expectClose([u.centre, u.points[1]!.upper], [1.3, 1.3 + 3 * Math.sqrt(1.3 / 8)], 1e-12);
    const g = valueOf(gChart([10, 30, 20]));
    expectClose([g.centre, g.points[0]!.upper, g.points[0]!.lower], [20, 20 + 3 * Math.sqrt(420), 0], 1e-12);
  });

  test('u′ with two points: the moving range is their distance; equal exposures make u and c one', () => {
    const chart = valueOf(uPrimeChart({ counts: [10, 30], exposures: [1, 1] }));
    expectClose(chart.sigmaZ, 20 / Math.sqrt(20) / 1.128, 1e-12);
    fc.assert(
      fc.property(fc.array(fc.nat(100), { minLength: 2, maxLength: 30 }), fc.integer({ min: 1, max: 50 }), (counts, n) => {
        const c = valueOf(cChart(counts));
        const u = valueOf(uChart({ counts, exposures: counts.map(() => n) }));
        c.points.forEach((p, i) => expect(u.points[i]!.upper * n).toBeCloseTo(p.upper, 8));
      }),
    );
  });

  test('no events, one point, no exposure', () => {
    expect(valueOf(uPrimeChart({ counts: [0, 0], exposures: [1, 2] }))).toMatchObject({ centre: 0, sigmaZ: 1 });
    expect(code(cChart([3]))).toBe('too-short');
    expect(code(uChart({ counts: [1, 2], exposures: [1, 0] }))).toBe('bad-input');
    expect(code(gChart([1, -2]))).toBe('bad-input');
  });
});

describe('funnel of rates', () => {
  test('holds the target, narrows with exposure, wider at 99.8 %', () => {
    fc.assert(
      fc.property(fc.double({ min: 0.5, max: 5000, noNaN: true }), (mean) => {
        const at = (n: number, level?: number) => valueOf(funnelRateLimits(mean / 100, n, level));
        const [small, large, wide] = [at(100), at(400), at(100, 0.998)];
        expect(small.lower <= mean / 100 && small.upper >= mean / 100).toBe(true);
        expect(large.upper - large.lower).toBeLessThan(small.upper - small.lower);
        expect(wide.lower <= small.lower && wide.upper >= small.upper).toBe(true);
      }),
    );
    // Ten expected: 97.5 % lie between P(X ≤ 16) and P(X ≤ 17), read off the line between them.
    const [below, above] = [ppois(16, 10), ppois(17, 10)];
    expectClose(valueOf(funnelRateLimits(0.1, 100)).upper, (16 + (0.975 - below) / (above - below)) / 100, 1e-12);
    expect(code(funnelRateLimits(0, 10))).toBe('bad-input');
    expect(code(funnelRateLimits(0.1, -10))).toBe('bad-input');
  });
});

describe('discrete quantiles and the derivatives of ln Γ', () => {
  test('the quantile is the first count with so little above it', () => {
    fc.assert(
      fc.property(
        fc.double({ min: 0.01, max: 2000, noNaN: true }),
        fc.double({ min: 1.01, max: 30, noNaN: true }),
        fc.double({ min: 1e-6, max: 0.3, noNaN: true }),
        (mean, phi, alpha) => {
          const x = nbinomUpper(alpha, mean, phi);
          expect(pnbinom(x, mean, phi, 'upper')).toBeLessThanOrEqual(alpha * (1 + 1e-9));
          if (x > 0) expect(pnbinom(x - 1, mean, phi, 'upper')).toBeGreaterThan(alpha * (1 - 1e-9));
          const y = poissonUpper(alpha, mean);
          expect(ppois(y, mean, 'upper')).toBeLessThanOrEqual(alpha * (1 + 1e-9));
          if (y > 0) expect(ppois(y - 1, mean, 'upper')).toBeGreaterThan(alpha * (1 - 1e-9));
        },
      ),
    );
    // Size 1 is geometric, and a dispersion of next to 1 Poisson.
    expectClose(pnbinom(3, 2, 3), 1 - (2 / 3) ** 4, 1e-13);
    expectClose(pnbinom(5, 4, 1 + 1e-7), ppois(5, 4), 1e-6);
  });

  test('ψ and ψ′', () => {
    expectClose(digamma(1), -0.5772156649015329, 1e-14);
    expectClose(trigamma(1), Math.PI ** 2 / 6, 1e-14);
    expectClose(trigamma(0.5), Math.PI ** 2 / 2, 1e-14);
    fc.assert(
      fc.property(fc.double({ min: 0.05, max: 1e5, noNaN: true }), (x) => {
        expect(Math.abs(digamma(x + 1) - digamma(x) - 1 / x)).toBeLessThan(1e-13 * (1 + 1 / x + Math.abs(digamma(x))));
        const h = 1e-5 * x;
        const slope = (lgamma(x + h) - lgamma(x - h)) / (2 * h);
        expect(Math.abs(slope - digamma(x))).toBeLessThan(1e-4 * (1 + Math.abs(digamma(x)) + 1 / x));
      }),
    );
    expect(() => digamma(0)).toThrow(/x must be/);
  });
});
