/** Why a step of the ladder wasn't taken, and what to bear in mind of one that was: stable codes, words in both languages. */
import type { Refusal } from '@vigil/statistics';
import type { Problem, Text } from '@vigil/vocabulary';

export type Method = 'its' | 'did' | 'rr';

export const METHOD_NAMES: Readonly<Record<Method, Text>> = {
  its: { zh: '中断时间序列', en: 'interrupted time series' },
  did: { zh: '双重差分', en: 'difference-in-differences' },
  rr: { zh: '前后率比(描述性)', en: 'rate ratio before and after (descriptive)' },
};

export const LEAST = { events: 20, itsPoints: 8, points: 3 } as const;

const said = (code: string, zh: string, en: string, value?: unknown): Problem => ({
  code,
  detail: { zh, en },
  ...(value !== undefined && { value }),
});

export const reasons = {
  tooShort: (before: number, after: number, least: number): Problem =>
    said(
      'too-short',
      `启动前有 ${before} 个月、洗脱期后有 ${after} 个月;每侧至少需要 ${least} 个月`,
      `${before} months before the start and ${after} after its wash-out; at least ${least} a side`,
    ),
  tooFewEvents: (events: number): Problem =>
    said(
      'too-few-events',
      `前后合计 ${events} 例;至少需要 ${LEAST.events} 例`,
      `${events} events before and after together; at least ${LEAST.events}`,
    ),
  noEventsBefore: (): Problem =>
    said('no-events', '启动前没有事件,无从比较', 'no event before the start: there is nothing to compare with'),
  noPopulation: (units: readonly string[]): Problem =>
    said(
      'missing-denominator',
      `${units.slice(0, 5).join('、')} 在所求各月没有人口;请补录 /communities/{code}/populations`,
      `${units.slice(0, 5).join(', ')}: no population in any of these months; record it at /communities/{code}/populations`,
      units[0],
    ),
  noComparison: (): Problem =>
    said(
      'no-comparison',
      `没有可用的对照:设计中没有对照单位,或其在干预单位启动后 ${LEAST.points} 个月内也已启动`,
      `nothing to compare with: no comparison unit, or each has itself started within ${LEAST.points} months after`,
    ),
  comparisonEmpty: (): Problem =>
    said(
      'no-events',
      '对照单位或干预单位在前后某一侧没有事件',
      'the treated or the comparison units have no event on one of the sides',
    ),
  stronger: (method: Method): Problem =>
    said('stronger-available', `已采用更强的${METHOD_NAMES[method].zh}`, `the stronger ${METHOD_NAMES[method].en} was taken`),
  notAsked: (method: Method): Problem =>
    said('not-asked', `请求指定了${METHOD_NAMES[method].zh}`, `the request asked for ${METHOD_NAMES[method].en}`),
  shortBaseline: (months: number): Problem =>
    said(
      'short-baseline',
      `启动前只有 ${months} 个月,不足 24 个月:趋势与季节难以分开;有对照单位时双重差分更可靠`,
      `${months} months before the start, fewer than 24: trend and season can hardly be told apart; with comparison units difference-in-differences is sounder`,
    ),
} as const;

const OF_FIT: Readonly<Record<Refusal['code'], Text>> = {
  'bad-input': { zh: '数据不适用于该模型', en: 'the data do not fit the model' },
  'too-short': { zh: '月数太少', en: 'too few months' },
  'too-few-events': { zh: '事件太少', en: 'too few events' },
  'no-events': { zh: '有一侧没有事件', en: 'no events on one side' },
  collinear: { zh: '模型的各项无法分开', en: 'the terms of the model can not be told apart' },
  separation: { zh: '有一侧没有事件,系数无有限估计', en: 'one side has no event, so that a coefficient has no finite estimate' },
  'no-overdispersion': { zh: '计数的离散不超过泊松分布', en: 'the counts vary no more than Poisson counts' },
  'no-convergence': { zh: '模型不收敛', en: 'the model does not converge' },
};

/** A refusal of the statistics in a reader's words; its own detail is kept in the English. */
export const ofFit = ({ code, detail }: Refusal): Problem => ({
  code,
  detail: { zh: OF_FIT[code].zh, en: `${OF_FIT[code].en} (${detail})` },
});

export const warnings = {
  descriptive: (): Problem =>
    said(
      'descriptive',
      '前后率比仅为描述:未排除同期其他变化',
      'a ratio of before and after only describes: whatever else changed meanwhile is in it',
    ),
  regressionToTheMean: (months: number): Problem =>
    said(
      'regression-to-the-mean',
      `启动前不足 3 年(${months} 个月)且没有对照:因某年伤害多而选中的单位,次年自会回落,可能被误认为效果`,
      `fewer than 3 years before the start (${months} months) and nothing to compare with: a unit picked for a bad year falls back by itself, and that looks like an effect`,
    ),
  autocorrelation: (p: number): Problem =>
    said(
      'autocorrelation',
      `残差存在自相关(Ljung–Box P = ${p.toPrecision(2)});区间已取较大的标准误,仍可能偏窄`,
      `the residuals hang together in time (Ljung–Box P = ${p.toPrecision(2)}); the larger standard error is taken, and the interval may still be narrow`,
    ),
  fewEvents: (before: number, after: number): Problem =>
    said(
      'few-events',
      `事件较少(前 ${before}、后 ${after}):区间宽,近似较差`,
      `few events (${before} before, ${after} after): wide intervals, and rough ones`,
    ),
  fewPoints: (before: number, after: number): Problem =>
    said('few-points', `月数较少(前 ${before}、后 ${after})`, `few months (${before} before, ${after} after)`),
  seasonNotModelled: (): Problem =>
    said(
      'season-not-modelled',
      '月数不足以区分季节:前后所含月份不同,季节差异可能混入效果',
      'too few months to tell the season: the sides hold different months of the year, and that may be in the effect',
    ),
  longExtrapolation: (before: number, after: number): Problem =>
    said(
      'long-extrapolation',
      `以 ${before} 个月的趋势外推 ${after} 个月`,
      `the trend of ${before} months is drawn on over ${after} months`,
    ),
  comparisonJoined: (units: readonly string[]): Problem =>
    said(
      'comparison-contaminated',
      `对照单位 ${units.slice(0, 5).join('、')} 后来也启动;只用到其启动之前`,
      `the comparison units ${units.slice(0, 5).join(', ')} started too: they are compared with until then only`,
      units[0],
    ),
  comparisonOverlaps: (units: readonly string[]): Problem =>
    said(
      'comparison-overlaps',
      `${units.slice(0, 5).join('、')} 与干预单位重叠(上下级),不作对照`,
      `${units.slice(0, 5).join(', ')} and a treated unit hold one another: not compared with`,
      units[0],
    ),
  withoutPopulation: (units: readonly string[]): Problem =>
    said(
      'unit-without-population',
      `${units.slice(0, 5).join('、')} 没有人口,未计入`,
      `${units.slice(0, 5).join(', ')}: no population, left out`,
      units[0],
    ),
  leftOut: (units: readonly string[], { detail }: Problem): Problem =>
    said(
      'cohort-left-out',
      `${units.slice(0, 5).join('、')} 未计入合并估计:${detail.zh}`,
      `${units.slice(0, 5).join(', ')} left out of the pooled estimate: ${detail.en}`,
      units[0],
    ),
  monthsMissing: (months: number): Problem =>
    said(
      'months-left-out',
      `${months} 个月因有单位缺人口而未计入`,
      `${months} months left out: a unit has no population then`,
      months,
    ),
  trendsDiffer: (p: number): Problem =>
    said(
      'trends-differ-before',
      `启动前干预单位与对照单位的变化已不同(P = ${p.toPrecision(2)}):双重差分的前提存疑`,
      `the treated and the comparison units moved apart before the start already (P = ${p.toPrecision(2)}): what difference-in-differences assumes is in doubt`,
    ),
  unitsDiffer: (p: number): Problem =>
    said(
      'cohorts-differ',
      `先后启动的各批效果不一(P = ${p.toPrecision(2)}):合并区间只代表平均`,
      `the effect differs between those that started at different times (P = ${p.toPrecision(2)}): the pooled interval is of their mean only`,
    ),
  methodsDisagree: (other: Method): Problem =>
    said(
      'methods-disagree',
      `${METHOD_NAMES[other].zh}的区间与所采用方法的区间不相交`,
      `the interval by ${METHOD_NAMES[other].en} does not meet the one of the method taken`,
      other,
    ),
  recentMonths: (): Problem =>
    said(
      'recent-months-provisional',
      '最近的月份可能尚有迟报,效果可能被高估',
      'late reports of the last months may still come: the effect may look larger than it is',
    ),
} as const;
