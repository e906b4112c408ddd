import { spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { main } from './main';

// Usage faults in this process, since a start takes half a second; the rest as it is run, in a process of its own.
jest.setTimeout(60_000);

const launcher = join(__dirname, '../bin/vigil.js');
let folder: string;
beforeAll(() => void (folder = mkdtempSync(join(tmpdir(), 'vigil-cli-'))));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

type Ended = { readonly code: number | null; readonly out: string; readonly err: string };
const vigil = (args: readonly string[], env: NodeJS.ProcessEnv = {}): Promise<Ended> =>
  new Promise((done) => {
    const inherited = Object.fromEntries(
      Object.entries(process.env).filter(([name]) => !/^(VIGIL_|LC_|LANG|PORT$|DATABASE_URL|SWC_NODE)/.test(name)),
    );
    const child = spawn(process.execPath, [launcher, ...args], {
      cwd: folder,
      env: { ...inherited, LANG: 'C', ...env },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    let [out, err] = ['', ''];
    child.stdout.on('data', (chunk: Buffer) => (out += chunk.toString()));
    child.stderr.on('data', (chunk: Buffer) => (err += chunk.toString()));
    child.on('close', (code) => done({ code, out, err }));
  });

/** The same in this process, in English. */
const here = async (args: readonly string[], env: NodeJS.ProcessEnv): Promise<Ended> => {
  const before = { ...process.env };
  Object.assign(process.env, { VIGIL_LANG: 'en' }, env);
  let [out, err] = ['', ''];
  const spies = [
    jest.spyOn(process.stdout, 'write').mockImplementation((text) => Boolean((out += String(text)))),
    jest.spyOn(process.stderr, 'write').mockImplementation((text) => Boolean((err += String(text)))),
  ];
  try {
    const code = await main(args);
    return { code, out, err };
  } finally {
    for (const spy of spies) spy.mockRestore();
    process.env = before;
  }
};

const CLOSED = { VIGIL_URL: 'http://127.0.0.1:9' };

test.each<[string, readonly string[], NodeJS.ProcessEnv, number, RegExp]>([
  ['an unknown command', ['nope'], {}, 2, /unknown command 'nope'/],
  ['an unknown option', ['serve', '--prot', '1'], {}, 2, /unknown option '--prot'/],
  ['no query', ['query'], {}, 2, /missing required argument 'query'/],
  ['one argument too many', ['rebuild', 'a', 'b'], {}, 2, /too many arguments/],
  ['no mapping', ['import', 'x.csv'], {}, 2, /--mapping/],
  ['no such file', ['import', 'x.csv', '--mapping', 'neiss'], {}, 2, /there is no file x\.csv/],
  ['a folder', ['import', '.', '--mapping', 'neiss'], {}, 2, /is a folder/],
  ['a month that is none', ['simulate', '--until', '2026-13'], {}, 2, /YYYY-MM/],
  ['a limit that is none', ['log', 'tail', '--limit', '-1'], {}, 2, /--limit/],
  [
    'faults of the configuration, all at once',
    ['query', 'x'],
    { PORT: 'x', VIGIL_TIME_ZONE: 'Mars' },
    2,
    /PORT[\s\S]*VIGIL_TIME_ZONE/,
  ],
  ['what comes later', ['snapshot', 'take', '--of', 'C1'], {}, 2, /not in this version/],
  ['nobody at VIGIL_URL', ['query', 'dimension=dx:INC-01'], CLOSED, 3, /nothing answers at http:\/\/127\.0\.0\.1:9/],
])('%s', async (_, args, env, code, said) => {
  const ended = await here(args, env);
  expect(ended).toMatchObject({ code, out: '' });
  expect(ended.err).toMatch(said);
});

test('in Chinese, and the code reaches the shell', async () => {
  const [usage, nobody] = await Promise.all([
    vigil(['import', 'x.csv'], { LANG: 'zh_CN.UTF-8' }),
    vigil(['rebuild'], { ...CLOSED, VIGIL_LANG: 'zh' }),
  ]);
  expect(usage).toMatchObject({ code: 2, out: '', err: expect.stringContaining('错误:缺少必需的选项') });
  expect(nobody).toMatchObject({ code: 3, out: '', err: expect.stringContaining('没有应答') });
});

test('version and help go to stdout', async () => {
  expect(await vigil(['--version'])).toEqual({ code: 0, out: '0.1.0\n', err: '' });
  const help = await vigil(['import', '--help'], { VIGIL_LANG: 'zh' });
  expect(help).toMatchObject({ code: 0, err: '' });
  expect(help.out).toMatch(/用法:[\s\S]*示例:/);
});

describe('against a server', () => {
  // Not a Vigil but its words: what the command makes of answers.
  let server: Server;
  let url: string;
  const asked: { method?: string; url?: string; type?: string; body: string }[] = [];
  beforeAll(async () => {
    server = createServer((request, response) => {
      let body = '';
      request.on('data', (chunk: Buffer) => (body += chunk.toString()));
      request.on('end', () => {
        asked.push({ method: request.method, url: request.url, type: request.headers['content-type'], body });
        const answer = (status: number, value: unknown, type = 'application/json'): void => {
          response.writeHead(status, { 'content-type': type });
          response.end(typeof value === 'string' ? value : JSON.stringify(value));
        };
        const path = request.url!.split('?')[0]!;
        if (path === '/health/ready') return answer(200, { status: 'ready' });
        if (path === '/api/v1/imports')
          return body.includes('refuse me')
            ? answer(422, { status: 422, code: 'not-text', detail: 'this is no table' })
            : answer(202, { jobId: 'j-1' });
        if (path === '/api/v1/jobs/j-1/events')
          return answer(
            200,
            'id: 1\nevent: row-error\ndata: {"row":2,"column":"sex","code":"unknown-code","detail":"no such sex"}\n\nid: 2\nevent: done\ndata: {}\n\n',
            'text/event-stream',
          );
        if (path === '/api/v1/jobs/j-1')
          return answer(200, { id: 'j-1', state: 'done', result: { accepted: 2, duplicates: 0, rejected: 1, position: 42 } });
        if (path === '/api/v1/imports/j-1/errors.csv')
          return answer(200, 'sex,_row,_code,_error\r\nQ,2,unknown-code,no such sex\r\n', 'text/csv');
        if (path === '/api/v1/observations.csv') return answer(200, 'dx,pe\r\nINC-01,2025\r\n', 'text/csv');
        if (path === '/api/v1/observations.json-stat') return answer(200, { class: 'dataset' }, 'application/vnd.json-stat+json');
        if (/\.(xlsx|parquet)$/.test(path)) return answer(200, `as ${path.split('.').at(-1)}`, 'application/octet-stream');
        if (path === '/api/v1/observations')
          return request.url!.includes('INC-99')
            ? answer(400, {
                status: 400,
                code: 'unknown-indicator',
                detail: 'no indicator INC-99',
                errors: [{ pointer: '/dx', detail: 'no indicator INC-99', suggestion: 'INC-01' }],
              })
            : answer(200, {
                data: [{ dx: 'INC-01', pe: '2025', ou: 'S-01', value: 5, num: 1, den: 2 }],
                meta: { position: 3, problems: [{ detail: 'mend it' }] },
              });
        return answer(503, { status: 503, detail: 'stale' });
      });
    });
    await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
    url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  });
  afterAll(() => new Promise((done) => server.close(done)));

  test('a query: table, JSON, CSV; refused is 4, unavailable 3', async () => {
    const env = { VIGIL_URL: url };
    const [plain, json, csv, refused, stale] = await Promise.all([
      vigil(['query', 'dimension=dx:INC-01'], env),
      vigil(['query', 'dimension=dx:INC-01', '--json'], env),
      vigil(['query', 'dimension=dx:INC-01', '--csv'], env),
      vigil(['query', 'dimension=dx:INC-99', '--json'], env),
      vigil(['log', 'tail'], env),
    ]);
    expect(plain).toMatchObject({
      code: 0,
      out: expect.stringMatching(/^dx\s+pe[\s\S]*INC-01/),
      err: expect.stringContaining('mend it'),
    });
    expect(JSON.parse(json.out)).toMatchObject({ data: [{ value: 5 }] });
    expect(csv).toMatchObject({ code: 0, out: 'dx,pe\r\nINC-01,2025\r\n' });
    expect(refused).toMatchObject({ code: 4, err: expect.stringContaining('did you mean INC-01?') });
    expect(JSON.parse(refused.out)).toMatchObject({ problem: { code: 'unknown-indicator' } });
    expect(stale).toMatchObject({ code: 3, err: expect.stringContaining('stale') });
  });

  test('a query to a file: never over one that is there, and to one place only', async () => {
    const env = { VIGIL_URL: url };
    const ask = (...more: string[]) => vigil(['query', 'dimension=dx:INC-01', ...more], env);
    expect(await ask('--json-stat')).toMatchObject({ code: 0, out: '{"class":"dataset"}' });
    expect(await ask('--xlsx', '-')).toMatchObject({ code: 0, out: 'as xlsx', err: '' });
    const file = join(folder, 'rates.parquet');
    expect(await ask('--parquet', file)).toMatchObject({ code: 0, out: '', err: `wrote ${file}\n` });
    expect(readFileSync(file, 'utf8')).toBe('as parquet');
    expect(await ask('--xlsx', file)).toMatchObject({ code: 2, err: expect.stringContaining('is there already') });
    expect(readFileSync(file, 'utf8')).toBe('as parquet');
    expect(await ask('--xlsx', join(folder, 'none', 'x.xlsx'))).toMatchObject({
      code: 2,
      err: expect.stringContaining('ENOENT'),
    });
    expect(await ask('--csv', '--xlsx', 'x.xlsx')).toMatchObject({
      code: 2,
      err: expect.stringContaining('cannot be used with'),
    });
    expect(await ask('--json', '--parquet', 'x.parquet')).toMatchObject({ code: 2 });
  });

  test('an import: counts, reasons, errors file, one last line of JSON', async () => {
    writeFileSync(join(folder, 'cards.csv'), 'sex\nF\nQ\nM\n');
    const some = await vigil(['import', 'cards.csv', '--mapping', 'niss-card', '--community', 'S-01', '--json'], {
      VIGIL_URL: url,
    });
    expect(some).toMatchObject({ code: 1, out: '{"accepted":2,"duplicates":0,"rejected":1,"position":42}\n' });
    expect(some.err).toMatch(/row 2 sex: no such sex/);
    expect(some.err).toContain('cards.csv.errors.csv');
    const sent = asked.find(({ url: path }) => path === '/api/v1/imports')!;
    expect(sent.type).toMatch(/^multipart\/form-data; boundary=/);
    expect(sent.body).toMatch(
      /name="mapping"\r\n\r\nniss-card\r\n[\s\S]*name="community"\r\n\r\nS-01\r\n[\s\S]*filename="cards\.csv"[\s\S]*sex\nF\nQ\nM\n/,
    );
  });

  test('a file that is refused whole', async () => {
    writeFileSync(join(folder, 'bad.csv'), 'refuse me');
    const bad = await vigil(['import', 'bad.csv', '--mapping', 'neiss', '--json'], { VIGIL_URL: url });
    expect(bad).toMatchObject({ code: 4, err: expect.stringContaining('this is no table') });
    expect(JSON.parse(bad.out)).toMatchObject({ accepted: 0, rejected: 0, position: null, problem: { code: 'not-text' } });
  });
});
