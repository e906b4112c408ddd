import type { RecordedEvent } from '@vigil/event-log';
import { z } from 'zod';
import { eventView } from '../queries';
import { listOf, positionSchema } from './answers';

export interface Change {
  readonly field: string;
  readonly before: unknown;
  readonly after: unknown;
}

type Fields = Readonly<Record<string, unknown>>;

const differences = (was: Fields, is: Fields): Change[] =>
  [...new Set([...Object.keys(was), ...Object.keys(is)])]
    .filter((field) => JSON.stringify(was[field]) !== JSON.stringify(is[field]))
    .map((field) => ({ field, before: was[field] ?? null, after: is[field] ?? null }));

/** An aggregate as its timeline shows it. */
export interface Shown<S> {
  readonly initialState: S;
  readonly evolve: (state: S, event: { readonly type: string; readonly data: unknown }) => S;
  readonly read: (event: RecordedEvent) => { readonly type: string; readonly data: unknown };
  /** Its fields after an event, `state` among them. */
  readonly fieldsOf: (state: S) => Fields & { readonly state: string };
  /** Where the clock of the world stands in an event's data: the first of these fields that is there. */
  readonly occurred: readonly string[];
}

/** Each event on both clocks: when it happened and when it was recorded, with what it changed. */
export const timelineOf = <S>({ initialState, evolve, read, fieldsOf, occurred }: Shown<S>, events: readonly RecordedEvent[]) => {
  let state = initialState;
  return events.map((event) => {
    const { type, data } = read(event);
    const before = fieldsOf(state);
    state = evolve(state, { type, data });
    const after = fieldsOf(state);
    return {
      ...eventView(event),
      occurredAt: occurred.map((field) => (data as Fields)[field]).find((value) => typeof value === 'string') ?? null,
      state: after.state,
      changes: differences(before, after),
    };
  });
};

export const timelineSchema = listOf(
  z.looseObject({
    position: positionSchema,
    revision: z.int(),
    type: z.string(),
    recordedAt: z.string(),
    occurredAt: z.string().nullable(),
    state: z.string(),
    changes: z.array(z.object({ field: z.string(), before: z.unknown(), after: z.unknown() })),
  }),
);
