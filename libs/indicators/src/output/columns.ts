/**
 * The columns of an answer as a table, the same in every tabular format. Provenance stands in columns of every row: comment lines
 * on top would break most readers, and a row cut out of the file keeps its origin.
 */
import type { ObservationAnswer, ObservationMeta, ObservationRow } from './answer';

export type Cell = string | number | null;

/** `count` is a whole number, `position` one written as text, for it passes 2^53. */
export type CellType = 'text' | 'number' | 'count' | 'position';

/** What a column says: where the observation stands, what was measured, what is to be known about it, how far it may be trusted, its origin. */
export type ColumnRole = 'dimension' | 'measure' | 'attribute' | 'status' | 'provenance';

export interface Column {
  readonly heading: string;
  readonly role: ColumnRole;
  readonly type: CellType;
  /** Null: nothing there, never 0. No NaN, no infinity, no negative zero: JSON knows none of them. */
  readonly cell: (row: ObservationRow) => Cell;
}

type Raw = string | number | null | undefined;

const settled = (raw: Raw): Cell => {
  if (typeof raw === 'number') return Number.isFinite(raw) ? raw + 0 : null;
  return raw ?? null;
};

const column = (role: ColumnRole, type: CellType, heading: string, raw: (row: ObservationRow) => Raw): Column => ({
  heading,
  role,
  type,
  cell: (row) => settled(raw(row)),
});

/** What every row carries of its origin. */
export const provenanceColumns = (meta: ObservationMeta): readonly Column[] => {
  const hashes = new Map(meta.definitions.map(({ code, hash }) => [code, hash]));
  return [
    column('provenance', 'text', 'asOf', () => meta.asOf),
    column('provenance', 'position', 'position', () => meta.position),
    column('provenance', 'text', 'definitionHash', ({ dx }) => hashes.get(dx)),
    column('provenance', 'text', 'standard', () => meta.standard),
    column('provenance', 'position', 'populationVersion', () => meta.populationVersion),
  ];
};

/** Fields of a row and of its interval that have a column of their own; further ones come after them, under their own names. */
const ROW_FIELDS = ['dx', 'pe', 'ou', 'value', 'unit', 'num', 'den', 'n', 'ci', 'status', 'conf', 'reason'];
const CI_FIELDS = ['level', 'low', 'high', 'method'];

type Fields = Readonly<Record<string, unknown>>;

const further = (
  data: readonly ObservationRow[],
  fields: (row: ObservationRow) => Fields | null,
  known: readonly string[],
  heading: (name: string) => string,
): readonly Column[] => {
  const own = new Set(known);
  const numbers = new Map<string, boolean>();
  for (const row of data) {
    const found = fields(row);
    for (const name in found) {
      if (own.has(name)) continue;
      const value = found[name];
      if (value !== undefined) numbers.set(name, (numbers.get(name) ?? true) && (value === null || typeof value === 'number'));
    }
  }
  return [...numbers].map(([name, isNumber]) =>
    isNumber
      ? column('measure', 'number', heading(name), (row) => fields(row)?.[name] as number | undefined)
      : column('attribute', 'text', heading(name), (row) => asText(fields(row)?.[name])),
  );
};

const asText = (value: unknown): string | null => {
  if (value === undefined || value === null) return null;
  return typeof value === 'string' ? value : JSON.stringify(value);
};

export const columnsOf = ({ data, meta }: ObservationAnswer): readonly Column[] => [
  column('dimension', 'text', 'dx', ({ dx }) => dx),
  column('dimension', 'text', 'pe', ({ pe }) => pe),
  column('dimension', 'text', 'ou', ({ ou }) => ou),
  ...meta.dimensions.map((name) => column('dimension', 'text', name, (row) => row[name])),
  column('measure', 'number', 'value', ({ value }) => value),
  column('attribute', 'text', 'unit', ({ unit }) => unit),
  column('measure', 'number', 'num', ({ num }) => num),
  column('measure', 'number', 'den', ({ den }) => den),
  // Weighted answers only: a weighted total without the records behind it can't be judged.
  ...(data.some(({ n }) => n !== undefined) ? [column('measure', 'count', 'n', ({ n }) => n)] : []),
  column('attribute', 'number', 'ciLevel', ({ ci }) => ci?.level),
  column('measure', 'number', 'ciLow', ({ ci }) => ci?.low),
  column('measure', 'number', 'ciHigh', ({ ci }) => ci?.high),
  column('attribute', 'text', 'ciMethod', ({ ci }) => ci?.method),
  ...further(
    data,
    ({ ci }) => ci as Fields | null,
    CI_FIELDS,
    (name) => `ci${name.slice(0, 1).toUpperCase()}${name.slice(1)}`,
  ),
  column('status', 'text', 'status', ({ status }) => status),
  column('status', 'text', 'conf', ({ conf }) => conf),
  column('attribute', 'text', 'reason', ({ reason }) => reason),
  ...further(
    data,
    (row) => row as unknown as Fields,
    [...ROW_FIELDS, ...meta.dimensions],
    (name) => name,
  ),
  ...provenanceColumns(meta),
];

/** Pieces that travel together: a piece per line would cost a write each. */
const PIECES = 500;

/** Joins small texts to larger ones, so that neither the whole answer nor a line alone is ever in the way. */
export function* inPieces(lines: Iterable<string>): Generator<string, void> {
  let piece: string[] = [];
  for (const line of lines) {
    piece.push(line);
    if (piece.length < PIECES) continue;
    yield piece.join('');
    piece = [];
  }
  if (piece.length > 0) yield piece.join('');
}
