/** A symmetric or square matrix, row by row. */
export type Square = readonly (readonly number[])[];

export type LeastSquares =
  | { readonly coefficients: Float64Array; readonly r: readonly Float64Array[] }
  | { readonly collinear: number };

/**
 * Weighted least squares min Σ wᵢ(zᵢ − xᵢ'b)² by Householder reflections: never through X'X, whose condition is the square.
 * `columns` are p arrays of length n ≥ p, weights > 0. `r[j]` is column j of the triangle (j + 1 long). A column that loses all
 * but 1e-9 of its length once those before it are taken out is named instead of divided by. Golub & Van Loan (2013) 5.2.
 */
export const leastSquares = (
  columns: readonly ArrayLike<number>[],
  z: ArrayLike<number>,
  weights: ArrayLike<number>,
): LeastSquares => {
  const n = z.length;
  const p = columns.length;
  const root = new Float64Array(n);
  for (let i = 0; i < n; i++) root[i] = Math.sqrt(weights[i]!);
  const scaled = (values: ArrayLike<number>) => {
    const out = new Float64Array(n);
    for (let i = 0; i < n; i++) out[i] = root[i]! * values[i]!;
    return out;
  };
  const a = columns.map(scaled);
  const rhs = scaled(z);
  const norm = (column: Float64Array, from: number): number => {
    let largest = 0;
    for (let i = from; i < n; i++) largest = Math.max(largest, Math.abs(column[i]!));
    if (largest === 0) return 0;
    let squares = 0;
    for (let i = from; i < n; i++) squares += (column[i]! / largest) ** 2;
    return largest * Math.sqrt(squares);
  };
  const whole = a.map((column) => norm(column, 0));
  const diagonal = new Float64Array(p);
  for (let k = 0; k < p; k++) {
    const v = a[k]!;
    const length = norm(v, k);
    if (!(length > 1e-9 * whole[k]!)) return { collinear: k };
    const head = v[k]! > 0 ? -length : length;
    diagonal[k] = head;
    v[k]! -= head;
    const scale = 1 / (-head * v[k]!);
    for (let j = k + 1; j <= p; j++) {
      const target = j < p ? a[j]! : rhs;
      let dot = 0;
      for (let i = k; i < n; i++) dot += v[i]! * target[i]!;
      const factor = dot * scale;
      for (let i = k; i < n; i++) target[i]! -= factor * v[i]!;
    }
  }
  const r = a.map((column, j) => {
    const part = column.slice(0, j + 1);
    part[j] = diagonal[j]!;
    return part;
  });
  const coefficients = new Float64Array(p);
  for (let k = p - 1; k >= 0; k--) {
    let sum = rhs[k]!;
    for (let j = k + 1; j < p; j++) sum -= r[j]![k]! * coefficients[j]!;
    coefficients[k] = sum / diagonal[k]!;
  }
  return { coefficients, r };
};

/** (X'WX)⁻¹ from the triangle of its factor: R⁻¹R⁻ᵀ. */
export const inverseGram = (r: readonly Float64Array[]): number[][] => {
  const p = r.length;
  const inverse = r.map(() => new Float64Array(p));
  for (let j = 0; j < p; j++) {
    const column = inverse[j]!;
    column[j] = 1 / r[j]![j]!;
    for (let i = j - 1; i >= 0; i--) {
      let sum = 0;
      for (let k = i + 1; k <= j; k++) sum += r[k]![i]! * column[k]!;
      column[i] = -sum / r[i]![i]!;
    }
  }
  const gram = r.map(() => new Array<number>(p).fill(0));
  for (let i = 0; i < p; i++)
    for (let j = 0; j <= i; j++) {
      let sum = 0;
      for (let k = i; k < p; k++) sum += inverse[k]![i]! * inverse[k]![j]!;
      gram[i]![j] = gram[j]![i] = sum;
    }
  return gram;
};

/** A·M·A for symmetric A. */
export const bothSides = (a: Square, m: Square): number[][] => {
  const times = (x: Square, y: Square) =>
    x.map((row) => {
      const out = new Array<number>(y[0]!.length).fill(0);
      row.forEach((value, k) => y[k]!.forEach((other, j) => (out[j]! += value * other)));
      return out;
    });
  return times(times(a, m), a);
};

/** g'Mg. */
export const quadratic = (g: readonly number[], m: Square): number =>
  g.reduce((sum, gi, i) => sum + gi * m[i]!.reduce((inner, value, j) => inner + value * g[j]!, 0), 0);
