import fc from 'fast-check';
import { effectOf, monthsBetween, type Effect, type EffectInput, type EffectUnit } from './effect';

/** A seeded Poisson draw by counting uniform products; means here are below 200. */
const drawer = (seed: number) => {
  let state = (seed * 2654435761) >>> 0;
  const next = (): number => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), state | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return (((t ^ (t >>> 14)) >>> 0) + 0.5) / 4_294_967_296;
  };
  return (mean: number): number => {
    let [n, p] = [0, next()];
    for (const floor = Math.exp(-mean); p > floor; n++) p *= next();
    return n;
  };
};

interface Made {
  readonly unit?: string;
  readonly role?: EffectUnit['role'];
  readonly from?: string;
  readonly to?: string;
  readonly startedOn?: string;
  /** Events a month before. */
  readonly mean?: number;
  readonly ratio?: number;
  /** Amplitude of the season, on the log. */
  readonly season?: number;
  /** Per year, on the log. */
  readonly trend?: number;
  readonly seed?: number;
  /** The expected counts, rounded, in place of drawn ones. */
  readonly exact?: boolean;
}

const made = (options: Made = {}): EffectUnit => {
  const { unit = 'T-1', role = 'treated', from = '2020-01', to = '2025-12', startedOn, mean = 40 } = options;
  const { ratio = 0.7, season = 0, trend = 0, seed = 1, exact = false } = options;
  const draw = drawer(seed);
  const months = monthsBetween(from, to).map((month, i) => {
    const wave = season * Math.cos((2 * Math.PI * Number(month.slice(5))) / 12);
    const on = role === 'treated' && startedOn !== undefined && month >= startedOn.slice(0, 7);
    const mu = mean * Math.exp(wave + (trend * i) / 12) * (on ? ratio : 1);
    return { month, count: exact ? Math.round(mu) : draw(mu), personYears: 25 * (mean || 40) };
  });
  return { unit, role, startedOn, months };
};
const T = (options: Made = {}): EffectUnit => made({ startedOn: '2024-01-01', ...options });
const C = (options: Made = {}): EffectUnit => made({ unit: 'C-1', role: 'comparison', seed: 9, ...options });

const input = (units: readonly EffectUnit[], over: Partial<EffectInput> = {}): EffectInput => ({
  units,
  washOutMonths: 0,
  method: 'auto',
  level: 0.95,
  ...over,
});
const found = (units: readonly EffectUnit[], over: Partial<EffectInput> = {}): Effect => {
  const outcome = effectOf(input(units, over));
  if (!outcome.ok) throw new Error(JSON.stringify(outcome.problem));
  return outcome;
};
const refused = (units: readonly EffectUnit[], over: Partial<EffectInput> = {}) => {
  const outcome = effectOf(input(units, over));
  if (outcome.ok) throw new Error(`an estimate by ${outcome.method}`);
  return outcome;
};
const codes = ({ warnings }: Effect): string[] => warnings.map(({ code }) => code);
const numbersOf = (value: unknown): number[] =>
  typeof value === 'number'
    ? [value]
    : typeof value === 'object' && value !== null
      ? Object.values(value).flatMap(numbersOf)
      : [];

describe('the ladder', () => {
  test('its: four years before and two after, the strongest method and the data allow it', () => {
    const effect = found([T({ season: 0.2 }), C()]);
    expect(effect.method).toBe('its');
    expect(effect.why.en).toContain('strongest');
    expect(effect.steps.map(({ method, chosen, possible }) => [method, chosen, possible])).toEqual([
      ['its', true, true],
      ['did', false, true],
      ['rr', false, true],
    ]);
    expect(effect.steps[1]!.reason?.code).toBe('stronger-available');
    expect(effect.diagnostics).toMatchObject({ points: { before: 48, after: 24 }, harmonics: 2 });
    expect(effect.estimate.low!).toBeLessThan(0.7);
    expect(effect.estimate.high!).toBeGreaterThan(0.7);
  });

  test('did: before a time series whose baseline is under two years', () => {
    const effect = found([T({ from: '2022-07' }), C({ from: '2022-07' })]);
    expect(effect.method).toBe('did');
    expect(effect.steps[0]).toMatchObject({ method: 'its', possible: true, chosen: false, reason: { code: 'short-baseline' } });
    expect(effect.why.zh).toContain('18 个月');
    expect(effect.comparison).toEqual(['C-1']);
  });

  test('its with a short baseline all the same, where there is nothing to compare with', () => {
    const effect = found([T({ from: '2022-07' })]);
    expect(effect.method).toBe('its');
    expect(effect.steps[1]).toMatchObject({ possible: false, reason: { code: 'no-comparison' } });
    expect(codes(effect)).toEqual(expect.arrayContaining(['regression-to-the-mean', 'long-extrapolation']));
  });

  test('rr: too few months for a series and nothing to compare with; it says that it only describes', () => {
    const effect = found([T({ to: '2024-06' })]);
    expect(effect.method).toBe('rr');
    expect(codes(effect)).toContain('descriptive');
    expect(effect.steps[0]!.reason).toMatchObject({ code: 'too-short' });
    expect(effect.why.en).toContain('at least 8 a side');
  });

  test('asked by name, each is taken; the others say that they were not asked', () => {
    for (const method of ['its', 'did', 'rr'] as const) {
      const effect = found([T(), C()], { method });
      expect([effect.method, effect.why.en.includes('as the request asked')]).toEqual([method, true]);
      expect(effect.steps.filter(({ chosen }) => !chosen).map(({ reason }) => reason!.code)).toEqual(['not-asked', 'not-asked']);
    }
  });
});

describe('what is estimated, of counts without chance', () => {
  const near = (value: number, expected: number, by: number) => expect(Math.abs(value - expected)).toBeLessThan(by);

  test('its: the average effect after; level and slope beside it; the counterfactual is what would have been', () => {
    const effect = found([T({ mean: 150, season: 0.15, trend: 0.05, exact: true })], { harmonics: 1 });
    near(effect.estimate.value, 0.7, 0.01);
    near(effect.level!.value, 0.7, 0.01);
    near(effect.slope!.value, 1, 0.002);
    const after = effect.series.filter(({ month }) => month >= '2024-01');
    for (const { observed, fitted, counterfactual } of after) {
      near(counterfactual! / (observed / 0.7), 1, 0.02);
      near(fitted! / observed, 1, 0.02);
    }
    const { observed } = { observed: after.reduce((sum, point) => sum + point.observed, 0) };
    near(effect.eventsAverted.value, observed / 0.7 - observed, 25);
  });

  test('its: the observed events vary too, however well the expected are known', () => {
    const { estimate, diagnostics } = found([T({ from: '2014-01', to: '2024-12', exact: true })]);
    const se = Math.log(estimate.high! / estimate.low!) / (2 * 1.96);
    expect(se).toBeGreaterThan(1 / Math.sqrt(diagnostics.events.after));
    expect(se).toBeLessThan(1.5 / Math.sqrt(diagnostics.events.after));
  });

  test('its: a growing effect shows in the slope, and the estimate is its mean over the months', () => {
    const grown = T({ mean: 150, ratio: 1, exact: true });
    const months = grown.months.map((cell) => {
      const k = monthsBetween('2024-01', cell.month).length;
      return { ...cell, count: Math.round(cell.count! * Math.exp(-0.02 * k)) };
    });
    const effect = found([{ ...grown, months }]);
    near(effect.slope!.value, Math.exp(-0.02), 0.002);
    near(effect.level!.value, 1, 0.02);
    near(effect.estimate.value, Math.exp(-0.02 * 12.5), 0.02);
  });

  test('did: the comparison’s own change and the season are taken out', () => {
    const shape = { from: '2022-07', mean: 150, season: 0.2, trend: -0.15, exact: true };
    const effect = found([T(shape), C({ ...shape, mean: 90 })]);
    near(effect.estimate.value, 0.7, 0.01);
    expect(effect.diagnostics.family).toBe('quasi-poisson');
  });

  test('rr: the same months of the year on both sides, so that the season is not taken for an effect', () => {
    const effect = found([T({ to: '2024-05', mean: 150, season: 0.4, exact: true })]);
    near(effect.estimate.value, 0.7, 0.01);
    expect(effect.diagnostics.points).toEqual({ before: 20, after: 5 });
    expect(codes(effect)).not.toContain('season-not-modelled');
    const short = found([T({ from: '2023-08', to: '2024-05', mean: 150, season: 0.4, exact: true })]);
    expect(codes(short)).toContain('season-not-modelled');
  });

  test('the averted events and the interval tell the same: above 0 where the whole interval is below 1', () => {
    for (const method of ['its', 'did', 'rr'] as const) {
      const { estimate, eventsAverted } = found([T({ ratio: 0.5 }), C()], { method });
      expect(estimate.high! < 1).toBe(eventsAverted.low! > 0);
      expect(eventsAverted.low!).toBeLessThan(eventsAverted.value);
      expect(eventsAverted.high!).toBeGreaterThan(eventsAverted.value);
    }
  });

  test('wash-out months and a month begun before the day count for neither side', () => {
    const effect = found([T({ startedOn: '2024-01-15' })], { washOutMonths: 3 });
    expect(effect.diagnostics.points).toEqual({ before: 48, after: 20 });
    const quiet = effect.series.filter(({ fitted }) => fitted === null).map(({ month }) => month);
    expect(quiet).toEqual(['2024-01', '2024-02', '2024-03', '2024-04']);
  });
});

describe('staggered starts', () => {
  const early = T({ unit: 'T-1', startedOn: '2023-01-01', seed: 2 });
  const late = T({ unit: 'T-2', startedOn: '2024-07-01', seed: 3 });

  test('its: each start is a series of its own, and the two are pooled', () => {
    const effect = found([early, late], { method: 'its' });
    const [one, two] = effect.units.map(({ estimate }) => estimate!);
    expect(effect.diagnostics.points).toEqual({ before: 36, after: 18 });
    expect(effect.estimate.value).toBeGreaterThan(Math.min(one!.value, two!.value));
    expect(effect.estimate.value).toBeLessThan(Math.max(one!.value, two!.value));
    expect(Math.log(effect.estimate.high! / effect.estimate.low!)).toBeLessThan(Math.log(one!.high! / one!.low!));
  });

  test('did: a unit that starts later is compared with until it does, and no longer', () => {
    const effect = found([early, late], { method: 'did' });
    expect(effect.comparison).toEqual(['T-2']);
    expect(effect.diagnostics.points).toEqual({ before: 36, after: 18 });
    expect(codes(effect)).toEqual(expect.arrayContaining(['comparison-contaminated', 'cohort-left-out']));
    expect(effect.units[1]).toMatchObject({ unit: 'T-2', estimate: null, reason: { code: 'no-comparison' } });
    const compared = effect.series.filter(({ counterfactual }) => counterfactual !== null);
    expect(compared.at(-1)!.month).toBe('2024-06');
  });

  test('did: two cohorts that share their comparison vary together, and the pooled interval knows it', () => {
    const never = C({ mean: 10 });
    const both = found([early, late, never], { method: 'did' });
    expect(both.comparison).toEqual(['C-1', 'T-2']);
    // With next to nothing to compare with, a second cohort adds next to nothing.
    const shared = [
      T({ unit: 'T-1', startedOn: '2023-01-01', mean: 150, seed: 4 }),
      T({ unit: 'T-2', startedOn: '2023-02-01', mean: 150, seed: 5 }),
    ];
    const width = (units: readonly EffectUnit[]) => {
      const { low, high } = found(units, { method: 'did' }).estimate;
      return Math.log(high! / low!);
    };
    const alone = width([shared[0]!, C({ mean: 10 })]);
    const together = width([...shared, C({ mean: 10 })]);
    expect(together).toBeGreaterThan(0.85 * alone);
    expect(together).toBeLessThan(1.1 * alone);
  });

  test('rr: each unit against its own months before, whatever its level', () => {
    const high = T({ unit: 'T-1', startedOn: '2023-01-01', mean: 150, exact: true });
    const low = T({ unit: 'T-2', startedOn: '2025-07-01', mean: 20, exact: true });
    expect(found([high, low], { method: 'rr' }).estimate.value).toBeCloseTo(0.7, 2);
  });

  test('a unit whose months after are too few is left out of the series, by name', () => {
    const effect = found([early, T({ unit: 'T-9', startedOn: '2025-10-01' })], { method: 'its' });
    expect(effect.warnings.find(({ code }) => code === 'cohort-left-out')!.value).toBe('T-9');
    expect(effect.units.find(({ unit }) => unit === 'T-9')).toMatchObject({ estimate: null, reason: { code: 'too-short' } });
  });
});

describe('refusals say why, and nothing is NaN', () => {
  test('its asked with five months after', () => {
    const outcome = refused([T({ to: '2024-05' })], { method: 'its' });
    expect(outcome.problem).toMatchObject({ code: 'too-short', detail: { en: expect.stringContaining('5 after') } });
    expect(outcome.steps.map(({ method, possible }) => [method, possible])).toEqual([
      ['its', false],
      ['did', false],
      ['rr', true],
    ]);
  });
  test('did asked without a comparison', () => expect(refused([T()], { method: 'did' }).problem.code).toBe('no-comparison'));
  test('did asked of a comparison that holds the treated unit', () =>
    expect(refused([T(), { ...C(), overlaps: true }], { method: 'did' }).problem.code).toBe('no-comparison'));
  test('two months after: nothing', () => expect(refused([T({ to: '2024-02' })]).problem.code).toBe('too-short'));
  test('fewer than 20 events', () => expect(refused([T({ mean: 0.1 }), C()]).problem.code).toBe('too-few-events'));
  test('an all-zero series', () => {
    const outcome = refused([T({ mean: 0, exact: true }), C({ mean: 0, exact: true })]);
    expect(outcome.problem.code).toBe('too-few-events');
    expect(outcome.steps.every(({ reason }) => reason?.code === 'too-few-events')).toBe(true);
  });
  test('no population at all', () => {
    const bare = T();
    const months = bare.months.map((cell) => ({ ...cell, personYears: null }));
    const outcome = refused([{ ...bare, months }, C()]);
    expect(outcome.problem).toMatchObject({ code: 'missing-denominator', value: 'T-1' });
  });
  test('population from some month on only: earlier months are no months', () => {
    const unit = T();
    const months = unit.months.map((cell) => (cell.month < '2022-01' ? { ...cell, personYears: null } : cell));
    expect(found([{ ...unit, months }]).diagnostics.points.before).toBe(24);
  });
  test('one of two units without population is left out, by name', () => {
    const months = T().months.map((cell) => ({ ...cell, personYears: null }));
    const effect = found([T(), { ...T({ unit: 'T-2' }), months }]);
    expect(codes(effect)).toContain('unit-without-population');
    expect(effect.diagnostics.events).toEqual(found([T()]).diagnostics.events);
  });
  test('months that one unit of a cohort lacks count for none of it', () => {
    const other = T({ unit: 'T-2' });
    const months = other.months.filter(({ month }) => !['2021-03', '2021-04'].includes(month));
    const effect = found([T(), { ...other, months }]);
    expect(effect.diagnostics.points).toEqual({ before: 46, after: 24 });
    expect(effect.warnings.find(({ code }) => code === 'months-left-out')!.value).toBe(2);
  });
  test('separation: no event after has no finite series, and the exact rate ratio an upper limit', () => {
    const units = [T({ ratio: 0 })];
    expect(refused(units, { method: 'its' }).problem.code).toBe('separation');
    expect(refused([...units, C()], { method: 'did' }).problem.code).toBe('no-events');
    const effect = found(units);
    expect(effect).toMatchObject({ method: 'rr', estimate: { value: 0, low: 0 }, diagnostics: { family: 'exact-poisson' } });
    expect(effect.estimate.high!).toBeLessThan(0.05);
    expect(effect.eventsAverted.value).toBeGreaterThan(500);
  });
  test('no event before: nothing to compare with', () => {
    const unit = T({ ratio: 1, mean: 30 });
    const months = unit.months.map((cell) => (cell.month < '2024-01' ? { ...cell, count: 0 } : cell));
    expect(refused([{ ...unit, months }]).problem.code).toBe('no-events');
  });
  test('no start: the caller’s fault', () => expect(() => effectOf(input([T({ startedOn: undefined })]))).toThrow(RangeError));

  test('whatever the series, an answer is finite and its interval holds its estimate', () =>
    fc.assert(
      fc.property(
        fc.array(fc.record({ count: fc.integer({ min: 0, max: 60 }), gap: fc.integer({ min: 0, max: 12 }) }), {
          minLength: 4,
          maxLength: 50,
        }),
        fc.array(fc.integer({ min: 0, max: 30 }), { minLength: 4, maxLength: 50 }),
        fc.integer({ min: 1, max: 48 }),
        fc.integer({ min: 0, max: 6 }),
        fc.constantFrom('auto', 'its', 'did', 'rr'),
        (treated, control, at, washOutMonths, method) => {
          const months = monthsBetween('2020-01', '2024-12');
          const units: EffectUnit[] = [
            {
              unit: 'T',
              role: 'treated',
              startedOn: `${months[at]}-${at % 2 ? '01' : '20'}`,
              months: treated.map(({ count, gap }, i) => ({ month: months[i]!, count, personYears: gap === 0 ? null : gap })),
            },
            {
              unit: 'C',
              role: 'comparison',
              months: control.map((count, i) => ({ month: months[i]!, count, personYears: 7 })),
            },
          ];
          const outcome = effectOf(input(units, { washOutMonths, method: method as EffectInput['method'] }));
          expect(numbersOf(outcome).filter((x) => !Number.isFinite(x))).toEqual([]);
          if (!outcome.ok) return;
          const { value, low, high } = outcome.estimate;
          expect(low! <= value && (high === null || value <= high)).toBe(true);
        },
      ),
      { numRuns: 400 },
    ));
});

describe('warnings', () => {
  test('counts that hang together in time', () => {
    const unit = T();
    const months = unit.months.map((cell, i) => ({ ...cell, count: Math.round(cell.count! * (1 + 0.6 * Math.sin(i / 2.5))) }));
    expect(codes(found([{ ...unit, months }], { method: 'its' }))).toContain('autocorrelation');
  });
  test('groups that moved apart before the start', () =>
    expect(codes(found([T({ trend: -0.4, mean: 100 }), C({ mean: 100 })], { method: 'did' }))).toContain('trends-differ-before'));
  test('methods that contradict each other: a falling trend isn’t an effect, and the rate ratio takes it for one', () => {
    const effect = found([T({ trend: -0.3, ratio: 1, mean: 100 })]);
    expect(effect.method).toBe('its');
    expect(codes(effect)).toContain('methods-disagree');
  });
  test('three years before, and nothing to say of regression to the mean', () => {
    expect(codes(found([T()]))).not.toContain('regression-to-the-mean');
    expect(codes(found([T({ from: '2021-06' })]))).toContain('regression-to-the-mean');
    expect(codes(found([T({ from: '2021-06' }), C({ from: '2021-06' })]))).not.toContain('regression-to-the-mean');
  });
  test('a pilot picked for its bad year falls back without any effect: the warning stands beside the ratio', () => {
    const effect = found([T({ from: '2023-01', to: '2024-06', ratio: 0.8 })]);
    expect(codes(effect)).toEqual(expect.arrayContaining(['regression-to-the-mean', 'descriptive']));
  });
  test('months of which reports may still come', () => {
    expect(codes(found([T()], { knownOn: '2026-01-10' }))).toContain('recent-months-provisional');
    expect(codes(found([T()], { knownOn: '2026-06-10' }))).not.toContain('recent-months-provisional');
  });
  test('every one of them speaks both languages', () => {
    const effect = found([T({ from: '2023-02', to: '2024-06', mean: 2 })], { knownOn: '2024-07-02' });
    expect(effect.warnings.length).toBeGreaterThan(3);
    for (const { code, detail } of effect.warnings) {
      expect(code).toMatch(/^[a-z-]+$/);
      expect(detail.zh).toMatch(/[\u4e00-\u9fff]/);
      expect(detail.en).not.toMatch(/[\u4e00-\u9fff]/);
    }
  });
});

test('a hundred districts with known truth: about 95 in 100 intervals hold it, by each method', () => {
  const held = { its: 0, did: 0, rr: 0 };
  for (let seed = 1; seed <= 100; seed++) {
    const shape = { from: '2021-01', season: 0.15, mean: 25 };
    for (const { method, estimate } of found([T({ ...shape, seed }), C({ ...shape, seed: seed + 1000 })]).steps)
      if (estimate!.low! <= 0.7 && estimate!.high! >= 0.7) held[method]++;
  }
  expect(Math.min(held.its, held.did, held.rr)).toBeGreaterThanOrEqual(88);
});
