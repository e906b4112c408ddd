import { createPostgresLog, LOG_MIGRATIONS, type AppendRequest } from '@vigil/event-log';
import { migrate } from '@vigil/platform';
import { fingerprint } from '@vigil/vocabulary';
import { getPostgreSQLEventStore } from '@event-driven-io/emmett-postgresql';
import { randomUUID } from 'node:crypto';
import { median, openWorld, seconds, whole, type Figure } from './world';

const CALLERS = 64;

const data = {
  recordId: '000123',
  occurredAt: '2026-03-02',
  community: 'C-001',
  age: { value: 71, unit: 'year' },
  sex: 'F',
  mechanism: { system: 'niss-card', version: '14', code: '3' },
};
const text = JSON.stringify(data);
const print = fingerprint(text);

const request = (): AppendRequest => ({
  stream: `injury-${randomUUID()}`,
  expected: 'none',
  events: [
    {
      id: randomUUID(),
      type: 'InjuryReported',
      version: 1,
      data: text,
      metadata: '{"source":"/feeds/bench"}',
      fingerprint: print,
    },
  ],
});

/** Each caller appends one event after another, each to a new stream, waiting for the acknowledgement. */
const perSecond = async (each: number, append: () => Promise<unknown>): Promise<number> => {
  const took = await seconds(() =>
    Promise.all(
      Array.from({ length: CALLERS }, async () => {
        for (let i = 0; i < each; i++) await append();
      }),
    ),
  );
  return (CALLERS * each) / took;
};

/** Single-event appends from 64 concurrent callers, beside emmett's event store on the same server. */
export const benchAppend = async (rounds: number): Promise<Figure[]> => {
  const world = await openWorld();
  try {
    const { sql } = await world.elsewhere('vigil_append');
    await migrate(sql, LOG_MIGRATIONS);
    const log = createPostgresLog({ sql });
    const { url } = await world.elsewhere('emmett_append');
    const emmett = getPostgreSQLEventStore(url);
    await emmett.appendToStream(`injury-${randomUUID()}`, [{ type: 'InjuryReported', data }]); // makes its tables
    const ours: number[] = [];
    const theirs: number[] = [];
    for (let round = 0; round < rounds; round++) {
      ours.push(await perSecond(300, () => log.append(request())));
      theirs.push(
        await perSecond(30, () =>
          emmett.appendToStream(`injury-${randomUUID()}`, [{ type: 'InjuryReported', data }], {
            expectedStreamVersion: 'STREAM_DOES_NOT_EXIST',
          }),
        ),
      );
    }
    await log.close();
    await emmett.close();
    const ratio = median(ours.map((value, i) => value / theirs[i]!));
    return [
      { what: `single-event appends, ${CALLERS} callers`, value: `${whole(median(ours))}/s` },
      { what: '@event-driven-io/emmett-postgresql 0.42.0, same server', value: `${whole(median(theirs))}/s` },
      { what: 'ours ÷ emmett, pair by pair', value: ratio.toFixed(1), aim: '≥ 5', met: ratio >= 5 },
    ];
  } finally {
    await world.close();
  }
};
