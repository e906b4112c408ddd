import { pbinom } from '@vigil/statistics';
import { addDays, periodsWithin } from '@vigil/vocabulary';
import fc from 'fast-check';
import { alertsIn, arrange, capped, detect, overdueHazards, type Alert, type CountSeries, type DetectOptions } from './index';
import { HISTORY } from './detect';
import { seriesOf } from './series';

/** Sunday: the week 2026-W28 ends with it. */
const TO = '2026-07-12';
const FROM = addDays(TO, -6);
const RANGE: DetectOptions = { from: FROM, to: TO };

const days = (counts: readonly number[], over: Partial<CountSeries> = {}): CountSeries => ({
  ...{ dx: 'INC-01', ou: 'S-01', dims: {}, cases: { fact: 'injury', ...over.dims }, unit: 'day', counts },
  periods: periodsWithin('day', addDays(TO, 1 - counts.length), addDays(TO, 1)).map(({ id }) => id),
  ...over,
});
const weeks = (counts: readonly number[], over: Partial<CountSeries> = {}): CountSeries =>
  days(counts, {
    unit: 'week',
    periods: periodsWithin('week', addDays(TO, 1 - 7 * counts.length), addDays(TO, 1)).map(({ id }) => id),
    ...over,
  });
const repeated = (length: number, of: (index: number) => number): number[] => Array.from({ length }, (_, i) => of(i));
const ending = (counts: readonly number[], ...last: number[]): number[] => [...counts.slice(last.length), ...last];

/** Seeded: mulberry32. */
const random = (seed: number) => () => {
  seed = (seed + 0x6d2b79f5) | 0;
  let t = Math.imul(seed ^ (seed >>> 15), 1 | seed);
  t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
  return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
};
const poisson = (mean: number, uniform: () => number): number => {
  let [count, product] = [0, uniform()];
  for (const floor = Math.exp(-mean); product > floor; product *= uniform()) count++;
  return count;
};

describe('days', () => {
  const quiet = repeated(60, () => 0);
  it.each([
    ['one case after weeks of zeros', [1]],
    ['two cases after weeks of zeros', [2]],
    ['one case on each of the last days', [1, 1, 1]],
  ])('%s do not alarm', (_, last) => expect(detect([days(ending(quiet, ...last))], RANGE).alerts).toEqual([]));

  it('four drownings in one day after weeks of zeros alarm, and say by which method and why', () => {
    const { alerts, tests } = detect([days(ending(quiet, 4), { dims: { mechanism: 'drowning' } })], RANGE);
    expect(tests).toBe(1);
    expect(alerts).toHaveLength(1);
    expect(alerts[0]).toMatchObject({
      ...{ kind: 'aberration', dx: 'INC-01', ou: 'S-01', dims: { mechanism: 'drowning' }, period: TO, since: TO, until: TO },
      ...{ observed: 4, expected: 0, method: 'ears-c2', excess: 4, severity: 4 },
    });
    // Nothing in 56 days, then four in one: (1/57)⁴.
    expect(alerts[0]!.p).toBeCloseTo(57 ** -4, 10);
    expect(alerts[0]!.why.en).toContain('EARS C2 against 56 days');
    expect(alerts[0]!.why.zh).toContain('EARS C2');
  });

  it('a series of zeros is neither an alert nor a complaint', () =>
    expect(detect([days(quiet), days([0, 0, 0])], RANGE)).toEqual({ alerts: [], notLooked: [], tests: 0 }));

  it('a place that began to report eight days ago is not looked at, and that is said', () => {
    const { alerts, notLooked } = detect([days([9, 8, 9, 7, 9, 8, 9, 30])], RANGE);
    expect(alerts).toEqual([]);
    expect(notLooked).toMatchObject([{ dx: 'INC-01', ou: 'S-01', unit: 'day', code: 'too-short' }]);
    expect(notLooked[0]!.detail.en).toContain('at least 9');
  });

  it('a heaped series alarms later than an even one of the same mean', () => {
    const even = ending(
      repeated(60, () => 2),
      9,
    );
    const heaped = ending(
      repeated(60, (i) => (i % 5 === 0 ? 10 : 0)),
      9,
    );
    expect(detect([days(even)], RANGE).alerts).toHaveLength(1);
    expect(detect([days(heaped)], RANGE).alerts).toEqual([]);
  });

  it('where the past varies more than chance does, the same count is less of a surprise', () => {
    const heaped = ending(
      repeated(60, (i) => (i % 5 === 0 ? 10 : 0)),
      30,
    );
    const past = heaped.slice(1, 57).reduce((sum, count) => sum + count, 0);
    const [alert] = detect([days(heaped)], RANGE).alerts;
    expect(alert!.p!).toBeGreaterThan(1e3 * pbinom(29, 30 + past, 1 / 57, 'upper'));
  });

  it('an alarm of the last day but three is found too: late reports have it arrive late', () =>
    expect(detect([days(ending(quiet, 5, 0, 0))], RANGE).alerts).toMatchObject([{ period: addDays(TO, -2) }]));

  it('C3 adds up three days that are each below the threshold of one', () => {
    const counts = ending(
      repeated(60, (i) => (i % 2) + 1),
      4,
      5,
      5,
    );
    expect(detect([days(counts)], RANGE).alerts).toEqual([]);
    expect(detect([days(counts)], { ...RANGE, ears: 'C3' }).alerts[0]).toMatchObject({
      ...{ method: 'ears-c3', observed: 14, since: addDays(TO, -2), until: TO },
    });
  });
});

describe('weeks', () => {
  const rare = repeated(60, (i) => (i % 20 === 0 ? 1 : 0));
  it('fewer than five years: a CUSUM finds six cases spread over three weeks, and counts them from where they began', () => {
    const [alert, ...more] = detect([weeks(ending(rare, 2, 2, 2))], RANGE).alerts;
    expect(more).toEqual([]);
    expect(alert).toMatchObject({
      ...{ method: 'poisson-cusum', period: '2026-W28', since: '2026-06-22', until: TO, observed: 6 },
    });
    expect(alert!.upper!).toBeLessThan(6);
    // Six of eight cases in 3 of 55 weeks; the run of three was chosen by the data: 3 · 4 times.
    expect(alert!.p).toBeCloseTo(12 * pbinom(5, 8, 3 / 55, 'upper'), 9);
    expect(alert!.why.en).toContain('52 weeks');
  });

  it('a sum that falls again does not alarm once more', () =>
    expect(detect([weeks(ending(rare, 6, 0))], RANGE).alerts).toEqual([]));

  it('fewer than 24 weeks are refused', () =>
    expect(detect([weeks(repeated(20, (i) => i))], RANGE).notLooked).toMatchObject([{ unit: 'week', code: 'too-short' }]));

  const seasonal = repeated(300, (i) => Math.round(12 + 8 * Math.sin((2 * Math.PI * i) / 52)));
  it('five years: Farrington, for which the summer is no outbreak', () => {
    // The last quarter is the rise of the year.
    const summer = seasonal.slice(0, 52 * 5 + 13);
    expect(detect([weeks(summer)], RANGE)).toMatchObject({ alerts: [], tests: 1 });
    const { alerts } = detect([weeks(ending(summer, 45))], RANGE);
    expect(alerts).toMatchObject([{ method: 'farrington-flexible', observed: 45, period: '2026-W28' }]);
    expect(alerts[0]!.expected!).toBeGreaterThan(14);
    expect(alerts[0]!.why.en).toContain('five years');
  });

  it('five years that hold a handful of cases tell no season: the CUSUM, and it says so', () => {
    const handful = repeated(HISTORY.weeks + 1, (i) => (i % 40 === 0 ? 1 : 0));
    expect(detect([weeks(handful)], RANGE).alerts).toEqual([]);
    const [alert] = detect([weeks(ending(handful, 5))], RANGE).alerts;
    expect(alert).toMatchObject({ method: 'poisson-cusum', observed: 5 });
    expect(alert!.why.en).toContain('too few to tell a season');
  });
});

const WIDE = fc.array(fc.integer({ min: 0, max: 4 }), { minLength: 62, maxLength: 62 });
const many = fc
  .uniqueArray(
    fc.record({
      ou: fc.constantFrom('A', 'A-1', 'A-2', 'B'),
      dims: fc.constantFrom<Record<string, string>>({}, { mechanism: 'fall' }, { mechanism: 'burn' }),
    }),
    {
      selector: (each) => JSON.stringify(each),
      minLength: 1,
      maxLength: 12,
    },
  )
  .chain((heads) => fc.tuple(...heads.map((head) => WIDE.map((counts) => days(ending(counts, 14), head)))));
const parents: Record<string, string> = { 'A-1': 'A', 'A-2': 'A' };
const parentOf = (ou: string) => parents[ou];

describe('whatever the series', () => {
  it('their order is of no consequence', () =>
    fc.assert(
      fc.property(
        many.chain((all) => fc.tuple(fc.constant(all), fc.shuffledSubarray([...all], { minLength: all.length }))),
        ([all, shuffled]) => {
          expect(detect(shuffled, RANGE)).toEqual(detect(all, RANGE));
          const arranged = (of: readonly CountSeries[]) => arrange(detect(of, RANGE).alerts, parentOf);
          expect(arranged(shuffled)).toEqual(arranged(all));
        },
      ),
      { numRuns: 40 },
    ));

  it('a population of any size changes nothing: counts are compared with their own past', () =>
    fc.assert(
      fc.property(WIDE, fc.integer({ min: 1, max: 1e7 }), (counts, factor) => {
        const periods = days(counts).periods;
        const rows = (people: number) =>
          periods.map((pe, i) => ({
            ...{ dx: 'INC-01', pe, ou: 'S-01', value: (counts[i]! / people) * 1e5, unit: 'per 100,000', num: counts[i]! },
            ...{ den: people, ci: null, status: 'A' as const, conf: 'F' as const },
          }));
        const looked = (people: number) =>
          detect(
            seriesOf(rows(people), { unit: 'day', periods, cases: {}, begun: new Map([['S-01', periods[0]!]]) }).series,
            RANGE,
          );
        expect(looked(1_000 * factor)).toEqual(looked(1_000));
      }),
      { numRuns: 40 },
    ));

  it('the cap loses no alert: shown, dismissed and rest are all there were, each once', () =>
    fc.assert(
      fc.asyncProperty(many, fc.integer({ min: 0, max: 6 }), fc.integer({ min: 1, max: 4 }), async (all, limit, every) => {
        const { alerts } = detect(all, { ...RANGE, fdr: 1 });
        const groups = arrange(alerts, parentOf);
        const { shown, dismissed, rest } = await capped(
          groups,
          limit,
          async ({ lead }) => groups.findIndex((each) => each.lead === lead) % every === 1,
        );
        const met = [...shown, ...dismissed].flatMap(({ lead, members }) => [lead, ...members]);
        expect(shown.length).toBeLessThanOrEqual(limit);
        expect(shown.length + dismissed.length + rest.groups).toBe(groups.length);
        expect(met.length + rest.alerts).toBe(alerts.length);
        expect(alertsIn(groups)).toBe(alerts.length);
        expect(new Set(met.map(({ id }) => id)).size).toBe(met.length);
        const scores = shown.map(({ score }) => score);
        expect(scores).toEqual([...scores].sort((a, b) => b - a));
      }),
      { numRuns: 40 },
    ));

  it('no alert has fewer cases than the least, is at its limit or below, or is likelier than is borne', () =>
    fc.assert(
      fc.property(many, (all) => {
        for (const { observed, upper, q, score } of detect(all, RANGE).alerts) {
          expect(observed).toBeGreaterThanOrEqual(3);
          expect(observed).toBeGreaterThan(upper!);
          expect(q).toBeLessThanOrEqual(0.05);
          expect(score).toBeGreaterThan(0);
        }
      }),
      { numRuns: 40 },
    ));
});

describe('of a thousand series in which nothing happens', () => {
  const uniform = random(20260712);
  const MEANS = [0.05, 0.3, 1, 3, 10];
  const flat = repeated(1_000, (i) => i).flatMap((i): CountSeries[] => {
    const mean = MEANS[i % MEANS.length]!;
    const draw = (length: number, of: number) => repeated(length, () => poisson(of, uniform));
    const place = { ou: `S-${i}` };
    return [days(draw(70, mean), place), weeks(draw(120, mean * 7), place)];
  });

  it('the adjustment lets hardly one through', () => {
    const { alerts, tests } = detect(flat, RANGE);
    expect(tests).toBeGreaterThan(5_000);
    // A false one in twenty such runs is expected.
    expect(alerts.length).toBeLessThanOrEqual(1);
  });

  it('before the adjustment the days and weeks that alarm are as rare as the methods promise', () => {
    const { alerts, tests } = detect(flat, { ...RANGE, fdr: 1 });
    const weekly = alerts.filter(({ method }) => method === 'poisson-cusum').length;
    // EARS at 0.001 under a normal limit, which counts overstep more often; a CUSUM once in two years.
    expect((alerts.length - weekly) / (tests - 1_000)).toBeLessThan(0.006);
    expect(weekly / 1_000).toBeLessThan(1 / 104);
  });

  it('outbreaks put among them are found', () => {
    const hit = (one: CountSeries, index: number): boolean => one.unit === 'day' && index % 40 === 0;
    const sick = flat.map((one, index) => {
      if (!hit(one, index)) return one;
      const mean = MEANS[(index / 2) % MEANS.length]!;
      const more = Math.ceil(5 + 6 * Math.sqrt(mean));
      return { ...one, counts: ending(one.counts, one.counts.at(-1)! + more) };
    });
    const wanted = sick.filter(hit).map(({ ou }) => ou);
    const { alerts } = detect(sick, RANGE);
    const found = new Set(alerts.map(({ ou }) => ou));
    expect(wanted.length).toBe(50);
    expect(wanted.filter((ou) => found.has(ou)).length).toBeGreaterThanOrEqual(48);
    // Few others: what is let through is a share of what is found.
    expect([...found].filter((ou) => !wanted.includes(ou)).length).toBeLessThanOrEqual(6);
  });
});

describe('ranking and grouping', () => {
  const alert = (over: Partial<Alert> & { id: string }): Alert => ({
    ...{ kind: 'aberration', dx: 'INC-01', ou: 'A-1', dims: {}, cases: { fact: 'injury' }, period: '2026-W28' },
    ...{ since: FROM, until: TO, observed: 9, expected: 1, upper: 4, excess: 8, p: 1e-6, q: 1e-4 },
    ...{ severity: 1, certainty: 0.6, score: 5, method: 'poisson-cusum', why: { zh: '', en: '' } },
    ...over,
  });
  const of = (mechanism: string) => ({ dims: { mechanism }, cases: { fact: 'injury', mechanism } });
  const ids = (alerts: readonly Alert[]) =>
    arrange(alerts, parentOf).map(({ lead, members }) => [lead.id, ...members.map(({ id }) => id)]);

  it('a community with its parent, and all mechanisms with one, are one group, which the gravest leads', () =>
    expect(
      ids([
        alert({ id: 'all', score: 5 }),
        alert({ id: 'drowning', score: 20, ...of('drowning') }),
        alert({ id: 'parent', score: 4, ou: 'A' }),
        alert({ id: 'day', score: 3, period: TO, since: TO }),
      ]),
    ).toEqual([['drowning', 'all', 'parent', 'day']]));

  it('a street that accounts for the rise of its town leads, whatever the town scores; one that does not, does not', () => {
    const town = alert({ id: 'town', ou: 'A', excess: 10, score: 9 });
    const street = (excess: number) => alert({ id: 'street', excess, score: 7 });
    expect(ids([town, street(8)])).toEqual([['street', 'town']]);
    expect(ids([town, street(7)])).toEqual([['town', 'street']]);
    expect(arrange([town, street(8)], parentOf)[0]!.score).toBe(9);
  });

  it('two mechanisms of one place are two groups, though the total belongs to both', () =>
    expect(
      ids([
        alert({ id: 'drowning', score: 20, ...of('drowning') }),
        alert({ id: 'burn', score: 10, ...of('burn') }),
        alert({ id: 'all', score: 6 }),
      ]),
    ).toEqual([['drowning', 'all'], ['burn']]));

  it('falls at 65 and over belong to falls, and not to drownings', () =>
    expect(
      ids([
        alert({ id: 'fall', score: 9, ...of('fall') }),
        alert({ id: 'old', score: 8, excess: 5, dx: 'INC-04', cases: { fact: 'injury', mechanism: 'fall', age: '65+' } }),
        alert({ id: 'drowning', score: 7, ...of('drowning') }),
      ]),
    ).toEqual([['fall', 'old'], ['drowning']]));

  it('neighbours, and another week, are groups of their own', () =>
    expect(
      ids([
        alert({ id: 'here', score: 9 }),
        alert({ id: 'there', score: 8, ou: 'A-2' }),
        alert({ id: 'before', score: 7, period: '2026-W27', until: addDays(TO, -7) }),
      ]),
    ).toEqual([['here'], ['there'], ['before']]));

  it('graver, more and surer come first', () => {
    const quiet = repeated(60, () => 0);
    const scored = (last: number, mechanism: string) =>
      detect([days(ending(quiet, last), { dims: { mechanism }, cases: { fact: 'injury', mechanism } })], RANGE).alerts[0]!.score;
    expect(scored(4, 'drowning')).toBeGreaterThan(scored(4, 'fall'));
    expect(scored(5, 'fall')).toBeGreaterThan(scored(4, 'fall'));
  });
});

describe('overdue hazards', () => {
  const hazard = { id: 'h-1', community: 'A-1', domain: 'fire', level: 'critical' as const, due: '2026-06-12' };
  it('are alerts of their own, by level and by how late they are', () => {
    const found = overdueHazards(
      [hazard, { ...hazard, id: 'h-2', level: 'general' }, { ...hazard, id: 'h-3', level: undefined, due: TO }],
      TO,
    );
    expect(found).toMatchObject([
      { kind: 'hazard-overdue', dims: { hazard: 'h-1' }, excess: 1, severity: 5, score: 5, period: '2026-06-12' },
      { dims: { hazard: 'h-2' }, score: 1 },
    ]);
    expect(found[0]!.why).toEqual({ zh: '重大隐患逾期 30 天未整改', en: 'a critical hazard is 30 day(s) past its deadline' });
  });

  it('of one community are one group; an extended deadline that passes again is another alert', () => {
    const found = overdueHazards([hazard, { ...hazard, id: 'h-2' }, { ...hazard, id: 'h-3', community: 'B' }], TO);
    expect(
      arrange(found, parentOf)
        .map(({ members }) => members.length)
        .sort(),
    ).toEqual([0, 1]);
    const [later] = overdueHazards([{ ...hazard, due: '2026-07-01' }], TO);
    expect(found.map(({ id }) => id)).not.toContain(later!.id);
  });

  it('of long ago do not outgrow everything else', () =>
    expect(overdueHazards([{ ...hazard, due: '2010-01-01' }], TO)[0]!.excess).toBe(12));
});
