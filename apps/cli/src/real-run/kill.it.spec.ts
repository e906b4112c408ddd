import { importFile } from '@vigil/feeds';
import { createLogger, readConfig, type SqlClient } from '@vigil/platform';
import { startEngine } from '@vigil/server';
import {
  createWorld,
  describeWith,
  importedBy,
  logContent,
  node,
  observe,
  processesIn,
  readModelContent,
  serving,
  sharedPath,
  type Program,
} from './world';

// kill -9 in the middle of an import and of a push, and what the log holds once the same work has been done again.
jest.setTimeout(280_000);

const FILE = 'data/neiss/neiss_under2_2017.csv.gz';
const ROWS = 22_818;
const EVENTS = ROWS + 1; // and the community that the mapping brings
const HALF = ROWS / 2;
const MAPPING = ['--mapping', 'neiss-under2'];
const MONTHS = 'dimension=dx:INC-01&dimension=pe:2017-01;2017-07;2017-12&dimension=ou:US&dimension=sex';

const killed = async (program: Program): Promise<void> => {
  await program.ended;
  expect(program.child.signalCode).toBe('SIGKILL');
};
const pause = (ms: number) => new Promise((done) => setTimeout(done, ms));
const until = async (holds: () => Promise<boolean>): Promise<void> => {
  while (!(await holds())) await pause(5);
};

/**
 * A statement that PostgreSQL had received goes on, and may commit, after its client was killed: the log is counted once the
 * dead client's sessions have ended.
 */
const sessionsEnded = (sql: SqlClient): Promise<void> =>
  until(async () => {
    const [row] = await sql`
      SELECT count(*)::int AS n FROM pg_stat_activity WHERE datname = current_database() AND application_name LIKE 'vigil-%'`;
    return row!['n'] === 0;
  });

describeWith([FILE], 'an import that is killed and started again', () => {
  const world = createWorld();
  afterAll(() => world.close());
  let undisturbed: { log: Awaited<ReturnType<typeof logContent>>; models: Record<string, string>; answer: unknown };

  /** All that must be the same, once the projections hold it. `work` may bring the import to its end first. */
  const outcome = async (url: string, sql: SqlClient, work: (log: Parameters<typeof importFile>[0]) => Promise<void>) => {
    const read = readConfig({ DATABASE_URL: url, VIGIL_DATA_DIR: await world.folder(), PORT: '0' });
    if (!read.ok) throw new Error(JSON.stringify(read.faults));
    const engine = await startEngine(read.value, { logger: createLogger({ level: 'error', program: 'serve' }) });
    try {
      await work({ log: engine.log });
      expect(await engine.projections.waitFor(await engine.log.head(), 120_000)).toBe(true);
      const counts = await sql`
        SELECT to_char(day, 'YYYY-MM') AS month, sex, count(*)::int AS n, round(sum(weight)::numeric, 4)::text AS weight
        FROM read.injury_facts WHERE counted GROUP BY 1, 2 ORDER BY 1, 2`;
      return { log: await logContent(sql), models: await readModelContent(sql), answer: [...counts] };
    } finally {
      await engine.close();
    }
  };

  beforeAll(async () => {
    const { url, sql } = await world.database();
    undisturbed = await outcome(url, sql, async (deps) => {
      const answer = await importFile(deps, { path: sharedPath(FILE), mapping: 'neiss-under2' });
      expect(answer).toMatchObject({ accepted: ROWS, duplicates: 0, rejected: 0 });
    });
    expect(undisturbed.log).toMatchObject({ events: EVENTS, ids: EVENTS });
  });

  test('at the crash point import.mid-append it ends with the log of one that ran once', async () => {
    const { url, sql } = await world.database();
    const env = { DATABASE_URL: url, VIGIL_DATA_DIR: await world.folder(), FILE: sharedPath(FILE) };
    const importing = node(
      `const { startEngine } = load('apps/server');
       const engine = await startEngine(load('libs/platform').readConfig(process.env).value);
       const crashPoint = (name) => { if (name === 'import.mid-append') process.kill(process.pid, 'SIGKILL'); };
       await load('libs/feeds').importFile({ log: engine.log, crashPoint }, { path: process.env.FILE, mapping: 'neiss-under2' });`,
      env,
    );
    await killed(importing);
    await sessionsEnded(sql);
    const { events } = await logContent(sql);
    expect(events).toBeGreaterThan(0);
    expect(events).toBeLessThan(EVENTS);

    const again = await outcome(url, sql, async (deps) => {
      const answer = await importFile(deps, { path: sharedPath(FILE), mapping: 'neiss-under2' });
      expect(answer).toMatchObject({ accepted: EVENTS - events, duplicates: events - 1, rejected: 0 });
    });
    expect(again).toEqual(undisturbed);
  });

  test('three times at different depths, as the command itself', async () => {
    const { url, sql } = await world.database();
    const env = { DATABASE_URL: url, VIGIL_DATA_DIR: await world.folder(), VIGIL_URL: '', VIGIL_LOG: 'error' };
    const stands = async () => (await sql`SELECT to_regclass('log.events') IS NOT NULL AS made`)[0]!['made'] === true;
    const size = async () => ((await stands()) ? Number((await sql`SELECT count(*)::int AS n FROM log.events`)[0]!['n']) : 0);
    for (const depth of [500, HALF, ROWS - 9_000]) {
      const importing = world.vigil(['import', sharedPath(FILE), ...MAPPING, '--json'], { ...env, VIGIL_URL: '' });
      await until(async () => (await size()) > depth);
      importing.child.kill('SIGKILL');
      await killed(importing);
      await sessionsEnded(sql);
      expect(await size()).toBeLessThan(EVENTS);
    }
    const last = await world.vigil(['import', sharedPath(FILE), ...MAPPING, '--json'], env).ended;
    const { accepted, duplicates, rejected } = importedBy(last);
    expect({ code: last.code, rows: accepted + duplicates, rejected }).toEqual({ code: 0, rows: ROWS, rejected: 0 });
    expect(duplicates).toBeGreaterThan(ROWS - 9_000);
    expect(await outcome(url, sql, async () => undefined)).toEqual(undisturbed);
  });

  test('with the server that imports and its own PostgreSQL, which leaves no process behind', async () => {
    const folder = await world.folder();
    const env = { VIGIL_DATA_DIR: folder, VIGIL_LOG: 'error' };
    const first = world.vigil(['serve', '--port', '0'], env);
    const url = await serving(first);
    const importing = world.vigil(['import', sharedPath(FILE), ...MAPPING, '--json'], { VIGIL_URL: url });
    const head = async (at: string): Promise<number> =>
      ((await (await fetch(`${at}/api/v1/projections`)).json()) as { data: { head: number }[] }).data[0]!.head;
    await until(async () => (await head(url)) > HALF);
    first.child.kill('SIGKILL');
    await killed(first);
    const told = await importing.ended;
    expect(told.code).toBe(3);
    expect(told.err).toMatch(/^vigil: .*can't reach http:\/\/127\.0\.0\.1:\d+/m);

    const second = world.vigil(['serve', '--port', '0'], env);
    const again = await serving(second);
    const stood = await head(again);
    expect(stood).toBeGreaterThan(HALF);
    const ended = await world.vigil(['import', sharedPath(FILE), ...MAPPING, '--wait', '--json'], { VIGIL_URL: again }).ended;
    expect(importedBy(ended)).toMatchObject({ accepted: EVENTS - stood, duplicates: stood - 1, rejected: 0 });
    const { data } = await observe(again, 'dimension=dx:INC-01&dimension=pe:2017&dimension=ou:US');
    expect(data[0]!.num).toBe(ROWS);
    expect((await observe(again, MONTHS)).data.reduce((sum, { num }) => sum + num, 0)).toBeGreaterThan(4_000);

    expect(processesIn(folder).some((line) => /postgres/.test(line))).toBe(true);
    second.child.kill('SIGTERM');
    expect((await second.ended).code).toBe(0);
    expect(processesIn(folder)).toEqual([]);
  });
});

describe('a server that is killed while events are pushed', () => {
  const world = createWorld();
  afterAll(() => world.close());
  const PUSHES = 120;
  const EACH = 20;

  const event = (id: string) => ({
    specversion: '1.0',
    type: 'org.vigil.injury.reported.v1',
    source: '/feeds/clinic-03',
    id,
    subject: id,
    time: '2026-03-02T01:10:00Z',
    data: { recordId: id, occurredAt: '2026-03-02', knownAt: '2026-03-02', community: 'C-001' },
  });
  const batch = (n: number) => Array.from({ length: EACH }, (_, i) => event(`push-${n}-${i}`));
  interface Pushed {
    readonly accepted: number;
    readonly duplicates: number;
    readonly results: readonly { readonly id: string; readonly status: string; readonly position: number }[];
  }
  const push = async (url: string, n: number): Promise<Pushed> => {
    const response = await fetch(`${url}/api/v1/feeds/clinic-03/events`, {
      method: 'POST',
      headers: { 'content-type': 'application/cloudevents-batch+json' },
      body: JSON.stringify(batch(n)),
    });
    if (!response.ok) throw new Error(`${response.status} ${await response.text()}`);
    return (await response.json()) as Pushed;
  };

  test('every acknowledged event stands where it was said to, and sending all again adds only the rest', async () => {
    const { url: database, sql } = await world.database();
    const env = { DATABASE_URL: database, VIGIL_DATA_DIR: await world.folder(), VIGIL_LOG: 'error' };
    const pushes = Array.from({ length: PUSHES }, (_, n) => n);
    const acknowledged = new Map<string, number>();
    const first = world.vigil(['serve', '--port', '0'], env);
    const url = await serving(first);
    let answered = 0;
    const fates = await Promise.allSettled(
      pushes.map(async (n) => {
        const { results } = await push(url, n);
        for (const { id, position } of results) acknowledged.set(id, position);
        if (++answered === 15) first.child.kill('SIGKILL');
      }),
    );
    await killed(first);
    await sessionsEnded(sql);
    expect(fates.some(({ status }) => status === 'rejected')).toBe(true);
    expect(acknowledged.size).toBeGreaterThanOrEqual(15 * EACH);

    const stands = async () =>
      await sql<{ position: string; id: string }[]>`SELECT position::text, data::json->>'recordId' AS id FROM log.events`;
    const after = new Map((await stands()).map(({ id, position }) => [id, Number(position)]));
    for (const [id, position] of acknowledged) expect([id, after.get(id)]).toEqual([id, position]);

    const second = world.vigil(['serve', '--port', '0'], env);
    const again = await serving(second);
    const answers = await Promise.all(pushes.map((n) => push(again, n)));
    const total = (of: (answer: Pushed) => number) => answers.reduce((sum, answer) => sum + of(answer), 0);
    expect(total(({ duplicates }) => duplicates)).toBe(after.size);
    expect(total(({ accepted }) => accepted)).toBe(PUSHES * EACH - after.size);
    const events = await stands();
    expect(events).toHaveLength(PUSHES * EACH);
    expect(new Set(events.map(({ id }) => id)).size).toBe(PUSHES * EACH);
    const last = Math.max(...events.map(({ position }) => Number(position)));
    const query = `dimension=dx:INC-01&dimension=pe:2026-03&dimension=ou:C-001&minPosition=${last}`;
    expect((await observe(again, query)).data[0]!.num).toBe(PUSHES * EACH);
    second.child.kill('SIGTERM');
    expect((await second.ended).code).toBe(0);
  });
});
