/** A fault of design that was once made somewhere, built into the world on request: the checks must see it. */
export interface Mutant {
  /** What is done wrong. */
  readonly what: string;
  /** Whose code it takes the place of. */
  readonly where: string;
}

export const MUTANTS = {
  'ack-before-commit': {
    what: 'an append is acknowledged once its positions are known, before it has committed',
    where: 'append service',
  },
  'new-id-on-retry': {
    what: 'a sender that has had no answer sends the same thing again under new ids',
    where: 'sender',
  },
  'no-unique-key': {
    what: 'event ids are not looked up before an append, so a repeat is written again',
    where: 'append service',
  },
  'high-water-read': {
    what: 'positions are handed out without the append lock, so a lower one may commit after a reader has passed it',
    where: 'append service',
  },
  'split-checkpoint': {
    what: 'effect and checkpoint are two transactions, the effect first',
    where: 'projection store',
  },
  'checkpoint-first': {
    what: 'effect and checkpoint are two transactions, the checkpoint first',
    where: 'projection store',
  },
  unfenced: {
    what: 'a commit asks neither for the epoch nor for the position that it goes on from',
    where: 'projection store',
  },
  'no-epoch': {
    what: 'a commit asks for the position that it goes on from, but not for the epoch',
    where: 'projection store',
  },
  'lease-ignored': {
    what: 'a projection is given to whoever asks for it',
    where: 'projection store',
  },
  'park-knows-no-streams': {
    what: 'an event is parked, later ones of its stream are not',
    where: 'log as the runtime sees it: each event seems to have a stream of its own',
  },
  'halt-skips': {
    what: 'a model passes over an event that it cannot apply',
    where: 'projector',
  },
} as const satisfies Record<string, Mutant>;

export type MutantName = keyof typeof MUTANTS;

export const isMutant = (name: string): name is MutantName => Object.hasOwn(MUTANTS, name);
