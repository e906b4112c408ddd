import { randomBytes } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { basename } from 'node:path';
import { Readable } from 'node:stream';

const quoted = (text: string): string => text.replaceAll('"', '%22').replaceAll('\r', '%0D').replaceAll('\n', '%0A'); // WHATWG form-data

/** `multipart/form-data` with the fields first and the file read as it is sent: a file of any size takes 64 kB. */
export const openAsStream = (
  fields: Readonly<Record<string, string>>,
  file: string,
  onBytes?: (sent: number) => void,
): { body: ReadableStream; contentType: string } => {
  const boundary = `vigil-${randomBytes(16).toString('hex')}`;
  const parts = async function* (): AsyncGenerator<Buffer> {
    for (const [name, value] of Object.entries(fields))
      yield Buffer.from(`--${boundary}\r\ncontent-disposition: form-data; name="${quoted(name)}"\r\n\r\n${value}\r\n`);
    yield Buffer.from(
      `--${boundary}\r\ncontent-disposition: form-data; name="file"; filename="${quoted(basename(file))}"\r\ncontent-type: application/octet-stream\r\n\r\n`,
    );
    let sent = 0;
    for await (const chunk of createReadStream(file)) {
      yield chunk as Buffer;
      onBytes?.((sent += (chunk as Buffer).length));
    }
    yield Buffer.from(`\r\n--${boundary}--\r\n`);
  };
  return {
    body: Readable.toWeb(Readable.from(parts())) as ReadableStream,
    contentType: `multipart/form-data; boundary=${boundary}`,
  };
};
