/** The answer of `/observations`, as JSON carries it. Positions are text: they pass 2^53. */
import type { Problem } from '@vigil/vocabulary';
import type { DimensionName } from '../query/dimensions';

/** A normal, P provisional, E estimated, U unreliable, M missing (SDMX's OBS_STATUS). */
export type ObservationStatus = 'A' | 'P' | 'E' | 'U' | 'M';
/** F free, C suppressed, N not for publication (SDMX's CONF_STATUS). */
export type Confidentiality = 'F' | 'C' | 'N';

/** `low` and `high` in the row's unit, `level` in per cent; `high` may be open. */
export interface ConfidenceInterval {
  readonly level: number;
  readonly low: number;
  readonly high: number | null;
  readonly method: string;
}

export interface ObservationRow extends Readonly<Partial<Record<DimensionName, string>>> {
  readonly dx: string;
  readonly pe: string;
  readonly ou: string;
  readonly value: number | null;
  readonly unit: string;
  /** The weighted total when the query asked for weights. */
  readonly num: number | null;
  readonly den: number | null;
  /** Records behind a weighted `num`. */
  readonly n?: number | null;
  readonly ci: ConfidenceInterval | null;
  /** Of a survey: design effect and effective sample size; null where the sample gives none. */
  readonly deff?: number | null;
  readonly nEff?: number | null;
  /** With `compare=`: the other row's value, the ratio of this one to it, and what its interval says. */
  readonly ref?: number | null;
  readonly ratio?: number | null;
  readonly ratioLow?: number | null;
  readonly ratioHigh?: number | null;
  readonly ratioMethod?: string | null;
  readonly verdict?: 'higher' | 'lower' | 'similar' | null;
  /** With `includeHistory`: from which position and instant to which these figures were what the log said. */
  readonly validFromPosition?: string;
  readonly validFrom?: string;
  readonly validTo?: string | null;
  /** Of a standardised rate, for comparisons; not told. */
  readonly variance?: number;
  readonly status: ObservationStatus;
  readonly conf: Confidentiality;
  /** Why there is no value, or why it is doubtful: `missing-denominator`, `too-few-events`, … */
  readonly reason?: string;
}

export interface DefinitionUsed {
  readonly code: string;
  readonly version: number;
  /** Of `definitionHash`. */
  readonly hash: string;
  readonly name: { readonly zh: string; readonly en: string };
}

export interface Suppression {
  readonly release: 'staff' | 'public';
  /** Counts from 1 to one less than this are hidden; `sensitive` for minors, self-harm and what a definition calls so. */
  readonly threshold: number;
  readonly sensitive: number;
  /** Rows hidden, for whichever reason: which one a row was hidden for would tell of its count. */
  readonly hidden: number;
  /** Indicators that count no people. */
  readonly unhidden: readonly string[];
}

export interface ObservationMeta {
  /** The instant that the answer speaks of, RFC 3339 in UTC. */
  readonly asOf: string;
  readonly position: string;
  readonly lagSeconds: number;
  readonly standard: string;
  readonly definitions: readonly DefinitionUsed[];
  readonly populationVersion: string | null;
  /** What was hidden and by which rule; null: nothing, on purpose. */
  readonly suppression: Suppression | null;
  /** What the reader can mend, such as a missing denominator and the request that fills it. */
  readonly problems: readonly Problem[];
  /** Of `formatObservationQuery`. */
  readonly query: string;
  /** The columns between `ou` and `value`, in the order asked. */
  readonly dimensions: readonly DimensionName[];
  /** With `explain=true`: what was counted for each part, and how. */
  readonly explain?: readonly Explanation[];
}

/** One part of an indicator as it was counted. `statement` has placeholders for values. */
export interface Explanation {
  readonly dx: string;
  readonly part: 'numerator' | 'denominator' | 'list';
  readonly statement: string;
  readonly periods: readonly string[];
  readonly communities: readonly string[];
  /** Rows of the fact behind all cells together; never told in an answer for release. */
  readonly events?: number;
}

export interface ObservationAnswer {
  readonly data: readonly ObservationRow[];
  readonly meta: ObservationMeta;
}
