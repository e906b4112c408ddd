/** `2026-03-01T10:00:00.12Z`: what `recordedAt` is, with a fraction of any length. */
const INSTANT = /^(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(\d+))?Z$/;

type Parts = readonly [seconds: string, fraction: string];
/** Events that were appended together share their instant, and each is looked at many times. */
let lately: { readonly text: string; readonly parts: Parts | undefined } | undefined;

const parts = (text: string): Parts | undefined => {
  if (lately?.text === text) return lately.parts;
  const [, seconds, fraction = ''] = INSTANT.exec(text) ?? [];
  const valid = seconds !== undefined && !Number.isNaN(Date.parse(`${seconds}Z`));
  lately = { text, parts: valid ? [seconds, fraction.replace(/0+$/, '')] : undefined };
  return lately.parts;
};

/** Digits after the seconds' point that count; undefined for what is no UTC instant. */
export const fractionDigits = (text: string): number | undefined => parts(text)?.[1].length;

/**
 * One text per instant: zeros that end a fraction are left out, as PostgreSQL writes it.
 * @throws RangeError what is no UTC instant `…Z`
 */
export const normalInstant = (text: string): string => {
  const found = parts(text);
  if (!found) throw new RangeError(`${text} is no UTC instant`);
  return `${found[0]}${found[1] && `.${found[1]}`}Z`;
};

/** Orders UTC instants whose fractions differ in length. */
export const isBefore = (a: string, b: string): boolean => {
  const [x, y] = [normalInstant(a), normalInstant(b)];
  return x.slice(0, 19) === y.slice(0, 19) ? x.slice(19, -1) < y.slice(19, -1) : x < y;
};

/** An instant with any offset as UTC; of the fraction nothing is lost. */
export const toUtc = (text: string): string => {
  const fraction = /\.\d+/.exec(text)?.[0] ?? '';
  const whole = new Date(text.replace(/\.\d+/, '')).toISOString().slice(0, 19);
  return normalInstant(`${whole}${fraction}Z`);
};
