import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { connect as tcp, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { median, quantile, whole, type Figure } from './world';

const VIGIL = join(__dirname, '../../cli/bin/vigil.js');
const CONNECTIONS = 64;
/** Offered past what one server can take, for how long. */
const BURST_CONNECTIONS = 1_500;
const BURST_MS = 4_000;
const RUN_MS = 6_000;
const STEADY_PER_SECOND = 1_000;

const body = JSON.stringify({
  community: 'S-01',
  domain: 'fire',
  description: 'things stored in the escape route',
  identifiedAt: '2026-03-02',
});
const REQUEST = [
  'POST /api/v1/hazards HTTP/1.1',
  'Host: bench',
  'Content-Type: application/json',
  `Content-Length: ${Buffer.byteLength(body)}`,
  '',
  body,
].join('\r\n');

interface Reply {
  readonly status: number;
  readonly id?: string;
}

/** One keep-alive connection that sends the next request when the last one was answered: a client that costs little beside the server. */
const client = async (port: number) => {
  const socket: Socket = tcp(port, '127.0.0.1');
  await once(socket, 'connect');
  let pending: ((reply: Reply) => void) | undefined;
  let text = '';
  const finish = (reply: Reply): void => {
    text = '';
    const done = pending;
    pending = undefined;
    done?.(reply);
  };
  socket.on('data', (chunk: Buffer) => {
    text += chunk.toString('latin1');
    const head = text.indexOf('\r\n\r\n');
    if (head < 0) return;
    const length = Number(/content-length: (\d+)/i.exec(text)?.[1] ?? 0);
    if (text.length < head + 4 + length) return;
    finish({ status: Number(text.slice(9, 12)), id: /"id":"([^"]+)"/.exec(text.slice(head))?.[1] });
  });
  socket.on('error', () => finish({ status: 0 }));
  socket.on('close', () => finish({ status: 0 }));
  return {
    send: (): Promise<Reply> =>
      new Promise((resolve) => {
        if (socket.destroyed) return resolve({ status: 0 });
        pending = resolve;
        socket.write(REQUEST);
      }),
    alive: (): boolean => !socket.destroyed,
    close: (): void => void socket.destroy(),
  };
};

const clients = (port: number, count: number) => Promise.all(Array.from({ length: count }, () => client(port)));

/** Whether each acknowledged hazard is in the log. */
const missing = async (url: string, acknowledged: ReadonlySet<string>): Promise<number> => {
  const left = new Set(acknowledged);
  for (let after = '0'; ; ) {
    const page = (await (await fetch(`${url}/api/v1/events?after=${after}&limit=10000`)).json()) as {
      data: { stream: string }[];
      next?: string;
    };
    for (const { stream } of page.data) left.delete(stream.slice('hazard-'.length));
    if (page.next === undefined) return left.size;
    after = page.next;
  }
};

/** Commands over HTTP to a server of its own process: as fast as it goes, at a steady rate, and past what it can take. */
export const benchHttp = async (rounds: number): Promise<Figure[]> => {
  const folder = await mkdtemp(join(tmpdir(), 'vigil-bench-http-'));
  const child = spawn(process.execPath, [VIGIL, 'serve'], {
    env: { ...process.env, VIGIL_DATA_DIR: folder, PORT: '0', VIGIL_LOG: 'error' },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const ended = once(child, 'exit');
  try {
    let output = '';
    const url = await new Promise<string>((resolve, reject) => {
      child.stdout.on('data', (chunk: Buffer) => {
        output += chunk.toString();
        const found = /http:\/\/127\.0\.0\.1:\d+/.exec(output)?.[0];
        if (found) resolve(found);
      });
      void ended.then(() => reject(new Error(`vigil serve ended: ${output}`)));
    });
    const port = Number(new URL(url).port);
    const acknowledged = new Set<string>();
    const count = (reply: Reply): boolean => {
      if (reply.status === 201) acknowledged.add(reply.id!);
      return reply.status === 201;
    };

    const rates: number[] = [];
    for (let round = 0; round <= rounds; round++) {
      const all = await clients(port, CONNECTIONS);
      const until = performance.now() + RUN_MS;
      let done = 0;
      await Promise.all(
        all.map(async ({ send }) => {
          while (performance.now() < until) if (count(await send())) done++;
        }),
      );
      all.forEach(({ close }) => close());
      if (round > 0) rates.push(done / (RUN_MS / 1000)); // the first round warms up
    }

    const steady: number[] = [];
    {
      const all = await clients(port, CONNECTIONS);
      const free = [...all];
      const began = performance.now();
      const waits: Promise<void>[] = [];
      // Each request has its moment; what waits for a free connection waits on the clock.
      for (let n = 0; n < STEADY_PER_SECOND * 8; n++) {
        const due = began + (n * 1000) / STEADY_PER_SECOND;
        while (performance.now() < due || free.length === 0) await new Promise((resolve) => setImmediate(resolve));
        const one = free.pop()!;
        waits.push(
          one.send().then((reply) => {
            if (count(reply)) steady.push(performance.now() - due);
            free.push(one);
          }),
        );
      }
      await Promise.all(waits);
      all.forEach(({ close }) => close());
    }

    const statuses = new Map<number, number>();
    {
      const all = await clients(port, BURST_CONNECTIONS);
      const until = performance.now() + BURST_MS;
      await Promise.all(
        all.map(async (one) => {
          while (performance.now() < until && one.alive()) {
            const reply = await one.send();
            count(reply);
            statuses.set(reply.status, (statuses.get(reply.status) ?? 0) + 1);
            if (reply.status === 429 || reply.status === 503) await new Promise((resolve) => setTimeout(resolve, 100));
          }
        }),
      );
      all.forEach(({ close }) => close());
    }
    const lost = await missing(url, acknowledged);
    const rate = median(rates);
    const p99 = quantile(steady, 0.99);
    const explicit = [...statuses.keys()].every((status) => [201, 429, 503].includes(status));
    return [
      {
        what: `durable commands over HTTP, ${CONNECTIONS} connections`,
        value: `${whole(rate)}/s`,
        aim: '≥ 3,000',
        met: rate >= 3_000,
      },
      {
        what: `at ${whole(STEADY_PER_SECOND)}/s, from the moment due to the answer: p50 / p99`,
        value: `${quantile(steady, 0.5).toFixed(1)} / ${p99.toFixed(1)} ms`,
        aim: 'p99 < 100 ms',
        met: p99 < 100,
      },
      {
        what: `burst of ${whole(BURST_CONNECTIONS)} connections: answers by status`,
        value: [...statuses]
          .sort(([a], [b]) => a - b)
          .map(([status, n]) => `${status}: ${whole(n)}`)
          .join(', '),
        aim: '201, 429 or 503 only',
        met: explicit,
      },
      {
        what: 'acknowledged and not in the log',
        value: `${lost} of ${whole(acknowledged.size)}`,
        aim: '0',
        met: lost === 0,
      },
    ];
  } finally {
    child.kill('SIGTERM');
    await ended;
    await rm(folder, { recursive: true, force: true });
  }
};
