import { createMemoryLog, position, START, toNewEvent, type RecordedEvent } from '@vigil/event-log';
import { deterministicId } from '@vigil/vocabulary';
import { foldLog, type FoldOptions } from './independent-fold';

// The fold checks the projectors, so what it says is written out by hand here.

const [A, B, C] = ['a', 'b', 'c'].map((name) => deterministicId(name)).sort() as [string, string, string];
const EVER = `${2n ** 63n - 1n}`;

const recorded = async (events: readonly [stream: string, type: string, data: unknown][]): Promise<RecordedEvent[]> => {
  const log = createMemoryLog();
  let serial = 0;
  for (const [stream, type, data] of events)
    await log.append({ stream, expected: 'any', events: [toNewEvent({ type, data }, 1, deterministicId(`${++serial}`), '{}')] });
  return log.readAll({ after: START, limit: 1_000 });
};
const fold = async (events: readonly [string, string, unknown][], options: Partial<FoldOptions> = {}) => {
  const all = await recorded(events);
  const pages = (async function* () {
    for (const event of all) yield [event];
  })();
  const folded = await foldLog(pages, { timeZone: 'Asia/Shanghai', ...options });
  return (table: keyof typeof folded) => [...folded[table].values()].map((row) => JSON.parse(row) as unknown[]).sort();
};
const report = (id: string, over: object = {}) =>
  [
    `injury-${id}`,
    'InjuryReported',
    { recordId: id, feed: 'f', knownAt: '2026-03-02', visit: 'first', community: 'C', ...over },
  ] as [string, string, unknown];
const link = (id: string, other: string, decidedBy = 'manual') =>
  [`injury-${id}`, 'InjuryLinked', { other, decidedBy }] as [string, string, unknown];
/** id, from, to, counted */
const brief = (rows: unknown[][]): unknown[][] => rows.map((row) => [row[0], row[1], row[2], row[7]]);

test('of linked reports the first living one of a kind that counts is counted, from the position that made it so', async () => {
  const rows = await fold([
    report(A, { visit: 'follow-up' }),
    report(B),
    report(C),
    link(C, A),
    link(A, B), // now all three are one
    [`injury-${B}`, 'InjuryRetracted', { reason: 'r' }],
    [`injury-${A}`, 'InjuryUnlinked', { other: C, decidedBy: 'automatic', reason: 'r' }], // manual stands
  ]);
  expect(brief(rows('injury_facts'))).toEqual([
    [A, '1', EVER, false],
    [B, '2', '6', true],
    [C, '3', '5', true],
    [C, '5', '6', false],
    [C, '6', EVER, true],
  ]);
  expect(rows('injury_pairs')).toEqual([
    [A, B, true, true],
    [A, C, true, true],
  ]);
});

test('every change of a record makes a version of its own, and a unit is seen in the year it was first seen in', async () => {
  const sampling = { frame: 'F', weight: 2.5, stratum: 's', unit: 'u' };
  const rows = await fold([
    report(A, { occurredAt: '2025-12-31T16:00:00Z', sampling, sex: 'F' }), // New Year in Shanghai
    [`injury-${A}`, 'InjuryCorrected', { replaces: { occurredAt: '2025-12-31', sex: null }, reason: 'r' }],
    [`injury-${A}`, 'InjuryOutcomeUpdated', { disposition: 'died', daysToDeath: 3, asOf: '2026-02-01' }],
  ]);
  const told = rows('injury_facts').map((row) => [row[1], row[2], row[4], row[8], row[9], row[13], row[20]]);
  expect(told).toEqual([
    ['1', '2', '2026-01-01', null, 2.5, 'F', 'unknown'],
    ['2', '3', '2025-12-31', null, 2.5, 'unknown', 'unknown'],
    ['3', EVER, '2025-12-31', 3, 2.5, 'unknown', 'died'],
  ]);
  expect(rows('sampling_units')).toEqual([
    ['F', 2025, 's', 'u', '2'],
    ['F', 2026, 's', 'u', '1'],
  ]);
});

const population = (cells: unknown[]) =>
  ['community-C', 'PopulationRecorded', { year: 2025, cells }] as [string, string, unknown];

test('population cells close those of the same people, and only those', async () => {
  const rows = await fold([
    population([
      { sex: 'F', ageFrom: 0, ageTo: 64, persons: 5 },
      { sex: 'F', ageFrom: 65, ageTo: null, persons: 1 },
      { sex: 'F', ageFrom: 0, residency: 'migrant', persons: 2 },
    ]),
    population([{ sex: 'F', ageFrom: 64, ageTo: 64, persons: 0.5 }]),
  ]);
  expect(rows('population')).toEqual([
    ['C', 2025, 'F', 0, null, 'migrant', '1', EVER, 2],
    ['C', 2025, 'F', 0, 64, null, '1', '2', 5],
    ['C', 2025, 'F', 64, 64, null, '2', EVER, 0.5],
    ['C', 2025, 'F', 65, null, null, '1', EVER, 1],
  ]);
  expect(rows('communities')).toEqual([]); // nobody registered it
});

test('a community has the revision of its last event; exposures follow one another', async () => {
  const rows = await fold([
    ['community-C', 'CommunityRegistered', { code: 'C', name: { zh: '一', en: 'One' }, type: 'street', groups: ['G'] }],
    ['community-C', 'ExposureRecorded', { year: 2025, kind: 'vehicles', amount: 1 }],
    ['community-C', 'ExposureRecorded', { year: 2025, kind: 'vehicles', amount: 2 }],
    ['community-C', 'CommunityRetired', { on: '2026-01-01', reason: 'r' }],
  ]);
  expect(rows('communities')).toEqual([['C', '一', 'One', 'street', null, '["G"]', 'retired', '3', '1']]);
  expect(rows('exposures')).toEqual([
    ['C', 2025, 'vehicles', '2', '3', 1],
    ['C', 2025, 'vehicles', '3', EVER, 2],
  ]);
});

test('each projection is folded up to its own position, and past what a person decided to skip', async () => {
  const events = [report(A), population([{ sex: 'F', ageFrom: 0, persons: 1 }]), report(B), report(C)];
  const upTo = new Map([
    ['injury-facts', position(3)],
    ['communities', position(1)],
  ]);
  const skip = new Map([['injury-facts', new Set([position(1)])]]);
  const rows = await fold(events, { upTo, skip });
  expect(brief(rows('injury_facts'))).toEqual([[B, '3', EVER, true]]);
  expect(rows('population')).toEqual([]);
});

test('an activity stands under the domain of its intervention, its pledges under the day the first runs out', async () => {
  const hold = (data: object) => ['intervention-i', 'ActivityHeld', data] as [string, string, unknown];
  const rows = await fold([
    ['intervention-i', 'InterventionDesigned', { name: 'n', domain: 'fire', units: ['C-1'] }],
    hold({ kind: 'exchange', heldOn: '2026-03-02', organisations: ['b', 'a', 'b'] }),
    hold({
      kind: 'pledge',
      setting: 'household',
      heldOn: '2026-03-03',
      unit: 'C-1',
      pledges: [
        { expiresOn: '2027-01-01', count: 3 },
        { count: 4, expiresOn: '2026-12-31' },
      ],
      attendance: [{ group: 'all', persons: 7 }],
    }),
  ]);
  expect(rows('activity_facts')).toEqual([
    ['i', '1', '2', '2026-03-02', null, 'fire', 'exchange', null, '["b","a"]', '[]', '0', null],
    [
      'i',
      '2',
      '3',
      '2026-03-03',
      'C-1',
      'fire',
      'pledge',
      'household',
      '[]',
      '[{"count":3,"expiresOn":"2027-01-01"},{"count":4,"expiresOn":"2026-12-31"}]',
      '7',
      '2026-12-31',
    ],
  ]);
  expect(rows('activity_attendance')).toEqual([['i', '2', 'all', '3', 7, null]]);
});

test('a casualty is told anew only where it changed, and not at all of a retracted incident', async () => {
  const one = { id: '1', role: 'driver', sex: 'M' };
  const rows = await fold([
    [
      'incident-x',
      'IncidentReported',
      { kind: 'crash', community: 'C', knownAt: '2026-03-02', casualties: [one, { id: '2', role: 'rider' }] },
    ],
    ['incident-x', 'InjuryAttachedToIncident', { injuryId: A, casualtyId: '1' }],
    ['incident-x', 'IncidentCorrected', { replaces: { casualties: [one] }, reason: 'r' }],
    ['incident-x', 'IncidentRetracted', { reason: 'r' }],
  ]);
  const told = (casualty: string, from: string, to: string, role: string, sex: string, injury: string | null) => [
    ...['x', casualty, from, to, 'crash', '2026-03-02', 'C', role, null, null, sex, null, 'unknown', null, injury],
  ];
  expect(rows('casualty_facts')).toEqual([
    told('1', '1', '2', 'driver', 'M', null),
    told('1', '2', '4', 'driver', 'M', A),
    told('2', '1', '3', 'rider', 'unknown', null),
  ]);
});
