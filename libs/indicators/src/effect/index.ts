export * from './effect';
export type { Diagnostics, RatioInterval } from './estimate';
