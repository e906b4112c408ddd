export * from './jest/database';
export * from './given/given';
export * from './simulation';
export * from './workload';
export * from './check-world';
export * from './faults/crash-point';
export * from './faults/tcp-proxy';
export * from './eventstoredb';
