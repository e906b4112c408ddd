import { community, communityEvents, communityStream } from './community/community';
import type { EventType } from './event-type';
import { injury, injuryEvents, injuryStream } from './injury/injury';

const versionsOf = (events: Readonly<Record<string, EventType<string, never>>>): Record<string, number> =>
  Object.fromEntries(Object.values(events).map(({ name, version }) => [name, version]));

/** Every aggregate with its decider, its stream and the versions its events are written in. */
export const aggregates = {
  injury: { decider: injury, streamOf: injuryStream, versions: versionsOf(injuryEvents as never) },
  community: { decider: community, streamOf: communityStream, versions: versionsOf(communityEvents as never) },
} as const;
