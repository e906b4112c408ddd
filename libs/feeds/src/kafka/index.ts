export {
  BrokerUnavailable,
  RecordRefused,
  type Broker,
  type BrokerRecord,
  type ConsumeOptions,
  type OutgoingRecord,
  type PartitionLag,
} from './broker';
export { createEventPublisher, publishedOf } from './event-publisher';
export {
  startFeedConsumer,
  type FeedConsumer,
  type FeedConsumerOptions,
  type FeedConsumerStatus,
  type FeedCounts,
} from './feed-consumer';
export { createKafkajsBroker } from './kafkajs-broker';
export { DEAD_LETTER_TOPIC, EVENTS_TOPIC, feedOf, topicOf } from './record';
