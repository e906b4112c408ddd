/** The made-up district of the demo: nobody lives there. Its shape is that of a street in an eastern Chinese city about 2020. */

export const DISTRICT = 'D-DEMO';
export type Unit = 'S-01' | 'S-02';

export const COMMUNITIES = [
  { code: DISTRICT, name: { zh: '示例区', en: 'Example District' }, type: 'district' },
  { code: 'S-01', name: { zh: '示例街道甲', en: 'Example Subdistrict A' }, type: 'street', parent: DISTRICT },
  { code: 'S-02', name: { zh: '示例镇乙', en: 'Example Town B' }, type: 'township', parent: DISTRICT },
] as const;

/** Persons in 2020, share added each year, and how many per 10,000 are in each five-year band 0–4 … 80–84, 85+ (men, women). */
const UNITS: Record<
  Unit,
  { readonly persons: number; readonly growth: number; readonly men: readonly number[]; readonly women: readonly number[] }
> = {
  'S-01': {
    persons: 60_000,
    growth: 0.006,
    men: [262, 266, 236, 224, 288, 372, 428, 446, 392, 366, 378, 352, 306, 296, 214, 126, 74, 44],
    women: [240, 243, 216, 212, 294, 386, 442, 448, 388, 362, 372, 350, 318, 312, 232, 146, 98, 74],
  },
  // A port with works: more men of working age, fewer of the old.
  'S-02': {
    persons: 45_000,
    growth: 0.011,
    men: [278, 276, 238, 262, 398, 492, 520, 502, 438, 404, 396, 346, 274, 236, 162, 92, 50, 28],
    women: [252, 250, 214, 212, 316, 402, 432, 414, 366, 342, 336, 304, 258, 230, 166, 100, 62, 44],
  },
};

export const UNIT_CODES = Object.keys(UNITS) as readonly Unit[];
export type Sex = 'F' | 'M';
export interface Cell {
  readonly sex: Sex;
  readonly ageFrom: number;
  readonly ageTo?: number;
  readonly persons: number;
}

const cache = new Map<string, readonly Cell[]>();

/** Persons by sex and five-year band at mid-year; 85 and over is open. */
export const population = (unit: Unit, year: number): readonly Cell[] => {
  const key = `${unit} ${year}`;
  let cells = cache.get(key);
  if (!cells) {
    const { persons, growth, men, women } = UNITS[unit];
    const all = [...men, ...women].reduce((sum, n) => sum + n, 0);
    const total = persons * (1 + growth * (year - 2020));
    cells = (['M', 'F'] as const).flatMap((sex) =>
      (sex === 'M' ? men : women).map((n, i) => {
        // The old grow faster than the young: from 65 upwards 2.5 % a year more.
        const ageing = i >= 13 ? 1 + 0.025 * (year - 2020) : 1;
        return { sex, ageFrom: i * 5, ...(i < 17 && { ageTo: i * 5 + 4 }), persons: Math.round((total * n * ageing) / all) };
      }),
    );
    cache.set(key, cells);
  }
  return cells;
};

/** Yearly figures besides the population: what fires, crashes and work injuries are counted per, and how much is at standard. */
export const exposures = (unit: Unit, year: number): readonly { readonly kind: string; readonly amount: number }[] => {
  const people = (from: number, to: number): number =>
    population(unit, year).reduce((sum, { ageFrom, persons }) => sum + (ageFrom >= from && ageFrom < to ? persons : 0), 0);
  const all = people(0, Infinity);
  const enterprises = unit === 'S-01' ? 420 : 760;
  const since = year - 2020;
  const amounts: Readonly<Record<string, number>> = {
    households: all / 2.6,
    vehicles: all * (0.24 + 0.01 * since),
    workers: people(20, 60) * 0.78,
    'site-workers': people(20, 60) * (unit === 'S-01' ? 0.02 : 0.05),
    students: people(5, 20) * 0.97,
    enterprises,
    'enterprises-at-standard': enterprises * Math.min(0.9, 0.45 + 0.05 * since),
    'dwellings-eligible': people(65, Infinity) * 0.3,
    'dwellings-adapted': people(65, Infinity) * 0.3 * Math.min(0.8, 0.08 * since),
  };
  return Object.entries(amounts).map(([kind, amount]) => ({ kind, amount: Math.round(amount) }));
};
