/**
 * The dimensions of an observation besides dx, pe and ou, and the items each takes. Queries and indicator definitions share
 * this one grammar, so that a filter reads the same in both.
 */
import { ACTIVITY_KINDS, CASUALTY_ROLES, INCIDENT_KINDS, PLACE_TYPES, PROGRAMME_DOMAINS, SETTINGS } from '@vigil/domain';
import { AXES, AXIS_NAMES, isAxisName, isCanonical, isRefusal, nearest, parseAge, UNKNOWN, UNMAPPED } from '@vigil/vocabulary';
import { ageRange, type AgeRange, type AxisName, type Problem, type Result, type Text } from '@vigil/vocabulary';

/** The words of the programme's own records, in the order they are told; `codes` absent: whatever was recorded. */
const PROGRAMME = {
  domain: { label: { zh: '安全促进领域', en: 'programme domain' }, codes: PROGRAMME_DOMAINS },
  level: { label: { zh: '隐患级别', en: 'hazard level' }, codes: ['general', 'major', 'critical', UNKNOWN] },
  incident: { label: { zh: '事件类别', en: 'kind of incident' }, codes: INCIDENT_KINDS },
  role: { label: { zh: '伤亡者身份', en: 'role of the casualty' }, codes: CASUALTY_ROLES },
  placeType: { label: { zh: '场所类型', en: 'type of place' }, codes: PLACE_TYPES },
  activityKind: { label: { zh: '活动类别', en: 'kind of activity' }, codes: ACTIVITY_KINDS },
  setting: { label: { zh: '五进场所', en: 'setting entered' }, codes: SETTINGS },
  group: { label: { zh: '人群', en: 'population group' }, codes: undefined },
  feed: { label: { zh: '数据源', en: 'feed' }, codes: undefined },
} as const satisfies Readonly<Record<string, { readonly label: Text; readonly codes: readonly string[] | undefined }>>;
type ProgrammeDimension = keyof typeof PROGRAMME;

export type DimensionName = AxisName | 'age' | ProgrammeDimension;

const isProgramme = (name: string): name is ProgrammeDimension => Object.hasOwn(PROGRAMME, name);

export const DIMENSION_NAMES: readonly DimensionName[] = [
  'sex',
  'age',
  ...AXIS_NAMES.filter((name) => name !== 'sex'),
  ...(Object.keys(PROGRAMME) as ProgrammeDimension[]),
];

export const isDimensionName = (name: string): name is DimensionName => name === 'age' || isProgramme(name) || isAxisName(name);

/** The codes of a dimension in their order, with what can't be told last; undefined where any word may stand. */
export const codesOf = (name: Exclude<DimensionName, 'age'>): readonly string[] | undefined =>
  isProgramme(name) ? PROGRAMME[name].codes : [...AXES[name].codes.map(({ code }) => code), UNMAPPED];

/** `items` distinct, in the order named; `'all'` when none was. For age, `items` are ids of `ages` (`65+`), and `unknown` when asked for. */
export interface Dimension {
  readonly name: DimensionName;
  readonly items: readonly string[] | 'all';
  /** When name is age and items were given: the ranges among them. None overlaps another. */
  readonly ages?: readonly AgeRange[];
}

/** A code of a community, feed or group; as the domain's own `codeName`. */
export const CODE = /^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/;

/** How many allowed values a problem lists. */
const MOST_ALLOWED = 20;

/** The fields of a problem that offer other words for `word`. */
export const offer = (word: string, words: readonly string[]): Pick<Problem, 'allowed' | 'suggestion'> => {
  const suggestion = nearest(word, words);
  return { allowed: words.slice(0, MOST_ALLOWED), ...(suggestion !== undefined && { suggestion }) };
};

/** A stranger's word as a message quotes it: never a megabyte. */
export const quoted = (word: string): string => (word.length > 120 ? `${word.slice(0, 119)}…` : word);

const COMPARISON = /^(ge|gt|le|lt):/i;
const BOTH_BOUNDS = /^((?:ge|gt|le|lt):\d{1,3}):((?:ge|gt|le|lt):\d{1,3})$/i;

type Items = Omit<Dimension, 'name'>;

/** Reads the items of one dimension; every item that isn't one becomes a problem at `pointer`. */
export const parseItems = (name: DimensionName, items: readonly string[], pointer: string): Result<Items, readonly Problem[]> =>
  name === 'age' ? parseAges(items, pointer) : parseCodes(name, items, pointer);

const parseCodes = (name: Exclude<DimensionName, 'age'>, items: readonly string[], pointer: string): Result<Items, Problem[]> => {
  const problems = items.flatMap((item) => checkCode(name, item, pointer) ?? []);
  return problems.length > 0 ? { ok: false, problem: problems } : { ok: true, value: { items: [...new Set(items)] } };
};

const checkCode = (name: Exclude<DimensionName, 'age'>, item: string, pointer: string): Problem | undefined => {
  const value = quoted(item);
  const codes = codesOf(name);
  const label: Text = isProgramme(name) ? PROGRAMME[name].label : AXES[name].label;
  if (codes === undefined) {
    if (name === 'feed' ? CODE.test(item) : item.length > 0 && item.length <= 64) return undefined;
    const detail = { zh: `“${value}”不是${label.zh}代码`, en: `"${value}" is not the code of a ${label.en}` };
    return { code: 'invalid-code', detail, pointer, value };
  }
  if (isProgramme(name) ? codes.includes(item) : isCanonical(name, item) || item === UNMAPPED) return undefined;
  if (COMPARISON.test(item)) {
    const detail = {
      zh: `${name} 没有大小,不能用 ge: gt: le: lt:(仅 age 可用)`,
      en: `${name} has no order: ge:, gt:, le: and lt: go with age only`,
    };
    return { code: 'not-comparable', detail, pointer, value, allowed: codes.slice(0, MOST_ALLOWED) };
  }
  const detail = { zh: `${label.zh}(${name})没有代码“${value}”`, en: `${name} has no code "${value}"` };
  return { code: 'unknown-code', detail, pointer, value, ...offer(item, codes) };
};

/** Several ranges are read together: `ge:18;lt:65` (or DHIS2's `ge:18:lt:65`) is one band, `le:14;ge:65` are two. */
const parseAges = (items: readonly string[], pointer: string): Result<Items, Problem[]> => {
  const problems: Problem[] = [];
  const ages: AgeRange[] = [];
  for (const item of items) {
    if (item === UNKNOWN) continue;
    const both = BOTH_BOUNDS.exec(item);
    const parts = (both ? [both[1]!, both[2]!] : [quoted(item)]).map(parseAge);
    const refused = parts.find(isRefusal);
    if (refused) problems.push({ ...refused, pointer, value: quoted(item) });
    else {
      const found = parts as AgeRange[];
      const range = found.length === 1 ? found[0] : meet(found[0]!, found[1]!);
      if (range) ages.push(range);
      else {
        const detail = { zh: `“${item}”不含任何年龄`, en: `"${item}" holds no age` };
        problems.push({ code: 'invalid-age', detail, pointer, value: item });
      }
    }
  }
  const bounded = items.length === 2 && items.every((item) => COMPARISON.test(item)) && ages.length === 2;
  const band = bounded ? bounds(ages[0]!, ages[1]!) : undefined;
  const distinct = band ? [band] : [...new Map(ages.map((age) => [age.id, age])).values()];
  const [one, other] = overlapping(distinct) ?? [];
  if (one && other) {
    const detail = {
      zh: `年龄段 ${one.id} 与 ${other.id} 重叠,会重复计数;请分别查询`,
      en: `age ranges ${one.id} and ${other.id} overlap and would count people twice; ask for them apart`,
    };
    problems.push({ code: 'overlapping-ages', detail, pointer, value: other.id });
  }
  if (problems.length > 0) return { ok: false, problem: problems };
  const unknown = items.includes(UNKNOWN) ? [UNKNOWN] : [];
  return { ok: true, value: { items: [...distinct.map(({ id }) => id), ...unknown], ages: distinct } };
};

const meet = (a: AgeRange, b: AgeRange): AgeRange | undefined => {
  const from = Math.max(a.from, b.from);
  const to = a.to === null ? b.to : b.to === null ? a.to : Math.min(a.to, b.to);
  return to !== null && to < from ? undefined : ageRange(from, to);
};

/** A lower and an upper bound that overlap bound each other, for their union would be everybody; apart, they stay two ranges. */
const bounds = (a: AgeRange, b: AgeRange): AgeRange | undefined => ((a.to === null) === (b.to === null) ? undefined : meet(a, b));

const overlapping = (ages: readonly AgeRange[]): [AgeRange, AgeRange] | undefined => {
  const sorted = [...ages].sort((a, b) => a.from - b.from);
  const at = sorted.findIndex((age, i) => i > 0 && meet(sorted[i - 1]!, age) !== undefined);
  return at < 0 ? undefined : [sorted[at - 1]!, sorted[at]!];
};
