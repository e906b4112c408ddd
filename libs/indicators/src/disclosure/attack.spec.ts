/**
 * Disclosure control against a reader who works things out by linear programming: with every value shown, every sum, and the
 * knowledge that nothing hidden is 0, of one release or of all of them together. The reader shares no code with the protector.
 */
import { solve, type Coefficients, type Constraint } from 'yalps';
import { cellId, NO_HISTORY, nextVintage, protectTable, shareIds, shareTable, tableOf, type Axis, type Table } from '.';

// Seconds of arithmetic; several times that on a machine with other work.
jest.setTimeout(60_000);

const EPSILON = 1e-6;

type Release = (id: string) => number | null;
interface Range {
  least: number;
  most: number;
}
/** Σ coefficient · cell. */
type Target = readonly (readonly [id: string, coefficient: number])[];

/** Part of the reader's program that shares no sum with another part; solved alone, as it may be. */
interface Part {
  /** Hidden cells anything may be chosen for, and those that follow: cell = constant − Σ by · free. All written as what is above 1. */
  readonly free: readonly string[];
  readonly bound: readonly { readonly id: string; readonly constant: number; readonly by: ReadonlyMap<string, number> }[];
}

/** What is unknown to a reader: the sums with hidden cells in them, solved as far as elimination goes. */
const partsOf = (table: Table, release: Release): Part[] => {
  const sums = table.sums.flatMap(({ total, parts }) => {
    let known = 0;
    const unknown = new Map<string, number>();
    for (const [id, sign] of [[total, -1], ...parts.map((part) => [part, 1])] as [string, number][]) {
      const shown = release(id);
      known += sign * (shown ?? 1);
      if (shown === null) unknown.set(id, sign);
    }
    if (unknown.size === 0 && known !== 0) throw new Error('what is shown contradicts itself');
    return unknown.size === 0 ? [] : [{ unknown, constant: -known }];
  });
  const among = new Map<string, number[]>(table.cells.filter(({ id }) => release(id) === null).map(({ id }) => [id, []]));
  sums.forEach(({ unknown }, s) => [...unknown.keys()].forEach((id) => among.get(id)!.push(s)));
  const seen = new Set<string>();
  return [...among.keys()].flatMap((start) => {
    if (seen.has(start)) return [];
    const hidden = new Set([start]);
    const within = new Set<number>();
    for (const id of hidden) {
      for (const s of among.get(id)!) {
        within.add(s);
        for (const other of sums[s]!.unknown.keys()) hidden.add(other);
      }
    }
    for (const id of hidden) seen.add(id);
    return [eliminate([...hidden], [...within].map((s) => sums[s]!))]; // prettier-ignore
  });
};

const eliminate = (
  hidden: readonly string[],
  sums: readonly { unknown: ReadonlyMap<string, number>; constant: number }[],
): Part => {
  const width = hidden.length;
  const rows = sums.map(({ unknown, constant }) => Float64Array.from([...hidden.map((id) => unknown.get(id) ?? 0), constant]));
  const pivots: number[] = [];
  for (let column = 0; column < width; column++) {
    const from = pivots.length;
    const found = rows.findIndex((row, i) => i >= from && Math.abs(row[column]!) > EPSILON);
    if (found < 0) continue;
    [rows[from], rows[found]] = [rows[found]!, rows[from]!];
    const pivot = rows[from]!;
    const by = pivot[column]!;
    for (let i = 0; i <= width; i++) pivot[i]! /= by;
    rows.forEach((row, r) => {
      const factor = row[column]!;
      if (r !== from && factor !== 0) for (let i = 0; i <= width; i++) row[i]! -= factor * pivot[i]!;
    });
    pivots.push(column);
  }
  const free = hidden.map((_, column) => column).filter((column) => !pivots.includes(column));
  const entries = (row: Float64Array) =>
    free.filter((column) => Math.abs(row[column]!) > EPSILON).map((column) => [hidden[column]!, row[column]!] as const);
  return {
    free: free.map((column) => hidden[column]!),
    bound: pivots.map((column, r) => ({ id: hidden[column]!, constant: rows[r]![width]!, by: new Map(entries(rows[r]!)) })),
  };
};

/**
 * What a reader finds out about each target: the range of its values over all tables that agree with what is shown. A range known
 * to be `enough` isn't widened further; every table met on the way counts for every target.
 */
const readAll = (
  table: Table,
  release: Release,
  targets: readonly Target[],
  enough: (range: Range, at: number) => boolean,
): Range[] => {
  const parts = partsOf(table, release);
  const ranges = targets.map((): Range => ({ least: Infinity, most: -Infinity }));
  const point = new Map<string, number>();
  const at = (id: string) => release(id) ?? point.get(id) ?? NaN;
  const meet = () =>
    targets.forEach((target, i) => {
      const value = target.reduce((sum, [id, by]) => sum + by * at(id), 0);
      if (Number.isNaN(value)) return;
      const range = ranges[i]!;
      range.least = Math.min(range.least, value);
      range.most = Math.max(range.most, value);
    });
  /** False when there is no most. With a `cap` there always is. */
  const maximise = (aim: ReadonlyMap<string, number>, cap?: number): boolean =>
    parts.every(({ free, bound }) => {
      const aimed = free.some((id) => aim.has(id)) || bound.some(({ id }) => aim.has(id));
      if (!aimed && point.has((bound[0]?.id ?? free[0])!)) return true;
      const constraints = new Map<string, Constraint>(bound.map(({ id, constant }) => [id, { max: constant }]));
      if (cap !== undefined) constraints.set('aim', { max: cap });
      const variables = free.map((id): [string, Coefficients<string>] => {
        const column = bound.flatMap((row) => (row.by.has(id) ? [[row.id, row.by.get(id)!] as const] : []));
        const price = column.reduce((sum, [row, by]) => sum - by * (aim.get(row) ?? 0), aim.get(id) ?? 0);
        return [id, [...column, ['aim', price]]];
      });
      const solved = solve({ direction: 'maximize', objective: 'aim', constraints, variables }, { includeZeroVariables: true });
      if (solved.status === 'unbounded') return false;
      if (solved.status !== 'optimal') throw new Error(`the reader's program is ${solved.status}`);
      for (const [id, above] of solved.variables) point.set(id, 1 + above);
      for (const { id, constant, by } of bound) {
        let above = constant;
        for (const [other, factor] of by) above -= factor * (point.get(other)! - 1);
        point.set(id, 1 + above);
      }
      return true;
    });
  const lacking = () => targets.flatMap((target, i) => (enough(ranges[i]!, i) ? [] : [[i, target] as const]));
  // A few directions at once first; then each target that is left, alone.
  for (let pass = 0; pass < 8 && lacking().length > 0; pass++) {
    const aim = new Map<string, number>();
    lacking().forEach(([, target], i) => {
      const sign = (pass % 2 === 0 ? 1 : -1) * (pass < 2 || (i >> (pass >> 1)) % 2 === 0 ? 1 : -1);
      for (const [id, by] of target) aim.set(id, (aim.get(id) ?? 0) + sign * by);
    });
    if (maximise(aim, 10_000)) meet();
  }
  for (const [i, target] of lacking()) {
    for (const sign of [1, -1]) {
      const range = ranges[i]!;
      if (enough(range, i)) break;
      if (maximise(new Map(target.map(([id, by]) => [id, sign * by])))) meet();
      else if (sign === 1) range.most = Infinity;
      else range.least = -Infinity;
    }
  }
  return ranges;
};

const wide = (width: number) => (range: Range) => range.most - range.least >= width - EPSILON;

/** The hidden cells a reader pins down more closely than promised. */
const broken = (table: Table, release: Release): string[] => {
  const hidden = table.cells.filter(({ id }) => release(id) === null);
  const small = ({ count, threshold }: (typeof hidden)[number]) => count > 0 && count < threshold;
  const kept = (range: Range, i: number) => {
    const cell = hidden[i]!;
    if (!small(cell)) return wide(1)(range);
    return wide(cell.threshold - 1)(range) && range.most >= cell.threshold - EPSILON;
  };
  const targets = hidden.map(({ id }): Target => [[id, 1]]);
  return readAll(table, release, targets, kept).flatMap((range, i) => (kept(range, i) ? [] : [hidden[i]!.id]));
};

const random = (seed: number) => {
  let state = seed >>> 0;
  const draw = () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
  return { draw, below: (n: number) => Math.floor(draw() * n) };
};
type Random = ReturnType<typeof random>;

const flat = (size: number): Axis => {
  const parts = Array.from({ length: size }, (_, i) => `${i}`);
  return { members: [...parts, 'all'], sums: [{ total: 'all', parts }] };
};
const nested: Axis = {
  members: ['1', '2', '3', '4', '12', '34', 'all'],
  sums: [
    { total: '12', parts: ['1', '2'] },
    { total: '34', parts: ['3', '4'] },
    { total: 'all', parts: ['12', '34'] },
  ],
};
/** The members no sum of the axis makes up, under a member. */
const leaves = (axis: Axis, member: string): string[] => {
  const sum = axis.sums.find(({ total }) => total === member);
  return sum ? sum.parts.flatMap((part) => leaves(axis, part)) : [member];
};
const combine = (lists: readonly (readonly string[])[]): string[][] =>
  lists.reduce<string[][]>((found, list) => found.flatMap((head) => list.map((item) => [...head, item])), [[]]);
const cellsOf = (axes: readonly Axis[]) =>
  combine(axes.map((axis) => axis.members.filter((member) => leaves(axis, member)[0] === member)));
const tableFrom = (axes: readonly Axis[], base: ReadonlyMap<string, number>, k: number) =>
  tableOf(
    axes,
    (members) =>
      combine(members.map((member, i) => leaves(axes[i]!, member))).reduce((sum, cell) => sum + base.get(cellId(cell))!, 0),
    k,
  );

const shapes: readonly (readonly Axis[])[] = [
  [flat(3), flat(4)],
  [flat(2), flat(6)],
  [nested, flat(3)],
  [flat(2), flat(3), flat(2)],
  [flat(5), flat(5)],
  [flat(7)],
];
/** Many zeros and ones, few large. */
const skewed = ({ draw, below }: Random) =>
  draw() < 0.25 ? 0 : draw() < 0.5 ? below(5) : Math.floor(-Math.log(1 - draw()) * 14);
const randomTable = (seed: number) => {
  const chance = random(seed);
  const axes = shapes[seed % shapes.length]!;
  const base = new Map(cellsOf(axes).map((cell) => [cellId(cell), skewed(chance)]));
  return tableFrom(axes, base, seed % 3 === 0 ? 10 : 5);
};
const protector = (table: Table): Release => {
  const found = protectTable(table);
  return (id) => found.get(id)!.value;
};
const SEEDS = Number(process.env['DISCLOSURE_TABLES'] ?? 1000);
const seeds = Array.from({ length: SEEDS }, (_, i) => i);

describe('one release', () => {
  test('no table of a thousand lets a reader narrow down a small count, or solve a hidden one', () => {
    for (const seed of seeds) {
      const table = randomTable(seed);
      expect({ seed, broken: broken(table, protector(table)) }).toEqual({ seed, broken: [] });
    }
  });

  test('shares: neither numerator, denominator nor what is left', () => {
    for (const seed of seeds.slice(0, 100)) {
      const chance = random(seed);
      const axes = [flat(3), flat(3)];
      const num = new Map(cellsOf(axes).map((cell) => [cellId(cell), skewed(chance)]));
      const den = new Map([...num].map(([id, count]) => [id, count + skewed(chance)]));
      const table = shareTable(tableFrom(axes, num, 5), tableFrom(axes, den, 5));
      expect({ seed, broken: broken(table, protector(table)) }).toEqual({ seed, broken: [] });
    }
  });

  describe('the attack finds what weaker protection leaves open', () => {
    const naive: Record<string, (table: Table) => Release> = {
      'small counts only': (table) => {
        const counts = new Map(table.cells.map((cell) => [cell.id, cell]));
        return (id) => {
          const { count, threshold } = counts.get(id)!;
          return count > 0 && count < threshold ? null : count;
        };
      },
      'two hidden in every sum': (table) => {
        const counts = new Map(table.cells.map((cell) => [cell.id, cell.count]));
        const hidden = new Set(table.cells.filter(({ count, threshold }) => count > 0 && count < threshold).map(({ id }) => id));
        for (let before = -1; before < hidden.size; ) {
          before = hidden.size;
          for (const { total, parts } of table.sums) {
            const all = [...parts, total];
            if (all.filter((id) => hidden.has(id)).length !== 1) continue;
            const open = all
              .filter((id) => !hidden.has(id) && counts.get(id)! > 0)
              .sort((a, b) => counts.get(a)! - counts.get(b)!);
            hidden.add(open[0]!);
          }
        }
        return (id) => (hidden.has(id) ? null : counts.get(id)!);
      },
    };
    test.each(Object.keys(naive))('%s', (name) => {
      const solved = seeds.slice(0, 60).filter((seed) => {
        const table = randomTable(seed);
        return broken(table, naive[name]!(table)).length > 0;
      });
      expect(solved.length).toBeGreaterThan(5);
    });

    test('a share whose rest nobody guards', () => {
      const num = tableFrom([flat(2)], new Map([['0', 38], ['1', 60]]), 5); // prettier-ignore
      const den = tableFrom([flat(2)], new Map([['0', 40], ['1', 90]]), 5); // prettier-ignore
      const together = shareTable(num, den);
      expect(protector(together)(shareIds('0').rest)).toBeNull();
      const apart = [protector(num), protector(den)];
      expect(apart.map((release) => release('0'))).toEqual([38, 40]);
    });
  });
});

describe('successive releases', () => {
  const RELEASES = 24;
  /** Growth, late reports, corrections that move a case, retractions. */
  const story = (seed: number): Table[] => {
    const chance = random(seed + 7777);
    const axes = [
      [flat(3), flat(3)],
      [nested, flat(2)],
      [flat(2), flat(2), flat(2)],
    ][seed % 3]!;
    const ids = cellsOf(axes).map(cellId);
    const base = new Map(ids.map((id) => [id, skewed(chance)]));
    const change = (id: string, by: number) => base.set(id, Math.max(0, base.get(id)! + by));
    const any = () => ids[chance.below(ids.length)]!;
    return Array.from({ length: RELEASES }, () => {
      for (let i = chance.below(3); i > 0; i--) change(any(), 1 + chance.below(3));
      if (chance.draw() < 0.2) change(any(), 5 + chance.below(20));
      if (chance.draw() < 0.3) {
        const from = any();
        if (base.get(from)! > 0) {
          change(from, -1);
          change(any(), 1);
        }
      }
      if (chance.draw() < 0.2) change(any(), -1);
      return tableFrom(axes, base, seed % 2 === 0 ? 5 : 10);
    });
  };
  type Protect = (tables: readonly Table[]) => Release[];
  const vintages: Protect = (tables) => {
    let history = NO_HISTORY;
    return tables.map((table) => {
      const next = nextVintage(history, table);
      history = next.history;
      return (id) => next.protection.get(id)!.value;
    });
  };
  const eachAlone: Protect = (tables) => tables.map(protector);
  /** Holds a cell against the release before only. */
  const lastOnly: Protect = (tables) =>
    tables.map((table, i) => {
      const before = tables[i - 1];
      const first = before ? nextVintage(NO_HISTORY, before).history : NO_HISTORY;
      const { protection } = nextVintage(first, table);
      return (id) => protection.get(id)!.value;
    });

  /** All releases as one program; every small change between any two of them, and every small count, is a target. */
  const recovered = (tables: readonly Table[], protect: Protect): string[] => {
    const at = (release: number, id: string) => `${release}:${id}`;
    const releases = protect(tables);
    const joint: Table = {
      cells: tables.flatMap((table, r) => table.cells.map((cell) => ({ ...cell, id: at(r, cell.id) }))),
      sums: tables.flatMap((table, r) =>
        table.sums.map(({ total, parts }) => ({ total: at(r, total), parts: parts.map((part) => at(r, part)) })),
      ),
    };
    const release: Release = (key) => releases[Number(key.slice(0, key.indexOf(':')))]!(key.slice(key.indexOf(':') + 1));
    const counts = tables.map((table) => new Map(table.cells.map(({ id, count }) => [id, count])));
    const targets: Target[] = [];
    for (const { id, threshold } of tables[0]!.cells) {
      const small = (by: number) => by !== 0 && Math.abs(by) < threshold;
      for (let r = 0; r < tables.length; r++) {
        const count = counts[r]!.get(id)!;
        if (releases[r]!(id) === null) targets.push([[at(r, id), 1]]);
        for (let s = 0; s < r; s++) {
          const before = counts[s]!.get(id)!;
          if (small(count - before)) targets.push([[at(r, id), 1], [at(s, id), -1]]); // prettier-ignore
        }
      }
    }
    return readAll(joint, release, targets, wide(1)).flatMap((range, i) =>
      wide(1)(range) ? [] : [targets[i]!.map(([id]) => id).join(' ')],
    );
  };

  const stories = Array.from({ length: Number(process.env['DISCLOSURE_STORIES'] ?? 6) }, (_, seed) => seed);

  test('no count and no small change between any two of 24 releases is recovered', () => {
    for (const seed of stories) expect({ seed, recovered: recovered(story(seed), vintages) }).toEqual({ seed, recovered: [] });
  });

  test.each([
    ['each release protected alone', eachAlone],
    ['held against the release before only', lastOnly],
  ])('the attack finds what is left open when %s', (_, protect) => {
    expect([0, 1, 2].flatMap((seed) => recovered(story(seed).slice(0, 8), protect)).length).toBeGreaterThan(0);
  });
});
