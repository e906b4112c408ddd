import { given } from '@vigil/testing';
import type { FileCommand } from '../case-file';
import { alert, detectionRun, type AlertSighting } from './alert';

const sighting = (over: Partial<AlertSighting> = {}): AlertSighting => ({
  kind: 'aberration',
  dx: 'INC-01',
  ou: 'S-01',
  dims: { mechanism: 'drowning' },
  period: '2026-W28',
  since: '2026-07-06',
  until: '2026-07-12',
  observed: 4,
  expected: 0.1,
  upper: 2.4,
  excess: 3.9,
  p: 1e-6,
  q: 4e-4,
  severity: 4,
  certainty: 0.57,
  score: 8.9,
  method: 'poisson-cusum',
  why: { zh: '不足五年', en: 'fewer than five years' },
  members: [{ id: 'm-1', dx: 'INC-01', ou: 'S', dims: {}, period: '2026-W28', observed: 5, expected: 1.2 }],
  more: 0,
  run: '2026-07-13',
  seenOn: '2026-07-13',
  asOfPosition: '812',
  ...over,
});
const event = (type: string, data: object) => ({ type, data });
const command = (type: string, data: object): FileCommand => ({ type, data });
const raised = event('AlertRaised', sighting());
const acknowledged = event('AlertAcknowledged', { by: 'CDC duty desk' });
const dismissed = event('AlertDismissed', { reason: 'one accident entered four times' });
const opened = event('AlertActionOpened', { evaluation: 'e-1', action: 'A-1' });
const alertGiven = given(alert.decider);

describe('an alert', () => {
  it('is raised, acknowledged and answered by corrective actions', () => {
    alertGiven([]).when(command('RaiseAlert', sighting())).then([raised]);
    alertGiven([raised]).when(command('AcknowledgeAlert', acknowledged.data)).then([acknowledged]);
    alertGiven([raised, acknowledged]).when(command('OpenAlertAction', opened.data)).then([opened]);
    expect(alertGiven([raised, acknowledged, opened]).state).toMatchObject({
      state: 'action-opened',
      firstSeen: '2026-07-13',
      sightings: 1,
      acknowledgement: { by: 'CDC duty desk' },
      actions: [{ evaluation: 'e-1', action: 'A-1' }],
    });
  });

  it('an action may be opened before anybody acknowledged it, and a second one after', () => {
    alertGiven([raised]).when(command('OpenAlertAction', opened.data)).then([opened]);
    const second = { evaluation: 'e-1', action: 'A-2' };
    alertGiven([raised, opened])
      .when(command('OpenAlertAction', second))
      .then([event('AlertActionOpened', second)]);
    alertGiven([raised, opened]).when(command('OpenAlertAction', opened.data)).thenRefused('action-exists');
  });

  it('is not acknowledged twice, nor dismissed once there is an action', () => {
    alertGiven([raised, acknowledged]).when(command('AcknowledgeAlert', acknowledged.data)).thenRefused('not-allowed-now');
    alertGiven([raised, opened]).when(command('DismissAlert', dismissed.data)).thenRefused('not-allowed-now');
    alertGiven([raised, dismissed]).when(command('OpenAlertAction', opened.data)).thenRefused('not-allowed-now');
    alertGiven([]).when(command('AcknowledgeAlert', acknowledged.data)).thenRefused('alert-not-found');
  });

  it('seen again with the same counts is nothing new, whatever its score', () =>
    alertGiven([raised])
      .when(command('ReviseAlert', sighting({ score: 12, q: 1e-5, run: '2026-07-14', seenOn: '2026-07-14' })))
      .thenRefused('alert-unchanged'));

  it('seen again with a late report, or with another member, is revised where it stands', () => {
    const more = sighting({ observed: 5, run: '2026-07-14', seenOn: '2026-07-14' });
    alertGiven([raised, acknowledged])
      .when(command('ReviseAlert', more))
      .then([event('AlertRevised', more)]);
    const fewer = sighting({ members: [] });
    alertGiven([raised])
      .when(command('ReviseAlert', fewer))
      .then([event('AlertRevised', fewer)]);
    expect(alertGiven([raised, acknowledged, event('AlertRevised', more)]).state).toMatchObject({
      state: 'acknowledged',
      observed: 5,
      firstSeen: '2026-07-13',
      seenOn: '2026-07-14',
      sightings: 2,
    });
  });

  it('a dismissed one opens again only with more cases than were dismissed', () => {
    const more = sighting({ observed: 9 });
    alertGiven([raised, dismissed])
      .when(command('ReopenAlert', more))
      .then([event('AlertReopened', more)]);
    alertGiven([raised, dismissed])
      .when(command('ReopenAlert', sighting({ observed: 3 })))
      .thenRefused('alert-unchanged');
    alertGiven([raised]).when(command('ReopenAlert', more)).thenRefused('not-allowed-now');
    const { state, dismissal } = alertGiven([raised, dismissed, event('AlertReopened', more)]).state;
    expect([state, dismissal]).toEqual(['raised', undefined]);
  });
});

it('a run of the detection is completed once', () => {
  const outcome = {
    day: '2026-07-13',
    trigger: 'schedule',
    from: '2026-07-06',
    to: '2026-07-12',
    asOfPosition: '812',
    tests: 40,
    notLooked: 2,
    groups: 1,
    alerts: 2,
    rest: { groups: 0, alerts: 0 },
    raised: ['a-1'],
    revised: [],
    unchanged: 0,
  };
  const done = event('DetectionRunCompleted', outcome);
  given(detectionRun.decider)([]).when(command('CompleteDetectionRun', outcome)).then([done]);
  given(detectionRun.decider)([done]).when(command('CompleteDetectionRun', outcome)).thenRefused('detection-run-exists');
});
