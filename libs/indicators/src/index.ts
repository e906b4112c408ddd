export * from './query/query';
export * from './definitions';
export { definitionProblem } from './definitions/problems';
export { definitionsAt } from './definitions/source';
export * from './output';
export { createObservations, type Answered, type LogView, type Observations, type ObservationsOptions } from './answer/answer';
export * from './effect';
export { RELEASE_MIGRATIONS } from './answer/release';
