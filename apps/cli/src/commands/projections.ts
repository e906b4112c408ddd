import { withEngine } from '../connect';
import { EXIT } from '../exit';
import { count, say } from '../language';
import { readSettings } from '../settings';
import { out, table } from '../terminal';
import type { JsonOption, Run } from './context';

/** A row of GET /projections. */
interface Projection {
  readonly name: string;
  readonly kind: 'model' | 'effect';
  readonly state: string;
  readonly position: string | number;
  readonly lagEvents: number;
  readonly lagSeconds: number;
  readonly owner?: string;
  readonly heartbeatSeconds?: number;
  readonly problem?: { readonly position: string; readonly type: string; readonly message: string };
  readonly skips: readonly {
    readonly position: string | number;
    readonly reason: string;
    readonly by: string;
    readonly at: string;
  }[];
  readonly parked: readonly {
    readonly position: string | number;
    readonly stream: string;
    readonly type: string;
    readonly reason: string;
  }[];
}

export interface SkipOptions extends JsonOption {
  readonly position: string;
  readonly reason: string;
  readonly by?: string;
}

const SHOWN = 10;

/** What is wrong with one, what was decided about it, and what can be done. */
const remarks = ({ name, kind, problem, skips, parked }: Projection): string[] => {
  const lines: string[] = [];
  if (problem && kind === 'model') {
    lines.push(
      say(
        `${name} 停在位置 ${problem.position}(${problem.type}):${problem.message}`,
        `${name} halted at position ${problem.position} (${problem.type}): ${problem.message}`,
      ),
    );
    lines.push(
      say(
        `  修正后:vigil projections retry ${name};或跳过:vigil projections skip ${name} --position ${problem.position} --reason …`,
        `  once mended: vigil projections retry ${name}; or pass over it: vigil projections skip ${name} --position ${problem.position} --reason …`,
      ),
    );
  }
  for (const { position, stream, reason } of parked.slice(0, SHOWN))
    lines.push(say(`${name} 搁置 ${stream}@${position}:${reason}`, `${name} parked ${stream} at ${position}: ${reason}`));
  if (parked.length > SHOWN) lines.push(say(`  … 另有 ${parked.length - SHOWN} 个`, `  … ${parked.length - SHOWN} more`));
  for (const { position, reason, by, at } of skips)
    lines.push(
      say(`${name} 跳过了 ${position}:${reason}(${by},${at})`, `${name} passed over ${position}: ${reason} (${by}, ${at})`),
    );
  return lines;
};

const print = async (projections: readonly Projection[], json: boolean | undefined): Promise<void> => {
  if (json) return out(JSON.stringify({ projections }));
  const head = [
    say('投影', 'projection'),
    say('状态', 'state'),
    say('位置', 'position'),
    say('滞后(事件)', 'lag (events)'),
    say('滞后(秒)', 'lag (s)'),
    say('搁置', 'parked'),
    say('运行者', 'owner'),
    say('心跳(秒前)', 'heard of (s ago)'),
  ];
  const rows = projections.map((each) => [
    each.name,
    each.state,
    String(each.position),
    count(each.lagEvents),
    each.lagSeconds.toFixed(1),
    String(each.parked.length),
    each.owner ?? '–',
    each.heartbeatSeconds === undefined ? '–' : each.heartbeatSeconds.toFixed(1),
  ]);
  out(await table(head, rows, [2, 3, 4, 5, 7]));
  for (const line of projections.flatMap(remarks)) out(line);
};

/** Exit code 1 when one has halted or holds parked events. */
export const list = ({ json }: JsonOption): Run =>
  withEngine(
    readSettings(),
    async (client) => {
      const { data } = await client.get<{ data: readonly Projection[] }>('/api/v1/projections');
      await print(data, json);
      return data.some(({ state, parked }) => state === 'halted' || parked.length > 0) ? EXIT.partly : EXIT.done;
    },
    { quiet: true },
  );

export const retry = (name: string, { json }: JsonOption): Run =>
  withEngine(readSettings(), async (client) => {
    await print([await client.post<Projection>(`/api/v1/projections/${encodeURIComponent(name)}/retry`, {})], json);
    return EXIT.done;
  });

export const skip = (name: string, { position, reason, by, json }: SkipOptions): Run =>
  withEngine(readSettings(), async (client) => {
    const body = { position, reason, ...(by !== undefined && { by }) };
    await print([await client.post<Projection>(`/api/v1/projections/${encodeURIComponent(name)}/skip`, body)], json);
    return EXIT.done;
  });
