import { z } from 'zod';
import type { DomainEvent } from './decider';
import { eventReader, eventType, UnreadableEvent } from './event-type';

// Three versions of one event: a number in minutes became hours, then an object.
const waited = eventType(
  'Waited',
  3,
  z.strictObject({ duration: z.strictObject({ hours: z.number() }) }),
  ({ minutes }: { minutes: number }) => ({ hours: minutes / 60 }),
  ({ hours }: { hours: number }) => ({ duration: { hours } }),
);
const left = eventType('Left', 1, z.strictObject({}));
const read = eventReader<DomainEvent>({ Waited: waited as never, Left: left as never });
const stored = (type: string, version: number, data: unknown) => ({ type, version, data: JSON.stringify(data) });

it.each([
  [1, { minutes: 90 }],
  [2, { hours: 1.5 }],
  [3, { duration: { hours: 1.5 } }],
])('reads version %i as the current one', (version, data) => {
  const event = read(stored('Waited', version, data));
  expect(event).toEqual({ type: 'Waited', data: { duration: { hours: 1.5 } } });
  expect(waited.schema.parse(event.data)).toEqual(event.data);
});

it('guesses nothing about a version or a type it does not know', () => {
  expect(() => read(stored('Waited', 4, {}))).toThrow(UnreadableEvent);
  expect(() => read(stored('Waited', 99, {}))).toThrow('up to version 3; this one has version 99');
  expect(() => read(stored('Waited', 0, {}))).toThrow(UnreadableEvent);
  expect(() => read(stored('Arrived', 1, {}))).toThrow(UnreadableEvent);
});

it('is not made with a step missing', () => {
  expect(() => eventType('T', 2, z.strictObject({}))).toThrow(RangeError);
  expect(() => eventType('T', 1, z.strictObject({}), (data) => data)).toThrow(RangeError);
});
