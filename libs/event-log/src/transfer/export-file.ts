import type { Text } from '@vigil/vocabulary';
import { createChain } from '../chain/digest';
import { position, type Position, type RecordedEvent } from '../event-log';
import { LineTooLong, readLines } from '../lines';
import { checkRestore } from '../request';

/**
 * A log as a file of lines: a header, an event a line with its texts as JSON strings, a trailer with count and digest.
 * The format is documented in docs/reference/log-export.md.
 */
const HEADER = 'log-export';
const TRAILER = 'log-export-end';
const FORMAT = 1;
/** Of one line, in bytes; no event that the API takes comes near. */
export const MOST_LINE_BYTES = 16 * 2 ** 20;
/** Most events and bytes of a page read from a file. */
const PAGE_EVENTS = 1_000;
const PAGE_BYTES = 8 * 2 ** 20;

/** What is wrong with an exported file, where, and what to do. */
export class ExportFault extends Error {
  override readonly name = 'ExportFault';
  constructor(
    /** From 1. */
    readonly line: number,
    readonly detail: Text,
  ) {
    super(detail.en);
  }
}
const fault = (line: number, zh: string, en: string): ExportFault =>
  new ExportFault(line, { zh: `第 ${line} 行:${zh}`, en: `line ${line}: ${en}` });

const WHERE_TO_GET: Text = { zh: '请重新导出(vigil export-log)', en: 'export it again (vigil export-log)' };

/** What an export held at its end. */
export interface Exported {
  readonly events: number;
  /** The chain over them, hex. */
  readonly digest: string;
  /** Position of the last, in the store it came from. */
  readonly last: Position | undefined;
}

/** Where a broken-off export may go on. */
export interface Resumable extends Exported {
  /** Whether its trailer is there. */
  readonly complete: boolean;
  /** Bytes up to and with the last whole event's line feed. */
  readonly bytes: number;
  /** Position of the last event but one. */
  readonly before: Position | undefined;
  readonly lastDigest: Buffer | undefined;
}

const eventLine = ({ position: at, ...event }: RecordedEvent): string =>
  JSON.stringify({
    position: at.toString(),
    id: event.id,
    stream: event.stream,
    revision: event.revision,
    type: event.type,
    version: event.version,
    recordedAt: event.recordedAt,
    fingerprint: event.fingerprint,
    data: event.data,
    metadata: event.metadata,
  });

/**
 * Yields the text of an export, page by page. With `resume` it yields what is missing, and `pages` begin with the last event that is
 * in the file, which is checked and left out.
 * @throws ExportFault
 */
export async function* writeExport(
  store: string,
  pages: AsyncIterable<readonly RecordedEvent[]>,
  resume?: Resumable,
): AsyncGenerator<string, Exported> {
  const chain = createChain(resume && { head: Buffer.from(resume.digest, 'hex'), events: resume.events });
  let last = resume?.last;
  let known = resume?.lastDigest;
  let begun = resume !== undefined;
  const header = (first: Position | undefined): string =>
    `${JSON.stringify({ vigil: HEADER, format: FORMAT, store, first: first?.toString() ?? null })}\n`;
  for await (const page of pages) {
    let text = begun ? '' : header(page[0]?.position);
    begun = true;
    for (const event of page) {
      if (known) {
        if (event.position !== last || !createChain().add(event).equals(known)) throw otherLog(chain.events + 1, last);
        known = undefined;
        continue;
      }
      const line = eventLine(event);
      if (line.length * 3 > MOST_LINE_BYTES && Buffer.byteLength(line) > MOST_LINE_BYTES) throw tooLarge(chain.events + 2, event);
      text += `${line}\n`;
      chain.add(event);
      last = event.position;
    }
    if (text) yield text;
  }
  if (known) throw otherLog(chain.events + 1, last);
  const digest = chain.head.toString('hex');
  const trailer = JSON.stringify({ vigil: TRAILER, events: chain.events, last: last?.toString() ?? null, digest });
  yield `${begun ? '' : header(undefined)}${trailer}\n`;
  return { events: chain.events, digest, last };
}

const otherLog = (line: number, at: Position | undefined): ExportFault =>
  fault(
    line,
    `文件的最后一个事件(位置 ${at ?? '?'})与这个日志的不同;文件来自另一个日志,请换一个文件名导出`,
    `the file's last event (position ${at ?? '?'}) is not the one of this log; it is another log's file, export to another name`,
  );
const tooLarge = (line: number, { position: at }: RecordedEvent): ExportFault =>
  fault(
    line,
    `位置 ${at} 的事件超过 ${MOST_LINE_BYTES / 2 ** 20} MB,无法导出`,
    `the event at position ${at} is larger than ${MOST_LINE_BYTES / 2 ** 20} MB and can't be exported`,
  );

export interface ReadExportOptions {
  /** Takes a file that breaks off: what is whole counts. */
  readonly partial?: boolean;
}

/**
 * Reads an export line by line and yields its events in pages; answers what it held. Every line is checked as it comes, the digest
 * at the end: whoever acts on events before has acted on a file that may yet turn out wrong.
 * @throws ExportFault
 */
export async function* readExport(
  chunks: AsyncIterable<Uint8Array>,
  { partial = false }: ReadExportOptions = {},
): AsyncGenerator<readonly RecordedEvent[], Resumable> {
  const chain = createChain();
  let page: RecordedEvent[] = [];
  let [pageBytes, bytes, line] = [0, 0, 0];
  let last: RecordedEvent | undefined;
  let before: Position | undefined;
  let lastDigest: Buffer | undefined;
  let trailer: Trailer | undefined;
  try {
    for await (const { number, bytes: raw, offset, ended } of readLines(chunks, MOST_LINE_BYTES)) {
      line = number;
      if (trailer)
        throw fault(number, `结束行之后还有内容;${WHERE_TO_GET.zh}`, `there is more after the trailer; ${WHERE_TO_GET.en}`);
      if (!ended && partial) break;
      const value = parseLine(raw, number, ended);
      if (number === 1) {
        checkHeader(value);
        bytes = offset + raw.length + 1;
      } else if (isTrailer(value)) trailer = value;
      else {
        const event = readEvent(value, number);
        if (last && event.position <= last.position) throw disordered(number, event.position, last.position);
        before = last?.position;
        last = event;
        lastDigest = chain.add(event);
        bytes = offset + raw.length + 1;
        pageBytes += raw.length;
        page.push(event);
        if (page.length === PAGE_EVENTS || pageBytes > PAGE_BYTES) {
          yield page;
          [page, pageBytes] = [[], 0];
        }
      }
    }
  } catch (error) {
    if (error instanceof LineTooLong)
      throw fault(
        error.line,
        `超过 ${error.most / 2 ** 20} MB;这不是导出的日志,或已损坏`,
        `it has more than ${error.most / 2 ** 20} MB: this is no exported log, or it is damaged`,
      );
    throw error;
  }
  if (page.length > 0) yield page;
  const digest = chain.head.toString('hex');
  if (line === 0) throw fault(1, `文件是空的;${WHERE_TO_GET.zh}`, `the file is empty; ${WHERE_TO_GET.en}`);
  if (!trailer && !partial)
    throw fault(
      line + 1,
      '没有结束行:导出中途中断;用 vigil export-log --resume 补全,或用 --partial 只取已有部分',
      'the trailer is missing, the export was broken off: complete it with vigil export-log --resume, or take what there is with --partial',
    );
  if (trailer && trailer.events !== chain.events)
    throw fault(
      line,
      `结束行说有 ${trailer.events} 个事件,文件里有 ${chain.events} 个;${WHERE_TO_GET.zh}`,
      `the trailer speaks of ${trailer.events} events, the file has ${chain.events}; ${WHERE_TO_GET.en}`,
    );
  if (trailer && trailer.digest !== digest)
    throw fault(
      line,
      `摘要不符:文件在导出后被改动或损坏;${WHERE_TO_GET.zh}`,
      `the digest doesn't match: the file was changed or damaged after it was exported; ${WHERE_TO_GET.en}`,
    );
  return { events: chain.events, digest, last: last?.position, complete: trailer !== undefined, bytes, before, lastDigest };
}

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

const parseLine = (raw: Buffer, line: number, ended: boolean): Record<string, unknown> => {
  let text: string;
  try {
    text = utf8.decode(raw);
  } catch {
    throw fault(line, `不是有效的 UTF-8;${WHERE_TO_GET.zh}`, `this is not valid UTF-8; ${WHERE_TO_GET.en}`);
  }
  try {
    const value = JSON.parse(text) as unknown;
    if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value as Record<string, unknown>;
  } catch {
    if (!ended)
      throw fault(
        line,
        '这一行断了:导出中途中断;用 vigil export-log --resume 补全,或用 --partial 只取完整的行',
        'it breaks off here: complete the file with vigil export-log --resume, or take its whole lines with --partial',
      );
  }
  throw line === 1 ? notHeader() : fault(line, `不是 JSON 对象;${WHERE_TO_GET.zh}`, `this is no JSON object; ${WHERE_TO_GET.en}`);
};

const notHeader = (): ExportFault =>
  fault(
    1,
    '不是日志导出文件的首行;请用 vigil export-log 导出的文件',
    'this is not the first line of an exported log; give a file that vigil export-log wrote',
  );

const checkHeader = ({ vigil, format }: Record<string, unknown>): void => {
  if (vigil !== HEADER) throw notHeader();
  if (format !== FORMAT)
    throw fault(
      1,
      `格式版本 ${String(format)} 不为本版本所知(本版本为 ${FORMAT});请用写出它的版本或更新的版本`,
      `format ${String(format)} is not known to this version (which knows ${FORMAT}); use the version that wrote it, or a newer one`,
    );
};

interface Trailer {
  readonly events: number;
  readonly digest: string;
}
const isTrailer = (value: Record<string, unknown>): value is Record<string, unknown> & Trailer =>
  value['vigil'] === TRAILER && typeof value['events'] === 'number' && typeof value['digest'] === 'string';

const TEXTS = ['id', 'stream', 'type', 'recordedAt', 'fingerprint', 'data', 'metadata'] as const;

const readEvent = (value: Record<string, unknown>, line: number): RecordedEvent => {
  const wrong = (name: string): ExportFault =>
    fault(line, `“${name}”缺失或有误;${WHERE_TO_GET.zh}`, `"${name}" is missing or wrong; ${WHERE_TO_GET.en}`);
  const at = value['position'];
  if (typeof at !== 'string' || !/^\d{1,20}$/.test(at)) throw wrong('position');
  for (const name of TEXTS) if (typeof value[name] !== 'string') throw wrong(name);
  for (const name of ['revision', 'version']) if (!Number.isSafeInteger(value[name])) throw wrong(name);
  const { id, stream, revision, type, version, recordedAt, fingerprint, data, metadata } = value as unknown as RecordedEvent;
  const event = { position: position(at), id, stream, revision, type, version, recordedAt, fingerprint, data, metadata };
  try {
    checkRestore([event]);
  } catch (error) {
    const why = (error as Error).message;
    throw fault(
      line,
      `不是可存储的事件:标识、版本、修订号、时刻或文本有误;${WHERE_TO_GET.zh}`,
      `this is no event that can be stored: ${why}; ${WHERE_TO_GET.en}`,
    );
  }
  return event;
};

const disordered = (line: number, at: Position, last: Position): ExportFault =>
  fault(
    line,
    `位置 ${at} 不在上一行的位置 ${last} 之后:行的次序被改变;${WHERE_TO_GET.zh}`,
    `position ${at} does not come after ${last} of the line before: lines were reordered; ${WHERE_TO_GET.en}`,
  );
