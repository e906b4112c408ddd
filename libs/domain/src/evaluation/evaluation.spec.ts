import { given } from '@vigil/testing';
import { criteriaSet, judgedCriteria, type CriteriaSet } from '@vigil/vocabulary';
import { diagramOf, type FileCommand } from '../case-file';
import { evaluation } from './evaluation';

const opened = {
  type: 'CycleOpened',
  data: { criteriaSet: 'CN-SITE-TRIAL', communities: ['S-01', 'S-02'], period: '2026', openedOn: '2027-01-10' },
};
const twelve = {
  type: 'CycleOpened',
  data: { criteriaSet: 'AQT-9001-2006', communities: ['S-01'], period: '2026-04-01/2027-03-31' },
};
const target = (over: object = {}) => ({
  type: 'TargetSet',
  data: { dx: 'INC-04', value: 12, direction: 'at-most', baseline: 15.2, ...over },
});
const judged = (criterion: string, over: object = {}) => ({
  type: 'CriterionJudged',
  data: {
    criterion,
    exists: 'yes',
    traced: 'mostly',
    effective: 'partly',
    evidence: [{ kind: 'query', query: '/hazards?state=verified&community=S-01', asOfPosition: 812 }],
    judgedBy: '评定组',
    ...over,
  },
});
const found = (over: object = {}) => ({
  type: 'FindingRaised',
  data: { finding: 'F-2026-1', criterion: '8.2', text: '两处重大隐患逾期未改', severity: 'major', ...over },
});
const assigned = (over: object = {}) => ({
  type: 'CorrectiveActionAssigned',
  data: {
    action: 'A-2026-1',
    finding: 'F-2026-1',
    text: '挂牌督办并限期整改',
    responsible: '安监科',
    deadline: '2027-03-01',
    ...over,
  },
});
const completed = { type: 'CorrectiveActionCompleted', data: { action: 'A-2026-1', completedOn: '2027-02-20' } };
const verified = { type: 'CorrectiveActionVerified', data: { action: 'A-2026-1', verifiedOn: '2027-02-25' } };
const closed = (over: object = {}) => ({ type: 'CycleClosed', data: { closedOn: '2027-03-05', ...over } });

const evaluationGiven = given(evaluation.decider);
const command = (type: string, data: object): FileCommand => ({ type, data });
const refusal = (events: Parameters<typeof evaluationGiven>[0], type: string, data: object) => {
  const decision = evaluation.decider.decide(command(type, data), evaluationGiven(events).state);
  return decision.ok ? undefined : decision.problem;
};
const derived = (events: Parameters<typeof evaluationGiven>[0]) => evaluation.derived!(evaluationGiven(events).state);

describe('动态评估、持续改进: a cycle from its targets to verified corrective actions', () => {
  it('is opened, judged, answered and closed', () => {
    const story = [opened, target(), judged('8.2'), found(), assigned(), completed, verified, closed()];
    const commands = [
      'OpenCycle',
      'SetTarget',
      'JudgeCriterion',
      'RaiseFinding',
      'AssignAction',
      'CompleteAction',
      'VerifyAction',
      'CloseCycle',
    ];
    for (const [at, event] of story.entries())
      evaluationGiven(story.slice(0, at)).when(command(commands[at]!, event.data)).then([event]);
    const { state } = evaluationGiven(story);
    expect(state).toMatchObject({
      state: 'closed',
      criteriaSet: 'CN-SITE-TRIAL',
      period: '2026',
      findings: [{ id: 'F-2026-1', severity: 'major' }],
      actions: [{ id: 'A-2026-1', finding: 'F-2026-1', completedOn: '2027-02-20', verifiedOn: '2027-02-25' }],
      closedOn: '2027-03-05',
    });
    expect(state.carriedOver).toBeUndefined();
  });

  it('a target that is set again keeps what was aimed at first', () =>
    expect(
      evaluationGiven([opened, target(), target({ value: 14 }), target({ value: 15 }), target({ community: 'S-02' })]).state
        .targets,
    ).toEqual([
      { ...target().data, value: 15, original: 12 },
      { ...target().data, community: 'S-02' },
    ]));

  it('the last judgement of a criterion stands', () =>
    expect(
      evaluationGiven([opened, judged('1.1'), judged('1.2'), judged('1.1', { effective: 'yes' })]).state.judgements,
    ).toMatchObject([
      { criterion: '1.2', effective: 'partly' },
      { criterion: '1.1', effective: 'yes' },
    ]));

  it('adds up the points of the site table, and tells the outcome once all fifty are judged', () => {
    expect(derived([opened, judged('1.1'), judged('1.2', { score: 1.86 })])).toEqual({
      judged: { criteria: 2, of: 50 },
      score: { points: 3.72, of: 150 },
      open: { findings: [], actions: [] },
    });
    const all = judgedCriteria(criteriaSet('CN-SITE-TRIAL') as CriteriaSet).map(({ code }) =>
      judged(code, { effective: 'mostly' }),
    );
    expect(derived([opened, ...all])['score']).toEqual({ points: 117, of: 150, outcome: 'passed' });
    const without = all.map((event) =>
      event.data.criterion === '7.3' ? judged('7.3', { exists: 'no', traced: 'no', effective: 'no', evidence: [] }) : event,
    );
    expect(derived([opened, ...without])['score']).toMatchObject({ outcome: 'failed' });
  });

  it('a set without points is judged without a score', () =>
    expect(derived([twelve, judged('3')])).toEqual({ judged: { criteria: 1, of: 12 }, open: { findings: [], actions: [] } }));

  it('findings and actions without a number get the next free one', () => {
    const events = [
      opened,
      found({ finding: 'F-2' }),
      found({ finding: undefined }),
      found({ finding: 7 }),
      assigned({ action: undefined, finding: 7 }),
      assigned({ action: undefined, finding: undefined, alert: 'ears-2027-02' }),
    ];
    expect(evaluationGiven(events).state).toMatchObject({
      findings: [{ id: 'F-2' }, { id: 'F-3' }, { id: '7' }],
      actions: [
        { id: 'A-1', finding: '7' },
        { id: 'A-2', alert: 'ears-2027-02' },
      ],
    });
  });

  it('is overdue by the first deadline of an action that is not completed', () => {
    const events = [
      twelve,
      assigned({ finding: undefined }),
      assigned({ action: 2, finding: undefined, deadline: '2027-02-01' }),
    ];
    expect(evaluation.facets(evaluationGiven(events).state)).toEqual({
      community: 'S-01',
      communities: ['S-01'],
      kind: 'AQT-9001-2006',
      day: '2026-04-01',
      due: '2027-02-01',
    });
    expect(evaluation.facets(evaluationGiven([twelve, assigned({ finding: undefined }), completed]).state).due).toBeUndefined();
  });

  it('draws itself', () => expect(diagramOf(evaluation)).toContain('open --> closed: CycleClosed'));
});

describe('what is open when a cycle is closed', () => {
  const half = [
    opened,
    found(),
    found({ finding: 'F-2026-2' }),
    found({ finding: 'F-2026-3', severity: 'observation' }),
    assigned(),
  ];

  it('is named, and carried over with a reason', () => {
    expect(refusal(half, 'CloseCycle', closed().data)).toMatchObject({
      code: 'open-items',
      allowed: ['F-2026-1', 'F-2026-2', 'A-2026-1'],
    });
    const carried = closed({ reason: '资金次年到位' });
    evaluationGiven(half).when(command('CloseCycle', carried.data)).then([carried]);
    expect(evaluationGiven([...half, carried]).state.carriedOver).toEqual({
      findings: ['F-2026-1', 'F-2026-2'],
      actions: ['A-2026-1'],
      reason: '资金次年到位',
    });
  });

  it('goes on: a carried-over action is completed and verified after the closure', () => {
    const after = [...half, closed({ reason: 'r' })];
    evaluationGiven(after).when(command('CompleteAction', completed.data)).then([completed]);
    evaluationGiven([...after, completed])
      .when(command('VerifyAction', verified.data))
      .then([verified]);
  });

  it('a finding without an action is open, one whose actions are all verified is not, an observation never', () => {
    const more = [...half, completed, verified, assigned({ action: 'A-2026-2' })];
    expect(derived(more)['open']).toEqual({ findings: ['F-2026-1', 'F-2026-2'], actions: ['A-2026-2'] });
    expect(derived([...half, completed, verified])['open']).toEqual({ findings: ['F-2026-2'], actions: [] });
  });
});

it.each([
  ['a criteria set that is not there', [], 'OpenCycle', { ...opened.data, criteriaSet: 'ISCCC-8' }, 'unknown-criteria-set'],
  ['a community twice', [], 'OpenCycle', { ...opened.data, communities: ['S-01', 'S-01'] }, 'repeated'],
  ['a second opening', [opened], 'OpenCycle', opened.data, 'evaluation-exists'],
  ['anything about no cycle', [], 'SetTarget', target().data, 'evaluation-not-found'],
  ['a target of nothing', [opened], 'SetTarget', target({ dx: undefined }).data, 'target-of-what'],
  ['a target of both', [opened], 'SetTarget', target({ criterion: '1.1' }).data, 'target-of-what'],
  ['a target of no criterion', [opened], 'SetTarget', target({ dx: undefined, criterion: '13' }).data, 'unknown-criterion'],
  ['a target elsewhere', [opened], 'SetTarget', target({ community: 'S-03' }).data, 'unknown-community'],
  ['an unknown criterion', [opened], 'JudgeCriterion', judged('1.6').data, 'unknown-criterion'],
  ['a first level that has a second', [opened], 'JudgeCriterion', judged('5').data, 'judged-by-its-parts'],
  ['a trace without evidence', [opened], 'JudgeCriterion', judged('1.1', { evidence: [] }).data, 'evidence-missing'],
  ['a score that the grades do not earn', [opened], 'JudgeCriterion', judged('1.1', { score: 3 }).data, 'score-differs'],
  ['a score of a set without points', [twelve], 'JudgeCriterion', judged('1', { score: 3 }).data, 'score-without-points'],
  ['a finding twice', [opened, found()], 'RaiseFinding', found().data, 'finding-exists'],
  ['a finding on no criterion', [opened], 'RaiseFinding', found({ criterion: '0' }).data, 'unknown-criterion'],
  ['an action twice', [opened, found(), assigned()], 'AssignAction', assigned().data, 'action-exists'],
  ['an action for no finding', [opened], 'AssignAction', assigned().data, 'unknown-finding'],
  ['the completion of no action', [opened, found()], 'CompleteAction', completed.data, 'action-not-found'],
  ['the verification of no action', [opened], 'VerifyAction', verified.data, 'action-not-found'],
  ['a verification before the completion', [opened, found(), assigned()], 'VerifyAction', verified.data, 'not-allowed-now'],
  [
    'a verification dated before the completion',
    [opened, found(), assigned(), completed],
    'VerifyAction',
    { action: 'A-2026-1', verifiedOn: '2027-02-19' },
    'date-too-early',
  ],
  ['a second verification', [opened, found(), assigned(), completed, verified], 'VerifyAction', verified.data, 'not-allowed-now'],
  [
    'a completion after it',
    [opened, found(), assigned(), completed, verified],
    'CompleteAction',
    completed.data,
    'not-allowed-now',
  ],
  ['a closure with an open finding', [opened, found()], 'CloseCycle', closed().data, 'open-items'],
  ['a closure with an open action', [opened, assigned({ finding: undefined })], 'CloseCycle', closed().data, 'open-items'],
  ['a closure before the opening', [opened], 'CloseCycle', { closedOn: '2027-01-09' }, 'date-too-early'],
  ['a judgement after the closure', [opened, closed()], 'JudgeCriterion', judged('1.1').data, 'not-allowed-now'],
])('refuses %s', (_, events, type, data, code) => evaluationGiven(events).when(command(type, data)).thenRefused(code));

describe('a refusal names the nearest', () => {
  it('criteria set', () =>
    expect(refusal([], 'OpenCycle', { ...opened.data, criteriaSet: 'AQT-9001-2016' })).toMatchObject({
      pointer: '/criteriaSet',
      suggestion: 'AQT-9001-2006',
    }));
  it('criterion, and those below a first level', () => {
    expect(refusal([opened], 'JudgeCriterion', judged('8.22').data)).toMatchObject({
      suggestion: '8.2',
    });
    expect(refusal([opened], 'JudgeCriterion', judged('10').data)).toMatchObject({ allowed: ['10.1', '10.2'] });
  });
  it('corrective action', () =>
    expect(refusal([opened, found(), assigned()], 'CompleteAction', { ...completed.data, action: 'A-2026-2' })).toMatchObject({
      suggestion: 'A-2026-1',
    }));
});

it.each([
  ['2026', true],
  ['2026-S1', true],
  ['2026-04-01/2027-03-31', true],
  ['LAST_YEAR', false],
  ['next year', false],
])('%s is a period to evaluate: %s', (period, fits) =>
  expect(evaluation.events['CycleOpened']!.schema.safeParse({ ...opened.data, period }).success).toBe(fits),
);

it.each([
  [{ kind: 'query', query: '/observations?dimension=dx:INC-04&dimension=pe:2026' }, true],
  [{ kind: 'query', query: 'https://elsewhere.example/' }, false],
  [{ kind: 'file-hash', title: '会议纪要', sha256: 'a'.repeat(64) }, true],
  [{ kind: 'file-hash', title: '会议纪要', sha256: 'abc' }, false],
  [{ kind: 'aggregate', register: 'hazard', id: 'h-1' }, true],
  [{ kind: 'hearsay' }, false],
])('%j is evidence: %s', (one, fits) =>
  expect(evaluation.events['CriterionJudged']!.schema.safeParse(judged('1.1', { evidence: [one] }).data).success).toBe(fits),
);
