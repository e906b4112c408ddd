import type { Random, Weather } from '@vigil/testing';
import type { Storage } from './database';
import { EFFECT, MODEL } from './node';

/** Which faults a history knows, and how bad they are: each is left out of every second one, for faults hide each other. */
export interface Plan {
  readonly weather: Weather;
  readonly storage: Storage;
  readonly crashPoints: number;
  readonly crashes: number;
  readonly pauses: readonly number[];
  readonly stops: number;
  readonly databaseCrashes: number;
  readonly effectDown: number;
  readonly bad: number;
  /** Programs that serve appends, that run projections, and that do both. */
  readonly nodes: readonly [serve: number, project: number, both: number];
  readonly projections: readonly string[];
  readonly span: number;
  readonly wishes: number;
}

/** Serving, projecting, both. */
const LAYOUTS = [
  [1, 1, 0],
  [1, 2, 0],
  [1, 2, 0],
  [2, 1, 0],
  [2, 2, 0],
  [0, 0, 1],
  [0, 0, 1],
  [0, 0, 2],
] as const;

export const plan = (random: Random): Plan => {
  const sometimes = <T>(value: () => T, otherwise: T): T => (random.chance(0.5) ? value() : otherwise);
  const slow = sometimes(() => 0.1, 0);
  const long = random.chance(0.05);
  return {
    weather: {
      delay: random.between(1, 6),
      slow,
      lostRequest: sometimes(() => random.between(1, 10) / 100, 0),
      lostReply: sometimes(() => random.between(1, 15) / 100, 0),
      silent: 0.3,
      silence: random.pick([200, 1000, 3000]),
    },
    storage: { commit: random.between(0, 6), slow, undone: sometimes(() => 0.1, 0) },
    crashPoints: sometimes(() => 0.05, 0),
    crashes: sometimes(() => random.between(1, 2), 0),
    pauses: long ? [random.between(3_000, 5_000)] : sometimes(() => [random.between(20, 400)], []),
    stops: random.chance(0.2) ? 1 : 0,
    databaseCrashes: random.chance(0.25) ? random.between(1, 2) : 0,
    effectDown: random.chance(0.15) ? random.between(100, 900) : 0,
    bad: random.chance(0.3) ? 0.15 : 0,
    nodes: random.pick(LAYOUTS),
    projections: random.pick([[MODEL], [EFFECT], [MODEL], [EFFECT], [MODEL, EFFECT]]),
    span: long ? random.between(1_000, 5_000) : random.between(5, 300),
    wishes: random.between(1, 4),
  };
};
