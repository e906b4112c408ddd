import { alert, detectionRun } from './alert/alert';
import type { CaseFile } from './case-file';
import { community, communityEvents, communityStream, type CommunityEvent } from './community/community';
import { evaluation } from './evaluation/evaluation';
import { eventReader, type EventType } from './event-type';
import { hazard } from './hazard/hazard';
import { incident } from './incident/incident';
import { indicator } from './indicator/indicator';
import { injury, injuryEvents, injuryStream, type InjuryEvent } from './injury/injury';
import { inspection } from './inspection/inspection';
import { intervention } from './intervention/intervention';
import { organisation } from './organisation/organisation';
import { place } from './place/place';
import { survey } from './survey/survey';

const versionsOf = (events: Readonly<Record<string, EventType<string, never>>>): Record<string, number> =>
  Object.fromEntries(Object.values(events).map(({ name, version }) => [name, version]));

/** Stored events of one aggregate in their current versions. @throws UnreadableEvent */
export const readInjuryEvent = eventReader<InjuryEvent>(injuryEvents as never);
export const readCommunityEvent = eventReader<CommunityEvent>(communityEvents as never);

/** The registers of case files. A new one is added here; its routes, read model, timeline and diagrams follow. */
export const caseFiles: readonly CaseFile[] = [
  hazard,
  organisation,
  place,
  incident,
  inspection,
  intervention,
  survey,
  evaluation,
  indicator,
  alert,
  detectionRun,
] as never;

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

/** Every event type there is, by name. */
export const eventTypes: Readonly<Record<string, EventType>> = Object.assign(
  {},
  injuryEvents,
  communityEvents,
  ...caseFiles.map(({ events }) => events),
);
