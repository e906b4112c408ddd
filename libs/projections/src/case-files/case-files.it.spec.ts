import { evaluation, hazard, intervention, organisation, survey } from '@vigil/domain';
import { createPostgresLog, handleCommand, LOG_MIGRATIONS, type EventLog } from '@vigil/event-log';
import { connect, migrate, type SqlClient } from '@vigil/platform';
import { freshDatabase } from '@vigil/testing';
import { createProjections, PROJECTION_MIGRATIONS, type Projections } from '../index';
import { CASE_FILE_COMMUNITIES_MIGRATION } from './case-files';

let database: { url: string; drop(): Promise<void> };
let sql: SqlClient;
let log: EventLog;
let projections: Projections;

beforeAll(async () => {
  database = await freshDatabase();
  sql = connect(database.url, { applicationName: 'case-files-spec' });
  await migrate(sql, [...LOG_MIGRATIONS, ...PROJECTION_MIGRATIONS]);
  log = createPostgresLog({ sql });
  projections = createProjections({ sql, log, timeZone: 'Asia/Shanghai' });
  await projections.start();
});
afterAll(async () => {
  await projections.stop();
  await log.close();
  await sql.end({ timeout: 5 });
  await database.drop();
});

const give = async (file: unknown, id: string, ...steps: [type: string, data: object][]): Promise<void> => {
  for (const [at, [type, data]] of steps.entries()) {
    const done = await handleCommand(log, file as never, id, { type, data }, { commandId: `${id} ${at}`, metadata: {} });
    if (!done.ok) throw new Error(JSON.stringify(done.problem));
  }
};
const communities = async () =>
  (await sql`SELECT register, id, known_from, communities FROM read.case_files ORDER BY known_from`).map((row) => ({ ...row }));

test('what stood before the column was there is filled as the domain would have', async () => {
  const design = { name: 'n', domain: 'fire', targetGroup: 'all', outcomes: ['INC-01'], units: ['S-2', 'S-1'] };
  await give(
    intervention,
    'i',
    ['DesignIntervention', design],
    ['SelectPilotSite', { unit: 'S-1', reason: 'r' }],
    ['StartIntervention', { unit: 'S-1', startedOn: '2026-01-01' }],
    ['RollOut', { units: ['T-100', 'T-2', 'A-1'], startedOn: '2026-02-01' }], // by length in jsonb, by letter here
  );
  const text = { zh: '知道', en: 'aware' };
  const questions = [{ code: 'q', kind: 'knowledge', text, type: 'single', options: [{ code: 'y' }, { code: 'n' }] }];
  await give(survey, 's', ['DesignSurvey', { name: 'n', communities: ['S-2', 'S-1'], questions }]);
  await give(evaluation, 'e', ['OpenCycle', { criteriaSet: 'WHO-6', communities: ['S-3', 'S-1'], period: '2026' }]);
  const name = { zh: '某局', en: 'A bureau' };
  const own = { code: 'o', name, kind: 'fire', community: 'S-9', validFrom: '2010-01-01' };
  await give(
    organisation,
    'o',
    ['RegisterOrganisation', own],
    ['JoinProgramme', { community: 'S-2', role: 'lead', on: '2020-01-01' }],
    ['JoinProgramme', { community: 'S-9', role: 'feed', on: '2020-01-01' }],
    ['JoinProgramme', { community: 'S-1', role: 'feed', on: '2020-01-01' }],
  );
  await give(organisation, 'p', ['RegisterOrganisation', { code: 'p', name, kind: 'fire', validFrom: '2010-01-01' }]);
  const found = { community: 'S-1', domain: 'fire', description: 'd', identifiedAt: '2026-03-02' };
  await give(hazard, 'h', ['IdentifyHazard', found]);
  expect(await projections.waitFor(await log.head(), 10_000)).toBe(true);
  const told = await communities();
  expect(told.map((row) => [row['id'], row['communities']])).toEqual([
    ...Array(3).fill(['i', ['S-2', 'S-1']]),
    ['i', ['S-2', 'S-1', 'A-1', 'T-100', 'T-2']],
    ['s', ['S-2', 'S-1']],
    ['e', ['S-3', 'S-1']],
    ['o', ['S-9']],
    ['o', ['S-9', 'S-2']],
    ['o', ['S-9', 'S-2']],
    ['o', ['S-9', 'S-2', 'S-1']],
    ['p', []],
    ['h', ['S-1']],
  ]);
  await sql`ALTER TABLE read.case_files DROP COLUMN communities`;
  await sql.unsafe(CASE_FILE_COMMUNITIES_MIGRATION.sql);
  expect(await communities()).toEqual(told);
});

test('a community is looked up by its index', async () => {
  await sql.begin(async (tx) => {
    await tx`
      INSERT INTO read.case_files (register, id, known_from, revision, state, communities, body)
      SELECT 'survey', 'many-' || n, n, 0, 'designed', ARRAY['M-' || n % 500, 'M-' || n % 499], '{}' FROM generate_series(1, 20000) n`;
    await tx`ANALYZE read.case_files`;
    const plan = await tx`EXPLAIN SELECT id FROM read.case_files WHERE register = 'survey' AND communities @> ARRAY['M-7']`;
    expect(plan.map((row) => row['QUERY PLAN'] as string).join('\n')).toContain('case_files_by_communities');
    await tx`DELETE FROM read.case_files WHERE id LIKE 'many-%'`;
  });
});
