import { farringtonFlexible, interruptedSeries } from '@vigil/statistics';
import { median, quantile, type Figure } from './world';

/** mulberry32: the same series in every run. */
const randomOf = (seed: number) => (): number => {
  seed = (seed + 0x6d2b79f5) | 0;
  let t = Math.imul(seed ^ (seed >>> 15), 1 | seed);
  t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
  return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
};
const poisson = (mean: number, random: () => number): number => {
  let count = -1;
  for (let product = 1; product > Math.exp(-mean); product *= random()) count++;
  return count;
};
/** Seasonal counts with a slow rise. */
const seriesOf = (points: number, perYear: number, mean: number, seed: number): number[] => {
  const random = randomOf(seed);
  return Array.from({ length: points }, (_, at) =>
    poisson(
      mean * (1 + 0.3 * Math.sin((2 * Math.PI * at) / perYear)) * (1 + (0.2 * at) / points) * (0.7 + 0.6 * random()),
      random,
    ),
  );
};

const FITS = 200;
const SERIES = 1_000;
const WEEKS = 520;

/** An interrupted time series of twenty years of months, and a thousand weekly series under Farrington's flexible method. */
export const benchStatistics = async (rounds: number): Promise<Figure[]> => {
  const fits: number[] = [];
  for (let n = 0; n < FITS; n++) {
    const counts = seriesOf(240, 12, 40, n);
    const began = performance.now();
    const fit = interruptedSeries({
      counts,
      before: 120,
      slope: true,
      harmonics: 2,
      family: n % 2 === 0 ? 'quasi-poisson' : 'negative-binomial',
    });
    if (!fit.ok) throw new Error(JSON.stringify(fit));
    if (n >= 10) fits.push(performance.now() - began);
  }
  const all = Array.from({ length: SERIES }, (_, n) => seriesOf(WEEKS, 52, 1 + (n % 20), n));
  const judged = async (at: readonly number[]): Promise<number> => {
    const began = performance.now();
    for (const counts of all) {
      const found = farringtonFlexible(counts, { years: 5 }, at);
      if (!found.ok) throw new Error(JSON.stringify(found));
    }
    return (performance.now() - began) / 1000;
  };
  const [latest, year]: [number[], number[]] = [[], []];
  for (let round = 0; round < rounds; round++) {
    latest.push(await judged([WEEKS - 1]));
    year.push(await judged(Array.from({ length: 52 }, (_, week) => WEEKS - 52 + week)));
  }
  const p95 = quantile(fits, 0.95);
  return [
    {
      what: 'interrupted time series, 240 points, slope and seasons, p50 / p95',
      value: `${median(fits).toFixed(1)} / ${p95.toFixed(1)} ms`,
      aim: '< 50 ms',
      met: p95 < 50,
    },
    {
      what: '1,000 weekly series of 10 years, Farrington flexible, the latest week',
      value: `${median(latest).toFixed(2)} s`,
      aim: '< 20 s',
      met: median(latest) < 20,
    },
    {
      what: 'the same, each of the last 52 weeks',
      value: `${median(year).toFixed(1)} s`,
      aim: '< 20 s',
      met: median(year) < 20,
    },
  ];
};
