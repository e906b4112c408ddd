/** Answers as tidy CSV and as NDJSON, in pieces: no text of the whole answer is ever built. */
import type { ObservationAnswer } from './answer';
import { columnsOf, inPieces, provenanceColumns, type Cell } from './columns';

const BOM = '\uFEFF';

/** Text that a spreadsheet would run as a formula gets an apostrophe before it (OWASP, CSV injection); numbers stay numbers. */
const csvCell = (cell: Cell): string => {
  if (cell === null) return '';
  if (typeof cell === 'number') return String(cell);
  const text = /^[=+\-@\t\r]/.test(cell) ? `'${cell}` : cell;
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
};

function* csvLines(answer: ObservationAnswer, bom: boolean): Generator<string, void> {
  const columns = columnsOf(answer);
  yield `${bom ? BOM : ''}${columns.map(({ heading }) => csvCell(heading)).join(',')}\r\n`;
  for (const row of answer.data) yield `${columns.map(({ cell }) => csvCell(cell(row))).join(',')}\r\n`;
}

function* jsonLines({ data, meta }: ObservationAnswer): Generator<string, void> {
  const columns = provenanceColumns(meta);
  for (const row of data)
    yield `${JSON.stringify({ ...row, ...Object.fromEntries(columns.map(({ heading, cell }) => [heading, cell(row)])) })}\n`;
}

/**
 * RFC 4180 with a header line, one observation a line; a missing number is an empty cell, never 0. It begins with a byte order mark
 * unless `bom` is false, for Excel takes UTF-8 for the local code page without one.
 */
export const toCsv = (answer: ObservationAnswer, { bom = true }: { readonly bom?: boolean } = {}): Generator<string, void> =>
  inPieces(csvLines(answer, bom));

/** One observation a line as JSON has it, with `asOf`, `position`, `definitionHash`, `standard` and `populationVersion` added to each. */
export const toNdjson = (answer: ObservationAnswer): Generator<string, void> => inPieces(jsonLines(answer));
