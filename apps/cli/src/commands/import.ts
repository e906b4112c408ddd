import { createWriteStream } from 'node:fs';
import { stat } from 'node:fs/promises';
import { basename, resolve } from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { withEngine } from '../connect';
import { EXIT, Failure, problemLines, type ExitCode, type ProblemDocument, type ProblemItem } from '../exit';
import type { Client } from '../http';
import { followJob, jobFailure, resultOf, type Started } from '../jobs';
import { count, say } from '../language';
import { readSettings } from '../settings';
import { note, out, progress, table } from '../terminal';
import { awaitPosition } from '../wait';
import type { JsonOption, Run } from './context';

export interface ImportOptions extends JsonOption {
  readonly mapping: string;
  readonly community?: string;
  readonly dryRun?: boolean;
  readonly wait?: boolean;
  readonly errors?: string;
}

/** Counts are distinct rows of the file. */
export interface ImportResult {
  readonly accepted: number;
  readonly duplicates: number;
  readonly rejected: number;
  /** Of the last accepted row; absent in a dry run and when nothing was accepted. */
  readonly position?: string | number | null;
  readonly firstErrors?: readonly ProblemItem[];
}

/** 0: every row is in. 1: some were rejected. 4: none is in, and some were rejected. */
export const importExit = ({ accepted, duplicates, rejected }: ImportResult): ExitCode =>
  rejected === 0 ? EXIT.done : accepted + duplicates > 0 ? EXIT.partly : EXIT.refused;

export const importLine = ({ accepted, duplicates, rejected, position }: ImportResult): string =>
  JSON.stringify({ accepted, duplicates, rejected, position: position ?? null });

const SHOWN = 10;

export const importFile = async (file: string, options: ImportOptions): Run => {
  const size = await checkFile(file);
  const config = readSettings();
  try {
    return await withEngine(config, (client) => importInto(client, file, size, options));
  } catch (error) {
    // The file as a whole was refused: the promised last line comes all the same, with the reason.
    if (options.json && error instanceof Failure && error.exitCode === EXIT.refused) {
      note(`vigil: ${error.message}`);
      out(
        JSON.stringify({
          accepted: 0,
          duplicates: 0,
          rejected: 0,
          position: null,
          problem: error.problem ?? { detail: error.message },
        }),
      );
      return EXIT.refused;
    }
    throw error;
  }
};

/** A file that can be read and holds something. @throws Failure */
export const checkFile = async (file: string): Promise<number> => {
  const found = await stat(file).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT' || error.code === 'ENOTDIR')
      throw new Failure(EXIT.usage, say(`没有文件 ${file}`, `there is no file ${file}`));
    if (error.code === 'EACCES') throw new Failure(EXIT.refused, say(`无权读取 ${file}`, `${file} may not be read`));
    throw error;
  });
  if (found.isDirectory())
    throw new Failure(EXIT.usage, say(`${file} 是文件夹;请给出一个文件`, `${file} is a folder; name one file`));
  if (!found.isFile()) throw new Failure(EXIT.usage, say(`${file} 不是普通文件`, `${file} is no regular file`));
  if (found.size === 0) throw new Failure(EXIT.refused, say(`${file} 是空文件`, `${file} is empty`));
  return found.size;
};

/** The server went away in the middle: what to do, beside what happened. */
const resumable = (error: unknown): never => {
  if (!(error instanceof Failure) || error.exitCode !== EXIT.unreachable) throw error;
  const hint = say(
    '已接收的行都已保存;重新导入同一文件,不会重复计数',
    'rows it took are kept; import the same file again, nothing counts twice',
  );
  throw new Failure(EXIT.unreachable, `${error.message}: ${hint}`, error.problem);
};

const importInto = async (client: Client, file: string, size: number, options: ImportOptions): Run => {
  const fields = {
    mapping: options.mapping,
    ...(options.community && { community: options.community }),
    ...(options.dryRun && { dryRun: 'true' }),
  };
  const sending = await progress(say('上传', 'sending'));
  const { jobId: id } = await client
    .upload<Started>('/api/v1/imports', fields, file, (sent) => sending.to(sent, size))
    .finally(() => sending.end());

  const problems: ProblemItem[] = [];
  const bar = await progress(options.dryRun ? say('试导入', 'checking') : say('导入', 'importing'));
  const job = await followJob<ImportResult, ProblemItem>(client, id, bar, (row) => {
    if (problems.length < SHOWN) problems.push(row);
  })
    .catch(resumable)
    .finally(() => bar.end());
  // A file that breaks off in the middle: the rows before the break are in, and counted.
  const broken =
    job.state !== 'done' && (job.result?.accepted ?? 0) + (job.result?.duplicates ?? 0) > 0 ? jobFailure(job) : undefined;
  const result = broken ? job.result! : resultOf(job);

  if (options.wait && result.position !== undefined && result.position !== null) {
    const waiting = await progress(say('等待统计就绪', 'waiting for the read models'));
    await awaitPosition(client, result.position, waiting).finally(() => waiting.end());
  }
  await report(client, id, file, result, problems.length > 0 ? problems : (result.firstErrors ?? []), options);
  if (broken) note(`vigil: ${broken.message}`);
  return broken ? EXIT.partly : importExit(result);
};

const report = async (
  client: Client,
  id: string,
  file: string,
  result: ImportResult,
  problems: readonly ProblemItem[],
  options: ImportOptions,
): Promise<void> => {
  const { accepted, duplicates, rejected } = result;
  // With --json stdout ends with the one line; what a person would read goes to stderr.
  const tell = options.json ? note : out;
  tell(
    await table(
      [
        options.dryRun ? say('会接受', 'would accept') : say('接受', 'accepted'),
        say('重复', 'duplicates'),
        say('拒绝', 'rejected'),
        say('合计', 'rows'),
      ],
      [[accepted, duplicates, rejected, accepted + duplicates + rejected].map(count)],
      [0, 1, 2, 3],
    ),
  );
  if (accepted + duplicates + rejected === 0)
    note(say(`${file} 只有表头,没有数据行`, `${file} has a header and no rows below it`));
  if (rejected > 0) {
    for (const line of problemLines({ errors: problems.slice(0, SHOWN) } satisfies ProblemDocument)) tell(line);
    if (rejected > problems.length)
      tell(say(`  … 共 ${count(rejected)} 行被拒绝`, `  … ${count(rejected)} rows were rejected in all`));
    const saved = resolve(options.errors ?? `${basename(file)}.errors.csv`);
    try {
      await saveErrors(client, id, saved);
      tell(
        say(`被拒绝的行已存入 ${saved}:改正后可再次导入`, `the rejected rows are in ${saved}: mend them and import that file`),
      );
    } catch (error) {
      note(say(`未能写出 ${saved}:${(error as Error).message}`, `couldn't write ${saved}: ${(error as Error).message}`));
    }
  }
  if (options.json) out(importLine(result));
};

const saveErrors = async (client: Client, id: string, path: string): Promise<void> => {
  const { body } = await client.send(`/api/v1/imports/${encodeURIComponent(id)}/errors.csv`, { headers: { accept: 'text/csv' } });
  await pipeline(body ? Readable.fromWeb(body as never) : Readable.from([]), createWriteStream(path));
};
