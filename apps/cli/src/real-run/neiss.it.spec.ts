import { join } from 'node:path';
import { createLogger, readConfig, type SqlClient } from '@vigil/platform';
import { startServer, type Server } from '@vigil/server';
import { poissonExact } from '@vigil/statistics';
import {
  createWorld,
  describeWith,
  importedBy,
  observe,
  relativeError,
  sharedJson,
  sharedPath,
  sharedRows,
  tally,
  type Imported,
  type Row,
} from './world';

// The real run: sixteen years of NEISS through the command, the server and PostgreSQL, and the figures that R gives for them.
jest.setTimeout(600_000);

const UNDER2 = 'data/neiss/neiss_under2_2002_2017.csv.gz';
const CERVICAL = 'data/neiss/neiss_cervical_2003_2017.csv.gz';
const POPULATION = 'data/neiss/us_population_2002_2021_single_year.csv';
const MAIN_JOB = 'oracles/16_neiss_main_job.json';
const STANDARDISED = 'oracles/02_direct_standardisation.json';

const ROWS = 361_306;
const YEARS = Array.from({ length: 16 }, (_, i) => String(2002 + i));
const SEXES = { male: 'M', female: 'F' } as const;
const STANDARDS: Readonly<Record<string, string>> = {
  WHO_2000_2025_18: 'WHO-2000',
  ESP2013_18: 'ESP-2013',
  CHINA_2020_18: 'CN-2020',
  SEGI_1966_18: 'SEGI',
};
/** Of z at 95 % and 99.8 %, to all digits. */
const Z = { 95: 1.959963984540054, 99.8: 3.090232306167813 } as const;
const VALUE = 1e-9;
const LIMIT = 1e-6;

interface Estimated {
  readonly label: string;
  readonly cases: number;
  readonly estimate: number;
  readonly se: number;
  readonly lower_t: number;
  readonly upper_t: number;
  readonly population: number;
  readonly rate_per_100000: number;
}
interface MainJob {
  readonly inputs: { readonly psus: readonly { stratum: string; psu: number }[] };
  readonly expected: {
    readonly degf: number;
    readonly under2: readonly Estimated[];
    readonly under2_by_month: readonly { month: number; cases: number; estimate: number; se: number }[];
    readonly cervical: readonly (Estimated & {
      readonly age_bands: readonly string[];
      readonly cases_by_band: readonly number[];
      readonly estimate_by_band: readonly number[];
      readonly population_by_band: readonly number[];
      readonly standardised: readonly { standard: string; asr_per_100000: number; lower_t: number; upper_t: number }[];
    })[];
  };
}
interface Dsr {
  readonly inputs: { readonly cases: readonly { label: string; confidence: number; multiplier: number; standard: string }[] };
  readonly expected: {
    readonly results: readonly {
      label: string;
      total_count: number;
      total_population: number;
      dsr: number;
      dobson_byar: { lower: number; upper: number };
    }[];
  };
}

/** Byar's limits of a count, as oracle 01 writes them. */
const byar = (d: number, z: number): { lower: number; upper: number } => ({
  lower: d * (1 - 1 / (9 * d) - z / (3 * Math.sqrt(d))) ** 3,
  upper: (d + 1) * (1 - 1 / (9 * (d + 1)) + z / (3 * Math.sqrt(d + 1))) ** 3,
});

const expectNear = (got: number | null | undefined, wanted: number, tolerance: number, what: string): void => {
  const error = got == null ? Infinity : relativeError(got, wanted);
  if (!(error < tolerance)) throw new Error(`${what}: ${got} instead of ${wanted}, relative error ${error}`);
};

describeWith([UNDER2, CERVICAL, POPULATION, MAIN_JOB, STANDARDISED], 'the real run', () => {
  const world = createWorld();
  let server: Server;
  let sql: SqlClient;
  let imports: Record<'population' | 'cervical' | 'under2', { imported: Imported; code: number | null }>;
  let before: bigint;
  let head: bigint;
  const query = (text: string) => observe(server.url, text);
  const bring = async (file: string, ...more: string[]): Promise<{ imported: Imported; code: number | null }> => {
    const errors = ['--errors', join(server.engine.dataDir, 'refused.csv')];
    const ended = await world.vigil(['import', sharedPath(file), '--wait', '--json', ...errors, ...more], {
      VIGIL_URL: server.url,
    }).ended;
    return { imported: importedBy(ended), code: ended.code };
  };
  const under2 = (): Record<string, string>[] => (fileOfUnder2 ??= sharedRows(UNDER2));
  let fileOfUnder2: Record<string, string>[] | undefined;

  beforeAll(async () => {
    const database = await world.database();
    sql = database.sql;
    const read = readConfig({ DATABASE_URL: database.url, VIGIL_DATA_DIR: await world.folder(), PORT: '0' });
    if (!read.ok) throw new Error(JSON.stringify(read.faults));
    server = await startServer(read.value, { port: 0, logger: createLogger({ level: 'error', program: 'serve' }) });
    world.later(undefined, () => server.close());
    const cervical = await bring(CERVICAL, '--mapping', 'neiss-cervical');
    const population = await bring(POPULATION, '--mapping', 'population', '--community', 'US');
    before = await server.engine.log.head();
    imports = { cervical, population, under2: await bring(UNDER2, '--mapping', 'neiss-under2') };
    head = await server.engine.log.head();
  });
  afterAll(() => world.close());

  test('every row is accepted or refused, and none of these is refused', () => {
    const { under2, cervical, population } = imports;
    expect(under2).toEqual({ code: 0, imported: { accepted: ROWS, duplicates: 0, rejected: 0, position: Number(head) } });
    expect(cervical).toMatchObject({ code: 0, imported: { accepted: 7_464, duplicates: 0, rejected: 0 } });
    expect(population).toMatchObject({ code: 0, imported: { accepted: 4_040, duplicates: 0, rejected: 0 } });
    expect(Number(head - before)).toBe(ROWS);
  });

  test('a second import of the same file adds nothing', async () => {
    const again = await bring(UNDER2, '--mapping', 'neiss-under2');
    expect(again).toEqual({ code: 0, imported: { accepted: 0, duplicates: ROWS, rejected: 0, position: Number(head) } });
    expect(await server.engine.log.head()).toBe(head);
    const [{ events, ids } = {}] =
      await sql`SELECT count(*)::int AS events, count(DISTINCT event_id)::int AS ids FROM log.events`;
    expect(events).toBe(ids);
    expect(await sql`SELECT count(*)::int AS facts FROM read.injury_facts`).toEqual([{ facts: ROWS + 7_464 }]);
  });

  test('counts by year and sex are those of the file, of unknown sex too', async () => {
    const counted = tally(under2(), ({ date, sex }) => `${date!.slice(0, 4)} ${sex || 'unknown'}`);
    const pe = YEARS.join(';');
    const { data } = await query(`dimension=dx:INC-01&dimension=pe:${pe}&dimension=ou:US&dimension=sex&filter=feed:neiss-under2`);
    const got = Object.fromEntries(data.filter(({ num }) => num > 0).map((row) => [`${row.pe} ${row.sex}`, row.num]));
    expect(got).toEqual(counted);
    expect(Object.values(got).reduce((sum, n) => sum + n, 0)).toBe(ROWS);
    for (const row of data.filter(({ sex }) => sex === 'unknown')) expect(row).toMatchObject({ value: null, status: 'M' });
  });

  test('the listed hospitals are those seen in either file that year', async () => {
    const { inputs } = sharedJson<MainJob>(MAIN_JOB);
    const listed = await sql<{ stratum: string; unit: string }[]>`
      SELECT stratum, unit FROM read.sampling_units WHERE frame = 'NEISS' AND year = 2017`;
    expect(listed.map(({ stratum, unit }) => `${stratum}/${unit}`).sort()).toEqual(
      inputs.psus.map(({ stratum, psu }) => `${stratum}/${psu}`).sort(),
    );
  });

  describe('weighted, as R’s survey package estimates', () => {
    const expectEstimate = (row: Row, wanted: Estimated): void => {
      const scale = 100_000 / wanted.population;
      expect({ n: row.n, den: row.den, level: row.ci?.level, method: row.ci?.method }).toEqual({
        n: wanted.cases,
        den: wanted.population,
        level: 95,
        method: 'taylor-linearised-t',
      });
      expectNear(row.num, wanted.estimate, VALUE, `${wanted.label} total`);
      expectNear(row.value, wanted.rate_per_100000, VALUE, wanted.label);
      expectNear(row.ci!.low, wanted.lower_t * scale, LIMIT, `${wanted.label} lower`);
      expectNear(row.ci!.high, wanted.upper_t * scale, LIMIT, `${wanted.label} upper`);
    };

    test('rates under two by sex and single year of age', async () => {
      const { expected } = sharedJson<MainJob>(MAIN_JOB);
      const ask = (more: string) =>
        query(`dimension=dx:INC-01&dimension=pe:2017&dimension=ou:US&filter=feed:neiss-under2&weighted=true${more}`);
      const rows = {
        split: (await ask('&dimension=sex:M;F&dimension=age:0;1')).data,
        bySex: (await ask('&dimension=sex:M;F&filter=age:0-1')).data,
        byAge: (await ask('&dimension=age:0;1')).data,
        all: (await ask('&filter=age:0-1')).data,
      };
      expect(expected.under2).toHaveLength(9);
      for (const wanted of expected.under2) {
        const [, sex, age] = /^under2 (\w+) age (\S+)$/.exec(wanted.label)!;
        const code = sex === 'both' ? undefined : SEXES[sex as keyof typeof SEXES];
        const table = age === '0+1' ? (code ? rows.bySex : rows.all) : code ? rows.split : rows.byAge;
        const row = table.find((one) => one.sex === code && (age === '0+1' || one.age === age));
        expectEstimate(row!, wanted);
      }
    });

    test('totals under two by month, with their standard errors', async () => {
      const { expected } = sharedJson<MainJob>(MAIN_JOB);
      const whole = expected.under2.find(({ label }) => label === 'under2 both age 0+1')!;
      const t = (whole.upper_t - whole.estimate) / whole.se; // of 84 degrees of freedom
      const months = expected.under2_by_month.map(({ month }) => `2017-${String(month).padStart(2, '0')}`);
      const { data } = await query(
        `dimension=dx:INC-01&dimension=pe:${months.join(';')}&dimension=ou:US&filter=feed:neiss-under2&filter=age:0-1&weighted=true`,
      );
      expect(data.map(({ pe }) => pe)).toEqual(months);
      expected.under2_by_month.forEach(({ cases, estimate, se }, at) => {
        const { n, num, value, den, ci } = data[at]!;
        expect(n).toBe(cases);
        expectNear(num, estimate, VALUE, `${months[at]} total`);
        const scale = 100_000 / den!;
        expectNear(value, estimate * scale, VALUE, months[at]!);
        expectNear(ci!.low, (estimate - t * se) * scale, LIMIT, `${months[at]} lower`);
        expectNear(ci!.high, (estimate + t * se) * scale, LIMIT, `${months[at]} upper`);
      });
    });

    test('cervical spine injuries: crude, by band, and standardised to three standards', async () => {
      const { expected } = sharedJson<MainJob>(MAIN_JOB);
      const base = 'dimension=pe:2017&dimension=ou:US&filter=feed:neiss-cervical&weighted=true';
      for (const wanted of expected.cervical) {
        const sex = /^cervical (\w+)$/.exec(wanted.label)?.[1] as keyof typeof SEXES | undefined;
        const filter = sex ? `&filter=sex:${SEXES[sex]}` : '';
        const crude = await query(`dimension=dx:INC-01&${base}${filter}&filter=age:ge:0`); // R drops rows without an age
        expectEstimate(crude.data[0]!, wanted);
        const bands = await query(`dimension=dx:INC-01&${base}${filter}&dimension=age:${wanted.age_bands.join(';')}`);
        expect(bands.data.map(({ n }) => n)).toEqual(wanted.cases_by_band);
        expect(bands.data.map(({ den }) => den)).toEqual(wanted.population_by_band);
        wanted.estimate_by_band.forEach((estimate, at) => {
          const { num, age } = bands.data[at]!;
          if (estimate === 0) expect(num).toBe(0);
          else expectNear(num, estimate, VALUE, `${wanted.label} ${age}`);
        });
        for (const { standard, asr_per_100000, lower_t, upper_t } of wanted.standardised) {
          const { data } = await query(`dimension=dx:INC-02&${base}${filter}&standard=${STANDARDS[standard]}`);
          const what = `${wanted.label} ${standard}`;
          expect(data).toHaveLength(1);
          expectNear(data[0]!.value, asr_per_100000, VALUE, what);
          expectNear(data[0]!.ci!.low, lower_t, LIMIT, `${what} lower`);
          expectNear(data[0]!.ci!.high, upper_t, LIMIT, `${what} upper`);
        }
      }
    });
  });

  describe('unweighted, as plain counts', () => {
    test.each([95, 99.8] as const)(
      'crude rates have exact limits below ten events and Byar’s from ten, at %d %',
      async (level) => {
        const answer = await query(
          `dimension=dx:INC-01&dimension=pe:2017&dimension=ou:US&dimension=sex:M;F&dimension=age&filter=feed:neiss-cervical&ci=${level}`,
        );
        const ageless = answer.data.filter(({ age, num }) => age === 'unknown' && num > 0);
        expect(ageless).toMatchObject([{ num: 1, value: null, status: 'M', ci: null }]);
        const data = answer.data.filter(({ age }) => age !== 'unknown');
        const methods = tally(data, ({ ci }) => ci!.method);
        expect(methods['exact-poisson']).toBeGreaterThan(0);
        expect(methods['byar']).toBeGreaterThan(0);
        for (const { num, den, value, ci, age, sex } of data) {
          const what = `${sex} ${age}`;
          const scale = 100_000 / den!;
          const limits = num < 10 ? poissonExact(num, level / 100) : byar(num, Z[level]);
          expect(ci!.method).toBe(num < 10 ? 'exact-poisson' : 'byar');
          if (num === 0) expect([value, ci!.low]).toEqual([0, 0]);
          else {
            expectNear(value, num * scale, VALUE, what);
            expectNear(ci!.low, limits.lower! * scale, VALUE, `${what} lower`);
          }
          expectNear(ci!.high, limits.upper! * scale, VALUE, `${what} upper`);
        }
      },
    );

    test('standardised rates and Dobson’s limits are those of oracle 02', async () => {
      const { inputs, expected } = sharedJson<Dsr>(STANDARDISED);
      const cases = inputs.cases.filter(({ label }) => label.startsWith('NEISS cervical 2017'));
      expect(cases).toHaveLength(16);
      for (const { label, confidence, multiplier, standard } of cases) {
        const wanted = expected.results.find((result) => result.label === label)!;
        expect(multiplier).toBe(100_000);
        const sex = SEXES[label.split(' ')[3] as keyof typeof SEXES];
        const { data } = await query(
          `dimension=dx:INC-02&dimension=pe:2017&dimension=ou:US&dimension=sex:${sex}&filter=feed:neiss-cervical` +
            `&standard=${STANDARDS[standard]}&ci=${Number((confidence * 100).toFixed(6))}`,
        );
        const row = data[0]!;
        expect({ num: row.num, den: row.den, method: row.ci!.method }).toEqual({
          num: wanted.total_count,
          den: wanted.total_population,
          method: 'dobson-byar',
        });
        expectNear(row.value, wanted.dsr, VALUE, label);
        expectNear(row.ci!.low, wanted.dobson_byar.lower, LIMIT, `${label} lower`);
        expectNear(row.ci!.high, wanted.dobson_byar.upper, LIMIT, `${label} upper`);
      }
    });
  });

  describe('as of half-way through the import', () => {
    /** Every report at positions up to `upTo`, counted from the log's own bytes by nothing of ours. */
    const half = () => before + BigInt(Math.floor(ROWS / 2));
    const known = new Map<bigint, ReturnType<typeof recountNow>>();
    const recount = (upTo: bigint) => {
      const counted = known.get(upTo) ?? recountNow(upTo);
      known.set(upTo, counted);
      return counted;
    };
    const recountNow = async (upTo: bigint) => {
      const rows = await sql<{ position: string; data: string; recorded: string }[]>`
        SELECT position::text, data::text, to_char(recorded_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') AS recorded
        FROM log.events WHERE type = 'InjuryReported' AND position > ${before.toString()} AND position <= ${upTo.toString()} ORDER BY position`;
      const records = rows.map(
        ({ data }) =>
          JSON.parse(data) as { recordId: string; occurredAt: string; sex?: { code: string }; sampling: { weight: number } },
      );
      return {
        records,
        recordedAt: rows.at(-1)!.recorded,
        bySex: tally(records, ({ occurredAt, sex }) => `${occurredAt.slice(0, 4)} ${sex?.code ?? 'unknown'}`),
      };
    };
    const countedBy = async (when: string): Promise<Record<string, number>> => {
      const { data, meta } = await query(
        `dimension=dx:INC-01&dimension=pe:${YEARS.join(';')}&dimension=ou:US&dimension=sex&filter=feed:neiss-under2&${when}`,
      );
      expect(meta.position).toBeLessThan(Number(head));
      return Object.fromEntries(data.filter(({ num }) => num > 0).map((row) => [`${row.pe} ${row.sex}`, row.num]));
    };

    test('an answer as of a position counts what stood at or before it', async () => {
      const { records, bySex } = await recount(half());
      expect(records).toHaveLength(Number(half() - before));
      expect(await countedBy(`asOfPosition=${half()}`)).toEqual(bySex);
      // Batches of a thousand rows, three at a time, keep the file's order: this half of the log is that half of the file.
      const first = new Set(
        under2()
          .slice(0, records.length)
          .map((row) => row['case_id']),
      );
      const strangers = records.filter(({ recordId }) => !first.has(recordId));
      expect(strangers.length).toBeLessThanOrEqual(3_000);
    });

    test('the weighted answer as of it, too', async () => {
      const { records } = await recount(half());
      const year = records.filter(({ occurredAt }) => occurredAt.startsWith('2005'));
      const { data } = await query(
        `dimension=dx:INC-01&dimension=pe:2005&dimension=ou:US&filter=age:0-1&filter=feed:neiss-under2&weighted=true&asOfPosition=${half()}`,
      );
      expect(data[0]!.n).toBe(year.length);
      const total = year.reduce((sum, { sampling }) => sum + sampling.weight, 0);
      expectNear(data[0]!.num, total, VALUE, '2005');
    });

    test('an answer as of an instant counts what was recorded by then', async () => {
      const { recordedAt } = await recount(half());
      const [{ last } = {}] =
        await sql`SELECT max(position)::text AS last FROM log.events WHERE recorded_at <= ${recordedAt}::timestamptz`;
      const { bySex } = await recount(BigInt(last as string));
      expect(await countedBy(`asOf=${recordedAt}`)).toEqual(bySex);
    });

    test('as of before the import there is nothing of it, and as of the head there is all', async () => {
      expect(await countedBy(`asOfPosition=${before}`)).toEqual({});
      const { data } = await query(
        `dimension=dx:INC-01&dimension=pe:2002-01-01/2017-12-31&dimension=ou:US&filter=feed:neiss-under2&asOfPosition=${head}`,
      );
      expect(data[0]!.num).toBe(ROWS);
    });
  });
});
