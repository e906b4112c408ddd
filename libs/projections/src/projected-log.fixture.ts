import { createPostgresLog, LOG_MIGRATIONS, type EventLog } from '@vigil/event-log';
import { connect, migrate, type SqlClient } from '@vigil/platform';
import { freshDatabase } from '@vigil/testing';
import { createProjections, PROJECTION_MIGRATIONS, type Projections } from './index';

/** A log with its read models following it, on a database of its own. */
export interface ProjectedLog {
  readonly url: string;
  readonly sql: SqlClient;
  readonly log: EventLog;
  readonly projections: Projections;
  close(): Promise<void>;
}

export const projectedLog = async (name: string): Promise<ProjectedLog> => {
  const database = await freshDatabase();
  const sql = connect(database.url, { applicationName: name });
  await migrate(sql, [...LOG_MIGRATIONS, ...PROJECTION_MIGRATIONS]);
  const log = createPostgresLog({ sql });
  const projections = createProjections({ sql, log, timeZone: 'Asia/Shanghai' });
  await projections.start();
  return {
    ...{ url: database.url, sql, log, projections },
    close: async () => {
      await projections.stop();
      await log.close();
      await sql.end({ timeout: 5 });
      await database.drop();
    },
  };
};
