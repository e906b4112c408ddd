import { given } from '@vigil/testing';
import { diagramOf, type FileCommand } from '../case-file';
import { MOST_RESPONSES, survey } from './survey';

const bilingual = (zh: string, en: string) => ({ zh, en });
const yesNo = [{ code: 'yes' }, { code: 'no' }];
const questions = [
  {
    code: 'q1',
    kind: 'knowledge',
    text: bilingual('是否知道安全社区', 'Heard of it'),
    type: 'single',
    options: yesNo,
    correct: ['yes'],
  },
  {
    code: 'q2',
    kind: 'behaviour',
    text: bilingual('家中有哪些防跌倒设施', 'What is at home'),
    type: 'multi',
    options: [{ code: 'rail', text: bilingual('扶手', 'rail') }, { code: 'mat' }, { code: 'none' }],
  },
  { code: 'q3', kind: 'satisfaction', text: bilingual('满意度', 'Satisfied'), type: 'scale', from: 1, to: 5, correct: [4, 5] },
  { code: 'q4', kind: 'behaviour', text: bilingual('每周锻炼次数', 'Exercise'), type: 'number', from: 0 },
];
const design = {
  name: '安全社区知晓率调查',
  communities: ['S-01', 'S-02'],
  questions,
  strata: [{ code: 'old-town', population: 12_000 }, { code: 'new-town' }],
  clusters: true,
  weights: true,
};
const designed = { type: 'SurveyDesigned', data: design };
const plain = { type: 'SurveyDesigned', data: { name: '满意度', communities: ['S-01'], domain: 'home', questions } };
const opened = (wave: number, opensOn: string, over: object = {}) => ({
  type: 'SurveyWaveOpened',
  data: { wave, opensOn, ...over },
});
const closed = (wave: number, closedOn: string) => ({ type: 'SurveyWaveClosed', data: { wave, closedOn } });
const response = (id: string, over: object = {}) => ({
  id,
  stratum: 'old-town',
  weight: 12.5,
  cluster: 'h-1',
  community: 'S-01',
  answers: { q1: 'yes', q2: ['rail', 'mat'], q3: 4, q4: 2.5 },
  ...over,
});
const recorded = (wave: number, ...responses: object[]) => ({ type: 'ResponsesRecorded', data: { wave, responses } });
const open = [designed, opened(1, '2025-03-01')];

const surveyGiven = given(survey.decider);
const command = (type: string, data: object): FileCommand => ({ type, data });
const refusal = (events: Parameters<typeof surveyGiven>[0], type: string, data: object) => {
  const decision = survey.decider.decide(command(type, data), surveyGiven(events).state);
  return decision.ok ? undefined : decision.problem;
};
const answering = (answers: object, over: object = {}) => recorded(1, response('r-1', { answers, ...over })).data;

describe('知晓率: a survey is asked in waves', () => {
  it('is designed, opened, answered and closed, and opened again a year later', () => {
    surveyGiven([]).when(command('DesignSurvey', design)).then([designed]);
    surveyGiven([designed]).when(command('OpenWave', open[1]!.data)).then([open[1]!]);
    const batch = recorded(1, response('r-1'), response('r-2', { cluster: undefined, community: undefined, group: 'elderly' }));
    surveyGiven(open).when(command('RecordResponses', batch.data)).then([batch]);
    surveyGiven([...open, batch])
      .when(command('CloseWave', { wave: 1, closedOn: '2025-04-01' }))
      .then([closed(1, '2025-04-01')]);
    const second = opened(2, '2026-03-01', { closesOn: '2026-03-31' });
    surveyGiven([...open, batch, closed(1, '2025-04-01')])
      .when(command('OpenWave', second.data))
      .then([second]);
  });

  it('keeps counts, not responses', () => {
    const { state } = surveyGiven([
      ...open,
      recorded(1, response('r-1'), response('r-2')),
      recorded(1, response('r-3')),
      closed(1, '2025-04-01'),
      opened(2, '2026-03-01'),
    ]);
    expect(state).toEqual({
      state: 'open',
      design,
      waves: [
        { wave: 1, opensOn: '2025-03-01', closedOn: '2025-04-01', received: 3, batches: 2 },
        { wave: 2, opensOn: '2026-03-01', received: 0, batches: 0 },
      ],
    });
  });

  it('a survey without strata, clusters and weights asks for none', () => {
    const simple = recorded(1, { id: '1', answers: { q1: 'no' } }, { id: '2', answers: {} });
    surveyGiven([plain, opened(1, '2025-03-01')])
      .when(command('RecordResponses', simple.data))
      .then([simple]);
  });

  it('is overdue while a wave is open past its end', () => {
    const events = [plain, opened(1, '2025-03-01', { closesOn: '2025-03-31' })];
    expect(survey.facets(surveyGiven(events).state)).toEqual({
      community: 'S-01',
      communities: ['S-01'],
      kind: 'home',
      day: '2025-03-01',
      due: '2025-03-31',
    });
    expect(survey.facets(surveyGiven([...events, closed(1, '2025-04-02')]).state).due).toBeUndefined();
  });

  it('an event holds 500 responses at most', () => {
    const { schema } = survey.events['ResponsesRecorded']!;
    const many = (n: number) => recorded(1, ...Array.from({ length: n }, (_, at) => response(`r-${at}`))).data;
    expect([MOST_RESPONSES, schema.safeParse(many(500)).success, schema.safeParse(many(501)).success]).toEqual([
      500,
      true,
      false,
    ]);
  });

  it('draws itself', () => expect(diagramOf(survey)).toContain('closed --> open: SurveyWaveOpened'));
});

const asking = (over: object) => ({ ...design, questions: [{ ...questions[0], ...over }] });
it.each([
  ['a second design', [designed], 'DesignSurvey', design, 'survey-exists'],
  ['a wave of no survey', [], 'OpenWave', { wave: 1, opensOn: '2025-03-01' }, 'survey-not-found'],
  ['two questions of one code', [], 'DesignSurvey', { ...design, questions: [questions[0], questions[0]] }, 'repeated'],
  ['two strata of one code', [], 'DesignSurvey', { ...design, strata: [{ code: 's' }, { code: 's' }] }, 'repeated'],
  ['a community twice', [], 'DesignSurvey', { ...design, communities: ['S-01', 'S-01'] }, 'repeated'],
  ['two options of one code', [], 'DesignSurvey', asking({ options: [{ code: 'a' }, { code: 'a' }] }), 'repeated'],
  ['a choice of one', [], 'DesignSurvey', asking({ options: [{ code: 'yes' }] }), 'options-missing'],
  ['options of a scale', [], 'DesignSurvey', asking({ type: 'scale', from: 1, to: 5 }), 'options-not-used'],
  ['a scale without ends', [], 'DesignSurvey', asking({ type: 'scale', options: undefined, from: 1 }), 'scale-missing'],
  ['a scale upside down', [], 'DesignSurvey', asking({ type: 'scale', options: undefined, from: 5, to: 1 }), 'scale-missing'],
  ['a correct answer that is none', [], 'DesignSurvey', asking({ correct: ['maybe'] }), 'unknown-option'],
  [
    'a correct point off the scale',
    [],
    'DesignSurvey',
    asking({ type: 'scale', options: undefined, from: 1, to: 5, correct: [6] }),
    'unfit-answer',
  ],
  ['a first wave that is the second', [designed], 'OpenWave', { wave: 2, opensOn: '2025-03-01' }, 'wave-not-next'],
  ['a gap between waves', [...open, closed(1, '2025-04-01')], 'OpenWave', { wave: 3, opensOn: '2026-03-01' }, 'wave-not-next'],
  ['a wave twice', [...open, closed(1, '2025-04-01')], 'OpenWave', { wave: 1, opensOn: '2026-03-01' }, 'wave-not-next'],
  ['a wave beside an open one', open, 'OpenWave', { wave: 2, opensOn: '2025-03-05' }, 'not-allowed-now'],
  [
    'a wave before the last ended',
    [...open, closed(1, '2025-04-01')],
    'OpenWave',
    { wave: 2, opensOn: '2025-03-31' },
    'date-too-early',
  ],
  [
    'a wave that ends before',
    [designed],
    'OpenWave',
    { wave: 1, opensOn: '2025-03-01', closesOn: '2025-02-28' },
    'date-too-early',
  ],
  ['a closure before the opening', open, 'CloseWave', { wave: 1, closedOn: '2025-02-28' }, 'date-too-early'],
  ['the closure of a wave to come', open, 'CloseWave', { wave: 2, closedOn: '2025-04-01' }, 'wave-not-found'],
  ['responses before any wave', [designed], 'RecordResponses', recorded(1, response('r-1')).data, 'not-allowed-now'],
  ['responses to a wave to come', open, 'RecordResponses', recorded(2, response('r-1')).data, 'wave-not-found'],
  [
    'responses to a closed wave',
    [...open, closed(1, '2025-04-01')],
    'RecordResponses',
    recorded(1, response('r-1')).data,
    'not-allowed-now',
  ],
  [
    'responses to a closed wave while another is open',
    [...open, closed(1, '2025-04-01'), opened(2, '2026-03-01')],
    'RecordResponses',
    recorded(1, response('r-1')).data,
    'not-allowed-now',
  ],
  ['an id twice in a batch', open, 'RecordResponses', recorded(1, response('r-1'), response('r-1')).data, 'repeated'],
  ['an unknown question', open, 'RecordResponses', answering({ q9: 'yes' }), 'unknown-question'],
  ['an unknown option', open, 'RecordResponses', answering({ q1: 'perhaps' }), 'unknown-option'],
  ['an unknown one of several options', open, 'RecordResponses', answering({ q2: ['rail', 'maat'] }), 'unknown-option'],
  ['one option twice', open, 'RecordResponses', answering({ q2: ['rail', 'rail'] }), 'repeated'],
  ['several answers to a single choice', open, 'RecordResponses', answering({ q1: ['yes'] }), 'unfit-answer'],
  ['one answer to a multiple choice', open, 'RecordResponses', answering({ q2: 'rail' }), 'unfit-answer'],
  ['half a point', open, 'RecordResponses', answering({ q3: 3.5 }), 'unfit-answer'],
  ['a point off the scale', open, 'RecordResponses', answering({ q3: 6 }), 'unfit-answer'],
  ['a word for a number', open, 'RecordResponses', answering({ q4: 'often' }), 'unfit-answer'],
  ['a number below its range', open, 'RecordResponses', answering({ q4: -1 }), 'unfit-answer'],
  ['an unknown stratum', open, 'RecordResponses', answering({}, { stratum: 'old-twon' }), 'unknown-stratum'],
  ['a missing stratum', open, 'RecordResponses', answering({}, { stratum: undefined }), 'stratum-missing'],
  ['a missing weight', open, 'RecordResponses', answering({}, { weight: undefined }), 'weight-missing'],
  ['an unknown community', open, 'RecordResponses', answering({}, { community: 'S-03' }), 'unknown-community'],
])('refuses %s', (_, events, type, data, code) => surveyGiven(events).when(command(type, data)).thenRefused(code));

it.each([
  ['stratum', { stratum: 'old-town' }, 'stratum-not-designed'],
  ['cluster', { cluster: 'h-1' }, 'cluster-not-designed'],
  ['weight', { weight: 2 }, 'weight-not-designed'],
])('refuses a %s that the design has not', (_, over, code) =>
  surveyGiven([plain, opened(1, '2025-03-01')])
    .when(command('RecordResponses', { wave: 1, responses: [{ id: 'r-1', answers: {}, ...over }] }))
    .thenRefused(code),
);

describe('a refusal', () => {
  it('names the response, the question and the nearest option', () =>
    expect(
      refusal(open, 'RecordResponses', recorded(1, response('r-1'), response('r-77', { answers: { q2: ['rial'] } })).data),
    ).toMatchObject({
      pointer: '/responses/1/answers/q2/0',
      value: 'rial',
      allowed: ['rail', 'mat', 'none'],
      suggestion: 'rail',
      detail: { en: expect.stringContaining('response 2 (r-77)') },
    }));
  it('names the nearest question and stratum', () => {
    expect(refusal(open, 'RecordResponses', answering({ q11: 'yes' }))).toMatchObject({ suggestion: 'q1' });
    expect(refusal(open, 'RecordResponses', answering({}, { stratum: 'old-twon' }))).toMatchObject({ suggestion: 'old-town' });
  });
  it('names the next wave, and the open one', () => {
    expect(refusal([designed], 'OpenWave', { wave: 7, opensOn: '2025-03-01' })).toMatchObject({ allowed: ['1'] });
    expect(refusal([...open, closed(1, '2025-04-01'), opened(2, '2026-03-01')], 'RecordResponses', answering({}))).toMatchObject({
      allowed: ['2'],
    });
  });
});
