/** Which alert a reader sees first, what belongs together, and where the list ends. */
import { periodOf } from '@vigil/vocabulary';
import type { Alert } from './detect';
import { holds } from './series';

/** How grave one case is, as an order of magnitude: road crashes kill more often than falls, drownings more often than both. */
const OF_MECHANISM: Readonly<Record<string, number>> = {
  drowning: 4,
  suffocation: 4,
  firearm: 4,
  poisoning: 3,
  'road-transport': 3,
  'sexual-assault': 3,
  burn: 2,
  sharp: 2,
};
const OF_INDICATOR: Readonly<Record<string, number>> = {
  'MOR-01': 5,
  'INC-03': 3,
  'TRF-01': 3,
  'SEC-02': 2,
  'FIR-02': 3,
  'INC-04': 2,
};

/** The weight of one case, 1 (most) to 5 (deaths). */
export const severityOf = (dx: string, cases: Readonly<Record<string, string>>): number =>
  Math.max(OF_INDICATOR[dx] ?? 1, OF_MECHANISM[cases['mechanism'] ?? ''] ?? 1);

/** From 0 (P = 1) to 1 (P ≤ 10⁻⁶ after adjustment): the orders of magnitude by which chance is ruled out. */
export const certaintyOf = (q: number): number => Math.min(1, Math.max(0, -Math.log10(Math.max(q, 1e-300)) / 6));

/** severity × excess × certainty, rounded so that the last bits of a sum decide nothing. */
export const scoreOf = ({ severity, excess, certainty }: Pick<Alert, 'severity' | 'excess' | 'certainty'>): number =>
  Number((severity * excess * certainty).toPrecision(6));

/** Highest score first; of equal ones the id decides, so that the order is always the same. */
export const ranked = <T extends Pick<Alert, 'score' | 'id'>>(alerts: readonly T[]): T[] =>
  [...alerts].sort((a, b) => b.score - a.score || (a.id < b.id ? -1 : a.id > b.id ? 1 : 0));

export interface AlertGroup {
  /** It stands for the group: the member with the highest score, or the narrower one that accounts for it. */
  readonly lead: Alert;
  /** The others, by score. */
  readonly members: readonly Alert[];
  /** The highest among them all. */
  readonly score: number;
}

/** Shown, dismissed and rest together are all alerts there were. */
export interface Capped {
  readonly shown: readonly AlertGroup[];
  /** Passed over on the way to the last one shown. */
  readonly dismissed: readonly AlertGroup[];
  /** What the cap left out, not looked at further. */
  readonly rest: { readonly groups: number; readonly alerts: number };
}

const weekOf = (day: string): string => periodOf('week', day).id;

/**
 * Whether two alerts speak of one thing. Aberrations: one kind of case holds the other, one place lies in the other (or is it), and
 * the judged periods end in the same ISO week. Overdue hazards: the same place.
 */
const together = (a: Alert, b: Alert, within: (ou: string, parent: string) => boolean): boolean => {
  if (a.kind !== b.kind) return false;
  if (a.kind === 'hazard-overdue') return a.ou === b.ou;
  return (
    (holds(a.cases, b.cases) || holds(b.cases, a.cases)) &&
    weekOf(a.until) === weekOf(b.until) &&
    (within(a.ou, b.ou) || within(b.ou, a.ou))
  );
};

/** A street's rise lifts the whole town: whoever goes there must know the street. From this share of the excess on, the narrower leads. */
const ACCOUNTS_FOR = 0.8;

const accountsFor = (narrow: Alert, wide: Alert, within: (ou: string, parent: string) => boolean): boolean =>
  (narrow.ou !== wide.ou || !holds(narrow.cases, wide.cases)) &&
  within(narrow.ou, wide.ou) &&
  holds(wide.cases, narrow.cases) &&
  narrow.excess >= ACCOUNTS_FOR * wide.excess;

/**
 * Ranks and groups. Each alert, from the highest score down, joins the first group whose lead it belongs to, or leads one of its own:
 * drownings and burns of one place stay two groups though the total of both belongs to either.
 * @param parentOf the community that one lies in
 */
export const arrange = (alerts: readonly Alert[], parentOf: (ou: string) => string | null | undefined): readonly AlertGroup[] => {
  const within = (ou: string, parent: string): boolean => {
    const seen = new Set<string>();
    for (let at: string | null | undefined = ou; at && !seen.has(at); at = parentOf(at)) {
      if (at === parent) return true;
      seen.add(at);
    }
    return false;
  };
  const groups: Alert[][] = [];
  for (const alert of ranked(alerts)) {
    const group = groups.find(([first]) => together(alert, first!, within));
    if (group) group.push(alert);
    else groups.push([alert]);
  }
  return groups.map((group) => {
    const [first] = group as [Alert];
    const lead = group.reduce((best, each) => (accountsFor(each, best, within) ? each : best), first);
    return { lead, members: group.filter((each) => each !== lead), score: first.score };
  });
};

export const alertsIn = (groups: readonly AlertGroup[]): number =>
  groups.reduce((sum, { members }) => sum + 1 + members.length, 0);

/** The first `limit` groups that nobody has dismissed. */
export const capped = async (
  groups: readonly AlertGroup[],
  limit: number,
  isDismissed: (group: AlertGroup) => Promise<boolean>,
): Promise<Capped> => {
  const shown: AlertGroup[] = [];
  const dismissed: AlertGroup[] = [];
  let next = 0;
  for (; next < groups.length && shown.length < limit; next++)
    ((await isDismissed(groups[next]!)) ? dismissed : shown).push(groups[next]!);
  const left = groups.slice(next);
  return { shown, dismissed, rest: { groups: left.length, alerts: alertsIn(left) } };
};
