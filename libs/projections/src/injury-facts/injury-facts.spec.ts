import { createMemoryLog, position, type RecordedEvent } from '@vigil/event-log';
import { randomUUID } from 'node:crypto';
import { injuryFactsProjector } from './injury-facts';

const report = (n: number): RecordedEvent => ({
  id: randomUUID(),
  type: 'InjuryReported',
  version: 1,
  data: JSON.stringify({ recordId: `${n}`, feed: 'clinic', knownAt: '2026-03-02', visit: 'first', community: 'C-1' }),
  metadata: '{}',
  fingerprint: randomUUID(),
  position: position(n),
  stream: `injury-${randomUUID()}`,
  revision: 0,
  recordedAt: '2026-03-02T00:00:00Z',
});

// A connection that is lost answers at its next turn, while the next chunk is still being folded: nobody awaited the first yet, and
// an unhandled rejection ends the process. Seen with a link that swallows packets (apps/proof/src/faults.it.spec.ts).
it('a chunk whose connection is lost while the next one is folded fails the page, not the process', async () => {
  const lost = Object.assign(new Error('lost'), { code: 'CONNECTION_CLOSED' });
  /** Whether somebody listened to each statement when it failed: jest keeps `unhandledRejection` to itself. */
  const heard: boolean[] = [];
  const failing = (): Promise<never> => {
    let isHeard = false;
    const statement = new Promise<never>((_, reject) =>
      setImmediate(() => {
        heard.push(isHeard);
        reject(lost);
      }),
    );
    const { then } = statement;
    return Object.assign(statement, {
      then: (...args: Parameters<typeof then>) => {
        isHeard = true;
        return then.apply(statement, args);
      },
    });
  };
  const tx = Object.assign(async () => [{ some: false }], { unsafe: () => ({ execute: failing }) });
  const { apply } = injuryFactsProjector({ log: createMemoryLog(), timeZone: 'Asia/Shanghai' });
  await expect(
    apply(
      tx as never,
      Array.from({ length: 1_200 }, (_, n) => report(n + 1)),
    ),
  ).rejects.toBe(lost);
  expect(heard).toEqual([true, true, true]);
});
