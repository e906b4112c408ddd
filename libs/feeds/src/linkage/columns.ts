import { daysBetween } from '@vigil/vocabulary';
import { AGE_BAND, STRIDES, type LinkageModel, type Pass } from './model';

/** A report as linkage sees it: canonical codes; null or absent where unknown. */
export interface LinkRecord {
  readonly id: string;
  readonly feed: string;
  /** Plain date. */
  readonly day: string | null;
  readonly community: string | null;
  /** In completed units. */
  readonly age: { readonly value: number; readonly unit: 'year' | 'month' | 'day' } | null;
  readonly sex: string | null;
  readonly mechanism: string | null;
  /** Pseudonymous, the same for the same person in every feed that sends one. */
  readonly key?: string | null;
}

/** The same, a column each: codes are numbers, −1 is missing. */
export interface Columns {
  readonly length: number;
  readonly feed: Int32Array;
  /** Days since 1970; `NO_DAY` is missing. */
  readonly day: Int32Array;
  readonly community: Int32Array;
  /** Parent of each community code that a record has. */
  readonly parent: Int32Array;
  readonly ageYears: Int32Array;
  readonly ageMonths: Int32Array;
  readonly ageDays: Int32Array;
  readonly sex: Int32Array;
  readonly mechanism: Int32Array;
  readonly key: Int32Array;
  readonly feeds: readonly string[];
}

export const NO_DAY = -(2 ** 31);
const DAYS_A_YEAR = 365.25;
const DAYS_A_MONTH = DAYS_A_YEAR / 12;

const interner = () => {
  const codes = new Map<string, number>();
  const code = (text: string | null | undefined): number => {
    if (text === null || text === undefined) return -1;
    const known = codes.get(text);
    if (known !== undefined) return known;
    codes.set(text, codes.size);
    return codes.size - 1;
  };
  return { codes, code };
};

/** `parentOf`: the community right above one. */
export const columnsOf = (
  records: readonly LinkRecord[],
  parentOf: (community: string) => string | null | undefined = () => null,
): Columns => {
  const { length } = records;
  const [feeds, communities, sexes, mechanisms, keys] = [interner(), interner(), interner(), interner(), interner()];
  const days = new Map<string, number>();
  const dayOf = (day: string | null): number => {
    if (day === null) return NO_DAY;
    const known = days.get(day) ?? daysBetween('1970-01-01', day);
    days.set(day, known);
    return known;
  };
  const column = (): Int32Array => new Int32Array(length).fill(-1);
  const columns = {
    ...{ feed: column(), day: column(), community: column(), sex: column(), mechanism: column(), key: column() },
    ...{ ageYears: column(), ageMonths: column(), ageDays: column() },
  };
  records.forEach(({ feed, day, community, age, sex, mechanism, key }, row) => {
    columns.feed[row] = feeds.code(feed);
    columns.day[row] = dayOf(day);
    columns.community[row] = communities.code(community);
    columns.sex[row] = sexes.code(sex);
    columns.mechanism[row] = mechanisms.code(mechanism);
    columns.key[row] = keys.code(key);
    if (!age) return;
    const { value, unit } = age;
    columns.ageYears[row] = Math.floor(unit === 'year' ? value : unit === 'month' ? value / 12 : value / DAYS_A_YEAR);
    if (unit !== 'year') columns.ageMonths[row] = Math.floor(unit === 'month' ? value : value / DAYS_A_MONTH);
    if (unit === 'day') columns.ageDays[row] = value;
  });
  // A parent without reports of its own has a code all the same: its children are side by side.
  const parent = Int32Array.from([...communities.codes.keys()], (code) => communities.code(parentOf(code)));
  return { length, ...columns, parent, feeds: [...feeds.codes.keys()] };
};

/** The level of two days so far apart. */
export const dayLevel = (apart: number): number => (apart === 0 ? 0 : apart === 1 ? 1 : apart <= 3 ? 2 : apart <= 7 ? 3 : 4);

const equality = (a: number, b: number): number => (a < 0 || b < 0 ? 2 : a === b ? 0 : 1);

const ageLevel = (columns: Columns, a: number, b: number, tolerance: LinkageModel['ageTolerance']): number => {
  const { ageYears, ageMonths, ageDays } = columns;
  if (ageYears[a]! < 0 || ageYears[b]! < 0) return 3;
  const inDays = ageDays[a]! >= 0 && ageDays[b]! >= 0;
  const inMonths = ageMonths[a]! >= 0 && ageMonths[b]! >= 0;
  const [ages, near] = inDays
    ? ([ageDays, tolerance.day] as const)
    : inMonths
      ? ([ageMonths, tolerance.month] as const)
      : ([ageYears, tolerance.year] as const);
  const apart = Math.abs(ages[a]! - ages[b]!);
  return apart === 0 ? 0 : apart <= near ? 1 : 2;
};

const communityLevel = ({ community, parent }: Columns, a: number, b: number): number => {
  const [one, two] = [community[a]!, community[b]!];
  if (one < 0 || two < 0) return 4;
  if (one === two) return 0;
  if (parent[one] === two || parent[two] === one) return 1;
  return parent[one]! >= 0 && parent[one] === parent[two] ? 2 : 3;
};

const [DAY, COMMUNITY, AGE, SEX, MECHANISM, KEY] = STRIDES as readonly [number, number, number, number, number, number];

/** The agreement pattern of two rows. */
export const patternOf = (columns: Columns, a: number, b: number, tolerance: LinkageModel['ageTolerance']): number => {
  const { day, sex, mechanism, key } = columns;
  const days = day[a] === NO_DAY || day[b] === NO_DAY ? 5 : dayLevel(Math.abs(day[a]! - day[b]!));
  return (
    days * DAY +
    communityLevel(columns, a, b) * COMMUNITY +
    ageLevel(columns, a, b, tolerance) * AGE +
    equality(sex[a]!, sex[b]!) * SEX +
    equality(mechanism[a]!, mechanism[b]!) * MECHANISM +
    equality(key[a]!, key[b]!) * KEY
  );
};

/** Each row's block key in a pass; −1: it has none, for one of its values is missing. */
export const blockKeys = (columns: Columns, { by, days }: Pass): Float64Array => {
  const part = (name: Pass['by'][number], row: number): number =>
    name === 'ageBand' ? (columns.ageYears[row]! < 0 ? -1 : Math.floor(columns.ageYears[row]! / AGE_BAND)) : columns[name][row]!;
  // Codes of a column are below the number of rows, bands of age below 64.
  const size = columns.length + 64;
  return Float64Array.from({ length: columns.length }, (_, row) => {
    if (days !== null && columns.day[row] === NO_DAY) return -1;
    let key = 0;
    for (const name of by) {
      const code = part(name, row);
      if (code < 0) return -1;
      key = key * size + code;
    }
    return key;
  });
};
