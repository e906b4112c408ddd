/**
 * Severity scales, each apart: a figure on one is never a figure on another. A severity is read with `parseSeverity` and
 * answers with a code of the `severity` axis that names its scale (`niss3-severe`, `iss-25-75`).
 */
import { AXES } from './axes';
import { nearest, type Refusal } from './refusal';

export type SeverityScale = 'NISS3' | 'AIS' | 'ISS' | 'newISS' | 'KABCO' | 'GA16' | 'WHO' | 'STATS19';
/** `value` as the scale writes it (a word, a letter, or a number for AIS, ISS and newISS); `code` on the severity axis. */
export type Severity = { readonly scale: SeverityScale; readonly value: string | number; readonly code: string };

/**
 * The totals an Injury Severity Score can take: the sum of the squares of the three worst regions' AIS (0–5 each), and 75,
 * which any AIS 6 sets. 7, 15, 23, 28 … are sums of no three squares or need a 6, and betray a typing error. Baker 1974.
 * The New ISS (Osler 1997) squares the three worst injuries wherever they are, and takes the same totals.
 */
export const ATTAINABLE_ISS: ReadonlySet<number> = new Set(
  [0, 1, 4, 9, 16, 25]
    .flatMap((a, i, squares) => squares.slice(i).flatMap((b, j) => squares.slice(i + j).map((c) => a + b + c)))
    .filter((total) => total > 0),
);

/** What each worded scale calls its grades: the first word is the scale's own, the rest are other spellings in use. */
const WORDED: Record<
  Exclude<SeverityScale, 'AIS' | 'ISS' | 'newISS'>,
  readonly (readonly [code: string, ...words: string[]])[]
> = {
  NISS3: [
    ['niss3-minor', 'minor', '1', 'mild', '轻', '轻度'],
    ['niss3-moderate', 'moderate', '2', '中', '中度'],
    ['niss3-severe', 'severe', '3', '重', '重度'],
  ],
  KABCO: [
    ['kabco-k', 'K', 'fatal'],
    ['kabco-a', 'A'],
    ['kabco-b', 'B'],
    ['kabco-c', 'C'],
    ['kabco-o', 'O', 'none'],
  ],
  GA16: [
    ['ga16-fatal', 'fatal', '死亡'],
    ['ga16-severe', 'severe', '重伤'],
    ['ga16-minor', 'minor', '轻伤'],
    ['ga16-none', 'none', '未受伤', '无伤'],
  ],
  WHO: [
    ['who-none', 'none', '0'],
    ['who-minor', 'minor', '1'],
    ['who-moderate', 'moderate', '2'],
    ['who-severe', 'severe', '3'],
  ],
  STATS19: [
    ['stats19-fatal', 'fatal', '1'],
    ['stats19-serious', 'serious', '2'],
    ['stats19-slight', 'slight', '3'],
  ],
};

export const SEVERITY_SCALES: readonly SeverityScale[] = ['NISS3', 'AIS', 'ISS', 'newISS', 'KABCO', 'GA16', 'WHO', 'STATS19'];

const scales = new Map(SEVERITY_SCALES.map((scale) => [scale.toLowerCase(), scale]));
const words = new Map(
  Object.entries(WORDED).map(([scale, grades]) => [
    scale as SeverityScale,
    new Map(
      grades.flatMap(([code, own, ...others]) => [own!, ...others].map((w) => [w.toLowerCase(), { code, value: own! }] as const)),
    ),
  ]),
);

const issBand = (total: number) => (total <= 8 ? 'iss-1-8' : total <= 15 ? 'iss-9-15' : total <= 24 ? 'iss-16-24' : 'iss-25-75');

const refuse = (value: unknown, zh: string, en: string, more: Partial<Refusal> = {}): Refusal => ({
  code: 'invalid-severity',
  detail: { zh, en },
  value,
  ...more,
});

/**
 * Reads `{scale, value}`. The scale's name ignores case; the value may be a number or its text. AIS is 1–6, ISS and newISS are
 * attainable totals (`ATTAINABLE_ISS`); a refusal names the allowed values, and for an impossible total its nearest neighbours.
 */
export const parseSeverity = ({ scale, value }: { scale: string; value: string | number }): Severity | Refusal => {
  const known = scales.get(scale.trim().toLowerCase());
  if (!known)
    return refuse(scale, `没有严重程度标准“${scale}”`, `no severity scale "${scale}"`, {
      allowed: SEVERITY_SCALES,
      suggestion: nearest(scale, SEVERITY_SCALES),
    });
  const text = String(value).trim();
  if (known === 'AIS') {
    if (/^[1-6]$/.test(text)) return { scale: known, value: Number(text), code: `ais-${text}` };
    return refuse(value, 'AIS 应为 1 至 6', 'AIS is 1 to 6', { allowed: ['1', '2', '3', '4', '5', '6'] });
  }
  if (known === 'ISS' || known === 'newISS') {
    const total = /^\d{1,3}$/.test(text) ? Number(text) : NaN;
    if (ATTAINABLE_ISS.has(total))
      return { scale: known, value: total, code: `${known === 'ISS' ? '' : 'new'}${issBand(total)}` };
    const all = [...ATTAINABLE_ISS].sort((a, b) => a - b).map(String);
    const near = total > 0 ? all.reduce((best, t) => (Math.abs(+t - total) < Math.abs(+best - total) ? t : best)) : undefined;
    return refuse(
      value,
      `${known} 不可能为 ${text}:须为三个 0–25 平方数之和`,
      `no ${known} can be ${text}: it sums three squares of AIS grades`,
      {
        allowed: all,
        suggestion: near,
      },
    );
  }
  const grade = words.get(known)!.get(text.toLowerCase());
  if (grade) return { scale: known, value: grade.value, code: grade.code };
  const allowed = WORDED[known].map(([, own]) => own!);
  return refuse(value, `${known} 没有“${text}”级`, `${known} has no grade "${text}"`, {
    allowed,
    suggestion: nearest(text, allowed),
  });
};

/** The codes of the severity axis that belong to one scale, gravest last for NISS3, AIS, ISS and WHO; first for the police scales. */
export const severityCodes = (scale: SeverityScale): string[] =>
  AXES.severity.codes.map((c) => c.code).filter((code) => code.startsWith(`${scale.toLowerCase()}-`));
