import { CODED_FIELDS, communityCommands, injuryRecord, type InjuryRecord } from '@vigil/domain';
import { isTimeZone, type AxisName, type Problem } from '@vigil/vocabulary';
import { z } from 'zod';
import { isIdentityName } from '../identity';
import { pointerOf, unwrapped, zodProblems } from '../problems';
import { FileFault } from '../table';
import {
  ageReader,
  CellFault,
  codeReader,
  dateTimeReader,
  ownCodeReader,
  readAge,
  readAgeRange,
  readDate,
  readNumber,
  wordReader,
  type CellReader,
} from './cells';
import { columnsOf, findColumn, missingFields, resembling, type Mapping, type Rule } from './mapping';

/** What is wrong with one cell, or with a field that no cell fills. `value` is the cell as it stands, at most 200 characters. */
export interface CellProblem extends Problem {
  readonly column?: string;
}

/** `json` is `JSON.stringify(value)`, put together from the fields' remembered texts: a third of the cost of writing it anew. */
export type Mapped<T> =
  | { readonly value: T; readonly json: string; readonly problems?: undefined }
  | { readonly value?: undefined; readonly problems: readonly CellProblem[] };

export interface CompiledMapping<T> {
  readonly mapping: Mapping;
  readonly feed: string;
  /** Columns of the header that no field takes. */
  readonly ignoredColumns: readonly string[];
  /** The community of rows that name none. */
  readonly community?: string;
  /** One row's cells, in the header's order, to a validated record or everything that is wrong with it. */
  readonly map: (values: readonly string[]) => Mapped<T>;
}

export interface CompileOptions {
  readonly feed?: string;
  readonly community?: string;
  /** Of times without an offset; default the mapping's, else Asia/Shanghai. */
  readonly timeZone?: string;
}

const cellSchema = communityCommands.RecordPopulation.shape.cells.element.shape;

/** A row of a population table; `age` or `ageFrom` with an open or closed `ageTo`. */
const populationRow = z.strictObject({
  year: communityCommands.RecordPopulation.shape.year,
  sex: cellSchema.sex,
  age: z.strictObject({ from: cellSchema.ageFrom, to: cellSchema.ageFrom.nullable() }).optional(),
  ageFrom: cellSchema.ageFrom.optional(),
  ageTo: cellSchema.ageTo,
  residency: cellSchema.residency,
  persons: cellSchema.persons,
});
export type PopulationRow = z.infer<typeof populationRow>;

/** Longest cell that a reader is asked about, and longest content remembered: patterns and memory are for short words. Free text is zod's to measure. */
const LONGEST = 400;
const tooLong = new CellFault('too-large', { zh: `至多 ${LONGEST} 个字符`, en: `at most ${LONGEST} characters` });

/** Distinct contents remembered per field; beyond it each is read and validated anew, and costs no memory. */
const REMEMBERED = 16_384;

type Read = { readonly value?: unknown; readonly json?: string; readonly problems?: readonly CellProblem[] };
/** One field of the record and the columns it is made of. */
interface Step {
  readonly key: string;
  readonly at: readonly number[];
  /** Contents that were seen, to what came of them. None for the record's number, which is never seen twice. */
  readonly memo?: Map<string, Read>;
  readonly read: (texts: readonly string[]) => Read;
}

const isCodedField = (field: string): field is AxisName => (CODED_FIELDS as readonly string[]).includes(field);

const readerOf = (rule: Rule, field: string, timeZone: string): CellReader => {
  const read = ownReaderOf(rule, field, timeZone);
  return rule.as === 'text' || rule.as === 'community' ? read : (text) => (text.length > LONGEST ? tooLong : read(text));
};

const ownReaderOf = (rule: Rule, field: string, timeZone: string): CellReader => {
  const axis = isCodedField(field) ? field : undefined;
  switch (rule.as) {
    case 'date':
      return readDate;
    case 'date-time':
      return dateTimeReader(timeZone);
    case 'age-years':
      return ageReader('year');
    case 'age-months':
      return ageReader('month');
    case 'age':
      return readAge;
    case 'age-range':
      return readAgeRange;
    case 'number':
      return readNumber;
    case 'code':
    case 'codes':
      return codeReader(rule.system!, rule.version!, rule.labels ? axis : undefined);
    case 'own-code':
    case 'own-codes':
      return ownCodeReader(axis);
    case 'word':
      return wordReader(rule.words!);
    default:
      return (text) => text;
  }
};

/** V8 keeps a whole block of the file alive for a slice of it; what is remembered is copied out. */
const copied = (text: string): string => (text.length < 13 ? text : Buffer.from(text, 'utf16le').toString('utf16le'));

/**
 * The steps of a record's fields. A field is read and validated by its own zod schema, and what came of it is remembered by the
 * cells' contents: whole records through zod cost 9 µs each, most of it for values seen thousands of times before.
 */
const stepsOf = (
  schema: z.ZodObject,
  mapping: Mapping,
  header: readonly string[],
  constants: Readonly<Record<string, unknown>>,
  timeZone: string,
): Step[] => {
  const rules = Object.entries(mapping.fields);
  return Object.keys(schema.shape).flatMap((key): Step[] => {
    const field = schema.shape[key] as z.ZodType;
    const parts = rules
      .filter(([path]) => path === key || path.startsWith(`${key}.`))
      .map(([path, rule]) => {
        const spellings = [rule.column, ...(rule.more ?? []), rule.unit];
        const found = spellings.map((spelling) => findColumn(header, spelling)).filter((index) => index >= 0);
        // An age's unit alone is no age.
        const at = rule.as === 'age' && findColumn(header, rule.column) < 0 ? [] : found;
        return { path: path.split('.'), rule, at, read: readerOf(rule, key, timeZone), blank: new Set(rule.blank) };
      });
    const columns = parts.flatMap(({ at }) => at);
    const isNested = parts.some(({ path }) => path.length > 1);

    const columnAt = (path: readonly PropertyKey[]): number | undefined =>
      (
        parts.find((part) => part.at.length > 0 && (part.path.length === 1 || part.path[1] === path[1])) ??
        parts.find((part) => part.at.length > 0)
      )?.at[0];
    const problem = (found: Problem, index: number | undefined, texts: readonly string[]): CellProblem => {
      const text = index === undefined ? undefined : texts[columns.indexOf(index)];
      return {
        ...found,
        ...(index !== undefined && { column: header[index] }),
        ...(text
          ? { value: text.length > 200 ? `${text.slice(0, 200).toWellFormed()}…` : text }
          : found.value !== undefined && { value: found.value }),
      };
    };

    const read = (texts: readonly string[]): Read => {
      const problems: CellProblem[] = [];
      let raw: unknown = isNested ? undefined : constants[key];
      let start = 0;
      for (const { path, rule, at, read, blank } of parts) {
        const cells = texts.slice(start, start + at.length);
        start += at.length;
        const filled = cells.filter((cell) => cell !== '' && !blank.has(cell));
        if (filled.length === 0) continue;
        if (rule.as === 'age' && cells[0] === '') continue;
        const values =
          rule.as === 'codes' || rule.as === 'own-codes'
            ? filled.map(read)
            : [read(rule.as === 'age' ? filled.join(' ') : filled[0]!)];
        const fault = values.find((value) => value instanceof CellFault);
        if (fault) {
          const { code, detail, more } = fault as CellFault;
          problems.push(problem({ code, detail, pointer: pointerOf(path), ...more }, at[0], texts));
          continue;
        }
        const value = rule.as === 'codes' || rule.as === 'own-codes' ? values : values[0];
        if (path.length === 1) raw = value;
        else ((raw ??= {}) as Record<string, unknown>)[path[1]!] = value;
      }
      if (problems.length > 0) return { problems };
      // A block's constants (the frame's name, the scale) say nothing without the rest of it.
      if (isNested && raw !== undefined) raw = { ...(raw as object), ...(constants[key] as object | undefined) };
      const parsed = field.safeParse(raw);
      if (parsed.success) return { value: parsed.data, json: `,${JSON.stringify(key)}:${JSON.stringify(parsed.data)}` };
      return {
        problems: zodProblems(parsed.error, raw, { base: pointerOf([key]) }).map((found) => {
          const path = found.pointer!.slice(1).split('/');
          return problem(found, columnAt(path), texts);
        }),
      };
    };

    if (columns.length === 0) {
      const fixed = read([]);
      // Nothing to say in any row: the field costs nothing. (A required one is refused row by row, with its name.)
      return fixed.value === undefined && !fixed.problems ? [] : [{ key, at: [], read: () => fixed }];
    }
    return [{ key, at: columns, read, ...(key !== 'recordId' && { memo: new Map<string, Read>() }) }];
  });
};

const compileSteps = <T>(schema: z.ZodObject, steps: readonly Step[]): ((values: readonly string[]) => Mapped<T>) => {
  // Zod checks over several fields can't be remembered by field; today's schemas have none at this level.
  const hasOwnChecks = (schema._zod.def.checks?.length ?? 0) > 0;
  const run = ({ at, memo, read }: Step, values: readonly string[]): Read => {
    if (at.length === 0) return read([]);
    let text = values[at[0]!]!.trim();
    for (let i = 1; i < at.length; i++) text += `\u001f${values[at[i]!]!.trim()}`;
    if (!memo) return read([text]);
    const known = memo.get(text);
    if (known) return known;
    const own = copied(text);
    const found = read(own.split('\u001f').length === at.length ? own.split('\u001f') : at.map((index) => values[index]!.trim()));
    if (memo.size < REMEMBERED && own.length <= LONGEST) memo.set(own, found);
    return found;
  };
  return (values) => {
    const record: Record<string, unknown> = {};
    let json = '';
    let problems: CellProblem[] | undefined;
    for (const step of steps) {
      const read = run(step, values);
      if (read.problems) {
        // Two fields of one column (a date that is both times) are one thing to mend.
        for (const found of read.problems)
          if (!problems?.some(({ code, column }) => code === found.code && column !== undefined && column === found.column))
            (problems ??= []).push(found);
      } else if (read.value !== undefined) {
        record[step.key] = read.value;
        json += read.json;
      }
    }
    if (problems) return { problems };
    if (!hasOwnChecks) return { value: record as T, json: `{${json.slice(1)}}` };
    const parsed = schema.safeParse(record);
    return parsed.success
      ? { value: parsed.data as T, json: JSON.stringify(parsed.data) }
      : { problems: zodProblems(parsed.error, record) };
  };
};

const named = (columns: readonly string[]): string => columns.map((column) => `“${column}”`).join('、');
const quoted = (columns: readonly string[]): string => columns.map((column) => `"${column}"`).join(', ');

const refuseIdentities = (header: readonly string[]): void => {
  const columns = header.filter(isIdentityName);
  if (columns.length === 0) return;
  throw new FileFault(
    'identity-not-accepted',
    {
      zh: `列${named(columns)}含个人身份信息,目前没有对应字段(将来以密封方式接收);请删除后重新导入`,
      en: `column ${quoted(columns)} holds identities; there is no field for them yet (they come sealed, later): remove the column and import again`,
    },
    { columns },
  );
};

const refuseOtherTemplates = (mapping: Mapping, header: readonly string[]): void => {
  const missing = missingFields(mapping, header);
  if (missing.length === 0) return;
  const columns = missing.map((field) =>
    field
      .split('|')
      .map((choice) =>
        choice
          .split('+')
          .map((one) => mapping.fields[one]?.column?.[0] ?? one)
          .join('+'),
      )
      .join(' | '),
  );
  const other = resembling(header);
  const isOther = other?.name !== mapping.name;
  throw new FileFault(
    isOther ? 'wrong-template' : 'missing-column',
    {
      zh: `“${mapping.name}”(${mapping.title.zh})缺少列${named(columns)}${isOther ? (other ? `;表头更像“${other.name}”(${other.title.zh})` : ';表头不像任何已知模板') : ''}`,
      en: `"${mapping.name}" (${mapping.title.en}) lacks column ${quoted(columns)}${isOther ? (other ? `; the header looks more like "${other.name}" (${other.title.en})` : '; the header looks like no known template') : ''}`,
    },
    { columns, value: mapping.name, ...(other && { suggestion: other.name }) },
  );
};

const checkedCode = (code: string, zh: string, en: string): string => {
  const parsed = injuryRecord.shape.community.safeParse(code);
  if (parsed.success) return code;
  const { detail } = zodProblems(parsed.error, code)[0]!;
  throw new FileFault('invalid-code', { zh: `${zh}无效:${detail.zh}`, en: `${en}: ${detail.en}` }, { value: code.slice(0, 200) });
};

/**
 * A mapping fitted to one table's header.
 * @throws FileFault identity-not-accepted, missing-column, wrong-template (naming the mapping the header resembles most), invalid-code,
 * missing-community (neither a column nor an option names it)
 */
export const compileMapping = <K extends 'injury' | 'population'>(
  mapping: Mapping & { kind: K },
  header: readonly string[],
  options: CompileOptions = {},
): CompiledMapping<K extends 'injury' ? InjuryRecord : PopulationRow> => {
  refuseIdentities(header);
  refuseOtherTemplates(mapping, header);
  const feed = checkedCode(options.feed ?? mapping.feed ?? mapping.name, '数据源代码', 'the feed code');
  const community = options.community ?? mapping.community?.code;
  if (community !== undefined) checkedCode(community, '社区代码', 'the community code');
  const timeZone = options.timeZone ?? mapping.timeZone ?? 'Asia/Shanghai';
  if (!isTimeZone(timeZone))
    throw new FileFault('invalid-code', { zh: '没有这个时区', en: 'there is no such time zone' }, { value: timeZone });
  const hasColumn = findColumn(header, mapping.fields.community?.column) >= 0;
  if (community === undefined && !hasColumn) {
    throw new FileFault('missing-community', {
      zh: '文件没有社区列,请用 --community 指明社区代码',
      en: 'the file has no column of communities: name one with --community',
    });
  }

  const constants: Record<string, unknown> = mapping.kind === 'injury' ? { feed } : {};
  for (const [path, rule] of Object.entries(mapping.fields)) {
    const value = rule.as === 'community' ? community : rule.as === 'constant' ? rule.value : undefined;
    const [key, inner] = path.split('.') as [string, string?];
    if (value === undefined) continue;
    constants[key] = inner === undefined ? value : { ...(constants[key] as object | undefined), [inner]: value };
  }
  const schema = (mapping.kind === 'injury' ? injuryRecord : populationRow) as unknown as z.ZodObject;
  const steps = stepsOf(unwrapped(schema) as z.ZodObject, mapping, header, constants, timeZone);
  const taken = new Set(columnsOf({ ...mapping, ignored: [] }).map((spelling) => findColumn(header, spelling)));
  return {
    mapping,
    feed,
    ignoredColumns: header.filter((name, index) => !taken.has(index) && name !== ''),
    community,
    map: compileSteps(schema, steps),
  };
};
