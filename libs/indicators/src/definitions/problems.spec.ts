import { indicator, indicatorDefinition } from './index';
import { definitionProblem } from './problems';

const inc01 = indicator('INC-01')!;
const inc02 = indicator('INC-02')!;
const of = (document: object) => {
  const read = indicatorDefinition.safeParse(document);
  return (read.error?.issues ?? []).map((issue) => definitionProblem(issue, document));
};
const numerator = (over: object) => ({ ...inc01, numerator: { ...inc01.numerator, ...over } });

test.each<[string, object, object]>([
  [
    'a code that a dimension has not',
    numerator({ filter: { mechanism: ['drowning', 'fal'] } }),
    { code: 'unknown-code', pointer: '/numerator/filter/mechanism/1', value: 'fal', suggestion: 'fall' },
  ],
  [
    'an age that is none',
    numerator({ filter: { age: ['old'] } }),
    { code: 'invalid-age', pointer: '/numerator/filter/age/0', value: 'old' },
  ],
  [
    'a code among alternatives',
    numerator({ filter: { any: [{ sex: ['F'] }, { mechanism: ['fal'] }] } }),
    { code: 'unknown-code', pointer: '/numerator/filter/any/1/mechanism/0', suggestion: 'fall' },
  ],
  [
    'a fact that is none',
    numerator({ fact: 'injurie' }),
    { code: 'unknown-fact', pointer: '/numerator/fact', suggestion: 'injury' },
  ],
  ['a measure', numerator({ measure: 'cuont' }), { code: 'unknown-measure', pointer: '/numerator/measure', suggestion: 'count' }],
  [
    'a condition',
    numerator({ is: ['died-within-30-day'] }),
    { code: 'unknown-condition', pointer: '/numerator/is/0', suggestion: 'died-within-30-days' },
  ],
  ['a day', numerator({ day: 'ocurred' }), { code: 'unknown-day', pointer: '/numerator/day', suggestion: 'occurred' }],
  [
    'a dimension that the fact has not',
    numerator({ filter: { level: ['major'] } }),
    { code: 'unknown-dimension', pointer: '/numerator/filter/level', value: 'level', allowed: expect.arrayContaining(['sex']) },
  ],
  [
    'a stratum',
    { ...inc01, strata: ['pe', 'level'] },
    { code: 'unknown-stratum', pointer: '/strata/1', value: 'level', allowed: expect.arrayContaining(['pe', 'ou', 'sex']) },
  ],
  [
    'a method that divides by something else',
    { ...inc01, method: 'wilson' },
    {
      code: 'method-and-fact',
      pointer: '/denominator/fact',
      detail: expect.objectContaining({ zh: expect.stringContaining('wilson') }),
    },
  ],
  ['no denominator', { ...inc01, denominator: undefined }, { code: 'method-and-fact', pointer: '/denominator' }],
  ['a standard without use', { ...inc01, standard: 'WHO-2000' }, { code: 'standard-and-method', pointer: '/standard' }],
  ['a standard nobody has', { ...inc02, standard: 'WHO-2001' }, { code: 'unknown-standard', suggestion: 'WHO-2000' }],
  ['lists without use', { ...inc01, lists: [inc01.numerator, inc01.numerator] }, { code: 'lists-and-method', pointer: '/lists' }],
  ['a day that does not exist', { ...inc01, validFrom: '2026-02-30' }, { code: 'invalid-date', value: '2026-02-30' }],
  ['a code of its own making', { ...inc01, code: 'drowning' }, { code: 'invalid-code', pointer: '/code', value: 'drowning' }],
])('%s is named with its place and what would do', (_, document, problem) => {
  const found = of(document);
  expect(found).toContainEqual(expect.objectContaining(problem));
  for (const each of found) expect(each?.detail.zh).toMatch(/[\u4e00-\u9fff]/);
});

test('every item at fault is named once', () =>
  expect(
    of(numerator({ filter: { mechanism: ['fal', 'fall', 'burm'], sex: ['W'] } }))
      .map((each) => each?.pointer)
      .sort(),
  ).toEqual(['/numerator/filter/mechanism/0', '/numerator/filter/mechanism/2', '/numerator/filter/sex/0']));

test('faults of plain shape are left to those who name them everywhere', () => {
  const { unit: _, ...rest } = inc01;
  expect(of(rest)).toEqual([undefined]);
  expect(of({ ...inc01, basis: 'ocurrence' })).toEqual([undefined]);
});
