import { codeSystems, standardPopulations } from '@vigil/vocabulary';
import { feedSchemas, mappings } from '@vigil/feeds';
import { nearest } from '@vigil/vocabulary';
import { z } from 'zod';
import { HttpProblem } from '../http/problem';
import { route, type Route } from '../route';
import { bilingualSchema, json200, listOf, page, paged } from './answers';

const tag = 'reference';

/** JSON Schemas of the CloudEvents types, made once, when first asked. */
let made: ReadonlyMap<string, unknown> | undefined;
const schemas = (): ReadonlyMap<string, unknown> =>
  (made ??= new Map(
    Object.entries(feedSchemas()).map(([type, schema]) => [
      type,
      { $id: `/api/v1/schemas/${type}`, title: type, ...z.toJSONSchema(schema, { io: 'input', unrepresentable: 'any' }) },
    ]),
  ));

export const referenceRoutes: readonly Route[] = [
  route({
    method: 'GET',
    path: '/schemas',
    tag,
    summary: { zh: '可推送的事件类型', en: 'Event types that feeds may push' },
    query: page,
    answers: json200(listOf(z.object({ type: z.string(), schema: z.string() })), {
      zh: '类型及其 JSON Schema 的地址',
      en: 'each type and where its JSON Schema is',
    }),
    handler: async (call) =>
      paged(
        call,
        [...schemas().keys()].map((type) => ({ type, schema: `/api/v1/schemas/${type}` })),
        ({ type }) => type,
      ),
  }),
  route({
    method: 'GET',
    path: '/schemas/{type}',
    tag,
    summary: { zh: '一种事件的 JSON Schema', en: 'JSON Schema of one event type' },
    params: z.object({ type: z.string().max(128) }),
    answers: { 200: { type: 'application/schema+json', about: { zh: 'JSON Schema 2020-12', en: 'JSON Schema 2020-12' } } },
    handler: async ({ params: { type } }) => {
      const found = schemas().get(type);
      if (found) return { status: 200, text: JSON.stringify(found), type: 'application/schema+json; charset=utf-8' };
      const types = [...schemas().keys()];
      const suggestion = nearest(type, types);
      const detail = { zh: `没有事件类型 ${type}`, en: `there is no event type ${type}` };
      throw new HttpProblem(404, 'schema-not-found', detail, {
        errors: [{ code: 'schema-not-found', detail, value: type, allowed: types, ...(suggestion && { suggestion }) }],
      });
    },
  }),
  route({
    method: 'GET',
    path: '/mappings',
    tag,
    summary: { zh: '导入所用的映射', en: 'Mappings for imports' },
    query: page,
    answers: json200(listOf(z.looseObject({ name: z.string() })), { zh: '按名称排序', en: 'by name' }),
    handler: async (call) => paged(call, mappings(), ({ name }) => name),
  }),
  route({
    method: 'GET',
    path: '/code-systems',
    tag,
    summary: { zh: '代码系统及其到标准轴的映射', en: 'Code systems and their way to the canonical axes' },
    query: page,
    answers: json200(listOf(z.looseObject({ system: z.string(), version: z.string(), title: bilingualSchema })), {
      zh: '按名称和版本排序',
      en: 'by name and version',
    }),
    handler: async (call) => paged(call, codeSystems(), ({ system, version }) => `${system} ${version}`),
  }),
  route({
    method: 'GET',
    path: '/standard-populations',
    tag,
    summary: { zh: '标准人口', en: 'Standard populations' },
    query: page,
    answers: json200(listOf(z.looseObject({ id: z.string(), title: bilingualSchema, total: z.number() })), {
      zh: '按名称排序',
      en: 'by id',
    }),
    handler: async (call) => paged(call, standardPopulations(), ({ id }) => id),
  }),
];
