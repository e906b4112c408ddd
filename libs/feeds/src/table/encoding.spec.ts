import fc from 'fast-check';
import { byteOrderMark, decoderOf, type Encoding, surveyEncoding } from './encoding';

const survey = (...chunks: (Buffer | string)[]) => {
  const s = surveyEncoding();
  for (const chunk of chunks) s.add(Buffer.from(chunk as Buffer));
  return s.verdict();
};
const bytes = (hex: string): Buffer => Buffer.from(hex.replaceAll(' ', ''), 'hex');
/** 姓名,性别 / 张三,男 / 李四,女 */
const GB = Buffer.concat([
  bytes('d0d5c3fb'),
  Buffer.from(','),
  bytes('d0d4b1f0'),
  Buffer.from('\n'),
  bytes('d5c5c8fd'),
  Buffer.from(','),
  bytes('c4d0'),
  Buffer.from('\n'),
  bytes('c0eecbc4'),
  Buffer.from(','),
  bytes('c5ae'),
  Buffer.from('\n'),
]);
const ASCII = 'id,name\n1,abc\n'.repeat(10_000);

describe('surveyEncoding', () => {
  it.each<[string, (Buffer | string)[], Encoding, boolean]>([
    ['ASCII', [ASCII], 'utf-8', true],
    ['UTF-8', ['姓名\n张三\n'], 'utf-8', true],
    ['GB18030', [GB], 'gb18030', false],
    ['GB18030 after 140 KB of ASCII', [ASCII, GB], 'gb18030', false],
    ['GB18030 in four bytes', [bytes('8130813082358f33 0a'), GB], 'gb18030', false],
    ['one damaged byte in UTF-8 Chinese', ['姓名\n张三\n'.repeat(100), bytes('e5bc2c0a')], 'utf-8', false],
    ['one damaged byte in ASCII', [ASCII, bytes('ff0a')], 'utf-8', false],
    ['UTF-8 cut in a character', ['姓名\n张', bytes('e4b8')], 'utf-8', false],
    ['GB18030 cut in a character', [GB, bytes('d0')], 'gb18030', false],
    ['a surrogate written as UTF-8', [ASCII, bytes('eda080 2c0a')], 'utf-8', false],
  ])('%s', (_name, chunks, encoding, clean) => expect(survey(...chunks)).toMatchObject({ encoding, clean, undecodable: false }));

  it('refuses Latin-1 rather than reading it as Chinese', () => {
    const latin = Buffer.from('name\nJosé,1\nMüller,2\nAndré,3\nNoël,4\n'.repeat(30), 'latin1');
    expect(survey(latin)).toMatchObject({ undecodable: true, firstBadByte: 8 });
  });

  it('sees the same whatever the chunks', () => {
    const sources = [GB, Buffer.from('姓名\n张三\n😀'), Buffer.concat([Buffer.from('姓名\n'.repeat(9)), bytes('ff0a')])];
    for (const all of sources) {
      const whole = survey(all);
      for (let at = 1; at < all.length; at++) expect(survey(all.subarray(0, at), all.subarray(at))).toEqual(whole);
      expect(survey(...Array.from(all, (b) => Buffer.from([b])))).toEqual(whole);
    }
  });

  it('never calls valid UTF-8 anything else', () => {
    fc.assert(fc.property(fc.string({ unit: 'binary' }), (text) => expect(survey(Buffer.from(text)).encoding).toBe('utf-8')));
  });
});

describe('decoderOf', () => {
  it.each<[Encoding, Buffer, string]>([
    ['utf-8', Buffer.from('a,守安😀\n1,é\n'), 'a,守安😀\n1,é\n'],
    [
      'gb18030',
      Buffer.concat([GB, bytes('8130813082358f33'), Buffer.from('\n1,a\n')]),
      '姓名,性别\n张三,男\n李四,女\n\u0080\u{9fa6}\n1,a\n',
    ],
    ['utf-16le', Buffer.from('a,守安😀\n', 'utf16le'), 'a,守安😀\n'],
    ['utf-16be', Buffer.from('a,守安😀\n', 'utf16le').swap16(), 'a,守安😀\n'],
  ])('%s is the same cut anywhere', (encoding, all, text) => {
    for (let at = 0; at <= all.length; at++) {
      const decode = decoderOf(encoding);
      const first = decode(all.subarray(0, at), false);
      expect(first + decode(all.subarray(at), false) + decode(Buffer.alloc(0), true)).toBe(text);
    }
  });

  it('keeps the delimiter after a broken GB18030 lead byte', () => {
    expect(decoderOf('gb18030')(bytes('ca 2c 31 0a ca 0a 32'), true)).toBe('\ufffd,1\n\ufffd\n2');
  });
});

it('takes off a repeated byte order mark', () => {
  expect(byteOrderMark(bytes('efbbbfefbbbf61'))).toEqual({ encoding: 'utf-8', length: 6 });
  expect(byteOrderMark(Buffer.from('abc'))).toBeUndefined();
});
