/**
 * Answers as tidy CSV and as NDJSON, in pieces: no text of the whole answer is ever built. Provenance stands in columns of every
 * row; comment lines on top would break most readers, and a row cut out of the file keeps its origin.
 */
import type { ObservationAnswer, ObservationMeta, ObservationRow } from './answer';

/** Lines that travel together: a piece per line would cost a write each. */
const LINES = 500;

const BOM = '\uFEFF';

type Cell = string | number | null | undefined;
type Column = readonly [header: string, cell: (row: ObservationRow) => Cell];

const provenance = (meta: ObservationMeta): readonly Column[] => {
  const hashes = new Map(meta.definitions.map(({ code, hash }) => [code, hash]));
  return [
    ['asOf', () => meta.asOf],
    ['position', () => meta.position],
    ['definitionHash', ({ dx }) => hashes.get(dx)],
    ['standard', () => meta.standard],
  ];
};

const columns = ({ data, meta }: ObservationAnswer): readonly Column[] => [
  ['dx', ({ dx }) => dx],
  ['pe', ({ pe }) => pe],
  ['ou', ({ ou }) => ou],
  ...meta.dimensions.map((name): Column => [name, (row) => row[name]]),
  ['value', ({ value }) => value],
  ['unit', ({ unit }) => unit],
  ['num', ({ num }) => num],
  ['den', ({ den }) => den],
  // Weighted answers only: a weighted total without the records behind it can't be judged.
  ...(data.some(({ n }) => n !== undefined) ? [['n', ({ n }: ObservationRow) => n] as const] : []),
  ['ciLevel', ({ ci }) => ci?.level],
  ['ciLow', ({ ci }) => ci?.low],
  ['ciHigh', ({ ci }) => ci?.high],
  ['ciMethod', ({ ci }) => ci?.method],
  ['status', ({ status }) => status],
  ['conf', ({ conf }) => conf],
  ['reason', ({ reason }) => reason],
  ...provenance(meta),
];

/** Text that a spreadsheet would run as a formula gets an apostrophe before it (OWASP, CSV injection); numbers stay numbers. */
const csvCell = (cell: Cell): string => {
  if (cell === null || cell === undefined) return '';
  if (typeof cell === 'number') return Number.isFinite(cell) ? String(cell) : '';
  const text = /^[=+\-@\t\r]/.test(cell) ? `'${cell}` : cell;
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
};

function* inPieces(lines: Iterable<string>): Generator<string, void> {
  let piece: string[] = [];
  for (const line of lines) {
    piece.push(line);
    if (piece.length < LINES) continue;
    yield piece.join('');
    piece = [];
  }
  if (piece.length > 0) yield piece.join('');
}

function* csvLines(answer: ObservationAnswer, bom: boolean): Generator<string, void> {
  const cells = columns(answer);
  yield `${bom ? BOM : ''}${cells.map(([header]) => header).join(',')}\r\n`;
  for (const row of answer.data) yield `${cells.map(([, cell]) => csvCell(cell(row))).join(',')}\r\n`;
}

function* jsonLines({ data, meta }: ObservationAnswer): Generator<string, void> {
  const cells = provenance(meta);
  for (const row of data)
    yield `${JSON.stringify({ ...row, ...Object.fromEntries(cells.map(([name, cell]) => [name, cell(row)])) })}\n`;
}

/**
 * RFC 4180 with a header line, one observation a line; a missing number is an empty cell, never 0. It begins with a byte order mark
 * unless `bom` is false, for Excel takes UTF-8 for the local code page without one.
 */
export const toCsv = (answer: ObservationAnswer, { bom = true }: { readonly bom?: boolean } = {}): Generator<string, void> =>
  inPieces(csvLines(answer, bom));

/** One observation a line as JSON has it, with `asOf`, `position`, `definitionHash` and `standard` added to each. */
export const toNdjson = (answer: ObservationAnswer): Generator<string, void> => inPieces(jsonLines(answer));
