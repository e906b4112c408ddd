import {
  createEventStoreDatabase,
  selfSigned,
  startEventStorePeer,
  type EventStorePeer,
  type EventStorePeerOptions,
  type PeerFault,
} from '@vigil/testing';
import { fingerprint } from '@vigil/vocabulary';
import { spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  LogOverloaded,
  LogUnavailable,
  position,
  START,
  type AppendOutcome,
  type AppendRequest,
  type EventLog,
  type RecordedEvent,
} from './event-log';
import { eventLogContract, follow, newEvent, request } from './event-log.contract';
import { createEventStoreLog, type EventStoreLogOptions } from './eventstoredb';

jest.setTimeout(120_000);

const range = (n: number): number[] => Array.from({ length: n }, (_, i) => i);
const all = (log: EventLog): Promise<RecordedEvent[]> => log.readAll({ after: START, limit: 1_000_000 });
const ids = (events: readonly { id: string }[]): string[] => events.map(({ id }) => id);
const settled = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));
const until = async (holds: () => boolean): Promise<void> => {
  while (!holds()) await settled(5);
};

/** The contract appends two megabytes at once; a server's own limit is one. */
const ROOMY = { maxAppendBytes: 16 << 20 };

eventLogContract('the log on EventStoreDB, by its test peer', async () => {
  const peer = await startEventStorePeer(ROOMY);
  const logs: EventLog[] = [];
  const reopen = async (): Promise<EventLog> => {
    const log = createEventStoreLog({ url: peer.url() });
    logs.push(log);
    return log;
  };
  return {
    log: await reopen(),
    reopen,
    close: async () => {
      for (const log of logs) await log.close();
      await peer.close();
    },
  };
});

const real = process.env['EVENTSTORE_URL'];
if (real)
  eventLogContract('the log on the EventStoreDB of EVENTSTORE_URL', async () => {
    const prefix = `vigil-spec-${randomUUID()}-`;
    const logs: EventLog[] = [];
    const reopen = async (): Promise<EventLog> => {
      const log = createEventStoreLog({ url: real, prefix });
      logs.push(log);
      return log;
    };
    return { log: await reopen(), reopen, close: async () => void (await Promise.all(logs.map((log) => log.close()))) };
  });

describe('the log on EventStoreDB, beside its contract', () => {
  let closers: (() => Promise<unknown>)[];
  beforeEach(() => void (closers = []));
  afterEach(async () => {
    for (const close of closers.reverse()) await close();
  });

  const startPeer = async (options: EventStorePeerOptions = {}): Promise<EventStorePeer> => {
    const peer = await startEventStorePeer({ ...ROOMY, ...options });
    closers.push(peer.close);
    return peer;
  };
  const openLog = (url: string, options: Partial<EventStoreLogOptions> = {}): EventLog => {
    const log = createEventStoreLog({ url, ...options });
    closers.push(log.close);
    return log;
  };

  /** Appends until each has an outcome, again with the same ids when it is unknown. */
  const append = async (log: EventLog, one: AppendRequest): Promise<AppendOutcome> => {
    for (;;)
      try {
        return await log.append(one);
      } catch (error) {
        expect(error).toBeInstanceOf(LogUnavailable);
      }
  };
  /** Every acknowledged event is there once, each stream in its writer's order, and a follower was given exactly that. */
  const expectWhole = async (
    log: EventLog,
    written: readonly AppendRequest[],
    followed?: Promise<RecordedEvent[]>,
  ): Promise<void> => {
    const events = await all(log);
    expect(ids(events).sort()).toEqual(written.flatMap((one) => ids(one.events)).sort());
    for (const stream of new Set(written.map((one) => one.stream))) {
      const mine = written.filter((one) => one.stream === stream).flatMap((one) => ids(one.events));
      expect(ids(await log.readStream(stream))).toEqual(mine);
    }
    if (followed) expect(await followed).toEqual(events);
  };

  describe('faults of the cluster', () => {
    it.each<[PeerFault, number]>([
      ['unavailable', 3],
      ['cancelled', 2],
      ['no-leader', 3],
      ['lost-ack', 1],
      ['lost-ack', 3],
      ['commit-timeout', 2],
      ['hang', 2],
      ['hang-after-write', 1],
    ])('%s, %i times: sent again with the same ids, the events are there once', async (fault, times) => {
      const peer = await startPeer();
      const log = openLog(peer.url(), { callMs: 300 });
      const followed = follow(log, 8);
      const written: AppendRequest[] = [];
      for (const expected of ['none', 'any', 3] as const) {
        const planned = peer.fail(fault, times);
        const one = request('a', expected, [newEvent(), newEvent()]);
        expect(await log.append(one)).toMatchObject({ kind: 'appended', revision: written.length * 2 + 1 });
        expect(planned.left).toBe(0);
        written.push(one);
      }
      const planned = peer.fail(fault, times);
      const others = range(2).map(() => request('b'));
      expect(await log.appendMany(others)).toMatchObject([{ revision: 0 }, { revision: 1 }]);
      expect(planned.left).toBe(0);
      await expectWhole(log, [...written, ...others], followed);
    });

    it('lost-ack, and a restart that forgets the ids: the stream is looked at, the events are there once', async () => {
      const peer = await startPeer();
      const log = openLog(peer.url());
      await log.append(request('a', 'none'));
      const planned = peer.fail('lost-ack');
      const one = request('a', 'any', [newEvent(), newEvent()]);
      const appended = log.append(one);
      await until(() => planned.left === 0);
      peer.down();
      await settled(100);
      peer.up();
      expect(await appended).toMatchObject({ kind: 'appended', revision: 2 });
      expect(await log.append(one)).toMatchObject({ kind: 'duplicate', revision: 2 });
      expect(await all(log)).toHaveLength(3);
    });

    it('unavailable, and a lost acknowledgement among them, for longer than the deadline: the outcome is unknown; a retry settles it', async () => {
      const peer = await startPeer();
      const log = openLog(peer.url(), { deadlineMs: 400 });
      const one = request('a', 'none');
      await log.append(request('b')); // so that the next needs no read before it writes
      peer.fail('lost-ack');
      const planned = peer.fail('unavailable', Infinity, 'any');
      await expect(log.append(one)).rejects.toBeInstanceOf(LogUnavailable);
      await expect(log.head()).rejects.toBeInstanceOf(LogUnavailable);
      await expect(log.readStream('a')).rejects.toBeInstanceOf(LogUnavailable);
      planned.left = 0;
      expect(await log.append(one)).toMatchObject({ kind: 'duplicate', revision: 0 });
      expect(await all(log)).toHaveLength(2);
    });

    it('a silent node: no call takes longer than the deadline', async () => {
      const peer = await startPeer();
      const log = openLog(peer.url(), { deadlineMs: 600, callMs: 150 });
      peer.fail('hang', Infinity, 'any');
      const began = performance.now();
      const calls = [log.append(request('a')), log.head(), log.readStream('a'), all(log), log.positionAt('2026-01-01T00:00:00Z')];
      for (const { status, reason } of (await Promise.allSettled(calls)) as PromiseRejectedResult[])
        expect([status, (reason as Error).name]).toEqual(['rejected', 'LogUnavailable']);
      expect(performance.now() - began).toBeLessThan(3000);
    });

    it('a retry beside the attempt that the deadline cut short: what both learn of the stream is learnt once', async () => {
      const peer = await startPeer();
      const [other, log] = [openLog(peer.url()), openLog(peer.url(), { deadlineMs: 60, callMs: 5000 })];
      const pair = (expected: AppendRequest['expected']) => request('a', expected, [newEvent(), newEvent()]);
      const written = [pair('none')];
      await append(log, written[0]!);
      for (let n = 1; n < 8; n += 2) {
        written.push(pair(n * 2 - 1), pair(n * 2 + 1));
        expect(await other.append(written[n]!)).toMatchObject({ kind: 'appended' });
        peer.slowMs = 40 + 40 * (n % 3);
        const outcome = append(log, written[n + 1]!);
        await settled(200);
        peer.slowMs = 0;
        expect(['appended', 'duplicate']).toContain((await outcome).kind);
        await settled(300);
      }
      await expectWhole(other, written);
      expect(await other.append(pair('any'))).toMatchObject({ kind: 'appended', revision: written.length * 2 + 1 });
    });

    it('NotLeader: the leader that is named is followed, also when it changes', async () => {
      const database = createEventStoreDatabase();
      const first = await startPeer({ database });
      const second = await startPeer({ database, follows: first });
      const log = openLog(second.url());
      const followed = follow(log, 40);
      const written = range(40).map((n) => request(`w${n % 4}`));
      for (const [n, one] of written.entries()) {
        if (n === 20) {
          second.follow(undefined);
          first.follow(second);
          first.dropSubscriptions();
        }
        expect(await append(log, one)).toMatchObject({ kind: 'appended' });
      }
      expect([first.calls.append > 0, second.calls.append > 0]).toEqual([true, true]);
      await expectWhole(log, written, followed);
    });

    it('the loss of a node of a cluster: the others say who leads now', async () => {
      const database = createEventStoreDatabase();
      const first = await startPeer({ database });
      const second = await startPeer({ database, follows: first });
      const log = openLog(`esdb://127.0.0.1:${first.port},127.0.0.1:${second.port}?tls=false`);
      const followed = follow(log, 20);
      const written = range(20).map((n) => request(`w${n % 4}`));
      for (const [n, one] of written.entries()) {
        if (n === 10) {
          first.down();
          second.follow(undefined);
        }
        expect(await append(log, one)).toMatchObject({ kind: 'appended' });
      }
      expect(second.calls.append).toBeGreaterThanOrEqual(10);
      await expectWhole(log, written, followed);
    });

    it('an unreachable node: unknown outcome, and on with it when it is back', async () => {
      const peer = await startPeer();
      peer.down();
      const log = openLog(peer.url(), { deadlineMs: 300 });
      const one = request('a', 'none');
      await expect(log.append(one)).rejects.toBeInstanceOf(LogUnavailable);
      await expect(log.appendMany([one, request('b')])).rejects.toBeInstanceOf(LogUnavailable);
      peer.up();
      expect(await append(log, one)).toMatchObject({ kind: 'appended', revision: 0 });
    });

    it('a link that is dead for ever while nobody says so: calls and subscriptions go on over a new one', async () => {
      const peer = await startPeer();
      const log = openLog(peer.url(), { deadlineMs: 5000, callMs: 300, heartbeatMs: 200 });
      const followed = follow(log, 2);
      await log.append(request('a', 'none'));
      peer.freeze();
      const appended = log.append(request('a', 0));
      await settled(100);
      peer.thaw(); // for new connections only
      expect(await appended).toMatchObject({ kind: 'appended', revision: 1 });
      expect(ids(await followed)).toEqual(ids(await all(log)));
    });

    it('a cut and a black-holed link under load: nothing lost, nothing double', async () => {
      const peer = await startPeer();
      const log = openLog(peer.url(), { callMs: 400, heartbeatMs: 300 });
      const reader = openLog(peer.url(), { heartbeatMs: 300, callMs: 400 });
      const written: AppendRequest[] = [];
      const followed = follow(reader, 240);
      let busy = true;
      const trouble = (async () => {
        for (let n = 0; busy && n < 18; n++) {
          await settled(150);
          if (n % 3 === 0) peer.cut();
          if (n % 3 === 1) peer.freeze();
          if (n % 3 === 2) peer.thaw();
        }
        peer.thaw();
      })();
      await Promise.all(
        range(8).map(async (w) => {
          for (let n = 0; n < 15; n++) {
            const one = request(`w${w}`, n === 0 ? 'none' : n * 2 - 1, [newEvent(), newEvent()]);
            written.push(one);
            expect(['appended', 'duplicate']).toContain((await append(log, one)).kind);
          }
        }),
      );
      busy = false;
      await trouble;
      await expectWhole(reader, written, followed);
    });

    it('every fault at random under load: nothing lost, nothing double, each follower given all once', async () => {
      const peer = await startPeer();
      const logs = range(2).map(() => openLog(peer.url(), { callMs: 250, heartbeatMs: 200 }));
      const followed = [follow(logs[0]!, 160, { pageSize: 7 }), follow(logs[1]!, 160)];
      const faults: PeerFault[] = [
        'unavailable',
        'cancelled',
        'no-leader',
        'lost-ack',
        'commit-timeout',
        'hang',
        'hang-after-write',
      ];
      const written: AppendRequest[] = [];
      const dice = (n: number): number => Math.floor(Math.random() * n);
      await Promise.all(
        range(8).map(async (w) => {
          for (let n = 0; n < 10; n++) {
            if (dice(3) === 0) peer.fail(faults[dice(faults.length)]!, 1, 'append');
            if (dice(8) === 0) peer.fail((['unavailable', 'hang'] as const)[dice(2)]!, 1, 'read');
            if (dice(12) === 0) peer.stall();
            if (dice(12) === 0) peer.dropSubscriptions();
            const one = request(`w${w}`, dice(2) ? 'any' : n === 0 ? 'none' : n * 2 - 1, [newEvent(), newEvent()]);
            written.push(one);
            expect(['appended', 'duplicate']).toContain((await append(logs[w % 2]!, one)).kind);
          }
        }),
      );
      await expectWhole(logs[0]!, written, followed[0]);
      expect(ids(await followed[1]!)).toEqual(ids(await all(logs[1]!)));
    });
  });

  describe('subscriptions', () => {
    it('that have stalled are made anew: every event once, in order', async () => {
      const peer = await startPeer();
      const log = openLog(peer.url(), { heartbeatMs: 100 });
      const followed = follow(log, 30);
      for (const n of range(30)) {
        await log.append(request(`s${n % 3}`));
        if (n % 10 === 5) {
          await until(() => peer.calls.subscribe > n / 10);
          peer.stall();
        }
      }
      expect(ids(await followed)).toEqual(ids(await all(log)));
      expect(peer.calls.subscribe).toBeGreaterThanOrEqual(4);
    });

    it('that are silent because nothing happens are left alone', async () => {
      const peer = await startPeer();
      const log = openLog(peer.url(), { heartbeatMs: 30 });
      await log.append(request('a'));
      const followed = follow(log, 2);
      await settled(400);
      expect(peer.calls.subscribe).toBe(1);
      await log.append(request('a'));
      expect(await followed).toHaveLength(2);
    });

    it('that were dropped go on where they stood, whatever else the database holds', async () => {
      const peer = await startPeer();
      const log = openLog(peer.url());
      const followed = follow(log, 20, { pageSize: 3 });
      for (const n of range(20)) {
        await log.append(request(`s${n}`));
        for (const _ of range(50)) peer.database.append('elsewhere', 'any', [foreign()]);
        if (n % 4 === 1) peer.dropSubscriptions();
      }
      expect(ids(await followed)).toEqual(ids(await all(log)));
    });

    it('of a slow consumer hold nothing back in memory: what it has not asked for waits at the server', async () => {
      const peer = await startPeer();
      const log = openLog(peer.url());
      const data = JSON.stringify({ a: 'x'.repeat(10_000) });
      const events = range(2000).map(() => newEvent({ data }));
      for (const n of range(20)) await log.append(request(`s${n}`, 'none', events.slice(n * 100, n * 100 + 100)));
      const before = peer.sent;
      const abort = new AbortController();
      const pages = log.subscribe({ after: START, pageSize: 10, signal: abort.signal })[Symbol.asyncIterator]();
      const seen = [...((await pages.next()).value as RecordedEvent[])];
      await settled(500);
      expect(peer.sent - before).toBeLessThan(500);
      while (seen.length < 2000) seen.push(...((await pages.next()).value as RecordedEvent[]));
      expect(ids(seen)).toEqual(ids(events));
      abort.abort();
      await pages.return?.();
    });

    it('begin after any number, even where no event begins', async () => {
      const peer = await startPeer();
      const log = openLog(peer.url());
      await log.appendMany(range(6).map((n) => request(`s${n}`)));
      const events = await all(log);
      const { position: third } = events[2]!;
      for (const after of [third, third - 1n, third - 17n, third + 1n, third + 30n, 1n, 2n ** 40n].map(position)) {
        const rest = events.filter((event) => event.position > after);
        expect(ids(await log.readAll({ after, limit: 10 }))).toEqual(ids(rest));
        if (rest.length > 0) expect(ids(await follow(log, rest.length, { after }))).toEqual(ids(rest));
        expect(await log.count(after, await log.head())).toBe(rest.length);
      }
    });
  });

  const foreign = () => ({ id: randomUUID(), type: 'Foreign', contentType: 'application/json', data: Buffer.from('{}'), metadata: Buffer.alloc(0) }); // prettier-ignore

  it('shows nothing of the server itself or of others; an intruder in one of its streams is named, not passed over', async () => {
    const peer = await startPeer();
    const [log, other] = [openLog(peer.url()), openLog(peer.url(), { prefix: 'other-' })];
    for (const n of range(25)) {
      await log.append(request(`s${n}`, 'none'));
      await other.append(request(`s${n}`, 'none'));
    }
    peer.database.append('vigi', 'any', [foreign()]);
    expect(peer.database.all.some(({ stream }) => stream.startsWith('$stats'))).toBe(true);
    for (const one of [log, other]) expect(await all(one)).toHaveLength(25);
    expect(await log.count(START, await log.head())).toBe(25);
    peer.database.append('vigil-s3', 'any', [foreign()]);
    await expect(log.readStream('s3')).rejects.toThrow('was not written by Vigil');
    await expect(follow(log, 26)).rejects.toThrow('was not written by Vigil');
  });

  it('of two processes that append one id with two contents at once writes one, and tells the other', async () => {
    const peer = await startPeer();
    const logs = range(2).map(() => openLog(peer.url()));
    for (const round of range(30)) {
      const event = newEvent();
      const same = round % 2 === 0;
      const twin = same ? event : { ...event, data: '{"other":1}', fingerprint: fingerprint('other') };
      const outcomes = await Promise.all([
        logs[0]!.append(request('a', 'any', [event])),
        logs[1]!.append(request('a', 'any', [twin])),
      ]);
      expect(outcomes.map(({ kind }) => kind).sort()).toEqual(['appended', same ? 'duplicate' : 'id-conflict']);
      const stands = (await logs[0]!.readStream('a')).filter(({ id }) => id === event.id);
      expect(stands.map((each) => each.data)).toEqual([outcomes[0]!.kind === 'appended' ? event.data : twin.data]);
    }
  });

  it('keeps one order for several logs on one database', async () => {
    const peer = await startPeer();
    const logs = range(3).map(() => openLog(peer.url()));
    const followed = [follow(openLog(peer.url()), 120, { pageSize: 10 }), follow(logs[0]!, 120)];
    await Promise.all(
      range(12).map(async (w) => {
        for (let n = 0; n < 10; n++) await logs[w % 3]!.append(request(`w${w % 6}`));
      }),
    );
    const events = await all(logs[0]!);
    expect(new Set(ids(events)).size).toBe(120);
    for (const seen of await Promise.all(followed)) expect(seen).toEqual(events);
  });

  it('records no earlier instant than before, though the server was once ahead', async () => {
    let now = Date.parse('2026-03-01T10:00:00.000Z');
    const peer = await startPeer({ database: createEventStoreDatabase({ now: () => now }) });
    const [log, another] = [openLog(peer.url()), openLog(peer.url())];
    await log.append(request('a'));
    now = Date.parse('2999-01-01T00:00:00Z');
    await log.append(request('a'));
    now = Date.parse('2026-03-01T10:00:01.000Z');
    await log.append(request('a'));
    await another.append(request('b'));
    const events = await all(log);
    expect(events.map(({ recordedAt }) => recordedAt.slice(0, 19))).toEqual([
      '2026-03-01T10:00:00',
      '2999-01-01T00:00:00',
      '2999-01-01T00:00:00',
      '2999-01-01T00:00:00',
    ]);
    expect(await log.readStream('a')).toEqual(events.slice(0, 3));
    expect(await log.positionAt('2998-12-31T23:59:59Z')).toBe(events[0]!.position);
    expect(await log.positionAt('2999-01-01T00:00:01Z')).toBe(events[3]!.position);
  });

  it('goes on with a broken-off restore by repeating its page', async () => {
    const peer = await startPeer();
    const log = openLog(peer.url(), { deadlineMs: 300 });
    const events = range(30).map((n) => ({
      ...newEvent(),
      stream: `s${n % 3}`,
      revision: Math.floor(n / 3),
      recordedAt: '2020-01-01T00:00:00Z',
      position: START,
    }));
    const restore = log.restore(events);
    await until(() => peer.calls.append > 7);
    peer.fail('lost-ack', 1, 'append');
    const planned = peer.fail('unavailable', Infinity, 'any');
    await expect(restore).rejects.toBeInstanceOf(LogUnavailable);
    planned.left = 0;
    const { written, present } = await log.restore(events);
    expect([written + present, present > 7, written > 0]).toEqual([30, true, true]);
    expect(ids(await all(log))).toEqual(ids(events));
  });

  it('refuses in words an append that is larger than the server takes, at once', async () => {
    const peer = await startPeer({ maxAppendBytes: 1 << 20 });
    const log = openLog(peer.url());
    const big = newEvent({ data: JSON.stringify('x'.repeat(2 << 20)) });
    await expect(log.append(request('a', 'none', [big]))).rejects.toThrow(/larger than the store takes .*1048576/);
    expect(peer.calls.append).toBe(1);
    expect(await log.append(request('a', 'none'))).toMatchObject({ kind: 'appended' });
  });

  it('bounds what waits and what is under way', async () => {
    const peer = await startPeer();
    peer.slowMs = 50;
    const log = openLog(peer.url(), { inFlight: 2, maxWaiting: 10 });
    const outcomes = await Promise.allSettled(range(40).map((n) => log.append(request(`s${n}`, 'none'))));
    const refused = outcomes.filter(({ status }) => status === 'rejected') as PromiseRejectedResult[];
    expect(refused.length).toBeGreaterThan(0);
    for (const { reason } of refused) expect(reason).toBeInstanceOf(LogOverloaded);
    expect(await all(log)).toHaveLength(40 - refused.length);
  });

  describe('security', () => {
    const users = { admin: 'ch@nge:it' };
    let folder: string;
    beforeEach(async () => {
      folder = await mkdtemp(join(tmpdir(), 'vigil-eventstore-'));
      closers.push(() => rm(folder, { recursive: true }));
    });
    const secured = async () => {
      const tls = selfSigned();
      const peer = await startPeer({ tls, users });
      const ca = join(folder, 'ca.crt');
      await writeFile(ca, tls.cert);
      const url = (login: string, more = `&tlsCAFile=${encodeURIComponent(ca)}`): string =>
        `esdb://${login}127.0.0.1:${peer.port}?tls=true${more}`;
      return { peer, url };
    };
    const login = `admin:${encodeURIComponent(users.admin)}@`;

    it('speaks TLS with the authority and the credentials of its connection string', async () => {
      const { url } = await secured();
      const log = openLog(url(login));
      const followed = follow(log, 2);
      const written = [request('a', 'none'), request('a', 0)];
      for (const one of written) await log.append(one);
      await expectWhole(log, written, followed);
      expect(await openLog(url(login).replace('esdb:', 'kurrentdb:')).head()).toBe(await log.head());
    });

    it.each([
      ['a wrong password', 'admin:wrong-secret@'],
      ['no credentials', ''],
    ])('with %s is refused for good, and tells no password', async (_, who) => {
      const { url } = await secured();
      const log = openLog(url(who));
      const failed = await log.append(request('a')).catch((error: Error) => error);
      expect(failed).toMatchObject({ name: expect.not.stringMatching('LogUnavailable') });
      expect(`${(failed as Error).message} ${(failed as Error).stack}`).not.toContain('secret');
      await expect(follow(log, 1)).rejects.toThrow(/denied|unauthenticated/i);
    });

    it('trusts no certificate that its authority did not sign', async () => {
      const { url, peer } = await secured();
      const log = openLog(url(login, ''), { deadlineMs: 300 });
      await expect(log.append(request('a'))).rejects.toBeInstanceOf(LogUnavailable);
      expect(peer.calls.append).toBe(0);
    });

    it('names no password when the connection string cannot be read', () => {
      for (const url of ['esdb://admin:secret@', 'esdb://admin:secret@host?tls=maybe', 'http://admin:secret@host'])
        expect(() => createEventStoreLog({ url })).toThrow(
          expect.objectContaining({ message: expect.not.stringContaining('secret') }),
        );
      expect(() => createEventStoreLog({ url: 'esdb://h:1?tls=true&tlsCAFile=/no/such/file' })).toThrow('File was not found');
    });
  });

  describe('in a process of its own', () => {
    const root = join(__dirname, '../../..');
    /** Runs `body` with `createEventStoreLog`, `url` and `die(at)` in scope, in another node. */
    const child = async (url: string, body: string): Promise<{ signal: string | null; code: number | null; said: string }> => {
      const script = `
        const { createEventStoreLog } = require(${JSON.stringify(join(__dirname, 'index.ts'))});
        const url = ${JSON.stringify(url)};
        let deadly;
        const die = (at) => (deadly = at);
        const crashPoint = (name) => name === deadly && process.kill(process.pid, 'SIGKILL');
        (async () => { ${body} })().catch((error) => { console.log(error); process.exit(1); });`;
      const started = spawn(process.execPath, ['-r', '@swc-node/register', '-e', script], {
        cwd: root,
        env: { ...process.env, SWC_NODE_PROJECT: join(root, 'tsconfig.base.json') },
        stdio: ['ignore', 'pipe', 'inherit'],
      });
      let said = '';
      started.stdout.on('data', (chunk: Buffer) => (said += chunk.toString()));
      return new Promise((resolve) => started.once('close', (code, signal) => resolve({ signal, code, said: said.trim() })));
    };

    it.each([
      ['append.before-write', 'appended'],
      ['append.after-commit-before-ack', 'duplicate'],
    ])('killed at %s, a retry with the same ids gives exactly one', async (at, kind) => {
      const peer = await startPeer();
      const one = request('a', 'any', [newEvent(), newEvent()]);
      const died = await child(
        peer.url(),
        `const log = createEventStoreLog({ url, crashPoint }); await log.append(${JSON.stringify(request('a', 'none'))});
         die('${at}'); await log.append(${JSON.stringify(one)}); console.log('acknowledged');`,
      );
      expect(died).toEqual({ signal: 'SIGKILL', code: null, said: '' });
      const log = openLog(peer.url());
      expect(await log.append(one)).toMatchObject({ kind, revision: 2 });
      expect(await all(log)).toHaveLength(3);
    });

    it('closed, keeps no timer and no connection: the process ends by itself though a subscription was waiting', async () => {
      const peer = await startPeer();
      const ended = await child(
        peer.url(),
        `const log = createEventStoreLog({ url });
         const followed = (async () => { for await (const _ of log.subscribe({ after: 0n, signal: new AbortController().signal })); })();
         await log.append(${JSON.stringify(request('a', 'none'))});
         await log.close(); await followed; console.log('closed');`,
      );
      expect(ended).toEqual({ signal: null, code: 0, said: 'closed' });
    });

    it('loads nothing of gRPC before a log is opened', async () => {
      const { said } = await child(
        'esdb://127.0.0.1:1?tls=false',
        `const loaded = () => Object.keys(require.cache).some((file) => file.includes('grpc-js'));
         const before = loaded(); const log = createEventStoreLog({ url }); console.log(before, loaded()); await log.close();`,
      );
      expect(said).toBe('false true');
    });
  });
});
