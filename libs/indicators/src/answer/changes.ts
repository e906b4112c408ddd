/**
 * What moved a value between two positions of the log, to the last event. The events that touch a row are gone through in the
 * order of the log; each takes the difference that it made, so that the parts add up to the whole exactly.
 */
import { isCounted, type IndicatorDefinition } from '../definitions/definition';
import { factSource, isVersioned } from '../facts/facts';
import type { ObservationRow } from '../output/answer';
import type { DimensionName } from '../query/query';
import { cellKey, product, takePart, type Change, type Part } from './cells';
import type { RowsContext } from './context';
import { refuse } from './refused';
import { rowsOf, tableOfParts, takeParts, type Figures, type Place, type Table } from './rows';
import { emptyTally, tally, type Tally } from './tally';

/** What a change of a value came from. */
export const CAUSES = ['real', 'late', 'correction', 'retraction', 'linkage', 'population', 'boundary', 'definition'] as const;
export type CauseKind = (typeof CAUSES)[number];

/** An event as the log tells of it. */
export interface ToldEvent {
  readonly position: string;
  readonly type: string;
  readonly stream: string;
  readonly recordedAt: string;
  readonly kind: CauseKind;
}

export interface Cause {
  readonly kind: CauseKind;
  /** By how much the value moved, in its unit; null where the row has no value at either end. */
  readonly amount: number | null;
  /** By how much the numerator moved. */
  readonly num: number;
  readonly events: readonly ToldEvent[];
}

type Ends = Pick<ObservationRow, 'value' | 'num' | 'den' | 'status' | 'reason'>;

export interface RowChange extends Readonly<Partial<Record<DimensionName, string>>> {
  readonly dx: string;
  readonly pe: string;
  readonly ou: string;
  /** Null: there was no such row. */
  readonly before: Ends | null;
  readonly after: Ends | null;
  readonly causes: readonly Cause[];
}

/** How a step changed a row, before it is known which event it was. */
interface Step {
  /** `time`: nothing was recorded, a day passed. */
  readonly at: bigint | 'definition' | 'time';
  readonly value: number | null;
  readonly num: number;
  /** What stood after it. */
  readonly figures: Figures | ObservationRow | undefined;
}

interface Walked {
  readonly place: Place;
  readonly before: Figures | undefined;
  readonly after: Figures | undefined;
  readonly steps: readonly Step[];
}

/** More single steps than this, where each is a question of its own, are a different question. */
export const MOST_STEPS = 500;

/** Whether an indicator's changes can be taken from its facts at once, without asking again at every event. */
const isSwift = ({ numerator, denominator, lists = [] }: IndicatorDefinition): boolean =>
  isCounted(numerator) &&
  [numerator, denominator, ...lists].every((part) => part === undefined || !isCounted(part) || isVersioned(part.fact));

const add = (cells: Map<string, Tally>, { key, count, band }: Change): void => {
  let cell = cells.get(key);
  if (!cell) cells.set(key, (cell = emptyTally()));
  tally(cell, count, band);
};

export interface Walk {
  readonly from: RowsContext;
  readonly to: RowsContext;
  /** The rows' context as of a position between the two. */
  readonly contextAt: (position: bigint) => Promise<RowsContext>;
  /** Positions between the two at which a population, another yearly figure or a boundary changed, in order. */
  readonly settings: readonly bigint[];
  /** Positions at which any record of a read model changed, for indicators that are walked event by event. */
  readonly recordsOf: (models: readonly string[]) => Promise<readonly bigint[]>;
}

const sameFigures = (a: Figures | undefined, b: Figures | undefined): boolean =>
  a?.value === b?.value &&
  a?.num === b?.num &&
  a?.den === b?.den &&
  a?.reason === b?.reason &&
  (a === undefined) === (b === undefined);

/** Takes the steps of one row: the value that stands after each, and what of it is new. */
class Path {
  readonly steps: Step[] = [];
  #value: number | null;
  #num: number;

  constructor(before: Figures | undefined) {
    this.#value = before?.value ?? null;
    this.#num = before?.num ?? 0;
  }

  step(at: Step['at'], figures: Figures | undefined): void {
    const num = figures?.num ?? 0;
    const value = figures?.value ?? null;
    // Where a value comes or goes on the way there is nothing to take a difference of: the next one that stands takes it.
    const moved = value === null || this.#value === null ? null : value - this.#value;
    if (num !== this.#num || (moved !== null && moved !== 0) || (value === null) !== (this.#value === null))
      this.steps.push({ at, value: moved, num: num - this.#num, figures });
    if (value !== null) this.#value = value;
    this.#num = num;
  }
}

const placesOf = ({ periods, targets }: RowsContext, table: Table): Place[] => {
  const combinations = product(table.values.map(({ codes }) => codes));
  return periods.flatMap(({ window }, period) =>
    targets.flatMap((target, ou) => combinations.map((codes): Place => ({ period, ou, target, window, codes }))),
  );
};

const placeKey = ({ period, ou, codes }: Pick<Place, 'period' | 'ou' | 'codes'>): string => cellKey(period, ou, codes);

const swiftly = async ({ from, to, contextAt, settings }: Walk): Promise<Walked[]> => {
  const { definition } = from;
  const { numerator, denominator, lists = [] } = definition;
  if (!isCounted(numerator)) throw new TypeError('not a counted indicator');
  const parts = await takeParts(from, numerator);
  const over = definition.method === 'indirect-standardisation' ? [...from.targets, from.everywhere] : from.targets;
  const later = { ...to, targets: from.targets, everywhere: from.everywhere };
  const changesOf = async (
    part: Part,
    ...[name, counted, targets]: Parameters<typeof takePart> extends [unknown, ...infer R] ? [R[0], R[1], R[2]] : never
  ) => (await takePart(later, name, counted, targets, from.position)).changes.map((change) => ({ change, part }));
  const changes = await changesOf(parts.numerator, 'numerator', numerator, over);
  if (isCounted(denominator)) changes.push(...(await changesOf(parts.denominator!, 'denominator', denominator, from.targets)));
  for (const [index, list] of lists.entries())
    changes.push(...(await changesOf(parts.lists[index]!, 'list', list, from.targets)));

  const met = changes.map(({ change }) => change.count);
  let table = tableOfParts(from, parts, met);
  const places = placesOf(from, table);
  const byKey = new Map(places.map((place) => [placeKey(place), place]));
  const before = new Map(places.map((place) => [placeKey(place), table.row(place)]));
  const paths = new Map([...before].map(([key, figures]) => [key, new Path(figures)]));

  const at = new Map<bigint, typeof changes>();
  for (const each of changes) {
    const list = at.get(each.change.count.at!);
    if (list) list.push(each);
    else at.set(each.change.count.at!, [each]);
  }
  const settled = new Set(settings);
  for (const position of [...new Set([...at.keys(), ...settings])].sort((a, b) => (a < b ? -1 : 1))) {
    const touched = new Set<string>();
    for (const { change, part } of at.get(position) ?? []) {
      add(part.cells, change);
      // What everybody has is what every row of the period is measured against.
      if (change.ou < from.targets.length) touched.add(change.key);
      else from.targets.forEach((_, ou) => touched.add(placeKey({ ...change, ou })));
    }
    if (settled.has(position)) {
      table = tableOfParts(
        { ...(await contextAt(position)), targets: from.targets, everywhere: from.everywhere, definition },
        parts,
        met,
      );
      for (const key of paths.keys()) touched.add(key);
    }
    for (const key of touched) paths.get(key)?.step(position, table.row(byKey.get(key)!));
  }
  const last = tableOfParts(later, parts, met);
  return places.map((place) => {
    const key = placeKey(place);
    return { place, before: before.get(key), after: last.row(place), steps: paths.get(key)!.steps };
  });
};

/** Asks again at every event that might matter. */
const oneByOne = async ({
  from,
  to,
  contextAt,
  settings,
  recordsOf,
}: Walk): Promise<Map<string, { before?: ObservationRow; after?: ObservationRow; steps: Step[] }>> => {
  const { numerator, denominator, lists = [] } = from.definition;
  const models = [numerator, denominator, ...lists].flatMap((part) =>
    isCounted(part) ? factSource(part.fact).models : part?.fact === 'survey' ? ['case-files', 'survey-responses'] : [],
  );
  const positions = [...new Set([...settings, ...(await recordsOf(models))])].sort((a, b) => (a < b ? -1 : 1));
  if (positions.length > MOST_STEPS)
    refuse(413, {
      code: 'too-many-changes',
      detail: {
        zh: `两个位置之间有 ${positions.length} 个相关事件,至多 ${MOST_STEPS} 个;请缩小范围`,
        en: `${positions.length} events between the two positions may matter, at most ${MOST_STEPS}; take a shorter stretch`,
      },
    });
  const keyOf = (row: ObservationRow): string =>
    JSON.stringify([row.pe, row.ou, ...from.query.dimensions.map(({ name }) => row[name])]);
  const at = async (context: RowsContext) =>
    new Map((await rowsOf({ ...context, definition: from.definition })).map((row) => [keyOf(row), row]));
  const first = await at(from);
  const found = new Map(
    [...first].map(([key, row]) => [key, { before: row, path: new Path(row), last: row as ObservationRow | undefined }] as const),
  );
  const rows = new Map<string, { before?: ObservationRow; after?: ObservationRow; path: Path }>(found);
  let now = first;
  for (const position of positions) {
    now = await at(await contextAt(position));
    for (const [key, row] of now) if (!rows.has(key)) rows.set(key, { path: new Path(undefined), after: row });
    for (const [key, entry] of rows) entry.path.step(position, now.get(key));
  }
  // What is censored or ended by the day moves with the day alone.
  now = await at({ ...to, definition: from.definition });
  return new Map(
    [...rows].map(([key, { before, path }]) => {
      const after = now.get(key);
      path.step('time', after);
      return [key, { ...(before && { before }), ...(after && { after }), steps: path.steps }];
    }),
  );
};

/** A row's change with its steps, events not yet named. */
export interface Moved {
  readonly row: Pick<RowChange, 'dx' | 'pe' | 'ou' | 'before' | 'after'> & Readonly<Partial<Record<DimensionName, string>>>;
  readonly steps: readonly Step[];
}

const ends = (figures: Figures | ObservationRow | undefined): Ends | null =>
  figures === undefined
    ? null
    : {
        value: figures.value,
        num: figures.num,
        den: figures.den,
        status: figures.status,
        ...(figures.reason !== undefined && { reason: figures.reason }),
      };

/** Every row of one indicator that differs between the two ends, and the steps from one to the other. */
export const movedRows = async (walk: Walk, definedAnew: IndicatorDefinition | undefined): Promise<Moved[]> => {
  const { from, to } = walk;
  const dims = (codes: readonly string[]) =>
    Object.fromEntries(from.query.dimensions.map(({ name }, index) => [name, codes[index]!])) as Partial<
      Record<DimensionName, string>
    >;
  const moved: Moved[] = [];
  const dx = from.definition.code;
  if (isSwift(from.definition))
    for (const { place, before, after, steps } of await swiftly(walk)) {
      if (steps.length === 0 && sameFigures(before, after)) continue;
      const { id: pe } = from.periods[place.period]!;
      moved.push({ row: { dx, pe, ou: place.target.ou, ...dims(place.codes), before: ends(before), after: ends(after) }, steps });
    }
  else
    for (const { before, after, steps } of (await oneByOne(walk)).values()) {
      if (steps.length === 0 && sameFigures(before, after)) continue;
      const row = (before ?? after)!;
      const codes = from.query.dimensions.map(({ name }) => row[name]!);
      moved.push({ row: { dx, pe: row.pe, ou: row.ou, ...dims(codes), before: ends(before), after: ends(after) }, steps });
    }
  if (definedAnew === undefined) return moved;
  // The last step after the others: the same records under the new definition.
  const keyOf = (row: Moved['row'] | ObservationRow): string =>
    JSON.stringify([row.pe, row.ou, ...from.query.dimensions.map(({ name }) => row[name])]);
  const known = new Map(moved.map((each) => [keyOf(each.row), each]));
  const old = new Map((await rowsOf({ ...to, definition: from.definition })).map((row) => [keyOf(row), row]));
  return (await rowsOf({ ...to, definition: definedAnew })).flatMap((row): Moved[] => {
    const key = keyOf(row);
    const was = old.get(key);
    const value = row.value === null || was?.value == null ? null : row.value - was.value;
    const num = (row.num ?? 0) - (was?.num ?? 0);
    const before = known.get(key);
    if (sameFigures(was, row)) return before ? [before] : [];
    const base = before?.row ?? {
      dx,
      pe: row.pe,
      ou: row.ou,
      ...dims(from.query.dimensions.map(({ name }) => row[name]!)),
      before: ends(was),
    };
    return [
      { row: { ...base, after: ends(row) }, steps: [...(before?.steps ?? []), { at: 'definition', value, num, figures: row }] },
    ];
  });
};

/** The steps of a row put together by what kind of event each was. */
export const causesOf = ({ row, steps }: Moved, told: (position: bigint) => ToldEvent | undefined): readonly Cause[] => {
  const valued = row.before?.value != null && row.after?.value != null;
  const byKind = new Map<CauseKind, { amount: number; num: number; events: ToldEvent[] }>();
  for (const { at, value, num } of steps) {
    const event = typeof at === 'bigint' ? told(at) : undefined;
    const kind: CauseKind = at === 'definition' ? 'definition' : (event?.kind ?? 'real');
    const cause = byKind.get(kind) ?? { amount: 0, num: 0, events: [] };
    byKind.set(kind, cause);
    cause.amount += value ?? 0;
    cause.num += num;
    if (event) cause.events.push(event);
  }
  return CAUSES.flatMap((kind) => {
    const cause = byKind.get(kind);
    return cause ? [{ kind, amount: valued ? cause.amount : null, num: cause.num, events: cause.events }] : [];
  });
};
