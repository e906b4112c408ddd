import fc from 'fast-check';
import { poissonCusum } from './cusum';
import { ears, type EarsMethod } from './ears';
import { farringtonFlexible, farringtonOriginal, type FarringtonOptions } from './farrington';
import { fitLogLinear, intercept } from './glm';
import { expectClose, golden, type Oracle } from './golden';
import type { Answer } from './answer';

const valueOf = <T>(outcome: Answer<T>): T => {
  if (!outcome.ok) throw new Error(`${outcome.problem.code}: ${outcome.problem.detail}`);
  return outcome.value;
};
const code = (outcome: Answer<unknown>) => (outcome.ok ? 'given' : outcome.problem.code);
const from = (first: number, last: number) => Array.from({ length: last - first + 1 }, (_, i) => first - 1 + i);

/** Weekly counts about a mean with a season; the same for a seed. */
const weekly = (seed: number, weeks: number, mean: number): number[] => {
  let state = seed;
  const uniform = () => (state = (state * 1664525 + 1013904223) % 4294967296) / 4294967296;
  return Array.from({ length: weeks }, (_, w) => {
    const m = mean * Math.exp(0.4 * Math.sin((2 * Math.PI * w) / 52));
    let k = 0;
    for (let p = Math.exp(-m), c = p, u = uniform(); u > c && k < 1000; c += p) p *= m / ++k;
    return k;
  });
};

golden('12_surveillance_alarms', ({ inputs, expected, tolerance }) => {
  const { observed, ears: e, farrington_flexible: f, farrington_original: o } = inputs;
  for (const method of ['C1', 'C2', 'C3'] as EarsMethod[]) {
    const points = valueOf(ears(observed, method, { alpha: e.alpha[method], minSigma: 0, minCount: 0 })).filter(
      ({ at }) => at >= 14,
    );
    const { upperbound, alarm, alarm_at } = expected.ears[method];
    expectClose(
      points.map(({ upper }) => upper),
      upperbound,
      tolerance.relative,
      method,
    );
    expect(points.map((point) => Number(point.alarm))).toEqual(alarm);
    expect(points.filter((point) => point.alarm).map(({ at }) => at + 1)).toEqual(alarm_at);
  }
  const common = { years: 4, halfWidth: 3 };
  const flexible = valueOf(
    farringtonFlexible(observed, { ...common, alpha: f.alpha, trendP: f.pThresholdTrend }, from(261, 312)),
  );
  const figures = {
    expected_mu0: flexible.map((point) => point.expected),
    phi: flexible.map(({ dispersion }) => dispersion),
    trend_used: flexible.map(({ trend }) => Number(trend)),
    upperbound: flexible.map(({ upper }) => upper),
    alarm: flexible.map(({ alarm }) => Number(alarm)),
    p_value: flexible.map(({ p }) => p),
  };
  const { from: _f, alarm_at: _a, ...wanted } = expected.farrington_flexible as Oracle;
  expectClose(figures, wanted, tolerance.relative, 'flexible');
  const original = valueOf(farringtonOriginal(observed, { ...common, alpha: o.alpha / 2 }, from(261, 312)));
  expectClose(
    {
      upperbound: original.map(({ upper }) => upper ?? 0),
      alarm: original.map(({ alarm }) => Number(alarm)),
      trend_used: original.map(({ trend }) => Number(trend)),
    },
    (({ upperbound, alarm, trend_used }) => ({ upperbound, alarm, trend_used }))(expected.farrington_original),
    tolerance.relative,
    'original',
  );
});

describe('EARS', () => {
  const quiet = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];

  test('after a week of zeros one event does not alarm; five do; without a floor one does', () => {
    for (const method of ['C1', 'C2'] as const) {
      const last = (y: number, options = {}) => valueOf(ears([...quiet, y], method, options)).at(-1)!.alarm;
      expect([last(1), last(5), last(1, { minSigma: 0, minCount: 0 })]).toEqual([false, true, true]);
    }
  });

  test('a baseline without spread leaves C3 undefined, and says so', () => {
    const [point] = valueOf(ears([...quiet, 0], 'C3', { minSigma: 0 }));
    expect(point).toMatchObject({ upper: null, alarm: false, reason: expect.stringMatching(/does not vary/) as string });
  });

  test('adding a constant to all moves C1 and C2 by it', () => {
    fc.assert(
      fc.property(
        fc.array(fc.integer({ min: 0, max: 50 }), { minLength: 12, maxLength: 30 }),
        fc.integer({ min: 1, max: 99 }),
        (y, c) => {
          for (const method of ['C1', 'C2'] as const) {
            const one = valueOf(ears(y, method, { minCount: 0 }));
            const other = valueOf(
              ears(
                y.map((x) => x + c),
                method,
                { minCount: 0 },
              ),
            );
            one.forEach(({ upper }, i) => expect(other[i]!.upper).toBeCloseTo(upper! + c, 9));
          }
        },
      ),
    );
  });

  test('refused with a reason', () => {
    expect(code(ears([1, 2, 3], 'C1'))).toBe('too-short');
    expect(code(ears([...quiet, NaN], 'C1'))).toBe('bad-input');
    expect(code(ears([...quiet, -1], 'C1'))).toBe('bad-input');
    expect(code(ears([...quiet, 1], 'C1', { baseline: 2 }))).toBe('bad-input');
    expect(code(ears([...quiet, 1], 'C1', { alpha: 0 }))).toBe('bad-input');
  });
});

describe('Farrington', () => {
  // Between two windows of 2w + 1 weeks lie 51 − 2w, in nine levels: of five each, or (w = 2) two of six and seven of five.
  test.each([
    [3, [5, 5, 5, 5, 5, 5, 5, 5, 5]],
    [2, [6, 6, 5, 5, 5, 5, 5, 5, 5]],
  ])('the levels-and-slope fit is the log-linear model it stands for: half-width %d', (w, lengths) => {
    const counts = weekly(3, 300, 6);
    const k = 280;
    const [point] = valueOf(farringtonFlexible(counts, { reweight: false, halfWidth: w }, [k]));
    const year = [...new Array<number>(2 * w + 1).fill(9), ...lengths.flatMap((n, level) => new Array<number>(n).fill(level))];
    const first = k - 5 * 52 - w;
    const used = from(first + 1, k - 26).map((i) => ({ i, level: year[(i - first) % 52]! }));
    const y = used.map(({ i }) => counts[i]!);
    const dummies = lengths.map((_, g) => ({ name: `g${g}`, values: used.map(({ level }) => (level === g ? 1 : 0)) }));
    const columns = [intercept(y.length), { name: 't', values: used.map(({ i }) => i - k) }, ...dummies];
    const fit = fitLogLinear({ y, columns });
    expectClose(point!.expected, Math.exp(fit.coefficients[0]!), 1e-9);
    expectClose(point!.dispersion, Math.max(1, fit.dispersion), 1e-7);
  });

  test('a trend that leads beyond all that was seen is dropped, and so is one of two years', () => {
    const growing = Array.from({ length: 330 }, (_, i) => Math.round(5 * Math.exp(0.01 * i)));
    const [beyond] = valueOf(farringtonFlexible(growing, {}, [320]));
    expect(beyond!.trend).toBe(false);
    expect(beyond!.expected!).toBeLessThan(Math.max(...growing.slice(0, 294)));
    const falling = [...growing].reverse();
    const trend = (options: FarringtonOptions) => valueOf(farringtonFlexible(falling, options, [320]))[0]!.trend;
    expect([trend({}), trend({ years: 3 }), trend({ years: 2 }), trend({ trendP: 0.05 })]).toEqual([true, true, false, true]);
    const flat = weekly(11, 330, 8);
    expect(valueOf(farringtonFlexible(flat, { trendP: 1e-6 }, [320]))[0]!.trend).toBe(false);
  });

  test('an outbreak of the past, weighted down, hides a new one less', () => {
    const counts = weekly(5, 330, 5).map((y, i) => (i > 210 && i < 216 ? y + 60 : y));
    const at = [320];
    const [kept] = valueOf(farringtonFlexible(counts, { reweight: false }, at));
    const [down] = valueOf(farringtonFlexible(counts, {}, at));
    expect(down!.dispersion).toBeLessThan(kept!.dispersion!);
    expect(down!.upper!).toBeLessThan(kept!.upper!);
  });

  test('more cases at the judged point never end an alarm, and change no threshold that stands', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 1e6 }), fc.double({ min: 0.1, max: 20, noNaN: true }), (seed, mean) => {
        const counts = weekly(seed, 270, mean);
        const one = valueOf(farringtonFlexible(counts, {}, [269]))[0]!;
        const more = valueOf(farringtonFlexible(counts.with(269, counts[269]! + 40), {}, [269]))[0]!;
        expect(more.alarm || !one.alarm).toBe(true);
        if (one.upper !== null) expect(more.upper).toBe(one.upper);
        expect(more.p! <= one.p! && one.p! <= 1).toBe(true);
      }),
      { numRuns: 50 },
    );
  });

  test('a season never seen with an event: expected next to nothing, said so, and five cases alarm', () => {
    const counts = new Array<number>(270).fill(0);
    const empty = valueOf(farringtonFlexible(counts, {}, [269]))[0]!;
    expect(empty).toMatchObject({ upper: null, alarm: false, reason: expect.stringMatching(/fewer than 5/) as string });
    for (const method of [farringtonFlexible, farringtonOriginal]) {
      const point = valueOf(method(counts.with(269, 6), {}, [269]))[0]!;
      expect(point).toMatchObject({ alarm: true, reason: expect.stringMatching(/no event at this season/) as string });
      expect(point.expected).toBeLessThan(1e-6);
    }
  });

  test('counts in the hundred thousands still settle', () => {
    const counts = Array.from({ length: 320 }, (_, i) => 400_000 + ((i * 7919) % 9973));
    const points = valueOf(farringtonFlexible(counts));
    for (const { expected, upper, reason } of points) {
      expect(reason).toBeNull();
      expect(expected! > 390_000 && expected! < upper! && upper! < 500_000).toBe(true);
    }
  });

  test('refused with a reason', () => {
    const counts = weekly(1, 270, 3);
    const with_ = (options: FarringtonOptions, at?: number[]) => code(farringtonFlexible(counts, options, at));
    expect(with_({})).toBe('given');
    expect(code(farringtonFlexible(counts.slice(0, 200)))).toBe('too-short');
    expect(with_({}, [100])).toBe('too-short');
    expect(with_({}, [270])).toBe('bad-input');
    expect(with_({ periods: 60 })).toBe('bad-input');
    expect(with_({ alpha: 1 })).toBe('bad-input');
    expect(code(farringtonFlexible(counts.with(3, 1.5)))).toBe('bad-input');
    expect(code(farringtonFlexible(counts.with(3, -1)))).toBe('bad-input');
  });
});

describe('CUSUM', () => {
  const series = fc.array(fc.tuple(fc.integer({ min: 0, max: 30 }), fc.double({ min: 0.1, max: 20, noNaN: true })), {
    minLength: 1,
    maxLength: 60,
  });

  test('never below 0, and one event more at any time lowers no later sum', () => {
    fc.assert(
      fc.property(series, fc.nat(), (rows, where) => {
        const counts = rows.map(([y]) => y);
        const expected = rows.map(([, e]) => e);
        const at = where % rows.length;
        const one = valueOf(poissonCusum({ counts, expected }, { limit: 5 }));
        const more = valueOf(poissonCusum({ counts: counts.with(at, counts[at]! + 1), expected }, { limit: 5 }));
        one.forEach(({ sum }, i) => {
          expect(sum).toBeGreaterThanOrEqual(0);
          expect(more[i]!.sum).toBeGreaterThanOrEqual(sum);
        });
      }),
    );
  });

  test('counts as expected stay at 0; twice as many climb; a shortfall shows at a ratio below 1', () => {
    const expected = new Array<number>(12).fill(10);
    const sums = (y: number, ratio: number) =>
      valueOf(poissonCusum({ counts: expected.map(() => y), expected }, { limit: 20, ratio })).map(({ sum }) => sum);
    expect(sums(10, 2).every((sum) => sum === 0)).toBe(true);
    expectClose(sums(20, 2).at(-1), 12 * (20 - 10 / Math.log(2)), 1e-12);
    expect(sums(5, 0.5).at(-1)).toBeGreaterThan(20);
    expect(code(poissonCusum({ counts: [1], expected: [0] }, { limit: 3 }))).toBe('bad-input');
    expect(code(poissonCusum({ counts: [1], expected: [1] }, { limit: 3, ratio: 1 }))).toBe('bad-input');
  });
});
