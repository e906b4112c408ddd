/**
 * Coded values as senders write them, and the way from each to the canonical axes. Code systems are data
 * (`code-systems/*.json`, one code a line); this file compiles them once into maps.
 */
import { z } from 'zod';
import { AXES, AXIS_NAMES, isCanonical, UNKNOWN, UNMAPPED, type AxisName } from './axes';
import type { Label } from './refusal';
// `import … = require` reads the same with and without esModuleInterop, which not every runner of these sources turns on.
import iceci = require('./code-systems/iceci.json');
import icd10 = require('./code-systems/icd-10.json');
import neiss = require('./code-systems/neiss.json');
import niss13 = require('./code-systems/niss-card-13.json');
import niss13b = require('./code-systems/niss-card-13b.json');
import niss14 = require('./code-systems/niss-card-14.json');
import niss14songjiang = require('./code-systems/niss-card-14-songjiang.json');
import stats19 = require('./code-systems/stats19.json');

// Control characters (NUL above all, which PostgreSQL's jsonb can't hold) never belong to a code.
const printable = /^[^\p{Cc}]*$/u;
const word = (least: number, most: number) => z.string().min(least).max(most).regex(printable);

/** A source code and where it comes from. `code` may be empty (the sender left the box blank), which counts as unknown. */
export const codedValueSchema = z.strictObject({ system: word(1, 64), version: word(1, 64), code: word(0, 160) });
export type CodedValue = z.infer<typeof codedValueSchema>;

export type CodeEntry = {
  /** A code, or for range systems a range of categories such as `W00-W19`. */
  readonly code: string;
  readonly to: string;
  /** Other spellings of the same code (text labels in exported files), matched ignoring case. */
  readonly also?: readonly string[];
} & Label;

export type CodeSystem = {
  readonly system: string;
  readonly version: string;
  /** Other names of the same version. */
  readonly aliases: readonly string[];
  readonly title: Label;
  /** Where the codes were taken from. */
  readonly source?: string;
  /** What is uncertain in them. */
  readonly note?: string;
  readonly axes: Readonly<Partial<Record<AxisName, readonly CodeEntry[]>>>;
};

type CodeData = Label & { to: string; also?: string[] };
/** How a file writes an axis: plain codes; ranges of ICD categories (longest match wins); or one character of a category in `within`. */
type AxisData = {
  codes: Record<string, CodeData>;
  ranges?: boolean;
  character?: number;
  within?: string[][];
};
type SystemData = {
  system: string;
  version: string;
  aliases?: string[];
  title: Label;
  source?: string;
  note?: string;
  excludedFromIncidence?: string[][];
  axes: Partial<Record<AxisName, AxisData>>;
};

type Lookup = (code: string) => string | undefined;
/** A memo in front of a look-up: `hits` starts with every code as written, and learns spellings up to a bound. */
type Table = { readonly hits: Map<string, string>; readonly lookup: Lookup };

/** Spellings learnt per table; beyond it a stranger's misspelling is looked up each time, and costs no memory. */
const LEARNT = 5_000;

const normal = (code: string) => code.trim().toLowerCase();

const byCode = (codes: AxisData['codes']): Lookup => {
  const map = new Map<string, string>();
  for (const [code, { to, also }] of Object.entries(codes)) for (const key of [code, ...(also ?? [])]) map.set(normal(key), to);
  return (code) => map.get(normal(code));
};

// ICD-10 as WHO writes it (W19, W19.0, W190) or with a national extension after it (W19.000x001).
const icd = /^([a-z]\d\d)(?:\.?([0-9a-z]*))?$/i;
const splitIcd = (code: string): [category: string, rest: string] | undefined => {
  const found = icd.exec(code.trim());
  return found ? [found[1]!.toUpperCase(), found[2] ?? ''] : undefined;
};
const between = (category: string, [from, to]: readonly string[]) => category >= from! && category <= (to ?? from)!;

const byRange = (codes: AxisData['codes']): Lookup => {
  const exact = new Map(
    Object.entries(codes).flatMap(([code, { to }]) => (code.includes('-') ? [] : [[code.replace('.', ''), to]])),
  );
  const ranges = Object.entries(codes).flatMap(([code, { to }]) => (code.includes('-') ? [[...code.split('-'), to]] : []));
  return (code) => {
    const [category, rest] = splitIcd(code) ?? [];
    if (!category) return undefined;
    return (rest && exact.get(category + rest[0]!)) || (exact.get(category) ?? ranges.find((r) => between(category, r))?.[2]);
  };
};

const byCharacter = ({ codes, character, within }: AxisData): Lookup => {
  return (code) => {
    const [category, rest] = splitIcd(code) ?? [];
    if (!category || !between(category, ['V01', 'Y98'])) return undefined;
    if (!within!.some((range) => between(category, range))) return UNKNOWN;
    const found = rest![character! - 4];
    return found === undefined ? UNKNOWN : codes[found]?.to;
  };
};

const files = [neiss, niss14, niss14songjiang, niss13, niss13b, icd10, iceci, stats19] as SystemData[];

/** The canonical codes themselves, for senders that speak them. */
const vigil: SystemData = {
  system: 'vigil',
  version: '1',
  title: { zh: '守安标准轴', en: 'Vigil canonical axes' },
  axes: Object.fromEntries(
    AXIS_NAMES.map((name) => [
      name,
      { codes: Object.fromEntries(AXES[name].codes.map(({ code, zh, en }) => [code, { zh, en, to: code }])) },
    ]),
  ),
};

const all = [vigil, ...files];

const compile = (data: AxisData): Table => ({
  hits: new Map(data.ranges || data.character ? [] : Object.entries(data.codes).map(([code, { to }]) => [code, to])),
  lookup: data.ranges ? byRange(data.codes) : data.character ? byCharacter(data) : byCode(data.codes),
});

const tables = new Map<string, Map<string, Partial<Record<AxisName, Table>>>>();
for (const file of all) {
  const compiled = Object.fromEntries(Object.entries(file.axes).map(([name, data]) => [name, compile(data)]));
  const versions = tables.get(file.system) ?? new Map<string, Partial<Record<AxisName, Table>>>();
  for (const version of [file.version, ...(file.aliases ?? [])]) versions.set(version, compiled);
  tables.set(file.system, versions);
}

/**
 * The canonical code of a source value on an axis. `unknown` when the value is absent or blank, `unmapped` when no map knows its
 * system, version, axis or code. A plain string is a canonical code already (or `unmapped`). Never throws. Some 80 ns.
 */
export const canonical = (axis: AxisName, value: CodedValue | string | null | undefined): string => {
  if (value === undefined || value === null || value === '') return UNKNOWN;
  if (typeof value === 'string') return isCanonical(axis, value) ? value : value.trim() === '' ? UNKNOWN : UNMAPPED;
  const { code } = value;
  const table = tables.get(value.system)?.get(value.version)?.[axis];
  if (table === undefined) return code.trim() === '' ? UNKNOWN : UNMAPPED;
  const hit = table.hits.get(code);
  if (hit !== undefined) return hit;
  const found = code.trim() === '' ? UNKNOWN : (table.lookup(code) ?? UNMAPPED);
  if (table.hits.size < LEARNT) table.hits.set(code, found);
  return found;
};

const excluded = (icd10 as SystemData).excludedFromIncidence!;

/**
 * Whether an ICD-10 external cause is no new injury: Y40–Y84 (complications of care) and Y85–Y89 (sequelae of an old one).
 * Takes a bare ICD-10 code or a coded value; any other system, and an absent value, is never excluded.
 */
export const excludedFromIncidence = (value: CodedValue | string | null | undefined): boolean => {
  if (!value || (typeof value !== 'string' && value.system !== 'icd-10')) return false;
  const [category] = splitIcd(typeof value === 'string' ? value : value.code) ?? [];
  return category !== undefined && excluded.some((range) => between(category, range));
};

const listed: readonly CodeSystem[] = all.map(({ system, version, aliases = [], title, source, note, axes }) => ({
  system,
  version,
  aliases,
  title,
  ...(source && { source }),
  ...(note && { note }),
  axes: Object.fromEntries(
    Object.entries(axes).map(([name, { codes }]) => [name, Object.entries(codes).map(([code, entry]) => ({ code, ...entry }))]),
  ),
}));

/** Every shipped code system and version, with its codes and what is uncertain in them. */
export const codeSystems = (): readonly CodeSystem[] => listed;

/** One version of one system, by its name or an alias. */
export const codeSystem = (system: string, version: string): CodeSystem | undefined =>
  listed.find((s) => s.system === system && (s.version === version || s.aliases.includes(version)));
