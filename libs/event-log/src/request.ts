import { isUuid } from '@vigil/vocabulary';
import type { AppendRequest, NewEvent, RecordedEvent } from './event-log';
import { fractionDigits, isBefore } from './instant';

// PostgreSQL's text holds neither NUL nor half a surrogate pair, and U+001E parts the texts of a batch on the wire.
const isStorable = (text: string): boolean =>
  text !== '' && !text.includes('\u0000') && !text.includes('\u001e') && text.isWellFormed();

const check = (holds: boolean, what: string): void => {
  if (!holds) throw new RangeError(what);
};
const isRevision = (value: unknown): boolean => Number.isSafeInteger(value) && (value as number) >= 0;

const checkStream = (stream: string): void =>
  check(isStorable(stream), 'the stream id is empty or holds NUL, U+001E or half a character');

const checkEvent = ({ id, type, version, fingerprint, data, metadata }: NewEvent): void => {
  check(isUuid(id) && isUuid(fingerprint), 'event id and fingerprint are lower-case UUIDs');
  check(Number.isInteger(version) && version > 0 && version < 32_768, `${version} is no event version`);
  check(
    isStorable(type) && isStorable(data) && isStorable(metadata),
    `event ${id} has an empty text, or one that holds NUL, U+001E or half a character`,
  );
};

/**
 * Refuses what no store could keep, before it is tried: inside a batch it would take its neighbours down with it.
 * @throws RangeError a fault of the caller, not an outcome
 */
export const checkRequest = ({ stream, expected, events }: AppendRequest): void => {
  check(events.length > 0, 'an append needs at least one event');
  checkStream(stream);
  check(typeof expected === 'string' || isRevision(expected), `${expected} is no revision`);
  events.forEach(checkEvent);
  check(
    events.length === 1 || new Set(events.map(({ id }) => id)).size === events.length,
    'an event id stands twice in a request',
  );
};

/** Checks each, and that no two name the same stream or event. @throws RangeError */
export const checkAtomic = (requests: readonly AppendRequest[]): void => {
  requests.forEach(checkRequest);
  const ids = requests.flatMap(({ events }) => events.map(({ id }) => id));
  if (new Set(requests.map(({ stream }) => stream)).size < requests.length)
    throw new RangeError('a stream is named by two requests');
  if (new Set(ids).size < ids.length) throw new RangeError('an event id stands in two requests');
};

/** Most events of one restore. */
export const MOST_RESTORED = 10_000;

/**
 * Checks each event of a restore, and that they could follow each other in one log: ids are distinct, instants don't go back,
 * revisions rise by one within a stream.
 * @throws RangeError
 */
export const checkRestore = (events: readonly RecordedEvent[]): void => {
  check(events.length <= MOST_RESTORED, `a restore takes at most ${MOST_RESTORED} events, not ${events.length}`);
  const ids = new Set<string>();
  const revisions = new Map<string, number>();
  events.forEach((event, index) => {
    const { id, stream, revision, recordedAt } = event;
    checkEvent(event);
    checkStream(stream);
    check(!ids.has(id), `event id ${id} stands twice in a restore`);
    ids.add(id);
    check(isRevision(revision), `${revision} is no revision`);
    const before = revisions.get(stream);
    check(before === undefined || revision === before + 1, `event ${id}: revision ${revision} follows ${before} in its stream`);
    revisions.set(stream, revision);
    check((fractionDigits(recordedAt) ?? 7) <= 6, `event ${id}: ${recordedAt} is no UTC instant in microseconds`);
    check(
      index === 0 || !isBefore(recordedAt, events[index - 1]!.recordedAt),
      `event ${id} was recorded before the one it follows`,
    );
  });
};
