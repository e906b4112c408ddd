export * from './query/query';
export * from './definitions';
export * from './output';
export { createObservations, type Answered, type LogView, type Observations, type ObservationsOptions } from './answer/answer';
