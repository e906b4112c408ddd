import type { Position } from '@vigil/event-log';
import { createSimulation } from '@vigil/testing';
import { checkWorld, holdsUp, mustWait, type Findings, type Violation } from './checks';
import { Database } from './database';
import { suffer } from './faults';
import type { MutantName } from './mutants';
import { boot, EFFECT, MODEL, type Node, type Surroundings } from './node';
import { plan } from './plan';
import { startSenders } from './senders';

export interface HistoryOptions {
  readonly seed: number;
  readonly mutant?: MutantName;
  /** Receives the history line by line. */
  readonly keep?: (line: string) => void;
}

export interface History extends Findings {
  readonly seed: number;
  readonly events: number;
  readonly faults: ReadonlyMap<string, number>;
  /** Equal for two runs that took the same steps at the same times. */
  readonly digest: number;
  /** From the end of the faults until everything had been projected, virtual ms. */
  readonly healedAfter: number;
}

/** Promise I10. */
const HEALED_WITHIN = 30_000;

/** One world from one seed: it runs, suffers, heals, comes to rest, and is checked. */
export const runHistory = async ({ seed, mutant, keep }: HistoryOptions): Promise<History> => {
  const simulation = createSimulation(seed, { keep });
  const { random } = simulation;
  const start = simulation.now();
  const plans = plan(random);
  const database = new Database(simulation, mutant);
  const world: Surroundings = {
    simulation,
    database,
    mutant,
    projections: plans.projections,
    crashPoints: plans.crashPoints,
    cured: false,
    effectDownUntil: 0,
  };

  const nodes: Node[] = [];
  const add = (name: string, roles: Node['roles']): void => {
    const node = { name, roles, life: 0, inFlight: new Set() } as unknown as Node;
    nodes.push(node);
    boot(world, node);
  };
  const [serve, project, both] = plans.nodes;
  for (let n = 1; n <= serve; n++) add(`api-${n}`, { serves: true, projects: false });
  for (let n = 1; n <= project; n++) add(`projector-${n}`, { serves: false, projects: true });
  for (let n = 1; n <= both; n++) add(`node-${n}`, { serves: true, projects: true });

  const { ends, stopping } = suffer(world, nodes, plans);
  const { answers, unanswered } = startSenders(world, nodes, plans);

  const stands = (projection: string, at: Position): boolean => database.rows(projection).position === at;
  const isAtRest = (): boolean => {
    if (simulation.now() < start + ends || unanswered() > 0) return false;
    const { projections } = plans;
    if (projections.includes(EFFECT) && !stands(EFFECT, database.head())) return false;
    if (!projections.includes(MODEL) || stands(MODEL, database.head())) return true;
    const stop = holdsUp(database, world.cured);
    return stop !== undefined && database.rows(MODEL).problem?.position === stop.position.toString();
  };
  /** Late messages of the bad times still arrive in a world that seems at rest: it is looked at twice. */
  const settles = async (done: () => boolean, until: number): Promise<boolean> => {
    if (!(await simulation.run(done, until))) return false;
    await simulation.run(() => false, simulation.now() + 60);
    return simulation.run(done, until + 60);
  };

  const late: Violation[] = [];
  let rested = await settles(isAtRest, start + ends + HEALED_WITHIN);
  const healedAfter = simulation.now() - start - ends;
  if (!rested)
    late.push({
      promise: 'I10',
      what: `${HEALED_WITHIN} ms after the faults: ${describe(world)}, ${unanswered()} senders wait`,
    });

  const isUp = ({ process, runtime }: Node): boolean => runtime !== undefined && process.alive && !stopping.has(process);
  /** What a person does about events that can't be applied: a new version of the programs, or a decision to pass over them. */
  const decide = async (projection: string): Promise<void> => {
    const { runtime } = nodes.find(isUp)!;
    const rows = database.rows(projection);
    const at = projection === MODEL ? holdsUp(database, false)?.position : rows.parked[0]?.position;
    try {
      if (world.cured || at === undefined) await runtime!.retry(projection);
      else await runtime!.skip(projection, at, 'beyond repair', 'operator');
    } catch (error) {
      // A new owner is about to try it once more before it says again that it can't.
      if (!(error instanceof RangeError)) throw error;
    }
  };
  const isTidy = (): boolean => {
    if (!isAtRest()) return false;
    if (!plans.projections.includes(EFFECT)) return true;
    const waiting = mustWait(database, world.cured).length;
    const { parked, problem } = database.rows(EFFECT);
    return parked.length === waiting && (problem !== undefined) === waiting > 0;
  };
  if (rested && plans.projections.some((name) => database.rows(name).problem ?? database.rows(name).parked.length > 0)) {
    const from = simulation.now();
    world.cured = random.chance(0.5);
    // A decision that meets the owner halfway through another try may be answered with the old problem: a person looks again.
    for (rested = false; !rested && simulation.now() < from + HEALED_WITHIN; ) {
      await simulation.run(() => nodes.some(isUp), from + HEALED_WITHIN); // all may be stopping or booting
      simulation.note?.('a person looks after it');
      simulation.fault('person decided');
      let decided = false;
      void Promise.all(plans.projections.map(decide)).then(() => (decided = true));
      rested = await settles(() => decided && isTidy(), Math.min(simulation.now() + 3_000, from + HEALED_WITHIN));
    }
    if (!rested) late.push({ promise: 'I10', what: `${HEALED_WITHIN} ms after a person's decision: ${describe(world)}` });
  }
  const findings = checkWorld(world, answers);
  return {
    ...findings,
    violations: [...late, ...findings.violations],
    seed,
    events: database.events.length,
    faults: simulation.faults,
    digest: simulation.digest(),
    healedAfter,
  };
};

const describe = ({ database, projections }: Surroundings): string =>
  projections.map((name) => `${name} at ${database.rows(name).position}`).join(', ') + ` of ${database.head()}`;
