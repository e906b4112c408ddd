import type { Text } from '@vigil/vocabulary';
import { block, type SkippedBlock } from './block';
import { columnsOf, patternOf, type Columns, type LinkRecord } from './columns';
import { chanceOf, estimate, fitted, type Fitted } from './estimate';
import {
  DEFAULT_LINKAGE,
  FIELD_LABELS,
  levelOf,
  LEVEL_LABELS,
  LEVELS,
  LINK_FIELDS,
  PATTERNS,
  probabilityOf,
  weightOf,
  weightTable,
  type LinkageModel,
  type LinkField,
  type Relation,
} from './model';

export interface LinkOptions {
  readonly model?: LinkageModel;
  readonly parentOf?: (community: string) => string | null | undefined;
  /** m and the overlap from the data, by EM, instead of the model's own. */
  readonly estimate?: boolean;
  /** Only pairs with one of these are proposed. Absent: all. */
  readonly fresh?: (id: string) => boolean;
  /** Feeds that never report anyone twice. */
  readonly neverTwice?: ReadonlySet<string>;
  /** Pairs decided before: linked ones stand together, those apart never come together, not by way of others either. */
  readonly linked?: readonly (readonly [string, string])[];
  readonly apart?: readonly (readonly [string, string])[];
}

export interface LinkedPair {
  /** Ids; `a` sorts before `b`. */
  readonly a: string;
  readonly b: string;
  readonly relation: Relation;
  readonly probability: number;
  /** Bits: the sum of the fields' log2(m/u). */
  readonly weight: number;
  readonly pattern: number;
}

export interface Linkage {
  /** Best first; they and the pairs linked before join each cluster by as few pairs as can be. */
  readonly match: readonly LinkedPair[];
  readonly review: readonly LinkedPair[];
  /** Likely enough, but one of the two reports has a likelier partner in that feed, or was declared another person. */
  readonly outdone: number;
  readonly compared: number;
  readonly skipped: readonly (Omit<SkippedBlock, 'example'> & { readonly example: string })[];
  readonly fitted: Fitted;
}

/** Grows as needed; a million pairs as objects would take a gigabyte. */
const pairList = () => {
  let rows = new Uint32Array(1_024);
  let patterns = new Uint16Array(512);
  let length = 0;
  return {
    add: (a: number, b: number, pattern: number): void => {
      if (length === patterns.length) {
        const more = new Uint32Array(rows.length * 2);
        more.set(rows);
        rows = more;
        const wider = new Uint16Array(patterns.length * 2);
        wider.set(patterns);
        patterns = wider;
      }
      rows[2 * length] = a;
      rows[2 * length + 1] = b;
      patterns[length++] = pattern;
    },
    map: <T>(to: (a: number, b: number, pattern: number) => T): T[] =>
      Array.from({ length }, (_, at) => to(rows[2 * at]!, rows[2 * at + 1]!, patterns[at]!)),
  };
};

/** Sets of reports that are one person in one event: a feed has at most one in each, unless it sent duplicates. */
const createClusters = ({ feed }: Columns, apart: ReadonlyMap<number, ReadonlySet<number>>) => {
  const clusterOf = new Map<number, number[]>();
  const members = (row: number): number[] => clusterOf.get(row) ?? [row];
  const isTogether = (a: number, b: number): boolean => a === b || members(a) === clusterOf.get(b);
  const mayJoin = (a: number, b: number): boolean => {
    const [ours, theirs] = [members(a), members(b)];
    const same = feed[a] === feed[b] ? feed[a] : -1;
    return ours.every((one) =>
      theirs.every((two) => (feed[one] !== feed[two] || feed[one] === same) && !apart.get(one)?.has(two)),
    );
  };
  const join = (a: number, b: number): void => {
    if (isTogether(a, b)) return;
    const all = [...members(a), ...members(b)];
    for (const row of all) clusterOf.set(row, all);
  };
  return { isTogether, mayJoin, join };
};

const byProbability = (x: LinkedPair, y: LinkedPair): number =>
  y.probability - x.probability || (x.a < y.a ? -1 : x.a > y.a ? 1 : x.b < y.b ? -1 : x.b > y.b ? 1 : 0);

/**
 * Which reports are of the same person in the same event. The order of the records changes nothing.
 * Duplicates by one feed are joined first; then, best first, one of each feed to one of another.
 */
export const linkPairs = (records: readonly LinkRecord[], options: LinkOptions = {}): Linkage => {
  const { model = DEFAULT_LINKAGE, fresh, neverTwice } = options;
  const { thresholds, ageTolerance } = model;
  const columns = columnsOf(records, options.parentOf);
  const { feed } = columns;
  const rowOf = new Map(records.map(({ id }, row) => [id, row]));
  const once = Uint8Array.from(columns.feeds, (name) => (neverTwice?.has(name) ? 1 : 0));
  const isFresh = fresh && Uint8Array.from(records, ({ id }) => (fresh(id) ? 1 : 0));
  const isPair = (a: number, b: number): boolean => feed[a] !== feed[b] || once[feed[a]!] === 0;
  const isWanted = isFresh ? (a: number, b: number): boolean => (isFresh[a] === 1 || isFresh[b] === 1) && isPair(a, b) : isPair;

  const chance = chanceOf(columns, model);
  let weights = fitted(chance, model);
  if (options.estimate) {
    const patterns = new Float64Array(PATTERNS);
    block(
      columns,
      model,
      (a, b) => feed[a] !== feed[b],
      (a, b) => patterns[patternOf(columns, a, b, ageTolerance)]!++,
    );
    weights = estimate(patterns, chance, model);
  }
  const table = { across: weightTable(weights.m, weights.u.across), within: weightTable(weights.m, weights.u.within) };
  const likely = {
    across: table.across.map((weight) => probabilityOf(weight, weights.prior.across)),
    within: table.within.map((weight) => probabilityOf(weight, weights.prior.within)),
  };

  const kept = pairList();
  let compared = 0;
  const skipped = block(columns, model, isWanted, (a, b) => {
    compared++;
    const pattern = patternOf(columns, a, b, ageTolerance);
    if (likely[feed[a] === feed[b] ? 'within' : 'across'][pattern]! >= thresholds.review) kept.add(a, b, pattern);
  });
  const pairs = kept
    .map((one, two, pattern): LinkedPair => {
      const relation = feed[one] === feed[two] ? 'within' : 'across';
      const [a, b] = records[one]!.id < records[two]!.id ? [one, two] : [two, one];
      return {
        ...{ a: records[a]!.id, b: records[b]!.id, relation, pattern },
        ...{ probability: likely[relation][pattern]!, weight: table[relation][pattern]! },
      };
    })
    .sort(byProbability);

  const apart = new Map<number, Set<number>>();
  const part = (a: number, b: number): void => void apart.set(a, (apart.get(a) ?? new Set()).add(b));
  for (const [a, b] of options.apart ?? []) {
    const [one, two] = [rowOf.get(a), rowOf.get(b)];
    if (one === undefined || two === undefined) continue;
    part(one, two);
    part(two, one);
  }
  const clusters = createClusters(columns, apart);
  for (const [a, b] of options.linked ?? []) {
    const [one, two] = [rowOf.get(a), rowOf.get(b)];
    if (one !== undefined && two !== undefined) clusters.join(one, two);
  }

  const match: LinkedPair[] = [];
  let outdone = 0;
  const isMatch = ({ probability, relation }: LinkedPair): boolean => probability >= thresholds.match[relation];
  for (const relation of ['within', 'across'] as const)
    for (const pair of pairs) {
      if (pair.relation !== relation || !isMatch(pair)) continue;
      const [a, b] = [rowOf.get(pair.a)!, rowOf.get(pair.b)!];
      if (clusters.isTogether(a, b)) continue;
      if (clusters.mayJoin(a, b)) {
        clusters.join(a, b);
        match.push(pair);
      } else outdone++;
    }
  const review = pairs.filter((pair) => {
    const [a, b] = [rowOf.get(pair.a)!, rowOf.get(pair.b)!];
    if (isMatch(pair) || clusters.isTogether(a, b)) return false;
    const open = clusters.mayJoin(a, b);
    if (!open) outdone++;
    return open;
  });
  return {
    match: match.sort(byProbability),
    review,
    outdone,
    compared,
    skipped: skipped.map(({ example, ...rest }) => ({ ...rest, example: records[example]!.id })),
    fitted: weights,
  };
};

export interface FieldEvidence {
  readonly field: LinkField;
  readonly label: Text;
  readonly level: string;
  readonly levelLabel: Text;
  /** Absent when the value is missing on either side. */
  readonly m?: number;
  readonly u?: number;
  /** Bits; 0 when missing. */
  readonly weight: number;
}

/** Field by field, why a pair has its weight. */
export const explain = ({ pattern, relation }: Pick<LinkedPair, 'pattern' | 'relation'>, { m, u }: Fitted): FieldEvidence[] =>
  LINK_FIELDS.map((field, at) => {
    const level = levelOf(pattern, at);
    const name = level === undefined ? 'missing' : LEVELS[field][level]!;
    const said = { field, label: FIELD_LABELS[field], level: name, levelLabel: LEVEL_LABELS[name]! };
    if (level === undefined) return { ...said, weight: 0 };
    const [same, chance] = [m[field][level]!, u[relation][field][level]!];
    return { ...said, m: same, u: chance, weight: Math.log2(same / chance) };
  });

/** Two reports weighed as they are, blocks or not. */
export const weigh = (
  [one, two]: readonly [LinkRecord, LinkRecord],
  { m, u, prior }: Fitted,
  { parentOf, model = DEFAULT_LINKAGE }: Pick<LinkOptions, 'parentOf' | 'model'> = {},
): LinkedPair => {
  const [a, b] = one.id < two.id ? [one, two] : [two, one];
  const relation = a.feed === b.feed ? 'within' : 'across';
  const pattern = patternOf(columnsOf([a, b], parentOf), 0, 1, model.ageTolerance);
  const weight = weightOf(pattern, m, u[relation]);
  return { a: a.id, b: b.id, relation, pattern, weight, probability: probabilityOf(weight, prior[relation]) };
};
