import { given } from '@vigil/testing';
import fc from 'fast-check';
import { injury, injuryCommands, injuryId, injuryStream, type InjuryCommand, type InjuryEvent, type InjuryState } from './injury';
import { CODED_FIELDS, injuryRecord, injuryReplacement, type InjuryRecord } from './record';

const minimal = { recordId: '2026-0001', feed: 'hospital-1', knownAt: '2026-03-02', community: 'qiaobei' };
const record: InjuryRecord = injuryRecord.parse({
  ...minimal,
  occurredAt: '2026-03-01T08:30:00+08:00',
  residence: 'qiaonan',
  age: { value: 71, unit: 'year' },
  sex: { system: 'niss-card', version: '14', code: '2' },
  mechanism: 'fall',
  severity: { scale: 'NISS3', value: 'moderate' },
  sampling: { frame: 'panel-2026', weight: 12.5, stratum: 'urban', unit: 'h1' },
});
const own = injuryId(record.feed, record.recordId);
const other = injuryId('police', 'A-17');
const third = injuryId('school', '9');

const reported: InjuryEvent = { type: 'InjuryReported', data: record };
const corrected = (replaces: object, reason = 'typed wrong'): InjuryEvent => ({
  type: 'InjuryCorrected',
  data: { replaces, reason },
});
const outcome: InjuryEvent = { type: 'InjuryOutcomeUpdated', data: { disposition: 'died', daysToDeath: 12, asOf: '2026-03-13' } };
const retracted: InjuryEvent = { type: 'InjuryRetracted', data: { reason: 'sent twice' } };
const linked = (by: 'automatic' | 'manual', to = other): InjuryEvent => ({
  type: 'InjuryLinked',
  data: { other: to, decidedBy: by },
});
const unlinked = (by: 'automatic' | 'manual', to = other): InjuryEvent => ({
  type: 'InjuryUnlinked',
  data: { other: to, decidedBy: by, reason: 'two people' },
});
const link = (by: 'automatic' | 'manual', to = other): InjuryCommand => ({
  type: 'LinkInjury',
  data: { other: to, decidedBy: by },
});
const unlink = (by: 'automatic' | 'manual', to = other): InjuryCommand => ({
  type: 'UnlinkInjury',
  data: { other: to, decidedBy: by, reason: 'two people' },
});

const report: InjuryCommand = { type: 'ReportInjury', data: record };
const correct: InjuryCommand = { type: 'CorrectInjury', data: { replaces: { mechanism: 'burn' }, reason: 'typed wrong' } };
const update: InjuryCommand = { type: 'UpdateInjuryOutcome', data: { disposition: 'died', daysToDeath: 12, asOf: '2026-03-13' } };
const retract: InjuryCommand = { type: 'RetractInjury', data: { reason: 'sent twice' } };

const recordAfter = (...events: InjuryEvent[]): InjuryRecord | undefined => {
  const { state } = given(injury)(events);
  return state.status === 'none' ? undefined : state.record;
};

describe('an injury', () => {
  it('is reported once', () => {
    given(injury)().when(report).then([reported]);
    given(injury)([reported]).when(report).thenRefused('injury-exists');
    given(injury)([reported, corrected({ mechanism: 'burn' })])
      .when(report)
      .thenRefused('injury-exists');
  });

  it.each([
    ['corrected', correct, corrected({ mechanism: 'burn' })],
    ['given its outcome', update, outcome],
    ['retracted', retract, retracted],
    ['linked', link('manual'), linked('manual')],
    ['declared another than one it was never linked with', unlink('manual'), unlinked('manual')],
  ])('is %s only once it was reported, and not after it was retracted', (_, command, event) => {
    given(injury)().when(command).thenRefused('injury-not-found');
    given(injury)([reported]).when(command).then([event]);
    given(injury)([reported, retracted]).when(command).thenRefused('injury-retracted');
  });

  it('that was retracted is not reported again under its number, and the sender is not sent from one refusal to the next', () =>
    given(injury)([reported, retracted]).when(report).thenRefused('injury-retracted'));

  it('keeps its record and decisions when retracted', () => {
    const before = given(injury)([reported, linked('manual')]).state;
    expect(given(injury)([reported, linked('manual'), retracted]).state).toEqual({ ...before, status: 'retracted' });
  });
});

describe('a correction', () => {
  it('replaces the fields it names and leaves the others', () =>
    expect(recordAfter(reported, corrected({ mechanism: 'burn', community: 'qiaonan', visit: 'follow-up' }))).toEqual({
      ...record,
      mechanism: 'burn',
      community: 'qiaonan',
      visit: 'follow-up',
    }));

  it('empties a field with null, and a later one fills it again', () => {
    const { severity: _, ...without } = record;
    expect(recordAfter(reported, corrected({ severity: null }))).toEqual(without);
    expect(recordAfter(reported, corrected({ severity: null }), corrected({ severity: record.severity }))).toEqual(record);
    expect(recordAfter(reported, corrected({ products: null }))).toEqual(record);
  });

  it('that does not speak of the visit leaves a follow-up a follow-up', () => {
    const followUp: InjuryEvent = { type: 'InjuryReported', data: { ...record, visit: 'follow-up' } };
    const data = injuryCommands.CorrectInjury.parse({ replaces: { mechanism: 'burn' }, reason: 'typed wrong' });
    given(injury)([followUp])
      .when({ type: 'CorrectInjury', data })
      .then([corrected({ mechanism: 'burn' })]);
    expect(recordAfter(followUp, { type: 'InjuryCorrected', data })).toMatchObject({ visit: 'follow-up', mechanism: 'burn' });
  });

  it('and an outcome take turns: the later stands', () => {
    expect(recordAfter(reported, outcome)).toEqual({ ...record, disposition: 'died', daysToDeath: 12 });
    expect(recordAfter(reported, outcome, corrected({ disposition: 'admitted', daysToDeath: null }))).toEqual({
      ...record,
      disposition: 'admitted',
    });
    expect(recordAfter(reported, corrected({ disposition: 'admitted' }), outcome)).toMatchObject({
      disposition: 'died',
      severity: record.severity,
    });
  });
});

describe('linkage', () => {
  type By = 'automatic' | 'manual';
  it.each<[string, InjuryEvent[], InjuryCommand, InjuryEvent[] | string]>([
    ['a first automatic link', [], link('automatic'), [linked('automatic')]],
    ['the same automatic link again', [linked('automatic')], link('automatic'), []],
    ['a manual link over an automatic one', [linked('automatic')], link('manual'), [linked('manual')]],
    ['the same manual link again', [linked('manual')], link('manual'), []],
    ['an automatic link after a manual one', [linked('manual')], link('automatic'), []],
    [
      'an automatic link after a manual unlinking',
      [linked('automatic'), unlinked('manual')],
      link('automatic'),
      'manual-decision-stands',
    ],
    ['an automatic link of two declared different', [unlinked('manual')], link('automatic'), 'manual-decision-stands'],
    ['a manual link after a manual unlinking', [unlinked('manual')], link('manual'), [linked('manual')]],
    [
      'an automatic link after an automatic unlinking',
      [linked('automatic'), unlinked('automatic')],
      link('automatic'),
      [linked('automatic')],
    ],
    ['an automatic unlinking of an automatic link', [linked('automatic')], unlink('automatic'), [unlinked('automatic')]],
    ['an automatic unlinking of a manual link', [linked('manual')], unlink('automatic'), 'manual-decision-stands'],
    ['a manual unlinking of a manual link', [linked('manual')], unlink('manual'), [unlinked('manual')]],
    ['a manual unlinking of an automatic link', [linked('automatic')], unlink('manual'), [unlinked('manual')]],
    ['an automatic unlinking of what was not linked', [], unlink('automatic'), []],
    ['a manual declaration that two are different', [], unlink('manual'), [unlinked('manual')]],
    [
      'a manual confirmation of an automatic unlinking',
      [linked('automatic'), unlinked('automatic')],
      unlink('manual'),
      [unlinked('manual')],
    ],
    ['the same manual unlinking again', [unlinked('manual')], unlink('manual'), []],
    ['an automatic unlinking after a manual one', [unlinked('manual')], unlink('automatic'), []],
    ['a link with another report', [unlinked('manual')], link('automatic', third), [linked('automatic', third)]],
  ])('%s', (_, before, command, expected) => {
    const then = given(injury)([reported, ...before]).when(command);
    if (typeof expected === 'string') then.thenRefused(expected);
    else then.then(expected);
  });

  it('never with itself, however its id is written', () => {
    given(injury)([reported]).when(link('manual', own)).thenRefused('link-to-itself');
    expect(injuryCommands.LinkInjury.parse({ other: own.toUpperCase() }).other).toBe(own);
    expect(injuryCommands.UnlinkInjury.parse({ other: other.toUpperCase(), reason: 'r' }).other).toBe(other);
  });

  it('leaves both reports whole: unlinking restores the record exactly', () =>
    expect(recordAfter(reported, linked('automatic'), unlinked('manual'))).toEqual(record));

  it('keeps the last decision about each report, and the reports apart', () => {
    const { state } = given(injury)([reported, linked('automatic'), linked('automatic', third), unlinked('manual')]);
    expect(state).toMatchObject({
      decisions: new Map<string, { linked: boolean; by: By }>([
        [other, { linked: false, by: 'manual' }],
        [third, { linked: true, by: 'automatic' }],
      ]),
    });
  });
});

describe('the id of an injury', () => {
  it('is the same for the same feed and record number for ever, and another for any other', () => {
    expect(injuryId('hospital-1', '2026-0001')).toBe('2d42f69c-8eb0-8a29-89ee-aedfd23d110c');
    expect(
      new Set([
        own,
        injuryId('hospital-2', record.recordId),
        injuryId(record.feed, '2026-0002'),
        injuryId('HOSPITAL-1', record.recordId),
      ]).size,
    ).toBe(4);
    expect(injuryStream(own)).toBe(`injury-${own}`);
  });
});

describe('the schema of a record', () => {
  const accepts = (over: object): boolean => injuryRecord.safeParse({ ...minimal, ...over }).success;

  it('asks for little, and takes a visit for a first one', () =>
    expect(injuryRecord.parse(minimal)).toEqual({ ...minimal, visit: 'first' }));

  it.each(['recordId', 'feed', 'knownAt', 'community'])('asks for %s', (field) =>
    expect(accepts({ [field]: undefined })).toBe(false),
  );

  it.each(['name', 'patientName', 'idNumber', 'phone', 'address', 'homeAddress', 'recordedAt', 'position', '__proto__x'])(
    'has no field %s',
    (field) => expect(accepts({ [field]: 'canary' })).toBe(false),
  );

  it('has no room for identities inside its blocks', () => {
    for (const block of ['age', 'severity', 'transport', 'violence', 'selfHarm', 'sampling', 'externalCause']) {
      const whole =
        {
          age: record.age,
          severity: record.severity,
          sampling: record.sampling,
          externalCause: { system: 'icd-10', version: '2019', code: 'W19' },
        }[block] ?? {};
      expect([block, accepts({ [block]: whole })]).toEqual([block, true]);
      expect([block, accepts({ [block]: { ...whole, name: 'canary' } })]).toEqual([block, false]);
    }
  });

  it.each<[string, object, boolean]>([
    ['severity ISS 7', { severity: { scale: 'ISS', value: 7 } }, false],
    ['severity ISS 15', { severity: { scale: 'ISS', value: '15' } }, false],
    ['severity newISS 15', { severity: { scale: 'newISS', value: 15 } }, false],
    ['severity ISS 16', { severity: { scale: 'ISS', value: 16 } }, true],
    ['severity AIS 7', { severity: { scale: 'AIS', value: 7 } }, false],
    ['severity KABCO K', { severity: { scale: 'KABCO', value: 'K' } }, true],
    ['severity of no scale', { severity: { scale: 'pain', value: 3 } }, false],
    ['age 999', { age: { value: 999, unit: 'year' } }, false],
    ['age 130', { age: { value: 130, unit: 'year' } }, true],
    ['age 131', { age: { value: 131, unit: 'year' } }, false],
    ['age 999 days', { age: { value: 999, unit: 'day' } }, true],
    ['age -1', { age: { value: -1, unit: 'year' } }, false],
    ['age as a bare number', { age: 71 }, false],
    ['30 February', { occurredAt: '2026-02-30' }, false],
    ['29 February of a leap year', { occurredAt: '2024-02-29' }, true],
    ['an instant without its offset', { occurredAt: '2026-03-01T08:30:00' }, false],
    ['an instant with its offset', { occurredAt: '2026-03-01T08:30:00+08:00' }, true],
    ['hour 24', { occurredAt: '2026-03-01T24:00:00Z' }, false],
    ['an empty time', { occurredAt: '' }, false],
    ['a canonical code', { mechanism: 'fall' }, true],
    ['a word that is no canonical code', { mechanism: 'banana' }, false],
    ['a code of another axis', { mechanism: 'home' }, false],
    ['a source code no map knows', { mechanism: { system: 'ours', version: '1', code: '77' } }, true],
    ['a source code without its version', { mechanism: { system: 'ours', code: '77' } }, false],
    ['a blank source code', { mechanism: { system: 'niss-card', version: '14', code: '' } }, true],
    ['a third kind of visit', { visit: 'second' }, false],
    ['half a day to death', { daysToDeath: 0.5 }, false],
    ['death on the day', { daysToDeath: 0 }, true],
    ['NUL in the record number', { recordId: 'a\u0000b' }, false],
    ['half a character in the record number', { recordId: 'a\ud800' }, false],
    ['a community with a blank', { community: 'qiao bei' }, false],
    ['weight 0', { sampling: { ...record.sampling, weight: 0 } }, false],
    ['nine products', { products: Array.from({ length: 9 }, () => ({ system: 's', version: '1', code: '1' })) }, false],
  ])('%s', (_, over, accepted) => expect(accepts(over)).toBe(accepted));

  it('takes every coded field by its axis name, as a source value or a canonical code', () => {
    for (const field of CODED_FIELDS)
      expect([field, accepts({ [field]: 'unknown' }), accepts({ [field]: { system: 's', version: '1', code: 'c' } })]).toEqual([
        field,
        true,
        true,
      ]);
  });
});

describe('the schema of a correction', () => {
  const optional = Object.keys(injuryRecord.shape).filter(
    (field) => !['recordId', 'feed', 'knownAt', 'visit', 'community', 'sampling'].includes(field),
  );
  const accepts = (replaces: object): boolean => injuryCommands.CorrectInjury.safeParse({ replaces, reason: 'r' }).success;

  it('empties every field that may be absent', () => {
    expect(optional).toHaveLength(20);
    for (const field of optional) expect([field, accepts({ [field]: null })]).toEqual([field, true]);
  });

  it('empties none that must be there, and replaces neither identity nor sampling', () => {
    for (const field of ['knownAt', 'visit', 'community', 'recordId', 'feed', 'sampling'])
      expect([field, accepts({ [field]: null })]).toEqual([field, false]);
    expect(
      accepts({ recordId: 'x' }) ||
        accepts({ feed: 'x' }) ||
        accepts({ sampling: record.sampling }) ||
        accepts({ name: 'canary' }),
    ).toBe(false);
    expect(accepts({ knownAt: '2026-03-03' }) && accepts({ visit: 'first' }) && accepts({ community: 'qiaonan' })).toBe(true);
  });

  it('holds its fields to the same rules, needs one, and a reason, and fills in nothing', () => {
    expect(
      accepts({ severity: { scale: 'ISS', value: 7 } }) ||
        accepts({ age: { value: 999, unit: 'year' } }) ||
        accepts({ occurredAt: '2026-02-30' }),
    ).toBe(false);
    expect(accepts({})).toBe(false);
    expect(injuryCommands.CorrectInjury.safeParse({ replaces: { mechanism: 'fall' } }).success).toBe(false);
    expect(injuryReplacement.parse({})).toEqual({});
  });
});

it('folds any accepted commands without a throw, and their stored events to the same state', () => {
  const optionalFields = fc.constantFrom<object>(
    { mechanism: 'burn' },
    { mechanism: null },
    { age: null },
    { age: { value: 3, unit: 'month' } },
    { visit: 'follow-up' },
    { visit: 'first', severity: null },
    { knownAt: '2026-04-01' },
    { community: 'qiaonan', residence: null },
  );
  const by = fc.constantFrom('automatic' as const, 'manual' as const);
  const to = fc.constantFrom(other, third, own);
  const payloads: { [K in keyof typeof injuryCommands]: fc.Arbitrary<unknown> } = {
    ReportInjury: fc.constantFrom<object>(minimal, record, { ...minimal, visit: 'follow-up' }),
    CorrectInjury: fc.record({ replaces: optionalFields, reason: fc.constant('r') }),
    UpdateInjuryOutcome: fc.record(
      { asOf: fc.constant('2026-05-01'), disposition: fc.constant('died'), daysToDeath: fc.nat(40) },
      { requiredKeys: ['asOf'] },
    ),
    RetractInjury: fc.constant({ reason: 'r' }),
    LinkInjury: fc.record({ other: to, decidedBy: by, score: fc.constant(0.9) }, { requiredKeys: ['other'] }),
    UnlinkInjury: fc.record({ other: to, decidedBy: by, reason: fc.constant('r') }),
  };
  const names = Object.keys(payloads) as (keyof typeof payloads)[];
  const command = fc.oneof(
    ...names.map((type) => ({
      weight: type === 'RetractInjury' ? 1 : 6,
      arbitrary: payloads[type].map((data) => ({ type, data: injuryCommands[type].parse(data) }) as InjuryCommand),
    })),
  );
  fc.assert(
    fc.property(fc.array(command, { maxLength: 30 }), (commands) => {
      let state: InjuryState = injury.initialState;
      const events: InjuryEvent[] = [];
      for (const each of commands) {
        const decision = injury.decide(each, state);
        for (const event of decision.ok ? decision.value : []) {
          events.push(event);
          state = injury.evolve(state, event);
        }
      }
      expect(given(injury)(events).state).toEqual(state);
      if (state.status !== 'none') expect(injuryRecord.parse(state.record)).toEqual(state.record);
    }),
    { numRuns: 500 },
  );
});
