import { freshDatabase } from '@vigil/testing';
import { spawn, type ChildProcess } from 'node:child_process';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

jest.setTimeout(120_000);

const root = join(__dirname, '../../..');

interface Running {
  readonly url: string;
  readonly child: ChildProcess;
  readonly exit: Promise<number | null>;
  said(): string;
}

/** The real program in a process of its own. */
const run = async (env: Record<string, string>): Promise<Running> => {
  const script = `const { serve } = require(${JSON.stringify(join(__dirname, 'index.ts'))});
    const { readConfig } = require(${JSON.stringify(join(root, 'libs/platform/src/index.ts'))});
    const read = readConfig(process.env);
    serve(read.value, { print: (line) => process.stdout.write(line + '\\n'), complain: (line) => process.stderr.write(line + '\\n') })
      .then((code) => process.exit(code), (error) => { process.stderr.write(error.stack + '\\n'); process.exit(70); });`;
  const child = spawn(process.execPath, ['-r', join(root, 'node_modules/@swc-node/register'), '-e', script], {
    cwd: root,
    env: {
      PATH: process.env['PATH'],
      TZ: 'UTC',
      SWC_NODE_PROJECT: join(root, 'tsconfig.base.json'),
      PORT: '0',
      VIGIL_LOG: 'error',
      ...env,
    },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let text = '';
  const exit = new Promise<number | null>((resolve) => child.once('close', resolve));
  const url = await new Promise<string>((resolve, reject) => {
    const hear = (chunk: Buffer): void => {
      text += chunk.toString();
      const found = /^listening on (\S+)$/m.exec(text)?.[1];
      if (found) resolve(found);
    };
    child.stdout!.on('data', hear);
    child.stderr!.on('data', hear);
    void exit.then(() => reject(new Error(`it ended: ${text}`)));
  });
  return { url, child, exit, said: () => text };
};

const report = (url: string, key: string): Promise<{ status: number; position: number }> =>
  fetch(`${url}/api/v1/injuries`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', 'idempotency-key': key },
    body: '{"knownAt":"2026-03-02","community":"C-001"}',
  }).then(async (response) => ({
    status: response.status,
    position: ((await response.json()) as { position: number }).position,
  }));

const logSize = async (url: string): Promise<number> => {
  const { data } = (await (await fetch(`${url}/api/v1/events?limit=10000`)).json()) as { data: unknown[] };
  return data.length;
};

it('counts every request once, though it was killed while they were on their way', async () => {
  const database = await freshDatabase();
  const folder = await mkdtemp(join(tmpdir(), 'vigil-serve-'));
  const keys = Array.from({ length: 150 }, (_, n) => `kill-${n}`);
  try {
    const first = await run({ DATABASE_URL: database.url, VIGIL_DATA_DIR: folder });
    const acknowledged = new Map<string, number>();
    await Promise.allSettled(
      keys.map(async (key) => {
        const { position } = await report(first.url, key);
        acknowledged.set(key, position);
        if (acknowledged.size === 10) first.child.kill('SIGKILL');
      }),
    );
    await first.exit;
    const second = await run({ DATABASE_URL: database.url, VIGIL_DATA_DIR: folder });
    const repeated = await Promise.all(keys.map((key) => report(second.url, key)));
    expect(new Set(repeated.map(({ status }) => status))).toEqual(new Set([201]));
    expect(new Set(repeated.map(({ position }) => position)).size).toBe(keys.length);
    for (const [index, key] of keys.entries())
      if (acknowledged.has(key)) expect(repeated[index]!.position).toBe(acknowledged.get(key));
    expect(await logSize(second.url)).toBe(keys.length);
    second.child.kill('SIGTERM');
    expect(await second.exit).toBe(0);
  } finally {
    await database.drop();
    await rm(folder, { recursive: true, force: true });
  }
});

it('ends with 1 and a clear line when its PostgreSQL dies, and starts again on the same data', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'vigil-serve-'));
  try {
    const first = await run({ VIGIL_DATA_DIR: folder });
    const { position } = await report(first.url, 'before');
    const [pid] = (await readFile(join(folder, 'postgres/cluster/postmaster.pid'), 'utf8')).split('\n');
    process.kill(Number(pid), 'SIGKILL');
    expect(await first.exit).toBe(1);
    expect(first.said()).toMatch(/the embedded PostgreSQL ended unexpectedly/);
    const second = await run({ VIGIL_DATA_DIR: folder });
    expect(await report(second.url, 'before')).toEqual({ status: 201, position });
    second.child.kill('SIGTERM');
    expect(await second.exit).toBe(0);
  } finally {
    await rm(folder, { recursive: true, force: true, maxRetries: 5 });
  }
});
