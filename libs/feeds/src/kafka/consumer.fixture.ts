import { createPostgresLog } from '@vigil/event-log';
import { connect, createLogger } from '@vigil/platform';
import { crashPointFrom } from '@vigil/testing';
import { createDeadLetterStore } from '../dead-letters/store';
import { startFeedConsumer } from './feed-consumer';
import { createKafkajsBroker } from './kafkajs-broker';

// For specs: a consumer in a process of its own that is killed. It says `joined` when it has its partitions, and the counts of each
// window it has settled.

const { SPEC_DATABASE, SPEC_BROKERS, SPEC_GROUP, SPEC_FEED, SPEC_SESSION_MS } = process.env as Record<string, string>;
const sql = connect(SPEC_DATABASE!, { max: 6, applicationName: 'kafka-consumer-spec', statementTimeoutMs: 10_000 });
const logger = createLogger({ level: 'fatal', program: 'serve' });
const say = (...what: unknown[]): void => void process.stdout.write(`${JSON.stringify(what)}\n`);

const consumer = startFeedConsumer({
  broker: createKafkajsBroker({ brokers: [SPEC_BROKERS!], clientId: 'vigil-spec' }, logger, {
    sessionMs: Number(SPEC_SESSION_MS),
  }),
  log: createPostgresLog({ sql }),
  deadLetters: createDeadLetterStore({ sql }),
  group: SPEC_GROUP!,
  feeds: [SPEC_FEED!],
  logger,
  lookEveryMs: 500,
  onRebalance: () => say('joined'),
  onCounts: (feed, counts) => say('counts', feed, counts),
  crashPoint: crashPointFrom(),
});
void consumer.failed.then(({ en }) => {
  say('failed', en);
  process.exit(1);
});
