import { isIdentityName, zodProblems } from '@vigil/feeds';
import type { z } from 'zod';
import { pointerTo } from './pointer';
import { HttpProblem, refusedAll, type ProblemItem } from './problem';

/** A value through its schema. @throws HttpProblem `status` naming every fault */
export const checked = <S extends z.ZodType>(schema: S, input: unknown, status: number): z.output<S> => {
  const result = schema.safeParse(input);
  if (result.success) return result.data;
  throw refusedAll(status, zodProblems(result.error, input, { schema }));
};

/** Fields that would say who the person is, wherever in the body. Their values are never quoted. */
const identityProblems = (input: unknown, path: readonly string[] = []): ProblemItem[] => {
  if (typeof input !== 'object' || input === null) return [];
  return Object.entries(input).flatMap(([key, value]): ProblemItem[] => {
    if (!isIdentityName(key)) return identityProblems(value, [...path, key]);
    const name = key.length > 60 ? `${key.slice(0, 59)}…` : key;
    const detail = {
      zh: `“${name}”会写明此人是谁;事件永久保存,姓名、证件号、电话和详细住址一律不收。请删去该字段,以 recordId 与贵方系统对应`,
      en: `"${name}" would say who the person is; events are kept for ever, so names, id numbers, phones and exact addresses are never taken. Remove the field: recordId finds the record in your own system`,
    };
    return [{ code: 'identity-not-accepted', detail, pointer: pointerTo([...path, key]) }];
  });
};

/**
 * @param own fields of the input itself that are no person's, whatever they sound like
 * @throws HttpProblem 422 `identity-not-accepted`
 */
export const refuseIdentities = (input: unknown, own: readonly string[] = []): void => {
  const problems = identityProblems(input).filter(({ pointer }) => !own.includes(pointer!.slice(1)));
  if (problems.length > 0) throw refusedAll(422, problems);
};

export const notFound = (what: { zh: string; en: string }, code = 'not-found'): HttpProblem => new HttpProblem(404, code, what);
