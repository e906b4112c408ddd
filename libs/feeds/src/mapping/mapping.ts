/** Mappings are data: which column of a sender's table is which field of ours. `compile.ts` turns one into a function. */
import { nearest } from '@vigil/vocabulary';
import { z } from 'zod';
import { normalName } from '../identity';
import { FileFault } from '../table';
import neissCervical = require('./mappings/neiss-cervical.json');
import neissUnder2 = require('./mappings/neiss-under2.json');
import nissCard = require('./mappings/niss-card.json');
import population = require('./mappings/population.json');
import vigil = require('./mappings/vigil.json');

const label = z.strictObject({ zh: z.string(), en: z.string() });
/** Spellings of one header, the first being the one that messages name. Case, spaces and separators don't count. */
const spellings = z.array(z.string().min(1)).min(1);

const rule = z.strictObject({
  /** `codes` reads several columns into a list, `own-code(s)` canonical codes or `system|version|code`, `community` the import's community. */
  as: z.enum([
    'date',
    'date-time',
    'age-years',
    'age-months',
    'age',
    'age-range',
    'number',
    'text',
    'code',
    'codes',
    'own-code',
    'own-codes',
    'word',
    'constant',
    'community',
  ]),
  column: spellings.optional(),
  /** `codes`: one entry per further column. */
  more: z.array(spellings).optional(),
  /** `age`: the column of the unit. */
  unit: spellings.optional(),
  system: z.string().optional(),
  version: z.string().optional(),
  /** Take the code system's labels for their codes. */
  labels: z.boolean().optional(),
  /** `word`: what each word stands for. */
  words: z.record(z.string(), z.string()).optional(),
  /** Cells that mean "nothing", besides blank ones. */
  blank: z.array(z.string()).optional(),
  value: z.union([z.string(), z.number()]).optional(),
});
export type Rule = z.infer<typeof rule>;

export const mappingSchema = z.strictObject({
  name: z.string().min(1),
  title: label,
  kind: z.enum(['injury', 'population']),
  /** Feed that the records belong to; default: the mapping's name. */
  feed: z.string().optional(),
  /** Fields whose column must be in the header. */
  required: z.array(z.string()),
  /** By field, nested ones with a dot: `sampling.weight`. */
  fields: z.record(z.string(), rule),
  /** The community of every record unless the import names one; registered when absent. */
  community: z.strictObject({ code: z.string(), name: label, type: z.string() }).optional(),
  /** Time zone of times without an offset, when the import names none. */
  timeZone: z.string().optional(),
  /** Columns left out on purpose. */
  ignored: z.array(z.string()).default([]),
  /** The same template with another version of its code system, by mapping name. */
  variants: z.record(z.string(), z.strictObject({ title: label, version: z.string() })).optional(),
});
export type Mapping = z.infer<typeof mappingSchema>;

const variantsOf = (mapping: Mapping): Mapping[] =>
  Object.entries(mapping.variants ?? {}).map(([name, { title, version }]) => ({
    ...mapping,
    name,
    title,
    variants: undefined,
    fields: Object.fromEntries(
      Object.entries(mapping.fields).map(([field, one]) => [field, one.system === 'niss-card' ? { ...one, version } : one]),
    ),
  }));

const all: readonly Mapping[] = [neissUnder2, neissCervical, nissCard, population, vigil]
  .map((file) => mappingSchema.parse(file))
  .flatMap((mapping) => [mapping, ...variantsOf(mapping)]);

/** Every shipped mapping, variants included. */
export const mappings = (): readonly Mapping[] => all;

/** @throws FileFault unknown-mapping, with the nearest name */
export const mappingNamed = (name: string): Mapping => {
  const found = all.find((mapping) => mapping.name === name);
  if (found) return found;
  const allowed = all.map((mapping) => mapping.name);
  const suggestion = nearest(name, allowed);
  throw new FileFault(
    'unknown-mapping',
    {
      zh: `没有映射“${name}”${suggestion ? `,是否为“${suggestion}”` : ''};可用:${allowed.join('、')}`,
      en: `there is no mapping "${name}"${suggestion ? `; did you mean "${suggestion}"` : ''}; there are ${allowed.join(', ')}`,
    },
    { value: name, allowed, suggestion },
  );
};

/** All spellings of all columns that a mapping knows, each column's together. */
export const columnsOf = (mapping: Mapping): readonly (readonly string[])[] => [
  ...Object.values(mapping.fields).flatMap((one) =>
    [one.column, ...(one.more ?? []), one.unit].filter((spelling) => spelling !== undefined),
  ),
  ...mapping.ignored.map((name) => [name]),
];

/** Index of the first spelling that the header has; -1 for none. */
export const findColumn = (header: readonly string[], spelling: readonly string[] | undefined): number => {
  for (const name of spelling ?? []) {
    const wanted = normalName(name);
    const at = header.findIndex((column) => normalName(column) === wanted);
    if (at >= 0) return at;
  }
  return -1;
};

/** Required fields without a column in the header. A range of ages is one column or two. */
export const missingFields = (mapping: Mapping, header: readonly string[]): string[] =>
  mapping.required.filter((field) => {
    const choices = field.split('|');
    return choices.every((choice) => choice.split('+').some((one) => findColumn(header, mapping.fields[one]?.column) < 0));
  });

/** The mapping that a header resembles most: by the share of its required columns that are there, then by columns known. */
export const resembling = (header: readonly string[]): Mapping | undefined => {
  const known = new Set(header.map(normalName));
  const scored = all
    .filter((mapping) => mapping.required.length > 0)
    .map((mapping) => {
      const hits = columnsOf(mapping).filter((spelling) => spelling.some((name) => known.has(normalName(name)))).length;
      const missing = missingFields(mapping, header).length;
      return {
        mapping,
        hits,
        score: (mapping.required.length - missing) / mapping.required.length + hits / Math.max(1, header.length),
      };
    })
    .filter(({ hits }) => hits > 0);
  return scored.reduce<(typeof scored)[number] | undefined>(
    (best, next) => (!best || next.score > best.score ? next : best),
    undefined,
  )?.mapping;
};
