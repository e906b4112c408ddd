import { eventDigest } from '../chain/digest';
import { readPages } from '../chain/pages';
import type { EventLog, Position, RecordedEvent } from '../event-log';
import { ExportFault, readExport, type Exported, type ReadExportOptions } from './export-file';

export interface ImportLogOptions extends ReadExportOptions {
  readonly log: EventLog;
  /** Opens the export from its start; called twice, for it is read whole before anything is written. */
  readonly open: () => AsyncIterable<Uint8Array>;
  readonly progress?: (events: number, phase: 'check' | 'write') => void;
}

export interface ImportedLog extends Exported {
  /** Events that this call wrote, and events of the file that stood here already. */
  readonly written: number;
  readonly present: number;
  /** Events that stand here after the file's. */
  readonly beyond: number;
  /** Of the last event here. */
  readonly position: Position;
}

/** Most events and characters of one restore. */
const BATCH_EVENTS = 5_000;
const BATCH_CHARACTERS = 8 * 2 ** 20;

/**
 * Puts an exported log into this one, which must be empty or hold the beginning of the same log; so a broken-off import goes on when
 * it is called again. Writes nothing before the whole file has been checked.
 * @throws ExportFault, LogMismatch
 */
export const importLog = async ({ log, open, partial, progress }: ImportLogOptions): Promise<ImportedLog> => {
  const checked = await checkAgainst(log, open(), { partial, progress });
  let written = 0;
  if (checked.present < checked.events) {
    const batches = batchesOf(readExport(open(), { partial }), checked.present);
    // The next batch is read while the last one is written.
    for (let coming = batches.next(); ; ) {
      const { done, value } = await coming;
      if (done) break;
      coming = batches.next();
      coming.catch(() => undefined); // told where it is awaited
      written += (await log.restore(value)).written;
      progress?.(checked.present + written, 'write');
    }
  }
  const { events, digest, last, present, beyond } = checked;
  return { events, digest, last, written, present, beyond, position: await log.head() };
};

/** Events of pages after the first `skip`, in batches for a restore. */
async function* batchesOf(
  pages: AsyncIterable<readonly RecordedEvent[]>,
  skip: number,
): AsyncGenerator<readonly RecordedEvent[], void> {
  let [seen, characters] = [0, 0];
  let batch: RecordedEvent[] = [];
  for await (const page of pages)
    for (const event of page) {
      if (++seen <= skip) continue;
      batch.push(event);
      characters += event.data.length + event.metadata.length;
      if (batch.length < BATCH_EVENTS && characters < BATCH_CHARACTERS) continue;
      yield batch;
      [batch, characters] = [[], 0];
    }
  if (batch.length > 0) yield batch;
}

/** Reads the file to its end, beside the log as far as that goes: event by event they must be the same. */
const checkAgainst = async (
  log: EventLog,
  chunks: AsyncIterable<Uint8Array>,
  { partial, progress }: Pick<ImportLogOptions, 'partial' | 'progress'>,
): Promise<Exported & { readonly present: number; readonly beyond: number }> => {
  const here = oneByOne(readPages(log));
  const file = readExport(chunks, { partial });
  let present = 0;
  let seen = 0;
  try {
    for (;;) {
      const { done, value } = await file.next();
      if (done) {
        let beyond = 0;
        while (!(await here.next()).done) beyond++;
        return { ...value, present, beyond };
      }
      for (const event of value) {
        seen++;
        const { done: none, value: own } = await here.next();
        if (none) continue;
        if (!eventDigest(own).equals(eventDigest(event))) throw otherLog(seen + 1, event, own);
        present++;
      }
      progress?.(seen, 'check');
    }
  } finally {
    await here.return(undefined);
    await file.return(undefined as never);
  }
};

async function* oneByOne(pages: AsyncIterable<readonly RecordedEvent[]>): AsyncGenerator<RecordedEvent, void> {
  for await (const page of pages) yield* page;
}

const otherLog = (line: number, event: RecordedEvent, own: RecordedEvent): ExportFault =>
  new ExportFault(line, {
    zh: `第 ${line} 行:事件 ${event.id} 与这里位置 ${own.position} 的事件 ${own.id} 不同;导入只能进入空的日志,或同一日志已导入的开头部分`,
    en: `line ${line}: event ${event.id} is not the one at position ${own.position} here (${own.id}); a log is imported into an empty one, or one that holds its beginning`,
  });
