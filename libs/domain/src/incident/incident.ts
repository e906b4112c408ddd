import { deterministicId } from '@vigil/vocabulary';
import { z } from 'zod';
import { caseFile, isBefore, NONE, problem, SAME, step, type FileState } from '../case-file';
import { codeName, plainDate, replaced, say, text } from '../fields';
import { injuryRef, summaryOf, type Casualty } from './casualty';
import { faultOf, incidentReplacement, incidentReport, replaceable, type IncidentReport } from './report';

const reason = text(500);
const correction = z.strictObject({
  replaces: incidentReplacement.refine(
    (fields) => Object.keys(fields).length > 0,
    say('nothing-to-replace', '没有写明要更正的字段', 'the correction names no field to replace'),
  ),
  reason,
});
const attachment = z.strictObject({ injuryId: injuryRef, casualtyId: codeName.optional() });
const detachment = z.strictObject({ injuryId: injuryRef, reason });
const mediation = z.strictObject({
  outcome: z.enum(['agreed', 'failed']),
  on: plainDate,
  /** The code of the organisation that mediated; never a person. */
  by: codeName.optional(),
  note: text(2_000).optional(),
});
const escalation = z.strictObject({
  /** Who takes it now: a court, a police station. */
  to: text(200),
  on: plainDate,
  reason,
  /** What it became: 民转刑 is `criminal`. */
  nature: z.enum(['criminal', 'public-order', 'civil-suit', 'arbitration', 'petition', 'other']).optional(),
});
const retraction = z.strictObject({ reason });

type Data<T extends z.ZodType> = z.infer<T>;
type Attached = Data<typeof attachment>;

export interface IncidentState extends FileState {
  readonly state: 'none' | 'reported' | 'settled' | 'unsettled' | 'escalated' | 'retracted';
  /** As reported and corrected. Which injury records belong to it stands in `injuries`. */
  readonly report?: IncidentReport;
  readonly injuries?: readonly Attached[];
  readonly corrections?: number;
  readonly mediations?: readonly Data<typeof mediation>[];
  readonly escalations?: readonly Data<typeof escalation>[];
}

const STANDING = ['reported', 'settled', 'unsettled', 'escalated'];
const incidentStep = step<IncidentState>();

const namedIn = (casualties: readonly Casualty[] = []): Attached[] =>
  casualties.flatMap(({ id, injuryId }) => (injuryId === undefined ? [] : [{ injuryId, casualtyId: id }]));

/** Injuries that two casualties, or a casualty and an earlier attachment elsewhere, both lay claim to. */
const claimedTwice = (casualties: readonly Casualty[] | null | undefined, injuries: readonly Attached[], base: string) => {
  const seen = new Map(injuries.map(({ injuryId, casualtyId }) => [injuryId, casualtyId]));
  for (const [index, { id, injuryId }] of (casualties ?? []).entries()) {
    if (injuryId === undefined) continue;
    if (seen.has(injuryId) && seen.get(injuryId) !== id)
      return alreadyAttached(injuryId, seen.get(injuryId), `${base}/casualties/${index}/injuryId`);
    seen.set(injuryId, id);
  }
  return undefined;
};

const alreadyAttached = (injuryId: string, casualtyId: string | undefined, pointer: string) =>
  problem(
    'already-attached',
    `该伤害记录已关联到本事件${casualtyId === undefined ? '' : `的伤者 ${casualtyId}`};如有误请先移除`,
    `this injury is attached already${casualtyId === undefined ? '' : `, to casualty ${casualtyId}`}; remove it first if that is wrong`,
    { pointer, value: injuryId, allowed: [`injuries/${injuryId}/removal`] },
  );

/** Its report without the injuries, and those among its injuries. */
const withReport = (state: IncidentState, report: IncidentReport): IncidentState => {
  const { casualties } = report;
  const before = state.injuries ?? [];
  const named = namedIn(casualties).filter(({ injuryId }) => !before.some((one) => one.injuryId === injuryId));
  const injuries = [...before, ...named];
  return {
    ...state,
    report: casualties ? { ...report, casualties: casualties.map(({ injuryId: _, ...rest }) => rest) } : report,
    ...(injuries.length > 0 && { injuries }),
  };
};

/** Only a dispute is mediated or escalated, and not before it arose. */
const disputeOnly = (on: string, { report }: IncidentState) => {
  if (report!.kind !== 'dispute')
    return problem(
      'not-a-dispute',
      `只有纠纷(dispute)可以调解或升级;本事件为 ${report!.kind}`,
      `only a dispute is mediated or escalated; this is a ${report!.kind}`,
      { value: report!.kind, allowed: ['dispute'] },
    );
  const { occurredAt } = report!;
  return isBefore(on, occurredAt)
    ? problem('date-too-early', `日期 ${on} 早于纠纷发生(${occurredAt})`, `${on} is before the dispute arose (${occurredAt})`, {
        pointer: '/on',
        value: on,
        allowed: [`>= ${occurredAt!.slice(0, 10)}`],
      })
    : undefined;
};

/** An incident: a crash, a fire, a work accident, a burglary, a snatched bag, a dispute or a disaster. */
export const incident = caseFile<IncidentState>({
  name: 'incident',
  plural: 'incidents',
  title: { zh: '事件', en: 'incident' },
  initialState: { state: NONE },
  // The same feed and number are the same incident for ever.
  idOf: ({ feed = 'api', recordId }: IncidentReport) =>
    recordId === undefined ? undefined : deterministicId('incident', feed, recordId),
  steps: {
    ReportIncident: incidentStep({
      summary: { zh: '上报一起事件(事故、火灾、案件、纠纷、灾害),含伤者', en: 'Report an incident with its casualties' },
      schema: incidentReport,
      from: [NONE],
      leads: { IncidentReported: 'reported' },
      rule: (report) => faultOf(report) ?? claimedTwice(report.casualties, [], ''),
    }),
    CorrectIncident: incidentStep({
      path: 'corrections',
      summary: { zh: '更正:写明取代的字段和理由', en: 'Correct: the fields replaced and why' },
      schema: correction,
      from: STANDING,
      leads: { IncidentCorrected: SAME },
      rule: ({ replaces }, { report, injuries = [], mediations = [], escalations = [] }) => {
        const { kind } = report!;
        const allowed = replaceable(kind);
        const stranger = Object.keys(replaces).find((field) => !allowed.includes(field));
        if (stranger !== undefined)
          return problem('not-of-this-kind', `${kind} 没有字段 ${stranger}`, `a ${kind} has no field ${stranger}`, {
            pointer: `/replaces/${stranger}`,
            allowed,
          });
        const next = replaced(report!, replaces as Partial<IncidentReport>);
        const fault = faultOf(next, '/replaces') ?? claimedTwice(replaces.casualties, injuries, '/replaces');
        if (fault) return fault;
        const late = [...mediations, ...escalations].find(({ on }) => isBefore(on, next.occurredAt));
        if (late)
          return problem(
            'date-too-late',
            `发生时间(${next.occurredAt})晚于其调解或升级(${late.on})`,
            `it cannot have happened (${next.occurredAt}) after it was mediated or escalated (${late.on})`,
            { pointer: '/replaces/occurredAt', value: next.occurredAt, allowed: [`<= ${late.on}`] },
          );
        const left = injuries.find(
          ({ casualtyId }) => casualtyId !== undefined && !next.casualties?.some(({ id }) => id === casualtyId),
        );
        return left
          ? problem(
              'casualty-has-injuries',
              `伤者 ${left.casualtyId} 关联着伤害记录 ${left.injuryId};请先移除关联`,
              `casualty ${left.casualtyId} has the injury ${left.injuryId} attached; remove that first`,
              { pointer: '/replaces/casualties', value: left.casualtyId, allowed: [`injuries/${left.injuryId}/removal`] },
            )
          : undefined;
      },
    }),
    AttachInjury: incidentStep({
      path: 'injuries',
      summary: { zh: '关联一条伤害记录', en: 'Attach an injury record to it' },
      schema: attachment,
      from: STANDING,
      leads: { InjuryAttachedToIncident: SAME },
      rule: ({ injuryId, casualtyId }, { report, injuries = [] }) => {
        const before = injuries.find((one) => one.injuryId === injuryId);
        if (before) return alreadyAttached(injuryId, before.casualtyId, '/injuryId');
        const ids = (report!.casualties ?? []).map(({ id }) => id);
        return casualtyId === undefined || ids.includes(casualtyId)
          ? undefined
          : problem(
              'unknown-casualty',
              `没有伤者 ${casualtyId};已列出:${ids.join('、') || '(无)'}`,
              `there is no casualty ${casualtyId}; listed are ${ids.join(', ') || 'none'}`,
              { pointer: '/casualtyId', value: casualtyId, allowed: ids },
            );
      },
    }),
    DetachInjury: incidentStep({
      path: 'injuries/{injuryId}/removal',
      summary: { zh: '移除与一条伤害记录的关联', en: 'Remove an injury record from it' },
      schema: detachment,
      from: STANDING,
      leads: { InjuryDetachedFromIncident: SAME },
      rule: ({ injuryId }, { injuries = [] }) =>
        injuries.some((one) => one.injuryId === injuryId)
          ? undefined
          : problem('not-attached', '该伤害记录未关联到本事件', 'this injury is not attached to the incident', {
              pointer: '/injuryId',
              value: injuryId,
              allowed: injuries.map((one) => one.injuryId),
            }),
    }),
    MediateDispute: incidentStep({
      path: 'mediation',
      summary: { zh: '调解纠纷:达成或未达成', en: 'A dispute was mediated: agreed or failed' },
      schema: mediation,
      from: ['reported', 'settled', 'unsettled'],
      leads: { DisputeMediated: ['settled', 'unsettled'] },
      rule: ({ on }, state) => disputeOnly(on, state),
    }),
    EscalateDispute: incidentStep({
      path: 'escalation',
      summary: { zh: '纠纷升级:移交何处及理由(民转刑等)', en: 'A dispute was escalated: to whom and why' },
      schema: escalation,
      from: STANDING,
      leads: { DisputeEscalated: 'escalated' },
      rule: ({ on }, state) => disputeOnly(on, state),
    }),
    RetractIncident: incidentStep({
      path: 'retraction',
      summary: { zh: '撤回:写明理由', en: 'Retract: why' },
      schema: retraction,
      from: STANDING,
      leads: { IncidentRetracted: 'retracted' },
    }),
  },
  folds: {
    IncidentReported: (state, data: IncidentReport) => withReport(state, data),
    IncidentCorrected: (state, { replaces }: Data<typeof correction>) => ({
      ...withReport(state, replaced(state.report!, replaces as Partial<IncidentReport>)),
      corrections: (state.corrections ?? 0) + 1,
    }),
    InjuryAttachedToIncident: (state, data: Attached) => ({ ...state, injuries: [...(state.injuries ?? []), data] }),
    InjuryDetachedFromIncident: (state, { injuryId }: Data<typeof detachment>) => ({
      ...state,
      injuries: state.injuries!.filter((one) => one.injuryId !== injuryId),
    }),
    DisputeMediated: (state, data: Data<typeof mediation>) => ({
      ...state,
      state: data.outcome === 'agreed' ? 'settled' : 'unsettled',
      mediations: [...(state.mediations ?? []), data],
    }),
    DisputeEscalated: (state, data: Data<typeof escalation>) => ({
      ...state,
      escalations: [...(state.escalations ?? []), data],
    }),
    IncidentRetracted: (state) => state,
  },
  facets: ({ report }) => ({
    community: report?.community,
    kind: report?.kind,
    day: report?.occurredAt ?? report?.knownAt,
  }),
  references: {
    placeId: 'place',
    reportedBy: 'organisation',
    employer: 'organisation',
    by: 'organisation',
    injuryId: 'injury',
    'casualties.injuryId': 'injury',
    'replaces.placeId': 'place',
    'replaces.employer': 'organisation',
    'replaces.casualties.injuryId': 'injury',
  },
  occurred: ['occurredAt', 'on'],
  // Never stored: who corrects a casualty corrects these with it.
  derived: ({ report }) => (report?.casualties ? { summary: summaryOf(report.casualties) } : {}),
});
