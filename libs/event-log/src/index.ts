export * from './event-log';
export { createCoalescer, type CoalescerOptions } from './coalescer';
export * from './command-handler';
export { createMemoryLog } from './memory/memory-log';
export { createPostgresLog, type PostgresLogOptions } from './postgres/postgres-log';
export { LOG_MIGRATIONS } from './postgres/schema';
