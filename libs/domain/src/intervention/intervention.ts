import { isPlainDate, type Problem } from '@vigil/vocabulary';
import { z } from 'zod';
import { caseFile, isBefore, NONE, notAmong, problem, SAME, step, type FileState } from '../case-file';
import { codeName, plainDate, text } from '../fields';
import { programmeDomain } from '../programme';

export const ACTIVITY_KINDS = ['training', 'drill', 'publicity', 'exchange', 'joint-meeting', 'pledge'] as const;
/** The five entries (五进: 企业、学校、机关、社区、家庭), and where else safety is brought. */
export const SETTINGS = ['enterprise', 'school', 'institution', 'community', 'household', 'village', 'public-place'] as const;
/** Activities that reach people somewhere; the others are held among organisations. */
const REACHES: readonly string[] = ['training', 'drill', 'publicity', 'pledge'];

const units = z.array(codeName).max(500);
const persons = z.number().int().min(0).max(10_000_000);

const design = z.strictObject({
  name: text(200),
  domain: programmeDomain,
  targetGroup: text(200),
  /** Indicators (`dx`) by which its effect is told. */
  outcomes: z.array(codeName).min(1).max(20),
  /** Communities that get it. */
  units: units.min(1),
  /** Communities that don't, to compare with. */
  comparison: units.optional(),
  /** Months after a start that count for neither side. */
  washOutMonths: z.number().int().min(0).max(60).optional(),
  description: text(2_000).optional(),
  leader: codeName.optional(),
});
const pilotSite = z.strictObject({ unit: codeName, reason: text(500) });
const start = z.strictObject({ unit: codeName, startedOn: plainDate });
const activity = z.strictObject({
  kind: z.enum(ACTIVITY_KINDS),
  setting: z.enum(SETTINGS).optional(),
  heldOn: plainDate,
  unit: codeName.optional(),
  topic: text(200).optional(),
  /** Persons who came (人次), by group; `expected` where it was known who should. */
  attendance: z
    .array(z.strictObject({ group: text(64), persons, expected: persons.optional() }))
    .max(100)
    .optional(),
  /** Departments that took part. */
  organisations: z.array(codeName).max(200).optional(),
  /** Safety pledges (安全责任状) signed, by the day they run out. */
  pledges: z
    .array(
      z.strictObject({ count: z.number().int().min(1).max(1_000_000), expiresOn: plainDate, signedBy: text(200).optional() }),
    )
    .min(1)
    .max(1_000)
    .optional(),
});
const rollOut = z.strictObject({ units: units.min(1), startedOn: plainDate });
const interval = z.strictObject({ level: z.number().gt(0).lt(100), low: z.number(), high: z.number() });
const effect = z.strictObject({
  dx: codeName,
  method: z.enum(['rr', 'did', 'its', 'survey', 'other']),
  /** A ratio, or a difference in the indicator's own unit. */
  measure: z.enum(['ratio', 'difference']).optional(),
  estimate: z.number(),
  interval,
  measuredAt: plainDate,
  note: text(2_000).optional(),
});
const sustained = effect.extend({ months: z.union([z.literal(12), z.literal(24)]), unit: codeName.optional() });
const closure = z.strictObject({ closedOn: plainDate, reason: text(500).optional() });

type Data<T extends z.ZodType> = z.infer<T>;
type Effect = Data<typeof effect>;
type Tally = Readonly<Record<string, number>>;

export interface InterventionState extends FileState {
  readonly state: 'none' | 'designed' | 'started' | 'rolled-out' | 'closed';
  readonly design?: Data<typeof design>;
  readonly pilots?: readonly Data<typeof pilotSite>[];
  /** Each unit's own start; of a comparison unit, the day until which it can be compared with. */
  readonly starts?: Readonly<Record<string, string>>;
  /** Units that joined by a roll-out. */
  readonly rolledOut?: readonly string[];
  /** How many activities, by kind and by setting; persons by group; pledges by the day they run out. */
  readonly activities?: { readonly kinds: Tally; readonly settings: Tally; readonly attendance: Tally; readonly pledges: Tally };
  readonly effects?: readonly Effect[];
  readonly sustained?: readonly Data<typeof sustained>[];
  readonly closedOn?: string;
}

const NO_ACTIVITIES = { kinds: {}, settings: {}, attendance: {}, pledges: {} };
const plus = (tally: Tally, key: string | undefined, by: number): Tally =>
  key === undefined ? tally : { ...tally, [key]: (Object.hasOwn(tally, key) ? tally[key]! : 0) + by };

/** The same day so many months later; of a shorter month its last. */
const monthsAfter = (day: string, months: number): string => {
  const [year, month, date] = day.split('-').map(Number) as [number, number, number];
  const index = year * 12 + month - 1 + months;
  const start = `${Math.floor(index / 12)}`.padStart(4, '0') + `-${`${(index % 12) + 1}`.padStart(2, '0')}-`;
  return [date, 30, 29, 28].map((each) => start + `${each}`.padStart(2, '0')).find(isPlainDate)!;
};
const first = (days: readonly string[]): string | undefined => [...days].sort()[0];

const twice = (values: readonly string[]): string | undefined => values.find((value, at) => values.indexOf(value) !== at);
const repeated = (value: string, pointer: string): Problem =>
  problem('repeated', `${value} 出现了两次`, `${value} stands there twice`, { pointer, value });
const tooEarly = (pointer: string, day: string, earliest: string, zh: string, en: string): Problem | undefined =>
  isBefore(day, earliest)
    ? problem('date-too-early', `${day} 早于${zh}(${earliest})`, `${day} is before ${en} (${earliest})`, { pointer, value: day })
    : undefined;

const knownUnits = ({ design, starts = {} }: InterventionState): string[] => [
  ...new Set([...design!.units, ...Object.keys(starts)]),
];
const alreadyStarted = (unit: string, pointer: string, { design, starts = {} }: InterventionState): Problem =>
  problem('already-started', `${unit} 已于 ${starts[unit]} 启动`, `${unit} started on ${starts[unit]} already`, {
    pointer,
    value: unit,
    allowed: design!.units.filter((each) => !Object.hasOwn(starts, each)),
  });
const UNIT = { zh: '实施单位', en: 'unit of the intervention' };
const OUTCOME = { zh: '结果指标', en: 'outcome indicator' };

/** What a measured effect must fit. */
const measured = (data: Effect, { design, starts = {} }: InterventionState): Problem | undefined => {
  const { dx, estimate, interval, measuredAt } = data;
  if (!design!.outcomes.includes(dx)) return notAmong('unknown-outcome', OUTCOME, dx, design!.outcomes, '/dx');
  if (!(interval.low <= estimate && estimate <= interval.high))
    return problem(
      'interval-without-estimate',
      `估计值 ${estimate} 应在区间 ${interval.low}–${interval.high} 之内`,
      `the estimate ${estimate} lies within its interval ${interval.low} to ${interval.high}`,
      { pointer: '/interval', value: estimate },
    );
  const began = first(Object.values(starts))!;
  const counted = monthsAfter(began, design!.washOutMonths ?? 0);
  return tooEarly('/measuredAt', measuredAt, counted, '启动并过洗脱期之日', 'the start and its wash-out');
};

const interventionStep = step<InterventionState>();
const OPEN = ['designed', 'started', 'rolled-out'];
const STARTED = ['started', 'rolled-out'];

/**
 * A safety promotion project (安全促进项目): designed, piloted, started unit by unit, rolled out (试点先行、以点带面), its activities
 * held, its effect recorded, and measured again at 12 and 24 months (长效机制).
 */
export const intervention = caseFile<InterventionState>({
  name: 'intervention',
  plural: 'interventions',
  title: { zh: '安全促进项目', en: 'intervention' },
  initialState: { state: NONE },
  steps: {
    DesignIntervention: interventionStep({
      summary: { zh: '设计一个安全促进项目', en: 'Design an intervention' },
      schema: design,
      from: [NONE],
      leads: { InterventionDesigned: 'designed' },
      rule: (data) => {
        for (const field of ['outcomes', 'units', 'comparison'] as const) {
          const again = twice(data[field] ?? []);
          if (again !== undefined) return repeated(again, `/${field}`);
        }
        const both = data.comparison?.find((unit) => data.units.includes(unit));
        return both === undefined
          ? undefined
          : problem(
              'compared-with-itself',
              `${both} 不能既是实施单位又是对照单位`,
              `${both} can't both get the intervention and be compared with`,
              { pointer: `/comparison/${data.comparison!.indexOf(both)}`, value: both },
            );
      },
    }),
    SelectPilotSite: interventionStep({
      path: 'pilot-sites',
      summary: { zh: '选定试点', en: 'Select a pilot site' },
      schema: pilotSite,
      from: ['designed', 'started'],
      leads: { PilotSiteSelected: SAME },
      rule: ({ unit }, state) => {
        const { design: designed, pilots = [], starts = {} } = state;
        if (!designed!.units.includes(unit)) return notAmong('unknown-unit', UNIT, unit, designed!.units, '/unit');
        if (pilots.some((pilot) => pilot.unit === unit)) return repeated(unit, '/unit');
        return Object.hasOwn(starts, unit) ? alreadyStarted(unit, '/unit', state) : undefined;
      },
    }),
    StartIntervention: interventionStep({
      path: 'starts',
      summary: { zh: '在一个单位启动', en: 'Start it in one unit' },
      schema: start,
      from: ['designed', 'started'],
      leads: { InterventionStarted: 'started' },
      rule: ({ unit }, state) => {
        const { design: designed, starts = {} } = state;
        if (!designed!.units.includes(unit)) return notAmong('unknown-unit', UNIT, unit, designed!.units, '/unit');
        return Object.hasOwn(starts, unit) ? alreadyStarted(unit, '/unit', state) : undefined;
      },
    }),
    HoldActivity: interventionStep({
      path: 'activities',
      summary: { zh: '开展活动:培训、演练、宣传、交流、联席会议、责任状', en: 'Hold an activity' },
      schema: activity,
      from: OPEN,
      leads: { ActivityHeld: SAME },
      rule: ({ kind, setting, unit, heldOn, attendance = [], pledges }, state) => {
        if (unit !== undefined && !knownUnits(state).includes(unit))
          return notAmong('unknown-unit', UNIT, unit, knownUnits(state), '/unit');
        if (setting === undefined && REACHES.includes(kind))
          return problem('setting-missing', `${kind} 应注明走进何处(五进)`, `a ${kind} says which setting it entered`, {
            pointer: '/setting',
            allowed: SETTINGS,
          });
        const again = twice(attendance.map(({ group }) => group));
        if (again !== undefined) return repeated(again, '/attendance');
        if ((kind === 'pledge') !== (pledges !== undefined))
          return problem(
            'pledges-and-kind',
            kind === 'pledge' ? '签订责任状应列出 pledges' : 'pledges 只随 kind=pledge 一起记录',
            kind === 'pledge' ? 'a pledge lists its pledges' : 'pledges come with the kind pledge only',
            { pointer: '/pledges', value: kind },
          );
        const late = pledges?.findIndex(({ expiresOn }) => expiresOn <= heldOn) ?? -1;
        return late < 0
          ? undefined
          : problem('expired-pledge', `责任状应在 ${heldOn} 之后到期`, `a pledge runs out after ${heldOn}`, {
              pointer: `/pledges/${late}/expiresOn`,
              value: pledges![late]!.expiresOn,
            });
      },
    }),
    RollOut: interventionStep({
      path: 'roll-outs',
      summary: { zh: '由点到面推广到更多单位', en: 'Roll it out to more units, after a pilot' },
      schema: rollOut,
      from: STARTED,
      leads: { InterventionRolledOut: 'rolled-out' },
      rule: ({ units: added, startedOn }, state) => {
        const { pilots = [], starts = {} } = state;
        const piloted = pilots.flatMap(({ unit }) => (Object.hasOwn(starts, unit) ? [starts[unit]!] : []));
        if (piloted.length === 0)
          return problem(
            'pilot-missing',
            pilots.length === 0 ? '推广之前应先选定试点并启动' : '推广之前至少有一个试点已启动',
            pilots.length === 0
              ? 'before a roll-out a pilot is selected and started'
              : 'before a roll-out at least one pilot has started',
            { allowed: pilots.length === 0 ? ['pilot-sites'] : pilots.map(({ unit }) => unit) },
          );
        const again = twice(added);
        if (again !== undefined) return repeated(again, '/units');
        const old = added.findIndex((unit) => Object.hasOwn(starts, unit));
        if (old >= 0) return alreadyStarted(added[old]!, `/units/${old}`, state);
        return tooEarly('/startedOn', startedOn, first(piloted)!, '首个试点启动之日', 'the first pilot started');
      },
    }),
    RecordEffect: interventionStep({
      path: 'effects',
      summary: { zh: '记录效果', en: 'Record its effect' },
      schema: effect,
      from: STARTED,
      leads: { EffectRecorded: SAME },
      rule: measured,
    }),
    SustainIntervention: interventionStep({
      path: 'sustained',
      summary: { zh: '启动 12 或 24 个月后再次测量效果', en: 'Its effect measured again 12 or 24 months after the start' },
      schema: sustained,
      from: STARTED,
      leads: { InterventionSustained: SAME },
      rule: (data, state) => {
        const { months, unit, dx, measuredAt } = data;
        const { starts = {}, sustained: before = [] } = state;
        const started = Object.keys(starts);
        if (unit !== undefined && !Object.hasOwn(starts, unit))
          return notAmong('unknown-unit', { zh: '已启动的单位', en: 'started unit' }, unit, started, '/unit');
        const began = unit === undefined ? first(Object.values(starts))! : starts[unit]!;
        const due = monthsAfter(began, months);
        const early = tooEarly('/measuredAt', measuredAt, due, `启动满 ${months} 个月之日`, `${months} months after the start`);
        if (early) return early;
        if (before.some((each) => each.months === months && each.unit === unit && each.dx === dx))
          return repeated(`${dx} (${months})`, '/months');
        return measured(data, state);
      },
    }),
    CloseIntervention: interventionStep({
      path: 'closure',
      summary: { zh: '结项', en: 'Close it, its effect recorded' },
      schema: closure,
      from: OPEN,
      leads: { InterventionClosed: 'closed' },
      rule: ({ closedOn }, { design: designed, starts = {}, effects = [], sustained: again = [] }) => {
        const measurements = [...effects, ...again];
        const missing = [
          ...(Object.keys(starts).length === 0 ? ['starts'] : []),
          ...(measurements.length === 0 ? ['effects'] : []),
        ];
        if (missing.length > 0)
          return problem(
            'not-ready-to-close',
            `尚不能结项,缺少:${missing.join('、')};结果指标 ${designed!.outcomes.join('、')} 中至少一个应记录效果`,
            `not to be closed yet; missing are ${missing.join(', ')}: of the outcomes ${designed!.outcomes.join(', ')} at least one has its effect recorded`,
            { allowed: missing },
          );
        const last = measurements
          .map(({ measuredAt }) => measuredAt)
          .sort()
          .at(-1)!;
        return tooEarly('/closedOn', closedOn, last, '最近一次测量效果之日', 'the last effect was measured');
      },
    }),
  },
  folds: {
    InterventionDesigned: (state, data: Data<typeof design>) => ({ ...state, design: data }),
    PilotSiteSelected: (state, data: Data<typeof pilotSite>) => ({ ...state, pilots: [...(state.pilots ?? []), data] }),
    InterventionStarted: (state, { unit, startedOn }: Data<typeof start>) => ({
      ...state,
      starts: { ...state.starts, [unit]: startedOn },
    }),
    ActivityHeld: (state, { kind, setting, attendance = [], pledges = [] }: Data<typeof activity>) => {
      const before = state.activities ?? NO_ACTIVITIES;
      return {
        ...state,
        activities: {
          kinds: plus(before.kinds, kind, 1),
          settings: plus(before.settings, setting, 1),
          attendance: attendance.reduce(
            (tally, { group, persons: came }) => plus(tally, group, came),
            before.attendance as Tally,
          ),
          pledges: pledges.reduce((tally, { expiresOn, count }) => plus(tally, expiresOn, count), before.pledges as Tally),
        },
      };
    },
    InterventionRolledOut: (state, { units: added, startedOn }: Data<typeof rollOut>) => ({
      ...state,
      starts: { ...state.starts, ...Object.fromEntries(added.map((unit) => [unit, startedOn])) },
      rolledOut: [...(state.rolledOut ?? []), ...added],
    }),
    EffectRecorded: (state, data: Effect) => ({ ...state, effects: [...(state.effects ?? []), data] }),
    InterventionSustained: (state, data: Data<typeof sustained>) => ({
      ...state,
      sustained: [...(state.sustained ?? []), data],
    }),
    InterventionClosed: (state, { closedOn }: Data<typeof closure>) => ({ ...state, closedOn }),
  },
  facets: ({ design: designed, starts = {} }) => ({
    community: designed?.units.length === 1 ? designed.units[0] : undefined,
    // Its units in their order, then those that joined by a roll-out.
    communities: designed && [
      ...designed.units,
      ...Object.keys(starts)
        .filter((unit) => !designed.units.includes(unit))
        .sort(),
    ],
    kind: designed?.domain,
    day: first(Object.values(starts)),
  }),
  references: { leader: 'organisation', organisations: 'organisation' },
  occurred: ['startedOn', 'heldOn', 'measuredAt', 'closedOn'],
});
