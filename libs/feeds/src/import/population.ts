import { aggregates, communityCommands, type PopulationCell } from '@vigil/domain';
import { toNewEvent, type EventLog, type Position } from '@vigil/event-log';
import { deterministicId } from '@vigil/vocabulary';
import type { CellProblem, CompiledMapping, PopulationRow } from '../mapping';
import { zodProblems } from '../problems';
import type { Row } from '../table';
import { appendPatiently, type RowLoader, type RowOutcome, type Settled } from './import';

type Held = { readonly row: Row; readonly cell?: PopulationCell; problems?: readonly CellProblem[] };

/** As many cells as one event takes. */
const MOST_CELLS = 5_000;

const noAge: CellProblem = { code: 'missing-field', detail: { zh: '缺少年龄', en: 'the age is missing' }, pointer: '/ageFrom' };
const BOTH_RANGES: CellProblem = {
  code: 'invalid-age-range',
  detail: { zh: 'ageTo 不能小于 ageFrom', en: 'ageTo is not below ageFrom' },
  pointer: '/ageTo',
};

const cellOf = (row: Row, { sex, age, ageFrom, ageTo, residency, persons }: PopulationRow): Held => {
  const from = ageFrom ?? age?.from;
  if (from === undefined) return { row, problems: [noAge] };
  const to = ageFrom === undefined ? age!.to : (ageTo ?? null);
  if (to !== null && to < from) return { row, problems: [BOTH_RANGES] };
  return { row, cell: { sex, ageFrom: from, ageTo: to, ...(residency && { residency }), persons } };
};

/**
 * Contiguous rows of one year become one PopulationRecorded event, whose id comes of its content: the same rows again are
 * duplicates. A refused row leaves its group; the others go on without it.
 */
export const populationLoader = (
  { log }: { readonly log: EventLog },
  compiled: CompiledMapping<PopulationRow>,
  { dryRun, signal }: { readonly dryRun?: boolean; readonly signal?: AbortSignal },
): RowLoader => {
  const { feed, community } = compiled;
  const stream = aggregates.community.streamOf(community!);
  let year: number | undefined;
  let held: Held[] = [];
  let cells = 0;

  /** Takes out the cells that the domain refuses, row by row, until it takes the rest. */
  const accepted = (): { cells: PopulationCell[]; data?: unknown } => {
    for (;;) {
      const good = held.filter((one) => one.cell && !one.problems);
      const data = { year, cells: good.map(({ cell }) => cell!) };
      if (good.length === 0) return { cells: [] };
      const parsed = communityCommands.RecordPopulation.safeParse(data);
      if (parsed.success) return { cells: data.cells, data: parsed.data };
      const problems = zodProblems(parsed.error, data);
      let out = false;
      for (const problem of problems) {
        const index = /^\/cells\/(\d+)/.exec(problem.pointer ?? '')?.[1];
        const bad = index === undefined ? undefined : good[Number(index)];
        if (!bad) continue;
        bad.problems = [...(bad.problems ?? []), { ...problem, pointer: undefined }];
        out = true;
      }
      // A fault of the group itself falls on all of its rows rather than on none.
      if (!out) for (const one of good) one.problems = problems;
    }
  };

  const flush = async (): Promise<Settled[]> => {
    if (held.length === 0) return [];
    const { data } = accepted();
    let shared: RowOutcome = { kind: 'accepted', position: null };
    if (data !== undefined) {
      const text = JSON.stringify(data);
      const id = deterministicId('population', feed, community!, String(year), text);
      const metadata = JSON.stringify({ source: `/feeds/${feed}`, feed });
      const event = toNewEvent(
        { type: 'PopulationRecorded', data },
        aggregates.community.versions.PopulationRecorded!,
        id,
        metadata,
      );
      if (dryRun) {
        const before = (await log.readStream(stream)).find((recorded) => recorded.id === id);
        shared = before ? { kind: 'duplicate', position: before.position } : { kind: 'accepted', position: null };
      } else {
        const [outcome] = await appendPatiently(log, [{ stream, expected: 'any', events: [event] }], signal);
        shared = fate(outcome!);
      }
    }
    const settled = held.map(
      ({ row, problems }): Settled => ({ row, outcome: problems ? { kind: 'rejected', problems } : shared }),
    );
    held = [];
    cells = 0;
    return settled;
  };

  return {
    load: async (rows) => {
      const settled: Settled[] = [];
      for (const row of rows) {
        if (row.fault) {
          const { code, column, value, detail } = row.fault;
          held.push({
            row,
            problems: [{ code, detail, ...(column !== undefined && { column }), ...(value !== undefined && { value }) }],
          });
          continue;
        }
        const mapped = compiled.map(row.values);
        if (mapped.problems) {
          held.push({ row, problems: mapped.problems });
          continue;
        }
        const one = cellOf(row, mapped.value);
        if (mapped.value.year !== year || cells >= MOST_CELLS) {
          settled.push(...(await flush()));
          year = mapped.value.year;
        }
        held.push(one);
        cells++;
      }
      // Refused rows alone mustn't pile up: they wait for nobody.
      if (cells === 0 || held.length > 2 * MOST_CELLS) settled.push(...(await flush()));
      return settled;
    },
    finish: flush,
  };
};

const fate = (outcome: { kind: string; position?: Position }): RowOutcome =>
  outcome.kind === 'appended'
    ? { kind: 'accepted', position: outcome.position! }
    : outcome.kind === 'duplicate'
      ? { kind: 'duplicate', position: outcome.position! }
      : {
          kind: 'rejected',
          problems: [
            {
              code: 'event-id-conflict',
              detail: { zh: '同一标识先前带有不同内容', en: 'this id came before with another content' },
            },
          ],
        };
