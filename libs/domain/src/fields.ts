import {
  ageInYears,
  ageSchema,
  AXES,
  codedValueSchema,
  isPlainDate,
  isRefusal,
  parseInstant,
  parseSeverity,
  type AxisName,
  type Text,
} from '@vigil/vocabulary';
import { z } from 'zod';

/** Zod carries one message; both languages travel in it and are parted again where a person reads it. */
export const say = (code: string, zh: string, en: string): { message: string } => ({ message: JSON.stringify({ code, zh, en }) });

/** The code and sentences of {@link say} in a zod message; undefined for zod's own messages. */
export const said = (message: string): { code: string; detail: Text } | undefined => {
  if (!message.startsWith('{"code":')) return undefined;
  const { code, zh, en } = JSON.parse(message) as { code: string; zh: string; en: string };
  return { code, detail: { zh, en } };
};

// NUL can't be stored as text and lone surrogates can't be sent on: neither has a place in a field.
const CLEAN = /^[^\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f]*$/;
const isClean = (text: string): boolean => CLEAN.test(text) && text.isWellFormed();

/** Text of 1 to `most` characters without control characters or lone surrogates. */
export const text = (most: number) =>
  z
    .string()
    .trim()
    .min(1)
    .max(most)
    .refine(
      isClean,
      say('invalid-text', '文本含有控制字符或不完整的字符', 'the text holds control characters or half a character'),
    );

/** The code of a community, feed or frame: letters, digits, `.`, `_`, `-`; at most 64. */
export const codeName = z
  .string()
  .regex(
    /^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/,
    say('invalid-code', '代码只能含字母、数字和 . _ -,至多 64 个字符', 'a code holds letters, digits and . _ - only, at most 64'),
  );

/** `YYYY-MM-DD` that exists in the calendar. */
export const plainDate = z
  .string()
  .refine(isPlainDate, say('invalid-date', '日期应为存在的 YYYY-MM-DD', 'a date is YYYY-MM-DD and must exist'));

/** A plain date, or an instant with its offset. The two stay different. */
export const dateOrInstant = z
  .string()
  .max(40)
  .refine(
    (value) => (value.length === 10 ? isPlainDate(value) : parseInstant(value) !== undefined),
    say(
      'invalid-date',
      '时间应为 YYYY-MM-DD,或带时区的 YYYY-MM-DDThh:mm:ss±hh:mm,且须存在',
      'a time is YYYY-MM-DD, or YYYY-MM-DDThh:mm:ss with its offset, and must exist',
    ),
  );

/** A name in both languages of the product. */
export const bilingual = z.strictObject({ zh: text(200), en: text(200) });

const canonicalCode = (axis: AxisName) => z.enum(AXES[axis].codes.map(({ code }) => code) as [string, ...string[]]);
/** The source's own code with its system and version, or a canonical code. */
export const coded = (axis: AxisName) => z.union([codedValueSchema, canonicalCode(axis)]);

/** Age at the event. */
export const age = ageSchema.refine(
  (value) => !isRefusal(ageInYears(value)),
  say('invalid-age', '年龄应为 0 至 130 岁', 'an age lies between 0 and 130 years'),
);

/** A grade on a scale, with the scale's name. */
export const severity = z
  .strictObject({ scale: z.string().max(16), value: z.union([z.string().max(32), z.number()]) })
  .refine(
    (value) => !isRefusal(parseSeverity(value)),
    say('invalid-severity', '该量表没有这个严重程度值', 'this scale has no such value'),
  );

/** Whole days from the injury to death; 0 on the day itself. */
export const daysToDeath = z.number().int().min(0).max(36_525);

/** A point on the map. China's maps are shifted: the reference system is never guessed. */
export const coordinates = z.strictObject({
  referenceSystem: z.enum(['WGS84', 'CGCS2000', 'GCJ-02', 'BD-09']),
  longitude: z.number().min(-180).max(180),
  latitude: z.number().min(-90).max(90),
});

// A thousandth of a degree is about a hundred metres: a home among others.
const isFine = (degrees: number): boolean => Math.abs(degrees * 1_000 - Math.round(degrees * 1_000)) > 1e-6;
/** Whether a point is given so exactly that it tells one home from the next. */
export const tellsAHome = ({ longitude, latitude }: z.infer<typeof coordinates>): boolean =>
  isFine(longitude) || isFine(latitude);

/** A record with a correction's fields in place. */
export const replaced = <T extends object>(record: T, replaces: { readonly [K in keyof T]?: T[K] | null }): T => {
  const next = { ...record } as Record<string, unknown>;
  for (const [field, value] of Object.entries(replaces)) {
    if (value === null) delete next[field];
    else if (value !== undefined) next[field] = value;
  }
  return next as T;
};
