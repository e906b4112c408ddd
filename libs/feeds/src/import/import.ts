import { createWriteStream } from 'node:fs';
import { rename, rm } from 'node:fs/promises';
import { aggregates, communityCommands, injury, injuryId, injuryStream, type InjuryRecord } from '@vigil/domain';
import {
  loadAggregate,
  LogOverloaded,
  LogUnavailable,
  toNewEvent,
  type AppendOutcome,
  type AppendRequest,
  type EventLog,
  type Position,
} from '@vigil/event-log';
import { deterministicId, fingerprint, type Problem } from '@vigil/vocabulary';
import { compileMapping, findColumn, mappingNamed, type CellProblem, type CompiledMapping, type Mapping } from '../mapping';
import { errorsCsv, FileFault, openTable, type Row, type Table, type TableFormat } from '../table';
import { populationLoader } from './population';

/** Why a row was refused. A row may have several; counts are of rows. `row` counts data rows from 1, `line` physical lines. */
export interface RowProblem extends CellProblem {
  readonly row: number;
  readonly line: number;
}

/** `accepted + duplicates + rejected = rows`, all counted in rows. */
export interface ImportAnswer {
  readonly accepted: number;
  readonly duplicates: number;
  readonly rejected: number;
  readonly rows: number;
  /** Highest position at which a row of this import stands, newly written or met again; null when none does. */
  readonly position: Position | null;
  /** At most 20. */
  readonly firstErrors: readonly RowProblem[];
  readonly ignoredColumns: readonly string[];
  readonly format: TableFormat;
  readonly mapping: string;
  readonly feed: string;
  readonly community?: string;
  readonly dryRun: boolean;
  /** Where the refused rows stand; only when some were and a path was given. */
  readonly errorsFile?: string;
}

export interface ImportProgress {
  /** Rows whose outcome is known. */
  readonly done: number;
  readonly bytesRead: number;
  readonly bytesTotal: number;
  readonly accepted: number;
  readonly duplicates: number;
  readonly rejected: number;
}

export interface ImportOptions {
  readonly path: string;
  /** Name of a shipped mapping, or a mapping. */
  readonly mapping: string | Mapping;
  readonly community?: string;
  readonly feed?: string;
  readonly timeZone?: string;
  /** Everything but writing. Says what would become of each row against the log as it is; reads one stream per row for it. */
  readonly dryRun?: boolean;
  /**
   * Path of a CSV with the refused rows (the input's columns and `_row,_code,_error`). Made only when a row is refused, and put in
   * its place when it is whole, so that it may be the very file that is imported. Untouched when nothing is refused.
   */
  readonly errorsTo?: string;
  readonly onProgress?: (progress: ImportProgress) => void;
  readonly signal?: AbortSignal;
}

export interface ImportDeps {
  readonly log: EventLog;
  /** Named places where a test ends the process. */
  readonly crashPoint?: (name: string) => void | Promise<void>;
}

/** The file can't be read to its end: what was read before is durable and counted in `answer`. */
export class InterruptedImport extends FileFault {
  constructor(
    fault: FileFault,
    readonly answer: ImportAnswer,
  ) {
    super(fault.code, fault.detail, fault.place, { cause: fault });
  }
}

/** What became of a row. */
export type RowOutcome =
  | { readonly kind: 'accepted' | 'duplicate'; readonly position: Position | null }
  | { readonly kind: 'rejected'; readonly problems: readonly CellProblem[] };

/** Sends rows on, some at a time; answers in the rows' order once their fate is known. `finish` gives what is still held back. */
export interface RowLoader {
  readonly load: (rows: readonly Row[]) => Promise<readonly Settled[]>;
  readonly finish: () => Promise<readonly Settled[]>;
}
export type Settled = { readonly row: Row; readonly outcome: RowOutcome };

const BATCH = 1000;
const IN_FLIGHT = 3;
const FIRST_ERRORS = 20;
/** Tries of an append whose outcome is unknown; the ids stay, so that a try too many does no harm. */
const TRIES = 6;

export const ID_CONFLICT: Problem = {
  code: 'event-id-conflict',
  detail: {
    zh: '该记录先前以不同内容上报过;如需更改请提交更正',
    en: 'this record came before with another content; send a correction to change it',
  },
};
export const INJURY_EXISTS: Problem = {
  code: 'injury-exists',
  detail: {
    zh: '该记录已经由其他途径上报;如需更改请提交更正',
    en: 'this record was reported before in another way; send a correction to change it',
  },
};

const pause = (ms: number, signal?: AbortSignal): Promise<void> =>
  new Promise((resolve) => {
    const timer = setTimeout(resolve, ms);
    signal?.addEventListener('abort', () => (clearTimeout(timer), resolve()), { once: true });
  });

/** Appends with patience: a store that is away or full for some seconds doesn't end an import. */
export const appendPatiently = async (
  log: EventLog,
  requests: readonly AppendRequest[],
  signal?: AbortSignal,
): Promise<AppendOutcome[]> => {
  for (let attempt = 1; ; attempt++) {
    try {
      return await log.appendMany(requests);
    } catch (error) {
      if (attempt >= TRIES || signal?.aborted || !(error instanceof LogUnavailable || error instanceof LogOverloaded))
        throw error;
      await pause(100 * 2 ** attempt, signal);
    }
  }
};

/** The append that a feed's record is. Its ids come of feed and number alone, so that a second import meets the first. */
const reportRequest = (record: InjuryRecord, json: string, source: string, metadata: string): AppendRequest => {
  const decision = injury.decide({ type: 'ReportInjury', data: record }, injury.initialState);
  if (!decision.ok) throw new Error(`a first report was refused: ${decision.problem.code}`);
  const event = decision.value[0]!;
  const data = event.data === record ? json : JSON.stringify(event.data);
  const id = deterministicId('event', source, record.recordId);
  return {
    stream: injuryStream(injuryId(record.feed, record.recordId)),
    expected: 'none',
    events: [
      { id, type: event.type, version: aggregates.injury.versions[event.type]!, data, metadata, fingerprint: fingerprint(data) },
    ],
  };
};

const rejected = (problem: CellProblem): RowOutcome => ({ kind: 'rejected', problems: [problem] });

const outcomeOf = (outcome: AppendOutcome, column: string | undefined, recordId: string): RowOutcome => {
  switch (outcome.kind) {
    case 'appended':
      return { kind: 'accepted', position: outcome.position };
    case 'duplicate':
      return { kind: 'duplicate', position: outcome.position };
    case 'id-conflict':
      return rejected({ ...ID_CONFLICT, column, value: recordId });
    case 'conflict':
      return rejected({ ...INJURY_EXISTS, column, value: recordId });
  }
};

/** What an append would answer, without appending: the log is asked, and `seen` for rows of this file. */
const dryAppend = async (
  log: EventLog,
  requests: readonly AppendRequest[],
  seen: Map<string, string>,
): Promise<AppendOutcome[]> => {
  const outcomes: AppendOutcome[] = [];
  for (let at = 0; at < requests.length; at += 16) {
    const some = requests.slice(at, at + 16);
    const streams = await Promise.all(some.map(({ stream }) => log.readStream(stream, { limit: 1 })));
    for (const [index, { events }] of some.entries()) {
      const event = events[0]!;
      const first = streams[index]![0];
      const before = first?.id === event.id ? first.fingerprint : seen.get(event.id);
      if (before !== undefined) {
        outcomes.push(
          before === event.fingerprint
            ? { kind: 'duplicate', revision: 0, position: first?.position ?? NOWHERE }
            : { kind: 'id-conflict', eventId: event.id },
        );
      } else if (first) outcomes.push({ kind: 'conflict', actual: first.revision });
      else {
        outcomes.push({ kind: 'appended', revision: 0, position: NOWHERE });
        if (seen.size < 1_000_000) seen.set(event.id, event.fingerprint);
      }
    }
  }
  return outcomes;
};
/** Stands for the position of what wasn't written. */
const NOWHERE = 0n as Position;

const injuryLoader = (
  deps: ImportDeps,
  compiled: CompiledMapping<InjuryRecord>,
  header: readonly string[],
  options: ImportOptions,
): RowLoader => {
  const { log, crashPoint } = deps;
  const { dryRun, signal } = options;
  const source = `/feeds/${compiled.feed}`;
  const column = header[findColumn(header, compiled.mapping.fields.recordId?.column)];
  const seen = new Map<string, string>();
  const flights: { done: Promise<readonly Settled[]>; streams: ReadonlySet<string> }[] = [];
  let landed = 0;

  const land = async (): Promise<readonly Settled[]> => {
    const settled = await flights.shift()!.done;
    if (++landed === 1) await crashPoint?.('import.mid-append');
    return settled;
  };

  const load = async (rows: readonly Row[]): Promise<readonly Settled[]> => {
    const settled: Settled[] = [];
    const outcomes = new Array<RowOutcome | undefined>(rows.length);
    const requests: AppendRequest[] = [];
    const places: number[] = [];
    const ids: string[] = [];
    rows.forEach((row, index) => {
      if (row.fault) {
        const { code, column, value, detail } = row.fault;
        outcomes[index] = rejected({
          code,
          detail,
          ...(column !== undefined && { column }),
          ...(value !== undefined && { value }),
        });
        return;
      }
      const mapped = compiled.map(row.values);
      if (mapped.problems) {
        outcomes[index] = { kind: 'rejected', problems: mapped.problems };
        return;
      }
      const { recordId } = mapped.value;
      requests.push(
        reportRequest(
          mapped.value,
          mapped.json,
          source,
          `{"source":"${source}","id":${JSON.stringify(recordId)},"feed":"${compiled.feed}"}`,
        ),
      );
      places.push(index);
      ids.push(recordId);
    });
    const streams = new Set(requests.map(({ stream }) => stream));
    // One record twice: the first must win, and batches in flight together have no order among them.
    while (flights.length >= IN_FLIGHT || flights.some((flight) => requests.some(({ stream }) => flight.streams.has(stream))))
      settled.push(...(await land()));
    const append = dryRun
      ? dryAppend(log, requests, seen)
      : requests.length === 0
        ? Promise.resolve([])
        : appendPatiently(log, requests, signal);
    const done = append.then((answers) => {
      answers.forEach((answer, index) => (outcomes[places[index]!] = outcomeOf(answer, column, ids[index]!)));
      return rows.map((row, index) => ({ row, outcome: outcomes[index]! }));
    });
    done.catch(() => {});
    flights.push({ done, streams });
    return settled;
  };

  return {
    load,
    finish: async () => {
      // All are waited for, also after one has failed: nothing is written any more once an import has answered.
      const all = await Promise.allSettled(flights.map(({ done }) => done));
      const failed = all.find((one) => one.status === 'rejected');
      if (failed) throw failed.reason;
      const settled: Settled[] = [];
      while (flights.length > 0) settled.push(...(await land()));
      return settled;
    },
  };
};

const withDefaultCommunity = async (log: EventLog, { community, name }: Mapping): Promise<void> => {
  if (!community) return;
  const data = communityCommands.RegisterCommunity.parse(community);
  const id = deterministicId('event', 'community-default', data.code);
  const event = toNewEvent(
    { type: 'CommunityRegistered', data },
    aggregates.community.versions.CommunityRegistered!,
    id,
    JSON.stringify({ source: `/mappings/${name}` }),
  );
  // A conflict says that it is registered already, which is as good.
  await appendPatiently(log, [{ stream: aggregates.community.streamOf(data.code), expected: 'none', events: [event] }]);
};

const requireCommunity = async (log: EventLog, code: string): Promise<void> => {
  const { state } = await loadAggregate(log, aggregates.community as never, code);
  if ((state as { status: string }).status !== 'none') return;
  throw new FileFault(
    'community-not-found',
    {
      zh: `社区“${code}”没有登记;请先 POST /api/v1/communities`,
      en: `community "${code}" is not registered; POST /api/v1/communities first`,
    },
    { value: code },
  );
};

/** The refused rows' file, opened at the first of them and moved into place at the end. */
const refusals = (path: string | undefined, header: readonly string[]) => {
  const part = `${path}.part`;
  let csv: ReturnType<typeof errorsCsv> | undefined;
  return {
    refuse: async (row: Row, problems: readonly CellProblem[]): Promise<void> => {
      if (path === undefined) return;
      csv ??= errorsCsv(createWriteStream(part), header);
      const sentence = (language: 'zh' | 'en') =>
        problems.map(({ column, detail }) => (column ? `${column}: ${detail[language]}` : detail[language])).join('; ');
      await csv.refuse(row, problems[0]!.code, { zh: sentence('zh'), en: sentence('en') });
    },
    end: async (): Promise<string | undefined> => {
      if (!csv) return undefined;
      await csv.end();
      await rename(part, path!);
      return path;
    },
    drop: async (): Promise<void> => {
      if (!csv) return;
      await csv.end().catch(() => {});
      await rm(part, { force: true });
    },
  };
};

const runImport = async (deps: ImportDeps, options: ImportOptions, mapping: Mapping, table: Table): Promise<ImportAnswer> => {
  const { dryRun = false, onProgress, signal } = options;
  const { header, format } = table;
  const compiled = compileMapping(mapping, header, options);
  const isDefault = mapping.community !== undefined && options.community === undefined;
  if (isDefault && !dryRun) await withDefaultCommunity(deps.log, mapping);
  if (mapping.kind === 'population' && !isDefault) await requireCommunity(deps.log, compiled.community!);
  const loader =
    mapping.kind === 'injury'
      ? injuryLoader(deps, compiled as CompiledMapping<InjuryRecord>, header, options)
      : populationLoader(deps, compiled as never, { dryRun, signal });

  let [accepted, duplicates, rejections] = [0, 0, 0];
  let position: Position | null = null;
  const firstErrors: RowProblem[] = [];
  const errors = refusals(options.errorsTo, header);
  const settle = async (settled: readonly Settled[]): Promise<void> => {
    for (const { row, outcome } of settled) {
      if (outcome.kind === 'rejected') {
        rejections++;
        for (const problem of outcome.problems)
          if (firstErrors.length < FIRST_ERRORS) firstErrors.push({ row: row.row, line: row.line, ...problem });
        await errors.refuse(row, outcome.problems);
        continue;
      }
      if (outcome.kind === 'accepted') accepted++;
      else duplicates++;
      if (outcome.position !== null && outcome.position !== NOWHERE && (position === null || outcome.position > position))
        position = outcome.position;
    }
    const done = accepted + duplicates + rejections;
    if (settled.length > 0)
      onProgress?.({
        done,
        bytesRead: table.bytesRead(),
        bytesTotal: table.bytesTotal,
        accepted,
        duplicates,
        rejected: rejections,
      });
  };
  const answer = (errorsFile: string | undefined): ImportAnswer => ({
    accepted,
    duplicates,
    rejected: rejections,
    rows: accepted + duplicates + rejections,
    position,
    firstErrors,
    ignoredColumns: compiled.ignoredColumns,
    format,
    mapping: mapping.name,
    feed: compiled.feed,
    ...(compiled.community !== undefined && { community: compiled.community }),
    dryRun,
    ...(errorsFile !== undefined && { errorsFile }),
  });

  try {
    let fault: FileFault | undefined;
    try {
      for await (const rows of table.batches(BATCH)) await settle(await loader.load(rows));
    } catch (error) {
      if (!(error instanceof FileFault)) throw error;
      fault = error;
    }
    await settle(await loader.finish());
    const given = answer(await errors.end());
    if (fault) throw new InterruptedImport(fault, given);
    return given;
  } catch (error) {
    if (!(error instanceof InterruptedImport)) {
      await loader.finish().catch(() => {});
      await errors.drop();
    }
    throw error;
  }
};

/**
 * Imports a table through a mapping. Ids come of feed and record number, so that an import that was broken off, killed or repeated ends with
 * the same log as one that ran once.
 *
 * One way for faults: what concerns the whole file is thrown — before the first row as `FileFault` (nothing was written), after it as
 * `InterruptedImport` with the answer so far. What concerns a row is in the answer.
 * @throws FileFault, InterruptedImport, LogUnavailable (after some seconds of patience), the signal's reason
 */
export const importFile = async (deps: ImportDeps, options: ImportOptions): Promise<ImportAnswer> => {
  const mapping = typeof options.mapping === 'string' ? mappingNamed(options.mapping) : options.mapping;
  const table = await openTable(options.path, { signal: options.signal });
  try {
    return await runImport(deps, options, mapping, table);
  } finally {
    await table.close();
  }
};
