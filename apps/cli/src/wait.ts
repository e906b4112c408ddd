import { EXIT, Failure } from './exit';
import type { Client } from './http';
import { say } from './language';
import type { Progress } from './terminal';

/** A row of GET /projections. */
export interface Projection {
  readonly name: string;
  readonly state: string;
  readonly position: string | number;
  readonly head: string | number;
  readonly lagEvents?: number;
  readonly lagSeconds?: number;
}

const PATIENCE_MS = 600_000;
const PAUSE_MS = 100;

/** Waits until every read model holds the log up to `position`; a halted one won't, and is told at once. */
export const awaitPosition = async (client: Client, position: string | number, progress?: Progress): Promise<void> => {
  const wanted = BigInt(position);
  let first: bigint | undefined;
  for (const until = performance.now() + PATIENCE_MS; ; ) {
    const { data } = await client.get<{ data: readonly Projection[] }>('/api/v1/projections');
    const behind = data.filter((each) => BigInt(each.position) < wanted);
    if (behind.length === 0) return;
    const halted = behind.find(({ state }) => state === 'halted');
    if (halted)
      throw new Failure(
        EXIT.unreachable,
        say(
          `投影 ${halted.name} 停在位置 ${halted.position};见 vigil doctor`,
          `projection ${halted.name} halted at position ${halted.position}; see vigil doctor`,
        ),
      );
    if (performance.now() > until)
      throw new Failure(
        EXIT.unreachable,
        say(
          `投影未在 ${PATIENCE_MS / 60_000} 分钟内追上位置 ${position}`,
          `the read models didn't reach position ${position} within ${PATIENCE_MS / 60_000} minutes`,
        ),
      );
    const lowest = behind.reduce((low, each) => (BigInt(each.position) < low ? BigInt(each.position) : low), wanted);
    first ??= lowest;
    progress?.to(Number(lowest - first), Number(wanted - first), behind[0]!.name);
    await new Promise((done) => setTimeout(done, PAUSE_MS));
  }
};

/** Waits until the read models hold all that the log holds now: an engine just started has to catch up first. */
export const awaitHead = async (client: Client, progress?: Progress): Promise<void> => {
  const { data } = await client.get<{ data: readonly Projection[] }>('/api/v1/projections');
  const head = data.reduce((high, each) => (BigInt(each.head) > high ? BigInt(each.head) : high), 0n);
  await awaitPosition(client, head.toString(), progress);
};
