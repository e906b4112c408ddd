import type { ZodType } from 'zod';
import type { DomainEvent } from './decider';

/** Turns a payload of one version into one of the next. Pure: events are for ever, and read the same for ever. */
export type Upcast = (data: never) => unknown;

/** An event type is a value: its wire name is a constant, never a class name. */
export interface EventType<Name extends string = string, Data = unknown> {
  readonly name: Name;
  /** Version of the payload's schema, from 1. A changed schema is a new version. */
  readonly version: number;
  readonly schema: ZodType<Data>;
  /** One step per earlier version, oldest first: `upcasts[0]` turns version 1 into 2. */
  readonly upcasts: readonly Upcast[];
}

/** @throws RangeError when a version between 1 and this one has no step to the next */
export const eventType = <Name extends string, Data>(
  name: Name,
  version: number,
  schema: ZodType<Data>,
  ...upcasts: readonly Upcast[]
): EventType<Name, Data> => {
  if (upcasts.length !== version - 1)
    throw new RangeError(`${name}@${version} needs ${version - 1} upcast steps, and has ${upcasts.length}`);
  return { name, version, schema, upcasts };
};

/** As a log holds it. */
export interface StoredEvent {
  readonly type: string;
  readonly version: number;
  /** JSON text. */
  readonly data: string;
}

/** The event was written by a newer version of the program, or is none of these types. What reads it must not guess. */
export class UnreadableEvent extends Error {
  override readonly name = 'UnreadableEvent';
}

/**
 * Reads stored events of some types in their current versions, older ones through their upcast steps.
 * Payloads were validated when they were written; they aren't validated again.
 */
export const eventReader = <E extends DomainEvent>(types: Readonly<Record<string, EventType<string, never>>>) => {
  const known = new Map(Object.values(types).map((type) => [type.name, type as EventType]));
  /** @throws UnreadableEvent an unknown type or version */
  return ({ type, version, data }: StoredEvent): E => {
    const current = known.get(type);
    if (current === undefined) throw new UnreadableEvent(`${type} is no event of ${[...known.keys()].join(', ')}`);
    if (version < 1 || version > current.version)
      throw new UnreadableEvent(
        `${type} is known up to version ${current.version}; this one has version ${version}: a newer program wrote it`,
      );
    let payload: unknown = JSON.parse(data);
    for (let step = version - 1; step < current.upcasts.length; step++) payload = current.upcasts[step]!(payload as never);
    return { type, data: payload } as E;
  };
};
