/** One cell's text to one field's value. Every reader takes trimmed, non-empty text; what a field may hold is then zod's business. */
import { AXES, codeSystem, isCanonical, isPlainDate, nearest, type AxisName, type Problem, type Text } from '@vigil/vocabulary';

/** Why a cell can't be read. Its sentences never quote the cell: they end up in logs. */
export class CellFault {
  constructor(
    readonly code: string,
    readonly detail: Text,
    readonly more: Pick<Problem, 'allowed' | 'suggestion'> = {},
  ) {}
}

export type CellReader = (text: string) => unknown;

const fault = (code: string, zh: string, en: string, more?: Pick<Problem, 'allowed' | 'suggestion'>) =>
  new CellFault(code, { zh, en }, more);

const noDate = fault(
  'invalid-date',
  '不是存在的日期,应为 YYYY-MM-DD(四位年份在前)',
  'not a date that exists; write YYYY-MM-DD, four digits of the year first',
);
const DATE = /^(\d{4})(?:([-/.])(\d{1,2})\2(\d{1,2})|年(\d{1,2})月(\d{1,2})日|(\d\d)(\d\d))$/;

/** `2017-1-5`, `2017/01/05`, `2017.1.5`, `20170105`, `2017年1月5日`: year first, so that none can be read two ways. */
export const readDate: CellReader = (text) => {
  if (text.length === 10 && isPlainDate(text)) return text;
  const found = DATE.exec(text);
  if (!found) return noDate;
  const date = `${found[1]}-${(found[3] ?? found[5] ?? found[7])!.padStart(2, '0')}-${(found[4] ?? found[6] ?? found[8])!.padStart(2, '0')}`;
  return isPlainDate(date) ? date : noDate;
};

const MINUTE = 60_000;
const DAY = 1440 * MINUTE;
const offsets = new Map<string, number | undefined>();
const formats = new Map<string, Intl.DateTimeFormat>();

/** A zone's offset at an instant, in whole minutes; undefined when it has seconds (local mean time, before 1901). */
const offsetAt = (ms: number, timeZone: string): number | undefined => {
  // Clocks change on the hour or half hour: a quarter is fine enough to remember by.
  const key = `${timeZone} ${Math.floor(ms / (15 * MINUTE))}`;
  if (offsets.has(key)) return offsets.get(key);
  let format = formats.get(timeZone);
  if (!format) formats.set(timeZone, (format = new Intl.DateTimeFormat('en-US', { timeZone, timeZoneName: 'longOffset' })));
  const name = format.formatToParts(ms).find(({ type }) => type === 'timeZoneName')!.value;
  const found = /^GMT(?:([+-])(\d\d):(\d\d)(:\d\d)?)?$/.exec(name);
  const offset =
    !found || found[4] ? undefined : (Number(found[2] ?? 0) * 60 + Number(found[3] ?? 0)) * (found[1] === '-' ? -1 : 1);
  if (offsets.size >= 20_000) offsets.clear();
  offsets.set(key, offset);
  return offset;
};

/** The offset of a wall-clock time, after the zone's history (Shanghai kept summer time 1986–91). Of two, the earlier instant's; none in a gap. */
const localOffset = (date: string, time: string, timeZone: string): string | undefined => {
  const wall = Date.parse(`${date}T${time}Z`);
  for (const offset of [offsetAt(wall - DAY, timeZone), offsetAt(wall + DAY, timeZone)]) {
    if (offset === undefined || offsetAt(wall - offset * MINUTE, timeZone) !== offset) continue;
    const minutes = Math.abs(offset);
    return `${offset < 0 ? '-' : '+'}${String(Math.floor(minutes / 60)).padStart(2, '0')}:${String(minutes % 60).padStart(2, '0')}`;
  }
  return undefined;
};

const noTime = fault(
  'invalid-date',
  '不是存在的时间,应为 YYYY-MM-DD hh:mm(00:00 至 23:59)',
  'not a time that exists; write YYYY-MM-DD hh:mm, 00:00 to 23:59',
);
const TIME = /^(.*?)(?:[T\s]\s*(\d{1,2}):(\d\d)(?::(\d\d)(?:\.\d{1,9})?)?\s*(Z|[+-]\d\d:?\d\d)?)$/i;
const CHINESE_TIME = /日\s*(\d{1,2})[时点](?:(\d{1,2})分)?$/;

/** A date, or a date and a time with its offset; without one it is the wall clock of `timeZone`. Seconds' fractions are dropped. */
export const dateTimeReader =
  (timeZone: string): CellReader =>
  (text) => {
    if (text.length === 10 && isPlainDate(text)) return text;
    const found = TIME.exec(
      text.replace(CHINESE_TIME, (_, hour: string, minute = '0') => `日 ${hour}:${String(minute).padStart(2, '0')}`),
    );
    if (!found) return readDate(text);
    const date = readDate(found[1]!.trim());
    if (typeof date !== 'string') return date;
    const [hour, minute, second] = [Number(found[2]), Number(found[3]), Number(found[4] ?? 0)];
    if (hour > 23 || minute > 59 || second > 59) return noTime;
    const time = [hour, minute, second].map((part) => String(part).padStart(2, '0')).join(':');
    const offset = found[5]?.toUpperCase().replace(/^([+-]\d\d)(\d\d)$/, '$1:$2') ?? localOffset(date, time, timeZone);
    return offset === undefined ? noTime : `${date}T${time}${offset}`;
  };

const NUMBER = /^[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:e[+-]?\d+)?$/i;

/** A decimal number. One beyond 2⁵³ or the range of a double would be stored as another number, and is refused. */
export const readNumber: CellReader = (text) => {
  if (!NUMBER.test(text)) return fault('invalid-number', '不是数字', 'not a number');
  const value = Number(text);
  return Math.abs(value) <= Number.MAX_SAFE_INTEGER
    ? value
    : fault('not-representable', '数字过大,无法准确表示', 'the number is too large to be kept exactly');
};

const noAge = fault(
  'invalid-age',
  '年龄应为 0 至 130 岁;不清楚时请留空',
  'an age lies between 0 and 130 years; leave it blank when unknown',
);
/** 999 and 9999 are codes for "not known" in the files that have them. */
const isNoAge = (value: number) => value < 0 || value === 999 || value === 9999;

export const ageReader =
  (unit: 'year' | 'month'): CellReader =>
  (text) => {
    const value = readNumber(text);
    if (typeof value !== 'number') return value;
    return isNoAge(value) ? noAge : { value, unit };
  };

const AGE = /^([+-]?\d+(?:\.\d+)?)\s*(\D*)$/;
const UNITS: readonly (readonly [RegExp, string])[] = [
  [/^(|周?岁|y|yrs?|years?)$/i, 'year'],
  [/^(个?月(龄|大)?|m|mo|months?)$/i, 'month'],
  [/^(周|星期|w|weeks?)$/i, 'week'],
  [/^(天|日(龄)?|d|days?)$/i, 'day'],
  [/^(小时|h|hours?)$/i, 'hour'],
  [/^(分钟?|min|minutes?)$/i, 'minute'],
];

/** `71`, `71岁`, `8 月`, `3 days`: years unless a unit says otherwise. */
export const readAge: CellReader = (text) => {
  const found = AGE.exec(text);
  const unit = found && UNITS.find(([pattern]) => pattern.test(found[2]!.trim()))?.[1];
  if (!unit) return noAge;
  const value = Number(found[1]);
  return isNoAge(value) ? noAge : { value, unit };
};

const AGE_RANGE = /^(\d{1,3})\s*(?:岁)?\s*(?:(?:-|–|—|~|～|至)\s*(\d{1,3})\s*岁?|(\+|及以上|以上))?$/;
/** `71`, `0-4`, `85+`, `85岁及以上` to completed years; `to` null is open. */
export const readAgeRange: CellReader = (text) => {
  const found = AGE_RANGE.exec(text);
  if (!found) return fault('invalid-age-range', '年龄应为 71、0-4 或 85+', 'write an age as 71, 0-4 or 85+');
  const from = Number(found[1]);
  return { from, to: found[3] ? null : Number(found[2] ?? found[1]) };
};

/** Labels in both languages to the code they stand for; none that two codes share. */
const labelsOf = (system: string, version: string, axis: AxisName): Map<string, string> => {
  const labels = new Map<string, string>();
  const entries = system === 'vigil' ? AXES[axis].codes : (codeSystem(system, version)?.axes[axis] ?? []);
  for (const { code, zh, en } of entries)
    for (const label of [zh, en]) if (!labels.has(label.toLowerCase())) labels.set(label.toLowerCase(), code);
  for (const { code } of entries) labels.delete(code.toLowerCase());
  return labels;
};

/** The source's own code, kept as it stands, known or not. With an axis its labels are taken for their codes. */
export const codeReader = (system: string, version: string, axis?: AxisName): CellReader => {
  const labels = axis && labelsOf(system, version, axis);
  return (text) => ({ system, version, code: labels?.get(text.toLowerCase()) ?? text });
};

/** A canonical code, or `system|version|code`. An unknown word is kept as a code of our own system, which answers as unmapped. */
export const ownCodeReader = (axis?: AxisName): CellReader => {
  const labels = axis && labelsOf('vigil', '1', axis);
  return (text) => {
    const [system, version, ...code] = text.split('|');
    if (version !== undefined && code.length > 0)
      return { system: system!.trim(), version: version.trim(), code: code.join('|').trim() };
    if (!axis) return fault('invalid-code', '应写作“体系|版本|代码”', 'write it as system|version|code');
    const known = labels!.get(text.toLowerCase()) ?? text;
    return isCanonical(axis, known) ? known : { system: 'vigil', version: '1', code: text };
  };
};

/** One of a mapping's words, ignoring case. */
export const wordReader = (words: Readonly<Record<string, string>>): CellReader => {
  const known = new Map(Object.entries(words).map(([word, value]) => [word.toLowerCase(), value]));
  const allowed = Object.keys(words);
  return (text) =>
    known.get(text.toLowerCase()) ??
    fault('unknown-code', '没有这个代码', 'there is no such code', { allowed, suggestion: nearest(text, allowed) });
};
