import * as fc from 'fast-check';
import {
  cellId,
  NO_HISTORY,
  nextVintage,
  protectTable,
  protectVintages,
  shareIds,
  shareTable,
  tableOf,
  type Axis,
  type Table,
} from '.';

const flat = (...parts: string[]): Axis => ({ members: [...parts, 'all'], sums: [{ total: 'all', parts }] });
const AXES = [flat('a', 'b', 'c'), flat('x', 'y')];

/** A row per member of the first axis. */
const table = (rows: readonly (readonly number[])[], k = 5): Table => {
  const [first, second] = AXES.map((axis) => axis.members.slice(0, -1));
  const value = (row: string, column: string) => rows[first!.indexOf(row)]![second!.indexOf(column)]!;
  return tableOf(
    AXES,
    ([row, column]) =>
      (row === 'all' ? first! : [row!])
        .flatMap((r) => (column === 'all' ? second! : [column!]).map((c) => value(r, c)))
        .reduce((sum, count) => sum + count, 0),
    k,
  );
};
/** The counts of a line, null where hidden. */
const line = (protection: ReturnType<typeof protectTable>, ...ids: string[][]) =>
  ids.map((members) => protection.get(cellId(members))!.value);

const counts = fc.oneof(fc.integer({ min: 0, max: 6 }), fc.integer({ min: 0, max: 60 }));
const tables = fc.array(fc.tuple(counts, counts), { minLength: 3, maxLength: 3 });

describe('one table', () => {
  test('the worked example of docs/explanation/disclosure-control.md', () => {
    const protection = protectTable(table([[3, 20], [12, 31], [40, 8]])); // prettier-ignore
    expect(line(protection, ['a', 'x'], ['a', 'y'], ['a', 'all'])).toEqual([null, null, 23]);
    expect(line(protection, ['b', 'x'], ['b', 'y'], ['b', 'all'])).toEqual([12, 31, 43]);
    expect(line(protection, ['c', 'x'], ['c', 'y'], ['c', 'all'])).toEqual([null, null, 48]);
    expect(line(protection, ['all', 'x'], ['all', 'y'], ['all', 'all'])).toEqual([55, 59, 114]);
    expect(protection.get(cellId(['a', 'x']))).toEqual({ state: 'primary', value: null, possible: { least: 1, most: 5 } });
    expect(protection.get(cellId(['c', 'y']))).toMatchObject({ state: 'complementary' });
  });

  test('a table without small counts is shown whole, zeros too', () => {
    const whole = fc.array(fc.tuple(...[0, 0].map(() => fc.integer({ min: 4, max: 60 }).map((n) => (n === 4 ? 0 : n)))), { minLength: 3, maxLength: 3 }); // prettier-ignore
    fc.assert(fc.property(whole, (rows) => [...protectTable(table(rows)).values()].every(({ state }) => state === 'shown')));
  });

  test('zero is shown, and whatever is shown is true', () => {
    fc.assert(
      fc.property(tables, (rows) => {
        const given = table(rows);
        const protection = protectTable(given);
        for (const { id, count } of given.cells) {
          const { value } = protection.get(id)!;
          if (count === 0) expect(value).toBe(0);
          else if (count < 5) expect(value).toBeNull();
          else expect([null, count]).toContain(value);
        }
      }),
    );
  });

  test('every hidden cell has its proof: two counts, for a small one k−1 apart and one of them no longer small', () => {
    fc.assert(
      fc.property(tables, (rows) => {
        for (const decision of protectTable(table(rows)).values()) {
          if (decision.state === 'shown') continue;
          const { least, most } = decision.possible;
          expect(least).toBeGreaterThanOrEqual(1);
          expect(most - least).toBeGreaterThanOrEqual(decision.state === 'primary' ? 4 : 1);
          if (decision.state === 'primary') expect(most).toBeGreaterThanOrEqual(5);
        }
      }),
    );
  });

  test('the order of cells, sums and parts decides nothing', () => {
    fc.assert(
      fc.property(tables, fc.nat(), (rows, turn) => {
        const given = table(rows);
        const turned = <T>(list: readonly T[]) =>
          [...list.slice(turn % list.length), ...list.slice(0, turn % list.length)].reverse();
        const other = {
          cells: turned(given.cells),
          sums: turned(given.sums).map(({ total, parts }) => ({ total, parts: turned(parts) })),
        };
        expect([...protectTable(other)]).toEqual([...protectTable(given)]);
      }),
    );
  });

  test('k is each cell’s own: ten for what is sensitive', () => {
    const given = tableOf([flat('fall', 'selfharm')], ([code]) => ({ fall: 7, selfharm: 7, all: 14 })[code!]!, ([code]) => (code === 'selfharm' ? 10 : 5)); // prettier-ignore
    const protection = protectTable(given);
    expect(protection.get('selfharm')!.state).toBe('primary');
    expect(protection.get('fall')!.state).toBe('complementary');
  });

  test('a small count that can’t be thought lower may be much higher', () => {
    // Fewer in a·x would be fewer in b·y too, where there is but one; 4 or 5 alone would be as good as 4.
    const base: Record<string, number> = { ax: 4, ay: 30, bx: 30, by: 1 };
    const sum = ([row, column]: readonly string[]) =>
      Object.entries(base)
        .filter(([id]) => (row === 'all' || id[0] === row) && (column === 'all' || id[1] === column))
        .reduce((total, [, count]) => total + count, 0);
    const protection = protectTable(tableOf([flat('a', 'b'), flat('x', 'y')], sum, ([row]) => (row === 'a' ? 5 : 1)));
    expect(protection.get(cellId(['a', 'x']))).toEqual({ state: 'primary', value: null, possible: { least: 4, most: 8 } });
  });

  test('one case in all: every cell it stands in is hidden, and more may be thought', () => {
    const protection = protectTable(table([[1, 0], [0, 0], [0, 0]])); // prettier-ignore
    const hidden = [...protection].filter(([, { value }]) => value === null);
    expect(hidden.map(([id]) => id).sort()).toEqual([['a', 'all'], ['a', 'x'], ['all', 'all'], ['all', 'x']].map(cellId).sort()); // prettier-ignore
    for (const [, decision] of hidden) expect(decision).toMatchObject({ possible: { least: 1, most: 5 } });
  });

  test('where no single move is left, all that hangs together is hidden', () => {
    // q is p, s is twice p: no move changes each of them by as much.
    const cell = (id: string, count: number) => ({ id, count, threshold: 5 });
    const given: Table = {
      cells: [cell('p', 2), cell('q', 2), cell('s', 4), cell('none', 0), cell('apart', 9)],
      sums: [
        { total: 'q', parts: ['p', 'none'] },
        { total: 's', parts: ['p', 'q'] },
      ],
    };
    const protection = protectTable(given);
    expect([...protection].filter(([, { value }]) => value === null).map(([id]) => id)).toEqual(['p', 'q', 's']);
    expect(protection.get('p')).toMatchObject({ possible: { least: 2, most: 6 } });
    expect(protection.get('s')).toMatchObject({ possible: { least: 4, most: 12 } });
    expect(protection.get('apart')!.value).toBe(9);
  });

  test('refuses what is no table of counts', () => {
    const cell = (id: string, count: number, threshold = 5) => ({ id, count, threshold });
    expect(() => protectTable({ cells: [cell('a', 1), cell('a', 1)], sums: [] })).toThrow('twice');
    expect(() => protectTable({ cells: [cell('a', 1.5)], sums: [] })).toThrow('no count');
    expect(() => protectTable({ cells: [cell('a', -1)], sums: [] })).toThrow('no count');
    expect(() => protectTable({ cells: [cell('a', 1, 0)], sums: [] })).toThrow('threshold');
    expect(() => protectTable({ cells: [cell('a', 1)], sums: [{ total: 'b', parts: ['a'] }] })).toThrow(
      'isn’t there'.replace('’', "'"),
    );
    expect(() => protectTable({ cells: [cell('a', 1), cell('b', 2)], sums: [{ total: 'b', parts: ['a'] }] })).toThrow('add up');
  });
});

describe('a share', () => {
  const lone = (count: number): Table => ({ cells: [{ id: 'u', count, threshold: 5 }], sums: [] });
  const states = (num: number, den: number) => {
    const protection = protectTable(shareTable(lone(num), lone(den)));
    const { num: n, den: d, rest } = shareIds('u');
    return [n, d, rest].map((id) => protection.get(id)!.state);
  };
  test.each([
    [40, 90, ['shown', 'shown', 'shown']],
    [90, 90, ['shown', 'shown', 'shown']],
    [0, 90, ['shown', 'shown', 'shown']],
  ])('%i of %i', (num, den, expected) => expect(states(num, den)).toEqual(expected));

  test('88 of 90 leaves 2, which are as few as 2 of 90', () => {
    expect(states(88, 90)[2]).toBe('primary');
    expect(states(88, 90).slice(0, 2)).toContain('complementary');
    expect(states(2, 90)[0]).toBe('primary');
  });
});

describe('successive releases', () => {
  const lone = (count: number): Table => ({ cells: [{ id: 'u', count, threshold: 5 }], sums: [] });
  const shown = (...values: number[]) => {
    let history = NO_HISTORY;
    return values.map((count) => {
      const next = nextVintage(history, lone(count));
      history = next.history;
      return next.protection.get('u')!.value;
    });
  };
  test('a value is shown when it differs from every value ever shown by 0 or k', () => {
    expect(shown(20, 20, 21, 24, 25, 29, 30)).toEqual([20, 20, null, null, 25, null, 30]);
    expect(shown(20, 25, 22, 20, 15, 17, 0)).toEqual([20, 25, null, 20, 15, null, 0]);
    expect(shown(20, 25, 30, 22)).toEqual([20, 25, 30, null]);
    expect(shown(3, 6, 7, 4, 0)).toEqual([null, 6, null, null, 0]);
  });

  test('a held change is not given away by the rest of its line', () => {
    const before = table([[30, 20], [12, 31], [40, 18]]); // prettier-ignore
    const after = table([[31, 29], [12, 31], [40, 18]]); // prettier-ignore
    const protection = protectVintages([before, after]);
    // Row and grand totals moved by 10 and are shown; the column of the one new case moved by 1 and is held with it.
    expect(line(protection, ['a', 'x'], ['all', 'x'])).toEqual([null, null]);
    expect(line(protection, ['a', 'y'], ['all', 'y'])).toEqual([null, null]);
    expect(line(protection, ['a', 'all'], ['all', 'all'])).toEqual([60, 161]);
    const held = protection.get(cellId(['a', 'x']))!;
    expect(held).toMatchObject({ state: 'held' });
    if (held.state !== 'shown') expect(held.possible.least <= 30 && held.possible.most >= 35).toBe(true);
  });

  test('the last of a sequence is what one release after another gives', () => {
    fc.assert(
      fc.property(fc.array(tables, { minLength: 1, maxLength: 5 }), (rows) => {
        let history = NO_HISTORY;
        const each = rows.map((one) => {
          const next = nextVintage(history, table(one));
          history = next.history;
          return next.protection;
        });
        expect([...protectVintages(rows.map((one) => table(one)))]).toEqual([...each.at(-1)!]);
      }),
      { numRuns: 30 },
    );
  });
});
