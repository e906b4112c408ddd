import { expectClose, golden } from './golden';
import { kaplanMeier, logRank, restrictedMean, survivalAt, survivalQuantile } from './survival';

describe('survival', () => {
  golden('08_kaplan_meier', ({ inputs, expected }) => {
    const { time, status, group, times } = inputs;
    const event = status.map((s: number) => s === 1);
    for (const [name, e] of Object.entries(expected).filter(([key]) => key !== 'logrank') as [string, typeof expected][]) {
      const kept = time.map((_: number, i: number) => i).filter((i: number) => name === 'all' || name === `group_${group[i]}`);
      const own = kept.map((i: number) => time[i]);
      const curve = kaplanMeier(
        own,
        kept.map((i: number) => event[i]),
      );
      expectClose(restrictedMean(curve, Math.max(...own)), { mean: e.rmst_common, se: e.rmst_se });
      for (const c of e.by_conf_type) {
        const median = survivalQuantile(curve, 0.5, inputs.confidence, c.conf_type);
        expectClose(median, { quantile: c.median, lower: c.median_lower, upper: c.median_upper });
        times.forEach((t: number, i: number) => {
          const { n_risk: atRisk, survival, se, lower, upper } = c.at[i];
          expectClose(survivalAt(curve, t, inputs.confidence, c.conf_type), { atRisk, survival, se, lower, upper });
        });
      }
    }
    expectClose(logRank(time, event, group), {
      statistic: expected.logrank.chisq,
      df: expected.logrank.df,
      p: expected.logrank.p,
    });
  });

  test('a median half way along a flat of one half; none when the curve stays above', () => {
    expect(survivalQuantile(kaplanMeier([1, 2, 3, 4], [true, true, true, true])).quantile).toBe(2.5);
    expect(survivalQuantile(kaplanMeier([1, 2, 3, 4], [true, false, false, false]))).toMatchObject({
      quantile: null,
      upper: null,
    });
    expect(kaplanMeier([], [])).toEqual([]);
    expect(survivalAt([], 3)).toMatchObject({ survival: 1, atRisk: 0 });
    expect(() => kaplanMeier([-1], [true])).toThrow(/times\[0\]/);
    expect(() => kaplanMeier([1, 2], [true])).toThrow(/observed/);
    expect(logRank([1, 2], [true, true], ['a', 'a'])).toEqual({ statistic: null, df: 0, p: null });
  });
});
