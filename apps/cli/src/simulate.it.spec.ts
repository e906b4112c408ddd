import { spawn, type ChildProcess } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

// From end to end: the command, the engine on a folder of its own, its PostgreSQL, and back.

const launcher = join(__dirname, '../bin/vigil.js');
const MINUTES = 240_000;
let folder: string;
const children = new Set<ChildProcess>();
beforeAll(() => void (folder = mkdtempSync(join(tmpdir(), 'vigil-cli-it-'))));
afterAll(() => {
  for (const child of children) child.kill('SIGTERM');
  rmSync(folder, { recursive: true, force: true, maxRetries: 10, retryDelay: 200 });
});

const start = (args: readonly string[], env: NodeJS.ProcessEnv = {}): ChildProcess => {
  const inherited = Object.fromEntries(
    Object.entries(process.env).filter(([name]) => !/^(VIGIL_|LC_|LANG|PORT$|DATABASE_URL|SWC_NODE)/.test(name)),
  );
  const child = spawn(process.execPath, [launcher, ...args], {
    cwd: folder,
    env: { ...inherited, LANG: 'C', VIGIL_DATA_DIR: join(folder, 'data'), ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  children.add(child.once('close', () => children.delete(child)));
  return child;
};
const vigil = (args: readonly string[], env?: NodeJS.ProcessEnv): Promise<{ code: number | null; out: string; err: string }> =>
  new Promise((done) => {
    const child = start(args, env);
    let [out, err] = ['', ''];
    child.stdout!.on('data', (chunk: Buffer) => (out += chunk.toString()));
    child.stderr!.on('data', (chunk: Buffer) => (err += chunk.toString()));
    child.on('close', (code) => done({ code, out, err }));
  });
const firstLine = (child: ChildProcess): Promise<string> =>
  new Promise((done, fail) => {
    let [text, err] = ['', ''];
    child.stdout!.on('data', (chunk: Buffer) => (text += chunk.toString()).includes('\n') && done(text.split('\n')[0]!));
    child.stderr!.on('data', (chunk: Buffer) => (err += chunk.toString()));
    child.once('close', () => fail(new Error(`ended: ${err}`)));
  });

const STORY = ['simulate', '--months', '3', '--until', '2026-03', '--json'];
const QUERY = 'dimension=dx:INC-01&dimension=pe:2026-02&dimension=ou:D-DEMO;S-01;S-02';

test(
  'one server: simulate, again (all duplicates), query, rebuild, tail, SIGTERM',
  async () => {
    const server = start(['serve', '--port', '0']);
    const line = await firstLine(server);
    expect(line).toMatch(/^listening on http:\/\/127\.0\.0\.1:\d+$/);
    const env = { VIGIL_URL: line.slice('listening on '.length) };

    const once = await vigil(STORY, env);
    expect(once).toMatchObject({ code: 0 });
    const told = JSON.parse(once.out) as { accepted: number; duplicates: number; rejected: number; position: number };
    expect(told).toMatchObject({ duplicates: 0, rejected: 0 });
    expect(told.accepted).toBeGreaterThan(1_500);

    const again = await vigil(STORY, env);
    expect(JSON.parse(again.out)).toMatchObject({ accepted: 0, duplicates: told.accepted, rejected: 0 });

    const query = await vigil(['query', `${QUERY}&minPosition=${told.position}`, '--json'], env);
    expect(query).toMatchObject({ code: 0 });
    const { data } = JSON.parse(query.out) as {
      data: { ou: string; value: number; num: number; ci: { low: number; high: number } }[];
    };
    const of = (ou: string) => data.find((row) => row.ou === ou)!;
    expect(of('D-DEMO').num).toBe(of('S-01').num + of('S-02').num);
    expect(of('S-01').value).toBeGreaterThan(3_000);
    expect(of('S-01').value).toBeLessThan(9_000);
    expect(of('S-01').ci.low).toBeLessThan(of('S-01').value);

    const wrong = await vigil(['query', 'dimension=dx:INC-1&dimension=pe:2026-02'], env);
    expect(wrong.code).toBe(4);
    expect(wrong.err).toContain('INC-01');

    const rebuilt = await vigil(['rebuild', '--json'], env);
    expect(rebuilt).toMatchObject({ code: 0 });
    const after = await vigil(['query', `${QUERY}&minPosition=${told.position}`, '--json'], env);
    expect((JSON.parse(after.out) as { data: unknown }).data).toEqual(data);

    const tail = await vigil(['log', 'tail', '--limit', '3', '--json'], env);
    expect(tail.out.trim().split('\n')).toHaveLength(3);

    const ended = new Promise<number | null>((done) => server.once('exit', done));
    server.kill('SIGTERM');
    expect(await ended).toBe(0);
  },
  MINUTES,
);

test(
  'demo --once on a folder of its own, twice',
  async () => {
    const env = { VIGIL_DATA_DIR: join(folder, 'demo') };
    const args = ['demo', '--once', '--json', '--months', '13', '--until', '2026-03', '--port', '0'];
    const first = await vigil(args, env);
    expect(first).toMatchObject({ code: 0 });
    const told = JSON.parse(first.out) as { accepted: number; period: string; data: { dx: string; value: number | null }[] };
    expect(told.period).toBe('2025-04-01/2026-03-31');
    expect(new Set(told.data.map(({ dx }) => dx))).toEqual(new Set(['INC-01', 'INC-02', 'INC-04', 'INC-05', 'SEV-01']));
    expect(told.data.filter(({ value }) => value === null)).toEqual([]);
    const second = await vigil(args, env);
    expect(second).toMatchObject({ code: 0 });
    expect(JSON.parse(second.out)).toMatchObject({ accepted: 0, duplicates: told.accepted, rejected: 0, data: told.data });
  },
  MINUTES,
);
