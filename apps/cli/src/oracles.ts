import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { basename, join, resolve } from 'node:path';
import { gunzipSync } from 'node:zlib';
import * as s from '@vigil/statistics';
import { parse } from 'csv-parse/sync';

// Runs worked oracles (JSON: inputs, expected, tolerance) through the public functions of @vigil/statistics. A file, case or
// field that wasn't compared is a failure. The inputs are data: any folder with the same ids and shapes can be run.

/* eslint-disable @typescript-eslint/no-explicit-any -- the files' shapes differ and are checked by comparing every field */
type Json = any;
type Row = Record<string, string>;
type Read = (file: string) => Row[];
type Context = { readonly inputs: Json; readonly expected: Json; readonly rows: Read; readonly standards: () => Json };
export type Adapter = (context: Context) => Json;

export type Miss = { readonly path: string; readonly expected: unknown; readonly actual: unknown; readonly error: number | null };
export type Comparison = {
  readonly compared: number;
  readonly worst: number;
  readonly worstAt: string;
  readonly misses: readonly Miss[];
};

/** "Not defined", in whichever shape it is written: null, a non-finite number, or an object of nothing but those. */
const isUndefined = (value: unknown): boolean =>
  value === null ||
  (typeof value === 'number' && !Number.isFinite(value)) ||
  (typeof value === 'object' && Object.keys(value).length > 0 && Object.values(value).every(isUndefined));

/** |actual − expected| / |expected|; at expected 0 the absolute error. */
export const relativeError = (expected: number, actual: number): number =>
  expected === actual ? 0 : Math.abs(actual - expected) / (expected === 0 ? 1 : Math.abs(expected));

/**
 * Every leaf of `expected` against `actual`. Numbers within the tolerance (`looser` raises it under the named keys), null = not
 * defined, text equal (or equal as a number where the actual is one). An absent leaf is a miss.
 */
export const compare = (
  expected: unknown,
  actual: unknown,
  tolerance: number,
  looser: Readonly<Record<string, number>> = {},
  path = '',
): Comparison => {
  const leaf = (ok: boolean, error: number | null = null): Comparison => ({
    compared: actual === undefined || actual instanceof Error ? 0 : 1,
    worst: error ?? (ok ? 0 : Infinity),
    worstAt: path,
    misses: ok ? [] : [{ path, expected, actual: actual instanceof Error ? actual.message : actual, error }],
  });
  if (expected === null) return leaf(actual !== undefined && isUndefined(actual));
  if (typeof expected === 'object') {
    // An object that should have been there, undefined as a whole, matches one whose leaves are all undefined.
    if (actual === null && isUndefined(expected)) return leaf(true);
    const size = (value: unknown): number | null => (Array.isArray(value) ? value.length : null);
    if (actual !== undefined && size(expected) !== null && size(expected) !== size(actual)) return leaf(false);
    return Object.entries(expected)
      .map(([key, value]) => {
        const inner = actual instanceof Error ? actual : (actual as Json)?.[key];
        return compare(value, inner, looser[key] ?? tolerance, looser, path ? `${path}.${key}` : key);
      })
      .reduce(merge, { compared: 0, worst: 0, worstAt: path, misses: [] });
  }
  const wanted = typeof expected === 'string' && typeof actual === 'number' ? Number(expected) : expected;
  if (typeof wanted !== 'number') return leaf(wanted === actual);
  if (typeof actual !== 'number' || Number.isNaN(actual)) return leaf(false);
  const error = relativeError(wanted, actual);
  return leaf(error <= tolerance, error);
};

const merge = (a: Comparison, b: Comparison): Comparison => ({
  compared: a.compared + b.compared,
  ...(b.worst > a.worst ? { worst: b.worst, worstAt: b.worstAt } : { worst: a.worst, worstAt: a.worstAt }),
  misses: [...a.misses, ...b.misses],
});

/** One bad case must not take the others with it: its error stands where its result would. */
const each = <T>(cases: readonly T[], run: (item: T, index: number) => Json): Json[] =>
  cases.map((item, index) => {
    try {
      return run(item, index);
    } catch (error) {
      return error instanceof Error ? error : new Error(String(error));
    }
  });

const limitsOf = ({ lower, upper }: s.Interval): s.Interval => ({ lower, upper });

const crudeRates: Adapter = ({ inputs }) =>
  each(inputs.cases, ({ label, count, population, multiplier, confidence }: Json) => {
    const at = (limits?: s.CountLimits) => limitsOf(s.crudeRate({ count, exposure: population, multiplier }, confidence, limits));
    const { method } = s.poissonByRule(count, confidence);
    return {
      label,
      rate: s.crudeRate({ count, exposure: population, multiplier }, confidence).rate,
      exact: at(s.poissonExact),
      byar: at(s.poissonByar),
      mid_p: at(s.poissonMidP),
      normal: at(s.poissonNormal),
      lognormal: at(s.poissonLognormal),
      phe_rule: { method: method === 'exact' ? 'Exact' : 'Byars', ...at() },
    };
  });

const total = (values: readonly number[]): number => values.reduce((a, b) => a + b, 0);

const directRates: Adapter = ({ inputs, expected }) => {
  const rateOf = (c: Json) =>
    s.standardisedRate({ counts: c.count, exposures: c.population, weights: c.std_weights, multiplier: c.multiplier });
  const named = (label: string): Json => inputs.cases.find((c: Json) => c.label === label);
  const pair = (): Json => {
    const { male_label, female_label } = expected.male_vs_female;
    const { confidence } = named(male_label);
    const [male, female] = [rateOf(named(male_label)), rateOf(named(female_label))];
    const ratio = s.ratioOf(male, female, confidence);
    const difference = s.differenceOf(male, female, confidence);
    return {
      male_label,
      female_label,
      ratio: ratio.ratio,
      se_log: ratio.seLog,
      ...limitsOf(ratio),
      difference: difference.difference,
      difference_lower: difference.lower,
      difference_upper: difference.upper,
    };
  };
  return {
    results: each(inputs.cases, (c: Json) => {
      const rate = rateOf(c);
      const level = c.confidence;
      return {
        label: c.label,
        total_count: rate.count,
        total_population: total(c.population),
        crude_rate: s.crudeRate({ count: rate.count, exposure: total(c.population), multiplier: c.multiplier }, level).rate,
        dsr: rate.estimate,
        variance: rate.variance,
        se: Math.sqrt(rate.variance),
        dobson_byar: s.dobson(rate, level),
        dobson_exact: s.dobson(rate, level, s.poissonExact),
        fay_feuer_gamma: s.fayFeuer(rate, level),
        tiwari_gamma: s.tiwari(rate, level),
        normal: s.normalLimits(rate, level),
        lognormal: s.lognormalLimits(rate, level),
      };
    }),
    ...(expected.male_vs_female ? { male_vs_female: each([0], pair)[0] } : {}),
  };
};

const indirectRates: Adapter = ({ inputs }) =>
  each(inputs.cases, (c: Json) => {
    const observed = total(c.count);
    const expected = s.expectedCount(c.population, c.ref_count, c.ref_population);
    const at = (limits: s.CountLimits) => limitsOf(s.standardisedRatio(observed, expected, c.confidence, limits));
    const { ratio } = s.standardisedRatio(observed, expected, c.confidence);
    const { rate } = s.crudeRate({ count: total(c.ref_count), exposure: total(c.ref_population), multiplier: c.multiplier });
    const funnel = s.funnelLimits(observed, expected);
    return {
      label: c.label,
      observed,
      expected,
      smr: ratio,
      exact: at(s.poissonExact),
      byar: at(s.poissonByar),
      mid_p: at(s.poissonMidP),
      lognormal: at(s.lognormalRatioLimits),
      p_exact_two_sided: s.poissonTest(observed, expected),
      ref_crude_rate: rate,
      isr: ratio === null || rate === null ? null : ratio * rate,
      isr_byar: rate === null ? null : s.scaleInterval(at(s.poissonByar), rate),
      funnel95: funnel.at95,
      funnel998: funnel.at998,
    };
  });

const proportions: Adapter = ({ inputs }) =>
  each(inputs.cases, ({ label, x, n, confidence }: Json) => ({
    label,
    proportion: n === 0 ? null : x / n,
    wilson: s.wilson(x, n, confidence),
    wilson_cc: s.wilsonCorrected(x, n, confidence),
    clopper_pearson: s.clopperPearson(x, n, confidence),
    agresti_coull: s.agrestiCoull(x, n, confidence),
    wald: s.wald(x, n, confidence),
    jeffreys: s.jeffreys(x, n, confidence),
  }));

const surveyProportions: Adapter = ({ inputs, expected, rows }) => {
  const level = inputs.confidence ?? 0.95;
  const data = rows(inputs.file)
    .filter((row) => Number(row.weight) > 0)
    .map((row) => ({
      cluster: row.caseid!.split(':')[0]!,
      weight: Number(row.weight),
      belted: row.seatbelt === 'belted' ? 1 : 0,
      died: row.dead === 'dead' ? 1 : 0,
      year: row.yearacc!,
    }));
  const of = (y: 'belted' | 'died') => data.map((row) => ({ ...row, value: row[y], group: row.belted as 0 | 1 }));
  const proportion = (key: string): Json => {
    const [, y, domain] = /^(belted|died)_(all|\d{4})$/.exec(key)!;
    const p = s.surveyProportion(of(y as 'belted' | 'died'), level, (_, i) => domain === 'all' || data[i]!.year === domain);
    return {
      n: p.n,
      sum_weights: p.sumWeights,
      proportion: p.proportion,
      se: p.se,
      degf: p.df,
      deff_srswor: p.deff,
      deff_srswr: p.deffWithReplacement,
      kish_deff: p.kishDeff,
      kish_n_eff: p.kishEffectiveSize,
      ci_wald_t: p.waldT,
      ci_logit_t: p.logitT,
      ci_xlogit_t: p.logitT,
      ci_beta: p.beta,
      unweighted: p.unweighted,
    };
  };
  const ratio = s.surveyRatio(of('died'), level);
  return {
    ...Object.fromEntries(
      Object.keys(expected)
        .filter((key) => /^(belted|died)_(all|\d{4})$/.test(key))
        .map((key) => [key, proportion(key)]),
    ),
    died_by_belt: ratio.groups.map(({ group, proportion: p, se }) => ({ belted: group, p, se })),
    risk_ratio_belted_vs_not: { rr: ratio.ratio, se_log: ratio.seLog, ...limitsOf(ratio) },
  };
};

const rateRatios: Adapter = ({ inputs }) =>
  each(inputs.cases, ({ label, confidence, ...c }: Json) => {
    const wald = s.rateRatioWald(c, confidence);
    const midP = s.rateRatioMidP(c, confidence);
    const test = s.rateRatioTest(c);
    const difference = s.rateDifference(c, confidence);
    return {
      label,
      rate1: c.a / c.t1,
      rate0: c.b / c.t0,
      rr: s.rateRatio(c),
      wald: wald && { se_log: wald.seLog, ...limitsOf(wald), p: wald.p },
      exact: s.rateRatioExact(c, confidence),
      mid_p: { ...limitsOf(midP), median_unbiased: midP.medianUnbiased },
      p_exact_doubled: test.doubled,
      p_exact_minlike: test.minlike,
      p_mid_doubled: test.mid,
      rate_difference: difference.difference,
      rd_se: difference.se,
      rd_lower: difference.lower,
      rd_upper: difference.upper,
      attributable_fraction_exposed: s.attributableFraction(c),
    };
  });

const twoByTwo: Adapter = ({ inputs }) => {
  const ratio = ({ estimate, seLog, ...limits }: s.RatioEstimate) => ({ estimate, se_log: seLog, ...limitsOf(limits) });
  const pooled = (): Json => {
    const { strata, confidence } = inputs.mantel_haenszel;
    const mh = s.mantelHaenszel(strata, confidence ?? 0.95);
    return {
      mh_risk_ratio: mh.riskRatio.estimate,
      mh_rr_se_log: mh.riskRatio.seLog,
      mh_rr_lower: mh.riskRatio.lower,
      mh_rr_upper: mh.riskRatio.upper,
      mh_odds_ratio: mh.oddsRatio.estimate,
      mh_or_se_log: mh.oddsRatio.seLog,
      mh_or_lower: mh.oddsRatio.lower,
      mh_or_upper: mh.oddsRatio.upper,
      cmh_chisq_no_correction: mh.test.statistic,
      cmh_p: mh.test.p,
    };
  };
  return {
    results: each(inputs.cases, ({ label, confidence, ...c }: Json) => {
      const difference = s.riskDifference(c, confidence);
      const test = s.chiSquareTest(c);
      return {
        label,
        p1: c.a / c.n1,
        p0: c.b / c.n0,
        risk_ratio: ratio(s.riskRatio(c, confidence)),
        odds_ratio: ratio(s.oddsRatio(c, confidence)),
        risk_difference: {
          estimate: difference.estimate,
          se: difference.se,
          wald_lower: difference.wald.lower,
          wald_upper: difference.wald.upper,
          newcombe_lower: difference.newcombe.lower,
          newcombe_upper: difference.newcombe.upper,
        },
        nnt: difference.numberNeeded,
        chisq_pearson: test.pearson.statistic,
        p_pearson: test.pearson.p,
        chisq_yates: test.yates.statistic,
        p_yates: test.yates.p,
        p_fisher: s.fisherTest(c),
      };
    }),
    ...(inputs.mantel_haenszel ? { mantel_haenszel: each([0], pooled)[0] } : {}),
  };
};

const survivals: Adapter = ({ inputs, expected }) => {
  const events = inputs.status.map((status: number) => status === 1);
  const curveOf = (name: string, want: Json): Json => {
    const keep = inputs.time
      .map((_: number, i: number) => i)
      .filter((i: number) => name === 'all' || `group_${inputs.group[i]}` === name);
    const times = keep.map((i: number) => inputs.time[i]);
    const observed = keep.map((i: number) => events[i]);
    const curve = s.kaplanMeier(times, observed);
    const mean = s.restrictedMean(curve, Math.max(...times));
    const quantile = (q: number, kind?: s.SurvivalInterval) => s.survivalQuantile(curve, q, inputs.confidence, kind);
    return {
      n: times.length,
      events: observed.filter(Boolean).length,
      rmst_common: mean.mean,
      rmst_se: mean.se,
      by_conf_type: want.by_conf_type.map(({ conf_type }: Json) => {
        const median = quantile(0.5, conf_type);
        return {
          conf_type,
          q25: quantile(0.25).quantile,
          median: median.quantile,
          median_lower: median.lower,
          median_upper: median.upper,
          q75: quantile(0.75).quantile,
          at: inputs.times.map((time: number) => {
            const point = s.survivalAt(curve, time, inputs.confidence, conf_type);
            return { time, n_risk: point.atRisk, survival: point.survival, se: point.se, ...limitsOf(point) };
          }),
        };
      }),
    };
  };
  const test = s.logRank(inputs.time, events, inputs.group);
  const { logrank: _, ...curves } = expected;
  return {
    ...Object.fromEntries(Object.entries(curves).map(([name, want]) => [name, each([0], () => curveOf(name, want))[0]])),
    logrank: { chisq: test.statistic, df: test.df, p: test.p },
  };
};

const yearsLost: Adapter = ({ inputs, expected, rows }) => {
  const fileOf = (text: string): string => text.split(',')[0]!.trim();
  const groupMidpoints = new Map([...inputs.germany.matchAll(/(\d+-\d+)=([\d.]+)/g)].map(([, band, age]) => [band, Number(age)]));
  const personYears = Number(/person-years (\d+)/.exec(inputs.shandong)?.[1]);
  const table = (limits: Json[], ages: number[], counts: number[], exposure: number | null): Json[] =>
    each(limits, ({ limit }: Json) => {
      const lost = s.yearsLost(ages, counts, limit);
      return {
        limit,
        deaths_below_limit: lost.below,
        ypll: lost.years,
        ypll_per_death: lost.perEvent,
        ypll_rate_per_100000: exposure === null ? null : (lost.years / exposure) * 100_000,
      };
    });
  const germany = (sex: string): Json[] => {
    const kept = rows(fileOf(inputs.germany)).filter((row) => row.sex === sex);
    const ages = kept.map((row) => groupMidpoints.get(row['age.group']!)!);
    return table(
      expected[`germany_${sex}`],
      ages,
      kept.map((row) => Number(row.Freq)),
      null,
    );
  };
  const died = rows(fileOf(inputs.shandong)).filter((row) => row.Died === 'yes');
  return {
    germany_male: germany('male'),
    germany_female: germany('female'),
    shandong: table(
      expected.shandong,
      died.map((row) => Number(row.Age) + 0.5),
      died.map(() => 1),
      personYears,
    ),
  };
};

const kernel: Record<string, (...args: number[]) => number> = {
  qnorm: s.qnorm,
  pnorm_lower: (z) => s.pnorm(z!),
  pnorm_upper: (z) => s.pnorm(z!, 'upper'),
  lgamma: s.lgamma,
};
const twoTailed = { pgamma: s.pgamma, qgamma: s.qgamma, pchisq: s.pchisq, qchisq: s.qchisq, ppois: s.ppois, pt: s.pt } as const;
for (const [name, fn] of Object.entries(twoTailed)) {
  kernel[name] = kernel[`${name}_lower`] = (a, b) => fn(a!, b!);
  kernel[`${name}_upper`] = (a, b) => fn(a!, b!, 'upper');
}
for (const [name, fn] of Object.entries({ pbeta: s.pbeta, qbeta: s.qbeta })) {
  kernel[name] = kernel[`${name}_lower`] = (x, a, b) => fn(x!, a!, b!);
  kernel[`${name}_upper`] = (x, a, b) => fn(x!, a!, b!, 'upper');
}
kernel.qt = kernel.qt_lower = (p, df) => s.qt(p!, df!);
kernel.pnorm = kernel.pnorm_lower!;
kernel.qnorm_lower = kernel.qnorm!;

const specialFunctions: Adapter = ({ expected }) =>
  each(expected, ({ fn, args }: Json) => {
    if (!kernel[fn]) throw new Error(`no function ${fn}`);
    const value = kernel[fn](...args);
    return { fn, args, value, value_text: value };
  });

const band = (age: number): number => Math.min(Math.floor(age / 5), 17);

const nationalEstimates: Adapter = ({ inputs, expected, rows, standards }) => {
  const level = inputs.confidence ?? 0.95;
  const year = String(inputs.year);
  const file = (word: RegExp): Row[] => rows(inputs.files.find((name: string) => word.test(name)));
  const listed = new Map<string, number>();
  for (const { stratum } of inputs.psus) listed.set(stratum, (listed.get(stratum) ?? 0) + 1);
  const design = (cases: Row[], value: (row: Row) => number = () => 1): s.DesignTotal =>
    s.designTotal(
      {
        units: cases.map((row) => ({ stratum: row.stratum!, unit: Number(row.psu), total: Number(row.weight) * value(row) })),
        listed,
      },
      level,
    );
  const people = new Map<string, number>();
  for (const row of file(/population/)) if (row.year === year) people.set(`${row.sex} ${row.age}`, Number(row.population));
  const ages = [...new Set([...people.keys()].map((key) => Number(key.split(' ')[1])))];
  const populationOf = (sexes: readonly string[], keep: (age: number) => boolean): number =>
    total(ages.filter(keep).flatMap((age) => sexes.map((sex) => people.get(`${sex} ${age}`) ?? 0)));
  const rate = ({ estimate, normal }: s.DesignTotal, population: number) => {
    const per = s.scaleInterval(normal, 100_000 / population);
    return { population, rate_per_100000: (estimate / population) * 100_000, rate_lower_z: per.lower, rate_upper_z: per.upper };
  };
  const describe = (cases: Row[]) => {
    const d = design(cases);
    const { estimate, se, cv, lower, upper, normal } = d;
    return {
      d,
      cases: cases.length,
      estimate,
      se,
      cv,
      lower_t: lower,
      upper_t: upper,
      lower_z: normal.lower,
      upper_z: normal.upper,
    };
  };

  const under2 = file(/under2/).filter((row) => row.date!.startsWith(year) && row.age_months !== '');
  const ageYear = (row: Row): number => Math.floor(Number(row.age_months) / 12);
  const sexesOf = (word: string): string[] => (/^(both|male\+female)$/.test(word) ? ['male', 'female'] : [word]);
  const young = each(expected.under2, ({ label }: Json) => {
    const [, sex, span] = /^under2 (male|female|both) age (0\+1|\d)$/.exec(label)!;
    const wanted = span!.split('+').map(Number);
    const code = { male: 'M', female: 'F' }[sex!];
    const { d, ...figures } = describe(under2.filter((row) => (!code || row.sex === code) && wanted.includes(ageYear(row))));
    return {
      label,
      ...figures,
      ...rate(
        d,
        populationOf(sexesOf(sex!), (age) => wanted.includes(age)),
      ),
    };
  });
  const byMonth = each(expected.under2_by_month, ({ month }: Json) => {
    const { cases, estimate, se } = describe(under2.filter((row) => Number(row.date!.slice(5, 7)) === month));
    return { month, cases, estimate, se };
  });

  const cervical = file(/cervical/).filter((row) => row.year === year && row.age_years !== '');
  const bands = Array.from({ length: 18 }, (_, i) => i);
  const all = each(expected.cervical, ({ label, standardised }: Json) => {
    const sexes = sexesOf(/^cervical (\S+)$/.exec(label)![1]!);
    const both = sexes.length === 2;
    const cases = cervical.filter((row) => both || row.sex!.toLowerCase() === sexes[0]);
    const inBand = (b: number): Row[] => cases.filter((row) => band(Number(row.age_years)) === b);
    const populations = bands.map((b) => populationOf(sexes, (age) => band(age) === b));
    const { d, ...figures } = describe(cases);
    return {
      label,
      ...figures,
      ...rate(d, total(populations)),
      age_bands: bands.map((b) => (b === 17 ? '85+' : `${b * 5}-${b * 5 + 4}`)),
      cases_by_band: bands.map((b) => inBand(b).length),
      estimate_by_band: bands.map((b) => total(inBand(b).map((row) => Number(row.weight)))),
      population_by_band: populations,
      standardised: each(standardised, ({ standard }: Json) => {
        const { weights } = standards()[standard];
        const value = (row: Row): number => {
          const b = band(Number(row.age_years));
          return (100_000 * weights[b]) / total(weights) / populations[b]!;
        };
        const asr = design(cases, value);
        const poisson = s.weightedCases(cases.map((row) => Number(row.weight) * value(row)));
        return {
          standard,
          asr_per_100000: asr.estimate,
          se_design: asr.se,
          lower_t: asr.lower,
          upper_t: asr.upper,
          lower_z: asr.normal.lower,
          upper_z: asr.normal.upper,
          se_weighted_poisson: Math.sqrt(poisson.variance),
          gamma_weighted_poisson: s.fayFeuer(poisson, level),
        };
      }),
    };
  });
  return { degf: design([]).df, n_psu: inputs.psus.length, under2: young, under2_by_month: byMonth, cervical: all };
};

const valueOf = <T>(outcome: s.Answer<T>): T => {
  if (outcome.ok) return outcome.value;
  throw new Error(`${outcome.problem.code}: ${outcome.problem.detail}`);
};

/** Models are written as text: "y=drivers, offset=kms, K=3, level+slope, covariate PetrolPrice". */
const modelOf = (text: string) => {
  const word = (name: string): string | null => new RegExp(`\\b${name}\\s*=\\s*(?:log\\()?([\\w.]+)`).exec(text)?.[1] ?? null;
  const rest = /\bcovariates?\b\s*[:=]?\s*(.+)$/.exec(text)?.[1] ?? '';
  const covariates = rest.split(/[\s,;+]+/).filter((token) => token && !/=|^(and|no|offset|level|slope|only)$/.test(token));
  return { y: word('y')!, offset: word('offset'), harmonics: Number(word('K') ?? 0), slope: /\bslope\b/.test(text), covariates };
};

const interruptedModel = (inputs: Json, text: string, data: Row[], family: 'quasi-poisson' | 'negative-binomial') => {
  const { y, offset, harmonics, slope, covariates } = modelOf(text);
  const column = (name: string): number[] =>
    data.map((row) => {
      if (row[name] === undefined) throw new Error(`no column ${name}`);
      return Number(row[name]);
    });
  const times = column('t');
  const stated = (name: string): number =>
    Number(new RegExp(`\\b${name}\\s*=\\s*(\\d+)`).exec(inputs.intervention ?? '')?.[1] ?? NaN);
  const last = stated('T0') || stated('t') - 1;
  // Without an intervention in the inputs, the data's own column says when it came.
  const flag = data[0]?.law === undefined ? 'post' : 'law';
  const before = last ? times.filter((t) => t <= last).length : column(flag).indexOf(1);
  return valueOf(
    s.interruptedSeries({
      counts: column(y),
      exposures: offset === null ? undefined : column(offset),
      before,
      times,
      phase: column('month'),
      slope,
      harmonics,
      covariates: covariates.map((name) => ({ name, values: column(name) })),
      family,
      lag: 12,
      minimum: { points: 1, events: 1 },
    }),
  );
};

const interruptedFigures = (fit: s.InterruptedFit): Json => ({
  n: fit.n,
  df_residual: fit.df,
  deviance: fit.deviance,
  null_deviance: fit.nullDeviance,
  log_likelihood: fit.logLikelihood,
  aic: fit.aic,
  deviance_residual_acf_1_12: fit.autocorrelation,
  // R's Box.test takes 1 − the lower tail, which leaves a P of 1e-10 six digits; ours is the upper tail itself.
  ljung_box_12: { statistic: fit.ljungBox.statistic, p: fit.ljungBox.p && 1 - (1 - fit.ljungBox.p) },
  post_observed: fit.after.observed,
  post_fitted: fit.after.fitted,
  post_counterfactual: fit.after.counterfactual,
  post_counterfactual_se_delta: fit.after.seDispersed,
  averted: fit.after.averted.estimate,
  relative_change: fit.after.relativeChange.estimate,
  level_effect_at_end: fit.atEnd && {
    steps_after_T0: fit.atEnd.steps,
    rr: fit.atEnd.ratio,
    lower_z: fit.atEnd.dispersed.lower,
    upper_z: fit.atEnd.dispersed.upper,
  },
  dispersion_pearson: fit.dispersion,
  theta: fit.theta,
  se_theta: fit.seTheta,
  two_log_likelihood: 2 * fit.logLikelihood,
});

const interrupted =
  (family: 'quasi-poisson' | 'negative-binomial'): Adapter =>
  ({ inputs, rows }) => {
    const data = rows(inputs.file);
    const run = (text: string): Json => {
      const fit = interruptedModel(inputs, text, data, family);
      const coefficients = fit.terms.map(({ term, estimate, ratio, se, ...limits }) => ({
        term,
        estimate,
        se: se.model,
        se_poisson: se.model,
        se_quasi: se.dispersed,
        se_hc0: se.hc0,
        se_newey_west: se.neweyWest,
        rr: ratio,
        rr_lower_z: limits.dispersed.lower,
        rr_upper_z: limits.dispersed.upper,
        p_z: limits.pDispersed,
        rr_lower_t: limits.onT.lower,
        rr_upper_t: limits.onT.upper,
        p_t: limits.pOnT,
        rr_lower_poisson: limits.model.lower,
        rr_upper_poisson: limits.model.upper,
      }));
      return { coefficients, ...interruptedFigures(fit) };
    };
    const models = Object.entries<string>(inputs.models);
    const fitted = each(models, ([, text]) => run(text));
    return Object.fromEntries(models.map(([name], i) => [name, fitted[i]]));
  };

const differences: Adapter = ({ inputs, expected, rows }) => {
  const level = inputs.confidence ?? 0.95;
  const twoByTwoOf = ({ a1, a0, b1, b0 }: Json): Json => {
    const counts = { treatedAfter: a1, treatedBefore: a0, controlAfter: b1, controlBefore: b0 };
    const { ratio, log, seLog, p, ...limits } = valueOf(s.ratioOfRateRatios(counts, level));
    return { ratio_of_rate_ratios: ratio, log, se_log: seLog, ...limits, p };
  };
  const data = rows(inputs.file);
  const flags = (name: string) => data.map((row) => (Number(row[name]) === 1 ? 1 : 0));
  const panel = (monthly: boolean): Json => {
    const fit = valueOf(
      s.differenceInDifferences({
        counts: data.map((row) => Number(row.y)),
        treated: flags('treat'),
        after: flags('post'),
        period: monthly ? data.map((row) => row.ym!) : undefined,
        level,
      }),
    );
    return {
      terms: fit.terms.map(({ term, estimate, ratio, se, dispersed }) => ({
        term,
        estimate,
        rr: ratio,
        se_poisson: se.model,
        se_quasi: se.dispersed,
        se_hc0: se.hc0,
        rr_lower_quasi_z: dispersed.lower,
        rr_upper_quasi_z: dispersed.upper,
      })),
      dispersion_pearson: fit.dispersion,
      deviance: fit.deviance,
      log_likelihood: fit.logLikelihood,
      df_residual: fit.df,
      n: fit.n,
    };
  };
  const parts: Record<string, () => Json> = { panel_a: () => panel(false), panel_b: () => panel(true) };
  for (const key of Object.keys(inputs)) {
    const name = /^counts_(\w+)$/.exec(key)?.[1];
    if (name) parts[`two_by_two_${name}`] = () => twoByTwoOf(inputs[key]);
  }
  const wanted = Object.keys(expected).filter((key) => parts[key]);
  const results = each(wanted, (key) => parts[key]!());
  return Object.fromEntries(wanted.map((key, i) => [key, results[i]]));
};

/** "k=261..312", counted from 1, as indices. */
const rangeOf = (text: string): number[] => {
  const [, from, to] = /(\d+)\s*\.\.\s*(\d+)/.exec(text)!;
  return Array.from({ length: Number(to) - Number(from) + 1 }, (_, i) => Number(from) - 1 + i);
};

type Judged = { readonly at: number; readonly upper: number | null; readonly alarm: boolean };

const alarms = (points: readonly Judged[]): Json => ({
  from: points[0]!.at + 1,
  upperbound: points.map(({ upper }) => upper),
  alarm: points.map(({ alarm }) => Number(alarm)),
  n_alarms: points.filter(({ alarm }) => alarm).length,
  alarm_at: points.filter(({ alarm }) => alarm).map(({ at }) => at + 1),
});

const surveillance: Adapter = ({ inputs, expected }) => {
  const { observed, frequency } = inputs;
  const earsOf = (method: s.EarsMethod): Json => {
    const { range, alpha, baseline, minSigma } = inputs.ears;
    const wanted = new Set(rangeOf(range));
    const points = valueOf(s.ears(observed, method, { alpha: alpha[method], baseline, minSigma, minCount: 0 }));
    return alarms(points.filter(({ at }) => wanted.has(at)));
  };
  const common = ({ b, w, alpha, limit54 = [5, 4] }: Json): s.FarringtonOptions => ({
    frequency,
    years: b,
    halfWidth: w,
    alpha,
    minimum: { events: limit54[0], points: limit54[1] },
  });
  const flexible = (): Json => {
    const c = inputs.farrington_flexible;
    if ((c.thresholdMethod ?? 'nbPlugin') !== 'nbPlugin') throw new Error(`no threshold method ${c.thresholdMethod}`);
    const options: s.FarringtonOptions = {
      ...common(c),
      periods: c.noPeriods,
      excludeLatest: c.pastWeeksNotIncluded,
      weightsThreshold: c.weightsThreshold,
      trendP: c.pThresholdTrend,
      trendDispersion: 'prior-weights',
    };
    const points = valueOf(s.farringtonFlexible(observed, options, rangeOf(c.range)));
    return {
      ...alarms(points),
      expected_mu0: points.map((point) => point.expected),
      phi: points.map(({ dispersion }) => dispersion),
      trend_used: points.map(({ trend }) => Number(trend)),
      p_value: points.map(({ p }) => p),
    };
  };
  const original = (): Json => {
    const c = inputs.farrington_original;
    if ((c.powertrans ?? '2/3') !== '2/3') throw new Error(`no power ${c.powertrans}`);
    // R's alpha is two-sided here, and one-sided in the flexible method.
    const options = { ...common(c), alpha: c.alpha / 2, reweight: c.reweight, trend: c.trend };
    const points = valueOf(s.farringtonOriginal(observed, options, rangeOf(c.range)));
    // R writes 0 where too few events make an alarm impossible.
    const given = points.map((point) => ({ ...point, upper: point.upper ?? 0 }));
    return { ...alarms(given), trend_used: points.map(({ trend }) => Number(trend)) };
  };
  const one = (run: () => Json): Json => each([0], run)[0];
  const methods = Object.keys(expected.ears) as s.EarsMethod[];
  return {
    ears: Object.fromEntries(methods.map((method) => [method, one(() => earsOf(method))])),
    farrington_flexible: one(flexible),
    farrington_original: one(original),
  };
};

const qualityAndTrend: Adapter = ({ inputs }) => {
  const level = inputs.confidence ?? 0.95;
  const one = (run: () => Json): Json => each([0], run)[0];
  return {
    capture: each(inputs.capture, ({ M, C, R }: Json) => {
      const { distinct, total: n, variance, se, normal, lognormal, completeness } = valueOf(s.chapman(M, C, R, level));
      return {
        distinct,
        chapman_n: n,
        variance,
        se,
        normal,
        chao_lognormal: lognormal,
        completeness_source1: completeness.first,
        completeness_source2: completeness.second,
        completeness_union: completeness.either,
      };
    }),
    kappa: one(() => {
      const { se, ...figures } = valueOf(s.kappa(inputs.kappa, level));
      return { ...figures, se_fleiss_cohen_everitt: se };
    }),
    trend: one(() => {
      const { year, count, population } = inputs.trend;
      const fit = valueOf(s.annualChange({ years: year, counts: count, exposures: population }, level));
      return {
        beta: fit.slope,
        se: fit.se,
        dispersion: fit.dispersion,
        apc: fit.change,
        ...fit.poisson,
        quasi_lower: fit.dispersed.lower,
        quasi_upper: fit.dispersed.upper,
      };
    }),
    bh: one(() => s.benjaminiHochberg(inputs.p_values)),
    holm: one(() => s.holm(inputs.p_values)),
  };
};

const adapters: Readonly<Record<string, Adapter>> = {
  '01': crudeRates,
  '02': directRates,
  '03': indirectRates,
  '04': proportions,
  '05': surveyProportions,
  '06': rateRatios,
  '07': twoByTwo,
  '08': survivals,
  '09': interrupted('quasi-poisson'),
  '10': interrupted('negative-binomial'),
  '11': differences,
  '12': surveillance,
  '13': yearsLost,
  '14': specialFunctions,
  '15': qualityAndTrend,
  '16': nationalEstimates,
};

/** Keys the oracles themselves ask to be compared more loosely (05: an iterative fit in R against the closed form; 10: θ's se). */
const looser = { ci_logit_t: 1e-6, se_theta: 1e-5 };

export type Outcome = {
  readonly file: string;
  readonly status: 'pass' | 'fail' | 'not yet';
  readonly cases: number;
  readonly compared: number;
  readonly tolerance: number | null;
  readonly worst: number | null;
  readonly worstAt: string;
  readonly misses: readonly Miss[];
};

const caseCount = (expected: Json): number => {
  if (Array.isArray(expected)) return expected.length;
  return total(
    Object.values(expected).map((value: Json) => (Array.isArray(value) && typeof value[0] === 'object' ? value.length : 1)),
  );
};

/** Runs one parsed oracle; `rows` reads a data file by its path below the data folder. */
export const runOracle = (
  file: string,
  oracle: Json,
  read: Pick<Context, 'rows' | 'standards'>,
  known: Readonly<Record<string, Adapter>> = adapters,
): Outcome => {
  const adapter = known[String(oracle?.id).split('_')[0]!];
  const none = { file, cases: 0, compared: 0, worst: null, worstAt: '' };
  if (!adapter) return { ...none, status: 'not yet', tolerance: null, misses: [] };
  const tolerance: number = oracle.tolerance?.relative ?? 1e-8;
  try {
    const result = adapter({ inputs: oracle.inputs, expected: oracle.expected, ...read });
    const comparison = compare(oracle.expected, result, tolerance, looser);
    const pass = comparison.misses.length === 0 && comparison.compared > 0;
    return { file, status: pass ? 'pass' : 'fail', cases: caseCount(oracle.expected), tolerance, ...comparison };
  } catch (error) {
    return { ...none, status: 'fail', tolerance, misses: [{ path: '', expected: 'a run', actual: String(error), error: null }] };
  }
};

const parseCsv = (bytes: Buffer): Row[] => parse(bytes, { columns: true, skip_empty_lines: true, bom: true }) as Row[];

/** Paths in the oracles are relative to the data folder, some with its published prefix. */
const dataReader = (folder: string): Pick<Context, 'rows' | 'standards'> => {
  const cache = new Map<string, Row[]>();
  return {
    rows: (file) => {
      const path = join(folder, file.replace(/^(public\/)?data\//, ''));
      const known = cache.get(path);
      if (known) return known;
      const bytes = readFileSync(path);
      const rows = parseCsv(path.endsWith('.gz') ? gunzipSync(bytes) : bytes);
      cache.set(path, rows);
      return rows;
    },
    standards: () => JSON.parse(readFileSync(join(folder, 'standard_populations.json'), 'utf8')),
  };
};

const runFolder = (folder: string, data: string): Outcome[] => {
  const read = dataReader(data);
  const files = readdirSync(folder)
    .filter((name) => name.endsWith('.json'))
    .sort();
  return files.map((name) => {
    try {
      return runOracle(name, JSON.parse(readFileSync(join(folder, name), 'utf8')), read);
    } catch (error) {
      const miss = { path: '', expected: 'a JSON file', actual: String(error), error: null };
      return { file: name, status: 'fail', cases: 0, compared: 0, tolerance: null, worst: null, worstAt: '', misses: [miss] };
    }
  });
};

const table = (outcomes: readonly Outcome[]): string => {
  const figure = (value: number | null): string => (value === null ? '–' : value === 0 ? '0' : value.toExponential(1));
  const lines = outcomes.flatMap(({ file, status, cases, compared, worst, worstAt, tolerance, misses }) => [
    [
      basename(file, '.json').padEnd(32),
      `${cases}`.padStart(5),
      `${compared}`.padStart(7),
      figure(worst).padStart(10),
      figure(tolerance).padStart(10),
      ` ${status}`,
      worst && worst > 0 ? `  ${worstAt}` : '',
    ].join(' '),
    ...misses
      .slice(0, 5)
      .map((m) => `    ${m.path}: expected ${JSON.stringify(m.expected)}, got ${JSON.stringify(m.actual) ?? 'nothing'}`),
    ...(misses.length > 5 ? [`    … ${misses.length - 5} more`] : []),
  ]);
  const head = `${'oracle'.padEnd(32)} cases  values  worst rel  tolerance`;
  const passed = outcomes.filter(({ status }) => status === 'pass').length;
  return [head, ...lines, `${passed} of ${outcomes.length} files pass`].join('\n');
};

/** 0 only when every file of the folder was run and passed. */
export const exitCode = (outcomes: readonly Outcome[]): number =>
  outcomes.length > 0 && outcomes.every(({ status }) => status === 'pass') ? 0 : 1;

export const main = (argv: readonly string[], write: (text: string) => void): number => {
  const shared = resolve(process.env.VIGIL_SHARED ?? resolve(__dirname, '../../../../shared'));
  const rest = [...argv];
  const at = rest.indexOf('--data');
  const [, data = join(shared, 'data')] = at < 0 ? [] : rest.splice(at, 2);
  const json = rest.includes('--json');
  const folder = rest.find((word) => !word.startsWith('--')) ?? join(shared, 'oracles');
  if (!existsSync(folder)) {
    write(`no folder ${folder}`);
    return 1;
  }
  const outcomes = runFolder(folder, data);
  write(json ? JSON.stringify({ folder, data, passed: exitCode(outcomes) === 0, outcomes }) : table(outcomes));
  return exitCode(outcomes);
};

if (require.main === module) process.exitCode = main(process.argv.slice(2), (text) => process.stdout.write(`${text}\n`));
