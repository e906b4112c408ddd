import { PlatformError } from '@vigil/platform';
import { createRandom, type Random } from './random';

/** How the network between the processes and the services behaves. Durations in virtual ms. */
export interface Weather {
  /** Longest usual way of a message; each takes from 0 to this, drawn anew, so that messages overtake each other. */
  readonly delay: number;
  /** Chance that a message takes up to twenty times as long. */
  readonly slow: number;
  /** Chance that a request never arrives. */
  readonly lostRequest: number;
  /** Chance that the answer to a request that was carried out never arrives. */
  readonly lostReply: number;
  /** Share of the lost ones after which the line is silent for `silence` ms; after the others it breaks at once. */
  readonly silent: number;
  readonly silence: number;
}

export const CALM: Weather = { delay: 4, slow: 0, lostRequest: 0, lostReply: 0, silent: 0, silence: 0 };

/** One life of a program: after a crash nothing of it runs again, and a restart is another `Process`. */
export interface Process {
  readonly name: string;
  readonly alive: boolean;
  readonly clock: {
    now(): number;
    sleep(ms: number, signal?: AbortSignal): Promise<void>;
  };
  /** The outcome of `promise` if it comes within `ms`; else a PlatformError `deadline-exceeded`. */
  within<T>(ms: number, promise: PromiseLike<T>, what: string): Promise<T>;
  /** Runs it at the end of the current moment, or a little later. */
  soon(run: () => void): void;
  /**
   * A request to a service, which runs `serve` when (and if) it arrives and answers now or later; the caller hears of it
   * when (and if) the answer arrives. It may be carried out without the caller, dead or cut off, ever knowing.
   */
  call<T>(what: string, serve: (reply: (value: T) => void, fail: (error: unknown) => void) => void): Promise<T>;
  /** A message that nobody waits for. */
  tell(what: string, serve: () => void): void;
  /** From this moment nothing of it runs; counted as a fault of this kind. */
  crash(kind?: string): void;
  /** Stops it as a long collection of garbage or a frozen machine does: what comes meanwhile is done when it wakes. */
  pause(ms: number): void;
}

export interface Simulation {
  readonly random: Random;
  /** May be changed at any moment, as when the faults are over. */
  weather: Weather;
  /** Virtual ms since 1970. */
  now(): number;
  /** Runs `step` after `ms`; on behalf of a process only as long as that lives, and not while it is paused. */
  after(ms: number, step: () => void, process?: Process): void;
  process(name: string): Process;
  /** Time a message takes just now. */
  delay(): number;
  /** Counts an injected fault. */
  fault(kind: string): void;
  readonly faults: ReadonlyMap<string, number>;
  /** Writes a line of the history, when it is kept. */
  readonly note: ((line: string) => void) | undefined;
  /** Steps until `done`, checked after each, or until no step is left or `until` (ms since 1970) has passed; whether it was done. */
  run(done: () => boolean, until: number): Promise<boolean>;
  /** Over every step so far: equal when two runs took the same steps at the same times. */
  digest(): number;
}

/** The connection ended; whether the request was carried out isn't known. One object, for making a stack costs more than a step. */
export const BROKEN_LINE = Object.assign(new Error('the connection broke'), { code: 'CONNECTION_CLOSED' });

interface Step {
  at: number;
  /** Order among steps of one moment, drawn from the seed. */
  readonly tie: number;
  readonly run: () => void;
  readonly process: Life | undefined;
}

interface Life extends Process {
  alive: boolean;
  pausedUntil: number;
}

const EPOCH = Date.UTC(2030, 0, 1);

/**
 * A world of one seed. Programs in it are ordinary asynchronous code; everything they wait for (answers, sleeps, the
 * next tick) completes at a virtual moment and in an order drawn from the seed. No timer runs: a minute of virtual time costs
 * what happens in it. Between two steps the microtasks run empty, so what a step sets in motion is over before the next one.
 */
export const createSimulation = (seed: number, options: { readonly keep?: (line: string) => void } = {}): Simulation => {
  const random = createRandom(seed);
  const faults = new Map<string, number>();
  const heap: Step[] = [];
  let time = EPOCH;
  let hash = 0x811c9dc5;
  const { keep } = options;
  const note = keep && ((line: string): void => keep(`${String(time - EPOCH).padStart(7)} ${line}`));
  const fault = (kind: string): void => void faults.set(kind, (faults.get(kind) ?? 0) + 1);

  const isBefore = (a: Step, b: Step): boolean => a.at < b.at || (a.at === b.at && a.tie < b.tie);

  const push = (step: Step): void => {
    let at = heap.length;
    heap.push(step);
    while (at > 0) {
      const parent = (at - 1) >> 1;
      if (!isBefore(step, heap[parent]!)) break;
      heap[at] = heap[parent]!;
      at = parent;
    }
    heap[at] = step;
  };

  const pop = (): Step | undefined => {
    const top = heap[0];
    const last = heap.pop();
    if (top === undefined || last === undefined || top === last) return top;
    const size = heap.length;
    let at = 0;
    for (;;) {
      let child = 2 * at + 1;
      if (child >= size) break;
      if (child + 1 < size && isBefore(heap[child + 1]!, heap[child]!)) child++;
      if (!isBefore(heap[child]!, last)) break;
      heap[at] = heap[child]!;
      at = child;
    }
    heap[at] = last;
    return top;
  };

  const schedule = (ms: number, run: () => void, process: Life | undefined): void =>
    push({ at: time + ms, tie: random.next(), run, process });

  const delay = (): number =>
    random.below(simulation.weather.delay + 1) * (random.chance(simulation.weather.slow) ? random.between(2, 20) : 1);

  /** The caller hears that the line broke, at once or after a silence. */
  const cut = (life: Life, kind: string, what: string, reject: (error: unknown) => void): void => {
    if (!life.alive) return;
    const { silent, silence } = simulation.weather;
    const quiet = random.chance(silent);
    fault(quiet ? `${kind}, line silent` : `${kind}, line broken`);
    note?.(`${life.name}: ${kind} of ${what}${quiet ? ', nobody hears of it' : ''}`);
    schedule(quiet ? silence : delay(), () => reject(BROKEN_LINE), life);
  };

  /** Takes the next step that is somebody's to take. */
  const take = (until: number): Step | undefined => {
    for (let step = pop(); step !== undefined; step = pop()) {
      const { process } = step;
      if (process && !process.alive) continue;
      if (process && process.pausedUntil > step.at) {
        push({ ...step, at: process.pausedUntil });
        continue;
      }
      if (step.at > until) {
        push(step);
        return undefined;
      }
      return step;
    }
    return undefined;
  };

  const simulation: Simulation = {
    random,
    weather: CALM,
    faults,
    note,
    fault,
    delay,
    now: () => time,
    after: (ms, step, process) => schedule(ms, step, process as Life | undefined),
    digest: () => hash >>> 0,
    run: (done, until) =>
      new Promise((resolve, reject) => {
        const next = (): void => {
          if (done()) return resolve(true);
          const step = take(until);
          if (step === undefined) return resolve(false);
          time = step.at;
          hash = Math.imul(hash ^ step.tie ^ time, 0x01000193);
          try {
            step.run();
          } catch (error) {
            return reject(error);
          }
          setImmediate(next);
        };
        setImmediate(next);
      }),
    process: (name) => {
      const life: Life = {
        name,
        alive: true,
        pausedUntil: 0,
        clock: {
          now: () => time,
          sleep: (ms, signal) =>
            new Promise((resolve) => {
              if (signal === undefined) return schedule(ms, resolve, life);
              if (signal.aborted) return resolve();
              const wake = (): void => {
                signal.removeEventListener('abort', wake);
                resolve();
              };
              signal.addEventListener('abort', wake);
              schedule(ms, wake, life);
            }),
        },
        within: (ms, promise, what) =>
          new Promise((resolve, reject) => {
            let over = false;
            schedule(
              ms,
              () => {
                if (!over) reject(new PlatformError('deadline-exceeded', { zh: what, en: what }));
              },
              life,
            );
            promise.then(
              (value) => {
                over = true;
                resolve(value);
              },
              (error) => {
                over = true;
                reject(error);
              },
            );
          }),
        soon: (run) => schedule(0, run, life),
        call: (what, serve) =>
          new Promise((resolve, reject) => {
            if (!life.alive) return;
            const { lostRequest, lostReply } = simulation.weather;
            if (lostRequest > 0 && random.chance(lostRequest)) return cut(life, 'lost request', what, reject);
            if (lostReply > 0 && random.chance(lostReply)) {
              const lose = (): void => cut(life, 'lost reply', what, reject);
              return schedule(delay(), () => serve(lose, lose), undefined);
            }
            schedule(
              delay(),
              () =>
                serve(
                  (value) => schedule(delay(), () => resolve(value), life),
                  (error) => schedule(delay(), () => reject(error), life),
                ),
              undefined,
            );
          }),
        tell: (what, serve) => {
          const { lostRequest } = simulation.weather;
          if (lostRequest > 0 && random.chance(lostRequest)) {
            fault('lost message');
            note?.(`${name}: lost message ${what}`);
          } else if (life.alive) schedule(delay(), serve, undefined);
        },
        crash: (kind = 'process crashed') => {
          life.alive = false;
          fault(kind);
          note?.(`${name}: ${kind}`);
        },
        pause: (ms) => {
          life.pausedUntil = Math.max(life.pausedUntil, time + ms);
          fault('process paused');
          note?.(`${name}: paused for ${ms} ms`);
        },
      };
      return life;
    },
  };
  return simulation;
};
