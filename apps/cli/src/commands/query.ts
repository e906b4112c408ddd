import { open, rm } from 'node:fs/promises';
import { withEngine } from '../connect';
import { EXIT, Failure } from '../exit';
import { say } from '../language';
import { observationTable, wireQuery, type Answer } from '../observations';
import { readSettings } from '../settings';
import { note, out, progress, writeAll } from '../terminal';
import { awaitHead } from '../wait';
import type { JsonOption, Run } from './context';

export interface QueryOptions extends JsonOption {
  readonly csv?: boolean;
  readonly jsonStat?: boolean;
  /** A new file, or `-` for stdout. */
  readonly xlsx?: string;
  readonly parquet?: string;
}

/** A format that goes out as it comes, and where to. */
const asFile = ({ csv, jsonStat, xlsx, parquet }: QueryOptions): { suffix: string; target: string } | undefined => {
  if (csv) return { suffix: '.csv', target: '-' };
  if (jsonStat) return { suffix: '.json-stat', target: '-' };
  if (xlsx !== undefined) return { suffix: '.xlsx', target: xlsx };
  return parquet === undefined ? undefined : { suffix: '.parquet', target: parquet };
};

export const query = (text: string, options: QueryOptions): Run =>
  withEngine(
    readSettings(),
    async (client, { inProcess }) => {
      if (inProcess) {
        const waiting = await progress(say('等待统计就绪', 'waiting for the read models'));
        await awaitHead(client, waiting).finally(() => waiting.end());
      }
      const path = (suffix: string) => `/api/v1/observations${suffix}?${wireQuery(text)}`;
      const file = asFile(options);
      if (file) {
        const { body } = await client.send(path(file.suffix), {});
        const chunks = (body ?? []) as AsyncIterable<Uint8Array>;
        if (file.target !== '-') await toNewFile(file.target, chunks);
        else for await (const chunk of chunks) await writeAll(process.stdout, chunk);
        return EXIT.done;
      }
      const answer = await client.get<Answer>(path(''), { headers: { prefer: 'wait=5' } });
      if (options.json) out(JSON.stringify(answer));
      else {
        out(answer.data.length > 0 ? await observationTable(answer) : say('没有数据', 'no rows'));
        note(metaLine(answer.meta));
      }
      for (const problem of answer.meta.problems ?? []) note(`${say('注意', 'note')}: ${problemText(problem)}`);
      return EXIT.done;
    },
    { quiet: true },
  );

/** Never over a file that is there; one that breaks off is taken away again. */
const toNewFile = async (target: string, chunks: AsyncIterable<Uint8Array>): Promise<void> => {
  const handle = await open(target, 'wx').catch(({ code }: NodeJS.ErrnoException) => {
    throw new Failure(
      EXIT.usage,
      code === 'EEXIST'
        ? say(`${target} 已存在:换一个文件名`, `${target} is there already: choose another name`)
        : say(`无法写入 ${target}(${code ?? ''})`, `${target} can't be written (${code ?? ''})`),
    );
  });
  try {
    for await (const chunk of chunks) await handle.writeFile(chunk);
    await handle.close();
  } catch (error) {
    await handle.close().catch(() => undefined);
    await rm(target, { force: true });
    throw error;
  }
  note(say(`已写入 ${target}`, `wrote ${target}`));
};

const metaLine = ({ asOf, position, lagSeconds, standard }: Answer['meta']): string =>
  [
    position !== undefined && say(`截至日志位置 ${position}`, `as of position ${position}`),
    asOf && `${asOf}`,
    lagSeconds ? say(`滞后 ${lagSeconds} 秒`, `lag ${lagSeconds} s`) : '',
    standard && say(`标准人口 ${standard}`, `standard ${standard}`),
  ]
    .filter(Boolean)
    .join(' · ');

/** A problem of `meta.problems`: its sentence and the request that mends it. */
export const problemText = (problem: unknown): string => {
  if (typeof problem !== 'object' || problem === null) return String(problem);
  const { detail, code, request, remedy } = problem as { detail?: unknown; code?: string; request?: unknown; remedy?: unknown };
  const sentence =
    typeof detail === 'object' && detail !== null
      ? say((detail as { zh?: string }).zh ?? '', (detail as { en?: string }).en ?? '')
      : detail;
  const mend = request ?? remedy;
  const text = [sentence ?? code, mend && (typeof mend === 'string' ? mend : JSON.stringify(mend))].filter(Boolean).join(' → ');
  return text || JSON.stringify(problem);
};
