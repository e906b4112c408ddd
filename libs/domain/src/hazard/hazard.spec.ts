import { given } from '@vigil/testing';
import { diagramOf, type FileCommand } from '../case-file';
import { hazard } from './hazard';

const identified = {
  type: 'HazardIdentified',
  data: { community: 'S-01', domain: 'fire', description: '出租屋疏散通道堆放杂物', identifiedAt: '2026-03-02' },
};
const ordered = { type: 'RectificationOrdered', data: { responsible: '房东', deadline: '2026-03-16' } };
const completed = { type: 'RectificationCompleted', data: { completedAt: '2026-03-20' } };
const passed = { type: 'RectificationVerified', data: { result: 'passed', verifiedAt: '2026-03-22' } };
const reopened = { type: 'HazardReopened', data: { reason: '杂物又堆上了' } };
const hazardGiven = given(hazard.decider);
const command = (type: string, data: object): FileCommand => ({ type, data });

describe('a hazard', () => {
  it('is found, classified, ordered, extended, rectified and verified', () => {
    hazardGiven([]).when(command('IdentifyHazard', identified.data)).then([identified]);
    hazardGiven([identified])
      .when(command('ClassifyHazard', { level: 'major' }))
      .then([{ type: 'HazardClassified', data: { level: 'major' } }]);
    hazardGiven([identified]).when(command('OrderRectification', ordered.data)).then([ordered]);
    hazardGiven([identified, ordered]).when(command('CompleteRectification', completed.data)).then([completed]);
    hazardGiven([identified, ordered, completed]).when(command('VerifyRectification', passed.data)).then([passed]);
    expect(hazardGiven([identified, ordered, completed, passed]).state).toMatchObject({
      state: 'verified',
      originalDeadline: '2026-03-16',
    });
  });

  it('keeps its original deadline through extensions, rejections, reopenings and new orders', () => {
    const events = [
      identified,
      ordered,
      { type: 'DeadlineExtended', data: { deadline: '2026-04-01', reason: '节假日' } },
      completed,
      { type: 'RectificationRejected', data: { result: 'rejected', verifiedAt: '2026-03-21' } },
      completed,
      passed,
      reopened,
      { type: 'RectificationOrdered', data: { responsible: '房东', deadline: '2026-06-01' } },
    ];
    expect(hazardGiven(events).state).toMatchObject({
      state: 'ordered',
      deadline: '2026-06-01',
      originalDeadline: '2026-03-16',
      extensions: 1,
      rejections: 1,
      reopenings: 1,
    });
  });

  it('rectified on the spot needs no order', () =>
    hazardGiven([identified])
      .when(command('CompleteRectification', { completedAt: '2026-03-02' }))
      .then([{ type: 'RectificationCompleted', data: { completedAt: '2026-03-02' } }]));

  it.each([
    [
      'an order before it was found',
      [identified],
      'OrderRectification',
      { responsible: 'x', deadline: '2026-03-01' },
      'date-too-early',
    ],
    [
      'an extension that is none',
      [identified, ordered],
      'ExtendDeadline',
      { deadline: '2026-03-16', reason: 'r' },
      'not-an-extension',
    ],
    [
      'a completion before it was found',
      [identified, ordered],
      'CompleteRectification',
      { completedAt: '2026-03-01' },
      'date-too-early',
    ],
    [
      'a verification before completion',
      [identified, ordered, completed],
      'VerifyRectification',
      { result: 'passed', verifiedAt: '2026-03-19' },
      'date-too-early',
    ],
    ['a verification of nothing done', [identified, ordered], 'VerifyRectification', passed.data, 'not-allowed-now'],
    ['an extension without an order', [identified], 'ExtendDeadline', { deadline: '2027-01-01', reason: 'r' }, 'not-allowed-now'],
    ['a reopening of what is open', [identified], 'ReopenHazard', { reason: 'r' }, 'not-allowed-now'],
    [
      'anything after its withdrawal',
      [identified, { type: 'HazardWithdrawn', data: { reason: 'r' } }],
      'OrderRectification',
      ordered.data,
      'not-allowed-now',
    ],
    ['a second identification', [identified], 'IdentifyHazard', identified.data, 'hazard-exists'],
    ['anything about what is not there', [], 'ClassifyHazard', { level: 'major' }, 'hazard-not-found'],
  ])('refuses %s', (_, events, type, data, code) => hazardGiven(events).when(command(type, data)).thenRefused(code));

  it('says what would be allowed', () => {
    const decision = hazard.decider.decide(
      command('ReopenHazard', { reason: 'r' }),
      hazardGiven([identified, ordered, completed]).state,
    );
    expect(decision).toMatchObject({
      ok: false,
      problem: { value: 'rectified', allowed: ['classification', 'verifications', 'withdrawal', 'supervision-listings'] },
    });
  });

  it('is overdue by its deadline only while an order stands', () => {
    expect(hazard.facets(hazardGiven([identified, ordered]).state).due).toBe('2026-03-16');
    expect(hazard.facets(hazardGiven([identified, ordered, completed]).state).due).toBeUndefined();
  });

  it('draws itself', () => expect(diagramOf(hazard)).toContain('rectified --> verified: RectificationVerified'));
});
