import { spawn, type ChildProcess } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const launcher = join(__dirname, '../../../cli/bin/vigil.js');

interface Server {
  readonly child: ChildProcess;
  readonly url: string;
  readonly ended: Promise<unknown>;
}

const serve = async (folder: string): Promise<Server> => {
  const child = spawn(process.execPath, [launcher, 'serve', '--port', '0'], {
    env: { PATH: process.env['PATH'], HOME: process.env['HOME'], LANG: 'C', VIGIL_DATA_DIR: folder, VIGIL_LOG: 'error' },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const ended = new Promise((done) => child.once('close', done));
  let said = '';
  const url = await new Promise<string>((done, fail) => {
    const hear = (chunk: Buffer): void => {
      said += chunk.toString();
      const found = /^listening on (\S+)$/m.exec(said);
      if (found) done(found[1]!);
    };
    child.stdout.on('data', hear);
    child.stderr.on('data', hear);
    void ended.then(() => fail(new Error(`vigil serve ended: ${said}`)));
  });
  return { child, url, ended };
};

/** Pushes one event until it is acknowledged. */
const acknowledge = async (url: string, id: string): Promise<void> => {
  const event = {
    specversion: '1.0',
    type: 'org.vigil.injury.reported.v1',
    source: '/feeds/clinic-03',
    id,
    subject: id,
    time: '2026-03-02T01:10:00Z',
    data: { recordId: id, occurredAt: '2026-03-02', knownAt: '2026-03-02', community: 'C-001' },
  };
  const response = await fetch(`${url}/api/v1/feeds/clinic-03/events`, {
    method: 'POST',
    headers: { 'content-type': 'application/cloudevents-batch+json' },
    body: JSON.stringify([event]),
  });
  if (!response.ok) throw new Error(`${response.status} ${await response.text()}`);
};

/**
 * Milliseconds from the start of `vigil serve`, killed with kill -9 just before together with its own PostgreSQL, to the first
 * event it acknowledges, so many times.
 */
export const serverRestarts = async (times: number): Promise<number[]> => {
  if (times === 0) return [];
  const folder = await mkdtemp(join(tmpdir(), 'vigil-proof-serve-'));
  const took: number[] = [];
  let server = await serve(folder);
  try {
    for (let n = 0; n <= times; n++) {
      await Promise.all(Array.from({ length: 50 }, (_, each) => acknowledge(server.url, `restart-${n}-${each}`)));
      server.child.kill('SIGKILL');
      await server.ended;
      if (n === times) break;
      const began = performance.now();
      server = await serve(folder);
      await acknowledge(server.url, `first-${n}`);
      took.push(performance.now() - began);
    }
    return took;
  } finally {
    server.child.kill('SIGKILL');
    await server.ended;
    await rm(folder, { recursive: true, force: true, maxRetries: 20, retryDelay: 200 });
  }
};
