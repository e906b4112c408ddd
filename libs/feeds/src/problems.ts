import { said } from '@vigil/domain';
import { nearest, type Problem, type Text } from '@vigil/vocabulary';
import { z } from 'zod';

type Issue = z.core.$ZodIssue;
type Schema = z.core.$ZodType;

/** Values are quoted in answers and logs: only what is short and plain. */
const quotable = (value: unknown): unknown => {
  if (typeof value === 'string') return value.length > 200 ? `${value.slice(0, 200).toWellFormed()}…` : value.toWellFormed();
  return value === null || typeof value === 'number' || typeof value === 'boolean' ? value : undefined;
};

/** Comparing a megabyte with every candidate takes seconds, and no such word was mistyped. */
const suggested = (word: string, candidates: readonly string[]): string | undefined =>
  word.length <= 100 ? nearest(word, candidates) : undefined;

/** Unknown fields named of one object; a hostile one has a hundred thousand. */
const MOST_KEYS = 20;

/** RFC 6901. */
export const pointerOf = (path: readonly PropertyKey[]): string =>
  path.map((part) => `/${String(part).replaceAll('~', '~0').replaceAll('/', '~1')}`).join('');

const at = (root: unknown, path: readonly PropertyKey[]): unknown =>
  path.reduce<unknown>(
    (value, part) =>
      typeof value === 'object' && value !== null && Object.hasOwn(value, part) ? (value as never)[part] : undefined,
    root,
  );

/** The schema inside `optional`, `nullable`, `default` and the like. */
export const unwrapped = (schema: Schema): Schema => {
  let inner = schema as { _zod: { def: { type: string; innerType?: Schema; in?: Schema } } };
  for (;;) {
    const { type, innerType, in: input } = inner._zod.def;
    const next = innerType ?? (type === 'pipe' ? input : undefined);
    if (!next) return inner as unknown as Schema;
    inner = next as never;
  }
};

/** Names of the fields that an object at `path` may have; through a union, those of all its objects. */
const fieldsAt = (schema: Schema | undefined, path: readonly PropertyKey[]): string[] => {
  if (!schema) return [];
  const inner = unwrapped(schema);
  if (inner instanceof z.ZodUnion) return [...new Set(inner.options.flatMap((option) => fieldsAt(option as Schema, path)))];
  const [part, ...rest] = path;
  if (inner instanceof z.ZodArray) return part === undefined ? [] : fieldsAt(inner.element as Schema, rest);
  if (!(inner instanceof z.ZodObject)) return [];
  return part === undefined ? Object.keys(inner.shape) : fieldsAt((inner.shape as Record<string, Schema>)[String(part)], rest);
};

const KINDS: Readonly<Record<string, Text>> = {
  string: { zh: '文本', en: 'text' },
  number: { zh: '数字', en: 'a number' },
  int: { zh: '整数', en: 'a whole number' },
  boolean: { zh: 'true 或 false', en: 'true or false' },
  object: { zh: '对象', en: 'an object' },
  array: { zh: '数组', en: 'an array' },
};
const kindOf = (kind: string): Text => KINDS[kind] ?? { zh: kind, en: kind };

const size = (issue: { origin: string }, limit: string, more: boolean): Text => {
  const [least, most] = [more ? '至少' : '至多', more ? 'at least' : 'at most'];
  if (issue.origin === 'string') return { zh: `${least} ${limit} 个字符`, en: `${most} ${limit} characters` };
  if (issue.origin === 'array' || issue.origin === 'set') return { zh: `${least} ${limit} 项`, en: `${most} ${limit} items` };
  return { zh: `${least}为 ${limit}`, en: `${most} ${limit}` };
};

const sentence = (issue: Issue, missing: boolean): { code: string; detail: Text } => {
  switch (issue.code) {
    case 'invalid_type': {
      if (missing) return { code: 'missing-field', detail: { zh: '缺少必填字段', en: 'a required field is missing' } };
      const kind = kindOf(issue.expected);
      return { code: 'wrong-type', detail: { zh: `应为${kind.zh}`, en: `must be ${kind.en}` } };
    }
    case 'too_small': {
      if (issue.origin === 'string' && Number(issue.minimum) === 1)
        return { code: 'empty', detail: { zh: '不能为空', en: 'must not be empty' } };
      if (issue.inclusive === false)
        return { code: 'too-small', detail: { zh: `应大于 ${issue.minimum}`, en: `must be above ${issue.minimum}` } };
      return { code: 'too-small', detail: size(issue, String(issue.minimum), true) };
    }
    case 'too_big':
      if (issue.inclusive === false)
        return { code: 'too-large', detail: { zh: `应小于 ${issue.maximum}`, en: `must be below ${issue.maximum}` } };
      return { code: 'too-large', detail: size(issue, String(issue.maximum), false) };
    case 'invalid_format':
      return { code: 'invalid-format', detail: { zh: '格式不符', en: `not of the form asked for (${issue.format})` } };
    case 'invalid_value':
      return missing
        ? { code: 'missing-field', detail: { zh: '缺少必填字段', en: 'a required field is missing' } }
        : { code: 'unknown-code', detail: { zh: '没有这个代码', en: 'there is no such code' } };
    case 'not_multiple_of':
      return {
        code: 'invalid-value',
        detail: { zh: `应为 ${issue.divisor} 的倍数`, en: `must be a multiple of ${issue.divisor}` },
      };
    default:
      return { code: 'invalid-value', detail: { zh: '值无效', en: 'the value is not valid' } };
  }
};

/** Of a union's branches, the one the sender meant: whose outer type fits, and then the one that got furthest. */
const meant = (branches: readonly (readonly Issue[])[]): readonly Issue[] | undefined => {
  const fit = branches.filter((issues) => !issues.some((issue) => issue.path.length === 0 && issue.code === 'invalid_type'));
  const depth = (issues: readonly Issue[]) => Math.max(...issues.map((issue) => issue.path.length));
  return [...fit].sort((a, b) => depth(b) - depth(a))[0];
};

/**
 * Zod's issues as problems: JSON pointer, code, a sentence in both languages, the value, what is allowed and the nearest of it.
 * @param root the value that was parsed: issues don't carry their values
 * @param options.schema with it, an unknown field is answered with the nearest known one
 * @param options.base pointer of `root` in what the sender sent, e.g. `/data`
 */
export const zodProblems = (
  error: z.ZodError | { issues: readonly unknown[] },
  root: unknown,
  options: { schema?: unknown; base?: string } = {},
): Problem[] => {
  const { base = '' } = options;
  const schema = options.schema as Schema | undefined;
  const read = (issue: Issue, above: readonly PropertyKey[]): Problem[] => {
    const path = [...above, ...issue.path];
    const value = at(root, path);
    const ours = said(issue.message);
    const quoted = quotable(value);
    const common = { pointer: base + pointerOf(path), ...(quoted !== undefined && { value: quoted }) };
    if (ours) return [{ ...ours, ...common }];
    if (issue.code === 'unrecognized_keys') {
      const fields = fieldsAt(schema, path);
      return issue.keys.slice(0, MOST_KEYS).map((key) => {
        const suggestion = suggested(key, fields);
        const name = String(quotable(key));
        return {
          code: 'unknown-field',
          detail: {
            zh: `没有字段“${name}”${suggestion ? `,是否为“${suggestion}”` : ''}`,
            en: `there is no field "${name}"${suggestion ? `; did you mean "${suggestion}"` : ''}`,
          },
          pointer: base + pointerOf([...path, key]),
          ...(fields.length > 0 && { allowed: fields }),
          ...(suggestion !== undefined && { suggestion }),
        };
      });
    }
    if (issue.code === 'invalid_union') {
      const branch = meant(issue.errors as unknown as Issue[][]);
      if (branch && branch.length > 0) return branch.flatMap((inner) => read(inner, path));
    }
    if (issue.code === 'invalid_value') {
      const allowed = issue.values.map(String);
      const suggestion = typeof value === 'string' ? suggested(value, allowed) : undefined;
      return [{ ...sentence(issue, value === undefined), ...common, allowed, ...(suggestion !== undefined && { suggestion }) }];
    }
    return [{ ...sentence(issue, value === undefined), ...common }];
  };
  return (error.issues as Issue[]).flatMap((issue) => read(issue, []));
};
