import { aggregates, caseFiles } from '@vigil/domain';
import {
  createPostgresLog,
  handleCommand,
  LOG_MIGRATIONS,
  type AggregateType,
  type EventLog,
  type Position,
} from '@vigil/event-log';
import {
  createObservations,
  definitionsAt,
  parseObservationQuery,
  RELEASE_MIGRATIONS,
  type ChangesAnswer,
  type ChangesQuery,
  type ObservationAnswer,
  type Observations,
} from '@vigil/indicators';
import { connect, migrate, type SqlClient } from '@vigil/platform';
import { createProjections, PROJECTION_MIGRATIONS } from '@vigil/projections';
import { freshDatabase } from '@vigil/testing';

/** A log with its read models on a database of its own, told by commands and asked by query strings. */
export interface IndicatorWorld {
  readonly sql: SqlClient;
  readonly log: EventLog;
  readonly observations: Observations;
  send(aggregate: string, id: string, type: string, data: object): Promise<Position>;
  /** Everything sent is projected; gives the log's head. */
  settled(): Promise<Position>;
  ask(text: string): Promise<ObservationAnswer>;
  changes(text: string, ends: ChangesQuery): Promise<ChangesAnswer>;
  close(): Promise<void>;
}

export const TODAY = '2026-01-10';

export const indicatorWorld = async (name: string): Promise<IndicatorWorld> => {
  const database = await freshDatabase();
  const sql = connect(database.url, { applicationName: name });
  await migrate(sql, [...LOG_MIGRATIONS, ...PROJECTION_MIGRATIONS, ...RELEASE_MIGRATIONS]);
  const log = createPostgresLog({ sql });
  const projections = createProjections({ sql, log, timeZone: 'Asia/Shanghai' });
  await projections.start();
  const observations = createObservations({
    ...{ sql, log, timeZone: 'Asia/Shanghai', definitionsAt },
    now: () => new Date(`${TODAY}T04:00:00Z`),
  });
  let serial = 0;
  const read = async (text: string) => {
    const known = [...(await definitionsAt(sql, 2n ** 62n)).values()];
    const parsed = parseObservationQuery(new URLSearchParams(text), { today: TODAY, indicators: known });
    if (!parsed.ok) throw new Error(JSON.stringify(parsed.problems));
    return parsed.value;
  };
  return {
    sql,
    log,
    observations,
    send: async (aggregate, id, type, data) => {
      const of = (caseFiles.find((file) => file.name === aggregate) ??
        aggregates[aggregate as 'community']) as unknown as AggregateType<never, never, never>;
      const done = await handleCommand(log, of, id, { type, data } as never, { commandId: `c${++serial}`, metadata: {} });
      if (!done.ok) throw new Error(`${type} ${id}: ${JSON.stringify(done.problem)}`);
      return done.value.position!;
    },
    settled: async () => {
      const head = await log.head();
      if (!(await projections.waitFor(head, 20_000))) throw new Error(`the read models don't reach ${head}`);
      return head;
    },
    ask: async (text) => {
      const answer = await observations.answer(await read(text));
      if (!answer.ok) throw new Error(JSON.stringify(answer.problems));
      return answer.value;
    },
    changes: async (text, ends) => {
      const answer = await observations.changes(await read(text), ends);
      if (!answer.ok) throw new Error(JSON.stringify(answer.problems));
      return answer.value;
    },
    close: async () => {
      await projections.stop();
      await log.close();
      await sql.end({ timeout: 5 });
      await database.drop();
    },
  };
};
