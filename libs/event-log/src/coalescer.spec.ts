import fc from 'fast-check';
import { createCoalescer } from './coalescer';
import { LogOverloaded, position, type AppendOutcome, type AppendRequest } from './event-log';
import { newEvent, request } from './event-log.contract';

const tick = (): Promise<void> => new Promise(setImmediate);
const range = (n: number): number[] => Array.from({ length: n }, (_, i) => i);
const appended = (revision = 0): AppendOutcome => ({ kind: 'appended', revision, position: position(1n) });
const sizeOf = ({ events }: AppendRequest): number =>
  events.reduce((sum, { data, metadata }) => sum + data.length + metadata.length + 200, 0);
const uuid = (n: number): string => `00000000-0000-8000-8000-${String(n).padStart(12, '0')}`;

/** A writer whose batches end when told to. */
const held = () => {
  const batches: { requests: readonly AppendRequest[]; end: () => void; fail: (error: Error) => void }[] = [];
  const write = (requests: readonly AppendRequest[]) =>
    new Promise<AppendOutcome[]>((resolve, reject) =>
      batches.push({ requests, end: () => resolve(requests.map(() => appended())), fail: reject }),
    );
  return { batches, write };
};

it('writes what one tick brings as one batch, and what comes meanwhile as the next', async () => {
  const { batches, write } = held();
  const { append, drained } = createCoalescer({ write, lanes: 1 });
  const first = range(10).map((n) => append(request(`s${n}`)));
  await tick();
  range(5).forEach((n) => void append(request(`t${n}`)));
  await tick();
  expect(batches.map(({ requests }) => requests.length)).toEqual([10]);
  batches[0]!.end();
  await Promise.all(first);
  expect(batches.map(({ requests }) => requests.length)).toEqual([10, 5]);
  batches[1]!.end();
  await drained();
});

it('holds a stream back while its request is in flight, and nobody else', async () => {
  const { batches, write } = held();
  const { append } = createCoalescer({ write, lanes: 2 });
  void append(request('hot', 'none'));
  void append(request('hot', 0));
  await tick();
  void append(request('cold'));
  await tick();
  expect(batches.map(({ requests }) => requests.map(({ stream }) => stream))).toEqual([['hot'], ['cold']]);
  batches[0]!.end();
  await tick();
  expect(batches[2]!.requests.map(({ expected }) => expected)).toEqual([0]);
});

it('refuses with LogOverloaded what a full queue cannot take, and takes again when it has emptied', async () => {
  const { batches, write } = held();
  const { append, appendMany, drained } = createCoalescer({ write, lanes: 1, maxRequests: 2, maxWaiting: 3 });
  const accepted = range(3).map((n) => append(request(`s${n}`)));
  await expect(append(request('s3'))).rejects.toThrow(LogOverloaded);
  await expect(appendMany([request('s3')])).rejects.toThrow(LogOverloaded);
  await tick();
  const bulk = appendMany(range(10).map((n) => request(`bulk${n}`)));
  await expect(append(request('s4'))).rejects.toThrow(LogOverloaded);
  while (batches.length < 7) {
    batches.forEach(({ end }) => end());
    await tick();
  }
  batches.forEach(({ end }) => end());
  expect([...(await Promise.all(accepted)), ...(await bulk)]).toHaveLength(13);
  await drained();
  expect(batches.flatMap(({ requests }) => requests).map(({ stream }) => stream)).not.toContain('s3');
  const late = append(request('s3'));
  await tick();
  batches.at(-1)!.end();
  expect(await late).toEqual(appended());
});

it('counts waiting requests of one stream against the limit too', async () => {
  const { write } = held();
  const { append } = createCoalescer({ write, maxWaiting: 2 });
  void append(request('a'));
  void append(request('a'));
  await expect(append(request('a'))).rejects.toThrow(LogOverloaded);
});

it('refuses a request without events, and takes none of a bulk that holds one', async () => {
  const { batches, write } = held();
  const { append, appendMany } = createCoalescer({ write });
  await expect(append(request('a', 'any', []))).rejects.toThrow(RangeError);
  await expect(appendMany([request('a'), request('b', 'any', [])])).rejects.toThrow(RangeError);
  await tick();
  expect(batches).toEqual([]);
});

it('takes twenty thousand requests to one stream without looking at each again for each', async () => {
  let looks = 0;
  const counted = (n: number): AppendRequest => ({
    ...request('hot', n),
    get events() {
      looks++;
      return [event];
    },
  });
  const event = newEvent();
  const { appendMany } = createCoalescer({ write: async (batch) => batch.map(() => appended()) });
  await appendMany(range(20_000).map(counted));
  expect(looks).toBeLessThan(20_000 * 10);
});

it('whatever comes and goes when: distinct streams and ids in a batch, streams in order, limits kept, each caller his own answer', async () => {
  const call = fc.record({
    stream: fc.nat(4),
    ids: fc.uniqueArray(fc.nat(6), { minLength: 1, maxLength: 2 }),
    size: fc.integer({ min: 1, max: 400 }),
    pause: fc.nat(2),
    many: fc.boolean(),
  });
  const flight = fc.record({ ticks: fc.nat(3), fails: fc.boolean() });
  const limits = fc.record({
    lanes: fc.integer({ min: 1, max: 3 }),
    maxRequests: fc.integer({ min: 1, max: 4 }),
    maxBytes: fc.integer({ min: 1, max: 2000 }),
  });
  await fc.assert(
    fc.asyncProperty(
      fc.array(call, { maxLength: 25 }),
      fc.infiniteStream(flight),
      limits,
      async (calls, flights, { lanes, maxRequests, maxBytes }) => {
        const flying = new Set<string>();
        const written: AppendRequest[] = [];
        const failed = new Set<AppendRequest>();
        let inFlight = 0;
        const write = async (batch: readonly AppendRequest[]): Promise<AppendOutcome[]> => {
          const { ticks, fails } = flights.next().value;
          const streams = batch.map(({ stream }) => stream);
          const ids = batch.flatMap(({ events }) => events.map(({ id }) => id));
          expect(batch.length).toBeGreaterThan(0);
          expect(batch.length).toBeLessThanOrEqual(maxRequests);
          expect(batch.slice(0, -1).reduce((sum, each) => sum + sizeOf(each), 0)).toBeLessThan(maxBytes);
          expect([new Set(streams).size, new Set(ids).size]).toEqual([streams.length, ids.length]);
          expect(streams.filter((stream) => flying.has(stream))).toEqual([]);
          expect(++inFlight).toBeLessThanOrEqual(lanes);
          streams.forEach((stream) => flying.add(stream));
          written.push(...batch);
          if (fails) batch.forEach((each) => failed.add(each));
          for (let n = 0; n < ticks; n++) await tick();
          inFlight--;
          streams.forEach((stream) => flying.delete(stream));
          if (fails) throw new Error('this batch only');
          return batch.map((each) => appended(each.expected as number));
        };
        const { append, appendMany, drained } = createCoalescer({ write, lanes, maxRequests, maxBytes });
        const sent: AppendRequest[] = [];
        const answers: Promise<unknown>[] = [];
        for (const [at, { stream, ids, size, pause, many }] of calls.entries()) {
          const one = request(
            `s${stream}`,
            at,
            ids.map((n) => newEvent({ id: uuid(n), data: 'x'.repeat(size) })),
          );
          sent.push(one);
          answers.push((many ? appendMany([one]).then(([outcome]) => outcome) : append(one)).catch((error: Error) => error));
          for (let n = 0; n < pause; n++) await tick();
        }
        await drained();
        expect(inFlight).toBe(0);
        const orderOf = (requests: AppendRequest[]) =>
          range(5).map((n) => requests.filter(({ stream }) => stream === `s${n}`).map(({ expected }) => expected));
        expect(orderOf(written)).toEqual(orderOf(sent));
        expect(await Promise.all(answers)).toEqual(
          sent.map((one) => (failed.has(one) ? new Error('this batch only') : appended(one.expected as number))),
        );
      },
    ),
    { numRuns: 300 },
  );
});
