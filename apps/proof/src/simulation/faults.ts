import { CALM, type Process } from '@vigil/testing';
import { crash, type Node, type Surroundings } from './node';
import type { Plan } from './plan';

/** Lets everything happen to a world that its plan has for it; after `ends` virtual ms nothing more does. */
export const suffer = (
  world: Surroundings,
  nodes: readonly Node[],
  plan: Plan,
): { readonly ends: number; readonly stopping: ReadonlySet<Process> } => {
  const { simulation, database } = world;
  const { random } = simulation;
  simulation.weather = plan.weather;
  database.storage = plan.storage;
  let ends = plan.span;
  const sometime = (what: () => void, lasts = 0): void => {
    const at = random.below(plan.span + 1);
    ends = Math.max(ends, at + lasts);
    simulation.after(at, what);
  };

  for (let n = 0; n < plan.crashes; n++) sometime(() => crash(world, random.pick(nodes)));
  for (const ms of plan.pauses) sometime(() => random.pick(nodes).process.pause(ms), ms);
  for (let n = 0; n < plan.databaseCrashes; n++) {
    const ms = random.between(10, 800);
    sometime(() => database.crash(ms), ms);
  }
  if (plan.effectDown > 0) sometime(() => void (world.effectDownUntil = simulation.now() + plan.effectDown), plan.effectDown);
  const stopping = new Set<Process>();
  for (let n = 0; n < plan.stops; n++)
    sometime(() => {
      const node = random.pick(nodes);
      const { process, runtime, log } = node;
      if (!process.alive) return;
      stopping.add(process);
      simulation.note?.(`${process.name}: is asked to stop`);
      void Promise.resolve(runtime?.stop())
        .then(() => log.close())
        .then(() => crash(world, node, 'process stopped and started'));
    });

  simulation.after(ends, () => {
    simulation.note?.('the faults are over');
    simulation.weather = CALM;
    database.storage = { commit: 2, slow: 0, undone: 0 };
    world.crashPoints = 0;
  });
  return { ends, stopping };
};
