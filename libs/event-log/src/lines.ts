export interface Line {
  /** From 1. */
  readonly number: number;
  /** Without its line feed. */
  readonly bytes: Buffer;
  /** In the file, in bytes. */
  readonly offset: number;
  /** False for a last line that no line feed ends: a writer was cut off there. */
  readonly ended: boolean;
}

/** A line of more bytes than may be held. */
export class LineTooLong extends Error {
  override readonly name = 'LineTooLong';
  constructor(
    readonly line: number,
    readonly most: number,
  ) {
    super(`line ${line} has more than ${most} bytes`);
  }
}

const LINE_FEED = 0x0a;

/** Lines of a byte stream, as bytes: what isn't UTF-8 is for the reader of the line to say. Holds one line at a time. @throws LineTooLong */
export async function* readLines(chunks: AsyncIterable<Uint8Array>, most: number): AsyncGenerator<Line, void> {
  let [number, offset, held] = [1, 0, 0];
  let parts: Buffer[] = [];
  const line = (ended: boolean): Line => {
    const bytes = parts.length === 1 ? parts[0]! : Buffer.concat(parts);
    const made = { number, bytes, offset, ended };
    number++;
    offset += bytes.length + 1;
    [parts, held] = [[], 0];
    return made;
  };
  for await (const chunk of chunks) {
    const bytes = Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength);
    for (let at = 0; at < bytes.length; ) {
      const end = bytes.indexOf(LINE_FEED, at);
      const part = bytes.subarray(at, end < 0 ? undefined : end);
      held += part.length;
      if (held > most) throw new LineTooLong(number, most);
      parts.push(part);
      if (end < 0) break;
      at = end + 1;
      yield line(true);
    }
  }
  if (held > 0) yield line(false);
}
