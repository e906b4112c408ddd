import { caseFiles } from '@vigil/domain';
import { connect, migrate, type SqlClient } from '@vigil/platform';
import { PROJECTION_MIGRATIONS } from '@vigil/projections';
import { freshDatabase, type FreshDatabase } from '@vigil/testing';
import { definitionHash, indicator, indicators, type IndicatorDefinition } from './index';
import { definitionsAt, REGISTERED } from './source';

const register = caseFiles.find(({ name }) => name === 'indicator')!;
const shipped = indicator('INC-01')!;
const own: IndicatorDefinition = { ...shipped, code: 'LOC-01', multiplier: 0.125, name: { zh: '自定', en: 'our own' } };

let database: FreshDatabase;
let sql: SqlClient;
beforeAll(async () => {
  database = await freshDatabase();
  sql = connect(database.url, { applicationName: 'definitions-spec' });
  await migrate(sql, PROJECTION_MIGRATIONS);
});
afterAll(async () => {
  await sql?.end({ timeout: 5 });
  await database?.drop();
});
beforeEach(() => sql`TRUNCATE read.case_files`);

/** Commands to one indicator, decided and folded as they are, at the positions where they were recorded. */
const recorded = async (code: string, ...commands: readonly (readonly [position: number, type: string, data: object])[]) => {
  let state = register.initialState;
  for (const [index, [position, type, data]] of commands.entries()) {
    const decided = register.decider.decide({ type, data }, state);
    if (!decided.ok) throw new Error(decided.problem.detail.en);
    for (const event of decided.value) state = register.decider.evolve(state, event);
    const body = JSON.stringify(state);
    await sql`UPDATE read.case_files SET known_to = ${position} WHERE register = 'indicator' AND id = ${code} AND known_to > ${position}`;
    await sql`
      INSERT INTO read.case_files (register, id, known_from, revision, state, body)
      VALUES ('indicator', ${code}, ${position}, ${index}, ${state.state}, ${body}::text::jsonb)`;
  }
};
const at = async (position: bigint, code: string): Promise<IndicatorDefinition | undefined> =>
  (await definitionsAt(sql, position)).get(code);

test('the shipped ones are in force from the beginning, as they were shipped', async () => {
  const found = await definitionsAt(sql, 0n);
  expect([...found.values()]).toEqual(indicators());
  expect(found.get('INC-01')).toBe(shipped);
});

test('a defined one from its position on, each revision from its own, none once it is withdrawn', async () => {
  const second = { ...own, version: 2, multiplier: 1000 };
  const third = { ...own, version: 3 };
  await recorded(
    'LOC-01',
    [10, 'DefineIndicator', { definition: own }],
    [20, 'ReviseIndicator', { definition: second, reason: 'r' }],
    [30, 'WithdrawIndicator', { reason: 'r' }],
    [40, 'ReviseIndicator', { definition: third }],
  );
  expect(await at(9n, 'LOC-01')).toBeUndefined();
  expect(await at(10n, 'LOC-01')).toEqual(own);
  expect(await at(19n, 'LOC-01')).toEqual(own);
  expect(await at(20n, 'LOC-01')).toEqual(second);
  expect(await at(30n, 'LOC-01')).toBeUndefined();
  expect(await at(40n, 'LOC-01')).toEqual(third);
  expect((await definitionsAt(sql, 40n)).size).toBe(indicators().length + 1);
});

test('a revision stands in the place of the one shipped, and of no other', async () => {
  const revised = { ...shipped, version: 2, multiplier: 1000 };
  await recorded('INC-01', [5, 'ReviseIndicator', { definition: revised }]);
  expect(await at(4n, 'INC-01')).toBe(shipped);
  expect(await at(5n, 'INC-01')).toEqual(revised);
  expect(await at(5n, 'INC-02')).toBe(indicator('INC-02'));
});

test('what was defined before the program came with the same code stands, and is gone when withdrawn', async () => {
  const before = { ...own, code: 'INC-01' };
  await recorded('INC-01', [5, 'DefineIndicator', { definition: before }], [9, 'WithdrawIndicator', { reason: 'r' }]);
  expect(await at(5n, 'INC-01')).toEqual(before);
  expect(await at(9n, 'INC-01')).toBeUndefined();
});

test('the database gives back what its hash was taken of', async () => {
  const exact = { ...own, multiplier: 1e-7, note: { zh: '“引号”与\\斜线', en: 'é\u00a0…' } };
  await recorded('LOC-01', [1, 'DefineIndicator', { definition: exact }]);
  expect(definitionHash((await at(1n, 'LOC-01'))!)).toBe(definitionHash(exact));
});

test('only indicators are looked at, and by the index', async () => {
  await sql`
    INSERT INTO read.case_files (register, id, known_from, revision, state, body)
    SELECT 'hazard', 'h-' || n, n, 0, 'identified', '{}' FROM generate_series(1, 20000) AS n`;
  await sql`ANALYZE read.case_files`;
  expect((await definitionsAt(sql, 20_000n)).size).toBe(indicators().length);
  const plan = await sql.unsafe(`EXPLAIN ${REGISTERED}`, ['20000']);
  const text = plan.map((row) => String(row['QUERY PLAN'])).join('\n');
  expect(text).toMatch(/Index/);
  expect(text).not.toMatch(/Seq Scan/);
});
