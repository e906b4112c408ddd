/** Modified Lentz evaluation of first + n(1)/(d(1) + n(2)/(d(2) + …)). Lentz WJ (1976) Appl Opt 15:668. */
export const continuedFraction = (first: number, n: (i: number) => number, d: (i: number) => number): number => {
  const tiny = 1e-300;
  let value = first === 0 ? tiny : first;
  let c = value;
  let e = 0;
  for (let i = 1; i < 1e8; i++) {
    const ni = n(i);
    const di = d(i);
    e = 1 / (di + ni * e || tiny);
    c = di + ni / c || tiny;
    const factor = c * e;
    value *= factor;
    if (Math.abs(factor - 1) < 3e-16) break;
  }
  return value;
};

/** A tail mass at x and its derivative with respect to ln x. */
export type Mass = { readonly mass: number; readonly slope: number };

/**
 * The x in (0, ceiling) at which a monotone tail mass equals `target`: Newton on ln(mass) against ln(x), kept inside a
 * shrinking bracket. Log against log because both ends of every distribution used here are nearly straight lines there, so
 * that 1e-160 costs no more steps than 0.5.
 */
export const solveMass = (
  at: (x: number) => Mass,
  target: number,
  start: number,
  rising: boolean,
  ceiling = Infinity,
): number => {
  let low = 0;
  let high = ceiling;
  let x = start > 0 && start < ceiling ? start : Number.isFinite(ceiling) ? ceiling / 2 : 1;
  for (let i = 0; i < 400; i++) {
    const { mass, slope } = at(x);
    const ratio = mass / target;
    const gap = Number.isFinite(ratio) && ratio > 0 ? Math.log(ratio) : Math.log(mass) - Math.log(target);
    const step = (-gap * mass) / slope;
    // Quadratic convergence: the step after one of 1e-10 would be below rounding.
    if (Math.abs(step) < 1e-10) return x * Math.exp(step);
    if (gap > 0 === rising) high = x;
    else low = x;
    const next = x * Math.exp(step);
    x = next > low && next < high ? next : high === Infinity ? x * 8 : low === 0 ? high / 8 : Math.sqrt(low) * Math.sqrt(high);
    if (high < Infinity && high - low <= 4e-16 * high) return x;
  }
  return x;
};

/** A normal quantile good to 0.003, only to start Newton from. Hastings' form, Abramowitz & Stegun 26.2.22. */
export const roughNormal = (p: number): number => {
  const t = Math.sqrt(-2 * Math.log(Math.min(p, 1 - p) || 1e-300));
  const z = t - (2.30753 + 0.27061 * t) / (1 + t * (0.99229 + t * 0.04481));
  return p < 0.5 ? -z : z;
};
