import { isAscii, isUtf8 } from 'node:buffer';

export type Encoding = 'utf-8' | 'gb18030' | 'utf-16le' | 'utf-16be';

/** `clean`: strictly valid throughout, so that a U+FFFD in the text was really written there. */
export interface Verdict {
  encoding: Encoding;
  clean: boolean;
  /** More of the non-ASCII text is broken than a few damaged rows explain. */
  undecodable: boolean;
  firstBadByte?: number;
}

const MARKS: [Encoding, Buffer][] = [
  ['utf-8', Buffer.from([0xef, 0xbb, 0xbf])],
  ['gb18030', Buffer.from([0x84, 0x31, 0x95, 0x33])],
  ['utf-16le', Buffer.from([0xff, 0xfe])],
  ['utf-16be', Buffer.from([0xfe, 0xff])],
];

/** The byte order mark at the start, with the length of all its repetitions (concatenated exports have two). */
export const byteOrderMark = (bytes: Buffer): { encoding: Encoding; length: number } | undefined => {
  const found = MARKS.find(([, mark]) => bytes.subarray(0, mark.length).equals(mark));
  if (!found) return undefined;
  const [encoding, mark] = found;
  let length = 0;
  while (bytes.subarray(length, length + mark.length).equals(mark)) length += mark.length;
  return { encoding, length };
};

interface Count {
  good: number;
  bad: number;
  /** Those of `good` that are three bytes or more. */
  long: number;
  /** Index of the first bad byte in the block, or -1. */
  first: number;
}

const continuation = (b: number | undefined): boolean => b !== undefined && b >= 0x80 && b <= 0xbf;

/** Multi-byte sequences of UTF-8 in a block; a sequence cut off by the block's end counts as neither. */
export const countUtf8 = (b: Buffer): Count => {
  const count = { good: 0, bad: 0, long: 0, first: -1 };
  for (let i = 0; i < b.length; ) {
    const lead = b[i] as number;
    if (lead < 0x80) {
      i++;
      continue;
    }
    const more = lead >= 0xc2 && lead <= 0xdf ? 1 : lead >= 0xe0 && lead <= 0xef ? 2 : lead >= 0xf0 && lead <= 0xf4 ? 3 : 0;
    let have = 0;
    while (have < more && continuation(b[i + 1 + have])) have++;
    if (have < more && i + 1 + have >= b.length) break;
    const second = b[i + 1] as number;
    // Overlong forms, surrogates and code points past U+10FFFF have legal-looking continuations.
    const forbidden =
      (lead === 0xe0 && second < 0xa0) ||
      (lead === 0xed && second > 0x9f) ||
      (lead === 0xf0 && second < 0x90) ||
      (lead === 0xf4 && second > 0x8f);
    if (more > 0 && have === more && !forbidden) {
      count.good++;
      if (more > 1) count.long++;
    } else {
      if (count.first < 0) count.first = i;
      count.bad++;
    }
    i += 1 + have;
  }
  return count;
};

/** Multi-byte sequences of GB18030. 0x80 counts as bad although code page 936 reads it as €: one of those outweighs nothing. */
export const countGb18030 = (b: Buffer): Count => {
  const count = { good: 0, bad: 0, long: 0, first: -1 };
  const digit = (x: number | undefined): boolean => x !== undefined && x >= 0x30 && x <= 0x39;
  const lead = (x: number | undefined): boolean => x !== undefined && x >= 0x81 && x <= 0xfe;
  for (let i = 0; i < b.length; ) {
    const x = b[i] as number;
    if (x < 0x80) {
      i++;
      continue;
    }
    const y = b[i + 1];
    if (lead(x) && y === undefined) break;
    if (lead(x) && y !== undefined && y >= 0x40 && y !== 0x7f && y !== 0xff) {
      count.good++;
      i += 2;
    } else if (lead(x) && digit(y) && lead(b[i + 2]) && digit(b[i + 3])) {
      count.good++;
      i += 4;
    } else {
      if (count.first < 0) count.first = i;
      count.bad++;
      i++;
    }
  }
  return count;
};

/** The longest prefix that doesn't end inside a UTF-8 sequence. */
const utf8Boundary = (b: Buffer): number => {
  for (let back = 1; back <= 3 && back <= b.length; back++) {
    const x = b[b.length - back] as number;
    if (x < 0x80) return b.length;
    if (x >= 0xc0) return (x >= 0xf0 ? 4 : x >= 0xe0 ? 3 : 2) > back ? b.length - back : b.length;
  }
  return b.length;
};

const ENOUGH = 1 << 20;

/**
 * Decides between UTF-8 and GB18030 on the whole content, because the first byte that settles it may come after
 * megabytes of ASCII, and GB18030 accepts most UTF-8 Chinese as other Chinese: reading the wrong one is silent.
 * Strictly valid UTF-8 wins. Otherwise both are counted: a UTF-8 file with a few damaged rows stays UTF-8 (those rows are
 * reported), anything that GB18030 reads better is GB18030.
 * Costs about 0.3 ms per MB of valid text (`isAscii`, `isUtf8`); only invalid blocks and 1 MiB of valid ones are counted byte by byte.
 */
export const surveyEncoding = () => {
  const utf8: Count = { good: 0, bad: 0, long: 0, first: -1 };
  const gb: Count = { good: 0, bad: 0, long: 0, first: -1 };
  let carry: Buffer | undefined;
  let offset = 0;
  let sampled = 0;
  let invalid = 0;
  let ragged = false;

  const weigh = (block: Buffer): void => {
    if (!isAscii(block)) {
      const valid = isUtf8(block);
      if (!valid) invalid += block.length;
      if (!valid || sampled < ENOUGH) {
        if (valid) sampled += block.length;
        for (const [sum, part] of [
          [utf8, countUtf8(block)],
          [gb, countGb18030(block)],
        ] as const) {
          sum.good += part.good;
          sum.bad += part.bad;
          sum.long += part.long;
          if (sum.first < 0 && part.first >= 0) sum.first = offset + part.first;
        }
      }
    }
    offset += block.length;
  };

  return {
    /** Cut after a line end, which neither encoding has inside a sequence, unless a row is longer than a megabyte. */
    add(chunk: Buffer): void {
      const block = carry ? Buffer.concat([carry, chunk]) : chunk;
      const end = block.lastIndexOf(10) + 1 || block.lastIndexOf(13) + 1 || (block.length > ENOUGH ? utf8Boundary(block) : 0);
      carry = end < block.length ? block.subarray(end) : undefined;
      weigh(block.subarray(0, end));
    },
    /** True once a megabyte of text that isn't UTF-8 was seen: reading on wouldn't change the verdict. */
    settled: (): boolean => invalid > ENOUGH && utf8.good < 10 * utf8.bad && gb.bad * 10 < gb.good,
    verdict(): Verdict {
      if (carry) {
        const part = utf8Boundary(carry);
        ragged = part < carry.length;
        weigh(carry.subarray(0, part));
        // A lead byte at the very end means a cut file in UTF-8, but the first half of a pair in GB18030: no evidence.
        carry = undefined;
      }
      if (utf8.bad === 0) return { encoding: 'utf-8', clean: !ragged, undecodable: false };
      // Three-byte sequences hardly come about by chance (they take two rare characters in GB18030, side by side), two-byte ones do: 女 is one.
      const stays = utf8.bad <= gb.bad || utf8.long >= 10 * utf8.bad || (gb.bad > 0 && utf8.good >= 10 * utf8.bad);
      const chosen = stays ? utf8 : gb;
      // Damaged UTF-8 rows are always seen, so many may pass as row faults; Latin-1 read as GB18030 would turn into Chinese unseen.
      const few = stays ? 100 : 2;
      return {
        encoding: stays ? 'utf-8' : 'gb18030',
        clean: false,
        undecodable: chosen.bad >= few && chosen.bad * 10 > chosen.good,
        firstBadByte: chosen.first < 0 ? utf8.first : chosen.first,
      };
    },
  };
};

/**
 * Bytes to text, block by block. Damage comes out as U+FFFD, except that UTF-16 keeps lone surrogates as they are.
 * Byte order marks must have been taken off.
 */
export const decoderOf = (encoding: Encoding): ((bytes: Buffer, last: boolean) => string) => {
  if (encoding === 'utf-16le' || encoding === 'utf-16be') {
    let odd: Buffer | undefined;
    return (bytes, last) => {
      const all = odd ? Buffer.concat([odd, bytes]) : bytes;
      const even = all.length & ~1;
      odd = even < all.length ? all.subarray(even) : undefined;
      const units = encoding === 'utf-16le' ? all.subarray(0, even) : Buffer.from(all.subarray(0, even)).swap16();
      return units.toString('utf16le') + (last && odd ? '\ufffd' : '');
    };
  }
  const decoder = new TextDecoder(encoding, { ignoreBOM: true });
  let pending = false;
  return (bytes, last) => {
    // ASCII is the common case and needs no decoder, unless that holds the first bytes of a sequence.
    if (!pending && !last && isAscii(bytes)) return bytes.toString('latin1');
    const end = bytes[bytes.length - 1];
    // In GB18030 even a digit may be the middle of a sequence.
    if (end !== undefined) pending = encoding === 'gb18030' ? end !== 10 : end >= 0x80;
    return decoder.decode(bytes, { stream: !last });
  };
};
