import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connect, migrate, type SqlClient } from '@vigil/platform';
import { freshDatabase, type FreshDatabase } from '@vigil/testing';
import { START, type EventLog } from '../event-log';
import { newEvent, request } from '../event-log.contract';
import { createMemoryLog } from '../memory/memory-log';
import { createPostgresLog } from '../postgres/postgres-log';
import { LOG_MIGRATIONS } from '../postgres/schema';
import { importLog } from '../transfer/import-log';
import { writeExport } from '../transfer/export-file';
import { headsFile } from './heads';
import { readPages } from './pages';
import { createSealer, type SealState } from './sealer';
import { verifyLog, type Verification } from './verify';

jest.setTimeout(120_000);

const range = (n: number): number[] => Array.from({ length: n }, (_, i) => i);

/** Who has the database's highest rights, and neither the heads nor the key. */
const asSuperuser = (url: string): string => {
  const admin = process.env['DATABASE_URL_TEST'] ?? process.env['VIGIL_TEST_PG_ADMIN']!;
  const own = new URL(admin);
  own.pathname = new URL(url).pathname;
  return own.href;
};

describe('a sealed log on PostgreSQL', () => {
  let db: FreshDatabase;
  let sql: SqlClient;
  let root: SqlClient;
  let log: EventLog;
  let folder: string;

  const seal = (): Promise<SealState> =>
    createSealer({ log, folder: join(folder, 'heads'), keyFile: join(folder, 'key.pem') }).sealAll();
  const verify = (): Promise<Verification> => verifyLog({ pages: readPages(log), heads: join(folder, 'heads') });

  /** 2,500 events in three heads, position 1,700 free. */
  beforeAll(async () => {
    db = await freshDatabase();
    sql = connect(db.url, { max: 4, applicationName: 'log' });
    await migrate(sql, LOG_MIGRATIONS);
    root = connect(asSuperuser(db.url), { max: 1, applicationName: 'superuser' });
    log = createPostgresLog({ sql, pollMs: 60_000 });
    folder = mkdtempSync(join(tmpdir(), 'vigil-sealed-'));
    for (const n of range(25))
      await log.appendMany(
        range(100).map((i) => request(`s${(n * 100 + i) % 400}`, 'any', [newEvent({ data: `{"n":"${n}-${i}"}` })])),
      );
    await root`DELETE FROM log.events WHERE position = 1700`;
    expect(await seal()).toMatchObject({ events: 2499, heads: 3 });
    await root`CREATE TABLE kept AS TABLE log.events`;
  });
  afterEach(async () => {
    await root`TRUNCATE log.events`;
    await root`INSERT INTO log.events TABLE kept`;
  });
  afterAll(async () => {
    await log.close();
    await Promise.all([sql.end(), root.end()]);
    await db.drop();
    rmSync(folder, { recursive: true, force: true });
  });

  it('verifies while nobody touches it', async () => {
    expect(await verify()).toMatchObject({ verified: 2499, position: '2500', heads: 3, unsealed: 0 });
    expect((await verify()).breach).toBeUndefined();
  });

  it.each<[string, string, string, string]>([
    [
      'a byte of data',
      `UPDATE log.events SET data = overlay(data PLACING '9' FROM 7 FOR 1) WHERE position = 1234`,
      'edited',
      '1234',
    ],
    ['a blank added to data', `UPDATE log.events SET data = data || ' ' WHERE position = 1`, 'edited', '1'],
    ['metadata', `UPDATE log.events SET metadata = '{"actor":"nobody"}' WHERE position = 2500`, 'edited', '2500'],
    [
      'an instant, by a microsecond',
      `UPDATE log.events SET recorded_at = recorded_at + interval '1 microsecond' WHERE position = 1000`,
      'edited',
      '1000',
    ],
    ['a type', `UPDATE log.events SET type = 'Other' WHERE position = 1001`, 'edited', '1001'],
    ['a version', `UPDATE log.events SET version = 2 WHERE position = 2000`, 'edited', '2000'],
    ['a fingerprint', `UPDATE log.events SET fingerprint = gen_random_uuid() WHERE position = 77`, 'edited', '77'],
    ['an id', `UPDATE log.events SET event_id = gen_random_uuid() WHERE position = 78`, 'edited', '78'],
    ['a stream and a revision', `UPDATE log.events SET stream_id = 'forged', revision = 0 WHERE position = 79`, 'edited', '79'],
    ['a row deleted', `DELETE FROM log.events WHERE position = 1500`, 'missing', '1500'],
    ['a row deleted between two heads', `DELETE FROM log.events WHERE position = 1000`, 'missing', '1000'],
    ['the first row deleted', `DELETE FROM log.events WHERE position = 1`, 'missing', '1'],
    [
      'a row deleted and the rest moved up',
      `DELETE FROM log.events WHERE position = 1500; UPDATE log.events SET position = -position WHERE position > 1500; UPDATE log.events SET position = -position - 1 WHERE position < 0`,
      'missing',
      '1500',
    ],
    [
      'two rows swapped',
      `UPDATE log.events SET position = -1 WHERE position = 300; UPDATE log.events SET position = 300 WHERE position = 310; UPDATE log.events SET position = 310 WHERE position = -1`,
      'reordered',
      '300',
    ],
    [
      'two rows far apart swapped',
      `UPDATE log.events SET position = -1 WHERE position = 5; UPDATE log.events SET position = 5 WHERE position = 2400; UPDATE log.events SET position = 2400 WHERE position = -1`,
      'reordered',
      '5',
    ],
    ['the end cut off', `DELETE FROM log.events WHERE position > 2200`, 'tail-cut', '2201'],
    ['the last row cut off', `DELETE FROM log.events WHERE position = 2500`, 'tail-cut', '2500'],
    [
      'a row put into a hole',
      `INSERT INTO log.events SELECT 1700, gen_random_uuid(), 'forged', 0, type, version, recorded_at, fingerprint, data, metadata FROM log.events WHERE position = 1`,
      'inserted',
      '1700',
    ],
    ['a row moved into a hole', `UPDATE log.events SET position = 1700 WHERE position = 1800`, 'reordered', '1700'],
    ['a row renumbered', `UPDATE log.events SET position = 1700 WHERE position = 1701`, 'renumbered', '1701'],
    ['everything emptied', `DELETE FROM log.events`, 'tail-cut', '1'],
    [
      'everything from a place on rewritten',
      `UPDATE log.events SET data = replace(data, '"n"', '"m"') WHERE position >= 1111`,
      'edited',
      '1111',
    ],
  ])('%s: the position is named', async (_, statement, kind, position) => {
    await root.unsafe(statement);
    const found = await verify();
    expect(found.breach).toMatchObject({ kind, position });
    expect(found.verified).toBe(Number(position) - (Number(position) > 1700 ? 2 : 1));
    expect(found.breach!.detail.en).toContain(`position ${position}`);
    expect(found.breach!.detail.zh).toContain(`位置 ${position}`);
  });

  it('everything rewritten, heads and all, without the key: the first head that is forged is named', async () => {
    await root`UPDATE log.events SET data = replace(data, '"n"', '"m"') WHERE position >= 1111`;
    const forger = mkdtempSync(join(tmpdir(), 'vigil-forger-'));
    await createSealer({ log, folder: join(forger, 'heads'), keyFile: join(forger, 'key.pem') }).sealAll();
    const file = headsFile(join(folder, 'heads'));
    const genuine = readFileSync(file, 'utf8');
    const [first] = genuine.split('\n');
    const { key } = JSON.parse(first!) as { key: string };
    const forged = readFileSync(headsFile(join(forger, 'heads')), 'utf8').split('\n');
    try {
      writeFileSync(file, [first, ...forged.slice(1)].join('\n'));
      expect((await verify()).breach).toMatchObject({ kind: 'head-unknown-key', position: '1001', line: 2 });
      writeFileSync(
        file,
        [first, ...forged.slice(1).map((line) => line.replace(/"key":"[0-9a-f]*"/, `"key":"${key}"`))].join('\n'),
      );
      expect((await verify()).breach).toMatchObject({ kind: 'head-signature', position: '1001', line: 2 });
    } finally {
      writeFileSync(file, genuine);
      rmSync(forger, { recursive: true, force: true });
    }
  });

  it('is not sealed over a breach', async () => {
    await root`UPDATE log.events SET metadata = '{}' WHERE position = 2400`;
    const before = readFileSync(headsFile(join(folder, 'heads')), 'utf8');
    expect((await seal()).problem).toMatchObject({ kind: 'breach', detail: { en: expect.stringContaining('position 2400 ') } });
    expect(readFileSync(headsFile(join(folder, 'heads')), 'utf8')).toBe(before);
  });

  it('keeps its digest and its heads when it moves to another store and back', async () => {
    const { digest } = await verify();
    const move = async (from: EventLog, to: EventLog) => {
      const chunks: Buffer[] = [];
      for await (const text of writeExport('spec', readPages(from))) chunks.push(Buffer.from(text));
      return importLog({
        log: to,
        open: async function* () {
          yield* chunks;
        },
      });
    };
    // A log whose row somebody deleted has a gap in that stream, which no store would take.
    const gap = await root<{ position: string }[]>`
      SELECT e.position FROM log.events e WHERE revision > 0 AND NOT EXISTS (
        SELECT FROM log.events b WHERE b.stream_id = e.stream_id AND b.revision = e.revision - 1)`;
    expect(gap).toHaveLength(1);
    await root`UPDATE log.events SET revision = revision - 1 WHERE stream_id = (SELECT stream_id FROM log.events WHERE position = ${gap[0]!.position}) AND position >= ${gap[0]!.position}`;
    const whole = await verifyLog({ pages: readPages(log), heads: join(folder, 'none') });
    expect(whole.digest).not.toBe(digest);
    const memory = createMemoryLog();
    expect(await move(log, memory)).toMatchObject({ events: 2499, digest: whole.digest });
    const other = await freshDatabase();
    const otherSql = connect(other.url, { max: 2, applicationName: 'other' });
    try {
      await migrate(otherSql, LOG_MIGRATIONS);
      const back = createPostgresLog({ sql: otherSql, pollMs: 60_000 });
      expect(await move(memory, back)).toMatchObject({ events: 2499, written: 2499, digest: whole.digest });
      const bare = async (of: EventLog) =>
        (await of.readAll({ after: START, limit: 10_000 })).map(({ position: _, ...event }) => event);
      expect(await bare(back)).toEqual(await bare(log));
      await back.close();
    } finally {
      await otherSql.end();
      await other.drop();
    }
    expect(existsSync(join(folder, 'none'))).toBe(false);
  });
});
