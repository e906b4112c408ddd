import { caseFiles, NONE, type CaseFile, type FileState } from '@vigil/domain';
import type { RecordedEvent } from '@vigil/event-log';
import { deterministicId, fingerprint, localDate } from '@vigil/vocabulary';
import { z } from 'zod';
import { keepable } from '../dispatch';
import { rawBody } from '../http/body';
import { HttpProblem } from '../http/problem';
import { idempotencyKeyOf, mediaTypeOf } from '../http/request';
import { checked, notFound, refuseIdentities } from '../http/validate';
import { wirePosition } from '../queries';
import { route, type Answer, type Call, type Route } from '../route';
import { json200, listOf, nextUrl, written, written201 } from './answers';
import { asOfPosition, asOfQuery } from './as-of';
import { withWarnings } from './references';
import { timelineOf, timelineSchema } from './timeline';

const idParam = z.object({ id: z.string().regex(/^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/) });
const day = z.iso.date();
const listQuery = asOfQuery.extend({
  state: z.string().max(64).optional().meta({ description: 'a state, or `overdue`' }),
  community: z.string().max(64).optional(),
  kind: z.string().max(64).optional(),
  from: day.optional(),
  to: day.optional(),
});

const today = (call: Call): string => localDate(new Date().toISOString(), call.engine.config.timeZone);

const shown = (file: CaseFile, id: string, state: FileState, now: string): Record<string, unknown> => {
  const { due } = file.facets(state);
  return { id, ...state, ...file.derived?.(state), ...(due !== undefined && { due, overdue: due < now }) };
};

interface Folded {
  readonly state: FileState;
  readonly events: readonly RecordedEvent[];
}
/** Folded from its stream: never behind a write. */
const foldedTo = async (call: Call, file: CaseFile, id: string, at: bigint | undefined): Promise<Folded> => {
  const events = (await call.engine.log.readStream(file.streamOf(id))).filter(
    ({ position }) => at === undefined || position <= at,
  );
  if (events.length === 0)
    throw notFound(
      {
        zh: at === undefined ? `没有${file.title.zh} ${id}` : `位置 ${at} 时没有${file.title.zh} ${id}`,
        en: at === undefined ? `there is no ${file.title.en} ${id}` : `there was no ${file.title.en} ${id} at position ${at}`,
      },
      `${file.name}-not-found`,
    );
  const state = events.reduce((before, event) => file.decider.evolve(before, file.read(event)), file.initialState);
  return { state, events };
};

const timeline = (file: CaseFile, events: readonly RecordedEvent[]) =>
  timelineOf(
    {
      initialState: file.initialState,
      evolve: file.decider.evolve,
      read: file.read,
      fieldsOf: (state) => state as FileState & Record<string, unknown>,
      occurred: file.occurred ?? [],
    },
    events,
  );

const fileSchema = z.looseObject({ id: z.string(), state: z.string(), revision: z.int() });
const countSchema = z.object({
  community: z.string().nullable(),
  kind: z.string().nullable(),
  state: z.string(),
  files: z.int(),
  overdue: z.int(),
});

const list = async (
  call: Call<unknown, z.output<typeof listQuery> & { cursor?: string; limit: number }>,
  file: CaseFile,
): Promise<Answer> => {
  const { state, community, kind, from, to, cursor, limit } = call.query;
  const states = new Set(
    Object.values(file.steps).flatMap(({ from: allowed, leads }) => [...allowed, ...Object.values(leads).flat()]),
  );
  if (state !== undefined && state !== 'overdue' && (state === NONE || !states.has(state))) {
    const allowed = [...[...states].filter((each) => each !== NONE && each !== '='), 'overdue'];
    const detail = { zh: `没有状态 ${state}`, en: `there is no state ${state}` };
    throw new HttpProblem(400, 'unknown-state', detail, {
      errors: [{ code: 'unknown-state', detail, pointer: '/state', value: state, allowed }],
    });
  }
  const after = cursor === undefined ? undefined : Buffer.from(cursor, 'base64url').toString('utf8');
  const now = today(call as Call);
  const rows = await call.engine.readModels.files({
    register: file.name,
    state,
    community,
    kind,
    from,
    to,
    asOfPosition: await asOfPosition(call as Call, call.query),
    today: now,
    after,
    limit: limit + 1,
  });
  const data = rows.slice(0, limit).map(({ id, revision, body }) => ({ ...shown(file, id, body, now), revision }));
  if (rows.length <= limit) return { status: 200, body: { data } };
  const next = Buffer.from(rows[limit - 1]!.id, 'utf8').toString('base64url');
  return { status: 200, body: { data, next }, headers: { Link: `<${nextUrl(call, { cursor: next })}>; rel="next"` } };
};

const STREAM = 'application/x-ndjson';
const MOST_BYTES = 32 << 20;

/** The items of an NDJSON body; blank lines are none. @throws HttpProblem naming the line */
const linesOf = (body: Buffer): unknown[] =>
  body
    .toString('utf8')
    .split('\n')
    .flatMap((line, index): unknown[] => {
      if (line.trim() === '') return [];
      try {
        return [JSON.parse(line)];
      } catch {
        const detail = { zh: `第 ${index + 1} 行不是 JSON`, en: `line ${index + 1} is not JSON` };
        throw new HttpProblem(400, 'malformed-json', detail, { errors: [{ code: 'malformed-json', detail, row: index + 1 }] });
      }
    });

const wholeOf = async (body: AsyncIterable<Uint8Array>): Promise<Buffer> => {
  const chunks: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of body) {
    if ((size += chunk.length) > MOST_BYTES)
      throw new HttpProblem(413, 'body-too-large', {
        zh: `请求体超过 ${MOST_BYTES >> 20} MB;请分批发送`,
        en: `the body is larger than ${MOST_BYTES >> 20} MB; send it in parts`,
      });
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
};

/** Fields of a schema: an organisation's `name` is no person's, and strict schemas have no field for one. */
const fieldsOf = (schema: z.ZodType): string[] => Object.keys((schema as Partial<z.ZodObject>).shape ?? {});

/** A command to a file that exists. Parts of its path fill fields of its data; an array may come as lines. */
const commandRoute = (file: CaseFile, type: string): Route => {
  const { name, plural, steps } = file;
  const { path, summary, schema, lines, unguarded } = steps[type]!;
  const filled = [...path!.matchAll(/\{(\w+)\}/g)].map(([, field]) => field!);
  const full = schema as z.ZodObject;
  const rest = filled.length > 0 ? full.omit(Object.fromEntries(filled.map((field) => [field, true])) as never) : full;
  const ofPath = (text: string): string | number => (/^\d{1,9}$/.test(text) ? Number(text) : text);
  return route({
    method: 'POST',
    path: `/${plural}/{id}/${path}`,
    tag: plural,
    summary,
    params: idParam.extend(Object.fromEntries(filled.map((field) => [field, z.string().max(64)]))),
    ...(lines ? { takes: { types: [STREAM] }, idempotent: 'by-handler' as const } : { refusesIdentities: fieldsOf(full) }),
    body: rest as z.ZodType,
    ifMatch: unguarded ? 'optional' : 'required',
    answers: written201,
    handler: async (call) => {
      const { params, body, request, engine, commandId, decide } = call as Call;
      const { id, ...parts } = params as { id: string } & Record<string, string>;
      const own = Object.fromEntries(Object.entries(parts).map(([field, text]) => [field, ofPath(text)]));
      const send = async (data: Record<string, unknown>, key: string): Promise<Answer> => {
        const items = lines ? (data[lines.field] as unknown[]) : [];
        const commands: unknown[] = [];
        if (!lines) commands.push(checked(schema as z.ZodType, { ...data, ...own }, 422));
        else
          for (let n = 0; n < Math.max(items.length, 1); n += lines.perEvent)
            commands.push(
              checked(schema as z.ZodType, { ...data, ...own, [lines.field]: items.slice(n, n + lines.perEvent) }, 422),
            );
        const given = commands.map((each) => ({ type, data: each }));
        const answer = written(id, `/api/v1/${plural}/${id}`, await decide(name, id, given, undefined, key));
        return withWarnings(call as Call, file, data, answer);
      };
      if (!lines) return send(body as Record<string, unknown>, commandId);
      const isStream = mediaTypeOf(request.headers) === STREAM;
      const bytes = isStream ? await wholeOf(body as AsyncIterable<Uint8Array>) : rawBody(request);
      const data = isStream ? { [lines.field]: linesOf(bytes) } : (body as Record<string, unknown>);
      refuseIdentities(data);
      const key = idempotencyKeyOf(request.headers);
      if (key === undefined) return send(data, commandId);
      const {
        headers,
        body: text,
        status,
        replayed,
      } = await engine.idempotency.once(
        { scope: `POST ${request.url.split('?')[0]}`, key, fingerprint: fingerprint(bytes) },
        async (bound) => keepable(await send(data, bound)),
      );
      return {
        status,
        text,
        type: 'application/json; charset=utf-8',
        headers: { ...headers, ...(replayed && { 'Idempotency-Replayed': 'true' }) },
      };
    },
  });
};

/**
 * What the id of a file that doesn't name itself is made of. Of an Idempotency-Key and the body: sent again after the key is
 * forgotten, the file is found and not made a second time.
 */
const idPartsOf = (request: Call['request'], commandId: string): string[] => {
  const key = idempotencyKeyOf(request.headers);
  return key === undefined ? [commandId] : [key, fingerprint(rawBody(request))];
};

/** A register's commands, lists, board and timelines, made from the file's own definition. */
export const routesOf = (file: CaseFile): Route[] => {
  const { name, plural, title, steps } = file;
  const tag = plural;
  const at = (id: string): string => `/api/v1/${plural}/${id}`;
  const given = Object.entries(steps).filter(([, { internal }]) => !internal);
  const commands = given.map(
    ([type, { path, summary, schema }]): Route =>
      path === undefined
        ? route({
            method: 'POST',
            path: `/${plural}`,
            tag,
            summary,
            body: schema as z.ZodType,
            refusesIdentities: fieldsOf(schema as z.ZodType),
            answers: written201,
            handler: async (call) => {
              const { body, request, commandId, decide } = call;
              const id = file.idOf?.(body as never) ?? deterministicId(name, ...idPartsOf(request, commandId));
              const answer = written(id, at(id), await decide(name, id, [{ type, data: body }]));
              return withWarnings(call, file, body, answer);
            },
          })
        : commandRoute(file, type),
  );
  return [
    ...commands,
    route({
      method: 'GET',
      path: `/${plural}`,
      tag,
      summary: { zh: `${title.zh}清单`, en: `The register: ${title.en}` },
      query: listQuery.extend({
        cursor: z.string().max(512).optional(),
        limit: z.coerce.number().int().min(1).max(10_000).default(100),
      }),
      answers: json200(listOf(fileSchema), { zh: '按编号排序', en: 'by id' }),
      handler: (call) => list(call as never, file),
    }),
    route({
      method: 'GET',
      path: `/${plural}/board`,
      tag,
      summary: { zh: `${title.zh}看板:按社区、类别和状态计数`, en: `The board: ${title.en} by community, kind and state` },
      query: listQuery,
      answers: json200(listOf(countSchema), { zh: '件数与逾期件数', en: 'files, and overdue ones' }),
      handler: async (call) => {
        const { state, community, kind, from, to } = call.query;
        const data = await call.engine.readModels.fileCounts({
          register: name,
          state,
          community,
          kind,
          from,
          to,
          asOfPosition: await asOfPosition(call as Call, call.query),
          today: today(call as Call),
          limit: 0,
        });
        return { status: 200, body: { data } };
      },
    }),
    route({
      method: 'GET',
      path: `/${plural}/{id}`,
      tag,
      summary: { zh: `一个${title.zh}`, en: `One ${title.en}` },
      params: idParam,
      query: asOfQuery,
      answers: json200(fileSchema, { zh: '现在,或当时所知', en: 'as it stands, or as it was known' }),
      handler: async (call) => {
        const { id } = call.params;
        const { state, events } = await foldedTo(call as Call, file, id, await asOfPosition(call as Call, call.query));
        const last = events.at(-1)!;
        return {
          status: 200,
          body: {
            ...shown(file, id, state, today(call as Call)),
            revision: last.revision,
            position: wirePosition(last.position),
            recordedAt: events[0]!.recordedAt,
            changedAt: last.recordedAt,
            allowed: file.allowedIn(state.state).map((command) => steps[command]!.path ?? plural),
          },
          headers: { ETag: `"r${last.revision}"` },
        };
      },
    }),
    route({
      method: 'GET',
      path: `/${plural}/{id}/timeline`,
      tag,
      summary: { zh: `一个${title.zh}的全部事件,两种时间`, en: `Everything that happened to it, on both clocks` },
      params: idParam,
      query: asOfQuery,
      answers: json200(timelineSchema, { zh: '按修订号排序', en: 'by revision' }),
      handler: async (call) => {
        const { id } = call.params;
        const { events } = await foldedTo(call as Call, file, id, await asOfPosition(call as Call, call.query));
        return {
          status: 200,
          body: { data: timeline(file, events) },
          headers: { ETag: `"r${events.at(-1)!.revision}"` },
        };
      },
    }),
  ];
};

/** Every register of case files but those of indicators, whose lists hold those shipped as well, and of alerts, which are looked for. */
export const caseFileRoutes: readonly Route[] = caseFiles
  .filter(({ name }) => name !== 'indicator' && name !== 'alert')
  .flatMap(routesOf);
