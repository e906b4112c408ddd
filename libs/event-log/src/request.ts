import { isUuid } from '@vigil/vocabulary';
import type { AppendRequest } from './event-log';

// PostgreSQL's text holds neither NUL nor half a surrogate pair, and U+001E parts the texts of a batch on the wire.
const isStorable = (text: string): boolean =>
  text !== '' && !text.includes('\u0000') && !text.includes('\u001e') && text.isWellFormed();

/**
 * Refuses what no store could keep, before it is tried: inside a batch it would take its neighbours down with it.
 * @throws RangeError a fault of the caller, not an outcome
 */
export const checkRequest = ({ stream, expected, events }: AppendRequest): void => {
  const check = (holds: boolean, what: string): void => {
    if (!holds) throw new RangeError(what);
  };
  check(events.length > 0, 'an append needs at least one event');
  check(isStorable(stream), 'the stream id is empty or holds NUL, U+001E or half a character');
  check(typeof expected === 'string' || (Number.isSafeInteger(expected) && expected >= 0), `${expected} is no revision`);
  for (const { id, type, version, fingerprint, data, metadata } of events) {
    check(isUuid(id) && isUuid(fingerprint), 'event id and fingerprint are lower-case UUIDs');
    check(Number.isInteger(version) && version > 0 && version < 32_768, `${version} is no event version`);
    check(
      isStorable(type) && isStorable(data) && isStorable(metadata),
      `event ${id} has an empty text, or one that holds NUL, U+001E or half a character`,
    );
  }
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
