import { z } from 'zod';
import { caseFile, isBefore, NONE, problem, SAME, step, type FileState } from '../case-file';
import { codeName, dateOrInstant, plainDate, text } from '../fields';
import { programmeDomain } from '../programme';

const LEVELS = ['general', 'major', 'critical'] as const;

const identification = z.strictObject({
  community: codeName,
  domain: programmeDomain,
  description: text(2_000),
  identifiedAt: dateOrInstant,
  placeId: text(64).optional(),
  inspectionId: text(64).optional(),
  /** Who found it: an organisation's code. */
  identifiedBy: codeName.optional(),
});
const classification = z.strictObject({
  level: z.enum(LEVELS),
  /** The class file it is kept in (分类建档). */
  classFile: text(100).optional(),
});
const order = z.strictObject({ responsible: text(200), deadline: plainDate, measures: text(2_000).optional() });
const extension = z.strictObject({ deadline: plainDate, reason: text(500) });
const completion = z.strictObject({ completedAt: dateOrInstant, note: text(2_000).optional() });
const verification = z.strictObject({
  result: z.enum(['passed', 'rejected']),
  verifiedAt: dateOrInstant,
  verifiedBy: codeName.optional(),
  note: text(2_000).optional(),
});
const reopening = z.strictObject({ reason: text(500), reopenedAt: dateOrInstant.optional() });
const withdrawal = z.strictObject({ reason: text(500) });
const listing = z.strictObject({
  /** Who supervises: a district office, a fire brigade. */
  by: text(200),
  listedAt: plainDate,
  reason: text(500).optional(),
});

type Data<T extends z.ZodType> = z.infer<T>;

export interface HazardState extends FileState {
  readonly state: 'none' | 'identified' | 'ordered' | 'rectified' | 'verified' | 'reopened' | 'withdrawn';
  readonly identification?: Data<typeof identification>;
  readonly level?: (typeof LEVELS)[number];
  readonly classFile?: string;
  readonly responsible?: string;
  readonly deadline?: string;
  /** Of the first order: extensions and later orders never hide it. */
  readonly originalDeadline?: string;
  readonly extensions?: number;
  readonly completedAt?: string;
  readonly verifiedAt?: string;
  readonly rejections?: number;
  readonly reopenings?: number;
  readonly supervision?: Data<typeof listing>;
}

const OPEN = ['identified', 'ordered', 'rectified', 'reopened'];
const hazardStep = step<HazardState>();

const notBefore = (what: string, zh: string, day: string | undefined, earliest: string | undefined, since: string) =>
  isBefore(day, earliest)
    ? problem('date-too-early', `${zh}(${day})早于 ${earliest}`, `${what} (${day}) is before ${since} (${earliest})`, {
        pointer: `/${what}`,
        value: day,
      })
    : undefined;

/** A hazard (隐患): found, classified and filed, ordered to be rectified, rectified, verified; perhaps rejected or reopened. */
export const hazard = caseFile<HazardState>({
  name: 'hazard',
  plural: 'hazards',
  title: { zh: '隐患', en: 'hazard' },
  initialState: { state: NONE },
  steps: {
    IdentifyHazard: hazardStep({
      summary: { zh: '登记一处隐患', en: 'Record a hazard' },
      schema: identification,
      from: [NONE],
      leads: { HazardIdentified: 'identified' },
    }),
    ClassifyHazard: hazardStep({
      path: 'classification',
      summary: { zh: '定级(一般、较大、重大)并分类建档', en: 'Classify and file it' },
      schema: classification,
      from: OPEN,
      leads: { HazardClassified: SAME },
    }),
    OrderRectification: hazardStep({
      path: 'rectification-orders',
      summary: { zh: '责令整改:责任单位与期限', en: 'Order its rectification: who, until when' },
      schema: order,
      from: ['identified', 'ordered', 'reopened'],
      leads: { RectificationOrdered: 'ordered' },
      rule: ({ deadline }, { identification: found }) =>
        notBefore('deadline', '整改期限', deadline, found?.identifiedAt, 'the hazard was found'),
    }),
    ExtendDeadline: hazardStep({
      path: 'deadline-extensions',
      summary: { zh: '延期;原期限保留', en: 'Extend the deadline; the original one is kept' },
      schema: extension,
      from: ['ordered'],
      leads: { DeadlineExtended: SAME },
      rule: ({ deadline }, { deadline: current }) =>
        deadline > current!
          ? undefined
          : problem('not-an-extension', `新期限应晚于 ${current}`, `an extension is later than ${current}`, {
              pointer: '/deadline',
              value: deadline,
            }),
    }),
    CompleteRectification: hazardStep({
      path: 'rectifications',
      summary: { zh: '整改完成', en: 'Rectification completed' },
      schema: completion,
      from: ['identified', 'ordered', 'reopened'],
      leads: { RectificationCompleted: 'rectified' },
      rule: ({ completedAt }, { identification: found }) =>
        notBefore('completedAt', '完成时间', completedAt, found?.identifiedAt, 'the hazard was found'),
    }),
    VerifyRectification: hazardStep({
      path: 'verifications',
      summary: { zh: '复查:通过或退回', en: 'Verify: passed or rejected' },
      schema: verification,
      from: ['rectified'],
      leads: { RectificationVerified: 'verified', RectificationRejected: 'ordered' },
      choose: ({ result }) => (result === 'passed' ? 'RectificationVerified' : 'RectificationRejected'),
      rule: ({ verifiedAt }, { completedAt }) => notBefore('verifiedAt', '复查时间', verifiedAt, completedAt, 'it was completed'),
    }),
    ReopenHazard: hazardStep({
      path: 'reopenings',
      summary: { zh: '复发,重新打开', en: 'Reopen: it is back' },
      schema: reopening,
      from: ['verified'],
      leads: { HazardReopened: 'reopened' },
    }),
    WithdrawHazard: hazardStep({
      path: 'withdrawal',
      summary: { zh: '撤销:登记有误', en: 'Withdraw: it was recorded wrongly' },
      schema: withdrawal,
      from: OPEN,
      leads: { HazardWithdrawn: 'withdrawn' },
    }),
    ListForSupervision: hazardStep({
      path: 'supervision-listings',
      summary: { zh: '挂牌督办', en: 'List it for supervision' },
      schema: listing,
      from: OPEN,
      leads: { HazardListedForSupervision: SAME },
    }),
  },
  folds: {
    HazardIdentified: (state, data: Data<typeof identification>) => ({ ...state, identification: data }),
    HazardClassified: (state, { level, classFile }: Data<typeof classification>) => ({
      ...state,
      level,
      ...(classFile !== undefined && { classFile }),
    }),
    RectificationOrdered: (state, { responsible, deadline }: Data<typeof order>) => ({
      ...state,
      responsible,
      deadline,
      originalDeadline: state.originalDeadline ?? deadline,
    }),
    DeadlineExtended: (state, { deadline }: Data<typeof extension>) => ({
      ...state,
      deadline,
      extensions: (state.extensions ?? 0) + 1,
    }),
    RectificationCompleted: (state, { completedAt }: Data<typeof completion>) => ({ ...state, completedAt }),
    RectificationVerified: (state, { verifiedAt }: Data<typeof verification>) => ({ ...state, verifiedAt }),
    RectificationRejected: (state) => ({ ...state, completedAt: undefined, rejections: (state.rejections ?? 0) + 1 }),
    HazardReopened: (state) => ({
      ...state,
      completedAt: undefined,
      verifiedAt: undefined,
      deadline: undefined,
      reopenings: (state.reopenings ?? 0) + 1,
    }),
    HazardWithdrawn: (state) => state,
    HazardListedForSupervision: (state, data: Data<typeof listing>) => ({ ...state, supervision: data }),
  },
  facets: ({ state, identification: found, deadline }) => ({
    community: found?.community,
    kind: found?.domain,
    day: found?.identifiedAt,
    due: state === 'ordered' || state === 'reopened' ? deadline : undefined,
  }),
  references: { placeId: 'place', inspectionId: 'inspection', identifiedBy: 'organisation', verifiedBy: 'organisation' },
  occurred: ['identifiedAt', 'completedAt', 'verifiedAt', 'reopenedAt', 'listedAt'],
});
