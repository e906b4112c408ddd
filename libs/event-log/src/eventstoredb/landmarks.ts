import { START, type Position, type RecordedEvent } from '../event-log';
import { isBefore } from '../instant';

interface Landmark {
  /** Of an event, or START. */
  readonly position: Position;
  /** How many events stand up to here. */
  readonly ordinal: number;
  readonly recordedAt: string;
}

/** A short way is counted on foot. */
const ON_FOOT = 4;

/**
 * Finds its way in a log that can only be read from positions that exist: a sparse index in memory, made by reading the log once
 * from its beginning and from then on only what is new, the first time a question needs it.
 * @param every one landmark for so many events: ten million events take ten thousand of them, about a megabyte
 */
export const createLandmarks = (readAfter: (after: Position, limit: number) => Promise<RecordedEvent[]>, every = 1000) => {
  const marks: Landmark[] = [{ position: START, ordinal: 0, recordedAt: '' }];
  let end: Landmark = marks[0]!;
  let walking: Promise<void> = Promise.resolve();

  const walk = async (upTo: Position): Promise<void> => {
    while (end.position < upTo) {
      const page = await readAfter(end.position, every);
      const last = page.at(-1);
      if (!last) return;
      end = { position: last.position, ordinal: end.ordinal + page.length, recordedAt: last.recordedAt };
      if (end.ordinal - marks.at(-1)!.ordinal >= every) marks.push(end);
    }
  };
  /** One walk at a time; who comes while one is under way goes on where it ended. */
  const known = (upTo: Position): Promise<void> => (walking = walking.catch(() => undefined).then(() => walk(upTo)));

  /** The last landmark for which it holds; it holds for the first ones up to some place. */
  const lastWhere = (holds: (mark: Landmark) => boolean): Landmark => {
    let [low, high] = [0, marks.length - 1];
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if (holds(marks[middle]!)) low = middle;
      else high = middle - 1;
    }
    return marks[low]!;
  };

  /** From a landmark onwards while it holds: where that ends, and how many events it was. */
  const onwards = async (from: Landmark, holds: (event: RecordedEvent) => boolean): Promise<{ at: Position; events: number }> => {
    let [at, events]: [Position, number] = [from.position, 0];
    for (;;) {
      const page = await readAfter(at, every);
      const stop = page.findIndex((event) => !holds(event));
      const within = stop < 0 ? page.length : stop;
      if (within > 0) at = page[within - 1]!.position;
      events += within;
      if (within < every) return { at, events };
    }
  };

  /** The last landmark at or before a position. */
  const before = async (wanted: Position): Promise<Landmark> => {
    await known(wanted);
    return lastWhere(({ position }) => position <= wanted);
  };

  const ordinal = async (wanted: Position): Promise<number> => {
    const mark = await before(wanted);
    return mark.ordinal + (await onwards(mark, ({ position }) => position <= wanted)).events;
  };

  return {
    /** The last event at or before a position. */
    floor: async (wanted: Position): Promise<Position> =>
      (await onwards(await before(wanted), ({ position }) => position <= wanted)).at,
    /** Number of events in (after, upTo]. */
    count: async (after: Position, upTo: Position): Promise<number> => {
      let [at, events]: [Position, number] = [after, 0];
      if (after >= upTo) return 0;
      for (let page = 0; page < ON_FOOT; page++) {
        const read = await readAfter(at, every);
        const within = read.filter(({ position }) => position <= upTo).length;
        events += within;
        if (within < every) return events;
        at = read.at(-1)!.position;
      }
      return (await ordinal(upTo)) - (await ordinal(after));
    },
    /** The last position recorded at or before a UTC instant, in a log that reaches at least to `head`. */
    at: async (instant: string, head: Position): Promise<Position> => {
      await known(head);
      const byThen = ({ recordedAt }: { readonly recordedAt: string }): boolean =>
        recordedAt === '' || !isBefore(instant, recordedAt);
      return (await onwards(lastWhere(byThen), byThen)).at;
    },
  };
};
