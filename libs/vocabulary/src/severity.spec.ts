import { isCanonical } from './axes';
import { isRefusal } from './refusal';
import { ATTAINABLE_ISS, parseSeverity, SEVERITY_SCALES, severityCodes } from './severity';

test.each([
  ['NISS3', 'severe', 'niss3-severe'],
  ['niss3', 3, 'niss3-severe'],
  ['NISS3', '中度', 'niss3-moderate'],
  ['AIS', '6', 'ais-6'],
  ['ISS', 75, 'iss-25-75'],
  ['ISS', '9', 'iss-9-15'],
  ['newISS', 17, 'newiss-16-24'],
  ['KABCO', 'k', 'kabco-k'],
  ['GA16', '轻伤', 'ga16-minor'],
  ['WHO', 0, 'who-none'],
  ['STATS19', '2', 'stats19-serious'],
])('%s %s → %s', (scale, value, code) => {
  expect(parseSeverity({ scale, value })).toMatchObject({ code });
  expect(isCanonical('severity', code)).toBe(true);
});

test('impossible ISS totals are refused, and name the nearest possible one', () => {
  for (const value of [0, 7, 15, 23, 28, 31, 39, 40, 74, 76, 100, -1, 9.5, 'nine', ''])
    expect(parseSeverity({ scale: 'ISS', value })).toMatchObject({ code: 'invalid-severity', value });
  expect(parseSeverity({ scale: 'ISS', value: 7 })).toMatchObject({ suggestion: '6' });
  expect(parseSeverity({ scale: 'newISS', value: 15 })).toMatchObject({ code: 'invalid-severity' });
});

test('the attainable totals are the 44 of the literature', () => {
  expect([...ATTAINABLE_ISS].sort((a, b) => a - b)).toEqual([
    ...[1, 2, 3, 4, 5, 6, 8, 9, 10, 11, 12, 13, 14, 16, 17, 18, 19, 20, 21, 22, 24, 25, 26, 27, 29, 30, 32, 33, 34, 35, 36, 38],
    ...[41, 42, 43, 45, 48, 50, 51, 54, 57, 59, 66, 75],
  ]);
});

test('unknown scales and grades are refused', () => {
  expect(parseSeverity({ scale: 'KABC0', value: 'K' })).toMatchObject({ suggestion: 'KABCO' });
  expect(isRefusal(parseSeverity({ scale: 'KABCO', value: 'X' }))).toBe(true);
  expect(isRefusal(parseSeverity({ scale: 'AIS', value: 7 }))).toBe(true);
});

test('every scale has its own codes', () => {
  const all = SEVERITY_SCALES.flatMap(severityCodes);
  expect(new Set(all).size).toBe(all.length);
  expect(SEVERITY_SCALES.every((scale) => severityCodes(scale).length >= 3)).toBe(true);
});
