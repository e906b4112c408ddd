import { position, START, type EventLog, type Position, type RecordedEvent } from '@vigil/event-log';
import type { Logger, SqlClient } from '@vigil/platform';
import type { ProjectionStatus, Projections, RebuildProgress } from './projections';
import type { Projector } from './projector';

/** Events per transaction: large enough that the commit doesn't show, small enough for the memory of one page. */
const PAGE = 1_000;
/** Wait before a failed database is asked again, ms. */
const RETRY = 1_000;

interface Track {
  readonly projector: Projector;
  position: Position;
  state: ProjectionStatus['state'];
  problem?: ProjectionStatus['problem'];
}

/** The checkpoint stood elsewhere than this process left it: another process owns the projection. */
class CheckpointMoved extends Error {}

/** The database's trouble, not the event's: worth another try. */
const isTransient = (error: unknown): boolean =>
  error instanceof CheckpointMoved ||
  /^(CONNECTION_|CONNECT_|ECONN|EPIPE|57P0|08|53|40001|40P01|55P03|57014)/.test((error as { code?: string }).code ?? '');

const sleep = (ms: number, signal: AbortSignal): Promise<void> =>
  new Promise((resolve) => {
    const timer = setTimeout(done, ms);
    function done() {
      clearTimeout(timer);
      signal.removeEventListener('abort', done);
      resolve();
    }
    signal.addEventListener('abort', done);
  });

export interface RuntimeOptions {
  readonly sql: SqlClient;
  readonly log: EventLog;
  readonly projectors: readonly Projector[];
  readonly logger?: Logger;
  /** Named points for tests that kill the process there. */
  readonly crashPoint?: (name: 'projector.after-effect' | 'projector.after-commit') => void;
}

/**
 * One reader follows the log and hands each page to every projection; each commits its effect together with
 * its checkpoint. A projection that meets an event it can't apply halts there and says so; the others go on.
 */
export const createRuntime = ({ sql, log, projectors, logger, crashPoint }: RuntimeOptions): Projections => {
  const tracks: Track[] = projectors.map((projector) => ({ projector, position: START, state: 'stopped' }));
  const listeners = new Set<(position: Position) => void>();
  let running: { abort: AbortController; done: Promise<void> } | undefined;
  let rebuilding: ((at: RebuildProgress) => void) | undefined;
  let total = 0;

  const floor = (): Position => tracks.reduce((low, track) => (track.position < low ? track.position : low), tracks[0]!.position);

  const loadCheckpoints = async (): Promise<void> => {
    for (const track of tracks) {
      const { name } = track.projector;
      await sql`INSERT INTO read.checkpoints (projection, position) VALUES (${name}, 0) ON CONFLICT DO NOTHING`;
      const [row] = await sql<{ position: string }[]>`SELECT position FROM read.checkpoints WHERE projection = ${name}`;
      track.position = position(row!.position);
    }
  };

  /** Effect and checkpoint in one transaction; the checkpoint moves only from where this process left it. */
  const commit = async (track: Track, events: readonly RecordedEvent[], upTo: Position): Promise<void> => {
    const { name, handles, apply } = track.projector;
    const handled = events.filter((event) => handles.has(event.type));
    await sql.begin(async (tx) => {
      // A crash may take the last pages back, checkpoint and effect together; the log still has them.
      const relaxed = tx`SET LOCAL synchronous_commit TO off`.execute();
      const moved = await tx`
        UPDATE read.checkpoints SET position = ${upTo.toString()}, moved_at = now()
        WHERE projection = ${name} AND position = ${track.position.toString()}`;
      await relaxed;
      if (moved.count !== 1)
        throw new CheckpointMoved(`the checkpoint of ${name} is not where this process left it; another instance runs it`);
      if (handled.length > 0) await apply(tx, handled);
      crashPoint?.('projector.after-effect');
    });
    crashPoint?.('projector.after-commit');
    track.position = upTo;
  };

  /** Applies a page; when it fails, event by event, so that the halt stands exactly before the event that can't be applied. */
  const advance = async (track: Track, page: readonly RecordedEvent[], upTo: Position): Promise<void> => {
    const events = track.position === START ? page : page.filter((event) => event.position > track.position);
    if (track.state === 'halted' || upTo <= track.position) return;
    try {
      await commit(track, events, upTo);
    } catch (error) {
      if (isTransient(error)) throw error;
      for (const event of events) {
        try {
          await commit(track, [event], event.position);
        } catch (cause) {
          if (isTransient(cause)) throw cause;
          track.state = 'halted';
          track.problem = { position: event.position.toString(), type: event.type, message: (cause as Error).message };
          logger?.error(
            { projection: track.projector.name, position: event.position.toString(), type: event.type },
            'projection halted: it cannot apply this event',
          );
          return;
        }
      }
    }
  };

  const tell = (): void => {
    const low = floor();
    for (const listener of [...listeners]) listener(low);
  };

  const follow = async (signal: AbortSignal): Promise<void> => {
    while (!signal.aborted) {
      let pages: AsyncIterator<RecordedEvent[]> | undefined;
      try {
        await loadCheckpoints();
        tell(); // another instance may have done the work
        const head = await log.head();
        for (const track of tracks)
          if (track.state !== 'halted') track.state = rebuilding ? 'rebuilding' : track.position < head ? 'catching-up' : 'live';
        pages = log.subscribe({ after: floor(), pageSize: PAGE, signal })[Symbol.asyncIterator]();
        let coming = pages.next();
        for (;;) {
          const { done, value: page } = await coming;
          if (done) break;
          coming = pages.next(); // the next page is read while this one is written
          coming.catch(() => undefined);
          const upTo = page.at(-1)!.position;
          await Promise.all(tracks.map((track) => advance(track, page, upTo)));
          if (page.length < PAGE) for (const track of tracks) if (track.state === 'catching-up') track.state = 'live';
          for (const track of tracks)
            if (track.state === 'rebuilding')
              rebuilding?.({ projection: track.projector.name, done: Number(track.position), total });
          tell();
        }
      } catch (error) {
        if (signal.aborted) return;
        logger?.warn({ problem: (error as Error).message }, 'projections wait for the database');
        await sleep(RETRY, signal);
      } finally {
        void pages?.return?.(undefined);
      }
    }
  };

  const start = async (): Promise<void> => {
    if (running) return;
    for (const track of tracks) {
      track.state = 'catching-up';
      delete track.problem;
    }
    await loadCheckpoints();
    // A rebuild that was killed left its read model without what makes it quick.
    if (!rebuilding) for (const { projector } of tracks) await projector.afterBulk?.(sql);
    const abort = new AbortController();
    running = { abort, done: follow(abort.signal) };
  };

  const stop = async (): Promise<void> => {
    const stopping = running;
    running = undefined;
    stopping?.abort.abort();
    await stopping?.done;
    for (const track of tracks) track.state = 'stopped';
  };

  const waitFor = (wanted: Position, ms: number): Promise<boolean> => {
    if (floor() >= wanted) return Promise.resolve(true);
    return new Promise((resolve) => {
      const finish = (held: boolean) => {
        clearTimeout(timer);
        listeners.delete(listener);
        resolve(held);
      };
      const listener = (low: Position) => low >= wanted && finish(true);
      const timer = setTimeout(() => finish(false), ms);
      listeners.add(listener);
    });
  };

  return {
    start,
    stop,
    waitFor,
    status: async () => {
      const head = await log.head();
      return Promise.all(
        tracks.map(async ({ projector, position: at, state, problem }): Promise<ProjectionStatus> => {
          const lagEvents = at < head ? await log.count(at, head) : 0;
          const [next] = lagEvents > 0 ? await log.readAll({ after: at, limit: 1 }) : [];
          const lagSeconds = next ? Math.max(0, (Date.now() - Date.parse(next.recordedAt)) / 1000) : 0;
          return { name: projector.name, state, position: at, head, lagEvents, lagSeconds, ...(problem && { problem }) };
        }),
      );
    },
    rebuild: async (name, progress) => {
      const chosen = tracks.filter((track) => name === undefined || track.projector.name === name);
      if (chosen.length === 0)
        throw new RangeError(`there is no projection ${name}; there are ${tracks.map((t) => t.projector.name).join(', ')}`);
      const wasRunning = running !== undefined;
      await stop();
      const head = await log.head();
      total = Number(head);
      const started = performance.now();
      for (const { projector } of chosen) {
        await sql.begin(async (tx) => {
          await projector.empty(tx);
          await tx`INSERT INTO read.checkpoints (projection, position) VALUES (${projector.name}, 0) ON CONFLICT (projection) DO UPDATE SET position = 0, moved_at = now()`;
        });
        await projector.beforeBulk?.(sql);
      }
      rebuilding = progress ?? (() => undefined);
      try {
        await start();
        const rebuilt = () => chosen.every((track) => track.position >= head || track.state === 'halted');
        await new Promise<void>((resolve) => {
          const off = () => {
            if (!rebuilt()) return;
            listeners.delete(off);
            resolve();
          };
          listeners.add(off);
          off();
        });
      } finally {
        rebuilding = undefined;
        await stop();
      }
      for (const { projector } of chosen) await projector.afterBulk?.(sql);
      const seconds = (performance.now() - started) / 1000;
      if (wasRunning) await start();
      return chosen.map((track) => ({ name: track.projector.name, events: total, seconds }));
    },
    onMoved: (listener) => {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
  };
};
