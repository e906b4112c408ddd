/** What the shell is told: api.md, "Command line". */
export const EXIT = { done: 0, partly: 1, usage: 2, unreachable: 3, refused: 4, interrupted: 130 } as const;
export type ExitCode = (typeof EXIT)[keyof typeof EXIT];

/** A problem+json answer (RFC 9457). */
export interface ProblemDocument {
  readonly type?: string;
  readonly title?: string;
  readonly status?: number;
  readonly detail?: string;
  readonly code?: string;
  readonly traceId?: string;
  readonly errors?: readonly ProblemItem[];
}
export interface ProblemItem {
  readonly pointer?: string;
  readonly parameter?: string;
  readonly row?: number;
  readonly column?: string;
  readonly code?: string;
  readonly detail?: string | { readonly zh: string; readonly en: string };
  readonly value?: unknown;
  readonly allowed?: readonly unknown[];
  readonly suggestion?: string;
}

/** Ends the command with one clear line (and the server's reasons, when it gave some). */
export class Failure extends Error {
  override readonly name = 'Failure';
  constructor(
    readonly exitCode: ExitCode,
    message: string,
    readonly problem?: ProblemDocument,
  ) {
    super(message);
  }
}
