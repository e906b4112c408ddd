import type { Problem } from '@vigil/vocabulary';
import { z } from 'zod';
import { caseFile, isBefore, NONE, notAmong, problem, SAME, step, type FileState } from '../case-file';
import { bilingual, codeName, plainDate, text } from '../fields';
import { programmeDomain } from '../programme';

/** 知晓 / 知 / 信 / 行 / 满意度. */
export const QUESTION_KINDS = ['awareness', 'knowledge', 'belief', 'behaviour', 'satisfaction'] as const;
/** Responses of one event. */
export const MOST_RESPONSES = 500;

const question = z.strictObject({
  code: codeName,
  kind: z.enum(QUESTION_KINDS),
  text: z.strictObject({ zh: text(500), en: text(500) }),
  /** `scale`: a whole number from `from` to `to`; `number`: any within them, where they are given. */
  type: z.enum(['single', 'multi', 'scale', 'number']),
  options: z
    .array(z.strictObject({ code: codeName, text: bilingual.optional() }))
    .max(100)
    .optional(),
  from: z.number().optional(),
  to: z.number().optional(),
  /** Answers that count as aware, convinced, practising, satisfied: option codes, or points of the scale. */
  correct: z
    .array(z.union([codeName, z.number()]))
    .min(1)
    .max(100)
    .optional(),
});
const design = z.strictObject({
  name: text(200),
  domain: programmeDomain.optional(),
  communities: z.array(codeName).min(1).max(500),
  /** What was sampled from: a list of households, a school roll. */
  frame: text(200).optional(),
  questions: z.array(question).min(1).max(200),
  strata: z
    .array(z.strictObject({ code: codeName, population: z.number().min(0).max(1e10).optional() }))
    .min(1)
    .max(1_000)
    .optional(),
  /** Responses come in clusters (households, classes), which name themselves. */
  clusters: z.boolean().optional(),
  /** Each response carries its sampling weight. */
  weights: z.boolean().optional(),
});
const wave = z.number().int().min(1).max(1_000);
const opening = z.strictObject({ wave, opensOn: plainDate, closesOn: plainDate.optional() });
const response = z.strictObject({
  /** The questionnaire's own number; counts once in a wave. */
  id: text(64),
  stratum: codeName.optional(),
  cluster: text(64).optional(),
  weight: z.number().gt(0).max(1e9).optional(),
  community: codeName.optional(),
  group: text(64).optional(),
  /** By question: an option, several of them, or a number; a question left out wasn't answered. */
  answers: z.record(codeName, z.union([codeName, z.array(codeName).max(100), z.number()])),
});
const responses = z.strictObject({ wave, responses: z.array(response).min(1).max(MOST_RESPONSES) });
const closure = z.strictObject({ wave, closedOn: plainDate });

type Data<T extends z.ZodType> = z.infer<T>;
type Question = Data<typeof question>;
type Design = Data<typeof design>;
export type SurveyResponse = Data<typeof response>;

export interface SurveyWave {
  readonly wave: number;
  readonly opensOn: string;
  readonly closesOn?: string;
  readonly closedOn?: string;
  /** Responses taken in, repeats of one id included: which are distinct, the fact table knows. */
  readonly received: number;
  readonly batches: number;
}

/** Responses aren't part of it: they are facts, in a table of their own. */
export interface SurveyState extends FileState {
  readonly state: 'none' | 'designed' | 'open' | 'closed';
  readonly design?: Design;
  readonly waves?: readonly SurveyWave[];
}

const twice = (values: readonly string[]): number => values.findIndex((value, at) => values.indexOf(value) !== at);
const repeated = (value: string, pointer: string): Problem =>
  problem('repeated', `${value} 出现了两次`, `${value} stands there twice`, { pointer, value });
const codesOf = (list: readonly { readonly code: string }[] = []): string[] => list.map(({ code }) => code);

/** What a question must have to be answered. */
const unanswerable = ({ type, options, from, to, correct = [] }: Question, at: number): Problem | undefined => {
  const pointer = `/questions/${at}`;
  const chosen = type === 'single' || type === 'multi';
  if (chosen && (options ?? []).length < 2)
    return problem('options-missing', `${type} 题至少有两个选项`, `a ${type} question has two options or more`, {
      pointer: `${pointer}/options`,
    });
  if (!chosen && options !== undefined)
    return problem('options-not-used', `${type} 题没有选项`, `a ${type} question has no options`, {
      pointer: `${pointer}/options`,
      allowed: ['from', 'to'],
    });
  const again = twice(codesOf(options));
  if (again >= 0) return repeated(options![again]!.code, `${pointer}/options/${again}/code`);
  if (type === 'scale' && !(Number.isInteger(from) && Number.isInteger(to)))
    return problem('scale-missing', '量表题应注明从 from 到 to 的整数', 'a scale goes from a whole number to another', {
      pointer: `${pointer}/from`,
    });
  if (from !== undefined && to !== undefined && from >= to)
    return problem('scale-missing', 'from 应小于 to', 'from is below to', { pointer: `${pointer}/from`, value: from });
  for (const [index, answer] of correct.entries()) {
    const wrong = unfit({ type, options, from, to }, answer, `${pointer}/correct/${index}`);
    if (wrong) return wrong;
  }
  return undefined;
};

/** Why one answer isn't one of the question's. */
const unfit = (
  { type, options, from = -Infinity, to = Infinity }: Pick<Question, 'type' | 'options' | 'from' | 'to'>,
  answer: string | number,
  pointer: string,
): Problem | undefined => {
  if (type === 'single' || type === 'multi') {
    const codes = codesOf(options);
    if (typeof answer === 'string' && codes.includes(answer)) return undefined;
    return notAmong('unknown-option', { zh: '选项', en: 'option' }, `${answer}`, codes, pointer);
  }
  if (typeof answer === 'number' && answer >= from && answer <= to && (type === 'number' || Number.isInteger(answer)))
    return undefined;
  const [zh, en] = type === 'scale' ? ['整数', 'a whole number'] : ['数', 'a number'];
  const range = [...(from > -Infinity ? [`≥ ${from}`] : []), ...(to < Infinity ? [`≤ ${to}`] : [])].join(', ');
  return problem('unfit-answer', `此题的答案应为${zh} ${range}`.trim(), `the answer is ${en} ${range}`.trim(), {
    pointer,
    value: answer,
  });
};

type Questions = ReadonlyMap<string, Question>;
/** What is wrong with a response of a design; the pointer and the sentence say which response it is. */
const wrongIn = (given: SurveyResponse, at: number, designed: Design, questions: Questions): Problem | undefined => {
  const pointer = `/responses/${at}`;
  const missing = (field: string, zh: string, en: string): Problem =>
    problem(`${field}-missing`, `此调查的每份答卷都应有${zh}`, `every response of this survey has ${en}`, {
      pointer: `${pointer}/${field}`,
      ...(field === 'stratum' && { allowed: codesOf(designed.strata) }),
    });
  const unasked = (field: string, zh: string): Problem =>
    problem(`${field}-not-designed`, `此调查的设计没有${zh}`, `this survey was designed without a ${field}`, {
      pointer: `${pointer}/${field}`,
    });
  const { stratum, cluster, weight, community, answers } = given;
  const strata = codesOf(designed.strata);
  if (stratum === undefined && designed.strata) return missing('stratum', '层', 'its stratum');
  if (stratum !== undefined && !designed.strata) return unasked('stratum', '分层');
  if (stratum !== undefined && !strata.includes(stratum))
    return notAmong('unknown-stratum', { zh: '层', en: 'stratum' }, stratum, strata, `${pointer}/stratum`);
  if (cluster !== undefined && !designed.clusters) return unasked('cluster', '整群');
  if (weight === undefined && designed.weights) return missing('weight', '权重', 'its weight');
  if (weight !== undefined && !designed.weights) return unasked('weight', '权重');
  if (community !== undefined && !designed.communities.includes(community))
    return notAmong(
      'unknown-community',
      { zh: '此调查的社区', en: 'community of this survey' },
      community,
      designed.communities,
      `${pointer}/community`,
    );
  for (const [code, answer] of Object.entries(answers)) {
    const where = `${pointer}/answers/${code}`;
    const asked = questions.get(code);
    if (!asked) return notAmong('unknown-question', { zh: '题目', en: 'question' }, code, [...questions.keys()], where);
    if (Array.isArray(answer) !== (asked.type === 'multi'))
      return problem(
        'unfit-answer',
        asked.type === 'multi' ? '多选题的答案是选项的数组' : '此题只有一个答案',
        asked.type === 'multi' ? 'the answer is an array of options' : 'there is one answer, not an array',
        { pointer: where },
      );
    const many = Array.isArray(answer) ? answer : [answer];
    const again = twice(many.map(String));
    if (again >= 0) return repeated(String(many[again]), `${where}/${again}`);
    for (const [index, one] of many.entries()) {
      const wrong = unfit(asked, one, Array.isArray(answer) ? `${where}/${index}` : where);
      if (wrong) return wrong;
    }
  }
  return undefined;
};

const lastOf = ({ waves = [] }: SurveyState): SurveyWave | undefined => waves.at(-1);
const opened = ({ waves = [] }: SurveyState): string[] => waves.map(({ wave: number }) => `${number}`);

/** That it is the wave now open. */
const openWave = (number: number, state: SurveyState): Problem | undefined => {
  const last = lastOf(state)!;
  if (number === last.wave) return undefined;
  if (number > last.wave)
    return problem('wave-not-found', `第 ${number} 轮尚未开始`, `wave ${number} has not been opened`, {
      pointer: '/wave',
      value: number,
      allowed: opened(state),
    });
  const { closedOn } = state.waves![number - 1]!;
  return problem('not-allowed-now', `第 ${number} 轮已于 ${closedOn} 结束`, `wave ${number} was closed on ${closedOn}`, {
    pointer: '/wave',
    value: number,
    allowed: [`${last.wave}`],
  });
};

const changed = (state: SurveyState, number: number, change: (before: SurveyWave) => Partial<SurveyWave>): SurveyState => ({
  ...state,
  waves: state.waves!.map((each) => (each.wave === number ? { ...each, ...change(each) } : each)),
});

const surveyStep = step<SurveyState>();

/**
 * A survey of knowledge, belief, behaviour and satisfaction (知信行、满意度): designed once, asked in waves one after the other, so
 * that the awareness of one year is compared with that of another.
 */
export const survey = caseFile<SurveyState>({
  name: 'survey',
  plural: 'surveys',
  title: { zh: '调查', en: 'survey' },
  initialState: { state: NONE },
  steps: {
    DesignSurvey: surveyStep({
      summary: { zh: '设计一项调查:题目、分层、整群、权重', en: 'Design a survey: questions, strata, clusters, weights' },
      schema: design,
      from: [NONE],
      leads: { SurveyDesigned: 'designed' },
      // Version 2 knows questions of awareness; what version 1 says still holds.
      upcasts: { SurveyDesigned: [(data) => data] },
      rule: ({ questions, strata = [], communities }) => {
        for (const [field, list] of [
          ['questions', codesOf(questions)],
          ['strata', codesOf(strata)],
        ] as const) {
          const again = twice(list);
          if (again >= 0) return repeated(list[again]!, `/${field}/${again}/code`);
        }
        const again = twice(communities);
        if (again >= 0) return repeated(communities[again]!, `/communities/${again}`);
        for (const [at, asked] of questions.entries()) {
          const wrong = unanswerable(asked, at);
          if (wrong) return wrong;
        }
        return undefined;
      },
    }),
    OpenWave: surveyStep({
      path: 'waves',
      summary: { zh: '开始一轮调查;轮次从 1 起连续编号', en: 'Open a wave; waves are numbered from 1 without gaps' },
      schema: opening,
      from: ['designed', 'closed'],
      leads: { SurveyWaveOpened: 'open' },
      rule: ({ wave: number, opensOn, closesOn }, state) => {
        const last = lastOf(state);
        const next = (last?.wave ?? 0) + 1;
        if (number !== next)
          return problem('wave-not-next', `下一轮应为第 ${next} 轮`, `the next wave is ${next}`, {
            pointer: '/wave',
            value: number,
            allowed: [`${next}`],
          });
        if (isBefore(opensOn, last?.closedOn))
          return problem(
            'date-too-early',
            `${opensOn} 早于上一轮结束之日(${last!.closedOn})`,
            `${opensOn} is before the last wave was closed (${last!.closedOn})`,
            { pointer: '/opensOn', value: opensOn },
          );
        return isBefore(closesOn, opensOn)
          ? problem('date-too-early', `结束不能早于开始(${opensOn})`, `it can't close before it opens (${opensOn})`, {
              pointer: '/closesOn',
              value: closesOn,
            })
          : undefined;
      },
    }),
    RecordResponses: surveyStep({
      path: 'waves/{wave}/responses',
      summary: { zh: '提交一批答卷(JSON 或 NDJSON)', en: 'Record responses, as JSON or NDJSON' },
      schema: responses,
      from: ['open'],
      leads: { ResponsesRecorded: SAME },
      lines: { field: 'responses', perEvent: MOST_RESPONSES },
      unguarded: true,
      rule: ({ wave: number, responses: batch }, state) => {
        const closed = openWave(number, state);
        if (closed) return closed;
        const questions = new Map(state.design!.questions.map((each) => [each.code, each]));
        const seen = new Map<string, number>();
        for (const [at, given] of batch.entries()) {
          const before = seen.get(given.id);
          seen.set(given.id, at);
          const wrong =
            before === undefined
              ? wrongIn(given, at, state.design!, questions)
              : problem('repeated', `与第 ${before + 1} 份答卷同号`, `has the id of response ${before + 1}`, {
                  pointer: `/responses/${at}/id`,
                  value: given.id,
                });
          // Of a long stream the index alone, counted within its event, wouldn't find the line; the id does.
          if (wrong)
            return {
              ...wrong,
              detail: {
                zh: `第 ${at + 1} 份答卷(${given.id}):${wrong.detail.zh}`,
                en: `response ${at + 1} (${given.id}): ${wrong.detail.en}`,
              },
            };
        }
        return undefined;
      },
    }),
    CloseWave: surveyStep({
      path: 'waves/{wave}/closure',
      summary: { zh: '结束一轮调查', en: 'Close a wave' },
      schema: closure,
      from: ['open'],
      leads: { SurveyWaveClosed: 'closed' },
      rule: ({ wave: number, closedOn }, state) => {
        const closed = openWave(number, state);
        if (closed) return closed;
        const { opensOn } = lastOf(state)!;
        return isBefore(closedOn, opensOn)
          ? problem('date-too-early', `结束不能早于开始(${opensOn})`, `it can't close before it opened (${opensOn})`, {
              pointer: '/closedOn',
              value: closedOn,
            })
          : undefined;
      },
    }),
  },
  folds: {
    SurveyDesigned: (state, data: Design) => ({ ...state, design: data }),
    SurveyWaveOpened: (state, data: Data<typeof opening>) => ({
      ...state,
      waves: [...(state.waves ?? []), { ...data, received: 0, batches: 0 }],
    }),
    ResponsesRecorded: (state, { wave: number, responses: batch }: Data<typeof responses>) =>
      changed(state, number, ({ received, batches }) => ({ received: received + batch.length, batches: batches + 1 })),
    SurveyWaveClosed: (state, { wave: number, closedOn }: Data<typeof closure>) => changed(state, number, () => ({ closedOn })),
  },
  facets: (state) => {
    const last = lastOf(state);
    return {
      community: state.design?.communities.length === 1 ? state.design.communities[0] : undefined,
      communities: state.design?.communities,
      kind: state.design?.domain,
      day: last?.opensOn,
      due: state.state === 'open' ? last?.closesOn : undefined,
    };
  },
  occurred: ['opensOn', 'closedOn'],
});
