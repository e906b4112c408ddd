import { randomBytes } from 'node:crypto';
import { createReadStream, createWriteStream } from 'node:fs';
import { mkdir, rm } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { createSealer, importLog as read, LogMismatch, type EventLog, type ImportedLog } from '@vigil/event-log';
import type { Config } from '@vigil/platform';
import { loadServer, startFailure } from '../connect';
import { EXIT, Failure, type ExitCode } from '../exit';
import { count, language, say } from '../language';
import { fileFailure } from '../log-source';
import { readSettings } from '../settings';
import { note, out, progress } from '../terminal';
import type { JsonOption, Run } from './context';
import { checkFile } from './import';

export interface ImportLogOptions extends JsonOption {
  readonly partial?: boolean;
}

/** Puts an exported log (a file, or stdin as `-`) into an empty log, or one that holds its beginning; then seals it. */
export const importLog = async (file: string, { partial, json }: ImportLogOptions): Run => {
  if (file !== '-') await checkFile(file);
  if (process.env['VIGIL_URL']?.trim())
    throw new Failure(
      EXIT.usage,
      say(
        '日志导入到数据目录或 DATABASE_URL,不经过服务:请去掉 VIGIL_URL',
        'a log is imported into the data folder or DATABASE_URL, not through a server: unset VIGIL_URL',
      ),
    );
  const config = readSettings();
  const { log, close } = await loadServer()
    .openLog(config, { write: true })
    .catch((error) => Promise.reject(startFailure(error, EXIT.refused, 0)));
  const bar = await progress(say('导入', 'importing'));
  const input = file === '-' ? await spool(config) : { path: file, drop: async () => undefined };
  try {
    const phases = { check: say('检查', 'checking'), write: say('写入', 'writing') };
    const done = await read({
      log,
      open: () => createReadStream(input.path),
      partial,
      progress: (events, phase) => bar.to(events, 0, phases[phase]),
    });
    bar.end();
    const code = await seal(config, log);
    print(done, json);
    return code;
  } catch (error) {
    if (error instanceof LogMismatch)
      throw new Failure(
        EXIT.refused,
        say(
          `导入期间有别的程序写入了这个日志(${error.message});请停止它,再运行一次`,
          `somebody else wrote to this log meanwhile (${error.message}); stop them and run this again`,
        ),
      );
    throw fileFailure(error, file);
  } finally {
    bar.end();
    await input.drop();
    await close();
  }
};

/** The file is read twice, which stdin can't be: it is kept in the data folder meanwhile. */
const spool = async ({ dataDir }: Config): Promise<{ path: string; drop: () => Promise<void> }> => {
  const folder = join(resolve(dataDir), 'uploads');
  await mkdir(folder, { recursive: true, mode: 0o700 });
  const path = join(folder, `import-log-${process.pid}-${randomBytes(4).toString('hex')}.ndjson`);
  const drop = (): Promise<void> => rm(path, { force: true });
  await pipeline(process.stdin, createWriteStream(path, { mode: 0o600 })).catch(async (error) => {
    await drop();
    throw error;
  });
  return { path, drop };
};

const seal = async (config: Config, log: EventLog): Promise<ExitCode> => {
  const { problem } = await createSealer({ log, ...loadServer().sealerPlaces(config) }).sealAll();
  if (!problem) return EXIT.done;
  note(
    say(
      `日志已导入,但未能封存:${problem.detail[language()]}`,
      `the log is imported, but not sealed: ${problem.detail[language()]}`,
    ),
  );
  return EXIT.partly;
};

const print = ({ events, written, present, beyond, digest, position }: ImportedLog, json: boolean | undefined): void => {
  if (json) return out(JSON.stringify({ events, written, present, beyond, digest, position: position.toString() }));
  out(
    say(
      `文件有 ${count(events)} 个事件:写入 ${count(written)},原已有 ${count(present)}`,
      `${count(events)} events in the file: ${count(written)} written, ${count(present)} were there already`,
    ),
  );
  if (beyond > 0) out(say(`日志在其后另有 ${count(beyond)} 个事件`, `the log goes on for ${count(beyond)} more events`));
  out(`${say('摘要', 'digest')} ${digest}`);
};
