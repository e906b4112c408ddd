import { LogUnavailable, START, type EventLog, type Position, type RecordedEvent } from '@vigil/event-log';
import type { Logger } from '@vigil/platform';
import { systemClock, type Clock } from './clock';
import type { Projections, ProjectionStatus } from './projections';
import type { Projector } from './projector';
import { CheckpointMoved, type Problem, type ProjectionStore } from './store';

/** Events per transaction: large enough that the commit doesn't show, small enough for the memory of one page. */
export const PAGE = 1_000;
/** Between two renewals of the leases; also how soon a waiting instance takes over from one that let go, ms. */
const BEAT = 1_000;
/** Wait before a failed database is asked again, ms. */
const RETRY = 500;
/** How often an effect is tried before its event is parked, and the wait between, ms. */
const TRIES = 3;
const BETWEEN_TRIES = 200;

export interface RuntimeOptions<Tx> {
  readonly store: ProjectionStore<Tx>;
  readonly log: EventLog;
  readonly projectors: readonly Projector<Tx>[];
  /** Names this instance among those that share the store; no two alike. */
  readonly owner: string;
  readonly clock?: Clock;
  readonly logger?: Logger;
  /** Named points for tests that kill the process there. */
  readonly crashPoint?: (name: 'projector.after-effect' | 'projector.after-commit') => void;
}

export type Runtime = Pick<Projections, 'start' | 'stop' | 'status' | 'waitFor' | 'onMoved' | 'retry' | 'skip'> & {
  /** Looks at once who owns what: after a switch the checkpoint has moved under the owner. */
  wake(): void;
};

interface Track<Tx> {
  readonly projector: Projector<Tx>;
  /** Undefined while another instance runs it. */
  epoch?: bigint;
  position: Position;
  caughtUp: boolean;
  halted?: Problem;
  /** Positions passed over by decision. */
  skips: ReadonlySet<bigint>;
  /** Streams with a parked event: later ones wait behind it. */
  blocked: Set<string>;
}

/** The database's trouble, not the event's: worth another try. */
export const isTransient = (error: unknown): boolean =>
  error instanceof CheckpointMoved ||
  error instanceof LogUnavailable ||
  /^(CONNECTION_|CONNECT_|ECONN|EPIPE|57P0|08|53|25P03|40001|40P01|55P03|57014)/.test((error as { code?: string }).code ?? '');

const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));

/**
 * Runs the projections that this instance owns. One reader follows the log from the lowest of their checkpoints and hands
 * each page to all; each commits its effect together with its checkpoint. Those that another instance owns are waited for.
 */
export const createRuntime = <Tx>(options: RuntimeOptions<Tx>): Runtime => {
  const { store, log, projectors, owner, clock = systemClock, logger, crashPoint } = options;
  const tracks: Track<Tx>[] = projectors.map((projector) => ({
    projector,
    position: START,
    caughtUp: false,
    skips: new Set(),
    blocked: new Set(),
  }));
  const listeners = new Set<(position: Position) => void>();
  let running: { abort: AbortController; done: Promise<unknown> } | undefined;
  /** Aborted when who owns what, or what is to be read, has changed. */
  let turn = new AbortController();

  const lowest = (of: readonly Track<Tx>[]): Position =>
    of.reduce((low, { position }) => (position < low ? position : low), of[0]!.position);
  const tell = (): void => {
    const low = lowest(tracks);
    for (const listener of [...listeners]) listener(low);
  };
  const named = (name: string): Track<Tx> => {
    const track = tracks.find(({ projector }) => projector.name === name);
    if (!track)
      throw new RangeError(
        `there is no projection ${name}; there are ${tracks.map(({ projector }) => projector.name).join(', ')}`,
      );
    return track;
  };

  /** A decision to pass over this very event may have come just before, and must not be written over unseen. */
  const noteProblem = async ({ projector: { name } }: Track<Tx>, problem: Problem): Promise<void> => {
    await store.note(name, problem);
    if ((await store.skips(name)).some(({ position }) => position.toString() === problem.position)) turn.abort();
  };

  const halt = async (track: Track<Tx>, problem: Problem): Promise<void> => {
    track.halted = problem;
    logger?.error({ projection: track.projector.name, ...problem }, 'projection halted');
    await noteProblem(track, problem);
  };

  const move = async (track: Track<Tx>, to: Position, effect: (tx: Tx) => Promise<void>): Promise<void> => {
    const { name } = track.projector;
    await store.commit({ projection: name, epoch: track.epoch!, from: track.position, to }, async (tx) => {
      await effect(tx);
      crashPoint?.('projector.after-effect');
    });
    crashPoint?.('projector.after-commit');
    track.position = to;
  };

  const commit = (track: Track<Tx>, events: readonly RecordedEvent[], to: Position): Promise<void> => {
    const { name, handles, apply } = track.projector;
    const wanted = events.filter(({ type, position }) => handles.has(type) && !track.skips.has(position));
    return move(track, to, async (tx) => {
      const free = track.blocked.size === 0 ? wanted : wanted.filter(({ stream }) => !track.blocked.has(stream));
      if (free.length > 0) await apply(tx, free);
      if (free.length < wanted.length)
        for (const event of wanted)
          if (track.blocked.has(event.stream)) await store.park(tx, name, event, 'waits behind an earlier event of its stream');
    });
  };

  /** What can't be applied by itself halts a model; an effect has further tries, then parks it. Whether it goes on. */
  const commitOne = async (track: Track<Tx>, event: RecordedEvent, signal: AbortSignal): Promise<boolean> => {
    const { name, kind } = track.projector;
    for (let tries = 1; ; tries++) {
      try {
        await commit(track, [event], event.position);
        return true;
      } catch (cause) {
        if (isTransient(cause)) throw cause;
        const problem = { position: event.position.toString(), type: event.type, message: messageOf(cause) };
        if (kind === 'model') {
          await halt(track, problem);
          return false;
        }
        if (tries < TRIES) {
          await clock.sleep(BETWEEN_TRIES, signal);
          if (signal.aborted) return false;
          continue;
        }
        await move(track, event.position, (tx) => store.park(tx, name, event, problem.message));
        if (track.blocked.size === 0) await noteProblem(track, problem);
        track.blocked.add(event.stream);
        logger?.error({ projection: name, ...problem }, 'event parked: its effect failed');
        return true;
      }
    }
  };

  /** Applies a page; when it fails, event by event, so that one event holds up no more than it must. */
  const advance = async (
    track: Track<Tx>,
    page: readonly RecordedEvent[],
    upTo: Position,
    signal: AbortSignal,
  ): Promise<void> => {
    if (track.halted || upTo <= track.position) return;
    const events = track.position < page[0]!.position ? page : page.filter(({ position }) => position > track.position);
    try {
      await commit(track, events, upTo);
    } catch (error) {
      if (isTransient(error)) throw error;
      for (const event of events) if (!(await commitOne(track, event, signal))) return;
    }
  };

  /** Parked events again, each stream in its order up to the first that fails anew. */
  const retryParked = async (track: Track<Tx>): Promise<void> => {
    const { name, apply } = track.projector;
    const blocked = new Set<string>();
    let problem: Problem | undefined;
    for (const { stream, position, type } of await store.parked(name)) {
      if (blocked.has(stream)) continue;
      try {
        const event = (await log.readStream(stream)).find((each) => each.position === position);
        if (!event) throw new Error(`the log holds no event of ${stream} at ${position}`);
        await store.settle(name, track.epoch!, position, (tx) => apply(tx, [event]));
      } catch (error) {
        if (isTransient(error)) throw error;
        blocked.add(stream);
        problem ??= { position: position.toString(), type, message: messageOf(error) };
      }
    }
    track.blocked = blocked;
    if (problem) await noteProblem(track, problem);
  };

  /** Takes what is free and learns where everything stands. Not while a page is being committed. */
  const claimAll = async (): Promise<void> => {
    for (const track of tracks) {
      const { name, kind } = track.projector;
      const claim = await store.claim(name, owner);
      if (!claim) {
        track.epoch = undefined;
        track.halted = undefined;
        track.position = (await store.look(name)).position;
        continue;
      }
      const isNew = claim.epoch !== track.epoch;
      track.epoch = claim.epoch;
      track.position = claim.position;
      track.skips = new Set((await store.skips(name)).map((skip) => skip.position));
      if (kind === 'effect') {
        if (claim.problem) {
          track.blocked = new Set((await store.parked(name)).map(({ stream }) => stream));
          if (track.blocked.size === 0) await store.note(name, undefined);
        } else await retryParked(track);
      } else if (isNew || claim.problem === undefined || (track.halted && track.skips.has(BigInt(track.halted.position)))) {
        // A new owner, or a person's word: another try.
        track.halted = undefined;
        if (claim.problem) await store.note(name, undefined);
      }
      const head = await log.head();
      track.caughtUp = track.position >= head;
      if (track.position > head && !track.halted)
        await halt(track, {
          position: head.toString(),
          type: '',
          message: `the read model stands at ${track.position}, the log ends at ${head}: the log was restored from an older copy; rebuild ${name}`,
        });
    }
    tell();
  };

  const readOn = async (signal: AbortSignal): Promise<void> => {
    const mine = tracks.filter(({ epoch, halted }) => epoch !== undefined && !halted);
    if (mine.length === 0)
      return new Promise((resolve) => {
        if (signal.aborted) resolve();
        else signal.addEventListener('abort', () => resolve(), { once: true });
      });
    const pages = log.subscribe({ after: lowest(mine), pageSize: PAGE, signal })[Symbol.asyncIterator]();
    try {
      let coming = pages.next();
      for (;;) {
        const { done, value: page } = await coming;
        if (done || signal.aborted) return;
        coming = pages.next(); // the next page is read while this one is written
        coming.catch(() => undefined);
        const upTo = page.at(-1)!.position;
        const written = await Promise.allSettled(mine.map((track) => advance(track, page, upTo, signal)));
        if (page.length < PAGE) for (const track of mine) track.caughtUp = true;
        tell();
        const failed = written.find((each) => each.status === 'rejected');
        if (failed) throw failed.reason;
      }
    } finally {
      void pages.return?.(undefined).catch(() => undefined);
    }
  };

  const follow = async (signal: AbortSignal): Promise<void> => {
    // `start` has just claimed.
    for (let claimed = true; !signal.aborted; claimed = false) {
      try {
        if (!claimed) {
          turn = new AbortController();
          await claimAll();
        }
        if (!signal.aborted) await readOn(turn.signal);
      } catch (error) {
        if (signal.aborted) return;
        if (!(error instanceof CheckpointMoved)) logger?.warn({ problem: messageOf(error) }, 'projections wait for the database');
        await clock.sleep(error instanceof CheckpointMoved ? RETRY / 10 : RETRY, signal);
      }
    }
  };

  /** Renews the leases; what changed is left to `follow`, which alone knows that no page is under way. */
  const beat = async (signal: AbortSignal): Promise<void> => {
    for (;;) {
      await clock.sleep(BEAT, signal);
      if (signal.aborted) return;
      try {
        for (const track of tracks) {
          const { name } = track.projector;
          const claim = await store.claim(name, owner);
          // Behind what this instance wrote: a crash of the database took back commits that it hadn't flushed.
          const fellBack = claim !== undefined && claim.position < track.position;
          const retried = claim && (track.halted || track.blocked.size > 0) && !claim.problem;
          if (claim?.epoch !== track.epoch || fellBack || retried) turn.abort();
          else if (!claim) track.position = (await store.look(name)).position;
        }
        if (tracks.some(({ epoch }) => epoch === undefined)) tell();
      } catch {
        // The reader meets the same database and says so.
      }
    }
  };

  const start = async (): Promise<void> => {
    if (running) return;
    turn = new AbortController();
    await claimAll();
    const abort = new AbortController();
    abort.signal.addEventListener('abort', () => turn.abort());
    running = { abort, done: Promise.all([follow(abort.signal), beat(abort.signal)]) };
  };

  const stop = async (): Promise<void> => {
    const stopping = running;
    if (!stopping) return;
    running = undefined;
    stopping.abort.abort();
    await stopping.done;
    for (const track of tracks) {
      if (track.epoch !== undefined) await store.release(track.projector.name, owner).catch(() => undefined); // else the lease runs out
      track.epoch = undefined;
      track.halted = undefined;
    }
  };

  const waitFor = (wanted: Position, ms: number): Promise<boolean> => {
    if (lowest(tracks) >= wanted) return Promise.resolve(true);
    return new Promise((resolve) => {
      const finish = (held: boolean): void => {
        clearTimeout(timer);
        listeners.delete(listener);
        resolve(held);
      };
      const listener = (low: Position): void => {
        if (low >= wanted) finish(true);
      };
      const timer = setTimeout(() => finish(false), ms);
      listeners.add(listener);
    });
  };

  const stateOf = (track: Track<Tx>): ProjectionStatus['state'] => {
    if (!running) return 'stopped';
    if (track.epoch === undefined) return 'waiting';
    if (track.halted) return 'halted';
    return track.caughtUp ? 'live' : 'catching-up';
  };

  const status = async (): Promise<ProjectionStatus[]> => {
    const head = await log.head();
    return Promise.all(
      tracks.map(async (track): Promise<ProjectionStatus> => {
        const { name, kind } = track.projector;
        const [at, skips, parked] = await Promise.all([store.look(name), store.skips(name), store.parked(name)]);
        const behind = at.position < head;
        const [next] = behind ? await log.readAll({ after: at.position, limit: 1 }) : [];
        const problem = track.halted ?? at.problem;
        return {
          name,
          kind,
          state: problem && kind === 'model' && at.owner !== undefined ? 'halted' : stateOf(track),
          position: at.position,
          head,
          lagEvents: behind ? await log.count(at.position, head) : 0,
          lagSeconds: next ? Math.max(0, (clock.now() - Date.parse(next.recordedAt)) / 1000) : 0,
          ...(at.owner !== undefined && { owner: at.owner, heartbeatSeconds: at.heartbeatAge }),
          ...(problem && { problem }),
          skips,
          parked,
        };
      }),
    );
  };

  return {
    start,
    stop,
    status,
    waitFor,
    wake: () => turn.abort(),
    retry: async (name) => {
      await store.note(named(name).projector.name, undefined);
      turn.abort();
    },
    skip: async (name, at, reason, by) => {
      named(name);
      const [{ problem }, parked] = await Promise.all([store.look(name), store.parked(name)]);
      const candidates = [problem?.position, ...parked.map(({ position }) => position.toString())].filter(Boolean);
      if (!candidates.includes(at.toString()))
        throw new RangeError(
          candidates.length === 0
            ? `${name} has met no event it can't apply`
            : `${name} waits at ${[...new Set(candidates)].join(', ')}, not at ${at}`,
        );
      await store.skip(name, at, reason, by);
      await store.note(name, undefined);
      turn.abort();
    },
    onMoved: (listener) => {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
  };
};
