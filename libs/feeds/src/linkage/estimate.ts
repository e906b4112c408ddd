import { dayLevel, NO_DAY, type Columns } from './columns';
import {
  levelOf,
  LEVELS,
  LINK_FIELDS,
  PATTERNS,
  probabilityOf,
  weightOf,
  type LinkageModel,
  type LinkField,
  type Relation,
  type Shares,
} from './model';

type Histogram = ReadonlyMap<number, number>;
type Counts = Record<LinkField, number[]>;

/** Pairs of one histogram's records by how far their values are apart: 0, 1 … `furthest`, and the rest last. */
const pairsByDistance = (histogram: Histogram, furthest: number): number[] => {
  const pairs = new Array<number>(furthest + 2).fill(0);
  let total = 0;
  for (const [value, count] of histogram) {
    total += count;
    pairs[0]! += (count * (count - 1)) / 2;
    for (let apart = 1; apart <= furthest; apart++) pairs[apart]! += count * (histogram.get(value + apart) ?? 0);
  }
  pairs[furthest + 1] = (total * (total - 1)) / 2 - pairs.reduce((sum, each) => sum + each, 0);
  return pairs;
};

const MOST_DAYS_TOLD = 7;
const levelsOf = (
  field: LinkField,
  histogram: Histogram,
  parent: Int32Array,
  { ageTolerance: { year } }: LinkageModel,
): number[] => {
  if (field === 'day') {
    const levels = new Array<number>(LEVELS.day.length).fill(0);
    pairsByDistance(histogram, MOST_DAYS_TOLD).forEach((pairs, apart) => (levels[dayLevel(apart)]! += pairs));
    return levels;
  }
  if (field === 'age') {
    const [same, ...rest] = pairsByDistance(histogram, year);
    const other = rest.pop()!;
    return [same!, rest.reduce((sum, each) => sum + each, 0), other];
  }
  const [same, other] = pairsByDistance(histogram, 0);
  if (field !== 'community') return [same!, other!];
  let related = 0;
  const below = new Map<number, { all: number; same: number }>();
  for (const [code, count] of histogram) {
    const above = parent[code]!;
    if (above < 0) continue;
    related += count * (histogram.get(above) ?? 0);
    const { all, same: own } = below.get(above) ?? { all: 0, same: 0 };
    below.set(above, { all: all + count, same: own + count * count });
  }
  let siblings = 0;
  for (const { all, same: own } of below.values()) siblings += (all * all - own) / 2;
  return [same!, related, siblings, other! - related - siblings];
};

/** How many pairs of all, same person or not, stand at each level: exact, from each field's histogram, without comparing any. */
export interface Chance {
  readonly counts: Readonly<Record<Relation, Readonly<Counts>>>;
  readonly pairs: Readonly<Record<Relation, number>>;
  readonly records: number;
  readonly largestFeed: number;
}

export const chanceOf = (columns: Columns, model: LinkageModel): Chance => {
  const { length, feed, feeds } = columns;
  const valuesOf: Record<LinkField, Int32Array> = { ...columns, age: columns.ageYears };
  const sizes = new Array<number>(feeds.length).fill(0);
  for (let row = 0; row < length; row++) sizes[feed[row]!]!++;
  const within = sizes.reduce((sum, size) => sum + (size * (size - 1)) / 2, 0);
  const counts = { across: {} as Counts, within: {} as Counts };
  for (const field of LINK_FIELDS) {
    const values = valuesOf[field];
    const missing = field === 'day' ? NO_DAY : -1;
    const all = new Map<number, number>();
    const own = feeds.map(() => new Map<number, number>());
    for (let row = 0; row < length; row++) {
      const value = values[row]!;
      if (value === missing) continue;
      const mine = own[feed[row]!]!;
      all.set(value, (all.get(value) ?? 0) + 1);
      mine.set(value, (mine.get(value) ?? 0) + 1);
    }
    const inside = LEVELS[field].map(() => 0);
    for (const each of own) levelsOf(field, each, columns.parent, model).forEach((pairs, level) => (inside[level]! += pairs));
    counts.within[field] = inside;
    counts.across[field] = levelsOf(field, all, columns.parent, model).map((pairs, level) => pairs - inside[level]! || 0);
  }
  return {
    counts,
    pairs: { across: (length * (length - 1)) / 2 - within, within },
    records: length,
    largestFeed: Math.max(0, ...sizes),
  };
};

/** m, u and the share of true pairs among all: what weights and probabilities are made of. */
export interface Fitted {
  readonly m: Shares;
  readonly u: Readonly<Record<Relation, Shares>>;
  readonly prior: Readonly<Record<Relation, number>>;
  /** Rounds of EM; 0: m and the overlap are the model's own. */
  readonly rounds: number;
}

const mapShares = (share: (field: LinkField) => number[]): Shares =>
  Object.fromEntries(LINK_FIELDS.map((field) => [field, share(field)])) as unknown as Shares;

/** Counts with `worth` pairs of the expected shares added, as shares: none is 0, and little data moves little. */
const smoothed = (counts: readonly number[], expected: readonly number[], worth: number): number[] => {
  const total = counts.reduce((sum, each) => sum + Math.max(0, each), 0);
  return counts.map((count, level) => (Math.max(0, count) + worth * expected[level]!) / (total + worth));
};

/** Expected true pairs over all pairs; the data count as at least `fewest` records. */
const priorOf = (relation: Relation, { records, largestFeed, pairs }: Chance, { overlap, fewest }: LinkageModel): number => {
  const could = relation === 'across' ? records - largestFeed : records;
  const most = overlap[relation] / fewest;
  return pairs[relation] === 0 ? most : Math.min(most, (overlap[relation] * could) / pairs[relation]);
};

/** Weights before any pair is compared: u by chance in these very data, m and the overlap as the model says. */
export const fitted = (chance: Chance, model: LinkageModel): Fitted => ({
  m: model.m,
  u: {
    across: mapShares((field) => smoothed(chance.counts.across[field], model.u[field], model.uWeight)),
    within: mapShares((field) => smoothed(chance.counts.within[field], model.u[field], model.uWeight)),
  },
  prior: { across: priorOf('across', chance, model), within: priorOf('within', chance, model) },
  rounds: 0,
});

const MOST_ROUNDS = 100;
const STILL = 1e-6;

/**
 * m, u and the overlap across feeds by expectation-maximisation (Dempster, Laird, Rubin 1977) on the compared pairs' patterns. Pairs
 * that no pass put together count as different people. Deterministic; the model's own m and overlap are prior counts.
 */
export const estimate = (patterns: Float64Array, chance: Chance, model: LinkageModel): Fitted => {
  let now = fitted(chance, model);
  const start = now.prior.across;
  const seen = Array.from({ length: PATTERNS }, (_, pattern) => pattern).filter((pattern) => patterns[pattern]! > 0);
  for (let round = 1; round <= MOST_ROUNDS && seen.length > 0; round++) {
    const matches = Object.fromEntries(LINK_FIELDS.map((field) => [field, LEVELS[field].map(() => 0)])) as Counts;
    let total = 0;
    for (const pattern of seen) {
      const expected = patterns[pattern]! * probabilityOf(weightOf(pattern, now.m, now.u.across), now.prior.across);
      total += expected;
      LINK_FIELDS.forEach((field, at) => {
        const level = levelOf(pattern, at);
        if (level !== undefined) matches[field][level]! += expected;
      });
    }
    const { mWeight, uWeight } = model;
    const m = mapShares((field) => smoothed(matches[field], model.m[field], mWeight));
    const across = mapShares((field) =>
      smoothed(
        chance.counts.across[field].map((count, level) => count - matches[field][level]!),
        model.u[field],
        uWeight,
      ),
    );
    const prior = (total + mWeight) / (chance.pairs.across + mWeight / start);
    const moved = Math.max(
      Math.abs(prior / now.prior.across - 1),
      ...LINK_FIELDS.flatMap((field) => m[field].map((share, level) => Math.abs(share - now.m[field][level]!))),
    );
    now = { m, u: { ...now.u, across }, prior: { ...now.prior, across: prior }, rounds: round };
    if (moved < STILL) break;
  }
  return now;
};
