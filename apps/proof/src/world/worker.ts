import { writeSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { createPostgresLog, LogOverloaded, LogUnavailable } from '@vigil/event-log';
import { connect } from '@vigil/platform';
import { createProjections } from '@vigil/projections';
import { crashPointFrom, type Acknowledged } from '@vigil/testing';
import { taskAt, tellingLog } from './work';

// The program that is killed. It waits on stdin for what to do, so that a spare one stands ready when its forerunner dies,
// and says each thing on stdout before it goes on: what was said is what a caller would have been told.

export interface WorkerOrders {
  readonly url: string;
  readonly seed: number;
  /** Where each lane goes on. */
  readonly next: readonly number[];
  /** Where each lane ends; absent: it goes on for ever. */
  readonly until?: number;
  /** As of VIGIL_CRASH. */
  readonly crash?: string;
  /** Default: yes. */
  readonly projections?: boolean;
  /** Rebuilds every read model beside the live ones, once. */
  readonly rebuild?: boolean;
  /** Once the lanes have ended, waits until the read models hold everything. */
  readonly settle?: boolean;
  readonly deadlineMs?: number;
  /** Each lane rests so long after each task, so that the log doesn't outgrow what the projections can follow. */
  readonly paceMs?: number;
  /** Goes on following once the lanes have ended, until it is killed. */
  readonly idle?: boolean;
  /** Now and then holds up the event loop for so long. */
  readonly blockMs?: number;
}

/** A pipe that is full answers EAGAIN; what has been acknowledged must still be said before anything else happens. */
const say = (line: string): void => {
  const bytes = Buffer.from(`${line}\n`);
  for (let at = 0; at < bytes.length; )
    try {
      at += writeSync(1, bytes, at);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EAGAIN') throw error;
    }
};
const acknowledged = ({ id, stream = '', revision, position }: Acknowledged): void =>
  say(JSON.stringify(['ack', id, stream, revision ?? null, position?.toString() ?? null]));

const pause = (ms: number): Promise<void> => new Promise((done) => setTimeout(done, ms));

const work = async (orders: WorkerOrders): Promise<void> => {
  const { url, seed, next, until = Infinity } = orders;
  const crashPoint = crashPointFrom({ VIGIL_CRASH: orders.crash });
  // As the engine has them, but with a shorter patience.
  const pool = (name: string, max: number, statementTimeoutMs = 3_000) =>
    connect(url, {
      max,
      applicationName: `proof-${name}`,
      connectTimeoutSeconds: 3,
      statementTimeoutMs,
      silenceMs: statementTimeoutMs && 4_000,
    });
  const [logSql, projectionSql, rebuildSql] = [pool('log', 6), pool('projections', 4), pool('rebuild', 3, 0)];
  const log = createPostgresLog({ sql: logSql, crashPoint, deadlineMs: orders.deadlineMs ?? 15_000 });
  const projections = createProjections({ sql: projectionSql, rebuildSql, log, timeZone: 'Asia/Shanghai', crashPoint });
  const following = (async () => {
    if (orders.projections === false) return;
    for (;;)
      try {
        await projections.start();
        break;
      } catch (error) {
        say(JSON.stringify(['late', String(error)])); // the database isn't there yet
        await pause(200);
      }
    if (orders.rebuild) await projections.rebuild(undefined);
    say(JSON.stringify(['follows']));
  })();
  following.catch((error: unknown) => say(JSON.stringify(['failed', String(error)])));
  if (orders.blockMs)
    setInterval(() => {
      say(JSON.stringify(['blocks']));
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, orders.blockMs);
    }, orders.blockMs * 1.5);

  const telling = tellingLog(log, acknowledged);
  await Promise.all(
    next.map(async (from, lane) => {
      for (let index = from; index < until; ) {
        try {
          (await taskAt(seed, next.length, lane, index).run(telling)).forEach(acknowledged);
          say(JSON.stringify(['next', lane, ++index]));
          if (orders.paceMs) await pause(orders.paceMs);
        } catch (error) {
          // The caller's part of the contract: unknown or refused for load, sent again with the same ids.
          const retried = error instanceof LogUnavailable || error instanceof LogOverloaded || isConnection(error);
          say(JSON.stringify([retried ? 'retry' : 'failed', lane, String(error)]));
          if (!retried) throw error;
          await pause(50);
        }
      }
    }),
  );
  if (orders.idle) return;
  if (orders.settle) {
    await following;
    const head = await log.head();
    say(JSON.stringify(['settled', await projections.waitFor(head, 60_000)]));
  }
  await projections.stop();
  await log.close();
  await Promise.all([logSql, projectionSql, rebuildSql].map((sql) => sql.end({ timeout: 5 })));
};

/** A read that met a broken connection. */
const isConnection = (error: unknown): boolean =>
  /^(CONNECTION_|CONNECT_|ECONN|EPIPE|57P0|08|53300)/.test((error as { code?: string }).code ?? '');

const orders = createInterface({ input: process.stdin });
orders.once('line', (line) => {
  orders.close();
  process.stdin.destroy();
  const given = JSON.parse(line) as WorkerOrders;
  work(given).then(
    () => given.idle || process.exit(0),
    (error: unknown) => {
      say(JSON.stringify(['failed', String((error as Error).stack ?? error)]));
      process.exit(70);
    },
  );
});
say(JSON.stringify(['waits']));
