import type { Readable } from 'node:stream';
import type { FastifyRequest } from 'fastify';
import type { CommandDone } from '@vigil/event-log';
import type { Result, Text } from '@vigil/vocabulary';
import type { z } from 'zod';
import type { Ask, AggregateName, Payload } from './cqrs';
import type { Engine } from './engine';
import type { Language } from './http/problem';

/** What a handler answers: a JSON `body`, or `text`, `content` or a `stream` of another type. */
export interface Answer {
  readonly status: number;
  readonly body?: unknown;
  readonly text?: string;
  readonly content?: Buffer;
  readonly stream?: Readable;
  /** Of what isn't `body`. */
  readonly type?: string;
  readonly headers?: Readonly<Record<string, string>>;
}

/** One request on its way, read and checked. */
export interface Call<P = unknown, Q = unknown, B = unknown> {
  readonly engine: Engine;
  readonly params: P;
  readonly query: Q;
  readonly body: B;
  readonly request: FastifyRequest;
  readonly language: Language;
  readonly traceId: string;
  /** Random, or bound to the Idempotency-Key: repeated, it is the same command. */
  readonly commandId: string;
  /** Aborts when the client has gone or the server closes: for what would never end by itself. */
  readonly signal: AbortSignal;
  /** Aborts when the client has gone: what it has begun to send is finished while the server closes. */
  readonly gone: AbortSignal;
  /** The revision of `If-Match`. */
  readonly expected?: number;
  /** Through the one command handler. */
  decide<A extends AggregateName>(
    aggregate: A,
    id: string,
    commands: readonly Payload<A>[],
    metadata?: Readonly<Record<string, unknown>>,
    /** Instead of the call's own. */
    commandId?: string,
  ): Promise<Result<CommandDone>>;
  /** Through the one query handler. */
  ask: Ask;
  /** Waits until the read models hold a position. @throws HttpProblem 503 */
  waitFor(position: bigint): Promise<void>;
}

export interface AnswerSpec {
  readonly schema?: z.ZodType;
  /** Default application/json. */
  readonly type?: string;
  /** Which the reader may ask for by Accept instead. */
  readonly alsoTypes?: readonly string[];
  readonly about: Text;
}

/**
 * A route as data: the same entry registers it, checks what comes in and describes it in OpenAPI.
 * Path parameters that don't fit their schema name nothing: 404.
 */
export interface Route {
  readonly method: 'GET' | 'POST';
  /** Under `/api/v1`, unless `bare`; parameters in braces. */
  readonly path: string;
  /** At the root instead. */
  readonly bare?: boolean;
  readonly tag: string;
  readonly summary: Text;
  readonly params?: z.ZodObject;
  readonly query?: z.ZodObject;
  /** The handler reads the query string by a grammar of its own; `query` only describes it. */
  readonly freeQuery?: boolean;
  readonly body?: z.ZodType;
  /** Media types taken besides JSON; `json: false` leaves JSON out. What isn't JSON reaches the handler unread. */
  readonly takes?: { readonly types: readonly string[]; readonly json?: boolean };
  /** Absent parts of a JSON body are no fault. */
  readonly bodyOptional?: boolean;
  /**
   * A person's data may be in the body's stead: refuse fields of identities before anything else. A list: fields of the body
   * that are no person's, such as an organisation's `name`.
   */
  readonly refusesIdentities?: boolean | readonly string[];
  readonly ifMatch?: 'required' | 'optional';
  /** POSTs that change something: all but queries. The handler sees to it itself when the body is a stream. */
  readonly idempotent?: 'by-body' | 'by-handler' | 'never';
  /** Handler time in ms; a stream counts until its head is sent. Default 30 s. */
  readonly deadlineMs?: number;
  readonly answers: Readonly<Record<number, AnswerSpec>>;
  readonly handler: (call: Call) => Promise<Answer>;
}

type Infer<T> = T extends z.ZodType ? z.output<T> : Record<string, never>;

/** Types a handler by its own schemas. */
export const route = <
  P extends z.ZodObject | undefined = undefined,
  Q extends z.ZodObject | undefined = undefined,
  B extends z.ZodType | undefined = undefined,
>(
  spec: Omit<Route, 'params' | 'query' | 'body' | 'handler'> & {
    readonly params?: P;
    readonly query?: Q;
    readonly body?: B;
    readonly handler: (call: Call<Infer<P>, Infer<Q>, B extends z.ZodType ? z.output<B> : unknown>) => Promise<Answer>;
  },
): Route => spec as unknown as Route;
