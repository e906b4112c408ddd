import { doctorExit, checkNode, checkSpace, judgeClock, judgeProjection, judgeSeal } from './commands/doctor';
import { lastTwelveMonths } from './commands/demo';
import { importExit, importLine } from './commands/import';
import { eventLine } from './commands/log';
import { problemText } from './commands/query';
import { problemLines } from './exit';
import { parseEventStream, type ServerEvent } from './http';
import { languageOf } from './language';
import { figure, interval, observationRows, observationTable, wireQuery, type Answer } from './observations';
import { lastFullMonth } from './settings';
import { progressLines, table } from './terminal';

beforeAll(() => void (process.env['VIGIL_LANG'] = 'en'));

test.each([
  [{}, 'en'],
  [{ LANG: 'zh_CN.UTF-8' }, 'zh'],
  [{ LANG: 'zh_CN.UTF-8', LC_ALL: 'C' }, 'en'],
  [{ LANG: 'en_US.UTF-8', VIGIL_LANG: 'zh' }, 'zh'],
  [{ LANG: 'zh_CN.UTF-8', VIGIL_LANG: 'en' }, 'en'],
  [{ LANG: 'zh_TW', VIGIL_LANG: ' ' }, 'zh'],
])('%j speaks %s', (env, language) => expect(languageOf(env)).toBe(language));

test.each([
  [0, '0'],
  [1234567, '1,234,567'],
  [6401.27, '6,401'],
  [123.456, '123.5'],
  [12.3456, '12.35'],
  [0.01234, '0.0123'],
  [-1234.5, '-1,235'],
  [null, '–'],
  [NaN, '–'],
])('%p is written %s', (value, text) => expect(figure(value)).toBe(text));

test('an interval may be open or absent', () => {
  expect(interval({ level: 0.95, low: 1.5, high: null })).toBe('1.50 – ∞');
  expect(interval({ level: 0.95, low: 0, high: 3.689 })).toBe('0 – 3.69');
  expect(interval(null)).toBe('');
});

const answer: Answer = {
  data: [
    {
      dx: 'INC-01',
      pe: '2025',
      ou: 'S-01',
      sex: 'F',
      value: 6401.27,
      unit: 'per 100,000',
      num: 1950,
      den: 30463,
      ci: { level: 0.95, low: 6120.3, high: 6692.1 },
      status: 'A',
      conf: 'F',
    },
    {
      dx: 'INC-01',
      pe: '2025',
      ou: 'S-09',
      sex: 'F',
      value: null,
      unit: 'per 100,000',
      num: 3,
      den: null,
      ci: null,
      status: 'M',
      conf: 'F',
      reason: 'missing-denominator',
    },
  ],
  meta: { dimensions: ['sex'], position: 12 },
};

test('an answer as a table', async () => {
  expect(await observationTable(answer)).toMatchInlineSnapshot(`
    "dx      pe    ou    sex  value  95 % interval    num     den  unit         status  reason
    INC-01  2025  S-01  F    6,401  6,120 – 6,692  1,950  30,463  per 100,000  A
    INC-01  2025  S-09  F        –                     3       –  per 100,000  M       missing-denominator"
  `);
  expect(observationRows({ ...answer, data: answer.data.slice(0, 1) }).head).not.toContain('reason');
});

test('Chinese is two columns wide', async () =>
  expect(
    await table(
      ['地区', 'n'],
      [
        ['梧桐街道', '1'],
        ['S', '22'],
      ],

      [1],
    ),
  ).toMatchInlineSnapshot(`
    "地区       n
    梧桐街道   1
    S         22"
  `));

test.each([
  ['dimension=dx:INC-01&filter=age:75+', 'dimension=dx:INC-01&filter=age:75%2B'],
  ['?dimension=dx:INC-01', 'dimension=dx:INC-01'],
  ['http://127.0.0.1:7420/api/v1/observations?dimension=dx:INC-01#x', 'dimension=dx:INC-01'],
  [' dimension=pe:2025 & asOf=2026-03-02T09:10:00+08:00 ', 'dimension=pe:2025&asOf=2026-03-02T09:10:00%2B08:00'],
])('%s goes out as %s', (typed, sent) => expect(wireQuery(typed)).toBe(sent));

test('what an import came to', () => {
  expect(importExit({ accepted: 3, duplicates: 0, rejected: 0 })).toBe(0);
  expect(importExit({ accepted: 0, duplicates: 3, rejected: 0 })).toBe(0);
  expect(importExit({ accepted: 3, duplicates: 0, rejected: 1 })).toBe(1);
  expect(importExit({ accepted: 0, duplicates: 1, rejected: 1 })).toBe(1);
  expect(importExit({ accepted: 0, duplicates: 0, rejected: 1 })).toBe(4);
  expect(importLine({ accepted: 1, duplicates: 2, rejected: 3 })).toBe(
    '{"accepted":1,"duplicates":2,"rejected":3,"position":null}',
  );
});

test('reasons on a line each, with what would be right', () =>
  expect(
    problemLines({
      errors: [
        { row: 12, column: 'sex', code: 'unknown-code', detail: 'no such sex', value: 'Q\u001b[2J\u009b', allowed: ['F', 'M'] },
        { pointer: '/dx', code: 'unknown-indicator', detail: { zh: '没有', en: 'no indicator INC-99' }, suggestion: 'INC-01' },
        ...Array.from({ length: 10 }, (_, i) => ({ code: `x${i}` })),
      ],
    }),
  ).toEqual(
    expect.arrayContaining([
      '  row 12 sex "Q\\u001b[2J\\u009b": no such sex (allowed: F, M) [unknown-code]',
      '  /dx: no indicator INC-99 (did you mean INC-01?)',
      '  … 2 more',
    ]),
  ));

test('a problem in the margin of an answer names the request that mends it', () => {
  expect(
    problemText({
      code: 'missing-denominator',
      detail: 'no population for S-09 in 2025',
      request: 'POST /communities/S-09/populations',
    }),
  ).toBe('no population for S-09 in 2025 → POST /communities/S-09/populations');
  expect(problemText('plain')).toBe('plain');
});

test('an event on one line', () =>
  expect(
    eventLine({
      position: 7,
      recordedAt: '2026-03-02T01:10:00Z',
      type: 'InjuryReported',
      stream: 'injury-1',
      revision: 0,
      data: { a: 1 },
    }),
  ).toBe('       7  2026-03-02T01:10:00Z  InjuryReported          injury-1@0  {"a":1}'));

test('twelve months back, and the last month that is over where the communities are', () => {
  expect(lastTwelveMonths('2026-03-31')).toBe('2025-04-01/2026-03-31');
  expect(lastTwelveMonths('2025-12-31')).toBe('2025-01-01/2025-12-31');
  const newYear = Date.parse('2025-12-31T16:30:00Z'); // 00:30 on 1 January in Shanghai
  expect(lastFullMonth('Asia/Shanghai', newYear)).toBe('2025-12');
  expect(lastFullMonth('UTC', newYear)).toBe('2025-11');
});

test('server-sent events however they are cut', async () => {
  const text = ': hello\r\nid: 1\r\nevent: progress\r\ndata: {"done":1}\r\n\r\nid: 2\nevent: done\ndata: {\ndata: "标":1}\n\n';
  const bytes = Buffer.from(text);
  for (const size of [1, 2, 3, 7, bytes.length]) {
    const cut = async function* () {
      for (let i = 0; i < bytes.length; i += size) yield bytes.subarray(i, i + size);
    };
    const events: ServerEvent[] = [];
    for await (const event of parseEventStream(cut())) events.push(event);
    expect(events).toEqual([
      { event: 'progress', data: '{"done":1}', id: '1' },
      { event: 'done', data: '{\n"标":1}', id: '2' },
    ]);
  }
});

test('progress without a terminal: a line every five seconds', () => {
  let now = 0;
  const lines: string[] = [];
  const at = progressLines('importing', (line) => lines.push(line), () => now); // prettier-ignore
  for (now = 0; now <= 11_000; now += 1000) at.to(now, 20_000, 'rows');
  expect(lines).toEqual(['importing: 5,000 / 20,000 (rows)', 'importing: 10,000 / 20,000 (rows)']);
});

test('doctor', () => {
  expect(checkNode('v20.19.0').status).toBe('ok');
  expect(checkNode('v20.18.3').status).toBe('fail');
  expect(checkNode('v18.20.0').status).toBe('fail');
  expect(checkNode('v24.1.0').status).toBe('ok');
  expect([1e8, 1e9, 1e11].map((bytes) => checkSpace(bytes).status)).toEqual(['fail', 'warn', 'ok']);
  expect(judgeClock(0, 1e12).status).toBe('fail');
  expect(judgeClock(1e12, 1e12 + 1000).status).toBe('ok');
  expect(judgeProjection({ name: 'p', state: 'halted' }).status).toBe('fail');
  expect(judgeProjection({ name: 'p', state: 'catching-up', lagSeconds: 90 }).status).toBe('warn');
  expect(judgeProjection({ name: 'p', state: 'live' }).status).toBe('ok');
  expect(judgeSeal({ name: 'log-seal', status: 'up' }).status).toBe('ok');
  expect(judgeSeal({ name: 'log-seal', status: 'degraded', detail: 'why' })).toMatchObject({ status: 'fail', found: 'why' });
  expect(doctorExit([{ check: 'a', status: 'warn', found: '' }])).toBe(0);
  expect(doctorExit([{ check: 'a', status: 'fail', found: '' }])).toBe(1);
});
