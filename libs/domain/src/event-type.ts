import type { ZodType } from 'zod';

/** An event type is a value: its wire name is a constant, never a class name. */
export interface EventType<Name extends string = string, Data = unknown> {
  readonly name: Name;
  /** Version of the payload's schema, from 1. A changed schema is a new version. */
  readonly version: number;
  readonly schema: ZodType<Data>;
}

export const eventType = <Name extends string, Data>(
  name: Name,
  version: number,
  schema: ZodType<Data>,
): EventType<Name, Data> => ({ name, version, schema });
