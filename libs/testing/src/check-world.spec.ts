import { checkWorld, type Acknowledged, type WorldEvent, type WorldOptions } from './check-world';

const event = (id: string, stream: string, revision: number, position: number): WorldEvent => ({
  id,
  stream,
  revision,
  position: BigInt(position),
});
const SOUND = [event('a', 's', 0, 1), event('b', 't', 0, 2), event('c', 's', 1, 5), event('d', 's', 2, 6)];

/** Gives pages of two, as they are kept: a broken log may hold anything in any order. */
const world = (events: readonly WorldEvent[], over: Partial<WorldOptions<bigint>> = {}) => {
  let page = 0;
  return checkWorld({
    log: { readAll: async () => events.slice(page, (page += 2)) },
    acknowledged: events.map(({ id, position, revision, stream }): Acknowledged => ({ id, position, revision, stream })),
    ...over,
  });
};
const broken = async (report: ReturnType<typeof world>) => (await report).broken.map(({ promise }) => promise);

test('a sound world breaks no promise; holes in the positions are none', async () => {
  const sent = new Set(['a', 'b', 'c', 'd', 'never tried']);
  const table = { table: 'facts', rows: 3, expected: 3, missing: 0, surplus: 0, different: 0 };
  expect(await world(SOUND, { sent, compare: async () => [table] })).toEqual({
    events: 4,
    acknowledged: 4,
    lost: 0,
    doubled: 0,
    tables: [table],
    broken: [],
  });
});

test('an empty world too, and one where more is durable than was acknowledged', async () => {
  expect((await world([])).broken).toEqual([]);
  expect(await world(SOUND, { acknowledged: [{ id: 'a' }] })).toMatchObject({ acknowledged: 1, lost: 0, broken: [] });
});

test('I1: an acknowledged event that is not in the log', async () => {
  const report = await world(SOUND, { acknowledged: [{ id: 'a' }, { id: 'gone', stream: 's', position: 3n, revision: 1 }] });
  expect(report).toMatchObject({ acknowledged: 2, lost: 1, broken: [{ promise: 'I1', times: 1 }] });
  expect(report.broken[0]!.first).toBe('event gone was acknowledged at s r1 position 3 and is not in the log');
});

test.each<[string, Partial<Acknowledged>]>([
  ['position', { position: 4n }],
  ['revision', { revision: 0 }],
  ['stream', { stream: 't' }],
])('I1: an acknowledged event at another %s than was said', async (_, place) => {
  expect(await world(SOUND, { acknowledged: [{ id: 'c', ...place }] })).toMatchObject({ lost: 1, broken: [{ promise: 'I1' }] });
});

test('I1: one event acknowledged at two places', async () => {
  const twice = [
    { id: 'a', position: 1n },
    { id: 'a', position: 9n },
  ];
  expect(await broken(world(SOUND, { acknowledged: twice }))).toEqual(['I1']);
  expect(await broken(world(SOUND, { acknowledged: [twice[0]!, twice[0]!] }))).toEqual([]);
});

test('I2: an event that stands twice', async () => {
  const report = await world([...SOUND, event('b', 't', 1, 7)]);
  expect(report).toMatchObject({ doubled: 1, acknowledged: 4, broken: [{ promise: 'I1' }, { promise: 'I2' }] });
});

test.each<[string, WorldEvent]>([
  ['a gap in the revisions', event('e', 's', 4, 7)],
  ['a revision given twice', event('e', 's', 2, 7)],
  ['a stream that begins at 1', event('e', 'u', 1, 7)],
  ['a position below the one before', event('e', 'u', 0, 3)],
  ['a position given twice', event('e', 'u', 0, 6)],
])('I4: %s', async (_, added) => {
  expect(await broken(world([...SOUND, added], { acknowledged: [] }))).toEqual(['I4']);
});

test('I6: an event under an id that nobody sent, as a retry with a new id leaves it', async () => {
  expect(await broken(world(SOUND, { sent: new Set(['a', 'b', 'd']) }))).toEqual(['I6']);
});

test('I3: a read model that is not the fold', async () => {
  const table = { table: 'facts', rows: 3, expected: 3, missing: 1, surplus: 1, different: 0, first: { key: '7' } };
  const report = await world(SOUND, { compare: async () => [{ ...table, table: 'sound', missing: 0, surplus: 0 }, table] });
  expect(report.broken).toEqual([
    { promise: 'I3', times: 1, first: 'facts: 1 rows missing, 1 surplus, 0 different; first {"key":"7"}' },
  ]);
});
