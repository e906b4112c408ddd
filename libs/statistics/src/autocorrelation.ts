import { wholeNumber } from './checks';
import { pchisq } from './special/gamma';

/**
 * Sample autocorrelation at lags 1 … `lags`: Σ (xₜ − x̄)(xₜ₋ₗ − x̄) / Σ (xₜ − x̄)² (R acf). `null` at lags the series doesn't reach
 * and where it doesn't vary.
 */
export const autocorrelation = (series: readonly number[], lags: number): (number | null)[] => {
  const n = series.length;
  const mean = series.reduce((a, b) => a + b, 0) / n;
  const deviations = series.map((x) => x - mean);
  const spread = deviations.reduce((sum, d) => sum + d * d, 0);
  return Array.from({ length: wholeNumber('lags', lags) }, (_, index) => {
    const lag = index + 1;
    if (lag >= n || spread === 0) return null;
    let sum = 0;
    for (let t = lag; t < n; t++) sum += deviations[t]! * deviations[t - lag]!;
    return sum / spread;
  });
};

/** n(n + 2) Σ r²/(n − l) against χ² on `lags` df (less `fitted` parameters). Ljung & Box (1978); R Box.test. `null` when too short. */
export const ljungBox = (
  series: readonly number[],
  lags: number,
  fitted = 0,
): { readonly statistic: number | null; readonly df: number; readonly p: number | null } => {
  const n = series.length;
  const df = lags - fitted;
  const correlations = autocorrelation(series, lags);
  if (df < 1 || correlations.some((r) => r === null)) return { statistic: null, df, p: null };
  const statistic = n * (n + 2) * correlations.reduce<number>((sum, r, i) => sum + r! ** 2 / (n - i - 1), 0);
  return { statistic, df, p: pchisq(statistic, df, 'upper') };
};
