/** Answers for release: which rows are hidden, given all that was ever told of the same counts. */
import type { Migration } from '@vigil/platform';
import { addDays, ageRange, DEFAULT_AGE_BANDS, UNKNOWN, type AgeRange, type Period } from '@vigil/vocabulary';
import { hash } from 'node:crypto';
import { isCounted, type Counted, type IndicatorDefinition } from '../definitions/definition';
import { cellId, nextVintage, shareIds, shareTable, tableOf, type Axis, type Sum, type Table } from '../disclosure';
import { factSource } from '../facts/facts';
import type { ObservationRow } from '../output/answer';
import type { Dimension, DimensionName } from '../query/query';
import { cellOf, product, takePart, valuesOf, type Part } from './cells';
import type { CommunityTree, OuTarget } from './communities';
import type { RowsContext } from './context';
import { periodCuts } from './counts';
import { refuse } from './refused';

export const RELEASE_MIGRATIONS: readonly Migration[] = [
  {
    id: 'release/001-told',
    sql: `
CREATE SCHEMA release;
-- What answers for release have told of a count: every value ever shown, and whether the last one hid it. No read model: a rebuild
-- must not forget what readers remember. \`cell\` names the count whatever query asked for it.
CREATE TABLE release.told (
  audience text COLLATE "C" NOT NULL,
  cell     uuid NOT NULL,
  shown    bigint[] NOT NULL,
  hidden   boolean NOT NULL,
  PRIMARY KEY (audience, cell)
);
`,
  },
];

export type Audience = 'staff' | 'public';

/** Counts from 1 to one less than this are small. */
export const THRESHOLDS = { staff: 5, public: 10, sensitive: 10 } as const;
/** More cells than this take minutes to protect. */
const MOST_CELLS = 30_000;
const ADULT = 18;

/** What is counted is people: hazards, meetings and dwellings need no hiding. */
const PERSONAL: ReadonlySet<string> = new Set(['injury', 'report', 'casualty']);

const TOTAL = '*';

interface Lattice {
  readonly axes: readonly Axis[];
  /** Of each axis, the members that a base member is part of, itself included. */
  readonly within: readonly ReadonlyMap<string, readonly string[]>[];
}

const axis = (base: readonly string[], sums: readonly Sum[]): Axis => ({
  members: [...new Set([...base, ...sums.map(({ total }) => total)])],
  sums,
});

/** Every axis member that holds each base member, over sums of sums. */
const holders = (base: readonly string[], sums: readonly Sum[]): ReadonlyMap<string, readonly string[]> => {
  const above = new Map<string, string[]>();
  for (const { total, parts } of sums) for (const part of parts) above.set(part, [...(above.get(part) ?? []), total]);
  return new Map(
    base.map((member) => {
      const found = new Set([member]);
      for (const each of found) for (const total of above.get(each) ?? []) found.add(total);
      return [member, [...found]];
    }),
  );
};

/** The pieces of whole years that the asked periods cut, and what is added up from them. */
const periodsAxis = (periods: RowsContext['periods']): { base: Period[]; sums: Sum[]; alias: Map<string, string> } => {
  const windows = periods.flatMap(({ window }) => window);
  const years = new Set<number>();
  for (const { start, end } of windows)
    for (let year = Number(start.slice(0, 4)); year <= Number(addDays(end, -1).slice(0, 4)); year++) years.add(year);
  const whole = [...years].map((year) => ({ id: `${year}`, start: `${year}-01-01`, end: `${year + 1}-01-01` }));
  const cuts = periodCuts([...windows, ...(whole as unknown as Period[])]);
  const inYears = (day: string): boolean => years.has(Number(day.slice(0, 4)));
  const base = cuts
    .slice(0, -1)
    .map((start, index) => ({ ...windows[0]!, id: `${start}/${addDays(cuts[index + 1]!, -1)}`, start, end: cuts[index + 1]! }))
    .filter(({ start }) => inYears(start));
  const alias = new Map<string, string>();
  const sums: Sum[] = [];
  const add = (id: string, over: readonly { readonly start: string; readonly end: string }[]): void => {
    const parts = base
      .filter(({ start, end }) => over.some((each) => start >= each.start && end <= each.end))
      .map((each) => each.id);
    if (parts.length === 1) alias.set(id, parts[0]!);
    else {
      const total = [...parts].join(';');
      if (!sums.some((sum) => sum.total === total)) sums.push({ total, parts });
      alias.set(id, total);
    }
  };
  for (const year of whole) add(year.id, [year]);
  for (const { id, window } of periods) add(id, window);
  return { base, sums, alias };
};

/** All communities and what they add up to; a parent's own cases, in none of its children, are a part of it. */
const placesAxis = (tree: CommunityTree, everywhere: OuTarget, asked: readonly OuTarget[]) => {
  const base: OuTarget[] = [];
  const sums: Sum[] = [];
  const own = (code: string): string => `${code} itself`;
  for (const code of everywhere.members) {
    const children = tree.children(code);
    base.push({ ou: children.length === 0 ? code : own(code), members: [code], tops: [code] });
    if (children.length > 0) sums.push({ total: code, parts: [...children, own(code)] });
  }
  const known = new Set(everywhere.members);
  for (const { ou, tops } of [{ ou: 'ALL', tops: everywhere.tops }, ...asked])
    if (!known.has(ou)) {
      known.add(ou);
      sums.push({ total: ou, parts: tops });
    }
  return { base, sums };
};

const agesOf = (dimension: Dimension): { base: AgeRange[]; sums: Sum[] } => {
  const asked = dimension.ages ?? DEFAULT_AGE_BANDS;
  const cuts = [...new Set([0, ...asked.flatMap(({ from, to }) => (to === null ? [from] : [from, to + 1]))])].sort(
    (a, b) => a - b,
  );
  const base = cuts.map((from, index) => ageRange(from, index + 1 < cuts.length ? cuts[index + 1]! - 1 : null));
  const inside = (band: AgeRange, range: AgeRange): boolean =>
    band.from >= range.from && (range.to === null || (band.to !== null && band.to <= range.to));
  const sums = asked
    .filter(({ id }) => !base.some((band) => band.id === id))
    .map((range) => ({ total: range.id, parts: base.filter((band) => inside(band, range)).map(({ id }) => id) }));
  return { base, sums };
};

/** A small count of these is hidden below ten from everybody. */
const isSensitive = (name: DimensionName, code: string, ranges: readonly AgeRange[]): boolean => {
  if (name === 'intent') return code === 'self-harm';
  if (name === 'mechanism') return code === 'sexual-assault';
  if (name === 'domain') return code === 'disability';
  if (name !== 'age') return false;
  const range = ranges.find(({ id }) => id === code);
  return range?.to != null && range.to < ADULT;
};

const digest = (text: string): string => {
  const hex = hash('sha256', text, 'hex');
  return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20, 32)].join('-');
};

/** Whether rows of an indicator are ever hidden. */
export const isPersonal = ({ numerator, denominator }: IndicatorDefinition): boolean =>
  numerator.fact === 'survey' || [numerator, denominator].some((part) => isCounted(part) && PERSONAL.has(part.fact));

const HIDDEN = { value: null, num: null, ci: null, status: 'M', conf: 'C', reason: 'suppressed' } as const;

/** A row without its figures. The population under a rate is no secret; the cases under a share are. */
const hide = (row: ObservationRow, ofCases: boolean): ObservationRow => ({
  ...row,
  ...HIDDEN,
  ...(row.n !== undefined && { n: null }),
  ...(row.deff !== undefined && { deff: null, nEff: null }),
  den: ofCases ? null : row.den,
});

/**
 * Hides what must be hidden of one indicator's rows. The whole table that they are cut from is protected: all communities, the
 * whole years around the periods, every code of the dimensions, and every total. What is told is remembered in the same transaction.
 */
export const protectRows = async (
  context: RowsContext,
  tree: CommunityTree,
  audience: Audience,
  rows: readonly ObservationRow[],
): Promise<ObservationRow[]> => {
  const { definition, query } = context;
  if (!isPersonal(definition) || rows.length === 0) return [...rows];
  const k = definition.releaseClass === 'sensitive' ? THRESHOLDS.sensitive : THRESHOLDS[audience];
  // Of a survey the respondents are a sample: few of them are hidden, and nothing adds up to them.
  if (definition.numerator.fact === 'survey') return rows.map((row) => ((row.n ?? 0) > 0 && row.n! < k ? hide(row, true) : row));

  const periods = periodsAxis(context.periods);
  const places = placesAxis(tree, context.everywhere, context.targets);
  const dimensions = query.dimensions.map((dimension): Dimension => {
    if (dimension.name !== 'age') return { name: dimension.name, items: 'all' as const };
    const { base } = agesOf(dimension);
    return { name: dimension.name, items: 'all' as const, ages: base };
  });
  const wide: RowsContext = {
    ...context,
    query: { ...query, dimensions, weighted: false },
    bands: [],
    targets: places.base.map(({ ou, members }) => ({ ou, members, tops: members })),
    periods: periods.base.map((period) => ({ id: period.id, window: [period] })),
    explained: [],
  };
  const counted = [
    definition.numerator,
    ...(isCounted(definition.denominator) ? [definition.denominator] : []),
    ...(definition.lists ?? []),
  ].filter((part): part is Counted => isCounted(part) && PERSONAL.has(part.fact));
  const parts: Part[] = [];
  for (const part of counted) parts.push(await takePart(wide, 'numerator', { ...part, measure: 'count' }, wide.targets));

  const coded = dimensions.filter(({ name }) => name !== 'age').map(({ name }) => name);
  const met = parts.flatMap(({ counts }) => counts);
  const codeAxes = dimensions.map((dimension, at) => {
    const asked = query.dimensions[at]!;
    const { codes } = valuesOf(dimension, met, coded);
    const ages = asked.name === 'age' ? agesOf(asked) : undefined;
    const base = [...new Set([...codes, ...(ages ? [UNKNOWN] : asked.items === 'all' ? [] : asked.items)])];
    return { base, sums: [...(ages?.sums ?? []), { total: TOTAL, parts: base }] };
  });
  const all = [
    { base: periods.base.map(({ id }) => id), sums: periods.sums },
    { base: places.base.map(({ ou }) => ou), sums: places.sums },
    ...codeAxes,
  ];
  const axes = all.map(({ base, sums }) => axis(base, sums));
  const size = axes.reduce((product, { members }) => product * members.length, 1);
  if (size > MOST_CELLS)
    refuse(413, {
      code: 'too-many-cells-to-protect',
      detail: {
        zh: `须连同各合计一起保护的单元格有 ${size} 个,至多 ${MOST_CELLS} 个;请少选维度或时期`,
        en: `${size} cells, totals included, would have to be protected together, at most ${MOST_CELLS}; ask for fewer dimensions or periods`,
      },
    });
  const lattice: Lattice = {
    axes,
    within: all.map(({ base, sums }) => holders(base, sums)),
  };

  const ranges = [
    ...(query.dimensions.find(({ name }) => name === 'age')?.ages ?? DEFAULT_AGE_BANDS),
    ...dimensions.flatMap(({ ages }) => ages ?? []),
  ];
  const filtered = query.filters.some(
    ({ name, items, ages }) => items !== 'all' && items.every((item) => isSensitive(name, item, ages ?? [])),
  );
  const threshold = (members: readonly string[]): number =>
    filtered || dimensions.some(({ name }, at) => isSensitive(name, members[at + 2]!, ranges)) ? THRESHOLDS.sensitive : k;
  const tables = parts.map((part) => latticeTable(lattice, part, threshold));
  const share = definition.method === 'wilson' && tables.length === 2;
  const keyOf = keysOf(context, counted, dimensions);
  const hidden = share
    ? await decide(context, audience, shareTable(tables[0]!, tables[1]!), (id) => keyOf.share(id))
    : new Set<string>();
  if (!share)
    for (const [at, table] of tables.entries())
      for (const id of await decide(context, audience, table, (cell) => keyOf.part(at, cell))) hidden.add(id);

  return rows.map((row) => {
    const place = [periods.alias.get(row.pe) ?? row.pe, row.ou, ...dimensions.map(({ name }) => row[name]!)];
    const id = cellId(place);
    const { num, den } = shareIds(id);
    const out = share ? hidden.has(num) || hidden.has(den) : hidden.has(id);
    return out ? hide(row, definition.denominator !== undefined && isCounted(definition.denominator)) : row;
  });
};

const latticeTable = ({ axes, within }: Lattice, { cells }: Part, threshold: (members: readonly string[]) => number): Table => {
  const counts = new Map<string, number>();
  const bases = within.map((each) => [...each.keys()]);
  for (const [key, { n }] of cells) {
    const { period, ou, codes } = cellOf(key);
    const base = [bases[0]![period]!, bases[1]![ou]!, ...codes];
    const over = base.map((member, index) => within[index]!.get(member) ?? [member]);
    for (const members of product(over)) counts.set(cellId(members), (counts.get(cellId(members)) ?? 0) + n);
  }
  return tableOf(axes, (members) => counts.get(cellId(members)) ?? 0, threshold);
};

/** The name of a count whatever query asked for it: what is counted, when, where, and of whom. */
const keysOf = ({ query }: RowsContext, counted: readonly Counted[], dimensions: readonly { readonly name: DimensionName }[]) => {
  const fixed = query.filters.flatMap(({ name, items }) => (items === 'all' ? [] : [`${name}=${[...items].sort().join('+')}`]));
  const name = (what: string, cell: string): string => {
    const [pe, ou, ...codes] = cell.split('\u001f');
    const whom = [...fixed, ...codes.flatMap((code, at) => (code === TOTAL ? [] : [`${dimensions[at]!.name}=${code}`]))].sort();
    return digest([what, query.basis, pe, ou, ...whom].join('\u001f'));
  };
  const what = counted.map((part) =>
    JSON.stringify([part.fact, part.day ?? Object.keys(factSource(part.fact).days)[0], part.filter, part.is]),
  );
  return {
    part: (at: number, cell: string): string => name(what[at]!, cell),
    // `shareIds` puts which of the three it is before the cell's own name.
    share: (id: string): string => {
      const bare = id.slice(id.indexOf(':') + 1);
      const { num, den } = shareIds(bare);
      return id === num ? name(what[0]!, bare) : id === den ? name(what[1]!, bare) : name(`${what[1]} less ${what[0]}`, bare);
    },
  };
};

/** Decides about a table given what was told before, remembers what is told now, and names the hidden cells. */
const decide = async (
  { tx }: RowsContext,
  audience: Audience,
  table: Table,
  keyOf: (cell: string) => string,
): Promise<Set<string>> => {
  const keys = new Map(table.cells.map(({ id }) => [id, keyOf(id)]));
  const told = await tx<{ cell: string; shown: string[]; hidden: boolean }[]>`
    SELECT cell, shown::text[] AS shown, hidden FROM release.told WHERE audience = ${audience} AND cell = ANY (${[...keys.values()]}::uuid[])`;
  const before = new Map(told.map((row) => [row.cell, { shown: row.shown.map(Number), hidden: row.hidden }]));
  const cells = new Map([...keys].flatMap(([id, key]) => (before.has(key) ? [[id, before.get(key)!] as const] : [])));
  const { protection, history } = nextVintage({ cells }, table);
  const rows = [...history.cells].flatMap(([id, { shown, hidden }]) => {
    const was = before.get(keys.get(id)!);
    const same = was && was.hidden === hidden && was.shown.length === shown.length;
    return same ? [] : [{ cell: keys.get(id)!, shown, hidden }];
  });
  await tx`
    INSERT INTO release.told AS t (audience, cell, shown, hidden)
    SELECT ${audience}, r.cell, r.shown, r.hidden
    FROM json_to_recordset(${JSON.stringify(rows)}::text::json) AS r(cell uuid, shown bigint[], hidden boolean)
    ON CONFLICT (audience, cell) DO UPDATE SET shown = excluded.shown, hidden = excluded.hidden`;
  return new Set([...protection].flatMap(([id, { state }]) => (state === 'shown' ? [] : [id])));
};
