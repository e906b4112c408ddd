import { z } from 'zod';
import { caseFile, NONE, problem, SAME, step, type FileState } from '../case-file';
import { inForceOn, inserted, spans } from '../effective';
import { bilingual, codeName, plainDate, text } from '../fields';

export const ORGANISATION_KINDS = [
  'government',
  'police',
  'fire',
  'health',
  'school',
  'enterprise',
  'social',
  'residents-committee',
  'other',
] as const;
export const PROGRAMME_ROLES = ['lead', 'feed', 'partner'] as const;

const registration = z.strictObject({
  code: codeName,
  name: bilingual,
  kind: z.enum(ORGANISATION_KINDS),
  /** The department that it belongs to: an organisation's code. */
  department: codeName.optional(),
  /** Where it has its seat. */
  community: codeName.optional(),
  validFrom: plainDate,
});
const renaming = z.strictObject({ name: bilingual, validFrom: plainDate, reason: text(500).optional() });
const merger = z.strictObject({
  /** The code of the organisation that it becomes part of. */
  into: codeName,
  /** The first day on which it is no more. */
  on: plainDate,
  reason: text(500).optional(),
});
const joining = z.strictObject({ community: codeName, role: z.enum(PROGRAMME_ROLES), on: plainDate });
const leaving = z.strictObject({ ...joining.shape, reason: text(500).optional() });

type Data<T extends z.ZodType> = z.infer<T>;

interface Name {
  readonly from: string;
  readonly zh: string;
  readonly en: string;
}
interface Membership {
  readonly community: string;
  readonly role: (typeof PROGRAMME_ROLES)[number];
  readonly from: string;
  /** The first day on which it is no member. */
  readonly until?: string;
}

export interface OrganisationState extends FileState {
  readonly state: 'none' | 'registered' | 'merged';
  readonly registration?: Data<typeof registration>;
  /** By day, the first one from the registration on. */
  readonly names?: readonly Name[];
  readonly memberships?: readonly Membership[];
  readonly mergedInto?: string;
  readonly mergedOn?: string;
}

/** What it was called on a day; undefined before its registration. */
export const organisationNameOn = ({ names = [] }: OrganisationState, day: string): { zh: string; en: string } | undefined => {
  const found = inForceOn(names, day);
  return found && { zh: found.zh, en: found.en };
};

const organisationStep = step<OrganisationState>();

const tooEarly = (pointer: string, day: string, earliest: string, zh: string, en: string) =>
  problem('date-too-early', `日期 ${day} 早于${zh}(${earliest})`, `${day} is before ${en} (${earliest})`, {
    pointer,
    value: day,
    allowed: [`>= ${earliest}`],
  });
const same = (a: Pick<Membership, 'community' | 'role'>) => (b: Membership) => a.community === b.community && a.role === b.role;

/** An organisation, effective-dated: registered, renamed, taking part in communities' programmes, merged into another. */
export const organisation = caseFile<OrganisationState>({
  name: 'organisation',
  plural: 'organisations',
  title: { zh: '组织', en: 'organisation' },
  initialState: { state: NONE },
  idOf: ({ code }: Data<typeof registration>) => code,
  steps: {
    RegisterOrganisation: organisationStep({
      summary: { zh: '登记一个组织(部门、单位)', en: 'Register an organisation or department' },
      schema: registration,
      from: [NONE],
      leads: { OrganisationRegistered: 'registered' },
      rule: ({ code, department }) =>
        department === code
          ? problem('own-department', '组织不能隶属于自己;请填上级部门的代码', 'it does not belong to itself; name another one', {
              pointer: '/department',
              value: department,
            })
          : undefined,
    }),
    RenameOrganisation: organisationStep({
      path: 'renamings',
      summary: { zh: '更名,自某日起;旧名称保留', en: 'Rename it from a day on; earlier names are kept' },
      schema: renaming,
      from: ['registered', 'merged'],
      leads: { OrganisationRenamed: SAME },
      rule: ({ validFrom }, { names, mergedOn }) => {
        const [first] = names!;
        if (validFrom < first!.from) return tooEarly('/validFrom', validFrom, first!.from, '登记生效日', 'its registration');
        if (mergedOn !== undefined && validFrom >= mergedOn)
          return problem(
            'after-merger',
            `该组织自 ${mergedOn} 起已并入他处;只能补登此前的更名`,
            `it was merged on ${mergedOn}; only a renaming before that day can still be told`,
            { pointer: '/validFrom', value: validFrom, allowed: [`< ${mergedOn}`] },
          );
        const taken = names!.find(({ from }) => from === validFrom);
        return taken
          ? problem(
              'day-taken',
              `自 ${validFrom} 起已有名称“${taken.zh}”;请改用另一日期`,
              `it already has a name from ${validFrom} on (${taken.en}); give another day`,
              { pointer: '/validFrom', value: validFrom },
            )
          : undefined;
      },
    }),
    MergeOrganisation: organisationStep({
      path: 'merger',
      summary: { zh: '并入另一组织;其参与随之终止', en: 'Merge it into another; its memberships end that day' },
      schema: merger,
      from: ['registered'],
      leads: { OrganisationMerged: 'merged' },
      rule: ({ into, on }, { registration: own, names, memberships = [] }) => {
        if (into === own!.code)
          return problem('merged-into-itself', '组织不能并入自己', 'an organisation is not merged into itself', {
            pointer: '/into',
            value: into,
          });
        const latest = [...names!, ...memberships].flatMap(({ from, ...rest }) =>
          'until' in rest ? [from, rest.until!] : [from],
        );
        const last = latest.reduce((a, b) => (a > b ? a : b));
        return on < last ? tooEarly('/on', on, last, '最近一次变更', 'the last change known of it') : undefined;
      },
    }),
    JoinProgramme: organisationStep({
      path: 'memberships',
      summary: { zh: '参加某社区的安全促进工作', en: 'It joins a community’s programme' },
      schema: joining,
      from: ['registered'],
      leads: { OrganisationJoinedProgramme: SAME },
      rule: (data, { names, memberships = [] }) => {
        if (data.on < names![0]!.from) return tooEarly('/on', data.on, names![0]!.from, '登记生效日', 'its registration');
        const standing = memberships.filter(same(data)).find(({ until }) => until === undefined || until > data.on);
        return standing
          ? problem(
              'already-a-member',
              `自 ${standing.from} 起已是 ${data.community} 的 ${data.role}${standing.until ? `,至 ${standing.until}` : ''}`,
              `it is ${data.role} in ${data.community} from ${standing.from}${standing.until ? ` until ${standing.until}` : ''}`,
              {
                pointer: '/on',
                value: data.on,
                allowed: standing.until ? [`>= ${standing.until}`] : ['departures'],
              },
            )
          : undefined;
      },
    }),
    LeaveProgramme: organisationStep({
      path: 'departures',
      summary: { zh: '退出某社区的安全促进工作', en: 'It leaves a community’s programme' },
      schema: leaving,
      from: ['registered'],
      leads: { OrganisationLeftProgramme: SAME },
      rule: (data, { memberships = [] }) => {
        const open = memberships.filter(({ until }) => until === undefined);
        const standing = open.find(same(data));
        if (!standing) {
          const allowed = open.map(({ community, role }) => `${community} ${role}`);
          return problem(
            'not-a-member',
            `不是 ${data.community} 的 ${data.role};现参加:${allowed.join('、') || '(无)'}`,
            `it is not ${data.role} in ${data.community} now; it takes part as ${allowed.join(', ') || 'nothing'}`,
            { pointer: '/community', value: data.community, allowed },
          );
        }
        return data.on < standing.from ? tooEarly('/on', data.on, standing.from, '参加日期', 'the day it joined') : undefined;
      },
    }),
  },
  folds: {
    OrganisationRegistered: (state, data: Data<typeof registration>) => ({
      ...state,
      registration: data,
      names: [{ from: data.validFrom, ...data.name }],
    }),
    OrganisationRenamed: (state, { name, validFrom }: Data<typeof renaming>) => ({
      ...state,
      names: inserted(state.names!, { from: validFrom, ...name }),
    }),
    OrganisationMerged: (state, { into, on }: Data<typeof merger>) => ({
      ...state,
      mergedInto: into,
      mergedOn: on,
      ...(state.memberships && { memberships: state.memberships.map((one) => ({ ...one, until: one.until ?? on })) }),
    }),
    OrganisationJoinedProgramme: (state, { community, role, on }: Data<typeof joining>) => ({
      ...state,
      memberships: [...(state.memberships ?? []), { community, role, from: on }],
    }),
    OrganisationLeftProgramme: (state, data: Data<typeof leaving>) => ({
      ...state,
      memberships: state.memberships!.map((one) =>
        same(data)(one) && one.until === undefined ? { ...one, until: data.on } : one,
      ),
    }),
  },
  facets: ({ registration: own, memberships = [] }) => ({
    community: own?.community ?? (memberships.find(({ until }) => until === undefined) ?? memberships[0])?.community,
    // Its seat, and where it is or was part of the programme.
    communities: [
      ...new Set([...(own?.community === undefined ? [] : [own.community]), ...memberships.map(({ community }) => community)]),
    ],
    kind: own?.kind,
    day: own?.validFrom,
  }),
  references: { department: 'organisation', into: 'organisation' },
  occurred: ['validFrom', 'on'],
  derived: ({ names = [], mergedOn }) => {
    const { from: _, ...name } = names.at(-1)!;
    const history = spans(names);
    return {
      name,
      history: mergedOn === undefined ? history : [...history.slice(0, -1), { ...history.at(-1)!, until: mergedOn }],
    };
  },
});
