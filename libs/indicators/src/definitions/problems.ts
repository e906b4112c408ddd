/** What is wrong with a definition, in both languages, at its place and with the words that would do. */
import { standardPopulations, type Problem } from '@vigil/vocabulary';
import type { z } from 'zod';
import { FACT_NAMES, factSource, type FactName } from '../facts/facts';
import { isDimensionName, offer, parseItems, quoted } from '../query/dimensions';

type Issue = z.core.$ZodIssue;
type Path = readonly string[];

const at = (root: unknown, path: Path): unknown =>
  path.reduce<unknown>(
    (value, part) =>
      typeof value === 'object' && value !== null && Object.hasOwn(value, part) ? (value as never)[part] : undefined,
    root,
  );

const FACTS_OF: Readonly<Record<string, readonly string[]>> = {
  numerator: [...FACT_NAMES, 'exposure', 'survey'],
  denominator: [...FACT_NAMES, 'population', 'exposure'],
  lists: FACT_NAMES,
};

/** The numerator, the denominator or one of the lists that a path leads into, and the rest of the path. */
const partOf = (path: Path): { readonly head: Path; readonly rest: Path } => {
  const size = path[0] === 'lists' ? 2 : 1;
  return { head: path.slice(0, size), rest: path.slice(size) };
};

type Said = Pick<Problem, 'code' | 'allowed'> & { readonly zh: string };

/** A fault within a part that counts a fact: the words that this fact has. */
const saidOfFact = (fact: FactName, rest: Path, value: string, method: unknown): Said | undefined => {
  const { amounts, columns, conditions, days, durations } = factSource(fact);
  const [field, name] = rest;
  const none = (code: string, what: string, word: string, known: object): Said => ({
    code,
    zh: `${fact} 没有${what} ${word}`,
    allowed: Object.keys(known),
  });
  if (field === 'measure')
    return method === 'kaplan-meier'
      ? none('unknown-measure', '时长', value, durations)
      : none('unknown-measure', '度量', value, { count: 0, ...amounts });
  if (field === 'is') return none('unknown-condition', '条件', value, conditions);
  if (field === 'day') return none('unknown-day', '日期', value, days);
  if (field === 'filter' && name === 'visit') return { code: 'no-visits', zh: `${fact} 不分首诊与复诊;请删去 visit` };
  if (field === 'filter' && name !== undefined) return none('unknown-dimension', '维度', name, columns);
  return undefined;
};

/** Dimensions that all the facts counted can be split by. */
const strataOf = (document: unknown): string[] => {
  const facts = [['numerator'], ['denominator'], ['lists', '0'], ['lists', '1']]
    .map((path) => at(document, [...path, 'fact']))
    .filter((fact): fact is FactName => (FACT_NAMES as readonly unknown[]).includes(fact));
  const columns = facts.map((fact) => Object.keys(factSource(fact).columns));
  if (at(document, ['numerator', 'fact']) === 'survey') columns.push(['group']);
  const [first = [], ...others] = columns;
  return ['pe', 'ou', ...first.filter((name) => others.every((other) => other.includes(name)))];
};

const saidOf = (path: Path, document: unknown, message: string): Said | undefined => {
  const { head, rest } = partOf(path);
  const method = String(at(document, ['method']));
  const value = quoted(String(at(document, path)));
  switch (path[0]) {
    case 'strata':
      return { code: 'unknown-stratum', zh: `所计事实不能按 ${value} 分层`, allowed: strataOf(document) };
    case 'standard':
      return message.startsWith('no such')
        ? { code: 'unknown-standard', zh: `没有标准人口 ${value}`, allowed: standardPopulations().map(({ id }) => id) }
        : {
            code: 'standard-and-method',
            zh: 'direct-standardisation 与 indirect-standardisation 须写明 standard,其他方法不能写',
          };
    case 'validFrom':
      return { code: 'invalid-date', zh: '日期应为存在的 YYYY-MM-DD' };
    case 'numerator':
    case 'denominator':
    case 'lists': {
      if (path.length === 1 && path[0] === 'lists')
        return { code: 'lists-and-method', zh: 'chapman 须写明两份名单 lists,其他方法不能写' };
      if (rest.length === 0) return { code: 'method-and-fact', zh: `方法 ${method} 需要 ${head[0]}` };
      if (rest[0] === 'fact') return { code: 'method-and-fact', zh: `方法 ${method} 的 ${head[0]} 不能是 ${value}` };
      const fact = at(document, [...head, 'fact']);
      if (fact === 'exposure' && rest[0] === 'measure')
        return {
          code: 'unknown-measure',
          zh: 'wilson 取 stock,其他率取 unit-years',
          allowed: [method === 'wilson' ? 'stock' : 'unit-years'],
        };
      return (FACT_NAMES as readonly unknown[]).includes(fact) ? saidOfFact(fact as FactName, rest, value, method) : undefined;
    }
    default:
      return undefined;
  }
};

const problemOf = ({ code, zh, allowed }: Said, en: string, pointer: string, value: unknown): Problem => ({
  code,
  detail: { zh, en },
  pointer,
  ...(typeof value === 'string' && { value: quoted(value) }),
  ...(allowed && (typeof value === 'string' ? offer(value, allowed) : { allowed })),
});

/** A fault among a filter's items, told by the grammar that queries share; at the item itself where one is to blame. */
const itemProblem = (path: Path, items: unknown, pointer: string, message: string): Problem | undefined => {
  const name = path.at(-1) ?? '';
  if (!path.includes('filter') || !isDimensionName(name) || !Array.isArray(items)) return undefined;
  const read = parseItems(name, items as string[], pointer);
  const found = read.ok ? undefined : read.problem.find(({ detail }) => detail.en === message);
  if (!found) return undefined;
  const index = items.indexOf(found.value);
  return index < 0 ? found : { ...found, pointer: `${pointer}/${index}` };
};

/**
 * One of the faults that {@link indicatorDefinition} finds by rules of its own; undefined for those of plain shape (a missing field,
 * a wrong type, a word of a closed list), which say it themselves.
 */
export const definitionProblem = (issue: Issue, document: unknown): Problem | undefined => {
  const path = issue.path.flatMap((part) => String(part).split('/'));
  const pointer = path.map((part) => `/${part}`).join('');
  const value = at(document, path);
  if (issue.code === 'invalid_union' && path.at(-1) === 'fact' && value !== undefined) {
    const zh = `没有事实 ${quoted(String(value))}`;
    const en = `there is no fact ${quoted(String(value))}`;
    return problemOf({ code: 'unknown-fact', zh, allowed: FACTS_OF[path[0]!] ?? [] }, en, pointer, value);
  }
  if (issue.code === 'invalid_format' && pointer === '/code')
    return problemOf(
      { code: 'invalid-code', zh: '指标代码形如 INC-01:2 至 8 位大写字母或数字(字母开头)、连字符、2 至 3 位数字' },
      'the code of an indicator is like INC-01: 2 to 8 capitals or digits, a letter first, a hyphen, 2 or 3 digits',
      pointer,
      value,
    );
  if (issue.code !== 'custom') return undefined;
  const ofItem = itemProblem(path, value, pointer, issue.message);
  if (ofItem) return ofItem;
  const said = saidOf(path, document, issue.message) ?? { code: 'invalid-definition', zh: '定义不成立' };
  // Of a dimension its name is at fault, not its items.
  const word = said.code === 'unknown-dimension' ? path.at(-1) : value;
  return problemOf(said, issue.message, pointer, word);
};
