/** What one append proposes. */
export interface Proposed {
  readonly id: string;
  readonly type: string;
  readonly contentType: string;
  readonly data: Uint8Array;
  readonly metadata: Uint8Array;
}

export interface Recorded extends Proposed {
  readonly stream: string;
  readonly revision: number;
  /** Where the record begins and ends in the transaction file: positions are bytes, so they leave holes. */
  readonly position: bigint;
  readonly end: bigint;
  /** .NET ticks of 100 ns since 1970. */
  readonly created: bigint;
}

/** `any`, `none` or the last revision, as the wire has them. */
export type Expected = 'any' | 'none' | 'exists' | number;

export type Written =
  | { readonly ok: true; readonly revision: number; readonly position: bigint | undefined }
  | { readonly ok: false; readonly current: number | undefined };

/** A position that no record begins at. */
export class InvalidPosition extends Error {
  override readonly name = 'InvalidPosition';
}

/**
 * What an EventStoreDB keeps, as its source decides it (StorageWriterService, IndexWriter.CheckCommit and AllReader of 24.10):
 * expected versions, repeated writes, byte positions, system events among ours. It outlives the peers that serve it.
 */
export const createDatabase = ({ now = Date.now }: { readonly now?: () => number } = {}) => {
  const all: Recorded[] = [];
  const streams = new Map<string, Recorded[]>();
  /** Index in `all` of the first record at or after each place where reading may begin. */
  const starts = new Map<bigint, number>();
  /** Recently committed ids: a cache on the real server too, so forgetful. */
  let committed = new Map<string, Recorded>();
  const waiting = new Set<() => void>();
  let end = 0n;
  let writes = 0;
  let lastTick = 0n;

  /** Something that is no event: an epoch, a chunk's footer. */
  const skip = (bytes: bigint): void => {
    starts.set(end, all.length);
    end += bytes;
  };

  const record = (stream: string, proposed: Proposed): Recorded => {
    const inStream = streams.get(stream) ?? [];
    streams.set(stream, inStream);
    const clock = BigInt(now()) * 10_000n;
    // Within a millisecond ticks go on; a clock that is set back is not corrected, there as here.
    lastTick = lastTick / 10_000n === clock / 10_000n ? lastTick + 1n : clock;
    const size = BigInt(90 + stream.length + proposed.type.length + proposed.data.length + proposed.metadata.length);
    const one: Recorded = { ...proposed, stream, revision: inStream.length, position: end, end: end + size, created: lastTick };
    starts.set(end, all.length);
    end += size;
    inStream.push(one);
    all.push(one);
    return one;
  };

  const system = (stream: string, type: string): void =>
    void record(stream, {
      id: `00000000-0000-4000-8000-${all.length.toString(16).padStart(12, '0')}`,
      type,
      contentType: 'application/json',
      data: Buffer.from('{}'),
      metadata: Buffer.alloc(0),
    });

  /** Undefined: write. */
  const check = (stream: string, expected: Expected, events: readonly Proposed[]): Written | undefined => {
    const inStream = streams.get(stream) ?? [];
    const current = inStream.length - 1;
    const refused: Written = { ok: false, current: current < 0 ? undefined : current };
    const again = (last: Recorded): Written => ({ ok: true, revision: last.revision, position: last.position });
    if (expected === 'any' || expected === 'exists') {
      if (expected === 'exists' && current < 0) return refused;
      const known = events.map(({ id }) => committed.get(id)).map((found) => (found?.stream === stream ? found : undefined));
      if (known[0] === undefined) return undefined;
      return known.includes(undefined) ? refused : again(known.at(-1)!);
    }
    const version = expected === 'none' ? -1 : expected;
    if (version > current) return refused;
    if (version === current) return undefined;
    const there = inStream.slice(version + 1, version + 1 + events.length);
    return there.length === events.length && there.every(({ id }, n) => id === events[n]!.id) ? again(there.at(-1)!) : refused;
  };

  const append = (stream: string, expected: Expected, events: readonly Proposed[]): Written => {
    const answered = check(stream, expected, events);
    if (answered) return answered;
    writes++;
    if (writes % 10 === 0) system('$stats-127.0.0.1:2113', '$statsCollected');
    if (writes % 7 === 0) skip(1264n);
    const written = events.map((event) => record(stream, event));
    for (const one of written) committed.set(one.id, one);
    for (const wake of [...waiting]) wake();
    const last = written.at(-1)!;
    return { ok: true, revision: last.revision, position: last.position };
  };

  skip(480n);
  system('$users', '$UsersInitialized');
  system('$streams', '$stream-metadata');

  return {
    append,
    all: all as readonly Recorded[],
    stream: (name: string): readonly Recorded[] | undefined => streams.get(name),
    /** Index in `all` from which a forward read at this position goes on. @throws InvalidPosition */
    indexAt: (position: bigint): number => {
      const found = starts.get(position);
      if (found !== undefined) return found;
      if (position > (all.at(-1)?.position ?? -1n)) return all.length;
      throw new InvalidPosition();
    },
    /** Resolves at the next write, or when the signal aborts. */
    changed: (signal: AbortSignal): Promise<void> =>
      new Promise((resolve) => {
        const wake = (): void => {
          waiting.delete(wake);
          signal.removeEventListener('abort', wake);
          resolve();
        };
        waiting.add(wake);
        signal.addEventListener('abort', wake);
        if (signal.aborted) wake();
      }),
    /** As a restart does: repeats are then known by what stands in the stream, no longer by id alone. */
    forgetIds: (): void => void (committed = new Map()),
  };
};

export type Database = ReturnType<typeof createDatabase>;
