import { spawn, type ChildProcess } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { crashRecord } from './simulate/chapters/crash';
import { incidentIdOf, injuryIdOf } from './simulate/chapters/file';
import { OVERDUE_CLASS_FILE } from './simulate/chapters/hazards';
import type { Pushed } from './simulate/push';
import { story } from './simulate/story';

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

const STORY = ['simulate', '--months', '6', '--until', '2026-03', '--json'];
// Every id of the story is known beforehand.
const told = story({ seed: 1, months: 6, until: '2026-03' });
const QUERY = 'dimension=dx:INC-01&dimension=pe:2026-02&dimension=ou:D-DEMO;S-01;S-02';

test(
  'one server: simulate, again (all duplicates), query, rebuild, tail, SIGTERM',
  async () => {
    const server = start(['serve', '--port', '0']);
    const line = await firstLine(server);
    expect(line).toMatch(/^listening on http:\/\/127\.0\.0\.1:\d+$/);
    const env = { VIGIL_URL: line.slice('listening on '.length) };

    const get = async <T>(path: string): Promise<T> => (await (await fetch(`${env.VIGIL_URL}/api/v1${path}`)).json()) as T;
    const head = async (): Promise<number> => {
      for (let last = 0; ; ) {
        const { data } = await get<{ data: { position: number }[] }>(`/events?after=${last}&limit=1000`);
        if (data.length === 0) return last;
        last = Number(data.at(-1)!.position);
      }
    };
    const contents = async (): Promise<string[]> => {
      const { data } = await get<{ data: { stream: string; revision: number; type: string; data: unknown }[] }>(
        '/events?after=0&limit=1000',
      );
      return data.map(({ stream, revision, type, data: held }) => `${stream} ${revision} ${type} ${JSON.stringify(held)}`);
    };

    const once = await vigil(STORY, env);
    expect(once).toMatchObject({ code: 0 });
    const first = JSON.parse(once.out) as Pushed & { position: number };
    expect(first).toMatchObject({ duplicates: 0, rejected: told.bad.size, unexpected: 0 });
    expect(first.accepted + first.rejected).toBe(told.size);
    expect(first.kinds).toMatchObject({ hazards: { duplicates: 0 }, incidents: { rejected: 0 }, surveys: { accepted: 7 } });
    const at = await head();
    expect(at).toBe(first.position);

    const again = await vigil(STORY, env);
    expect(again).toMatchObject({ code: 0 });
    expect(JSON.parse(again.out)).toMatchObject({
      accepted: 0,
      duplicates: first.accepted,
      rejected: first.rejected,
      unexpected: 0,
    });
    expect(await head()).toBe(at);
    const another = await vigil(['simulate', '--until', '2027-01', '--months', '1', '--json'], env);
    expect(another).toMatchObject({ code: 4, err: expect.stringContaining('2026') });
    expect(await head()).toBe(at);

    // The log has the story's order.
    const commands = told.steps.filter((step) => step.kind === 'command').slice(0, 40);
    const streams = (await contents()).filter((line) => !/^(community|injury)-/.test(line)).slice(0, 40);
    expect(streams.map((line) => line.split(' ').slice(0, 2).join(' '))).toEqual(
      commands.map(({ register, id, revision }) => `${register.slice(0, -1)}-${id} ${revision}`),
    );

    await get(`/observations?dimension=dx:INC-01&dimension=pe:2026-02&minPosition=${at}`);
    const projections = await vigil(['projections', '--json'], env);
    const { projections: rows } = JSON.parse(projections.out) as { projections: { kind: string; lagEvents: number }[] };
    for (const { kind, lagEvents } of rows) if (kind === 'model') expect(lagEvents).toBe(0);
    expect(rows.length).toBeGreaterThan(1);

    const overdue = await get<{ data: Record<string, unknown>[] }>(`/hazards?state=overdue&minPosition=${at}`);
    expect(overdue.data).toEqual([
      expect.objectContaining({ state: 'ordered', deadline: '2026-03-12', classFile: OVERDUE_CLASS_FILE, overdue: true }),
    ]);
    const crash = incidentIdOf('police-01', crashRecord(1, '2026-02'));
    const timeline = await get<{ data: { type: string }[] }>(`/incidents/${crash}/timeline`);
    expect(timeline.data.map(({ type }) => type)).toEqual([
      'IncidentReported',
      'InjuryAttachedToIncident',
      'InjuryAttachedToIncident',
    ]);
    const linked = await get<{ links: unknown[] }>(`/injuries/${injuryIdOf('clinic-01', `${crashRecord(1, '2026-02')}-C1`)}`);
    expect(linked.links).toEqual([expect.objectContaining({ linked: true })]);
    const surveys = await get<{ data: { state: string; waves: { received: number }[] }[] }>('/surveys');
    expect(surveys.data.map(({ state, waves }) => [state, waves.map(({ received }) => received)])).toEqual([
      ['closed', [400, 400]],
    ]);
    const cycles = await get<{ data: { state: string; period: string; actions: unknown[] }[] }>('/evaluations');
    expect(cycles.data).toEqual([expect.objectContaining({ state: 'open', period: '2025', actions: [expect.anything()] })]);
    const programmes = await get<{ data: { state: string }[] }>('/interventions');
    expect(programmes.data).toEqual([expect.objectContaining({ state: 'rolled-out' })]);

    const query = await vigil(['query', `${QUERY}&minPosition=${first.position}`, '--json'], env);
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
    const after = await vigil(['query', `${QUERY}&minPosition=${first.position}`, '--json'], env);
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
    const shown = JSON.parse(first.out) as {
      accepted: number;
      rejected: number;
      period: string;
      data: { dx: string; value: number | null }[];
    };
    expect(shown.period).toBe('2025-04-01/2026-03-31');
    expect(new Set(shown.data.map(({ dx }) => dx))).toEqual(new Set(['INC-01', 'INC-02', 'INC-04', 'INC-05', 'SEV-01']));
    expect(shown.data.filter(({ value }) => value === null)).toEqual([]);
    const second = await vigil(args, env);
    expect(second).toMatchObject({ code: 0 });
    expect(JSON.parse(second.out)).toMatchObject({
      accepted: 0,
      duplicates: shown.accepted,
      rejected: shown.rejected,
      data: shown.data,
    });
  },
  MINUTES,
);
