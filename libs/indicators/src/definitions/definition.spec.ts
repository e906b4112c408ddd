import { hash } from 'node:crypto';
import { definitionHash, indicator, indicatorDefinition, indicators } from './index';

const inc01 = indicator('INC-01')!;

test('the catalogue holds the table of indicators.md', () =>
  expect(
    indicators().map(({ code, name, unit, multiplier, method, minEvents }) =>
      [code, name.zh, name.en, typeof unit === 'string' ? unit : unit.en, multiplier, method, minEvents].join(' | '),
    ),
  ).toEqual([
    'INC-01 | 伤害发生率 | injury incidence | per 100,000 | 100000 | poisson-phe | 0',
    'INC-02 | 年龄标化伤害率 | age-standardised incidence | per 100,000 | 100000 | direct-standardisation | 10',
    'INC-03 | 重伤率 | serious injury | per 100,000 | 100000 | poisson-phe | 0',
    'INC-04 | 老年跌倒率 | falls at 65+ | per 1,000 | 1000 | poisson-phe | 0',
    'INC-05 | 儿童伤害率 | injuries at 0–14 | per 1,000 | 1000 | poisson-phe | 0',
    'SEV-01 | 住院构成 | admitted share | % | 100 | wilson | 0',
  ]));

test('all count first visits; falls at 65+ are over those of 65+; serious says its scale', () => {
  expect(indicators().every(({ numerator }) => numerator.filter?.visit?.[0] === 'first')).toBe(true);
  expect(indicator('INC-02')).toMatchObject({ standard: 'WHO-2000' });
  expect(indicator('INC-03')!.numerator.filter!.any).toEqual([{ disposition: ['admitted'] }, { severity: ['niss3-severe'] }]);
  expect(indicator('INC-03')!.note!.en).toContain('NISS');
  expect(indicator('INC-04')).toMatchObject({
    numerator: { filter: { age: ['65+'], mechanism: ['fall'] } },
    denominator: { fact: 'population', filter: { age: ['65+'] } },
  });
  expect(indicator('SEV-01')!.denominator).toMatchObject({ fact: 'injury', measure: 'count' });
  expect(indicator('INC-99')).toBeUndefined();
});

test.each<[string, object]>([
  ['an unknown field', { sql: 'select 1' }],
  ['an unknown dimension', { numerator: { fact: 'injury', measure: 'count', filter: { mechanizm: ['fall'] } } }],
  ['an unknown code', { numerator: { fact: 'injury', measure: 'count', filter: { mechanism: ['fal'] } } }],
  ['an age that is none', { numerator: { fact: 'injury', measure: 'count', filter: { age: ['old'] } } }],
  ['overlapping ages', { denominator: { fact: 'population', measure: 'person-years', filter: { age: ['0-14', '5-9'] } } }],
  [
    'a population by mechanism',
    { denominator: { fact: 'population', measure: 'person-years', filter: { mechanism: ['fall'] } } },
  ],
  ['person-years of injuries', { denominator: { fact: 'injury', measure: 'person-years' } }],
  ['a rate with a proportion’s interval', { method: 'wilson' }],
  ['standardisation without a standard', { method: 'direct-standardisation' }],
  ['a standard without standardisation', { standard: 'WHO-2000' }],
  ['a standard nobody has', { method: 'direct-standardisation', standard: 'WHO-1900' }],
  ['half a version', { version: 1.5 }],
  ['a day that does not exist', { validFrom: '2026-02-30' }],
  ['a stratum nobody knows', { strata: ['shoe-size'] }],
])('%s is refused', (_, change) => expect(indicatorDefinition.safeParse({ ...inc01, ...change }).success).toBe(false));

test('a definition in the comparisons of the query grammar', () =>
  expect(
    indicatorDefinition.safeParse({ ...inc01, numerator: { fact: 'injury', measure: 'count', filter: { age: ['ge:65'] } } })
      .success,
  ).toBe(true));

describe('the hash', () => {
  const reversed = (value: unknown): unknown =>
    Array.isArray(value)
      ? value.map(reversed)
      : typeof value === 'object' && value !== null
        ? Object.fromEntries(Object.entries(value).reverse().map(([key, v]) => [key, reversed(v)])) // prettier-ignore
        : value;
  test('is SHA-256 over sorted keys, whatever order they were written in', () => {
    const { code, multiplier } = { code: 'X', multiplier: 0.5 };
    const small = { multiplier, note: undefined, code } as unknown as typeof inc01;
    expect(definitionHash(small)).toBe(hash('sha256', '{"code":"X","multiplier":0.5}', 'hex'));
    for (const one of indicators()) expect(definitionHash(reversed(one) as typeof one)).toBe(definitionHash(one));
  });
  test('changes with the content, down to an item', () => {
    const hashes = [...indicators(), { ...inc01, version: 2 }, { ...inc01, strata: [...inc01.strata].reverse() }].map(
      definitionHash,
    );
    expect(new Set(hashes).size).toBe(hashes.length);
    expect(hashes.every((one) => /^[0-9a-f]{64}$/.test(one))).toBe(true);
  });
  test('survives the schema', () => expect(definitionHash(indicatorDefinition.parse(inc01))).toBe(definitionHash(inc01)));
});
