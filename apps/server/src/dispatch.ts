import { randomUUID } from 'node:crypto';
import { CommandBus, QueryBus } from '@nestjs/cqrs';
import { position as toPosition } from '@vigil/event-log';
import { withDeadline } from '@vigil/platform';
import { fingerprint } from '@vigil/vocabulary';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { z } from 'zod';
import { Decide, Question } from './cqrs';
import type { Engine } from './engine';
import { JSON_TYPE, rawBody } from './http/body';
import type { KeptAnswer } from './http/idempotency';
import { HttpProblem, unavailable } from './http/problem';
import { idempotencyKeyOf, ifMatchOf, mediaTypeOf, waitOf } from './http/request';
import { contextOf, signalOf } from './http/reply';
import { checked, refuseIdentities } from './http/validate';
import type { Answer, Call, Route } from './route';

const HANDLER_MS = 30_000;
const LAST_POSITION = 2n ** 63n - 1n;
const minPosition = z.object({ minPosition: z.string().optional() });

const EMPTY = z.strictObject({});
const strict = new Map<Route, z.ZodObject>();
/** A misspelt parameter that is passed over would answer another question. Made once: building a schema costs more than checking by it. */
const strictQuery = (route: Route): z.ZodObject => {
  const made = strict.get(route) ?? route.query?.strict() ?? EMPTY;
  strict.set(route, made);
  return made;
};

/** Sends what a handler answered. */
export const sendAnswer = (reply: FastifyReply, answer: Answer): void => {
  void reply.status(answer.status).headers(answer.headers ?? {});
  if (answer.type) void reply.type(answer.type);
  else if (answer.stream === undefined) void reply.type('application/json; charset=utf-8');
  void reply.send(answer.stream ?? answer.content ?? answer.text ?? JSON.stringify(answer.body ?? null));
};

const readMinPosition = (value: unknown): bigint | undefined => {
  if (value === undefined) return undefined;
  if (typeof value === 'string' && /^\d{1,19}$/.test(value) && BigInt(value) <= LAST_POSITION) return BigInt(value);
  const detail = { zh: 'minPosition 应为一个位置(非负整数)', en: 'minPosition is a position, a whole number' };
  throw new HttpProblem(400, 'invalid-position', detail, {
    errors: [{ code: 'invalid-position', detail, pointer: '/minPosition', value }],
  });
};

const requireMediaType = (route: Route, request: FastifyRequest): 'json' | 'other' | 'none' => {
  const type = mediaTypeOf(request.headers);
  const listed = route.takes?.types.includes(type) === true;
  const plain = route.takes?.json !== false && JSON_TYPE.test(type) && !type.startsWith('application/cloudevents');
  if (request.headers['content-encoding'] && request.headers['content-encoding'] !== 'identity')
    throw new HttpProblem(415, 'unsupported-encoding', {
      zh: '不接受压缩的请求体(Content-Encoding)',
      en: 'compressed bodies (Content-Encoding) are not taken',
    });
  if (listed) return 'other';
  if (plain) return 'json';
  if (type === '' && request.body === undefined) return 'none';
  const allowed = [...(route.takes?.json === false ? [] : ['application/json']), ...(route.takes?.types ?? [])];
  const detail = { zh: `Content-Type 应为 ${allowed.join('、')}`, en: `the Content-Type is one of ${allowed.join(', ')}` };
  throw new HttpProblem(415, 'unsupported-media-type', detail, {
    errors: [{ code: 'unsupported-media-type', detail, value: type || undefined, allowed }],
  });
};

/**
 * The one way of a request: parameters, query, media type, body, If-Match, position waited for, then the handler, once per
 * Idempotency-Key, within its deadline.
 */
export const createDispatcher = (engine: Engine, commands: CommandBus, questions: QueryBus, closing: AbortSignal) => {
  const waitFor = async (request: FastifyRequest, reply: FastifyReply, position: bigint): Promise<void> => {
    const ms = waitOf(request.headers);
    void reply.header('Preference-Applied', `wait=${ms / 1000}`);
    if (await engine.projections.waitFor(toPosition(position), ms)) return;
    throw unavailable(
      'position-not-reached',
      {
        zh: `读模型在 ${ms / 1000} 秒内未推进到位置 ${position};请稍后重试,或用 Prefer: wait=30 等得更久`,
        en: `the read models did not reach position ${position} within ${ms / 1000} s; try again, or wait longer with Prefer: wait=30`,
      },
      1,
    );
  };

  const body = (route: Route, request: FastifyRequest): unknown => {
    if (route.method === 'GET') return undefined;
    const kind = requireMediaType(route, request);
    if (kind === 'other') return request.body;
    if (route.refusesIdentities) refuseIdentities(request.body, route.refusesIdentities === true ? [] : route.refusesIdentities);
    if (!route.body) {
      if (route.bodyOptional && request.body !== undefined) checked(EMPTY, request.body, 422);
      return undefined;
    }
    if (request.body === undefined && !route.bodyOptional)
      throw new HttpProblem(400, 'empty-body', {
        zh: '请求体为空;此处应为一个 JSON 对象',
        en: 'the body is empty; a JSON object is expected',
      });
    return checked(route.body, request.body ?? {}, 422);
  };

  const expected = (route: Route, request: FastifyRequest): number | undefined => {
    if (!route.ifMatch) return undefined;
    const revision = ifMatchOf(request.headers);
    if (revision === undefined && route.ifMatch === 'required')
      throw new HttpProblem(428, 'if-match-required', {
        zh: '缺少 If-Match:请先 GET 该对象,并带上其 ETag(如 If-Match: "r0"),以免覆盖他人的更改',
        en: 'If-Match is missing: GET it first and send its ETag (If-Match: "r0"), so that nobody’s change is overlooked',
      });
    return revision === 'any' ? undefined : revision;
  };

  const handle = async (route: Route, request: FastifyRequest, reply: FastifyReply): Promise<void> => {
    const context = contextOf(request, reply);
    const { language, traceId } = context;
    const { params, query } = request as { params: Record<string, string>; query: Record<string, unknown> };
    const named = route.params ? checked(route.params, params, 404) : {};
    const { minPosition: from, ...rest } = query;
    const asked = route.freeQuery ? {} : checked(strictQuery(route), route.method === 'GET' ? rest : query, 400);
    const content = body(route, request);
    const revision = expected(route, request);
    let signal: AbortSignal | undefined;
    let gone: AbortSignal | undefined;

    if (route.method === 'GET' && !route.freeQuery) {
      const position = readMinPosition(minPosition.parse({ minPosition: Array.isArray(from) ? String(from) : from }).minPosition);
      if (position !== undefined) await waitFor(request, reply, position);
    }

    const run = async (commandId: string): Promise<Answer> => {
      const call: Call = {
        engine,
        params: named,
        query: asked,
        body: content,
        request,
        language,
        traceId,
        commandId,
        get signal() {
          return (signal ??= signalOf(context, closing));
        },
        get gone() {
          return (gone ??= signalOf(context));
        },
        ...(revision !== undefined && { expected: revision }),
        decide: (aggregate, id, many, metadata, own) =>
          commands.execute(
            new Decide(aggregate, id, many, {
              commandId: own ?? commandId,
              metadata: { source: '/api/v1', traceId, ...metadata },
              ...(revision !== undefined && { expected: revision }),
            }),
          ),
        ask: (name, input) => questions.execute(new Question(name, input)) as never,
        waitFor: (position) => waitFor(request, reply, position),
      };
      const ms = route.deadlineMs ?? HANDLER_MS + waitOf(request.headers);
      return withDeadline(ms, route.handler(call), `${route.method} ${route.path}`);
    };

    const key =
      route.method === 'POST' && (route.idempotent ?? 'by-body') === 'by-body' ? idempotencyKeyOf(request.headers) : undefined;
    if (key === undefined) return sendAnswer(reply, await run(randomUUID()));
    const kept = await engine.idempotency.once(
      { scope: `POST ${request.url.split('?')[0]}`, key, fingerprint: fingerprint(rawBody(request)) },
      async (commandId) => keepable(await run(commandId)),
    );
    sendKept(reply, kept);
  };
  return { handle };
};
export type Dispatcher = ReturnType<typeof createDispatcher>;

export const keepable = ({ status, body, headers = {} }: Answer): KeptAnswer => ({
  status,
  headers,
  body: JSON.stringify(body ?? null),
});

export const sendKept = (
  reply: FastifyReply,
  { status, headers, body, replayed }: KeptAnswer & { readonly replayed: boolean },
): void =>
  sendAnswer(reply, {
    status,
    text: body,
    type: 'application/json; charset=utf-8',
    headers: { ...headers, ...(replayed && { 'Idempotency-Replayed': 'true' }) },
  });
