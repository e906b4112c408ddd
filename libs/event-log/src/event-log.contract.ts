import { randomUUID } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fingerprint } from '@vigil/vocabulary';
import fc from 'fast-check';
import { readPages } from './chain/pages';
import { createSealer } from './chain/sealer';
import { verifyLog } from './chain/verify';
import {
  LogMismatch,
  NotOffered,
  position,
  START,
  type AppendOutcome,
  type AppendRequest,
  type EventLog,
  type ExpectedRevision,
  type NewEvent,
  type RecordedEvent,
} from './event-log';
import { createMemoryLog } from './memory/memory-log';
import { writeExport } from './transfer/export-file';
import { importLog } from './transfer/import-log';

export interface OpenLog {
  readonly log: EventLog;
  /** Closes the log and lets go of what holds it. */
  close(): Promise<void>;
  /** Another log on the same store, as after a restart; absent where nothing outlives the process. */
  reopen?(): Promise<EventLog>;
}

export const newEvent = (over: Partial<NewEvent> = {}): NewEvent => {
  const data = over.data ?? `{"n":"${randomUUID()}"}`;
  return {
    id: randomUUID(),
    type: 'Tested',
    version: 1,
    data,
    metadata: '{"actor":"spec"}',
    fingerprint: fingerprint(data),
    ...over,
  };
};

export const request = (
  stream: string,
  expected: ExpectedRevision = 'any',
  events: readonly NewEvent[] = [newEvent()],
): AppendRequest => ({ stream, expected, events });

/** Reads a subscription until it has given `count` events, then aborts it. */
export const follow = async (log: EventLog, count: number, { after = START, pageSize = 1000 } = {}): Promise<RecordedEvent[]> => {
  const abort = new AbortController();
  const seen: RecordedEvent[] = [];
  for await (const page of log.subscribe({ after, pageSize, signal: abort.signal })) {
    seen.push(...page);
    if (seen.length >= count) abort.abort();
  }
  return seen;
};

const ids = (events: readonly { id: string }[]): string[] => events.map(({ id }) => id);
const kinds = (outcomes: readonly { kind: string }[]): string[] => outcomes.map(({ kind }) => kind);
const range = (n: number): number[] => Array.from({ length: n }, (_, i) => i);
const all = (log: EventLog): Promise<RecordedEvent[]> => log.readAll({ after: START, limit: 1_000_000 });
const ascends = (events: readonly RecordedEvent[]): boolean =>
  events.every((event, i) => i === 0 || event.position > events[i - 1]!.position);
const isDense = (events: readonly RecordedEvent[]): boolean => {
  const next = new Map<string, number>();
  return events.every(({ stream, revision }) => (next.set(stream, (next.get(stream) ?? -1) + 1), next.get(stream) === revision));
};

/** Could stand at the end of any log of these specs. */
const newest: RecordedEvent = {
  ...newEvent(),
  stream: 'newest',
  revision: 0,
  recordedAt: '2020-01-03T00:00:00Z',
  position: position(99n),
};

/** What every event log means, whatever it stands on. */
export const eventLogContract = (name: string, open: () => Promise<OpenLog>): void =>
  describe(name, () => {
    let opened: OpenLog;
    let log: EventLog;
    beforeEach(async () => void ({ log } = opened = await open()));
    afterEach(() => opened.close());

    describe('append', () => {
      it('takes a first event where none is expected, and answers where it stands', async () => {
        const first = newEvent();
        const outcome = await log.append(request('a', 'none', [first]));
        expect(outcome).toEqual({ kind: 'appended', revision: 0, position: await log.head() });
        const [read] = await all(log);
        expect(read).toEqual({
          ...first,
          stream: 'a',
          revision: 0,
          position: await log.head(),
          recordedAt: expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z$/),
        });
      });

      it('answers with the revision and position of the last of several events', async () => {
        const outcome = await log.append(
          request(
            'a',
            'none',
            range(3).map(() => newEvent()),
          ),
        );
        expect(outcome).toEqual({ kind: 'appended', revision: 2, position: await log.head() });
        expect((await all(log)).map(({ revision }) => revision)).toEqual([0, 1, 2]);
      });

      it.each<[string, number, ExpectedRevision, AppendOutcome | undefined]>([
        ['none, and the stream exists', 2, 'none', { kind: 'conflict', actual: 1 }],
        ['none, and there is none', 0, 'none', undefined],
        ['anything, and there is none', 0, 'any', undefined],
        ['anything, and the stream exists', 2, 'any', undefined],
        ['its last revision', 2, 1, undefined],
        ['an earlier revision', 2, 0, { kind: 'conflict', actual: 1 }],
        ['a later revision', 2, 2, { kind: 'conflict', actual: 1 }],
        ['a revision of a stream that does not exist', 0, 0, { kind: 'conflict', actual: null }],
      ])('expecting %s', async (_, before, expected, refused) => {
        for (let n = 0; n < before; n++) await log.append(request('a'));
        expect(await log.append(request('a', expected))).toEqual(
          refused ?? { kind: 'appended', revision: before, position: await log.head() },
        );
        expect(await all(log)).toHaveLength(before + (refused ? 0 : 1));
      });

      it('lets exactly one of many concurrent appends at one revision win', async () => {
        for (const expected of ['none', 0, 1] as const) {
          const outcomes = await Promise.all(range(16).map(() => log.append(request('a', expected))));
          expect(outcomes.filter(({ kind }) => kind === 'appended')).toHaveLength(1);
          expect(outcomes.filter(({ kind }) => kind === 'conflict')).toHaveLength(15);
        }
        expect((await log.readStream('a')).map(({ revision }) => revision)).toEqual([0, 1, 2]);
      });

      it('keeps many requests to one stream in the order of their calls', async () => {
        const events = range(200).map(() => newEvent());
        const outcomes = await Promise.all(events.map((event, n) => log.append(request('a', n === 0 ? 'none' : n - 1, [event]))));
        expect(kinds(outcomes)).toEqual(range(200).map(() => 'appended'));
        expect(ids(await log.readStream('a'))).toEqual(ids(events));
      });

      it('keeps streams apart that differ in case, blanks or script', async () => {
        const streams = ['a', 'A', ' a', 'a ', '%', "'; --", '社区-1', '\u00e9', 'e\u0301', '🚑', 'x'.repeat(1000)];
        const outcomes = await Promise.all(streams.map((stream) => log.append(request(stream, 'none'))));
        expect(kinds(outcomes)).toEqual(streams.map(() => 'appended'));
        for (const stream of streams) expect(await log.readStream(stream)).toMatchObject([{ stream, revision: 0 }]);
      });
    });

    describe('event ids', () => {
      it('make a repeat harmless, whatever is expected and whatever came after', async () => {
        const once = request('a', 'none', [newEvent(), newEvent()]);
        const first = await log.append(once);
        await log.append(request('a'));
        for (const expected of ['none', 'any', 0, 1, 7] as const)
          expect(await log.append({ ...once, expected })).toEqual({ ...first, kind: 'duplicate' });
        expect(await all(log)).toHaveLength(3);
      });

      it('give a repeat among concurrent ones one write and one answer', async () => {
        const once = request('a', 'none');
        const outcomes = await Promise.all(range(20).map(() => log.append(once)));
        expect(kinds(outcomes).sort()).toEqual(['appended', ...range(19).map(() => 'duplicate')]);
        expect(new Set(outcomes.map((outcome) => ('position' in outcome ? outcome.position : undefined)))).toEqual(
          new Set([await log.head()]),
        );
        expect(await all(log)).toHaveLength(1);
      });

      it('repeat in part: what is there without the rest is a conflict, a part that is there whole is a duplicate', async () => {
        const [a, b, c] = [newEvent(), newEvent(), newEvent()];
        await log.append(request('a', 'none', [a, b]));
        expect(await log.append(request('a', 'any', [b, c]))).toEqual({ kind: 'id-conflict', eventId: b.id });
        expect(await log.append(request('a', 'any', [c, a]))).toEqual({ kind: 'id-conflict', eventId: a.id });
        expect(await log.append(request('a', 'any', [a, b, c]))).toMatchObject({ kind: 'id-conflict' });
        expect(await log.append(request('a', 'any', [a]))).toMatchObject({ kind: 'duplicate', revision: 0 });
        expect(await log.append(request('a', 'any', [b, a]))).toMatchObject({ kind: 'duplicate', revision: 1 });
        expect(ids(await all(log))).toEqual([a.id, b.id]);
      });

      it('taken by another content or stream are a conflict', async () => {
        const event = newEvent();
        await log.append(request('a', 'none', [event]));
        const taken = { kind: 'id-conflict', eventId: event.id };
        expect(await log.append(request('a', 'any', [{ ...event, fingerprint: fingerprint('else') }]))).toEqual(taken);
        // A store that looks an id up in its own stream only can't know it from another.
        const inAnother =
          log.guarantees.uniqueIds === 'log' ? taken : { kind: 'appended', revision: 0, position: expect.anything() };
        expect(await log.append(request('b', 'any', [event]))).toEqual(inAnother);
        expect(await log.append(request('b', 'any', [newEvent(), event]))).toEqual(taken);
        expect(await log.readStream('b')).toHaveLength(log.guarantees.uniqueIds === 'log' ? 0 : 1);
      });

      it('with the same fingerprint keep the bytes that came first', async () => {
        const event = newEvent({ data: '{"a":1}' });
        await log.append(request('a', 'none', [event]));
        expect(await log.append(request('a', 'none', [{ ...event, data: '{ "a": 1 }' }]))).toMatchObject({ kind: 'duplicate' });
        expect(await all(log)).toMatchObject([{ data: '{"a":1}' }]);
      });
    });

    describe('appendMany', () => {
      it('answers in the order of its requests, and one refusal disturbs no neighbour', async () => {
        const [known, clash] = [newEvent(), newEvent()];
        await log.appendMany([request('known', 'none', [known]), request('clash', 'none', [clash])]);
        const outcomes = await log.appendMany([
          request('new', 'none', [newEvent(), newEvent()]),
          request('known', 'none'),
          request('known', 'none', [known]),
          request('other', 'any', [clash]),
          request('gone', 3),
          request('clash', 0),
          request('late', 'any'),
        ]);
        expect(outcomes).toMatchObject([
          { kind: 'appended', revision: 1 },
          { kind: 'conflict', actual: 0 },
          { kind: 'duplicate', revision: 0 },
          log.guarantees.uniqueIds === 'log' ? { kind: 'id-conflict', eventId: clash.id } : { kind: 'appended', revision: 0 },
          { kind: 'conflict', actual: null },
          { kind: 'appended', revision: 1 },
          { kind: 'appended', revision: 0 },
        ]);
        expect(isDense(await all(log))).toBe(true);
      });

      it('writes requests to one stream in their order, each seeing the one before', async () => {
        const outcomes = await log.appendMany([
          request('a', 'none'),
          request('b', 'none'),
          request('a', 0),
          request('a', 0),
          request('a', 1),
          request('b', 'none'),
        ]);
        expect(kinds(outcomes)).toEqual(['appended', 'appended', 'appended', 'conflict', 'appended', 'conflict']);
      });

      it('of nothing answers nothing; of thousands, each', async () => {
        expect(await log.appendMany([])).toEqual([]);
        const outcomes = await log.appendMany(range(3000).map((n) => request(`s${n % 1000}`)));
        expect(new Set(kinds(outcomes))).toEqual(new Set(['appended']));
        const events = await all(log);
        expect([events.length, isDense(events), ascends(events)]).toEqual([3000, true, true]);
      });
    });

    describe('appendAtomic', () => {
      /** Where the store has no transaction over streams it says so, with nothing tried, whatever it was asked. */
      const offered = async (requests: readonly AppendRequest[]): Promise<boolean> => {
        if (log.guarantees.atomicAcrossStreams) return true;
        const before = await log.head();
        await expect(log.appendAtomic(requests)).rejects.toBeInstanceOf(NotOffered);
        expect(await log.head()).toBe(before);
        return false;
      };

      it('takes requests to one stream, wherever it is', async () => {
        expect(await log.appendAtomic([request('a', 'none', [newEvent(), newEvent()])])).toMatchObject([
          { kind: 'appended', revision: 1 },
        ]);
        expect(await log.appendAtomic([request('a', 'none')])).toEqual([{ kind: 'conflict', actual: 1 }]);
      });

      it('writes all, side by side', async () => {
        const requests = [request('a', 'none'), request('b', 'any', [newEvent(), newEvent()]), request('c', 'none')];
        if (!(await offered(requests))) return;
        const outcomes = await log.appendAtomic(requests);
        expect(outcomes).toMatchObject([
          { kind: 'appended', revision: 0 },
          { kind: 'appended', revision: 1 },
          { kind: 'appended', revision: 0 },
        ]);
        expect(ids(await all(log))).toEqual(ids(requests.flatMap(({ events }) => events)));
      });

      it('writes none when one conflicts, and says which', async () => {
        const taken = newEvent();
        await log.append(request('a', 'none', [taken]));
        if (!(await offered([request('b', 'none'), request('a', 'none')]))) return;
        expect(await log.appendAtomic([request('b', 'none'), request('a', 'none'), request('c')])).toEqual([
          { kind: 'aborted' },
          { kind: 'conflict', actual: 0 },
          { kind: 'aborted' },
        ]);
        expect(await log.appendAtomic([request('b', 'none', [taken]), request('c')])).toEqual([
          { kind: 'id-conflict', eventId: taken.id },
          { kind: 'aborted' },
        ]);
        expect(await all(log)).toHaveLength(1);
      });

      it('sent again answers duplicates; a request that is there already does not hinder the others', async () => {
        const requests = [request('a', 'none'), request('b', 'none')];
        if (!(await offered(requests))) return;
        const first = await log.appendAtomic(requests);
        expect(await log.appendAtomic(requests)).toEqual(first.map((outcome) => ({ ...outcome, kind: 'duplicate' })));
        expect(kinds(await log.appendAtomic([requests[0]!, request('c', 'none')]))).toEqual(['duplicate', 'appended']);
        expect(kinds(await log.appendAtomic([requests[1]!, request('d', 'none'), request('a', 'none')]))).toEqual([
          'duplicate',
          'aborted',
          'conflict',
        ]);
        expect(await all(log)).toHaveLength(3);
      });

      it('of nothing answers nothing, and refuses requests that share a stream or an event', async () => {
        expect(await log.appendAtomic([])).toEqual([]);
        const event = newEvent();
        await expect(log.appendAtomic([request('a', 'none'), request('a', 'any')])).rejects.toThrow(RangeError);
        await expect(log.appendAtomic([request('a', 'none', [event]), request('b', 'any', [event])])).rejects.toThrow(RangeError);
        expect(await log.head()).toEqual(START);
      });

      it('lets one of two crossing ones win whole', async () => {
        if (!(await offered([request('a', 'none'), request('b', 'none')]))) return;
        const outcomes = await Promise.all(
          range(8).map((n) => log.appendAtomic([request(n % 2 ? 'a' : 'b', 'none'), request(n % 2 ? 'b' : 'a', 'none')])),
        );
        expect(outcomes.filter((each) => each.every(({ kind }) => kind === 'appended'))).toHaveLength(1);
        expect(await all(log)).toHaveLength(2);
      });
    });

    describe('restore', () => {
      /** A log of two streams and the instants that PostgreSQL would have written, to the microsecond. */
      const elsewhere = async (): Promise<RecordedEvent[]> => {
        const instants = [
          '2020-01-01T00:00:00Z',
          '2020-01-01T00:00:00.000001Z',
          '2020-01-01T00:00:00.12Z',
          '2020-01-02T00:00:00Z',
        ];
        const source = createMemoryLog();
        await source.appendMany(
          range(8).map((n) => request(n % 3 ? '社区-a' : 'b', 'any', [newEvent({ type: '类型', version: n + 1 })])),
        );
        return (await all(source)).map((event, n) => ({ ...event, recordedAt: instants[n >> 1]! }));
      };
      const bare = (events: readonly RecordedEvent[]): unknown[] => events.map(({ position: _, ...event }) => event);

      it('writes events as they were, byte for byte, in their order, under positions of its own', async () => {
        const events = await elsewhere();
        expect(await log.restore(events)).toEqual({ written: 8, present: 0 });
        const here = await all(log);
        expect(bare(here)).toEqual(bare(events));
        expect([ascends(here), isDense(here)]).toEqual([true, true]);
        expect(await log.readStream('b')).toEqual(here.filter(({ stream }) => stream === 'b'));
        expect(await log.positionAt('2020-01-01T00:00:00.000001Z')).toBe(here[3]!.position);
        expect(await log.append(request('b', 2))).toMatchObject({ kind: 'appended', revision: 3 });
        expect(await log.append(request('b', 'none', [events[0]!]))).toMatchObject({ kind: 'duplicate', revision: 0 });
      });

      it('passes over what stands here, so a broken-off move goes on by repeating itself', async () => {
        const events = await elsewhere();
        expect(await log.restore(events.slice(0, 3))).toEqual({ written: 3, present: 0 });
        expect(await log.restore(events.slice(0, 6))).toEqual({ written: 3, present: 3 });
        expect(await log.restore(events.slice(1, 3))).toEqual({ written: 0, present: 2 });
        expect(await log.restore(events.slice(4))).toEqual({ written: 2, present: 2 });
        expect(await log.restore([])).toEqual({ written: 0, present: 0 });
        expect(bare(await all(log))).toEqual(bare(events));
      });

      it('goes on from a log of its own, whose events it takes back', async () => {
        for (let n = 0; n < 5; n++) await log.append(request(`s${n % 2}`));
        const own = await all(log);
        expect(await log.restore(own)).toEqual({ written: 0, present: 5 });
        const copy = createMemoryLog();
        await copy.restore(own);
        expect(bare(await all(copy))).toEqual(bare(own));
      });

      it.each<[string, (events: RecordedEvent[]) => RecordedEvent[], number]>([
        ['other data', (events) => events.with(2, { ...events[2]!, data: '{}' }), 2],
        ['other metadata', (events) => events.with(1, { ...events[1]!, metadata: '{}' }), 1],
        ['another fingerprint', (events) => events.with(3, { ...events[3]!, fingerprint: fingerprint('else') }), 3],
        ['another instant', (events) => events.with(0, { ...events[0]!, recordedAt: '2019-01-01T00:00:00Z' }), 0],
        ['another stream', (events) => events.with(4, { ...events[4]!, stream: 'new', revision: 0 }).toSpliced(5), 4],
        [
          'a gap before it',
          (events) => events.toSpliced(7, 0, { ...newest, ...newEvent(), recordedAt: events[7]!.recordedAt }),
          8,
        ],
        ['a moved stream', (events) => [...events.slice(0, 5), { ...events[5]!, ...newEvent() }], 5],
        ['a gap in its stream', () => [{ ...newest, stream: 'b', revision: 9 }], 0],
        ['a stream that goes on', () => [{ ...newest, stream: 'b' }], 0],
        ['an earlier instant', () => [{ ...newest, recordedAt: '2020-01-01T23:00:00Z' }], 0],
      ])('names the event that stands here with %s, and writes nothing', async (_, change, at) => {
        const events = await elsewhere();
        await log.restore(events);
        const changed = change(events);
        const failed = log.restore(changed);
        await expect(failed).rejects.toBeInstanceOf(LogMismatch);
        await expect(failed).rejects.toThrow(changed[at]!.id);
        expect(bare(await all(log))).toEqual(bare(events));
      });

      it.each<[string, (event: RecordedEvent) => RecordedEvent[]]>([
        ['an event twice', (event) => [event, { ...event, stream: 'other' }]],
        ['a gap in a stream', (event) => [event, { ...event, id: randomUUID(), revision: 2 }]],
        [
          'instants that go back',
          (event) => [event, { ...event, ...newEvent(), stream: 'b', recordedAt: '2019-01-01T00:00:00Z' }],
        ],
        ['an instant with an offset', (event) => [{ ...event, recordedAt: '2020-01-01T00:00:00+08:00' }]],
        ['an instant finer than microseconds', (event) => [{ ...event, recordedAt: '2020-01-01T00:00:00.0000001Z' }]],
        ['an id that is no UUID', (event) => [{ ...event, id: 'one' }]],
        ['a revision below 0', (event) => [{ ...event, revision: -1 }]],
        ['NUL', (event) => [{ ...event, data: '"\u0000"' }]],
        ['10,001 events', (event) => range(10_001).map((n) => ({ ...event, id: randomUUID(), revision: n }))],
      ])('refuses %s before trying', async (_, events) => {
        await expect(log.restore(events(newest))).rejects.toThrow(RangeError);
        expect(await log.head()).toBe(START);
      });

      it('wakes those who follow', async () => {
        const followed = follow(log, 8);
        const events = await elsewhere();
        await log.restore(events);
        expect(bare(await followed)).toEqual(bare(events));
      });
    });

    it('can be sealed, verified, and moved to another store with the same digest, through the port alone', async () => {
      const folder = mkdtempSync(join(tmpdir(), 'vigil-contract-'));
      try {
        const heads = join(folder, 'heads');
        const sealed = () => createSealer({ log, folder: heads, keyFile: join(folder, 'key.pem') }).sealAll();
        await log.appendMany(range(40).map((n) => request(`s${n % 6}`)));
        expect(await sealed()).toMatchObject({ events: 40, heads: 1, position: await log.head() });
        await log.append(request('社区'));
        expect(await verifyLog({ pages: readPages(log), heads })).toMatchObject({ verified: 40, unsealed: 1 });
        expect(await sealed()).toMatchObject({ events: 41, heads: 2 });
        const { digest, ...found } = await verifyLog({ pages: readPages(log, { pageSize: 9 }), heads });
        expect(found).toMatchObject({ verified: 41, unsealed: 0, position: (await log.head()).toString() });
        const texts: Buffer[] = [];
        for await (const text of writeExport('spec', readPages(log))) texts.push(Buffer.from(text));
        const copy = createMemoryLog();
        const open = async function* () {
          yield* texts;
        };
        expect(await importLog({ log: copy, open })).toMatchObject({ written: 41, digest });
        expect(await verifyLog({ pages: readPages(copy), heads, moved: true })).toMatchObject({
          verified: 41,
          unsealed: 0,
          digest,
        });
      } finally {
        rmSync(folder, { recursive: true, force: true });
      }
    });

    it.each<[string, Partial<AppendRequest>]>([
      ['no event', { events: [] }],
      ['an event twice', { events: (({ id }) => [newEvent({ id }), newEvent({ id })])(newEvent()) }],
      ['an id that is no UUID', { events: [newEvent({ id: 'one' })] }],
      ['an id in capitals', { events: [newEvent({ id: randomUUID().toUpperCase() })] }],
      ['a fingerprint that is no UUID', { events: [newEvent({ fingerprint: '' })] }],
      ['version 0', { events: [newEvent({ version: 0 })] }],
      ['version 99999', { events: [newEvent({ version: 99_999 })] }],
      ['NUL in the data', { events: [newEvent({ data: '"\u0000"' })] }],
      ['half a character in the metadata', { events: [newEvent({ metadata: '"\ud83d"' })] }],
      ['NUL in the type', { events: [newEvent({ type: 'T\u0000' })] }],
      ['U+001E in the data', { events: [newEvent({ data: '"\u001e"' })] }],
      ['no type', { events: [newEvent({ type: '' })] }],
      ['no stream', { stream: '' }],
      ['U+001E in the stream', { stream: 'a\u001eb' }],
      ['half a character in the stream', { stream: 's\udc00' }],
      ['revision -2', { expected: -2 }],
      ['revision 1.5', { expected: 1.5 }],
    ])('refuses %s before trying, and no neighbour in the same tick suffers', async (_, part) => {
      const bad = { ...request('bad'), ...part };
      const [before, refused, after] = await Promise.allSettled([
        log.append(request('a')),
        log.append(bad),
        log.append(request('b')),
      ]);
      expect([before, after]).toMatchObject([{ value: { kind: 'appended' } }, { value: { kind: 'appended' } }]);
      expect(refused).toMatchObject({ status: 'rejected', reason: expect.any(RangeError) });
      await expect(log.appendMany([request('c'), bad])).rejects.toThrow(RangeError);
      await expect(log.appendAtomic([request('d'), bad])).rejects.toThrow(RangeError);
      expect((await all(log)).map(({ stream }) => stream).sort()).toEqual(['a', 'b']);
    });

    describe('bytes', () => {
      it.each([
        ['key order', '{"b":1,"a":2,"10":3,"9":4}'],
        ['doubled keys', '{"a":1,"a":2}'],
        ['blanks and line ends', '{ "a" :\r\n\t1 }\n'],
        ['numbers as written', '[1.0,1e2,-0,12345678901234567890,0.10]'],
        ['an escaped NUL', '{"a":"\\u0000"}'],
        ['an escaped half character', '"\\ud800"'],
        ['any script', '{"伤害":"跌倒 \u00e9 e\u0301 🚑 \u202e"}'],
        ['quotes and backslashes', '"\\\\ \\" \' $1 %s \\/"'],
        ['a megabyte', JSON.stringify({ a: '守'.repeat(350_000) })],
      ])('are kept: %s', async (_, text) => {
        const event = newEvent({ data: text, metadata: text, type: '类型', version: 32_767 });
        await log.append(request('a', 'none', [event]));
        expect(await log.readStream('a')).toMatchObject([event]);
        expect(await all(log)).toMatchObject([event]);
      });
    });

    describe('readStream', () => {
      const revisions = async (options?: Parameters<EventLog['readStream']>[1]): Promise<number[]> =>
        (await log.readStream('a', options)).map(({ revision }) => revision);

      it('reads one stream, both ways, from a revision, up to a limit', async () => {
        for (let n = 0; n < 5; n++) await log.appendMany([request('a'), request('b')]);
        expect(await revisions()).toEqual([0, 1, 2, 3, 4]);
        expect(await revisions({ from: 2 })).toEqual([2, 3, 4]);
        expect(await revisions({ from: 1, limit: 2 })).toEqual([1, 2]);
        expect(await revisions({ from: 5 })).toEqual([]);
        expect(await revisions({ direction: 'backwards' })).toEqual([4, 3, 2, 1, 0]);
        expect(await revisions({ direction: 'backwards', from: 2 })).toEqual([2, 1, 0]);
        expect(await revisions({ direction: 'backwards', limit: 1 })).toEqual([4]);
        expect(await revisions({ direction: 'backwards', from: 99, limit: 2 })).toEqual([4, 3]);
        expect(await revisions({ limit: 0 })).toEqual([]);
        expect(await log.readStream('none')).toEqual([]);
      });
    });

    describe('positions', () => {
      it('rise from before the first event; pages join without gap or double', async () => {
        expect([await log.head(), await all(log)]).toEqual([START, []]);
        await log.appendMany(range(25).map((n) => request(`s${n % 4}`)));
        const whole = await all(log);
        expect([whole.length, ascends(whole), whole[0]!.position > START]).toEqual([25, true, true]);
        const pages: RecordedEvent[] = [];
        for (
          let page = await log.readAll({ after: START, limit: 7 });
          page.length > 0;
          page = await log.readAll({ after: pages.at(-1)!.position, limit: 7 })
        ) {
          expect(page.length).toBeLessThanOrEqual(7);
          pages.push(...page);
        }
        expect(pages).toEqual(whole);
        expect(await log.head()).toBe(whole.at(-1)!.position);
        expect(await log.readAll({ after: await log.head(), limit: 7 })).toEqual([]);
      });

      it('count the events after one, up to and with another', async () => {
        expect(await log.count(START, position(1_000n))).toBe(0);
        await log.appendMany(range(9).map((n) => request(`s${n}`)));
        const at = (await all(log)).map((event) => event.position);
        expect(await log.count(START, at[8]!)).toBe(9);
        expect(await log.count(at[2]!, at[5]!)).toBe(3);
        expect(await log.count(at[5]!, at[2]!)).toBe(0);
        expect(await log.count(at[8]!, position(1_000_000n))).toBe(0);
      });

      it('at an instant are the last recorded by then', async () => {
        expect(await log.positionAt('2026-01-01T00:00:00Z')).toBe(START);
        for (let n = 0; n < 12; n++) await log.append(request('a'));
        const events = await all(log);
        const last = (instant: string) => events.findLast(({ recordedAt }) => recordedAt === instant)!.position;
        for (const { recordedAt } of events) expect(await log.positionAt(recordedAt)).toBe(last(recordedAt));
        expect(await log.positionAt('1970-01-01T00:00:00Z')).toBe(START);
        expect(await log.positionAt('9999-01-01T00:00:00Z')).toBe(await log.head());
        expect(await log.positionAt('1970-01-01T08:00:00+08:00')).toBe(START);
      });
    });

    describe('subscribe', () => {
      it('catches up page by page, then follows live', async () => {
        await log.appendMany(range(10).map((n) => request(`s${n}`)));
        const abort = new AbortController();
        const pages: number[] = [];
        let seen = 0;
        for await (const page of log.subscribe({ after: START, pageSize: 4, signal: abort.signal })) {
          pages.push(page.length);
          seen += page.length;
          if (seen === 10) await log.append(request('live', 'none'));
          if (seen === 11) abort.abort();
        }
        expect(pages).toEqual([4, 4, 2, 1]);
      });

      it('starts after a position', async () => {
        await log.appendMany(range(10).map((n) => request(`s${n}`)));
        const events = await all(log);
        expect(await follow(log, 4, { after: events[5]!.position })).toEqual(events.slice(6));
      });

      it('gives every event once and in order while writers write', async () => {
        const early = follow(log, 400, { pageSize: 7 });
        const whole = follow(log, 400);
        const writers = range(8).map(async (w) => {
          for (let n = 0; n < 25; n++) await log.append(request(`w${w}`, n === 0 ? 'none' : n * 2 - 1, [newEvent(), newEvent()]));
        });
        await writers[0];
        const late = follow(log, 400, { pageSize: 50 });
        await Promise.all(writers);
        const events = await all(log);
        expect([events.length, isDense(events), ascends(events)]).toEqual([400, true, true]);
        for (const seen of await Promise.all([early, whole, late])) expect(ids(seen)).toEqual(ids(events));
      });

      it('can be had many times at once', async () => {
        const followers = range(10).map(() => follow(log, 3));
        await log.appendMany(range(3).map((n) => request(`s${n}`)));
        expect((await Promise.all(followers)).map((seen) => seen.length)).toEqual(range(10).map(() => 3));
      });

      it('ends on abort: before it began, while it waits, and between pages', async () => {
        const count = async (signal: AbortSignal): Promise<number> => {
          let pages = 0;
          for await (const _page of log.subscribe({ after: START, pageSize: 1, signal })) pages++;
          return pages;
        };
        expect(await count(AbortSignal.abort())).toBe(0);
        const abort = new AbortController();
        const waiting = count(abort.signal);
        await log.head();
        abort.abort();
        expect(await waiting).toBe(0);
        await log.appendMany([request('a'), request('b')]);
        expect(await follow(log, 1, { pageSize: 1 })).toHaveLength(1);
      });
    });

    it('gives a reader who keeps the last position every event exactly once while writers write', async () => {
      let writing = true;
      const writers = Promise.all(
        range(8).map(async (w) => {
          for (let n = 0; n < 40; n++)
            await (n % 3 ? log.append(request(`w${w}`)) : log.appendMany([request(`w${w}`), request(`x${w}`)]));
        }),
      ).finally(() => (writing = false));
      const seen: RecordedEvent[] = [];
      for (let last = false; !last; ) {
        last = !writing;
        const page = await log.readAll({ after: seen.at(-1)?.position ?? START, limit: 1000 });
        seen.push(...page);
        if (page.length === 0) await new Promise(setImmediate);
      }
      await writers;
      expect(seen).toEqual(await all(log));
    });

    it('answers as the model does, whatever is sent', async () => {
      const model = createMemoryLog();
      let run = 0;
      const pick = fc.record({
        stream: fc.nat(2),
        expected: fc.oneof(fc.constantFrom('any' as const, 'none' as const), fc.nat(4)),
        events: fc.uniqueArray(fc.record({ id: fc.nat(7), content: fc.nat(6) }), {
          selector: ({ id }) => id,
          minLength: 1,
          maxLength: 3,
        }),
        way: fc.constantFrom('one' as const, 'atomic' as const),
      });
      const plain = (outcome: object): object => ({ ...outcome, position: undefined, eventId: undefined });
      await fc.assert(
        fc.asyncProperty(fc.array(pick, { maxLength: 15 }), fc.boolean(), async (picks, many) => {
          run++;
          // Within one bulk call an id belongs to one stream: across streams its order is not promised.
          const apart = many || log.guarantees.uniqueIds === 'stream';
          const uuid = (stream: number, id: number): string => fingerprint(apart ? `${run} ${stream} ${id}` : `${run} ${id}`);
          const requests = picks.map(({ stream, expected, events }) =>
            request(
              `${run}-${stream}`,
              expected,
              events.map(({ id, content }) =>
                newEvent({ id: uuid(stream, id), fingerprint: fingerprint(content > 0 ? 'same' : 'other') }),
              ),
            ),
          );
          if (many)
            return expect((await log.appendMany(requests)).map(plain)).toEqual((await model.appendMany(requests)).map(plain));
          for (const [at, one] of requests.entries()) {
            const send = async (to: EventLog) =>
              picks[at]!.way === 'one' || !log.guarantees.atomicAcrossStreams
                ? [await to.append(one)]
                : to.appendAtomic([one, request(`${run}-beside`, 'any', [newEvent({ id: uuid(9, 100 + at), data: '{}' })])]);
            expect((await send(log)).map(plain)).toEqual((await send(model)).map(plain));
          }
        }),
        { numRuns: 60 },
      );
      const bare = (events: RecordedEvent[]): unknown[] =>
        events.map(({ stream, revision, id, fingerprint: print }) => [stream, revision, id, print]).sort();
      expect(bare(await all(log))).toEqual(bare(await all(model)));
    });

    it('closed, has finished what was under way and ends its subscriptions', async () => {
      const followed = follow(log, Infinity);
      const appends = [
        log.append(request('a')),
        log.append(request('a')),
        log.appendMany([request('b')]),
        log.appendAtomic([request('c')]),
      ];
      await log.close();
      expect((await Promise.all(appends)).flat().map(({ kind }) => kind)).toEqual([
        'appended',
        'appended',
        'appended',
        'appended',
      ]);
      await followed;
      if (!opened.reopen) return;
      const again = await opened.reopen();
      try {
        expect(await all(again)).toHaveLength(4);
        expect(await again.append(request('a', 1))).toMatchObject({ kind: 'appended', revision: 2 });
      } finally {
        await again.close();
      }
    });
  });
