import { withEngine } from '../connect';
import { EXIT } from '../exit';
import type { Client } from '../http';
import { followJob, resultOf, type Started } from '../jobs';
import { count, say } from '../language';
import { readSettings } from '../settings';
import { note, out, progress } from '../terminal';
import type { JsonOption, Run } from './context';

interface Rebuilt {
  readonly name: string;
  readonly events: number;
  readonly seconds: number;
  readonly position: string;
  readonly digest?: {
    readonly position: string;
    readonly equal: boolean;
    readonly tables: readonly { readonly table: string; readonly live: string; readonly rebuilt: string }[];
  };
}
interface Checked {
  readonly name: string;
  readonly position: string;
  readonly equal: boolean;
  readonly tables: readonly {
    readonly table: string;
    readonly rows: number;
    readonly missing: number;
    readonly surplus: number;
    readonly different: number;
    readonly first?: { readonly key: string; readonly expected?: string; readonly found?: string };
  }[];
}

export interface RebuildOptions extends JsonOption {
  readonly check?: boolean;
  readonly back?: boolean;
}

const pathOf = (projection: string | undefined, verb: string): string =>
  `/api/v1/projections/${projection === undefined ? '' : `${encodeURIComponent(projection)}/`}${verb}`;

const runJob = async <T>(client: Client, path: string, title: string): Promise<readonly T[]> => {
  const { jobId } = await client.post<Started>(path, {});
  const bar = await progress(title);
  const job = await followJob<{ projections: readonly T[] }>(client, jobId, bar).finally(() => bar.end());
  return resultOf(job).projections;
};

/** What a rebuilt model was compared with, and the outcome. */
const digestLine = ({ digest, position }: Rebuilt): string => {
  if (!digest)
    return say(
      `  原读模型停住或无人运行,未比较;切换于位置 ${position}`,
      `  not compared, the live model had halted or nobody ran it; switched at position ${position}`,
    );
  if (digest.equal)
    return say(
      `  与原读模型在位置 ${digest.position} 处摘要相同`,
      `  digest equal to the live model's at position ${digest.position}`,
    );
  const differing = digest.tables.filter(({ live, rebuilt }) => live !== rebuilt).map(({ table }) => table);
  return say(
    `  与原读模型在位置 ${digest.position} 处不同:${differing.join('、')};新的已启用,--back 可换回`,
    `  differs from the live model at position ${digest.position}: ${differing.join(', ')}; the new one is in use, --back undoes it`,
  );
};

/** Folds the log anew into one read model, or all; `check` compares instead, `back` undoes. Exit code 1 when a check finds a difference. */
export const rebuild = (projection: string | undefined, { check, back, json }: RebuildOptions): Run =>
  withEngine(readSettings(), async (client) => {
    if (back) {
      const names =
        projection === undefined
          ? (await client.get<{ data: { name: string; kind: string }[] }>('/api/v1/projections')).data
              .filter(({ kind }) => kind === 'model')
              .map(({ name }) => name)
          : [projection];
      for (const name of names) {
        const { position } = await client.post<{ position: string | number }>(pathOf(name, 'go-back'), {});
        if (json) out(JSON.stringify({ name, position }));
        else out(say(`${name}:已换回,位于 ${position}`, `${name}: put back, at position ${position}`));
      }
      return EXIT.done;
    }
    if (check) {
      const checked = await runJob<Checked>(client, pathOf(projection, 'check'), say('核对', 'checking'));
      if (json) out(JSON.stringify({ checked }));
      else
        for (const { name, position, equal, tables } of checked) {
          const rows = tables.reduce((sum, each) => sum + each.rows, 0);
          out(
            equal
              ? say(
                  `${name}:至位置 ${position},${count(rows)} 行全部相符`,
                  `${name}: ${count(rows)} rows up to position ${position}, all as an independent fold has them`,
                )
              : say(`${name}:至位置 ${position},与日志不符`, `${name}: up to position ${position}, not as the log has it`),
          );
          for (const { table, missing, surplus, different, first } of tables.filter((each) => each.first)) {
            out(
              say(
                `  ${table}:缺 ${missing},多 ${surplus},不同 ${different}`,
                `  ${table}: ${missing} missing, ${surplus} surplus, ${different} different`,
              ),
            );
            out(say(`    首处 ${first!.key}`, `    first at ${first!.key}`));
            if (first!.expected) out(say(`    应为 ${first!.expected}`, `    expected ${first!.expected}`));
            if (first!.found) out(say(`    现为 ${first!.found}`, `    found    ${first!.found}`));
          }
        }
      const sound = checked.every(({ equal }) => equal);
      if (!sound) note(say('vigil rebuild 由日志重建', 'vigil rebuild builds them anew from the log'));
      return sound ? EXIT.done : EXIT.partly;
    }
    const rebuilt = await runJob<Rebuilt>(client, pathOf(projection, 'rebuild'), say('重建', 'rebuilding'));
    if (json) out(JSON.stringify({ rebuilt }));
    else
      for (const each of rebuilt) {
        const { name, events, seconds } = each;
        out(
          say(
            `${name}:${count(events)} 个事件,${seconds.toFixed(1)} 秒`,
            `${name}: ${count(events)} events in ${seconds.toFixed(1)} s`,
          ),
        );
        out(digestLine(each));
      }
    return EXIT.done;
  });
