/**
 * The grammar of `/observations`: DHIS2's `dimension=dim[:item(;item)*]` and `filter=`, with SDMX's time travel beside them.
 * Every fault of a query is reported at once, each at its pointer with the nearest right word.
 */
import { isPlainDate, isRefusal, parseInstant, parsePeriods, RELATIVE_PERIODS, standardPopulation } from '@vigil/vocabulary';
import type { Period, Problem } from '@vigil/vocabulary';
import { indicators as shipped, type IndicatorDefinition } from '../definitions';
import { CODE, DIMENSION_NAMES, isDimensionName, offer, parseItems, quoted, type Dimension } from './dimensions';
import type { AsOf, ObservationQuery, OuItem, Parsed } from './query';
import { readSource, type Field, type SingleName } from './source';

export const LIMITS = { dx: 100, pe: 1_000, ou: 1_000, items: 1_000, dimensions: 64, problems: 200 } as const;
export const DEFAULT_STANDARD = 'WHO-2000';

export interface QueryContext {
  /** Today on the calendar of the community's time zone, `YYYY-MM-DD`. */
  readonly today: string;
  /** The indicators in force; absent: those shipped. */
  readonly indicators?: readonly Pick<IndicatorDefinition, 'code' | 'basis' | 'standard'>[];
}

type Role = 'dimension' | 'filter';
type Entry = { readonly role: Role; readonly pointer: string; readonly name: string; readonly items: readonly string[] | 'all' };

const NAMES: readonly string[] = ['dx', 'pe', 'ou', ...DIMENSION_NAMES];
const PERIOD_EXAMPLES = ['2025', '2025-Q1', '2025-03', '2025-W10', '2025-03-15', '2025-01-01/2025-06-30', 'LAST_12_MONTHS'];
/** The largest position that the log's own bigint can hold. */
const LAST_POSITION = 2n ** 63n - 1n;

const problem = (code: string, pointer: string, zh: string, en: string, more: Partial<Problem> = {}): Problem => ({
  code,
  detail: { zh, en },
  pointer,
  ...more,
});

/**
 * A query string (give it whole: `+` and `;` are read here), or the JSON body of the same fields. Whether communities exist isn't
 * asked, for that needs the database; the syntax of their codes is.
 */
export const parseObservationQuery = (
  source: URLSearchParams | Readonly<Record<string, unknown>>,
  context: QueryContext,
): Parsed => {
  const problems: Problem[] = [];
  const read = readSource(source, problems);
  const options = parseOptions(read.single, context, problems);
  const known = context.indicators ?? shipped();

  const entries = [...read.dimension.map(entry('dimension')), ...read.filter.map(entry('filter'))];
  if (entries.length > LIMITS.dimensions) {
    const [zh, en] = [`维度至多 ${LIMITS.dimensions} 个`, `at most ${LIMITS.dimensions} dimensions and filters`];
    return { ok: false, problems: [problem('too-many-dimensions', '/dimension', zh, en, { value: entries.length })] };
  }
  problems.push(...namesake(entries));
  const given = (name: string) => entries.find((one) => one.name === name);

  const dx = parseDx(given('dx'), known, problems);
  const pe = parsePe(given('pe'), options.today, problems);
  const ou = parseOu(given('ou'), problems);
  const others = entries.filter(({ name }) => !['dx', 'pe', 'ou'].includes(name));
  const [dimensions, filters] = (['dimension', 'filter'] as const).map((role) =>
    others.filter((one) => one.role === role).flatMap((one) => parseDimension(one, problems) ?? []),
  ) as [Dimension[], Dimension[]];

  const asked = known.filter(({ code }) => dx.includes(code));
  const basis = options.basis ?? agreed('basis', 'occurrence', asked, problems);
  const standard = options.standard ?? agreed('standard', DEFAULT_STANDARD, asked, problems);

  if (options.rolling && given('pe')?.role === 'filter' && pe.length > 1) {
    const [zh, en] = ['滚动时期互相重叠,不能合并;请用 dimension=pe', 'rolling periods overlap and make no sum; use dimension=pe'];
    problems.push(problem('overlapping-periods', '/rolling', zh, en, { value: `P${options.rolling.years}Y` }));
  }

  if (problems.length > LIMITS.problems) {
    const [zh, en] = [`另有 ${problems.length - LIMITS.problems} 处错误`, `${problems.length - LIMITS.problems} more faults`];
    problems.splice(LIMITS.problems, Infinity, problem('more-problems', '', zh, en));
  }
  if (problems.length > 0) return { ok: false, problems };
  const collapse = { peIsDimension: given('pe')!.role === 'dimension', ouIsDimension: given('ou')?.role === 'dimension' };
  return { ok: true, value: { ...options, dx, pe, ou, ...collapse, dimensions, filters, basis, standard } };
};

// ── Dimensions ───────────────────────────────────────────────────────────────────────────────────────────────────────────────

const entry =
  (role: Role) =>
  ({ pointer, text }: Field): Entry => {
    const colon = text.indexOf(':');
    if (colon < 0) return { role, pointer, name: text.trim(), items: 'all' };
    // One more than the limit is enough to refuse it, and keeps a hostile megabyte of semicolons small.
    const items = text.slice(colon + 1).split(';', LIMITS.items + 1);
    return { role, pointer, name: text.slice(0, colon).trim(), items: items.map((item) => item.trim()) };
  };

/** One name twice, or in both roles, has no meaning: joined items would restrict and split at once. */
const namesake = (entries: readonly Entry[]): Problem[] => {
  const first = new Map<string, Entry>();
  return entries.flatMap((one) => {
    const before = first.get(one.name);
    if (!before) {
      first.set(one.name, one);
      return [];
    }
    const name = quoted(one.name);
    return before.role === one.role
      ? [
          problem(
            'duplicate-dimension',
            one.pointer,
            `${name} 给了两次;请用“;”合并`,
            `${name} is given twice; join its items by ";"`,
            { value: name },
          ),
        ]
      : [
          problem(
            'dimension-and-filter',
            one.pointer,
            `${name} 不能既是维度又是筛选`,
            `${name} is a dimension and a filter at once; choose one`,
            { value: name },
          ),
        ];
  });
};

/** The items that are there, or undefined where the list itself is at fault. `'all'` stays. */
const listed = ({ name, items, pointer }: Entry, problems: Problem[]): readonly string[] | 'all' | undefined => {
  if (items === 'all') return items;
  if (items.length > LIMITS.items) {
    problems.push(
      problem('too-many-items', pointer, `${name} 至多 ${LIMITS.items} 项`, `${name} takes at most ${LIMITS.items} items`),
    );
    return undefined;
  }
  if (!items.includes('')) return items;
  const [zh, en] = [
    `${quoted(name)} 有空项;不带冒号表示全部`,
    `${quoted(name)} has an empty item; leave the colon out to mean all`,
  ];
  problems.push(problem('empty-item', pointer, zh, en, { value: quoted(items.join(';')) }));
  return items.filter((item) => item !== '');
};

const parseDimension = (one: Entry, problems: Problem[]): Dimension | undefined => {
  const { name, pointer } = one;
  if (!isDimensionName(name)) {
    const [zh, en] = [`没有维度“${quoted(name)}”`, `there is no dimension "${quoted(name)}"`];
    problems.push(problem('unknown-dimension', pointer, zh, en, { value: quoted(name), ...offer(name, NAMES) }));
    return undefined;
  }
  const items = listed(one, problems);
  if (items === undefined) return undefined;
  if (items === 'all') return { name, items };
  const read = parseItems(name, items, pointer);
  if (read.ok) return { name, ...read.value };
  problems.push(...read.problem);
  return undefined;
};

const parseDx = (one: Entry | undefined, known: readonly { code: string }[], problems: Problem[]): readonly string[] => {
  const codes = known.map(({ code }) => code);
  if (!one) {
    const [zh, en] = ['请用 dimension=dx:… 指明指标', 'name the indicators: dimension=dx:…'];
    problems.push(problem('missing-dx', '/dimension', zh, en, { allowed: codes.slice(0, 20), suggestion: `dx:${codes[0]}` }));
    return [];
  }
  const items = listed(one, problems) ?? [];
  const asked = items === 'all' ? codes : [...new Set(items)];
  for (const code of asked.filter((item) => !codes.includes(item))) {
    const [zh, en] = [`没有指标“${quoted(code)}”`, `there is no indicator "${quoted(code)}"`];
    problems.push(problem('unknown-indicator', one.pointer, zh, en, { value: quoted(code), ...offer(code, codes) }));
  }
  if (asked.length > LIMITS.dx) {
    const [zh, en] = [`指标至多 ${LIMITS.dx} 个`, `at most ${LIMITS.dx} indicators at once`];
    problems.push(problem('too-many-indicators', one.pointer, zh, en, { value: asked.length }));
  }
  if (one.role === 'filter' && asked.length > 1) {
    const [zh, en] = ['不同指标不能合成一行;请用 dimension=dx', 'different indicators make no sum; use dimension=dx'];
    problems.push(problem('cannot-collapse', one.pointer, zh, en, { value: asked.slice(0, 20) }));
  }
  return asked;
};

const parsePe = (one: Entry | undefined, today: string, problems: Problem[]): readonly Period[] => {
  const items = one && listed(one, problems);
  if (!one || items === 'all') {
    const [zh, en] = ['请指明时期,如 dimension=pe:2025', 'name a period, such as dimension=pe:2025'];
    problems.push(problem('missing-period', one?.pointer ?? '/dimension', zh, en, { allowed: PERIOD_EXAMPLES }));
    return [];
  }
  const periods = new Map<string, Period>();
  for (const item of items ?? []) {
    const read = parsePeriods(quoted(item), today);
    if (!isRefusal(read)) for (const period of read) periods.set(period.id, period);
    else {
      const words = { value: quoted(item), allowed: /^\d/.test(item) ? PERIOD_EXAMPLES : RELATIVE_PERIODS.slice(0, 20) };
      problems.push({
        ...problem(read.code, one.pointer, '', '', words),
        ...(read.suggestion && { suggestion: read.suggestion }),
        detail: read.detail,
      });
    }
    // Counted as they come: a thousand items of four thousand days each would fill the memory first.
    if (periods.size > LIMITS.pe) {
      const [zh, en] = [`时期至多 ${LIMITS.pe} 个`, `at most ${LIMITS.pe} periods at once`];
      problems.push(problem('too-many-periods', one.pointer, zh, en, { value: quoted(item) }));
      break;
    }
  }
  const found = [...periods.values()];
  const twice = one.role === 'filter' ? overlapping(found) : undefined;
  if (twice) {
    const [zh, en] = [
      `时期 ${twice[0].id} 与 ${twice[1].id} 重叠,合并会重复计数`,
      `${twice[0].id} and ${twice[1].id} overlap; collapsed, they would count twice`,
    ];
    problems.push(problem('overlapping-periods', one.pointer, zh, en, { value: twice[1].id }));
  }
  return found;
};

const overlapping = (periods: readonly Period[]): [Period, Period] | undefined => {
  const sorted = [...periods].sort((a, b) => (a.start < b.start ? -1 : a.start > b.start ? 1 : 0));
  const at = sorted.findIndex((period, i) => i > 0 && period.start < sorted[i - 1]!.end);
  return at < 0 ? undefined : [sorted[at - 1]!, sorted[at]!];
};

const parseOu = (one: Entry | undefined, problems: Problem[]): readonly OuItem[] | 'all' => {
  const items = one && listed(one, problems);
  if (!one || items === 'all') return 'all';
  return [...new Set(items)].flatMap((item): OuItem[] => {
    const read = parseOuItem(item);
    if (read) return [read];
    const value = quoted(item);
    const [zh, en] = [`“${value}”不是社区代码`, `"${value}" is not the code of a community`];
    const allowed = ['<code>', 'LEVEL-<n>', 'GROUP-<code>', '<code>_CHILDREN'];
    problems.push(problem('invalid-ou', one.pointer, zh, en, { value, allowed }));
    return [];
  });
};

const parseOuItem = (item: string): OuItem | undefined => {
  const level = /^LEVEL-(.*)$/.exec(item)?.[1];
  if (level !== undefined) return /^[1-9]\d?$/.test(level) ? { kind: 'level', level: Number(level) } : undefined;
  const group = /^GROUP-(.*)$/.exec(item)?.[1];
  if (group !== undefined) return CODE.test(group) ? { kind: 'group', group } : undefined;
  const parent = /^(.*)_CHILDREN$/.exec(item)?.[1];
  if (parent !== undefined) return CODE.test(parent) ? { kind: 'children', code: parent } : undefined;
  return CODE.test(item) ? { kind: 'code', code: item } : undefined;
};

/** What the indicators' own definitions say, where the query is silent; a query over two minds must speak. */
const agreed = <K extends 'basis' | 'standard'>(
  name: K,
  otherwise: NonNullable<IndicatorDefinition[K]>,
  asked: readonly Pick<IndicatorDefinition, K>[],
  problems: Problem[],
): NonNullable<IndicatorDefinition[K]> => {
  const said = [...new Set(asked.flatMap((one) => one[name] ?? []))] as NonNullable<IndicatorDefinition[K]>[];
  if (said.length > 1) {
    const [zh, en] = [`所列指标的 ${name} 不同,请指明`, `the indicators differ in ${name}; name one`];
    problems.push(problem(`ambiguous-${name}`, `/${name}`, zh, en, { allowed: said }));
  }
  return said[0] ?? otherwise;
};

// ── Options ──────────────────────────────────────────────────────────────────────────────────────────────────────────────────

type Options = Pick<
  ObservationQuery,
  | 'asOf'
  | 'today'
  | 'level'
  | 'weighted'
  | 'explain'
  | 'minPosition'
  | 'bom'
  | 'rolling'
  | 'release'
  | 'compare'
  | 'updatedAfter'
  | 'includeHistory'
> &
  Partial<Pick<ObservationQuery, 'basis' | 'standard'>>;

const parseOptions = (
  single: Readonly<Partial<Record<SingleName, Field>>>,
  context: QueryContext,
  problems: Problem[],
): Options => {
  /** The option's value, undefined when it isn't given or is refused. */
  const read = <T>(
    name: SingleName,
    parse: (text: string) => T | undefined,
    zh: string,
    en: string,
    more: (text: string) => Partial<Problem> = () => ({}),
  ) => {
    const field = single[name];
    if (!field) return undefined;
    const text = field.text.trim();
    const value = parse(text);
    if (value === undefined)
      problems.push(problem(`invalid-${kebab(name)}`, field.pointer, zh, en, { value: quoted(text), ...more(text) }));
    return value;
  };
  const oneOf = <T extends string>(name: SingleName, ...words: readonly T[]) =>
    read(
      name,
      (text) => words.find((word) => word === text),
      `${name} 应为 ${words.join('、')}`,
      `${name} is one of ${words.join(', ')}`,
      (text) => offer(text, words),
    );
  const flag = (name: SingleName) => oneOf(name, 'true', 'false');
  const position = (name: SingleName) =>
    read(name, toPosition, `${name} 应为非负整数(至多 19 位)`, `${name} is a whole number from 0, at most ${LAST_POSITION}`);
  const moment = (name: SingleName) =>
    read(
      name,
      (text) => (parseInstant(text) === undefined ? undefined : text),
      `${name} 应为带时区的时刻,如 2026-03-02T08:00:00Z`,
      `${name} is an instant with its offset, such as 2026-03-02T08:00:00Z`,
      (text) => (isPlainDate(text) ? { suggestion: `${text}T00:00:00Z` } : {}),
    );
  const instant = moment('asOf');
  const asOfPosition = position('asOfPosition');
  if (single.asOf && single.asOfPosition)
    problems.push(
      problem(
        'conflicting-parameters',
        '/asOfPosition',
        'asOf 与 asOfPosition 只能给一个',
        'give asOf or asOfPosition, not both',
      ),
    );
  const asOf: AsOf | undefined =
    instant !== undefined ? { instant } : asOfPosition !== undefined ? { position: asOfPosition } : undefined;

  const release = oneOf('release', 'staff', 'public');
  const rolling = read(
    'rolling',
    (text) => (/^P[1-9]\d?Y$/.test(text) ? Number(text.slice(1, -1)) : undefined),
    'rolling 应为年数,如 P3Y',
    'rolling is a number of years, such as P3Y',
  );
  const compare = read(
    'compare',
    (text): ObservationQuery['compare'] =>
      text === 'previous' || text === 'previous-year' ? { pe: text } : CODE.test(text) ? { ou: text } : undefined,
    'compare 应为 previous、previous-year、ALL 或一个社区代码',
    'compare is previous, previous-year, ALL or the code of a community',
    (text) => offer(text, ['previous', 'previous-year', 'ALL']),
  );
  const updatedAfter = moment('updatedAfter');
  const includeHistory = flag('includeHistory') === 'true';
  const alone = (name: SingleName, others: readonly SingleName[]): void => {
    const other = others.find((each) => single[each] !== undefined);
    if (single[name] && other)
      problems.push(
        problem(
          'conflicting-parameters',
          `/${other}`,
          `${name} 与 ${other} 不能同时给`,
          `${name} and ${other} don’t go together`,
        ),
      );
  };
  if (includeHistory) alone('includeHistory', ['updatedAfter', 'compare', 'release', 'weighted']);
  alone('updatedAfter', ['release']);

  const standard = single.standard && standardPopulation(single.standard.text.trim());
  if (single.standard && isRefusal(standard))
    problems.push({ ...standard, pointer: single.standard.pointer, value: quoted(single.standard.text.trim()) });

  const minPosition = position('minPosition');
  const basis = oneOf('basis', 'occurrence', 'residence');
  return {
    ...(asOf && { asOf }),
    today:
      read(
        'today',
        (text) => (isPlainDate(text) ? text : undefined),
        'today 应为存在的日期 YYYY-MM-DD',
        'today is a date that exists, YYYY-MM-DD',
      ) ?? context.today,
    level:
      read(
        'ci',
        toLevel,
        'ci 应为 50 至 99.99 的百分数,至多两位小数',
        'ci is a percentage from 50 to 99.99, to two decimals at most',
      ) ?? 0.95,
    weighted: flag('weighted') === 'true',
    explain: flag('explain') === 'true',
    bom: flag('bom') !== 'false',
    ...(minPosition !== undefined && { minPosition }),
    ...(basis && { basis }),
    includeHistory,
    ...(compare && { compare }),
    ...(updatedAfter !== undefined && { updatedAfter }),
    ...(release && { release }),
    ...(rolling !== undefined && { rolling: { years: rolling } }),
    ...(standard && !isRefusal(standard) && { standard: standard.id }),
  };
};

const kebab = (name: string) => name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);

const toPosition = (text: string): bigint | undefined => {
  // By BigInt from the first digit on: a number would make 2^53 of 2^53 + 1.
  const value = /^\d{1,19}$/.test(text) ? BigInt(text) : undefined;
  return value !== undefined && value <= LAST_POSITION ? value : undefined;
};

// The decimal exponent is read exactly; 99.9 / 100 isn't 0.999.
const toLevel = (text: string): number | undefined => (/^[5-9]\d(\.\d{1,2})?$/.test(text) ? Number(`${text}e-2`) : undefined);
