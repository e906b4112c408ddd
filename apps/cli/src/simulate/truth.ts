import type { Unit } from './district';

/**
 * What is so in the made-up district, whatever its records say: what tests and estimates of an effect are held against.
 */

/**
 * The fall programme: from its start in a unit on, of every fall at 65 and over that would have happened there, `rateRatio` happens;
 * at once, for ever, and to nobody else. The injuries themselves don't depend on it: those that it prevents are left out.
 */
export const FALL_PROGRAMME = {
  dx: 'INC-04',
  /** Rate with the programme by rate without it, for falls at 65 and over in a unit that has started. */
  rateRatio: 0.7,
  ageFrom: 65,
  /** Card code of the cause. */
  cause: '3',
  pilot: 'S-01',
  rolledOutTo: 'S-02',
} as const;

/**
 * Days on which the units start, by the year in which a story ends: the pilot on the first of the year before, the other unit on
 * the first of that year. So the year before the last is the pilot's alone, and the one before it is nobody's.
 */
export const programmeStarts = (endYear: number): Readonly<Record<Unit, string>> => ({
  'S-01': `${endYear - 1}-01-01`,
  'S-02': `${endYear}-01-01`,
});

/** Share of those asked, 65 and over, who know how a fall at home is prevented, by wave and unit. Between the waves the pilot begins. */
export const AWARENESS: Readonly<Record<1 | 2, Readonly<Record<Unit, number>>>> = {
  1: { 'S-01': 0.45, 'S-02': 0.45 },
  2: { 'S-01': 0.66, 'S-02': 0.52 },
};

/** The feed that says nothing in the last months of a story of a year or more. What happened is unknown then, not nothing. */
export const SILENT = { feed: 'school-01', months: 3 } as const;

/** Months at whose end the cards of the works' first-aid posts come late, on a day of the month after. */
export const LATE_BATCH = { feed: 'clinic-01', unit: 'S-02', quarterEnds: [3, 6, 9, 12], day: 20 } as const;
