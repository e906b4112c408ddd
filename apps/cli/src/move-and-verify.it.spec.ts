import { existsSync, readdirSync, readFileSync, statSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createWorld, serving, type Ended } from './real-run/world';

jest.setTimeout(180_000);

const world = createWorld();
afterAll(() => world.close());

/** Nobody answers there; unlike VIGIL_URL, PORT sends no command to it. */
const run = (args: readonly string[], env: NodeJS.ProcessEnv): Promise<Ended> =>
  world.vigil(args, { VIGIL_LANG: 'en', ...env }).ended;
const lastJson = ({ out }: Ended): Record<string, unknown> =>
  JSON.parse(out.trimEnd().split('\n').at(-1)!) as Record<string, unknown>;

describe('a log that was written, sealed and moved', () => {
  let env: NodeJS.ProcessEnv;
  let folder: string;
  let source: Awaited<ReturnType<typeof world.database>>;
  let digest: string;

  beforeAll(async () => {
    source = await world.database();
    folder = await world.folder();
    env = { DATABASE_URL: source.url, VIGIL_DATA_DIR: join(folder, 'data') };
    expect(await run(['simulate', '--months', '1', '--json'], env)).toMatchObject({ code: 0 });
  });

  it('verifies: counts, heads, digest; in JSON too', async () => {
    const found = await run(['verify-log', '--json'], env);
    expect(found).toMatchObject({ code: 0 });
    const told = lastJson(found);
    expect(told).toMatchObject({ unsealed: 0, digest: expect.stringMatching(/^[0-9a-f]{64}$/), keys: [expect.any(String)] });
    digest = told['digest'] as string;
    const plain = await run(['verify-log'], env);
    expect(plain.out).toMatch(
      /verified +[\d,]+ events, up to position \d+\n.*\n.*\nnot yet sealed +0 events\ndigest +[0-9a-f]{64}\nthe log is as it was sealed\n$/,
    );
    expect(plain.err).toContain('keep a copy elsewhere');
    const key = join(folder, 'data/heads', readdirSync(join(folder, 'data/heads')).find((name) => name.endsWith('.pem'))!);
    expect(await run(['verify-log', '--key', key], env)).toMatchObject({
      code: 0,
      err: expect.not.stringContaining('keep a copy'),
    });
    expect(await run(['verify-log', '--key', join(folder, 'data/keys/log-signing.pem')], env)).toMatchObject({
      code: 2,
      err: expect.stringContaining('private key'),
    });
  });

  it('edited, is refused with the exact position, in both languages', async () => {
    await source.sql`UPDATE log.events SET metadata = metadata || ' ' WHERE position = 7`;
    const [en, zh, json] = await Promise.all([
      run(['verify-log'], env),
      run(['verify-log'], { ...env, VIGIL_LANG: 'zh' }),
      run(['verify-log', '--json'], env),
    ]);
    expect(en).toMatchObject({ code: 4, out: expect.stringContaining('BREACH: the event at position 7 was edited') });
    expect(en.out).toMatch(/verified +6 events, up to position 6/);
    expect(zh).toMatchObject({ code: 4, out: expect.stringContaining('不符:位置 7 的事件被改动过') });
    expect(json.code).toBe(4);
    expect(lastJson(json)).toMatchObject({
      verified: 6,
      unsealed: null,
      breach: { kind: 'edited', position: '7', event: 7, line: 1 },
    });
    await source.sql`UPDATE log.events SET metadata = rtrim(metadata) WHERE position = 7`;
  });

  it('without heads proves nothing, and says so', async () => {
    expect(await run(['verify-log', '--heads', join(folder, 'none')], env)).toMatchObject({
      code: 1,
      out: expect.stringContaining('nothing is proven'),
    });
    expect(await run(['verify-log'], { VIGIL_DATA_DIR: join(folder, 'nothing') })).toMatchObject({
      code: 3,
      err: expect.stringContaining('there is no log in the data folder'),
    });
    expect(existsSync(join(folder, 'nothing'))).toBe(false);
    const empty = await world.database();
    expect(await run(['verify-log'], { DATABASE_URL: empty.url, VIGIL_DATA_DIR: join(folder, 'nothing') })).toMatchObject({
      code: 3,
      err: expect.stringContaining('there is no log in this database'),
    });
  });

  it('is exported, resumed and imported elsewhere, with the same digest and the same answers', async () => {
    const file = join(folder, 'log.ndjson');
    const exported = await run(['export-log', file, '--json'], env);
    expect(exported).toMatchObject({ code: 0 });
    expect(lastJson(exported)['digest']).toBe(digest);
    expect(statSync(file).mode & 0o777).toBe(0o600);
    const whole = readFileSync(file);
    expect((await run(['export-log', '-'], env)).out).toBe(whole.toString());
    expect(await run(['export-log', file], env)).toMatchObject({ code: 2, err: expect.stringContaining('--resume') });
    for (const size of [0, 20, 5_000, Math.trunc(whole.length / 2), whole.length - 1]) {
      truncateSync(file, size);
      expect(await run(['export-log', file, '--resume'], env)).toMatchObject({ code: 0, err: expect.stringContaining(digest) });
      expect(readFileSync(file).equals(whole)).toBe(true);
    }

    const target = await world.database();
    const there = { DATABASE_URL: target.url, VIGIL_DATA_DIR: join(folder, 'there') };
    truncateSync(file, 9_000);
    expect(await run(['import-log', file], there)).toMatchObject({
      code: 4,
      err: expect.stringMatching(/log\.ndjson: line \d+: it breaks off here/),
    });
    const part = await run(['import-log', file, '--partial', '--json'], there);
    expect(part).toMatchObject({ code: 0 });
    writeFileSync(file, whole);
    const done = await run(['import-log', file, '--json'], there);
    expect(done).toMatchObject({ code: 0 });
    expect(lastJson(done)).toMatchObject({ present: lastJson(part)['events'], digest });
    expect(await run(['import-log', file], there)).toMatchObject({ code: 0, out: expect.stringContaining(': 0 written') });
    const verified = await run(['verify-log', '--json'], there);
    expect(verified).toMatchObject({ code: 0 });
    expect(lastJson(verified)).toMatchObject({ digest, unsealed: 0 });
    const query = ['query', 'dimension=dx:INC-01&dimension=pe:THIS_YEAR;LAST_YEAR&dimension=ou&filter=mechanism', '--csv'];
    const [here, moved] = [await run(query, env), await run(query, there)];
    expect(moved.code).toBe(here.code);
    const values = ({ out }: Ended): string[] => out.split('\n').map((line) => line.split(',').slice(0, 8).join());
    expect(values(moved)).toEqual(values(here));

    writeFileSync(file, Buffer.concat([whole.subarray(0, 3_000), Buffer.from([0xff]), whole.subarray(3_001)]));
    expect(await run(['import-log', file], there)).toMatchObject({
      code: 4,
      err: expect.stringMatching(/line \d+: this is not valid UTF-8/),
    });
    expect(await run(['import-log', file], { ...there, VIGIL_LANG: 'zh' })).toMatchObject({
      code: 4,
      err: expect.stringMatching(/第 \d+ 行:不是有效的 UTF-8/),
    });
    expect(await run(['import-log', file], { ...there, VIGIL_URL: 'http://127.0.0.1:9' })).toMatchObject({
      code: 2,
      err: expect.stringContaining('unset VIGIL_URL'),
    });
  });
});

describe('while a server has the data folder', () => {
  it('the log comes from the server; after kill -9 it verifies too', async () => {
    const folder = await world.folder();
    const env = { VIGIL_DATA_DIR: join(folder, 'data'), VIGIL_LANG: 'en' };
    const server = world.vigil(['serve', '--port', '0'], env);
    const url = await serving(server);
    const there = { ...env, VIGIL_URL: url };
    expect(await run(['simulate', '--months', '1', '--json'], there)).toMatchObject({ code: 0 });
    const throughServer = await run(['verify-log', '--json'], there);
    expect([0, 1]).toContain(throughServer.code);
    expect(throughServer.err).toContain(`events from the server at ${url}`);
    const told = lastJson(throughServer);
    expect(told).toMatchObject({ digest: expect.any(String) });
    const file = join(folder, 'log.ndjson');
    expect(await run(['export-log', file, '--json'], there)).toMatchObject({ code: 0 });
    expect(JSON.parse(readFileSync(file, 'utf8').split('\n')[0]!)).toMatchObject({ store: 'postgres' });
    // Port 7420 may be anybody's: only that the folder is in use is told.
    expect((await run(['import-log', file], env)).code).toBe(4);
    server.child.kill('SIGKILL');
    await server.ended;
    // The next owner seals what the killed one left.
    expect(await run(['log', 'tail', '--limit', '1'], env)).toMatchObject({ code: 0 });
    const direct = await run(['verify-log', '--json'], env);
    expect(direct).toMatchObject({ code: 0, err: expect.stringContaining('events from the data folder') });
    expect(lastJson(direct)).toMatchObject({ digest: told['digest'], unsealed: 0 });
  });
});
