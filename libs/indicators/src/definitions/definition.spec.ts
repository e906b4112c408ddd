import { hash } from 'node:crypto';
import { definitionHash, indicator, indicatorDefinition, indicators, type Counted } from './index';

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
    'INC-06 | 伤害间接标化比 | standardised incidence ratio | ratio | 1 | indirect-standardisation | 0',
    'MOR-01 | 伤害死亡率 | injury mortality | per 100,000 | 100000 | poisson-phe | 0',
    'MOR-02 | 标化死亡比 | standardised mortality ratio | ratio | 1 | indirect-standardisation | 0',
    'MOR-03 | 潜在寿命损失年率 | years of potential life lost before 75 | years per 100,000 | 100000 | weighted-poisson | 0',
    'MOR-05 | 病死率 | case fatality | % | 100 | wilson | 0',
    'SEV-01 | 住院构成 | admitted share | % | 100 | wilson | 0',
    'TRF-01 | 道路交通伤害率 | road traffic injury | per 100,000 | 100000 | poisson-phe | 0',
    'TRF-02 | 万车死亡率 | deaths per 10,000 vehicles | per 10,000 vehicle-years | 10000 | poisson-phe | 0',
    'TRF-03 | 安全带头盔使用率 | restraint and helmet use | % | 100 | survey-proportion | 0',
    'TRF-04 | 警医匹配率 | police–health linkage | % | 100 | wilson | 0',
    'OCC-01 | 工伤率 | work injury | per 1,000 worker-years | 1000 | poisson-phe | 0',
    'OCC-03 | 工地伤害率 | construction-site injury | per 1,000 worker-years | 1000 | poisson-phe | 0',
    'OCC-04 | 标准化达标率 | enterprises at standard | % | 100 | wilson | 0',
    'FIR-01 | 火灾起数率 | fires | per 10,000 household-years | 10000 | poisson-phe | 0',
    'FIR-02 | 火灾伤亡率 | fire casualties | per 100,000 | 100000 | poisson-phe | 0',
    'HOM-01 | 家居伤害率 | home injury | per 1,000 | 1000 | poisson-phe | 0',
    'HOM-02 | 适老助残改造覆盖率 | dwellings adapted | % | 100 | wilson | 0',
    'SCH-01 | 校园伤害率 | school injury | per 1,000 student-years | 1000 | poisson-phe | 0',
    'SCH-02 | 校园周边隐患整改率 | hazards near schools rectified | % | 100 | wilson | 0',
    'SEC-01 | 入室盗窃发案率 | burglary | per 10,000 household-years | 10000 | poisson-phe | 0',
    'SEC-02 | 暴力伤害率 | violent injury | per 100,000 | 100000 | poisson-phe | 0',
    'SEC-03 | 纠纷调解成功率 | disputes mediated | % | 100 | wilson | 0',
    'SEC-04 | 民转刑率 | disputes turned criminal | % | 100 | wilson | 0',
    'HAZ-01 | 隐患整改率 | rectification rate | % | 100 | wilson | 0',
    'HAZ-02 | 按期整改率 | rectified on time | % | 100 | wilson | 0',
    'HAZ-03 | 整改中位时间 | median time to rectify | days | 1 | kaplan-meier | 0',
    'HAZ-04 | 隐患复发率 | recurrence | % | 100 | wilson | 0',
    'HAZ-05 | 排查覆盖率 | inspection coverage | % | 100 | wilson | 0',
    'HAZ-06 | 建档率 | filing completeness | % | 100 | wilson | 0',
    'HAZ-07 | 按原期限整改率 | rectified by the original deadline | % | 100 | wilson | 0',
    'AWR-01 | 安全社区知晓率 | awareness rate | % | 100 | survey-proportion | 0',
    'AWR-02 | 知识知晓率 | knowledge | % | 100 | survey-proportion | 0',
    'AWR-03 | 信念持有率 | belief | % | 100 | survey-proportion | 0',
    'AWR-04 | 行为形成率 | behaviour | % | 100 | survey-proportion | 0',
    'AWR-05 | 满意率 | satisfaction | % | 100 | survey-proportion | 0',
    'EDU-01 | 培训覆盖率(人次) | training coverage (person-times) | % | 100 | wilson | 0',
    'EDU-03 | 演练参与率 | drill participation | % | 100 | wilson | 0',
    'EDU-06 | 宣传到达率(五进) | publicity reach by the five entries | % | 100 | wilson | 0',
    'EDU-07 | 责任状签订率 | pledges signed | % | 100 | wilson | 0',
    'PRT-01 | 参与部门数 | organisations taking part | organisations | 1 | count | 0',
    'PRT-02 | 数据共享比例 | organisations sharing data | % | 100 | wilson | 0',
    'PRT-03 | 联席会议次数 | joint meetings | meetings | 1 | count | 0',
    'PRT-04 | 交流次数 | exchanges | exchanges | 1 | count | 0',
    'COV-01 | 项目覆盖率 | programme coverage | % | 100 | wilson | 0',
    'COR-01 | 纠正措施及时率 | corrective actions on time | % | 100 | wilson | 0',
    'SUR-01 | 字段完整率 | completeness | % | 100 | wilson | 0',
    'SUR-03 | 漏报率 | under-reporting | % | 100 | chapman | 7',
    'SUR-05 | 重复率 | duplicates | % | 100 | wilson | 0',
  ]));

test('all count first visits; falls at 65+ are over those of 65+; serious says its scale', () => {
  const visits = indicators().flatMap(({ numerator, denominator, lists = [] }) =>
    [numerator, denominator, ...lists].flatMap((part) => (part?.fact === 'injury' ? [(part as Counted).filter?.visit?.[0]] : [])),
  );
  expect(new Set(visits)).toEqual(new Set(['first']));
  expect(indicator('INC-02')).toMatchObject({ standard: 'WHO-2000' });
  expect((indicator('INC-03')!.numerator as Counted).filter!.any).toEqual([
    { disposition: ['admitted'] },
    { severity: ['niss3-severe'] },
  ]);
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
  ['a fact that nobody keeps', { numerator: { fact: 'weather', measure: 'count' } }],
  ['a condition that the fact doesn’t have', { numerator: { fact: 'injury', measure: 'count', is: ['verified'] } }],
  ['a day that the fact doesn’t have', { numerator: { fact: 'injury', measure: 'count', day: 'due' } }],
  ['an amount that the fact doesn’t have', { numerator: { fact: 'injury', measure: 'persons' } }],
  ['a stratum that the fact can’t be split by', { numerator: { fact: 'hazard', measure: 'count' } }],
  ['a rate without a denominator', { denominator: undefined }],
  ['a median over person-years', { method: 'kaplan-meier' }],
  ['a stock under a rate', { denominator: { fact: 'exposure', measure: 'stock', kind: 'households' } }],
  ['two lists for a rate', { lists: [inc01.numerator, inc01.numerator] }],
  ['a survey under a rate', { numerator: { fact: 'survey', measure: 'correct', question: { kind: 'knowledge' } } }],
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
