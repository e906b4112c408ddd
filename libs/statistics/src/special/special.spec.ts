import fc from 'fast-check';
import { expectClose, golden } from '../golden';
import { pbeta, pbinom, pt, qbeta, qt } from './beta';
import { lgamma, pchisq, pgamma, ppois, qchisq, qgamma } from './gamma';
import { pnorm, qnorm } from './normal';

const functions: Record<string, (...args: number[]) => number> = {
  qnorm: qnorm,
  pnorm_lower: (z) => pnorm(z!),
  qchisq_lower: (p, df) => qchisq(p!, df!),
  qgamma_lower: (p, a) => qgamma(p!, a!),
  qgamma_upper: (p, a) => qgamma(p!, a!, 'upper'),
  qbeta: (p, a, b) => qbeta(p!, a!, b!),
  pbeta: (x, a, b) => pbeta(x!, a!, b!),
  qt: (p, df) => qt(p!, df!),
  ppois_lower: (k, m) => ppois(k!, m!),
  ppois_upper: (k, m) => ppois(k!, m!, 'upper'),
  lgamma: (x) => lgamma(x!),
  pgamma_lower: (x, a) => pgamma(x!, a!),
};

const p = fc.double({ min: 1e-12, max: 1 - 1e-12, noNaN: true });
const power = (low: number, high: number) => fc.double({ min: low, max: high, noNaN: true }).map((e) => 10 ** e);
const tail = fc.constantFrom('lower' as const, 'upper' as const);

describe('special functions', () => {
  golden('14_special_functions', ({ expected, tolerance }) => {
    for (const { fn, args, value_text } of expected)
      expectClose(functions[fn]!(...args), Number(value_text), tolerance.relative, `${fn}(${args})`);
  });

  test('the distribution function of a quantile is its probability', () => {
    fc.assert(
      fc.property(p, power(-3, 7), power(-3, 7), tail, (prob, a, b, side) => {
        const gamma = qgamma(prob, a, side);
        if (gamma > 1e-300) expectClose(pgamma(gamma, a, side), prob, 1e-10, 'gamma');
        const beta = qbeta(prob, a, b, side);
        // Nearer 1 than a double can say, the argument itself is rounded.
        if (beta > 1e-300 && beta < 0.9) expectClose(pbeta(beta, a, b, side), prob, 1e-9, 'beta');
      }),
    );
    fc.assert(
      fc.property(p, power(-0.5, 7), (prob, df) => {
        expectClose(pt(qt(prob, df), df), prob, 1e-10, 't');
        expectClose(pnorm(qnorm(prob)), prob, 1e-12, 'normal');
      }),
    );
  });

  test('tails add to one and move with their argument', () => {
    fc.assert(
      fc.property(power(-3, 5), power(-3, 5), power(-3, 5), (x, a, b) => {
        expect(pgamma(x, a) + pgamma(x, a, 'upper')).toBeCloseTo(1, 12);
        expect(pgamma(x * 1.01, a)).toBeGreaterThanOrEqual(pgamma(x, a));
        const y = x / (1 + x);
        expect(pbeta(y, a, b) + pbeta(y, a, b, 'upper')).toBeCloseTo(1, 12);
        expect(ppois(a, x) + ppois(a, x, 'upper')).toBeCloseTo(1, 12);
      }),
    );
  });

  test('closed forms', () => {
    for (const x of [1e-9, 0.3, 2, 40]) {
      expectClose(pgamma(x, 1), -Math.expm1(-x), 1e-13);
      expectClose(pchisq(2 * x, 2, 'upper'), Math.exp(-x), 1e-13);
      expectClose(pt(x, 1, 'upper'), Math.atan2(1, x) / Math.PI, 1e-12);
    }
    expectClose(pbinom(1, 3, 0.5), 0.5, 1e-15);
    expectClose(pbeta(0.2, 1, 7, 'upper'), 0.8 ** 7, 1e-14);
    let factorial = 0;
    for (let n = 2; n < 60; n++) expectClose(lgamma(n + 1), (factorial += Math.log(n)), 1e-13);
    // A rare event among a hundred million: the limit of the gamma quantile.
    expectClose(qbeta(0.975, 4, 1e12) * 1e12, qgamma(0.975, 4), 1e-10);
  });

  test('ends and nonsense', () => {
    expect([qnorm(0), qnorm(0.5), qnorm(1)]).toEqual([-Infinity, 0, Infinity]);
    expect([qgamma(0, 3), qgamma(1, 3), qgamma(0, 3, 'upper')]).toEqual([0, Infinity, Infinity]);
    expect([qbeta(0, 2, 3), qbeta(1, 2, 3), pbeta(0, 2, 3), pbeta(1, 2, 3)]).toEqual([0, 1, 0, 1]);
    expect([ppois(-1, 3), ppois(-1, 3, 'upper'), ppois(0, 0)]).toEqual([0, 1, 1]);
    expect(qt(0.975, Infinity)).toBe(qnorm(0.975));
    expect(() => lgamma(0)).toThrow(/x must be/);
    expect(() => qgamma(1.1, 2)).toThrow(/p must be/);
    expect(() => pbeta(0.5, -1, 2)).toThrow(/a must be/);
    expect(() => qt(0.5, NaN)).toThrow(RangeError);
    expect(() => pnorm(NaN)).toThrow(RangeError);
  });
});
