export * from './table';
export * from './mapping';
export * from './problems';
export { isIdentityName } from './identity';
export * from './import';
export * from './push';
export * from './dead-letters';
export * from './kafka';
export * from './linkage';
