import { community, communityEvents, communityStream, type CommunityEvent } from './community/community';
import { eventReader, type EventType } from './event-type';
import { injury, injuryEvents, injuryStream, type InjuryEvent } from './injury/injury';

const versionsOf = (events: Readonly<Record<string, EventType<string, never>>>): Record<string, number> =>
  Object.fromEntries(Object.values(events).map(({ name, version }) => [name, version]));

/** Stored events of one aggregate in their current versions. @throws UnreadableEvent */
export const readInjuryEvent = eventReader<InjuryEvent>(injuryEvents as never);
export const readCommunityEvent = eventReader<CommunityEvent>(communityEvents as never);

/** Every aggregate with its decider, its stream, the versions its events are written in and how stored ones are read. */
export const aggregates = {
  injury: { decider: injury, streamOf: injuryStream, versions: versionsOf(injuryEvents as never), read: readInjuryEvent },
  community: {
    decider: community,
    streamOf: communityStream,
    versions: versionsOf(communityEvents as never),
    read: readCommunityEvent,
  },
} as const;
