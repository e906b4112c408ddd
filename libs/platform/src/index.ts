export * from './config';
export * from './data-folder';
export * from './deadline';
export * from './logger';
export * from './metrics';
export { type Detail, PlatformError, type PlatformErrorCode } from './platform-error';
export {
  type EmbeddedPostgres,
  type EmbeddedPostgresOptions,
  type PostgresExit,
  startEmbeddedPostgres,
} from './postgres/embedded';
export * from './sql-client';
export * from './postgres/migrate';
