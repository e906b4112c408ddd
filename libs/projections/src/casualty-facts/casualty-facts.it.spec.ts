import { incident } from '@vigil/domain';
import { handleCommand, type EventLog, type Position } from '@vigil/event-log';
import { type SqlClient } from '@vigil/platform';
import { STILL_KNOWN, type Projections } from '../index';
import { casualtyFactsProjector } from './casualty-facts';
import { projectedLog, type ProjectedLog } from '../projected-log.fixture';

let world: ProjectedLog;
let sql: SqlClient;
let log: EventLog;
let projections: Projections;

beforeEach(async () => {
  world = await projectedLog('casualty-facts-spec');
  ({ sql, log, projections } = world);
});
afterEach(() => world.close());

const INJURY = '6f1c2a52-7f0e-5b7e-9d0a-4f6f0a3b1c11';
let serial = 0;
const send = async (id: string, type: string, data: object): Promise<Position> => {
  const done = await handleCommand(log, incident, id, { type, data }, { commandId: `c${++serial}`, metadata: {} });
  if (!done.ok) throw new Error(JSON.stringify(done.problem));
  return done.value.position!;
};
const driver = { id: '1', role: 'driver', vehicle: 'A', age: { value: 34, unit: 'year' }, sex: 'M' };
const walker = { id: '2', role: 'pedestrian', severity: { scale: 'GA16', value: 'fatal' }, daysToDeath: 2 };
const crash = (id: string, over: object = {}) =>
  send(id, 'ReportIncident', {
    kind: 'crash',
    community: 'S-01',
    knownAt: '2026-03-03',
    occurredAt: '2026-03-01T16:30:00Z', // 2 March in Shanghai
    vehicles: [{ id: 'A', type: 'car' }],
    casualties: [driver, walker],
    ...over,
  });
const settled = async (): Promise<void> => expect(await projections.waitFor(await log.head(), 10_000)).toBe(true);
const rows = async () =>
  (await sql`SELECT * FROM read.casualty_facts ORDER BY incident, casualty, known_from`).map((row) => ({ ...row }));
/** As known at a position: incident, casualty, community, injury. */
const known = async (at: Position) =>
  (
    await sql`SELECT incident, casualty, community, injury_id FROM read.casualty_facts
      WHERE known_from <= ${at.toString()} AND known_to > ${at.toString()} ORDER BY incident, casualty`
  ).map((row) => Object.values(row));

test('each casualty becomes a fact with its incident’s kind, local day and community', async () => {
  const at = await crash('c1');
  await settled();
  const common = {
    incident: 'c1',
    known_from: at.toString(),
    known_to: STILL_KNOWN,
    kind: 'crash',
    day: '2026-03-02',
    community: 'S-01',
    injury_id: null,
  };
  expect(await rows()).toEqual([
    {
      ...common,
      casualty: '1',
      role: 'driver',
      vehicle: 'A',
      age: 34,
      sex: 'M',
      scale: null,
      severity: 'unknown',
      death: null,
    },
    {
      ...common,
      casualty: '2',
      role: 'pedestrian',
      vehicle: null,
      age: null,
      sex: 'unknown',
      scale: 'GA16',
      severity: 'ga16-fatal',
      death: 2,
    },
  ]);
});

test('a correction closes only what it changes; a retraction closes all', async () => {
  const reported = await crash('c1');
  const corrected = await send('c1', 'CorrectIncident', {
    replaces: { casualties: [driver, { ...walker, daysToDeath: 3 }] },
    reason: 'r',
  });
  const moved = await send('c1', 'CorrectIncident', { replaces: { community: 'S-02' }, reason: 'r' });
  const alone = await send('c1', 'CorrectIncident', { replaces: { casualties: [driver] }, reason: 'r' });
  const gone = await send('c1', 'RetractIncident', { reason: 'r' });
  await settled();
  const spans = (await rows()).map((row) => [
    row['casualty'],
    row['known_from'],
    row['known_to'],
    row['death'],
    row['community'],
  ]);
  expect(spans).toEqual([
    ['1', `${reported}`, `${moved}`, null, 'S-01'],
    ['1', `${moved}`, `${gone}`, null, 'S-02'],
    ['2', `${reported}`, `${corrected}`, 2, 'S-01'],
    ['2', `${corrected}`, `${moved}`, 3, 'S-01'],
    ['2', `${moved}`, `${alone}`, 3, 'S-02'],
  ]);
});

test('the injury record of a casualty is known from its attachment to its removal', async () => {
  const reported = await crash('c1', { casualties: [{ ...driver, injuryId: INJURY }, walker] });
  const detached = await send('c1', 'DetachInjury', { injuryId: INJURY, reason: 'another person' });
  const attached = await send('c1', 'AttachInjury', { injuryId: INJURY, casualtyId: '2' });
  await settled();
  expect(await known(reported)).toEqual([
    ['c1', '1', 'S-01', INJURY],
    ['c1', '2', 'S-01', null],
  ]);
  expect((await known(detached)).map((row) => row[3])).toEqual([null, null]);
  expect((await known(attached)).map((row) => row[3])).toEqual([null, INJURY]);
});

test('an incident without casualties has no fact until a correction gives it one', async () => {
  await send('d1', 'ReportIncident', { kind: 'dispute', community: 'S-01', knownAt: '2026-03-03' });
  await send('d1', 'MediateDispute', { outcome: 'failed', on: '2026-03-04' });
  const at = await send('d1', 'CorrectIncident', {
    replaces: { casualties: [{ id: 'x', role: 'party', age: { value: 8, unit: 'month' } }] },
    reason: 'r',
  });
  await settled();
  expect(await rows()).toEqual([
    expect.objectContaining({ incident: 'd1', casualty: 'x', kind: 'dispute', day: '2026-03-03', age: 0, known_from: `${at}` }),
  ]);
});

test('a page of many changes, whole or after others, gives the same facts; so does a rebuild', async () => {
  for (const id of ['c1', 'c2', 'c3']) await crash(id);
  for (let n = 0; n < 4; n++)
    for (const id of ['c1', 'c2', 'c3'])
      await send(id, 'CorrectIncident', { replaces: { casualties: [driver, { ...walker, daysToDeath: n % 3 }] }, reason: 'r' });
  await send('c2', 'RetractIncident', { reason: 'r' });
  await settled();
  const before = await rows();
  expect(before.length).toBeGreaterThan(12);
  const events = (await Promise.all(['c1', 'c2', 'c3'].map((id) => log.readStream(`incident-${id}`)))).flat();
  const { apply } = casualtyFactsProjector({ log, timeZone: 'Asia/Shanghai' });
  for (const cut of [events.length, 2, 7]) {
    await sql`TRUNCATE read.casualty_facts`;
    for (const part of [events.slice(0, cut), events.slice(cut)])
      if (part.length > 0)
        await sql.begin(async (tx) => {
          await tx`SET LOCAL search_path TO read`;
          await apply(tx as never, part);
        });
    expect(await rows()).toEqual(before);
  }
  const [rebuilt] = await projections.rebuild('casualty-facts');
  expect(rebuilt).toMatchObject({ name: 'casualty-facts', digest: { equal: true } });
  expect(await rows()).toEqual(before);
});
