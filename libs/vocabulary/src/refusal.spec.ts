import { isRefusal, nearest } from './refusal';

describe('nearest', () => {
  const words = ['fall', 'burn', 'drowning', 'road-transport'];
  it.each([
    ['fal', 'fall'],
    ['Falls', 'fall'],
    ['drownign', 'drowning'],
    ['road_transport', 'road-transport'],
    ['xylophone', undefined],
    ['', undefined],
  ])('%s → %s', (word, expected) => expect(nearest(word, words)).toBe(expected));

  it('prefers the smaller distance over the earlier candidate', () =>
    expect(nearest('2026-Q9x', ['2026-Q1y', '2026-Q9'])).toBe('2026-Q9'));
});

test('a refusal is told from values that happen to have a code', () => {
  expect(isRefusal({ code: 'x', detail: { zh: '', en: '' }, value: 1 })).toBe(true);
  expect([[], null, 5, { code: 'niss3-minor', scale: 'NISS3', value: 'minor' }].some(isRefusal)).toBe(false);
});
