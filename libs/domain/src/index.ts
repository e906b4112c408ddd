export * from './decider';
export * from './event-type';
export { say, said } from './fields';
export * from './injury/record';
export * from './injury/injury';
export * from './community/community';
export * from './aggregates';
