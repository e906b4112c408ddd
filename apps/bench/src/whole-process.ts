import { spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { NEISS, sharedFile, type Figure } from './world';

const VIGIL = join(__dirname, '../../cli/bin/vigil.js');
/** As the command's first line starts it. */
const NODE_FLAGS = ['--max-old-space-size=512', '--max-semi-space-size=8'];

const run = async (
  args: readonly string[],
  watch: (child: { pid: number; seconds: number; output: string }) => boolean,
): Promise<void> => {
  const folder = await mkdtemp(join(tmpdir(), 'vigil-bench-process-'));
  const started = performance.now();
  const child = spawn(process.execPath, [...NODE_FLAGS, VIGIL, ...args], {
    env: { ...process.env, VIGIL_DATA_DIR: folder, PORT: '0' },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let output = '';
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk: Buffer) => (output += chunk.toString()));
  const ended = new Promise<void>((resolve) => child.on('exit', () => resolve()));
  const timer = setInterval(() => {
    if (!watch({ pid: child.pid!, seconds: (performance.now() - started) / 1000, output })) child.kill('SIGTERM');
  }, 20);
  await ended;
  clearInterval(timer);
  await rm(folder, { recursive: true, force: true });
};

/** Peak resident memory of the importing process, engine and HTTP server included (PostgreSQL's processes not). */
export const benchMemory = async (): Promise<Figure[]> => {
  const file = sharedFile(NEISS);
  if (!file || process.platform !== 'linux')
    return [{ what: 'import memory: not run (needs Linux and ../shared/data)', value: '–' }];
  let peak = 0;
  await run(['import', file, '--mapping', 'neiss-under2', '--json'], ({ pid }) => {
    try {
      peak = Math.max(peak, Number(/VmHWM:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1] ?? 0));
    } catch {
      // It has just ended.
    }
    return true;
  });
  const mb = peak / 1024;
  return [{ what: 'peak memory of vigil import, 361,306 rows', value: `${mb.toFixed(0)} MB`, aim: '< 300 MB', met: mb < 300 }];
};

/** From starting `vigil demo` on an empty folder to its first served answer. */
export const benchStart = async (): Promise<Figure[]> => {
  let first: number | undefined;
  let asking = false;
  await run(['demo'], ({ seconds, output }) => {
    const url = /http:\/\/127\.0\.0\.1:\d+/.exec(output)?.[0];
    if (url && !asking && first === undefined) {
      asking = true;
      void fetch(`${url}/api/v1/indicators`)
        .then((answer) => {
          if (answer.ok) first = seconds;
        })
        .catch(() => undefined)
        .finally(() => (asking = false));
    }
    return first === undefined && seconds < 60;
  });
  return [
    {
      what: 'vigil demo to the first served answer',
      value: first === undefined ? 'none within 60 s' : `${first.toFixed(1)} s`,
      aim: '< 15 s',
      met: first !== undefined && first < 15,
    },
  ];
};
