import { newEvent, request } from '../event-log.contract';
import { createChain } from '../chain/digest';
import { readPages } from '../chain/pages';
import { START, type EventLog, type RecordedEvent } from '../event-log';
import { createMemoryLog } from '../memory/memory-log';
import { ExportFault, MOST_LINE_BYTES, readExport, writeExport, type Resumable } from './export-file';
import { importLog } from './import-log';

jest.setTimeout(60_000);

const range = (n: number): number[] => Array.from({ length: n }, (_, i) => i);
const all = (log: EventLog): Promise<RecordedEvent[]> => log.readAll({ after: START, limit: 1_000_000 });
const bare = (events: readonly RecordedEvent[]): unknown[] => events.map(({ position: _, ...event }) => event);
const digestOf = async (log: EventLog): Promise<string> => {
  const chain = createChain();
  (await all(log)).forEach((event) => void chain.add(event));
  return chain.head.toString('hex');
};

const filled = async (events: number): Promise<EventLog> => {
  const log = createMemoryLog();
  const data = ['{"a":1,"a":2}', '{ "b" :\r\n\t1.0 }\n', '{"伤":"\\u0000 é e\u0301 🚑 \u2028"}', '"\\ud800"'];
  await log.appendMany(range(events).map((n) => request(`s${n % 7}`, 'any', [newEvent({ data: data[n % 4]!, type: '类型' })])));
  return log;
};
const exported = async (log: EventLog): Promise<string> => {
  let text = '';
  for await (const chunk of writeExport('memory', readPages(log))) text += chunk;
  return text;
};

/** Bytes in chunks that end anywhere. */
async function* inChunks(content: string | Buffer, size = 1000): AsyncGenerator<Buffer> {
  const bytes = Buffer.from(content as string);
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size);
}
const opened = (content: string | Buffer, size?: number) => () => inChunks(content, size);
const endOf = async (content: string | Buffer, partial = false): Promise<Resumable> => {
  const reading = readExport(inChunks(content), { partial });
  for (;;) {
    const { done, value } = await reading.next();
    if (done) return value;
  }
};

describe('an exported log', () => {
  it('has a header, a line for each event and a trailer, and comes back byte for byte', async () => {
    const log = await filled(2_500);
    const text = await exported(log);
    const lines = text.split('\n');
    expect(lines).toHaveLength(2_503);
    expect(JSON.parse(lines[0]!)).toEqual({ vigil: 'log-export', format: 1, store: 'memory', first: '1' });
    expect(JSON.parse(lines[1]!)).toEqual({ ...(await all(log))[0], position: '1' });
    expect(JSON.parse(lines[2_501]!)).toEqual({
      vigil: 'log-export-end',
      events: 2_500,
      last: '2500',
      digest: await digestOf(log),
    });
    for (const size of [7, 65_536]) {
      const copy = createMemoryLog();
      const done = await importLog({ log: copy, open: opened(text, size) });
      expect(done).toEqual({
        events: 2_500,
        written: 2_500,
        present: 0,
        beyond: 0,
        digest: await digestOf(log),
        last: 2500n,
        position: 2500n,
      });
      expect(bare(await all(copy))).toEqual(bare(await all(log)));
    }
  });

  it('of nothing is a file too', async () => {
    const text = await exported(createMemoryLog());
    expect(text.split('\n')).toHaveLength(3);
    expect(await importLog({ log: createMemoryLog(), open: opened(text) })).toMatchObject({
      events: 0,
      written: 0,
      digest: '0'.repeat(64),
    });
  });

  it('goes on where it broke off, wherever that was', async () => {
    const log = await filled(40);
    const text = await exported(log);
    const bytes = Buffer.from(text);
    const headerEnd = text.indexOf('\n') + 1;
    for (let cut = headerEnd; cut <= bytes.length; cut += 97) {
      const end = await endOf(bytes.subarray(0, cut), true);
      let rest = '';
      for await (const chunk of writeExport('memory', readPages(log, { after: end.before ?? START, pageSize: 7 }), end))
        rest += chunk;
      expect(bytes.subarray(0, end.bytes).toString() + rest).toBe(text);
    }
  });

  it('goes on too when the log has grown since its trailer', async () => {
    const log = await filled(10);
    const text = await exported(log);
    await log.append(request('later'));
    const end = await endOf(text, true);
    expect(end.complete).toBe(true);
    let rest = '';
    for await (const chunk of writeExport('memory', readPages(log, { after: end.before! }), end)) rest += chunk;
    expect(Buffer.from(text).subarray(0, end.bytes).toString() + rest).toBe(await exported(log));
  });

  it('does not go on with another log', async () => {
    const end = await endOf(await exported(await filled(10)), true);
    const rest = writeExport('memory', readPages(await filled(20), { after: end.before! }), end);
    await expect(rest.next()).rejects.toMatchObject({
      detail: { en: expect.stringContaining("another log's file"), zh: expect.stringContaining('另一个日志') },
    });
    const empty = writeExport('memory', readPages(createMemoryLog(), { after: end.before! }), end);
    await expect(empty.next()).rejects.toThrow(ExportFault);
  });
});

describe('importing', () => {
  let text: string;
  let lines: string[];
  let log: EventLog;
  beforeAll(async () => {
    log = await filled(12);
    text = await exported(log);
    lines = text.split('\n').slice(0, -1);
  });
  const joined = (all: readonly string[]): string => all.map((line) => `${line}\n`).join('');
  const event = (line: number, change: object): string => JSON.stringify({ ...(JSON.parse(lines[line]!) as object), ...change });

  it.each<[string, () => string | Buffer, number, RegExp, RegExp]>([
    ['nothing', () => '', 1, /empty/, /空/],
    ['another file', () => 'a,b,c\n1,2,3\n', 1, /not the first line of an exported log/, /首行/],
    ['JSON of another kind', () => joined(['{"vigil":"log-head"}', ...lines.slice(1)]), 1, /not the first line/, /首行/],
    ['events without a header', () => joined(lines.slice(1)), 1, /not the first line/, /首行/],
    [
      'a format of the future',
      () => joined(lines.with(0, lines[0]!.replace('"format":1', '"format":2'))),
      1,
      /format 2 is not known/,
      /格式版本 2/,
    ],
    [
      'a torn last line',
      () => text.slice(0, -200 - lines[13]!.length),
      13,
      /breaks off.*--resume.*--partial/,
      /断了.*--resume.*--partial/,
    ],
    ['no trailer', () => joined(lines.slice(0, 13)), 14, /trailer is missing.*--partial/, /没有结束行/],
    ['a line taken out', () => joined(lines.toSpliced(5, 1)), 13, /12 events, the file has 11/, /12 个事件.*11 个/],
    [
      'two lines swapped',
      () => joined(lines.with(5, lines[6]!).with(6, lines[5]!)),
      7,
      /position 5 does not come after 6/,
      /次序/,
    ],
    [
      'a byte changed',
      () => joined(lines.with(5, lines[5]!.replace('\\"a\\":1', '\\"a\\":7'))),
      14,
      /digest doesn't match/,
      /摘要不符/,
    ],
    [
      'another trailer',
      () => joined(lines.with(13, lines[13]!.replace(/"digest":"../, '"digest":"zz'))),
      14,
      /digest doesn't match/,
      /摘要不符/,
    ],
    ['more after the trailer', () => joined([...lines, lines[3]!]), 15, /after the trailer/, /结束行之后/],
    ['a blank line', () => joined(lines.toSpliced(4, 0, '')), 5, /no JSON object/, /不是 JSON/],
    ['a torn line inside', () => joined(lines.with(4, lines[4]!.slice(0, 50))), 5, /no JSON object/, /不是 JSON/],
    ['an array', () => joined(lines.with(4, '[]')), 5, /no JSON object/, /不是 JSON/],
    [
      'invalid UTF-8',
      () => Buffer.concat([Buffer.from(joined(lines.slice(0, 3))), Buffer.from([0x22, 0xc3, 0x28, 0x0a])]),
      4,
      /not valid UTF-8/,
      /UTF-8/,
    ],
    ['no data', () => joined(lines.with(2, event(2, { data: undefined }))), 3, /"data" is missing or wrong/, /“data”/],
    ['data that is no text', () => joined(lines.with(2, event(2, { data: {} }))), 3, /"data"/, /“data”/],
    ['a position that is a number', () => joined(lines.with(2, event(2, { position: 2 }))), 3, /"position"/, /“position”/],
    ['half a revision', () => joined(lines.with(2, event(2, { revision: 0.5 }))), 3, /"revision"/, /“revision”/],
    ['an id that is no UUID', () => joined(lines.with(2, event(2, { id: 'x' }))), 3, /no event that can be stored/, /可存储/],
    [
      'a local time',
      () => joined(lines.with(2, event(2, { recordedAt: '2026-03-01 10:00' }))),
      3,
      /no event that can be stored/,
      /可存储/,
    ],
    ['a huge line', () => joined([lines[0]!, `{"data":"${'x'.repeat(MOST_LINE_BYTES)}"}`]), 2, /more than 16 MB/, /16 MB/],
  ])('refuses %s, names the line and writes nothing', async (_, content, line, en, zh) => {
    const target = createMemoryLog();
    const failed = await importLog({ log: target, open: opened(content(), 65_536) }).then(
      () => undefined,
      (error: unknown) => error as ExportFault,
    );
    expect(failed).toMatchObject({
      name: 'ExportFault',
      line,
      detail: { en: expect.stringMatching(en), zh: expect.stringMatching(zh) },
    });
    expect(failed!.detail.en).toContain(`line ${line}: `);
    expect(failed!.detail.zh).toContain(`第 ${line} 行`);
    expect(await target.head()).toBe(START);
  });

  it('takes what is whole of a part, when told so', async () => {
    const target = createMemoryLog();
    const torn = text.slice(0, -200 - lines[13]!.length);
    expect(await importLog({ log: target, open: opened(torn), partial: true })).toMatchObject({ events: 11, written: 11 });
    expect(await importLog({ log: target, open: opened(text) })).toMatchObject({ events: 12, written: 1, present: 11 });
    expect(await digestOf(target)).toBe(await digestOf(log));
  });

  it('goes on when run again, and leaves alone a log that has gone further', async () => {
    const target = createMemoryLog();
    let calls = 0;
    const failing: EventLog = {
      ...target,
      restore: (events) => (calls++ === 1 ? Promise.reject(new Error('power cut')) : target.restore(events)),
    };
    const large = await exported(await filled(8_000));
    await expect(importLog({ log: failing, open: opened(large, 65_536) })).rejects.toThrow('power cut');
    expect(await target.head()).toBe(5_000n);
    expect(await importLog({ log: failing, open: opened(large, 65_536) })).toMatchObject({
      written: 3_000,
      present: 5_000,
      beyond: 0,
    });
    await target.append(request('later'));
    expect(await importLog({ log: failing, open: opened(large, 65_536) })).toMatchObject({
      written: 0,
      present: 8_000,
      beyond: 1,
    });
  });

  it('refuses a log that holds something else, and names both', async () => {
    const target = createMemoryLog();
    const events = await all(log);
    await target.restore(events.slice(0, 4));
    await target.append(request('else'));
    const [own] = (await all(target)).slice(4);
    await expect(importLog({ log: target, open: opened(text) })).rejects.toMatchObject({
      line: 6,
      detail: { en: expect.stringMatching(new RegExp(`line 6: event ${events[4]!.id} .* position 5 here \\(${own!.id}\\)`)) },
    });
    expect(await target.head()).toBe(5n);
  });
});
