import { z } from 'zod';
import { caseFile, NONE, problem, SAME, step, type FileState } from '../case-file';
import { inForceOn, inserted, spans } from '../effective';
import { codeName, coordinates, plainDate, tellsAHome, text } from '../fields';

export const PLACE_TYPES = [
  'home',
  'building',
  'rental-housing',
  'nine-small-place',
  'school',
  'care-home',
  'construction-site',
  'enterprise',
  'road-segment',
  'public-place',
  'sports-venue',
  'water',
  'farm',
  'other',
] as const;

const placeType = z.enum(PLACE_TYPES);
const registration = z.strictObject({
  /** The registering organisation's own code; it becomes the id. Absent: an id is made. */
  code: codeName.optional(),
  community: codeName,
  type: placeType,
  /** What it is called; of a home a code, never an address or a person's name. */
  name: text(200),
  coordinates: coordinates.optional(),
  /** The code of the organisation that supervises it. */
  supervisedBy: codeName.optional(),
  /** Since when it is what it is; absent: for as long as anyone asks. */
  validFrom: plainDate.optional(),
});
const reclassification = z.strictObject({ type: placeType, on: plainDate, reason: text(500) });
const closure = z.strictObject({ on: plainDate, reason: text(500) });
const reopening = z.strictObject({ on: plainDate, reason: text(500) });

type Data<T extends z.ZodType> = z.infer<T>;

interface Type {
  readonly from?: string;
  readonly type: (typeof PLACE_TYPES)[number];
}

export interface PlaceState extends FileState {
  readonly state: 'none' | 'open' | 'closed';
  readonly registration?: Data<typeof registration>;
  /** By day, the first one from the registration on. */
  readonly types?: readonly Type[];
  readonly closedOn?: string;
  readonly reopenedOn?: string;
}

const placeStep = step<PlaceState>();

const tooEarly = (day: string, earliest: string | undefined, zh: string, en: string) =>
  earliest !== undefined && day < earliest
    ? problem('date-too-early', `日期 ${day} 早于${zh}(${earliest})`, `${day} is before ${en} (${earliest})`, {
        pointer: '/on',
        value: day,
        allowed: [`>= ${earliest}`],
      })
    : undefined;

/** An event is for ever, and a home's address is its people's. */
const notAHome = ({ name, coordinates: at }: Data<typeof registration>, pointer: string) => {
  if (!codeName.safeParse(name).success)
    return problem(
      'home-needs-code',
      '住宅的名称只能是代码(字母、数字和 . _ -),不能是地址或户主姓名',
      'a home goes by a code (letters, digits and . _ -), never by an address or a person’s name',
      { pointer },
    );
  return at && tellsAHome(at)
    ? problem(
        'home-too-exact',
        '住宅的坐标至多保留三位小数(约 100 米)',
        'the coordinates of a home have three decimals at most (about 100 m)',
        { pointer: pointer === '/name' ? '/coordinates' : pointer },
      )
    : undefined;
};

/** A place that is inspected, supervised or counted by: registered, perhaps reclassified, closed and reopened. */
export const place = caseFile<PlaceState>({
  name: 'place',
  plural: 'places',
  title: { zh: '场所', en: 'place' },
  initialState: { state: NONE },
  idOf: ({ code }: Data<typeof registration>) => code,
  steps: {
    RegisterPlace: placeStep({
      summary: { zh: '登记一处场所', en: 'Register a place' },
      schema: registration,
      from: [NONE],
      leads: { PlaceRegistered: 'open' },
      rule: (data) => (data.type === 'home' ? notAHome(data, '/name') : undefined),
    }),
    ReclassifyPlace: placeStep({
      path: 'reclassifications',
      summary: { zh: '改变类型,自某日起', en: 'It is of another type from a day on' },
      schema: reclassification,
      from: ['open'],
      leads: { PlaceReclassified: SAME },
      rule: ({ type, on }, { registration: own, types }) => {
        const early = tooEarly(on, own!.validFrom, '登记生效日', 'its registration');
        if (early) return early;
        if (types!.some(({ from }) => from === on))
          return problem('day-taken', `自 ${on} 起已有类型;请改用另一日期`, `it has a type from ${on} on; give another day`, {
            pointer: '/on',
            value: on,
          });
        if (inForceOn(types!, on)?.type === type)
          return problem('same-type', `${on} 时已是该类型(${type})`, `on ${on} it is of that type already (${type})`, {
            pointer: '/type',
            value: type,
            allowed: PLACE_TYPES.filter((other) => other !== type),
          });
        return type === 'home' ? notAHome(own!, '/type') : undefined;
      },
    }),
    ClosePlace: placeStep({
      path: 'closure',
      summary: { zh: '关闭、停用', en: 'It is closed' },
      schema: closure,
      from: ['open'],
      leads: { PlaceClosed: 'closed' },
      rule: ({ on }, { types, reopenedOn }) =>
        tooEarly(on, types!.at(-1)!.from, '最近一次变更', 'the last change known of it') ??
        tooEarly(on, reopenedOn, '重新启用日', 'its reopening'),
    }),
    ReopenPlace: placeStep({
      path: 'reopening',
      summary: { zh: '重新启用', en: 'It is open again' },
      schema: reopening,
      from: ['closed'],
      leads: { PlaceReopened: 'open' },
      rule: ({ on }, { closedOn }) => tooEarly(on, closedOn, '关闭日', 'its closure'),
    }),
  },
  folds: {
    PlaceRegistered: (state, data: Data<typeof registration>) => ({
      ...state,
      registration: data,
      types: [{ ...(data.validFrom !== undefined && { from: data.validFrom }), type: data.type }],
    }),
    PlaceReclassified: (state, { type, on }: Data<typeof reclassification>) => ({
      ...state,
      types: inserted(state.types!, { from: on, type }),
    }),
    PlaceClosed: (state, { on }: Data<typeof closure>) => ({ ...state, closedOn: on }),
    PlaceReopened: (state, { on }: Data<typeof reopening>) => ({ ...state, closedOn: undefined, reopenedOn: on }),
  },
  facets: ({ registration: own, types }) => ({
    community: own?.community,
    kind: types?.at(-1)?.type,
    day: own?.validFrom,
  }),
  references: { supervisedBy: 'organisation' },
  occurred: ['validFrom', 'on'],
  derived: ({ types = [] }) => ({ type: types.at(-1)!.type, history: spans(types) }),
});
