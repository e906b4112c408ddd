import type { EventStorePeer, EventStorePeerOptions } from './peer';

export { selfSigned } from './certificate';
export { createDatabase as createEventStoreDatabase, type Database as EventStoreDatabase } from './database';
export type { EventStorePeer, EventStorePeerOptions, PeerFault, PlannedFault } from './peer';

/** See {@link EventStorePeer}. Loaded on first use: most specs needn't pay for gRPC. */
export const startEventStorePeer = (options?: EventStorePeerOptions): Promise<EventStorePeer> =>
  // eslint-disable-next-line @typescript-eslint/no-require-imports -- `import()` of our files wants `.js`, which jest and swc-node don't find
  (require('./peer') as typeof import('./peer')).startEventStorePeer(options);
