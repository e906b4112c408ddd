import {
  aggregates,
  CODED_FIELDS,
  overlap,
  type CommunityEvent,
  type InjuryRecord,
  type InjuryState,
  type PopulationCell,
} from '@vigil/domain';
import { position, type RecordedEvent } from '@vigil/event-log';
import type { ChangesQuery, ObservationQuery } from '@vigil/indicators';
import { canonical } from '@vigil/vocabulary';
import type { Engine } from './engine';

/** A position as JSON has it: a number while numbers are exact. */
export const wirePosition = (at: bigint | string): number | string => {
  const value = BigInt(at);
  return value <= BigInt(Number.MAX_SAFE_INTEGER) ? Number(value) : value.toString();
};

export const eventView = ({ position: at, id, stream, revision, type, version, recordedAt, data, metadata }: RecordedEvent) => ({
  position: wirePosition(at),
  id,
  stream,
  revision,
  type,
  version,
  recordedAt,
  data: JSON.parse(data) as unknown,
  metadata: JSON.parse(metadata) as unknown,
});

/** The canonical codes that a record's own codes mean. */
const canonicalOf = (record: InjuryRecord): Record<string, string> =>
  Object.fromEntries(
    CODED_FIELDS.filter((field) => record[field] !== undefined).map((field) => [field, canonical(field, record[field])]),
  );

/** One thing by its id, as the log had it at a position; absent: now. */
export interface OnePast {
  readonly id: string;
  readonly at?: bigint | undefined;
}

const injuryAt = async ({ log }: Engine, id: string, at: bigint | undefined) => {
  const { decider, streamOf, read } = aggregates.injury;
  const events = (await log.readStream(streamOf(id))).filter(({ position: each }) => at === undefined || each <= at);
  const state = events.reduce<InjuryState>((before, event) => decider.evolve(before, read(event)), decider.initialState);
  return { state, events };
};

/** What was last decided about each other report. */
export const linksOf = ({ decisions }: Exclude<InjuryState, { status: 'none' }>) =>
  [...decisions].map(([other, { linked, by }]) => ({ other, linked, decidedBy: by }));

/** One community as its stream tells it; a population cell stands until a later one speaks of some of the same people. */
const communityView = (events: readonly RecordedEvent[]) => {
  let boundary: unknown;
  let retired: unknown;
  let registered: Extract<CommunityEvent, { type: 'CommunityRegistered' }>['data'] | undefined;
  const populations = new Map<number, PopulationCell[]>();
  const exposures = new Map<string, { year: number; kind: string; amount: number }>();
  for (const recorded of events) {
    const event = aggregates.community.read(recorded);
    switch (event.type) {
      case 'CommunityRegistered':
        registered = event.data;
        break;
      case 'CommunityBoundaryDrawn':
        boundary = event.data;
        break;
      case 'CommunityRetired':
        retired = event.data;
        break;
      case 'PopulationRecorded': {
        const { year, cells } = event.data;
        const standing = (populations.get(year) ?? []).filter((old) => !cells.some((cell) => overlap(old, cell)));
        populations.set(year, [...standing, ...cells]);
        break;
      }
      case 'ExposureRecorded': {
        const { year, kind, amount } = event.data;
        exposures.set(`${year} ${kind}`, { year, kind, amount });
      }
    }
  }
  const last = events.at(-1)!;
  return {
    ...registered!,
    parent: registered!.parent ?? null,
    groups: registered!.groups ?? [],
    status: retired ? 'retired' : 'registered',
    ...(boundary !== undefined && { boundary }),
    ...(retired !== undefined && { retirement: retired }),
    populationYears: [...populations.keys()].sort((a, b) => a - b),
    populations: [...populations].sort(([a], [b]) => a - b).map(([year, cells]) => ({ year, cells })),
    exposures: [...exposures.values()],
    revision: last.revision,
    position: wirePosition(last.position),
  };
};

/**
 * Every question by name. One thing by its id is folded from its stream: milliseconds, and never behind a write.
 * Lists and numbers come from the read models.
 */
export const queries = {
  communities: (engine: Engine, _: undefined) => engine.readModels.communities(),
  community: async (engine: Engine, code: string) => {
    const events = await engine.log.readStream(aggregates.community.streamOf(code));
    return events.length === 0 ? undefined : communityView(events);
  },
  injury: async (engine: Engine, { id, at }: OnePast) => {
    const { state, events } = await injuryAt(engine, id, at);
    if (state.status === 'none') return undefined;
    const last = events.at(-1)!;
    return {
      id,
      status: state.status,
      revision: last.revision,
      position: wirePosition(last.position),
      record: state.record,
      canonical: canonicalOf(state.record),
      links: linksOf(state),
      recordedAt: events[0]!.recordedAt,
      changedAt: last.recordedAt,
    };
  },
  injuryEvents: async (engine: Engine, { id, at }: OnePast) => (await injuryAt(engine, id, at)).events,
  observations: (engine: Engine, query: ObservationQuery) => engine.observations.answer(query),
  observationChanges: (engine: Engine, { query, ends }: { readonly query: ObservationQuery; readonly ends: ChangesQuery }) =>
    engine.observations.changes(query, ends),
  events: (engine: Engine, { after, limit }: { after: bigint; limit: number }) =>
    engine.log.readAll({ after: position(after), limit }),
  projections: (engine: Engine, _: undefined) => engine.projections.status(),
  feeds: (engine: Engine, _: undefined) => engine.feeds.all(),
  feed: (engine: Engine, feed: string) => engine.feeds.one(feed),
  job: (engine: Engine, id: string) => engine.jobs.get(id),
} as const;
export type Queries = typeof queries;
