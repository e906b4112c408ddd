import { CODED, firstOf, FLAG, type Coded, type Codes, type FactTable, type Segment } from './table';

/** What one column of a row may hold. */
export type Test =
  | { readonly column: Coded; readonly among: readonly string[]; readonly not?: boolean }
  | { readonly ages: readonly { readonly from: number; readonly to: number | null }[]; readonly unknown: boolean }
  | { readonly flags: 'eligible' | 'counted' | 'not-counted' | 'died-by-30' | 'death-known' };

/** Any of these, all tests of which must hold. */
export type Clause = readonly (readonly Test[])[];

export type Amount =
  | { readonly kind: 'rows' }
  | { readonly kind: 'years-lost'; readonly until: number }
  | { readonly kind: 'each'; readonly amount: number }
  /** How many of these columns don't hold `unknown`. */
  | { readonly kind: 'known'; readonly columns: readonly Coded[] };

/** A count as plain data, for another thread. */
export interface Plan {
  readonly position: number;
  /** Days since 1970 that begin or end a period, in order. */
  readonly cuts: readonly number[];
  readonly place: 'community' | 'residence';
  readonly communities: readonly string[];
  /** Whether communities are told apart. */
  readonly apart: boolean;
  readonly clauses: readonly Clause[];
  readonly ageCuts: readonly number[];
  readonly groups: readonly Coded[];
  readonly amount: Amount;
}

/**
 * Cells by column: `cells` holds a period, an index among the communities, an age bucket (-1: unknown), a code per group, and the
 * number of rows with an amount, the amounts and their squares summed, one cell after the other.
 */
export interface Cells {
  readonly cells: Float64Array;
  readonly width: number;
  /** By group: what its codes stand for. */
  readonly names: readonly (readonly (string | null)[])[];
}

const BLOCK = 2_048;
/** Up to so many possible cells of a period they are found by index, beyond by a map. */
const MOST_DENSE = 1 << 20;
/** More possible cells than a key has numbers for. */
const MOST_CELLS = 2 ** 31;

type Selector = (segment: Segment) => { readonly column: Codes; readonly allow: Uint8Array };
interface Group {
  readonly column: (segment: Segment) => Codes;
  /** By code: the index, times the stride. */
  readonly part: Int32Array;
  readonly stride: number;
  readonly size: number;
}

const coded = (name: Coded): ((segment: Segment) => Codes) => {
  const index = CODED.indexOf(name);
  return ({ codes }) => codes[index]!;
};
const allowed = (table: FactTable, test: Test): { column: (segment: Segment) => Codes; allow: Uint8Array } => {
  if ('column' in test) {
    const among = new Set<string | null>(test.among);
    const not = test.not ?? false;
    return {
      column: coded(test.column),
      // Null is neither in a list nor outside it.
      allow: Uint8Array.from(table.values(test.column), (value) => Number(value !== null && among.has(value) !== not)),
    };
  }
  if ('ages' in test) {
    const allow = new Uint8Array(table.oldest + 2);
    allow[0] = Number(test.unknown);
    for (const { from, to } of test.ages) allow.fill(1, from + 1, to === null ? undefined : to + 2);
    return { column: ({ age }) => age, allow };
  }
  const holds = {
    eligible: (flags: number) => flags & FLAG.eligible,
    counted: (flags: number) => flags & FLAG.counted,
    'not-counted': (flags: number) => ~flags & FLAG.counted,
    'died-by-30': (flags: number) => flags & FLAG.diedBy30,
    'death-known': (flags: number) => flags & (FLAG.diedBy30 | FLAG.diedLater),
  }[test.flags];
  return { column: ({ flags }) => flags, allow: Uint8Array.from({ length: 256 }, (_, flags) => Number(holds(flags) !== 0)) };
};

const selectorOf = (table: FactTable, test: Test): Selector => {
  const { column, allow } = allowed(table, test);
  return (segment) => ({ column: column(segment), allow });
};

/** Rows of `[start, end)` known at a position, into `found`. */
const known = ({ from, to }: Segment, position: number, start: number, end: number, found: Int32Array): number => {
  let n = 0;
  for (let i = start; i < end; i++) {
    found[n] = i;
    n += from[i]! <= position && to[i]! > position ? 1 : 0;
  }
  return n;
};

const keep = (found: Int32Array, count: number, column: Codes, allow: Uint8Array): number => {
  let n = 0;
  for (let j = 0; j < count; j++) {
    const i = found[j]!;
    found[n] = i;
    n += allow[column[i]!]!;
  }
  return n;
};

const keepAny = (found: Int32Array, count: number, any: readonly (readonly ReturnType<Selector>[])[]): number => {
  let n = 0;
  for (let j = 0; j < count; j++) {
    const i = found[j]!;
    if (any.some((all) => all.every(({ column, allow }) => allow[column[i]!] === 1))) found[n++] = i;
  }
  return n;
};

const addKeys = (keys: Int32Array, found: Int32Array, count: number, column: Codes, part: Int32Array): void => {
  for (let j = 0; j < count; j++) keys[j]! += part[column[found[j]!]!]!;
};

/** A row's amount; NaN where it has none. */
const amountOf = (
  table: FactTable,
  amount: Exclude<Amount, { kind: 'rows' }>,
): ((segment: Segment) => (row: number) => number) => {
  switch (amount.kind) {
    case 'each':
      return () => () => amount.amount;
    case 'years-lost':
      // PostgreSQL's greatest passes over a null: an unknown age loses none.
      return ({ flags, age }) =>
        (row) =>
          (flags[row]! & FLAG.diedBy30) === 0 ? NaN : age[row] === 0 ? 0 : Math.max(0, amount.until - (age[row]! - 1));
    case 'known': {
      const unknown = amount.columns.map((name) => table.values(name).indexOf('unknown'));
      const columns = amount.columns.map(coded);
      return (segment) => {
        const own = columns.map((column) => column(segment));
        return (row) => own.reduce((sum, column, c) => sum + (column[row] === unknown[c] ? 0 : 1), 0);
      };
    }
  }
};

const bucketOf = (age: number, cuts: readonly number[]): number =>
  cuts.reduce((bucket, cut, at) => (cut <= age ? at : bucket), -1);

/** Counts in the finest cells that a plan tells apart; undefined where there may be too many. */
export const scan = (table: FactTable, plan: Plan): Cells | undefined => {
  const { cuts, communities, ageCuts, apart } = plan;
  const placed = table.values(plan.place);
  const here = new Map<string | null, number>(communities.map((code, index) => [code, index]));
  const tests: Selector[] = [];
  const anys: ((segment: Segment) => readonly (readonly ReturnType<Selector>[])[])[] = [];
  for (const clause of plan.clauses) {
    if (clause.length === 1) tests.push(...clause[0]!.map((test) => selectorOf(table, test)));
    else {
      const any = clause.map((all) => all.map((test) => selectorOf(table, test)));
      anys.push((segment) => any.map((all) => all.map((select) => select(segment))));
    }
  }
  // Every community has a name, so that asking for all of them asks nothing.
  if (plan.place === 'residence' || !placed.every((code) => code === null || here.has(code)))
    tests.push(selectorOf(table, { column: plan.place, among: communities }));

  const groups: Group[] = [];
  let size = 1;
  const group = (column: Group['column'], indices: readonly number[], most: number): void => {
    groups.push({ column, part: Int32Array.from(indices, (index) => index * size), stride: size, size: most });
    size *= most;
  };
  if (apart)
    group(
      coded(plan.place),
      placed.map((code) => here.get(code) ?? 0),
      communities.length,
    );
  if (ageCuts.length > 0)
    group(
      ({ age }) => age,
      Array.from({ length: table.oldest + 2 }, (_, age) => (age === 0 ? 0 : bucketOf(age - 1, ageCuts) + 1)),
      ageCuts.length + 1,
    );
  for (const name of plan.groups)
    group(
      coded(name),
      table.values(name).map((_, code) => code),
      table.values(name).length,
    );
  if (size > MOST_CELLS) return undefined;

  const dense = size <= MOST_DENSE ? new Int32Array(size).fill(-1) : undefined;
  const sparse = new Map<number, number>();
  const found = new Int32Array(BLOCK);
  const keys = new Int32Array(BLOCK);
  const width = 3 + plan.groups.length + 3;
  const out: number[] = [];
  let met: number[] = [];
  let sums: number[] = [];
  const slotOf = (key: number): number => {
    let slot = dense ? dense[key]! : (sparse.get(key) ?? -1);
    if (slot < 0) {
      slot = met.length * 3;
      met.push(key);
      sums.push(0, 0, 0);
      if (dense) dense[key] = slot;
      else sparse.set(key, slot);
    }
    return slot;
  };
  const amount = plan.amount.kind === 'rows' ? undefined : amountOf(table, plan.amount);

  const countIn = (segment: Segment, start: number, end: number): void => {
    const own = tests.map((select) => select(segment));
    const any = anys.map((select) => select(segment));
    const by = groups.map(({ column, part }) => ({ column: column(segment), part }));
    const amountAt = amount?.(segment);
    for (let at = start; at < end; at += BLOCK) {
      let n = known(segment, plan.position, at, Math.min(end, at + BLOCK), found);
      for (const { column, allow } of own) n = keep(found, n, column, allow);
      for (const each of any) n = keepAny(found, n, each);
      keys.fill(0, 0, n);
      for (const { column, part } of by) addKeys(keys, found, n, column, part);
      for (let j = 0; j < n; j++) {
        const slot = slotOf(keys[j]!);
        if (amountAt === undefined) sums[slot]!++;
        else {
          const value = amountAt(found[j]!);
          if (Number.isNaN(value)) continue;
          sums[slot]!++;
          sums[slot + 1]! += value;
          sums[slot + 2]! += value * value;
        }
      }
    }
  };

  for (let period = 0; period + 1 < cuts.length; period++) {
    for (const segment of table.segments) countIn(segment, firstOf(segment, cuts[period]!), firstOf(segment, cuts[period + 1]!));
    // One row without a group, as an aggregate without one has.
    if (groups.length === 0 && cuts.length === 2) slotOf(0);
    met.forEach((key, index) => {
      const parts = groups.map(({ stride, size: most }) => Math.floor(key / stride) % most);
      const n = sums[index * 3]!;
      out.push(period, apart ? parts.shift()! : 0, ageCuts.length > 0 ? parts.shift()! - 1 : 0, ...parts, n);
      out.push(amount ? sums[index * 3 + 1]! : n, amount ? sums[index * 3 + 2]! : n);
      if (dense) dense[key] = -1;
    });
    sparse.clear();
    met = [];
    sums = [];
  }
  return { cells: Float64Array.from(out), width, names: plan.groups.map((name) => table.values(name)) };
};
