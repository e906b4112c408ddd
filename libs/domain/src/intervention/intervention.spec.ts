import { given } from '@vigil/testing';
import { diagramOf, type FileCommand } from '../case-file';
import { intervention } from './intervention';

const designed = {
  type: 'InterventionDesigned',
  data: {
    name: '居家老人防跌倒',
    domain: 'elderly',
    targetGroup: '65 岁及以上居家老人',
    outcomes: ['INC-04', 'AWR-04'],
    units: ['S-01', 'S-02', 'S-03'],
    comparison: ['S-08', 'S-09'],
    washOutMonths: 3,
  },
};
const piloted = { type: 'PilotSiteSelected', data: { unit: 'S-01', reason: '老年人口最多' } };
const started = { type: 'InterventionStarted', data: { unit: 'S-01', startedOn: '2024-01-31' } };
const rolledOut = { type: 'InterventionRolledOut', data: { units: ['S-02', 'S-03'], startedOn: '2024-09-01' } };
const effect = {
  dx: 'INC-04',
  method: 'did',
  measure: 'ratio',
  estimate: 0.78,
  interval: { level: 95, low: 0.64, high: 0.95 },
  measuredAt: '2024-12-31',
};
const recorded = { type: 'EffectRecorded', data: effect };
const sustained = (months: number, measuredAt: string, over: object = {}) => ({
  type: 'InterventionSustained',
  data: { ...effect, months, measuredAt, ...over },
});
const training = { kind: 'training', setting: 'community', heldOn: '2024-03-05' };
const held = (data: object) => ({ type: 'ActivityHeld', data });
const pilotRuns = [designed, piloted, started];

const interventionGiven = given(intervention.decider);
const command = (type: string, data: object): FileCommand => ({ type, data });
const refusal = (events: Parameters<typeof interventionGiven>[0], type: string, data: object) => {
  const decision = intervention.decider.decide(command(type, data), interventionGiven(events).state);
  return decision.ok ? undefined : decision.problem;
};

describe('试点先行、以点带面: a project is piloted, then rolled out', () => {
  it('is designed, piloted, started, rolled out, measured and closed', () => {
    interventionGiven([]).when(command('DesignIntervention', designed.data)).then([designed]);
    interventionGiven([designed]).when(command('SelectPilotSite', piloted.data)).then([piloted]);
    interventionGiven([designed, piloted]).when(command('StartIntervention', started.data)).then([started]);
    interventionGiven(pilotRuns).when(command('RollOut', rolledOut.data)).then([rolledOut]);
    interventionGiven([...pilotRuns, rolledOut])
      .when(command('RecordEffect', effect))
      .then([recorded]);
    const closed = { type: 'InterventionClosed', data: { closedOn: '2025-01-10' } };
    interventionGiven([...pilotRuns, rolledOut, recorded])
      .when(command('CloseIntervention', closed.data))
      .then([closed]);
    expect(interventionGiven([...pilotRuns, rolledOut, recorded, closed]).state).toMatchObject({
      state: 'closed',
      starts: { 'S-01': '2024-01-31', 'S-02': '2024-09-01', 'S-03': '2024-09-01' },
      rolledOut: ['S-02', 'S-03'],
      closedOn: '2025-01-10',
    });
  });

  it('starts are staggered, one per unit', () => {
    const second = { type: 'InterventionStarted', data: { unit: 'S-02', startedOn: '2024-05-01' } };
    interventionGiven(pilotRuns).when(command('StartIntervention', second.data)).then([second]);
    expect(intervention.facets(interventionGiven([...pilotRuns, second]).state)).toEqual({
      community: undefined,
      communities: ['S-01', 'S-02', 'S-03'],
      kind: 'elderly',
      day: '2024-01-31',
    });
  });

  it('a roll-out may take in further communities, the comparison units too; the start says until when they compare', () => {
    const wider = { type: 'InterventionRolledOut', data: { units: ['S-05', 'S-08'], startedOn: '2025-01-01' } };
    interventionGiven(pilotRuns).when(command('RollOut', wider.data)).then([wider]);
    expect(interventionGiven([...pilotRuns, wider]).state.starts).toMatchObject({ 'S-08': '2025-01-01' });
    interventionGiven([...pilotRuns, wider])
      .when(command('HoldActivity', { ...training, unit: 'S-05' }))
      .then([held({ ...training, unit: 'S-05' })]);
  });

  it('of a project in one community that is where it is listed', () =>
    expect(
      intervention.facets(interventionGiven([{ ...designed, data: { ...designed.data, units: ['S-01'] } }]).state).community,
    ).toBe('S-01'));

  it('draws itself', () => expect(diagramOf(intervention)).toContain('started --> rolled-out: InterventionRolledOut'));
});

describe('培训、演练、五进、责任状: activities', () => {
  const events = [
    designed,
    held({ ...training, attendance: [{ group: 'elderly', persons: 80, expected: 100 }] }),
    held({ ...training, setting: 'household', attendance: [{ group: 'elderly', persons: 12 }] }),
    held({ kind: 'joint-meeting', heldOn: '2024-03-10', organisations: ['O-CIVIL', 'O-HEALTH'] }),
    held({
      kind: 'pledge',
      setting: 'enterprise',
      heldOn: '2024-04-01',
      pledges: [
        { count: 40, expiresOn: '2025-03-31' },
        { count: 1, expiresOn: '2025-03-31', signedBy: '某家政公司' },
      ],
    }),
  ];

  it('are counted by kind, setting and group, pledges by the day they run out', () =>
    expect(interventionGiven(events).state.activities).toEqual({
      kinds: { training: 2, 'joint-meeting': 1, pledge: 1 },
      settings: { community: 1, household: 1, enterprise: 1 },
      attendance: { elderly: 92 },
      pledges: { '2025-03-31': 41 },
    }));

  it('a group may be called anything', () =>
    expect(
      interventionGiven([designed, held({ ...training, attendance: [{ group: 'constructor', persons: 3 }] })]).state.activities,
    ).toMatchObject({ attendance: { constructor: 3 } }));
});

describe('长效机制: the effect is measured again at 12 and 24 months', () => {
  const running = [...pilotRuns, rolledOut, recorded];

  it.each([
    [12, '2025-01-31', {}],
    [24, '2026-01-31', {}],
    [12, '2025-09-01', { unit: 'S-02' }],
  ])('at %d months, on %s', (months, measuredAt, over) => {
    const again = sustained(months, measuredAt, over);
    interventionGiven(running).when(command('SustainIntervention', again.data)).then([again]);
  });

  it('counts months by the calendar: a year after 29 February is 28 February', () => {
    const leap = [designed, { type: 'InterventionStarted', data: { unit: 'S-01', startedOn: '2024-02-29' } }];
    expect(refusal(leap, 'SustainIntervention', sustained(12, '2025-02-27').data)).toMatchObject({ code: 'date-too-early' });
    interventionGiven(leap)
      .when(command('SustainIntervention', sustained(12, '2025-02-28').data))
      .then([sustained(12, '2025-02-28')]);
  });

  it('is an effect, so that the project may be closed', () =>
    interventionGiven([...pilotRuns, sustained(12, '2025-02-01')])
      .when(command('CloseIntervention', { closedOn: '2025-03-01' }))
      .then([{ type: 'InterventionClosed', data: { closedOn: '2025-03-01' } }]));
});

it.each([
  ['an activity of no project', [], 'HoldActivity', training, 'intervention-not-found'],
  ['a second design', [designed], 'DesignIntervention', designed.data, 'intervention-exists'],
  ['a unit that is compared with', [], 'DesignIntervention', { ...designed.data, comparison: ['S-03'] }, 'compared-with-itself'],
  ['a unit named twice', [], 'DesignIntervention', { ...designed.data, units: ['S-01', 'S-01'] }, 'repeated'],
  ['an outcome named twice', [], 'DesignIntervention', { ...designed.data, outcomes: ['INC-04', 'INC-04'] }, 'repeated'],
  ['a comparison named twice', [], 'DesignIntervention', { ...designed.data, comparison: ['S-8', 'S-8'] }, 'repeated'],
  ['a pilot outside the design', [designed], 'SelectPilotSite', { unit: 'S-08', reason: 'r' }, 'unknown-unit'],
  ['a pilot twice', [designed, piloted], 'SelectPilotSite', piloted.data, 'repeated'],
  ['a pilot that runs already', [designed, started], 'SelectPilotSite', piloted.data, 'already-started'],
  ['a start outside the design', [designed], 'StartIntervention', { unit: 'S-09', startedOn: '2024-01-01' }, 'unknown-unit'],
  ['a second start of a unit', pilotRuns, 'StartIntervention', { unit: 'S-01', startedOn: '2024-06-01' }, 'already-started'],
  ['a roll-out without a pilot', [designed, started], 'RollOut', rolledOut.data, 'pilot-missing'],
  [
    'a roll-out before the pilot has started',
    [designed, piloted, { type: 'InterventionStarted', data: { unit: 'S-02', startedOn: '2024-01-01' } }],
    'RollOut',
    rolledOut.data,
    'pilot-missing',
  ],
  ['a roll-out of what has not started', [designed, piloted], 'RollOut', rolledOut.data, 'not-allowed-now'],
  ['a roll-out dated before the pilot', pilotRuns, 'RollOut', { ...rolledOut.data, startedOn: '2024-01-30' }, 'date-too-early'],
  ['a roll-out to where it runs', pilotRuns, 'RollOut', { ...rolledOut.data, units: ['S-02', 'S-01'] }, 'already-started'],
  ['a roll-out to one unit twice', pilotRuns, 'RollOut', { ...rolledOut.data, units: ['S-02', 'S-02'] }, 'repeated'],
  ['an activity in a comparison unit', [designed], 'HoldActivity', { ...training, unit: 'S-08' }, 'unknown-unit'],
  ['a training that entered nowhere', [designed], 'HoldActivity', { kind: 'training', heldOn: '2024-03-05' }, 'setting-missing'],
  [
    'a group that attended twice',
    [designed],
    'HoldActivity',
    { ...training, attendance: [1, 2].map((persons) => ({ group: 'elderly', persons })) },
    'repeated',
  ],
  ['pledges of a training', [designed], 'HoldActivity', { ...training, pledges: [] }, 'pledges-and-kind'],
  ['a pledge without pledges', [designed], 'HoldActivity', { ...training, kind: 'pledge' }, 'pledges-and-kind'],
  [
    'a pledge that has run out',
    [designed],
    'HoldActivity',
    { ...training, kind: 'pledge', pledges: [{ count: 1, expiresOn: '2024-03-05' }] },
    'expired-pledge',
  ],
  ['an effect before any start', [designed], 'RecordEffect', effect, 'not-allowed-now'],
  ['an effect on another indicator', pilotRuns, 'RecordEffect', { ...effect, dx: 'INC-05' }, 'unknown-outcome'],
  ['an estimate outside its interval', pilotRuns, 'RecordEffect', { ...effect, estimate: 1.2 }, 'interval-without-estimate'],
  ['an effect within the wash-out', pilotRuns, 'RecordEffect', { ...effect, measuredAt: '2024-04-29' }, 'date-too-early'],
  ['12 months too early', pilotRuns, 'SustainIntervention', sustained(12, '2025-01-30').data, 'date-too-early'],
  ['24 months too early', pilotRuns, 'SustainIntervention', sustained(24, '2026-01-30').data, 'date-too-early'],
  [
    "12 months of another unit's start",
    [...pilotRuns, rolledOut],
    'SustainIntervention',
    sustained(12, '2025-02-01', { unit: 'S-02' }).data,
    'date-too-early',
  ],
  [
    'a unit that has not started',
    pilotRuns,
    'SustainIntervention',
    sustained(12, '2025-02-01', { unit: 'S-02' }).data,
    'unknown-unit',
  ],
  [
    'the same re-measurement twice',
    [...pilotRuns, sustained(12, '2025-02-01')],
    'SustainIntervention',
    sustained(12, '2025-02-02').data,
    'repeated',
  ],
  [
    'a re-measurement of another indicator',
    pilotRuns,
    'SustainIntervention',
    sustained(12, '2025-02-01', { dx: 'INC-05' }).data,
    'unknown-outcome',
  ],
  ['a closure without an effect', pilotRuns, 'CloseIntervention', { closedOn: '2025-01-01' }, 'not-ready-to-close'],
  [
    'a closure before the measurement',
    [...pilotRuns, recorded],
    'CloseIntervention',
    { closedOn: '2024-12-30' },
    'date-too-early',
  ],
  [
    'anything after its closure',
    [...pilotRuns, recorded, { type: 'InterventionClosed', data: { closedOn: '2025-01-10' } }],
    'HoldActivity',
    training,
    'not-allowed-now',
  ],
])('refuses %s', (_, events, type, data, code) => interventionGiven(events).when(command(type, data)).thenRefused(code));

describe('a refusal says what would be allowed', () => {
  it('the nearest outcome', () =>
    expect(refusal(pilotRuns, 'RecordEffect', { ...effect, dx: 'INC-40' })).toMatchObject({
      pointer: '/dx',
      allowed: ['INC-04', 'AWR-04'],
      suggestion: 'INC-04',
    }));
  it('the units that have not started', () =>
    expect(refusal(pilotRuns, 'StartIntervention', started.data)).toMatchObject({ allowed: ['S-02', 'S-03'] }));
  it('what a closure lacks', () => {
    expect(refusal([designed], 'CloseIntervention', { closedOn: '2025-01-01' })).toMatchObject({
      allowed: ['starts', 'effects'],
    });
    expect(refusal(pilotRuns, 'CloseIntervention', { closedOn: '2025-01-01' })).toMatchObject({ allowed: ['effects'] });
  });
  it('the pilots that should start first', () => {
    expect(refusal([designed, started], 'RollOut', rolledOut.data)).toMatchObject({ allowed: ['pilot-sites'] });
    const other = { type: 'InterventionStarted', data: { unit: 'S-02', startedOn: '2024-01-01' } };
    expect(refusal([designed, piloted, other], 'RollOut', rolledOut.data)).toMatchObject({ allowed: ['S-01'] });
  });
});
