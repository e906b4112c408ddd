/** The two ways a query arrives, made one: the query string of a GET, and the JSON body of POST /observations/query. */
import type { Problem } from '@vigil/vocabulary';
import { DIMENSION_NAMES, offer, quoted } from './dimensions';

/** One value of a parameter, and the pointer that problems name it by. */
export interface Field {
  readonly pointer: string;
  readonly text: string;
}

const REPEATABLE = ['dimension', 'filter'] as const;
const SINGLE = [
  'asOf',
  'asOfPosition',
  'today',
  'standard',
  'ci',
  'basis',
  'weighted',
  'rolling',
  'explain',
  'minPosition',
  'bom',
  'release',
  'updatedAfter',
  'includeHistory',
  'compare',
] as const;
export type SingleName = (typeof SINGLE)[number];

const PARAMETERS: readonly string[] = [...REPEATABLE, ...SINGLE];

export interface Source {
  readonly dimension: readonly Field[];
  readonly filter: readonly Field[];
  readonly single: Readonly<Partial<Record<SingleName, Field>>>;
}

type Value = { readonly pointer: string; readonly value: unknown };

const escaped = (name: string) => quoted(name).replaceAll('~', '~0').replaceAll('/', '~1');

/**
 * In a query string `+` writes a space, and people do type `age:65+` and `…T08:00:00+08:00`. A space can stand in neither place
 * by right, so the plus is put back; reading `65` for `65+` would answer another question without a word.
 */
const withPlus = (text: string): string => {
  const age = /^\s*age\s*:/.exec(text)?.[0];
  if (age === undefined) return text.replace(/^(\d{4}-\d\d-\d\dT[\d:.]+) (\d\d:\d\d)$/, '$1+$2');
  const items = text.slice(age.length).split(';');
  return age + items.map((item) => item.replace(/^(\s*\d{1,3}) $/, '$1+')).join(';');
};

/** Every value by parameter, in the order given. `/dimension/2` is the third dimension, and `/ci` the only ci. */
const valuesOf = (source: URLSearchParams | Readonly<Record<string, unknown>>): Map<string, Value[]> => {
  if (!(source instanceof URLSearchParams))
    return new Map(
      Object.entries(source).flatMap(([name, value]) =>
        value === undefined
          ? []
          : [[name, (Array.isArray(value) ? value : [value]).map((one: unknown, i) => ({ pointer: at(name, i), value: one }))]],
      ),
    );
  const names = [...new Set(source.keys())];
  return new Map(
    names.map((name) => [name, source.getAll(name).map((text, i) => ({ pointer: at(name, i), value: withPlus(text) }))]),
  );
};

const at = (name: string, index: number) =>
  (REPEATABLE as readonly string[]).includes(name) ? `/${name}/${index}` : `/${escaped(name)}`;

const textOf = ({ pointer, value }: Value): Field | Problem => {
  if (typeof value === 'string' || typeof value === 'boolean') return { pointer, text: String(value) };
  if (typeof value !== 'number') {
    const detail = { zh: '此处应为文本', en: 'text is expected here' };
    return { code: 'invalid-type', detail, pointer, value: value === null ? null : typeof value };
  }
  // JSON has rounded it already: 2^53 + 1 arrives as 2^53.
  if (Math.abs(value) <= Number.MAX_SAFE_INTEGER) return { pointer, text: String(value) };
  const detail = { zh: '超过 2^53 的整数请写成文本', en: 'write an integer beyond 2^53 as text' };
  return { code: 'unsafe-integer', detail, pointer, value };
};

const unknownParameter = (name: string, [first]: readonly Value[]): Problem => {
  const pointer = `/${escaped(name)}`;
  const detail = { zh: `没有参数“${quoted(name)}”`, en: `there is no parameter "${quoted(name)}"` };
  const dimension = ['dx', 'pe', 'ou', ...DIMENSION_NAMES].includes(name);
  const value = typeof first?.value === 'string' ? first.value : '';
  const offered = { ...offer(name, PARAMETERS), ...(dimension && { suggestion: quoted(`dimension=${name}:${value}`) }) };
  return { code: 'unknown-parameter', detail, pointer, value: quoted(name), ...offered };
};

/** The parameters by name; a fault (an unknown name, a repeated single, a value that isn't text) goes to `problems`. */
export const readSource = (source: URLSearchParams | Readonly<Record<string, unknown>>, problems: Problem[]): Source => {
  if (typeof source !== 'object' || source === null || Array.isArray(source)) {
    const detail = { zh: '请求体应为 JSON 对象', en: 'the body is a JSON object' };
    problems.push({ code: 'invalid-type', detail, pointer: '' });
    return { dimension: [], filter: [], single: {} };
  }
  const fields = new Map<string, Field[]>();
  for (const [name, values] of valuesOf(source)) {
    if (!PARAMETERS.includes(name)) {
      problems.push(unknownParameter(name, values));
      continue;
    }
    const read = values.map(textOf);
    problems.push(...read.filter((one): one is Problem => 'code' in one));
    fields.set(
      name,
      read.filter((one): one is Field => 'text' in one),
    );
    if ((SINGLE as readonly string[]).includes(name) && values.length !== 1) {
      const detail = { zh: `参数 ${name} 应恰好给一次`, en: `${name} is given once` };
      problems.push({ code: 'repeated-parameter', detail, pointer: `/${name}`, value: values.length });
    }
  }
  return {
    dimension: fields.get('dimension') ?? [],
    filter: fields.get('filter') ?? [],
    single: Object.fromEntries(SINGLE.flatMap((name) => (fields.has(name) ? [[name, fields.get(name)![0]]] : []))),
  };
};
