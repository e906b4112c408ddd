import { once } from 'node:events';
import { createServer, connect as dial, type AddressInfo, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { childNode } from '../child-node.fixture';
import { connect, type SqlClient } from '../sql-client';

/** A link to the test server that can be made to swallow everything, in either direction. */
const link = async () => {
  const target = new URL(process.env['DATABASE_URL_TEST'] ?? process.env['VIGIL_TEST_PG_URL']!);
  const [host, port] = [target.hostname, Number(target.port)];
  const state = { swallow: false, connections: 0, passed: 0 };
  const sockets: Socket[] = [];
  const server = createServer((client) => {
    state.connections++;
    const far = dial(port, host);
    sockets.push(client, far);
    for (const [from, to] of [
      [client, far],
      [far, client],
    ] as const) {
      from.on('error', () => undefined);
      from.on('data', (chunk) => {
        if (state.swallow) return;
        state.passed += chunk.length;
        to.write(chunk);
      });
      from.on('close', () => state.swallow || to.destroy());
    }
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  target.port = `${(server.address() as AddressInfo).port}`;
  return {
    state,
    url: target.href,
    cut: (): void => {
      for (const socket of sockets.splice(0)) socket.resetAndDestroy();
    },
    close: async () => {
      for (const socket of sockets) socket.destroy();
      server.close();
      await once(server, 'close');
    },
  };
};

jest.setTimeout(30_000);

let way: Awaited<ReturnType<typeof link>>;
let sql: SqlClient;
const open = (options: { max?: number; silenceMs?: number } = {}): SqlClient =>
  (sql = connect(way.url, { max: 2, silenceMs: 300, applicationName: 'silence', ...options }));
const one = async (): Promise<unknown> => [...(await sql`SELECT 1 AS x`)];

beforeEach(async () => {
  way = await link();
});
afterEach(async () => {
  await sql.end({ timeout: 0 });
  await way.close();
});

test('a statement whose answer never comes ends its connection, and the healed link serves the whole pool', async () => {
  open();
  await Promise.all([one(), one()]);
  way.state.swallow = true;
  const began = performance.now();
  const lost = await Promise.allSettled([one(), one(), sql.begin((tx) => tx`SELECT 1`)]);
  expect(performance.now() - began).toBeLessThan(2_000);
  for (const { reason } of lost as PromiseRejectedResult[])
    expect((reason as { code: string }).code).toMatch(/^CONNECT(ION)?_(CLOSED|TIMEOUT|DESTROYED|ENDED)/);
  way.state.swallow = false;
  await sleep(50); // until the last of them has gone
  expect(await Promise.all([one(), one(), one()])).toEqual([[{ x: 1 }], [{ x: 1 }], [{ x: 1 }]]);
});

test('so does an answer that breaks off in its middle', async () => {
  open({ max: 1 });
  await one();
  const long = sql`SELECT i, repeat('x', 1000) AS filler FROM generate_series(1, 20000) AS i`;
  const lost = expect(long).rejects.toMatchObject({ code: 'CONNECTION_CLOSED' });
  while (way.state.passed < 100_000) await sleep(1);
  way.state.swallow = true;
  await lost;
});

test('a slow answer that goes on coming, and an idle connection, are left alone', async () => {
  open({ max: 1 });
  await one();
  // A statement that takes longer than the limit, but says something now and then: 24 rows, each after 50 ms.
  await sql.unsafe(
    `DO $$ BEGIN FOR i IN 1..12 LOOP PERFORM pg_sleep(0.05); RAISE NOTICE '%', repeat('x', 9000); END LOOP; END $$`,
  );
  await sleep(700);
  await one();
  expect(way.state.connections).toBe(1);
});

test('a statement that is silent for longer than the limit is given up; without a limit it is waited for', async () => {
  open({ max: 1 });
  await expect(sql`SELECT pg_sleep(1)`).rejects.toMatchObject({ code: 'CONNECTION_CLOSED' });
  await sql.end({ timeout: 0 });
  open({ max: 1, silenceMs: 0 });
  expect(await sql`SELECT 1 AS x, pg_sleep(0.6)::text AS slept`).toHaveLength(1);
});

test('statements of every kind are counted right: in a pipeline, prepared and simple, failing, by cursor, in transactions', async () => {
  open({ max: 1 });
  await Promise.allSettled([
    ...Array.from({ length: 50 }, (_, n) => sql`SELECT ${n}::int AS n`),
    sql`SELECT 1/0`,
    sql.unsafe('SELECT 1; SELECT 2'),
    sql.unsafe('no such statement'),
    sql.begin(async (tx) => {
      for await (const rows of tx`SELECT i FROM generate_series(1, 100) AS i`.cursor(10)) void rows;
      await tx`SELECT 1/0`;
    }),
  ]);
  await sleep(500); // had a count gone wrong, the idle connection would be closed now
  await one();
  expect(way.state.connections).toBe(1);
});

test('a server that is not there is reported as without the limit', async () => {
  open();
  await sql.end({ timeout: 0 });
  sql = connect('postgres://nobody@127.0.0.1:1/nothing', { max: 1, silenceMs: 300, applicationName: 'silence' });
  await expect(one()).rejects.toMatchObject({ code: 'ECONNREFUSED' });
  await expect(one()).rejects.toMatchObject({ code: 'ECONNREFUSED' });
});

// In a process of its own: what this is about is an exception from a timer that ends the process, which jest would hide.
describe('a connection that is reset in the middle of a transaction fails it, and nothing else', () => {
  test.each([
    ['while a statement runs', `await cut(); await tx\`SELECT pg_sleep(5)\`;`],
    ['while its callback is busy, which goes on to its next statement', `await cut(); await pause(200); await tx\`SELECT 2\`;`],
    ['while its callback is busy, which then fails by itself', `await cut(); await pause(200); throw new Error('own');`],
    [
      'while statements queue up',
      `void cut(); const all = []; for (let n = 0; n < 50; n++) { all.push(tx\`SELECT \${n}::int, pg_sleep(0.02)\`); await pause(2); } await Promise.all(all);`,
    ],
  ])('%s', async (_, body) => {
    open();
    const child = childNode(
      `const sql = platform.connect(${JSON.stringify(way.url)}, { max: 2, applicationName: 'victim' });
       const pause = (ms) => new Promise((done) => setTimeout(done, ms));
       const cut = async () => { process.stdout.write('cut\\n'); await pause(50); };
       const failed = await sql.begin(async (tx) => { await tx\`SELECT 1\`; ${body} }).then(() => 'committed', () => 'failed');
       await pause(100);
       const [row] = await sql\`SELECT 1 AS x\`;
       process.stdout.write('after ' + failed + ' ' + row.x + '\\n');
       await sql.end({ timeout: 1 });`,
    );
    await child.line('cut');
    await sleep(20);
    way.cut();
    expect(await child.line('after')).toBe('after failed 1');
    await child.ended;
    expect(child.child.exitCode).toBe(0);
  });
});
