import {
  createCoalescer,
  createTail,
  NotOffered,
  sendUntilKnown,
  START,
  type AppendOutcome,
  type AppendRequest,
  type EventLog,
  type RecordedEvent,
} from '@vigil/event-log';
import type { Process } from '@vigil/testing';
import type { Database } from './database';

const DEADLINE = 15_000;
const POLL = 500;

/** Marks the streams that the mutant `park-knows-no-streams` invents. */
export const ALIAS = '#';

export interface SimulatedLogOptions {
  readonly process: Process;
  readonly database: Database;
  readonly crashPoint: (name: string) => void;
  /** Whether this process reads what is new. */
  readonly follows: boolean;
  /** For a mutant: each event read in order seems to have a stream of its own. */
  readonly alias: boolean;
}

/** The PostgreSQL log with its own coalescer, sending loop and tail, over the simulated database. */
export const createSimulatedLog = ({ process, database, crashPoint, follows, alias }: SimulatedLogOptions): EventLog => {
  const { clock } = process;
  const write = async (batch: readonly AppendRequest[]): Promise<AppendOutcome[]> => {
    const outcomes = await sendUntilKnown<AppendOutcome[]>({
      deadlineMs: DEADLINE,
      time: { now: clock.now, sleep: clock.sleep, within: process.within },
      crashPoint,
      send: () => process.call('append', (reply, fail) => database.append(batch, reply, fail)),
    });
    if (outcomes.some(({ kind }) => kind === 'appended')) {
      tail.wakeAll();
      // Heard by the others or not: they poll.
      process.tell('notify', () => database.notify());
    }
    return outcomes;
  };
  const coalescer = createCoalescer({ write, soon: process.soon, maxRequests: 8 });

  const seen = (events: RecordedEvent[]): RecordedEvent[] =>
    alias ? events.map((event) => ({ ...event, stream: `${event.stream}${ALIAS}${event.revision}` })) : events;
  const tail = createTail({
    pollMs: POLL,
    readAll: ({ after, limit }) => database.ask(process, 'read', () => seen(database.readAll(after, limit))),
    timer: (ms, wake) => {
      let cancelled = false;
      void clock.sleep(ms).then(() => {
        if (!cancelled) wake();
      });
      return () => void (cancelled = true);
    },
  });
  if (follows) database.listen(process, tail.wakeAll);

  return {
    guarantees: { uniqueIds: 'log', atomicAcrossStreams: true },
    append: coalescer.append,
    appendMany: coalescer.appendMany,
    appendAtomic: () => Promise.reject(new NotOffered('not simulated')),
    restore: () => Promise.reject(new NotOffered('not simulated')),
    readStream: (stream, { from = 0, limit = Infinity } = {}) =>
      database.ask(process, 'read stream', () => {
        const [name, revision] = stream.split(ALIAS);
        const events = database.streams.get(name!) ?? [];
        return revision === undefined ? events.slice(from, from + limit) : seen([events[Number(revision)]!]);
      }),
    readAll: ({ after, limit }) => database.ask(process, 'read', () => database.readAll(after, limit)),
    head: () => database.ask(process, 'head', () => database.head()),
    positionAt: (instant) =>
      database.ask(
        process,
        'position at',
        () => database.events.findLast((event) => event.recordedAt <= instant)?.position ?? START,
      ),
    count: (after, upTo) => database.ask(process, 'count', () => database.count(after, upTo)),
    subscribe: tail.subscribe,
    close: async () => {
      tail.close();
      await coalescer.drained();
    },
  };
};
