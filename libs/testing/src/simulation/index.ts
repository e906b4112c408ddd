export { lightenAbort } from './abort';
export * from './random';
export * from './simulation';
