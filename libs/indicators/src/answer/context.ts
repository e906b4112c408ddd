import type { SqlClient } from '@vigil/platform';
import type { AgeRange, Period, Problem } from '@vigil/vocabulary';
import type { FactColumns } from '../columns/fact-columns';
import type { IndicatorDefinition } from '../definitions/definition';
import type { Explanation } from '../output/answer';
import type { ObservationQuery } from '../query/query';
import type { OuTarget } from './communities';
import type { PersonYearsOf } from './person-years';

/** All that the rows of one indicator are made from. */
export interface RowsContext {
  readonly tx: SqlClient;
  /** Asked before the database. */
  readonly columns?: Pick<FactColumns, 'counts'> | undefined;
  readonly query: ObservationQuery;
  readonly definition: IndicatorDefinition;
  /** Of a standardised rate the standard's bands. */
  readonly bands: readonly (AgeRange & { readonly weight: number })[];
  readonly position: string;
  readonly targets: readonly OuTarget[];
  /** All communities together: what expected numbers are reckoned from. */
  readonly everywhere: OuTarget;
  /** Each entry is one row's period: one of the dimension's, or all of a filter's together. */
  readonly periods: readonly { readonly id: string; readonly window: readonly Period[] }[];
  readonly personYears: PersonYearsOf;
  /** As person-years, of another yearly figure. */
  readonly exposure: (kind: string) => PersonYearsOf;
  /** The day after which a period hasn't ended. */
  readonly ended: string;
  readonly note: (problem: Problem) => void;
  /** What was asked of the database, for `explain`. */
  readonly explained: Explanation[];
}
