import { once } from 'node:events';
import type { Writable } from 'node:stream';
import { finished } from 'node:stream/promises';
import type { Detail, Row } from './fault';
import { ERROR_COLUMNS } from './table';

export interface ErrorsCsv {
  /** Writes one refused row; wait for it: it resolves once the stream takes more. */
  refuse(row: Row, code: string, detail: Detail | string): Promise<void>;
  /** Ends the stream. Answers how many rows were refused. */
  end(): Promise<number>;
}

const quoted = (cell: string): string => (/[",\r\n]|^\s|\s$/.test(cell) ? `"${cell.replaceAll('"', '""')}"` : cell);

/** A spreadsheet runs cells that begin like this; the apostrophe makes it show them. */
const inert = (text: string): string => (/^[=+\-@\t\r]/.test(text) ? `'${text}` : text);

/**
 * Refused rows as a CSV that people mend in a spreadsheet and import again: the input's own columns, then `_row` (number of the data row
 * in the input), `_code`, `_error` (both languages). UTF-8 with mark, CRLF, always commas.
 *
 * - The input's own cells are written unchanged, also those that begin with = + - @: an apostrophe in front would come back as
 *   part of the value (-1.5 and +8610… are data). Only `_error` is made inert. Serve the file as a download; whoever opens it in a spreadsheet opens
 *   what the sender wrote. To keep both, escape in a copy made for reading, never in this one.
 * - A row whose cells can't be told apart (`row.raw`) stands whole in the first column and leaves the others empty. Padding it to the right number of columns
 *   would let it in, shifted, when the file is imported again unmended.
 * - `openTable` drops the three columns, so that the mended file re-imports as it is.
 */
export const errorsCsv = (stream: Writable, header: readonly string[]): ErrorsCsv => {
  let refused = 0;
  let failure: Error | undefined;
  stream.once('error', (error: Error) => (failure = error));
  const write = async (cells: readonly string[]): Promise<void> => {
    if (failure) throw failure;
    // `once` rejects on 'error'; a reader that leaves without one only closes the stream.
    if (stream.destroyed) throw new Error('the stream was closed before the refused rows were written');
    const line = `${cells.map(quoted).join(',')}\r\n`;
    if (stream.write(line)) return;
    const left = new AbortController();
    const onClose = (): void => left.abort(new Error('the stream was closed before the refused rows were written'));
    stream.once('close', onClose);
    try {
      await once(stream, 'drain', { signal: left.signal });
    } catch (error) {
      throw left.signal.aborted ? left.signal.reason : error;
    } finally {
      stream.off('close', onClose);
    }
  };
  stream.write('\ufeff');
  const started = write([...header, ...ERROR_COLUMNS]);
  started.catch(() => {});
  return {
    async refuse(row, code, detail) {
      await started;
      const own =
        row.raw === undefined
          ? header.map((_, at) => row.values[at] ?? '')
          : header.map((_, at) => (at === 0 ? (row.raw ?? '') : ''));
      const text = typeof detail === 'string' ? detail : `${detail.zh} / ${detail.en}`;
      await write([...own, String(row.row), code, inert(text)]);
      refused++;
    },
    async end() {
      await started;
      stream.end();
      await finished(stream, { readable: false });
      return refused;
    },
  };
};
