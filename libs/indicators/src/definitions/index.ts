/** The indicators shipped at first start. */
import { indicatorDefinition, type IndicatorDefinition } from './definition';

import catalogue = require('./catalogue.json');

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
