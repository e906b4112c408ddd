import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';

const SCRIPT = join(__dirname, '../../../../deploy/dev/kafka/broker.mjs');

export interface TestBroker {
  /** `127.0.0.1:<port>` */
  readonly brokers: string;
  /** Stops the broker's process where it stands; it answers nobody. */
  freeze(): void;
  thaw(): void;
  /** Ends it and removes its data. Safe to call twice. */
  stop(): Promise<void>;
}

let here: boolean | undefined;

/**
 * Whether a real broker can be started here without fetching anything. Says so when it can't, for then tests are passed over; with
 * VIGIL_KAFKA_TESTS=required that is an error instead.
 */
export const kafkaIsHere = (): boolean => {
  if (here !== undefined) return here;
  here = spawnSync(process.execPath, [SCRIPT, 'check'], { stdio: 'ignore' }).status === 0;
  if (here) return true;
  const what = 'no Apache Kafka to test against: `node deploy/dev/kafka/broker.mjs install` fetches it (Java 17 and Maven)';
  if (process.env['VIGIL_KAFKA_TESTS'] === 'required') throw new Error(what);
  process.stderr.write(`\nSKIPPED: the tests against a real Kafka broker. ${what}\n`);
  return false;
};

/**
 * A broker of its own on a free port of the loopback. It ends with this process. `settings`: the broker's own, as `num.partitions`,
 * with `{port}` and `{controller}` for the ports it gets. `scram`: `name:password` of SCRAM-SHA-512 users.
 */
export const startTestBroker = async (
  settings: Readonly<Record<string, string>> = {},
  scram: readonly string[] = [],
): Promise<TestBroker> => {
  const given = Object.entries(settings).map(([key, value]) => `${key}=${value}`);
  const child = spawn(
    process.execPath,
    [SCRIPT, '--engine', 'java', '--until-stdin-ends', ...scram.flatMap((user) => ['--scram', user]), ...given],
    {
      stdio: ['pipe', 'pipe', 'pipe'],
    },
  );
  const ended = once(child, 'exit');
  let said = '';
  let complaint = '';
  child.stderr.on('data', (chunk: Buffer) => (complaint = `${complaint}${chunk.toString()}`.slice(-2_000)));
  const { brokers, pid } = await new Promise<{ brokers: string; pid: number }>((resolve, reject) => {
    child.stdout.on('data', (chunk: Buffer) => {
      said += chunk.toString();
      if (said.includes('\n')) resolve(JSON.parse(said) as { brokers: string; pid: number });
    });
    void ended.then(() => reject(new Error(`the broker did not start: ${complaint}`)));
  });
  return {
    brokers,
    freeze: () => void process.kill(pid, 'SIGSTOP'),
    thaw: () => void process.kill(pid, 'SIGCONT'),
    stop: async () => {
      if (child.exitCode !== null || child.signalCode !== null) return;
      child.kill('SIGTERM');
      await ended;
    },
  };
};
