import { say } from '@vigil/domain';
import { z } from 'zod';
import { isIdentityName } from './identity';
import { zodProblems } from './problems';

const schema = z.strictObject({
  name: z.string().min(2).max(4),
  size: z.number().int().min(1).max(9),
  kind: z.enum(['street', 'township']),
  list: z
    .array(z.strictObject({ sex: z.enum(['F', 'M']) }))
    .max(1)
    .optional(),
  either: z.union([z.strictObject({ code: z.string() }), z.enum(['fall', 'burn'])]).optional(),
  date: z
    .string()
    .refine(() => false, say('invalid-date', '日期不对', 'wrong date'))
    .optional(),
});
const problems = (more: object) => {
  const value = { name: 'abc', size: 3, kind: 'street', ...more };
  const parsed = schema.safeParse(value);
  return parsed.success ? [] : zodProblems(parsed.error, value, { schema, base: '/data' });
};

it.each<[object, object]>([
  [{ name: undefined }, { code: 'missing-field', pointer: '/data/name' }],
  [{ name: 7 }, { code: 'wrong-type', pointer: '/data/name', value: 7, detail: { zh: '应为文本', en: 'must be text' } }],
  [{ name: 'a' }, { code: 'too-small', detail: { zh: '至少 2 个字符', en: 'at least 2 characters' } }],
  [{ name: 'abcde' }, { code: 'too-large', value: 'abcde' }],
  [{ size: 1.5 }, { code: 'wrong-type', detail: { zh: '应为整数', en: 'must be a whole number' } }],
  [{ size: 10 }, { code: 'too-large', detail: { zh: '至多为 9', en: 'at most 9' } }],
  [{ kind: 'stret' }, { code: 'unknown-code', allowed: ['street', 'township'], suggestion: 'street' }],
  [{ kind: undefined }, { code: 'missing-field', allowed: ['street', 'township'] }],
  [{ knd: 1 }, { code: 'unknown-field', pointer: '/data/knd', suggestion: 'kind' }],
  [{ 'a/b~': 1 }, { code: 'unknown-field', pointer: '/data/a~1b~0' }],
  [{ list: [{ sex: 'F', sx: 1 }] }, { code: 'unknown-field', pointer: '/data/list/0/sx', allowed: ['sex'] }],
  [{ list: [{ sex: 'F' }, { sex: 'F' }] }, { code: 'too-large', detail: { zh: '至多 1 项', en: 'at most 1 items' } }],
  [{ either: 'fal' }, { code: 'unknown-code', pointer: '/data/either', suggestion: 'fall' }],
  [{ either: {} }, { code: 'missing-field', pointer: '/data/either/code' }],
  [{ either: { code: '1', cde: 1 } }, { code: 'unknown-field', pointer: '/data/either/cde', suggestion: 'code' }],
  [{ date: 'x' }, { code: 'invalid-date', detail: { zh: '日期不对', en: 'wrong date' }, value: 'x' }],
])('%j', (more, problem) => expect(problems(more)).toMatchObject([problem]));

it('quotes neither long values nor objects', () => {
  expect(String(problems({ name: 'x'.repeat(1000) })[0]!.value)).toHaveLength(201);
  expect(problems({ name: { deep: 1 } })[0]).not.toHaveProperty('value');
});

it.each([
  ['product name', false],
  ['医院名称', false],
  ['伤害发生地点', false],
  ['recordId', false],
  ['id', false],
  ['caseId', false],
  ['community', false],
  ['patientName', true],
  ['ID number', true],
  ['idNumber', true],
  ['guardian_phone', true],
  ['mobile', true],
  ['homeAddress', true],
  ['address', true],
  ['身份证号', true],
  ['姓名', true],
  ['居住地址', true],
])('%s is an identity: %s', (name, verdict) => expect(isIdentityName(name)).toBe(verdict));
