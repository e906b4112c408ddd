import type { Position } from '@vigil/event-log';
import type { ObservationRow } from '@vigil/indicators';
import { indicatorWorld, type IndicatorWorld } from './indicator-world.fixture';

/* Two communities of 10,000 each over three years; A has 20 injuries in 2024 and 40 in 2025, B 10 in each. */
let world: IndicatorWorld;
let serial = 0;
const report = (community: string, day: string, more: object = {}) => {
  const id = `00000000-0000-4000-8000-${`${++serial}`.padStart(12, '0')}`;
  return world.send('injury', id, 'ReportInjury', {
    ...{ feed: 'clinic', recordId: id, community, occurredAt: day, knownAt: day, visit: 'first' },
    ...{
      age: { value: serial % 90, unit: 'year' },
      sex: 'F',
      mechanism: 'fall',
      disposition: serial % 4 === 0 ? 'admitted' : 'treated',
    },
    ...more,
  });
};
const rows = async (text: string): Promise<readonly ObservationRow[]> => (await world.ask(text)).data;

beforeAll(async () => {
  world = await indicatorWorld('grammar-spec');
  const named = (code: string) => ({ zh: code, en: code });
  await world.send('community', 'D', 'RegisterCommunity', { code: 'D', name: named('D'), type: 'district' });
  for (const code of ['A', 'B']) {
    await world.send('community', code, 'RegisterCommunity', { code, name: named(code), type: 'community', parent: 'D' });
    const cells = Array.from({ length: 18 }, (_, i) => ({
      sex: 'total',
      ageFrom: 5 * i,
      ageTo: i === 17 ? null : 5 * i + 4,
      persons: 10_000 / 18,
    }));
    for (const year of [2023, 2025]) await world.send('community', code, 'RecordPopulation', { year, cells });
  }
  for (const [community, year, count] of [
    ['A', 2024, 20],
    ['A', 2025, 40],
    ['B', 2024, 10],
    ['B', 2025, 10],
  ] as const)
    for (let i = 0; i < count; i++) await report(community, `${year}-0${1 + (i % 9)}-15`);
  await world.settled();
});
afterAll(() => world.close());

describe('compare', () => {
  test('with the year before: the ratio and its exact interval', async () => {
    const [a, b] = await rows('dimension=dx:INC-01&dimension=pe:2025&dimension=ou:A;B&compare=previous');
    expect(a).toMatchObject({
      num: 40,
      ref: expect.closeTo(200, 6),
      ratio: expect.closeTo(2, 9),
      ratioMethod: 'conditional-exact',
      verdict: 'higher',
    });
    // R: poisson.test(c(40, 20), c(1, 1))$conf.int
    expect(a!.ratioLow).toBeCloseTo(1.141, 2);
    expect(a!.ratioHigh).toBeCloseTo(3.612, 2);
    expect(b).toMatchObject({ ratio: 1, verdict: 'similar' });
  });
  test('a month with the month before, and with the same one a year before', async () => {
    const [previous] = await rows('dimension=dx:INC-01&dimension=pe:2025-03&dimension=ou:A&compare=previous');
    expect(previous).toMatchObject({ num: 5, ratio: expect.any(Number) });
    const [year] = await rows('dimension=dx:INC-01&dimension=pe:2025-03&dimension=ou:A&compare=previous-year');
    expect(year!.ref).toBeCloseTo((100_000 * 2) / (10_000 * (31 / 366)), 6);
  });
  test('with a neighbour, and with all together', async () => {
    const [a] = await rows('dimension=dx:INC-01&dimension=pe:2025&dimension=ou:A&compare=B');
    expect(a).toMatchObject({ ou: 'A', ref: expect.closeTo(100, 6), ratio: expect.closeTo(4, 9), verdict: 'higher' });
    const all = await rows('dimension=dx:INC-01&dimension=pe:2025&dimension=ou:A;B&compare=ALL');
    expect(all.map(({ ou, ref }) => [ou, ref])).toEqual([
      ['A', expect.closeTo(250, 6)],
      ['B', expect.closeTo(250, 6)],
    ]);
  });
  test('shares and standardised rates have their own ratio', async () => {
    const [share] = await rows('dimension=dx:SEV-01&dimension=pe:2025&dimension=ou:A&compare=B');
    expect(share).toMatchObject({ ratioMethod: 'katz-log' });
    const [standard] = await rows('dimension=dx:INC-02&dimension=pe:2025&dimension=ou:A&compare=B');
    expect(standard).toMatchObject({ ratioMethod: 'log-normal', ratio: expect.any(Number) });
    expect(standard).not.toHaveProperty('variance');
  });
  test('a neighbour that isn’t there is refused', async () =>
    expect(world.ask('dimension=dx:INC-01&dimension=pe:2025&compare=Z')).rejects.toThrow('unknown-code'));
});

test('rolling: three years ending with each', async () => {
  const [row] = await rows('dimension=dx:INC-01&dimension=pe:2025&dimension=ou:A&rolling=P3Y');
  expect(row).toMatchObject({ pe: '2025', num: 60, status: 'E', reason: 'interpolated-denominator' });
  expect(row!.den).toBeCloseTo(30_000, 6);
});

test('a year between two known ones lies between them', async () => {
  const { data, meta } = await world.ask('dimension=dx:INC-01&dimension=pe:2024&dimension=ou:A');
  expect(data[0]).toMatchObject({ status: 'E', reason: 'interpolated-denominator' });
  expect(meta.problems).toMatchObject([{ code: 'interpolated-denominator', value: 'A 2024' }]);
});

describe('time', () => {
  let before: string;
  beforeAll(async () => {
    before = (await world.log.readAll({ after: 0n as Position, limit: 10_000 })).at(-1)!.recordedAt;
    await new Promise((resolve) => setTimeout(resolve, 5));
    await report('B', '2025-05-05');
    await world.settled();
  });

  test('updated after: only what changed since', async () => {
    const text = `dimension=dx:INC-01&dimension=pe:2024;2025&dimension=ou:A;B&updatedAfter=${before}`;
    expect((await rows(text)).map(({ pe, ou, num }) => [pe, ou, num])).toEqual([['2025', 'B', 11]]);
  });

  test('history: every version with the time for which it stood, the last one open', async () => {
    const found = await rows('dimension=dx:INC-01&dimension=pe:2025&dimension=ou:B&includeHistory=true');
    // Nought from the day its population was known.
    expect(found.map(({ num }) => num)).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11]);
    expect(found.at(-1)).toMatchObject({ validTo: null });
    for (const [index, row] of found.slice(0, -1).entries()) expect(row.validTo).toBe(found[index + 1]!.validFrom);
    for (const { validFromPosition, num, value } of found) {
      const [row] = await rows(`dimension=dx:INC-01&dimension=pe:2025&dimension=ou:B&asOfPosition=${validFromPosition}`);
      expect([row!.num, row!.value]).toEqual([num, value]);
    }
  });

  test('history of what can only be asked anew', async () => {
    await world.send('hazard', 'h1', 'IdentifyHazard', {
      community: 'A',
      domain: 'fire',
      description: '堆物',
      identifiedAt: '2025-01-05',
    });
    await world.send('hazard', 'h1', 'ClassifyHazard', { level: 'major' });
    await world.settled();
    const found = await rows('dimension=dx:HAZ-06&dimension=pe:2025&dimension=ou:A&includeHistory=true');
    expect(found.map(({ num, den }) => [num, den])).toEqual([
      [0, 1],
      [1, 1],
    ]);
  });
});

test.each([
  ['compare=previous&includeHistory=true', 'conflicting-parameters'],
  ['release=staff&updatedAfter=2026-01-01T00:00:00Z', 'conflicting-parameters'],
  ['compare=a b', 'invalid-compare'],
])('%s is refused: %s', async (text, code) =>
  expect(world.ask(`dimension=dx:INC-01&dimension=pe:2025&${text}`)).rejects.toThrow(code),
);
