import { survey, type SurveyResponse } from '@vigil/domain';
import type { ReadModel } from '../runtime/projector';

export const SURVEY_RESPONSES_MIGRATION = {
  id: 'read/007-survey-responses',
  sql: `
-- A row per response. Nothing corrects one, so that the log as of N is known_from <= N; sent again in its wave, whatever it says
-- then, the first stays.
CREATE TABLE read.survey_responses (
  survey     text COLLATE "C" NOT NULL,
  wave       int NOT NULL,
  response   text COLLATE "C" NOT NULL,
  community  text COLLATE "C",
  stratum    text COLLATE "C",
  cluster    text COLLATE "C",
  weight     double precision,
  "group"    text COLLATE "C",
  answers    jsonb NOT NULL,
  known_from bigint NOT NULL
);
CREATE UNIQUE INDEX survey_responses_key ON read.survey_responses (survey, wave, response);
`,
} as const;

const EVENT = 'ResponsesRecorded';
const PREFIX = survey.streamOf('').length;
/** Rows per statement. */
const CHUNK = 1_000;

/** The responses of surveys, as facts: what was answered, by whom in which stratum, cluster and group, with which weight. */
export const surveyResponsesProjector: ReadModel = {
  name: 'survey-responses',
  kind: 'model',
  tables: ['survey_responses'],
  keys: ['survey_responses_key'],
  handles: new Set([EVENT]),
  lanes: () => (event) => event.stream,
  apply: async (tx, events) => {
    const rows = events.flatMap((event) => {
      const { wave, responses } = survey.read(event).data as { wave: number; responses: readonly SurveyResponse[] };
      const of = { survey: event.stream.slice(PREFIX), wave, known_from: event.position.toString() };
      return responses.map(({ id, ...response }) => ({ ...response, ...of, response: id }));
    });
    // In the order of the log, so that of two rows with one id the earlier is kept.
    for (let from = 0; from < rows.length; from += CHUNK)
      await tx`
        INSERT INTO survey_responses (survey, wave, response, community, stratum, cluster, weight, "group", answers, known_from)
        SELECT survey, wave, response, community, stratum, cluster, weight, "group", answers, known_from
        FROM json_to_recordset(${JSON.stringify(rows.slice(from, from + CHUNK))}::text::json) AS r(survey text, wave int, response text,
          community text, stratum text, cluster text, weight double precision, "group" text, answers jsonb, known_from bigint)
        ON CONFLICT (survey, wave, response) DO NOTHING`;
  },
};
