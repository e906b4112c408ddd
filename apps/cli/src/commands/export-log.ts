import { createReadStream } from 'node:fs';
import { open, stat, type FileHandle } from 'node:fs/promises';
import { ExportFault, readExport, START, writeExport, type Exported, type Resumable } from '@vigil/event-log';
import { EXIT, Failure } from '../exit';
import { count, say } from '../language';
import { fileFailure, openLogSource } from '../log-source';
import { readSettings } from '../settings';
import { note, out, progress, writeAll } from '../terminal';
import type { JsonOption, Run } from './context';

export interface ExportLogOptions extends JsonOption {
  readonly resume?: boolean;
}

/** Writes the log to a file (or stdout, `-`), byte for byte as it is stored. */
export const exportLog = async (file: string, { resume, json }: ExportLogOptions): Run => {
  if (file === '-' && resume)
    throw new Failure(EXIT.usage, say('--resume 需要文件,不能用于标准输出', '--resume needs a file, not stdout'));
  const source = await openLogSource(readSettings());
  const bar = await progress(say('导出', 'exporting'));
  let target: Target | undefined;
  try {
    target = file === '-' ? toStdout() : await toFile(file, resume === true);
    const { begun } = target;
    note(say(`事件取自${source.from}`, `events from ${source.from}`));
    const done = await writeOut(writeExport(source.store, source.pages(begun?.before ?? START), begun), target.write, (lines) =>
      bar.to((begun?.events ?? 0) + lines),
    );
    bar.end();
    await target.finish();
    if (json && file !== '-')
      out(JSON.stringify({ events: done.events, last: done.last?.toString() ?? null, digest: done.digest }));
    else
      note(
        say(
          `已导出 ${count(done.events)} 个事件,摘要 ${done.digest}`,
          `exported ${count(done.events)} events, digest ${done.digest}`,
        ),
      );
    return EXIT.done;
  } catch (error) {
    throw fileFailure(error, file);
  } finally {
    bar.end();
    await target?.close();
    await source.close();
  }
};

const writeOut = async (
  texts: AsyncGenerator<string, Exported>,
  write: (text: string) => Promise<void>,
  progressed: (lines: number) => void,
): Promise<Exported> => {
  for (let lines = 0; ; ) {
    const { done, value } = await texts.next();
    if (done) return value;
    await write(value);
    progressed((lines += value.split('\n').length - 1));
  }
};

interface Target {
  /** What was there already. */
  readonly begun: Resumable | undefined;
  write(text: string): Promise<void>;
  /** Makes it durable. */
  finish(): Promise<void>;
  close(): Promise<void>;
}

const toStdout = (): Target => ({
  begun: undefined,
  write: (text) => writeAll(process.stdout, text),
  finish: async () => undefined,
  close: async () => undefined,
});

const toFile = async (file: string, resume: boolean): Promise<Target> => {
  const begun = resume ? await readBegun(file) : undefined;
  const handle = await openTarget(file, resume);
  await handle.truncate(begun?.bytes ?? 0);
  let at = begun?.bytes ?? 0;
  return {
    begun,
    write: async (text) => {
      const bytes = Buffer.from(text);
      for (let done = 0; done < bytes.length; ) {
        const { bytesWritten } = await handle.write(bytes, done, bytes.length - done, at);
        done += bytesWritten;
        at += bytesWritten;
      }
    },
    finish: () => handle.sync(),
    close: () => handle.close(),
  };
};

/** The log holds what feeds sent: the file is its owner's. */
const openTarget = async (file: string, resume: boolean): Promise<FileHandle> => {
  try {
    return await open(file, resume ? 'r+' : 'wx', 0o600).catch((error: NodeJS.ErrnoException) => {
      if (resume && error.code === 'ENOENT') return open(file, 'wx', 0o600);
      throw error;
    });
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'EEXIST')
      throw new Failure(
        EXIT.usage,
        say(
          `${file} 已存在:换一个文件名,或用 --resume 续写`,
          `${file} is there already: choose another name, or go on with it by --resume`,
        ),
      );
    throw new Failure(EXIT.usage, say(`无法写入 ${file}(${code ?? ''})`, `${file} can't be written (${code ?? ''})`));
  }
};

/** What a broken-off export holds; undefined when there isn't even a header. */
const readBegun = async (file: string): Promise<Resumable | undefined> => {
  const size = await stat(file).then(
    (found) => found.size,
    () => 0,
  );
  if (size === 0) return undefined;
  const reading = readExport(createReadStream(file), { partial: true });
  try {
    for (;;) {
      const { done, value } = await reading.next();
      if (done) return value.bytes > 0 ? value : undefined;
    }
  } catch (error) {
    throw error instanceof ExportFault ? fileFailure(error, file) : error;
  }
};
