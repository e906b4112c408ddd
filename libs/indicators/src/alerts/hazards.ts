/** Alerts that are no aberrations: hazards past their deadline. */
import { daysBetween, type Text } from '@vigil/vocabulary';
import { alertId, type Alert } from './detect';
import { ranked, scoreOf } from './rank';
import { whys } from './words';

export interface OverdueHazard {
  readonly id: string;
  readonly community: string;
  readonly domain: string;
  readonly level?: 'general' | 'major' | 'critical' | undefined;
  /** `YYYY-MM-DD` */
  readonly due: string;
}

const LEVELS: Readonly<Record<NonNullable<OverdueHazard['level']>, { weight: number; name: Text }>> = {
  general: { weight: 1, name: { zh: '一般', en: 'general' } },
  major: { weight: 3, name: { zh: '较大', en: 'major' } },
  critical: { weight: 5, name: { zh: '重大', en: 'critical' } },
};
const UNCLASSIFIED = { weight: 1, name: { zh: '未定级', en: 'not classified' } };
/** A year late is as late as it gets: old hazards must not hide what is new. */
const MOST_MONTHS = 12;

/** One alert for each that was due before `today`; its excess is counted in months of 30 days. A new deadline makes it another one. */
export const overdueHazards = (hazards: readonly OverdueHazard[], today: string): Alert[] =>
  ranked(
    hazards
      .filter(({ due }) => due < today)
      .map(({ id, community, domain, level, due }): Alert => {
        const days = daysBetween(due, today);
        const { weight, name } = level ? LEVELS[level] : UNCLASSIFIED;
        const excess = Number(Math.min(days / 30, MOST_MONTHS).toPrecision(6));
        const head = { kind: 'hazard-overdue' as const, dx: 'HAZ-02', ou: community, dims: { domain, hazard: id }, period: due };
        return {
          id: alertId(head),
          ...head,
          cases: { fact: 'hazard', hazard: id },
          ...{ since: due, until: due, observed: 1, expected: 0, upper: 0, excess, p: null, q: null },
          ...{ severity: weight, certainty: 1, score: scoreOf({ severity: weight, excess, certainty: 1 }) },
          method: 'deadline',
          why: whys.overdue(days, name),
        };
      }),
  );
