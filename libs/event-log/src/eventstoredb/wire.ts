import { Empty, StreamIdentifier, UUID } from '@eventstore/db-client/generated/shared_pb';
import { AppendReq, ReadReq, type ReadResp } from '@eventstore/db-client/generated/streams_pb';
import { position, START, type NewEvent, type Position, type RecordedEvent } from '../event-log';
import { isBefore, normalInstant } from '../instant';

/** What stands beside an event of ours in its custom metadata, as JSON. */
interface Envelope {
  /** Marks the event as written by this adapter. */
  readonly vigil: 1;
  readonly version: number;
  readonly fingerprint: string;
  /** The caller's text; JSON's escapes give every character of it back. */
  readonly metadata: string;
  /** One per request, kept over its retries: tells whose write it was that stands there. */
  readonly attempt: string;
  /** The latest instant its writer had seen in the log: a server's clock that was set back mustn't make time run backwards. */
  readonly notBefore?: string;
  /** Of a restored event: when it was recorded where it came from. */
  readonly recordedAt?: string;
}

export interface ToWrite {
  readonly attempt: string;
  readonly notBefore?: string;
  readonly recordedAt?: string;
}

/** An event read back, and whose request wrote it. */
export interface Read {
  readonly event: RecordedEvent;
  readonly attempt: string;
}

const identifierOf = (stream: string): StreamIdentifier => {
  const identifier = new StreamIdentifier();
  identifier.setStreamName(Buffer.from(stream));
  return identifier;
};

/** The header and one message per event. `last`: the stream's revision now, -1 when it doesn't exist. */
export const appendMessages = (stream: string, last: number, events: readonly NewEvent[], how: ToWrite): AppendReq[] => {
  const options = new AppendReq.Options();
  options.setStreamIdentifier(identifierOf(stream));
  if (last < 0) options.setNoStream(new Empty());
  else options.setRevision(String(last));
  const header = new AppendReq();
  header.setOptions(options);
  return [
    header,
    ...events.map(({ id, type, version, fingerprint, metadata, data }) => {
      const envelope: Envelope = { vigil: 1, version, fingerprint, metadata, ...how };
      const proposed = new AppendReq.ProposedMessage();
      const uuid = new UUID();
      uuid.setString(id);
      proposed.setId(uuid);
      // Binary, though it is JSON: nobody on the way may think of writing it anew.
      proposed.getMetadataMap().set('type', type).set('content-type', 'application/octet-stream');
      proposed.setData(Buffer.from(data));
      proposed.setCustomMetadata(Buffer.from(JSON.stringify(envelope)));
      const message = new AppendReq();
      message.setProposedMessage(proposed);
      return message;
    }),
  ];
};

const readOptions = (): ReadReq.Options => {
  const options = new ReadReq.Options();
  const uuids = new ReadReq.Options.UUIDOption();
  uuids.setString(new Empty());
  options.setUuidOption(uuids);
  options.setResolveLinks(false);
  return options;
};
const requestOf = (options: ReadReq.Options): ReadReq => {
  const request = new ReadReq();
  request.setOptions(options);
  return request;
};

/** `from`: a revision, or the stream's end. */
export const streamRequest = (stream: string, from: number | 'end', backwards: boolean, count: number): ReadReq => {
  const options = readOptions();
  const where = new ReadReq.Options.StreamOptions();
  where.setStreamIdentifier(identifierOf(stream));
  if (from === 'end') where.setEnd(new Empty());
  else where.setRevision(String(from));
  options.setStream(where);
  options.setNoFilter(new Empty());
  options.setReadDirection(backwards ? ReadReq.Options.ReadDirection.BACKWARDS : ReadReq.Options.ReadDirection.FORWARDS);
  options.setCount(String(count));
  return requestOf(options);
};

/** Checkpoints come after so many times 32 events that the filter looked at. */
const CHECKPOINT_INTERVAL = 16;

const allOptions = (prefix: string, from: bigint | 'end'): ReadReq.Options => {
  const options = readOptions();
  const where = new ReadReq.Options.AllOptions();
  if (from === 'end') where.setEnd(new Empty());
  else if (from === START) where.setStart(new Empty());
  else {
    const at = new ReadReq.Options.Position();
    at.setCommitPosition(from.toString());
    at.setPreparePosition(from.toString());
    where.setPosition(at);
  }
  options.setAll(where);
  const expression = new ReadReq.Options.FilterOptions.Expression();
  expression.setPrefixList([prefix]);
  const filter = new ReadReq.Options.FilterOptions();
  filter.setStreamIdentifier(expression);
  filter.setCount(new Empty());
  filter.setCheckpointintervalmultiplier(CHECKPOINT_INTERVAL); // 0 is an error, for plain reads too
  options.setFilter(filter);
  return options;
};

/** Of all streams that begin with the prefix; forwards from a position, itself included, or backwards from before it. */
export const allRequest = (prefix: string, from: bigint | 'end', backwards: boolean, count: number): ReadReq => {
  const options = allOptions(prefix, from);
  options.setReadDirection(backwards ? ReadReq.Options.ReadDirection.BACKWARDS : ReadReq.Options.ReadDirection.FORWARDS);
  options.setCount(String(count));
  return requestOf(options);
};

/** The same, after a position and without end. */
export const subscriptionRequest = (prefix: string, after: bigint): ReadReq => {
  const options = allOptions(prefix, after);
  options.setSubscription(new ReadReq.Options.SubscriptionOptions());
  return requestOf(options);
};

const text = (bytes: Uint8Array): string => Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('utf8');

/** .NET ticks since 1970, in microseconds as PostgreSQL has them. */
const instantOf = (ticks: string): string => {
  const micros = BigInt(ticks) / 10n;
  const seconds = new Date(Number(micros / 1_000_000n) * 1000).toISOString().slice(0, 19);
  return normalInstant(`${seconds}.${(micros % 1_000_000n).toString().padStart(6, '0')}Z`);
};

const envelopeOf = (bytes: Uint8Array): Envelope | undefined => {
  try {
    const envelope = JSON.parse(text(bytes)) as Envelope;
    return envelope.vigil === 1 ? envelope : undefined;
  } catch {
    return undefined;
  }
};

/**
 * The event an answer carries; undefined when it carries none (a checkpoint, a confirmation).
 * @throws Error when somebody else wrote into a stream of ours: to leave its event out would shift the revisions after it
 */
export const eventOf = (answer: ReadResp, prefix: string): Read | undefined => {
  const recorded = answer.getEvent()?.getEvent();
  if (!recorded) return undefined;
  const id = recorded.getId()!.getString();
  const envelope = envelopeOf(recorded.getCustomMetadata_asU8());
  if (!envelope)
    throw new Error(
      `event ${id} in a stream that begins with ${prefix} was not written by Vigil; use a prefix that nobody else uses`,
    );
  const commit = BigInt(recorded.getCommitPosition());
  if (commit >= 2n ** 63n) throw new Error('the server gives no positions with streams: it is older than EventStoreDB 22.10');
  const { version, fingerprint, metadata, attempt, notBefore, recordedAt } = envelope;
  const attributes = recorded.getMetadataMap();
  const created = recordedAt ?? instantOf(attributes.get('created')!);
  return {
    attempt,
    event: {
      id,
      type: attributes.get('type')!,
      version,
      data: text(recorded.getData_asU8()),
      metadata,
      fingerprint,
      position: position(commit) as Position,
      stream: text(recorded.getStreamIdentifier()!.getStreamName_asU8()).slice(prefix.length),
      revision: Number(recorded.getStreamRevision()),
      recordedAt: notBefore !== undefined && isBefore(created, notBefore) ? notBefore : created,
    },
  };
};
