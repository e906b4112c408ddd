import { EXIT, Failure } from './exit';
import type { Client } from './http';
import { count, say } from './language';
import type { Progress } from './terminal';

const PATIENCE_MS = 600_000;

/** Waits until every read model holds the log up to `position`: a small read with `minPosition`, again while the answer is 503. */
export const awaitPosition = async (client: Client, position: string, progress?: Progress): Promise<void> => {
  const until = performance.now() + PATIENCE_MS;
  for (;;) {
    try {
      await client.get(`/api/v1/communities?limit=1&minPosition=${encodeURIComponent(position)}`, { headers: { prefer: 'wait=5' } });
      return;
    } catch (error) {
      if (!(error instanceof Failure) || error.problem?.status !== 503) throw error;
      if (performance.now() > until)
        throw new Failure(EXIT.unreachable, say(`统计在 ${PATIENCE_MS / 60_000} 分钟内未追上位置 ${position}`, `the read models didn't reach position ${position} within ${PATIENCE_MS / 60_000} minutes`), error.problem);
      progress?.to(0, Number(position), count(Number(position)));
    }
  }
};
