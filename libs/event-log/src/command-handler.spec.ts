import { deterministicId, ok, refuse } from '@vigil/vocabulary';
import { handleCommand, loadAggregate, toNewEvent, type AggregateType, type CommandContext } from './command-handler';
import { LogUnavailable, START, type EventLog } from './event-log';
import { createMemoryLog } from './memory/memory-log';

type Add = { readonly add: readonly number[] };
type Added = { readonly type: 'Added'; readonly data: { readonly n: number } };

/** A tally up to 1,000: one event per number. */
const tally: AggregateType<Add, Added, number> = {
  streamOf: (id) => `tally-${id}`,
  versions: { Added: 3 },
  read: ({ type, data }) => ({ type, data: JSON.parse(data) }) as never,
  decider: {
    initialState: 0,
    decide: ({ add }, total) =>
      add.reduce((sum, n) => sum + n, total) > 1000
        ? refuse({ code: 'too-much', detail: { zh: '太多', en: 'too much' } })
        : ok(add.map((n) => ({ type: 'Added', data: { n } }))),
    evolve: (total, { data }) => total + data.n,
  },
};

let log: EventLog;
beforeEach(() => void (log = createMemoryLog()));

const send = (commandId: string, add: readonly number[], context: Partial<CommandContext> = {}, id = 'a') =>
  handleCommand(log, tally, id, { add }, { commandId, metadata: { actor: 'spec' }, ...context });
const done = (revision: number, repeated = false) => ({ ok: true, value: { revision, position: expect.any(BigInt), repeated } });
const refused = (code: string) => ({ ok: false, problem: { code, detail: { zh: expect.any(String), en: expect.any(String) } } });
const range = (n: number): number[] => Array.from({ length: n }, (_, i) => i);
const total = async (id = 'a'): Promise<number> => (await loadAggregate(log, tally, id)).state;

it('appends the events a command causes, with their version, the metadata and ids made from the command id', async () => {
  expect(await send('one', [5, 6])).toEqual({ ok: true, value: { revision: 1, position: await log.head(), repeated: false } });
  expect(await log.readStream('tally-a')).toMatchObject(
    [5, 6].map((n, i) => ({
      ...toNewEvent({ type: 'Added', data: { n } }, 3, deterministicId('command', 'one', `${i}`), '{"actor":"spec"}'),
      revision: i,
    })),
  );
  expect(await loadAggregate(log, tally, 'a')).toMatchObject({ state: 11, events: [{ revision: 0 }, { revision: 1 }] });
});

it('answers a refusal of the decider as a value and writes nothing', async () => {
  expect(await send('one', [1001])).toMatchObject(refused('too-much'));
  expect(await log.head()).toBe(START);
});

it('answers a command that changes nothing with where the aggregate stands', async () => {
  expect(await send('one', [])).toEqual({ ok: true, value: { revision: -1, position: null, repeated: false } });
  await send('two', [1]);
  expect(await send('three', [])).toEqual({ ok: true, value: { revision: 0, position: await log.head(), repeated: false } });
});

describe('with the revision the caller saw', () => {
  it('goes on where it still holds', async () => {
    await send('one', [1]);
    expect(await send('two', [1], { expected: 0 })).toEqual(done(1));
  });

  it('refuses where the stream moved, before the decider is asked, and says to where', async () => {
    await send('one', [1, 1]);
    expect(await send('two', [9999], { expected: 0 })).toMatchObject({
      ok: false,
      problem: { code: 'stream-moved', value: 'r0', allowed: ['r1'] },
    });
    expect(await send('three', [1], { expected: 0 }, 'none')).toMatchObject({
      ok: false,
      problem: { code: 'stream-moved', allowed: ['r-1'] },
    });
    expect(await total()).toBe(2);
  });

  it('refuses where it moves between reading and writing: of many at one revision one is accepted', async () => {
    await send('start', [1]);
    const results = await Promise.all(range(10).map((n) => send(`c${n}`, [1], { expected: 0 })));
    expect(results.filter((result) => result.ok)).toHaveLength(1);
    for (const result of results) if (!result.ok) expect(result).toMatchObject(refused('stream-moved'));
    expect(await total()).toBe(2);
  });
});

describe('a command id that came before', () => {
  it('gets its first answer and changes nothing, whatever came after', async () => {
    const first = await send('one', [500, 499]);
    await send('two', [1]);
    for (const context of [{}, { expected: 99 }, { expected: 0 }]) {
      expect(await send('one', [500, 499], context)).toEqual({
        ok: true,
        value: { ...(first.ok && first.value), repeated: true },
      });
    }
    expect(await total()).toBe(1000);
  });

  it('with another fingerprint, or for another aggregate, is a conflict', async () => {
    const [print, other] = [deterministicId('x'), deterministicId('y')];
    await send('one', [1], { fingerprint: print });
    expect(await send('one', [1], { fingerprint: print })).toEqual(done(0, true));
    expect(await send('one', [1], { fingerprint: other })).toMatchObject({
      ok: false,
      problem: { code: 'event-id-conflict', value: 'one' },
    });
    expect(await send('one', [1], {}, 'b')).toMatchObject(refused('event-id-conflict'));
    expect(await log.readAll({ after: START, limit: 9 })).toHaveLength(1);
  });

  it('among concurrent ones writes once', async () => {
    const results = await Promise.all(range(10).map(() => send('one', [1, 2])));
    expect(results.map((result) => result.ok && [result.value.revision, result.value.repeated])).toEqual([
      [1, false],
      ...range(9).map(() => [1, true]),
    ]);
    expect(await total()).toBe(3);
  });

  it('after a lost acknowledgement finds what it did', async () => {
    const real = log;
    log = { ...real, append: async (one) => (await real.append(one), Promise.reject(new LogUnavailable('lost'))) };
    await expect(send('one', [1, 2])).rejects.toBeInstanceOf(LogUnavailable);
    log = real;
    expect(await send('one', [1, 2])).toEqual(done(1, true));
    expect(await total()).toBe(3);
  });

  it('gets its first answer also where the decision hangs on the state that it changed', async () => {
    const halves: typeof tally = {
      ...tally,
      decider: {
        ...tally.decider,
        decide: (_, sum) => ok(range(sum === 0 ? 1 : 2).map((n) => ({ type: 'Added', data: { n: sum + n + 1 } }))),
      },
    };
    const halve = (commandId: string, over = log, expected?: number) =>
      handleCommand(over, halves, 'a', { add: [] }, { commandId, metadata: {}, expected });
    await halve('one');
    expect(await halve('two')).toEqual(done(2));
    expect(await halve('two')).toEqual(done(2, true));
    expect(await halve('one')).toEqual(done(0, true));

    // A run that has read before another run of the same command writes.
    const before = await log.readStream('tally-a');
    expect(await halve('three', log, 2)).toEqual(done(4));
    const reads = [before];
    const slow = { ...log, readStream: async (stream: string) => reads.pop() ?? log.readStream(stream) };
    expect(await halve('three', slow, 2)).toEqual(done(4, true));
    expect(await log.readStream('tally-a')).toHaveLength(5);
  });

  it('is not remembered when it was refused or changed nothing', async () => {
    await send('fill', [900]);
    expect(await send('one', [200])).toMatchObject(refused('too-much'));
    expect(await send('one', [100])).toEqual(done(1));
    await send('two', [], {}, 'b');
    expect(await send('two', [1], {}, 'b')).toEqual(done(0));
  });
});

it('decides anew when another came between: concurrent deciders all are heard, and together keep the rule', async () => {
  const results = await Promise.all(range(20).map((n) => send(`c${n}`, [60])));
  expect(results.filter((result) => result.ok)).toHaveLength(16);
  for (const result of results) if (!result.ok) expect(result).toMatchObject(refused('too-much'));
  expect(await total()).toBe(960);
});

it('gives up with a refusal when another always comes between', async () => {
  let attempts = 0;
  log = { ...log, append: async () => (attempts++, { kind: 'conflict', actual: 7 }) };
  expect(await send('one', [1])).toMatchObject({ ok: false, problem: { code: 'stream-moved', allowed: ['r7'] } });
  expect(attempts).toBe(21); // to begin it, then as often as it may be decided anew
});
