import { indicator as register, type IndicatorState } from '@vigil/domain';
import type { RecordedEvent } from '@vigil/event-log';
import { zodProblems } from '@vigil/feeds';
import {
  definitionHash,
  definitionProblem,
  indicator as shippedOf,
  indicatorDefinition,
  type IndicatorDefinition,
} from '@vigil/indicators';
import { nearest, type Text } from '@vigil/vocabulary';
import { z } from 'zod';
import { HttpProblem, refused, refusedAll } from '../http/problem';
import { wirePosition } from '../queries';
import { route, type Call, type Route } from '../route';
import { bilingualSchema, json200, listOf, page, paged, positionSchema, written, written201 } from './answers';
import { asOfPosition, asOfQuery } from './as-of';
import { routesOf } from './case-files';

const tag = register.plural;
const at = (code: string): string => `/api/v1/${tag}/${code}`;
const codeParam = z.object({ code: z.string().regex(/^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/) });
/** Of one that no event has touched yet: what is sent back as If-Match to be the first to revise it. */
const UNTOUCHED = -1;

interface Version {
  readonly definition: IndicatorDefinition;
  /** What recorded it; of a shipped one nothing did. */
  readonly event?: RecordedEvent;
  readonly reason?: unknown;
}
interface Known {
  readonly state: IndicatorState;
  readonly revision: number;
  readonly versions: readonly Version[];
  /** Came with the program: its version 1 is in no event. */
  readonly shipped: boolean;
  readonly last?: RecordedEvent;
}

/** An indicator as its stream tells it, never behind a write; undefined when there was none. */
const known = async ({ log }: Call['engine'], code: string, position?: bigint): Promise<Known | undefined> => {
  const events = (await log.readStream(register.streamOf(code))).filter(
    (event) => position === undefined || event.position <= position,
  );
  const versions: Version[] = [];
  let state = register.initialState;
  for (const event of events) {
    const before = state.definition;
    const read = register.read(event);
    state = register.decider.evolve(state, read);
    const { reason } = read.data as { reason?: unknown };
    if (state.definition !== before) versions.push({ definition: state.definition as never, event, reason });
  }
  const first = shippedOf(code);
  const shipped = first !== undefined && versions[0]?.definition.version !== 1;
  if (shipped) versions.unshift({ definition: first });
  if (versions.length === 0) return undefined;
  if (events.length === 0) state = { state: 'in-force', definition: first! };
  const last = events.at(-1);
  return { state, revision: last?.revision ?? UNTOUCHED, versions, shipped, ...(last && { last }) };
};

const notKnown = async ({ engine }: Pick<Call, 'engine'>, code: string, position?: bigint): Promise<HttpProblem> => {
  const codes = [...(await engine.definitionsAt(position)).keys()];
  const suggestion = nearest(code, codes);
  const detail = {
    zh: `${position === undefined ? '' : `位置 ${position} 时`}没有指标 ${code}${suggestion ? `;是否为 ${suggestion}` : ''}`,
    en: `there ${position === undefined ? 'is' : 'was'} no indicator ${code}${position === undefined ? '' : ` at position ${position}`}${suggestion ? `; did you mean ${suggestion}` : ''}`,
  };
  return new HttpProblem(404, 'indicator-not-found', detail, {
    errors: [{ code: 'indicator-not-found', detail, value: code, allowed: codes, ...(suggestion && { suggestion }) }],
  });
};

const { reason: reasonSchema } = (register.steps['WithdrawIndicator']!.schema as z.ZodObject<{ reason: z.ZodString }>).shape;

/** @throws HttpProblem 422 naming every fault, each at its place in the document */
const validated = (document: unknown, reason?: unknown): { definition: IndicatorDefinition; reason?: string } => {
  const read = indicatorDefinition.safeParse(document);
  const why = reasonSchema.optional().safeParse(reason);
  const problems = [
    ...(read.error?.issues ?? []).flatMap(
      (issue) =>
        definitionProblem(issue, document) ?? zodProblems({ issues: [issue] }, document, { schema: indicatorDefinition }),
    ),
    ...(why.success ? [] : zodProblems(why.error, reason, { base: '/reason' })),
  ];
  if (!read.success || !why.success) throw refusedAll(422, problems);
  return { definition: read.data, ...(why.data !== undefined && { reason: why.data }) };
};

/** A definition as it is sent: the version is known here. The handler checks it; this schema only tells of it. */
const documentOf = (optional: readonly string[], more: Readonly<Record<string, unknown>> = {}) => {
  const { $schema: _, ...schema } = z.toJSONSchema(indicatorDefinition, { io: 'input', unrepresentable: 'any' });
  return z.looseObject({}).meta({
    ...schema,
    properties: { ...schema.properties, ...more },
    required: schema.required?.filter((field) => !optional.includes(field)) ?? [],
  } as never);
};

const view = (definition: IndicatorDefinition) => ({ ...definition, hash: definitionHash(definition) });
const indicatorSchema = z.looseObject({ code: z.string(), version: z.int(), name: bilingualSchema, hash: z.string() });
const oneSchema = indicatorSchema.extend({
  state: z.enum(['in-force', 'withdrawn']),
  withdrawnFor: z.string().optional(),
  shipped: z.boolean().meta({ description: 'its version 1 came with the program' }),
  revision: z.int().meta({ description: '-1: no event yet' }),
  versions: z.array(
    z.object({
      version: z.int(),
      hash: z.string(),
      validFrom: z.string(),
      position: positionSchema.optional(),
      recordedAt: z.string().optional(),
      reason: z.string().optional(),
    }),
  ),
});

const versionView = ({ definition, event, reason }: Version) => ({
  version: definition.version,
  hash: definitionHash(definition),
  validFrom: definition.validFrom,
  ...(event && { position: wirePosition(event.position), recordedAt: event.recordedAt }),
  ...(reason !== undefined && { reason }),
});

const conflict = (code: string, detail: Text, value: string): HttpProblem =>
  refused({ code, detail, pointer: '/code', value }, 409);

/**
 * The definitions that a query may name: those in force when it asks about. What else is wrong with it is the grammar's to say, so
 * that what can't be read here is passed over.
 */
export const indicatorsFor = async (
  call: Call,
  source: URLSearchParams | Readonly<Record<string, unknown>>,
): Promise<IndicatorDefinition[]> => {
  const given = (name: string): string | undefined => {
    const value = source instanceof URLSearchParams ? source.get(name) : source[name];
    return value === undefined || value === null ? undefined : String(value).trim();
  };
  const awaited = asOfQuery.shape.asOfPosition.safeParse(given('minPosition'));
  if (awaited.data !== undefined) await call.waitFor(awaited.data);
  const asked = asOfQuery.safeParse({ asOf: given('asOf'), asOfPosition: given('asOfPosition') });
  return [...(await call.engine.definitionsAt(asked.success ? await asOfPosition(call, asked.data) : undefined)).values()];
};

const own: readonly Route[] = [
  route({
    method: 'POST',
    path: '/indicators',
    tag,
    summary: register.steps['DefineIndicator']!.summary,
    body: documentOf(['version']),
    answers: written201,
    handler: async ({ body, decide }) => {
      const data = validated({ version: 1, ...body });
      const { code } = data.definition;
      if (shippedOf(code))
        throw conflict(
          'indicator-exists',
          {
            zh: `${code} 是随程序提供的指标;请另取代码,或 POST ${at(code)}/revisions 修订它`,
            en: `${code} came with the program; take another code, or revise it: POST ${at(code)}/revisions`,
          },
          code,
        );
      return written(code, at(code), await decide(register.name, code, [{ type: 'DefineIndicator', data }]));
    },
  }),
  route({
    method: 'POST',
    path: '/indicators/{code}/revisions',
    tag,
    summary: register.steps['ReviseIndicator']!.summary,
    params: codeParam,
    body: documentOf(['code', 'version'], { reason: { type: 'string', maxLength: 500 } }),
    ifMatch: 'required',
    answers: written201,
    handler: async (call) => {
      const { code } = call.params;
      const { reason, ...document } = call.body as Record<string, unknown>;
      const found = await known(call.engine, code);
      if (!found) throw await notKnown(call, code);
      const version = found.versions.at(-1)!.definition.version + 1;
      const data = validated({ code, version, ...document }, reason);
      if (data.definition.code !== code)
        throw refused({
          code: 'code-differs',
          detail: { zh: `代码应与地址一致:${code}`, en: `the code is that of the address: ${code}` },
          pointer: '/code',
          value: data.definition.code,
          allowed: [code],
        });
      return written(code, at(code), await call.decide(register.name, code, [{ type: 'ReviseIndicator', data }]));
    },
  }),
  route({
    method: 'POST',
    path: '/indicators/{code}/withdrawal',
    tag,
    summary: register.steps['WithdrawIndicator']!.summary,
    params: codeParam,
    body: register.steps['WithdrawIndicator']!.schema as z.ZodType,
    ifMatch: 'required',
    answers: written201,
    handler: async (call) => {
      const { code } = call.params;
      const found = await known(call.engine, code);
      if (!found) throw await notKnown(call, code);
      if (found.shipped)
        throw conflict(
          'indicator-is-shipped',
          {
            zh: `${code} 是随程序提供的指标,不能撤回;可用 POST ${at(code)}/revisions 修订`,
            en: `${code} came with the program and can't be withdrawn; it can be revised: POST ${at(code)}/revisions`,
          },
          code,
        );
      return written(code, at(code), await call.decide(register.name, code, [{ type: 'WithdrawIndicator', data: call.body }]));
    },
  }),
  route({
    method: 'GET',
    path: '/indicators',
    tag,
    summary: { zh: '指标定义目录:随程序提供的与自行定义的', en: 'Indicator definitions in force: those shipped, and your own' },
    query: page.extend(asOfQuery.shape),
    answers: json200(listOf(indicatorSchema), { zh: '按代码排序', en: 'by code' }),
    handler: async (call) => {
      const inForce = await call.engine.definitionsAt(await asOfPosition(call as Call, call.query));
      return paged(call as never, [...inForce.values()].map(view), ({ code }) => code);
    },
  }),
  route({
    method: 'GET',
    path: '/indicators/{code}',
    tag,
    summary: { zh: '一个指标的定义及其各版本', en: 'One indicator definition, and its versions' },
    params: codeParam,
    query: asOfQuery.extend({ version: z.coerce.number().int().min(1).optional() }),
    answers: json200(oneSchema, { zh: '定义及其哈希', en: 'the definition and its hash' }),
    handler: async (call) => {
      const { code } = call.params;
      const position = await asOfPosition(call as Call, call.query);
      const found = await known(call.engine, code, position);
      if (!found) throw await notKnown(call, code, position);
      const { state, versions, shipped, revision, last } = found;
      const wanted = call.query.version;
      const chosen = wanted === undefined ? versions.at(-1) : versions.find(({ definition }) => definition.version === wanted);
      if (!chosen) {
        const allowed = versions.map(({ definition: { version } }) => `${version}`);
        const detail = {
          zh: `${code} 没有版本 ${wanted};有 ${allowed.join('、')}`,
          en: `${code} has no version ${wanted}; there are ${allowed.join(', ')}`,
        };
        throw refused({ code: 'version-not-found', detail, pointer: '/version', value: wanted, allowed });
      }
      return {
        status: 200,
        body: {
          ...view(chosen.definition),
          state: state.state,
          ...(state.withdrawnFor !== undefined && { withdrawnFor: state.withdrawnFor }),
          shipped,
          revision,
          ...(last && { position: wirePosition(last.position), changedAt: last.recordedAt }),
          versions: versions.map(versionView),
        },
        headers: { ETag: `"r${revision}"` },
      };
    },
  }),
];

/** The register's own board and timeline; the rest is answered above, for it must know what was shipped and what a definition is. */
const generic = routesOf(register as never).filter(({ path }) => /\/(board|timeline)$/.test(path));
const told = generic.map(
  (each): Route => ({
    ...each,
    handler: async (call) => {
      const { id } = call.params as { id?: string };
      // One that came with the program and was never touched is there, and nothing happened to it.
      const untouched = id !== undefined && (await known(call.engine, id))?.revision === UNTOUCHED;
      return untouched ? { status: 200, body: { data: [] }, headers: { ETag: `"r${UNTOUCHED}"` } } : each.handler(call);
    },
  }),
);

export const indicatorRoutes: readonly Route[] = [...own, ...told];
