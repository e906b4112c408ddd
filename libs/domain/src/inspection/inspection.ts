import { addDays, isPeriodError, parsePeriods } from '@vigil/vocabulary';
import { z } from 'zod';
import { caseFile, NONE, problem, step, type FileState } from '../case-file';
import { codeName, dateOrInstant, plainDate, say, text } from '../fields';
import { programmeDomain } from '../programme';

const MOST = 5_000;

/** A fixed period's days; undefined for what is none. Relative ones need a clock and are none. */
const daysOf = (period: string): { first: string; last: string } | undefined => {
  const found = /^\d/.test(period) ? parsePeriods(period, '2000-01-01') : [];
  if (isPeriodError(found) || found.length === 0) return undefined;
  return { first: found[0]!.start, last: addDays(found.at(-1)!.end, -1) };
};

const period = z
  .string()
  .max(40)
  .refine(
    (value) => daysOf(value) !== undefined,
    say(
      'invalid-period',
      '时期应为 2026、2026-Q1、2026-03、2026-W10、2026-03-15 或 日期/日期',
      'a period is 2026, 2026-Q1, 2026-03, 2026-W10, 2026-03-15 or date/date',
    ),
  );
const ids = z.array(codeName).max(MOST);
const count = z.number().int().min(0).max(1e7);

const plan = z.strictObject({
  community: codeName,
  domain: programmeDomain,
  /** A day or a period; what isn't done by its last day is overdue. */
  plannedFor: period,
  /** Which places by their ids, or how many. */
  places: z.union([count.min(1), ids.min(1)]),
  /** The code of the organisation that inspects. */
  by: codeName.optional(),
  purpose: text(500).optional(),
});
const part = z.strictObject({
  carriedOutAt: dateOrInstant,
  /** Which places, or how many: as they were planned. */
  placesCovered: z.union([count, ids]),
  /** Which hazards by their ids, or how many. */
  hazardsFound: z.union([count, ids]).optional(),
  by: codeName.optional(),
  note: text(2_000).optional(),
});
const cancellation = z.strictObject({ reason: text(500), on: plainDate.optional() });

type Data<T extends z.ZodType> = z.infer<T>;
type Places = number | readonly string[];

export interface InspectionState extends FileState {
  readonly state: 'none' | 'planned' | 'under-way' | 'completed' | 'cancelled';
  readonly plan?: Data<typeof plan>;
  /** Of all parts so far; a place visited twice is one. */
  readonly placesCovered?: Places;
  readonly hazardIds?: readonly string[];
  /** Found and not named. */
  readonly hazardCount?: number;
  readonly parts?: number;
  readonly lastCarriedOutAt?: string;
  readonly cancelledFor?: string;
}

const inspectionStep = step<InspectionState>();

const union = (a: readonly string[], b: readonly string[]): string[] => [...new Set([...a, ...b])];
const together = (before: Places | undefined, more: Places): Places =>
  typeof more === 'number' ? ((before as number | undefined) ?? 0) + more : union((before as string[] | undefined) ?? [], more);

interface Coverage {
  readonly planned: number;
  readonly covered: number;
  /** Covered by planned, 0 to 1. */
  readonly coverage: number;
  /** Planned and not yet covered, when places were named. */
  readonly remaining?: readonly string[];
  /** Covered beyond the plan, when places were named; they don't raise the coverage. */
  readonly unplanned?: readonly string[];
}
const coverageOf = (places: Places, done: Places | undefined): Coverage => {
  if (typeof places === 'number') {
    const covered = (done as number | undefined) ?? 0;
    return { planned: places, covered, coverage: covered / places };
  }
  const visited = (done as readonly string[] | undefined) ?? [];
  const wanted = union(places, []);
  const remaining = wanted.filter((id) => !visited.includes(id));
  const covered = wanted.length - remaining.length;
  const unplanned = visited.filter((id) => !wanted.includes(id));
  return { planned: wanted.length, covered, coverage: covered / wanted.length, remaining, unplanned };
};

/** An inspection (排查): planned for a day or a period, carried out in one or several parts until all planned places are covered. */
export const inspection = caseFile<InspectionState>({
  name: 'inspection',
  plural: 'inspections',
  title: { zh: '排查', en: 'inspection' },
  initialState: { state: NONE },
  steps: {
    PlanInspection: inspectionStep({
      summary: { zh: '计划一次排查', en: 'Plan an inspection' },
      schema: plan,
      from: [NONE],
      leads: { InspectionPlanned: 'planned' },
    }),
    CarryOutInspection: inspectionStep({
      path: 'results',
      summary: { zh: '完成一部分排查:覆盖场所、发现隐患', en: 'Carried out, wholly or in part: places covered, hazards found' },
      schema: part,
      from: ['planned', 'under-way'],
      leads: { InspectionCarriedOut: ['under-way', 'completed'] },
      rule: ({ placesCovered }, { plan: planned, placesCovered: before }) => {
        const { places } = planned!;
        if (typeof places !== typeof placesCovered)
          return typeof places === 'number'
            ? problem('places-are-counted', '计划按数量登记,此处应为数量', 'the plan counts places: give a number', {
                pointer: '/placesCovered',
                allowed: ['number'],
              })
            : problem('places-are-named', '计划逐一列出场所,此处应为场所编号', 'the plan names its places: give their ids', {
                pointer: '/placesCovered',
                allowed: places,
              });
        const sum = together(before, placesCovered);
        if (typeof places !== 'number' || (sum as number) <= places) return undefined;
        const open = places - ((before as number | undefined) ?? 0);
        return problem(
          'more-than-planned',
          `计划 ${places} 处,至多还可覆盖 ${open} 处;计划外的请另行登记`,
          `${places} were planned, ${open} are left; plan another inspection for what goes beyond`,
          { pointer: '/placesCovered', value: placesCovered, allowed: [`<= ${open}`] },
        );
      },
    }),
    CancelInspection: inspectionStep({
      path: 'cancellation',
      summary: { zh: '取消排查,或取消其余部分', en: 'Cancel it, or what is left of it' },
      schema: cancellation,
      from: ['planned', 'under-way'],
      leads: { InspectionCancelled: 'cancelled' },
    }),
  },
  folds: {
    InspectionPlanned: (state, data: Data<typeof plan>) => ({ ...state, plan: data }),
    InspectionCarriedOut: (state, { carriedOutAt, placesCovered, hazardsFound = 0 }: Data<typeof part>) => {
      const covered = together(state.placesCovered, placesCovered);
      const named = typeof hazardsFound === 'number' ? [] : hazardsFound;
      return {
        ...state,
        state: coverageOf(state.plan!.places, covered).coverage >= 1 ? 'completed' : 'under-way',
        placesCovered: covered,
        hazardIds: union(state.hazardIds ?? [], named),
        hazardCount: (state.hazardCount ?? 0) + (typeof hazardsFound === 'number' ? hazardsFound : 0),
        parts: (state.parts ?? 0) + 1,
        lastCarriedOutAt: carriedOutAt,
      };
    },
    InspectionCancelled: (state, { reason }: Data<typeof cancellation>) => ({ ...state, cancelledFor: reason }),
  },
  facets: ({ state, plan: planned }) => {
    const days = planned && daysOf(planned.plannedFor);
    return {
      community: planned?.community,
      kind: planned?.domain,
      day: days?.first,
      due: state === 'planned' || state === 'under-way' ? days?.last : undefined,
    };
  },
  references: { places: 'place', placesCovered: 'place', hazardsFound: 'hazard', by: 'organisation' },
  occurred: ['carriedOutAt', 'on'],
  derived: ({ plan: planned, placesCovered, hazardIds = [], hazardCount = 0 }) => ({
    ...coverageOf(planned!.places, placesCovered),
    hazards: hazardIds.length + hazardCount,
  }),
});
