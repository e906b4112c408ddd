import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { connect } from '@vigil/platform';
import { createRandom, startTcpProxy, type Random, type TcpProxy, type WorldReport } from '@vigil/testing';
import { checkStory, startProofServer, type ProofServer } from './world/database';
import { serverRestarts } from './world/server-restart';
import { bundleWorker, createStory, type Story, type Worker, type WorkerProgram } from './world/supervisor';
import type { WorkerOrders } from './world/worker';

const USAGE = `npm run soak -- [--kills N] [--seconds T] [--seed S] [--restarts N]

  --kills N      faults in all (default 1000; most of them kill -9 of the process that appends and projects)
  --seconds T    begin no new world after T seconds
  --seed S       decides the work and the faults (default: by the clock, and printed)
  --restarts N   times that a whole \`vigil serve\` is killed and started again, timed (default 5)

Ends with 1 when an acknowledged event was lost or doubled, or a read model isn't the fold of its log.`;

/** Faults in one world before it is looked at. */
const PER_WORLD = 25;
/** A crash point that isn't passed within this is taken as another kill at a random time, ms. */
const POINT_MS = 10_000;
/** Most that a world may take to hold everything once the faults are over. */
const SETTLE_MS = 120_000;

const POINTS = ['append.before-write', 'append.after-commit-before-ack', 'projector.after-effect', 'projector.after-commit'];
const REBUILD_POINTS = ['rebuild.before-switch', 'rebuild.after-switch'];

interface Totals {
  readonly faults: Map<string, number>;
  worlds: number;
  equal: number;
  events: number;
  acknowledged: number;
  retries: number;
  lost: number;
  doubled: number;
  /** Processes that ended by themselves: an error of the driver that nobody can catch. The supervisor started the next. */
  ended: number;
  readonly broken: string[];
  /** PostgreSQL serves again to first acknowledgement, ms. */
  readonly afterPostgres: number[];
}

/** One database, its story, and the link between them that can be spoilt. */
interface World {
  readonly story: Story;
  readonly proxy: TcpProxy;
  readonly server: ProofServer;
  /** Past the proxy. */
  direct(): string;
  readonly random: Random;
  readonly totals: Totals;
}

const count = (totals: Totals, fault: string): void => void totals.faults.set(fault, (totals.faults.get(fault) ?? 0) + 1);

const start = ({ story }: World, orders: Partial<WorkerOrders> = {}): Worker =>
  story.start({ paceMs: 8, deadlineMs: 3_000, ...orders });

const acknowledgements = async ({ story }: World, more: number, worker: Worker, ms = 10_000): Promise<void> => {
  const [wanted, until] = [story.acknowledged.length + more, performance.now() + ms];
  while (story.acknowledged.length < wanted && worker.child.exitCode === null && performance.now() < until) await sleep(3);
};

const kill = async (world: World, worker: Worker): Promise<void> => {
  if (worker.child.exitCode !== null) world.totals.ended++;
  worker.kill();
  await worker.ended;
};

const atPoint = async (world: World, point: string, orders: Partial<WorkerOrders> = {}): Promise<void> => {
  const pass = 1 + world.random.below(orders.rebuild ? 3 : 10);
  const worker = start(world, { crash: `${point}:${pass}`, ...orders });
  const outcome = await Promise.race([worker.ended, sleep(POINT_MS, undefined, { ref: false })]);
  if (outcome?.signal === 'SIGKILL') return count(world.totals, `kill -9 at ${point}`);
  await kill(world, worker);
  count(world.totals, 'kill -9 at a random time');
};

const FAULTS: readonly (readonly [share: number, inject: (world: World) => Promise<void>])[] = [
  ...POINTS.map((point) => [12, (world: World) => atPoint(world, point)] as const),
  ...REBUILD_POINTS.map(
    (point) =>
      [
        2,
        (world: World) => atPoint(world, point, { rebuild: true, until: Math.max(...world.story.next) + 4, idle: true }),
      ] as const,
  ),
  [
    26,
    async (world) => {
      const worker = start(world);
      await acknowledgements(world, 1 + world.random.below(60), worker);
      await sleep(world.random.below(120));
      await kill(world, worker);
      count(world.totals, 'kill -9 at a random time');
    },
  ],
  [
    6,
    async (world) => {
      // Two instances at once, by mistake; one of them is killed, and the other takes over.
      const [worker, other] = [start(world), start(world)];
      await acknowledgements(world, 80, worker);
      await kill(world, worker);
      await acknowledgements(world, 40, other);
      await kill(world, other);
      count(world.totals, 'kill -9 of one of two that run at once');
    },
  ],
  [
    6,
    async (world) => {
      const worker = start(world);
      const sql = connect(world.direct(), { max: 1, applicationName: 'proof-check' });
      for (let round = 0; round < 3; round++) {
        await acknowledgements(world, 20, worker);
        await sql`
          SELECT pg_terminate_backend(pid) FROM pg_stat_activity
          WHERE datname = current_database() AND application_name IN ('proof-log', 'proof-projections') ORDER BY random() LIMIT 2`;
      }
      await acknowledgements(world, 10, worker);
      await sql.end({ timeout: 1 });
      await kill(world, worker);
      count(world.totals, 'PostgreSQL backends killed');
    },
  ],
  [
    5,
    async (world) => {
      const worker = start(world);
      await acknowledgements(world, 20, worker);
      const [damage, end] = world.random.pick<[() => void, string]>([
        [() => world.proxy.cut(), 'link cut'],
        [() => world.proxy.halfClose('server'), 'link half-closed'],
        [() => world.proxy.halfClose('client'), 'link half-closed'],
        [() => world.proxy.set({ kind: 'latency', ms: 30 }), 'link slow'],
        [() => world.proxy.set({ kind: 'throttle', bytesPerSecond: 80_000 }), 'link slow'],
      ]);
      damage();
      await acknowledgements(world, 20, worker);
      await kill(world, worker);
      world.proxy.set({ kind: 'pass' });
      count(world.totals, end);
    },
  ],
  [
    2,
    async (world) => {
      const worker = start(world);
      await acknowledgements(world, 20, worker);
      world.proxy.set({ kind: 'black-hole' });
      await sleep(1_000 + world.random.below(5_000));
      world.proxy.set({ kind: 'pass' });
      await acknowledgements(world, 20, worker);
      await kill(world, worker);
      world.proxy.cut(); // the server never heard of what was swallowed
      count(world.totals, 'link black-holed');
    },
  ],
  [
    2,
    async (world) => {
      let worker = start(world);
      await acknowledgements(world, 20, worker);
      await world.server.kill();
      await sleep(world.random.below(500));
      await world.server.restart();
      world.proxy.retarget({ host: '127.0.0.1', port: world.server.running.port });
      const serves = performance.now();
      if (worker.child.exitCode !== null) {
        world.totals.ended++;
        worker = start(world);
      }
      await world.story.nextAcknowledgement();
      world.totals.afterPostgres.push(performance.now() - serves);
      await kill(world, worker);
      count(world.totals, 'kill -9 of the PostgreSQL postmaster');
    },
  ],
];

const inject = async (world: World): Promise<void> => {
  let drawn = world.random.below(FAULTS.reduce((sum, [share]) => sum + share, 0));
  for (const [share, fault] of FAULTS) if ((drawn -= share) < 0) return fault(world);
};

/** Faults upon one database; then the last worker brings everything to its end, and the world is looked at. */
const runWorld = async (
  program: WorkerProgram,
  server: ProofServer,
  seed: number,
  faults: number,
  totals: Totals,
): Promise<WorldReport> => {
  const url = new URL(await server.database());
  const proxy = await startTcpProxy({ host: '127.0.0.1', port: server.running.port });
  const direct = (): string => Object.assign(new URL(url), { port: `${server.running.port}` }).href;
  const story = createStory({ program, url: Object.assign(new URL(url), { port: `${proxy.port}` }).href, seed: seed % 2 ** 20 });
  try {
    const world: World = { story, proxy, server, direct, random: createRandom(seed), totals };
    for (let fault = 0; fault < faults; fault++) await inject(world);
    const last = story.start({ url: direct(), until: Math.max(...story.next) + 1, settle: true });
    const settled = await Promise.race([last.hears('settled'), sleep(SETTLE_MS, undefined, { ref: false })]);
    if (settled?.[1] !== true) totals.broken.push(`seed ${seed}: the read models don't catch up`);
    last.kill();
    await last.ended;
    proxy.cut();
    totals.broken.push(...story.failures.map((failure) => `seed ${seed}: ${failure}`));
    totals.retries += story.retries;
    return await checkStory(story, direct());
  } finally {
    await story.close();
    await proxy.close();
    await server.forget(direct());
  }
};

const print = (line: string): void => void process.stdout.write(`${line}\n`);
const tell = (line: string): void => void process.stderr.write(`${line}\n`);
const number = (value: number): string => Math.round(value).toLocaleString('en-US');
const timed = (ms: readonly number[], limit: number): string => {
  if (ms.length === 0) return 'not measured';
  const sorted = [...ms].sort((a, b) => a - b);
  const worst = sorted.at(-1)!;
  const median = sorted[Math.floor((sorted.length - 1) / 2)]!;
  return `median ${number(median)} ms, longest ${number(worst)} ms of ${ms.length} (limit ${number(limit)} ms${worst > limit ? ': EXCEEDED' : ''})`;
};

const report = (totals: Totals, restarts: readonly number[], seconds: number): void => {
  const faults = [...totals.faults.values()].reduce((sum, each) => sum + each, 0);
  print(`${number(faults)} faults in ${totals.worlds} worlds, ${number(seconds)} s`);
  print('faults injected:');
  for (const [fault, times] of [...totals.faults].sort(([, a], [, b]) => b - a))
    print(`  ${number(times).padStart(8)}  ${fault}`);
  print(`events               ${number(totals.events)}`);
  print(`events acknowledged  ${number(totals.acknowledged)}`);
  print(`lost                 ${totals.lost}`);
  print(`doubled              ${totals.doubled}`);
  print(`read models equal    in ${totals.equal} of ${totals.worlds} worlds`);
  print(`unknown, sent again  ${number(totals.retries)}`);
  print(`processes ended by an error of the driver, started again: ${totals.ended}`);
  print(`PostgreSQL killed: from its serving again to the first acknowledgement: ${timed(totals.afterPostgres, 2_000)}`);
  print(`vigil serve killed: from its start to the first acknowledgement: ${timed(restarts, 3_000)}`);
  for (const line of totals.broken) print(`BROKEN  ${line}`);
};

const options = {
  kills: { type: 'string', default: '1000' },
  seconds: { type: 'string' },
  seed: { type: 'string' },
  restarts: { type: 'string', default: '5' },
  help: { type: 'boolean', default: false },
} as const;

const whole = (name: string, text: string): number => {
  const value = Number(text);
  if (!Number.isSafeInteger(value) || value < 0) throw new RangeError(`--${name} takes a whole number, not ${text}\n\n${USAGE}`);
  return value;
};

const run = async (argv: string[]): Promise<number> => {
  const { values } = parseArgs({ args: argv, options });
  if (values.help) return (print(USAGE), 0);
  const kills = whole('kills', values.kills);
  const seconds = values.seconds === undefined ? Infinity : whole('seconds', values.seconds);
  const seed = values.seed === undefined ? Date.now() : whole('seed', values.seed);
  print(`seed ${seed}`);
  const totals: Totals = {
    faults: new Map(),
    worlds: 0,
    equal: 0,
    events: 0,
    acknowledged: 0,
    retries: 0,
    lost: 0,
    doubled: 0,
    ended: 0,
    broken: [],
    afterPostgres: [],
  };
  const began = performance.now();
  let stopped = false;
  process.once('SIGINT', () => {
    stopped = true;
    tell('ends after the world at hand; Ctrl-C again ends at once');
    process.once('SIGINT', () => process.exit(130));
  });
  const passed = (): number => (performance.now() - began) / 1000;
  const [program, server] = await Promise.all([bundleWorker(), startProofServer()]);
  let restarts: number[] = [];
  try {
    for (let done = 0; done < kills && !stopped && passed() < seconds && totals.broken.length === 0; done += PER_WORLD) {
      const found = await runWorld(program, server, seed + totals.worlds, Math.min(PER_WORLD, kills - done), totals);
      totals.worlds++;
      totals.events += found.events;
      totals.acknowledged += found.acknowledged;
      totals.lost += found.lost;
      totals.doubled += found.doubled;
      if (!found.broken.some(({ promise }) => promise === 'I3')) totals.equal++;
      for (const { promise, times, first } of found.broken)
        totals.broken.push(`seed ${seed + totals.worlds - 1}: ${promise}, ${times} times, first: ${first}`);
      tell(
        `${number(passed())} s: ${Math.min(done + PER_WORLD, kills)} of ${kills} faults, ${number(totals.acknowledged)} acknowledged, ${totals.lost} lost, ${totals.doubled} doubled`,
      );
    }
    restarts = await serverRestarts(whole('restarts', values.restarts));
  } finally {
    await server.close();
    await program.remove();
  }
  report(totals, restarts, passed());
  return totals.broken.length > 0 ? 1 : 0;
};

/** The command. Ends with 1 when a promise was broken, with 2 when it was called wrongly. */
export const main = async (argv: string[]): Promise<void> => {
  try {
    process.exitCode = await run(argv);
  } catch (error) {
    tell(error instanceof RangeError ? error.message : String((error as Error).stack));
    process.exitCode = 2;
  }
  // After a thousand broken connections something may be left open; a finished soak ends all the same.
  setTimeout(() => process.exit(), 2_000).unref();
};
