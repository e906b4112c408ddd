/** Why a method gave no answer. Codes are stable; `at` names the column, term or place it is about. */
export type Refusal = {
  readonly code:
    | 'bad-input'
    | 'too-short'
    | 'too-few-events'
    | 'no-events'
    | 'collinear'
    | 'separation'
    | 'no-overdispersion'
    | 'no-convergence';
  readonly detail: string;
  readonly at?: string;
};

/** The outcome of a fitted method: a value, or the reason why these data give none. Never NaN, Infinity or a silent zero. */
export type Answer<T> = { readonly ok: true; readonly value: T } | { readonly ok: false; readonly problem: Refusal };

class Refused extends Error {
  constructor(readonly refusal: Refusal) {
    super(refusal.detail);
  }
}

/** Leaves a fit from any depth; caught by `answer` at the public door. */
export const refuse = (code: Refusal['code'], detail: string, at?: string): never => {
  throw new Refused({ code, detail, ...(at === undefined ? {} : { at }) });
};

/** Refusals and failed argument checks (RangeError) become values; faults of our own stay faults. */
export const answer = <T>(run: () => T): Answer<T> => {
  try {
    return { ok: true, value: run() };
  } catch (error) {
    if (error instanceof Refused) return { ok: false, problem: error.refusal };
    if (error instanceof RangeError) return { ok: false, problem: { code: 'bad-input', detail: error.message } };
    throw error;
  }
};

/** The value of an answer; inside another `answer` its refusal travels on. */
export const valueOf = <T>(outcome: Answer<T>): T => {
  if (outcome.ok) return outcome.value;
  throw new Refused(outcome.problem);
};
