import type { Detail } from './fault';

const MAGIC: [string, string, string][] = [
  // hex prefix, zh, en
  ['25504446', 'PDF 文档', 'a PDF document'],
  ['d0cf11e0a1b11ae1', '旧版 Excel（.xls）或其他 Office 文档', 'an old Excel (.xls) or other Office document'],
  ['89504e47', 'PNG 图片', 'a PNG picture'],
  ['ffd8ff', 'JPEG 图片', 'a JPEG picture'],
  ['47494638', 'GIF 图片', 'a GIF picture'],
  ['377abcaf271c', '7z 压缩包', 'a 7z archive'],
  ['526172211a07', 'RAR 压缩包', 'a RAR archive'],
  ['fd377a585a00', 'xz 压缩文件', 'an xz file'],
  ['425a68', 'bzip2 压缩文件', 'a bzip2 file'],
  ['28b52ffd', 'zstd 压缩文件', 'a zstd file'],
  ['1f8b', '再次压缩的 gzip 文件', 'gzip inside gzip'],
  ['50415231', 'Parquet 文件', 'a Parquet file'],
  ['53514c69746520666f726d6174203300', 'SQLite 数据库', 'an SQLite database'],
  ['7f454c46', '可执行程序', 'an executable program'],
  ['7b5c727466', 'RTF 文档', 'an RTF document'],
];

/** What a content that isn't a table looks like, by its first bytes; `undefined` when it may be one. */
export const foreignKind = (window: Buffer): Detail | undefined => {
  const hex = window.subarray(0, 16).toString('hex');
  if (/^504b(0304|0506|0708)/.test(hex)) {
    if (window.includes('xl/') || window.includes('[Content_Types].xml'))
      return { zh: 'Excel（.xlsx）或其他 Office 文档', en: 'an Excel (.xlsx) or other Office document' };
    return { zh: 'ZIP 压缩包', en: 'a ZIP archive' };
  }
  const magic = MAGIC.find(([prefix]) => hex.startsWith(prefix));
  if (magic) return { zh: magic[1], en: magic[2] };
  if (window.subarray(257, 262).toString('latin1') === 'ustar') return { zh: 'tar 归档', en: 'a tar archive' };
  const start = window
    .subarray(0, 256)
    .toString('latin1')
    .replace(/^[\xef\xbb\xbf\s]+/, '');
  if (/^<(!doctype|html|\?xml)/i.test(start)) return { zh: '网页或 XML', en: 'a web page or XML' };
  // A column may be called `{x}` or `[1]`; these openings are of JSON only.
  if (/^(\{\s*("[^"]*"\s*:|\})|\[\s*[[{]|[[{]\s*$)/.test(start) || /^[[{]\s*[\r\n]/.test(start))
    return { zh: 'JSON', en: 'JSON' };
  return undefined;
};

/** Binary by its control characters; a few NULs are faults of their rows. UTF-16 without its mark is named. */
export const binaryKind = (window: Buffer): Detail | undefined => {
  let controls = 0;
  const nuls = [0, 0];
  for (let i = 0; i < window.length; i++) {
    const b = window[i] as number;
    if (b < 32 && b !== 9 && b !== 10 && b !== 13) controls++;
    if (b === 0) nuls[i & 1] = (nuls[i & 1] as number) + 1;
  }
  if (controls < 4 || controls * 20 < window.length) return undefined;
  const [even = 0, odd = 0] = nuls;
  if (window.length > 8 && Math.max(even, odd) * 4 > window.length && Math.min(even, odd) * 20 < window.length) {
    return {
      zh: '没有字节顺序标记的 UTF-16 文本（请另存为 UTF-8）',
      en: 'UTF-16 text without a byte order mark (save it as UTF-8)',
    };
  }
  return { zh: '二进制数据', en: 'binary data' };
};
