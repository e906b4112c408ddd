/**
 * What injures whom, when and where in the made-up district, by the 14 causes of the NISS card. Shapes follow what Chinese
 * surveillance publishes (falls at both ends of life, roads in the middle, men twice as often at work); no figure is a real place's.
 */

/** Card code of the cause. */
export type Cause = '1' | '2' | '3' | '4' | '5' | '6' | '7' | '8' | '9' | '10' | '11' | '12' | '13' | '14';

export interface CauseShape {
  /** First visits a year per 1,000 persons of 0–4, 5–14, 15–24, 25–44, 45–64, 65–74, 75+, before the whole is scaled. */
  readonly rates: readonly number[];
  /** Men's rate over women's under 65, and from 65. */
  readonly men: readonly [number, number];
  /** Weight of each month, January first. */
  readonly months: readonly number[];
  /** Weight of each weekday, Sunday first. */
  readonly days: readonly number[];
  readonly intent: Readonly<Record<string, number>>;
  readonly nature: Readonly<Record<string, number>>;
  readonly bodyPart: Readonly<Record<string, number>>;
  /** How much more often than usual it is grave. */
  readonly grave: number;
}

const EVEN = [1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1];
const WARM = [0.75, 0.7, 0.85, 1, 1.15, 1.2, 1.25, 1.2, 1.1, 1.05, 0.9, 0.8];
const ALL_DAYS = [1, 1, 1, 1, 1, 1, 1];
const COMMUTE = [0.85, 1.08, 1, 0.98, 1, 1.15, 0.98];
const WORKDAYS = [0.8, 1.1, 1.06, 1.04, 1.04, 1.05, 0.9];
const WEEKEND = [1.25, 0.9, 0.88, 0.88, 0.92, 1.02, 1.25];
const ACCIDENT = { '1': 1 };

export const CAUSES: Readonly<Record<Cause, CauseShape>> = {
  '1': {
    rates: [1.2, 2.2, 7, 8, 7, 5.5, 3.2],
    men: [1.55, 1.5],
    months: [0.92, 0.78, 0.95, 1, 1.02, 1, 0.96, 0.97, 1.08, 1.2, 1.12, 1.05],
    days: COMMUTE,
    intent: { '1': 0.995, '3': 0.005 },
    nature: { '1': 24, '2': 12, '3': 14, '4': 38, '6': 9, '7': 3 },
    bodyPart: { '1': 24, '2': 18, '3': 34, '4': 10, '5': 14 },
    grave: 2,
  },
  '2': {
    rates: [1.6, 5.5, 6.5, 8, 9.5, 8.5, 5],
    men: [1.15, 1.1],
    months: [0.8, 0.76, 0.96, 1.05, 1.1, 1.05, 0.98, 1, 1.1, 1.15, 1.05, 1],
    days: COMMUTE,
    intent: ACCIDENT,
    nature: { '1': 18, '2': 18, '3': 14, '4': 44, '6': 6 },
    bodyPart: { '1': 18, '2': 24, '3': 40, '4': 8, '5': 10 },
    grave: 1.2,
  },
  '3': {
    rates: [30, 24, 10, 9.5, 17, 33, 58],
    men: [1.2, 0.68],
    months: [1.2, 1.16, 1, 0.93, 0.9, 0.92, 0.9, 0.92, 0.96, 1, 1.02, 1.12],
    days: ALL_DAYS,
    intent: ACCIDENT,
    nature: { '1': 32, '2': 22, '3': 8, '4': 32, '6': 5, '7': 1 },
    bodyPart: { '1': 20, '2': 27, '3': 35, '4': 13, '5': 5 },
    grave: 1.5,
  },
  '4': {
    rates: [6, 9.5, 8.5, 8, 6.5, 4, 3],
    men: [1.75, 1.3],
    months: WARM.map((w) => 0.5 + w / 2),
    days: WORKDAYS,
    intent: { '1': 0.86, '3': 0.13, '5': 0.01 },
    nature: { '1': 10, '2': 8, '3': 16, '4': 62, '6': 4 },
    bodyPart: { '1': 30, '2': 34, '3': 24, '4': 10, '5': 2 },
    grave: 0.7,
  },
  '5': {
    rates: [0, 0.01, 0.01, 0.01, 0.01, 0, 0],
    men: [4, 4],
    months: [2, 4, 1, 0.5, 0.5, 0.5, 0.5, 0.5, 0.5, 0.5, 0.5, 1],
    days: ALL_DAYS,
    intent: ACCIDENT,
    nature: { '3': 6, '5': 4 },
    bodyPart: { '1': 3, '2': 7 },
    grave: 2,
  },
  '6': {
    rates: [2.6, 4, 7.5, 9.5, 8, 4.5, 2.6],
    men: [1.5, 1.05],
    months: WARM.map((w) => 0.6 + w * 0.4),
    days: WORKDAYS,
    intent: { '1': 0.95, '2': 0.015, '3': 0.033, '5': 0.002 },
    nature: { '3': 94, '7': 2, '8': 4 },
    bodyPart: { '1': 6, '2': 72, '3': 19, '4': 3 },
    grave: 0.6,
  },
  '7': {
    rates: [7.5, 1.6, 1.8, 2.6, 2.2, 1.8, 2],
    men: [0.95, 0.85],
    months: [1.15, 1.1, 0.95, 0.9, 0.95, 1.05, 1.1, 1.05, 0.9, 0.85, 0.95, 1.05],
    days: ALL_DAYS,
    intent: ACCIDENT,
    nature: { '5': 100 },
    bodyPart: { '1': 12, '2': 45, '3': 30, '4': 8, '5': 5 },
    grave: 1.1,
  },
  '8': {
    rates: [0.4, 0.05, 0.04, 0.05, 0.06, 0.1, 0.2],
    men: [1.2, 1],
    months: EVEN,
    days: ALL_DAYS,
    intent: { '1': 0.7, '2': 0.28, '5': 0.02 },
    nature: { '7': 80, '8': 20 },
    bodyPart: { '7': 90, '1': 10 },
    grave: 6,
  },
  '9': {
    rates: [0.15, 0.25, 0.1, 0.06, 0.06, 0.08, 0.1],
    men: [2.2, 1.3],
    months: [0.2, 0.2, 0.3, 0.6, 1.1, 2, 3, 2.6, 1, 0.5, 0.3, 0.2],
    days: WEEKEND,
    intent: { '1': 0.9, '2': 0.08, '5': 0.02 },
    nature: { '7': 90, '8': 10 },
    bodyPart: { '7': 100 },
    grave: 8,
  },
  '10': {
    rates: [1.3, 0.4, 0.9, 0.9, 0.8, 0.6, 0.6],
    men: [0.95, 0.9],
    months: [1.2, 1, 0.9, 0.9, 0.95, 1.05, 1.15, 1.1, 0.95, 0.85, 0.95, 1.1],
    days: WEEKEND,
    intent: { '1': 0.8, '2': 0.17, '3': 0.01, '5': 0.02 },
    nature: { '7': 55, '8': 45 },
    bodyPart: { '8': 70, '6': 22, '9': 8 },
    grave: 2.5,
  },
  '11': {
    rates: [4, 6.5, 4.2, 4.2, 5, 5, 4],
    men: [0.98, 0.9],
    months: [0.6, 0.6, 0.85, 1, 1.2, 1.35, 1.45, 1.35, 1.1, 0.95, 0.8, 0.7],
    days: WEEKEND,
    intent: ACCIDENT,
    nature: { '3': 96, '8': 4 },
    bodyPart: { '1': 6, '2': 44, '3': 44, '4': 6 },
    grave: 0.1,
  },
  '12': {
    rates: [0, 0.02, 0.05, 0.02, 0, 0, 0],
    men: [0.08, 0.08],
    months: EVEN,
    days: WEEKEND,
    intent: { '3': 1 },
    nature: { '4': 60, '8': 40 },
    bodyPart: { '4': 70, '5': 30 },
    grave: 1.5,
  },
  '13': {
    rates: [4.5, 4, 3, 3.2, 3.2, 2.6, 2.6],
    men: [1.2, 1],
    months: EVEN,
    days: ALL_DAYS,
    intent: { '1': 0.97, '3': 0.01, '5': 0.02 },
    nature: { '2': 38, '4': 20, '8': 42 },
    bodyPart: { '1': 32, '2': 26, '3': 30, '10': 12 },
    grave: 0.5,
  },
  '14': {
    rates: [0.5, 0.4, 0.4, 0.4, 0.4, 0.5, 0.8],
    men: [1.1, 1],
    months: EVEN,
    days: ALL_DAYS,
    intent: { '1': 0.5, '5': 0.5 },
    nature: { '4': 50, '8': 20, '9': 30 },
    bodyPart: { '1': 30, '3': 40, '11': 30 },
    grave: 1,
  },
};

export const CAUSE_CODES = Object.keys(CAUSES) as readonly Cause[];

/** Which of the seven rates applies. */
export const rateBand = (age: number): number =>
  age < 5 ? 0 : age < 15 ? 1 : age < 25 ? 2 : age < 45 ? 3 : age < 65 ? 4 : age < 75 ? 5 : 6;

export const isRoad = (cause: Cause): boolean => cause === '1' || cause === '2';

/** Card codes of the place: home 1, institution 2, school or public 3, sport 4, street 5, trade 6, works 7, farm 8, other 9. */
export const placeWeights = (cause: Cause, age: number, works: boolean): Readonly<Record<string, number>> => {
  if (isRoad(cause)) return { '5': 96, '3': 2, '7': 1, '9': 1 };
  if (cause === '9') return { '9': 60, '1': age < 5 ? 40 : 5, '4': 25, '8': 10 };
  if (cause === '7')
    return age < 15 || age >= 65 ? { '1': 90, '3': 4, '6': 6 } : { '1': 55, '6': 22, '7': works ? 30 : 14, '3': 4 };
  if (age < 5) return { '1': 78, '3': 14, '2': 2, '6': 4, '5': 2 };
  if (age < 15) return { '3': 48, '1': 28, '4': 12, '5': 7, '6': 3, '9': 2 };
  if (age < 25) return { '3': 22, '1': 20, '4': 16, '5': 12, '7': works ? 26 : 14, '6': 12, '9': 3 };
  if (age < 65) return { '1': 32, '7': works ? 38 : 20, '5': 12, '6': 14, '3': 8, '4': 5, '8': 3, '9': 3 };
  return { '1': 64, '5': 14, '3': 9, '2': 6, '6': 4, '8': 3 };
};

/** Card codes of the activity, by where and at what age. */
export const activityWeights = (cause: Cause, place: string, age: number): Readonly<Record<string, number>> => {
  if (isRoad(cause)) return { '7': 78, '8': 20, '9': 2 };
  if (place === '7' && age >= 15) return { '1': 94, '8': 4, '9': 2 };
  if (place === '6' && age >= 18) return { '1': 55, '5': 30, '8': 15 };
  if (place === '3' && age < 22) return { '3': 34, '4': 30, '5': 32, '8': 4 };
  if (place === '4') return { '4': 92, '5': 8 };
  if (place === '1' && age >= 15) return { '2': 38, '6': 28, '5': 26, '8': 8 };
  return { '5': 58, '6': 14, '8': 22, '9': 6 };
};
