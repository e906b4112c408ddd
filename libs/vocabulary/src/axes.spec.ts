import { AXES, AXIS_NAMES, isAxisName, isCanonical } from './axes';

const codes = (name: (typeof AXIS_NAMES)[number]) => AXES[name].codes.map((c) => c.code).join(', ');

test('the axes of the API contract, to the letter', () => {
  expect(codes('mechanism')).toBe(
    'road-transport, fall, struck, sharp, firearm, burn, suffocation, drowning, poisoning, animal, sexual-assault, other, unknown',
  );
  expect(codes('intent')).toBe('unintentional, self-harm, assault, legal, unknown');
  expect(codes('place')).toBe('home, residential, school-public, sport, street, trade, industrial, farm, other, unknown');
  expect(codes('sex')).toBe('F, M, X, unknown');
});

test.each(AXIS_NAMES)('%s: labelled in both tongues, codes distinct, unknown among them, unmapped not', (name) => {
  const axis = AXES[name];
  expect(axis.name).toBe(name);
  expect(new Set(axis.codes.map((c) => c.code)).size).toBe(axis.codes.length);
  for (const { code, zh, en } of axis.codes) expect([code, zh, en].every((s) => s.length > 0 && s === s.trim())).toBe(true);
  expect(isCanonical(name, 'unknown')).toBe(true);
  expect(isCanonical(name, 'unmapped')).toBe(false);
});

test('names of no axis', () => expect(['constructor', '__proto__', 'race', ''].some(isAxisName)).toBe(false));
