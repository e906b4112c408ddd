import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { inflateRawSync } from 'node:zlib';
import { DuckDBInstance } from '@duckdb/node-api';
import { parse } from 'csv-parse/sync';
import * as fc from 'fast-check';
import { parquetMetadata, parquetReadObjects } from 'hyparquet';
import readWorkbook from 'read-excel-file/node';
import { toCsv, toJsonStat, toParquet, toXlsx, type ObservationAnswer, type ObservationRow } from './index';

const row: ObservationRow = {
  dx: 'INC-01',
  pe: '2017',
  ou: 'C-001',
  sex: 'F',
  age: '0-4',
  value: 123.456,
  unit: 'per 100,000',
  num: 12,
  den: 9720.07,
  ci: { level: 95, low: 63.8, high: 215.6, method: 'byar' },
  status: 'A',
  conf: 'F',
};
const hidden: ObservationRow = {
  ...row,
  ou: 'C-002',
  value: null,
  num: null,
  den: null,
  ci: null,
  status: 'M',
  conf: 'C',
  reason: 'suppressed',
};
const answerOf = (...data: ObservationRow[]): ObservationAnswer => ({
  data,
  meta: {
    asOf: '2026-03-02T08:00:00.123456Z',
    position: '9007199254740993',
    lagSeconds: 0,
    standard: 'WHO-2000',
    definitions: [{ code: 'INC-01', version: 1, hash: 'abc', name: { zh: '伤害发生率', en: 'injury incidence' } }],
    populationVersion: '41',
    suppression: null,
    problems: [{ code: 'missing-denominator', value: 'C-002', detail: { zh: 'C-002 没有人口', en: 'C-002 has no population' } }],
    query: 'dimension=dx:INC-01',
    dimensions: ['sex', 'age'],
  },
});
const PROVENANCE = {
  asOf: '2026-03-02T08:00:00.123456Z',
  position: '9007199254740993',
  definitionHash: 'abc',
  standard: 'WHO-2000',
  populationVersion: '41',
};

/** What a row is as one flat record, said independently of the columns under test; only what every row has. */
const flat = ({ ci, reason, n, ...rest }: ObservationRow, weighted: boolean) => ({
  ...rest,
  ...(weighted && { n: n ?? null }),
  ciLevel: ci?.level ?? null,
  ciLow: ci?.low ?? null,
  ciHigh: ci?.high ?? null,
  ciMethod: ci?.method ?? null,
  reason: reason ?? null,
  ...PROVENANCE,
  definitionHash: rest.dx === 'INC-01' ? 'abc' : null,
});
/** As JSON has it: no NaN, no negative zero. */
const flatRows = (rows: readonly ObservationRow[]): Record<string, unknown>[] => {
  const weighted = rows.some(({ n }) => n !== undefined);
  return JSON.parse(JSON.stringify(rows.map((one) => flat(one, weighted)))) as Record<string, unknown>[];
};

const FRAGMENTS = [
  '=cmd|calc',
  '"',
  "'",
  '\n',
  '\r',
  '\t',
  '😀',
  '_x0041_',
  '_x0041',
  '\u0001',
  '<&>',
  ' ',
  '__proto__',
  '7',
  '中',
];
const text = fc.oneof(
  fc.string({ unit: 'binary', maxLength: 12 }),
  fc.array(fc.constantFrom(...FRAGMENTS), { maxLength: 4 }).map((parts) => parts.join('')),
);
const number = fc.oneof(fc.double(), fc.constantFrom(-0, 0, 1e-7, 5e-324, Number.MAX_VALUE, 2 ** 53));
const nullable = fc.option(number);
const observation: fc.Arbitrary<ObservationRow> = fc.record(
  {
    dx: fc.oneof(fc.constant('INC-01'), text),
    pe: text,
    ou: text,
    sex: text,
    age: text,
    value: nullable,
    unit: text,
    num: nullable,
    den: nullable,
    n: fc.option(fc.maxSafeNat()),
    ci: fc.option(fc.record({ level: number, low: number, high: nullable, method: text })),
    status: fc.constantFrom('A', 'P', 'E', 'U', 'M'),
    conf: fc.constantFrom('F', 'C', 'N'),
    reason: text,
  },
  { requiredKeys: ['dx', 'pe', 'ou', 'sex', 'age', 'value', 'unit', 'num', 'den', 'ci', 'status', 'conf'] },
);
const PLACE = ['dx', 'pe', 'ou', 'sex', 'age'] as const;
const observations = fc.uniqueArray(observation, {
  minLength: 1,
  maxLength: 6,
  selector: (one) => JSON.stringify(PLACE.map((name) => one[name])),
});

const collected = async (chunks: AsyncIterable<Buffer>): Promise<Buffer> => {
  const all: Buffer[] = [];
  for await (const chunk of chunks) all.push(chunk);
  return Buffer.concat(all);
};

describe('XLSX', () => {
  const sheetsOf = async (answer: ObservationAnswer, language?: 'zh' | 'en') =>
    readWorkbook(await collected(toXlsx(answer, { language })), { trim: false });
  const recordsOf = async (answer: ObservationAnswer) => {
    const [head, ...rows] = (await sheetsOf(answer))[0]!.data;
    return rows.map((cells) => Object.fromEntries(head!.map((heading, i) => [String(heading), cells[i] ?? null])));
  };

  /** The parts of an archive, found through its directory; of the format no more than is needed here. */
  const partsOf = (archive: Buffer): Record<string, string> => {
    const parts: Record<string, string> = {};
    const end = archive.length - 22;
    let at = archive.readUInt32LE(end + 16);
    for (let left = archive.readUInt16LE(end + 10); left > 0; left -= 1) {
      const nameLength = archive.readUInt16LE(at + 28);
      const name = archive.toString('utf8', at + 46, at + 46 + nameLength);
      const local = archive.readUInt32LE(at + 42);
      const from = local + 30 + archive.readUInt16LE(local + 26);
      parts[name] = inflateRawSync(archive.subarray(from, from + archive.readUInt32LE(at + 20))).toString();
      expect(Buffer.byteLength(parts[name])).toBe(archive.readUInt32LE(at + 24));
      at += 46 + nameLength;
    }
    return parts;
  };

  test('headings as in CSV, numbers as numbers, hidden ones as empty cells', async () => {
    const answer = answerOf(row, hidden);
    const [sheet] = await sheetsOf(answer);
    expect(sheet!.sheet).toBe('observations');
    const [head] = parse([...toCsv(answer, { bom: false })].join('')) as string[][];
    expect(sheet!.data[0]).toEqual(head);
    const records = await recordsOf(answer);
    expect(records).toEqual(flatRows([row, hidden]));
    expect(records.map(({ value }) => value)).toEqual([123.456, null]);
  });

  test('the second sheet says where the rows come from, in both languages', async () => {
    const [data, provenance] = await sheetsOf(answerOf(row), 'zh');
    expect([data!.sheet, provenance!.sheet]).toEqual(['数据', '出处']);
    const rows = provenance!.data;
    expect(rows[0]).toEqual(['field', 'value', '中文', 'English']);
    expect(rows).toContainEqual(['position', '9007199254740993', '日志位置', 'position in the log']);
    expect(rows).toContainEqual(['definition INC-01', '{"version":1,"hash":"abc"}', '伤害发生率', 'injury incidence']);
    expect(rows).toContainEqual([
      'problem missing-denominator',
      '{"value":"C-002"}',
      'C-002 没有人口',
      'C-002 has no population',
    ]);
    expect(rows).toContainEqual(['column num', null, '分子', 'numerator']);
  });

  test('a field of meta longer than a cell holds goes on below', async () => {
    const { data, meta } = answerOf(row);
    const query = 'x'.repeat(70_000);
    const [, provenance] = await sheetsOf({ data, meta: { ...meta, query } });
    const parts = provenance!.data.filter(([field]) => field === 'query').map(([, value]) => String(value));
    expect(parts.map(({ length }) => length)).toEqual([32_767, 32_767, 4_466]);
    expect(parts.join('')).toBe(query);
  });

  test('an empty answer has its headings', async () => {
    const [sheet] = await sheetsOf(answerOf());
    expect(sheet!.data).toHaveLength(1);
    expect(sheet!.data[0]!.slice(0, 6)).toEqual(['dx', 'pe', 'ou', 'sex', 'age', 'value']);
  });

  test('no text is a formula, nor becomes one when edited; the heading is frozen and filtered', async () => {
    const parts = partsOf(await collected(toXlsx(answerOf({ ...row, reason: '=cmd|calc' }, { ...row, reason: '@SUM(A1)' }))));
    const sheet = parts['xl/worksheets/sheet1.xml']!;
    expect(sheet).not.toContain('<f>');
    expect(sheet.match(/s="2" t="s"/g)).toHaveLength(2);
    expect(parts['xl/styles.xml']!.match(/<xf [^>]*quotePrefix="1"\/>/g)).toHaveLength(1);
    expect(sheet).toContain('<pane ySplit="1" topLeftCell="A2" activePane="bottomLeft" state="frozen"/>');
    expect(sheet).toContain('<autoFilter ref="A1:U3"/>');
  });

  test('any text and any number come back', () =>
    fc.assert(
      fc.asyncProperty(observations, async (rows) => {
        // A spreadsheet's reader has one nothing for no cell and for an empty text.
        const none = (records: readonly Record<string, unknown>[]) =>
          records.map((record) =>
            Object.fromEntries(Object.entries(record).map(([name, value]) => [name, value === '' ? null : value])),
          );
        expect(none(await recordsOf(answerOf(...rows)))).toEqual(none(flatRows(rows)));
      }),
      { numRuns: 150 },
    ));

  test('the same answer gives the same bytes', async () =>
    expect(await collected(toXlsx(answerOf(row, hidden)))).toEqual(await collected(toXlsx(answerOf(row, hidden)))));

  test('a reader that leaves early stops the writing', async () => {
    for await (const chunk of toXlsx(answerOf(...Array.from({ length: 5_000 }, () => row)))) {
      expect(chunk.length).toBeGreaterThan(0);
      break;
    }
  });
});

describe('Parquet', () => {
  const bufferOf = async (answer: ObservationAnswer): Promise<ArrayBuffer> => {
    const bytes = await collected(toParquet(answer));
    const file = new ArrayBuffer(bytes.length);
    new Uint8Array(file).set(bytes);
    return file;
  };
  /** 64-bit integers as JSON has them: positions as text, counts as numbers. */
  const recordsOf = async (answer: ObservationAnswer) =>
    (await parquetReadObjects({ file: await bufferOf(answer) })).map((record) =>
      Object.fromEntries(
        Object.entries(record as Record<string, unknown>).map(([name, value]) => [
          name,
          typeof value === 'bigint' ? (name === 'n' ? Number(value) : value.toString()) : value,
        ]),
      ),
    );

  test('rows, typed columns, and meta as metadata', async () => {
    const answer = answerOf(row, { ...hidden, n: 3 });
    expect(await recordsOf(answer)).toEqual(flatRows([row, { ...hidden, n: 3 }]));
    const { schema, key_value_metadata: pairs } = parquetMetadata(await bufferOf(answer));
    const types = Object.fromEntries(schema.slice(1).map(({ name, type, converted_type: text }) => [name, text ?? type]));
    expect(types).toMatchObject({ dx: 'UTF8', age: 'UTF8', value: 'DOUBLE', n: 'INT64', ciHigh: 'DOUBLE', position: 'INT64' });
    expect(schema.slice(1).every(({ repetition_type: nullable }) => nullable === 'OPTIONAL')).toBe(true);
    const meta = Object.fromEntries((pairs ?? []).map(({ key, value }) => [key.replace(/^vigil\./, ''), JSON.parse(value!)]));
    expect(meta).toEqual(answer.meta);
  });

  test('row groups follow one another', async () => {
    const rows = Array.from({ length: 25_001 }, (_, i) => ({ ...row, value: i % 7 === 0 ? null : i / 3 }));
    const file = await bufferOf(answerOf(...rows));
    expect(parquetMetadata(file).row_groups.map(({ num_rows: count }) => Number(count))).toEqual([10_000, 10_000, 5_001]);
    const read = await parquetReadObjects({ file, columns: ['value'] });
    expect(read.map(({ value }) => value as number)).toEqual(rows.map(({ value }) => value));
  });

  test('an empty answer has its columns', async () => {
    const file = await bufferOf(answerOf());
    expect(await parquetReadObjects({ file })).toEqual([]);
    expect(parquetMetadata(file).schema.map(({ name }) => name)).toContain('value');
  });

  test('any text and any number come back', () =>
    fc.assert(
      fc.asyncProperty(observations, async (rows) => expect(await recordsOf(answerOf(...rows))).toEqual(flatRows(rows))),
      { numRuns: 150 },
    ));
});

describe('JSON-stat', () => {
  interface Dataset {
    readonly version: string;
    readonly class: string;
    readonly updated: string;
    readonly note?: readonly string[];
    readonly id: readonly string[];
    readonly size: readonly number[];
    readonly role: Readonly<Record<string, readonly string[]>>;
    readonly dimension: Readonly<
      Record<string, { label: string; category: { index: readonly string[]; label: Record<string, string> } }>
    >;
    readonly value: Readonly<Record<string, number>>;
    readonly status: Readonly<Record<string, string>>;
    readonly extension: {
      readonly meta: ObservationAnswer['meta'];
      readonly status: { readonly label: Readonly<Record<string, string>> };
      readonly attributes: Readonly<Record<string, string | number | Readonly<Record<string, string | number>>>>;
    };
  }
  const datasetOf = (answer: ObservationAnswer, language?: 'zh' | 'en'): Dataset => {
    const made = toJsonStat(answer, { language });
    if (!made.ok) throw new Error(made.problem.code);
    return JSON.parse([...made.value].join('')) as Dataset;
  };

  /** Unfolds a cube cell by cell, as the format says: the last dimension moves fastest. */
  const unfold = (set: Dataset): Record<string, unknown>[] => {
    expect(set.size).toEqual(set.id.map((id) => set.dimension[id]!.category.index.length));
    const records: [number, Record<string, unknown>][] = Object.entries(set.status).map(([key, status]) => {
      const record: Record<string, unknown> = {};
      let left = Number(key);
      for (const [i, id] of [...set.id.entries()].reverse()) {
        record[id] = set.dimension[id]!.category.index[left % set.size[i]!];
        left = Math.floor(left / set.size[i]!);
      }
      expect(record['metric']).toBe('value');
      delete record['metric'];
      for (const [i, metric] of set.dimension['metric']!.category.index.entries())
        record[metric] = set.value[String(Number(key) + i)] ?? null;
      for (const [name, said] of Object.entries(set.extension.attributes))
        record[name] = typeof said === 'object' ? (said[key] ?? null) : said;
      [record['status'], record['conf'] = 'F'] = status.split('/');
      const { asOf, position, standard, populationVersion, definitions } = set.extension.meta;
      const definitionHash = definitions.find(({ code }) => code === record['dx'])?.hash ?? null;
      return [Number(key), { ...record, asOf, position, standard, populationVersion, definitionHash }];
    });
    return records.map(([, record]) => record);
  };
  /** A cube knows no order of its rows. */
  const sorted = (records: readonly Record<string, unknown>[]) =>
    [...records].sort((a, b) => (JSON.stringify(PLACE.map((n) => a[n])) < JSON.stringify(PLACE.map((n) => b[n])) ? -1 : 1));

  test('a cube of the dimensions asked for and the figures', () => {
    const set = datasetOf(answerOf(row, { ...hidden, sex: 'M' }));
    expect([set.version, set.class, set.updated]).toEqual(['2.0', 'dataset', '2026-03-02T08:00:00.123456Z']);
    expect(set.id).toEqual(['dx', 'pe', 'ou', 'sex', 'age', 'metric']);
    expect(set.size).toEqual([1, 1, 2, 2, 1, 5]);
    expect(set.role).toEqual({ time: ['pe'], geo: ['ou'], metric: ['metric'] });
    expect(set.dimension['metric']!.category.index).toEqual(['value', 'num', 'den', 'ciLow', 'ciHigh']);
    // Of four places two are rows, and the hidden one has no figure, not 0.
    expect(set.value).toEqual({ 0: 123.456, 1: 12, 2: 9720.07, 3: 63.8, 4: 215.6 });
    expect(set.status).toEqual({ 0: 'A', 15: 'M/C' });
    expect(set.extension.attributes).toEqual({
      unit: 'per 100,000',
      ciLevel: { 0: 95 },
      ciMethod: { 0: 'byar' },
      reason: { 15: 'suppressed' },
    });
    expect(set.extension.meta).toEqual(answerOf(row).meta);
  });

  test('labels and notes speak the language asked for, codes none', () => {
    const [zh, en] = [datasetOf(answerOf(row, hidden), 'zh'), datasetOf(answerOf(row, hidden), 'en')];
    expect(zh.dimension['dx']).toMatchObject({
      label: '指标',
      category: { index: ['INC-01'], label: { 'INC-01': '伤害发生率' } },
    });
    expect(en.dimension['dx']).toMatchObject({ category: { label: { 'INC-01': 'injury incidence' } } });
    expect([zh.note, en.note]).toEqual([['C-002 没有人口'], ['C-002 has no population']]);
    expect(en.extension.status.label).toEqual({ A: 'normal', 'M/C': 'missing, suppressed' });
    expect(zh.value).toEqual(en.value);
  });

  test('an empty answer is an empty cube', () => {
    const set = datasetOf(answerOf());
    expect(set).toMatchObject({ size: [0, 0, 0, 0, 0, 5], value: {}, status: {} });
  });

  test('any row comes back', () =>
    fc.assert(
      fc.property(observations, (rows) => expect(sorted(unfold(datasetOf(answerOf(...rows))))).toEqual(sorted(flatRows(rows)))),
      { numRuns: 300 },
    ));

  test('a cube that outgrows whole doubles is refused in words', () => {
    const rows = Array.from({ length: 3_000 }, (_, i) => ({
      ...row,
      dx: `${i}`,
      pe: `${i}`,
      ou: `${i}`,
      sex: `${i}`,
      age: `${i}`,
    }));
    expect(toJsonStat(answerOf(...rows))).toMatchObject({ ok: false, problem: { code: 'cube-too-large' } });
  });
});

test('DuckDB reads the Parquet file as it was meant', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'vigil-parquet-'));
  const instance = await DuckDBInstance.create(':memory:');
  const connection = await instance.connect();
  try {
    const rows: ObservationRow[] = Array.from({ length: 12_000 }, (_, i) => ({
      ...(i % 3 === 0 ? hidden : row),
      ou: `C-${i}`,
      ...(i % 3 !== 0 && { value: i / 7 }),
    }));
    const path = join(folder, 'rates.parquet');
    await writeFile(path, await collected(toParquet(answerOf(...rows, { ...row, ou: '=cmd|"😀\n' }))));
    const ask = async (sql: string) => (await connection.runAndReadAll(sql)).getRowObjectsJS();
    expect(await ask(`SELECT ou, value, num, "ciHigh", status, conf, position FROM '${path}' LIMIT 2`)).toEqual([
      { ou: 'C-0', value: null, num: null, ciHigh: null, status: 'M', conf: 'C', position: 9007199254740993n },
      { ou: 'C-1', value: 1 / 7, num: 12, ciHigh: 215.6, status: 'A', conf: 'F', position: 9007199254740993n },
    ]);
    const [total] = await ask(
      `SELECT count(*) AS rows, count(value) AS shown, max(value) AS most, count(DISTINCT ou) AS places FROM '${path}'`,
    );
    expect(total).toEqual({ rows: 12_001n, shown: 8_001n, most: 11_999 / 7, places: 12_001n });
    expect(await ask(`SELECT ou FROM '${path}' WHERE value = 123.456`)).toEqual([{ ou: '=cmd|"😀\n' }]);
    const meta = await ask(`SELECT decode(key) AS key, decode(value) AS value FROM parquet_kv_metadata('${path}')`);
    expect(meta).toContainEqual({ key: 'vigil.position', value: '"9007199254740993"' });
    expect(meta).toContainEqual({ key: 'vigil.populationVersion', value: '"41"' });
  } finally {
    connection.closeSync();
    instance.closeSync();
    await rm(folder, { recursive: true, force: true });
  }
});

test('fields that no column names come along in every table', async () => {
  const answer = answerOf({ ...row, estimator: 'kaplan-meier', deff: 1.5, ci: { ...row.ci!, df: 11 } } as ObservationRow, hidden);
  const [head, first, second] = parse([...toCsv(answer, { bom: false })].join('')) as string[][];
  const of = (cells: string[] | undefined) => ['estimator', 'deff', 'ciDf'].map((name) => cells![head!.indexOf(name)]);
  expect([of(first), of(second)]).toEqual([['kaplan-meier', '1.5', '11'], ['', '', '']]); // prettier-ignore
  const bytes = await collected(toParquet(answer));
  const file = new ArrayBuffer(bytes.length);
  new Uint8Array(file).set(bytes);
  expect((await parquetReadObjects({ file }))[0]).toMatchObject({ estimator: 'kaplan-meier', deff: 1.5, ciDf: 11 });
  const made = toJsonStat(answer);
  const set = made.ok ? (JSON.parse([...made.value].join('')) as { extension: { attributes: unknown } }) : undefined;
  expect(set?.extension.attributes).toMatchObject({ estimator: { 0: 'kaplan-meier' } });
});
