import { createHash } from 'node:crypto';
import { createWriteStream } from 'node:fs';
import { mkdir, rm } from 'node:fs/promises';
import type { IncomingHttpHeaders } from 'node:http';
import { join } from 'node:path';
import { Transform, type Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { Busboy, type BusboyHeaders, type BusboyInstance } from '@fastify/busboy';
import { HttpProblem } from './http/problem';

export interface Upload {
  readonly path: string;
  /** As the sender called it. */
  readonly name: string;
  readonly bytes: number;
  /** SHA-256 over the file and the fields: boundaries differ from try to try, these don't. */
  readonly digest: string;
  readonly fields: Readonly<Record<string, string>>;
}

/** The end of a name that says how the content is packed; nothing else of a stranger's file name reaches the disk. */
const extension = (name: string): string =>
  /\.(?:csv|tsv|txt|xlsx|ndjson|jsonl)(?:\.gz)?$|\.gz$/i.exec(name)?.[0].toLowerCase() ?? '';

/** Copies a stream to a file, hashing on the way. */
export const spool = async (source: Readable, path: string, signal: AbortSignal): Promise<{ bytes: number; digest: string }> => {
  const sha = createHash('sha256');
  let bytes = 0;
  const measure = new Transform({
    transform: (chunk: Buffer, _encoding, done) => {
      sha.update(chunk);
      bytes += chunk.length;
      done(null, chunk);
    },
  });
  await pipeline(source, measure, createWriteStream(path, { mode: 0o600 }), { signal });
  return { bytes, digest: sha.digest('hex') };
};

const tooMany = (zh: string, en: string): HttpProblem => new HttpProblem(422, 'too-many-parts', { zh, en });
const malformed = (cause: unknown): HttpProblem =>
  new HttpProblem(
    400,
    'malformed-multipart',
    { zh: 'multipart 表单不完整或无法解析', en: 'the multipart form is cut short or cannot be read' },
    { cause },
  );
const tooLarge = (): HttpProblem =>
  new HttpProblem(413, 'file-too-large', { zh: '文件或字段过大', en: 'the file or a field is too large' });

const LIMITS = { files: 1, fields: 20, parts: 21, fieldSize: 64 * 1024, fieldNameSize: 100, headerPairs: 50 } as const;
/** An upload is as large as the disk allows; this ends the absurd. */
const FILE_LIMIT = 8 * 2 ** 30;

/**
 * The parts of a form, read once. Listeners are on every stream before it can fail: through the iterator of @fastify/multipart 9.2.1 the
 * error of a form that is cut short has no listener yet and ends the process, and a cut between two parts passes for the end.
 */
const readParts = (
  body: Readable,
  headers: IncomingHttpHeaders,
  dir: string,
  signal: AbortSignal,
): Promise<{ fields: Record<string, string>; file?: Omit<Upload, 'fields'> }> =>
  new Promise((resolve, reject) => {
    const fields: Record<string, string> = {};
    let writing: Promise<Omit<Upload, 'fields'>> | undefined;
    let failed = false;
    const fail = (error: unknown): void => {
      if (failed) return;
      failed = true;
      body.unpipe();
      body.resume(); // the sender may be told before it has sent everything
      void Promise.allSettled([writing]).then(() => reject(error instanceof Error ? error : new Error(String(error))));
    };
    let form: BusboyInstance;
    try {
      form = new Busboy({ headers: headers as BusboyHeaders, limits: { ...LIMITS, fileSize: FILE_LIMIT } });
    } catch (error) {
      return fail(malformed(error));
    }
    form.on('file', (_name, stream, filename = '') => {
      stream.on('error', (error) => fail(malformed(error)));
      const path = join(dir, `input${extension(filename)}`);
      const own = new AbortController();
      stream.on('error', () => own.abort());
      body.once('close', () => body.readableEnded || own.abort());
      writing = spool(stream, path, AbortSignal.any([signal, own.signal])).then((written) => {
        if (stream.truncated) throw tooLarge();
        return { path, name: filename, ...written };
      });
      writing.catch(fail);
    });
    form.on('field', (name, value, nameTruncated, valueTruncated) => {
      if (nameTruncated || valueTruncated) return fail(tooLarge());
      fields[name] = value;
    });
    form.on('filesLimit', () => fail(tooMany('一次只收一个文件', 'one file at a time')));
    form.on('fieldsLimit', () => fail(tooMany('表单字段过多', 'too many form fields')));
    form.on('partsLimit', () => fail(tooMany('表单部分过多', 'too many parts')));
    form.on('error', (error) => fail(malformed(error)));
    form.on('finish', () => void Promise.resolve(writing).then((file) => failed || resolve({ fields, file }), fail));
    body.on('error', (error) => fail(malformed(error)));
    body.once('close', () => body.readableEnded || fail(malformed(new Error('the sender went away'))));
    body.pipe(form);
  });

/** Reads a multipart form with one file into `dir`, which is gone again when that fails. @throws HttpProblem 400, 413, 422 */
export const receiveUpload = async (
  body: Readable,
  headers: IncomingHttpHeaders,
  dir: string,
  signal: AbortSignal,
): Promise<Upload> => {
  await mkdir(dir, { recursive: true, mode: 0o700 });
  try {
    const { fields, file } = await readParts(body, headers, dir, signal);
    if (!file) {
      const detail = { zh: '表单中没有文件;请以 file 字段附上', en: 'the form carries no file; attach one as the field "file"' };
      throw new HttpProblem(422, 'missing-field', detail, { errors: [{ code: 'missing-field', detail, pointer: '/file' }] });
    }
    const digest = createHash('sha256')
      .update(file.digest)
      .update(JSON.stringify(Object.entries(fields).sort()))
      .digest('hex');
    return { ...file, digest, fields };
  } catch (error) {
    await rm(dir, { recursive: true, force: true });
    throw error;
  }
};
