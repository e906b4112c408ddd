import { createHash } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import { aggregates, caseFiles, eventTypes } from '../aggregates';
import { eventReader, type EventType } from '../event-type';
import firstEvents from './events.v1.json';
import firstSchemas from './schemas.json';

/** A register keeps its own, beside its steps: `<name>.golden.json`. */
interface Golden {
  readonly [event: string]: { readonly schema: string; readonly payloads: readonly unknown[] };
}
const folder = join(__dirname, '..');
const own = readdirSync(folder, { recursive: true, encoding: 'utf8' })
  .filter((file) => file.endsWith('.golden.json'))
  .map((file) => JSON.parse(readFileSync(join(folder, file), 'utf8')) as Golden);
const kept = Object.assign({}, ...own) as Golden;
const events = { ...firstEvents, ...Object.fromEntries(Object.entries(kept).map(([key, { payloads }]) => [key, payloads])) };
const schemas = { ...firstSchemas, ...Object.fromEntries(Object.entries(kept).map(([key, { schema }]) => [key, schema])) };

const types = Object.values(eventTypes);
const current = Object.fromEntries(types.map((type) => [`${type.name}@${type.version}`, type]));
const read = eventReader(eventTypes as never);
const hashOf = ({ schema }: Pick<EventType, 'schema'>): string =>
  createHash('sha256')
    .update(JSON.stringify(z.toJSONSchema(schema)))
    .digest('hex')
    .slice(0, 32);

it.each(Object.entries(events as Record<string, readonly unknown[]>))(
  'a stored %s still reads, and reads as it was written',
  (key, payloads) => {
    const [name, version] = key.split('@') as [string, string];
    const type = eventTypes[name]!;
    expect(payloads.length).toBeGreaterThan(0);
    for (const payload of payloads as unknown[]) {
      const { data } = read({ type: name, version: Number(version), data: JSON.stringify(payload) });
      expect(type.schema.parse(data)).toEqual(data);
      if (Number(version) === type.version) expect(data).toEqual(payload);
    }
  },
);

it('holds every event type in every version ever written', () => {
  expect(Object.keys(events).sort()).toEqual(Object.keys(schemas).sort());
  for (const { name, version } of types)
    for (let each = 1; each <= version; each++) expect(Object.keys(schemas)).toContain(`${name}@${each}`);
});

// Events are for ever. A changed schema is a new version: raise it, write an upcast step, and add `Name@version` with its
// hash and a payload to the golden file (of a register: the one beside it). Old lines stay.
it.each(Object.entries(current))('the schema of %s reads as it did when the version was made', (key, type) =>
  expect({ [key]: hashOf(type) }).toEqual({ [key]: (schemas as Record<string, string>)[key] }),
);

it('notices a new field, a lost one, and a wider or narrower value', () => {
  const shape = { a: z.string().max(5), b: z.number().optional() };
  const hash = (schema: z.ZodType): string => hashOf({ schema });
  const changed = [
    { ...shape, c: z.string().optional() },
    { a: shape.a },
    { ...shape, a: z.string().max(6) },
    { ...shape, b: z.number() },
  ];
  for (const each of changed) expect(hash(z.strictObject(each))).not.toBe(hash(z.strictObject(shape)));
});

it('is what the aggregates write: each event in its current version, no name twice', () => {
  const written = [...Object.values(aggregates), ...caseFiles].flatMap(({ versions }) =>
    Object.entries(versions).map(([name, version]) => `${name}@${version}`),
  );
  expect(written.sort()).toEqual(Object.keys(current).sort());
  expect(new Set(written).size).toBe(written.length);
});
