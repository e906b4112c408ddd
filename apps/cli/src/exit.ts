import { language, say } from './language';

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

const VALUE_SHOWN = 40;
/** A cell as it stands, in quotes; what would move a terminal's cursor is escaped. */
const quoted = (value: unknown): string => {
  const text = typeof value === 'string' ? value : (JSON.stringify(value) ?? '');
  return JSON.stringify(text.length > VALUE_SHOWN ? `${text.slice(0, VALUE_SHOWN - 1)}…` : text).replaceAll(
    /[\u007f-\u009f\u2028-\u202e\u2066-\u2069]/g,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
};

const detailText = (detail: ProblemItem['detail']): string => (typeof detail === 'object' ? detail[language()] : (detail ?? ''));

/** One line per reason: where, what stands there, what is wrong, what would be right, and for a row the code. A lone reason that repeats the detail adds only what would be right. */
export const problemLines = (problem: ProblemDocument): string[] => {
  const items = (problem.errors ?? []).slice(0, 10).flatMap((item) => {
    const said = detailText(item.detail) || item.code;
    const again = said === problem.detail;
    const column = item.column ? ` ${item.column}` : '';
    const value = item.value !== undefined && item.value !== '' ? ` ${quoted(item.value)}` : '';
    const where =
      item.row !== undefined
        ? say(`第 ${item.row} 行${column}${value}:`, `row ${item.row}${column}${value}:`)
        : item.pointer
          ? `${item.pointer}:`
          : '';
    const allowed = item.allowed?.slice(0, 12) ?? [];
    const right = item.suggestion
      ? problem.detail?.includes(item.suggestion)
        ? ''
        : say(`(是否为 ${item.suggestion}?)`, `(did you mean ${item.suggestion}?)`)
      : allowed.length > 0
        ? say(`(可用:${allowed.join('、')})`, `(allowed: ${allowed.join(', ')})`)
        : '';
    const code = item.row !== undefined && item.code && item.code !== said ? `[${item.code}]` : '';
    const line = (again ? [right] : [where, said, right, code]).filter(Boolean).join(' ');
    return line ? [`  ${line}`] : [];
  });
  const more = (problem.errors?.length ?? 0) - 10;
  return [...new Set(items), ...(more > 0 ? [say(`  … 另有 ${more} 项`, `  … ${more} more`)] : [])];
};
