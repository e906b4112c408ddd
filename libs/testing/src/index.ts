export * from './jest/database';
export * from './given/given';
