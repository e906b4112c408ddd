import { withEngine } from '../connect';
import { EXIT } from '../exit';
import { followJob, resultOf, type Started } from '../jobs';
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
    const path =
      projection === undefined ? '/api/v1/projections/rebuild' : `/api/v1/projections/${encodeURIComponent(projection)}/rebuild`;
    const { jobId } = await client.post<Started>(path, {});
    const bar = await progress(say('重建', 'rebuilding'));
    const job = await followJob<{ projections: readonly Rebuilt[] }>(client, jobId, bar).finally(() => bar.end());
    const rebuilt = resultOf(job).projections;
    if (json) out(JSON.stringify({ rebuilt }));
    else
      for (const { name, events, seconds } of rebuilt)
        out(
          say(
            `${name}:${count(events)} 个事件,${seconds.toFixed(1)} 秒`,
            `${name}: ${count(events)} events in ${seconds.toFixed(1)} s`,
          ),
        );
    return EXIT.done;
  });
