import { randomBytes } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { stat } from 'node:fs/promises';
import { basename } from 'node:path';
import { Readable } from 'node:stream';
import { EXIT, Failure } from './exit';
import { say } from './language';

const quoted = (text: string): string => text.replaceAll('"', '%22').replaceAll('\r', '%0D').replaceAll('\n', '%0A'); // WHATWG form-data

/**
 * `multipart/form-data` with the fields first and the file read as it is sent: a file of any size takes 64 kB. Read to the size it has at
 * first, for one that grows might never end; when it is another by then, the form is broken off and `fault` says why.
 */
export const openAsStream = (
  fields: Readonly<Record<string, string>>,
  file: string,
  onBytes?: (sent: number) => void,
): { body: ReadableStream; contentType: string; fault: () => Failure | undefined } => {
  let fault: Failure | undefined;
  const boundary = `vigil-${randomBytes(16).toString('hex')}`;
  const parts = async function* (): AsyncGenerator<Buffer> {
    for (const [name, value] of Object.entries(fields))
      yield Buffer.from(`--${boundary}\r\ncontent-disposition: form-data; name="${quoted(name)}"\r\n\r\n${value}\r\n`);
    yield Buffer.from(
      `--${boundary}\r\ncontent-disposition: form-data; name="file"; filename="${quoted(basename(file))}"\r\ncontent-type: application/octet-stream\r\n\r\n`,
    );
    const { size, mtimeMs } = await stat(file);
    let sent = 0;
    for await (const chunk of size > 0 ? createReadStream(file, { end: size - 1 }) : []) {
      yield chunk as Buffer;
      onBytes?.((sent += (chunk as Buffer).length));
    }
    const now = await stat(file);
    if (sent !== size || now.size !== size || now.mtimeMs !== mtimeMs) {
      fault = new Failure(
        EXIT.refused,
        say(
          `${file} 在读取时发生了变化(原 ${size} 字节,现 ${now.size} 字节);未导入任何行,请待写完后重试`,
          `${file} changed while it was read (${size} bytes at first, ${now.size} now); no row was imported: try again once it is complete`,
        ),
      );
      throw fault;
    }
    yield Buffer.from(`\r\n--${boundary}--\r\n`);
  };
  return {
    body: Readable.toWeb(Readable.from(parts())) as ReadableStream,
    contentType: `multipart/form-data; boundary=${boundary}`,
    fault: () => fault,
  };
};
