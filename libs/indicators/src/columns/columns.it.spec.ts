import { connect, migrate, type SqlClient } from '@vigil/platform';
import { PROJECTION_MIGRATIONS } from '@vigil/projections';
import { freshDatabase, type FreshDatabase } from '@vigil/testing';
import { fromDayNumber, periodOf, type Period } from '@vigil/vocabulary';
import fc from 'fast-check';
import { countStatement, type CountRequest, type ElementaryCount } from '../answer/counts';
import type { Counted } from '../definitions/definition';
import { FACTS } from '../facts/facts';
import { createFactColumns } from './fact-columns';
import { createKeeper } from './keeper';
import { countsOf, planOf } from './plan';

jest.setTimeout(120_000);

let database: FreshDatabase;
let sql: SqlClient;
beforeAll(async () => {
  database = await freshDatabase();
  sql = connect(database.url, { applicationName: 'columns-spec' });
  await migrate(sql, PROJECTION_MIGRATIONS);
});
afterAll(async () => {
  await sql?.end({ timeout: 5 });
  await database?.drop();
});
beforeEach(async () => {
  await sql`TRUNCATE read.injury_facts, read.checkpoints, read.skips`;
  await sql`INSERT INTO read.checkpoints (projection, position) VALUES ('injury-facts', 0)`;
});

const STILL_KNOWN = '9223372036854775807';
const COMMUNITIES = ['C-1', 'C-2', 'C-3', 'C-4'];
const CODES = {
  residency: ['registered', 'migrant', 'unknown'],
  sex: ['F', 'M', 'unknown'],
  mechanism: ['fall', 'transport', 'unknown', 'unmapped'],
  intent: ['unintentional', 'assault', 'unknown'],
  place: ['home', 'school', 'unknown'],
  activity: ['paid-work', 'sports', 'unknown'],
  nature: ['fracture', 'burn', 'unknown'],
  body: ['head', 'trunk', 'unknown'],
  disposition: ['admitted', 'died', 'unknown', 'unmapped'],
  severity: ['ais-1', 'ais-3', 'unknown'],
  feed: ['clinic', 'police'],
} as const;
const FIRST_DAY = 19_000;
const DAYS = 400;

const factArbitrary = fc.record({
  day: fc.integer({ min: FIRST_DAY, max: FIRST_DAY + DAYS }).map(fromDayNumber),
  age: fc.option(fc.integer({ min: 0, max: 100 }), { freq: 5 }),
  eligible: fc.boolean(),
  counted: fc.boolean(),
  death: fc.option(fc.integer({ min: 0, max: 60 }), { freq: 2 }),
  community: fc.constantFrom(...COMMUNITIES),
  residence: fc.option(fc.constantFrom(...COMMUNITIES), { freq: 2 }),
  ...(Object.fromEntries(Object.entries(CODES).map(([name, codes]) => [name, fc.constantFrom(...codes)])) as {
    readonly [K in keyof typeof CODES]: fc.Arbitrary<string>;
  }),
});
type Fact = typeof factArbitrary extends fc.Arbitrary<infer T> ? T : never;

/** What the log may do to facts, one position after the other. */
type Change = { readonly begin: Fact } | { readonly replace: number; readonly by: Fact } | { readonly end: number };
const changeArbitrary: fc.Arbitrary<Change> = fc.oneof(
  { weight: 6, arbitrary: factArbitrary.map((begin) => ({ begin })) },
  { weight: 2, arbitrary: fc.record({ replace: fc.nat(), by: factArbitrary }) },
  { weight: 1, arbitrary: fc.nat().map((end) => ({ end })) },
);

/** A read model written as its projection writes it: pages of changes, each with its checkpoint in one transaction. */
const createModel = () => {
  const open: { id: string; from: number }[] = [];
  let position = 0;
  return {
    get position(): number {
      return position;
    },
    page: async (changes: readonly Change[]): Promise<void> => {
      await sql.begin(async (tx) => {
        for (const change of changes) {
          position += 1;
          const old =
            'begin' in change
              ? undefined
              : open.splice(('end' in change ? change.end : change.replace) % (open.length || 1), 1)[0];
          if (old)
            await tx`UPDATE read.injury_facts SET known_to = ${position} WHERE injury_id = ${old.id} AND known_from = ${old.from} AND known_to = ${STILL_KNOWN}`;
          const fact = 'begin' in change ? change.begin : 'by' in change ? change.by : undefined;
          if (!fact) continue;
          const id = old?.id ?? crypto.randomUUID();
          await tx`INSERT INTO read.injury_facts ${tx({ ...fact, injury_id: id, known_from: position, reported: position } as never)}`;
          open.push({ id, from: position });
        }
        await tx`UPDATE read.checkpoints SET position = ${position} WHERE projection = 'injury-facts'`;
      });
    },
  };
};

const someOf = <T>(values: readonly T[]): fc.Arbitrary<T[]> => fc.subarray([...values], { minLength: 1 });
const periodArbitrary: fc.Arbitrary<Period[]> = fc.oneof(
  fc
    .uniqueArray(fc.integer({ min: FIRST_DAY, max: FIRST_DAY + DAYS }), { minLength: 1, maxLength: 4 })
    .map((days) => [
      ...new Map(days.map((day) => periodOf('month', fromDayNumber(day))).map((each) => [each.id, each])).values(),
    ]),
  fc.integer({ min: FIRST_DAY, max: FIRST_DAY + DAYS }).map((day) => [periodOf('year', fromDayNumber(day))]),
);
const filterArbitrary = fc.record(
  {
    sex: someOf(CODES.sex),
    mechanism: someOf(CODES.mechanism),
    age: fc.constantFrom(['65+'], ['0-14', 'unknown'], ['15-64', '80+']),
    feed: someOf(CODES.feed),
    visit: fc.constant(['first']),
    any: fc.constant([{ severity: ['ais-3'] }, { disposition: ['admitted'], age: ['0-64'] }]),
  },
  { requiredKeys: [] },
);
const countedArbitrary = (fact: 'injury' | 'report'): fc.Arbitrary<Counted> =>
  fc.record({
    fact: fc.constant(fact),
    measure: fc.constantFrom('count', ...Object.keys(FACTS[fact].amounts)),
    filter: fc.oneof({ weight: 2, arbitrary: fc.constant({}) }, { weight: 1, arbitrary: filterArbitrary }),
    is: fc.option(someOf(Object.keys(FACTS[fact].conditions)), { nil: undefined, freq: 1 }),
  }) as fc.Arbitrary<Counted>;

const requestArbitrary = (most: number): fc.Arbitrary<CountRequest> =>
  fc.record({
    position: fc.integer({ min: 0, max: most }).map(String),
    counted: fc.constantFrom('injury' as const, 'report' as const).chain(countedArbitrary),
    basis: fc.constantFrom('occurrence', 'residence'),
    periods: periodArbitrary,
    communities: someOf([...COMMUNITIES, 'C-9']),
    together: fc.boolean(),
    filters: fc.array(fc.constantFrom({ sex: ['F', 'M'] }, { place: ['home', 'nowhere'] }, { age: ['18+'] }), { maxLength: 1 }),
    dimensions: fc.subarray(['sex', 'mechanism', 'bodyPart', 'disposition', 'feed']),
    ageCuts: fc.constantFrom([], [0, 5, 15, 25, 45, 65, 75], [0, 18]),
    weighted: fc.constant(false),
  }) as fc.Arbitrary<CountRequest>;

const byDatabase = async (request: CountRequest, tx: SqlClient = sql): Promise<ElementaryCount[]> => {
  const { text, parameters, read } = countStatement(request);
  return (await tx.unsafe(text, parameters as never[], { prepare: true })).map((row) => read(row as Record<string, unknown>));
};
const inOrder = (counts: readonly ElementaryCount[]): string[] => counts.map((count) => JSON.stringify(count)).sort();

test('every condition and amount of injuries and reports can be counted in columns', () => {
  for (const fact of ['injury', 'report'] as const)
    for (const measure of ['count', ...Object.keys(FACTS[fact].amounts)]) {
      const request = {
        position: '1',
        basis: 'occurrence',
        communities: ['C-1'],
        filters: [],
        dimensions: [],
        ageCuts: [],
        weighted: false,
      } as const;
      const counted = { fact, measure, is: Object.keys(FACTS[fact].conditions) };
      expect(planOf({ ...request, periods: [periodOf('year', '2022-01-01')], counted })).toBeDefined();
    }
});

test('columns count what the database counts, at every position, after every page of changes', async () => {
  const keeper = createKeeper(sql);
  const model = createModel();
  let nonempty = 0;
  for (let round = 0; round < 12; round++) {
    const [changes] = fc.sample(fc.array(changeArbitrary, { minLength: 1, maxLength: 250, size: 'max' }), {
      numRuns: 1,
      seed: 7 + round,
    });
    await model.page(changes!);
    for (const request of fc.sample(requestArbitrary(model.position), { numRuns: 40, seed: 100 + round })) {
      const plan = planOf(request)!;
      let found = await keeper.count(plan);
      if (!found) {
        await keeper.current();
        found = await keeper.count(plan);
      }
      const expected = await byDatabase(request);
      if (expected.some(({ n }) => n > 0)) nonempty++;
      expect({ request, counts: inOrder(countsOf(request, found!.cells)) }).toEqual({ request, counts: inOrder(expected) });
    }
  }
  expect(nonempty).toBeGreaterThan(150);
  const [stored] = await sql<{ n: number }[]>`SELECT count(*)::int AS n FROM read.injury_facts`;
  expect(keeper.rows).toBe(stored!.n);
});

describe('in a thread', () => {
  const request: CountRequest = {
    position: '0',
    counted: { fact: 'report', measure: 'count' },
    basis: 'occurrence',
    periods: [periodOf('year', '2022-01-01')],
    communities: COMMUNITIES,
    filters: [],
    dimensions: ['sex'],
    ageCuts: [0, 18],
    weighted: false,
  };
  const changes = (n: number, seed: number): Change[] =>
    fc.sample(fc.array(changeArbitrary, { minLength: n, maxLength: n }), { numRuns: 1, seed })[0]!;

  it('answers as the snapshot that asks would, through catching up, a rebuild and a decision', async () => {
    const problems: string[] = [];
    const columns = createFactColumns({ url: database.url, leastBytes: 0, onProblem: (problem) => problems.push(problem) });
    /** Within one snapshot: of both, once columns answer. */
    const both = async (position: number): Promise<boolean> =>
      (await sql.begin('ISOLATION LEVEL REPEATABLE READ READ ONLY', async (tx) => {
        const asked = { ...request, position: String(position) };
        const found = await columns.counts(tx as unknown as SqlClient, asked);
        if (found) expect(inOrder(found)).toEqual(inOrder(await byDatabase(asked, tx as unknown as SqlClient)));
        return found !== undefined;
      })) as boolean;
    const soon = async (position: number): Promise<void> => {
      const until = Date.now() + 20_000;
      while (!(await both(position))) {
        if (Date.now() > until) throw new Error(`columns never answered: ${problems.join()}`);
        await new Promise((resolve) => setTimeout(resolve, 50));
      }
    };
    try {
      const model = createModel();
      await model.page(changes(200, 1));
      expect(await both(model.position)).toBe(false);
      await soon(model.position);
      await model.page(changes(100, 2));
      expect(await both(model.position)).toBe(true);
      expect(await both(150)).toBe(true);

      // A snapshot from before the switch is not answered from after it, and the other way round.
      await sql.begin(async (tx) => {
        await tx`CREATE TABLE read_next.injury_facts (LIKE read.injury_facts INCLUDING ALL)`;
        await tx`INSERT INTO read_next.injury_facts SELECT * FROM read.injury_facts WHERE sex = 'F'`;
        await tx`ALTER TABLE read.injury_facts SET SCHEMA read_previous`;
        await tx`ALTER TABLE read_next.injury_facts SET SCHEMA read`;
        await tx`UPDATE read.checkpoints SET epoch = epoch + 1 WHERE projection = 'injury-facts'`;
      });
      expect(await both(150)).toBe(false);
      await soon(150);
      await model.page(changes(100, 3));
      await soon(model.position);

      await sql`INSERT INTO read.skips (projection, position, reason, decided_by) VALUES ('injury-facts', 5, 'r', 'ana')`;
      expect(await both(10)).toBe(false);
      expect(problems).toEqual([]);
    } finally {
      await columns.close();
      await sql`DROP TABLE IF EXISTS read_previous.injury_facts`;
    }
  });
});
