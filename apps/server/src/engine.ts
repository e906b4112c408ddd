import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { createSealer, LOG_MIGRATIONS, type EventLog, type Sealer, type SealState } from '@vigil/event-log';
import {
  createFactColumns,
  createObservations,
  definitionsAt,
  RELEASE_MIGRATIONS,
  type IndicatorDefinition,
  type Observations,
} from '@vigil/indicators';
import {
  claimDataFolder,
  connect,
  createLogger,
  migrate,
  startEmbeddedPostgres,
  withDeadline,
  type Config,
  type Logger,
  type SqlClient,
} from '@vigil/platform';
import {
  createProjections,
  createFileViews,
  createReadModels,
  createShareViews,
  type FileViews,
  PROJECTION_MIGRATIONS,
  type Projections,
  type ProjectionStatus,
  type ReadModels,
  type ShareViews,
  STILL_KNOWN,
} from '@vigil/projections';
import type { Text } from '@vigil/vocabulary';
import {
  createDeadLetterStore,
  createLinkage,
  createLinkageStore,
  DEAD_LETTER_MIGRATIONS,
  LINKAGE_MIGRATIONS,
  type DeadLetterStore,
  type LinkageService,
} from '@vigil/feeds';
import { createAlertSchedule } from './alerts';
import { createFeedTally, type FeedTally } from './feed-tally';
import { API_MIGRATIONS, createIdempotency, type Idempotency } from './http/idempotency';
import { createJobs, type Jobs } from './jobs';
import { alongside, startKafka, type KafkaSide } from './kafka';
import { bindLog, LOG_IDENTITY_MIGRATION } from './log-identity';
import { createEngineMetrics, type EngineMetrics } from './metrics';
import { createLog, sealerPlaces } from './store';

export type Phase = 'data-folder' | 'database' | 'migrations' | 'projections' | 'ready';

export interface EngineOptions {
  readonly onPhase?: (phase: Phase) => void;
  readonly logger?: Logger;
  /** Server settings of the embedded PostgreSQL, for tests. */
  readonly postgresSettings?: Readonly<Record<string, string>>;
  /** Between two looks of the sealer, ms. */
  readonly sealEveryMs?: number;
}

export interface DependencyHealth {
  readonly name: string;
  readonly status: 'up' | 'down' | 'degraded';
  readonly latencyMs: number;
  readonly detail?: Text;
}

export interface Health {
  readonly ready: boolean;
  readonly dependencies: readonly DependencyHealth[];
}

/** Everything below HTTP, put together once: who wants to write or ask without a server uses it as it is. */
export interface Engine {
  readonly config: Config;
  readonly logger: Logger;
  /** Absolute; ours alone while the engine is open. */
  readonly dataDir: string;
  readonly log: EventLog;
  readonly sealer: Sealer;
  readonly projections: Projections;
  readonly readModels: ReadModels & FileViews & ShareViews;
  readonly observations: Observations;
  /** By code, those in force at a position; absent: now. */
  readonly definitionsAt: (position?: bigint) => Promise<ReadonlyMap<string, IndicatorDefinition>>;
  readonly feeds: FeedTally;
  readonly deadLetters: DeadLetterStore;
  readonly linkage: LinkageService;
  readonly jobs: Jobs;
  readonly idempotency: Idempotency;
  readonly metrics: EngineMetrics;
  /** Each dependency, asked now, within two seconds. */
  health(): Promise<Health>;
  /** Resolves, with a line for a person, when the engine can't go on (its PostgreSQL died); never rejects. */
  readonly failed: Promise<Text>;
  /** Drains in order: jobs, projections, sealer, log, database, data folder. Safe to call twice. */
  close(): Promise<void>;
}

const HEALTH_MS = 2_000;
/** What a step of closing may take before the next one begins without it. */
const CLOSE_MS = 10_000;
/** Rebuilds and imports run long; each of their statements doesn't. */
const STATEMENT_MS = 30_000;
/** Of log and projections: after a link that swallowed their packets has healed, they must be on their feet within 30 s. */
const PROMPT_MS = 10_000;

/**
 * Opens the data folder, its PostgreSQL (or the one of DATABASE_URL), brings the schema up to date and starts the projections.
 * What was opened is closed again when a later step fails.
 * @throws PlatformError data folder in use, no space, PostgreSQL won't start …
 */
export const startEngine = async (config: Config, options: EngineOptions = {}): Promise<Engine> => {
  const logger = options.logger ?? createLogger({ level: config.logLevel, program: 'serve' });
  const phase = options.onPhase ?? (() => undefined);
  const closers: { name: string; close: () => Promise<unknown> }[] = [];
  let closing: Promise<void> | undefined;
  const close = (): Promise<void> =>
    (closing ??= (async () => {
      for (const { name, close: step } of closers.reverse())
        await withDeadline(CLOSE_MS, step(), `closing ${name}`).catch((err: unknown) =>
          logger.warn({ err, name }, 'a step of closing failed'),
        );
    })());

  try {
    phase('data-folder');
    const claim = await claimDataFolder(config.dataDir);
    closers.push({ name: 'data folder', close: claim.release });

    phase('database');
    let fail: (text: Text) => void = () => undefined;
    const failed = new Promise<Text>((resolve) => (fail = resolve));
    let url = config.databaseUrl;
    let dead: Text | undefined;
    if (url === undefined) {
      const embedded = await startEmbeddedPostgres({
        dataDir: claim.dir,
        log: (line) => logger.info({ reason: line }, 'embedded PostgreSQL'),
        settings: options.postgresSettings,
      });
      closers.push({ name: 'embedded PostgreSQL', close: embedded.stop });
      void embedded.exited.then(({ expected, code, signal, lastLine }) => {
        if (expected || closing) return;
        const how = signal ?? `exit ${code}`;
        dead = {
          zh: `内嵌 PostgreSQL 意外退出(${how}):${lastLine};已提交的数据不受影响,请重新启动本程序`,
          en: `the embedded PostgreSQL ended unexpectedly (${how}): ${lastLine}; nothing committed is lost, start this program again`,
        };
        logger.fatal({ reason: how }, 'the embedded PostgreSQL ended unexpectedly');
        fail(dead);
      });
      url = embedded.url;
    }
    const pool = (name: string, max: number, statementTimeoutMs = STATEMENT_MS): SqlClient => {
      const sql = connect(url, { max, applicationName: `vigil-${name}`, statementTimeoutMs });
      closers.push({ name: `${name} pool`, close: () => sql.end({ timeout: 5 }) });
      return sql;
    };

    phase('migrations');
    const rebuildSql = pool('rebuild', 4, 0); // statements as long as their tables
    await migrate(rebuildSql, [
      ...LOG_MIGRATIONS,
      ...PROJECTION_MIGRATIONS,
      ...API_MIGRATIONS,
      ...RELEASE_MIGRATIONS,
      ...DEAD_LETTER_MIGRATIONS,
      ...LINKAGE_MIGRATIONS,
      LOG_IDENTITY_MIGRATION,
    ]);

    const metrics = createEngineMetrics();
    const projectionSql = pool('projections', 4, PROMPT_MS);
    const logSql = pool('log', 8, PROMPT_MS);
    const apiSql = pool('api', 8);
    const bareLog = createLog(config, logSql);
    closers.push({ name: 'log', close: bareLog.close });
    closers.push({ name: 'log identity', close: await bindLog(projectionSql, bareLog, config.store) });
    const log = metrics.observe(bareLog);

    const sealer = createSealer({
      log,
      ...sealerPlaces({ ...config, dataDir: claim.dir }),
      everyMs: options.sealEveryMs,
      onProblem: ({ kind, detail }) =>
        kind === 'breach'
          ? logger.fatal({ reason: detail.en }, 'the log is not as it was sealed')
          : logger.warn({ reason: detail.en }, 'the log cannot be sealed for now'),
    });
    sealer.start();
    closers.push({ name: 'sealer', close: sealer.close });

    const { timeZone } = config;
    const readModels = createProjections({ sql: projectionSql, rebuildSql, log, timeZone, logger });
    const columns = config.factColumns
      ? createFactColumns({ url, onProblem: (reason) => logger.warn({ reason }, 'facts are counted by the database') })
      : undefined;
    if (columns) closers.push({ name: 'fact columns', close: columns.close });
    const observations = createObservations({ sql: apiSql, columns, log, timeZone, definitionsAt });
    const idempotency = createIdempotency(apiSql, logger);
    closers.push({ name: 'idempotency', close: async () => idempotency.close() });
    await idempotency.release();
    phase('projections');
    if (config.roles.includes('projector')) {
      await readModels.start();
      closers.push({ name: 'projections', close: readModels.stop });
    }
    const feeds = createFeedTally(log);
    const deadLetters = createDeadLetterStore({ sql: apiSql });
    let kafka: KafkaSide | undefined;
    if (config.kafka && config.roles.includes('feeds')) {
      kafka = await startKafka({
        config: config.kafka,
        log,
        deadLetters,
        sql: pool('publisher', 2, PROMPT_MS),
        logger,
        registry: metrics.registry,
        onCounts: feeds.count,
        alone: config.roles.length === 1,
      });
      closers.push({ name: 'Kafka', close: kafka.close });
      void kafka.failed.then(fail);
    }
    const projections = kafka?.publisher ? alongside(readModels, kafka.publisher) : readModels;
    metrics.watch(projections, sealer, kafka?.refresh);
    closers.push({ name: 'metrics', close: async () => metrics.close() });
    await mkdir(join(claim.dir, 'uploads'), { recursive: true, mode: 0o700 });
    const jobs = await createJobs({ dir: join(claim.dir, 'jobs'), logger });
    closers.push({ name: 'jobs', close: jobs.close });

    const timed = async (
      name: string,
      ask: () => Promise<Omit<DependencyHealth, 'name' | 'latencyMs'>>,
    ): Promise<DependencyHealth> => {
      const began = performance.now();
      const answer = await withDeadline(HEALTH_MS, ask(), name).catch(() => ({
        status: 'down' as const,
        detail: { zh: `${name} 在 ${HEALTH_MS} 毫秒内没有回答`, en: `${name} did not answer within ${HEALTH_MS} ms` },
      }));
      return { name, ...answer, latencyMs: Math.round((performance.now() - began) * 10) / 10 };
    };
    const health = async (): Promise<Health> => {
      const dependencies = await Promise.all([
        timed('postgresql', async () => {
          if (dead) return { status: 'down', detail: dead };
          await (config.store === 'postgres' ? log.head() : apiSql`SELECT 1`);
          return { status: 'up' };
        }),
        ...(config.store === 'postgres' ? [] : [timed(config.store, async () => (await log.head(), { status: 'up' as const }))]),
        timed('projections', async () => projectionHealth(await projections.status())),
        timed('log-seal', async () => sealHealth(sealer.state)),
        ...(kafka ? [timed('kafka', kafka.health)] : []),
      ]);
      // A halted projection still lets every write in, and a restart wouldn't heal it: degraded, not unready.
      return { ready: closing === undefined && dependencies.every(({ status }) => status !== 'down'), dependencies };
    };

    const engine: Engine = {
      config,
      logger,
      dataDir: claim.dir,
      log,
      sealer,
      projections,
      readModels: {
        ...createReadModels({ sql: apiSql }),
        ...createFileViews({ sql: apiSql }),
        ...createShareViews({ sql: apiSql }),
      },
      observations,
      definitionsAt: (position = BigInt(STILL_KNOWN) - 1n) => definitionsAt(apiSql, position),
      feeds,
      deadLetters,
      linkage: linkageOf(apiSql, log, projections),
      jobs,
      idempotency,
      metrics,
      health,
      failed,
      close,
    };
    if (config.alertsAt !== undefined && config.roles.includes('projector')) {
      const alerts = createAlertSchedule({ engine, at: config.alertsAt });
      alerts.start();
      closers.push({ name: 'alerts', close: alerts.stop });
    }
    phase('ready');
    return engine;
  } catch (error) {
    await close();
    throw error;
  }
};

/** What linkage compares is as far as these read models are. */
const LINKED_MODELS = ['communities', 'injury-facts', 'casualty-facts'];
const linkageOf = (sql: SqlClient, log: EventLog, { status }: Projections): LinkageService =>
  createLinkage({
    log,
    store: createLinkageStore({ sql }),
    position: async () => {
      const models = (await status()).filter(({ name }) => LINKED_MODELS.includes(name));
      return models.reduce<bigint>((low, { position }) => (position < low ? position : low), await log.head());
    },
    communities: createReadModels({ sql }).communities,
  });

const projectionHealth = (all: readonly ProjectionStatus[]): Omit<DependencyHealth, 'name' | 'latencyMs'> => {
  const halted = all.filter(({ state }) => state === 'halted');
  if (halted.length === 0) return { status: 'up' };
  const [first] = halted;
  return {
    status: 'degraded',
    detail: {
      zh: `投影 ${halted.map(({ name }) => name).join('、')} 停在位置 ${first!.problem?.position ?? first!.position}:${first!.problem?.message ?? ''}`,
      en: `projection ${halted.map(({ name }) => name).join(', ')} halted at position ${first!.problem?.position ?? first!.position}: ${first!.problem?.message ?? ''}`,
    },
  };
};

const sealHealth = ({ problem }: SealState): Omit<DependencyHealth, 'name' | 'latencyMs'> =>
  problem ? { status: 'degraded', detail: problem.detail } : { status: 'up' };
