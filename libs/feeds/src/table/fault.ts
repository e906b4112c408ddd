/** A sentence in both languages. Details name places and kinds, never cell values: they end up in logs, values may be identities. */
export interface Detail {
  zh: string;
  en: string;
}

export type FileFaultCode =
  | 'not-found'
  | 'is-directory'
  | 'not-a-regular-file'
  | 'not-readable'
  | 'empty-file'
  | 'no-header'
  | 'duplicate-column'
  | 'wrong-gzip'
  | 'cut-file'
  | 'unterminated-quote'
  | 'file-changed'
  | 'inflates-too-much'
  | 'not-text'
  | 'undecodable'
  // Of an import: the file is a table, but not one that this mapping takes. All are met before the first row.
  | 'missing-column'
  | 'wrong-template'
  | 'identity-not-accepted'
  | 'unknown-mapping'
  | 'invalid-code'
  | 'missing-community'
  | 'community-not-found'
  | 'missing-value';

/** Where in the file a fault of the whole file was met. `afterRow`: the last data row that was read whole (0: none). */
export interface FilePlace {
  afterRow?: number;
  line?: number;
  /** Columns that are missing, or not accepted. */
  columns?: readonly string[];
  value?: string;
  allowed?: readonly string[];
  /** What was probably meant: for the wrong template, the mapping that the header resembles most. */
  suggestion?: string;
}

/** The file as a whole can't be read (further). Rows read before it have been delivered. */
export class FileFault extends Error {
  override readonly name = 'FileFault';
  constructor(
    readonly code: FileFaultCode,
    readonly detail: Detail,
    readonly place: FilePlace = {},
    options?: ErrorOptions,
  ) {
    super(`${code}: ${detail.en}`, options);
  }
}

export type RowFaultCode =
  | 'wrong-column-count'
  | 'nul-character'
  | 'lone-surrogate'
  | 'invalid-encoding'
  | 'quote'
  | 'row-too-long';

/** One row can't be used; reading goes on after it. `column` and `value` (cut to 200 characters) when one cell is to blame. */
export interface RowFault {
  code: RowFaultCode;
  column?: string;
  value?: string;
  detail: Detail;
}

/**
 * One data row.
 * - `row`: 1-based number of the data row; the header, blank lines and a leading `sep=;` line aren't counted, faulty rows are.
 * - `line`: 1-based physical line on which the row begins, the header's line being 1 (a quoted cell may span several).
 * - `values`: one per column of `Table.header`. In a faulty row they are what could be read and may be fewer or more.
 * - `raw`: only on rows whose cells can't be told apart (`wrong-column-count`, `quote`, `row-too-long`): their text, cut to 4,096 characters.
 *
 * V8 keeps a whole decoded block (64 KiB) alive for a slice of 13 characters or more: copy what outlives its batch.
 */
export interface Row {
  row: number;
  line: number;
  values: string[];
  raw?: string;
  fault?: RowFault;
}

export const RAW_LIMIT = 4096;
export const VALUE_LIMIT = 200;

export const cut = (text: string, limit: number): string => (text.length > limit ? `${text.slice(0, limit)}…` : text);
