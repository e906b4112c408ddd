import { alert as register, detectionRun, evaluation, type EvaluationState } from '@vigil/domain';
import { loadAggregate, type AggregateType } from '@vigil/event-log';
import { alertsIn, DETECTION_DEFAULTS, WATCHED, type Alert, type AlertGroup, type NotLooked } from '@vigil/indicators';
import { deterministicId, ok } from '@vigil/vocabulary';
import { z } from 'zod';
import { DEFAULT_LIMIT, lookForAlerts, runDetection, type Look, type LookOptions } from '../alerts';
import { problemItem, refused } from '../http/problem';
import { wirePosition } from '../queries';
import { route, type Call, type Route } from '../route';
import { bilingualSchema, json200, positionSchema, written, writtenSchema } from './answers';
import { asOfPosition, asOfQuery } from './as-of';
import { routesOf } from './case-files';
import { withWarnings } from './references';

const tag = register.plural;
/** Series listed by name that could not be judged; the others are counted. */
const MOST_NOT_LOOKED = 100;
const LOOK_MS = 120_000;

const day = z.iso.date();
const lookQuery = asOfQuery.extend({
  community: z.string().max(64).optional().meta({ description: 'this one and all below it' }),
  dx: z
    .string()
    .max(1_000)
    .optional()
    .meta({ description: `indicators, joined by \`;\`; absent: ${WATCHED.join(', ')} and overdue hazards (HAZ-02)` }),
  from: day.optional().meta({ description: 'first day judged; absent: six before `to`' }),
  to: day.optional().meta({ description: 'last day judged; absent: yesterday' }),
  ears: z.enum(['C1', 'C2', 'C3']).optional(),
  dismissed: z.stringbool().optional().meta({ description: 'true: dismissed ones too' }),
  limit: z.coerce.number().int().min(1).max(1_000).default(DEFAULT_LIMIT).meta({ description: 'groups; the rest is counted' }),
});

const figure = z.number().nullable();
const alertSchema = z.object({
  id: z.string(),
  kind: z.enum(['aberration', 'hazard-overdue']),
  dx: z.string(),
  ou: z.string(),
  dims: z.record(z.string(), z.string()),
  period: z.string(),
  since: z.string(),
  until: z.string(),
  observed: z.number(),
  expected: figure,
  upper: figure,
  excess: z.number(),
  p: figure,
  q: figure,
  severity: z.number(),
  certainty: z.number(),
  score: z.number(),
  method: z.string(),
  why: bilingualSchema,
});
const groupSchema = alertSchema.extend({
  state: z.string().meta({ description: '`new`: no run has raised it yet; else as on the register' }),
  firstSeen: z.string().optional(),
  revision: z.int().optional(),
  members: z.array(alertSchema),
});
const countsSchema = z.object({ groups: z.int(), alerts: z.int() });
const answerSchema = z.object({
  data: z.array(groupSchema),
  meta: z.looseObject({
    position: positionSchema,
    today: z.string(),
    from: z.string(),
    to: z.string(),
    found: countsSchema,
    rest: countsSchema,
    dismissed: countsSchema,
    tests: z.int(),
    fdr: z.number(),
    notLooked: z.object({
      series: z.int(),
      byCode: z.record(z.string(), z.int()),
      first: z.array(z.looseObject({ dx: z.string(), ou: z.string(), unit: z.string(), code: z.string(), detail: z.string() })),
    }),
    problems: z.array(z.looseObject({ code: z.string(), detail: z.string() })),
  }),
});

const alertView = ({ cases: _, ...alert }: Alert) => alert;

const groupView = async (group: AlertGroup, { standing }: Look) => {
  const file = await standing(group);
  return {
    ...alertView(group.lead),
    score: group.score,
    ...(file && { id: file.id }),
    state: file?.state.state ?? 'new',
    ...(file && { firstSeen: file.state.firstSeen, revision: file.revision }),
    members: group.members.map(alertView),
  };
};

const notLookedView = (all: readonly NotLooked[], { language }: Call) => {
  const byCode: Record<string, number> = {};
  for (const { code } of all) byCode[code] = (byCode[code] ?? 0) + 1;
  const first = all.slice(0, MOST_NOT_LOOKED).map(({ detail, ...each }) => ({ ...each, detail: detail[language] }));
  return { series: all.length, byCode, first };
};

const optionsOf = ({ dx, ...query }: { readonly dx?: string | undefined } & Omit<LookOptions, 'dx' | 'now'>): LookOptions => ({
  ...query,
  dx: dx?.split(';').map((code) => code.trim()),
  now: new Date(),
});

type Stream<S> = AggregateType<never, { type: string; data: unknown }, S>;

const { OpenAlertAction: opening } = register.steps;
const { AssignAction: assigning } = evaluation.steps;
const actionBody = (assigning!.schema as z.ZodObject)
  .omit({ alert: true })
  .extend({ evaluation: (opening!.schema as z.ZodObject<{ evaluation: z.ZodString }>).shape.evaluation });

/**
 * Two streams, in the order in which a broken-off try is mended by the next: the action in the evaluation, then the link from the
 * alert. The action's id follows from the alert, so that the next try finds it.
 */
const openAction = async (call: Call<{ id: string }, unknown, Record<string, unknown>>) => {
  const { id } = call.params;
  const { evaluation: cycle, ...assignment } = call.body as { evaluation: string; action?: string | number };
  const action = `${assignment.action ?? `alert-${id.slice(0, 8)}`}`;
  const link = { type: 'OpenAlertAction', data: { evaluation: cycle, action } };
  const { state } = await loadAggregate(call.engine.log, register as unknown as Stream<never>, id);
  const allowed = register.decider.decide(link, state);
  if (!allowed.ok) throw refused(allowed.problem);

  const command = { type: 'AssignAction', data: { ...assignment, action, alert: id } };
  const assigned = await call.decide('evaluation', cycle, [command]);
  if (!assigned.ok) {
    const { problem } = assigned;
    if (problem.code !== 'action-exists') {
      const missing = problem.code === 'evaluation-not-found' && { pointer: '/evaluation', value: cycle };
      throw refused({ ...problem, ...missing });
    }
    const file = await loadAggregate(call.engine.log, evaluation as unknown as Stream<EvaluationState>, cycle);
    const half = file.state.actions?.some((each) => each.id === action && each.alert === id);
    if (!half) throw refused(problem);
  }
  const linked = await call.decide('alert', id, [link], undefined, deterministicId(call.commandId, 'alert'));
  const answer = written(id, `/api/v1/evaluations/${cycle}`, linked);
  return withWarnings(call as Call, register as never, link.data, {
    ...answer,
    body: { ...(answer.body as object), evaluation: cycle, action },
  });
};

const own: readonly Route[] = [
  route({
    method: 'GET',
    path: '/alerts',
    tag,
    summary: {
      zh: '现在(或当时)有何异常:排序、归并、限量',
      en: 'What calls for attention now, or did then: ranked, grouped, capped',
    },
    query: lookQuery,
    deadlineMs: LOOK_MS,
    answers: json200(answerSchema, {
      zh: '按得分;每组以最重者为首,附其他成员;未列出的与无法判断的均有计数',
      en: 'by score; a group is led by its gravest, with its members; what is left out or could not be judged is counted',
    }),
    handler: async (call) => {
      const { asOf, asOfPosition: position, ...query } = call.query;
      const at = await asOfPosition(call, { asOf, asOfPosition: position });
      const look = await lookForAlerts(call.engine, optionsOf({ ...query, position: at }));
      const data = [];
      for (const group of look.shown) data.push(await groupView(group, look));
      return {
        status: 200,
        body: {
          data,
          meta: {
            position: wirePosition(look.position),
            today: look.today,
            from: look.from,
            to: look.to,
            found: { groups: look.groups, alerts: look.alerts },
            rest: look.rest,
            dismissed: { groups: look.dismissed.length, alerts: alertsIn(look.dismissed) },
            tests: look.tests,
            fdr: DETECTION_DEFAULTS.fdr,
            notLooked: notLookedView(look.notLooked, call as Call),
            problems: look.problems.map((problem) => problemItem(problem, call.language)),
          },
        },
      };
    },
  }),
  route({
    method: 'POST',
    path: '/alerts/{id}/corrective-actions',
    tag,
    summary: opening!.summary,
    params: z.object({ id: z.string().max(64) }),
    body: actionBody,
    answers: {
      201: {
        schema: writtenSchema.extend({ evaluation: z.string(), action: z.string() }),
        about: { zh: '纠正措施已列入评估,预警已注明', en: 'the action stands in the evaluation, and the alert names it' },
      },
    },
    handler: (call) => openAction(call as never),
  }),
  route({
    method: 'POST',
    path: '/detection-runs',
    tag: detectionRun.plural,
    summary: { zh: '立即探测,并登记所见', en: 'Look now, and put what is seen on the register' },
    body: z.strictObject({ from: day.optional(), to: day.optional(), limit: z.int().min(1).max(1_000).optional() }),
    bodyOptional: true,
    deadlineMs: LOOK_MS,
    answers: {
      201: {
        schema: writtenSchema.extend({ raised: z.array(z.string()), revised: z.array(z.string()), unchanged: z.int() }).loose(),
        about: { zh: '已登记;再次运行只记录变化', en: 'recorded; run again, only what has changed is' },
      },
    },
    handler: async (call) => {
      const id = deterministicId('detection-run', call.commandId);
      const { outcome, done } = await runDetection(call.engine, { ...call.body, id, trigger: 'request', now: new Date() });
      const answer = written(id, `/api/v1/detection-runs/${id}`, done.ok ? ok(done.value) : done);
      return { ...answer, body: { ...outcome, ...(answer.body as object) } };
    },
  }),
];

const LIST = '/alerts';
/** Of the register: the list has an address of its own, for `GET /alerts` looks anew. */
const ofRegister = routesOf(register as never)
  .filter(({ path }) => path !== '/alerts/{id}/corrective-actions')
  .map((each): Route => (each.path === LIST ? { ...each, path: '/alerts/raised' } : each));

export const alertRoutes: readonly Route[] = [...own, ...ofRegister];
