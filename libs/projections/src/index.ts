import type { EventLog } from '@vigil/event-log';
import type { Logger, SqlClient } from '@vigil/platform';
import { COMMUNITIES_MIGRATION, communitiesProjector } from './communities/communities';
import { INJURY_FACTS_MIGRATION, INJURY_INDEXES_MIGRATION, injuryFactsProjector } from './injury-facts/injury-facts';
import type { Projections } from './runtime/projections';
import { createRuntime, type RuntimeOptions } from './runtime/runtime';
import { RUNTIME_MIGRATION } from './runtime/schema';

export type { ProjectionStatus, Projections, RebuildProgress } from './runtime/projections';
export type { Projector, Transaction } from './runtime/projector';
export { createRuntime, type RuntimeOptions } from './runtime/runtime';
export { createReadModels, STILL_KNOWN, type CommunityRow, type ReadModels } from './communities/communities';
export { factOf, type Fact } from './injury-facts/fact';

/** Steps of the read models' schema, for the migration runner. */
export const PROJECTION_MIGRATIONS = [
  RUNTIME_MIGRATION,
  COMMUNITIES_MIGRATION,
  INJURY_FACTS_MIGRATION,
  INJURY_INDEXES_MIGRATION,
] as const;

export interface ProjectionsOptions {
  readonly sql: SqlClient;
  readonly log: EventLog;
  /** IANA name; the calendar by which instants become days. */
  readonly timeZone: string;
  readonly logger?: Logger;
  readonly crashPoint?: RuntimeOptions['crashPoint'];
}

/** Every read model of the engine, following one log. */
export const createProjections = ({ sql, log, timeZone, logger, crashPoint }: ProjectionsOptions): Projections =>
  createRuntime({ sql, log, logger, crashPoint, projectors: [communitiesProjector, injuryFactsProjector({ log, timeZone })] });
