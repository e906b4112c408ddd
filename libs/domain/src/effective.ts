/** What holds from a day on, until the next one does. */
export interface Effective {
  /** Its first day; absent: from the beginning. */
  readonly from?: string | undefined;
}

const firstDay = ({ from = '' }: Effective): string => from;

/** With one more, by day: late news of an earlier day goes where it belongs. */
export const inserted = <T extends Effective>(history: readonly T[], one: T): T[] => {
  const later = history.findIndex((other) => firstDay(other) > firstDay(one));
  return later < 0 ? [...history, one] : [...history.slice(0, later), one, ...history.slice(later)];
};

/** The one that holds on a day; undefined before the first. */
export const inForceOn = <T extends Effective>(history: readonly T[], day: string): T | undefined =>
  history.findLast((one) => firstDay(one) <= day);

/** Each with the day from which it no longer holds. */
export const spans = <T extends Effective>(history: readonly T[]): (T & { readonly until?: string })[] =>
  history.map((one, index) => {
    const until = history[index + 1]?.from;
    return until === undefined ? one : { ...one, until };
  });
