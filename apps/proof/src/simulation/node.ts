import type { EventLog, RecordedEvent } from '@vigil/event-log';
import { createRuntime, type Projector, type Runtime } from '@vigil/projections';
import { BROKEN_LINE, type Process, type Simulation } from '@vigil/testing';
import type { Database, Tx } from './database';
import { createSimulatedLog } from './log';
import type { MutantName } from './mutants';
import { createSimulatedStore } from './store';

/** The read model and the effect of the simulated world. */
export const MODEL = 'counts';
export const EFFECT = 'letters';

export const COUNTED = 'Counted';
/** Handled by nobody. */
export const REMARKED = 'Remarked';
/** The model can't apply it. */
export const UNCOUNTABLE = 'Uncountable';
/** The effect can't be done for it. */
export const UNSENDABLE = 'Unsendable';
export const HANDLED: ReadonlySet<string> = new Set([COUNTED, UNCOUNTABLE, UNSENDABLE]);

/** What every program of a world sees around it. */
export interface Surroundings {
  readonly simulation: Simulation;
  readonly database: Database;
  readonly mutant: MutantName | undefined;
  /** Those that are run. */
  readonly projections: readonly string[];
  /** Chance that a program dies at a crash point it comes by. */
  crashPoints: number;
  /** Whether the programs that run now can apply what is bad. */
  cured: boolean;
  /** Until then the effect fails for every event. */
  effectDownUntil: number;
}

/** One program: it serves appends, or runs the projections, or both. After a crash it boots again as a new process. */
export interface Node {
  readonly name: string;
  readonly roles: { readonly serves: boolean; readonly projects: boolean };
  /** How often it has booted. */
  life: number;
  process: Process;
  log: EventLog;
  runtime: Runtime | undefined;
  readonly inFlight: Set<(error: unknown) => void>;
}

class Killed extends Error {
  override readonly name = 'Killed';
}
const KILLED = new Killed('killed at a crash point');

const projectors = (world: Surroundings): Projector<Tx>[] => {
  const { database, mutant } = world;
  const apply =
    (isBad: (event: RecordedEvent) => boolean, passes: boolean) =>
    async (tx: Tx, events: readonly RecordedEvent[]): Promise<void> => {
      for (const event of events) {
        if (isBad(event)) {
          if (passes) continue;
          throw new Error(`${event.type} is beyond it`);
        }
        tx.applied.push(mutant === 'park-knows-no-streams' ? database.byId.get(event.id)! : event);
      }
    };
  const both: Projector<Tx>[] = [
    {
      name: MODEL,
      kind: 'model',
      handles: HANDLED,
      apply: apply(({ type }) => type === UNCOUNTABLE && !world.cured, mutant === 'halt-skips'),
    },
    {
      name: EFFECT,
      kind: 'effect',
      handles: HANDLED,
      apply: apply(({ type }) => (type === UNSENDABLE && !world.cured) || world.effectDownUntil > world.simulation.now(), false),
    },
  ];
  return both.filter(({ name }) => world.projections.includes(name));
};

/** Starts the program, again and again if it must: its database may be down. */
export const boot = (world: Surroundings, node: Node): void => {
  const { simulation, database, mutant } = world;
  const process = simulation.process(`${node.name}.${++node.life}`);
  const crashPoint = (name: string): void => {
    if (!process.alive) throw KILLED;
    if (world.crashPoints === 0 || !simulation.random.chance(world.crashPoints)) return;
    simulation.note?.(`${process.name}: killed at ${name}`);
    crash(world, node);
    throw KILLED;
  };
  node.process = process;
  node.log = createSimulatedLog({
    process,
    database,
    crashPoint,
    follows: node.roles.projects,
    alias: mutant === 'park-knows-no-streams',
  });
  node.runtime = undefined;
  simulation.note?.(`${process.name}: boots`);
  if (!node.roles.projects) return;
  const runtime = createRuntime<Tx>({
    store: createSimulatedStore(process, database, mutant),
    log: node.log,
    projectors: projectors(world),
    owner: process.name,
    clock: process.clock,
    crashPoint,
  });
  node.runtime = runtime;
  const start = async (): Promise<void> => {
    for (;;) {
      try {
        return await runtime.start();
      } catch {
        await process.clock.sleep(250);
      }
    }
  };
  void start();
};

/** Kills it; whoever waits for an answer hears that the connection broke, and so does the database, unless the machine died too. */
export const crash = (world: Surroundings, node: Node, kind?: string): void => {
  const { simulation, database } = world;
  const { process } = node;
  if (!process.alive) return;
  process.crash(kind);
  if (simulation.random.chance(0.7)) simulation.after(simulation.delay(), () => database.hangUp(process));
  for (const fail of node.inFlight) fail(BROKEN_LINE);
  node.inFlight.clear();
  const { life } = node;
  simulation.after(simulation.random.between(20, 400), () => {
    if (node.life === life) boot(world, node);
  });
};

/** Work that a caller waits for at this node. */
export const serve = <T>(node: Node, work: () => Promise<T>, reply: (value: T) => void, fail: (error: unknown) => void): void => {
  const { process, inFlight } = node;
  if (!process.alive) return fail(BROKEN_LINE);
  inFlight.add(fail);
  const over = (): void => void (process.alive && inFlight.delete(fail));
  work().then(
    (value) => {
      over();
      if (process.alive) reply(value);
    },
    (error) => {
      over();
      if (process.alive) fail(error);
    },
  );
};
