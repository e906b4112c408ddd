import { LogUnavailable, position, START, type EventLog, type Position, type RecordedEvent } from '@vigil/event-log';
import { PlatformError, type Config, type Migration, type SqlClient } from '@vigil/platform';

export const LOG_IDENTITY_MIGRATION: Migration = {
  id: 'api/002-log-identity',
  sql: `
-- Which log the read models beside it were made from: positions of one log mean nothing in another.
CREATE TABLE api.log_identity (
  only_one boolean PRIMARY KEY DEFAULT true CHECK (only_one),
  store    text NOT NULL,
  -- The log's first event and its position; null while it had none.
  first    text
);
`,
};

const STORES: Readonly<Record<Config['store'], string>> = { postgres: 'PostgreSQL', eventstoredb: 'EventStoreDB' };

/**
 * Makes sure that this database's read models come from this log. A log is known by its first event; until it has one, by the
 * places where the read models stand, at each of which their own log has an event.
 * @returns what ends the wait for that first event
 * @throws PlatformError `foreign-log` when they come from another one, `event-store-unavailable`
 */
export const bindLog = async (sql: SqlClient, log: EventLog, store: Config['store']): Promise<() => Promise<void>> => {
  const look = async (after: Position): Promise<RecordedEvent | undefined> => {
    try {
      return (await log.readAll({ after, limit: 1 }))[0];
    } catch (cause) {
      if (!(cause instanceof LogUnavailable)) throw cause;
      const [zh, en] = [`连接不上事件库(${STORES[store]})`, `the event store (${STORES[store]}) cannot be reached`];
      throw new PlatformError('event-store-unavailable', { zh, en }, { cause });
    }
  };
  const refuse = (of: Config['store']): never => {
    throw new PlatformError('foreign-log', {
      zh: `这个数据库中的读模型来自另一个事件库(${STORES[of]}),不是所配置的这个(${STORES[store]});请用 DATABASE_URL 或 VIGIL_DATA_DIR 另指一个空的数据库,读模型会自行重建`,
      en: `the read models in this database were made from another log (${STORES[of]}) than the one configured (${STORES[store]}); name an empty database by DATABASE_URL or VIGIL_DATA_DIR, they are built anew by themselves`,
    });
  };

  const event = await look(START);
  const found = event ? nameOf(event) : null;
  await sql`INSERT INTO api.log_identity (store, first) VALUES (${store}, NULL) ON CONFLICT DO NOTHING`;
  const [known] = await sql<{ store: Config['store']; first: string | null }[]>`SELECT store, first FROM api.log_identity`;
  const places = await sql<{ position: string }[]>`SELECT DISTINCT position FROM read.checkpoints WHERE position > 0`;
  if (known!.first !== null) {
    if (known!.store !== store || known!.first !== found) refuse(known!.store);
    return async () => undefined;
  }
  if (places.length > 0 && known!.store !== store) refuse(known!.store);
  for (const place of places) {
    const at = position(place.position);
    const there = await look(position(at - 1n));
    if (there && there.position !== at) refuse(known!.store); // none there or later: an older copy, which the projections see
  }
  const bind = (first: string | null) => sql`UPDATE api.log_identity SET store = ${store}, first = ${first} WHERE first IS NULL`;
  await bind(found);
  if (found !== null) return async () => undefined;

  const stop = new AbortController();
  const waiting = (async () => {
    for await (const [first] of log.subscribe({ after: START, pageSize: 1, signal: stop.signal })) {
      await bind(nameOf(first!));
      return;
    }
  })().catch(() => undefined); // the next start binds it
  return async () => {
    stop.abort();
    await waiting;
  };
};

const nameOf = ({ id, position: at }: RecordedEvent): string => `${id}@${at}`;
