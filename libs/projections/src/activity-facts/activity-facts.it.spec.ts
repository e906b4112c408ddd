import { intervention } from '@vigil/domain';
import { handleCommand, type EventLog, type Position } from '@vigil/event-log';
import { type SqlClient } from '@vigil/platform';
import { type Projections } from '../index';
import { activityFactsProjector } from './activity-facts';
import { projectedLog, type ProjectedLog } from '../projected-log.fixture';

let world: ProjectedLog;
let sql: SqlClient;
let log: EventLog;
let projections: Projections;

beforeEach(async () => {
  world = await projectedLog('activity-facts-spec');
  ({ sql, log, projections } = world);
});
afterEach(() => world.close());

let serial = 0;
const send = async (id: string, type: string, data: object): Promise<Position> => {
  const done = await handleCommand(log, intervention, id, { type, data }, { commandId: `c${++serial}`, metadata: {} });
  if (!done.ok) throw new Error(JSON.stringify(done.problem));
  return done.value.position!;
};
const design = (id: string, over: object = {}) =>
  send(id, 'DesignIntervention', {
    name: '防跌倒',
    domain: 'elderly',
    targetGroup: '65+',
    outcomes: ['INC-01'],
    units: ['S-01', 'S-02'],
    ...over,
  });
const hold = (id: string, over: object = {}) =>
  send(id, 'HoldActivity', { kind: 'training', setting: 'community', heldOn: '2026-03-02', unit: 'S-01', ...over });
const settled = async (): Promise<void> => expect(await projections.waitFor(await log.head(), 10_000)).toBe(true);
const at = (position?: Position): string => (position ?? 2n ** 62n).toString();
const facts = async (position?: Position) =>
  (await sql`SELECT * FROM read.activity_facts WHERE known_from <= ${at(position)} ORDER BY known_from`).map((row) => ({
    ...row,
  }));
const attendance = async (position?: Position) =>
  (await sql`SELECT * FROM read.activity_attendance WHERE known_from <= ${at(position)} ORDER BY known_from, "group"`).map(
    (row) => ({ ...row }),
  );

test('an activity becomes a fact with its day, unit, domain, kind, setting, departments and attendance', async () => {
  await design('fall');
  const held = await hold('fall', {
    topic: '居家防跌',
    organisations: ['health', 'street', 'health'],
    attendance: [
      { group: 'elderly', persons: 40, expected: 50 },
      { group: 'carers', persons: 3 },
    ],
  });
  await settled();
  const key = { intervention: 'fall', revision: '1', known_from: held.toString() };
  expect(await facts()).toEqual([
    {
      ...key,
      day: '2026-03-02',
      community: 'S-01',
      domain: 'elderly',
      kind: 'training',
      setting: 'community',
      organisations: ['health', 'street'],
      pledges: [],
      pledged: '0',
      pledges_expire: null,
    },
  ]);
  expect(await attendance()).toEqual([
    { ...key, group: 'carers', persons: 3, expected: null },
    { ...key, group: 'elderly', persons: 40, expected: 50 },
  ]);
});

test('pledges keep the day each runs out, beside their number and the first of those days', async () => {
  await design('hire', { domain: 'migrants-and-rental' });
  await hold('hire', {
    kind: 'pledge',
    setting: 'household',
    pledges: [
      { count: 12, expiresOn: '2027-03-01', signedBy: '房东' },
      { count: 5, expiresOn: '2026-12-31' },
    ],
  });
  await settled();
  expect(await facts()).toEqual([
    expect.objectContaining({
      pledged: '17',
      pledges_expire: '2026-12-31',
      pledges: [
        { count: 12, expiresOn: '2027-03-01', signedBy: '房东' },
        { count: 5, expiresOn: '2026-12-31' },
      ],
    }),
  ]);
});

test('what was known at a position is what was held by then; one without a unit belongs to no community', async () => {
  await design('a');
  await design('b', { domain: 'fire' });
  const first = await hold('a');
  await hold('b', { kind: 'exchange', setting: undefined, unit: undefined });
  await send('a', 'StartIntervention', { unit: 'S-01', startedOn: '2026-03-01' });
  await hold('a');
  await settled();
  const told = (rows: Record<string, unknown>[]) =>
    rows.map((row) => [row['intervention'], row['revision'], row['community'], row['domain'], row['setting']]);
  expect(told(await facts(first))).toEqual([['a', '1', 'S-01', 'elderly', 'community']]);
  expect(told(await facts())).toEqual([
    ['a', '1', 'S-01', 'elderly', 'community'],
    ['b', '1', null, 'fire', null],
    ['a', '3', 'S-01', 'elderly', 'community'],
  ]);
});

test('a page applied whole, and again, gives the same facts; so does a rebuild', async () => {
  await design('a');
  await design('b');
  for (let n = 0; n < 20; n++) await hold(n % 2 ? 'a' : 'b', { attendance: [{ group: 'all', persons: n }] });
  await settled();
  const before = [await facts(), await attendance()];
  expect(before.map(({ length }) => length)).toEqual([20, 20]);
  const events = [...(await log.readStream('intervention-a')), ...(await log.readStream('intervention-b'))].filter(
    ({ type }) => type === 'ActivityHeld',
  );
  const { apply } = activityFactsProjector({ log });
  const again = () =>
    sql.begin(async (tx) => {
      await tx`SET LOCAL search_path TO read`;
      await apply(tx as never, events);
    });
  await again();
  expect([await facts(), await attendance()]).toEqual(before);
  await sql`TRUNCATE read.activity_facts, read.activity_attendance`;
  await again();
  expect([await facts(), await attendance()]).toEqual(before);
  const [rebuilt] = await projections.rebuild('activity-facts');
  expect(rebuilt).toMatchObject({ name: 'activity-facts', digest: { equal: true } });
  expect([await facts(), await attendance()]).toEqual(before);
});
