import { given } from '@vigil/testing';
import { diagramOf, type FileCommand } from '../case-file';
import { summaryOf, type Casualty } from './casualty';
import { incident } from './incident';
import { INCIDENT_KINDS } from './report';

const INJURY = '2d42f69c-8eb0-8a29-89ee-aedfd23d110c';
const OTHER = '6a1c2b53-0b3f-8c11-8a5e-0d4b8f1f2c10';
const reported = (data: object) => ({
  type: 'IncidentReported',
  data: { community: 'S-01', knownAt: '2026-03-02T09:10:00+08:00', occurredAt: '2026-03-02T08:40:00+08:00', ...data },
});
const crash = reported({
  kind: 'crash',
  vehicles: [
    { id: 'v1', type: 'truck' },
    { id: 'v2', type: 'e-bike' },
  ],
  casualties: [
    { id: 'c1', role: 'rider', vehicle: 'v2', severity: { scale: 'GA16', value: 'severe' }, age: { value: 71, unit: 'year' } },
    { id: 'c2', role: 'driver', vehicle: 'v1', severity: { scale: 'GA16', value: 'none' } },
  ],
});
const fire = reported({ kind: 'fire', cause: 'electrical', losses: { yuan: 18_000, households: 2 } });
const dispute = reported({ kind: 'dispute', matter: 'rent', parties: 2, occurredAt: '2026-01-10', knownAt: '2026-01-12' });
const corrected = (replaces: object) => ({ type: 'IncidentCorrected', data: { replaces, reason: '复核' } });
const attached = (injuryId: string, casualtyId?: string) => ({
  type: 'InjuryAttachedToIncident',
  data: { injuryId, ...(casualtyId && { casualtyId }) },
});
const detached = (injuryId: string) => ({ type: 'InjuryDetachedFromIncident', data: { injuryId, reason: '另一起' } });
const mediated = (outcome: string, on = '2026-02-01') => ({ type: 'DisputeMediated', data: { outcome, on, by: 'O-MEDIATION' } });
const escalated = (on = '2026-03-01') => ({
  type: 'DisputeEscalated',
  data: { to: '桥北派出所', on, reason: '动手伤人', nature: 'criminal' },
});
const retracted = { type: 'IncidentRetracted', data: { reason: '重复上报' } };
type Event = { type: string; data: object };
const incidentGiven = given(incident.decider);
const command = (type: string, data: object): FileCommand => ({ type, data });
const reportAfter = (...events: Event[]) => incidentGiven(events).state.report;
const summary = (...events: Event[]) => incident.derived!(incidentGiven(events).state)['summary'];
const schemaOf = (type: string) => incident.steps[type]!.schema;

describe('an incident', () => {
  it.each([
    ['reported', [], 'ReportIncident', crash],
    ['corrected', [crash], 'CorrectIncident', corrected({ casualties: null })],
    ['joined by an injury record', [crash], 'AttachInjury', attached(INJURY, 'c1')],
    ['joined by one of a person not listed', [fire], 'AttachInjury', attached(INJURY)],
    ['rid of an injury record', [crash, attached(INJURY)], 'DetachInjury', detached(INJURY)],
    ['mediated', [dispute], 'MediateDispute', mediated('failed')],
    ['mediated again', [dispute, mediated('failed')], 'MediateDispute', mediated('agreed')],
    ['escalated', [dispute], 'EscalateDispute', escalated()],
    ['escalated though it was settled', [dispute, mediated('agreed')], 'EscalateDispute', escalated()],
    ['escalated further', [dispute, escalated()], 'EscalateDispute', escalated('2026-04-01')],
    ['retracted', [fire], 'RetractIncident', retracted],
  ])('is %s', (_, before, type, event) => incidentGiven(before).when(command(type, event.data)).then([event]));

  it('of one feed and number is one for ever', () => {
    const id = (data: object) => incident.idOf!(data as never);
    expect(id({ feed: 'police-1', recordId: 'A-17' })).toBe(id({ feed: 'police-1', recordId: 'A-17', kind: 'fire' }));
    expect(id({ feed: 'police-1', recordId: 'A-17' })).not.toBe(id({ feed: 'police-2', recordId: 'A-17' }));
    expect(id({ recordId: 'A-17' })).toBe(id({ feed: 'api', recordId: 'A-17' }));
    expect(id({ feed: 'police-1' })).toBeUndefined();
  });

  it.each([
    [
      'known before it happened',
      [],
      'ReportIncident',
      reported({ kind: 'fire', occurredAt: '2026-03-03' }).data,
      'known-before-it-happened',
    ],
    [
      'two vehicles of one id',
      [],
      'ReportIncident',
      {
        ...crash.data,
        vehicles: [
          { id: 'v1', type: 'car' },
          { id: 'v1', type: 'car' },
        ],
      },
      'repeated-id',
    ],
    [
      'two casualties of one id',
      [],
      'ReportIncident',
      {
        ...fire.data,
        casualties: [
          { id: 'c1', role: 'occupant' },
          { id: 'c1', role: 'occupant' },
        ],
      },
      'repeated-id',
    ],
    [
      'a casualty in a vehicle that is not there',
      [],
      'ReportIncident',
      { ...crash.data, casualties: [{ id: 'c1', role: 'driver', vehicle: 'v9' }] },
      'unknown-vehicle',
    ],
    [
      'a vehicle in a fire',
      [],
      'ReportIncident',
      { ...fire.data, casualties: [{ id: 'c1', role: 'driver', vehicle: 'v1' }] },
      'unknown-vehicle',
    ],
    [
      'a death by the police’s scale on day 12',
      [],
      'ReportIncident',
      {
        ...fire.data,
        casualties: [{ id: 'c1', role: 'occupant', severity: { scale: 'GA16', value: 'fatal' }, daysToDeath: 12 }],
      },
      'severity-contradicts-death',
    ],
    [
      'one injury of two casualties',
      [],
      'ReportIncident',
      {
        ...fire.data,
        casualties: [
          { id: 'c1', role: 'occupant', injuryId: INJURY },
          { id: 'c2', role: 'occupant', injuryId: INJURY },
        ],
      },
      'already-attached',
    ],
    [
      'a point at somebody’s door',
      [],
      'ReportIncident',
      { ...fire.data, coordinates: { referenceSystem: 'GCJ-02', longitude: 121.4737, latitude: 31.2304 } },
      'too-exact',
    ],
    ['a second report', [fire], 'ReportIncident', fire.data, 'incident-exists'],
    ['a correction of what is not there', [], 'CorrectIncident', corrected({ knownAt: '2026-03-04' }).data, 'incident-not-found'],
    ['a field of another kind', [crash], 'CorrectIncident', corrected({ cause: 'arson' }).data, 'not-of-this-kind'],
    [
      'a correction to after it was known',
      [fire],
      'CorrectIncident',
      corrected({ occurredAt: '2026-03-09' }).data,
      'known-before-it-happened',
    ],
    [
      'a correction that leaves a rider without a bike',
      [crash],
      'CorrectIncident',
      corrected({ vehicles: null }).data,
      'unknown-vehicle',
    ],
    [
      'a correction that moves it after its mediation',
      [dispute, mediated('failed', '2026-01-11')],
      'CorrectIncident',
      corrected({ occurredAt: '2026-01-12' }).data,
      'date-too-late',
    ],
    [
      'a correction that drops a casualty with an injury',
      [crash, attached(INJURY, 'c1')],
      'CorrectIncident',
      corrected({ casualties: [{ id: 'c2', role: 'driver' }] }).data,
      'casualty-has-injuries',
    ],
    [
      'a correction that gives an injury to another casualty',
      [crash, attached(INJURY, 'c1')],
      'CorrectIncident',
      corrected({
        casualties: [
          { id: 'c1', role: 'rider' },
          { id: 'c2', role: 'driver', injuryId: INJURY },
        ],
      }).data,
      'already-attached',
    ],
    ['an injury twice', [crash, attached(INJURY)], 'AttachInjury', attached(INJURY, 'c1').data, 'already-attached'],
    ['an injury of a casualty that is not there', [crash], 'AttachInjury', attached(INJURY, 'c9').data, 'unknown-casualty'],
    [
      'the removal of an injury that is not there',
      [crash, attached(OTHER)],
      'DetachInjury',
      detached(INJURY).data,
      'not-attached',
    ],
    ['the mediation of a crash', [crash], 'MediateDispute', mediated('agreed').data, 'not-a-dispute'],
    ['the escalation of a fire', [fire], 'EscalateDispute', escalated().data, 'not-a-dispute'],
    ['a mediation before the dispute', [dispute], 'MediateDispute', mediated('agreed', '2026-01-09').data, 'date-too-early'],
    ['an escalation before the dispute', [dispute], 'EscalateDispute', escalated('2026-01-09').data, 'date-too-early'],
    ['a mediation after it was escalated', [dispute, escalated()], 'MediateDispute', mediated('agreed').data, 'not-allowed-now'],
    ['anything after its retraction', [fire, retracted], 'AttachInjury', attached(INJURY).data, 'not-allowed-now'],
    ['a second retraction', [fire, retracted], 'RetractIncident', retracted.data, 'not-allowed-now'],
  ])('refuses %s', (_, events, type, data, code) => incidentGiven(events).when(command(type, data)).thenRefused(code));

  it('says what would be allowed', () => {
    const decide = (events: Event[], type: string, data: object) =>
      incident.decider.decide(command(type, data), incidentGiven(events).state);
    expect(decide([crash], 'AttachInjury', attached(INJURY, 'c9').data)).toMatchObject({ problem: { allowed: ['c1', 'c2'] } });
    expect(decide([crash], 'MediateDispute', mediated('agreed').data)).toMatchObject({
      problem: { value: 'crash', allowed: ['dispute'] },
    });
    expect(decide([fire], 'CorrectIncident', corrected({ vehicles: [] }).data)).toMatchObject({
      problem: { pointer: '/replaces/vehicles', allowed: expect.arrayContaining(['cause', 'losses', 'occurredAt']) },
    });
    expect(decide([crash, attached(INJURY)], 'AttachInjury', attached(INJURY).data)).toMatchObject({
      problem: { allowed: [`injuries/${INJURY}/removal`] },
    });
  });

  it('is listed by kind, and by the day it happened or else became known', () => {
    expect(incident.facets(incidentGiven([crash]).state)).toEqual({
      community: 'S-01',
      kind: 'crash',
      day: '2026-03-02T08:40:00+08:00',
    });
    expect(incident.facets(incidentGiven([fire, corrected({ occurredAt: null, knownAt: '2026-03-05' })]).state).day).toBe(
      '2026-03-05',
    );
  });

  it('draws itself', () => {
    const diagram = diagramOf(incident);
    for (const line of [
      'reported --> settled: DisputeMediated',
      'reported --> unsettled: DisputeMediated',
      'settled --> escalated: DisputeEscalated',
      'reported --> reported: IncidentCorrected',
    ])
      expect(diagram).toContain(line);
  });
});

describe('the severity of a crash', () => {
  const casualties = (...of: Partial<Casualty>[]) =>
    of.map((one, index) => ({ id: `c${index}`, role: 'driver' as const, ...one }));
  const severity = (scale: string, value: string | number) => ({ severity: { scale, value } });

  it('is its gravest casualty’s, never stored, and follows their correction', () => {
    expect(summary(crash)).toEqual({
      persons: 2,
      severity: { GA16: 'ga16-severe' },
      ungraded: 0,
      deaths: { within7Days: 0, within30Days: 0, daysUnknown: 0 },
    });
    const died = [{ id: 'c1', role: 'rider', vehicle: 'v2', severity: { scale: 'GA16', value: 'severe' }, daysToDeath: 5 }];
    expect(summary(crash, corrected({ casualties: died }))).toMatchObject({
      severity: { GA16: 'ga16-fatal' },
      deaths: { within7Days: 1, within30Days: 1 },
    });
    expect(JSON.stringify(incidentGiven([crash]).state)).not.toContain('ga16-');
  });

  it('is unknown when casualties weren’t reported, and none’s when there were none', () => {
    expect(summary(crash, corrected({ casualties: null }))).toBeUndefined();
    expect(summary(crash, corrected({ casualties: [] }))).toMatchObject({ persons: 0, severity: {} });
  });

  it.each<[string, Partial<Casualty>[], object]>([
    ['KABCO', [severity('KABCO', 'C'), severity('KABCO', 'A'), severity('KABCO', 'O')], { KABCO: 'kabco-a' }],
    ['GA16', [severity('GA16', 'none'), severity('GA16', 'fatal'), severity('GA16', '轻伤')], { GA16: 'ga16-fatal' }],
    ['STATS19', [severity('STATS19', 'slight'), severity('STATS19', 2)], { STATS19: 'stats19-serious' }],
    ['NISS3', [severity('NISS3', 'minor'), severity('NISS3', 'severe')], { NISS3: 'niss3-severe' }],
    ['ISS', [severity('ISS', 75), severity('ISS', 4)], { ISS: 'iss-25-75' }],
    ['AIS', [severity('AIS', 2), severity('AIS', 3)], { AIS: 'ais-3' }],
    ['two scales, apart', [severity('KABCO', 'B'), severity('GA16', 'minor'), {}], { KABCO: 'kabco-b', GA16: 'ga16-minor' }],
  ])('on %s', (_, of, expected) => expect(summaryOf(casualties(...of)).severity).toEqual(expected));

  it.each<[string, Partial<Casualty>, object, object]>([
    ['on the day', { daysToDeath: 0 }, { within7Days: 1, within30Days: 1, daysUnknown: 0 }, {}],
    [
      'after 7 days',
      { daysToDeath: 7, ...severity('GA16', 'severe') },
      { within7Days: 1, within30Days: 1 },
      { GA16: 'ga16-fatal' },
    ],
    [
      'after 8 days',
      { daysToDeath: 8, ...severity('GA16', 'severe') },
      { within7Days: 0, within30Days: 1 },
      { GA16: 'ga16-severe' },
    ],
    ['after 30 days', { daysToDeath: 30, ...severity('KABCO', 'A') }, { within7Days: 0, within30Days: 1 }, { KABCO: 'kabco-k' }],
    ['after 31 days', { daysToDeath: 31, ...severity('KABCO', 'A') }, { within7Days: 0, within30Days: 0 }, { KABCO: 'kabco-a' }],
    [
      'by the police’s grade',
      severity('GA16', 'fatal'),
      { within7Days: 1, within30Days: 1, daysUnknown: 0 },
      { GA16: 'ga16-fatal' },
    ],
    ['by a grade of 30 days', severity('KABCO', 'K'), { within7Days: 0, within30Days: 1, daysUnknown: 1 }, { KABCO: 'kabco-k' }],
  ])('a death %s', (_, one, deaths, expected) =>
    expect(summaryOf(casualties(one))).toMatchObject({ deaths, severity: expected }),
  );
});

describe('a correction of an incident', () => {
  it('replaces the fields it names, empties with null, and leaves the others', () => {
    expect(reportAfter(fire, corrected({ cause: 'smoking', losses: null, community: 'S-02' }))).toEqual({
      ...reported({ kind: 'fire', cause: 'smoking' }).data,
      community: 'S-02',
    });
    expect(incidentGiven([fire, corrected({ cause: null }), corrected({ cause: 'arson' })]).state).toMatchObject({
      corrections: 2,
      report: { cause: 'arson' },
    });
  });

  it.each(['kind', 'feed', 'recordId', 'reportedBy', 'name', 'severity'])('replaces no %s', (field) =>
    expect(schemaOf('CorrectIncident').safeParse({ replaces: { [field]: 'fire' }, reason: 'r' }).success).toBe(false),
  );

  it('names a field, and empties none that must be there', () => {
    const accepts = (replaces: object) => schemaOf('CorrectIncident').safeParse({ replaces, reason: 'r' }).success;
    expect([accepts({}), accepts({ community: null }), accepts({ knownAt: null }), accepts({ occurredAt: null })]).toEqual([
      false,
      false,
      false,
      true,
    ]);
  });

  it('of the casualties keeps their injuries, and takes new ones', () => {
    const again = [
      { id: 'c1', role: 'passenger', vehicle: 'v2' },
      { id: 'c2', role: 'driver', injuryId: OTHER },
    ];
    const { state } = incidentGiven([crash, attached(INJURY, 'c1'), corrected({ casualties: again })]);
    expect(state.injuries).toEqual([
      { injuryId: INJURY, casualtyId: 'c1' },
      { injuryId: OTHER, casualtyId: 'c2' },
    ]);
    expect(state.report!.casualties).toEqual([again[0], { id: 'c2', role: 'driver' }]);
  });
});

describe('the injuries of an incident', () => {
  it('are those that casualties were reported with and those attached later, less the removed; one casualty may have two reports', () => {
    const named = reported({ kind: 'crash', casualties: [{ id: 'c1', role: 'rider', injuryId: INJURY }] });
    const both = [named, attached(OTHER, 'c1')];
    expect(incidentGiven(both).state.injuries).toEqual([
      { injuryId: INJURY, casualtyId: 'c1' },
      { injuryId: OTHER, casualtyId: 'c1' },
    ]);
    expect(incidentGiven([...both, detached(INJURY)]).state.injuries).toEqual([{ injuryId: OTHER, casualtyId: 'c1' }]);
    expect(incidentGiven(both).state.report!.casualties).toEqual([{ id: 'c1', role: 'rider' }]);
  });

  it('are known by one spelling', () =>
    expect(schemaOf('AttachInjury').parse({ injuryId: INJURY.toUpperCase() })).toEqual({ injuryId: INJURY }));
});

describe('a dispute (纠纷调解,民转刑)', () => {
  it('is settled when its parties agreed, unsettled when they did not, and mediated again', () => {
    expect(incidentGiven([dispute, mediated('failed')]).state.state).toBe('unsettled');
    expect(incidentGiven([dispute, mediated('failed'), mediated('agreed')]).state).toMatchObject({
      state: 'settled',
      mediations: [{ outcome: 'failed' }, { outcome: 'agreed' }],
    });
  });

  it('that is escalated says to whom, why and what it became', () =>
    expect(incidentGiven([dispute, mediated('failed'), escalated()]).state).toMatchObject({
      state: 'escalated',
      mediations: [{ outcome: 'failed' }],
      escalations: [{ to: '桥北派出所', reason: '动手伤人', nature: 'criminal' }],
    }));
});

describe('the schema of an incident', () => {
  const accepts = (data: object) => schemaOf('ReportIncident').safeParse(data).success;
  const minimal = { community: 'S-01', knownAt: '2026-03-02' };

  it('asks of every kind for community and knownAt only', () => {
    for (const kind of INCIDENT_KINDS) {
      expect([kind, accepts({ kind, ...minimal })]).toEqual([kind, true]);
      expect([kind, accepts({ kind, community: 'S-01' }), accepts({ kind, knownAt: '2026-03-02' })]).toEqual([
        kind,
        false,
        false,
      ]);
    }
    expect(accepts({ kind: 'volcano', ...minimal })).toBe(false);
  });

  it.each(['vehicles', 'cause', 'accidentType', 'entry', 'mode', 'matter', 'disasterType'])(
    'knows %s of one kind only',
    (field) => {
      const value = {
        vehicles: [],
        cause: 'other',
        accidentType: 'other',
        entry: 'other',
        mode: 'other',
        matter: 'other',
        disasterType: 'other',
      }[field];
      expect(INCIDENT_KINDS.filter((kind) => accepts({ kind, ...minimal, [field]: value }))).toHaveLength(1);
    },
  );

  it('has no room for identities, nor for a severity of its own', () => {
    for (const field of ['name', 'phone', 'address', 'plate', 'severity', 'deaths'])
      expect([field, accepts({ kind: 'crash', ...minimal, [field]: 'canary' })]).toEqual([field, false]);
    for (const field of ['name', 'idNumber', 'phone', 'plate'])
      for (const over of [
        { casualties: [{ id: 'c1', role: 'driver', [field]: 'canary' }] },
        { vehicles: [{ id: 'v1', type: 'car', [field]: 'canary' }] },
      ])
        expect([field, accepts({ kind: 'crash', ...minimal, ...over })]).toEqual([field, false]);
    expect(accepts({ kind: 'crash', ...minimal, casualties: [{ id: '张三', role: 'driver' }] })).toBe(false);
    expect(accepts({ kind: 'crash', ...minimal, vehicles: [{ id: '沪A12345', type: 'car' }] })).toBe(false);
  });

  it('refuses what no scale has', () =>
    expect(
      accepts({ kind: 'crash', ...minimal, casualties: [{ id: 'c1', role: 'driver', severity: { scale: 'ISS', value: 7 } }] }),
    ).toBe(false));
});
