import fc from 'fast-check';
import { ageInYears, ageRange, ageSchema, bandOf, checkBands, DEFAULT_AGE_BANDS, FIVE_YEAR_BANDS, parseAge, nests } from './ages';
import { isRefusal } from './refusal';

test('the bands of the house', () => {
  expect(DEFAULT_AGE_BANDS.map((b) => b.id).join()).toBe('0-4,5-14,15-24,25-44,45-64,65-74,75+');
  expect(FIVE_YEAR_BANDS).toHaveLength(18);
  expect([FIVE_YEAR_BANDS[0]!.id, FIVE_YEAR_BANDS[16]!.id, FIVE_YEAR_BANDS[17]!.id]).toEqual(['0-4', '80-84', '85+']);
  for (const bands of [DEFAULT_AGE_BANDS, FIVE_YEAR_BANDS]) expect(checkBands(bands)).toBeUndefined();
});

test.each([
  ['0-4', '0-4', 0, 4],
  ['75+', '75+', 75, null],
  ['71', '71', 71, 71],
  ['71-71', '71', 71, 71],
  ['ge:65', '65+', 65, null],
  ['gt:64', '65+', 65, null],
  ['le:14', '0-14', 0, 14],
  ['LT:15', '0-14', 0, 14],
  ['lt:1', '0', 0, 0],
  ['ge:0', '0+', 0, null],
])('%s', (item, id, from, to) => expect(parseAge(item)).toEqual({ id, from, to }));

test.each(['', 'old', '-1', '4-0', 'lt:0', '131', '0-999', '999', 'gt:130', 'eq:3', '75 +', '7.5', '0-4-9'])(
  '%s is refused',
  (item) => expect(parseAge(item)).toMatchObject({ code: 'invalid-age', value: item }),
);

test('a range reads back', () =>
  fc.assert(
    fc.property(fc.integer({ min: 0, max: 130 }), fc.option(fc.integer({ min: 0, max: 130 })), (from, to) => {
      fc.pre(to === null || to >= from);
      expect(parseAge(ageRange(from, to).id)).toEqual(ageRange(from, to));
    }),
  ));

test.each([
  ['empty', [], 'no bands'],
  ['gap', [ageRange(0, 4), ageRange(10, null)], 'gap'],
  ['overlap', [ageRange(0, 4), ageRange(4, null)], 'overlaps'],
  ['open in the middle', [ageRange(0, null), ageRange(5, null)], 'overlaps'],
  ['upside down', [ageRange(9, 5)], 'not a range'],
  ['fraction', [ageRange(0.5, 5)], 'not a range'],
])('bands with a fault (%s) are refused', (_, bands, words) => expect(checkBands(bands)!.detail.en).toContain(words));

test('everyone of a known age is in exactly one band', () =>
  fc.assert(
    fc.property(fc.integer({ min: 0, max: 130 }), (years) => {
      const id = bandOf(years);
      expect(DEFAULT_AGE_BANDS.filter((b) => nests(ageRange(years, years), b)).map((b) => b.id)).toEqual([id]);
    }),
  ));
test('no age is unknown', () =>
  expect([bandOf(null), bandOf(undefined), bandOf(NaN), bandOf(-1), bandOf(30, [ageRange(0, 14)])]).toEqual(
    Array(5).fill('unknown'),
  ));

test.each([
  [71, 'year', 71],
  [71.9, 'year', 71],
  [23, 'month', 1],
  [11, 'month', 0],
  [52, 'week', 0],
  [366, 'day', 1],
  [27, 'day', 0],
  [6, 'hour', 0],
  [130, 'year', 130],
])('%d %s is %d years', (value, unit, years) => expect(ageInYears({ value, unit })).toBe(years));

test.each([
  [999, 'year'],
  [131, 'year'],
  [-1, 'year'],
  [-0.5, 'month'],
  [NaN, 'year'],
  [Infinity, 'day'],
  [5, 'fortnight'],
  [5, 'constructor'],
])('%d %s is refused', (value, unit) => expect(isRefusal(ageInYears({ value, unit }))).toBe(true));

test('the schema', () => {
  expect(ageSchema.safeParse({ value: 71, unit: 'year' }).success).toBe(true);
  for (const bad of [{ value: -1, unit: 'year' }, { value: '71', unit: 'year' }, { value: 71 }, { value: 71, unit: 'years' }])
    expect(ageSchema.safeParse(bad).success).toBe(false);
});
