/** Ages in completed years at the event, and the bands they are counted in. */
import { z } from 'zod';
import { UNKNOWN } from './axes';
import { nearest, type Refusal } from './refusal';

/** Completed years from `from` to `to`, both inclusive; `to: null` is open. `id` is `0-4`, `75+`, or `71` for a single year. */
export type AgeRange = { readonly id: string; readonly from: number; readonly to: number | null };

export const OLDEST = 130;

const idOf = (from: number, to: number | null) => (to === null ? `${from}+` : from === to ? `${from}` : `${from}-${to}`);
export const ageRange = (from: number, to: number | null): AgeRange => ({ id: idOf(from, to), from, to });

const bandsFrom = (...starts: number[]): readonly AgeRange[] =>
  starts.map((from, i) => ageRange(from, i + 1 < starts.length ? starts[i + 1]! - 1 : null));

/** The bands of every table unless asked otherwise. */
export const DEFAULT_AGE_BANDS = bandsFrom(0, 5, 15, 25, 45, 65, 75);
/** The bands of direct standardisation: 0–4 … 80–84, 85+. */
export const FIVE_YEAR_BANDS = bandsFrom(...Array.from({ length: 18 }, (_, i) => i * 5));

const refuse = (value: unknown, zh: string, en: string, suggestion?: string): Refusal => ({
  code: 'invalid-age',
  detail: { zh, en },
  value,
  ...(suggestion !== undefined && { suggestion }),
});

/**
 * One `age` item: `0-4`, `75+`, `71`, or `ge:65`, `gt:64`, `le:14`, `lt:15`. Ages run to 130. `unknown` and `unmapped` are no
 * ranges: the caller takes them before.
 */
export const parseAge = (item: string): AgeRange | Refusal => {
  const text = item.trim();
  const found = /^(?:(\d{1,3})(?:(\+)|-(\d{1,3}))?|(ge|gt|le|lt):(\d{1,3}))$/i.exec(text);
  if (!found)
    return refuse(
      item,
      `“${item}”不是年龄段`,
      `"${item}" is not an age range`,
      nearest(
        text,
        DEFAULT_AGE_BANDS.map((b) => b.id),
      ),
    );
  const [, single, open, last, operator, bound] = found;
  const range = operator
    ? between(operator.toLowerCase(), Number(bound))
    : { from: Number(single), to: open ? null : Number(last ?? single) };
  if (range.from > OLDEST || (range.to !== null && range.to > OLDEST))
    return refuse(item, `年龄应为 0–${OLDEST} 岁`, `ages run from 0 to ${OLDEST}`);
  if (range.to !== null && range.to < range.from)
    return refuse(item, `“${item}”不含任何年龄`, `"${item}" holds no age`, range.to < 0 ? undefined : idOf(range.to, range.from));
  return ageRange(range.from, range.to);
};

const between = (operator: string, bound: number): { from: number; to: number | null } => {
  if (operator === 'ge') return { from: bound, to: null };
  if (operator === 'gt') return { from: bound + 1, to: null };
  return { from: 0, to: operator === 'le' ? bound : bound - 1 };
};

/** Why a list of bands can't partition a population: empty, out of order, overlapping, or with a gap. `undefined` when it can. */
export const checkBands = (bands: readonly Pick<AgeRange, 'from' | 'to'>[]): Refusal | undefined => {
  const bad = (zh: string, en: string): Refusal => ({
    ...refuse(
      bands.map(({ from, to }) => idOf(from, to)),
      zh,
      en,
    ),
    code: 'invalid-age-bands',
  });
  if (bands.length === 0) return bad('没有年龄段', 'there are no bands');
  for (const [i, { from, to }] of bands.entries()) {
    const name = idOf(from, to);
    if (
      !Number.isInteger(from) ||
      from < 0 ||
      from > OLDEST ||
      (to !== null && (!Number.isInteger(to) || to < from || to > OLDEST))
    )
      return bad(`年龄段 ${name} 无效`, `band ${name} is not a range of ages`);
    const next = bands[i + 1];
    if (!next) continue;
    if (to === null || next.from <= to) return bad(`年龄段 ${name} 与下一段重叠`, `band ${name} overlaps the next`);
    if (next.from > to + 1) return bad(`年龄段 ${name} 与下一段之间有空缺`, `there is a gap after band ${name}`);
  }
  return undefined;
};

/** Whether `inner` lies wholly inside `outer`. */
export const nests = (inner: Pick<AgeRange, 'from' | 'to'>, outer: Pick<AgeRange, 'from' | 'to'>): boolean =>
  inner.from >= outer.from && (outer.to === null || (inner.to !== null && inner.to <= outer.to));

/** The id of the band a person of `years` completed years is counted in; `unknown` for no age or an age outside all bands. */
export const bandOf = (years: number | null | undefined, bands: readonly AgeRange[] = DEFAULT_AGE_BANDS): string =>
  years === null || years === undefined
    ? UNKNOWN
    : (bands.find(({ from, to }) => years >= from && (to === null || years < to + 1))?.id ?? UNKNOWN);

export const AGE_UNITS = ['year', 'month', 'week', 'day', 'hour', 'minute'] as const;
export type AgeUnit = (typeof AGE_UNITS)[number];

/** Age at the event as reported. Unknown ages are left out, not written as 999. */
export const ageSchema = z.strictObject({ value: z.number().min(0), unit: z.enum(AGE_UNITS) });
export type Age = z.infer<typeof ageSchema>;

/** How many of each unit make a year: calendar months exactly, days by the mean Julian year. */
const PER_YEAR: Readonly<Record<AgeUnit, number>> = {
  year: 1,
  month: 12,
  week: 365.25 / 7,
  day: 365.25,
  hour: 365.25 * 24,
  minute: 365.25 * 24 * 60,
};

/** Completed years, floored (23 months are 1). Negative, not finite, an unknown unit, or over 130 years (999!) is refused. */
export const ageInYears = ({ value, unit }: { value: number; unit: string }): number | Refusal => {
  if (!Object.hasOwn(PER_YEAR, unit))
    return refuse(unit, `不认识年龄单位“${unit}”`, `"${unit}" is not a unit of age`, nearest(unit, AGE_UNITS));
  const years = Math.floor(value / PER_YEAR[unit as AgeUnit]);
  return value >= 0 && years <= OLDEST ? years : refuse(value, `年龄应为 0–${OLDEST} 岁`, `ages run from 0 to ${OLDEST}`);
};
