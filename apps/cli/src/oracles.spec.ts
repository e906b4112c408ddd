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

  test('a model written in other words, on other data, and one that cannot be fitted', () => {
    const rows = Array.from({ length: 40 }, (_, i) => ({
      t: `${i + 1}`,
      month: `${(i % 12) + 1}`,
      law: i < 25 ? '0' : '1',
      hurt: `${(i < 25 ? 40 : 20) + (i % 3)}`,
      none: '0',
      miles: '100',
      rain: `${(i * 7) % 5}`,
    }));
    const run09 = (models: Record<string, string>, expected: unknown, intervention?: string) =>
      runOracle(
        '09.json',
        { id: '09_its', inputs: { file: 'x.csv', intervention, models }, expected, tolerance: { relative: 1e-6 } },
        { ...read, rows: () => rows },
      );
    const expected = { n: 40, post_observed: 15 * 21 };
    const text = 'y=hurt, offset=log(miles), K=1, level+slope, covariates rain';
    expect(run09({ A: text }, { A: expected }, 't=26')).toMatchObject({ status: 'pass' });
    expect(run09({ A: text }, { A: expected }, 'T0=25')).toMatchObject({ status: 'pass' });
    expect(run09({ A: text }, { A: expected })).toMatchObject({ status: 'pass' });
    const bad = run09({ A: 'y=none, K=1, level only', B: 'y=hurt, K=0, level only' }, { A: { n: 40 }, B: { n: 40 } });
    expect(bad).toMatchObject({
      status: 'fail',
      compared: 1,
      misses: [{ path: 'A.n', actual: expect.stringMatching(/events/) }],
    });
  });

  test('surveillance of a short, quiet series; the ranges are counted from 1', () => {
    const ears = { range: 'k=12..13 (1-based)', alpha: { C1: 0.001 }, baseline: 7, minSigma: 0 };
    const farrington = { range: 'k=30..31', b: 4, w: 1, alpha: 0.01, reweight: true, trend: true };
    const flexible = { ...farrington, noPeriods: 2, pastWeeksNotIncluded: 2, weightsThreshold: 2.58, pThresholdTrend: 1 };
    const observed = [...new Array(30).fill(0), 9];
    const inputs = { observed, frequency: 6, ears, farrington_flexible: flexible, farrington_original: farrington };
    const expected = {
      ears: { C1: { from: 12, upperbound: [0, 0], alarm: [0, 0], n_alarms: 0, alarm_at: [] } },
      farrington_flexible: { from: 30, upperbound: [null, 0], alarm: [0, 1], alarm_at: [31] },
      farrington_original: { from: 30, alarm: [0, 1], alarm_at: [31] },
    };
    expect(runOracle('12.json', { id: '12_alarms', inputs, expected }, read)).toMatchObject({ status: 'pass', misses: [] });
  });

  test('two lists without an overlap, and a table of one category', () => {
    const inputs = {
      capture: [{ M: 3, C: 4, R: 0 }],
      kappa: [
        [5, 0],
        [0, 0],
      ],
      trend: { year: [1], count: [1], population: [1] },
      p_values: [],
    };
    const expected = {
      capture: [{ chapman_n: 19, distinct: 7 }],
      kappa: { agreement: 1, kappa: null, lower: null },
      bh: [],
      holm: [],
    };
    expect(runOracle('15.json', { id: '15_quality', inputs, expected }, read)).toMatchObject({ status: 'pass', misses: [] });
  });
});
