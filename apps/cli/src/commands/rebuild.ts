import { withEngine } from '../connect';
import { EXIT } from '../exit';
import { followJob } from '../jobs';
import { count, say } from '../language';
import { readSettings } from '../settings';
import { out, progress } from '../terminal';
import type { JsonOption, Run } from './context';

interface Rebuilt {
  readonly name: string;
  readonly events: number;
  readonly seconds: number;
}

/** Folds the log anew into one read model, or all. */
export const rebuild = (projection: string | undefined, { json }: JsonOption): Run =>
  withEngine(readSettings(), async (client) => {
    const { id } = await client.post<{ id: string }>('/api/v1/projections/rebuild', { ...(projection && { projection }) });
    const bar = await progress(say('重建', 'rebuilding'));
    const job = await followJob<{ rebuilt?: readonly Rebuilt[] } | readonly Rebuilt[]>(client, id, bar).finally(() => bar.end());
    const rebuilt = (Array.isArray(job.result) ? job.result : (job.result as { rebuilt?: readonly Rebuilt[] })?.rebuilt) ?? [];
    if (json) out(JSON.stringify({ rebuilt }));
    else for (const { name, events, seconds } of rebuilt) out(say(`${name}:${count(events)} 个事件,${seconds.toFixed(1)} 秒`, `${name}: ${count(events)} events in ${seconds.toFixed(1)} s`));
    return EXIT.done;
  });
