import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { FACT_NAMES, factSource } from '../facts/facts';
import { isCounted, type Denominator, type Numerator } from './definition';
import { indicators } from './index';

const PAGE = join(__dirname, '../../../../docs/reference/indicators.md');
const BEGIN = '<!-- from the code: UPDATE_DOCS=1 npx jest indicators-page -->';
const END = '<!-- end -->';

const filterText = (filter: object = {}): string[] =>
  Object.entries(filter).flatMap(([name, items]) =>
    name === 'visit'
      ? []
      : name === 'any'
        ? [(items as object[]).map((each) => filterText(each).join(' and ')).join(' **or** ')]
        : [`${name} ${(items as string[]).join(', ')}`],
  );
const partText = (part: Numerator | Denominator | undefined): string => {
  if (part === undefined) return '–';
  if (part.fact === 'population') return ['person-years', ...filterText(part.filter)].join(', ');
  if (part.fact === 'exposure') return part.measure === 'stock' ? `${part.kind} in the year` : `${part.kind} × years`;
  if (part.fact === 'survey')
    return `answers to ${'kind' in part.question ? `questions of ${part.question.kind}` : part.question.code}`;
  if (!isCounted(part)) return '';
  const what = part.measure === 'count' ? part.fact : `${part.measure} of ${part.fact}`;
  return [what, ...filterText(part.filter), ...(part.is ?? []), ...(part.day ? [`by day ${part.day}`] : [])].join(', ');
};

const page = (): string => {
  const rows = indicators().map((each) => {
    const { code, name, numerator, denominator, unit, method, minEvents, note } = each;
    const unitText = typeof unit === 'string' ? unit : unit.en;
    return `| ${code} | ${name.en} ${name.zh} | ${partText(numerator)} | ${each.lists ? `lists: ${each.lists.map(partText).join(' × ')}` : partText(denominator)} | ${unitText} | ${method}${minEvents ? `, none below ${minEvents}` : ''} | ${note?.en ?? ''} |`;
  });
  const facts = FACT_NAMES.map((name) => {
    const { about, columns, days, conditions, amounts, durations } = factSource(name);
    const list = (of: object): string => Object.keys(of).join(', ') || '–';
    return `| \`${name}\` | ${about.en} ${about.zh} | ${list(columns)} | ${list(days)} | ${list(conditions)} | ${list({ ...amounts, ...durations })} |`;
  });
  return [
    '| code | name | numerator | denominator | unit | method | note |',
    '|---|---|---|---|---|---|---|',
    ...rows,
    '',
    '## Facts',
    '',
    'A definition counts one of these. A fact without days is a stock, counted as it stands at the end of a period.',
    '',
    '| fact | what it is | dimensions | days | conditions (`is`) | measures besides `count` |',
    '|---|---|---|---|---|---|',
    ...facts,
  ].join('\n');
};

const words = (text: string): string => text.replace(/[ -]+/g, ' ');

test('the page lists the catalogue and the facts as they are', () => {
  const text = readFileSync(PAGE, 'utf8');
  const [before, rest] = text.split(BEGIN) as [string, string];
  const [shown, after] = rest.split(END) as [string, string];
  if (process.env['UPDATE_DOCS']) writeFileSync(PAGE, `${before}${BEGIN}\n\n${page()}\n\n${END}${after}`);
  else expect(words(shown).trim()).toBe(words(page()).trim());
});
