import { START, type EventLog, type Position, type RecordedEvent } from '../event-log';

export interface PagesOptions {
  /** Exclusive; default the start. */
  readonly after?: Position;
  readonly pageSize?: number;
}

/**
 * The log as it stands when this is called, page by page; what is appended meanwhile doesn't come. The next page is read while the
 * last one is worked on.
 */
export async function* readPages(
  log: Pick<EventLog, 'readAll' | 'head'>,
  { after = START, pageSize = 1_000 }: PagesOptions = {},
): AsyncGenerator<RecordedEvent[], void> {
  const last = await log.head();
  const read = (from: Position): Promise<RecordedEvent[]> => {
    const page = log.readAll({ after: from, limit: pageSize });
    page.catch(() => undefined); // told where it is awaited
    return page;
  };
  for (let coming = read(after); ; ) {
    const page = await coming;
    const at = page.at(-1)?.position;
    if (at === undefined) return;
    if (at < last) coming = read(at);
    const old = at > last ? page.filter((event) => event.position <= last) : page;
    if (old.length > 0) yield old;
    if (at >= last) return;
  }
}
