import fc from 'fast-check';
import { expectClose } from './golden';
import { inverseGram, leastSquares } from './linear';

const number = fc.double({ min: -100, max: 100, noNaN: true });

describe('least squares', () => {
  test('residuals are orthogonal to every column, and the inverse undoes X′WX', () => {
    fc.assert(
      fc.property(
        fc.array(fc.tuple(number, number, number, fc.double({ min: 0.1, max: 10, noNaN: true })), {
          minLength: 5,
          maxLength: 30,
        }),
        (rows) => {
          const columns = [rows.map(() => 1), rows.map(([a]) => a), rows.map(([, b]) => b)];
          const z = rows.map(([, , c]) => c);
          const w = rows.map(([, , , d]) => d);
          const solved = leastSquares(columns, z, w);
          if ('collinear' in solved) return;
          const gram = columns.map((a) => columns.map((b) => a.reduce((sum, x, i) => sum + w[i]! * x * b[i]!, 0)));
          const smallest = Math.min(...solved.r.map((column, j) => Math.abs(column[j]!)));
          fc.pre(smallest > 1e-3);
          const scale = Math.max(...solved.coefficients.map(Math.abs), 1) * 1e4;
          for (const column of columns) {
            const score = z.reduce((sum, y, i) => {
              const fitted = columns.reduce((total, x, j) => total + x[i]! * solved.coefficients[j]!, 0);
              return sum + w[i]! * column[i]! * (y - fitted);
            }, 0);
            expect(Math.abs(score)).toBeLessThan(1e-8 * scale);
          }
          const inverse = inverseGram(solved.r);
          const size = Math.max(...inverse.flat().map(Math.abs)) * Math.max(...gram.flat().map(Math.abs));
          inverse.forEach((row, i) =>
            columns.forEach((_, j) => {
              const product = row.reduce((sum, x, k) => sum + x * gram[k]![j]!, 0);
              expect(Math.abs(product - (i === j ? 1 : 0))).toBeLessThan(1e-12 * size + 1e-9);
            }),
          );
        },
      ),
    );
  });

  test('years, whose squares drown X′X, keep their digits', () => {
    const years = Array.from({ length: 12 }, (_, i) => 1e6 + i);
    const solved = leastSquares(
      [years.map(() => 1), years],
      years.map((t) => 3 - 2 * (t - 1e6)),
      years.map(() => 1),
    );
    if ('collinear' in solved) throw new Error('refused');
    expectClose(solved.coefficients[1], -2, 1e-9);
  });

  test('the column that adds nothing is named', () => {
    const one = [1, 1, 1, 1];
    const t = [1, 2, 3, 4];
    const both = t.map((x) => 5 - 3 * x);
    expect(leastSquares([one, t, both], t, one)).toEqual({ collinear: 2 });
    expect(leastSquares([one, [0, 0, 0, 0], t], t, one)).toEqual({ collinear: 1 });
  });
});
