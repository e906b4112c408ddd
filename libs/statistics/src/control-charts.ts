import { answer, refuse, type Answer } from './answer';
import { nonNegative, positive, sameLength } from './checks';

export type ChartPoint = {
  readonly value: number;
  /** Never below 0. */
  readonly lower: number;
  readonly upper: number;
  readonly outside: boolean;
};

export type Chart = {
  readonly centre: number;
  /** Laney's factor of the u′ chart; 1 of the others. */
  readonly sigmaZ: number;
  readonly points: readonly ChartPoint[];
};

const point = (value: number, centre: number, spread: number): ChartPoint => {
  const lower = Math.max(0, centre - spread);
  const upper = centre + spread;
  return { value, lower, upper, outside: value < lower || value > upper };
};

const sum = (values: readonly number[]): number => values.reduce((a, b) => a + b, 0);

const needTwo = (n: number): void => {
  if (n < 2) refuse('too-short', `${n} points; a chart needs 2 or more`);
};

/** c chart: counts over equal exposure, c̄ ± `sigmas` √c̄. Refused: fewer than 2 points. Montgomery (2013) ch 7. */
export const cChart = (counts: readonly number[], sigmas = 3): Answer<Chart> =>
  answer(() => {
    needTwo(counts.length);
    counts.forEach((y, i) => nonNegative(`counts[${i}]`, y));
    const centre = sum(counts) / counts.length;
    const spread = positive('sigmas', sigmas) * Math.sqrt(centre);
    return { centre, sigmaZ: 1, points: counts.map((y) => point(y, centre, spread)) };
  });

/**
 * u chart: rates yᵢ/nᵢ about ū = Σy/Σn, ± `sigmas` √(ū/nᵢ). Where exposures are large, Poisson limits are too narrow and alarm for
 * nothing: see `uPrimeChart`. Refused: fewer than 2 points, exposures not above 0. Montgomery (2013) ch 7.
 */
export const uChart = (
  { counts, exposures }: { counts: readonly number[]; exposures: readonly number[] },
  sigmas = 3,
): Answer<Chart> => answer(() => rates(counts, exposures, positive('sigmas', sigmas), () => 1));

/**
 * u′ chart: as the u chart with limits × σ_z, the moving-range spread (mean |zᵢ − zᵢ₋₁|/1.128) of zᵢ = (uᵢ − ū)/√(ū/nᵢ).
 * Laney (2002) Quality Engineering 14:531. Refused as the u chart, and without events.
 */
export const uPrimeChart = (
  { counts, exposures }: { counts: readonly number[]; exposures: readonly number[] },
  sigmas = 3,
): Answer<Chart> =>
  answer(() =>
    rates(
      counts,
      exposures,
      positive('sigmas', sigmas),
      (z) => sum(z.slice(1).map((v, i) => Math.abs(v - z[i]!))) / (z.length - 1) / 1.128,
    ),
  );

const rates = (
  counts: readonly number[],
  exposures: readonly number[],
  sigmas: number,
  widen: (z: readonly number[]) => number,
): Chart => {
  needTwo(sameLength({ counts, exposures }));
  counts.forEach((y, i) => nonNegative(`counts[${i}]`, y));
  exposures.forEach((n, i) => positive(`exposures[${i}]`, n));
  const centre = sum(counts) / sum(exposures);
  const se = exposures.map((n) => Math.sqrt(centre / n));
  const values = counts.map((y, i) => y / exposures[i]!);
  // Without events every z would be 0/0, and there is no spread to widen.
  const sigmaZ = centre === 0 ? 1 : widen(values.map((u, i) => (u - centre) / se[i]!));
  return { centre, sigmaZ, points: values.map((u, i) => point(u, centre, sigmas * sigmaZ * se[i]!)) };
};

/**
 * g chart: units (days, patients) between rare events, ḡ ± `sigmas` √(ḡ(ḡ + 1)) of a geometric count. A high point is good news.
 * Benneyan (2001) Health Care Manag Sci 4:305. Refused: fewer than 2 points.
 */
export const gChart = (between: readonly number[], sigmas = 3): Answer<Chart> =>
  answer(() => {
    needTwo(between.length);
    between.forEach((g, i) => nonNegative(`between[${i}]`, g));
    const centre = sum(between) / between.length;
    const spread = positive('sigmas', sigmas) * Math.sqrt(centre * (centre + 1));
    return { centre, sigmaZ: 1, points: between.map((g) => point(g, centre, spread)) };
  });
