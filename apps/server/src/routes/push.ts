import { randomUUID } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { Readable } from 'node:stream';
import { pushEvents, type PushAnswer } from '@vigil/feeds';
import { fingerprint } from '@vigil/vocabulary';
import { z } from 'zod';
import { keepable } from '../dispatch';
import { problemItem, refused } from '../http/problem';
import { idempotencyKeyOf } from '../http/request';
import { wirePosition } from '../queries';
import { route, type Answer, type Call, type Route } from '../route';
import { spool } from '../upload';
import { codeParam } from './communities';
import { positionSchema } from './answers';

const SINGLE = 'application/cloudevents+json';
const BATCH = 'application/cloudevents-batch+json';
const STREAM = 'application/x-ndjson';

const pushedSchema = z.object({
  accepted: z.int(),
  duplicates: z.int(),
  rejected: z.int(),
  position: positionSchema.nullable(),
  results: z.array(
    z.object({
      id: z.string().nullable(),
      status: z.enum(['accepted', 'duplicate', 'rejected']),
      position: positionSchema.optional(),
      row: z.int().optional(),
      problem: z.object({ code: z.string(), detail: z.string() }).loose().optional(),
    }),
  ),
});

const view = ({ results, position, ...counts }: PushAnswer, { language }: Pick<Call, 'language'>) => ({
  ...counts,
  position: position === null ? null : wirePosition(position),
  results: results.map(({ position: at, problem, ...rest }) => ({
    ...rest,
    ...(at !== undefined && { position: wirePosition(at) }),
    ...(problem && { problem: problemItem(problem, language) }),
  })),
});

/** Faults of a request as a whole that are its syntax. */
const SYNTAX: ReadonlySet<string> = new Set(['invalid-json', 'invalid-encoding', 'too-deep', 'not-an-array']);
const statusOf = (code: string): number =>
  SYNTAX.has(code) ? 400 : code === 'unsupported-media-type' ? 415 : code === 'too-many-events' ? 413 : 422;

type Params = { feed: string };
type Query = { atomic: boolean };

const push = async (call: Call<Params, Query>, body: Uint8Array | AsyncIterable<Uint8Array>): Promise<Answer> => {
  const { engine, params, query, request, gone } = call;
  const result = await pushEvents(
    { log: engine.log },
    { feed: params.feed, body, contentType: request.headers['content-type'] ?? '', atomic: query.atomic, signal: gone },
  );
  if (!result.ok) throw refused(result.problem, statusOf(result.problem.code));
  engine.feeds.count(params.feed, result.value);
  return { status: 200, body: view(result.value, call) };
};

/** With an Idempotency-Key a stream is written down first: whether it is the same is known at its end only. */
const pushOnce = async (call: Call<Params, Query>): Promise<Answer> => {
  const { engine, request, params, gone } = call;
  const key = idempotencyKeyOf(request.headers);
  const body = request.body as Buffer | Readable;
  if (key === undefined) return push(call, body);
  const scope = `POST /api/v1/feeds/${params.feed}/events`;
  const once = async (print: string, run: () => Promise<Answer>): Promise<Answer> => {
    const {
      status,
      headers,
      body: text,
      replayed,
    } = await engine.idempotency.once({ scope, key, fingerprint: fingerprint(`${print} ${call.query.atomic}`) }, async () =>
      keepable(await run()),
    );
    return {
      status,
      text,
      type: 'application/json; charset=utf-8',
      headers: { ...headers, ...(replayed && { 'Idempotency-Replayed': 'true' }) },
    };
  };
  if (Buffer.isBuffer(body)) return once(fingerprint(body), () => push(call, body));
  const path = join(engine.dataDir, 'uploads', randomUUID());
  try {
    const { digest } = await spool(body, path, gone);
    return await once(digest, () => push(call, createReadStream(path)));
  } finally {
    await rm(path, { force: true });
  }
};

export const pushRoute: Route = route({
  method: 'POST',
  path: '/feeds/{feed}/events',
  tag: 'feeds',
  summary: { zh: '推送 CloudEvents:一个、一批或 NDJSON 流', en: 'Push CloudEvents: one, a batch, or an NDJSON stream' },
  params: z.object({ feed: codeParam.shape.code }),
  query: z.object({ atomic: z.stringbool().default(false) }),
  takes: { types: [SINGLE, BATCH, STREAM], json: false },
  idempotent: 'by-handler',
  deadlineMs: 30 * 60_000, // a stream lasts as long as its sender
  answers: {
    200: {
      schema: pushedSchema,
      about: {
        zh: '逐个结果,按顺序;超过 1000 个的流只列被拒绝的',
        en: 'results in order; of a stream over 1,000 the rejected ones only',
      },
    },
  },
  handler: (call) => pushOnce(call as Call<Params, Query>),
});
