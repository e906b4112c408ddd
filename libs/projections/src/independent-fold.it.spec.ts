import {
  aggregates,
  caseFiles,
  communityCommands,
  incident,
  injuryCommands,
  intervention,
  survey,
  type CaseFile,
  type FileState,
} from '@vigil/domain';
import { handleCommand, type EventLog } from '@vigil/event-log';
import { type SqlClient } from '@vigil/platform';
import { workload } from '@vigil/testing';
import { compareWithFold, type TableComparison } from './independent-fold';
import { STILL_KNOWN, type Projections } from './index';
import { projectedLog, type ProjectedLog } from './projected-log.fixture';

jest.setTimeout(60_000);

const timeZone = 'Asia/Shanghai';
let world: ProjectedLog;
let sql: SqlClient;
let log: EventLog;
let projections: Projections;

beforeAll(async () => {
  world = await projectedLog('fold-test');
  ({ sql, log, projections } = world);
  await askPeople();
  await holdActivities();
  await haveAccidents();
});

afterAll(() => world.close());

/** Sends steps of a workload as the API would; answers how many changed something. */
const work = async (seed: number, from: number, to: number): Promise<number> => {
  const { at } = workload(seed);
  let done = 0;
  for (let step = from; step < to; step++) {
    const { aggregate, id, command, commandId } = at(step);
    const file = caseFiles.find(({ name }) => name === aggregate);
    const type = command.type as keyof typeof injuryCommands;
    const schema = file?.steps[type]?.schema ?? { ...injuryCommands, ...communityCommands }[type];
    const given = { type, data: schema.parse(command.data) };
    const kind = file ?? aggregates[aggregate as 'injury'];
    const result = await handleCommand(log, kind as never, id, given, { commandId, metadata: {} });
    if (result.ok) done++;
  }
  return done;
};
/** A survey with responses in every shape, one of them sent twice. */
const askPeople = async (): Promise<void> => {
  const text = { zh: '知道', en: 'aware' };
  const questions = [
    { code: 'q1', kind: 'knowledge', text, type: 'single', options: [{ code: 'yes' }, { code: 'no' }] },
    { code: 'q2', kind: 'satisfaction', text, type: 'scale', from: 1, to: 5 },
  ];
  const whole = {
    id: 'r-1',
    community: 'S-1',
    stratum: 'old',
    cluster: 'h "1"',
    weight: 0.1 + 0.2,
    answers: { q2: 4, q1: 'yes' },
  };
  const steps: [type: string, data: object][] = [
    [
      'DesignSurvey',
      { name: '知晓率', communities: ['S-1'], questions, strata: [{ code: 'old' }], clusters: true, weights: true },
    ],
    ['OpenWave', { wave: 1, opensOn: '2026-01-01' }],
    ['RecordResponses', { wave: 1, responses: [whole, { ...whole, id: 'r-2', answers: {} }] }],
    [
      'RecordResponses',
      {
        wave: 1,
        responses: [
          { ...whole, weight: 9 },
          { ...whole, id: 'r-3', weight: 1e-7 },
        ],
      },
    ],
  ];
  await give(survey, 'known', steps);
};
const give = async <S extends FileState>(
  file: CaseFile<S>,
  id: string,
  steps: readonly [type: string, data: object][],
): Promise<void> => {
  for (const [at, [type, data]] of steps.entries()) {
    const given = { type, data: file.steps[type]!.schema.parse(data) };
    const done = await handleCommand(log, file as never, id, given, { commandId: `${file.name} ${id} ${at}`, metadata: {} });
    if (!done.ok) throw new Error(JSON.stringify(done.problem));
  }
};
/** Activities with and without everything they may have. */
const holdActivities = async (): Promise<void> => {
  const design = { name: 'n', domain: 'fire', targetGroup: 'all', outcomes: ['INC-01'], units: ['C-1', 'C-2'] };
  const attendance = [
    { group: '老人 “65+”', persons: 40, expected: 50 },
    { group: 'children', persons: 0 },
  ];
  await give(intervention, 'held', [
    ['DesignIntervention', design],
    ['HoldActivity', { kind: 'exchange', heldOn: '2026-03-02', organisations: ['police', 'fire', 'police'] }],
    ['HoldActivity', { kind: 'drill', setting: 'school', heldOn: '2026-03-03', unit: 'C-1', attendance }],
    [
      'HoldActivity',
      {
        kind: 'pledge',
        setting: 'household',
        heldOn: '2026-03-04',
        unit: 'C-2',
        pledges: [
          { count: 3, expiresOn: '2027-03-04', signedBy: 'z' },
          { count: 2, expiresOn: '2026-12-31' },
        ],
      },
    ],
  ]);
};
/** Incidents corrected, with injuries attached and removed, retracted. */
const haveAccidents = async (): Promise<void> => {
  const injuryId = '6f1c2a52-7f0e-5b7e-9d0a-4f6f0a3b1c11';
  const one = { id: '1', role: 'driver', age: { value: 34, unit: 'year' }, sex: 'M', severity: { scale: 'KABCO', value: 'A' } };
  const two = { id: '2', role: 'passenger', daysToDeath: 9, injuryId };
  const report = { kind: 'crash', community: 'C-1', knownAt: '2026-03-03', occurredAt: '2026-03-01T16:30:00Z' };
  const casualties = [one, two];
  await give(incident, 'crash-1', [
    ['ReportIncident', { ...report, casualties }],
    ['DetachInjury', { injuryId, reason: 'r' }],
    ['AttachInjury', { injuryId, casualtyId: '1' }],
    ['CorrectIncident', { replaces: { community: 'C-2', casualties: [one, { id: '3', role: 'unknown' }] }, reason: 'r' }],
  ]);
  await give(incident, 'crash-2', [
    ['ReportIncident', report],
    ['CorrectIncident', { replaces: { casualties: [one] }, reason: 'r' }],
    ['RetractIncident', { reason: 'r' }],
  ]);
};
const settled = async (): Promise<void> => expect(await projections.waitFor(await log.head(), 30_000)).toBe(true);
const broken = (all: readonly TableComparison[]) => all.filter(({ first }) => first);
const equal = (all: readonly TableComparison[]): void => {
  expect(broken(all)).toEqual([]);
  for (const { rows, expected } of all) expect([rows, rows > 0]).toEqual([expected, true]);
};

test.each([1, 2, 3])('whatever happened, the read models hold what the fold says (seed %i)', async (seed) => {
  expect(await work(seed, 0, 500)).toBeGreaterThan(250);
  await settled();
  equal(await compareWithFold({ sql, log, timeZone }));
});

test('they agree while both move, each projection at its own checkpoint', async () => {
  const working = work(4, 0, 150);
  let over = false;
  void working.finally(() => (over = true));
  while (!over) expect(broken(await compareWithFold({ sql, log, timeZone }))).toEqual([]);
  await working;
});

test('they agree after a catch-up in pages, and after a rebuild', async () => {
  await projections.stop();
  await work(5, 0, 400);
  await projections.start();
  await settled();
  equal(await compareWithFold({ sql, log, timeZone }));
  await projections.rebuild(undefined);
  await settled();
  equal(await compareWithFold({ sql, log, timeZone }));
});

test('only the projections that are asked for are looked at', async () => {
  await settled();
  const all = await compareWithFold({ sql, log, timeZone, projections: ['communities'] });
  expect(all.map(({ table }) => table)).toEqual(['communities', 'population', 'exposures']);
});

describe('one corrupted row', () => {
  const corrupt = async (statement: string, table: string): Promise<TableComparison> => {
    await settled();
    let found: TableComparison[] = [];
    await sql.unsafe(`CREATE TABLE public.kept AS SELECT * FROM read.${table}`);
    try {
      expect((await sql.unsafe(statement)).count).toBe(1);
      found = broken(await compareWithFold({ sql, log, timeZone }));
    } finally {
      await sql.unsafe(`TRUNCATE read.${table}; INSERT INTO read.${table} SELECT * FROM public.kept; DROP TABLE public.kept`);
    }
    expect(found.map((each) => each.table)).toEqual([table]);
    return found[0]!;
  };
  const one = (table: string, order: string): string => `ctid = (SELECT ctid FROM read.${table} ORDER BY ${order} LIMIT 1)`;

  test.each<[string, string, string, object]>([
    ['communities', `UPDATE read.communities SET revision = revision + 1 WHERE code = 'C-1'`, 'different', { key: '["C-1"]' }],
    [
      'communities',
      `UPDATE read.communities SET groups = '{}' WHERE cardinality(groups) > 0 AND ${one('communities', 'cardinality(groups) DESC, code')}`,
      'different',
      {},
    ],
    [
      'population',
      `UPDATE read.population SET persons = persons + 1e-9 WHERE ${one('population', 'abs(persons - 0.3), known_from')}`,
      'different',
      {},
    ],
    [
      'population',
      `UPDATE read.population SET known_to = ${STILL_KNOWN} WHERE ${one('population', 'known_to, known_from, age_from, sex')}`,
      'different',
      {},
    ],
    [
      'population',
      `INSERT INTO read.population SELECT * FROM read.population WHERE ${one('population', 'known_from, age_from, sex')}`,
      'surplus',
      {},
    ],
    ['exposures', `DELETE FROM read.exposures WHERE ${one('exposures', 'known_from')}`, 'missing', {}],
    [
      'injury_facts',
      `UPDATE read.injury_facts SET counted = NOT counted WHERE ${one('injury_facts', 'known_from')}`,
      'different',
      {},
    ],
    [
      'injury_facts',
      `UPDATE read.injury_facts SET weight = weight * 1.0000000000000002 WHERE weight > 1 AND ${one('injury_facts', 'weight IS NULL, weight DESC')}`,
      'different',
      {},
    ],
    ['injury_facts', `DELETE FROM read.injury_facts WHERE ${one('injury_facts', 'known_to, known_from')}`, 'missing', {}],
    [
      'injury_pairs',
      `UPDATE read.injury_pairs SET manual = NOT manual WHERE ${one('injury_pairs', 'low, high')}`,
      'different',
      {},
    ],
    [
      'case_files',
      `UPDATE read.case_files SET body = jsonb_set(body, '{state}', '"lost"') WHERE ${one('case_files', 'known_from')}`,
      'different',
      {},
    ],
    [
      'survey_responses',
      `UPDATE read.survey_responses SET answers = answers || '{"q1":"no"}' WHERE response = 'r-1'`,
      'different',
      { key: '["known",1,"r-1"]' },
    ],
    [
      'activity_facts',
      `UPDATE read.activity_facts SET organisations = '{fire,police}' WHERE cardinality(organisations) = 2`,
      'different',
      { key: '["held","1"]' },
    ],
    [
      'activity_facts',
      `UPDATE read.activity_facts SET pledges = jsonb_set(pledges, '{1,count}', '3') WHERE pledged > 0`,
      'different',
      { key: '["held","3"]' },
    ],
    [
      'activity_attendance',
      `DELETE FROM read.activity_attendance WHERE persons = 0`,
      'missing',
      { key: '["held","2","children"]' },
    ],
    ['casualty_facts', `UPDATE read.casualty_facts SET known_to = ${STILL_KNOWN} WHERE incident = 'crash-2'`, 'different', {}],
    [
      'casualty_facts',
      `UPDATE read.casualty_facts SET injury_id = NULL WHERE casualty = '1' AND known_to = ${STILL_KNOWN} AND incident = 'crash-1'`,
      'different',
      {},
    ],
    [
      'sampling_units',
      `UPDATE read.sampling_units SET known_from = known_from + 1 WHERE ${one('sampling_units', 'known_from')}`,
      'different',
      {},
    ],
  ])('of %s is named: %s', async (table, statement, kind, first) => {
    const found = await corrupt(statement, table);
    expect({ [kind]: found[kind as 'missing'], first: found.first }).toEqual({
      [kind]: 1,
      first: expect.objectContaining(first),
    });
    const { missing, surplus, different } = found;
    expect(missing + surplus + different).toBe(1);
    const { expected, found: seen } = found.first!;
    expect([expected === undefined, seen === undefined]).toEqual([kind === 'surplus', kind === 'missing']);
  });
});
