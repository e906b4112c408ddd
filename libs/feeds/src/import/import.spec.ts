import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { gzipSync } from 'node:zlib';
import { aggregates, community, injuryId, injuryRecord, injuryStream } from '@vigil/domain';
import { createMemoryLog, handleCommand, LogUnavailable, START, type AppendRequest, type EventLog } from '@vigil/event-log';
import { canonical, deterministicId, fingerprint } from '@vigil/vocabulary';
import { compileMapping, mappingNamed, mappings } from '../mapping';
import { FileFault, openTable } from '../table';
import { importFile, InterruptedImport, type ImportAnswer, type ImportOptions } from './import';

let folder: string;
beforeAll(() => (folder = mkdtempSync(join(tmpdir(), 'vigil-import-'))));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

let made = 0;
const file = (content: string | Buffer, suffix = '.csv'): string => {
  const path = join(folder, `${++made}${suffix}`);
  writeFileSync(path, content);
  return path;
};

const UNDER2 = 'case_id,weight,date,age_months,sex,race,disposition,location,fire,alcohol,drugs,stratum,psu\n';
const good = (id: number | string) => `${id},15.0084,2017-01-31,8,M,,1,1,,,,V,41\n`;
const run = (log: EventLog, path: string, mapping = 'neiss-under2', more: Partial<ImportOptions> = {}) =>
  importFile({ log }, { path, mapping, ...more });
const fault = async (answer: Promise<unknown>): Promise<FileFault> => {
  const error = await answer.catch((reason: unknown) => reason);
  if (!(error instanceof FileFault)) throw new Error(`expected a fault, got ${JSON.stringify(error)}`);
  expect(error.detail.zh).toMatch(/\p{Script=Han}/u);
  return error;
};
const everything = async (log: EventLog) => log.readAll({ after: START, limit: 1e6 });
const content = async (log: EventLog) =>
  (await everything(log))
    .map(({ id, stream, type, data, metadata, fingerprint }) => ({ id, stream, type, data, metadata, fingerprint }))
    .sort((a, b) => (a.id < b.id ? -1 : 1));
const counts = ({ accepted, duplicates, rejected, rows }: ImportAnswer) => ({ accepted, duplicates, rejected, rows });
const registered = async (code = 'C-001') => {
  const log = createMemoryLog();
  const data = { code, name: { zh: '甲', en: 'A' }, type: 'street' };
  await handleCommand(
    log,
    {
      decider: community,
      streamOf: aggregates.community.streamOf,
      versions: aggregates.community.versions,
      read: aggregates.community.read,
    },
    code,
    { type: 'RegisterCommunity', data },
    { commandId: '1', metadata: {} },
  );
  return log;
};

describe('a NEISS file', () => {
  it('becomes reports with ids of feed and number, after the default community', async () => {
    const log = createMemoryLog();
    const answer = await run(log, file(UNDER2 + good('A1') + good('A2')));
    expect(counts(answer)).toEqual({ accepted: 2, duplicates: 0, rejected: 0, rows: 2 });
    expect(answer.ignoredColumns).toEqual(['race', 'fire', 'alcohol', 'drugs']);
    const events = await everything(log);
    expect(events.map(({ type }) => type)).toEqual(['CommunityRegistered', 'InjuryReported', 'InjuryReported']);
    expect(answer.position).toBe(events[2]!.position);
    const { id, stream, data, metadata, version } = events[1]!;
    expect({ id, stream, version }).toEqual({
      id: deterministicId('event', '/feeds/neiss-under2', 'A1'),
      stream: injuryStream(injuryId('neiss-under2', 'A1')),
      version: 1,
    });
    expect(JSON.parse(metadata)).toEqual({ source: '/feeds/neiss-under2', id: 'A1', feed: 'neiss-under2' });
    expect(events[1]!.fingerprint).toBe(fingerprint(data));
    expect(JSON.parse(data)).toEqual({
      recordId: 'A1',
      feed: 'neiss-under2',
      occurredAt: '2017-01-31',
      knownAt: '2017-01-31',
      visit: 'first',
      community: 'US',
      residence: 'US',
      age: { value: 8, unit: 'month' },
      sex: { system: 'neiss', version: '2002', code: 'M' },
      place: { system: 'neiss', version: '2002', code: '1' },
      disposition: { system: 'neiss', version: '2002', code: '1' },
      sampling: { frame: 'NEISS', weight: 15.0084, stratum: 'V', unit: '41' },
    });
    // Put together from pieces, yet the very text that zod's own answer is written as.
    expect(data).toBe(JSON.stringify(injuryRecord.parse(JSON.parse(data))));
  });

  it('imported again adds nothing; a second file of the same sampling frame is another feed', async () => {
    const log = createMemoryLog();
    const path = file(UNDER2 + good(1) + good(2) + good(1));
    expect(counts(await run(log, path))).toEqual({ accepted: 2, duplicates: 1, rejected: 0, rows: 3 });
    const before = await content(log);
    const again = await run(log, path);
    expect(counts(again)).toEqual({ accepted: 0, duplicates: 3, rejected: 0, rows: 3 });
    expect(again.position).toBe(await log.head());
    expect(await content(log)).toEqual(before);
    expect(counts(await run(log, path, 'neiss-under2', { feed: 'other' }))).toMatchObject({ accepted: 2 });
  });

  it('another content under the same number is refused, as is a record that came another way', async () => {
    const log = createMemoryLog();
    await run(log, file(UNDER2 + good(1)));
    const answer = await run(log, file(UNDER2 + good(1).replace(',8,', ',9,')));
    expect(answer.firstErrors).toMatchObject([{ row: 1, line: 2, code: 'event-id-conflict', column: 'case_id', value: '1' }]);
    const stream = injuryStream(injuryId('neiss-under2', '2'));
    const pushed = {
      id: deterministicId('event', 'x', 'y'),
      type: 'InjuryReported',
      version: 1,
      data: '{}',
      metadata: '{}',
      fingerprint: fingerprint(''),
    };
    await log.append({ stream, expected: 'none', events: [pushed] });
    expect((await run(log, file(UNDER2 + good(2)))).firstErrors).toMatchObject([{ code: 'injury-exists' }]);
  });

  it('leaves blank codes out and keeps unknown ones', async () => {
    const log = createMemoryLog();
    const answer = await run(log, file(`${UNDER2}1,1.5,2017-01-31,,,,77,,,,,V,41\n`));
    expect(answer.rejected).toBe(0);
    const record = JSON.parse((await everything(log))[1]!.data) as Record<string, never>;
    expect(record).not.toHaveProperty('age');
    expect(record).not.toHaveProperty('sex');
    expect(record).not.toHaveProperty('place');
    expect(record['disposition']).toEqual({ system: 'neiss', version: '2002', code: '77' });
    expect(canonical('disposition', record['disposition'])).toBe('unmapped');
  });

  it.each([
    ['date', '2017-02-30', 'invalid-date'],
    ['date', '2017-01-31T24:00', 'invalid-date'],
    ['date', '17-01-31', 'invalid-date'],
    ['date', '01/31/17', 'invalid-date'],
    ['date', '', 'missing-field'],
    ['age_months', '999', 'invalid-age'],
    ['age_months', '-1', 'invalid-age'],
    ['age_months', 'eight', 'invalid-number'],
    ['age_months', '1600', 'invalid-age'],
    ['weight', 'NaN', 'invalid-number'],
    ['weight', '0', 'too-small'],
    ['weight', '1e400', 'not-representable'],
    ['weight', '9007199254740993', 'not-representable'],
    ['weight', '', 'missing-field'],
    ['weight', '1,5', 'wrong-column-count'],
    ['stratum', '', 'missing-field'],
    ['case_id', '', 'missing-field'],
    ['case_id', 'x'.repeat(129), 'too-large'],
    ['case_id', 'a\u0000b', 'nul-character'],
    ['case_id', 'a\u0001b', 'invalid-text'],
  ])('refuses a row with %s %j (%s), and only that row', async (column, value, code) => {
    const header = UNDER2.trim().split(',');
    const cells = good(2).trim().split(',');
    cells[header.indexOf(column)] = value;
    const answer = await run(createMemoryLog(), file(`${UNDER2}${good(1)}${cells.join(',')}\n${good(3)}`));
    expect(counts(answer)).toEqual({ accepted: 2, duplicates: 0, rejected: 1, rows: 3 });
    expect(answer.firstErrors[0]).toMatchObject({ row: 2, line: 3, code });
    if (code !== 'wrong-column-count') expect(answer.firstErrors.map((problem) => problem.column)).toContain(column);
    if (value && !/column-count/.test(code) && value.length < 100) expect(answer.firstErrors[0]!.value).toBe(value);
    expect(answer.firstErrors[0]!.detail.zh).toMatch(/\p{Script=Han}/u);
  });

  it('takes cells of half a megabyte for what they are, one by one', async () => {
    const hostile = `1${' '.repeat(500_000)}1`;
    const rows = [
      good(1).replace(',8,', `,${hostile},`),
      good(2).replace('2017-01-31', hostile),
      good(3).replace(',M,', `,${hostile},`),
      good(4).replace(',41', `,${hostile}`),
    ];
    const answer = await run(createMemoryLog(), file(UNDER2 + rows.join('') + good(5)));
    expect(counts(answer)).toEqual({ accepted: 1, duplicates: 0, rejected: 4, rows: 5 });
    expect(answer.firstErrors.map(({ code, column }) => [code, column])).toEqual([
      ['too-large', 'age_months'],
      ['too-large', 'date'],
      ['too-large', 'sex'],
      ['too-large', 'psu'],
    ]);
    expect(answer.firstErrors.every(({ value }) => String(value).length <= 201)).toBe(true);
  });

  it('refuses half a character', async () => {
    const bytes = Buffer.from(`\ufeff${UNDER2}${good('a\ud800b')}${good(2)}`, 'utf16le');
    expect(await run(createMemoryLog(), file(bytes))).toMatchObject({
      accepted: 1,
      rejected: 1,
      firstErrors: [{ code: 'lone-surrogate', column: 'case_id' }],
    });
  });

  it('keeps memoised fields apart from one another', async () => {
    const log = createMemoryLog();
    // Weight, stratum and unit are remembered together: the same pieces in other places are other contents.
    await run(log, file(`${UNDER2}1,1,2017-01-31,8,M,,1,1,,,,1,2\n2,1,2017-01-31,8,M,,1,1,,,,2,1\n`));
    const records = (await everything(log)).slice(1).map(({ data }) => (JSON.parse(data) as { sampling: unknown }).sampling);
    expect(records).toEqual([
      { frame: 'NEISS', weight: 1, stratum: '1', unit: '2' },
      { frame: 'NEISS', weight: 1, stratum: '2', unit: '1' },
    ]);
  });
});

describe('the refused rows', () => {
  it('mended in their file, import again', async () => {
    const log = createMemoryLog();
    const errorsTo = join(folder, 'errors.csv');
    const rows = Array.from({ length: 50 }, (_, i) => (i % 5 === 0 ? good(i).replace('2017-01-31', '2017-02-30') : good(i))).join(
      '',
    );
    const answer = await run(log, file(UNDER2 + rows), 'neiss-under2', { errorsTo });
    expect(counts(answer)).toEqual({ accepted: 40, duplicates: 0, rejected: 10, rows: 50 });
    expect(answer.errorsFile).toBe(errorsTo);
    expect(readFileSync(errorsTo, 'utf8').split('\r\n')[0]).toBe(`\ufeff${UNDER2.trim()},_row,_code,_error`);
    writeFileSync(errorsTo, readFileSync(errorsTo, 'utf8').replaceAll('2017-02-30', '2017-01-31'));
    // Its own errors may go to the very same file.
    expect(counts(await run(log, errorsTo, 'neiss-under2', { errorsTo }))).toEqual({
      accepted: 10,
      duplicates: 0,
      rejected: 0,
      rows: 10,
    });
    const whole = createMemoryLog();
    await run(whole, file(UNDER2 + rows.replaceAll('2017-02-30', '2017-01-31')));
    expect(await content(log)).toEqual(await content(whole));
  });

  it('have no file when there are none, and no more than twenty in the answer', async () => {
    const errorsTo = join(folder, 'none.csv');
    await run(createMemoryLog(), file(UNDER2 + good(1)), 'neiss-under2', { errorsTo });
    expect(existsSync(errorsTo)).toBe(false);
    const bad = Array.from({ length: 30 }, (_, i) => good(i).replace(',8,', ',-8,')).join('');
    expect((await run(createMemoryLog(), file(UNDER2 + bad))).firstErrors).toHaveLength(20);
  });
});

describe('another template', () => {
  it.each([
    [
      'neiss-under2',
      'case_id,year,treatment_date,age_years,sex,race,disposition,location,fall,stratum,psu,weight',
      'wrong-template',
      'neiss-cervical',
      'date',
    ],
    ['neiss-cervical', UNDER2.trim(), 'wrong-template', 'neiss-under2', 'treatment_date'],
    ['neiss-under2', 'case_id,date,age_months,sex,disposition,location,stratum,psu', 'missing-column', 'neiss-under2', 'weight'],
    ['population', UNDER2.trim(), 'wrong-template', 'neiss-under2', 'year'],
    ['neiss-under2', '卡片编号,患者就诊时间,性别,年龄,伤害发生原因', 'wrong-template', 'niss-card', 'case_id'],
    ['niss-card', 'a,b,c', 'wrong-template', undefined, '卡片编号'],
  ])('%s given %s: %s', async (mapping, header, code, suggestion, column) => {
    const log = createMemoryLog();
    const found = await fault(run(log, file(`${header}\n${header.replace(/[^,]+/g, '1')}\n`), mapping, { community: 'C-1' }));
    expect(found.code).toBe(code);
    expect(found.place.suggestion).toBe(suggestion);
    expect(found.place.columns).toContain(column);
    expect(await log.head()).toBe(START);
  });

  it.each([
    'name',
    'Patient Name',
    '姓名',
    '患者姓名',
    'id_number',
    'ID Card No',
    '身份证号码',
    'Phone',
    '联系电话',
    'home address',
    '现住址',
    '伤害发生地址',
    'e-mail',
  ])('with the column %s is refused whole, in any mapping', async (column) => {
    for (const [mapping, header] of [
      ['neiss-under2', UNDER2.trim()],
      ['vigil', 'recordId,knownAt'],
      ['population', 'year,sex,age,population'],
    ] as const) {
      const log = createMemoryLog();
      const found = await fault(run(log, file(`${header},${column}\n`), mapping, { community: 'C-1' }));
      expect([found.code, found.place.columns]).toEqual(['identity-not-accepted', [column]]);
      expect(await log.head()).toBe(START);
    }
  });

  it('no column of a shipped mapping, or of the real files, passes for an identity', async () => {
    for (const mapping of mappings()) {
      const header = [...new Set(Object.values(mapping.fields).flatMap(({ column = [] }) => column.slice(0, 1)))];
      expect(() => compileMapping(mapping as never, header, { community: 'C-1' })).not.toThrow();
    }
  });

  it('an unknown mapping is answered with the nearest', async () => {
    expect(await fault(run(createMemoryLog(), file('a\n'), 'neiss-under'))).toMatchObject({
      code: 'unknown-mapping',
      place: { suggestion: 'neiss-under2' },
    });
    expect(await fault(run(createMemoryLog(), file('recordId,knownAt\n'), 'vigil'))).toMatchObject({ code: 'missing-community' });
    expect(await fault(run(createMemoryLog(), file(UNDER2), 'neiss-under2', { feed: 'a b' }))).toMatchObject({
      code: 'invalid-code',
    });
  });
});

describe('the national card', () => {
  const header =
    '卡片编号,患者就诊时间,伤害发生时间,性别,年龄,年龄单位,伤害发生原因,是否故意,伤害发生地点,伤害严重程度,伤害结局,社区,职业\n';
  const record = async (row: string, mapping = 'niss-card') => {
    const log = createMemoryLog();
    const answer = await run(log, file(header + row), mapping);
    expect(answer.firstErrors).toEqual([]);
    expect(answer.ignoredColumns).toEqual(['职业']);
    return JSON.parse((await everything(log))[0]!.data) as Record<string, unknown>;
  };
  const code = (value: string, version = '14') => ({ system: 'niss-card', version, code: value });

  it('in Chinese, with codes or labels', async () => {
    expect(await record('K1,2026/3/2 9:10,2026年3月1日,女,71,岁,3,非故意,家中,2,4,C-001,退休\n')).toEqual({
      recordId: 'K1',
      feed: 'niss-card',
      occurredAt: '2026-03-01',
      knownAt: '2026-03-02T09:10:00+08:00',
      visit: 'first',
      community: 'C-001',
      age: { value: 71, unit: 'year' },
      sex: code('2'),
      mechanism: code('3'),
      intent: code('1'),
      place: code('1'),
      disposition: code('4'),
      severity: { scale: 'NISS3', value: '2' },
    });
  });

  it('of thirteen causes by its own mapping', async () => {
    const { mechanism, age } = await record('K1,2026-03-02,,1,8,月,2,1,1,,1,C-001,\n', 'niss-card-13');
    expect([mechanism, canonical('mechanism', mechanism as never), age]).toEqual([
      code('2', '13'),
      'fall',
      { value: 8, unit: 'month' },
    ]);
  });

  it.each([
    ['1988-07-01 12:00', '1988-07-01T12:00:00+09:00'],
    ['1988-12-01 12:00', '1988-12-01T12:00:00+08:00'],
    ['2026-03-02T01:10:00Z', '2026-03-02T01:10:00Z'],
    ['2026年3月2日9时5分', '2026-03-02T09:05:00+08:00'],
    ['20260302', '2026-03-02'],
  ])('reads the time %s as %s', async (written, knownAt) =>
    expect(await record(`K1,${written},,1,8,,2,1,1,,1,C-001,\n`)).toMatchObject({ knownAt }),
  );

  it.each(['1988-04-17 02:30', '2026-03-02 24:00', '2026-03-02 9:60', '26-3-2', '2026-02-30 08:00', '3/2/2026'])(
    'refuses the time %s',
    async (written) => {
      const answer = await run(createMemoryLog(), file(`${header}K1,${written},,1,8,,2,1,1,,1,C-001,\n`), 'niss-card');
      expect(answer.firstErrors).toMatchObject([{ code: 'invalid-date', column: '患者就诊时间', value: written }]);
    },
  );

  it('refuses an impossible grade by name', async () => {
    const answer = await run(createMemoryLog(), file(`${header}K1,2026-03-02,,1,8,,2,1,1,9,1,C-001,\n`), 'niss-card');
    expect(answer.firstErrors).toMatchObject([{ code: 'invalid-severity', column: '伤害严重程度', value: '9' }]);
  });

  it('in GB18030', async () => {
    // 卡片编号,就诊时间,伤害发生原因
    const bytes = Buffer.concat([
      Buffer.from('bfa8c6acb1e0bac52cbecdd5efcab1bce42cc9cbbaa6b7a2c9fad4add2f2', 'hex'),
      Buffer.from('\n1,2026-03-02,3\n'),
    ]);
    expect(await run(createMemoryLog(), file(bytes), 'niss-card', { community: 'C-001' })).toMatchObject({
      accepted: 1,
      format: { encoding: 'gb18030' },
    });
  });
});

it("our own template takes canonical codes and others' codes", async () => {
  const log = createMemoryLog();
  const path = file(
    'recordId,knownAt,community,age,sex,mechanism,place,disposition,externalCause,products,daysToDeath,transport.mode\n' +
      '1,2026-03-02,C-001,71,F,fall,niss-card|14|1,fell asleep,icd-10|10|W19.0,neiss|2002|1842;,0,bicycle\n2,2026-03-02,C-001,,,,,,W19,,,\n',
  );
  const answer = await run(log, path, 'vigil');
  expect(answer.firstErrors).toMatchObject([{ row: 2, column: 'externalCause', code: 'invalid-code' }]);
  expect(JSON.parse((await everything(log))[0]!.data)).toMatchObject({
    sex: 'F',
    mechanism: 'fall',
    place: { system: 'niss-card', version: '14', code: '1' },
    disposition: { system: 'vigil', version: '1', code: 'fell asleep' },
    externalCause: { system: 'icd-10', version: '10', code: 'W19.0' },
    daysToDeath: 0,
    transport: { mode: 'bicycle' },
  });
});

describe('a population table', () => {
  const header = 'year,sex,age,population\n';
  it('is one event a year, and the same again is duplicates', async () => {
    const log = await registered();
    const path = file(`${header}2002,female,0,100\n2002,男,0-4,200\n2003,total,85+,1.5\n`);
    const answer = await run(log, path, 'population', { community: 'C-001' });
    expect(counts(answer)).toEqual({ accepted: 3, duplicates: 0, rejected: 0, rows: 3 });
    const events = (await everything(log)).slice(1);
    expect(events.map(({ type, stream, data }) => [type, stream, JSON.parse(data) as unknown])).toEqual([
      [
        'PopulationRecorded',
        'community-C-001',
        {
          year: 2002,
          cells: [
            { sex: 'F', ageFrom: 0, ageTo: 0, persons: 100 },
            { sex: 'M', ageFrom: 0, ageTo: 4, persons: 200 },
          ],
        },
      ],
      [
        'PopulationRecorded',
        'community-C-001',
        { year: 2003, cells: [{ sex: 'total', ageFrom: 85, ageTo: null, persons: 1.5 }] },
      ],
    ]);
    expect(answer.position).toBe(events[1]!.position);
    expect(counts(await run(log, path, 'population', { community: 'C-001' }))).toEqual({
      accepted: 0,
      duplicates: 3,
      rejected: 0,
      rows: 3,
    });
  });

  it('refuses rows without their neighbours', async () => {
    const log = await registered();
    const rows =
      '2002,F,0-4,1\n2002,F,3,2\n2002,Q,5,3\n2002,F,5,9007199254740993\n2002,F,6,\n2002,F,200,1\n2002,F,9-7,1\n20o2,F,9,1\n2002,F,10,4\n';
    const answer = await run(log, file(header + rows), 'population', { community: 'C-001' });
    expect(counts(answer)).toEqual({ accepted: 2, duplicates: 0, rejected: 7, rows: 9 });
    expect(answer.firstErrors.map(({ row, code, column }) => [row, code, column])).toEqual([
      [2, 'overlapping-cells', undefined],
      [3, 'unknown-code', 'sex'],
      [4, 'not-representable', 'population'],
      [5, 'missing-field', 'population'],
      [6, 'too-large', 'age'],
      [7, 'invalid-age-range', undefined],
      [8, 'invalid-number', 'year'],
    ]);
    expect(JSON.parse((await everything(log)).at(-1)!.data)).toMatchObject({ cells: [{ ageFrom: 0 }, { ageFrom: 10 }] });
  });

  it('takes a range of ages from two columns, and wants a registered community', async () => {
    const log = await registered();
    const path = file('Year,Sex,ageFrom,ageTo,population\n2002,F,0,4,1\n2002,F,5,,2\n');
    expect(counts(await run(log, path, 'population', { community: 'C-001' }))).toMatchObject({ accepted: 2 });
    expect(JSON.parse((await everything(log)).at(-1)!.data)).toMatchObject({
      cells: [
        { ageFrom: 0, ageTo: 4 },
        { ageFrom: 5, ageTo: null },
      ],
    });
    expect((await fault(run(log, path, 'population', { community: 'C-002' }))).code).toBe('community-not-found');
    expect((await fault(run(log, path, 'population'))).code).toBe('missing-community');
  });
});

describe('a run', () => {
  const many = (count: number) => UNDER2 + Array.from({ length: count }, (_, i) => good(i)).join('');

  it('that is dry writes nothing and says what would be', async () => {
    const log = createMemoryLog();
    await run(log, file(UNDER2 + good(1) + good(2)));
    const head = await log.head();
    const answer = await run(
      log,
      file(UNDER2 + good(1) + good(2).replace(',8,', ',9,') + good(3) + good(3) + good('')),
      'neiss-under2',
      { dryRun: true },
    );
    expect(counts(answer)).toEqual({ accepted: 1, duplicates: 2, rejected: 2, rows: 5 });
    expect(await log.head()).toBe(head);
    const fresh = createMemoryLog();
    expect(await run(fresh, file(many(3)), 'neiss-under2', { dryRun: true })).toMatchObject({ accepted: 3, position: null });
    expect(await fresh.head()).toBe(START);
  });

  it('that dies after its first batch ends with the same log when started again', async () => {
    const path = file(many(4500));
    const log = createMemoryLog();
    const died = importFile({ log, crashPoint: (name) => Promise.reject(new Error(name)) }, { path, mapping: 'neiss-under2' });
    await expect(died).rejects.toThrow('import.mid-append');
    const halfway = (await everything(log)).length;
    expect(halfway).toBeGreaterThan(1000);
    const answer = await run(log, path);
    expect(answer).toMatchObject({ rows: 4500, duplicates: halfway - 1, accepted: 4500 - halfway + 1 });
    const whole = createMemoryLog();
    await run(whole, path);
    expect(await content(log)).toEqual(await content(whole));
  });

  it('keeps three batches in flight at most, in order, and never one record in two', async () => {
    let [flying, most] = [0, 0];
    const memory = createMemoryLog();
    const log: EventLog = {
      ...memory,
      appendMany: async (requests) => {
        most = Math.max(most, ++flying);
        // The first of several takes longest: what comes back first isn't what went first.
        await new Promise((resolve) => setTimeout(resolve, flying === 1 ? 30 : 1));
        flying--;
        return memory.appendMany(requests);
      },
    };
    const progress: number[] = [];
    const rows = Array.from({ length: 6000 }, (_, i) =>
      i === 1500 ? good(7).replace(',8,', ',9,') : i % 1000 === 3 ? good(i).replace('2017-01-31', 'x') : good(i),
    );
    const answer = await run(log, file(UNDER2 + rows.join('')), 'neiss-under2', {
      onProgress: ({ done }) => progress.push(done),
    });
    expect(counts(answer)).toEqual({ accepted: 5993, duplicates: 0, rejected: 7, rows: 6000 });
    expect(answer.firstErrors.map(({ row }) => row)).toEqual([4, 1004, 1501, 2004, 3004, 4004, 5004]);
    expect(answer.firstErrors[2]).toMatchObject({ code: 'event-id-conflict', value: '7' });
    expect(most).toBeGreaterThan(1);
    expect(most).toBeLessThanOrEqual(3);
    expect(progress.at(-1)).toBe(6000);
    expect([...progress].sort((a, b) => a - b)).toEqual(progress);
  });

  it('asks again, with the same ids, when the log is away for a moment', async () => {
    const memory = createMemoryLog();
    let calls = 0;
    const log: EventLog = {
      ...memory,
      appendMany: async (requests: readonly AppendRequest[]) => {
        // The second call is written, but its answer is lost.
        if (++calls === 1) throw new LogUnavailable('away');
        const outcomes = await memory.appendMany(requests);
        if (calls === 2) throw new LogUnavailable('answer lost');
        return outcomes;
      },
    };
    expect(await run(log, file(UNDER2 + good(1) + good(2)))).toMatchObject({ accepted: 2 });
    expect(await everything(memory)).toHaveLength(3);
  });

  it('over a file that ends early tells how far it came', async () => {
    const log = createMemoryLog();
    const whole = gzipSync(UNDER2 + Array.from({ length: 20_000 }, (_, i) => good(`${(i * 7919) % 1_000_003}`)).join(''));
    const error = await fault(run(log, file(whole.subarray(0, whole.length >> 1), '.gz')));
    if (!(error instanceof InterruptedImport)) throw error;
    expect(error.code).toBe('cut-file');
    expect(error.answer.accepted).toBe(error.place.afterRow);
    expect(await everything(log)).toHaveLength(error.answer.accepted + 1);
  });

  it('ends when it is told to, with nothing in flight', async () => {
    const controller = new AbortController();
    const log = createMemoryLog();
    const path = file(many(50_000));
    await expect(
      run(log, path, 'neiss-under2', { signal: controller.signal, onProgress: () => controller.abort(new Error('enough')) }),
    ).rejects.toThrow('enough');
    const head = await log.head();
    await new Promise((resolve) => setTimeout(resolve, 20));
    expect(await log.head()).toBe(head);
  });
});

const shared = resolve(process.env['VIGIL_SHARED'] ?? resolve(__dirname, '../../../../../shared'), 'data/neiss');
const present = existsSync(shared);
if (!present) process.stderr.write(`SKIPPED imports of the real NEISS files: no ${shared} (set VIGIL_SHARED)\n`);
(present ? describe : describe.skip)('the real files', () => {
  it('neiss-cervical: all 7,464 rows', async () => {
    const log = createMemoryLog();
    const answer = await run(log, join(shared, 'neiss_cervical_2003_2017.csv.gz'), 'neiss-cervical');
    expect(counts(answer)).toEqual({ accepted: 7464, duplicates: 0, rejected: 0, rows: 7464 });
    const records = (await everything(log)).slice(1).map(({ data }) => JSON.parse(data) as never);
    for (const record of records) expect(JSON.stringify(injuryRecord.parse(record))).toBe(JSON.stringify(record));
    const axes = ['sex', 'mechanism', 'place', 'nature', 'bodyPart', 'disposition'] as const;
    const unmapped = records.flatMap((record) => axes.filter((axis) => canonical(axis, record[axis]) === 'unmapped'));
    expect(unmapped).toEqual([]);
    expect(records.filter((record: { mechanism?: never }) => canonical('mechanism', record.mechanism) === 'fall')).toHaveLength(
      5038,
    );
  });

  it('the population of the United States: 4,040 rows, 20 events', async () => {
    const log = await registered('US');
    expect(
      counts(await run(log, join(shared, 'us_population_2002_2021_single_year.csv'), 'population', { community: 'US' })),
    ).toMatchObject({ accepted: 4040, rejected: 0 });
    expect(await everything(log)).toHaveLength(21);
  });

  it('a mapping compiled to fields gives what zod gives of whole records', async () => {
    const table = await openTable(join(shared, 'neiss_under2_2017.csv.gz'));
    const { map } = compileMapping(mappingNamed('neiss-under2') as never, table.header);
    for await (const rows of table.batches()) {
      for (const row of rows) {
        const mapped = map(row.values);
        if (mapped.problems) throw new Error(JSON.stringify(mapped.problems));
        expect(mapped.json).toBe(JSON.stringify(injuryRecord.parse(mapped.value)));
      }
      if (rows[0]!.row > 5000) break;
    }
  });
});
