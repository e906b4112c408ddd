import { randomUUID } from 'node:crypto';
import { fingerprint } from '@vigil/vocabulary';
import fc from 'fast-check';
import {
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
        expect(await log.append(request('b', 'any', [event]))).toEqual(taken);
        expect(await log.append(request('b', 'any', [newEvent(), event]))).toEqual(taken);
        expect(await log.readStream('b')).toEqual([]);
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
          { kind: 'id-conflict', eventId: clash.id },
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
      it('writes all, side by side', async () => {
        const requests = [request('a', 'none'), request('b', 'any', [newEvent(), newEvent()]), request('c', 'none')];
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
        const outcomes = await Promise.all(
          range(8).map((n) => log.appendAtomic([request(n % 2 ? 'a' : 'b', 'none'), request(n % 2 ? 'b' : 'a', 'none')])),
        );
        expect(outcomes.filter((each) => each.every(({ kind }) => kind === 'appended'))).toHaveLength(1);
        expect(await all(log)).toHaveLength(2);
      });
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
          const uuid = (stream: number, id: number): string => fingerprint(many ? `${run} ${stream} ${id}` : `${run} ${id}`);
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
              picks[at]!.way === 'one'
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
