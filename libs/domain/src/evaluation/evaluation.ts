import {
  criteriaSet,
  GRADES,
  isPeriodError,
  isRefusal,
  judgedCriteria,
  parsePeriods,
  pointsOf,
  scoreOf,
  type CriteriaSet,
  type Period,
  type Problem,
} from '@vigil/vocabulary';
import { z } from 'zod';
import { caseFile, isBefore, NONE, notAmong, problem, SAME, step, type FileState } from '../case-file';
import { codeName, plainDate, say, text } from '../fields';

/** `2026`, `2026-S1`, `2026-04-01/2027-03-31` …: one period that stays what it is, whatever the day. */
const fixedPeriod = (period: string): Period | undefined => {
  const found = parsePeriods(period, '');
  return !isPeriodError(found) && found.length === 1 ? found[0] : undefined;
};

const opening = z.strictObject({
  criteriaSet: codeName,
  communities: z.array(codeName).min(1).max(500),
  period: z
    .string()
    .max(32)
    .refine(
      (period) => fixedPeriod(period) !== undefined,
      say(
        'invalid-period',
        '评估期应为一个固定时期,如 2026、2026-S1 或 2026-04-01/2027-03-31',
        'the period is a fixed one, such as 2026, 2026-S1 or 2026-04-01/2027-03-31',
      ),
    ),
  openedOn: plainDate.optional(),
  /** The cycle before, whose carried-over findings start this one. */
  previous: text(64).optional(),
});
/** A number or a code of the caller's own. */
const label = z.union([codeName, z.number().int().min(1).max(999_999_999)]);
const target = z.strictObject({
  dx: codeName.optional(),
  criterion: codeName.optional(),
  community: codeName.optional(),
  value: z.number(),
  direction: z.enum(['at-most', 'at-least']),
  baseline: z.number().optional(),
});
const evidence = z.discriminatedUnion('kind', [
  /** An address below `/api/v1`, and the position it was read at. */
  z.strictObject({
    kind: z.literal('query'),
    query: z
      .string()
      .regex(/^\/[a-z][!-~]{0,998}$/, say('invalid-query', '查询应为 /api/v1 之下的地址', 'a query is an address below /api/v1')),
    asOfPosition: z.union([z.number().int().min(0), z.string().regex(/^\d{1,19}$/)]).optional(),
  }),
  z.strictObject({ kind: z.literal('file-hash'), title: text(200), sha256: z.string().regex(/^[0-9a-f]{64}$/) }),
  /** A file of a register: `{register: "hazard", id}`. */
  z.strictObject({ kind: z.literal('aggregate'), register: codeName, id: text(64) }),
]);
const grade = z.enum(GRADES);
const judgement = z.strictObject({
  criterion: codeName,
  /** 有无 */
  exists: grade,
  /** 痕迹 */
  traced: grade,
  /** 效果 */
  effective: grade,
  /** Where the set gives points: what the grades earn. May be left out. */
  score: z.number().min(0).max(10_000).optional(),
  evidence: z.array(evidence).max(100).optional(),
  judgedBy: text(100),
  judgedOn: plainDate.optional(),
  note: text(2_000).optional(),
});
const finding = z.strictObject({
  /** Absent: it is numbered, F-1, F-2 … */
  finding: label.optional(),
  criterion: codeName.optional(),
  text: text(2_000),
  /** An observation needs no action. */
  severity: z.enum(['observation', 'minor', 'major']),
  raisedOn: plainDate.optional(),
});
const assignment = z.strictObject({
  /** Absent: it is numbered, A-1, A-2 … */
  action: label.optional(),
  finding: label.optional(),
  /** Of an aberration that called for it. */
  alert: text(64).optional(),
  text: text(2_000),
  responsible: text(200),
  deadline: plainDate,
});
const completion = z.strictObject({ action: label, completedOn: plainDate, note: text(2_000).optional() });
const verification = z.strictObject({
  action: label,
  verifiedOn: plainDate,
  verifiedBy: text(100).optional(),
  note: text(2_000).optional(),
});
const closure = z.strictObject({ closedOn: plainDate, reason: text(500).optional() });

type Data<T extends z.ZodType> = z.infer<T>;
type Target = Data<typeof target>;
type Judgement = Data<typeof judgement>;
export interface Finding extends Omit<Data<typeof finding>, 'finding'> {
  readonly id: string;
}
export interface CorrectiveAction extends Omit<Data<typeof assignment>, 'action' | 'finding'> {
  readonly id: string;
  readonly finding?: string;
  readonly completedOn?: string;
  readonly verifiedOn?: string;
}

export interface EvaluationState extends FileState, Partial<Data<typeof opening>> {
  readonly state: 'none' | 'open' | 'closed';
  /** `original`: what was aimed at before it was changed. */
  readonly targets?: readonly (Target & { readonly original?: number })[];
  /** The last of each criterion. */
  readonly judgements?: readonly Judgement[];
  readonly findings?: readonly Finding[];
  readonly actions?: readonly CorrectiveAction[];
  readonly closedOn?: string;
  /** What was open when the cycle was closed: where the next one starts. */
  readonly carriedOver?: { readonly findings: readonly string[]; readonly actions: readonly string[]; readonly reason: string };
}

const idsOf = (list: readonly { readonly id: string }[] = []): string[] => list.map(({ id }) => id);
/** The id that was given, or the first number that is free. */
const numbered = (given: string | number | undefined, letter: string, taken: readonly string[]): string => {
  if (given !== undefined) return `${given}`;
  for (let n = taken.length + 1; ; n++) if (!taken.includes(`${letter}-${n}`)) return `${letter}-${n}`;
};

const unverified = ({ actions = [] }: EvaluationState): string[] =>
  actions.filter(({ verifiedOn }) => verifiedOn === undefined).map(({ id }) => id);
/** A finding is open until it has a corrective action and each of them is verified. */
const unanswered = ({ findings = [], actions = [] }: EvaluationState): string[] =>
  findings
    .filter(({ id, severity }) => {
      const own = actions.filter((action) => action.finding === id);
      return severity !== 'observation' && !(own.length > 0 && own.every(({ verifiedOn }) => verifiedOn !== undefined));
    })
    .map(({ id }) => id);

const setOf = ({ criteriaSet: code }: EvaluationState): CriteriaSet | undefined => {
  const set = criteriaSet(code ?? '');
  return isRefusal(set) ? undefined : set;
};
const CRITERION = { zh: '评定指标', en: 'criterion' };
const allCriteria = (set: CriteriaSet | undefined): string[] =>
  (set?.criteria ?? []).flatMap((each) => [each.code, ...(each.criteria ?? []).map(({ code }) => code)]);
const unknownCriterion = (code: string, state: EvaluationState): Problem | undefined => {
  const codes = allCriteria(setOf(state));
  return codes.includes(code) ? undefined : notAmong('unknown-criterion', CRITERION, code, codes, '/criterion');
};
const actionOf = (id: string | number, { actions = [] }: EvaluationState): CorrectiveAction | undefined =>
  actions.find((action) => action.id === `${id}`);
const unknownAction = (id: string | number, { actions }: EvaluationState): Problem =>
  notAmong('action-not-found', { zh: '纠正措施', en: 'corrective action' }, `${id}`, idsOf(actions), '/action');
const tooEarly = (pointer: string, day: string, earliest: string | undefined, zh: string, en: string): Problem | undefined =>
  isBefore(day, earliest)
    ? problem('date-too-early', `${day} 早于${zh}(${earliest})`, `${day} is before ${en} (${earliest})`, { pointer, value: day })
    : undefined;
const taken = (code: string, id: string, pointer: string): Problem =>
  problem(code, `编号 ${id} 已用过`, `${id} is taken already`, { pointer, value: id });
const withAction = (
  state: EvaluationState,
  id: string | number,
  change: Pick<CorrectiveAction, 'completedOn' | 'verifiedOn'>,
): EvaluationState => ({
  ...state,
  actions: state.actions!.map((action) => (action.id === `${id}` ? { ...action, ...change } : action)),
});

const evaluationStep = step<EvaluationState>();
const OPEN = ['open'];
/** Corrective actions that were carried over go on after the closure. */
const ALWAYS = ['open', 'closed'];

/**
 * An evaluation cycle (动态评估、持续改进): a criteria set over some communities and a period; targets, judgements by 有无 / 痕迹 /
 * 效果, findings, and corrective actions until each is verified. Snapshots of the figures (SnapshotTaken, SnapshotSuperseded) are not
 * part of it yet.
 */
export const evaluation = caseFile<EvaluationState>({
  name: 'evaluation',
  plural: 'evaluations',
  title: { zh: '评估', en: 'evaluation' },
  initialState: { state: NONE },
  steps: {
    OpenCycle: evaluationStep({
      summary: { zh: '开始一个评估周期', en: 'Open an evaluation cycle' },
      schema: opening,
      from: [NONE],
      leads: { CycleOpened: 'open' },
      rule: ({ criteriaSet: code, communities }) => {
        const set = criteriaSet(code);
        if (isRefusal(set)) return { ...set, pointer: '/criteriaSet' };
        const again = communities.findIndex((each, at) => communities.indexOf(each) !== at);
        return again < 0
          ? undefined
          : problem('repeated', `${communities[again]} 出现了两次`, `${communities[again]} stands there twice`, {
              pointer: `/communities/${again}`,
              value: communities[again],
            });
      },
    }),
    SetTarget: evaluationStep({
      path: 'targets',
      summary: { zh: '设定目标;再次设定时保留原值', en: 'Set a target; set again, its original value is kept' },
      schema: target,
      from: OPEN,
      leads: { TargetSet: SAME },
      rule: ({ dx, criterion, community }, state) => {
        if ((dx === undefined) === (criterion === undefined))
          return problem(
            'target-of-what',
            '目标应针对一个 dx 或一个 criterion',
            'a target is of a dx or of a criterion, of one of them',
            {
              pointer: dx === undefined ? '/dx' : '/criterion',
              allowed: ['dx', 'criterion'],
            },
          );
        if (community !== undefined && !state.communities!.includes(community))
          return notAmong(
            'unknown-community',
            { zh: '受评社区', en: 'community of this cycle' },
            community,
            state.communities!,
            '/community',
          );
        return criterion === undefined ? undefined : unknownCriterion(criterion, state);
      },
    }),
    JudgeCriterion: evaluationStep({
      path: 'judgements',
      summary: { zh: '评判一项指标:有无、痕迹、效果,附证据', en: 'Judge a criterion: exists, traced, effective, with evidence' },
      schema: judgement,
      from: OPEN,
      leads: { CriterionJudged: SAME },
      rule: (data, state) => {
        const unknown = unknownCriterion(data.criterion, state);
        if (unknown) return unknown;
        const set = setOf(state)!;
        const second = set.criteria.find(({ code }) => code === data.criterion)?.criteria;
        if (second)
          return problem(
            'judged-by-its-parts',
            `${data.criterion} 由其二级指标评判`,
            `${data.criterion} is judged by its second level`,
            { pointer: '/criterion', value: data.criterion, allowed: second.map(({ code }) => code) },
          );
        if (data.traced !== 'no' && (data.evidence ?? []).length === 0)
          return problem('evidence-missing', '有痕迹即应列出证据', 'what is traced has evidence', {
            pointer: '/evidence',
            allowed: ['query', 'file-hash', 'aggregate'],
          });
        const points = pointsOf(set, data);
        if (data.score === undefined || data.score === points) return undefined;
        return points === undefined
          ? problem('score-without-points', `${set.code} 不计分`, `${set.code} gives no points`, {
              pointer: '/score',
              value: data.score,
            })
          : problem('score-differs', `所评等级应得 ${points} 分`, `these grades earn ${points} points`, {
              pointer: '/score',
              value: data.score,
              allowed: [`${points}`],
            });
      },
    }),
    RaiseFinding: evaluationStep({
      path: 'findings',
      summary: { zh: '提出发现的问题', en: 'Raise a finding' },
      schema: finding,
      from: OPEN,
      leads: { FindingRaised: SAME },
      rule: ({ finding: id, criterion }, state) =>
        id !== undefined && idsOf(state.findings).includes(`${id}`)
          ? taken('finding-exists', `${id}`, '/finding')
          : criterion === undefined
            ? undefined
            : unknownCriterion(criterion, state),
    }),
    AssignAction: evaluationStep({
      path: 'corrective-actions',
      summary: { zh: '指派纠正措施:责任人与期限', en: 'Assign a corrective action: who, until when' },
      schema: assignment,
      from: OPEN,
      leads: { CorrectiveActionAssigned: SAME },
      rule: ({ action, finding: of }, { actions, findings }) => {
        if (action !== undefined && idsOf(actions).includes(`${action}`)) return taken('action-exists', `${action}`, '/action');
        return of === undefined || idsOf(findings).includes(`${of}`)
          ? undefined
          : notAmong('unknown-finding', { zh: '发现', en: 'finding' }, `${of}`, idsOf(findings), '/finding');
      },
    }),
    CompleteAction: evaluationStep({
      path: 'corrective-actions/{action}/completion',
      summary: { zh: '纠正措施完成', en: 'A corrective action completed' },
      schema: completion,
      from: ALWAYS,
      leads: { CorrectiveActionCompleted: SAME },
      rule: ({ action: id }, state) => {
        const action = actionOf(id, state);
        if (!action) return unknownAction(id, state);
        return action.verifiedOn === undefined
          ? undefined
          : problem('not-allowed-now', `${id} 已于 ${action.verifiedOn} 验证`, `${id} was verified on ${action.verifiedOn}`, {
              pointer: '/action',
              value: id,
              allowed: unverified(state),
            });
      },
    }),
    VerifyAction: evaluationStep({
      path: 'corrective-actions/{action}/verification',
      summary: { zh: '验证纠正措施', en: 'A corrective action verified' },
      schema: verification,
      from: ALWAYS,
      leads: { CorrectiveActionVerified: SAME },
      rule: ({ action: id, verifiedOn }, state) => {
        const action = actionOf(id, state);
        if (!action) return unknownAction(id, state);
        if (action.completedOn === undefined || action.verifiedOn !== undefined)
          return problem(
            'not-allowed-now',
            action.verifiedOn === undefined ? `${id} 尚未完成` : `${id} 已于 ${action.verifiedOn} 验证`,
            action.verifiedOn === undefined ? `${id} is not completed yet` : `${id} was verified on ${action.verifiedOn}`,
            { pointer: '/action', value: id, allowed: action.verifiedOn === undefined ? ['completion'] : unverified(state) },
          );
        return tooEarly('/verifiedOn', verifiedOn, action.completedOn, '完成之日', 'it was completed');
      },
    }),
    CloseCycle: evaluationStep({
      path: 'closure',
      summary: {
        zh: '结束评估;未了事项须说明理由并转入下一周期',
        en: 'Close the cycle; what is open is carried over, with a reason',
      },
      schema: closure,
      from: OPEN,
      leads: { CycleClosed: 'closed' },
      rule: ({ closedOn, reason }, state) => {
        const left = [...unanswered(state), ...unverified(state)];
        if (left.length > 0 && reason === undefined)
          return problem(
            'open-items',
            `尚有未了事项:${left.join('、')};请先验证纠正措施,或注明转入下一周期的理由(reason)`,
            `still open are ${left.join(', ')}: verify their corrective actions, or give the reason why they are carried over`,
            { pointer: '/reason', allowed: left },
          );
        return tooEarly('/closedOn', closedOn, state.openedOn, '开始之日', 'it was opened');
      },
    }),
  },
  folds: {
    CycleOpened: (state, data: Data<typeof opening>) => ({ ...state, ...data }),
    TargetSet: (state, data: Target) => {
      const { targets = [] } = state;
      const same = (each: Target): boolean =>
        each.dx === data.dx && each.criterion === data.criterion && each.community === data.community;
      const before = targets.find(same);
      const after = before ? { ...data, original: before.original ?? before.value } : data;
      return { ...state, targets: before ? targets.map((each) => (same(each) ? after : each)) : [...targets, after] };
    },
    CriterionJudged: (state, data: Judgement) => ({
      ...state,
      judgements: [...(state.judgements ?? []).filter(({ criterion }) => criterion !== data.criterion), data],
    }),
    FindingRaised: (state, { finding: id, ...data }: Data<typeof finding>) => {
      const { findings = [] } = state;
      return { ...state, findings: [...findings, { id: numbered(id, 'F', idsOf(findings)), ...data }] };
    },
    CorrectiveActionAssigned: (state, { action: id, finding: of, ...data }: Data<typeof assignment>) => {
      const { actions = [] } = state;
      const one = { id: numbered(id, 'A', idsOf(actions)), ...(of !== undefined && { finding: `${of}` }), ...data };
      return { ...state, actions: [...actions, one] };
    },
    CorrectiveActionCompleted: (state, { action: id, completedOn }: Data<typeof completion>) =>
      withAction(state, id, { completedOn }),
    CorrectiveActionVerified: (state, { action: id, verifiedOn }: Data<typeof verification>) =>
      withAction(state, id, { verifiedOn }),
    CycleClosed: (state, { closedOn, reason }: Data<typeof closure>) => {
      const [findings, actions] = [unanswered(state), unverified(state)];
      const open = findings.length + actions.length > 0;
      return { ...state, closedOn, ...(open && { carriedOver: { findings, actions, reason: reason! } }) };
    },
  },
  facets: ({ communities, criteriaSet: code, period, actions = [] }) => ({
    community: communities?.length === 1 ? communities[0] : undefined,
    communities,
    kind: code,
    day: period === undefined ? undefined : fixedPeriod(period)!.start,
    due: actions
      .filter(({ completedOn, verifiedOn }) => completedOn === undefined && verifiedOn === undefined)
      .map(({ deadline }) => deadline)
      .sort()[0],
  }),
  occurred: ['openedOn', 'judgedOn', 'raisedOn', 'completedOn', 'verifiedOn', 'closedOn'],
  derived: (state) => {
    const set = setOf(state);
    if (!set) return {};
    const { judgements = [] } = state;
    const points = new Map(judgements.map((each) => [each.criterion, pointsOf(set, each) ?? 0]));
    const score = scoreOf(set, points);
    return {
      judged: { criteria: judgements.length, of: judgedCriteria(set).length },
      ...(score && { score }),
      open: { findings: unanswered(state), actions: unverified(state) },
    };
  },
});
