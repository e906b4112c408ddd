import { connect, migrate, type SqlClient } from '@vigil/platform';
import { freshDatabase, type FreshDatabase } from '@vigil/testing';
import { fingerprint } from '@vigil/vocabulary';
import fc from 'fast-check';
import {
  START,
  type AppendOutcome,
  type AppendRequest,
  type AtomicOutcome,
  type EventLog,
  type ExpectedRevision,
  type NewEvent,
} from './event-log';
import { createPostgresLog } from './postgres/postgres-log';
import { LOG_MIGRATIONS } from './postgres/schema';

// The log on the real PostgreSQL beside a model: one plain array. Commands in any order, the log reopened in between.

jest.setTimeout(120_000);

interface Kept {
  readonly id: string;
  readonly print: string;
  readonly stream: string;
  readonly revision: number;
}
/** All there is, in order: an event's position is its place, from 1. */
type Model = Kept[];

interface Real {
  log: EventLog;
  reopen(): Promise<void>;
}

const last = (model: Model, stream: string): number => model.filter((kept) => kept.stream === stream).length - 1;

const refusal = (model: Model, { stream, expected, events }: AppendRequest): AppendOutcome | undefined => {
  const known = events.map(({ id }) => model.findIndex((kept) => kept.id === id));
  if (known.some((at) => at >= 0)) {
    const same = known.every((at, n) => model[at]?.stream === stream && model[at]?.print === events[n]!.fingerprint);
    if (!same) return { kind: 'id-conflict', eventId: '' };
    const at = Math.max(...known);
    return { kind: 'duplicate', revision: model[at]!.revision, position: BigInt(at + 1) as never };
  }
  const actual = last(model, stream);
  const holds = expected === 'any' || (expected === 'none' ? -1 : expected) === actual;
  return holds ? undefined : { kind: 'conflict', actual: actual < 0 ? null : actual };
};

const append = (model: Model, request: AppendRequest): AppendOutcome => {
  const refused = refusal(model, request);
  if (refused) return refused;
  for (const { id, fingerprint: print } of request.events)
    model.push({ id, print, stream: request.stream, revision: last(model, request.stream) + 1 });
  return { kind: 'appended', revision: model.at(-1)!.revision, position: BigInt(model.length) as never };
};

/** Which of several taken ids is named is the store's choice. */
const plain = (outcomes: readonly AtomicOutcome[]) =>
  outcomes.map((outcome) => (outcome.kind === 'id-conflict' ? { kind: outcome.kind } : outcome));

let run = 0;
const event = ({ id, content }: { id: number; content: number }): NewEvent => ({
  id: fingerprint(`${run} id ${id}`),
  type: 'Tested',
  version: 1,
  data: `{"content":${content}}`,
  metadata: '{}',
  fingerprint: fingerprint(`content ${content}`),
});
interface Asked {
  readonly stream: number;
  /** Below 0: relative to where the stream stands, so that appends often succeed. */
  readonly expected: 'any' | 'none' | 'right' | number;
  readonly events: readonly { id: number; content: number }[];
}
const requestOf = (model: Model, { stream, expected, events }: Asked): AppendRequest => {
  const name = `stream-${stream}`;
  const at = last(model, name);
  const right: ExpectedRevision = at < 0 ? 'none' : at;
  return { stream: name, expected: expected === 'right' ? right : expected, events: events.map(event) };
};
const shown = (value: unknown): string => JSON.stringify(value);

class Append implements fc.AsyncCommand<Model, Real> {
  constructor(readonly asked: Asked) {}
  check = (): boolean => true;
  async run(model: Model, { log }: Real): Promise<void> {
    const request = requestOf(model, this.asked);
    expect(plain([await log.append(request)])).toEqual(plain([append(model, request)]));
  }
  toString = (): string => `append ${shown(this.asked)}`;
}

/** Within one bulk an id belongs to one request: which of two comes first is not promised. */
const distinct = (asked: readonly Asked[]): Asked[] => {
  const taken = new Set<number>();
  return asked.filter(({ events }) => {
    if (events.some(({ id }) => taken.has(id))) return false;
    for (const { id } of events) taken.add(id);
    return true;
  });
};

class AppendMany implements fc.AsyncCommand<Model, Real> {
  constructor(readonly asked: readonly Asked[]) {}
  check = (): boolean => true;
  async run(model: Model, { log }: Real): Promise<void> {
    const requests = distinct(this.asked).map((asked) => requestOf(model, asked));
    const told = await log.appendMany(requests);
    // Requests to one stream are written in their order; those to others in any, so the model takes the order that came about.
    const order = (await log.readAll({ after: START, limit: 100_000 })).map(({ id }) => id);
    const due = requests.map((request, at) => ({ request, at, first: order.indexOf(request.events[0]!.id) }));
    const written = due.filter(({ at }) => told[at]!.kind === 'appended').sort((a, b) => a.first - b.first);
    const expected: AppendOutcome[] = [];
    for (const { request, at } of written) {
      const before = due.filter(
        (other) => other.at < at && other.request.stream === request.stream && expected[other.at] === undefined,
      );
      for (const other of before) expected[other.at] = append(model, other.request);
      expected[at] = append(model, request);
    }
    for (const { request, at } of due) expected[at] ??= append(model, request);
    expect(plain(told)).toEqual(plain(expected));
  }
  toString = (): string => `appendMany ${shown(this.asked)}`;
}

class AppendAtomic implements fc.AsyncCommand<Model, Real> {
  constructor(readonly asked: readonly Asked[]) {}
  check = (): boolean => true;
  async run(model: Model, { log }: Real): Promise<void> {
    const streams = new Set<number>();
    const requests = distinct(this.asked)
      .filter(({ stream }) => !streams.has(stream) && streams.add(stream))
      .map((asked) => requestOf(model, asked));
    const refused = requests.map((request) => refusal(model, request));
    const fails = refused.some((outcome) => outcome && outcome.kind !== 'duplicate');
    const expected: AtomicOutcome[] = requests.map((request, at) =>
      fails ? (refused[at] ?? { kind: 'aborted' }) : append(model, request),
    );
    expect(plain(await log.appendAtomic(requests))).toEqual(plain(expected));
  }
  toString = (): string => `appendAtomic ${shown(this.asked)}`;
}

/** The same request twice: the answer was lost, and the caller asks again. */
class Repeat implements fc.AsyncCommand<Model, Real> {
  constructor(readonly pick: number) {}
  check = (model: Readonly<Model>): boolean => model.length > 0;
  async run(model: Model, { log }: Real): Promise<void> {
    const at = this.pick % model.length;
    const { id, print, stream, revision } = model[at]!;
    const again: NewEvent = { id, type: 'Tested', version: 1, data: '{}', metadata: '{}', fingerprint: print };
    const outcomes = await log.appendMany([
      { stream, expected: 'none', events: [again] },
      { stream, expected: 99, events: [again] },
    ]);
    const same = { kind: 'duplicate', revision, position: BigInt(at + 1) };
    expect(outcomes).toEqual([same, same]);
  }
  toString = (): string => `repeat ${this.pick}`;
}

class Read implements fc.AsyncCommand<Model, Real> {
  constructor(
    readonly asked: { stream: number; from: number | undefined; limit: number | undefined; backwards: boolean; after: number },
  ) {}
  check = (): boolean => true;
  async run(model: Model, { log }: Real): Promise<void> {
    const { stream, from, limit, backwards, after } = this.asked;
    const name = `stream-${stream}`;
    const direction = backwards ? 'backwards' : 'forwards';
    const own = model.filter((kept) => kept.stream === name);
    const wanted = backwards ? own.slice(0, (from ?? own.length) + 1).reverse() : own.slice(from ?? 0);
    const read = await log.readStream(name, {
      direction,
      ...(from !== undefined && { from }),
      ...(limit !== undefined && { limit }),
    });
    expect(read.map(({ id, revision }) => [id, revision])).toEqual(
      wanted.slice(0, limit ?? wanted.length).map(({ id, revision }) => [id, revision]),
    );
    const page = await log.readAll({ after: BigInt(after) as never, limit: limit ?? 1_000 });
    expect(page.map(({ id, stream: of, revision, position }) => [id, of, revision, position])).toEqual(
      model.map((kept, at) => [kept.id, kept.stream, kept.revision, BigInt(at + 1)]).slice(after, after + (limit ?? 1_000)),
    );
    expect(await log.head()).toBe(BigInt(model.length));
    expect(await log.count(START, BigInt(after) as never)).toBe(Math.min(after, model.length));
  }
  toString = (): string => `read ${shown(this.asked)}`;
}

class Reopen implements fc.AsyncCommand<Model, Real> {
  check = (): boolean => true;
  run = (_: Model, real: Real): Promise<void> => real.reopen();
  toString = (): string => 'reopen';
}

const asked = fc.record({
  stream: fc.nat(3),
  expected: fc.oneof(
    { weight: 4, arbitrary: fc.constant('right' as const) },
    { weight: 2, arbitrary: fc.constantFrom('any' as const, 'none' as const) },
    { weight: 1, arbitrary: fc.nat(4) },
  ),
  events: fc.uniqueArray(fc.record({ id: fc.nat(60), content: fc.nat(1) }), {
    selector: ({ id }) => id,
    minLength: 1,
    maxLength: 3,
  }),
});
const commands = fc.commands<Model, Real>(
  [
    asked.map((one) => new Append(one)),
    asked.map((one) => new Append(one)),
    fc.array(asked, { maxLength: 8 }).map((many) => new AppendMany(many)),
    fc.array(asked, { maxLength: 5 }).map((many) => new AppendAtomic(many)),
    fc.nat(1_000).map((pick) => new Repeat(pick)),
    fc
      .record({
        stream: fc.nat(4),
        from: fc.option(fc.nat(8), { nil: undefined }),
        limit: fc.option(fc.nat(6), { nil: undefined }),
        backwards: fc.boolean(),
        after: fc.nat(30),
      })
      .map((read) => new Read(read)),
    fc.constant(new Reopen()),
  ] as fc.Arbitrary<fc.AsyncCommand<Model, Real>>[],
  { maxCommands: 40, size: 'max' },
);

describe('the log on PostgreSQL against a model', () => {
  let database: FreshDatabase;
  let sql: SqlClient;
  beforeAll(async () => {
    database = await freshDatabase();
    sql = connect(database.url, { max: 4, applicationName: 'model' });
    await migrate(sql, LOG_MIGRATIONS);
  });
  afterAll(async () => {
    await sql.end({ timeout: 5 });
    await database.drop();
  });

  test('answers and reads as one plain array does, whatever is sent and however often it is reopened', async () => {
    const tally: Record<string, number> = {};
    await fc.assert(
      fc.asyncProperty(commands, async (cmds) => {
        run++;
        await sql`TRUNCATE log.events, log.streams`;
        const model: Model = [];
        const real: Real = {
          log: createPostgresLog({ sql }),
          reopen: async () => {
            await real.log.close();
            real.log = createPostgresLog({ sql });
          },
        };
        for (const part of ['append', 'appendMany', 'appendAtomic', 'repeat', 'read', 'reopen'])
          tally[part] = (tally[part] ?? 0) + [...cmds].filter((each) => `${each}`.split(' ')[0] === part).length;
        try {
          await fc.asyncModelRun(() => ({ model, real }), cmds as Iterable<fc.AsyncCommand<Model, Real>>);
          const all = await real.log.readAll({ after: START, limit: 100_000 });
          expect(all.map(({ id, stream, revision }) => ({ id, stream, revision }))).toEqual(
            model.map(({ id, stream, revision }) => ({ id, stream, revision })),
          );
        } finally {
          await real.log.close();
        }
      }),
      { numRuns: Number(process.env['VIGIL_MODEL_RUNS'] ?? 30) },
    );
    expect(Math.min(...Object.values(tally))).toBeGreaterThan(10);
  });
});
