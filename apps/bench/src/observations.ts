import { createObservations, parseObservationQuery, type ObservationQuery } from '@vigil/indicators';
import { AXES, AXIS_NAMES, type AxisName } from '@vigil/vocabulary';
import { DuckDBInstance } from '@duckdb/node-api';
import { createWriteStream } from 'node:fs';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { median, openWorld, quantile, whole, type Figure, type World } from './world';

const COMMUNITIES = 30;
const FIRST_YEAR = 2015;
const YEARS = 10;
/** One in so many facts was corrected once. */
const CORRECTED_ONE_IN = 33;
const ROUND_MS = 6_000;
const STILL_KNOWN = '9223372036854775807';

const QUESTION = 'dimension=dx:INC-01&dimension=pe:MONTHS_OF_2023&dimension=sex&dimension=age';

/** A code of an axis, the first ones far more often than the last. */
const drawn = (axis: AxisName): string => {
  const codes = AXES[axis].codes.map(({ code }) => `'${code}'`);
  return `(ARRAY[${codes.join()}])[1 + floor(power(random(), 2) * ${codes.length})::int]`;
};

/**
 * Facts as ten years of reports leave them: a report comes some days after its injury, and the positions run on. Written with SQL,
 * for it is reading that is measured; `positions` of those corrected follow after all reports.
 */
export const fill = async ({ sql }: World, facts: number): Promise<bigint> => {
  const days = 365 * YEARS;
  const axis = (name: AxisName): string => (AXIS_NAMES.includes(name) ? drawn(name) : `'unknown'`);
  const indexes = await sql<{ name: string; definition: string }[]>`
    SELECT indexrelid::regclass::text AS name, pg_get_indexdef(indexrelid) AS definition FROM pg_index WHERE indrelid = 'read.injury_facts'::regclass`;
  for (const { name } of indexes) await sql.unsafe(`DROP INDEX ${name}`);
  await sql.unsafe(`
    INSERT INTO read.injury_facts
    SELECT gen_random_uuid(), n, ${STILL_KNOWN}, n,
      date '${FIRST_YEAR}-01-01' + greatest(0, least(${days - 1}, (n::float8 / ${facts} * ${days})::int - floor(power(random(), 3) * 30)::int)),
      CASE WHEN random() < 0.02 THEN NULL ELSE floor(power(random(), 1.4) * 95)::int END,
      true, random() > 0.01, CASE WHEN random() < 0.01 THEN floor(random() * 60)::int END, NULL,
      'C-' || lpad((1 + floor(power(random(), 1.5) * ${COMMUNITIES}))::int::text, 2, '0'), NULL,
      ${axis('residency')}, ${axis('sex')}, ${axis('mechanism')}, ${axis('intent')}, ${axis('place')}, ${axis('activity')},
      ${axis('nature')}, ${axis('bodyPart')}, ${axis('disposition')}, 'unknown', 'feed-' || floor(random() * 5)::int, NULL, NULL, NULL
    FROM generate_series(1, ${facts}) AS n`);
  const corrected = Math.floor(facts / CORRECTED_ONE_IN);
  await sql.unsafe(`
    WITH before AS (
      UPDATE read.injury_facts SET known_to = ${facts} + known_from / ${CORRECTED_ONE_IN}
      WHERE known_from % ${CORRECTED_ONE_IN} = 0 RETURNING *)
    INSERT INTO read.injury_facts
    SELECT injury_id, known_to, ${STILL_KNOWN}, reported, day, least(coalesce(age, 30) + 1, 99), eligible, counted, death, weight,
      community, residence, residency, sex, mechanism, intent, place, activity, nature, body, disposition, severity, feed, frame, stratum, unit
    FROM before`);
  for (const { definition } of indexes) await sql.unsafe(definition);
  await sql.unsafe(`
    INSERT INTO read.communities (code, name_zh, name_en, type, parent, groups, status, revision, known_from)
    SELECT 'C-' || lpad(n::text, 2, '0'), '社区', 'Community', 'community', NULL, '{}', 'registered', 0, 1 FROM generate_series(1, ${COMMUNITIES}) AS n`);
  await sql.unsafe(`
    INSERT INTO read.population (community, year, sex, age_from, age_to, residency, persons, known_from)
    SELECT 'C-' || lpad(n::text, 2, '0'), y, sex, a * 5, CASE WHEN a < 17 THEN a * 5 + 4 END, NULL, 200 + a + y % 7, 1
    FROM generate_series(1, ${COMMUNITIES}) AS n, generate_series(${FIRST_YEAR}, ${FIRST_YEAR + YEARS - 1}) AS y, unnest(ARRAY['F', 'M']) AS sex, generate_series(0, 17) AS a`);
  const head = BigInt(facts + corrected);
  for (const name of ['communities', 'injury-facts', 'case-files'])
    await sql`
      INSERT INTO read.checkpoints (projection, position) VALUES (${name}, ${head.toString()})
      ON CONFLICT (projection) DO UPDATE SET position = excluded.position`;
  await sql.unsafe('VACUUM ANALYZE read.injury_facts, read.population, read.communities, read.checkpoints');
  return head;
};

const monthsOf = (year: number): string =>
  Array.from({ length: 12 }, (_, month) => `${year}${String(month + 1).padStart(2, '0')}`).join(';');

export const asked = (more = ''): ObservationQuery => {
  const question = QUESTION.replace('MONTHS_OF_2023', monthsOf(2023)) + more;
  const parsed = parseObservationQuery(new URLSearchParams(question), { today: '2026-01-01' });
  if (!parsed.ok) throw new Error(parsed.problems[0]!.detail.en);
  return parsed.value;
};

/** Milliseconds of each of the works, taken in turn for the time given. */
export const inTurn = async <Name extends string>(works: Readonly<Record<Name, () => Promise<unknown>>>, ms: number): Promise<Record<Name, number[]>> => {
  const names = Object.keys(works) as Name[];
  const times = Object.fromEntries(names.map((name) => [name, [] as number[]])) as Record<Name, number[]>;
  for (const name of names) for (let i = 0; i < 3; i++) await works[name]();
  const until = performance.now() + ms * names.length;
  do
    for (const name of names) {
      const began = performance.now();
      await works[name]();
      times[name].push(performance.now() - began);
    }
  while (performance.now() < until);
  return times;
};
export const p50p95 = (times: readonly number[]): string => `${quantile(times, 0.5).toFixed(1)} / ${quantile(times, 0.95).toFixed(1)} ms`;

/** The columns that the question touches in DuckDB's memory, and the same grouping. */
export const inDuckDb = async ({ sql }: World, head: bigint) => {
  const folder = await mkdtemp(join(tmpdir(), 'vigil-bench-duckdb-'));
  try {
    const file = join(folder, 'facts.csv');
    await pipeline(
      await sql.unsafe(`COPY (SELECT known_from, known_to, day, age, counted, community, sex FROM read.injury_facts ORDER BY known_from) TO STDOUT (FORMAT csv, HEADER)`).readable(),
      createWriteStream(file),
    );
    const instance = await DuckDBInstance.create(':memory:');
    const connection = await instance.connect();
    await connection.run(`
      CREATE TABLE facts AS SELECT known_from, known_to, day, age, counted, community::ENUM ('${Array.from({ length: COMMUNITIES }, (_, n) => `C-${String(n + 1).padStart(2, '0')}`).join("', '")}') AS community,
        sex::ENUM ('${AXES.sex.codes.map(({ code }) => code).join("', '")}') AS sex
      FROM read_csv('${file}', columns = {known_from: 'BIGINT', known_to: 'BIGINT', day: 'DATE', age: 'SMALLINT', counted: 'BOOLEAN', community: 'VARCHAR', sex: 'VARCHAR'})`);
    return {
      count: async () =>
        (
          await connection.runAndReadAll(`
            SELECT month(day) AS m, CASE WHEN age < 5 THEN 0 WHEN age < 15 THEN 1 WHEN age < 25 THEN 2 WHEN age < 45 THEN 3 WHEN age < 65 THEN 4 WHEN age < 75 THEN 5 WHEN age >= 75 THEN 6 END AS a, sex, count(*) AS n
            FROM facts WHERE known_from <= ${head} AND known_to > ${head} AND counted AND day >= DATE '2023-01-01' AND day < DATE '2024-01-01'
            GROUP BY ALL`)
        ).getRows(),
      close: () => {
        connection.closeSync();
        instance.closeSync();
      },
    };
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
};

const measure = (facts: number, most: number) => async (): Promise<Figure[]> => {
  const world = await openWorld();
  try {
    const head = await fill(world, facts);
    process.stderr.write('filled\n');
    const log = {
      head: async () => (await world.log.head(), head),
      positionAt: async () => head,
      readAll: async () => [{ recordedAt: '2025-01-01T00:00:00Z' }],
    };
    const observations = createObservations({ sql: world.sql, log, timeZone: 'Asia/Shanghai' });
    const answer = async (query: ObservationQuery): Promise<number> => {
      const found = await observations.answer(query);
      if (!found.ok) throw new Error(found.problems[0]!.detail.en);
      return found.value.data.reduce((sum, { num }) => sum + (num ?? 0), 0);
    };
    const now = asked();
    const past = asked(`&asOfPosition=${facts}`);
    const duck = await inDuckDb(world, head);
    const n = await answer(now);
    const theirs = (await duck.count()).reduce((sum, row) => sum + Number(row[3]), 0);
    process.stderr.write(`${n} ${theirs}\n`);
    const times = await inTurn({ now: () => answer(now), past: () => answer(past), duck: duck.count }, ROUND_MS);
    duck.close();
    const ratio = (a: readonly number[], b: readonly number[]): number => median(a.map((value, i) => value / b[i]!));
    const size = whole(facts);
    return [
      { what: `/observations on ${size} facts, p50 / p95`, value: p50p95(times.now), aim: `p95 < ${most} ms`, met: quantile(times.now, 0.95) < most },
      { what: 'the same as of an earlier position', value: p50p95(times.past) },
      { what: 'as of ÷ now', value: ratio(times.past, times.now).toFixed(2), aim: '≤ 1.5', met: ratio(times.past, times.now) <= 1.5 },
      { what: 'DuckDB, the counting alone', value: p50p95(times.duck) },
      { what: 'answer ÷ DuckDB', value: ratio(times.now, times.duck).toFixed(1), aim: '≤ 3', met: ratio(times.now, times.duck) <= 3 },
    ];
  } finally {
    await world.close();
  }
};

export const benchObservations = measure(1_000_000, 100);
export const benchObservationsLarge = measure(10_000_000, 300);
