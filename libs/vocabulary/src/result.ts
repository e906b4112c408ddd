/** A sentence for a person, in both languages of the product. */
export interface Text {
  readonly zh: string;
  readonly en: string;
}

/**
 * Why something was refused: a stable machine code, a sentence that says what, where and what to do,
 * and, where it applies, the field (JSON pointer), the offending value and what would be allowed.
 */
export interface Problem {
  readonly code: string;
  readonly detail: Text;
  readonly pointer?: string;
  readonly value?: unknown;
  readonly allowed?: readonly string[];
  readonly suggestion?: string;
}

/** Expected outcomes are values; only faults throw. */
export type Result<T, P = Problem> = { readonly ok: true; readonly value: T } | { readonly ok: false; readonly problem: P };

export const ok = <T>(value: T): Result<T, never> => ({ ok: true, value });
export const refuse = <P = Problem>(problem: P): Result<never, P> => ({ ok: false, problem });
