import { z } from 'zod';
import type { Call } from '../route';

const LAST = 2n ** 63n - 1n;
const positionParam = z
  .string()
  .regex(/^\d{1,19}$/)
  .transform(BigInt)
  .refine((value) => value <= LAST);

/** What was known when: an earlier position of the log, or an instant. */
export const asOfQuery = z.object({
  asOfPosition: positionParam.optional().meta({ description: 'what was known at this position' }),
  asOf: z.iso.datetime({ offset: true }).optional().meta({ description: 'what was known at this instant' }),
});

/** The position that a reader asks about; undefined for now. */
export const asOfPosition = async (
  { engine }: Pick<Call, 'engine'>,
  { asOf, asOfPosition: at }: z.output<typeof asOfQuery>,
): Promise<bigint | undefined> => (asOf === undefined ? at : engine.log.positionAt(new Date(asOf).toISOString()));
