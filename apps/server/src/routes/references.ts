import { aggregates, caseFiles, referencesIn, type CaseFile, type Reference } from '@vigil/domain';
import { problemItem } from '../http/problem';
import type { Answer, Call } from '../route';

/** An inspection may name thousands of places; whoever sent a wrong list learns it from the first. */
const MOST = 20;

const streams = new Map([
  ...caseFiles.map(({ name, streamOf }) => [name, streamOf] as const),
  ['injury', aggregates.injury.streamOf] as const,
]);

/** Those of the files named that the log doesn't hold. The read models say which to look for: they may be behind a write. */
const missing = async ({ engine }: Pick<Call, 'engine'>, named: readonly Reference[]): Promise<Reference[]> => {
  const unseen = await engine.readModels.unknownFiles(named.map(({ register, id }) => ({ register, id })));
  const found: Reference[] = [];
  for (const { register, id } of unseen) {
    if (found.length === MOST) break;
    const events = await engine.log.readStream(streams.get(register)!(id), { limit: 1 });
    if (events.length === 0) found.push(named.find((each) => each.register === register && each.id === id)!);
  }
  return found;
};

const warning = ({ register, id, pointer }: Reference, { language }: Pick<Call, 'language'>) => {
  const title = caseFiles.find(({ name }) => name === register)?.title ?? { zh: '伤害记录', en: 'injury record' };
  const detail = {
    zh: `没有${title.zh} ${id};已照写,如有误请更正`,
    en: `there is no ${title.en} ${id}; it was written as it is, correct it if that is wrong`,
  };
  return problemItem({ code: 'unknown-reference', detail, pointer, value: id }, language);
};

/**
 * The answer of a command that was taken, with `warnings` of files that it names and that are nowhere. A warning and no refusal: what
 * a feed names may come by another feed, tomorrow.
 */
export const withWarnings = async (
  call: Pick<Call, 'engine' | 'language' | 'traceId'>,
  file: CaseFile,
  data: unknown,
  answer: Answer,
): Promise<Answer> => {
  const named = referencesIn(file, data);
  if (named.length === 0) return answer;
  // The command is in the log whatever comes of this look.
  const strays = await missing(call, named).catch((err: unknown) => {
    call.engine.logger.warn({ err, traceId: call.traceId }, 'references of a command could not be looked up');
    return [];
  });
  if (strays.length === 0) return answer;
  return { ...answer, body: { ...(answer.body as object), warnings: strays.map((each) => warning(each, call)) } };
};
