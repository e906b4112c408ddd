import type { RecordedEvent } from '@vigil/event-log';
import type { Broker, OutgoingRecord } from './broker';
import { EVENTS_TOPIC } from './record';

/**
 * An event of the log as others may read it: a CloudEvent in binary mode, keyed by its stream. The payload's bytes are the log's own.
 * `position` orders all events and tells one that came before: what stands at or below a position already seen is a repeat.
 */
export const publishedOf = (event: RecordedEvent): OutgoingRecord => {
  const { position, id, stream, revision, type, version, recordedAt, data, metadata } = event;
  return {
    topic: EVENTS_TOPIC,
    key: stream,
    value: data,
    headers: {
      ce_specversion: '1.0',
      ce_id: `${id}:${revision}`,
      ce_source: '/vigil',
      ce_type: type,
      ce_subject: stream,
      ce_time: recordedAt,
      'content-type': 'application/json',
      position: position.toString(),
      revision: String(revision),
      version: String(version),
      metadata,
    },
  };
};

/**
 * Publishes a page of the log: at least once, in order per stream, all of it durable when it resolves.
 * @throws BrokerUnavailable, RecordRefused: some may have been published
 */
export const createEventPublisher = (broker: Broker): ((events: readonly RecordedEvent[]) => Promise<void>) => {
  let made: Promise<void> | undefined;
  return async (events) => {
    // Not made by whoever may only write to it: then the sending says what is missing.
    await (made ??= broker.ensureTopic(EVENTS_TOPIC).catch(() => void (made = undefined)));
    await broker.send(events.map(publishedOf));
  };
};
