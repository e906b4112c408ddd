import type { ExitCode } from '../exit';

/** A command's body: does its work and says how it went. */
export type Run = Promise<ExitCode>;
export interface JsonOption {
  readonly json?: boolean;
}
