/** What the headings and codes of an answer are called. */
import { AXES, isAxisName, type Text } from '@vigil/vocabulary';
import type { ObservationMeta } from './answer';

const HEADINGS: Readonly<Record<string, Text>> = {
  dx: { zh: '指标', en: 'indicator' },
  pe: { zh: '时期', en: 'period' },
  ou: { zh: '社区或人群', en: 'community or group' },
  age: { zh: '年龄', en: 'age' },
  feed: { zh: '数据源', en: 'feed' },
  metric: { zh: '数值项', en: 'figure' },
  value: { zh: '值', en: 'value' },
  unit: { zh: '单位', en: 'unit' },
  num: { zh: '分子', en: 'numerator' },
  den: { zh: '分母', en: 'denominator' },
  n: { zh: '加权前的记录数', en: 'records before weighting' },
  ciLevel: { zh: '区间水平,百分数', en: 'level of the interval in per cent' },
  ciLow: { zh: '区间下限', en: 'lower limit' },
  ciHigh: { zh: '区间上限', en: 'upper limit' },
  ciMethod: { zh: '区间方法', en: 'method of the interval' },
  deff: { zh: '设计效应', en: 'design effect' },
  nEff: { zh: '有效样本量', en: 'effective sample size' },
  status: {
    zh: '状态:A 正常,P 暂定,E 估计,U 不可靠,M 缺失',
    en: 'status: A normal, P provisional, E estimated, U unreliable, M missing',
  },
  conf: { zh: '保密:F 可用,C 已隐去,N 不得发布', en: 'confidentiality: F free, C suppressed, N not for publication' },
  reason: { zh: '无值或存疑的原因', en: 'why there is no value, or why it is doubtful' },
  asOf: { zh: '答案所述的时刻', en: 'the instant the answer speaks of' },
  position: { zh: '日志位置', en: 'position in the log' },
  definitionHash: { zh: '指标定义的哈希', en: "hash of the indicator's definition" },
  standard: { zh: '标准人口', en: 'standard population' },
  populationVersion: { zh: '所用人口数据的日志位置', en: 'position of the newest population used' },
  lagSeconds: { zh: '滞后秒数', en: 'seconds behind the log' },
  query: { zh: '查询,默认值与相对时期已写明', en: 'the query, with defaults and relative periods written out' },
  dimensions: { zh: '维度', en: 'dimensions' },
  suppression: { zh: '隐去规则;空为未隐去', en: 'rule by which cells were hidden; empty is none' },
};

/** Of a column, a dimension or a field of `meta`. */
export const headingLabel = (heading: string): Text | undefined =>
  Object.hasOwn(HEADINGS, heading) ? HEADINGS[heading] : isAxisName(heading) ? AXES[heading].label : undefined;

/** Of the codes of one dimension. */
export const codeLabels = (dimension: string, meta: ObservationMeta): ((code: string) => Text | undefined) => {
  if (dimension === 'dx') {
    const names = new Map(meta.definitions.map(({ code, name }) => [code, name]));
    return (code) => names.get(code);
  }
  if (!isAxisName(dimension)) return () => undefined;
  const codes = new Map(AXES[dimension].codes.map(({ code, zh, en }): [string, Text] => [code, { zh, en }]));
  return (code) => codes.get(code);
};
