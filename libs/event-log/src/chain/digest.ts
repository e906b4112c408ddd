import { hash } from 'node:crypto';
import type { RecordedEvent } from '../event-log';
import { normalInstant } from '../instant';

/** First field of every event's encoding: another kind of record, or another format, can't have the same bytes. */
const EVENT_TAG = 'vigil.event.1';

/** Before the first event. */
export const NO_EVENTS: Buffer = Buffer.alloc(32);

/**
 * The bytes of an event that its digest is over: ten texts in a fixed order, each as its length in bytes (4 bytes, big-endian) and
 * its UTF-8. The position isn't among them, for it belongs to the store. docs/reference/log-chain.md is the format for other languages.
 */
export const encodeEvent = (event: Omit<RecordedEvent, 'position'>): Buffer => {
  const fields = [
    EVENT_TAG,
    event.id,
    event.stream,
    String(event.revision),
    event.type,
    String(event.version),
    normalInstant(event.recordedAt),
    event.fingerprint,
    event.data,
    event.metadata,
  ];
  // Three bytes of UTF-8 are the most that one unit of UTF-16 becomes: sizing by that costs less than measuring first.
  let most = 0;
  for (const field of fields) most += 4 + field.length * 3;
  const bytes = Buffer.allocUnsafe(most);
  let at = 0;
  for (const field of fields) {
    const length = bytes.write(field, at + 4, 'utf8');
    bytes.writeUInt32BE(length, at);
    at += 4 + length;
  }
  return bytes.subarray(0, at);
};

/** SHA-256 of {@link encodeEvent}; 32 bytes. */
export const eventDigest = (event: Omit<RecordedEvent, 'position'>): Buffer => hash('sha256', encodeEvent(event), 'buffer');

/** The chain's next value: SHA-256 over the one before and the event's digest; 32 bytes. */
export const chained = (before: Uint8Array, digest: Uint8Array): Buffer =>
  hash('sha256', Buffer.concat([before, digest]), 'buffer');

/** A chain that grows. */
export const createChain = (from: { readonly head: Buffer; readonly events: number } = { head: NO_EVENTS, events: 0 }) => {
  let { head, events } = from;
  return {
    /** Adds an event and answers its digest. */
    add: (event: Omit<RecordedEvent, 'position'>): Buffer => {
      const digest = eventDigest(event);
      head = chained(head, digest);
      events++;
      return digest;
    },
    get head(): Buffer {
      return head;
    },
    get events(): number {
      return events;
    },
  };
};
export type Chain = ReturnType<typeof createChain>;
