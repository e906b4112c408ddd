import fc from 'fast-check';
import { scan, type Plan } from './scan';
import { BETWEEN, CODED, createFactTable, FLAG, type FactRow } from './table';

/** A fact of a day and feed; all else alike. */
const row = (from: number, day: number, feed: string, to: number | null = null, age: number | null = 30): FactRow => [
  from,
  to,
  day,
  age,
  FLAG.eligible | FLAG.counted,
  CODED.map((name) => (name === 'feed' ? feed : name === 'residence' ? '' : 'x')).join(BETWEEN),
];
const plan = (position: number, cuts: readonly number[]): Plan => ({
  ...{
    position,
    cuts,
    place: 'community',
    communities: ['x'],
    apart: false,
    ageCuts: [],
    groups: ['feed'],
    amount: { kind: 'rows' },
  },
  clauses: [[[{ flags: 'counted' }]]],
});
const byFeed = (table: ReturnType<typeof createFactTable>, position: number, cuts: readonly number[]): string[] => {
  const { cells, width, names } = scan(table, plan(position, cuts))!;
  return Array.from({ length: cells.length / width }, (_, i) => {
    const [period, , , feed, n] = cells.subarray(i * width, (i + 1) * width);
    return `${period} ${names[0]![feed!]} ${n}`;
  }).sort();
};

test('however rows arrive, in whatever order and with more codes than a byte has, the counts are those of all rows', () => {
  const rowArbitrary = fc.record({ day: fc.integer({ min: -30, max: 30 }), feed: fc.nat({ max: 700 }), ends: fc.boolean() });
  fc.assert(
    fc.property(fc.array(fc.array(rowArbitrary, { maxLength: 400, size: 'max' }), { maxLength: 6 }), (batches) => {
      const table = createFactTable();
      const all: FactRow[] = [];
      for (const batch of batches) {
        const begun = batch.map(({ day, feed }, i) => row(all.length + i + 1, day, `f${feed}`));
        all.push(...begun);
        table.add([table.encode(begun)]);
      }
      const ends = batches.flat();
      const position = all.length + 1;
      const closed = all.map(
        (each, i): FactRow => (ends[i]!.ends ? [each[0], position, each[2], each[3], each[4], each[5]] : each),
      );
      for (const each of closed) if (each[1] !== null) table.close(each);
      for (const at of [Math.floor(all.length / 2), all.length, position]) {
        const naive = new Map<string, number>();
        for (const [from, to, day, , , codes] of closed) {
          if (from > at || (to ?? Infinity) <= at || day < -10 || day >= 20) continue;
          const key = `${day < 5 ? 0 : 1} ${codes.split(BETWEEN).at(-1)}`;
          naive.set(key, (naive.get(key) ?? 0) + 1);
        }
        expect(byFeed(table, at, [-10, 5, 20])).toEqual([...naive].map(([key, n]) => `${key} ${n}`).sort());
      }
      expect(table.rows).toBe(all.length);
      expect(table.segments.length).toBeLessThan(8);
    }),
    { numRuns: 30, seed: 11 },
  );
});

test('a row that is nowhere open can’t be closed, and one that is closed stays so', () => {
  const table = createFactTable();
  table.add([table.encode([row(1, 5, 'a')])]);
  expect(() => table.close(row(1, 5, 'b', 2))).toThrow('no fact');
  expect(() => table.close(row(1, 6, 'a', 2))).toThrow('no fact');
  table.close(row(1, 5, 'a', 2));
  expect(() => table.close(row(1, 5, 'a', 3))).toThrow('no fact');
  expect([byFeed(table, 1, [0, 9]), byFeed(table, 2, [0, 9])]).toEqual([['0 a 1'], []]);
});

test('what columns can’t hold is refused', () => {
  expect(() => createFactTable().encode([row(1, 0, 'a', null, -1)])).toThrow('age');
});
