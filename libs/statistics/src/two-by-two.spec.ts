import { expectClose, golden } from './golden';
import { chiSquareTest, fisherTest, mantelHaenszel, oddsRatio, riskDifference, riskRatio } from './two-by-two';

describe('two by two', () => {
  golden('07_risk_2x2', ({ inputs, expected }) => {
    const ratio = ({ se_log: seLog, ...rest }: { se_log: number }) => ({ seLog, ...rest });
    inputs.cases.forEach(({ confidence, ...c }: typeof inputs, i: number) => {
      const e = expected.results[i];
      expectClose(riskRatio(c, confidence), ratio(e.risk_ratio));
      expectClose(oddsRatio(c, confidence), ratio(e.odds_ratio));
      const { estimate, se, wald_lower, wald_upper, newcombe_lower, newcombe_upper } = e.risk_difference;
      expectClose(riskDifference(c, confidence), {
        estimate,
        se,
        wald: { lower: wald_lower, upper: wald_upper },
        newcombe: { lower: newcombe_lower, upper: newcombe_upper },
        numberNeeded: e.nnt,
      });
      expectClose(chiSquareTest(c), {
        pearson: { statistic: e.chisq_pearson, p: e.p_pearson },
        yates: { statistic: e.chisq_yates, p: e.p_yates },
      });
      expectClose(fisherTest(c), e.p_fisher);
    });
    const e = expected.mantel_haenszel;
    expectClose(mantelHaenszel(inputs.mantel_haenszel.strata), {
      riskRatio: { estimate: e.mh_risk_ratio, seLog: e.mh_rr_se_log, lower: e.mh_rr_lower, upper: e.mh_rr_upper },
      oddsRatio: { estimate: e.mh_odds_ratio, seLog: e.mh_or_se_log, lower: e.mh_or_lower, upper: e.mh_or_upper },
      test: { statistic: e.cmh_chisq_no_correction, p: e.cmh_p },
    });
  });

  test('empty cells and margins', () => {
    const noCase = { a: 0, n1: 10, b: 3, n0: 10 };
    expect(riskRatio(noCase)).toEqual({ estimate: 0, seLog: null, lower: null, upper: null });
    expect(oddsRatio({ a: 10, n1: 10, b: 3, n0: 10 }).estimate).toBeNull();
    expect(chiSquareTest({ a: 0, n1: 10, b: 0, n0: 10 }).pearson).toEqual({ statistic: null, p: null });
    expect(fisherTest({ a: 0, n1: 10, b: 0, n0: 10 })).toBe(1);
    expect(riskDifference({ a: 1, n1: 2, b: 2, n0: 4 }).numberNeeded).toBeNull();
    expect(() => riskRatio({ a: 3, n1: 2, b: 1, n0: 1 })).toThrow(/a must be at most n1/);
    expect(() => mantelHaenszel([])).toThrow(/strata/);
  });
});
