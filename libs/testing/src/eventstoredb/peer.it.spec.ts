import {
  binaryEvent,
  ErrorType,
  EventStoreDBClient,
  jsonEvent,
  streamNameFilter,
  type AllStreamResolvedEvent,
} from '@eventstore/db-client';
import { X509Certificate } from 'node:crypto';
import { createEventStoreDatabase, selfSigned, startEventStorePeer, type EventStorePeer } from '.';

jest.setTimeout(30_000);

let peer: EventStorePeer;
let client: EventStoreDBClient;
beforeEach(async () => {
  peer = await startEventStorePeer();
  client = EventStoreDBClient.connectionString(peer.url());
});
afterEach(async () => {
  await client.dispose();
  await peer.close();
});

const event = (type = 'Tested') => jsonEvent({ type, data: { a: 1 }, metadata: { by: 'spec' } });

it('speaks with the official client as it comes: appends, reads, refusals', async () => {
  const events = [event(), event(), event()];
  const first = await client.appendToStream('s-1', events, { expectedRevision: 'no_stream' });
  expect(first).toMatchObject({ success: true, nextExpectedRevision: 2n });
  expect(peer.calls).toMatchObject({ append: 0, batchAppend: 1 });
  await expect(client.appendToStream('s-1', event(), { expectedRevision: 0n })).rejects.toMatchObject({
    type: ErrorType.WRONG_EXPECTED_VERSION,
    actualVersion: 2n,
  });
  expect(await client.appendToStream('s-1', events, { expectedRevision: 'no_stream' })).toEqual(first); // a repeat
  expect(await client.appendToStream('s-1', binaryEvent({ type: 'B', data: Buffer.from('x') }), { credentials: { username: 'u', password: 'p' } }))
    .toMatchObject({ nextExpectedRevision: 3n }); // prettier-ignore
  expect(peer.calls.append).toBe(1);
  const read = [];
  for await (const { event: one } of client.readStream('s-1', { direction: 'backwards', fromRevision: 'end', maxCount: 2 }))
    read.push(one!);
  expect(read.map(({ revision, type }) => [revision, type])).toEqual([
    [3n, 'B'],
    [2n, 'Tested'],
  ]);
  expect(read[1]).toMatchObject({ data: { a: 1 }, metadata: { by: 'spec' }, id: events[2]!.id, created: expect.any(Date) });
  await expect(async () => {
    for await (const _ of client.readStream('none'));
  }).rejects.toMatchObject({ type: ErrorType.STREAM_NOT_FOUND });
});

it('shows system events in $all, under positions that leave holes; filters them away, with checkpoints', async () => {
  for (let n = 0; n < 60; n++) await client.appendToStream(n % 2 ? `ours-${n}` : `theirs-${n}`, event());
  const all: AllStreamResolvedEvent[] = [];
  for await (const one of client.readAll()) all.push(one);
  expect(all.filter(({ event: one }) => one!.streamId.startsWith('$')).length).toBeGreaterThan(5);
  const places = all.map(({ commitPosition }) => commitPosition!);
  expect(places.every((at, n) => n === 0 || at > places[n - 1]!)).toBe(true);
  const checkpoints: bigint[] = [];
  const filter = streamNameFilter({
    prefixes: ['ours-'],
    checkpointReached: (_, { commit }) => void checkpoints.push(commit),
  });
  const seen: string[] = [];
  for await (const { event: one } of client.subscribeToAll({ filter })) {
    seen.push(one!.streamId);
    if (seen.length === 30) await client.appendToStream('ours-live', event());
    if (seen.length === 31) break;
  }
  expect([seen.every((stream) => stream.startsWith('ours-')), seen.at(-1)]).toEqual([true, 'ours-live']);
  expect(checkpoints.length).toBeGreaterThan(1);
});

it('keeps its state when it goes down, and knows repeats by what stands in the stream when it has forgotten the ids', async () => {
  const database = createEventStoreDatabase();
  const [one, two] = [event(), event()].map(({ id, type }) => ({ id, type, contentType: 'application/json', data: Buffer.from('{}'), metadata: Buffer.alloc(0) })); // prettier-ignore
  expect(database.append('s', 'any', [one!, two!])).toMatchObject({ ok: true, revision: 1 });
  expect(database.append('s', 'any', [one!])).toMatchObject({ ok: true, revision: 0 });
  expect(database.append('s', 'any', [two!, { ...one!, id: 'new' }])).toEqual({ ok: false, current: 1 });
  database.forgetIds();
  expect(database.append('s', 'none', [one!, two!])).toMatchObject({ ok: true, revision: 1 });
  expect(database.append('s', 0, [two!])).toMatchObject({ ok: true, revision: 1 });
  expect(database.append('s', 'any', [one!])).toMatchObject({ ok: true, revision: 2 }); // best effort, there as here
});

it('has a certificate of its own for TLS', () => {
  const { cert } = selfSigned();
  const parsed = new X509Certificate(cert);
  expect([parsed.verify(parsed.publicKey), parsed.checkIP('127.0.0.1'), parsed.checkHost('localhost'), parsed.ca]).toEqual([
    true,
    '127.0.0.1',
    'localhost',
    true,
  ]);
});
