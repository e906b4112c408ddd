import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { appendFileSync, chmodSync, existsSync, mkdirSync, mkdtempSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { PassThrough, Writable } from 'node:stream';
import { gzipSync } from 'node:zlib';
import { errorsCsv } from './errors-csv';
import { FileFault, type Row } from './fault';
import { openTable, type Table, type TableOptions } from './table';

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'vigil-table-'));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

let made = 0;
const file = (content: string | Buffer, suffix = '.csv'): string => {
  const path = join(folder, `${++made}${suffix}`);
  writeFileSync(path, content);
  return path;
};
const hex = (text: string): Buffer => Buffer.from(text.replaceAll(' ', ''), 'hex');
const lines = (count: number): string => Array.from({ length: count }, (_, at) => `${at + 1},x${at}\n`).join('');

/** Everything a table gives, and the fault that ended it. */
const drain = async (path: string, options?: TableOptions): Promise<{ table: Table; rows: Row[]; fault?: FileFault }> => {
  const table = await openTable(path, options);
  const rows: Row[] = [];
  try {
    for await (const batch of table.batches()) rows.push(...batch);
  } catch (error) {
    if (!(error instanceof FileFault)) throw error;
    return { table, rows, fault: error };
  }
  return { table, rows };
};
const refusal = async (path: string, options?: TableOptions): Promise<FileFault> => {
  const table = await openTable(path, options).catch((error: unknown) => error);
  if (!(table instanceof FileFault)) throw new Error(`expected a fault, got ${String(table)}`);
  expect(table.detail.zh).toMatch(/\p{Script=Han}/u);
  expect(table.detail.en).not.toBe('');
  return table;
};

describe('what is read', () => {
  it.each<[string, string | Buffer, Partial<Table['format']>]>([
    ['CSV', 'id,name\n1,a\n2,b\n', { compression: 'none', encoding: 'utf-8', bom: false, delimiter: ',', lineEnds: 'lf' }],
    ['TSV', 'id\tname\r\n1\ta\r\n2\tb\r\n', { delimiter: '\t', lineEnds: 'crlf' }],
    ['semicolons, with a comma in a name', 'id;name\r1;a\r2;b\r', { delimiter: ';', lineEnds: 'cr' }],
    ['mixed line ends and blank lines', 'id,name\r\n1,a\n\n2,b\r', { lineEnds: 'mixed' }],
    ['a mark and quoted, padded names', '\ufeff" id ", name \n1,a\n2,b\n', { bom: true }],
    ['gzip', gzipSync('id,name\n1,a\n2,b\n'), { compression: 'gzip' }],
    [
      'UTF-16LE with a mark',
      Buffer.from('\ufeffid\tname\n1\ta\n2\tb\n', 'utf16le'),
      { encoding: 'utf-16le', bom: true, delimiter: '\t' },
    ],
    ['UTF-16BE with a mark', Buffer.from('\ufeffid,name\n1,a\n2,b\n', 'utf16le').swap16(), { encoding: 'utf-16be', bom: true }],
    ['Excel’s sep line', 'sep=;\r\nid;name\r\n1;a\r\n2;b\r\n', { delimiter: ';' }],
    ['its own error columns', 'id,_row,name,_code,_error\n1,9,a,x,y\n2,,b,,\n', { delimiter: ',' }],
  ])('%s', async (_name, content, format) => {
    const { table, rows, fault } = await drain(file(content));
    expect(fault).toBeUndefined();
    expect(table.format).toMatchObject(format);
    expect(table.header).toEqual(['id', 'name']);
    expect(rows.map((row) => [row.row, ...row.values])).toEqual([
      [1, '1', 'a'],
      [2, '2', 'b'],
    ]);
    expect(table.bytesRead()).toBe(table.bytesTotal);
  });

  it('gzip whatever the name, in several members', async () => {
    const { rows } = await drain(file(Buffer.concat([gzipSync('id,name\n1,a\n'), gzipSync('2,b\n')]), '.dat'));
    expect(rows).toHaveLength(2);
  });

  it.each([
    ['plain', (b: Buffer) => b],
    ['gzip', (b: Buffer) => gzipSync(b)],
  ])('GB18030 that shows only after 200 KB of ASCII (%s)', async (_name, pack) => {
    const { table, rows } = await drain(
      file(pack(Buffer.concat([Buffer.from(`id,name\n${lines(20_000)}`), hex('31 2c d5c5c8fd 0a')]))),
    );
    expect(table.format.encoding).toBe('gb18030');
    expect(rows.at(-1)).toEqual({ row: 20_001, line: 20_002, values: ['1', '张三'] });
    expect(rows.some((row) => row.fault)).toBe(false);
  });

  it('UTF-8 whose first character beyond ASCII lies across a block', async () => {
    for (const at of [65_533, 65_534, 65_535, 65_536]) {
      const start = 'id,name\n1,';
      const { rows } = await drain(file(`${start}${'x'.repeat(at - start.length)}守\n2,安\n`));
      expect(rows.map((row) => row.values[1]?.at(-1))).toEqual(['守', '安']);
    }
  });

  it('batches of the size asked for', async () => {
    const table = await openTable(file(`id,name\n${lines(2500)}`));
    const sizes: number[] = [];
    for await (const batch of table.batches()) sizes.push(batch.length);
    expect(sizes).toEqual([1000, 1000, 500]);
  });

  it('smaller batches of long rows', async () => {
    const table = await openTable(file(`id,name\n${`1,${'x'.repeat(500_000)}\n`.repeat(30)}`));
    const sizes: number[] = [];
    for await (const batch of table.batches()) sizes.push(batch.length);
    expect(Math.max(...sizes)).toBeLessThan(15);
    expect(sizes.reduce((a, b) => a + b)).toBe(30);
  });

  it('a header alone', async () => expect((await drain(file('id,name'))).rows).toEqual([]));
});

describe('a faulty row is reported and reading goes on', () => {
  it.each<[string, string | Buffer, number, object]>([
    [
      'too few columns',
      'id,name\n1\n2,b\n',
      1,
      { code: 'wrong-column-count', detail: { zh: '应有 2 列，实有 1 列', en: 'expected 2 columns, found 1' } },
    ],
    ['too many columns', 'id,name\n1,a,"x,y"\n2,b\n', 1, { code: 'wrong-column-count' }],
    ['NUL', 'id,name\n1,a\0b\n2,b\n', 1, { code: 'nul-character', column: 'name', value: 'a\0b' }],
    [
      'bytes that are no UTF-8',
      Buffer.concat([Buffer.from('id,name\n1,'), hex('ff'), Buffer.from('\n2,b\n')]),
      1,
      { code: 'invalid-encoding', column: 'name' },
    ],
    [
      'a lone surrogate in UTF-16',
      Buffer.from('\ufeffid,name\n1,\ud800x\n2,b\n', 'utf16le'),
      1,
      { code: 'lone-surrogate', column: 'name' },
    ],
    [
      'a lone surrogate in UTF-8',
      Buffer.concat([Buffer.from('id,name\n1,'), hex('eda080'), Buffer.from('\n2,b\n')]),
      1,
      { code: 'invalid-encoding' },
    ],
    ['text after a quote', 'id,name\n1,"a"b\n2,b\n', 1, { code: 'quote' }],
    ['a row too long', `id,name\n1,${'x'.repeat(3_000_000)}\n2,b\n`, 1, { code: 'row-too-long' }],
    [
      'broken GB18030',
      Buffer.concat([
        Buffer.from('id,name\n'),
        hex('31 2c ca 0a 32 2c 62 0a'),
        hex('33 2c d5c5c8fdd5c5c8fdd5c5c8fdd5c5c8fdd5c5c8fdd5c5c8fdd5c5c8fd 0a'),
      ]),
      1,
      { code: 'invalid-encoding' },
    ],
  ])('%s', async (_name, content, row, fault) => {
    const { rows, fault: ending } = await drain(file(content));
    expect(ending).toBeUndefined();
    expect(rows.filter((r) => r.fault)).toHaveLength(1);
    expect(rows[row - 1]).toMatchObject({ row, fault });
    expect((rows[row - 1]?.raw ?? '').length).toBeLessThanOrEqual(4097);
    expect(rows[row]).toMatchObject({ row: 2, values: ['2', 'b'] });
  });

  it('keeps the quoting in the raw text', async () => {
    expect((await drain(file('id,name\n1,a,"x,y"\n'))).rows[0]?.raw).toBe('1,a,"x,y"');
  });

  it('doesn’t keep a million cells of a row of commas', async () => {
    const { rows } = await drain(file(`id,name\n${','.repeat(900_000)}\n`));
    expect(rows[0]?.values.length).toBeLessThan(50);
    expect(rows[0]?.fault?.detail.en).toContain('900001');
  });
});

describe('a fault of the whole file', () => {
  const zip = Buffer.concat([hex('504b0304 1400'), Buffer.alloc(20), Buffer.from('xl/workbook.xml')]);
  it.each<[string, string, () => string, RegExp?]>([
    ['not-found', 'nothing there', () => join(folder, 'none.csv')],
    ['not-found', 'a NUL in the name', () => 'a\0b'],
    ['is-directory', 'a directory', () => folder],
    ['not-a-regular-file', 'a device', () => '/dev/null'],
    ['empty-file', 'no bytes', () => file('')],
    ['empty-file', 'only a mark', () => file('\ufeff')],
    ['empty-file', 'gzip of nothing', () => file(gzipSync(''), '.gz')],
    ['no-header', 'blank lines', () => file('\n\r\n\n')],
    ['no-header', 'nameless columns', () => file(' , ,\n1,2,3\n')],
    ['no-header', 'data at once', () => file('170104133,16.1828,2017-01-01,12\n1,2,2017-01-02,4\n')],
    ['no-header', 'a header with broken quotes', () => file('"id"x,name\n1,2\n')],
    ['duplicate-column', 'a name twice', () => file('id,name, id \n1,2,3\n'), /id/],
    ['duplicate-column', 'two nameless columns', () => file('id,,\n1,2,3\n')],
    ['wrong-gzip', 'text named .gz', () => file('id,name\n1,a\n', '.csv.gz'), /isn’t compressed/],
    ['wrong-gzip', 'a zip named .gz', () => file(zip, '.gz'), /Excel/],
    ['not-text', 'xlsx', () => file(zip), /Excel/],
    ['not-text', 'zip', () => file(hex('504b0304 14000000 0800')), /ZIP/],
    ['not-text', 'pdf', () => file('%PDF-1.7\n'), /PDF/],
    ['not-text', 'xls', () => file(hex('d0cf11e0a1b11ae1 0000')), /\.xls/],
    ['not-text', 'gzip inside gzip', () => file(gzipSync(gzipSync('id\n1\n'))), /gzip inside gzip/],
    ['not-text', 'zip inside gzip', () => file(gzipSync(zip), '.gz'), /Excel/],
    ['not-text', 'a page', () => file('<!DOCTYPE html><html>'), /web page/],
    ['not-text', 'JSON', () => file('[{"id": 1, "name": "a"}]'), /JSON/],
    ['not-text', 'UTF-16 without a mark', () => file(Buffer.from('id,name\n1,a\n', 'utf16le')), /UTF-16/],
    [
      'not-text',
      'noise',
      () => file(Buffer.concat(Array.from({ length: 200 }, (_, at) => createHash('sha256').update(String(at)).digest()))),
      /binary/,
    ],
    ['undecodable', 'Latin-1', () => file(Buffer.from('id,name\n1,José\n2,Müller\n'.repeat(120), 'latin1')), /Latin-1/],
    ['inflates-too-much', 'a bomb by ratio', () => file(gzipSync(`id,name\n${'0'.repeat(64 << 20)}`), '.gz'), /200 times/],
  ])('%s: %s', async (code, _name, path, words = /./) => {
    const fault = await refusal(path());
    expect(fault.code).toBe(code);
    expect(fault.detail.en).toMatch(words);
  });

  it('inflates-too-much: by size', async () => {
    expect((await refusal(file(gzipSync(`id,name\n${lines(50_000)}`), '.gz'), { maxBytesInflated: 100_000 })).code).toBe(
      'inflates-too-much',
    );
  });

  it('not-a-regular-file: a named pipe, without waiting for a writer', async () => {
    const path = join(folder, 'pipe.csv');
    execFileSync('mkfifo', [path]);
    expect((await refusal(path)).code).toBe('not-a-regular-file');
  });

  it('not-readable: no permission', async () => {
    if (process.getuid?.() === 0) {
      process.stderr.write('SKIPPED not-readable: the tests run as root, who may read everything\n');
      return;
    }
    const path = file('id\n1\n');
    chmodSync(path, 0);
    expect((await refusal(path)).code).toBe('not-readable');
  });

  it('wrong-gzip: a wrong checksum or flipped bytes, before a row is given', async () => {
    const good = gzipSync(`id,name\n${lines(20_000)}`);
    for (const at of [good.length - 6, good.length >> 1]) {
      const bad = Buffer.from(good);
      bad.fill(0xff, at, at + 2);
      expect((await refusal(file(bad, '.gz'))).code).toBe('wrong-gzip');
    }
  });

  it('cut-file: the whole rows first, never half a row', async () => {
    const all = Array.from({ length: 20_000 }, (_, at) => `${at + 1},${createHash('md5').update(String(at)).digest('hex')}`);
    const good = gzipSync(`id,name\n${all.join('\n')}\n`);
    for (const length of [good.length >> 1, good.length - 9, good.length - 1, 4000]) {
      const { rows, fault } = await drain(file(good.subarray(0, length), '.gz'));
      expect(fault).toMatchObject({ code: 'cut-file', place: { afterRow: rows.length } });
      expect(fault?.detail.en).toContain(String(rows.length));
      expect(rows.length).toBeGreaterThan((20_000 * length) / good.length - 3000);
      expect(rows.map((row) => row.values.join(','))).toEqual(all.slice(0, rows.length));
    }
    expect(await refusal(file(good.subarray(0, 12), '.gz'))).toMatchObject({ code: 'cut-file', place: { afterRow: 0 } });
  });

  it('unterminated-quote: rows before it are given, and the rest of the file isn’t held', async () => {
    const { rows, fault } = await drain(file(`id,name\n${lines(500)}7,"${'x,y\n'.repeat(5_000_000)}`));
    expect(rows).toHaveLength(500);
    expect(fault).toMatchObject({ code: 'unterminated-quote', place: { afterRow: 500, line: 502 } });
  });

  it('file-changed: grows, or is touched, while it is read', async () => {
    for (const change of [(path: string) => appendFileSync(path, '1,a\n'), (path: string) => utimesSync(path, 1, 1)]) {
      const path = file(`id,name\n${lines(50_000)}9,cut`);
      const table = await openTable(path);
      const rows: Row[] = [];
      const reading = (async () => {
        for await (const batch of table.batches()) {
          if (rows.length === 0) change(path);
          rows.push(...batch);
        }
      })();
      await expect(reading).rejects.toMatchObject({ code: 'file-changed', place: { afterRow: 50_000 } });
      expect(rows).toHaveLength(50_000);
    }
  });
});

describe('ending', () => {
  it('stops when aborted, before and while reading', async () => {
    const path = file(gzipSync(`id,name\n${lines(100_000)}`), '.gz');
    await expect(openTable(path, { signal: AbortSignal.abort(new Error('enough')) })).rejects.toThrow('enough');
    const abort = new AbortController();
    const table = await openTable(path, { signal: abort.signal });
    const reading = (async () => {
      for await (const _ of table.batches()) abort.abort(new Error('enough'));
    })();
    await expect(reading).rejects.toThrow('enough');
  });

  it('closes when broken off, unread or closed twice', async () => {
    // Of these files alone: whatever else the process opens meanwhile is not theirs.
    const handles = (): number =>
      process.platform === 'linux'
        ? execFileSync('ls', ['-l', `/proc/${process.pid}/fd`])
            .toString()
            .split('\n')
            .filter((line) => line.includes(dirname(path))).length
        : 0;
    const path = file(gzipSync(`id,name\n${lines(100_000)}`), '.gz');
    const before = handles();
    for (let at = 0; at < 20; at++) {
      const table = await openTable(path);
      if (at % 2) for await (const _ of table.batches()) break;
      await Promise.all([table.close(), table.close()]);
      await refusal(file('id,id\n'));
    }
    // The last ones may still be closing.
    for (let waited = 0; handles() > before && waited < 4_000; waited += 50) await new Promise((done) => setTimeout(done, 50));
    expect(handles()).toBe(before);
  });
});

describe('errorsCsv', () => {
  const collect = (): { stream: Writable; text: () => string } => {
    const parts: Buffer[] = [];
    const stream = new Writable({
      highWaterMark: 1,
      write: (chunk: Buffer, _e, done) => (parts.push(chunk), setImmediate(done)),
    });
    return { stream, text: () => Buffer.concat(parts).toString() };
  };

  it('re-imports with the same values', async () => {
    const cells = ['=1+1', '-1.5', '+8610', '@x', 'a,b', 'say "hi"', 'two\nlines', ' padded ', '守安', ''];
    const { stream, text } = collect();
    const errors = errorsCsv(stream, ['id', 'text']);
    for (const [at, cell] of cells.entries())
      await errors.refuse({ row: at + 5, line: 1, values: [String(at), cell] }, 'bad-date', { zh: '日期错', en: 'bad date' });
    expect(await errors.end()).toBe(cells.length);
    expect(text().startsWith('\ufeffid,text,_row,_code,_error\r\n0,=1+1,5,bad-date,日期错 / bad date\r\n')).toBe(true);
    const { table, rows } = await drain(file(text()));
    expect(table.header).toEqual(['id', 'text']);
    expect(rows.map((row) => row.values)).toEqual(cells.map((cell, at) => [String(at), cell]));
  });

  it('makes formulas in _error inert and keeps an unreadable row from slipping in', async () => {
    const { stream, text } = collect();
    const errors = errorsCsv(stream, ['id', 'text', 'note']);
    const { rows } = await drain(file('id,text,note\n1,2\n'));
    await errors.refuse(rows[0] as Row, 'wrong-column-count', '=HYPERLINK("x")');
    await errors.end();
    expect(text().split('\r\n')[1]).toBe(`"1,2",,,1,wrong-column-count,"'=HYPERLINK(""x"")"`);
  });

  it('fails, and doesn’t hang, when the stream breaks', async () => {
    const stream = new PassThrough({ highWaterMark: 1 });
    const errors = errorsCsv(stream, ['id']);
    const row = errors.refuse({ row: 1, line: 2, values: ['x'] }, 'c', 'd');
    setImmediate(() => stream.destroy());
    await expect(row).rejects.toThrow(/closed/);
    await expect(errors.refuse({ row: 1, line: 2, values: ['x'] }, 'c', 'd')).rejects.toThrow(/closed/);
  });
});

const shared = resolve(process.env['VIGIL_SHARED'] ?? resolve(__dirname, '../../../../../shared'), 'data');
const present = existsSync(shared);
if (!present) process.stderr.write(`SKIPPED golden row counts: no ${shared} (set VIGIL_SHARED)\n`);
(present ? describe : describe.skip)('the real files', () => {
  it('every table of the manifest has its rows and columns', async () => {
    const manifest = await drain(join(shared, 'manifest.csv'));
    const wanted = manifest.rows.flatMap(({ values: [name = '', , rows, columns] }) => {
      const path = join(shared, name.replace('public/data/', ''));
      return rows && columns && existsSync(path) ? [{ name, path, rows: Number(rows), columns: Number(columns) }] : [];
    });
    expect(wanted.length).toBeGreaterThan(20);
    const found = [];
    for (const { name, path } of wanted) {
      const { table, rows, fault } = await drain(path);
      found.push({ name, rows: rows.filter((row) => !row.fault).length, columns: table.header.length, fault });
    }
    expect(found).toEqual(wanted.map(({ name, rows, columns }) => ({ name, rows, columns, fault: undefined })));
  });

  it('361,306 rows', async () => {
    const table = await openTable(join(shared, 'neiss/neiss_under2_2002_2017.csv.gz'));
    let rows = 0;
    for await (const batch of table.batches()) rows += batch.length;
    expect(rows).toBe(361_306);
  });
});

it('memory stays flat whatever the size', async () => {
  mkdirSync(folder, { recursive: true });
  const path = file(
    gzipSync(`id,name\n${Array.from({ length: 1_500_000 }, (_, at) => `${at},${(at * 7919) % 1_000_003}xyz\n`).join('')}`),
    '.gz',
  );
  const table = await openTable(path);
  let peak = 0;
  let rows = 0;
  const before = process.memoryUsage.rss();
  for await (const batch of table.batches()) {
    rows += batch.length;
    peak = Math.max(peak, process.memoryUsage.rss() - before);
  }
  expect(rows).toBe(1_500_000);
  expect(peak).toBeLessThan(150e6);
}, 30_000);
