import { cut, FileFault, RAW_LIMIT, type Row } from './fault';

/** Why csv-parse isn't used here: docstring of `openTable`, with the figures. */
export interface Tokenizer {
  /**
   * Appends the rows that `chunk` completes to `out`. `last`: the text ends here, so an open row ends with it.
   * Returns the fault that ends reading (a quote that never closes), after the rows before it.
   */
  push(chunk: string, last: boolean, out: Row[]): FileFault | undefined;
  /** True when the text of the last `push` had a character that needs a look cell by cell. */
  suspect(): boolean;
  /** The last row numbered so far (the first row read has number `firstRow`). */
  lastRow(): number;
}

export interface TokenizerOptions {
  delimiter: string;
  /** Longest row in UTF-16 code units, which is also the most that is held back between two pushes. */
  maxRow: number;
  /** Number of the first row: 0 when that is the header. */
  firstRow?: number;
  firstLine?: number;
  /** Characters, besides NUL, that make `suspect()` true. */
  suspicious?: RegExp;
}

const LF = 10;
const CR = 13;
const QUOTE = 34;

/**
 * Rows from text that comes in arbitrary pieces. RFC 4180, with what real files do besides:
 * - LF, CRLF and CR end a row, in any mixture; blank lines are passed over;
 * - a quote opens a quoted cell only as the first character of a cell; elsewhere it is a plain character (as Excel and Python read it:
 *   narratives say `FELL 3" STEP`);
 * - text after a closing quote makes the row faulty (`quote`). Reading resumes on the line after the one where that cell opened, so that a
 *   stray quote costs one row and not all rows up to the next quote in the file. A line that such a cell swallows holds a quote itself,
 *   so the text is scanned at most twice;
 * - a cell still open `maxRow` after its row began, or at the end of the text, ends reading.
 *
 * The result doesn't depend on where the text is cut into pieces.
 */
export const tokenizer = ({ delimiter, maxRow, firstRow = 1, firstLine = 1, suspicious }: TokenizerOptions): Tokenizer => {
  const DELIMITER = delimiter.charCodeAt(0);
  let carry = '';
  let row = firstRow - 1;
  let line = firstLine;
  let skipping = false;
  let isSuspect = false;
  // Set while a row longer than maxRow is passed over and the piece ended in CR: an LF that follows belongs to it.
  let afterCr = false;

  // One piece of text and, for each special character, the first place at or after the place asked last (Infinity: none).
  // Remembering "none" matters: without it a single-column or CR-only file would be searched to its end once per row.
  let text = '';
  let lf = -1;
  let cr = -1;
  let sep = -1;
  let quote = -1;
  const find = (what: string, from: number): number => {
    const at = text.indexOf(what, from);
    return at < 0 ? Infinity : at;
  };
  const lineEnd = (from: number): number => {
    if (lf < from) lf = find('\n', from);
    if (cr < from) cr = find('\r', from);
    return lf < cr ? lf : cr;
  };
  const afterLineEnd = (at: number): number => (text.charCodeAt(at) === CR && text.charCodeAt(at + 1) === LF ? at + 2 : at + 1);
  // Apart from the remembered places, which only ever move forward.
  const linesIn = (from: number, to: number): number => {
    let lines = 0;
    for (let at = from; at < to; at++) {
      const code = text.charCodeAt(at);
      if (code === LF || (code === CR && text.charCodeAt(at + 1) !== LF)) lines++;
    }
    return lines;
  };

  const raw = (from: number, to: number): string =>
    cut(text.slice(from, Math.min(to, from + RAW_LIMIT + 1, from + maxRow)), RAW_LIMIT);
  const tooLong = (from: number): Row => ({
    row: ++row,
    line,
    values: [],
    raw: raw(from, from + maxRow),
    fault: {
      code: 'row-too-long',
      detail: {
        zh: `该行超过 ${maxRow} 个字符，未读取`,
        en: `the row is longer than ${maxRow} characters and was not read`,
      },
    },
  });
  const unterminated = (opened: number, from: number): FileFault => {
    const at = line + linesIn(from, opened);
    return new FileFault(
      'unterminated-quote',
      {
        zh: `第 ${at} 行有引号打开后未关闭；第 ${row} 条数据之后未再读取`,
        en: `a quote opened on line ${at} is never closed; nothing was read after row ${row}`,
      },
      { afterRow: row, line: at },
    );
  };

  /** Reads the row at `from`, which has a quote. Answers where to go on, `undefined` when the row needs more text, or the fault that ends it. */
  const readQuoted = (from: number, last: boolean, out: Row[]): number | undefined | FileFault => {
    const values: string[] = [];
    const limit = from + maxRow;
    const length = text.length;
    const skip = (): number => {
      out.push(tooLong(from));
      skipping = true;
      line += linesIn(from, limit);
      return limit;
    };
    const done = (end: number): number | undefined => {
      const isEnd = end >= length;
      if (isEnd && !last) return undefined;
      if (!last && end === length - 1 && text.charCodeAt(end) === CR) return undefined;
      const next = isEnd ? length : afterLineEnd(end);
      out.push({ row: ++row, line, values });
      line += linesIn(from, next);
      return next;
    };
    for (let at = from; ; ) {
      if (at > limit) return skip();
      if (text.charCodeAt(at) !== QUOTE) {
        if (sep < at) sep = find(delimiter, at);
        const eol = lineEnd(at);
        const end = Math.min(sep, eol, length);
        if (end > limit) return skip();
        if (end === length && !last) return undefined;
        values.push(text.slice(at, end));
        if (end !== sep) return done(end);
        at = end + 1;
        continue;
      }
      const opened = at;
      let value = '';
      for (let begin = at + 1; ; ) {
        const close = find('"', begin);
        if (close === Infinity ? last || length > limit : close > limit) return unterminated(opened, from);
        if (close === Infinity) return undefined;
        if (close + 1 === length && !last) return undefined;
        if (text.charCodeAt(close + 1) !== QUOTE) {
          values.push(value + text.slice(begin, close));
          at = close + 1;
          break;
        }
        value += text.slice(begin, close + 1);
        begin = close + 2;
      }
      const code = text.charCodeAt(at);
      if (code === DELIMITER) at++;
      else if (at >= length || code === LF || code === CR) return done(at);
      else {
        const end = Math.min(lineEnd(opened), length);
        if (end > limit) return skip();
        if (end === length && !last) return undefined;
        if (!last && end === length - 1 && text.charCodeAt(end) === CR) return undefined;
        const next = end === length ? length : afterLineEnd(end);
        out.push({
          row: ++row,
          line,
          values: [...values.slice(0, -1), text.slice(opened, Math.min(end, opened + RAW_LIMIT))],
          raw: raw(from, end),
          fault: {
            code: 'quote',
            detail: {
              zh: `第 ${values.length} 列的引号关闭后还有文字：引号须成对，单元格内的引号须写两次`,
              en: `column ${values.length}: text follows a closing quote; quotes come in pairs, and a quote inside a cell is written twice`,
            },
          },
        });
        line += linesIn(from, next);
        return next;
      }
    }
  };

  return {
    suspect: () => isSuspect,
    lastRow: () => row,
    push(chunk, last, out) {
      text = carry ? carry + chunk : chunk;
      carry = '';
      lf = cr = sep = quote = -1;
      isSuspect = text.includes('\0') || (suspicious !== undefined && suspicious.test(text));
      const length = text.length;
      let at = 0;
      if (afterCr && length > 0) {
        afterCr = false;
        if (text.charCodeAt(0) === LF) at = 1;
      }
      while (at < length) {
        if (skipping) {
          const end = lineEnd(at);
          if (end === Infinity) return undefined;
          skipping = false;
          line++;
          afterCr = end === length - 1 && text.charCodeAt(end) === CR;
          at = afterLineEnd(end);
          continue;
        }
        const eol = lineEnd(at);
        if (quote < at) quote = find('"', at);
        if (quote < eol) {
          const next = readQuoted(at, last, out);
          if (next instanceof FileFault) return next;
          if (next === undefined) break;
          at = next;
          continue;
        }
        if (eol - at > maxRow && length - at > maxRow) {
          out.push(tooLong(at));
          skipping = true;
          at += maxRow;
          continue;
        }
        if (eol === Infinity && !last) break;
        if (!last && eol === length - 1 && text.charCodeAt(eol) === CR) break;
        const end = eol === Infinity ? length : eol;
        if (end > at) {
          const values: string[] = [];
          let begin = at;
          for (;;) {
            if (sep < begin) sep = find(delimiter, begin);
            if (sep >= end) break;
            values.push(text.slice(begin, sep));
            begin = sep + 1;
          }
          values.push(text.slice(begin, end));
          out.push({ row: ++row, line, values });
        }
        line++;
        at = eol === Infinity ? length : afterLineEnd(end);
      }
      if (at < length) carry = text.slice(at);
      return undefined;
    },
  };
};
