export * from './jest/database';
