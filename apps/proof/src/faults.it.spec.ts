import { randomUUID } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { aggregates, injuryId, injuryStream } from '@vigil/domain';
import {
  createPostgresLog,
  handleCommand,
  LogOverloaded,
  LogUnavailable,
  START,
  toNewEvent,
  type AppendRequest,
  type EventLog,
  type RecordedEvent,
} from '@vigil/event-log';
import { connect, type SqlClient } from '@vigil/platform';
import { compareWithFold, createProjections, type Projections } from '@vigil/projections';
import { checkWorld, startTcpProxy, type TcpProxy } from '@vigil/testing';
import { checkStory, startProofServer, type ProofServer } from './world/database';
import { bundleWorker, createStory, type Story, type Worker, type WorkerProgram } from './world/supervisor';

// Each fault for real: processes are killed, links are cut, and afterwards the world is looked at. Named as in docs/explanation/proof.md.

jest.setTimeout(120_000);

const timeZone = 'Asia/Shanghai';
let program: WorkerProgram;
let server: ProofServer;
let url: string;
let closers: (() => Promise<unknown> | unknown)[];
let seed = 100;

beforeAll(async () => {
  [program, server] = await Promise.all([bundleWorker(), startProofServer()]);
});
afterAll(async () => {
  await server.close();
  await program.remove();
});
beforeEach(async () => {
  closers = [];
  url = await server.database();
});
afterEach(async () => {
  for (const close of closers.reverse()) await close();
});

const story = (over: { url?: string; lanes?: number } = {}): Story => {
  const made = createStory({ program, url, seed: ++seed, ...over });
  closers.push(made.close);
  return made;
};
const client = (max = 4): SqlClient => {
  const sql = connect(url, { max, applicationName: 'proof-check' });
  closers.push(() => sql.end({ timeout: 1 }));
  return sql;
};
const openLog = (sql = client(), deadlineMs = 15_000): EventLog => {
  const log = createPostgresLog({ sql, deadlineMs });
  closers.push(log.close);
  return log;
};
const openProjections = async (sql = client(), log = openLog()): Promise<Projections> => {
  const projections = createProjections({ sql, log, timeZone });
  closers.push(projections.stop);
  await projections.start();
  return projections;
};
const proxied = async (): Promise<TcpProxy> => {
  const proxy = await startTcpProxy({ host: '127.0.0.1', port: server.running.port });
  closers.push(proxy.close);
  return proxy;
};
const through = (proxy: TcpProxy): string => {
  const at = new URL(url);
  at.port = `${proxy.port}`;
  return at.href;
};
const until = async (
  holds: () => Promise<boolean> | boolean,
  ms = 30_000,
  why: () => Promise<unknown> = async () => '',
): Promise<void> => {
  const end = performance.now() + ms;
  while (!(await holds())) {
    if (performance.now() > end) throw new Error(`waited in vain ${JSON.stringify(await why(), null, 1)}`);
    await sleep(10);
  }
};
const acknowledgements = (of: Story, more: number): Promise<void> => {
  const wanted = of.acknowledged.length + more;
  return until(() => of.acknowledged.length >= wanted);
};
const died = async (worker: Worker): Promise<void> => expect(await worker.ended).toMatchObject({ signal: 'SIGKILL', err: '' });

/** The last worker brings every lane a little further, waits for the read models, and the world is looked at. */
const holds = async (of: Story, more = 4): Promise<void> => {
  const last = of.start({ url, until: Math.max(...of.next) + more, settle: true });
  expect(await last.hears('settled')).toEqual(['settled', true]);
  expect(await last.ended).toMatchObject({ code: 0 });
  const report = await checkStory(of, url);
  expect({ ...report, tables: [] }).toMatchObject({ lost: 0, doubled: 0, broken: [] });
  expect(of.failures).toEqual([]);
  expect(report.acknowledged).toBeGreaterThan(20);
  expect(report.tables.filter(({ rows }) => rows > 0).length).toBeGreaterThanOrEqual(4);
};

describe('kill -9 of the process that appends and projects', () => {
  test.each([
    ['append.before-write', [1, 4, 9]],
    ['append.after-commit-before-ack', [1, 5, 12]],
    ['projector.after-effect', [1, 2, 5]],
    ['projector.after-commit', [1, 3, 6]],
  ])('at the named crash point %s', async (point, passes) => {
    const told = story();
    for (const pass of passes) await died(told.start({ crash: `${point}:${pass}`, paceMs: 4 }));
    await holds(told);
  });

  test.each(['rebuild.before-switch', 'rebuild.after-switch'])(
    'at the named crash point %s, beside live traffic',
    async (point) => {
      const told = story();
      for (const [round, pass] of [1, 2].entries())
        await died(told.start({ crash: `${point}:${pass}`, rebuild: true, until: 8 * (round + 1), idle: true }));
      await holds(told);
    },
  );

  test('at random times', async () => {
    const told = story();
    for (const ms of [0, 40, 90, 150, 260, 400]) {
      const worker = told.start({ paceMs: 6 });
      await Promise.race([told.nextAcknowledgement(), worker.ended]);
      await sleep(ms);
      worker.kill();
      await died(worker);
    }
    await holds(told);
  });
});

describe('PostgreSQL', () => {
  test('one backend killed, again and again: the engine goes on, or its supervisor starts it anew', async () => {
    const told = story();
    const sql = client(1);
    let worker = told.start({ paceMs: 6 });
    let killed = 0;
    for (let round = 0; round < 12; round++) {
      await Promise.race([acknowledgements(told, 10), worker.ended]);
      const victims = await sql<{ gone: boolean }[]>`
        SELECT pg_terminate_backend(pid) AS gone FROM pg_stat_activity
        WHERE datname = current_database() AND application_name = ${round % 2 ? 'proof-log' : 'proof-projections'} ORDER BY random() LIMIT 2`;
      killed += victims.length;
      // A callback that swallowed a lost statement's error can still end the process (see libs/platform/src/postgres/socket.ts).
      if (worker.child.exitCode !== null) worker = told.start({ paceMs: 6 });
    }
    expect(killed).toBeGreaterThan(8);
    worker.kill();
    await worker.ended;
    await holds(told);
  });

  test('the postmaster killed: the first acknowledgement comes within 2 s after it serves again', async () => {
    const proxy = await proxied();
    const told = story({ url: through(proxy) });
    let worker = told.start({ paceMs: 6 });
    await acknowledgements(told, 50);
    await server.kill();
    await sleep(300);
    await server.restart();
    url = Object.assign(new URL(url), { port: `${server.running.port}` }).href;
    proxy.retarget({ host: '127.0.0.1', port: server.running.port });
    const serves = performance.now();
    if (worker.child.exitCode !== null) worker = told.start({ paceMs: 6 });
    await told.nextAcknowledgement();
    expect(performance.now() - serves).toBeLessThan(2_000);
    worker.kill();
    await worker.ended;
    await holds(told);
  });

  test('exhausted pool: an append says within its deadline that it is unknown, and the pool works again', async () => {
    const sql = client(2);
    const log = openLog(sql, 300);
    const let_go: (() => void)[] = [];
    const holders = [1, 2].map(() => sql.begin((tx) => tx`SELECT 1`.then(() => new Promise<void>((done) => let_go.push(done)))));
    await until(() => let_go.length === 2);
    const one: AppendRequest = {
      stream: 'a',
      expected: 'none',
      events: [toNewEvent({ type: 'T', data: {} }, 1, randomUUID(), '{}')],
    };
    const began = performance.now();
    await expect(log.append(one)).rejects.toBeInstanceOf(LogUnavailable);
    expect(performance.now() - began).toBeLessThan(1_000);
    let_go.forEach((release) => release());
    await Promise.all(holders);
    expect(['appended', 'duplicate']).toContain((await log.append(one)).kind);
    expect(await log.readStream('a')).toHaveLength(1);
  });
});

describe('the link to PostgreSQL', () => {
  test('black-holed: appends have a deadline, and 30 s after it has healed nothing lags', async () => {
    const proxy = await proxied();
    const told = story({ url: through(proxy) });
    const projector = told.start({ next: [], idle: true });
    await projector.hears('follows');
    const writer = told.start({ deadlineMs: 1_000, projections: false, paceMs: 8 });
    await acknowledgements(told, 200);
    const unknown = writer.hears('retry');
    proxy.set({ kind: 'black-hole' });
    await unknown; // LogUnavailable, within its deadline
    await sleep(6_000); // longer than any patience of the pools
    expect(proxy.bytes.swallowed).toBeGreaterThan(0);
    proxy.set({ kind: 'pass' });
    const healed = performance.now();
    await told.nextAcknowledgement();
    writer.kill();
    await died(writer);
    const [log, sql] = [openLog(), client(1)];
    await until(
      async () => {
        const [head, rows] = [await log.head(), await sql<{ position: string }[]>`SELECT position FROM read.checkpoints`];
        return rows.length >= 2 && rows.every(({ position }) => BigInt(position) >= head);
      },
      30_000,
      async () => [
        projector.child.exitCode === null ? 'the projector runs' : await projector.ended,
        await sql`SELECT * FROM read.checkpoints`,
        await sql`
        SELECT pid, application_name, state, pg_blocking_pids(pid)::text AS blocked, left(query, 80) AS query, (now() - query_start)::text AS age
        FROM pg_stat_activity WHERE datname = current_database()`,
      ],
    );
    expect(performance.now() - healed).toBeLessThan(30_000);
    projector.kill();
    await died(projector);
    proxy.cut(); // the server never heard of what the black hole swallowed
    await holds(told);
  });

  test('cut, half-closed and slow', async () => {
    const proxy = await proxied();
    const told = story({ url: through(proxy) });
    let worker = told.start({ paceMs: 6 });
    const damages = [
      () => proxy.cut(),
      () => proxy.halfClose('server'),
      () => proxy.halfClose('client'),
      () => proxy.set({ kind: 'latency', ms: 40 }),
      () => proxy.cut(),
      () => proxy.set({ kind: 'throttle', bytesPerSecond: 100_000 }),
    ];
    for (const damage of damages) {
      await Promise.race([acknowledgements(told, 10), worker.ended]);
      damage();
      if (worker.child.exitCode !== null) worker = told.start({ paceMs: 6 });
    }
    await acknowledgements(told, 10);
    worker.kill();
    await worker.ended;
    await holds(told);
  });
});

describe('load', () => {
  test('slow consumer: a projector behind a slow link neither hinders appends nor grows, and catches up', async () => {
    const proxy = await proxied();
    proxy.set({ kind: 'throttle', bytesPerSecond: 60_000 });
    const told = story();
    const slow = told.start({ url: through(proxy), next: [], settle: false, idle: true });
    const writer = told.start({ projections: false });
    await acknowledgements(told, 1_500);
    writer.kill();
    await died(writer);
    expect(residentMiB(slow)).toBeLessThan(250);
    const [log, sql] = [openLog(), client(1)];
    const lag = async () => {
      const [row] = await sql<{ low: string }[]>`SELECT coalesce(min(position), 0) AS low FROM read.checkpoints`;
      return (await log.head()) - BigInt(row!.low);
    };
    expect(await lag()).toBeGreaterThan(100n);
    proxy.set({ kind: 'pass' });
    await until(async () => (await lag()) === 0n);
    slow.kill();
    await died(slow);
    await holds(told);
  });

  test('ten-fold burst: what is beyond the queue is refused in words, the rest is durable, memory is bounded', async () => {
    const log = openLog(client(6), 60_000);
    const requests = Array.from({ length: 40_000 }, (_, n): AppendRequest => {
      const id = injuryId('burst', `${n}`);
      const data = { recordId: `${n}`, feed: 'burst', knownAt: '2026-01-01', visit: 'first', community: 'C' };
      return {
        stream: injuryStream(id),
        expected: 'none',
        events: [toNewEvent({ type: 'InjuryReported', data }, 1, randomUUID(), '{}')],
      };
    });
    const before = process.memoryUsage().rss;
    const outcomes = await Promise.allSettled(requests.map((request) => log.append(request)));
    expect((process.memoryUsage().rss - before) / 2 ** 20).toBeLessThan(300);
    const refused = outcomes.filter((each) => each.status === 'rejected').map((each) => each.reason as Error);
    expect(refused.every((error) => error instanceof LogOverloaded)).toBe(true);
    expect(refused.length).toBeGreaterThan(10_000);
    const acknowledged = outcomes.flatMap((each, at) =>
      each.status === 'fulfilled'
        ? [{ id: requests[at]!.events[0]!.id, position: 'position' in each.value ? each.value.position : 0n }]
        : [],
    );
    expect(acknowledged.length).toBeGreaterThanOrEqual(20_000);
    const report = await checkWorld({ log, acknowledged, sent: new Set(acknowledged.map(({ id }) => id)) });
    expect(report).toMatchObject({ events: acknowledged.length, lost: 0, doubled: 0, broken: [] });
  });

  test('blocked event loop: who lost the lease meanwhile does nothing more, and nothing counts twice', async () => {
    const told = story();
    const sql = client();
    const blocked = told.start({ blockMs: 2_500 });
    await blocked.hears('follows');
    const other = await openProjections(sql);
    await blocked.hears('blocks');
    // As if the block outlasted the ten seconds of the lease, and of a transaction in which nothing happens.
    await sql`
      SELECT pg_terminate_backend(pid) FROM pg_stat_activity
      WHERE datname = current_database() AND application_name = 'proof-projections' AND state LIKE 'idle in transaction%'`;
    await sql`UPDATE read.checkpoints SET lease_until = '-infinity'`;
    await until(async () => (await other.status()).every(({ state }) => state !== 'waiting'), 2_000);
    await Promise.race([acknowledgements(told, 30), blocked.ended]); // it is back, and may think that it still owns the projections
    blocked.kill();
    await blocked.ended;
    await other.stop();
    await holds(told);
  });
});

describe('projectors', () => {
  test('two started by mistake: the second waits, takes over when the first dies, and nothing counts twice', async () => {
    const told = story();
    const first = told.start({ paceMs: 6 });
    await first.hears('follows');
    const second = await openProjections();
    await acknowledgements(told, 200);
    expect(new Set((await second.status()).map(({ state }) => state))).toEqual(new Set(['waiting']));
    first.kill();
    await died(first);
    const took = performance.now();
    await until(async () => (await second.status()).every(({ state }) => state === 'live'));
    expect(performance.now() - took).toBeLessThan(5_000);
    await second.stop();
    await holds(told);
  });

  test('restored backup with a checkpoint ahead of the log: no answer is given out as current', async () => {
    const told = story();
    await told.start({ until: 30, settle: true }).ended;
    const sql = client();
    const log = openLog();
    const head = await log.head();
    // The log of an hour ago, beside the read models of now.
    const kept = head - 200n;
    await sql.begin(async (tx) => {
      await tx`DELETE FROM log.events WHERE position > ${kept.toString()}`;
      await tx`DELETE FROM log.streams`;
      await tx`INSERT INTO log.streams SELECT stream_id, max(revision) FROM log.events GROUP BY stream_id`;
    });
    const projections = await openProjections(sql, log);
    for (let n = 0; n < 300; n++) {
      const data = { recordId: `new-${n}`, feed: 'clinic', knownAt: '2026-01-01', visit: 'first' as const, community: 'C-1' };
      const done = await handleCommand(
        log,
        aggregates.injury,
        injuryId('clinic', `new-${n}`),
        { type: 'ReportInjury', data },
        { commandId: `new ${n}`, metadata: {} },
      );
      expect(done.ok).toBe(true);
    }
    await sleep(1_500);
    const halted = (await projections.status()).every(({ state }) => state === 'halted');
    const equal = (await compareWithFold({ sql, log, timeZone })).every(({ first }) => first === undefined);
    // Either it refuses to go on, or it mended itself; silently wrong is what must not be.
    expect({ halted, equal }).not.toEqual({ halted: false, equal: false });
  });
});

const residentMiB = ({ child }: Worker): number => {
  const [, pages] = readFileSync(`/proc/${child.pid}/statm`, 'utf8').split(' ');
  return (Number(pages) * 4096) / 2 ** 20;
};

test('a follower that keeps the last position misses nothing while writers are killed', async () => {
  const told = story();
  const log = openLog();
  const abort = new AbortController();
  const seen: RecordedEvent[] = [];
  const following = (async () => {
    for await (const page of log.subscribe({ after: START, pageSize: 50, signal: abort.signal })) seen.push(...page);
  })();
  for (const crash of ['append.after-commit-before-ack:8', 'append.before-write:12', 'append.after-commit-before-ack:2'])
    await died(told.start({ crash, projections: false }));
  await holds(told);
  const all = await log.readAll({ after: START, limit: 1_000_000 });
  await until(() => seen.length >= all.length);
  abort.abort();
  await following;
  expect(seen.map(({ id }) => id)).toEqual(all.map(({ id }) => id));
});
