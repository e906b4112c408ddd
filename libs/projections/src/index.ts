import { randomBytes } from 'node:crypto';
import { hostname } from 'node:os';
import type { EventLog } from '@vigil/event-log';
import type { Logger, SqlClient } from '@vigil/platform';
import { ACTIVITY_FACTS_MIGRATION, activityFactsProjector } from './activity-facts/activity-facts';
import { CASE_FILE_COMMUNITIES_MIGRATION, CASE_FILES_MIGRATION, caseFilesProjector } from './case-files/case-files';
import { CASUALTY_FACTS_MIGRATION, casualtyFactsProjector } from './casualty-facts/casualty-facts';
import { COMMUNITIES_MIGRATION, communitiesProjector } from './communities/communities';
import {
  INJURY_FACTS_MIGRATION,
  INJURY_INDEXES_MIGRATION,
  INJURY_POSITIONS_MIGRATION,
  injuryFactsProjector,
} from './injury-facts/injury-facts';
import { compareWithFold } from './independent-fold';
import { createPostgresStore } from './runtime/postgres-store';
import type { Projections } from './runtime/projections';
import type { Projector, ReadModel } from './runtime/projector';
import { createRebuilder, type RebuildCrashPoint } from './runtime/rebuild';
import { createRuntime, type RuntimeOptions } from './runtime/runtime';
import { OWNERS_MIGRATION, RUNTIME_MIGRATION } from './runtime/schema';
import { SURVEY_RESPONSES_MIGRATION, surveyResponsesProjector } from './survey-responses/survey-responses';

export type { Checked, DigestCheck, Projections, ProjectionStatus, Rebuilt, RebuildProgress } from './runtime/projections';
export type { Projector, ReadModel, Transaction } from './runtime/projector';
export type { Clock } from './runtime/clock';
export * from './runtime/store';
export { createPostgresStore, type PostgresProjectionStore } from './runtime/postgres-store';
export { createRuntime, type Runtime, type RuntimeOptions } from './runtime/runtime';
export { CannotApply } from './runtime/rebuild';
export { createReadModels, STILL_KNOWN, type CommunityRow, type ReadModels } from './communities/communities';
export {
  createFileViews,
  type FileCount,
  type FileName,
  type FileQuery,
  type FileRow,
  type FileViews,
} from './case-files/case-files';
export {
  createShareViews,
  type OrganisationShare,
  type ShareQuery,
  type Shares,
  type ShareViews,
} from './organisation-shares/organisation-shares';
export { factOf, type Fact } from './injury-facts/fact';
export {
  compareWithFold,
  foldLog,
  type CompareOptions,
  type Folded,
  type FoldedTable,
  type FoldOptions,
  type TableComparison,
} from './independent-fold';

/** Steps of the read models' schema, for the migration runner. */
export const PROJECTION_MIGRATIONS = [
  RUNTIME_MIGRATION,
  COMMUNITIES_MIGRATION,
  INJURY_FACTS_MIGRATION,
  INJURY_INDEXES_MIGRATION,
  OWNERS_MIGRATION,
  CASE_FILES_MIGRATION,
  SURVEY_RESPONSES_MIGRATION,
  ACTIVITY_FACTS_MIGRATION,
  CASUALTY_FACTS_MIGRATION,
  CASE_FILE_COMMUNITIES_MIGRATION,
  INJURY_POSITIONS_MIGRATION,
] as const;

export interface ProjectionsOptions {
  readonly sql: SqlClient;
  /** For statements that take as long as their tables are large, of rebuilds and checks; default: `sql`. */
  readonly rebuildSql?: SqlClient;
  readonly log: EventLog;
  /** IANA name; the calendar by which instants become days. */
  readonly timeZone: string;
  readonly logger?: Logger;
  readonly crashPoint?: (name: Parameters<NonNullable<RuntimeOptions<unknown>['crashPoint']>>[0] | RebuildCrashPoint) => void;
  /** Besides the engine's own; effects such as publishing. */
  readonly more?: readonly (ReadModel | Projector)[];
}

/** Every read model of the engine, following one log. */
export const createProjections = ({
  sql,
  rebuildSql = sql,
  log,
  timeZone,
  logger,
  crashPoint,
  more = [],
}: ProjectionsOptions): Projections => {
  const store = createPostgresStore({ sql });
  const projectors: (ReadModel | Projector)[] = [
    communitiesProjector,
    injuryFactsProjector({ log, timeZone }),
    caseFilesProjector({ timeZone }),
    surveyResponsesProjector,
    activityFactsProjector({ log }),
    casualtyFactsProjector({ log, timeZone }),
    ...more,
  ];
  const owner = `${hostname()}:${process.pid}:${randomBytes(4).toString('hex')}`;
  const { wake, ...runtime } = createRuntime({ store, log, projectors, owner, logger, crashPoint });
  const rebuilder = createRebuilder({ sql: rebuildSql, log, store, crashPoint });
  const models = projectors.filter((each): each is ReadModel => 'tables' in each);
  const chosen = (name: string | undefined): ReadModel[] => {
    const found = models.filter((model) => name === undefined || model.name === name);
    if (found.length === 0)
      throw new RangeError(`there is no read model ${name}; there are ${models.map((m) => m.name).join(', ')}`);
    return found;
  };
  return {
    ...runtime,
    stop: async () => {
      await runtime.stop();
      await store.close();
    },
    rebuild: async (name, progress = () => undefined) => {
      const rebuilt = [];
      for (const model of chosen(name)) {
        rebuilt.push(await rebuilder.rebuild(model, progress));
        wake();
      }
      return rebuilt;
    },
    check: async (name) => {
      const tables = await compareWithFold({
        sql: rebuildSql,
        log,
        timeZone,
        projections: name === undefined ? undefined : [chosen(name)[0]!.name],
      });
      return chosen(name)
        .map((model) => ({ model, own: tables.filter(({ projection }) => projection === model.name) }))
        .filter(({ own }) => own.length > 0)
        .map(({ model, own }) => ({
          name: model.name,
          position: own[0]!.position.toString(),
          equal: own.every(({ missing, surplus, different }) => missing + surplus + different === 0),
          tables: own.map(({ table, rows, missing, surplus, different, first }) => ({
            table,
            rows,
            missing,
            surplus,
            different,
            ...(first && { first }),
          })),
        }));
    },
    goBack: async (name) => {
      await rebuilder.goBack(chosen(name)[0]!);
      wake();
    },
  };
};
