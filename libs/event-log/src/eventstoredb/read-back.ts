import type { Read } from './wire';

/** Most events of one read; a burst of appends stands together in the log. */
const MOST = 500;

interface Asked {
  readonly position: bigint;
  readonly resolve: (found: Read | undefined) => void;
  readonly reject: (error: unknown) => void;
}

/**
 * What stands at positions that were just written to. One read answers for all who ask while the one before it is on its way:
 * a lone append reads back one event, sixty-four at once share one call.
 * @param readFrom events from a position on, itself included
 */
export const createReadBack = (readFrom: (position: bigint, count: number) => Promise<Read[]>) => {
  let asked: Asked[] = [];
  let reading = false;

  const readNext = async (): Promise<void> => {
    const batch = asked.sort((a, b) => (a.position < b.position ? -1 : 1));
    asked = [];
    try {
      const page = await readFrom(batch[0]!.position, batch.length === 1 ? 1 : MOST);
      const found = new Map<bigint, Read>(page.map((read) => [read.event.position, read]));
      const end = page.at(-1)?.event.position;
      for (const one of batch) {
        if (page.length === MOST && one.position > end!) asked.push(one);
        else one.resolve(found.get(one.position));
      }
    } catch (error) {
      for (const { reject } of batch) reject(error);
    }
  };

  const readAll = async (): Promise<void> => {
    reading = true;
    while (asked.length > 0) await readNext();
    reading = false;
  };

  return (position: bigint): Promise<Read | undefined> =>
    new Promise((resolve, reject) => {
      asked.push({ position, resolve, reject });
      if (!reading) void readAll();
    });
};
