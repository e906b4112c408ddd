import { createPostgresLog, LOG_MIGRATIONS, type AppendRequest, type EventLog, type NewEvent } from '@vigil/event-log';
import { migrate } from '@vigil/platform';
import { fingerprint } from '@vigil/vocabulary';
import { getPostgreSQLEventStore } from '@event-driven-io/emmett-postgresql';
import { randomUUID } from 'node:crypto';
import { median, openWorld, seconds, whole, type Figure } from './world';

/** Callers at once; the peer is given the number that suits it best. */
const IN_FLIGHT = [16, 64, 256] as const;
const BATCH = 1_000;

export const data = {
  recordId: '000123',
  occurredAt: '2026-03-02',
  community: 'C-001',
  age: { value: 71, unit: 'year' },
  sex: 'F',
  mechanism: { system: 'niss-card', version: '14', code: '3' },
};
const text = JSON.stringify(data);
const print = fingerprint(text);

export const newEvent = (): NewEvent => ({
  id: randomUUID(),
  type: 'InjuryReported',
  version: 1,
  data: text,
  metadata: '{"source":"/feeds/bench"}',
  fingerprint: print,
});
export const request = (events = 1): AppendRequest => ({
  stream: `injury-${randomUUID()}`,
  expected: 'none',
  events: Array.from({ length: events }, newEvent),
});
export const theirEvents = (events = 1) => Array.from({ length: events }, () => ({ type: 'InjuryReported' as const, data }));

/** Each caller appends one event after another, each to a new stream, waiting for the acknowledgement. */
const perSecond = async (callers: number, appends: number, append: () => Promise<unknown>): Promise<number> => {
  const each = Math.ceil(appends / callers);
  const took = await seconds(() =>
    Promise.all(
      Array.from({ length: callers }, async () => {
        for (let i = 0; i < each; i++) await append();
      }),
    ),
  );
  return (callers * each) / took;
};

export type Emmett = ReturnType<typeof getPostgreSQLEventStore>;
export interface Peers {
  readonly log: EventLog;
  readonly emmett: Emmett;
  readonly emmettUrl: string;
}

/** Our log and emmett's event store, each in an empty database of one server. */
export const besideEmmett = async <T>(work: (peers: Peers) => Promise<T>): Promise<T> => {
  const world = await openWorld();
  try {
    const { sql } = await world.elsewhere('vigil_peer');
    await migrate(sql, LOG_MIGRATIONS);
    const log = createPostgresLog({ sql });
    const { url } = await world.elsewhere('emmett_peer');
    const emmett = getPostgreSQLEventStore(url);
    try {
      await emmett.appendToStream(`injury-${randomUUID()}`, theirEvents()); // makes its tables
      return await work({ log, emmett, emmettUrl: url });
    } finally {
      await log.close();
      await emmett.close();
    }
  } finally {
    await world.close();
  }
};

/** Durable appends: single events from many callers, and batches of a thousand, beside emmett on the same server. */
export const benchAppend = (rounds: number): Promise<Figure[]> =>
  besideEmmett(async ({ log, emmett }) => {
    const theirAppend = (events: number) => () =>
      emmett.appendToStream(`injury-${randomUUID()}`, theirEvents(events), { expectedStreamVersion: 'STREAM_DOES_NOT_EXIST' });
    const single: Record<number, { ours: number[]; theirs: number[] }> = {};
    const batch = { ours: [] as number[], theirs: [] as number[] };
    const ratios: number[] = [];
    for (let round = 0; round < rounds; round++) {
      for (const callers of IN_FLIGHT) {
        const at = (single[callers] ??= { ours: [], theirs: [] });
        at.ours.push(await perSecond(callers, 20_000, () => log.append(request())));
        at.theirs.push(await perSecond(callers, 2_000, theirAppend(1)));
      }
      const best = Math.max(...IN_FLIGHT.map((callers) => single[callers]!.theirs.at(-1)!));
      ratios.push(single[256]!.ours.at(-1)! / best);
      batch.ours.push(BATCH * (await perSecond(1, 20, () => log.append(request(BATCH)))));
      batch.theirs.push(BATCH * (await perSecond(1, 20, theirAppend(BATCH))));
    }
    const ratio = median(ratios);
    const batchRatio = median(batch.ours.map((value, i) => value / batch.theirs[i]!));
    return [
      ...IN_FLIGHT.map((callers) => ({
        what: `single-event appends, ${callers} in flight: ours / emmett`,
        value: `${whole(median(single[callers]!.ours))} / ${whole(median(single[callers]!.theirs))} per s`,
      })),
      { what: 'ours at 256 ÷ emmett at its best', value: ratio.toFixed(1), aim: '≥ 10', met: ratio >= 10 },
      {
        what: `appends of ${BATCH} events: ours / emmett`,
        value: `${whole(median(batch.ours))} / ${whole(median(batch.theirs))} events/s`,
      },
      { what: 'ours ÷ emmett', value: batchRatio.toFixed(1), aim: '≥ 2', met: batchRatio >= 2 },
    ];
  });
