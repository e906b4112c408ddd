import type { SurveyRow } from '@vigil/statistics';
import type { SurveyAnswers } from '../definitions/definition';
import type { OuTarget } from './communities';
import type { RowsContext } from './context';

interface Question {
  readonly code: string;
  readonly kind: string;
  readonly type: string;
  readonly correct?: readonly (string | number)[];
}
interface Design {
  readonly communities: readonly string[];
  readonly questions: readonly Question[];
  readonly strata?: readonly { readonly code: string; readonly population?: number }[];
}
type Given = string | number | readonly string[];

/** A response as an indicator sees it. */
export interface Respondent extends SurveyRow {
  /** The day its wave opened. */
  readonly day: string;
  /** Where the respondent belongs; several when the survey doesn't say which of its communities. */
  readonly communities: readonly string[];
  readonly group: string | null;
  /** Answered at least one of the questions. */
  readonly answered: boolean;
}

/** Right when it says what the question calls correct; of several options, when it says just those. */
const isCorrect = ({ type, correct = [] }: Question, given: Given): boolean =>
  type === 'multi' && Array.isArray(given)
    ? given.length === correct.length && correct.every((code) => (given as readonly unknown[]).includes(code))
    : correct.includes(given as string | number);

/**
 * Every response of the waves that opened in the periods, each the share of the questions asked for that it answered correctly.
 * Where a design weighs by strata and not by response, a response stands for its stratum's population over its responses.
 */
export const respondents = async (
  { tx, position, periods, definition, explained }: RowsContext,
  { question }: SurveyAnswers,
): Promise<Respondent[]> => {
  const surveys = await tx<{ id: string; design: Design; waves: { wave: number; opensOn: string }[] | null }[]>`
    SELECT id, body->'design' AS design, body->'waves' AS waves FROM read.case_files
    WHERE register = 'survey' AND known_from <= ${position} AND known_to > ${position} ORDER BY id`;
  const windows = periods.flatMap(({ window }) => window);
  const asked = ({ code, kind, correct }: Question): boolean =>
    correct !== undefined && ('kind' in question ? question.kind === kind : question.code === code);

  const found: Respondent[] = [];
  for (const { id, design, waves } of surveys) {
    const questions = design.questions.filter(asked);
    const open = (waves ?? []).filter(({ opensOn }) => windows.some(({ start, end }) => opensOn >= start && opensOn < end));
    if (questions.length === 0 || open.length === 0) continue;
    const rows = await tx<
      {
        wave: number;
        response: string;
        community: string | null;
        stratum: string | null;
        cluster: string | null;
        weight: number | null;
        group: string | null;
        answers: Record<string, Given>;
      }[]
    >`
      SELECT wave, response, community, stratum, cluster, weight, "group", answers FROM read.survey_responses
      WHERE survey = ${id} AND wave = ANY (${open.map(({ wave }) => wave)}::int[]) AND known_from <= ${position}
      ORDER BY wave, response`;
    const sizes = new Map<string, number>();
    for (const { wave, stratum } of rows) sizes.set(`${wave} ${stratum}`, (sizes.get(`${wave} ${stratum}`) ?? 0) + 1);
    const people = new Map((design.strata ?? []).map(({ code, population }) => [code, population]));
    for (const { wave, response, community, stratum, cluster, weight, group, answers } of rows) {
      const given = questions.filter(({ code }) => Object.hasOwn(answers, code));
      const right = given.filter((each) => isCorrect(each, answers[each.code]!)).length;
      const population = stratum === null ? undefined : people.get(stratum);
      found.push({
        stratum: `${id}/${wave}/${stratum ?? ''}`,
        cluster: `${id}/${wave}/${cluster === null ? `response ${response}` : `cluster ${cluster}`}`,
        weight: weight ?? (population ? population / sizes.get(`${wave} ${stratum}`)! : 1),
        value: given.length === 0 ? 0 : right / given.length,
        day: open.find((each) => each.wave === wave)!.opensOn,
        communities: community === null ? design.communities : [community],
        group,
        answered: given.length > 0,
      });
    }
    explained.push({
      dx: definition.code,
      part: 'numerator',
      statement: `responses of survey ${id}, waves ${open.map(({ wave }) => wave).join(', ')}, questions ${questions.map(({ code }) => code).join(', ')}`,
      periods: windows.map(({ id: period }) => period),
      communities: design.communities,
      events: rows.length,
    });
  }
  return found;
};

/** Whether a respondent lives inside, whichever of the survey's communities it is. */
export const livesIn = ({ communities }: Respondent, { members }: OuTarget): boolean =>
  communities.every((code) => members.includes(code));
