import { z } from 'zod';
import { caseFile, NONE, problem, step, type FileState } from '../case-file';
import { codeName, text } from '../fields';

/** What an indicator counts is no matter of the register: it keeps the document, whatever is in it. */
const document = z.looseObject({
  code: codeName,
  /** From 1; each revision is the next. */
  version: z.number().int().min(1),
});
const definition = z.strictObject({ definition: document });
const revision = z.strictObject({ definition: document, reason: text(500).optional() });
const withdrawal = z.strictObject({ reason: text(500) });

type Data<T extends z.ZodType> = z.infer<T>;
export type IndicatorDocument = Data<typeof document>;

export interface IndicatorState extends FileState {
  readonly state: 'none' | 'in-force' | 'withdrawn';
  /** The latest version; withdrawn, the one that was in force. */
  readonly definition?: IndicatorDocument;
  readonly withdrawnFor?: string;
}

/** Pointers of refusals are the document's own. */
const indicatorStep = step<IndicatorState>();

const isVersion = (wanted: number, { version }: IndicatorDocument) =>
  version === wanted
    ? undefined
    : problem('version-not-next', `版本应为 ${wanted},不是 ${version}`, `the version is ${wanted}, not ${version}`, {
        pointer: '/version',
        value: version,
        allowed: [`${wanted}`],
      });

/**
 * Definitions of indicators: defined, revised, withdrawn, each version kept. A file that begins with a revision is of an indicator
 * that came with the program, whose version 1 no event tells.
 */
export const indicator = caseFile<IndicatorState>({
  name: 'indicator',
  plural: 'indicators',
  title: { zh: '指标定义', en: 'indicator' },
  initialState: { state: NONE },
  idOf: ({ definition: { code } }: Data<typeof definition>) => code,
  steps: {
    DefineIndicator: indicatorStep({
      summary: { zh: '定义一个指标(版本 1)', en: 'Define an indicator: version 1' },
      schema: definition,
      from: [NONE],
      leads: { IndicatorDefined: 'in-force' },
      rule: ({ definition: given }) => isVersion(1, given),
    }),
    ReviseIndicator: indicatorStep({
      path: 'revisions',
      summary: {
        zh: '修订定义:下一个版本;撤回的由此恢复,随程序提供的指标也可修订',
        en: 'Revise it: the next version; brings a withdrawn one back, and goes for those shipped too',
      },
      schema: revision,
      from: [NONE, 'in-force', 'withdrawn'],
      leads: { IndicatorRevised: 'in-force' },
      rule: ({ definition: given }, { definition: before }) => {
        if (before !== undefined && given.code !== before.code)
          return problem(
            'code-differs',
            `代码是 ${before.code},修订不能改变它`,
            `its code is ${before.code}; a revision does not change it`,
            { pointer: '/code', value: given.code, allowed: [before.code] },
          );
        return isVersion((before?.version ?? 1) + 1, given);
      },
    }),
    WithdrawIndicator: indicatorStep({
      path: 'withdrawal',
      summary: { zh: '撤回:此后不能再查询;以往时点仍可', en: 'Withdraw it: no longer to be asked for, but as of earlier days' },
      schema: withdrawal,
      from: ['in-force'],
      leads: { IndicatorWithdrawn: 'withdrawn' },
    }),
  },
  folds: {
    IndicatorDefined: (state, data: Data<typeof definition>) => ({ ...state, definition: data.definition }),
    IndicatorRevised: ({ withdrawnFor: _, ...state }, data: Data<typeof revision>) => ({ ...state, definition: data.definition }),
    IndicatorWithdrawn: (state, { reason }: Data<typeof withdrawal>) => ({ ...state, withdrawnFor: reason }),
  },
  facets: () => ({}),
});
