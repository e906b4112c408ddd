/**
 * Calendar periods and the `pe` grammar: plain dates on the proleptic Gregorian calendar, ISO weeks, DHIS2's forms and its
 * relative periods. A plain date is `YYYY-MM-DD` and carries no zone; an instant becomes one through `localDate`.
 * All arithmetic is on day numbers (days since 1970-01-01), so nothing here depends on the machine's time zone.
 */
import { isRefusal, nearest, type Refusal } from './refusal';

export type PeriodKind = 'day' | 'week' | 'month' | 'bimonth' | 'quarter' | 'half' | 'year' | 'range';
export type PeriodUnit = Exclude<PeriodKind, 'range'>;

/** `start` inclusive, `end` exclusive, both `YYYY-MM-DD`. `id` reads back as the same period: `2026`, `2026-S1`, `2026-Q1`,
 * `2026-B1`, `2026-03`, `2026-W10`, `2026-03-15`, `2026-01-01/2026-06-30` (this one inclusive at both ends). */
export type Period = {
  readonly id: string;
  readonly kind: PeriodKind;
  readonly start: string;
  readonly end: string;
  readonly days: number;
};
export type PeriodError = Refusal;

// ── Plain dates ──────────────────────────────────────────────────────────────────────────────────────────────────────────────

const isLeap = (year: number) => (year % 4 === 0 && year % 100 !== 0) || year % 400 === 0;
const monthDays = (year: number, month: number) =>
  month === 2 ? (isLeap(year) ? 29 : 28) : month === 4 || month === 6 || month === 9 || month === 11 ? 30 : 31;
export const daysInYear = (year: number): number => (isLeap(year) ? 366 : 365);

// H. Hinnant, days_from_civil and civil_from_days: years begin in March, so that the leap day comes last.
const civil = (year: number, month: number, day: number): number => {
  const y = month <= 2 ? year - 1 : year;
  const era = Math.floor(y / 400);
  const yearOfEra = y - era * 400;
  const dayOfYear = Math.floor((153 * (month + (month > 2 ? -3 : 9)) + 2) / 5) + day - 1;
  return era * 146097 + yearOfEra * 365 + Math.floor(yearOfEra / 4) - Math.floor(yearOfEra / 100) + dayOfYear - 719468;
};

const fromCivil = (day: number): [year: number, month: number, day: number] => {
  const z = day + 719468;
  const era = Math.floor(z / 146097);
  const doe = z - era * 146097;
  const yoe = Math.floor((doe - Math.floor(doe / 1460) + Math.floor(doe / 36524) - Math.floor(doe / 146096)) / 365);
  const doy = doe - (365 * yoe + Math.floor(yoe / 4) - Math.floor(yoe / 100));
  const mp = Math.floor((5 * doy + 2) / 153);
  const month = mp < 10 ? mp + 3 : mp - 9;
  return [yoe + era * 400 + (month <= 2 ? 1 : 0), month, doy - Math.floor((153 * mp + 2) / 5) + 1];
};

const pad = (n: number, width = 2) => String(n).padStart(width, '0');

const HYPHEN = 45;
/** The number that ASCII digits `from` to `to` write; NaN when one isn't a digit. */
const digits = (text: string, from: number, to: number): number => {
  let n = 0;
  for (let i = from; i < to; i++) {
    const digit = text.charCodeAt(i) - 48;
    n = digit >= 0 && digit <= 9 ? n * 10 + digit : NaN;
  }
  return n;
};

// By character, since every record's dates pass here: a regular expression takes five times as long.
const readDate = (text: string): number | undefined => {
  if (text.length !== 10 || text.charCodeAt(4) !== HYPHEN || text.charCodeAt(7) !== HYPHEN) return undefined;
  const [year, month, day] = [digits(text, 0, 4), digits(text, 5, 7), digits(text, 8, 10)];
  return year >= 1 && month >= 1 && month <= 12 && day >= 1 && day <= monthDays(year, month)
    ? civil(year, month, day)
    : undefined;
};

/** Whether `text` is a day that exists, as `YYYY-MM-DD` (30 February, two-digit years and times aren't). */
export const isPlainDate = (text: string): boolean => readDate(text) !== undefined;

/** Days since 1970-01-01. Throws RangeError on anything but an existing `YYYY-MM-DD`: check strangers' text with `isPlainDate`. */
export const dayNumber = (date: string): number => {
  const day = readDate(date);
  if (day === undefined) throw new RangeError(`not a plain date: ${JSON.stringify(date)}`);
  return day;
};

export const fromDayNumber = (day: number): string => {
  const [year, month, d] = fromCivil(day);
  return `${pad(year, 4)}-${pad(month)}-${pad(d)}`;
};

export const addDays = (date: string, days: number): string => fromDayNumber(dayNumber(date) + days);

/** Days from `from` to `to`; negative when `to` is earlier. */
export const daysBetween = (from: string, to: string): number => dayNumber(to) - dayNumber(from);

// ── Instants ─────────────────────────────────────────────────────────────────────────────────────────────────────────────────

const instant = /^(\d{4}-\d\d-\d\d)T(\d\d):(\d\d)(?::(\d\d)(?:\.(\d{1,9}))?)?(Z|([+-])(\d\d):(\d\d))$/;

/**
 * Milliseconds since the epoch of an RFC 3339 instant; seconds may be left out, an offset or `Z` may not. `undefined` for
 * anything else: Date.parse would take 24:00 for the next day, and a text without offset for the machine's own zone.
 */
export const parseInstant = (text: string): number | undefined => {
  const found = instant.exec(text);
  if (!found) return undefined;
  const day = readDate(found[1]!);
  const [hour, minute, second] = [Number(found[2]), Number(found[3]), Number(found[4] ?? 0)];
  const [offsetHour, offsetMinute] = [Number(found[8] ?? 0), Number(found[9] ?? 0)];
  if (day === undefined || hour > 23 || minute > 59 || second > 59 || offsetHour > 23 || offsetMinute > 59) return undefined;
  const ms = Number((found[5] ?? '').padEnd(3, '0').slice(0, 3));
  const offset = (offsetHour * 60 + offsetMinute) * (found[7] === '-' ? -1 : 1);
  return ((day * 24 + hour) * 60 + minute - offset) * 60_000 + second * 1000 + ms;
};

/** `offsets`: day number (UTC) → the zone's offset at its midnight, in milliseconds. */
type Zone = { readonly format: Intl.DateTimeFormat; readonly offsets: Map<number, number> };
const zones = new Map<string, Zone>();

const DAY = 86_400_000;
const REMEMBERED = 100_000;

const zoneOf = (timeZone: string): Zone => {
  let zone = zones.get(timeZone);
  if (!zone) {
    const [numeric, digits] = ['numeric', '2-digit'] as const;
    const date = { era: 'short', year: numeric, month: digits, day: digits } as const;
    const time = { hour: digits, minute: digits, second: digits, hourCycle: 'h23' } as const;
    const format = new Intl.DateTimeFormat('en-US', { timeZone, calendar: 'gregory', numberingSystem: 'latn', ...date, ...time });
    zones.set(timeZone, (zone = { format, offsets: new Map() }));
  }
  return zone;
};

export const isTimeZone = (name: string): boolean => {
  try {
    zoneOf(name);
    return true;
  } catch {
    return false; // Intl tells of an unknown zone only by throwing.
  }
};

/** What clocks in the zone show at an instant, as if they were at UTC. Asking Intl takes some 5 µs, hence the memo below. */
const wallClock = ({ format }: Zone, ms: number): number => {
  const parts: Partial<Record<Intl.DateTimeFormatPartTypes, string>> = {};
  for (const { type, value } of format.formatToParts(ms)) parts[type] = value;
  const n = (type: Intl.DateTimeFormatPartTypes) => Number(parts[type]);
  const year = parts.era === 'BC' ? 1 - n('year') : n('year');
  return civil(year, n('month'), n('day')) * DAY + ((n('hour') * 60 + n('minute')) * 60 + n('second')) * 1000;
};

const midnightOffset = (zone: Zone, day: number): number => {
  let offset = zone.offsets.get(day);
  if (offset === undefined) {
    if (zone.offsets.size >= REMEMBERED) zone.offsets.clear();
    zone.offsets.set(day, (offset = wallClock(zone, day * DAY) - day * DAY));
  }
  return offset;
};

/**
 * The plain date that people in `timeZone` (IANA name) read on the calendar at an instant (RFC 3339 text or epoch milliseconds),
 * after the zone's history: Shanghai kept summer time from 1986 to 1991. Throws RangeError on a bad instant or zone.
 */
export const localDate = (at: string | number, timeZone: string): string => {
  const ms = typeof at === 'number' ? at : parseInstant(at);
  if (ms === undefined || !(Math.abs(ms) <= 8.64e15)) throw new RangeError(`not an instant: ${JSON.stringify(at)}`);
  const zone = zoneOf(timeZone);
  const day = Math.floor(ms / DAY);
  const offset = midnightOffset(zone, day);
  // Equal at both ends of the UTC day: no clock was changed in it. On the few days with a change, Intl is asked about the very instant.
  const wall = offset === midnightOffset(zone, day + 1) ? ms + offset : wallClock(zone, ms);
  return fromDayNumber(Math.floor(wall / DAY));
};

// ── Periods by unit and running index ────────────────────────────────────────────────────────────────────────────────────────

/** Periods of one unit, numbered without gaps: period `i` ends where `i + 1` starts, which is why they tile the calendar. */
type Numbering = { of(day: number): number; start(index: number): number; id(index: number): string };

const months = (length: number, id: (year: number, nth: number, month: number) => string): Numbering => ({
  of: (day) => {
    const [year, month] = fromCivil(day);
    return Math.floor((year * 12 + month - 1) / length);
  },
  start: (index) => civil(Math.floor((index * length) / 12), ((index * length) % 12) + 1, 1),
  id: (index) => id(Math.floor((index * length) / 12), (index % (12 / length)) + 1, ((index * length) % 12) + 1),
});

// 1970-01-01 was a Thursday, so that Monday 1969-12-29 (day −3) opens week 0. A week belongs to the year of its Thursday.
const week: Numbering = {
  of: (day) => Math.floor((day + 3) / 7),
  start: (index) => index * 7 - 3,
  id: (index) => {
    const thursday = index * 7;
    const [year] = fromCivil(thursday);
    return `${pad(year, 4)}-W${pad(Math.floor((thursday - civil(year, 1, 1)) / 7) + 1)}`;
  },
};

const UNITS: Readonly<Record<PeriodUnit, Numbering>> = {
  day: { of: (day) => day, start: (index) => index, id: fromDayNumber },
  week,
  month: months(1, (year, _, month) => `${pad(year, 4)}-${pad(month)}`),
  bimonth: months(2, (year, nth) => `${pad(year, 4)}-B${nth}`),
  quarter: months(3, (year, nth) => `${pad(year, 4)}-Q${nth}`),
  half: months(6, (year, nth) => `${pad(year, 4)}-S${nth}`),
  year: months(12, (year) => pad(year, 4)),
};

const nth = (unit: PeriodUnit, index: number): Period => {
  const [start, end] = [UNITS[unit].start(index), UNITS[unit].start(index + 1)];
  return { id: UNITS[unit].id(index), kind: unit, start: fromDayNumber(start), end: fromDayNumber(end), days: end - start };
};

const span = (unit: PeriodUnit, from: number, to: number): Period[] =>
  Array.from({ length: to - from + 1 }, (_, i) => nth(unit, from + i));

/** The period of a unit that a plain date falls in. */
export const periodOf = (unit: PeriodUnit, date: string): Period => nth(unit, UNITS[unit].of(dayNumber(date)));

/** The periods of a unit that touch `[start, end)`, in order; they cover it whole and may stick out at both ends. */
export const periodsWithin = (unit: PeriodUnit, start: string, end: string): Period[] =>
  dayNumber(start) >= dayNumber(end) ? [] : span(unit, UNITS[unit].of(dayNumber(start)), UNITS[unit].of(dayNumber(end) - 1));

/** A free range of days, both ends included. Throws RangeError when it ends before it starts. */
export const dateRange = (first: string, last: string): Period => {
  const [from, to] = [dayNumber(first), dayNumber(last)];
  if (to < from) throw new RangeError(`${first}/${last} ends before it starts`);
  return { id: `${first}/${last}`, kind: 'range', start: first, end: fromDayNumber(to + 1), days: to - from + 1 };
};

/** How much of each calendar year a period takes: days of the period in the year / days of the year. A population times its share
 * is its person-years; a leap year's share of one day is 1/366. */
export const yearShares = (period: Pick<Period, 'start' | 'end'>): { year: number; share: number }[] => {
  const [start, end] = [dayNumber(period.start), dayNumber(period.end)];
  const shares: { year: number; share: number }[] = [];
  if (end <= start) return shares;
  for (let [year] = fromCivil(start), [last] = fromCivil(end - 1); year <= last; year++) {
    const days = Math.min(end, civil(year + 1, 1, 1)) - Math.max(start, civil(year, 1, 1));
    shares.push({ year, share: days / daysInYear(year) });
  }
  return shares;
};

/** The period's length in years, each day weighed by its own calendar year (a whole year is exactly 1, leap or not). */
export const personYearFraction = (period: Pick<Period, 'start' | 'end'>): number =>
  yearShares(period).reduce((sum, { share }) => sum + share, 0);

// ── The pe grammar ───────────────────────────────────────────────────────────────────────────────────────────────────────────

const EARLIEST = 1800;
const LATEST = 2199;

/** Fixed forms: ISO-like, and DHIS2's without hyphens. `[unit, day inside the period]`, or undefined when there is no such period. */
const FIXED: readonly [form: RegExp, unit: PeriodUnit, day: (year: number, n: number, d: number) => number | undefined][] = [
  [/^(\d{4})$/, 'year', (y) => civil(y, 1, 1)],
  [/^(\d{4})-?S([12])$/, 'half', (y, n) => civil(y, n * 6, 1)],
  [/^(\d{4})-?Q([1-4])$/, 'quarter', (y, n) => civil(y, n * 3, 1)],
  [/^(\d{4})-?B([1-6])$/, 'bimonth', (y, n) => civil(y, n * 2, 1)],
  [/^(\d{4})(\d\d)B$/, 'bimonth', (y, n) => (n >= 1 && n <= 6 ? civil(y, n * 2, 1) : undefined)],
  [/^(\d{4})-?(\d\d)$/, 'month', (y, n) => (n >= 1 && n <= 12 ? civil(y, n, 1) : undefined)],
  // 4 January is always in week 1.
  [/^(\d{4})-?W(\d{1,2})$/, 'week', (y, n) => (n >= 1 && n <= weeksInYear(y) ? civil(y, 1, 4) + (n - 1) * 7 : undefined)],
  [/^(\d{4})-?(\d\d)-?(\d\d)$/, 'day', (y, n, d) => readDate(`${pad(y, 4)}-${pad(n)}-${pad(d)}`)],
];

/** 52 or 53: an ISO year is long when it holds 53 Thursdays. */
export const weeksInYear = (year: number): number => week.of(civil(year + 1, 1, 4)) - week.of(civil(year, 1, 4));

const parseFixed = (text: string): Period | undefined => {
  for (const [form, unit, day] of FIXED) {
    const found = form.exec(text);
    if (!found) continue;
    const year = Number(found[1]);
    const inside = year >= EARLIEST && year <= LATEST ? day(year, Number(found[2]), Number(found[3])) : undefined;
    return inside === undefined ? undefined : nth(unit, UNITS[unit].of(inside));
  }
  return undefined;
};

const NAMES: Readonly<Record<string, PeriodUnit>> = {
  DAY: 'day',
  WEEK: 'week',
  MONTH: 'month',
  BIMONTH: 'bimonth',
  QUARTER: 'quarter',
  SIX_MONTH: 'half',
  SIXMONTH: 'half',
  YEAR: 'year',
};

/** The relative periods offered in messages and pages; any LAST_n_… up to `MOST` is understood. */
export const RELATIVE_PERIODS: readonly string[] = [
  ...[
    'TODAY',
    'YESTERDAY',
    'LAST_3_DAYS',
    'LAST_7_DAYS',
    'LAST_14_DAYS',
    'LAST_30_DAYS',
    'LAST_60_DAYS',
    'LAST_90_DAYS',
    'LAST_180_DAYS',
  ],
  ...['THIS_WEEK', 'LAST_WEEK', 'LAST_4_WEEKS', 'LAST_12_WEEKS', 'LAST_52_WEEKS', 'WEEKS_THIS_YEAR', 'WEEKS_LAST_YEAR'],
  ...['THIS_MONTH', 'LAST_MONTH', 'LAST_3_MONTHS', 'LAST_6_MONTHS', 'LAST_12_MONTHS', 'MONTHS_THIS_YEAR', 'MONTHS_LAST_YEAR'],
  ...['THIS_BIMONTH', 'LAST_BIMONTH', 'LAST_6_BIMONTHS', 'BIMONTHS_THIS_YEAR', 'BIMONTHS_LAST_YEAR'],
  ...['THIS_QUARTER', 'LAST_QUARTER', 'LAST_4_QUARTERS', 'QUARTERS_THIS_YEAR', 'QUARTERS_LAST_YEAR'],
  ...['THIS_SIX_MONTH', 'LAST_SIX_MONTH', 'LAST_2_SIXMONTHS', 'THIS_YEAR', 'LAST_YEAR', 'LAST_5_YEARS', 'LAST_10_YEARS'],
];

/** The most periods one item may ask for: over 10 years of days. */
const MOST = 4000;

/**
 * DHIS2's meaning: THIS_ is the running period whole, future days included; LAST_ and LAST_n_ are whole periods that ended before
 * the running one began (LAST_7_DAYS ends yesterday); …S_THIS_YEAR are all of the calendar year's.
 */
const parseRelative = (text: string, today: number): Period[] | undefined => {
  if (text === 'TODAY' || text === 'YESTERDAY') return [nth('day', text === 'TODAY' ? today : today - 1)];
  const one = /^(THIS|LAST)_([A-Z_]+)$/.exec(text);
  const unit = NAMES[one?.[2] ?? ''];
  if (unit && unit !== 'day') return [nth(unit, UNITS[unit].of(today) - (one![1] === 'LAST' ? 1 : 0))];
  const many = /^LAST_(\d{1,4})_([A-Z_]+)S$/.exec(text);
  const units = NAMES[many?.[2] ?? ''];
  const count = Number(many?.[1]);
  if (units && count >= 1 && count <= MOST) {
    const running = UNITS[units].of(today);
    return span(units, running - count, running - 1);
  }
  const inYear = /^([A-Z_]+)S_(THIS|LAST)_YEAR$/.exec(text);
  const part = NAMES[inYear?.[1] ?? ''];
  if (part && part !== 'day' && part !== 'year') {
    const year = fromCivil(today)[0] - (inYear![2] === 'LAST' ? 1 : 0);
    // Weeks go by the ISO year (from the week of 4 January); the others begin on 1 January anyhow.
    const [from, next] = [UNITS[part].of(civil(year, 1, 4)), UNITS[part].of(civil(year + 1, 1, 4))];
    return span(part, from, next - 1);
  }
  return undefined;
};

const refuse = (item: string, zh: string, en: string, suggestion?: string): PeriodError => ({
  code: 'invalid-period',
  detail: { zh, en },
  value: item,
  ...(suggestion !== undefined && { suggestion }),
});

/**
 * One item of `pe`: a fixed period (`2026`, `2026-S1`, `2026-Q1`, `2026-03`, `2026-W10`, `2026-03-15`, their DHIS2 forms), a range
 * `first/last` of plain dates or fixed periods (both inclusive), or a relative period counted from `today` (`YYYY-MM-DD`, which
 * moves nothing else). Answers the periods in order, or why the item isn't one.
 */
export const parsePeriods = (item: string, today: string): Period[] | PeriodError => {
  const text = item.trim().toUpperCase();
  const slash = text.indexOf('/');
  if (slash >= 0) {
    const [first, last] = [parseFixed(text.slice(0, slash)), parseFixed(text.slice(slash + 1))];
    if (!first || !last) return refuse(item, `“${item}”不是两个日期`, `"${item}" is not two dates that exist`);
    if (last.end <= first.start)
      return refuse(item, `“${item}”的终点早于起点`, `"${item}" ends before it starts`, `${last.id}/${first.id}`);
    return [dateRange(first.start, addDays(last.end, -1))];
  }
  const fixed = parseFixed(text);
  if (fixed) return [fixed];
  const now = readDate(today);
  if (now === undefined) return refuse(today, `today=“${today}”不是日期`, `today="${today}" is not a date that exists`);
  const relative = parseRelative(text, now);
  if (relative) return relative;
  if (/^\d/.test(text))
    return refuse(
      item,
      `没有“${item}”这一时期(年份 ${EARLIEST}–${LATEST})`,
      `there is no period "${item}" (years ${EARLIEST}–${LATEST})`,
    );
  return refuse(item, `不认识时期“${item}”`, `"${item}" is not a period`, nearest(text, RELATIVE_PERIODS));
};

export const isPeriodError = (x: Period[] | PeriodError): x is PeriodError => isRefusal(x);
