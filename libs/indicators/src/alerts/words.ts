/** Why a method was taken and why a series wasn't judged, in a reader's words. */
import type { Text } from '@vigil/vocabulary';

const say = (zh: string, en: string): Text => ({ zh, en });

export const whys = {
  farrington: (cases: number): Text =>
    say(
      `有五年以上的周数据(基线 ${cases} 例):Farrington 灵活法顾及季节与趋势`,
      `five years of weeks are there (${cases} cases of baseline): Farrington flexible knows season and trend`,
    ),
  cusum: (weeks: number): Text =>
    say(
      `周数据不足五年:以此前 ${weeks} 周的平均为基线,用泊松 CUSUM 找持续的增多;不能区分季节`,
      `fewer than five years of weeks: a Poisson CUSUM against the mean of ${weeks} weeks before finds a lasting rise; it knows no season`,
    ),
  cusumSparse: (weeks: number, cases: number): Text =>
    say(
      `虽有五年,但基线只有 ${cases} 例,季节无从估计:以此前 ${weeks} 周的平均为基线,用泊松 CUSUM`,
      `five years are there but only ${cases} cases of baseline, too few to tell a season: a Poisson CUSUM against the mean of ${weeks} weeks before`,
    ),
  ears: (method: string, days: number): Text =>
    say(
      `按日计数:以此前 ${days} 天为基线的 EARS ${method},在一周结束之前即可发现骤增`,
      `daily counts: EARS ${method} against ${days} days before finds a sudden rise before the week is over`,
    ),
  overdue: (days: number, level: Text): Text =>
    say(`${level.zh}隐患逾期 ${days} 天未整改`, `a ${level.en} hazard is ${days} day(s) past its deadline`),
} as const;

export const refusals = {
  tooShort: (have: number, need: number, unit: 'day' | 'week'): Text =>
    say(
      `自首条记录起只有 ${have} ${unit === 'day' ? '天' : '周'},至少需要 ${need}`,
      `${have} ${unit}s since its first record; at least ${need} are needed`,
    ),
  noBaseline: (reason: string): Text => say(`基线无法估计(${reason})`, `its baseline can not be estimated: ${reason}`),
} as const;
