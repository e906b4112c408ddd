import { compare, exitCode, relativeError, runOracle, type Adapter, type Outcome } from './oracles';

const read = { rows: () => [], standards: () => ({}) };

describe('comparing', () => {
  test('relative to the expected, absolute at 0', () => {
    expect(relativeError(200, 201)).toBeCloseTo(0.005, 12);
    expect(relativeError(0, 1e-9)).toBe(1e-9);
    expect(relativeError(0, 0)).toBe(0);
  });

  test('every field, however deep; the worst is named', () => {
    const c = compare({ a: 1, b: [{ c: 2 }, { c: 4 }] }, { a: 1, b: [{ c: 2 }, { c: 4.004 }], extra: 9 }, 1e-8);
    expect(c.compared).toBe(3);
    expect(c.worst).toBeCloseTo(0.001, 9);
    expect(c.worstAt).toBe('b.1.c');
    expect(c.misses.map(({ path }) => path)).toEqual(['b.1.c']);
  });

  test('a field not answered is a miss and not counted', () => {
    expect(compare({ a: 1, b: { c: 2, d: null } }, { a: 1 }, 1e-8)).toMatchObject({
      compared: 1,
      misses: [{ path: 'b.c' }, { path: 'b.d' }],
    });
    expect(compare({ a: 1 }, new Error('no'), 1e-8)).toMatchObject({ compared: 0, misses: [{ actual: 'no' }] });
    expect(compare([1, 2], [1], 1e-8).misses).toHaveLength(1);
  });

  test('null is "not defined", in any shape; a number is not', () => {
    const ok = (expected: unknown, actual: unknown) => compare(expected, actual, 1e-8).misses.length === 0;
    expect(ok(null, null)).toBe(true);
    expect(ok(null, { lower: null, upper: null })).toBe(true);
    expect(ok({ lower: null, upper: null }, null)).toBe(true);
    expect(ok(null, NaN)).toBe(true);
    expect(ok(null, 0)).toBe(false);
    expect(ok(0, null)).toBe(false);
    expect(ok(1, NaN)).toBe(false);
    expect(ok({ lower: 0, upper: null }, null)).toBe(false);
  });

  test('text is equal, or is the number it spells', () => {
    expect(compare('Exact', 'Exact', 1e-8).misses).toEqual([]);
    expect(compare('Exact', 'Byars', 1e-8).misses).toHaveLength(1);
    expect(compare('2.5e-3', 0.0025, 1e-8).misses).toEqual([]);
  });

  test('a key the oracle compares loosely', () => {
    expect(compare({ x: { l: 1 }, y: 1 }, { x: { l: 1.0000001 }, y: 1 }, 1e-8, { x: 1e-6 }).misses).toEqual([]);
    expect(compare({ x: 1, y: 1 }, { x: 1, y: 1.0000001 }, 1e-8, { x: 1e-6 }).misses).toHaveLength(1);
  });
});

describe('running', () => {
  const adapters: Record<string, Adapter> = {
    '90': ({ inputs }) => inputs.map((x: number) => ({ double: 2 * x })),
    '91': () => {
      throw new Error('no data');
    },
  };
  const run = (id: string, expected: unknown) =>
    runOracle(`${id}.json`, { id, inputs: [1, 2], expected, tolerance: { relative: 1e-8 } }, read, adapters);

  test('pass, fail, thrown, not yet', () => {
    expect(run('90_x', [{ double: 2 }, { double: 4 }])).toMatchObject({ status: 'pass', cases: 2, compared: 2, worst: 0 });
    expect(run('90_x', [{ double: 2 }, { double: 5 }]).status).toBe('fail');
    expect(run('90_x', [])).toMatchObject({ status: 'fail' });
    expect(run('91_x', [1])).toMatchObject({ status: 'fail', misses: [{ actual: 'Error: no data' }] });
    expect(run('99_x', [1]).status).toBe('not yet');
  });

  test('only a folder of passes exits 0', () => {
    const of = (...all: Outcome['status'][]) => exitCode(all.map((status) => ({ status }) as Outcome));
    expect([of(), of('pass'), of('pass', 'not yet'), of('fail')]).toEqual([1, 0, 1, 1]);
  });

  test('other inputs than the published ones, to the edges', () => {
    const cases = [
      { label: 'none', count: 0, population: 10, multiplier: 1000, confidence: 0.998 },
      { label: 'very many', count: 2_000_000_000, population: 8e9, multiplier: 1, confidence: 0.95 },
    ];
    const run01 = (expected: unknown) => runOracle('01.json', { id: '01_crude_rate', inputs: { cases }, expected }, read);
    expect(run01([{ rate: 0, lognormal: null, exact: { lower: 0, upper: 100 * Math.log(1000) } }, { rate: 0.25 }])).toMatchObject(
      {
        status: 'pass',
        compared: 5,
      },
    );
    const proportions = { id: '04_proportion', inputs: { cases: [{ label: 'empty', x: 0, n: 0, confidence: 0.95 }] } };
    expect(
      runOracle('04.json', { ...proportions, expected: [{ proportion: null, wilson: null, jeffreys: null }] }, read).status,
    ).toBe('pass');
  });
});
