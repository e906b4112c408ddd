import type { Text } from '@vigil/vocabulary';

/**
 * How alike two reports are, field by field: each field's levels from full agreement to none. A value missing on either side
 * has no level and says nothing.
 */
export const LEVELS = {
  day: ['same', '1-day', '2-3-days', '4-7-days', 'further'],
  community: ['same', 'parent', 'sibling', 'other'],
  age: ['same', 'near', 'other'],
  sex: ['same', 'other'],
  mechanism: ['same', 'other'],
  key: ['same', 'other'],
} as const;
export type LinkField = keyof typeof LEVELS;
export const LINK_FIELDS = Object.keys(LEVELS) as readonly LinkField[];

export const FIELD_LABELS: Readonly<Record<LinkField, Text>> = {
  day: { zh: '日期', en: 'day' },
  community: { zh: '社区', en: 'community' },
  age: { zh: '年龄', en: 'age' },
  sex: { zh: '性别', en: 'sex' },
  mechanism: { zh: '伤害原因', en: 'mechanism' },
  key: { zh: '假名标识', en: 'pseudonymous key' },
};
export const LEVEL_LABELS: Readonly<Record<string, Text>> = {
  same: { zh: '相同', en: 'same' },
  '1-day': { zh: '相差 1 天', en: 'one day apart' },
  '2-3-days': { zh: '相差 2–3 天', en: 'two or three days apart' },
  '4-7-days': { zh: '相差 4–7 天', en: 'four to seven days apart' },
  further: { zh: '相差超过 7 天', en: 'more than seven days apart' },
  parent: { zh: '上下级', en: 'one lies in the other' },
  sibling: { zh: '同属一个上级', en: 'side by side in one above' },
  near: { zh: '相近', en: 'near' },
  other: { zh: '不同', en: 'different' },
  missing: { zh: '缺失', en: 'missing' },
};

/** Two reports by different feeds, or by one and the same. */
export type Relation = 'across' | 'within';
export type Shares = Readonly<Record<LinkField, readonly number[]>>;

/** All that decides a linkage, as data. Shares are of each field's levels, in their order, and add up to 1. */
export interface LinkageModel {
  /** m: among pairs that are the same person in the same event. */
  readonly m: Shares;
  /** u, before the data are seen: among pairs that aren't. */
  readonly u: Shares;
  /** How many pairs the u above are worth against those counted in the data. */
  readonly uWeight: number;
  /** How many matches the m above are worth when m is estimated from the data. */
  readonly mWeight: number;
  /** Share of reports, those of the largest feed left out, that another feed has too; share that their own feed has twice. */
  readonly overlap: Readonly<Record<Relation, number>>;
  /** The data count as at least so many reports: two alone prove nothing. */
  readonly fewest: number;
  /**
   * Probability from which a pair is linked, and from which a person is asked. Below: rejected. A feed seldom reports anyone twice,
   * and often several people of one event: within a feed more is asked for.
   */
  readonly thresholds: { readonly match: Readonly<Record<Relation, number>>; readonly review: number };
  /** Ages so far apart still count as near, in the coarser unit of the two. */
  readonly ageTolerance: { readonly year: number; readonly month: number; readonly day: number };
  readonly passes: readonly Pass[];
  /** Records in a block (one key, one day and the days that follow within the pass); a larger one is skipped and named. */
  readonly largestBlock: number;
}

/** Pairs are compared that share all of `by` and lie at most `days` apart (null: any time). */
export interface Pass {
  readonly name: string;
  readonly by: readonly ('community' | 'key' | 'sex' | 'ageBand')[];
  readonly days: number | null;
}

/** Width of `ageBand` in years. */
export const AGE_BAND = 5;

export const DEFAULT_LINKAGE: LinkageModel = {
  m: {
    day: [0.85, 0.1, 0.03, 0.015, 0.005],
    community: [0.92, 0.025, 0.035, 0.02],
    age: [0.87, 0.1, 0.03],
    sex: [0.98, 0.02],
    mechanism: [0.9, 0.1],
    key: [0.98, 0.02],
  },
  u: {
    day: [0.0027, 0.0054, 0.0108, 0.0216, 0.9595],
    community: [0.05, 0.02, 0.2, 0.73],
    age: [0.015, 0.03, 0.955],
    sex: [0.5, 0.5],
    mechanism: [0.2, 0.8],
    key: [0.0001, 0.9999],
  },
  uWeight: 10_000,
  mWeight: 50,
  overlap: { across: 0.2, within: 0.005 },
  fewest: 200,
  thresholds: { match: { across: 0.75, within: 0.99 }, review: 0.2 },
  ageTolerance: { year: 1, month: 1, day: 3 },
  passes: [
    { name: 'community-day', by: ['community'], days: 7 },
    { name: 'key', by: ['key'], days: null },
    { name: 'sex-age-day', by: ['sex', 'ageBand'], days: 3 },
  ],
  largestBlock: 5_000,
};

const SIZES = LINK_FIELDS.map((field) => LEVELS[field].length + 1);
/** Of each field in a pattern: a pattern is one number, its digits the levels; the last level of each field is "missing". */
export const STRIDES: readonly number[] = SIZES.map((_, at) => SIZES.slice(at + 1).reduce((product, size) => product * size, 1));
export const PATTERNS = SIZES.reduce((product, size) => product * size, 1);

/** Level of a field in a pattern; undefined: missing on either side. */
export const levelOf = (pattern: number, at: number): number | undefined => {
  const level = Math.floor(pattern / STRIDES[at]!) % SIZES[at]!;
  return level === SIZES[at]! - 1 ? undefined : level;
};

const sumOverFields = (pattern: number, value: (field: LinkField, level: number) => number): number => {
  let sum = 0;
  LINK_FIELDS.forEach((field, at) => {
    const level = levelOf(pattern, at);
    if (level !== undefined) sum += value(field, level);
  });
  return sum;
};

/** Bits for or against: the sum of log2(m/u) over the fields that both have. */
export const weightOf = (pattern: number, m: Shares, u: Shares): number =>
  sumOverFields(pattern, (field, level) => Math.log2(m[field][level]! / u[field][level]!));

/** From bits of evidence and the share of true pairs among all. */
export const probabilityOf = (weight: number, prior: number): number => 1 / (1 + 2 ** -(weight + Math.log2(prior / (1 - prior))));

/** Weight of every pattern. */
export const weightTable = (m: Shares, u: Shares): Float64Array =>
  Float64Array.from({ length: PATTERNS }, (_, pattern) => weightOf(pattern, m, u));
