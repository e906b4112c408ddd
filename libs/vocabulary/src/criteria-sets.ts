/** Criteria that a community is judged by. The sets are data (`criteria-sets/*.json`); a code stands for one set and never for another. */
import { nearest, type Label, type Refusal } from './refusal';
import aqt9001 = require('./criteria-sets/aqt-9001-2006.json');
import cnSite = require('./criteria-sets/cn-site.json');
import evidence = require('./criteria-sets/evidence.json');
import isccc6 = require('./criteria-sets/isccc-6.json');
import isccc7 = require('./criteria-sets/isccc-7.json');
import who6 = require('./criteria-sets/who-6.json');

/** What each criterion is judged for: 有无 / 痕迹 / 效果. */
export const PARTS = ['exists', 'traced', 'effective'] as const;
export type Part = (typeof PARTS)[number];
/** How far a part is met. */
export const GRADES = ['yes', 'mostly', 'partly', 'no'] as const;
export type Grade = (typeof GRADES)[number];
export type Grades = Readonly<Record<Part, Grade>>;

/** Where evidence is found: an address below `/api/v1` with `{community}`, `{period}`, `{from}` and `{to}` to be filled in. */
export type EvidenceQuery = Label & { readonly code: string; readonly query: string };

export type Criterion = Label & {
  readonly code: string;
  /** Codes of indicators (`dx`) that speak to it. */
  readonly indicators: readonly string[];
  readonly evidence: readonly EvidenceQuery[];
  /** Of the second level; a criterion that has some is judged through them. */
  readonly criteria?: readonly Criterion[];
};

export type CriteriaSet = {
  readonly code: string;
  readonly version: string;
  readonly title: Label;
  readonly source: Label;
  /** Whose words the criteria are in. */
  readonly wording: Label;
  /** What isn't certain about it. */
  readonly toBeConfirmed?: Label;
  /** Points of each part of each criterion, where the set gives points. */
  readonly parts: readonly (Label & { readonly code: Part; readonly points?: number })[];
  /** The share of a part's points that a grade earns. */
  readonly grades?: readonly (Label & { readonly code: Grade; readonly share: number })[];
  readonly points?: number;
  /** Best first: the first whose points are reached is the outcome; `noneZero`: only if no criterion has 0 points. */
  readonly outcomes?: readonly (Label & { readonly code: string; readonly from: number; readonly noneZero: boolean })[];
  readonly criteria: readonly Criterion[];
};

type CriterionData = Label & { code: string; indicators: string[]; evidence: string[]; criteria?: CriterionData[] };
type SetData = Omit<CriteriaSet, 'criteria'> & { criteria: CriterionData[] };

const queries = evidence as Readonly<Record<string, Label & { query: string }>>;
const read = ({ evidence: names, criteria, ...rest }: CriterionData): Criterion => ({
  ...rest,
  evidence: names.map((code) => ({ code, ...queries[code]! })),
  ...(criteria && { criteria: criteria.map(read) }),
});
const sets: ReadonlyMap<string, CriteriaSet> = new Map(
  ([aqt9001, cnSite, isccc6, isccc7, who6] as SetData[]).map((set) => [set.code, { ...set, criteria: set.criteria.map(read) }]),
);

/** AQ/T 9001-2006, the national site table, ISCCC's six and seven, WHO's six. */
export const criteriaSets = (): readonly CriteriaSet[] => [...sets.values()];

export const criteriaSet = (code: string): CriteriaSet | Refusal =>
  sets.get(code) ?? {
    code: 'unknown-criteria-set',
    detail: { zh: `没有评定标准“${code}”`, en: `there is no criteria set "${code}"` },
    value: code,
    allowed: [...sets.keys()],
    suggestion: nearest(code, sets.keys()),
  };

/** The criteria that are judged: those without a second level. */
export const judgedCriteria = ({ criteria }: Pick<CriteriaSet, 'criteria'>): readonly Criterion[] =>
  criteria.flatMap((criterion) => criterion.criteria ?? [criterion]);

const hundredths = (value: number): number => Math.round(value * 100) / 100;

/** The most points of one criterion; undefined when the set gives none. */
export const mostPoints = ({ parts, points }: CriteriaSet): number | undefined =>
  points === undefined ? undefined : hundredths(parts.reduce((sum, part) => sum + (part.points ?? 0), 0));

/** The points that grades earn a criterion; undefined when the set gives none. */
export const pointsOf = (set: CriteriaSet, grades: Grades): number | undefined =>
  set.points === undefined
    ? undefined
    : hundredths(
        set.parts.reduce((sum, { code, points = 0 }) => {
          const share = set.grades!.find((grade) => grade.code === grades[code])!.share;
          return sum + points * share;
        }, 0),
      );

/** The points and the outcome of a set whose criteria have all been judged; the outcome is absent before. */
export const scoreOf = (
  set: CriteriaSet,
  points: ReadonlyMap<string, number>,
): { readonly points: number; readonly of: number; readonly outcome?: string } | undefined => {
  if (set.points === undefined) return undefined;
  const total = hundredths([...points.values()].reduce((sum, each) => sum + each, 0));
  const each = judgedCriteria(set).map(({ code }) => points.get(code));
  if (each.includes(undefined)) return { points: total, of: set.points };
  const outcome = set.outcomes!.find(({ from, noneZero }) => total >= from && !(noneZero && each.includes(0)))!.code;
  return { points: total, of: set.points, outcome };
};
