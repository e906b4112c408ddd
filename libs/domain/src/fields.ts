import { isPlainDate, parseInstant, type Text } from '@vigil/vocabulary';
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
