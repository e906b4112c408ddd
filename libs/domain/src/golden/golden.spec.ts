import { createHash } from 'node:crypto';
import { z } from 'zod';
import { aggregates, readCommunityEvent, readInjuryEvent } from '../aggregates';
import { communityEvents } from '../community/community';
import type { EventType } from '../event-type';
import { injuryEvents } from '../injury/injury';
import events from './events.v1.json';
import schemas from './schemas.json';

const types = Object.values({ ...injuryEvents, ...communityEvents }) as EventType[];
const current = Object.fromEntries(types.map((type) => [`${type.name}@${type.version}`, type]));
const readers = [readInjuryEvent, readCommunityEvent];
const attempt = <T>(read: () => T): T | undefined => {
  try {
    return read();
  } catch {
    return undefined;
  }
};
const hashOf = ({ schema }: EventType): string =>
  createHash('sha256')
    .update(JSON.stringify(z.toJSONSchema(schema)))
    .digest('hex')
    .slice(0, 32);

it.each(Object.entries(events))('a stored %s still reads, and reads as it was written', (key, payloads) => {
  const [name, version] = key.split('@') as [string, string];
  const type = types.find((each) => each.name === name)!;
  expect(payloads.length).toBeGreaterThan(0);
  for (const payload of payloads as unknown[]) {
    const { data } = readers
      .map((read) => attempt(() => read({ type: name, version: Number(version), data: JSON.stringify(payload) })))
      .find(Boolean)!;
    expect(type.schema.parse(data)).toEqual(data);
    if (Number(version) === type.version) expect(data).toEqual(payload);
  }
});

it('holds every event type in every version ever written', () => {
  expect(Object.keys(events).sort()).toEqual(Object.keys(schemas).sort());
  for (const { name, version } of types)
    for (let each = 1; each <= version; each++) expect(Object.keys(schemas)).toContain(`${name}@${each}`);
});

// Events are for ever. A changed schema is a new version: raise it, write an upcast step, add `Name@version` to schemas.json
// and a payload to events.v1.json. Old lines stay.
it.each(Object.entries(current))('the schema of %s reads as it did when the version was made', (key, type) =>
  expect({ [key]: hashOf(type) }).toEqual({ [key]: (schemas as Record<string, string>)[key] }),
);

it('notices a new field, a lost one, and a wider or narrower value', () => {
  const shape = { a: z.string().max(5), b: z.number().optional() };
  const hash = (schema: z.ZodType): string => hashOf({ name: 'T', version: 1, schema, upcasts: [] });
  const changed = [
    { ...shape, c: z.string().optional() },
    { a: shape.a },
    { ...shape, a: z.string().max(6) },
    { ...shape, b: z.number() },
  ];
  for (const each of changed) expect(hash(z.strictObject(each))).not.toBe(hash(z.strictObject(shape)));
});

it('is what the aggregates write: each event in its current version, no name twice', () => {
  const written = Object.values(aggregates).flatMap(({ versions }) =>
    Object.entries(versions).map(([name, version]) => `${name}@${version}`),
  );
  expect(written.sort()).toEqual(Object.keys(current).sort());
  expect(types).toHaveLength(new Set(types.map(({ name }) => name)).size);
});
