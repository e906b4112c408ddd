import { parse } from 'csv-parse/sync';
import fc from 'fast-check';
import { FileFault, type Row } from './fault';
import { tokenizer, type TokenizerOptions } from './tokenizer';

const read = (pieces: string[], options: Partial<TokenizerOptions> = {}): { rows: Row[]; fault?: FileFault } => {
  const rows: Row[] = [];
  const tokens = tokenizer({ delimiter: ',', maxRow: 1 << 20, ...options });
  for (const piece of [...pieces, '']) {
    const last = piece === '';
    const fault = tokens.push(piece, last, rows);
    if (fault) return { rows, fault };
  }
  return { rows };
};
const values = (text: string, options?: Partial<TokenizerOptions>): string[][] =>
  read([text], options).rows.map((row) => row.values);
const plain = ({ rows, fault }: { rows: Row[]; fault?: FileFault }) => ({ rows, fault: fault && [fault.code, fault.place] });
const cutAt = (text: string, places: number[]): string[] =>
  [0, ...[...new Set(places.filter((p) => p > 0 && p < text.length))].sort((a, b) => a - b)].map((from, at, all) =>
    text.slice(from, all[at + 1]),
  );

describe('tokenizer', () => {
  it.each([
    [
      'lf',
      'a,b\nc,d\n',
      [
        ['a', 'b'],
        ['c', 'd'],
      ],
    ],
    [
      'no line end at the end',
      'a,b\nc,d',
      [
        ['a', 'b'],
        ['c', 'd'],
      ],
    ],
    ['mixed line ends', 'a\r\nb\rc\nd\r', [['a'], ['b'], ['c'], ['d']]],
    ['blank lines', '\n\na\n\r\n\r\rb\n\n', [['a'], ['b']]],
    ['empty cells', ',\n,,\n""\n', [['', ''], ['', '', ''], ['']]],
    ['quoted delimiter, quote, line ends', '"a,b","c""d","e\r\nf"\ng\n', [['a,b', 'c"d', 'e\r\nf'], ['g']]],
    ['quote inside an unquoted cell', '1,3" STEP,x\n', [['1', '3" STEP', 'x']]],
    ['quoted cell at the very end', 'a,"b"', [['a', 'b']]],
  ])('reads %s', (_name, text, expected) => expect(values(text)).toEqual(expected));

  it('numbers rows and lines', () => {
    const { rows } = read(['h\n\n"x\r\ny\nz",1\r"q"\n'], { firstRow: 0 });
    expect(rows.map(({ row, line }) => [row, line])).toEqual([
      [0, 1],
      [1, 3],
      [2, 6],
    ]);
  });

  it('loses one row, not all rows up to the next quote, by a stray opening quote', () => {
    const { rows } = read(['a,1\n"ok\nok",2\n"x","b,3\nc,4\nd,5\ne,"6"\nf,7\n']);
    expect(rows.map(({ line, values: [first], fault }) => [line, first, fault?.code])).toEqual([
      [1, 'a', undefined],
      [2, 'ok\nok', undefined],
      [4, 'x', 'quote'],
      [5, 'c', undefined],
      [6, 'd', undefined],
      [7, 'e', undefined],
      [8, 'f', undefined],
    ]);
    expect(rows[2]?.raw).toBe('"x","b,3');
  });

  it('reports text after a closing quote', () => {
    const { rows } = read(['1,"a"b,2\n3,4,5\n']);
    expect(rows[0]).toMatchObject({ row: 1, fault: { code: 'quote' }, raw: '1,"a"b,2' });
    expect(rows[1]).toEqual({ row: 2, line: 2, values: ['3', '4', '5'] });
  });

  it('passes over a row that is too long and goes on', () => {
    const { rows } = read([`a\n${'x'.repeat(50)}\r`, '\nb\n'], { maxRow: 20 });
    expect(rows.map((row) => [row.row, row.line, row.values, row.fault?.code])).toEqual([
      [1, 1, ['a'], undefined],
      [2, 2, [], 'row-too-long'],
      [3, 3, ['b'], undefined],
    ]);
  });

  it('gives up on a quote that stays open', () => {
    const bomb = read(['a\n"', ...Array.from({ length: 100 }, () => 'xxxxxxxx\n')], { maxRow: 100 });
    expect(bomb.rows).toHaveLength(1);
    expect(bomb.fault).toMatchObject({ code: 'unterminated-quote', place: { afterRow: 1, line: 2 } });
    expect(read(['a\nb,"c']).fault?.place).toEqual({ afterRow: 1, line: 2 });
  });

  const cell = fc.oneof(
    fc.string({ unit: fc.constantFrom('a', '"', ',', '\n', '\r', ';', ' ', '守', '😀'), maxLength: 6 }),
    fc.string({ unit: 'binary', maxLength: 4 }).filter((text) => !text.includes('\ufeff')),
  );
  const tables = fc
    .integer({ min: 2, max: 4 })
    .chain((width) => fc.array(fc.array(cell, { minLength: width, maxLength: width }), { minLength: 1, maxLength: 8 }));
  const write = (rows: string[][], always: boolean, end: string): string =>
    rows
      .map((row) => row.map((c) => (always || /[",\r\n]/.test(c) ? `"${c.replaceAll('"', '""')}"` : c)).join(',') + end)
      .join('');

  it('agrees with csv-parse on random tables cut at random places', () => {
    fc.assert(
      fc.property(
        tables,
        fc.boolean(),
        fc.constantFrom('\n', '\r\n', '\r'),
        fc.array(fc.nat(120), { maxLength: 6 }),
        (rows, always, end, places) => {
          const text = write(rows, always, end);
          const ours = read(cutAt(text, places)).rows;
          expect(ours.map((row) => row.values)).toEqual(rows);
          expect(ours.map((row) => row.values)).toEqual(parse(text, { relax_column_count: true, record_delimiter: end }));
          expect(ours.some((row) => row.fault)).toBe(false);
        },
      ),
      { numRuns: 1000 },
    );
  });

  it('gives the same rows, lines and faults of any text at every cut', () => {
    const noise = fc.string({ unit: fc.constantFrom('a', 'b', '"', '"', ',', '\n', '\r'), maxLength: 40 });
    fc.assert(
      fc.property(noise, fc.constantFrom(5, 12, 1000), (text, maxRow) => {
        const whole = plain(read(text ? [text] : [], { maxRow }));
        for (let at = 1; at < text.length; at++)
          expect(plain(read([text.slice(0, at), text.slice(at)], { maxRow }))).toEqual(whole);
        expect(plain(read([...text], { maxRow }))).toEqual(whole);
      }),
      { numRuns: 3000 },
    );
  });

  it.each([
    ['faulty quotes on every line', '"a"b\n'],
    ['quoted cells and no CR', '"a","b"\n'],
    ['one column', 'a\n'],
    ['stray opening quotes', '"a\nb\nc\n'],
    ['carriage returns only', '"a"\r'],
    ['doubled quotes', '"a"",b\n'],
  ])('reads a megabyte in pieces, without going over it again for each row: %s', (_name, line) => {
    const piece = line.repeat(Math.ceil(65536 / line.length));
    const { rows } = read(Array.from({ length: 16 }, () => piece));
    expect(rows.length).toBeGreaterThan(0);
  });
});
