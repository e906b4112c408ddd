import { z } from 'zod';
import { caseFile, NONE, problem, SAME, step, type FileState } from '../case-file';
import { bilingual, codeName, plainDate, text } from '../fields';

/** Members kept in one event; the others are counted. */
export const MOST_MEMBERS = 200;

const label = z.string().min(1).max(200);
const dims = z.record(z.string().max(64), label);
const figure = z.number().nullable();
const member = z.strictObject({
  id: text(64),
  dx: codeName,
  ou: codeName,
  dims,
  period: text(32),
  observed: z.number(),
  expected: figure,
});
/** What a detection run saw: the figures of the alert that leads its group, and those it stands for. */
const sighting = z.strictObject({
  kind: z.enum(['aberration', 'hazard-overdue']),
  dx: codeName,
  ou: codeName,
  dims,
  /** A day, an ISO week, or the deadline that passed. */
  period: text(32),
  since: plainDate,
  until: plainDate,
  observed: z.number(),
  expected: figure,
  upper: figure,
  excess: z.number(),
  p: figure,
  /** Adjusted for all that was looked at in the same run. */
  q: figure,
  severity: z.number(),
  certainty: z.number(),
  score: z.number(),
  method: codeName,
  why: bilingual.extend({ zh: text(500), en: text(500) }),
  members: z.array(member).max(MOST_MEMBERS),
  /** Members beyond those listed. */
  more: z.int().min(0),
  run: text(64),
  seenOn: plainDate,
  asOfPosition: z.string().regex(/^\d{1,19}$/),
});
const acknowledgement = z.strictObject({ by: text(100), acknowledgedOn: plainDate.optional(), note: text(2_000).optional() });
const dismissal = z.strictObject({ reason: text(500), by: text(100).optional(), dismissedOn: plainDate.optional() });
const action = z.strictObject({ evaluation: text(64), action: text(64) });

type Data<T extends z.ZodType> = z.infer<T>;
export type AlertSighting = Data<typeof sighting>;

export interface AlertState extends FileState, Partial<AlertSighting> {
  readonly state: 'none' | 'raised' | 'acknowledged' | 'action-opened' | 'dismissed';
  /** The day of the first run that saw it; `seenOn` is that of the last one that saw it differently. */
  readonly firstSeen?: string;
  readonly sightings?: number;
  readonly acknowledgement?: Data<typeof acknowledgement>;
  /** `observed`: what there was to see when it was dismissed. */
  readonly dismissal?: Data<typeof dismissal> & { readonly observed: number };
  readonly actions?: readonly Data<typeof action>[];
}

/** What makes a sighting another one: its counts. Expected counts, P values and scores drift with what else a run looked at. */
const countsOf = ({ observed, method, members = [], more }: Partial<AlertSighting>): string =>
  JSON.stringify([observed, method, more, members.map(({ id, observed: each }) => [id, each]).sort()]);

const seen = (state: AlertState, data: AlertSighting): AlertState => ({
  ...state,
  ...data,
  firstSeen: state.firstSeen ?? data.seenOn,
  sightings: (state.sightings ?? 0) + 1,
});

const OPEN = ['raised', 'acknowledged', 'action-opened'];
const alertStep = step<AlertState>();

/**
 * An alert (预警): raised by a detection run, acknowledged, answered by corrective actions or dismissed with a reason. Its id follows
 * from what it is about, so that two runs raise it once.
 */
export const alert = caseFile<AlertState>({
  name: 'alert',
  plural: 'alerts',
  title: { zh: '预警', en: 'alert' },
  initialState: { state: NONE },
  steps: {
    RaiseAlert: alertStep({
      summary: { zh: '探测发现', en: 'Seen by a detection run' },
      schema: sighting,
      internal: true,
      from: [NONE],
      leads: { AlertRaised: 'raised' },
    }),
    ReviseAlert: alertStep({
      summary: { zh: '再次探测时计数有变', en: 'Seen again with other counts' },
      schema: sighting,
      internal: true,
      from: [...OPEN, 'dismissed'],
      leads: { AlertRevised: SAME },
      rule: (data, state) =>
        countsOf(data) === countsOf(state)
          ? problem('alert-unchanged', '计数未变', 'it was seen with these counts already')
          : undefined,
    }),
    ReopenAlert: alertStep({
      summary: { zh: '驳回之后病例增多,重新打开', en: 'More cases than were dismissed: open again' },
      schema: sighting,
      internal: true,
      from: ['dismissed'],
      leads: { AlertReopened: 'raised' },
      rule: ({ observed }, { dismissal: dismissed }) =>
        observed > dismissed!.observed
          ? undefined
          : problem('alert-unchanged', '未多于驳回时', 'there are no more cases than were dismissed'),
    }),
    AcknowledgeAlert: alertStep({
      path: 'acknowledgement',
      summary: { zh: '确认收到', en: 'Acknowledge it' },
      schema: acknowledgement,
      from: ['raised'],
      leads: { AlertAcknowledged: 'acknowledged' },
    }),
    DismissAlert: alertStep({
      path: 'dismissal',
      summary: { zh: '驳回,须说明理由', en: 'Dismiss it, with the reason' },
      schema: dismissal,
      from: ['raised', 'acknowledged'],
      leads: { AlertDismissed: 'dismissed' },
    }),
    OpenAlertAction: alertStep({
      path: 'corrective-actions',
      summary: { zh: '在一个评估中开立纠正措施', en: 'Open a corrective action in an evaluation' },
      schema: action,
      from: OPEN,
      leads: { AlertActionOpened: 'action-opened' },
      rule: (data, { actions = [] }) =>
        actions.some((each) => each.evaluation === data.evaluation && each.action === data.action)
          ? problem(
              'action-exists',
              `已有纠正措施 ${data.action};再开一项请另给编号(action)`,
              `there is the corrective action ${data.action} already; give another one its own \`action\``,
              { pointer: '/action', value: data.action },
            )
          : undefined,
      unguarded: true,
    }),
  },
  folds: {
    AlertRaised: seen,
    AlertRevised: seen,
    AlertReopened: ({ dismissal: _, ...state }, data: AlertSighting) => seen(state, data),
    AlertAcknowledged: (state, data: Data<typeof acknowledgement>) => ({ ...state, acknowledgement: data }),
    AlertDismissed: (state, data: Data<typeof dismissal>) => ({ ...state, dismissal: { ...data, observed: state.observed! } }),
    AlertActionOpened: (state, data: Data<typeof action>) => ({ ...state, actions: [...(state.actions ?? []), data] }),
  },
  facets: ({ ou, dx, since }) => ({ community: ou, kind: dx, day: since }),
  references: { evaluation: 'evaluation' },
  occurred: ['seenOn', 'acknowledgedOn', 'dismissedOn'],
});

const outcome = z.strictObject({
  /** On the calendar of the configured time zone. */
  day: plainDate,
  trigger: z.enum(['schedule', 'request']),
  from: plainDate,
  to: plainDate,
  asOfPosition: z.string().regex(/^\d{1,19}$/),
  /** Judgements made, series that could not be judged, and what was found; `rest` is what the cap left out. */
  tests: z.int().min(0),
  notLooked: z.int().min(0),
  groups: z.int().min(0),
  alerts: z.int().min(0),
  rest: z.strictObject({ groups: z.int().min(0), alerts: z.int().min(0) }),
  raised: z.array(text(64)).max(1_000),
  revised: z.array(text(64)).max(1_000),
  unchanged: z.int().min(0),
});
export type DetectionOutcome = Data<typeof outcome>;

export interface DetectionRunState extends FileState, Partial<DetectionOutcome> {
  readonly state: 'none' | 'completed';
}

/** One run of the detection (预警探测) and what came of it: the one of a day's schedule has that day as its id. */
export const detectionRun = caseFile<DetectionRunState>({
  name: 'detection-run',
  plural: 'detection-runs',
  title: { zh: '预警探测', en: 'detection run' },
  initialState: { state: NONE },
  steps: {
    CompleteDetectionRun: step<DetectionRunState>()({
      summary: { zh: '一次探测完成(由本程序写入)', en: 'A run completed (written by the program itself)' },
      schema: outcome,
      internal: true,
      from: [NONE],
      leads: { DetectionRunCompleted: 'completed' },
    }),
  },
  folds: { DetectionRunCompleted: (state, data: DetectionOutcome) => ({ ...state, ...data }) },
  facets: ({ day, trigger }) => ({ day, kind: trigger }),
  occurred: ['day'],
});
