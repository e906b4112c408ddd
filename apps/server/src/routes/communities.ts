import { communityCommands, EXPOSURE_KINDS, say } from '@vigil/domain';
import { z } from 'zod';
import { notFound } from '../http/validate';
import { route, type Route } from '../route';
import { bilingualSchema, json200, listOf, page, paged, positionSchema, written, written201 } from './answers';

const { RegisterCommunity, DrawBoundary, RecordPopulation, RecordExposure, RetireCommunity } = communityCommands;
const tag = 'communities';
export const codeParam = z.object({ code: RegisterCommunity.shape.code });
const at = (code: string): string => `/api/v1/communities/${code}`;

const summarySchema = z.object({
  code: z.string(),
  name: bilingualSchema,
  type: z.string(),
  parent: z.string().nullable(),
  groups: z.array(z.string()),
  status: z.enum(['registered', 'retired']),
  revision: z.int(),
});

// The cells' own rules (no two overlap) come with the command's schema, which reads the same body once more.
const populationBody = z
  .strictObject({
    year: RecordPopulation.shape.year,
    cells: RecordPopulation.shape.cells.optional(),
    exposures: z
      .array(z.strictObject({ kind: z.enum(EXPOSURE_KINDS), amount: RecordExposure.shape.amount }))
      .min(1)
      .max(EXPOSURE_KINDS.length)
      .optional(),
    source: RecordPopulation.shape.source,
  })
  .superRefine(({ year, cells, source, exposures }, context) => {
    if (!cells && !exposures)
      context.addIssue({
        code: 'custom',
        ...say('nothing-to-record', '应有 cells 或 exposures', 'give cells, exposures or both'),
      });
    if (!cells) return;
    const result = RecordPopulation.safeParse({ year, cells, source });
    if (!result.success) for (const issue of result.error.issues) context.addIssue(issue as never);
  });

export const communityRoutes: readonly Route[] = [
  route({
    method: 'POST',
    path: '/communities',
    tag,
    summary: { zh: '登记一个社区(街道、乡镇、园区、企业…)', en: 'Register a community' },
    body: RegisterCommunity,
    answers: written201,
    handler: async ({ body, decide }) =>
      written(body.code, at(body.code), await decide('community', body.code, [{ type: 'RegisterCommunity', data: body }])),
  }),
  route({
    method: 'GET',
    path: '/communities',
    tag,
    summary: { zh: '已登记的社区', en: 'Registered communities' },
    query: page,
    answers: json200(listOf(summarySchema), { zh: '按代码排序', en: 'by code' }),
    handler: async (call) => paged(call, await call.ask('communities', undefined), ({ code }) => code),
  }),
  route({
    method: 'GET',
    path: '/communities/{code}',
    tag,
    summary: { zh: '一个社区及其人口', en: 'One community and its population' },
    params: codeParam,
    answers: json200(
      summarySchema.extend({
        position: positionSchema,
        populationYears: z.array(z.int()),
        populations: z.array(z.object({ year: z.int(), cells: RecordPopulation.shape.cells })),
        exposures: z.array(z.object({ year: z.int(), kind: z.enum(EXPOSURE_KINDS), amount: z.number() })),
        boundary: DrawBoundary.optional(),
        retirement: RetireCommunity.optional(),
      }),
      { zh: '从日志折叠,总是最新', en: 'folded from the log, never behind a write' },
    ),
    handler: async ({ params, ask }) => {
      const found = await ask('community', params.code);
      if (!found)
        throw notFound(
          {
            zh: `没有登记社区 ${params.code};请先 POST /communities`,
            en: `community ${params.code} is not registered; POST /communities first`,
          },
          'community-not-found',
        );
      return { status: 200, body: found, headers: { ETag: `"r${found.revision}"` } };
    },
  }),
  route({
    method: 'POST',
    path: '/communities/{code}/populations',
    tag,
    summary: {
      zh: '记录某年的人口单元及其他暴露量;后来的记录按位置取代先前的,故 If-Match 可省',
      en: 'Record a year’s population cells and other exposures; later records supersede earlier ones by position, so If-Match may be left out',
    },
    params: codeParam,
    body: populationBody,
    ifMatch: 'optional',
    answers: written201,
    handler: async ({ params: { code }, body: { year, cells, exposures = [], source }, decide }) => {
      const from = source === undefined ? {} : { source };
      const result = await decide('community', code, [
        ...(cells ? [{ type: 'RecordPopulation' as const, data: { year, cells, ...from } }] : []),
        ...exposures.map((exposure) => ({ type: 'RecordExposure' as const, data: { year, ...exposure, ...from } })),
      ]);
      return written(code, at(code), result);
    },
  }),
  route({
    method: 'POST',
    path: '/communities/{code}/boundary',
    tag,
    summary: { zh: '划定边界(须写明坐标系)', en: 'Draw the boundary; its reference system is never guessed' },
    params: codeParam,
    body: DrawBoundary,
    ifMatch: 'required',
    answers: written201,
    handler: async ({ params: { code }, body, decide }) =>
      written(code, at(code), await decide('community', code, [{ type: 'DrawBoundary', data: body }])),
  }),
  route({
    method: 'POST',
    path: '/communities/{code}/retirement',
    tag,
    summary: { zh: '注销社区(合并或撤销)', en: 'Retire a community that was merged or dissolved' },
    params: codeParam,
    body: RetireCommunity,
    ifMatch: 'required',
    answers: written201,
    handler: async ({ params: { code }, body, decide }) =>
      written(code, at(code), await decide('community', code, [{ type: 'RetireCommunity', data: body }])),
  }),
];
