import { importFile } from '@vigil/feeds';
import { createObservations, parseObservationQuery } from '@vigil/indicators';
import { createReadStream, createWriteStream } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { once } from 'node:events';
import { pipeline } from 'node:stream/promises';
import type { SqlClient } from '@vigil/platform';
import { median, NEISS, NEISS_ROWS, openWorld, quantile, seconds, sharedFile, whole, type Figure, type World } from './world';

/** Streams and events as they lie in the log, in the files that the raw COPY reads. */
const TABLES = [
  ['streams', 'stream_id, revision'],
  ['events', 'position, event_id, stream_id, revision, type, version, recorded_at, fingerprint, data, metadata'],
] as const;

/** COPY of the same rows into tables with the same columns and indexes: as fast as PostgreSQL takes them. */
const rawCopy = async ({ elsewhere, sql }: World, folder: string, name: string): Promise<number> => {
  for (const [table, columns] of TABLES)
    await pipeline(
      await sql.unsafe(`COPY (SELECT ${columns} FROM log.${table}) TO STDOUT`).readable(),
      createWriteStream(join(folder, table)),
    );
  const { sql: raw } = await elsewhere(name);
  await raw.unsafe(`
    CREATE TABLE streams (stream_id text COLLATE "C" PRIMARY KEY, revision bigint NOT NULL);
    CREATE TABLE events (position bigint PRIMARY KEY, event_id uuid NOT NULL UNIQUE, stream_id text COLLATE "C" NOT NULL, revision bigint NOT NULL,
      type text COLLATE "C" NOT NULL, version smallint NOT NULL, recorded_at timestamptz NOT NULL, fingerprint uuid NOT NULL,
      data text NOT NULL, metadata text NOT NULL, UNIQUE (stream_id, revision));`);
  return seconds(async () => {
    for (const [table] of TABLES) await copyIn(raw, table, join(folder, table));
  });
};

/** By hand: stream.pipeline into postgres 3.4.9's COPY stops for ever in a file of 200 MB. */
const copyIn = async (raw: SqlClient, table: string, file: string): Promise<void> => {
  const sink = await raw.unsafe(`COPY ${table} FROM STDIN`).writable();
  for await (const chunk of createReadStream(file, { highWaterMark: 1 << 16 })) if (!sink.write(chunk)) await once(sink, 'drain');
  sink.end();
  await once(sink, 'finish');
};

const QUESTION = 'dimension=dx:INC-01&dimension=pe:2017&filter=ou:US&dimension=sex&dimension=age';

/** Seconds from the end of an import that the projections followed live until they hold all of it. */
const lagAfterImport = async (file: string): Promise<number> => {
  const world = await openWorld();
  try {
    await world.projections.start();
    await importFile({ log: world.log }, { path: file, mapping: 'neiss-under2' });
    const head = await world.log.head();
    return await seconds(() => world.projections.waitFor(head, 600_000));
  } finally {
    await world.close();
  }
};

/** The real run: file to durable events against a raw COPY of them, then projections, rebuild and queries on the same facts. */
export const benchImport = async (rounds: number): Promise<Figure[]> => {
  const file = sharedFile(NEISS);
  const people = sharedFile('neiss/us_population_2002_2021_single_year.csv');
  if (!file || !people) return [{ what: 'import: not run, ../shared/data is not there', value: '–' }];
  const imports: number[] = [];
  const copies: number[] = [];
  const figures: Figure[] = [];
  for (let round = 1; round <= rounds; round++) {
    const world = await openWorld();
    const folder = await mkdtemp(join(tmpdir(), 'vigil-bench-copy-'));
    try {
      imports.push(await seconds(() => importFile({ log: world.log }, { path: file, mapping: 'neiss-under2' })));
      copies.push(await rawCopy(world, folder, `raw${round}`));
      if (round < rounds) continue;

      await importFile({ log: world.log }, { path: people, mapping: 'population', community: 'US' });
      const head = await world.log.head();
      await world.projections.start();
      const catchUp = await seconds(() => world.projections.waitFor(head, 600_000));
      const observations = createObservations({ sql: world.sql, log: world.log, timeZone: 'Asia/Shanghai' });
      const parsed = parseObservationQuery(new URLSearchParams(QUESTION), { today: '2026-01-01' });
      if (!parsed.ok) throw new Error(parsed.problems[0]!.detail.en);
      const times: number[] = [];
      for (let i = 0; i < 220; i++) {
        const took = await seconds(() => observations.answer(parsed.value));
        if (i >= 20) times.push(took * 1000);
      }
      const lag = await lagAfterImport(file);
      const rows = NEISS_ROWS;
      const took = median(imports);
      const ratio = median(imports.map((value, i) => value / copies[i]!));
      const p95 = quantile(times, 0.95);
      figures.push(
        {
          what: 'bulk import, CSV to durable events',
          value: `${whole(rows / took)} rows/s (${took.toFixed(1)} s)`,
          aim: '≥ 15,000',
          met: rows / took >= 15_000,
        },
        { what: 'raw COPY of the same rows, same indexes', value: `${median(copies).toFixed(1)} s` },
        { what: 'import ÷ raw COPY, pair by pair', value: ratio.toFixed(2), aim: '≤ 1.5', met: ratio <= 1.5 },
        { what: 'lag 0 after an import that projections followed', value: `${lag.toFixed(1)} s`, aim: '≤ 10 s', met: lag <= 10 },
        { what: 'projections from nothing to lag 0', value: `${catchUp.toFixed(1)} s` },
        {
          what: '/observations, a year by sex and age, p50 / p95',
          value: `${quantile(times, 0.5).toFixed(1)} / ${p95.toFixed(1)} ms`,
          aim: 'p95 < 50 ms',
          met: p95 < 50,
        },
      );
    } finally {
      await world.close();
      await rm(folder, { recursive: true, force: true });
    }
  }
  return figures;
};
