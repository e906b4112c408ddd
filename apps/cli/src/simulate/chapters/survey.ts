import { chance } from '../chance';
import { moment } from '../clock';
import { population, UNIT_CODES } from '../district';
import { AWARENESS, FALL_PROGRAMME } from '../truth';
import { beginKeyed, both, commandsOf, type Command } from './file';

/** Responses in each unit and wave. */
export const ASKED = 200;

const choice = (code: string, kind: string, zh: string, en: string) => ({
  code,
  kind,
  text: { zh, en },
  type: 'single',
  options: [
    { code: 'yes', text: { zh: '是', en: 'yes' } },
    { code: 'no', text: { zh: '否', en: 'no' } },
    { code: 'unsure', text: { zh: '不清楚', en: 'not sure' } },
  ],
  correct: ['yes'],
});

const oldPeople = (unit: (typeof UNIT_CODES)[number], year: number): number =>
  population(unit, year)
    .filter(({ ageFrom }) => ageFrom >= FALL_PROGRAMME.ageFrom)
    .reduce((sum, { persons }) => sum + persons, 0);

/** Awareness at 65 and over, asked in the November before the pilot begins and a year later; what is true is {@link AWARENESS}. */
export const survey = (seed: number, endYear: number): Command[] => {
  const before = endYear - 2;
  const file = beginKeyed('surveys', `simulate-${seed}-awareness-${endYear}`, moment(`${before}-10-20`), {
    name: both('示例防跌倒知信行调查', 'Example survey of fall awareness'),
    domain: 'elderly',
    communities: [...UNIT_CODES],
    frame: both('65 岁及以上人口名册(虚构)', 'roll of people 65 and over (made up)'),
    questions: [
      choice(
        'A1',
        'awareness',
        '您知道本街道在创建安全社区吗?',
        'Do you know that your sub-district is becoming a safe community?',
      ),
      choice('K1', 'knowledge', '您知道如何预防居家跌倒吗?', 'Do you know how a fall at home is prevented?'),
      choice('B1', 'belief', '您认为跌倒可以预防吗?', 'Do you think that falls can be prevented?'),
      choice('P1', 'behaviour', '您家浴室有防滑措施吗?', 'Is your bathroom made safe against slipping?'),
      {
        code: 'S1',
        kind: 'satisfaction',
        text: { zh: '您对本项目的满意程度?', en: 'How satisfied are you with the programme?' },
        type: 'scale',
        from: 1,
        to: 5,
        correct: [4, 5],
      },
    ],
    strata: UNIT_CODES.map((code) => ({ code, population: oldPeople(code, before) })),
    weights: true,
  });
  for (const wave of [1, 2] as const) {
    const year = before + wave - 1;
    const luck = chance(`${seed} ${year} awareness`);
    const heard = chance(`${seed} ${year} safe community`);
    const answer = (share: number): string => (luck.holds(share) ? 'yes' : luck.pick({ no: 60, unsure: 40 }));
    const responses = UNIT_CODES.flatMap((unit) =>
      Array.from({ length: ASKED }, (_, i) => {
        const known = AWARENESS[wave][unit];
        return {
          id: `${seed}-${year}-${unit}-${String(i + 1).padStart(3, '0')}`,
          stratum: unit,
          community: unit,
          weight: Math.round((oldPeople(unit, year) / ASKED) * 100) / 100,
          answers: {
            A1: heard.holds(known + 0.05) ? 'yes' : 'no',
            K1: answer(known),
            B1: answer(known + 0.1),
            P1: answer(known - 0.12),
            ...(!luck.holds(0.05) && { S1: 1 + luck.index(wave === 1 ? [6, 14, 40, 30, 10] : [3, 8, 29, 40, 20]) }),
          },
        };
      }),
    );
    file
      .then(moment(`${year}-11-01`), 'waves', { wave, opensOn: `${year}-11-01`, closesOn: `${year}-11-30` })
      .then(moment(`${year}-11-28`), `waves/${wave}/responses`, { responses }, 'responses')
      .then(moment(`${year}-11-30`, 17), `waves/${wave}/closure`, { closedOn: `${year}-11-30` });
  }
  return commandsOf([file]);
};
