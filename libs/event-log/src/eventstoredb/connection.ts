import { convertToCommandError, ErrorType, EventStoreDBClient } from '@eventstore/db-client';
import { StreamsClient } from '@eventstore/db-client/generated/streams_grpc_pb';
import type { AppendReq, AppendResp, ReadReq, ReadResp } from '@eventstore/db-client/generated/streams_pb';
import type { CallOptions, Channel, ClientReadableStream, Metadata } from '@grpc/grpc-js';
import { withDeadline } from '@vigil/platform';
import { LogUnavailable } from '../event-log';

/**
 * What is used of the official client beneath its public face (6.2.1, pinned). The public face can't do what a log needs:
 * `readAll` takes no filter, reads take no deadline, and `appendToStream` goes over one batch call for the whole process whose
 * errors reject the appends of every other client and then end the process when an answer to one of them arrives
 * (its table of pending appends is a module's global). So calls are made with its stubs, connections and credentials.
 */
interface Inner {
  GRPCStreamCreator<T>(client: typeof StreamsClient, name: string, create: (stub: StreamsClient) => T): () => Promise<T>;
  execute<T>(client: typeof StreamsClient, name: string, action: (stub: StreamsClient) => Promise<T>): Promise<T>;
  callArguments(options: { requiresLeader: boolean }, call: CallOptions): [Metadata, CallOptions];
  handleError(stub: StreamsClient, error: Error): Promise<void>;
}

type Client = EventStoreDBClient & { readonly inner: Inner; channel?: Channel };

/** Nothing is decided, or nobody knows what was: a call without an answer, a race that others win, a subscription that fell silent. */
export class TryAgain extends Error {
  override readonly name = 'TryAgain';
}

const typeOf = (error: unknown): unknown => (error as { type?: unknown } | null)?.type;
const codeOf = (error: unknown): unknown => (error as { code?: unknown } | null)?.code;

const DEFINITE: readonly unknown[] = [
  ErrorType.ACCESS_DENIED,
  ErrorType.STREAM_DELETED,
  ErrorType.MAXIMUM_APPEND_SIZE_EXCEEDED,
  ErrorType.MISSING_REQUIRED_METADATA_PROPERTY,
  ErrorType.INVALID_TRANSACTION,
];
/** INVALID_ARGUMENT, PERMISSION_DENIED, UNIMPLEMENTED, UNAUTHENTICATED. */
const DEFINITE_CODES: readonly unknown[] = [3, 7, 12, 16];

/** No record begins at the position that was given. Subscriptions say so by code, reads only in words. */
export const isInvalidPosition = (error: unknown): boolean => /invalid ?position/i.test((error as Error | null)?.message ?? '');

/** The client's words for a cluster none of whose nodes could be asked; an error without any mark. */
const UNDISCOVERED = /^Failed to discover/;

/**
 * Whether the same call may be made again: the node wasn't the leader, wasn't ready, couldn't be found, dropped the call, or kept
 * silent. What it refused for good, and faults of ours, aren't among them.
 */
export const mayTryAgain = (error: unknown): boolean => {
  if (error instanceof TryAgain || UNDISCOVERED.test((error as Error | null)?.message ?? '')) return true;
  const [type, code] = [typeOf(error), codeOf(error)];
  const fromServer = type !== undefined || typeof code === 'number';
  return fromServer && !isInvalidPosition(error) && !DEFINITE.includes(type) && !DEFINITE_CODES.includes(code);
};

/** The event, or all of an append together, is larger than this server takes. */
export const isTooLarge = (error: unknown): boolean =>
  typeOf(error) === ErrorType.MAXIMUM_APPEND_SIZE_EXCEEDED ||
  /maximum append (event )?size/i.test((error as Error | null)?.message ?? '');

export interface ConnectionOptions {
  readonly url: string;
  /** Most time for one call; after it the connection counts as dead and a new one is made, ms. */
  readonly callMs: number;
}

/** A stream of messages that is read one by one, so that what isn't read yet waits at the server. */
export interface Feed {
  /** The next message; undefined when none came in time, or the signal aborted. @throws when the stream has ended, however it did */
  next(ms: number): Promise<ReadResp | undefined>;
  close(): void;
}

/**
 * Calls to the leader. The client finds it (gossip), follows it (NotLeader names it) and reconnects when a node is unavailable;
 * retrying is the caller's, who knows what may be repeated.
 */
export const createConnection = ({ url, callMs }: ConnectionOptions) => {
  const connect = (): Client => {
    const client = EventStoreDBClient.connectionString(url.replace(/^kurrentdb(\+discover)?:/, 'esdb$1:')) as Client;
    const inner = client as unknown as Inner;
    // Called without being awaited: its own failure, when the next node can't be found either, would be an unhandled rejection.
    const { handleError } = inner;
    inner.handleError = (stub, error) => handleError(stub, error).catch(() => undefined);
    return Object.assign(client, { inner });
  };

  let closed = false;
  let current: Client;
  try {
    current = connect();
  } catch (error) {
    // The parser's own words quote the connection string, and with it the password.
    throw new RangeError(
      /certificate|userCertFile/i.test((error as Error).message)
        ? (error as Error).message
        : 'the connection string of EventStoreDB cannot be read; it looks like esdb://user:password@host:2113?tls=true',
    );
  }

  const dispose = async (client: Client): Promise<void> => {
    await withDeadline(1_000, client.dispose(), 'closing calls').catch(() => undefined);
    client.channel?.close();
  };

  /** A silent node and a black-holed link look the same: leave both, look for the leader anew. */
  const renew = (silent: Client): void => {
    if (current !== silent || closed) return;
    current = connect();
    void dispose(silent);
  };

  const call = async <T>(what: string, make: (client: Client) => Promise<T>): Promise<T> => {
    if (closed) throw new LogUnavailable('the log is closed');
    const client = current;
    try {
      return await withDeadline(callMs, make(client), what);
    } catch (raw) {
      if (closed) throw new LogUnavailable('the log is closed', { cause: raw });
      const error = convertToCommandError(raw as Error);
      if (codeOf(error) !== 'deadline-exceeded' && typeOf(error) !== ErrorType.DEADLINE_EXCEEDED) throw error;
      renew(client);
      throw new TryAgain(`EventStoreDB did not answer a call (${what}) within ${callMs} ms`, { cause: raw });
    }
  };

  const args = ({ inner }: Client, deadline: number | Date): [Metadata, CallOptions] =>
    inner.callArguments({ requiresLeader: true }, { deadline });
  const inTime = (): Date => new Date(Date.now() + callMs);

  const open = (client: Client, request: ReadReq, deadline: number | Date): Promise<ClientReadableStream<ReadResp>> =>
    client.inner.GRPCStreamCreator(StreamsClient, 'read', (stub) => {
      client.channel = stub.getChannel() as Channel;
      return stub.read(request, ...args(client, deadline));
    })();

  return {
    /** Everything a read answers. */
    read: (request: ReadReq): Promise<ReadResp[]> =>
      call('read', async (client) => {
        const stream = await open(client, request, inTime());
        return new Promise((resolve, reject) => {
          const answers: ReadResp[] = [];
          stream.on('data', (answer: ReadResp) => answers.push(answer));
          stream.on('end', () => resolve(answers));
          stream.on('error', reject);
        });
      }),

    /** The header first, then the events. */
    append: (messages: readonly AppendReq[]): Promise<AppendResp> =>
      call('append', (client) =>
        client.inner.execute(
          StreamsClient,
          'append',
          (stub) =>
            new Promise<AppendResp>((resolve, reject) => {
              client.channel = stub.getChannel() as Channel;
              const sink = stub.append(...args(client, inTime()), (error, answer) => (error ? reject(error) : resolve(answer!)));
              sink.on('error', reject);
              for (const message of messages) sink.write(message);
              sink.end();
            }),
        ),
      ),

    /** A subscription, until the signal aborts. */
    follow: async (request: ReadReq, signal: AbortSignal): Promise<Feed> => {
      let late = false;
      const stream = await call('subscribe', async (client) => {
        const opened = await open(client, request, Infinity);
        if (late) opened.cancel();
        return opened;
      }).catch((error: unknown) => {
        late = true;
        throw error;
      });
      let ended: Error | undefined;
      let wake: (() => void) | undefined;
      const rouse = (): void => wake?.();
      const end = (error: Error): void => {
        ended ??= error;
        rouse();
      };
      stream.on('readable', rouse);
      stream.on('end', () => end(new TryAgain('the subscription ended')));
      stream.on('error', (error) => end(convertToCommandError(error)));
      signal.addEventListener('abort', rouse);
      return {
        next: async (ms) => {
          const until = performance.now() + ms;
          for (;;) {
            const message = stream.read() as ReadResp | null;
            if (message) return message;
            if (ended) throw ended;
            const left = until - performance.now();
            if (left <= 0 || signal.aborted) return undefined;
            await new Promise<void>((resolve) => {
              const timer = setTimeout(resolve, left);
              wake = () => {
                clearTimeout(timer);
                resolve();
              };
            });
            wake = undefined;
          }
        },
        close: () => {
          signal.removeEventListener('abort', rouse);
          stream.cancel();
        },
      };
    },

    close: async (): Promise<void> => {
      if (closed) return;
      closed = true;
      await dispose(current);
    },
  };
};

export type Connection = ReturnType<typeof createConnection>;
