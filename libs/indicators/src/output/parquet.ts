/** An answer as Apache Parquet, a row group at a time. */
import { setImmediate as turn } from 'node:timers/promises';
import type { ObservationAnswer, ObservationRow } from './answer';
import { columnsOf, type CellType, type Column } from './columns';

/** Rows of a group: columns of this many values are in memory at once. */
const GROUP = 10_000;

const BASIC = { text: 'STRING', number: 'DOUBLE', count: 'INT64', position: 'INT64' } as const satisfies Record<CellType, string>;

const valuesOf = ({ cell, type }: Column, rows: readonly ObservationRow[]): (string | number | bigint | null)[] =>
  rows.map((row) => {
    const value = cell(row);
    return value !== null && BASIC[type] === 'INT64' ? BigInt(value) : value;
  });

/**
 * The columns of CSV, typed and nullable: text, doubles, and 64-bit integers for `n`, `position` and `populationVersion`. Every field
 * of `meta` is key-value metadata `vigil.<field>`, as JSON.
 */
export async function* toParquet(answer: ObservationAnswer): AsyncGenerator<Buffer, void> {
  // An ES module that most answers don't need.
  const { ByteWriter, ParquetWriter, schemaFromColumnData } = await import('hyparquet-writer');
  const columns = columnsOf(answer);
  const group = (rows: readonly ObservationRow[]) =>
    columns.map((column) => ({ name: column.heading, data: valuesOf(column, rows) }));
  const schema = schemaFromColumnData({
    columnData: columns.map(({ heading, type }) => ({ name: heading, data: [], type: BASIC[type] })),
  });
  const bytes = new ByteWriter();
  /** What was written since, out of the writer's way: offsets count on, its buffer starts anew. */
  const taken = (): Buffer => {
    const written = Buffer.from(bytes.getBytes());
    bytes.index = 0;
    return written;
  };
  const file = new ParquetWriter({
    writer: bytes,
    schema,
    createdBy: 'vigil',
    kvMetadata: Object.entries(answer.meta).map(([field, value]) => ({
      key: `vigil.${field}`,
      value: JSON.stringify(value ?? null),
    })),
  });
  for (let at = 0; at < answer.data.length; at += GROUP) {
    void file.write({ columnData: group(answer.data.slice(at, at + GROUP)), rowGroupSize: GROUP });
    yield taken();
    // A group is a tenth of a second in which nothing else is served; nothing in the loop would wait by itself.
    await turn();
  }
  void file.finish();
  yield taken();
}
