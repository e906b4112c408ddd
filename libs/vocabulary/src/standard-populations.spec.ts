import { ageRange, checkBands, DEFAULT_AGE_BANDS, FIVE_YEAR_BANDS } from './ages';
import { isRefusal } from './refusal';
import { collapseStandard, standardPopulation, standardPopulations, type StandardPopulation } from './standard-populations';

const get = (id: string): StandardPopulation => {
  const found = standardPopulation(id);
  if (isRefusal(found)) throw new Error(found.detail.en);
  return found;
};

test.each([
  ['WHO-2000', 18, 100030],
  ['WHO-2000-21', 21, 100035],
  ['ESP-2013', 18, 100000],
  ['ESP-2013-19', 19, 100000],
  ['ESP-1976', 18, 100000],
  ['SEGI', 18, 100000],
  ['CN-2000', 18, 1242612226],
  ['CN-2010', 18, 1332810869],
  ['CN-2020', 18, 1409778724],
])('%s: %d bands that sum to %d', (id, bands, total) => {
  expect(get(id).bands).toHaveLength(bands);
  expect(get(id).total).toBe(total);
});

test('every standard partitions all ages and names its source', () => {
  for (const { bands, source, title } of standardPopulations()) {
    expect(checkBands(bands)).toBeUndefined();
    expect([bands[0]!.from, bands.at(-1)!.to]).toEqual([0, null]);
    expect([source, title.zh, title.en].every(Boolean)).toBe(true);
  }
});

test('an unknown standard names the nearest', () =>
  expect(standardPopulation('WHO2000')).toMatchObject({ code: 'unknown-standard', suggestion: 'WHO-2000' }));

describe('collapsing', () => {
  test.each(standardPopulations().map((s) => [s.id, s] as const))('%s keeps its total', (_, standard) => {
    for (const bands of [DEFAULT_AGE_BANDS, FIVE_YEAR_BANDS]) {
      const collapsed = collapseStandard(standard, bands);
      if (isRefusal(collapsed)) throw new Error(collapsed.detail.en);
      expect(collapsed.map((b) => b.id)).toEqual(bands.map((b) => b.id));
      expect(collapsed.reduce((sum, b) => sum + b.weight, 0)).toBe(standard.total);
    }
  });
  test('a part of the ages may be asked for', () =>
    expect(collapseStandard(get('WHO-2000'), [ageRange(0, 14)])).toMatchObject([{ weight: 8860 + 8690 + 8600 }]));
  test('a band that cuts one in two, or holds none, is refused', () => {
    expect(collapseStandard(get('WHO-2000'), [ageRange(0, 2)])).toMatchObject({ code: 'bands-do-not-nest', value: '0-2' });
    expect(collapseStandard(get('WHO-2000'), [ageRange(90, null)])).toMatchObject({ code: 'bands-do-not-nest', value: '90+' });
    expect(collapseStandard(get('WHO-2000-21'), [ageRange(90, null)])).toMatchObject([{ weight: 150 + 40 + 5 }]);
  });
});
