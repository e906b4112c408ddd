export { createFactColumns, type FactColumns, type FactColumnsOptions } from './columns/fact-columns';
export * from './query/query';
export * from './definitions';
export { definitionProblem } from './definitions/problems';
export { definitionsAt } from './definitions/source';
export * from './output';
export {
  createObservations,
  type Answered,
  type LogView,
  type Observations,
  type ObservationsOptions,
  type Asked,
  type ChangesAnswer,
  type ChangesQuery,
  type LoggedEvent,
} from './answer/answer';
export type { Cause, CauseKind, RowChange, ToldEvent } from './answer/changes';
export * from './effect';
export * from './alerts';
export { RELEASE_MIGRATIONS } from './answer/release';
