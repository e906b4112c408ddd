import { dataRows, expectClose, golden } from './golden';
import { dobson } from './standardise';
import { yearsLost } from './years-lost';

describe('years lost', () => {
  golden('13_ypll', ({ expected }) => {
    const deaths = dataRows('china/shandong_serious_suicide_attempts_2009_2011.csv').filter((r) => r.Died === 'yes');
    for (const e of expected.shandong) {
      const lost = yearsLost(
        deaths.map((r) => Number(r.Age) + 0.5),
        deaths.map(() => 1),
        e.limit,
      );
      expectClose(lost, { below: e.deaths_below_limit, years: e.ypll, perEvent: e.ypll_per_death });
    }
  });

  test('an event at or past the limit loses nothing', () => {
    const lost = yearsLost([10, 75, 90], [2, 5, 5], 75);
    expect(lost).toMatchObject({ below: 2, years: 130, perEvent: 65 });
    const { lower, upper } = dobson(lost.sum);
    expect(lower).toBeLessThan(130);
    expect(upper).toBeGreaterThan(130);
    expect(yearsLost([80], [3], 75)).toMatchObject({ below: 0, years: 0, perEvent: null });
    expect(() => yearsLost([NaN], [1], 75)).toThrow(/ages\[0\]/);
  });
});
