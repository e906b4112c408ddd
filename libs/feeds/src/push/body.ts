/** Bytes of a request to parsed JSON values: whole bodies, and lines of a stream with bounded memory. */
import { ok, refuse, type Problem, type Result } from '@vigil/vocabulary';

export type Body = AsyncIterable<Uint8Array> | Uint8Array;

/** Longest line of an NDJSON stream, in bytes. */
export const MOST_LINE = 1 << 20;

const decoder = new TextDecoder('utf-8', { fatal: true });

const invalid = (code: string, zh: string, en: string): Result<never> => refuse<Problem>({ code, detail: { zh, en } });

export const parseJson = (bytes: Uint8Array): Result<unknown> => {
  let text: string;
  try {
    text = decoder.decode(bytes);
  } catch {
    return invalid('invalid-encoding', '不是有效的 UTF-8', 'not valid UTF-8');
  }
  try {
    return ok(JSON.parse(text));
  } catch (error) {
    if (error instanceof RangeError) return invalid('too-deep', '嵌套过深', 'nested too deep');
    return invalid('invalid-json', '不是有效的 JSON', 'not valid JSON');
  }
};

export const wholeBody = async (body: Body): Promise<Uint8Array> => {
  if (body instanceof Uint8Array) return body;
  const parts: Uint8Array[] = [];
  for await (const part of body) parts.push(part);
  return Buffer.concat(parts);
};

/** A line's parsed value, or why it has none. `row` counts lines with content from 1. */
export type Line = { readonly row: number; readonly parsed: Result<unknown> };

const tooLong = invalid('line-too-long', `行超过 ${MOST_LINE} 字节`, `the line is longer than ${MOST_LINE} bytes`);
const isBlank = (bytes: Uint8Array) => bytes.every((byte) => byte === 0x20 || byte === 0x09 || byte === 0x0d);

/** Lines in order. No more than one line and one piece of the body is held. A line that is too long is passed over and answered once. */
export async function* ndjsonLines(body: Body): AsyncGenerator<Line> {
  let held: Uint8Array[] = [];
  let length = 0;
  let row = 0;
  const take = (): Line | undefined => {
    const isLong = length > MOST_LINE;
    const line = isLong || held.length === 0 ? undefined : held.length === 1 ? held[0]! : Buffer.concat(held);
    held = [];
    length = 0;
    if (isLong) return { row: ++row, parsed: tooLong };
    return line && !isBlank(line) ? { row: ++row, parsed: parseJson(line) } : undefined;
  };
  const hold = (bytes: Uint8Array): void => {
    length += bytes.length;
    if (length > MOST_LINE) held = [];
    // A copy: the sender of the pieces may use its buffer again.
    else if (bytes.length > 0) held.push(Buffer.from(bytes));
  };
  for await (const piece of body instanceof Uint8Array ? [body] : body) {
    let from = 0;
    for (let end = piece.indexOf(10); end >= 0; end = piece.indexOf(10, from)) {
      hold(piece.subarray(from, end));
      const line = take();
      if (line) yield line;
      from = end + 1;
    }
    hold(piece.subarray(from));
  }
  const line = take();
  if (line) yield line;
}
