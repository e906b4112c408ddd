/** The definitions in force: those shipped, and those that the register of indicators holds. */
import type { SqlClient } from '@vigil/platform';
import { indicators, type IndicatorDefinition } from './index';

/** Served by the key (register, id, known_from): a few rows per indicator, whatever else the table holds. */
export const REGISTERED = `
SELECT id, state, body->'definition' AS definition FROM read.case_files
WHERE register = 'indicator' AND known_from <= $1 AND known_to > $1
ORDER BY id`;

/**
 * By code, each as it was known at a position of the log; the read model must hold that position. A revision stands in the place of
 * the version before, shipped or not; what was withdrawn is missing. Documents were validated before they were recorded, and aren't
 * validated again: a later, stricter schema must not silence a figure that was published.
 */
export const definitionsAt = async (tx: SqlClient, position: bigint): Promise<ReadonlyMap<string, IndicatorDefinition>> => {
  const rows = await tx.unsafe<{ id: string; state: string; definition: IndicatorDefinition }[]>(
    REGISTERED,
    [position.toString()],
    { prepare: true },
  );
  const inForce = new Map(indicators().map((shipped) => [shipped.code, shipped]));
  for (const { id, state, definition } of rows)
    if (state === 'withdrawn') inForce.delete(id);
    else inForce.set(id, definition);
  return inForce;
};
