/** An event as the log gives it back; the event log's own type fits. */
export interface WorldEvent<P extends bigint = bigint> {
  readonly id: string;
  readonly stream: string;
  readonly revision: number;
  readonly position: P;
}

export interface WorldLog<P extends bigint = bigint> {
  readAll(options: { readonly after: P; readonly limit: number }): Promise<readonly WorldEvent<P>[]>;
}

/** What a caller was told is durable. */
export interface Acknowledged {
  readonly id: string;
  readonly stream?: string;
  readonly position?: bigint;
  readonly revision?: number;
}

/** One read model beside an independent fold of the log. */
export interface WorldTable {
  readonly table: string;
  readonly rows: number;
  readonly expected: number;
  readonly missing: number;
  readonly surplus: number;
  readonly different: number;
  readonly first?: object;
}

export interface WorldOptions<P extends bigint> {
  readonly log: WorldLog<P>;
  /** May name an event more than once: a repeat is acknowledged again. */
  readonly acknowledged: Iterable<Acknowledged>;
  /** The only ids that anybody sent. Any other was made anew by a retry. */
  readonly sent?: ReadonlySet<string>;
  /** The read models beside a fold by independent code. */
  readonly compare?: () => Promise<readonly WorldTable[]>;
}

export type WorldPromise = 'I1' | 'I2' | 'I3' | 'I4' | 'I6';

/** A promise of the design that doesn't hold, and where it was first seen. */
export interface BrokenPromise {
  readonly promise: WorldPromise;
  readonly times: number;
  readonly first: string;
}

export interface WorldReport {
  readonly events: number;
  /** Distinct events that somebody was told are durable. */
  readonly acknowledged: number;
  /** Acknowledged, and not in the log where they were said to be. */
  readonly lost: number;
  /** Times an event stands in the log beyond its first. */
  readonly doubled: number;
  readonly tables: readonly WorldTable[];
  /** Empty: every promise that was looked at holds. */
  readonly broken: readonly BrokenPromise[];
}

const PAGE = 5_000;

/**
 * What must hold after any fault: every acknowledged event is in the log where it was said to be (I1), each event once (I2),
 * read models equal an independent fold (I3), revisions dense and positions ascending (I4), no event under an id that nobody
 * sent (I6). To be called once writers are quiet and projections have caught up.
 */
export const checkWorld = async <P extends bigint>(options: WorldOptions<P>): Promise<WorldReport> => {
  const { log, acknowledged, sent, compare } = options;
  const broken = new Map<WorldPromise, { promise: WorldPromise; times: number; first: string }>();
  const breaks = (promise: WorldPromise, what: string): void => {
    const known = broken.get(promise);
    if (known) known.times++;
    else broken.set(promise, { promise, times: 1, first: what });
  };

  const told = new Map<string, Acknowledged>();
  let lost = 0;
  for (const one of acknowledged) {
    const before = told.get(one.id);
    if (before && differs(before, one))
      breaks('I1', `event ${one.id} was acknowledged at ${where(before)} and again at ${where(one)}`);
    told.set(one.id, one);
  }

  const places = new Map<string, bigint>();
  const revisions = new Map<string, number>();
  let [events, doubled, last] = [0, 0, 0n];
  for (let after = 0n as P; ; ) {
    const page = await log.readAll({ after, limit: PAGE });
    if (page.length === 0) break;
    for (const event of page) {
      events++;
      const { id, stream, revision, position } = event;
      if (position <= last) breaks('I4', `position ${position} comes after ${last}`);
      last = position;
      const next = (revisions.get(stream) ?? -1) + 1;
      if (revision !== next) breaks('I4', `${stream} has revision ${revision} where ${next} is due, at position ${position}`);
      revisions.set(stream, revision);
      const before = places.get(id);
      if (before !== undefined) {
        doubled++;
        breaks('I2', `event ${id} stands at ${before} and at ${position}`);
        continue;
      }
      places.set(id, position);
      if (sent && !sent.has(id)) breaks('I6', `nobody sent event ${id} (${stream}, position ${position})`);
      const one = told.get(id);
      if (one && differs(one, event)) {
        lost++;
        breaks('I1', `event ${id} was acknowledged at ${where(one)} and stands at ${where(event)}`);
      }
    }
    if (page.at(-1)!.position <= after) break; // said above; a reader that doesn't move would read for ever
    after = page.at(-1)!.position;
  }
  for (const one of told.values())
    if (!places.has(one.id)) {
      lost++;
      breaks('I1', `event ${one.id} was acknowledged at ${where(one)} and is not in the log`);
    }

  const tables = (await compare?.()) ?? [];
  for (const { table, missing, surplus, different, first } of tables)
    if (missing + surplus + different > 0)
      breaks(
        'I3',
        `${table}: ${missing} rows missing, ${surplus} surplus, ${different} different; first ${JSON.stringify(first ?? {})}`,
      );
  const inOrder = [...broken.values()].sort((a, b) => a.promise.localeCompare(b.promise));
  return { events, acknowledged: told.size, lost, doubled, tables, broken: inOrder };
};

const PLACE = ['stream', 'position', 'revision'] as const;
const differs = (told: Acknowledged, other: Acknowledged): boolean =>
  PLACE.some((part) => told[part] !== undefined && other[part] !== undefined && told[part] !== other[part]);
const where = ({ stream, position, revision }: Acknowledged): string =>
  `${stream ?? '?'} r${revision ?? '?'} position ${position ?? '?'}`;
