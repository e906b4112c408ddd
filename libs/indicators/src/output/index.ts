export * from './answer';
export * from './tables';
