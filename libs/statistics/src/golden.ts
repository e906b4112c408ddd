import { existsSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { gunzipSync } from 'node:zlib';

// Support for the specs only: worked examples from R, read in place. They aren't part of the repository, so that a checkout
// without them skips, visibly.

const sharedFolder = resolve(process.env.VIGIL_SHARED ?? resolve(__dirname, '../../../../shared'));

/* eslint-disable @typescript-eslint/no-explicit-any -- the oracles' shapes differ; every field read is compared */
export type Oracle = any;

export const golden = (id: string, body: (oracle: Oracle) => void): void => {
  const path = join(sharedFolder, 'oracles', `${id}.json`);
  if (existsSync(path)) return test(`agrees with R: ${id}`, () => body(JSON.parse(readFileSync(path, 'utf8'))));
  // eslint-disable-next-line no-console -- a skipped check must be seen
  console.warn(`skipped: no oracle at ${path} (set VIGIL_SHARED)`);
  test.skip(`agrees with R: ${id}`, () => undefined);
};

/** Rows of a csv or csv.gz below the data folder. */
export const dataRows = (file: string): Record<string, string>[] => {
  const bytes = readFileSync(join(sharedFolder, 'data', file));
  const text = (file.endsWith('.gz') ? gunzipSync(bytes) : bytes).toString('utf8').trimEnd();
  const cells = (line: string) => [...line.matchAll(/(?:^|,)(?:"((?:[^"]|"")*)"|([^,]*))/g)].map((m) => m[1] ?? m[2] ?? '');
  const [head, ...lines] = text.split(/\r?\n/);
  const names = cells(head!);
  return lines.map((line) => Object.fromEntries(cells(line).map((cell, i) => [names[i], cell])));
};

export const data = (file: string): Oracle => JSON.parse(readFileSync(join(sharedFolder, 'data', file), 'utf8'));

/** Relative agreement of numbers, recursively over the keys of `expected`; null means null. */
export const expectClose = (actual: Oracle, expected: Oracle, relative = 1e-8, path = ''): void => {
  if (typeof expected === 'number') {
    const error = Math.abs(actual - expected) / (Math.abs(expected) || 1);
    if (!(error <= relative)) throw new Error(`${path}: expected ${expected}, got ${actual}`);
  } else if (expected !== null && typeof expected === 'object') {
    for (const key of Object.keys(expected)) expectClose(actual?.[key], expected[key], relative, `${path}.${key}`);
  } else if (actual !== expected) throw new Error(`${path}: expected ${expected}, got ${JSON.stringify(actual)}`);
};
