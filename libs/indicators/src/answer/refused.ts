import type { Problem } from '@vigil/vocabulary';

export type RefusalStatus = 400 | 413 | 503;

/** A question that has no answer as it was put; `status` is the HTTP status that fits. */
export class Refused extends Error {
  constructor(
    readonly status: RefusalStatus,
    readonly problems: readonly Problem[],
  ) {
    super(problems[0]?.detail.en);
  }
}

export const refuse = (status: RefusalStatus, problem: Problem): never => {
  throw new Refused(status, [problem]);
};
