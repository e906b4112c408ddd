import { refuse, answer, type Answer } from './answer';
import { level01, wholeNumber } from './checks';
import { symmetric, undefinedInterval, zOf, type Interval } from './interval';

export type Captured = {
  /** In either list. */
  readonly distinct: number;
  /** Estimated total, seen and unseen. */
  readonly total: number;
  readonly variance: number;
  readonly se: number;
  readonly normal: Interval;
  /** Log-normal in the unseen, so never below `distinct`; undefined where none is estimated unseen. */
  readonly lognormal: Interval;
  /** Shares of the total in the first list, in the second, in either; `null` at total 0. */
  readonly completeness: { readonly first: number | null; readonly second: number | null; readonly either: number | null };
};

/**
 * Two-list capture–recapture: `first` and `second` are the lists' sizes, `both` the records on both. Chapman (1951):
 * N = (M+1)(C+1)/(R+1) − 1, variance (M+1)(C+1)(M−R)(C−R)/((R+1)²(R+2)); log-normal limits after Chao (1987) Biometrics 43:783.
 * Supposes that the lists are independent, the population closed and the links true: dependence biases N downwards.
 * Refused: sizes not whole, more on both lists than on one.
 */
export const chapman = (first: number, second: number, both: number, level = 0.95): Answer<Captured> =>
  answer(() => {
    const z = zOf(level01('level', level));
    const [m, c, r] = [wholeNumber('first', first), wholeNumber('second', second), wholeNumber('both', both)];
    if (r > Math.min(m, c)) refuse('bad-input', `${r} on both lists, but ${Math.min(m, c)} on the shorter`, 'both');
    const distinct = m + c - r;
    const total = ((m + 1) * (c + 1)) / (r + 1) - 1;
    const variance = (((m + 1) / (r + 1)) * ((c + 1) / (r + 1)) * (m - r) * (c - r)) / (r + 2);
    const unseen = ((m - r) * (c - r)) / (r + 1);
    const k = Math.exp(z * Math.sqrt(Math.log1p(variance / unseen ** 2)));
    const se = Math.sqrt(variance);
    const share = (size: number) => (total > 0 ? size / total : null);
    return {
      distinct,
      total,
      variance,
      se,
      normal: symmetric(total, se, z),
      lognormal: unseen > 0 ? { lower: distinct + unseen / k, upper: distinct + unseen * k } : undefinedInterval,
      completeness: { first: share(m), second: share(c), either: share(distinct) },
    };
  });
