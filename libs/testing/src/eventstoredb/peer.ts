import { GossipService } from '@eventstore/db-client/generated/gossip_grpc_pb';
import { ClusterInfo, EndPoint, MemberInfo } from '@eventstore/db-client/generated/gossip_pb';
import { ServerFeaturesService } from '@eventstore/db-client/generated/serverfeatures_grpc_pb';
import { SupportedMethod, SupportedMethods } from '@eventstore/db-client/generated/serverfeatures_pb';
import {
  AllStreamPosition,
  Empty,
  MaximumAppendSizeExceeded,
  StreamIdentifier,
  Timeout,
  UUID,
  WrongExpectedVersion,
} from '@eventstore/db-client/generated/shared_pb';
import { Status as RpcStatus } from '@eventstore/db-client/generated/status_pb';
import { StreamsService } from '@eventstore/db-client/generated/streams_grpc_pb';
import {
  AppendResp,
  BatchAppendResp,
  ReadReq,
  ReadResp,
  type AppendReq,
  type BatchAppendReq,
} from '@eventstore/db-client/generated/streams_pb';
import {
  Metadata,
  Server,
  ServerCredentials,
  status,
  type sendUnaryData,
  type ServerDuplexStream,
  type ServerReadableStream,
  type ServerUnaryCall,
  type ServerWritableStream,
} from '@grpc/grpc-js';
import { Any } from 'google-protobuf/google/protobuf/any_pb';
import { Empty as GoogleEmpty } from 'google-protobuf/google/protobuf/empty_pb';
import { randomUUID } from 'node:crypto';
import { setImmediate as endOfTick } from 'node:timers/promises';
import { startTcpProxy } from '../faults/tcp-proxy';
import {
  createDatabase,
  InvalidPosition,
  type Database,
  type Expected,
  type Proposed,
  type Recorded,
  type Written,
} from './database';

/** What can be made to happen to a call. */
export type PeerFault =
  /** Refused, nothing done. */
  | 'unavailable'
  | 'cancelled'
  /** An election is on: nobody knows the leader. */
  | 'no-leader'
  /** Taken and never answered; nothing done. */
  | 'hang'
  /** Written, then the call fails. */
  | 'lost-ack'
  /** Written, and the cluster's own time ran out. */
  | 'commit-timeout'
  /** Written and never answered. */
  | 'hang-after-write';

export interface EventStorePeerOptions {
  /** Shared by the nodes of a cluster, and by a node before and after its restart. */
  readonly database?: Database;
  /** A follower: it refuses what requires the leader and names this one. */
  readonly follows?: EventStorePeer;
  readonly tls?: { readonly key: string; readonly cert: string };
  /** Passwords by user; absent: anybody may do anything, as with --insecure. */
  readonly users?: Readonly<Record<string, string>>;
  /** The server's --max-append-size; the real default is 1 MiB. */
  readonly maxAppendBytes?: number;
}

export interface PlannedFault {
  /** Calls it will still befall. */
  left: number;
}

export interface EventStorePeer {
  readonly port: number;
  readonly database: Database;
  /** A connection string; `query` goes behind the `?`. */
  url(query?: string): string;
  /** The next calls, of one kind or any, meet the fault. */
  fail(fault: PeerFault, times?: number, on?: 'append' | 'read' | 'any'): PlannedFault;
  /** From now on who asks for the leader is sent to that one; undefined makes this node the leader. */
  follow(leader: EventStorePeer | undefined): void;
  /** Subscriptions that are open now say nothing any more; new ones work. */
  stall(): void;
  /** Ends subscriptions that are open now with UNAVAILABLE. */
  dropSubscriptions(): void;
  /** Breaks every connection. */
  cut(): void;
  /** Connections go silent: the link is black-holed until `thaw`, and these connections for ever. */
  freeze(): void;
  thaw(): void;
  /** Every connection breaks, and new ones at once; the database stays. */
  down(): void;
  /** Serves again on the same port, forgetful of recent ids as after a restart. */
  up(): void;
  /** Delay before each call is looked at, ms. */
  slowMs: number;
  /** Calls taken so far; `read` counts subscriptions too. */
  readonly calls: { append: number; batchAppend: number; read: number; subscribe: number };
  /** Events that were put on the way to readers. */
  readonly sent: number;
  close(): Promise<void>;
}

type Refusal = { readonly code: status; readonly details: string; readonly metadata?: Metadata };

const trailers = (entries: Readonly<Record<string, string>>): Metadata => {
  const metadata = new Metadata();
  for (const [name, value] of Object.entries(entries)) metadata.set(name, value);
  return metadata;
};

const REFUSALS: Readonly<Partial<Record<PeerFault, Refusal>>> = {
  unavailable: { code: status.UNAVAILABLE, details: 'Server Is Not Ready' },
  cancelled: { code: status.CANCELLED, details: 'The server is shutting down' },
  'no-leader': { code: status.UNKNOWN, details: 'No leader info available in response' },
  'lost-ack': { code: status.UNAVAILABLE, details: 'Connection dropped' },
  'commit-timeout': { code: status.ABORTED, details: 'Operation timed out: Commit phase timeout.' },
};
const DONE_FIRST: readonly PeerFault[] = ['lost-ack', 'commit-timeout', 'hang-after-write'];
const ACCESS_DENIED: Refusal = {
  code: status.PERMISSION_DENIED,
  details: 'Access Denied',
  metadata: trailers({ exception: 'access-denied' }),
};

/** What the real server looks at between two checkpoints, times the interval that was asked for. */
const WINDOW = 32;

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));
const textOf = (identifier: StreamIdentifier | undefined): string =>
  Buffer.from(identifier?.getStreamName_asU8() ?? []).toString('utf8');
const identifierOf = (stream: string): StreamIdentifier => {
  const identifier = new StreamIdentifier();
  identifier.setStreamName(Buffer.from(stream));
  return identifier;
};
const uuidOf = (text: string): UUID => {
  const uuid = new UUID();
  uuid.setString(text);
  return uuid;
};

type Message = { getId(): UUID | undefined; getData_asU8(): Uint8Array; getCustomMetadata_asU8(): Uint8Array; getMetadataMap(): { get(name: string): string | undefined } }; // prettier-ignore
const proposedOf = (message: Message): Proposed => ({
  id: message.getId()!.getString(),
  type: message.getMetadataMap().get('type')!,
  contentType: message.getMetadataMap().get('content-type')!,
  data: message.getData_asU8(),
  metadata: message.getCustomMetadata_asU8(),
});

const answerOf = (event: Recorded): ReadResp => {
  const recorded = new ReadResp.ReadEvent.RecordedEvent();
  recorded.setId(uuidOf(event.id));
  recorded.setStreamIdentifier(identifierOf(event.stream));
  recorded.setStreamRevision(String(event.revision));
  recorded.setCommitPosition(event.position.toString());
  recorded.setPreparePosition(event.position.toString());
  recorded
    .getMetadataMap()
    .set('type', event.type)
    .set('created', event.created.toString())
    .set('content-type', event.contentType);
  recorded.setCustomMetadata(event.metadata);
  recorded.setData(event.data);
  const read = new ReadResp.ReadEvent();
  read.setEvent(recorded);
  read.setCommitPosition(event.position.toString());
  const answer = new ReadResp();
  answer.setEvent(read);
  return answer;
};

const checkpointAt = (position: bigint): ReadResp => {
  const checkpoint = new ReadResp.Checkpoint();
  checkpoint.setCommitPosition(position.toString());
  checkpoint.setPreparePosition(position.toString());
  const answer = new ReadResp();
  answer.setCheckpoint(checkpoint);
  return answer;
};

const filterOf = (options: ReadReq.Options): ((event: Recorded) => boolean) => {
  const filter = options.getFilter();
  if (!filter) return () => true;
  const byStream = filter.getStreamIdentifier();
  const expression = byStream ?? filter.getEventType()!;
  const regex = expression.getRegex() ? new RegExp(expression.getRegex()) : undefined;
  const prefixes = expression.getPrefixList();
  return (event) => {
    const text = byStream ? event.stream : event.type;
    return regex ? regex.test(text) : prefixes.some((prefix) => text.startsWith(prefix));
  };
};

/**
 * An EventStoreDB node as its clients see it: the published gRPC services over HTTP/2 on 127.0.0.1, a real database behind them,
 * and faults on demand. It knows streams, $all, filters, checkpoints, subscriptions, gossip, TLS and basic credentials; no deletes,
 * no links, no persistent subscriptions.
 */
export const startEventStorePeer = async (options: EventStorePeerOptions = {}): Promise<EventStorePeer> => {
  const { database = createDatabase(), tls, users, maxAppendBytes = 1 << 20 } = options;
  let leader = options.follows;
  const planned: { fault: PeerFault; on: 'append' | 'read' | 'any'; plan: PlannedFault }[] = [];
  const calls = { append: 0, batchAppend: 0, read: 0, subscribe: 0 };
  const subscriptions = new Set<{ stalled: boolean; drop: () => void }>();

  const refusedFor = (metadata: Metadata): Refusal | undefined => {
    if (users) {
      const [given] = metadata.get('authorization');
      if (given === undefined) return ACCESS_DENIED;
      const [user, ...password] = Buffer.from(String(given).replace(/^Basic /, ''), 'base64')
        .toString()
        .split(':');
      if (users[user!] !== password.join(':')) return { code: status.UNAUTHENTICATED, details: 'Unauthenticated' };
    }
    if (leader && metadata.get('requires-leader')[0] === 'true')
      return {
        code: status.NOT_FOUND,
        details: 'Leader info available',
        metadata: trailers({
          exception: 'not-leader',
          'leader-endpoint-host': '127.0.0.1',
          'leader-endpoint-port': String(leader.port),
        }),
      };
    return undefined;
  };

  const meet = async (kind: 'append' | 'read', metadata: Metadata): Promise<{ fault?: PeerFault; refusal?: Refusal }> => {
    if (peer.slowMs > 0) await pause(peer.slowMs);
    const found = planned.find(({ on, plan }) => plan.left > 0 && (on === 'any' || on === kind));
    if (found) {
      found.plan.left--;
      const { fault } = found;
      return { fault, refusal: DONE_FIRST.includes(fault) ? undefined : REFUSALS[fault] };
    }
    return { refusal: refusedFor(metadata) };
  };

  const sizeOf = (events: readonly Proposed[]): number =>
    events.reduce((sum, { type, data, metadata }) => sum + type.length + data.length + metadata.length, 0);

  const append = (call: ServerReadableStream<AppendReq, AppendResp>, done: sendUnaryData<AppendResp>): void => {
    calls.append++;
    let stream = '';
    let expected: Expected = 'any';
    const events: Proposed[] = [];
    call.on('data', (message: AppendReq) => {
      const header = message.getOptions();
      if (!header) return void events.push(proposedOf(message.getProposedMessage()!));
      stream = textOf(header.getStreamIdentifier());
      expected = header.hasNoStream()
        ? 'none'
        : header.hasAny()
          ? 'any'
          : header.hasStreamExists()
            ? 'exists'
            : Number(header.getRevision());
    });
    call.on('error', () => undefined);
    call.on('end', async () => {
      // To grpc-js a broken connection is an end first and a cancellation a little later: what came so far is then no request.
      for (let n = 0; n < 3; n++) await endOfTick();
      if (call.cancelled) return;
      const { fault, refusal } = await meet('append', call.metadata);
      if (refusal) return done(refusal);
      if (fault === 'hang') return;
      if (sizeOf(events) > maxAppendBytes)
        return done({
          code: status.INVALID_ARGUMENT,
          details: `Maximum Append Size of ${maxAppendBytes} Exceeded.`,
          metadata: trailers({ exception: 'maximum-append-size-exceeded', 'maximum-append-size': String(maxAppendBytes) }),
        });
      const written = database.append(stream, expected, events);
      if (fault === 'hang-after-write') return;
      if (fault) return done(REFUSALS[fault]!);
      done(null, appendAnswer(written, expected));
    });
  };

  const appendAnswer = (written: Written, expected: Expected): AppendResp => {
    const answer = new AppendResp();
    if (written.ok) {
      const success = new AppendResp.Success();
      success.setCurrentRevision(String(written.revision));
      if (written.position === undefined) success.setNoPosition(new Empty());
      else {
        const position = new AppendResp.Position();
        position.setCommitPosition(written.position.toString());
        position.setPreparePosition(written.position.toString());
        success.setPosition(position);
      }
      answer.setSuccess(success);
      return answer;
    }
    const wrong = new AppendResp.WrongExpectedVersion();
    if (written.current === undefined) wrong.setCurrentNoStream(new Empty());
    else wrong.setCurrentRevision(String(written.current));
    if (expected === 'any') wrong.setExpectedAny(new Empty());
    else if (expected === 'exists') wrong.setExpectedStreamExists(new Empty());
    else if (expected === 'none') wrong.setExpectedNoStream(new Empty());
    else wrong.setExpectedRevision(String(expected));
    answer.setWrongExpectedVersion(wrong);
    return answer;
  };

  const errorOf = (code: number, message: string, type: string, details: { serializeBinary(): Uint8Array }): RpcStatus => {
    const packed = new Any();
    packed.pack(details.serializeBinary(), type);
    const error = new RpcStatus();
    error.setCode(code as never);
    error.setMessage(message);
    error.setDetails(packed);
    return error;
  };

  /** The one long call over which the official client appends where the server announces it. */
  const batchAppend = (call: ServerDuplexStream<BatchAppendReq, BatchAppendResp>): void => {
    const pending = new Map<string, { stream: string; expected: Expected; events: Proposed[] }>();
    call.on('error', () => undefined);
    call.on('end', () => call.end());
    call.on('data', async (message: BatchAppendReq) => {
      const id = message.getCorrelationId()!.getString();
      const header = message.getOptions();
      if (header)
        pending.set(id, {
          stream: textOf(header.getStreamIdentifier()),
          expected: header.hasNoStream() ? 'none' : header.hasAny() ? 'any' : header.hasStreamExists() ? 'exists' : Number(header.getStreamPosition()),
          events: [],
        }); // prettier-ignore
      const { stream, expected, events } = pending.get(id)!;
      events.push(...message.getProposedMessagesList().map(proposedOf));
      if (!message.getIsFinal()) return;
      pending.delete(id);
      calls.batchAppend++;
      const { fault, refusal } = await meet('append', call.metadata);
      if (refusal) return void call.emit('error', refusal);
      if (fault === 'hang') return;
      const answer = new BatchAppendResp();
      answer.setCorrelationId(uuidOf(id));
      answer.setStreamIdentifier(identifierOf(stream));
      if (sizeOf(events) > maxAppendBytes) {
        const details = new MaximumAppendSizeExceeded();
        details.setMaxappendsize(maxAppendBytes);
        answer.setError(errorOf(status.INVALID_ARGUMENT, 'too large', 'event_store.client.MaximumAppendSizeExceeded', details));
        return void call.write(answer);
      }
      const written = database.append(stream, expected, events);
      if (fault === 'hang-after-write') return;
      if (fault === 'commit-timeout')
        answer.setError(errorOf(status.DEADLINE_EXCEEDED, 'Timeout', 'event_store.client.Timeout', new Timeout()));
      else if (fault) return void call.emit('error', REFUSALS[fault]);
      else if (written.ok) {
        const success = new BatchAppendResp.Success();
        success.setCurrentRevision(String(written.revision));
        const position = new AllStreamPosition();
        position.setCommitPosition(String(written.position));
        position.setPreparePosition(String(written.position));
        success.setPosition(position);
        answer.setSuccess(success);
      } else {
        const wrong = new WrongExpectedVersion();
        if (written.current === undefined) wrong.setCurrentNoStream(new GoogleEmpty());
        else wrong.setCurrentStreamRevision(String(written.current));
        if (expected === 'none') wrong.setExpectedNoStream(new GoogleEmpty());
        else if (typeof expected === 'number') wrong.setExpectedStreamPosition(String(expected));
        else wrong.setExpectedAny(new GoogleEmpty());
        answer.setError(
          errorOf(status.FAILED_PRECONDITION, 'WrongExpectedVersion', 'event_store.client.WrongExpectedVersion', wrong),
        );
      }
      call.write(answer);
    });
  };

  let sent = 0;
  const send = async (call: ServerWritableStream<ReadReq, ReadResp>, answer: ReadResp): Promise<void> => {
    if (answer.hasEvent()) sent++;
    if (call.cancelled || call.write(answer)) return;
    await new Promise<void>((resolve) => {
      const go = (): void => {
        call.off('drain', go).off('cancelled', go);
        resolve();
      };
      call.on('drain', go).on('cancelled', go);
    });
  };

  const readStream = async (call: ServerWritableStream<ReadReq, ReadResp>, asked: ReadReq.Options): Promise<void> => {
    const from = asked.getStream()!;
    const name = textOf(from.getStreamIdentifier());
    const events = database.stream(name);
    if (!events) {
      const notFound = new ReadResp.StreamNotFound();
      notFound.setStreamIdentifier(identifierOf(name));
      const answer = new ReadResp();
      answer.setStreamNotFound(notFound);
      return send(call, answer);
    }
    const forwards = asked.getReadDirection() === ReadReq.Options.ReadDirection.FORWARDS;
    const last = events.length - 1;
    const start = from.hasRevision()
      ? Math.min(Number(from.getRevision()), forwards ? Infinity : last)
      : from.hasEnd()
        ? last
        : 0;
    const step = forwards ? 1 : -1;
    let left = BigInt(asked.getCount());
    for (let at = start; at >= 0 && at <= last && left > 0n && !call.cancelled; at += step, left--)
      await send(call, answerOf(events[at]!));
  };

  const readAll = async (call: ServerWritableStream<ReadReq, ReadResp>, asked: ReadReq.Options): Promise<void> => {
    const from = asked.getAll()!;
    const wanted = filterOf(asked);
    let left = BigInt(asked.getCount());
    const at = from.hasPosition()
      ? database.indexAt(BigInt(from.getPosition()!.getCommitPosition()))
      : from.hasEnd()
        ? database.all.length
        : 0;
    if (asked.getReadDirection() === ReadReq.Options.ReadDirection.FORWARDS) {
      for (let n = at; n < database.all.length && left > 0n && !call.cancelled; n++)
        if (wanted(database.all[n]!)) {
          await send(call, answerOf(database.all[n]!));
          left--;
        }
      return;
    }
    for (let n = at - 1; n >= 0 && left > 0n && !call.cancelled; n--)
      if (wanted(database.all[n]!)) {
        await send(call, answerOf(database.all[n]!));
        left--;
      }
  };

  /** Catches up, says so, then follows; a slow consumer makes it wait, since what it reads from is the database itself. */
  const subscribe = async (call: ServerWritableStream<ReadReq, ReadResp>, asked: ReadReq.Options): Promise<void> => {
    calls.subscribe++;
    const ended = new AbortController();
    call.once('cancelled', () => ended.abort());
    const subscription = {
      stalled: false,
      drop: () => {
        ended.abort();
        call.emit('error', { code: status.UNAVAILABLE, details: 'Subscription dropped' });
      },
    };
    subscriptions.add(subscription);
    try {
      const from = asked.getAll()!;
      const wanted = filterOf(asked);
      const interval = WINDOW * (asked.getFilter()?.getCheckpointintervalmultiplier() || 1);
      // A position that is given was seen: a subscription goes on after it.
      const seen = from.hasPosition()
        ? BigInt(from.getPosition()!.getCommitPosition())
        : from.hasEnd()
          ? (database.all.at(-1)?.position ?? -1n)
          : -1n;
      let at = from.hasPosition() ? database.indexAt(seen) : from.hasEnd() ? database.all.length : 0;
      const confirmation = new ReadResp.SubscriptionConfirmation();
      confirmation.setSubscriptionId(randomUUID());
      const confirmed = new ReadResp();
      confirmed.setConfirmation(confirmation);
      await send(call, confirmed);
      let considered = 0;
      let live = false;
      while (!ended.signal.aborted) {
        if (subscription.stalled) {
          await new Promise<void>((resolve) => ended.signal.addEventListener('abort', () => resolve(), { once: true }));
          return;
        }
        const event = database.all[at];
        if (event) {
          at++;
          if (event.position <= seen) continue;
          if (wanted(event)) await send(call, answerOf(event));
          if (++considered % interval === 0) await send(call, checkpointAt(event.position));
          continue;
        }
        if (!live) {
          live = true;
          const last = database.all.at(-1);
          if (last) await send(call, checkpointAt(last.position));
          const caughtUp = new ReadResp();
          caughtUp.setCaughtUp(new ReadResp.CaughtUp());
          await send(call, caughtUp);
          continue;
        }
        await database.changed(ended.signal);
      }
    } finally {
      subscriptions.delete(subscription);
    }
  };

  const read = async (call: ServerWritableStream<ReadReq, ReadResp>): Promise<void> => {
    calls.read++;
    call.on('error', () => undefined);
    const { fault, refusal } = await meet('read', call.metadata);
    if (refusal) return void call.emit('error', refusal);
    if (fault) return;
    const asked = call.request.getOptions()!;
    try {
      if (asked.hasSubscription()) await subscribe(call, asked);
      else await (asked.hasStream() ? readStream : readAll)(call, asked);
      if (!call.cancelled && !call.destroyed) call.end();
    } catch (error) {
      if (!(error instanceof InvalidPosition)) throw error;
      // As the real enumerators differ: a subscription names it by code, a read only in its text.
      call.emit(
        'error',
        asked.hasSubscription()
          ? { code: status.INVALID_ARGUMENT, details: 'Trying to read from an invalid position.' }
          : { code: status.UNKNOWN, details: 'Unexpected FilteredReadAllResult: InvalidPosition' },
      );
    }
  };

  const getSupportedMethods = (_: ServerUnaryCall<Empty, SupportedMethods>, done: sendUnaryData<SupportedMethods>): void => {
    const answer = new SupportedMethods();
    answer.setEventStoreServerVersion('24.10.4');
    for (const method of Object.values(StreamsService)) {
      const [, service, name] = (method as { path: string }).path.split('/');
      const supported = new SupportedMethod();
      supported.setServiceName(service!.toLowerCase());
      supported.setMethodName(name!.toLowerCase());
      answer.addMethods(supported);
    }
    done(null, answer);
  };

  const gossip = (_: ServerUnaryCall<Empty, ClusterInfo>, done: sendUnaryData<ClusterInfo>): void => {
    const info = new ClusterInfo();
    for (const [node, isLeader] of leader
      ? ([
          [leader, true],
          [peer, false],
        ] as const)
      : ([[peer, true]] as const)) {
      // prettier-ignore
      const member = new MemberInfo();
      member.setInstanceId(uuidOf(randomUUID()));
      member.setTimeStamp(String(Date.now()));
      member.setState(isLeader ? MemberInfo.VNodeState.LEADER : MemberInfo.VNodeState.FOLLOWER);
      member.setIsAlive(true);
      const endPoint = new EndPoint();
      endPoint.setAddress('127.0.0.1');
      endPoint.setPort(node.port);
      member.setHttpEndPoint(endPoint);
      info.addMembers(member);
    }
    done(null, info);
  };

  const server = new Server({ 'grpc.max_receive_message_length': 17 << 20 });
  server.addService(StreamsService, { append, batchAppend, read });
  server.addService(ServerFeaturesService, { getSupportedMethods });
  server.addService(GossipService, { read: gossip });
  const credentials = tls
    ? ServerCredentials.createSsl(null, [{ private_key: Buffer.from(tls.key), cert_chain: Buffer.from(tls.cert) }])
    : ServerCredentials.createInsecure();
  const inner = await new Promise<number>((resolve, reject) =>
    server.bindAsync('127.0.0.1:0', credentials, (error, port) => (error ? reject(error) : resolve(port))),
  );
  const home = { host: '127.0.0.1', port: inner };
  const link = await startTcpProxy(home);

  const peer: EventStorePeer = {
    port: link.port,
    database,
    calls,
    get sent() {
      return sent;
    },
    slowMs: 0,
    url: (query = '') => `esdb://127.0.0.1:${link.port}?tls=${tls ? 'true' : 'false'}${query && `&${query}`}`,
    fail: (fault, times = 1, on = 'append') => {
      const plan = { left: times };
      planned.push({ fault, on, plan });
      return plan;
    },
    follow: (other) => (leader = other),
    stall: () => subscriptions.forEach((subscription) => (subscription.stalled = true)),
    dropSubscriptions: () => subscriptions.forEach(({ drop }) => drop()),
    cut: link.cut,
    freeze: () => link.set({ kind: 'black-hole' }),
    thaw: () => link.set({ kind: 'pass' }),
    down: () => {
      link.retarget({ host: '127.0.0.1', port: 1 });
      link.cut();
    },
    up: () => {
      database.forgetIds();
      link.retarget(home);
    },
    close: async () => {
      await link.close();
      server.forceShutdown();
    },
  };
  return peer;
};
