import type { Period, Problem } from '@vigil/vocabulary';
import type { Dimension } from './dimensions';

export type OuItem =
  | { readonly kind: 'code'; readonly code: string }
  | { readonly kind: 'level'; readonly level: number }
  | { readonly kind: 'group'; readonly group: string }
  | { readonly kind: 'children'; readonly code: string };

export type AsOf = { readonly instant: string } | { readonly position: bigint };

/** A question to `/observations`, read and checked; nothing in it needs looking up again except whether its communities exist. */
export interface ObservationQuery {
  /** Indicator codes, distinct, in the order asked. */
  readonly dx: readonly string[];
  /** Distinct, in the order asked; relative periods are already counted from `today`. Collapsed ones never overlap. */
  readonly pe: readonly Period[];
  /** False: `pe` was a filter, and its periods make one row. */
  readonly peIsDimension: boolean;
  /** `'all'`: every community that the caller may see. */
  readonly ou: readonly OuItem[] | 'all';
  /** False: `ou` was a filter or not named, and its communities make one row. */
  readonly ouIsDimension: boolean;
  /** In the order named, without dx, pe and ou. */
  readonly dimensions: readonly Dimension[];
  /** Restrict and collapse; without dx, pe and ou. */
  readonly filters: readonly Dimension[];
  /** What the log held at an instant (text as given, RFC 3339 with its offset) or after a position. Absent: now. */
  readonly asOf?: AsOf;
  /** `YYYY-MM-DD`; moves relative periods only. */
  readonly today: string;
  /** Id of a standard population. */
  readonly standard: string;
  /** Of intervals, as a fraction: 0.5 to 0.9999. */
  readonly level: number;
  readonly basis: 'occurrence' | 'residence';
  readonly weighted: boolean;
  readonly rolling?: { readonly years: number };
  /** Whom the answer is released to: small numbers are hidden. Absent: a caller who may see everything. */
  readonly release?: 'staff' | 'public';
  /** Each row beside the one of another community (`ALL` together), or of the period before. */
  readonly compare?: { readonly ou: string } | { readonly pe: 'previous' | 'previous-year' };
  /** Only rows that changed since the log stood at this instant. */
  readonly updatedAfter?: string;
  /** Every version of a row that the log ever gave, with the time for which it stood. */
  readonly includeHistory: boolean;
  readonly explain: boolean;
  /** Only `num` is wanted: rates go without denominator, value and interval, at a tenth of the cost. No query text asks for it. */
  readonly countsOnly?: boolean;
  /** The answer must have seen the log up to here. */
  readonly minPosition?: bigint;
  /** For CSV only: whether it begins with a byte order mark. */
  readonly bom: boolean;
}

export type Parsed =
  | { readonly ok: true; readonly value: ObservationQuery }
  | { readonly ok: false; readonly problems: readonly Problem[] };

export * from './dimensions';
export * from './parse';
export * from './format';
