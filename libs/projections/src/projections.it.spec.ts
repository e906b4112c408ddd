import { aggregates, injuryId, injuryStream, type InjuryCommand } from '@vigil/domain';
import { handleCommand, position, toNewEvent, type EventLog, type Position } from '@vigil/event-log';
import { type SqlClient } from '@vigil/platform';
import { deterministicId } from '@vigil/vocabulary';
import fc from 'fast-check';
import {
  createPostgresStore,
  createProjections,
  createReadModels,
  createRuntime,
  STILL_KNOWN,
  type Projections,
  type Projector,
} from './index';
import { projectedLog, type ProjectedLog } from './projected-log.fixture';

let world: ProjectedLog;
let sql: SqlClient;
let log: EventLog;
let projections: Projections;

beforeEach(async () => {
  world = await projectedLog('projections-test');
  ({ sql, log, projections } = world);
});

afterEach(() => world.close());

let serial = 0;
const context = () => ({ commandId: `c${++serial}`, metadata: {} });
const record = (recordId: string, over: Record<string, unknown> = {}) =>
  ({
    recordId,
    feed: 'clinic',
    occurredAt: '2026-03-02',
    knownAt: '2026-03-02',
    visit: 'first',
    community: 'C-1',
    age: { value: 40, unit: 'year' },
    sex: 'F',
    ...over,
  }) as never;
const send = async (id: string, type: InjuryCommand['type'], data: unknown): Promise<Position> => {
  const done = await handleCommand(log, aggregates.injury, id, { type, data } as InjuryCommand, context());
  if (!done.ok) throw new Error(done.problem.code);
  return done.value.position!;
};
const report = async (recordId: string, over?: Record<string, unknown>): Promise<string> => {
  const id = injuryId('clinic', recordId);
  await send(id, 'ReportInjury', record(recordId, over));
  return id;
};
const settled = async (): Promise<Position> => {
  const head = await log.head();
  expect(await projections.waitFor(head, 10_000)).toBe(true);
  return head;
};
const countedAt = async (at: bigint | string = STILL_KNOWN): Promise<number> => {
  const last = at === STILL_KNOWN ? (await log.head()).toString() : at.toString();
  const [row] = await sql<
    { n: string }[]
  >`SELECT count(*) AS n FROM read.injury_facts WHERE counted AND known_from <= ${last} AND known_to > ${last}`;
  return Number(row!.n);
};
const rows = () =>
  sql`SELECT * FROM read.injury_facts ORDER BY injury_id, known_from`.then((found) => found.map((row) => ({ ...row })));

test('a report becomes a fact with canonical codes, completed years and the local day', async () => {
  await report('1', {
    occurredAt: '2026-03-01T17:30:00Z', // the 2nd in Shanghai
    age: { value: 23, unit: 'month' },
    mechanism: { system: 'niss-card', version: '14', code: '3' },
    place: { system: 'niss-card', version: '14', code: 'no such code' },
    sampling: { frame: 'F', weight: 2.5, stratum: 'with "quotes", (brackets) \\ and 汉字', unit: '7' },
  });
  await settled();
  expect(await rows()).toMatchObject([
    {
      day: '2026-03-02',
      age: 1,
      sex: 'F',
      mechanism: 'fall',
      place: 'unmapped',
      intent: 'unknown',
      weight: 2.5,
      stratum: 'with "quotes", (brackets) \\ and 汉字',
      counted: true,
      known_from: '1',
      known_to: STILL_KNOWN,
    },
  ]);
  expect((await sql`SELECT stratum, unit FROM read.sampling_units`).map((row) => ({ ...row }))).toEqual([
    { stratum: 'with "quotes", (brackets) \\ and 汉字', unit: '7' },
  ]);
});

test('a correction closes the row it replaces; both stay answerable', async () => {
  const id = await report('1', { sex: 'unknown' });
  const before = await settled();
  await send(id, 'CorrectInjury', { replaces: { sex: 'M', residence: null }, reason: 'register' });
  const after = await settled();
  const at = async (where: Position) =>
    (await sql`SELECT sex FROM read.injury_facts WHERE known_from <= ${where.toString()} AND known_to > ${where.toString()}`).map(
      (row) => row['sex'],
    );
  expect(await at(before)).toEqual(['unknown']);
  expect(await at(after)).toEqual(['M']);
});

test('a retraction takes the injury out from its position on', async () => {
  const id = await report('1');
  const before = await settled();
  await send(id, 'RetractInjury', { reason: 'test entry' });
  const after = await settled();
  expect([await countedAt(before), await countedAt(after)]).toEqual([1, 0]);
});

test('linked reports count once, a follow-up never, and unlinking restores the counts exactly', async () => {
  const [a, b, c] = [await report('1'), await report('2'), await report('3', { visit: 'follow-up' })];
  expect([await settled(), await countedAt()][1]).toBe(2);
  const linked = await send(b, 'LinkInjury', { other: a, decidedBy: 'automatic' });
  await send(c, 'LinkInjury', { other: b, decidedBy: 'manual' });
  await settled();
  expect(await countedAt()).toBe(1);
  await send(a, 'RetractInjury', { reason: 'double' });
  await settled();
  expect(await countedAt()).toBe(1); // the second report stands in for the retracted first
  await send(b, 'UnlinkInjury', { other: a, decidedBy: 'manual', reason: 'two people' });
  await settled();
  expect(await countedAt()).toBe(1);
  expect(await countedAt(linked - 1n)).toBe(2);
});

test('a manual decision outlives an automatic one made on the other report', async () => {
  const [a, b] = [await report('1'), await report('2')];
  await send(a, 'UnlinkInjury', { other: b, decidedBy: 'manual', reason: 'two people' });
  await send(b, 'LinkInjury', { other: a, decidedBy: 'automatic' });
  await settled();
  expect(await countedAt()).toBe(2);
});

test('later population cells close those they overlap, and only those', async () => {
  await handleCommand(
    log,
    aggregates.community,
    'C-1',
    { type: 'RegisterCommunity', data: { code: 'C-1', name: { zh: '一', en: 'One' }, type: 'street' } },
    context(),
  );
  const population = (cells: unknown[]) =>
    handleCommand(
      log,
      aggregates.community,
      'C-1',
      { type: 'RecordPopulation', data: { year: 2026, cells } as never },
      context(),
    );
  await population([
    { sex: 'F', ageFrom: 0, persons: 100 },
    { sex: 'M', ageFrom: 0, persons: 90 },
  ]);
  await population([
    { sex: 'F', ageFrom: 0, ageTo: 64, persons: 80 },
    { sex: 'F', ageFrom: 65, persons: 30 },
  ]);
  await settled();
  const open =
    await sql`SELECT sex, age_from, age_to, persons FROM read.population WHERE known_to = ${STILL_KNOWN} ORDER BY sex, age_from`;
  expect(open.map((row) => ({ ...row }))).toEqual([
    { sex: 'F', age_from: 0, age_to: 64, persons: 80 },
    { sex: 'F', age_from: 65, age_to: null, persons: 30 },
    { sex: 'M', age_from: 0, age_to: null, persons: 90 },
  ]);
  expect(await createReadModels({ sql }).community('C-1')).toMatchObject({ revision: 2, populationYears: [2026] });
});

test('incremental equals from scratch, whatever happened', async () => {
  let runs = 0;
  const pick = fc.nat({ max: 3 });
  const step = fc.oneof(
    fc.record({ type: fc.constant('report'), a: pick, visit: fc.constantFrom('first', 'follow-up') }),
    fc.record({
      type: fc.constant('correct'),
      a: pick,
      sex: fc.constantFrom('F', 'M', null),
      day: fc.constantFrom('2026-01-05', '2025-12-31'),
    }),
    fc.record({ type: fc.constant('retract'), a: pick }),
    fc.record({ type: fc.constantFrom('link', 'unlink'), a: pick, b: pick, decidedBy: fc.constantFrom('manual', 'automatic') }),
  );
  const run = async (names: readonly string[], ids: readonly string[], s: Record<string, never>): Promise<void> => {
    const id = ids[s['a']!]!;
    const other = ids[s['b'] ?? 0];
    const command = {
      report: { type: 'ReportInjury', data: record(names[s['a']!]!, { visit: s['visit'] }) },
      correct: { type: 'CorrectInjury', data: { replaces: { sex: s['sex'], occurredAt: s['day'] }, reason: 'r' } },
      retract: { type: 'RetractInjury', data: { reason: 'r' } },
      link: { type: 'LinkInjury', data: { other, decidedBy: s['decidedBy'] } },
      unlink: { type: 'UnlinkInjury', data: { other, decidedBy: s['decidedBy'], reason: 'r' } },
    }[s['type'] as unknown as string] as InjuryCommand;
    await handleCommand(log, aggregates.injury, id, command, context()); // refusals are part of life
  };
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 1, maxLength: 14 }), async (steps) => {
      const names = ['1', '2', '3', '4'].map((name) => `${runs}-${name}`);
      const ids = names.map((name) => injuryId('clinic', name));
      runs++;
      for (const each of steps) await run(names, ids, each as never);
      await settled();
      const incremental = await rows();
      await projections.rebuild('injury-facts');
      expect(await rows()).toEqual(incremental);
      // An independent recount from the log: of each cluster of linked, living, first-visit reports one counts.
      const open = incremental.filter((row) => row['known_to'] === STILL_KNOWN);
      const pairs = await sql<{ low: string; high: string }[]>`SELECT low, high FROM read.injury_pairs WHERE linked`;
      const group = new Map(
        [...open.map((row) => row['injury_id'] as string), ...pairs.flatMap(({ low, high }) => [low, high])].map((id) => [
          id,
          id,
        ]),
      );
      const rootOf = (id: string): string => (group.get(id) === id ? id : rootOf(group.get(id)!));
      for (const { low, high } of pairs) group.set(rootOf(low), rootOf(high));
      const eligible = new Set(open.filter((row) => row['eligible']).map((row) => rootOf(row['injury_id'] as string)));
      expect(open.filter((row) => row['counted']).length).toBe(eligible.size);
    }),
    { numRuns: 25 },
  );
}, 60_000);

test('an event that cannot be applied halts its projection before it, visibly, and the others go on', async () => {
  await report('1');
  await settled();
  const id = injuryId('clinic', '9');
  await log.append({
    stream: injuryStream(id),
    expected: 'none',
    events: [
      toNewEvent({ type: 'InjuryCorrected', data: { replaces: { sex: 'M' }, reason: 'r' } }, 1, deterministicId('x'), '{}'),
    ],
  });
  await report('2');
  const head = await log.head();
  expect(await projections.waitFor(head, 300)).toBe(false);
  const status = await projections.status();
  expect(status.find(({ name }) => name === 'injury-facts')).toMatchObject({
    state: 'halted',
    position: head - 2n,
    lagEvents: 2,
    problem: { type: 'InjuryCorrected' },
  });
  expect(status.find(({ name }) => name === 'communities')).toMatchObject({ state: 'live', position: head });
});

test('an event type nobody handles is passed over; an unknown version halts those that handle the type, and no others', async () => {
  await report('1');
  const strange = (type: string, version: number, stream: string, n: number) =>
    log.append({
      stream,
      expected: 'any',
      events: [toNewEvent({ type, data: {} }, version, deterministicId('strange', `${n}`), '{}')],
    });
  await strange('VolcanoErupted', 1, 'volcano-1', 1);
  await settled();
  await strange('InjuryReported', 99, injuryStream(injuryId('clinic', '99')), 2);
  const head = await log.head();
  await expect(projections.waitFor(head, 500)).resolves.toBe(false);
  const status = await projections.status();
  expect(status.map(({ name, state }) => [name, state])).toEqual([
    ['communities', 'live'],
    ['injury-facts', 'halted'],
    ['case-files', 'live'],
    ['survey-responses', 'live'],
    ['activity-facts', 'live'],
    ['casualty-facts', 'live'],
  ]);
  expect(status[1]!.problem!.message).toContain('a newer program wrote it');
});

test('effect and checkpoint move together: a death between them is as if neither had happened', async () => {
  await projections.stop();
  let deaths = 0;
  const applied: string[] = [];
  const projector: Projector = {
    name: 'doomed',
    kind: 'model',
    handles: new Set(['InjuryReported']),
    apply: async (tx, events) => {
      for (const event of events) await tx`INSERT INTO public.seen (position) VALUES (${event.position.toString()})`;
      applied.push(...events.map((event) => event.position.toString()));
    },
  };
  await sql`CREATE TABLE public.seen (position bigint PRIMARY KEY)`;
  const store = createPostgresStore({ sql });
  const runtime = createRuntime({
    store,
    log,
    owner: 'spec',
    projectors: [projector],
    crashPoint: (name) => {
      if (name === 'projector.after-effect' && deaths++ === 0)
        throw Object.assign(new Error('connection gone'), { code: 'CONNECTION_CLOSED' });
    },
  });
  await report('1');
  await runtime.start();
  expect(await runtime.waitFor(await log.head(), 10_000)).toBe(true);
  await runtime.stop();
  await store.close();
  expect(applied).toEqual(['1', '1']); // tried twice
  expect((await sql`SELECT position FROM public.seen`).length).toBe(1); // there once
});

test('two instances on one database never count twice', async () => {
  const other = createProjections({ sql, log, timeZone: 'Asia/Shanghai' });
  try {
    await other.start();
    for (let i = 0; i < 40; i++) await report(`r${i}`);
    await settled();
  } finally {
    await other.stop();
  }
  expect(await countedAt()).toBe(40);
  expect((await sql`SELECT count(*) AS n FROM read.injury_facts`)[0]!['n']).toBe('40');
});

test('position 0 is an answer: nothing was known', async () => {
  await report('1');
  await settled();
  expect(await countedAt(position(0))).toBe(0);
});
