import { describeFaults, isLoopback, readConfig } from './config';

const faultsOf = (env: Record<string, string>) => {
  const result = readConfig(env);
  return result.ok ? [] : result.faults.map(({ variable }) => variable);
};

it('has the documented defaults; empty counts as unset', () => {
  expect(readConfig({ PORT: '', VIGIL_ROLES: ' ', DATABASE_URL: '' })).toEqual({
    ok: true,
    value: {
      host: '127.0.0.1',
      port: 7420,
      dataDir: './.vigil',
      store: 'postgres',
      roles: ['api', 'projector', 'feeds'],
      auth: 'off',
      timeZone: 'Asia/Shanghai',
      factColumns: true,
      serverUrl: 'http://127.0.0.1:7420',
    },
  });
});

it('names every fault at once, in both languages, without repeating a password', () => {
  const result = readConfig({
    PORT: '70000',
    VIGIL_HOST: '0.0.0.0',
    VIGIL_STORE: 'mysql',
    DATABASE_URL: 'mysql://root:secret@h/d',
    EVENTSTORE_URL: 'http://h',
    KAFKA_BROKERS: 'nowhere',
    VIGIL_ROLES: 'api,cook',
    VIGIL_AUTH: 'none',
    OIDC_ISSUER: 'issuer',
    VIGIL_TIME_ZONE: '+08:00',
    VIGIL_LOG: 'loud',
    VIGIL_URL: 'somewhere',
  });
  if (result.ok) throw new Error('accepted');
  expect(result.faults.map(({ variable }) => variable)).toEqual([
    'PORT', 'VIGIL_STORE', 'DATABASE_URL', 'EVENTSTORE_URL', 'KAFKA_BROKERS', 'VIGIL_ROLES', 'VIGIL_AUTH', 'OIDC_ISSUER',
    'VIGIL_TIME_ZONE', 'VIGIL_LOG', 'VIGIL_URL',
  ]); // prettier-ignore
  for (const { zh, en } of result.faults) expect([/\p{Script=Han}/u.test(zh), /[a-z]{2}/.test(en)]).toEqual([true, true]);
  expect(describeFaults(result.faults, 'en')).toContain('PORT: must be a whole number from 0 to 65535');
  expect(JSON.stringify(result)).not.toContain('secret');
});

it('says plainly what this version lacks', () => {
  const result = readConfig({ VIGIL_AUTH: 'oidc' });
  expect(result.ok ? '' : describeFaults(result.faults, 'en')).toBe('VIGIL_AUTH: oidc is not in this version yet; unset it');
});

describe('Kafka', () => {
  const brokers = { KAFKA_BROKERS: 'a:9092, b:9092' };
  const tls = { ...brokers, KAFKA_SSL: 'true' };
  const sasl = { KAFKA_SASL_MECHANISM: 'scram-sha-512', KAFKA_SASL_USERNAME: 'vigil', KAFKA_SASL_PASSWORD: 'secret' };
  const kafkaOf = (env: Record<string, string>) => {
    const result = readConfig(env);
    return result.ok ? result.value.kafka : describeFaults(result.faults, 'en');
  };

  it('is there when its brokers are named', () => {
    expect(kafkaOf({ KAFKA_GROUP_ID: 'g' })).toBeUndefined();
    expect(kafkaOf(brokers)).toEqual({ brokers: ['a:9092', 'b:9092'], clientId: 'vigil', group: 'vigil-feeds', publish: true });
    const all = { ...tls, ...sasl, KAFKA_SSL_CA: __filename, KAFKA_FEEDS: 'x, y', KAFKA_PUBLISH: 'false', KAFKA_GROUP_ID: 'g' };
    expect(kafkaOf(all)).toEqual({
      brokers: ['a:9092', 'b:9092'],
      clientId: 'vigil',
      group: 'g',
      feeds: ['x', 'y'],
      publish: false,
      ssl: { ca: __filename },
      sasl: { mechanism: 'scram-sha-512', username: 'vigil', password: 'secret' },
    });
  });

  it('names every fault of its settings at once, and no password', () => {
    const faults = {
      ...brokers,
      KAFKA_SSL: 'yes',
      KAFKA_SSL_CA: '/no/such/file',
      KAFKA_SASL_MECHANISM: 'gssapi',
      KAFKA_GROUP_ID: 'a b',
    };
    expect(faultsOf({ ...faults, KAFKA_SASL_PASSWORD: 'secret' })).toEqual([
      'KAFKA_GROUP_ID', 'KAFKA_SSL', 'KAFKA_SSL_CA', 'KAFKA_SASL_MECHANISM',
    ]); // prettier-ignore
    expect(faultsOf({ ...tls, KAFKA_SSL_CERT: __filename })).toEqual(['KAFKA_SSL_KEY']);
    expect(faultsOf({ ...tls, KAFKA_SSL_KEY: __filename })).toEqual(['KAFKA_SSL_CERT']);
    expect(faultsOf({ ...brokers, KAFKA_SSL_CA: __filename })).toEqual(['KAFKA_SSL_CA']);
    expect(faultsOf({ ...tls, KAFKA_SASL_MECHANISM: 'plain' })).toEqual(['KAFKA_SASL_USERNAME', 'KAFKA_SASL_PASSWORD']);
    expect(faultsOf({ ...tls, KAFKA_SASL_USERNAME: 'u', KAFKA_SASL_PASSWORD: 'secret' })).toEqual([
      'KAFKA_SASL_MECHANISM', 'KAFKA_SASL_MECHANISM',
    ]); // prettier-ignore
    expect(kafkaOf({ ...brokers, KAFKA_SASL_MECHANISM: 'plain', KAFKA_SASL_PASSWORD: 'secret' })).not.toContain('secret');
  });

  it('sends no password to another host without TLS', () => {
    expect(faultsOf({ ...brokers, ...sasl })).toEqual(['KAFKA_SSL']);
    expect(faultsOf({ ...sasl, KAFKA_BROKERS: '127.0.0.1:9092' })).toEqual([]);
  });
});

it('serves without authentication only on the loopback', () => {
  expect(faultsOf({ VIGIL_HOST: '192.168.1.5' })).toEqual(['VIGIL_HOST']);
  expect(faultsOf({ VIGIL_HOST: '::' })).toEqual(['VIGIL_HOST']);
  expect(['localhost', '127.8.8.8', '::1', '::ffff:127.0.0.1', 'example.org'].map(isLoopback)).toEqual([
    true,
    true,
    true,
    true,
    false,
  ]);
});

it('takes an event store only with its address, of one host or several', () => {
  expect(faultsOf({ VIGIL_STORE: 'eventstoredb' })).toEqual(['EVENTSTORE_URL']);
  expect(faultsOf({ VIGIL_STORE: 'eventstoredb', EVENTSTORE_URL: 'esdb://' })).toEqual(['EVENTSTORE_URL']);
  for (const url of [
    'esdb://localhost:2113?tls=false',
    'esdb+discover://admin:p%40ss@cluster.example:2113',
    'kurrentdb://admin:changeit@n1:2113,n2:2113,n3:2113?tls=true&tlsCAFile=/certs/ca.crt',
  ])
    expect(readConfig({ VIGIL_STORE: 'eventstoredb', EVENTSTORE_URL: url })).toMatchObject({
      ok: true,
      value: { store: 'eventstoredb', eventStoreUrl: url },
    });
  expect(readConfig({ EVENTSTORE_URL: 'esdb://h' })).toMatchObject({ ok: true, value: { store: 'postgres' } });
});

it('reads what is given', () => {
  const result = readConfig({
    PORT: '0',
    VIGIL_ROLES: 'feeds, api,api',
    DATABASE_URL: 'postgres://u:p@h:5432/d',
    VIGIL_LOG: 'debug',
    VIGIL_FACT_COLUMNS: 'off',
  });
  expect(result).toMatchObject({
    ok: true,
    value: { port: 0, roles: ['api', 'feeds'], databaseUrl: 'postgres://u:p@h:5432/d', factColumns: false, logLevel: 'debug' },
  });
});

it('takes the hour of the alerts as a time of day, and no other', () => {
  const read = readConfig({ VIGIL_ALERTS_AT: '06:00' });
  expect(read.ok && read.value.alertsAt).toBe('06:00');
  for (const wrong of ['6:00', '24:00', '06:60', 'morning'])
    expect(faultsOf({ VIGIL_ALERTS_AT: wrong })).toEqual(['VIGIL_ALERTS_AT']);
});
