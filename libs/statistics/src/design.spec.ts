import fc from 'fast-check';
import { designTotal, surveyProportion, surveyRatio, weightedCases } from './design';
import { data, dataRows, expectClose, golden, type Oracle } from './golden';
import { fayFeuer } from './standardise';

const sum = (values: number[]) => values.reduce((a, b) => a + b, 0);

describe('design-based totals', () => {
  golden('16_neiss_main_job', ({ inputs, expected }: Oracle) => {
    const listed = new Map<string, number>();
    for (const { stratum } of inputs.psus) listed.set(stratum, (listed.get(stratum) ?? 0) + 1);
    type Row = Record<string, string>;
    const design = (rows: Row[], value: (row: Row) => number = () => 1) =>
      designTotal({
        units: rows.map((r) => ({ stratum: r.stratum!, unit: r.psu!, total: Number(r.weight) * value(r) })),
        listed,
      });
    const people = dataRows(inputs.files[2]).filter((row) => row.year === String(inputs.year));
    const ageYear = (row: Row) => Math.floor(Number(row.age_months) / 12);
    const band = (age: string) => Math.min(Math.floor(Number(age) / 5), 17);

    const under2 = dataRows(inputs.files[0]);
    for (const e of expected.under2) {
      const [, sex, , span] = e.label.split(' ');
      const spans = span.split('+').map(Number);
      const kept = under2.filter((r) => (sex === 'both' || r.sex === sex[0].toUpperCase()) && spans.includes(ageYear(r)));
      const d = design(kept);
      expect(d.df).toBe(expected.degf);
      expectClose(kept.length, e.cases);
      expectClose(d, { estimate: e.estimate, se: e.se, cv: e.cv, lower: e.lower_t, upper: e.upper_t }, 1e-8, e.label);
      expectClose(d.normal, { lower: e.lower_z, upper: e.upper_z }, 1e-8, e.label);
      const population = sum(
        people.filter((r) => (sex === 'both' || r.sex === sex) && spans.includes(Number(r.age))).map((r) => Number(r.population)),
      );
      expectClose((d.estimate / population) * 1e5, e.rate_per_100000);
    }

    const standards = data('standard_populations.json');
    const cervical = dataRows(inputs.files[1]).filter((r) => r.year === String(inputs.year) && r.age_years !== '');
    for (const e of expected.cervical) {
      const sexes = e.label.slice('cervical '.length).split('+');
      const kept = cervical.filter((r) => sexes.includes(r.sex!.toLowerCase()));
      expectClose(design(kept), { estimate: e.estimate, se: e.se, lower: e.lower_t, upper: e.upper_t }, 1e-8, e.label);
      for (const s of e.standardised) {
        const { weights } = standards[s.standard];
        const population = weights.map((_: number, b: number) =>
          sum(people.filter((r) => sexes.includes(r.sex) && band(r.age!) === b).map((r) => Number(r.population))),
        );
        const value = (r: Row) => (1e5 * weights[band(r.age_years!)]) / sum(weights) / population[band(r.age_years!)];
        const asr = design(kept, value);
        expectClose(asr, { estimate: s.asr_per_100000, se: s.se_design, lower: s.lower_t, upper: s.upper_t }, 1e-8, e.label);
        const poisson = weightedCases(kept.map((r) => Number(r.weight) * value(r)));
        expectClose(Math.sqrt(poisson.variance), s.se_weighted_poisson);
        expectClose(fayFeuer(poisson), s.gamma_weighted_poisson);
      }
    }
  });

  const units = [
    { stratum: 'a', unit: 1, total: 4 },
    { stratum: 'a', unit: 2, total: 2 },
    { stratum: 'b', unit: 1, total: 3 },
  ];

  test('a listed unit without a case is a zero, not an absence', () => {
    const d = designTotal({ units, listed: { a: 3, b: 2 } });
    // a: 3/2 · (2² + 0² + 2²) = 12; b: 2/1 · (1.5² + 1.5²) = 9.
    expectClose(d, { estimate: 9, se: Math.sqrt(21), df: 3, singletonStrata: 0 });
    const spelled = [...units, { stratum: 'a', unit: 3, total: 0 }, { stratum: 'b', unit: 2, total: 0 }];
    expect(designTotal({ units: spelled, listed: { a: 3, b: 2 } })).toEqual(d);
  });

  test('a stratum with one unit is centred at the grand mean and counted', () => {
    const d = designTotal({ units, listed: { a: 2, b: 1 } });
    // a: 2/1 · (1 + 1) = 4; b: (3 − 9/3)² = 0.
    expectClose(d, { se: 2, df: 1, singletonStrata: 1 });
    expectClose(
      designTotal({ units: [units[0]!, units[1]!, { ...units[2]!, total: 9 }], listed: { a: 2, b: 1 } }).se,
      Math.sqrt(4 + 16),
    );
  });

  test('no degrees of freedom: a total without an error', () => {
    const d = designTotal({ units: [units[2]!], listed: { b: 1 } });
    expect(d).toMatchObject({ estimate: 3, se: null, cv: null, df: 0, lower: null, upper: null, singletonStrata: 1 });
  });

  test('rows of a unit add; splitting them changes nothing', () => {
    fc.assert(
      fc.property(
        fc.array(
          fc.record({
            stratum: fc.constantFrom('a', 'b'),
            unit: fc.integer({ min: 1, max: 4 }),
            total: fc.integer({ min: 0, max: 999 }),
          }),
        ),
        (rows) => {
          const listed = { a: 4, b: 5 };
          const halves = rows.flatMap((row) => [
            { ...row, total: row.total / 2 },
            { ...row, total: row.total / 2 },
          ]);
          const [one, two] = [designTotal({ units: rows, listed }), designTotal({ units: halves, listed })];
          expect(two.estimate).toBeCloseTo(one.estimate, 9);
          expect(two.se).toBeCloseTo(one.se!, 9);
          expect(one.lower).toBeLessThanOrEqual(one.estimate);
          expect(one.upper).toBeGreaterThanOrEqual(one.estimate);
        },
      ),
    );
  });

  test('nonsense is named', () => {
    expect(() => designTotal({ units, listed: { a: 2 } })).toThrow(/stratum b is not listed/);
    expect(() => designTotal({ units, listed: { a: 1, b: 1 } })).toThrow(/2 units in stratum a, listed 1/);
    expect(() => designTotal({ units: [{ ...units[0]!, total: NaN }], listed: { a: 2 } })).toThrow(/total/);
    expect(() => designTotal({ units, listed: { a: 2.5, b: 1 } })).toThrow(/listed\[a\]/);
  });
});

describe('survey proportions', () => {
  golden('05_survey_proportion', ({ inputs, expected }: Oracle) => {
    const rows = dataRows(inputs.file).filter((r) => Number(r.weight) > 0);
    const sample = (value: (r: Record<string, string>) => boolean) =>
      rows.map((r) => ({
        cluster: r.caseid!.split(':')[0]!,
        weight: Number(r.weight),
        value: value(r) ? 1 : 0,
        year: r.yearacc,
        group: (r.seatbelt === 'belted' ? 1 : 0) as 0 | 1,
      }));
    const belted = sample((r) => r.seatbelt === 'belted');
    const died = sample((r) => r.dead === 'dead');
    const check = (p: ReturnType<typeof surveyProportion>, e: Oracle) => {
      expectClose(p, { n: e.n, proportion: e.proportion, se: e.se, df: e.degf, kishDeff: e.kish_deff, unweighted: e.unweighted });
      expectClose(p, { deff: e.deff_srswor, deffWithReplacement: e.deff_srswr, kishEffectiveSize: e.kish_n_eff });
      expectClose(p, { waldT: e.ci_wald_t, logitT: e.ci_xlogit_t, beta: e.ci_beta });
    };
    check(surveyProportion(belted), expected.belted_all);
    check(surveyProportion(died), expected.died_all);
    check(
      surveyProportion(belted, 0.95, (_, i) => belted[i]!.year === '2002'),
      expected.belted_2002,
    );
    const e = expected.risk_ratio_belted_vs_not;
    expectClose(surveyRatio(died), { ratio: e.rr, seLog: e.se_log, lower: e.lower, upper: e.upper });
  });

  test('nobody, or everybody, has it: a share without a logit', () => {
    const rows = [1, 2, 3].map((c) => ({ cluster: `${c}`, weight: c, value: 0 }));
    expect(surveyProportion(rows)).toMatchObject({
      proportion: 0,
      se: 0,
      logitT: { lower: null, upper: null },
      beta: { lower: null, upper: null },
    });
    expect(() => surveyProportion([{ cluster: 'x', weight: 0, value: 1 }])).toThrow(/weight/);
    expect(() => surveyProportion(rows, 0.95, () => false)).toThrow(/rows in domain/);
  });

  test('why an interval is missing is said; one unit in a stratum is counted', () => {
    const row = (stratum: string, cluster: string, value: number) => ({ stratum, cluster, weight: 2, value });
    expect(surveyProportion([row('a', '1', 1), row('a', '1', 0)])).toMatchObject({
      se: null,
      waldT: { lower: null, upper: null },
      reason: expect.stringMatching(/1 units in 1 strata/) as string,
    });
    expect(surveyProportion([row('a', '1', 1), row('b', '2', 0)]).reason).toMatch(/degree of freedom/);
    const mixed = surveyProportion([row('a', '1', 1), row('a', '2', 0), row('b', '3', 0)]);
    expect(mixed).toMatchObject({ df: 1, singletonStrata: 1, reason: null });
    expect(mixed.logitT.lower).not.toBeNull();
    expect(surveyProportion([row('a', '1', 0), row('a', '2', 0)]).reason).toMatch(/all values are 0/);
    expect(designTotal({ units: [], listed: { a: 1 } }).reason).toMatch(/two units/);
  });
});
