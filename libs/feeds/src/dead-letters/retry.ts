import type { EventLog } from '@vigil/event-log';
import { ok, refuse, type Problem, type Result } from '@vigil/vocabulary';
import { parseJson } from '../push/body';
import { pushParsed, type PushResult } from '../push/push';
import type { DeadLetterStore, KeptLetter } from './store';

const WITHHELD: Problem = {
  code: 'payload-withheld',
  detail: {
    zh: '该消息的内容未保存(过大或疑含个人身份信息);请随重试给出修改后的事件',
    en: 'the content of this record was not kept (too large, or it seemed to hold an identity): give an edited event with the retry',
  },
  pointer: '/payload',
};

/**
 * Sends a refused record again by the way that all events of its feed take, as it was or as `edited` (a CloudEvent). The letter keeps
 * its payload; what became of the retry is kept beside it.
 * @throws LogUnavailable, LogOverloaded
 */
export const retryLetter = async (
  { log, store }: { readonly log: EventLog; readonly store: DeadLetterStore },
  { id, feed, payload }: KeptLetter,
  edited?: unknown,
): Promise<Result<PushResult>> => {
  if (edited === undefined && payload === null) return refuse(WITHHELD);
  const parsed: Result<unknown> = edited === undefined ? parseJson(payload!) : ok(edited);
  const [result] = await pushParsed({ log }, feed, [parsed]);
  const { status, problem, position } = result!;
  // An edited payload that is refused may hold anything, identities among it: only one that was taken is written down.
  const kept = edited !== undefined && status !== 'rejected' ? Buffer.from(JSON.stringify(edited)) : null;
  await store.addRetry(id, { status, edited: edited !== undefined, problem, position }, kept);
  return ok(result!);
};
