import { z } from 'zod';
import { JSON_TYPE } from './http/body';
import type { Route } from './route';

type Json = Record<string, unknown>;

const jsonSchema = (schema: z.ZodType, io: 'input' | 'output' = 'input'): Json => {
  const { $schema: _, ...rest } = z.toJSONSchema(schema, { target: 'draft-2020-12', io, unrepresentable: 'any' }) as Json;
  return rest;
};

const problemSchema: Json = {
  type: 'object',
  required: ['type', 'title', 'status', 'detail', 'code', 'traceId', 'errors'],
  properties: {
    type: { type: 'string', format: 'uri' },
    title: { type: 'string' },
    status: { type: 'integer' },
    detail: { type: 'string' },
    code: { type: 'string' },
    traceId: { type: 'string' },
    errors: {
      type: 'array',
      items: {
        type: 'object',
        required: ['code', 'detail'],
        properties: {
          pointer: { type: 'string', description: 'JSON pointer (RFC 6901)' },
          row: { type: 'integer' },
          column: { type: 'string' },
          code: { type: 'string' },
          detail: { type: 'string' },
          value: {},
          allowed: { type: 'array', items: { type: 'string' } },
          suggestion: { type: 'string' },
        },
      },
    },
  },
};

const parameters = (where: 'path' | 'query', schema: z.ZodObject | undefined): Json[] => {
  if (!schema) return [];
  const { properties = {}, required = [] } = jsonSchema(schema) as { properties?: Record<string, Json>; required?: string[] };
  return Object.entries(properties).map(([name, { description, ...rest }]) => ({
    name,
    in: where,
    required: where === 'path' || required.includes(name),
    ...(description !== undefined && { description }),
    schema: rest,
    ...(where === 'query' && { style: 'form', explode: true }),
  }));
};

const headerParameter = (name: string, required: boolean, description: string): Json => ({
  name,
  in: 'header',
  required,
  description,
  schema: { type: 'string' },
});

const headersOf = (route: Route): Json[] => [
  headerParameter('Accept-Language', false, 'zh-CN or en: the language of sentences / 说明文字的语言'),
  ...(route.method === 'POST' && route.idempotent !== 'never'
    ? [headerParameter('Idempotency-Key', false, 'kept 24 h: a repeat gets the first answer / 24 小时内重复提交得到首次的应答')]
    : []),
  ...(route.ifMatch
    ? [headerParameter('If-Match', route.ifMatch === 'required', '"r<revision>" as the last ETag / 上次应答的 ETag')]
    : []),
];

/** Bytes have no schema in OpenAPI 3.1; another kind of JSON one that isn't told here. */
const unparsed = (type: string): Json =>
  JSON_TYPE.test(type) || /parquet|spreadsheet/.test(type) ? {} : { schema: { type: 'string' } };

const operation = (route: Route, id: string): Json => {
  const types = [...(route.takes?.types ?? [])];
  const json = route.method === 'POST' && route.takes?.json !== false && (route.body !== undefined || types.length > 0);
  const bodySchema = route.body ? jsonSchema(route.body) : {};
  const content = Object.fromEntries([
    ...(json ? [['application/json', { schema: bodySchema }]] : []),
    ...types.map((type) => [
      type,
      { schema: JSON_TYPE.test(type) ? {} : type === 'multipart/form-data' ? bodySchema : { type: 'string' } },
    ]),
  ]) as Json;
  const readable =
    route.method === 'GET'
      ? [
          {
            name: 'minPosition',
            in: 'query',
            required: false,
            description: 'wait until the read models hold this position (`Prefer: wait=5`) / 等到读模型推进至此位置',
            schema: { type: 'integer' },
          },
        ]
      : [];
  return {
    operationId: id,
    tags: [route.tag],
    summary: route.summary.en,
    description: route.summary.zh,
    parameters: [...parameters('path', route.params), ...parameters('query', route.query), ...readable, ...headersOf(route)],
    ...(Object.keys(content).length > 0 && { requestBody: { required: !route.bodyOptional, content } }),
    responses: {
      ...Object.fromEntries(
        Object.entries(route.answers).map(([status, { schema, type = 'application/json', alsoTypes = [], about }]) => [
          status,
          {
            description: `${about.en} / ${about.zh}`,
            ...((schema || type !== 'application/json') && {
              content: {
                [type]: schema ? { schema: jsonSchema(schema, 'output') } : unparsed(type),
                ...Object.fromEntries(alsoTypes.map((also) => [also, unparsed(also)])),
              },
            }),
          },
        ]),
      ),
      default: { $ref: '#/components/responses/Problem' },
    },
  };
};

const idOf = ({ method, path, bare }: Route): string =>
  `${bare ? 'root_' : ''}${method.toLowerCase()}${path.replaceAll(/[^A-Za-z0-9]+/g, '_')}`.replace(/_+$/, '');

/** The routes' own schemas as an OpenAPI 3.1 document. */
export const openApi = (routes: readonly Route[]): Json => {
  const paths: Record<string, Json> = {};
  for (const route of routes) {
    const path = route.bare ? route.path : `/api/v1${route.path}`;
    paths[path] = { ...paths[path], [route.method.toLowerCase()]: operation(route, idOf(route)) };
  }
  return {
    openapi: '3.1.0',
    info: {
      title: 'Vigil 守安',
      version: '0.1.0',
      summary: 'Injury surveillance: facts in, rates with intervals out / 伤害监测:录入事实,给出带区间的率',
      license: { name: 'Apache-2.0', identifier: 'Apache-2.0' },
    },
    servers: [{ url: '/' }],
    tags: [...new Set(routes.map(({ tag }) => tag))].map((name) => ({ name })),
    paths,
    components: {
      schemas: { Problem: problemSchema },
      responses: {
        Problem: {
          description: 'RFC 9457',
          content: { 'application/problem+json': { schema: { $ref: '#/components/schemas/Problem' } } },
        },
      },
    },
  };
};

const made = new WeakMap<readonly Route[], string>();
/** As text, made when first asked. */
export const openApiText = (routes: readonly Route[]): string => {
  const known = made.get(routes);
  if (known !== undefined) return known;
  const text = JSON.stringify(openApi(routes));
  made.set(routes, text);
  return text;
};
