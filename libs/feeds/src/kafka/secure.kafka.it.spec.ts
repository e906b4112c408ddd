import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { createLogger, readConfig } from '@vigil/platform';
import { kafkaIsHere, selfSigned, startTestBroker, type TestBroker } from '@vigil/testing';
import { BrokerUnavailable, RecordRefused, type Broker } from './broker';
import { createKafkajsBroker } from './kafkajs-broker';

jest.setTimeout(120_000);

const logger = createLogger({ level: 'silent', program: 'serve' });

(kafkaIsHere() ? describe : describe.skip)('a broker with TLS and passwords', () => {
  let folder: string;
  let server: TestBroker;
  const closers: (() => Promise<unknown>)[] = [];

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'vigil-kafka-tls-'));
    const { key, cert } = selfSigned();
    await writeFile(join(folder, 'ca.pem'), cert);
    const plain = 'org.apache.kafka.common.security.plain.PlainLoginModule';
    server = await startTestBroker(
      {
        listeners: 'CLIENT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller}',
        'advertised.listeners': 'CLIENT://127.0.0.1:{port}',
        'listener.security.protocol.map': 'CLIENT:SASL_SSL,CONTROLLER:PLAINTEXT',
        'inter.broker.listener.name': 'CLIENT',
        'sasl.enabled.mechanisms': 'PLAIN,SCRAM-SHA-512',
        'sasl.mechanism.inter.broker.protocol': 'PLAIN',
        'listener.name.client.plain.sasl.jaas.config': `${plain} required username="admin" password="inner" user_admin="inner" user_vigil="of plain";`,
        'listener.name.client.scram-sha-512.sasl.jaas.config':
          'org.apache.kafka.common.security.scram.ScramLoginModule required;',
        'ssl.keystore.type': 'PEM',
        'ssl.keystore.key': key,
        'ssl.keystore.certificate.chain': cert,
        'ssl.truststore.type': 'PEM',
        'ssl.truststore.certificates': cert,
      },
      ['vigil:of-scram'],
    );
  });
  afterAll(async () => {
    await server?.stop();
    await rm(folder, { recursive: true, force: true });
  });
  afterEach(async () => {
    for (const close of closers.splice(0)) await close();
  });

  const opened = (env: Record<string, string>): Broker => {
    const config = readConfig({ KAFKA_BROKERS: server.brokers, ...env });
    if (!config.ok) throw new Error(JSON.stringify(config.faults));
    const broker = createKafkajsBroker(config.value.kafka!, logger);
    closers.push(broker.close);
    return broker;
  };
  const tls = (): Record<string, string> => ({ KAFKA_SSL: 'true', KAFKA_SSL_CA: join(folder, 'ca.pem') });
  const login = (mechanism: string, password: string): Record<string, string> => ({
    KAFKA_SASL_MECHANISM: mechanism,
    KAFKA_SASL_USERNAME: 'vigil',
    KAFKA_SASL_PASSWORD: password,
  });
  const record = (value: string) => ({ topic: 'secure', key: 'k', value, headers: {} });

  it.each([
    ['plain', 'of plain'],
    ['scram-sha-512', 'of-scram'],
  ])('is reached with %s', async (mechanism, password) => {
    const broker = opened({ ...tls(), ...login(mechanism, password) });
    await broker.ensureTopic('secure');
    await broker.send([record('x')]);
    expect(await broker.topics()).toContain('secure');
    // A new cluster makes the topic of the groups' offsets when it is first asked for them.
    let lag: bigint | undefined;
    for (let tries = 0; lag === undefined && tries < 100; tries++) {
      const found = await broker.lag('g', ['secure']).catch(() => undefined);
      lag = found?.reduce((sum, { lag: each }) => sum + each, 0n);
      if (lag === undefined) await sleep(100);
    }
    expect(lag).toBeGreaterThan(0n);
  });

  it.each<[string, () => Record<string, string>]>([
    ['with a wrong password', () => ({ ...tls(), ...login('plain', 'wrong') })],
    ['without a password', () => tls()],
    ['when its certificate is of an authority nobody knows', () => ({ KAFKA_SSL: 'true', ...login('plain', 'of plain') })],
  ])('is not reached %s', async (_, env) => {
    await expect(opened(env()).topics()).rejects.toBeInstanceOf(BrokerUnavailable);
  });

  it('tells a record it will never take from its own absence', async () => {
    const broker = opened({ ...tls(), ...login('plain', 'of plain') });
    await broker.ensureTopic('secure');
    await expect(broker.send([record('x'.repeat(11_000_000))])).rejects.toBeInstanceOf(RecordRefused);
    await broker.send([record('x')]);
  });
});
