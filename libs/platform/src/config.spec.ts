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
  const result = readConfig({ VIGIL_AUTH: 'oidc', KAFKA_BROKERS: 'a:9092, b:9092' });
  expect(result.ok ? '' : describeFaults(result.faults, 'en')).toBe(
    ['KAFKA_BROKERS: Kafka is not in this version yet; unset it', 'VIGIL_AUTH: oidc is not in this version yet; unset it'].join(
      '\n',
    ),
  );
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
  });
  expect(result).toMatchObject({
    ok: true,
    value: { port: 0, roles: ['api', 'feeds'], databaseUrl: 'postgres://u:p@h:5432/d', logLevel: 'debug' },
  });
});
