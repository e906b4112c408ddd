import { parse } from 'csv-parse/sync';
import * as fc from 'fast-check';
import { toCsv, toNdjson, type ObservationAnswer, type ObservationRow } from './index';

const row: ObservationRow = {
  dx: 'INC-01',
  pe: '2017',
  ou: 'C-001',
  sex: 'F',
  age: '0-4',
  value: 123.456,
  unit: 'per 100,000',
  num: 12,
  den: 9720.07,
  ci: { level: 0.95, low: 63.8, high: 215.6, method: 'byar' },
  status: 'A',
  conf: 'F',
};
const missing: ObservationRow = {
  ...row,
  ou: 'C-002',
  value: null,
  num: 0,
  den: null,
  ci: null,
  status: 'M',
  reason: 'missing-denominator',
};
const answer = (...data: ObservationRow[]): ObservationAnswer => ({
  data,
  meta: {
    asOf: '2026-03-02T08:00:00Z',
    position: '9007199254740993',
    lagSeconds: 0,
    standard: 'WHO-2000',
    definitions: [{ code: 'INC-01', version: 1, hash: 'abc', name: { zh: '伤害发生率', en: 'injury incidence' } }],
    populationVersion: null,
    suppression: null,
    problems: [],
    query: '',
    dimensions: ['sex', 'age'],
  },
});
const csv = (a: ObservationAnswer, options?: { bom?: boolean }) => [...toCsv(a, options)].join('');

test('tidy CSV with its provenance in every row', () =>
  expect(csv(answer(row, missing), { bom: false }).split('\r\n')).toEqual([
    'dx,pe,ou,sex,age,value,unit,num,den,ciLevel,ciLow,ciHigh,ciMethod,status,conf,reason,asOf,position,definitionHash,standard,populationVersion',
    'INC-01,2017,C-001,F,0-4,123.456,"per 100,000",12,9720.07,0.95,63.8,215.6,byar,A,F,,2026-03-02T08:00:00Z,9007199254740993,abc,WHO-2000,',
    'INC-01,2017,C-002,F,0-4,,"per 100,000",0,,,,,,M,F,missing-denominator,2026-03-02T08:00:00Z,9007199254740993,abc,WHO-2000,',
    '',
  ]));

test('a byte order mark unless refused, also before an empty answer', () => {
  expect(csv(answer(row))).toMatch(/^\uFEFFdx,/);
  expect(csv(answer(), { bom: true })).toMatch(/^\uFEFFdx,.*\r\n$/);
  expect(csv(answer(), { bom: false })).toMatch(/^dx,pe,ou,sex,age,value/);
});

test.each(['=1+1', '+1', '-1', '@SUM(A1)', '\t=1', '\r=1'])('%j becomes no formula', (ou) => {
  const [, first] = parse(csv(answer({ ...row, ou }), { bom: false })) as string[][];
  expect(first![2]).toBe(`'${ou}`);
});
test('a negative number stays a number', () => expect(csv(answer({ ...row, value: -1.5 }), { bom: false })).toContain(',-1.5,'));

test('an open limit and a number that is none are empty cells', () => {
  const open = { ...row, value: NaN, ci: { ...row.ci!, high: null } };
  expect(csv(answer(open), { bom: false })).toContain(',F,0-4,,"per 100,000",12,9720.07,0.95,63.8,,byar,');
});

test('weighted answers show the records behind the total', () =>
  expect(csv(answer({ ...row, n: 40 }), { bom: false })).toContain('num,den,n,ciLevel'));

test('any text comes back', () =>
  fc.assert(
    fc.property(fc.string(), (text) => {
      const escaped = /^[=+\-@\t\r]/.test(text) ? `'${text}` : text;
      const [, first] = parse(csv(answer({ ...row, reason: text, ou: text }), { bom: false })) as string[][];
      expect([first![2], first![15]]).toEqual([escaped, escaped]);
    }),
  ));

test('NDJSON: a row a line, each with its provenance', () => {
  const lines = [...toNdjson(answer(row, missing))].join('').split('\n');
  expect(lines.pop()).toBe('');
  const origin = {
    asOf: '2026-03-02T08:00:00Z',
    position: '9007199254740993',
    definitionHash: 'abc',
    standard: 'WHO-2000',
    populationVersion: null,
  };
  expect(lines.map((line) => JSON.parse(line))).toEqual([
    { ...row, ...origin },
    { ...missing, ...origin },
  ]);
  expect([...toNdjson(answer())]).toEqual([]);
});

test('large answers come in pieces', () => {
  const pieces = [...toCsv(answer(...Array.from({ length: 10_000 }, () => row)))];
  expect(pieces.length).toBeGreaterThan(10);
  expect(Math.max(...pieces.map((piece) => piece.length))).toBeLessThan(100_000);
  expect(pieces.join('').split('\r\n')).toHaveLength(10_002);
});
