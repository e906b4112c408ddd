import { collectDefaultMetrics, Registry } from 'prom-client';

/** A registry of its own (the global one would be shared by every engine of a test process); `processMetrics` adds Node's. */
export const createMetrics = ({ processMetrics = false } = {}): Registry => {
  const registry = new Registry();
  if (processMetrics) collectDefaultMetrics({ register: registry });
  return registry;
};
