import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { connect, migrate, type SqlClient } from '@vigil/platform';
import { freshDatabase, type FreshDatabase } from '@vigil/testing';
import postgres from 'postgres';
import { LogMismatch, LogUnavailable, START, type AppendOutcome, type EventLog, type RecordedEvent } from './event-log';
import { eventLogContract, follow, newEvent, request } from './event-log.contract';
import { createPostgresLog, type PostgresLogOptions } from './postgres/postgres-log';
import { APPEND_LOCK, LOG_MIGRATIONS } from './postgres/schema';

jest.setTimeout(60_000);

/** No follower in these suites may owe its progress to polling. */
const NEVER = 2 ** 31 - 1;
const range = (n: number): number[] => Array.from({ length: n }, (_, i) => i);
const all = (log: EventLog): Promise<RecordedEvent[]> => log.readAll({ after: START, limit: 1_000_000 });

const migrated = async (): Promise<FreshDatabase> => {
  const db = await freshDatabase();
  const sql = connect(db.url, { max: 1, applicationName: 'migrate' });
  await migrate(sql, LOG_MIGRATIONS);
  await sql.end();
  return db;
};

eventLogContract('the log on PostgreSQL', async () => {
  const db = await migrated();
  const clients: SqlClient[] = [];
  const reopen = async (): Promise<EventLog> => {
    const sql = connect(db.url, { max: 4, applicationName: 'log' });
    clients.push(sql);
    return createPostgresLog({ sql, pollMs: NEVER });
  };
  const log = await reopen();
  return {
    log,
    reopen,
    close: async () => {
      await log.close();
      await Promise.all(clients.map((sql) => sql.end({ timeout: 5 })));
      await db.drop();
    },
  };
});

describe('the log on PostgreSQL, beside its contract', () => {
  let db: FreshDatabase;
  let admin: SqlClient;
  let closers: (() => Promise<void>)[];

  const client = (applicationName: string, max = 4): SqlClient => {
    const sql = connect(db.url, { max, applicationName });
    closers.push(() => sql.end({ timeout: 1 }));
    return sql;
  };
  const openLog = (options: Partial<PostgresLogOptions> = {}, name = 'log'): EventLog => {
    const log = createPostgresLog({ sql: client(name), pollMs: NEVER, ...options });
    closers.push(() => log.close());
    return log;
  };
  const until = async (holds: () => Promise<boolean>): Promise<void> => {
    while (!(await holds())) await new Promise((resolve) => setTimeout(resolve, 5));
  };
  const backends = async (like: string): Promise<number> => {
    const [row] =
      await admin`SELECT count(*)::int AS n FROM pg_stat_activity WHERE datname = current_database() AND query ILIKE ${like} AND pid <> pg_backend_pid()`;
    return row!['n'] as number;
  };

  beforeEach(async () => {
    closers = [];
    db = await migrated();
    admin = client('spec', 1);
  });
  afterEach(async () => {
    for (const close of closers.reverse()) await close();
    await db.drop();
  });

  describe('plans', () => {
    interface Node {
      'Node Type': string;
      Plans?: Node[];
    }
    const nodes = (plan: Node): string[] => [plan['Node Type'], ...(plan.Plans ?? []).flatMap(nodes)];

    /** A log that used all its statements while empty (so that a kept plan is the empty tables'), then grew. One session. */
    const grown = async () => {
      const queries: { text: string; parameters: number }[] = [];
      const sql = client('plans', 1);
      const spy = Object.assign((strings: TemplateStringsArray, ...values: never[]) => {
        if (strings.raw)
          queries.push({ text: strings.reduce((text, part, i) => `${text}$${i}${part}`), parameters: values.length });
        return sql(strings, ...values);
      }, sql) as unknown as SqlClient;
      const log = createPostgresLog({ sql: spy, pollMs: NEVER });
      closers.push(() => log.close());
      for (let n = 0; n < 8; n++) {
        await log.positionAt('2026-01-01T00:00:00Z');
        await log.appendAtomic([request('first', 'none'), request('second', 99)]);
        const orphan = { ...newEvent(), stream: 'third', revision: 5, recordedAt: '2026-01-01T00:00:00Z', position: START };
        await expect(log.restore([orphan])).rejects.toThrow(LogMismatch);
      }
      await log.appendMany(
        range(600).map((n) =>
          request(
            `s${n % 30}`,
            'any',
            range(10).map(() => newEvent()),
          ),
        ),
      );
      await admin`ANALYZE log.events, log.streams`;
      return { log, sql, queries };
    };

    it('of reads go by an index, unsorted, whether the plan is made for the values or kept for all', async () => {
      const { log, sql, queries } = await grown();
      queries.length = 0;
      const at = await log.head();
      await log.readAll({ after: START, limit: 1000 });
      await log.readStream('s1');
      await log.readStream('s1', { from: 3, limit: 2, direction: 'backwards' });
      await log.head();
      await log.count(START, at);
      const [, ...reads] = queries;
      expect(reads).toHaveLength(5);
      const types: Record<number, string> = { 1: '(bigint)', 2: '(bigint, bigint)', 3: '(text, bigint, bigint)' };
      const values: Record<number, string> = { 1: '(5000)', 2: '(5000, 5010)', 3: `('s1', 100, 5)` };
      for (const mode of ['force_custom_plan', 'force_generic_plan']) {
        await sql.unsafe(`SET plan_cache_mode = ${mode}`);
        for (const { text, parameters } of reads) {
          await sql.unsafe(`PREPARE looked_at ${types[parameters] ?? ''} AS ${text}`);
          const [row] = await sql.unsafe(`EXPLAIN (FORMAT JSON) EXECUTE looked_at ${values[parameters] ?? ''}`);
          await sql.unsafe('DEALLOCATE looked_at');
          const used = nodes((row!['QUERY PLAN'] as { Plan: Node }[])[0]!.Plan);
          expect({ text, used }).toEqual({ text, used: expect.arrayContaining([expect.stringMatching(/^Index (Only )?Scan/)]) });
          expect(used.filter((node) => /Sort|Seq Scan/.test(node))).toEqual([]);
        }
      }
    });

    it('inside append_batch, restore_batch and position_at never scan a table, though made while it was empty', async () => {
      const { log, sql } = await grown();
      const scans = async () => {
        await sql`SELECT pg_stat_force_next_flush()`;
        const [row] = await sql`
          SELECT (SELECT sum(seq_scan)::int FROM pg_stat_user_tables WHERE schemaname = 'log') AS tables,
                 (SELECT jsonb_object_agg(indexrelname, idx_scan) FROM pg_stat_user_indexes WHERE schemaname = 'log') AS indexes`;
        return row as unknown as { tables: number; indexes: Record<string, number> };
      };
      const before = await scans();
      const [known] = await log.readAll({ after: START, limit: 1 });
      const outcomes = await log.appendMany([
        request('s1'),
        request('s2', 'none'),
        request(known!.stream, 'any', [known!]),
        request('new', 'none'),
      ]);
      expect(outcomes.map(({ kind }) => kind)).toEqual(['appended', 'conflict', 'duplicate', 'appended']);
      await log.appendMany(range(50).map((n) => request(`s${n}`)));
      const ends = await log.readAll({ after: START, limit: 1_000_000 });
      const goesOn = { ...ends.findLast(({ stream }) => stream === 's1')!, ...newEvent() };
      const moved = [ends.at(-1)!, { ...goesOn, revision: goesOn.revision + 1, recordedAt: ends.at(-1)!.recordedAt }];
      expect(await log.restore(moved)).toEqual({ written: 1, present: 1 });
      await expect(log.restore([{ ...moved[1]!, ...newEvent() }])).rejects.toThrow(LogMismatch);
      await log.positionAt((await all(log))[3000]!.recordedAt);
      const after = await scans();
      expect(after.tables - before.tables).toBe(0);
      for (const index of ['events_pkey', 'events_event_id_key', 'streams_pkey'])
        expect(after.indexes[index]! - before.indexes[index]!).toBeGreaterThan(0);
    });
  });

  it('keeps one order for several logs on one database', async () => {
    const logs = range(3).map((n) => openLog({}, `log ${n}`));
    const followers = [follow(openLog(), 600, { pageSize: 10 }), follow(logs[0]!, 600)];
    await Promise.all(
      range(12).map(async (w) => {
        for (let n = 0; n < 50; n++) await logs[w % 3]!.append(request(`w${w}`, n === 0 ? 'none' : n - 1));
      }),
    );
    const events = await all(logs[0]!);
    expect(new Set(events.map(({ id }) => id)).size).toBe(600);
    for (const seen of await Promise.all(followers)) expect(seen).toEqual(events);
    for (const expected of ['none', 0, 1] as const) {
      const outcomes = await Promise.all(range(12).map((n) => logs[n % 3]!.append(request('contended', expected))));
      expect(outcomes.filter(({ kind }) => kind === 'appended')).toHaveLength(1);
    }
  });

  it('loses and doubles nothing when its backends are killed', async () => {
    // fetch_types: postgres 3.4.9 asks for types on each new connection and rejects unhandled when that one is killed.
    const sql = postgres(db.url, { max: 4, fetch_types: false, backoff: () => 0.01, connection: { application_name: 'victim' } });
    closers.push(() => sql.end({ timeout: 1 }));
    const log = openLog({ sql, deadlineMs: 2000 });
    const seen = follow(openLog(), 200);
    let killed = 0;
    const kill = async () => {
      killed += (
        await admin`SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'victim' AND datname = current_database()`
      ).length;
    };
    const acknowledged: string[] = [];
    await Promise.all(
      range(8).map(async (w) => {
        for (let n = 0; n < 25; n++) {
          const one = request(`w${w}`, n === 0 ? 'none' : n - 1);
          const retried = (error: unknown) => (expect(error).toBeInstanceOf(LogUnavailable), settled());
          const settled = (): Promise<AppendOutcome> => log.append(one).catch(retried);
          const [outcome] = await Promise.all([settled(), n % 8 === w && kill()]);
          expect(['appended', 'duplicate']).toContain(outcome.kind);
          acknowledged.push(one.events[0]!.id);
        }
      }),
    );
    expect(killed).toBeGreaterThan(0);
    const events = await all(openLog());
    expect(events.map(({ id }) => id).sort()).toEqual(acknowledged.sort());
    expect(await seen).toEqual(events);
  });

  it('says that the outcome is unknown when the deadline has passed; a retry with the same ids settles it', async () => {
    const log = openLog({ deadlineMs: 100 });
    const pool = client('holder', 1);
    await pool`SELECT 1`; // reserve() never answers on a client that hasn't connected yet
    const holder = await pool.reserve();
    await holder`SELECT pg_advisory_lock(${APPEND_LOCK})`;
    const one = request('a', 'none', [newEvent(), newEvent()]);
    await expect(log.append(one)).rejects.toBeInstanceOf(LogUnavailable);
    await expect(log.appendAtomic([one, request('b')])).rejects.toBeInstanceOf(LogUnavailable);
    await holder`SELECT pg_advisory_unlock(${APPEND_LOCK})`;
    holder.release();
    expect(await openLog().append(one)).toMatchObject({ revision: 1 });
    expect(await log.readStream('a')).toHaveLength(2);
  });

  it('says so too when no server answers', async () => {
    const sql = connect('postgres://nobody@127.0.0.1:1/nothing', { max: 1, applicationName: 'log' });
    const log = createPostgresLog({ sql, deadlineMs: 200 });
    await expect(log.append(request('a'))).rejects.toBeInstanceOf(LogUnavailable);
    await log.close();
    await sql.end({ timeout: 0 });
  });

  it('takes a lost acknowledgement for what it is: sent again, the events are there once', async () => {
    let lost = 0;
    const log = openLog({
      crashPoint: (name) => {
        if (name === 'append.after-commit-before-ack' && lost++ < 2)
          throw Object.assign(new Error('reset'), { code: 'ECONNRESET' });
      },
    });
    expect(await log.appendMany([request('a', 'none'), request('b', 'none')])).toMatchObject([{ revision: 0 }, { revision: 0 }]);
    expect([lost, (await all(log)).length]).toEqual([3, 2]);
  });

  it('lets no fault of a batch pass for an outcome', async () => {
    const log = openLog();
    await admin`ALTER TABLE log.events ADD CHECK (type <> 'Poison')`;
    await expect(log.append(request('a', 'any', [newEvent({ type: 'Poison' })]))).rejects.toMatchObject({ code: '23514' });
    expect(await log.append(request('a', 'none'))).toMatchObject({ kind: 'appended' });
  });

  it('records no earlier instant than before, though the machine was once ahead', async () => {
    const log = openLog();
    await log.append(request('a'));
    await admin`UPDATE log.events SET recorded_at = '2999-01-01T00:00:00Z'`;
    await log.append(request('a'));
    expect((await all(log)).map(({ recordedAt }) => recordedAt)).toEqual(['2999-01-01T00:00:00Z', '2999-01-01T00:00:00Z']);
    expect(await log.positionAt('2998-12-31T23:59:59Z')).toBe(START);
    expect(await log.positionAt('2999-01-01T00:00:00Z')).toBe(await log.head());
  });

  it('is woken by the notification of another log, also after its listening connection was killed', async () => {
    const [writer, follower] = [openLog({}, 'writer'), openLog({}, 'follower')];
    const abort = new AbortController();
    const pages = follower.subscribe({ after: START, signal: abort.signal })[Symbol.asyncIterator]();
    for (const killed of [false, true, true]) {
      const next = pages.next();
      await until(async () => (await backends('listen%')) === 1);
      if (killed)
        await admin`SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'follower' AND query ILIKE 'listen%'`;
      await writer.append(request('a'));
      expect((await next).value).toHaveLength(1);
    }
    abort.abort();
    await pages.return?.();
  });

  it('closed, leaves no connection of its own and the caller his', async () => {
    const sql = client('own', 2);
    const log = createPostgresLog({ sql, pollMs: NEVER });
    const followed = [follow(log, Infinity), follow(log, Infinity)];
    await log.append(request('a'));
    await until(async () => (await backends('listen%')) === 1);
    await log.close();
    await Promise.all(followed);
    await until(async () => (await backends('%listen%')) === 0);
    expect(await sql`SELECT 1 AS x`).toEqual([{ x: 1 }]);
    expect(await follow(log, 1)).toEqual([]);
    expect(await backends('listen%')).toBe(0);
  });

  describe('in a process of its own', () => {
    const root = join(__dirname, '../../..');
    /** Runs `body` with `log`, `sql` and `die(at)` in scope, in another node. */
    const child = async (body: string): Promise<{ signal: string | null; code: number | null; said: string }> => {
      const script = `
        const { createPostgresLog } = require(${JSON.stringify(join(__dirname, 'index.ts'))});
        const { connect } = require('@vigil/platform');
        const sql = connect(${JSON.stringify(db.url)}, { max: 4, applicationName: 'child' });
        let deadly;
        const die = (at) => (deadly = at);
        const crashPoint = (name) => name === deadly && process.kill(process.pid, 'SIGKILL');
        const log = createPostgresLog({ sql, crashPoint, pollMs: ${NEVER} });
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
      ['append.before-write', 0, 'appended'],
      ['append.after-commit-before-ack', 3, 'duplicate'],
    ])('killed at %s, a retry with the same ids gives exactly one', async (at, durable, kind) => {
      const requests = [request('a', 0, [newEvent(), newEvent()]), request('b', 'none')];
      const text = JSON.stringify(requests);
      const died = await child(
        `await log.append({ ...${JSON.stringify(request('a', 'none'))} }); die('${at}'); await log.appendMany(${text}); console.log('acknowledged');`,
      );
      expect(died).toEqual({ signal: 'SIGKILL', code: null, said: '' });
      const log = openLog();
      expect(await all(log)).toHaveLength(1 + durable);
      const retried = await child(
        `console.log((await log.appendMany(${text})).map(({ kind }) => kind).join()); await log.close(); await sql.end();`,
      );
      expect(retried).toEqual({ signal: null, code: 0, said: `${kind},${kind}` });
      expect((await all(log)).map(({ id }) => id).slice(1)).toEqual(requests.flatMap(({ events }) => events.map(({ id }) => id)));
    });

    it('closed, keeps no timer: the process ends by itself though a subscription was waiting', async () => {
      const ended = await child(`
        const followed = (async () => { for await (const _ of log.subscribe({ after: 0n, signal: new AbortController().signal })); })();
        await log.append(${JSON.stringify(request('a', 'none'))});
        await log.close(); await followed; await sql.end(); console.log('closed');`);
      expect(ended).toEqual({ signal: null, code: 0, said: 'closed' });
    });
  });
});
