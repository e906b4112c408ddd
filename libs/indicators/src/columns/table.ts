/** The text columns that facts are counted by; each is kept as numbers into a dictionary, 0 for null. */
export const CODED = [
  'community',
  'residence',
  'residency',
  'sex',
  'mechanism',
  'intent',
  'place',
  'activity',
  'nature',
  'body',
  'disposition',
  'severity',
  'feed',
] as const;
export type Coded = (typeof CODED)[number];

/** Bits of a row's flags. Of a death only what is asked for is kept: known, and within 30 days. */
export const FLAG = { eligible: 1, counted: 2, diedBy30: 4, diedLater: 8 } as const;

/**
 * A version of a fact as it is read: the positions between which it was known (`to` null: still known), days since 1970,
 * completed years, flags, and the codes in the order of {@link CODED}, as one text: a driver takes its time over each field.
 */
export type FactRow = readonly [from: number, to: number | null, day: number, age: number | null, flags: number, codes: string];
/** Between codes; none of them has it, and none is empty. */
export const BETWEEN = '\u001f';

export type Codes = Uint8Array | Uint16Array;

/** Rows by column; those in the table are in the order of their days. */
export interface Segment {
  readonly rows: number;
  day: Int32Array;
  from: Float64Array;
  /** Infinity: still known. */
  to: Float64Array;
  /** Completed years and one; 0 for unknown. */
  age: Uint16Array;
  flags: Uint8Array;
  readonly codes: Codes[];
}

/** Facts hold something that these columns don't; the database counts them. */
export class NotForColumns extends Error {
  override readonly name = 'NotForColumns';
}

interface Dictionary {
  readonly values: (string | null)[];
  readonly codeOf: Map<string | null, number>;
}

/** The first row of a day or later. */
export const firstOf = ({ day, rows }: Segment, from: number): number => {
  let low = 0;
  let high = rows;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (day[middle]! < from) low = middle + 1;
    else high = middle;
  }
  return low;
};

/** The order that sorts days; equal ones stay as they were. */
const orderOf = (day: Int32Array): Uint32Array => {
  let [least, most] = [Infinity, -Infinity];
  for (const each of day) {
    if (each < least) least = each;
    if (each > most) most = each;
  }
  const next = new Uint32Array(day.length === 0 ? 1 : most - least + 2);
  for (const each of day) next[each - least + 1]!++;
  for (let i = 1; i < next.length; i++) next[i]! += next[i - 1]!;
  const order = new Uint32Array(day.length);
  for (let i = 0; i < day.length; i++) order[next[day[i]! - least]!++] = i;
  return order;
};

/** The columns of all parts one after the other, in a new order. */
const gathered = <T extends Int32Array | Float64Array | Uint16Array | Uint8Array>(
  columns: readonly T[],
  into: (length: number) => T,
  order: Uint32Array | undefined,
): T => {
  let all = columns[0]!;
  if (columns.length > 1) {
    all = into(columns.reduce((sum, { length }) => sum + length, 0));
    let at = 0;
    for (const column of columns) {
      all.set(column, at);
      at += column.length;
    }
  }
  if (!order) return all;
  const found = into(order.length);
  for (let i = 0; i < order.length; i++) found[i] = all[order[i]!]!;
  return found;
};

const bytes = (n: number) => new Uint8Array(n);
const shorts = (n: number) => new Uint16Array(n);
const words = (n: number) => new Int32Array(n);
const doubles = (n: number) => new Float64Array(n);

/** One segment of many, which are empty afterwards: no more than one column is in memory twice. */
const merged = (parts: readonly Segment[]): Segment => {
  const rows = parts.reduce((sum, part) => sum + part.rows, 0);
  const days = gathered(
    parts.map(({ day }) => day),
    words,
    undefined,
  );
  const order = orderOf(days);
  const taken = <T>(take: (part: Segment) => T): T[] => parts.map(take);
  const codes = CODED.map((_, c): Codes => {
    const columns = taken((part) => part.codes[c]!);
    for (const part of parts) part.codes[c] = bytes(0);
    return columns.some((column) => column instanceof Uint16Array)
      ? gathered<Codes>(columns, shorts, order)
      : gathered<Codes>(columns, bytes, order);
  });
  const column = <K extends 'from' | 'to' | 'age' | 'flags'>(name: K, into: (length: number) => Segment[K]): Segment[K] => {
    const columns = taken((part) => part[name]);
    for (const part of parts) part[name] = into(0);
    return gathered(columns, into, order);
  };
  return {
    rows,
    codes,
    from: column('from', doubles),
    to: column('to', doubles),
    age: column('age', shorts),
    flags: column('flags', bytes),
    day: gathered([days], words, order),
  };
};

/** All facts in memory, by column. Two rows that are equal in every column count alike, so rows need no identity. */
export const createFactTable = () => {
  const dictionaries: readonly Dictionary[] = CODED.map(() => ({ values: [null], codeOf: new Map([[null, 0]]) }));
  const segments: Segment[] = [];
  let oldest = 0;

  const codeOf = ({ values, codeOf: known }: Dictionary, value: string | null): number => {
    let code = known.get(value);
    if (code === undefined) {
      code = values.length;
      if (code > 0xffff) throw new NotForColumns('a column of facts has more than 65,535 codes');
      values.push(value);
      known.set(value, code);
    }
    return code;
  };
  const yearsOf = (age: number | null): number => {
    if (age === null) return 0;
    if (age < 0 || age > 0xfffe) throw new NotForColumns(`a fact has the age ${age}`);
    oldest = Math.max(oldest, age);
    return age + 1;
  };

  /** As a segment of its own, which is in the table only once it is added. */
  const encode = (rows: readonly FactRow[]): Segment => {
    const n = rows.length;
    const day = new Int32Array(n);
    const from = new Float64Array(n);
    const to = new Float64Array(n);
    const age = new Uint16Array(n);
    const flags = new Uint8Array(n);
    const wide = CODED.map(() => new Uint16Array(n));
    rows.forEach((row, i) => {
      from[i] = row[0];
      to[i] = row[1] ?? Infinity;
      day[i] = row[2];
      age[i] = yearsOf(row[3]);
      flags[i] = row[4];
      const codes = row[5].split(BETWEEN);
      for (let c = 0; c < wide.length; c++) wide[c]![i] = codeOf(dictionaries[c]!, codes[c] || null);
    });
    const codes = wide.map((column, c): Codes => (dictionaries[c]!.values.length > 256 ? column : Uint8Array.from(column)));
    return { rows: n, day, from, to, age, flags, codes };
  };

  /** Adds segments, which are empty afterwards; small ones are merged, so that there are never many. */
  const add = (more: readonly Segment[]): void => {
    const some = more.filter(({ rows }) => rows > 0);
    if (some.length === 0) return;
    let size = some.reduce((sum, { rows }) => sum + rows, 0);
    while (segments.length > 0 && segments.at(-1)!.rows <= 2 * size) {
      const before = segments.pop()!;
      size += before.rows;
      some.unshift(before);
    }
    segments.push(merged(some));
  };

  /** Notes until when a row was known. @throws Error there is no such row */
  const close = (row: FactRow): void => {
    const [from, to, day, age, flags, text] = row;
    const years = yearsOf(age);
    const codes = text.split(BETWEEN).map((code, c) => dictionaries[c]!.codeOf.get(code || null) ?? -1);
    for (const segment of segments) {
      const end = firstOf(segment, day + 1);
      for (let i = firstOf(segment, day); i < end; i++)
        if (
          segment.from[i] === from &&
          segment.to[i] === Infinity &&
          segment.age[i] === years &&
          segment.flags[i] === flags &&
          codes.every((code, c) => segment.codes[c]![i] === code)
        ) {
          segment.to[i] = to!;
          return;
        }
    }
    throw new Error(`no fact of ${day} known since ${from} is open`);
  };

  return {
    encode,
    add,
    close,
    get segments(): readonly Segment[] {
      return segments;
    },
    get rows(): number {
      return segments.reduce((sum, { rows }) => sum + rows, 0);
    },
    /** The highest age met. */
    get oldest(): number {
      return oldest;
    },
    values: (column: Coded): readonly (string | null)[] => dictionaries[CODED.indexOf(column)]!.values,
  };
};
export type FactTable = ReturnType<typeof createFactTable>;
