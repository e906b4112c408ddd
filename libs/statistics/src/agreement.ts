import { answer, refuse, type Answer } from './answer';
import { wholeNumber } from './checks';
import { defined, symmetric, zOf, type Interval } from './interval';

/**
 * Cohen's kappa of a k × k table of counts (rows one rater, columns the other, same categories), with the large-sample se of
 * Fleiss, Cohen & Everitt (1969) Psych Bull 72:323 and normal limits. `kappa` and what follows `null` where chance agreement is 1.
 * Refused: not square, no observations, counts not whole.
 */
export const kappa = (
  table: readonly (readonly number[])[],
  level = 0.95,
): Answer<Interval & { agreement: number; expected: number; kappa: number | null; se: number | null }> =>
  answer(() => {
    const k = table.length;
    const z = zOf(level);
    table.forEach((row, i) => {
      if (row.length !== k) refuse('bad-input', `row ${i} has ${row.length} cells of ${k}`);
      row.forEach((count, j) => wholeNumber(`table[${i}][${j}]`, count));
    });
    const sum = (values: readonly number[]): number => values.reduce((a, b) => a + b, 0);
    const n = sum(table.map(sum));
    if (n === 0) refuse('no-events', 'the table is empty');
    const rows = table.map((row) => sum(row) / n);
    const columns = rows.map((_, j) => sum(table.map((row) => row[j]!)) / n);
    const agreement = sum(table.map((row, i) => row[i]!)) / n;
    const expected = sum(rows.map((r, i) => r * columns[i]!));
    if (expected === 1) return { agreement, expected, kappa: null, se: null, lower: null, upper: null };
    const value = (agreement - expected) / (1 - expected);
    const share = (i: number, j: number): number => table[i]![j]! / n;
    let on = 0;
    let off = 0;
    for (let i = 0; i < k; i++)
      for (let j = 0; j < k; j++) {
        if (i === j) on += share(i, i) * (1 - (rows[i]! + columns[i]!) * (1 - value)) ** 2;
        else off += share(i, j) * (columns[i]! + rows[j]!) ** 2;
      }
    const inner = on + (1 - value) ** 2 * off - (value - expected * (1 - value)) ** 2;
    const se = Math.sqrt(Math.max(0, inner) / n) / (1 - expected);
    return { agreement, expected, kappa: value, se: defined(se), ...symmetric(value, se, z) };
  });
