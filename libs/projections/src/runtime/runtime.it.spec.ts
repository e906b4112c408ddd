import { randomUUID } from 'node:crypto';
import { createPostgresLog, LOG_MIGRATIONS, position, START, type EventLog, type Position } from '@vigil/event-log';
import { connect, migrate, type SqlClient } from '@vigil/platform';
import { freshDatabase } from '@vigil/testing';
import { fingerprint } from '@vigil/vocabulary';
import { createPostgresStore, type PostgresProjectionStore } from './postgres-store';
import type { Projector, ReadModel, Transaction } from './projector';
import { createRebuilder } from './rebuild';
import { createRuntime, type Runtime } from './runtime';
import { OWNERS_MIGRATION, RUNTIME_MIGRATION } from './schema';

/** A read model of the specs' own: how often each stream was seen, and its last payload. */
const TALLY = {
  id: 'spec/tally',
  sql: `
CREATE TABLE read.tally (stream text PRIMARY KEY, seen int NOT NULL, last text NOT NULL);
CREATE INDEX tally_by_last ON read.tally (last);
CREATE TABLE read.seen (position bigint PRIMARY KEY);`,
};

jest.setTimeout(60_000);

let database: { url: string; drop(): Promise<void> };
let sql: SqlClient;
let log: EventLog;
const closers: (() => Promise<unknown>)[] = [];

beforeEach(async () => {
  database = await freshDatabase();
  sql = connect(database.url, { applicationName: 'runtime-spec' });
  await migrate(sql, [...LOG_MIGRATIONS, RUNTIME_MIGRATION, OWNERS_MIGRATION, TALLY]);
  log = createPostgresLog({ sql });
});
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
  await log.close();
  await sql.end({ timeout: 5 });
  await database.drop();
});

const append = async (stream: string, data: Record<string, unknown> = {}, type = 'Ticked'): Promise<Position> => {
  const text = JSON.stringify({ ...data, nonce: randomUUID() });
  const event = { id: randomUUID(), type, version: 1, data: text, metadata: '{}', fingerprint: fingerprint(text) };
  const outcome = await log.append({ stream, expected: 'any', events: [event] });
  if (outcome.kind !== 'appended') throw new Error(outcome.kind);
  return outcome.position;
};

const tally = (bad: () => boolean = () => true): ReadModel => ({
  name: 'tally',
  kind: 'model',
  handles: new Set(['Ticked']),
  tables: ['tally', 'seen'],
  keys: [],
  lanes: () => (event) => (event.stream.startsWith('alone') ? undefined : event.stream),
  apply: async (tx, events) => {
    for (const { stream, data, position: at } of events) {
      if (bad() && data.includes('"poison":true')) throw new Error('it is poisonous');
      await tx`INSERT INTO seen (position) VALUES (${at.toString()})`;
      await tx`
        INSERT INTO tally AS t (stream, seen, last) VALUES (${stream}, 1, ${data})
        ON CONFLICT (stream) DO UPDATE SET seen = t.seen + 1, last = excluded.last`;
    }
  },
});

/** What the world saw of an effect; a broken world takes nothing that is poisonous. */
const publisher = (published: string[], broken: { now: boolean }): Projector => ({
  name: 'publisher',
  kind: 'effect',
  handles: new Set(['Ticked']),
  apply: async (_, events) => {
    for (const { stream, position: at, data } of events) {
      if (broken.now && data.includes('"poison":true')) throw new Error('the broker refused it');
      published.push(`${stream}@${at}`);
    }
  },
});

interface Instance {
  readonly runtime: Runtime;
  readonly store: PostgresProjectionStore;
  readonly pool: SqlClient;
}
const instance = (owner: string, projectors: readonly Projector[]): Instance => {
  const pool = connect(database.url, { max: 4, applicationName: owner });
  const store = createPostgresStore({ sql: pool });
  const runtime = createRuntime<Transaction>({ store, log, projectors, owner });
  closers.push(async () => {
    await runtime.stop();
    await store.close();
    await pool.end({ timeout: 5 });
  });
  return { runtime, store, pool };
};
const stateOf = async ({ runtime }: Instance, name = 'tally') => (await runtime.status()).find((each) => each.name === name)!;
const total = async (): Promise<number> => Number((await sql`SELECT coalesce(sum(seen), 0) AS n FROM read.tally`)[0]!['n']);
const until = async (holds: () => Promise<boolean>, ms = 15_000): Promise<void> => {
  const end = Date.now() + ms;
  while (!(await holds())) {
    if (Date.now() > end) throw new Error('it did not come about');
    await new Promise((resolve) => setTimeout(resolve, 30));
  }
};

describe('one owner each', () => {
  it('two projectors started by mistake: the second waits, counts nothing, and hears of what the first did', async () => {
    const [first, second] = [instance('first', [tally()]), instance('second', [tally()])];
    await first.runtime.start();
    await second.runtime.start();
    for (let n = 0; n < 20; n++) await append(`s${n % 3}`);
    const head = await log.head();
    expect(await second.runtime.waitFor(head, 5_000)).toBe(true);
    expect(await total()).toBe(20);
    expect((await stateOf(first)).state).toBe('live');
    expect(await stateOf(second)).toMatchObject({ state: 'waiting', position: head, owner: 'first', lagEvents: 0 });
  });

  it('takes over from one that let go, and at once from one whose connections are gone', async () => {
    const [first, second, third] = ['first', 'second', 'third'].map((name) => instance(name, [tally()])) as [
      Instance,
      Instance,
      Instance,
    ];
    for (const { runtime } of [first, second]) await runtime.start();
    await append('s');
    await first.runtime.stop();
    await until(async () => (await stateOf(second)).state === 'live');
    await append('s');
    await until(async () => (await total()) === 2);
    // As after kill -9: nobody releases, the connection that the lease hangs on is gone.
    await sql`UPDATE read.checkpoints SET owner = 'killed', backend = 1, lease_until = now() + interval '1 hour'`;
    await third.runtime.start();
    expect((await stateOf(third)).state).not.toBe('waiting');
  });

  it('a frozen owner that wakes up commits nothing: the epoch has passed it by', async () => {
    const sleeper = instance('sleeper', [tally()]);
    const claim = (await sleeper.store.claim('tally', 'sleeper'))!;
    await sql`UPDATE read.checkpoints SET lease_until = now() - interval '1 second'`;
    const heir = instance('heir', [tally()]);
    await heir.runtime.start();
    const at = await append('s');
    await heir.runtime.waitFor(at, 5_000);
    const late = { projection: 'tally', epoch: claim.epoch, to: position(at + 1n) };
    for (const from of [claim.position, at])
      await expect(sleeper.store.commit({ ...late, from }, async (tx) => void (await tx`DELETE FROM tally`))).rejects.toThrow(
        'no longer',
      );
    expect(await total()).toBe(1);
  });
});

describe('an event that cannot be applied', () => {
  it('halts the counting projection alone, which says so; a retry after the mend goes on', async () => {
    const bad = { now: true };
    const other: Projector = { name: 'other', kind: 'model', handles: new Set(['Ticked']), apply: async () => undefined };
    const it = instance('it', [tally(() => bad.now), other]);
    await it.runtime.start();
    await append('a');
    const poison = await append('b', { poison: true });
    const last = await append('c');
    await until(async () => (await stateOf(it)).state === 'halted');
    expect(await stateOf(it)).toMatchObject({
      position: poison - 1n,
      lagEvents: 2,
      problem: { position: poison.toString(), type: 'Ticked', message: 'it is poisonous' },
    });
    await until(async () => (await stateOf(it, 'other')).position === last);
    await it.runtime.retry('tally');
    await until(async () => (await stateOf(it)).state === 'halted');
    bad.now = false;
    await it.runtime.retry('tally');
    expect(await it.runtime.waitFor(last, 5_000)).toBe(true);
    expect(await stateOf(it)).toMatchObject({ state: 'live', position: last });
    expect((await stateOf(it)).problem).toBeUndefined();
    expect(await total()).toBe(3);
  });

  it('is passed over by decision, with the reason kept; a rebuild passes over it as well', async () => {
    const it = instance('it', [tally()]);
    await it.runtime.start();
    await append('a');
    const poison = await append('b', { poison: true });
    const last = await append('c');
    await until(async () => (await stateOf(it)).state === 'halted');
    await expect(it.runtime.skip('tally', last, 'wrong one', 'ana')).rejects.toThrow(RangeError);
    await expect(it.runtime.skip('nothing', poison, 'x', 'ana')).rejects.toThrow(RangeError);
    await it.runtime.skip('tally', poison, 'sent by a test system', 'ana');
    expect(await it.runtime.waitFor(last, 5_000)).toBe(true);
    expect((await stateOf(it)).skips).toMatchObject([{ position: poison, reason: 'sent by a test system', by: 'ana' }]);
    expect(await total()).toBe(2);
    const [rebuilt] = [await createRebuilder({ sql, log, store: it.store }).rebuild(tally(), () => undefined)];
    expect(rebuilt.digest).toMatchObject({ equal: true });
    expect(await total()).toBe(2);
  });

  it('a decision made at another instance reaches the owner', async () => {
    const [owner, bystander] = [instance('owner', [tally()]), instance('bystander', [tally()])];
    await owner.runtime.start();
    const poison = await append('b', { poison: true });
    await until(async () => (await stateOf(owner)).state === 'halted');
    await bystander.runtime.start();
    expect((await stateOf(bystander)).state).toBe('halted');
    await bystander.runtime.skip('tally', poison, 'r', 'ana');
    expect(await bystander.runtime.waitFor(poison, 5_000)).toBe(true);
  });

  it('is parked by an effect with the later ones of its stream; others go on; a retry keeps the order', async () => {
    const published: string[] = [];
    const broken = { now: true };
    const it = instance('it', [publisher(published, broken)]);
    await it.runtime.start();
    const a1 = await append('a');
    const b1 = await append('b', { poison: true });
    const b2 = await append('b');
    const a2 = await append('a');
    expect(await it.runtime.waitFor(a2, 10_000)).toBe(true);
    expect(new Set(published)).toEqual(new Set([`a@${a1}`, `a@${a2}`]));
    expect(await stateOf(it, 'publisher')).toMatchObject({
      state: 'live',
      problem: { position: b1.toString(), message: 'the broker refused it' },
      parked: [
        { position: b1, stream: 'b', reason: 'the broker refused it' },
        { position: b2, stream: 'b' },
      ],
    });
    // Another instance, as after a restart, still holds the stream back.
    await it.runtime.stop();
    const next = instance('next', [publisher(published, broken)]);
    await next.runtime.start();
    const b3 = await append('b');
    expect(await next.runtime.waitFor(b3, 10_000)).toBe(true);
    await next.runtime.retry('publisher');
    await until(async () => (await stateOf(next, 'publisher')).problem !== undefined);
    expect(published.filter((each) => each.startsWith('b'))).toEqual([]);
    broken.now = false;
    await next.runtime.retry('publisher');
    await until(async () => (await stateOf(next, 'publisher')).parked.length === 0);
    const b4 = await append('b');
    expect(await next.runtime.waitFor(b4, 10_000)).toBe(true);
    expect(published.filter((each) => each.startsWith('b'))).toEqual([b1, b2, b3, b4].map((at) => `b@${at}`));
  });

  it('a parked one is passed over by decision, and those behind it go', async () => {
    const published: string[] = [];
    const it = instance('it', [publisher(published, { now: true })]);
    await it.runtime.start();
    const b1 = await append('b', { poison: true });
    const b2 = await append('b');
    expect(await it.runtime.waitFor(b2, 10_000)).toBe(true);
    await it.runtime.skip('publisher', b1, 'refused for good', 'ana');
    await until(async () => published.length === 1);
    expect(published).toEqual([`b@${b2}`]);
    await until(async () => (await stateOf(it, 'publisher')).parked.length === 0);
  });
});

describe('rebuild beside live traffic', () => {
  const rebuilt = (it: Instance, model: ReadModel = tally()) =>
    createRebuilder({ sql: it.pool, log, store: it.store }).rebuild(model, () => undefined);

  it('answers come from the old tables until the switch, nothing is lost or doubled, and the digests are equal', async () => {
    const it = instance('it', [tally()]);
    await it.runtime.start();
    for (let n = 0; n < 300; n++) await append(`${n % 7 === 0 ? 'alone' : 's'}${n % 10}`);
    await it.runtime.waitFor(await log.head(), 10_000);
    let going = true;
    let smallest = Infinity;
    const writer = (async () => {
      while (going) await append(`s${Math.floor(Math.random() * 10)}`);
    })();
    const reader = (async () => {
      while (going) smallest = Math.min(smallest, await total());
    })();
    const { digest, position: at } = await rebuilt(it);
    await rebuilt(it);
    going = false;
    await Promise.all([writer, reader]);
    const head = await log.head();
    expect(await it.runtime.waitFor(head, 10_000)).toBe(true);
    expect(digest).toMatchObject({ equal: true });
    expect(BigInt(at)).toBeGreaterThanOrEqual(300n);
    expect(smallest).toBeGreaterThanOrEqual(300);
    expect(await total()).toBe(Number(await log.count(START, head)));
    expect(Number((await sql`SELECT count(*) AS n FROM read.seen`)[0]!['n'])).toBe(await total());
    const indexes = await sql<
      { indexname: string }[]
    >`SELECT indexname FROM pg_indexes WHERE schemaname = 'read' AND tablename = 'tally' ORDER BY 1`;
    expect(indexes.map(({ indexname }) => indexname)).toEqual(['tally_by_last', 'tally_pkey']);
  });

  it('heals a model somebody wrote into, and says that the digests differed', async () => {
    const it = instance('it', [tally()]);
    await it.runtime.start();
    for (let n = 0; n < 5; n++) await append('s');
    await it.runtime.waitFor(await log.head(), 5_000);
    await sql`UPDATE read.tally SET seen = 99`;
    const { digest } = await rebuilt(it);
    expect(digest).toMatchObject({ equal: false });
    expect(digest!.tables.map(({ table, live, rebuilt: other }) => [table, live === other])).toEqual([
      ['tally', false],
      ['seen', true],
    ]);
    expect(await total()).toBe(5);
    await createRebuilder({ sql, log, store: it.store }).goBack(tally());
    expect(await total()).toBe(99);
    await createRebuilder({ sql, log, store: it.store }).goBack(tally());
    expect(await total()).toBe(5);
    await append('s');
    expect(await it.runtime.waitFor(await log.head(), 5_000)).toBe(true);
    expect(await total()).toBe(6);
  });

  it('that meets an event it cannot apply leaves the live model as it was', async () => {
    const good = { now: false };
    const it = instance('it', [tally(() => good.now)]);
    await it.runtime.start();
    await append('s');
    await append('s', { poison: true });
    await it.runtime.waitFor(await log.head(), 5_000);
    await expect(
      rebuilt(
        it,
        tally(() => true),
      ),
    ).rejects.toThrow('poisonous');
    expect(await total()).toBe(2);
    await append('s');
    expect(await it.runtime.waitFor(await log.head(), 5_000)).toBe(true);
  });

  it('brings a halted model past its event when the new code can apply it', async () => {
    const it = instance('it', [tally(() => true)]);
    await it.runtime.start();
    await append('s', { poison: true });
    await append('s');
    await until(async () => (await stateOf(it)).state === 'halted');
    const { digest } = await rebuilt(
      it,
      tally(() => false),
    );
    expect(digest).toBeUndefined(); // there was no position to compare at
    expect(await it.runtime.waitFor(await log.head(), 5_000)).toBe(true);
    expect((await stateOf(it)).state).toBe('live');
    expect(await total()).toBe(2);
  });

  it('twice at once is refused', async () => {
    const it = instance('it', [tally()]);
    await it.runtime.start();
    for (let n = 0; n < 50; n++) await append(`s${n}`);
    const both = await Promise.allSettled([rebuilt(it), rebuilt(it)]);
    expect(both.map(({ status }) => status).sort()).toEqual(['fulfilled', 'rejected']);
  });
});

it('a restored backup with a checkpoint ahead of the log halts, says why, and a rebuild heals it', async () => {
  const it = instance('it', [tally()]);
  for (let n = 0; n < 5; n++) await append('s');
  await it.runtime.start();
  await it.runtime.waitFor(await log.head(), 5_000);
  await it.runtime.stop();
  await sql`DELETE FROM log.events WHERE position > 3`;
  await sql`UPDATE log.streams SET revision = 2`;
  await it.runtime.start();
  expect(await stateOf(it)).toMatchObject({ state: 'halted', problem: { message: expect.stringContaining('rebuild tally') } });
  await createRebuilder({ sql, log, store: it.store }).rebuild(tally(), () => undefined);
  await until(async () => (await stateOf(it)).state === 'live');
  expect(await total()).toBe(3);
});
