#!/usr/bin/env node
// A single-node Apache Kafka (KRaft) for development and tests: loopback only, on free ports, its data in a temporary folder.
//
//   node deploy/dev/kafka/broker.mjs                  starts it and runs until Ctrl-C, SIGTERM, or, with --until-stdin-ends, the end of stdin
//   node deploy/dev/kafka/broker.mjs install          fetches the Java artifacts by Maven and does no more
//   node deploy/dev/kafka/broker.mjs check            ends with 0 when a broker could be started from Java artifacts without fetching any
//
// On stdout it prints one line of JSON once the broker answers: {"brokers": "127.0.0.1:<port>", "pid": …, "engine": "java"}.
// What runs it: with --engine java its Maven artifacts under Java 17 or newer; docker or podman: the image. Default: the artifacts when
// they are here, else a container engine when one answers, else the artifacts, fetched first.
// Settings of the broker: KEY=VALUE arguments, as in `num.partitions=4`; in a value {port} and {controller} stand for the ports it was
// given. --scram name:password makes a SCRAM-SHA-512 user (Java only).

import { spawn, spawnSync } from 'node:child_process';
import { existsSync, readdirSync } from 'node:fs';
import { mkdir, mkdtemp, rename, rm, writeFile } from 'node:fs/promises';
import { connect, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';

const VERSION = '3.9.1';
const HERE = dirname(fileURLToPath(import.meta.url));
/** Of jars; KAFKA_JARS names another, filled by hand where there is no Maven. */
const JARS = process.env.KAFKA_JARS ?? join(HERE, '../../../node_modules/.cache/vigil-kafka', VERSION);
const START_MS = 60_000;

const say = (line) => process.stderr.write(`kafka: ${line}\n`);

const javaVersion = () => {
  const { stderr, status } = spawnSync('java', ['-version'], { encoding: 'utf8' });
  return status === 0 ? Number(/version "(\d+)/.exec(stderr)?.[1] ?? 0) : 0;
};
const hasJars = () => existsSync(JARS) && readdirSync(JARS).some((name) => name.startsWith('kafka_2.13-'));
const containerEngine = () =>
  ['docker', 'podman'].find((name) => spawnSync(name, ['info'], { stdio: 'ignore', timeout: 10_000 }).status === 0);

const install = async () => {
  if (hasJars()) return;
  const next = `${JARS}.${process.pid}`;
  await mkdir(next, { recursive: true });
  say(`fetching Apache Kafka ${VERSION} by Maven`);
  const args = ['-B', '-q', '-f', join(HERE, 'pom.xml'), 'dependency:copy-dependencies', `-DoutputDirectory=${next}`];
  const { status, error } = spawnSync('mvn', args, { stdio: ['ignore', 2, 2], timeout: 15 * 60_000 });
  if (status !== 0) {
    await rm(next, { recursive: true, force: true });
    throw new Error(error ? `Maven can't be run (${error.message})` : `Maven ended with ${status}`);
  }
  // Whole or not at all: an interrupted fetch leaves nothing that looks like one.
  await rename(next, JARS).catch(async (cause) => {
    await rm(next, { recursive: true, force: true });
    if (!hasJars()) throw cause;
  });
};

const freePorts = async (count) => {
  const servers = await Promise.all(
    Array.from(
      { length: count },
      () =>
        new Promise((resolve, reject) => {
          const server = createServer().once('error', reject);
          server.listen(0, '127.0.0.1', () => resolve(server));
        }),
    ),
  );
  const ports = servers.map((server) => server.address().port);
  await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))));
  return ports;
};

const settingsOf = (port, controllerPort, dir, given) => ({
  'process.roles': 'broker,controller',
  'node.id': 1,
  'controller.quorum.voters': `1@127.0.0.1:${controllerPort}`,
  listeners: `PLAINTEXT://127.0.0.1:${port},CONTROLLER://127.0.0.1:${controllerPort}`,
  'advertised.listeners': `PLAINTEXT://127.0.0.1:${port}`,
  'controller.listener.names': 'CONTROLLER',
  'listener.security.protocol.map':
    'PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT,SASL_PLAINTEXT:SASL_PLAINTEXT,SSL:SSL,SASL_SSL:SASL_SSL',
  'inter.broker.listener.name': 'PLAINTEXT',
  'log.dirs': dir,
  'num.partitions': 3,
  'offsets.topic.replication.factor': 1,
  'offsets.topic.num.partitions': 4,
  'transaction.state.log.replication.factor': 1,
  'transaction.state.log.min.isr': 1,
  'group.initial.rebalance.delay.ms': 0,
  'message.max.bytes': 10_485_760,
  'auto.create.topics.enable': false,
  ...Object.fromEntries(
    Object.entries(given).map(([key, value]) => [
      key,
      value.replaceAll('{port}', port).replaceAll('{controller}', controllerPort),
    ]),
  ),
});
const escaped = (value) => String(value).replaceAll('\\', '\\\\').replaceAll('\n', '\\n');
const properties = (settings) =>
  Object.entries(settings)
    .map(([key, value]) => `${key}=${escaped(value)}\n`)
    .join('');

/** By whether it takes connections: the broker listens once it is out of its recovery. */
const answers = async (port, ended) => {
  for (const until = Date.now() + START_MS; Date.now() < until && !ended(); await sleep(100))
    if (
      await new Promise((resolve) => {
        const socket = connect(port, '127.0.0.1');
        socket.once('connect', () => (socket.destroy(), resolve(true))).once('error', () => resolve(false));
      })
    )
      return true;
  return false;
};

const LOG4J = `log4j.rootLogger=WARN, file
log4j.appender.file=org.apache.log4j.FileAppender
log4j.appender.file.File=\${vigil.log}
log4j.appender.file.layout=org.apache.log4j.PatternLayout
log4j.appender.file.layout.ConversionPattern=%d %p %c: %m%n
`;

const startJava = async (folder, given, scram) => {
  const [port, controllerPort] = await freePorts(2);
  const config = join(folder, 'server.properties');
  const log = join(folder, 'broker.log');
  await writeFile(join(folder, 'log4j.properties'), LOG4J);
  await writeFile(config, properties(settingsOf(port, controllerPort, join(folder, 'data'), given)));
  const java = [
    '-Xmx512m', '-Xms256m', '-XX:+UseSerialGC', '-XX:TieredStopAtLevel=4',
    `-Dlog4j.configuration=file:${join(folder, 'log4j.properties')}`, `-Dvigil.log=${log}`, '-cp', join(JARS, '*'),
  ]; // prettier-ignore
  const id = Buffer.from(Array.from({ length: 16 }, (_, at) => (at * 37 + 11) % 256)).toString('base64url');
  const users = scram
    .map((user) => user.split(':'))
    .flatMap(([name, password]) => ['-S', `SCRAM-SHA-512=[name=${name},password=${password}]`]);
  const formatted = spawnSync('java', [...java, 'kafka.tools.StorageTool', 'format', '-t', id, '-c', config, ...users], {
    encoding: 'utf8',
  });
  if (formatted.status !== 0) throw new Error(`the storage can't be formatted: ${formatted.stdout}${formatted.stderr}`);
  const child = spawn('java', [...java, 'kafka.Kafka', config], { stdio: ['ignore', 2, 2] });
  return {
    port,
    pid: child.pid,
    engine: 'java',
    ended: new Promise((resolve) => child.once('exit', (code, signal) => resolve(signal ?? code))),
    stop: async () => {
      child.kill('SIGCONT'); // frozen, it would hear nothing
      child.kill('SIGTERM');
      const timer = setTimeout(() => child.kill('SIGKILL'), 10_000);
      await new Promise((resolve) => (child.exitCode !== null || child.signalCode ? resolve() : child.once('exit', resolve)));
      clearTimeout(timer);
    },
  };
};

const startContainer = async (engine, folder, given) => {
  const [port] = await freePorts(1);
  const name = `vigil-kafka-${process.pid}`;
  // Inside, it listens on every address of the container; outside, on loopback alone.
  const settings = {
    ...settingsOf(port, 9093, '/tmp/kafka', given),
    listeners: `PLAINTEXT://:9092,CONTROLLER://127.0.0.1:9093,INSIDE://127.0.0.1:9094`,
    'advertised.listeners': `PLAINTEXT://127.0.0.1:${port},INSIDE://127.0.0.1:9094`,
    'listener.security.protocol.map': 'PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT,INSIDE:PLAINTEXT',
    'inter.broker.listener.name': 'INSIDE',
  };
  const env = Object.entries(settings).flatMap(([key, value]) => [
    '-e',
    `KAFKA_${key.replaceAll('.', '_').toUpperCase()}=${value}`,
  ]);
  const child = spawn(
    engine,
    ['run', '--rm', '--name', name, '-p', `127.0.0.1:${port}:9092`, ...env, `apache/kafka:${VERSION}`],
    { stdio: ['ignore', 2, 2] },
  );
  return {
    port,
    pid: child.pid,
    engine,
    ended: new Promise((resolve) => child.once('exit', (code, signal) => resolve(signal ?? code))),
    stop: async () => void spawnSync(engine, ['stop', '-t', '10', name], { stdio: 'ignore' }),
  };
};

const run = async (engine, given, scram, untilStdinEnds) => {
  const folder = await mkdtemp(join(tmpdir(), 'vigil-kafka-'));
  let broker;
  try {
    broker = await (engine === 'java' ? startJava(folder, given, scram) : startContainer(engine, folder, given));
    let over;
    void broker.ended.then((how) => (over = how));
    const asked = new Promise((resolve) => {
      for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.once(signal, () => resolve());
      if (untilStdinEnds)
        process.stdin
          .resume()
          .once('end', () => resolve())
          .once('error', () => resolve());
    });
    if (!(await Promise.race([answers(broker.port, () => over !== undefined), asked.then(() => 'asked')])))
      throw new Error(over === undefined ? `no answer within ${START_MS / 1000} s` : `it ended at once (${over})`);
    process.stdout.write(`${JSON.stringify({ brokers: `127.0.0.1:${broker.port}`, pid: broker.pid, engine: broker.engine })}\n`);
    const how = await Promise.race([asked, broker.ended.then((code) => `it ended by itself (${code})`)]);
    if (how) throw new Error(how);
  } finally {
    await broker?.stop();
    await rm(folder, { recursive: true, force: true, maxRetries: 5 });
  }
};

const main = async (args) => {
  const given = Object.fromEntries(
    args.filter((arg) => /^[a-z0-9._-]+=/.test(arg)).map((arg) => arg.split(/=(.*)/s).slice(0, 2)),
  );
  const wanted = args.includes('--engine') ? args[args.indexOf('--engine') + 1] : undefined;
  if (args[0] === 'check') return hasJars() && javaVersion() >= 17 ? 0 : 1;
  if (args[0] === 'install') return (await install(), 0);
  const canJava = javaVersion() >= 17;
  const engine = wanted ?? (canJava && hasJars() ? 'java' : (containerEngine() ?? 'java'));
  if (engine === 'java') {
    if (!canJava) throw new Error('there is neither a container engine that answers nor Java 17: install one of them');
    await install();
  }
  await run(
    engine,
    given,
    args.filter((_, at) => args[at - 1] === '--scram'),
    args.includes('--until-stdin-ends'),
  );
  return 0;
};

main(process.argv.slice(2)).then(
  (code) => process.exit(code),
  (error) => {
    say(error.message);
    process.exit(1);
  },
);
