import { FALL_PROGRAMME } from '@vigil/cli/src/simulate/truth';
import { districtOf, recover, type World } from './effect-recovery';

// Twelve stories of three years. `npm run effect-recovery` tells a thousand.
jest.setTimeout(600_000);

const DISTRICTS = 12;
const WORLD: World = { months: 36, until: '2026-06', spread: 0 };
let districts: ReturnType<typeof districtOf>[];
beforeAll(() => void (districts = Array.from({ length: DISTRICTS }, (_, i) => districtOf(i + 1, WORLD))), 600_000);

test('twelve districts: the true effect lies in about 95 in 100 intervals of each method, without bias', () => {
  const all = recover(districts, FALL_PROGRAMME.rateRatio);
  for (const { asked, answered, covered, bias, biasSe } of all) {
    expect([asked, answered]).toEqual([asked, DISTRICTS]);
    expect([asked, covered >= 9]).toEqual([asked, true]);
    expect([asked, Math.abs(bias) < 4 * biasSe + 0.01]).toEqual([asked, true]);
  }
  expect(all.find(({ asked }) => asked === 'auto')!.chosen).toEqual(new Map([['did', DISTRICTS]]));
});

test('a truth that isn’t is found out: the same districts do not hold a ratio of 0.9', () => {
  const rr = recover(districts, 0.9).find(({ asked }) => asked === 'rr')!;
  expect(rr.covered).toBeLessThan(7);
  expect(rr.below).toBeGreaterThan(5);
});
