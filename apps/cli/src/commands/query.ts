import { withEngine } from '../connect';
import { EXIT } from '../exit';
import { say } from '../language';
import { observationTable, wireQuery, type Answer } from '../observations';
import { readSettings } from '../settings';
import { note, out, progress, writeAll } from '../terminal';
import { awaitHead } from '../wait';
import type { JsonOption, Run } from './context';

export interface QueryOptions extends JsonOption {
  readonly csv?: boolean;
}

export const query = (text: string, { csv, json }: QueryOptions): Run =>
  withEngine(
    readSettings(),
    async (client, { inProcess }) => {
      if (inProcess) {
        const waiting = await progress(say('等待统计就绪', 'waiting for the read models'));
        await awaitHead(client, waiting).finally(() => waiting.end());
      }
      const path = `/api/v1/observations${csv ? '.csv' : ''}?${wireQuery(text)}`;
      if (csv) {
        const { body } = await client.send(path, { headers: { accept: 'text/csv' } });
        for await (const chunk of (body ?? []) as AsyncIterable<Uint8Array>) await writeAll(process.stdout, chunk);
        return EXIT.done;
      }
      const answer = await client.get<Answer>(path, { headers: { prefer: 'wait=5' } });
      if (json) out(JSON.stringify(answer));
      else {
        out(answer.data.length > 0 ? await observationTable(answer) : say('没有数据', 'no rows'));
        note(metaLine(answer.meta));
      }
      for (const problem of answer.meta.problems ?? []) note(`${say('注意', 'note')}: ${problemText(problem)}`);
      return EXIT.done;
    },
    { quiet: true },
  );

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
