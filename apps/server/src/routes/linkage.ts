import type { KeptCandidate } from '@vigil/feeds';
import { deterministicId } from '@vigil/vocabulary';
import { z } from 'zod';
import { HttpProblem, refused } from '../http/problem';
import { notFound } from '../http/validate';
import { wirePosition } from '../queries';
import { route, type Call, type Route } from '../route';
import { accepted202, bilingualSchema, json200, listOf, nextUrl, page, positionSchema } from './answers';

const tag = 'linkage';

const candidateSchema = z.object({
  id: z.uuid(),
  status: z.enum(['open', 'linked', 'rejected']),
  injury: z.uuid(),
  other: z.object({ injury: z.uuid().optional(), incident: z.string().optional(), casualty: z.string().optional() }),
  score: z.number().meta({ description: 'probability that both are the same person in the same event, 0 to 1' }),
  weight: z.number().meta({ description: 'bits: the sum of the fields’ log2(m/u)' }),
  fields: z.array(
    z.object({
      field: z.string(),
      label: bilingualSchema,
      level: z.string(),
      levelLabel: bilingualSchema,
      m: z.number().optional(),
      u: z.number().optional(),
      weight: z.number(),
      a: z.unknown(),
      b: z.unknown(),
    }),
  ),
  proposedAt: z.string(),
  decidedAt: z.string().optional(),
});

const view = ({ a, b, probability, ...rest }: KeptCandidate) => ({
  ...rest,
  injury: a,
  other: typeof b === 'string' ? { injury: b } : b,
  score: probability,
});

const invalidCursor = (): HttpProblem =>
  new HttpProblem(400, 'invalid-cursor', {
    zh: 'cursor 应取自上一页的 next',
    en: 'a cursor is the `next` of the page before',
  });
const place = z.tuple([z.number(), z.uuid()]);
const placeOf = (cursor: string): { probability: number; id: string } => {
  try {
    const [probability, id] = place.parse(JSON.parse(Buffer.from(cursor, 'base64url').toString('utf8')));
    return { probability, id };
  } catch {
    throw invalidCursor();
  }
};

const runBody = z.strictObject({
  estimate: z.boolean().default(false).meta({ description: 'how often true pairs agree is estimated from the data (EM)' }),
  everything: z.boolean().default(false).meta({ description: 'all reports, not only those changed since the last run' }),
});

export const linkageRoutes: readonly Route[] = [
  route({
    method: 'POST',
    path: '/linkage/runs',
    tag,
    summary: {
      zh: '比对自上次以来变化的记录:把握大的自动关联,存疑的排入人工核查',
      en: 'Compare what has changed since the last run: sure pairs are linked, unsure ones put before a person',
    },
    body: runBody,
    bodyOptional: true,
    answers: accepted202,
    handler: async (call) => {
      const { engine, body, commandId } = call;
      const id = deterministicId('linkage-run', commandId);
      await engine.jobs.start('linkage', id, (job) =>
        engine.linkage.run({
          ...{ id, estimate: body.estimate, everything: body.everything, signal: job.signal },
          onProgress: ({ done, total }) => job.progress({ done, total, phase: 'comparing' }),
        }),
      );
      return { status: 202, body: { jobId: id }, headers: { Location: `/api/v1/jobs/${id}` } };
    },
  }),
  route({
    method: 'GET',
    path: '/linkage/review',
    tag,
    summary: { zh: '待人工核查的记录对', en: 'Pairs of reports that a person is asked about' },
    query: page.extend({ status: z.enum(['open', 'linked', 'rejected']).default('open') }),
    answers: json200(listOf(candidateSchema), {
      zh: '可能性大者在前,逐项说明',
      en: 'likeliest first, explained field by field',
    }),
    handler: async (call) => {
      const { cursor, limit, status } = call.query;
      const rows = await call.engine.linkage.list({
        ...{ status, limit: limit + 1 },
        ...(cursor !== undefined && { after: placeOf(cursor) }),
      });
      const data = rows.slice(0, limit);
      if (rows.length <= limit) return { status: 200, body: { data: data.map(view) } };
      const { probability, id } = data.at(-1)!;
      const next = Buffer.from(JSON.stringify([probability, id]), 'utf8').toString('base64url');
      const headers = { Link: `<${nextUrl(call as Call, { cursor: next })}>; rel="next"` };
      return { status: 200, body: { data: data.map(view), next }, headers };
    },
  }),
  route({
    method: 'POST',
    path: '/linkage/review/{id}/decision',
    tag,
    summary: {
      zh: '判定:同一人(link)或不是(reject);人工判定不会被自动判定更改',
      en: 'Decide: one person (link) or two (reject); no automatic decision changes a manual one',
    },
    params: z.object({ id: z.uuid().toLowerCase() }),
    body: z.strictObject({ decision: z.enum(['link', 'reject']), reason: z.string().trim().min(1).max(500).optional() }),
    refusesIdentities: true,
    answers: {
      201: {
        schema: z.object({
          id: z.uuid(),
          status: z.enum(['linked', 'rejected']),
          revision: z.int().optional(),
          position: positionSchema.optional(),
        }),
        about: { zh: '已判定;position 为所写事件的位置', en: 'decided; position is that of the event written' },
      },
    },
    handler: async ({ engine, params: { id }, body: { decision, reason } }) => {
      const result = await engine.linkage.decide(id, decision, reason);
      if (!result)
        throw notFound({ zh: `没有待核查的记录对 ${id}`, en: `there is no pair ${id} to decide about` }, 'candidate-not-found');
      if (!result.ok) throw refused(result.problem);
      const { status, done } = result.value;
      return {
        status: 201,
        body: {
          ...{ id, status },
          ...(done && { revision: done.revision }),
          ...(done?.position != null && { position: wirePosition(done.position) }),
        },
      };
    },
  }),
];
