import 'reflect-metadata';
import {
  Controller,
  Inject,
  Module,
  Req,
  RequestMapping,
  RequestMethod,
  Res,
  type DynamicModule,
  type Type,
} from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { CommandBus, CqrsModule, QueryBus } from '@nestjs/cqrs';
import { FastifyAdapter, type NestFastifyApplication } from '@nestjs/platform-fastify';
import type { Config } from '@vigil/platform';
import { nearest, type Text } from '@vigil/vocabulary';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { setMaxListeners } from 'node:events';
import type { AddressInfo, Socket } from 'node:net';
import { DecideHandler, ENGINE, QuestionHandler } from './cqrs';
import { createDispatcher, type Dispatcher } from './dispatch';
import { startEngine, type Engine, type EngineOptions } from './engine';
import { registerBodyParsers } from './http/body';
import { HttpProblem, problemBody } from './http/problem';
import { ProblemFilter } from './http/problem-filter';
import { contextOf, openContext, SECURITY_HEADERS, sendProblem } from './http/reply';
import { NOT_BUILT, pathOf, routes } from './routes';
import type { Route } from './route';

export interface ServerOptions extends EngineOptions {
  /** 0 asks the system; default as configured. */
  readonly port?: number;
}

export interface Server {
  readonly url: string;
  readonly engine: Engine;
  /** As {@link Engine.failed}. */
  readonly failed: Promise<Text>;
  /** Takes no more, finishes what is in flight (10 s), then closes the engine if it was opened here. Safe to call twice. */
  close(): Promise<void>;
}

/** Of JSON bodies. */
const BODY_LIMIT = 16 * 2 ** 20;
/** Requests being answered at once, and bytes of their bodies: beyond either, 429. */
const MOST_IN_FLIGHT = 1_000;
const MOST_BODY_BYTES = 256 * 2 ** 20;
const DRAIN_MS = 10_000;
/** No byte either way for so long ends a connection; event streams beat every 15 s. */
const SILENCE_MS = 65_000;

const DISPATCHER = Symbol('dispatcher');

/** A controller whose methods are the table's rows: Nest's decorators applied to data. */
const controllerOf = (table: readonly Route[]): Type => {
  class Table {
    constructor(readonly dispatcher: { handle: Dispatcher['handle'] }) {}
  }
  Controller()(Table);
  Inject(DISPATCHER)(Table, undefined, 0);
  table.forEach((route, index) => {
    const name = `route${index}`;
    const value = function (this: Table, request: FastifyRequest, reply: FastifyReply): Promise<void> {
      return this.dispatcher.handle(route, request, reply);
    };
    Object.defineProperty(Table.prototype, name, { value, writable: true, configurable: true, enumerable: false });
    Req()(Table.prototype, name, 0);
    Res()(Table.prototype, name, 1);
    const path = pathOf(route).replaceAll(/\{(\w+)\}/g, ':$1');
    RequestMapping({ path, method: RequestMethod[route.method] })(
      Table.prototype,
      name,
      Object.getOwnPropertyDescriptor(Table.prototype, name)!,
    );
  });
  return Table;
};

@Module({})
class Api {
  static of(engine: Engine, closing: AbortSignal): DynamicModule {
    return {
      module: Api,
      imports: [CqrsModule.forRoot()],
      controllers: [controllerOf(routes)],
      providers: [
        { provide: ENGINE, useValue: engine },
        {
          provide: DISPATCHER,
          inject: [CommandBus, QueryBus],
          useFactory: (commands: CommandBus, questions: QueryBus) => createDispatcher(engine, commands, questions, closing),
        },
        DecideHandler,
        QuestionHandler,
      ],
    };
  }
}

const patterns = routes.map((route) => ({
  route,
  pattern: new RegExp(
    `^${pathOf(route)
      .replaceAll('.', '\\.')
      .replaceAll(/\{\w+\}/g, '[^/]+')}$`,
  ),
}));
const fixedPaths = [...new Set(routes.map(pathOf))].filter((path) => !path.includes('{'));

/** Why a path answers nothing: its method, this version, or a slip of the pen. */
const notFoundAt = ({ url, method }: FastifyRequest): HttpProblem => {
  const path = url.split('?')[0]!;
  const methods = [...new Set(patterns.filter(({ pattern }) => pattern.test(path)).map(({ route }) => route.method))];
  if (methods.length > 0 && !methods.includes(method as never)) {
    const detail = {
      zh: `${path} 不支持 ${method};可用 ${methods.join('、')}(事实只追加,不修改)`,
      en: `${path} does not take ${method}, only ${methods.join(', ')}: facts are appended, never edited`,
    };
    return new HttpProblem(405, 'method-not-allowed', detail, { headers: { Allow: methods.join(', ') } });
  }
  const word = /^\/api\/v1\/([a-z-]+)/.exec(path)?.[1];
  if (word && NOT_BUILT.has(word))
    return new HttpProblem(404, 'not-in-this-version', {
      zh: `本版本尚无 /${word};见 /docs`,
      en: `this version does not have /${word} yet; /docs lists what there is`,
    });
  const suggestion = nearest(path, fixedPaths);
  const detail = {
    zh: `没有 ${method} ${cut(path)};全部接口见 /docs`,
    en: `there is no ${method} ${cut(path)}; /docs lists what there is`,
  };
  return new HttpProblem(
    404,
    'route-not-found',
    detail,
    suggestion ? { errors: [{ code: 'route-not-found', detail, value: path, suggestion }] } : {},
  );
};
const cut = (path: string): string => (path.length > 120 ? `${path.slice(0, 119)}…` : path);

/** What the HTTP parser refuses never becomes a request: the answer is written by hand. */
const onClientError = (error: Error & { code?: string }, socket: Socket): void => {
  if (error.code === 'ECONNRESET' || !socket.writable) return void socket.destroy();
  const [status, reason] =
    error.code === 'HPE_HEADER_OVERFLOW'
      ? [431, 'Request Header Fields Too Large']
      : error.code === 'ERR_HTTP_REQUEST_TIMEOUT'
        ? [408, 'Request Timeout']
        : [400, 'Bad Request'];
  const problem = new HttpProblem(status as number, 'malformed-http', {
    zh: 'HTTP 请求无法解析',
    en: 'this is not an HTTP request we can read',
  });
  const body = JSON.stringify(problemBody(problem, 'en', ''));
  socket.end(
    `HTTP/1.1 ${status} ${reason}\r\nContent-Type: application/problem+json; charset=utf-8\r\nContent-Length: ${Buffer.byteLength(body)}\r\nConnection: close\r\n\r\n${body}`,
  );
};

const isEngine = (given: Engine | Config): given is Engine => 'projections' in given;

/** Serves the API on the configured host. Given a configuration it opens the engine too, and closes it with itself. */
export const startServer = async (given: Engine | Config, options: ServerOptions = {}): Promise<Server> => {
  const engine = isEngine(given) ? given : await startEngine(given, options);
  const { logger, metrics } = engine;
  const closing = new AbortController();
  setMaxListeners(0, closing.signal); // one for each open event stream
  let app: NestFastifyApplication | undefined;
  try {
    const filter = new ProblemFilter(logger, notFoundAt);
    const adapter = new FastifyAdapter({
      bodyLimit: BODY_LIMIT,
      connectionTimeout: SILENCE_MS,
      requestTimeout: 30 * 60_000, // an upload may last; a silent one is ended by SILENCE_MS
      keepAliveTimeout: 30_000,
      forceCloseConnections: 'idle',
      clientErrorHandler: onClientError as never,
      // A URL that can't be decoded has no route to be refused by.
      frameworkErrors: (_error: Error, request: FastifyRequest, reply: FastifyReply) =>
        sendProblem(
          reply,
          request,
          new HttpProblem(400, 'malformed-uri', { zh: '网址无法解码', en: 'the URI cannot be decoded' }),
        ),
      routerOptions: { maxParamLength: 200, ignoreTrailingSlash: true },
    });
    const fastify = adapter.getInstance();
    registerBodyParsers(fastify as never);

    let inFlight = 0;
    let bodyBytes = 0;
    const held = new WeakMap<object, number>();
    fastify.addHook('onRequest', (request, reply, done) => {
      const { traceId } = openContext(request as never, reply.raw as never);
      void reply.headers({ ...SECURITY_HEADERS, 'Cache-Control': 'no-store', 'X-Request-Id': traceId });
      // What streams through is held in no memory of ours.
      const bytes = /^(multipart|application\/(x-)?ndjson)/i.test(request.headers['content-type'] ?? '')
        ? 0
        : Math.min(Number(request.headers['content-length'] ?? 0) || 0, BODY_LIMIT);
      const { url } = request;
      const probe = url.startsWith('/health') || url.startsWith('/metrics') || url.startsWith('/api/v1/health');
      inFlight++;
      metrics.inFlight.inc();
      bodyBytes += bytes;
      held.set(request.raw, bytes);
      reply.raw.once('close', () => {
        inFlight--;
        metrics.inFlight.dec();
        bodyBytes -= bytes;
      });
      if (closing.signal.aborted) void reply.header('Connection', 'close');
      if (!probe && (inFlight > MOST_IN_FLIGHT || bodyBytes > MOST_BODY_BYTES))
        return sendProblem(
          reply as never,
          request as never,
          new HttpProblem(
            429,
            'too-busy',
            { zh: '同时请求过多;请稍后重试', en: 'too many requests at once; try again shortly' },
            { headers: { 'Retry-After': '1' } },
          ),
        );
      done();
    });
    fastify.addHook('onResponse', (request, reply, done) => {
      const { began } = contextOf(request as never);
      const at = request.is404 ? 'unknown' : (request.routeOptions.url ?? 'unknown');
      metrics.http(request.method, at, reply.statusCode, (performance.now() - began) / 1000);
      done();
    });

    app = await NestFactory.create<NestFastifyApplication>(Api.of(engine, closing.signal), adapter, {
      logger: false,
      bodyParser: false,
      abortOnError: false,
    });
    app.useGlobalFilters(filter);
    const { host } = engine.config;
    await app.listen(options.port ?? engine.config.port, host);
    const server = app.getHttpServer();
    server.headersTimeout = 20_000;
    server.maxConnections = 5_000;
    const { port, family, address } = server.address() as AddressInfo;
    const url = `http://${family === 'IPv6' ? `[${address}]` : address}:${port}`;
    const running = app;

    let closed: Promise<void> | undefined;
    const close = (): Promise<void> =>
      (closed ??= (async () => {
        closing.abort(); // ends event streams
        const deadline = setTimeout(() => server.closeAllConnections(), DRAIN_MS);
        // Node closes connections that are idle now; those that become idle while it waits would hold it for their keep-alive time.
        const sweep = setInterval(() => server.closeIdleConnections(), 50);
        await running.close().catch((err: unknown) => logger.warn({ err }, 'the HTTP server did not close cleanly'));
        clearTimeout(deadline);
        clearInterval(sweep);
        if (!isEngine(given)) await engine.close();
      })());
    return { url, engine, failed: engine.failed, close };
  } catch (error) {
    closing.abort();
    await app?.close().catch(() => undefined);
    if (!isEngine(given)) await engine.close();
    throw error;
  }
};
