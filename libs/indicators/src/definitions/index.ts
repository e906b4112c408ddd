/** The indicators shipped at first start. */
import { indicatorDefinition, type IndicatorDefinition } from './definition';

// A plain require, since the project's file list has no JSON in it; the schema below is what gives the text its type.
// eslint-disable-next-line @typescript-eslint/no-require-imports
const catalogue = require('./catalogue.json') as readonly unknown[];

// Read at load: a definition that breaks its own schema must never answer.
const shipped: ReadonlyMap<string, IndicatorDefinition> = new Map(
  catalogue.map((document) => {
    const definition = indicatorDefinition.parse(document);
    return [definition.code, definition];
  }),
);

export const indicators = (): readonly IndicatorDefinition[] => [...shipped.values()];
export const indicator = (code: string): IndicatorDefinition | undefined => shipped.get(code);

export * from './definition';
