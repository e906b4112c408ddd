import { aggregates, injuryCommands, injuryId, injuryRecord, type InjuryState } from '@vigil/domain';
import { z } from 'zod';
import { HttpProblem } from '../http/problem';
import { notFound } from '../http/validate';
import { linksOf } from '../queries';
import { route, type Call, type Route } from '../route';
import { json200, positionSchema, written, written201 } from './answers';
import { asOfPosition, asOfQuery } from './as-of';
import { timelineOf, timelineSchema } from './timeline';

const tag = 'injuries';
const idParam = z.object({ id: z.uuid().toLowerCase() });
const at = (id: string): string => `/api/v1/injuries/${id}`;

const missing = (id: string, at?: bigint): HttpProblem =>
  notFound(
    {
      zh: at === undefined ? `没有伤害记录 ${id}` : `位置 ${at} 时没有伤害记录 ${id}`,
      en: at === undefined ? `there is no injury record ${id}` : `there was no injury record ${id} at position ${at}`,
    },
    'injury-not-found',
  );

/** A record's fields, its state and its links: what a timeline tells the changes of. */
const fieldsOf = (state: InjuryState): Record<string, unknown> & { state: string } => {
  if (state.status === 'none') return { state: state.status };
  const links = linksOf(state);
  return { state: state.status, ...state.record, ...(links.length > 0 && { links }) };
};

/** Reported over this API, a record needs no number of its own: the command's id serves, so that a repeat is the same record. */
const reportBody = injuryRecord.extend({
  feed: injuryRecord.shape.feed.default('api'),
  recordId: injuryRecord.shape.recordId.optional(),
});

type ChangeType = 'CorrectInjury' | 'UpdateInjuryOutcome' | 'RetractInjury';

const change = (name: string, type: ChangeType, zh: string, en: string): Route =>
  route({
    method: 'POST',
    path: `/injuries/{id}/${name}`,
    tag,
    summary: { zh, en },
    params: idParam,
    body: injuryCommands[type] as z.ZodType,
    refusesIdentities: true,
    ifMatch: 'required',
    answers: written201,
    handler: async ({ params: { id }, body, decide }) =>
      written(id, at(id), await decide('injury', id, [{ type, data: body } as never])),
  });

/** The other report must be there: a link to nothing would count a person away. */
const requireOther = async (call: Call, other: string): Promise<void> => {
  if (!(await call.ask('injury', { id: other })))
    throw new HttpProblem(
      404,
      'injury-not-found',
      { zh: `没有要关联的伤害记录 ${other}`, en: `there is no injury record ${other} to link to` },
      {
        errors: [
          {
            code: 'injury-not-found',
            detail: { zh: '没有这条伤害记录', en: 'there is no such injury record' },
            pointer: '/other',
            value: other,
          },
        ],
      },
    );
};

export const injuryRoutes: readonly Route[] = [
  route({
    method: 'POST',
    path: '/injuries',
    tag,
    summary: { zh: '上报一例伤害', en: 'Report an injury' },
    body: reportBody,
    refusesIdentities: true,
    answers: written201,
    handler: async ({ body, commandId, decide }) => {
      const data = { ...body, recordId: body.recordId ?? commandId };
      const id = injuryId(data.feed, data.recordId);
      return written(id, at(id), await decide('injury', id, [{ type: 'ReportInjury', data }], { feed: data.feed }));
    },
  }),
  route({
    method: 'GET',
    path: '/injuries/{id}',
    tag,
    summary: { zh: '一例伤害', en: 'One injury' },
    params: idParam,
    query: asOfQuery,
    answers: json200(
      z.object({
        id: z.uuid(),
        status: z.enum(['reported', 'retracted']),
        revision: z.int(),
        position: positionSchema,
        record: injuryRecord,
        canonical: z.record(z.string(), z.string()),
        links: z.array(z.object({ other: z.uuid(), linked: z.boolean(), decidedBy: z.enum(['automatic', 'manual']) })),
        recordedAt: z.string(),
        changedAt: z.string(),
      }),
      {
        zh: '现在,或当时所知;来源代码与标准代码并列',
        en: 'as it stands, or as it was known; the source’s codes, and the canonical ones beside them',
      },
    ),
    handler: async (call) => {
      const { id } = call.params;
      const at = await asOfPosition(call as Call, call.query);
      const found = await call.ask('injury', { id, at });
      if (!found) throw missing(id, at);
      return { status: 200, body: found, headers: { ETag: `"r${found.revision}"` } };
    },
  }),
  route({
    method: 'GET',
    path: '/injuries/{id}/timeline',
    tag,
    summary: { zh: '一例伤害的全部事件,两种时间', en: 'Everything that happened to the record, on both clocks' },
    params: idParam,
    query: asOfQuery,
    answers: json200(timelineSchema, { zh: '按修订号排序', en: 'by revision' }),
    handler: async (call) => {
      const { id } = call.params;
      const at = await asOfPosition(call as Call, call.query);
      const events = await call.ask('injuryEvents', { id, at });
      if (events.length === 0) throw missing(id, at);
      const { decider, read } = aggregates.injury;
      const shown = {
        initialState: decider.initialState,
        evolve: decider.evolve as (state: InjuryState, event: { type: string; data: unknown }) => InjuryState,
        read,
        fieldsOf,
        occurred: ['occurredAt', 'asOf'],
      };
      return {
        status: 200,
        body: { data: timelineOf(shown, events) },
        headers: { ETag: `"r${events.at(-1)!.revision}"` },
      };
    },
  }),
  change('corrections', 'CorrectInjury', '更正:写明取代的字段和理由', 'Correct: the fields replaced and why'),
  change('outcomes', 'UpdateInjuryOutcome', '补报结局', 'Report the outcome established later'),
  change('retraction', 'RetractInjury', '撤回:写明理由', 'Retract, saying why'),
  route({
    method: 'POST',
    path: '/injuries/{id}/links',
    tag,
    summary: { zh: '与另一来源的同一人同一事件关联', en: 'Link to another report of the same person and event' },
    params: idParam,
    body: injuryCommands.LinkInjury,
    refusesIdentities: true,
    ifMatch: 'required',
    answers: written201,
    handler: async (call) => {
      const { params, body, decide } = call;
      await requireOther(call as Call, body.other);
      return written(params.id, at(params.id), await decide('injury', params.id, [{ type: 'LinkInjury', data: body }]));
    },
  }),
  route({
    method: 'POST',
    path: '/injuries/{id}/links/{other}/removal',
    tag,
    summary: { zh: '解除关联', en: 'Undo a link' },
    params: idParam.extend({ other: z.uuid().toLowerCase() }),
    body: injuryCommands.UnlinkInjury.omit({ other: true }),
    refusesIdentities: true,
    ifMatch: 'required',
    answers: written201,
    handler: async (call) => {
      const { params, body, decide } = call;
      await requireOther(call as Call, params.other);
      const data = { ...body, other: params.other };
      return written(params.id, at(params.id), await decide('injury', params.id, [{ type: 'UnlinkInjury', data }]));
    },
  }),
];
