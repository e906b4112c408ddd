import { createRandom, createSimulation, lightenAbort, type Process, type Simulation } from '..';

const run = (simulation: Simulation, ms = 1e6): Promise<boolean> => simulation.run(() => false, simulation.now() + ms);
const since = (simulation: Simulation, start: number): number => simulation.now() - start;

describe('random', () => {
  it('is decided by the seed, and keeps to what is asked', () => {
    const [a, b] = [createRandom(2 ** 40 + 5), createRandom(2 ** 40 + 5)];
    const numbers = Array.from({ length: 1000 }, () => a.between(3, 7));
    expect(Array.from({ length: 1000 }, () => b.between(3, 7))).toEqual(numbers);
    expect([...new Set(numbers)].sort()).toEqual([3, 4, 5, 6, 7]);
    expect(createRandom(5).next()).not.toBe(createRandom(2 ** 40 + 5).next());
  });

  it('parts neighbouring seeds', () => {
    const firsts = Array.from({ length: 10_000 }, (_, seed) => createRandom(seed).below(100));
    for (let n = 0; n < 100; n++) {
      const times = firsts.filter((first) => first === n).length;
      expect(times).toBeGreaterThan(50);
      expect(times).toBeLessThan(160);
    }
  });
});

describe('a simulation', () => {
  it('lets an hour pass at once, in the order of the moments', async () => {
    const simulation = createSimulation(1);
    const { clock } = simulation.process('a');
    const start = simulation.now();
    const seen: number[] = [];
    const sleep = async (ms: number): Promise<void> => {
      await clock.sleep(ms);
      seen.push(since(simulation, start));
    };
    void Promise.all([sleep(3_600_000), sleep(10), sleep(500)]);
    expect(await run(simulation, 1e7)).toBe(false);
    expect(seen).toEqual([10, 500, 3_600_000]);
  });

  it('stops as soon as it is done, or when its time is over', async () => {
    const simulation = createSimulation(1);
    const { clock } = simulation.process('a');
    let ticks = 0;
    void (async () => {
      for (;;) {
        await clock.sleep(10);
        ticks++;
      }
    })();
    expect(await simulation.run(() => ticks === 3, simulation.now() + 1000)).toBe(true);
    expect(await run(simulation, 50)).toBe(false);
    expect(ticks).toBe(8);
  });

  it('lets messages overtake each other, as the seed has it', async () => {
    const orderOf = async (seed: number): Promise<string> => {
      const simulation = createSimulation(seed);
      const process = simulation.process('a');
      const served: number[] = [];
      for (let n = 0; n < 5; n++) void process.call('x', (reply) => reply(served.push(n)));
      await run(simulation);
      return served.join('');
    };
    const orders = await Promise.all(Array.from({ length: 50 }, (_, seed) => orderOf(seed)));
    expect(new Set(orders).size).toBeGreaterThan(25);
    expect(await orderOf(7)).toBe(orders[7]);
  });

  const lossy = { delay: 5, slow: 0, lostRequest: 0, lostReply: 0, silent: 0, silence: 0 };
  const callWith = async (weather: Partial<typeof lossy>): Promise<{ served: boolean; heard: string; after: number }> => {
    const simulation = createSimulation(3);
    simulation.weather = { ...lossy, ...weather };
    const start = simulation.now();
    let served = false;
    let [heard, after] = ['nothing', 0];
    const hear = (what: string): void => void ([heard, after] = [what, since(simulation, start)]);
    void simulation
      .process('a')
      .call<string>('x', (reply) => ((served = true), reply('answer')))
      .then(hear, (error: { code: string }) => hear(error.code));
    await run(simulation);
    return { served, heard, after };
  };

  it('loses requests, and answers to requests that were carried out; the caller hears that the line broke, now or late', async () => {
    expect(await callWith({})).toMatchObject({ served: true, heard: 'answer' });
    expect(await callWith({ lostRequest: 1 })).toMatchObject({ served: false, heard: 'CONNECTION_CLOSED' });
    expect(await callWith({ lostReply: 1 })).toMatchObject({ served: true, heard: 'CONNECTION_CLOSED' });
    expect((await callWith({ lostReply: 1, silent: 1, silence: 9_000 })).after).toBeGreaterThanOrEqual(9_000);
  });

  it('rejects late what does not come within its time', async () => {
    const simulation = createSimulation(3);
    const { within, clock } = simulation.process('a');
    const heard: unknown[] = [];
    void within(10, clock.sleep(20), 'x').catch((error: { code: string }) => heard.push(error.code));
    void within(30, clock.sleep(20), 'x').then(() => heard.push('in time'));
    await run(simulation);
    expect(heard).toEqual(['deadline-exceeded', 'in time']);
  });

  const busy = (simulation: Simulation): { process: Process; steps: number[] } => {
    const process = simulation.process('a');
    const steps: number[] = [];
    const start = simulation.now();
    void (async () => {
      for (;;) {
        await process.clock.sleep(10);
        steps.push(since(simulation, start));
      }
    })();
    return { process, steps };
  };

  it('runs nothing of a crashed process, though what it had sent is carried out', async () => {
    const simulation = createSimulation(3);
    const { process, steps } = busy(simulation);
    let served = 0;
    simulation.after(25, () => {
      void process.call('x', () => served++);
      process.crash();
      void process.call('x', () => served++);
    });
    await run(simulation, 1000);
    expect(steps).toEqual([10, 20]);
    expect(served).toBe(1);
    expect(simulation.faults.get('process crashed')).toBe(1);
  });

  it('wakes a paused process later, with all that came meanwhile', async () => {
    const simulation = createSimulation(3);
    const { process, steps } = busy(simulation);
    simulation.after(25, () => process.pause(100));
    await run(simulation, 150);
    expect(steps).toEqual([10, 20, 125, 135, 145]);
  });

  it('has an end of sleep where a signal aborts, with the light AbortController too', async () => {
    for (const restore of [() => undefined, lightenAbort()]) {
      const simulation = createSimulation(3);
      const { clock } = simulation.process('a');
      const abort = new AbortController();
      const start = simulation.now();
      const woke: number[] = [];
      void clock.sleep(1000, abort.signal).then(() => woke.push(since(simulation, start)));
      simulation.after(40, () => {
        abort.abort();
        abort.abort();
        void clock.sleep(1000, abort.signal).then(() => woke.push(since(simulation, start)));
      });
      await run(simulation);
      restore();
      expect(woke).toEqual([40, 40]);
    }
    expect(new AbortController().signal).toBeInstanceOf(AbortSignal);
  });

  it('hands on what a step throws', async () => {
    const simulation = createSimulation(3);
    simulation.after(1, () => {
      throw new Error('a fault of the world');
    });
    await expect(run(simulation)).rejects.toThrow('a fault of the world');
  });
});
