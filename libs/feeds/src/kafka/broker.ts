/**
 * What the engine asks of a message broker. Behind it stands one client library, which nothing else knows: a broker of
 * another kind, or another client, is another adapter.
 */

export interface BrokerRecord {
  readonly offset: bigint;
  readonly key: Uint8Array | null;
  readonly value: Uint8Array | null;
  /** By name; of a repeated header all its values. */
  readonly headers: Readonly<Record<string, readonly Uint8Array[]>>;
}

/** Records of one partition, in order. */
export interface RecordBatch {
  readonly topic: string;
  readonly partition: number;
  readonly records: readonly BrokerRecord[];
}

/** How a batch is worked through. */
export interface BatchControl {
  /** False once the partition was taken away or the consumption is closing: what isn't settled yet comes again, here or elsewhere. */
  isOurs(): boolean;
  /** Tells the broker that this consumer lives. @throws when the partitions are being given out anew */
  heartbeat(): Promise<void>;
  /** Everything up to and with this record is dealt with: it isn't delivered again. @throws as `heartbeat` */
  settle(record: BrokerRecord): Promise<void>;
  /** Fetches no more of this partition for a while; what isn't settled then comes again. */
  pause(ms: number): void;
}

export interface ConsumeOptions {
  readonly group: string;
  readonly topics: readonly string[];
  /** Partitions are worked on side by side, each batch alone in its own. */
  readonly onBatch: (batch: RecordBatch, control: BatchControl) => Promise<void>;
  /** The partitions this consumer has been given, by topic, each time they are given out. */
  readonly onAssigned: (partitions: ReadonlyMap<string, readonly number[]>) => void;
  /** The consumption is over: for good (`final`), or by a fault that may pass, so that another can begin. */
  readonly onCrash: (error: Error, final: boolean) => void;
}

export interface OutgoingRecord {
  readonly topic: string;
  /** Records of one key keep their order. */
  readonly key: Uint8Array | string | null;
  readonly value: Uint8Array | string | null;
  readonly headers: Readonly<Record<string, Uint8Array | string>>;
}

/** Of one partition and one group: what stands in it and isn't settled. */
export interface PartitionLag {
  readonly topic: string;
  readonly partition: number;
  /** The offset the group goes on from; -1 when it has settled nothing yet. */
  readonly settled: bigint;
  readonly lag: bigint;
}

export interface Broker {
  /** Names of all topics. */
  topics(): Promise<string[]>;
  /** Makes a topic that isn't there, with the broker's own partitions and copies. */
  ensureTopic(name: string): Promise<void>;
  /** A new group begins with the oldest record. Resolves once the group is joined. */
  consume(options: ConsumeOptions): Promise<{ close(): Promise<void> }>;
  /**
   * In order per key, durable on every copy in step when it resolves. After an error any of them may have been written.
   * @throws BrokerUnavailable worth another try; RecordRefused the broker won't ever take one of them
   */
  send(records: readonly OutgoingRecord[]): Promise<void>;
  lag(group: string, topics: readonly string[]): Promise<PartitionLag[]>;
  close(): Promise<void>;
}

/** Not reached, not in time, or not now. Its code marks it as a fault of the connection and not of what was sent. */
export class BrokerUnavailable extends Error {
  override readonly name = 'BrokerUnavailable';
  readonly code = 'CONNECTION_BROKER';
}

/** The broker took offence at a record itself, as at one that is too large. */
export class RecordRefused extends Error {
  override readonly name = 'RecordRefused';
}
