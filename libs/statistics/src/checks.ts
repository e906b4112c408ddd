const fail = (name: string, value: unknown, must: string): never => {
  throw new RangeError(`${name} must be ${must}, got ${String(value)}`);
};

export const finite = (name: string, value: number): number =>
  Number.isFinite(value) ? value : fail(name, value, 'a finite number');

export const nonNegative = (name: string, value: number): number =>
  Number.isFinite(value) && value >= 0 ? value : fail(name, value, 'finite and not negative');

export const positive = (name: string, value: number): number =>
  Number.isFinite(value) && value > 0 ? value : fail(name, value, 'finite and above 0');

export const wholeNumber = (name: string, value: number): number =>
  Number.isSafeInteger(value) && value >= 0 ? value : fail(name, value, 'a whole number, not negative');

export const level01 = (name: string, value: number): number =>
  value > 0 && value < 1 ? value : fail(name, value, 'between 0 and 1');

export const probability = (name: string, value: number): number =>
  value >= 0 && value <= 1 ? value : fail(name, value, 'in [0, 1]');

export const atMost = (name: string, value: number, bound: string, limit: number): number =>
  value <= limit ? value : fail(name, value, `at most ${bound} (${limit})`);

export const sameLength = (arrays: Record<string, ArrayLike<unknown>>): number => {
  const lengths = Object.entries(arrays).map(([name, values]) => [name, values.length] as const);
  const [first] = lengths;
  const odd = lengths.find(([, length]) => length !== first![1]);
  if (odd) fail(odd[0], odd[1], `as long as ${first![0]} (${first![1]})`);
  return first![1];
};
