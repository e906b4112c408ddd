import { accessSync, constants } from 'node:fs';
import { BlockList, isIP } from 'node:net';
import { z } from 'zod';
import { LOG_LEVELS, type LogLevel } from './logger';
import type { Detail } from './platform-error';

export const ROLES = ['api', 'projector', 'feeds'] as const;
export type Role = (typeof ROLES)[number];

export const SASL_MECHANISMS = ['plain', 'scram-sha-256', 'scram-sha-512'] as const;

export interface KafkaConfig {
  /** `host:port`, any of the cluster's. */
  readonly brokers: readonly string[];
  readonly clientId: string;
  /** Consumers of one group share the feeds' partitions. */
  readonly group: string;
  /** Codes; absent: every topic named like a feed's. */
  readonly feeds?: readonly string[];
  /** Whether the log's events are published. */
  readonly publish: boolean;
  /** Present: TLS. Paths of PEM files; `ca` absent: the authorities that Node trusts. */
  readonly ssl?: { readonly ca?: string; readonly cert?: string; readonly key?: string };
  readonly sasl?: { readonly mechanism: (typeof SASL_MECHANISMS)[number]; readonly username: string; readonly password: string };
}

export interface Config {
  readonly host: string;
  /** 0 asks the system for a free port. */
  readonly port: number;
  readonly dataDir: string;
  /** Where the log's signed heads are kept; absent: `heads` under `dataDir`. */
  readonly headsDir?: string;
  /** Where the event log is; the read models are always in PostgreSQL. */
  readonly store: 'postgres' | 'eventstoredb';
  /** Connection string of EventStoreDB or KurrentDB; there with that store. */
  readonly eventStoreUrl?: string;
  /** Absent: embedded PostgreSQL under `dataDir`. */
  readonly databaseUrl?: string;
  /** Absent: no Kafka. */
  readonly kafka?: KafkaConfig;
  readonly roles: readonly Role[];
  readonly auth: 'off';
  /** IANA name. */
  readonly timeZone: string;
  /** `HH:MM` in that zone, when alerts are looked for each day; absent: only on demand. */
  readonly alertsAt?: string;
  /** Whether facts are kept in memory as well, where they are many. */
  readonly factColumns: boolean;
  /** Absent: the command's own default. */
  readonly logLevel?: LogLevel;
  /** Where commands look for a running server. */
  readonly serverUrl: string;
}

export interface ConfigFault extends Detail {
  readonly variable: string;
}

export type ConfigResult =
  | { readonly ok: true; readonly value: Config }
  | { readonly ok: false; readonly faults: readonly ConfigFault[] };

/** No URL as the standard has it: a cluster's string names several hosts. */
const EVENT_STORE_URL = /^(?:esdb|kurrentdb)(?:\+discover)?:\/\/(?:[^\s@/]+@)?[^\s@,/?]+(?:,[^\s@,/?]+)*\/?(?:\?\S*)?$/;

type Check = (value: string, context: z.RefinementCtx<string>) => void;

/** A fault in both languages, carried through zod's single message. Values aren't quoted where they may hold a password. */
const say = (zh: string, en: string): string => JSON.stringify({ zh, en });
const fault =
  (holds: (value: string) => boolean, zh: string, en: string): Check =>
  (value, context) =>
    void (holds(value) || context.addIssue({ code: 'custom', message: say(zh, en) }));

const text = z.string().trim();
const url = (schemes: readonly string[], zh: string, en: string) =>
  text.superRefine(
    fault((value) => URL.canParse(value) && schemes.includes(new URL(value).protocol) && new URL(value).host !== '', zh, en),
  );
const oneOf = <const T extends string>(values: readonly T[]) =>
  z.enum(values, { error: () => say(`应为 ${values.join('、')} 之一`, `must be one of ${values.join(', ')}`) });
const list = text.transform((value) =>
  value
    .split(',')
    .map((item) => item.trim())
    .filter(Boolean),
);

const yesOrNo = oneOf(['true', 'false']).transform((value) => value === 'true');
const kafkaName = text.superRefine(
  fault(
    (value) => /^[\w.-]{1,200}$/.test(value),
    '只可含字母、数字、点、下划线、连字符',
    'may hold letters, digits, dots, underscores and hyphens only',
  ),
);

const isReadable = (path: string): boolean => {
  try {
    accessSync(path, constants.R_OK);
    return true;
  } catch {
    return false;
  }
};
const readable = text.superRefine(fault(isReadable, '没有这个可读的文件', 'there is no such file that can be read'));

const isTimeZone = (name: string): boolean => {
  try {
    return /^[A-Za-z]/.test(name) && Boolean(new Intl.DateTimeFormat('en', { timeZone: name })); // "+08:00" would pass Intl
  } catch {
    return false;
  }
};

const loopback = new BlockList();
loopback.addSubnet('127.0.0.0', 8, 'ipv4');
loopback.addAddress('::1', 'ipv6');

/** Does this host name reach only this machine? Names other than localhost aren't resolved: they may change. */
export const isLoopback = (host: string): boolean =>
  host === 'localhost' || (isIP(host) !== 0 && loopback.check(host, isIP(host) === 6 ? 'ipv6' : 'ipv4'));

const schema = z.object({
  PORT: text
    .superRefine(
      fault(
        (value) => /^\d{1,5}$/.test(value) && Number(value) <= 65_535,
        '应为 0 到 65535 的整数',
        'must be a whole number from 0 to 65535',
      ),
    )
    .transform(Number)
    .default(7420),
  VIGIL_HOST: text
    .superRefine(fault((value) => !/[\s/]/.test(value), '应为主机名或 IP 地址', 'must be a host name or IP address'))
    .default('127.0.0.1'),
  VIGIL_DATA_DIR: text.default('./.vigil'),
  VIGIL_HEADS_DIR: text.optional(),
  VIGIL_STORE: oneOf(['postgres', 'eventstoredb']).default('postgres'),
  DATABASE_URL: url(
    ['postgres:', 'postgresql:'],
    '应形如 postgres://用户:密码@主机:端口/数据库',
    'must look like postgres://user:password@host:port/database',
  ).optional(),
  EVENTSTORE_URL: text
    .superRefine(
      fault(
        (value) => EVENT_STORE_URL.test(value),
        '应形如 esdb://用户:密码@主机:端口?tls=true(集群可列多个主机,以逗号分隔)',
        'must look like esdb://user:password@host:port?tls=true (for a cluster: several hosts, separated by commas)',
      ),
    )
    .optional(),
  KAFKA_BROKERS: list
    .superRefine((brokers, context) => {
      if (!brokers.length || !brokers.every((broker) => /^[^\s:/]+:\d{1,5}$/.test(broker)))
        context.addIssue({ code: 'custom', message: say('应为逗号分隔的 主机:端口', 'must be host:port, separated by commas') });
    })
    .optional(),
  KAFKA_CLIENT_ID: kafkaName.default('vigil'),
  KAFKA_GROUP_ID: kafkaName.default('vigil-feeds'),
  KAFKA_FEEDS: list.optional(),
  KAFKA_PUBLISH: yesOrNo.default(true),
  KAFKA_SSL: yesOrNo.default(false),
  KAFKA_SSL_CA: readable.optional(),
  KAFKA_SSL_CERT: readable.optional(),
  KAFKA_SSL_KEY: readable.optional(),
  KAFKA_SASL_MECHANISM: oneOf(SASL_MECHANISMS).optional(),
  KAFKA_SASL_USERNAME: text.optional(),
  KAFKA_SASL_PASSWORD: text.optional(),
  VIGIL_ROLES: list
    .pipe(z.array(oneOf(ROLES)).min(1, { error: () => say('至少要有一个角色', 'names no role') }))
    .transform((roles) => ROLES.filter((role) => roles.includes(role)))
    .default([...ROLES]),
  VIGIL_AUTH: oneOf(['off', 'oidc']).default('off'),
  OIDC_ISSUER: url(['https:', 'http:'], '应为 https 地址', 'must be an https URL').optional(),
  OIDC_AUDIENCE: text.optional(),
  VIGIL_TIME_ZONE: text
    .superRefine(fault(isTimeZone, '不是 IANA 时区名(例:Asia/Shanghai)', 'is no IANA time zone (example: Asia/Shanghai)'))
    .default('Asia/Shanghai'),
  VIGIL_ALERTS_AT: text
    .superRefine(
      fault(
        (value) => /^([01]\d|2[0-3]):[0-5]\d$/.test(value),
        '应为 00:00 至 23:59 的时刻,如 06:00',
        'must be a time of day from 00:00 to 23:59, such as 06:00',
      ),
    )
    .optional(),
  VIGIL_FACT_COLUMNS: oneOf(['on', 'off']).default('on'),
  VIGIL_LOG: oneOf(LOG_LEVELS).optional(),
  VIGIL_URL: url(['http:', 'https:'], '应形如 http://127.0.0.1:7420', 'must look like http://127.0.0.1:7420').default(
    'http://127.0.0.1:7420',
  ),
});

type Variable = keyof typeof schema.shape;
const VARIABLES = Object.keys(schema.shape) as Variable[];

/** Parsed on its own, each variable's fault is found whatever the others are. */
const parseEach = (env: Readonly<Record<string, string | undefined>>) => {
  const faults: ConfigFault[] = [];
  const parsed: Record<string, unknown> = {};
  for (const variable of VARIABLES) {
    const given = env[variable]?.trim() || undefined; // compose files pass `NAME=` for "unset"
    const result = schema.shape[variable].safeParse(given);
    if (result.success) parsed[variable] = result.data;
    else for (const { message } of result.error.issues) faults.push({ variable, ...(JSON.parse(message) as Detail) });
  }
  return { parsed: parsed as Partial<z.output<typeof schema>>, faults };
};

/** What Kafka's settings say of each other. */
const kafkaFaults = (given: Partial<z.output<typeof schema>>, broken: ReadonlySet<string>): ConfigFault[] => {
  const faults: ConfigFault[] = [];
  const add = (variable: Variable, zh: string, en: string): void =>
    void (broken.has(variable) || faults.push({ variable, zh, en }));
  const tls = ['KAFKA_SSL_CA', 'KAFKA_SSL_CERT', 'KAFKA_SSL_KEY'] as const;
  for (const variable of tls)
    if (given[variable] !== undefined && given.KAFKA_SSL === false)
      add(variable, '只在 KAFKA_SSL=true 时有意义', 'means something with KAFKA_SSL=true only');
  if (given.KAFKA_SSL_CERT !== undefined && given.KAFKA_SSL_KEY === undefined)
    add('KAFKA_SSL_KEY', '与 KAFKA_SSL_CERT 须一并给出', 'must be given together with KAFKA_SSL_CERT');
  if (given.KAFKA_SSL_KEY !== undefined && given.KAFKA_SSL_CERT === undefined)
    add('KAFKA_SSL_CERT', '与 KAFKA_SSL_KEY 须一并给出', 'must be given together with KAFKA_SSL_KEY');
  for (const variable of ['KAFKA_SASL_USERNAME', 'KAFKA_SASL_PASSWORD'] as const) {
    if (given.KAFKA_SASL_MECHANISM !== undefined && given[variable] === undefined)
      add(variable, '设了 KAFKA_SASL_MECHANISM 时必填', 'must be set along with KAFKA_SASL_MECHANISM');
    if (given.KAFKA_SASL_MECHANISM === undefined && given[variable] !== undefined)
      add('KAFKA_SASL_MECHANISM', `设了 ${variable} 时必填`, `must be set along with ${variable}`);
  }
  const isFar = given.KAFKA_BROKERS?.some((broker) => !isLoopback(broker.replace(/:\d+$/, '')));
  if (given.KAFKA_SASL_MECHANISM !== undefined && given.KAFKA_SSL === false && isFar)
    add(
      'KAFKA_SSL',
      '有口令而无 TLS,口令将以明文(或可被离线破解的形式)传到其他主机;请设为 true',
      'a password would travel to another host without TLS, in clear or open to guessing: set it to true',
    );
  return faults.filter(({ variable, zh }, at) => faults.findIndex((one) => one.variable === variable && one.zh === zh) === at);
};

const kafkaOf = (all: z.output<typeof schema>): KafkaConfig | undefined =>
  all.KAFKA_BROKERS && {
    brokers: all.KAFKA_BROKERS,
    clientId: all.KAFKA_CLIENT_ID,
    group: all.KAFKA_GROUP_ID,
    ...(all.KAFKA_FEEDS?.length && { feeds: all.KAFKA_FEEDS }),
    publish: all.KAFKA_PUBLISH,
    ...(all.KAFKA_SSL && {
      ssl: {
        ...(all.KAFKA_SSL_CA !== undefined && { ca: all.KAFKA_SSL_CA }),
        ...(all.KAFKA_SSL_CERT !== undefined && { cert: all.KAFKA_SSL_CERT }),
        ...(all.KAFKA_SSL_KEY !== undefined && { key: all.KAFKA_SSL_KEY }),
      },
    }),
    ...(all.KAFKA_SASL_MECHANISM && {
      sasl: {
        mechanism: all.KAFKA_SASL_MECHANISM,
        username: all.KAFKA_SASL_USERNAME!,
        password: all.KAFKA_SASL_PASSWORD!,
      },
    }),
  };

const notYet = (variable: Variable, what: string): ConfigFault => ({
  variable,
  zh: `本版本尚不支持 ${what};请去掉这一项`,
  en: `${what} is not in this version yet; unset it`,
});

/**
 * Reads the environment. Every fault is named at once, in both languages; an empty value counts as unset.
 * Values this version understands but can't serve (oidc) are faults that say so.
 */
export const readConfig = (env: Readonly<Record<string, string | undefined>>): ConfigResult => {
  const { parsed, faults } = parseEach(env);
  if (parsed.VIGIL_STORE === 'eventstoredb' && !env['EVENTSTORE_URL']?.trim())
    faults.push({
      variable: 'EVENTSTORE_URL',
      zh: 'VIGIL_STORE=eventstoredb 时须给出事件库的地址,例:esdb://主机:2113?tls=true',
      en: 'with VIGIL_STORE=eventstoredb it must say where the event store is, as in esdb://host:2113?tls=true',
    });
  faults.push(...kafkaFaults(parsed, new Set(faults.map(({ variable }) => variable))));
  if (parsed.VIGIL_AUTH === 'oidc') faults.push(notYet('VIGIL_AUTH', 'oidc'));
  if (parsed.VIGIL_AUTH === 'off' && parsed.VIGIL_HOST && !isLoopback(parsed.VIGIL_HOST))
    faults.push({
      variable: 'VIGIL_HOST',
      zh: `VIGIL_AUTH=off 时只可监听本机回环地址(127.0.0.1、::1、localhost),不可为 ${parsed.VIGIL_HOST}`,
      en: `with VIGIL_AUTH=off only a loopback address (127.0.0.1, ::1, localhost) may be served, not ${parsed.VIGIL_HOST}`,
    });
  if (faults.length) return { ok: false, faults };
  const all = parsed as z.output<typeof schema>;
  const kafka = kafkaOf(all);
  return {
    ok: true,
    value: {
      host: all.VIGIL_HOST,
      port: all.PORT,
      dataDir: all.VIGIL_DATA_DIR,
      ...(all.VIGIL_HEADS_DIR && { headsDir: all.VIGIL_HEADS_DIR }),
      store: all.VIGIL_STORE,
      ...(all.VIGIL_STORE === 'eventstoredb' && { eventStoreUrl: all.EVENTSTORE_URL }),
      ...(all.DATABASE_URL && { databaseUrl: all.DATABASE_URL }),
      ...(kafka && { kafka }),
      roles: all.VIGIL_ROLES,
      auth: 'off',
      timeZone: all.VIGIL_TIME_ZONE,
      ...(all.VIGIL_ALERTS_AT && { alertsAt: all.VIGIL_ALERTS_AT }),
      factColumns: all.VIGIL_FACT_COLUMNS === 'on',
      ...(all.VIGIL_LOG && { logLevel: all.VIGIL_LOG }),
      serverUrl: all.VIGIL_URL,
    },
  };
};

/** One line per fault: `PORT: must be …`. */
export const describeFaults = (faults: readonly ConfigFault[], language: 'zh' | 'en'): string =>
  faults.map((each) => `${each.variable}: ${each[language]}`).join('\n');
