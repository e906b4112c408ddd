import { criteriaSet, criteriaSets, isRefusal } from '@vigil/vocabulary';
import { z } from 'zod';
import { HttpProblem } from '../http/problem';
import { route, type Route } from '../route';
import { bilingualSchema, json200, listOf, page, paged } from './answers';

const tag = 'criteria-sets';
const setSchema = z.looseObject({
  code: z.string(),
  version: z.string(),
  title: bilingualSchema,
  wording: bilingualSchema,
  toBeConfirmed: bilingualSchema.optional(),
  points: z.number().optional(),
  criteria: z.array(
    z.looseObject({
      code: z.string(),
      zh: z.string(),
      en: z.string(),
      indicators: z.array(z.string()),
      evidence: z.array(z.object({ code: z.string(), zh: z.string(), en: z.string(), query: z.string() })),
    }),
  ),
});

export const criteriaSetRoutes: readonly Route[] = [
  route({
    method: 'GET',
    path: '/criteria-sets',
    tag,
    summary: { zh: '评定标准:指标、相关 dx 与证据查询', en: 'Criteria sets: criteria, their indicators and evidence queries' },
    query: page,
    answers: json200(listOf(setSchema), { zh: '按代码排序', en: 'by code' }),
    handler: async (call) => paged(call, criteriaSets(), ({ code }) => code),
  }),
  route({
    method: 'GET',
    path: '/criteria-sets/{code}',
    tag,
    summary: { zh: '一套评定标准', en: 'One criteria set' },
    params: z.object({ code: z.string().max(64) }),
    answers: json200(setSchema, { zh: '全部指标', en: 'with all its criteria' }),
    handler: async ({ params: { code } }) => {
      const set = criteriaSet(code);
      if (!isRefusal(set)) return { status: 200, body: set };
      throw new HttpProblem(404, 'criteria-set-not-found', set.detail, { errors: [{ ...set, code: 'criteria-set-not-found' }] });
    },
  }),
];
