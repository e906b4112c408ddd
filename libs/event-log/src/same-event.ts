import type { RecordedEvent } from './event-log';
import { normalInstant } from './instant';

/** Whether two logs hold the same event: everything but the position, which is each log's own. */
export const sameEvent = (a: RecordedEvent, b: RecordedEvent): boolean =>
  a.stream === b.stream &&
  a.revision === b.revision &&
  a.type === b.type &&
  a.version === b.version &&
  normalInstant(a.recordedAt) === normalInstant(b.recordedAt) &&
  a.fingerprint === b.fingerprint &&
  a.data === b.data &&
  a.metadata === b.metadata;
