import fc from 'fast-check';
import { differenceInDifferences, ratioOfRateRatios, type Panel } from './difference-in-differences';
import { dataRows, expectClose, golden, type Oracle } from './golden';

const fitOf = (panel: Panel) => {
  const outcome = differenceInDifferences(panel);
  if (!outcome.ok) throw new Error(outcome.problem.detail);
  return outcome.value;
};

const ratio = (...args: Parameters<typeof ratioOfRateRatios>) => {
  const outcome = ratioOfRateRatios(...args);
  if (!outcome.ok) throw new Error(outcome.problem.detail);
  return outcome.value;
};

const four = ([treatedAfter, treatedBefore, controlAfter, controlBefore]: number[]) => ({
  treatedAfter: treatedAfter!,
  treatedBefore: treatedBefore!,
  controlAfter: controlAfter!,
  controlBefore: controlBefore!,
});

describe('difference-in-differences', () => {
  golden('11_difference_in_differences', ({ inputs, expected, tolerance }) => {
    for (const kind of ['all', 'ksi']) {
      const { a1, a0, b1, b0 } = inputs[`counts_${kind}`];
      const { ratio_of_rate_ratios: value, se_log: seLog, ...rest } = expected[`two_by_two_${kind}`];
      expectClose(ratio(four([a1, a0, b1, b0])), { ratio: value, seLog, ...rest }, tolerance.relative, kind);
    }
    const rows = dataRows(inputs.file);
    const flags = (name: string) => rows.map((row) => (row[name] === '1' ? 1 : 0)) as (0 | 1)[];
    const panel = { counts: rows.map((row) => Number(row.y)), treated: flags('treat'), after: flags('post') };
    const fits = { panel_a: fitOf(panel), panel_b: fitOf({ ...panel, period: rows.map((row) => row.ym!) }) };
    for (const [name, fit] of Object.entries(fits)) {
      const { terms, dispersion_pearson: dispersion, log_likelihood: logLikelihood, df_residual: df, ...rest } = expected[name];
      expectClose(fit, { dispersion, logLikelihood, df, ...rest }, tolerance.relative, name);
      const named = fit.terms.map(({ term, estimate, ratio: rr, se, dispersed }) => ({
        term,
        estimate,
        rr,
        se_poisson: se.model,
        se_quasi: se.dispersed,
        se_hc0: se.hc0,
        rr_lower_quasi_z: dispersed.lower,
        rr_upper_quasi_z: dispersed.upper,
      }));
      expect(named).toHaveLength((terms as Oracle[]).length);
      expectClose(named, terms, tolerance.relative, name);
    }
  });

  const counts = fc.array(fc.integer({ min: 1, max: 5000 }), { minLength: 4, maxLength: 4 });

  test('swapping the groups, or the times, inverts the ratio; a factor common to both groups cancels', () => {
    fc.assert(
      fc.property(counts, fc.double({ min: 0.01, max: 100, noNaN: true }), ([a1, a0, b1, b0], c) => {
        const one = ratio(four([a1!, a0!, b1!, b0!]));
        expectClose(ratio(four([b1!, b0!, a1!, a0!])).ratio, 1 / one.ratio, 1e-12);
        expectClose(ratio(four([a0!, a1!, b0!, b1!])).ratio, 1 / one.ratio, 1e-12);
        expectClose(ratio(four([a1!, a0!, b1!, b0!]), 0.95, four([c, 1, c, 1])), one, 1e-9);
      }),
    );
  });

  test('four cells: the panel model is the ratio of rate ratios, and the order of rows is nothing', () => {
    fc.assert(
      fc.property(counts, ([a1, a0, b1, b0]) => {
        const rows = [
          { y: a1!, treated: 1, after: 1 },
          { y: a0!, treated: 1, after: 0 },
          { y: b1!, treated: 0, after: 1 },
          { y: b0!, treated: 0, after: 0 },
        ];
        // Twice over, so that a degree of freedom is left.
        const of = (given: typeof rows) => {
          const twice = [...given, ...given];
          return fitOf({
            counts: twice.map(({ y }) => y),
            treated: twice.map((row) => row.treated as 0 | 1),
            after: twice.map((row) => row.after as 0 | 1),
          }).terms.at(-1)!;
        };
        expectClose(of(rows).ratio, ratio(four([a1!, a0!, b1!, b0!])).ratio, 1e-8);
        expectClose(of([...rows].reverse()).estimate, of(rows).estimate, 1e-6);
      }),
      { numRuns: 50 },
    );
  });

  test('refused with a reason', () => {
    expect(ratioOfRateRatios(four([3, 4, 0, 5]))).toMatchObject({
      ok: false,
      problem: { code: 'no-events', at: 'controlAfter' },
    });
    expect(ratioOfRateRatios(four([3, 4, -1, 5]))).toMatchObject({ ok: false, problem: { code: 'bad-input' } });
    const panel: Panel = { counts: [3, 4, 5, 6, 7, 8], treated: [0, 0, 0, 1, 1, 1], after: [0, 0, 1, 0, 0, 1] };
    const problem = (change: Partial<Panel>) => {
      const outcome = differenceInDifferences({ ...panel, ...change });
      return outcome.ok ? null : outcome.problem;
    };
    expect(problem({})).toBeNull();
    expect(problem({ after: [1, 1, 1, 1, 1, 1] })).toMatchObject({ code: 'collinear', at: 'post' });
    expect(problem({ treated: [1, 1, 1, 1, 1, 1] })).toMatchObject({ code: 'collinear', at: 'treat' });
    expect(problem({ counts: [3, 4, 5, 6, 7, 0] })).toMatchObject({ code: 'separation', at: 'did' });
    expect(problem({ counts: [0, 0, 0, 0, 0, 0] })).toMatchObject({ code: 'no-events' });
    expect(problem({ exposures: [1, 1, 1, 1, 1, -2] })).toMatchObject({ code: 'bad-input' });
    expect(problem({ period: [1, 2, 3, 1, 2, 3], counts: [3, 4, 5, 6, 7, 8] })).toBeNull();
    expect(problem({ period: [1, 2, 3, 4, 5, 6] })).toMatchObject({ code: 'too-short' });
  });
});
