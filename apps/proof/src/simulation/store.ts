import type { Move, ProjectionStore } from '@vigil/projections';
import type { Process } from '@vigil/testing';
import type { Database, Tx } from './database';
import type { MutantName } from './mutants';

/** The projections' store of one process, over the simulated database. */
export const createSimulatedStore = (
  process: Process,
  database: Database,
  mutant: MutantName | undefined,
): ProjectionStore<Tx> => {
  const ask = <T>(what: string, work: () => T): Promise<T> => database.ask(process, what, work);
  const filled = async (effect: (tx: Tx) => Promise<void>): Promise<Tx> => {
    const tx: Tx = { applied: [], parked: [] };
    await effect(tx);
    return tx;
  };
  const moveAlone = (move: Move): void => {
    database.mayMove(move);
    database.move(move);
  };
  return {
    claim: (projection, owner) => ask('claim', () => database.claim(projection, owner, process)),
    release: (projection, owner) => ask('release', () => database.release(projection, owner)),
    look: (projection) => ask('look', () => database.look(projection)),
    commit: async (move, effect) => {
      const tx = await filled(effect);
      if (mutant === 'split-checkpoint') {
        await ask('effect', () => database.write(move.projection, tx));
        await ask('checkpoint', () => moveAlone(move));
      } else if (mutant === 'checkpoint-first') {
        await ask('checkpoint', () => moveAlone(move));
        await ask('effect', () => database.write(move.projection, tx));
      } else await ask('commit', () => database.commit(move, tx));
    },
    note: (projection, problem) => ask('note', () => database.note(projection, problem)),
    skips: (projection) => ask('skips', () => [...database.rows(projection).skips]),
    skip: (projection, position, reason, by) =>
      ask('skip', () => database.skip(projection, { position, reason, by, at: '2030-01-01T00:00:00Z' })),
    parked: (projection) => ask('parked', () => [...database.rows(projection).parked]),
    park: async (tx, _, { position, stream, type }, reason) => void tx.parked.push({ position, stream, type, reason }),
    settle: async (projection, epoch, position, effect) => {
      const tx = await filled(effect);
      await ask('settle', () => database.settle(projection, epoch, position, tx));
    },
  };
};
