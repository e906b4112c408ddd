import type { EventLog } from '../event-log';
import type { EventStoreLogOptions } from './eventstore-log';

export type { EventStoreLogOptions } from './eventstore-log';

/**
 * The event log on EventStoreDB or KurrentDB. Loaded on first use: a server on PostgreSQL doesn't pay for gRPC.
 * @throws RangeError when the connection string can't be read
 */
export const createEventStoreLog = (options: EventStoreLogOptions): EventLog =>
  // eslint-disable-next-line @typescript-eslint/no-require-imports -- `import()` of our files wants `.js`, which jest and swc-node don't find
  (require('./eventstore-log') as typeof import('./eventstore-log')).createEventStoreLog(options);
