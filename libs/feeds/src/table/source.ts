import { constants } from 'node:fs';
import { type FileHandle, open, stat } from 'node:fs/promises';
import { pipeline, Readable } from 'node:stream';
import { constants as zlibConstants, createGunzip } from 'node:zlib';
import { FileFault } from './fault';

/** Bytes asked of the file, and given by the inflater, at a time. */
export const BLOCK = 1 << 16;

/** A file opened for reading several times over. Reads never go past the size it had at opening: a growing file can't be followed for ever. */
export interface Source {
  size: number;
  gzip: boolean;
  /** The file's first bytes as they stand (compressed or not). */
  head: Buffer;
  /** Bytes of the file taken by the last call of `blocks`. */
  taken(): number;
  /**
   * The content, inflated. `lenient`: a gzip file that ends early just ends (all that could be inflated has been given);
   * otherwise that is the fault `cut-file`.
   */
  blocks(lenient: boolean): AsyncGenerator<Buffer, void>;
  /** True when the file is no longer what was opened: another size or time of change. */
  changed(): Promise<boolean>;
  close(): Promise<void>;
}

export interface SourceLimits {
  maxBytesInflated: number;
  signal?: AbortSignal;
}

/**
 * A ratio that no table reaches and a bomb exceeds: real tables shrink 5 to 50 times, deflate ends at 1,032.
 * Asked only past 32 MiB inflated, so that short files of one repeated row are read.
 */
const MAX_RATIO = 200;
const RATIO_FROM = 32 << 20;

const codeOf = (error: unknown): string => String((error as NodeJS.ErrnoException | undefined)?.code ?? '');

const openingFault = (error: unknown): Error => {
  if (error instanceof FileFault) return error;
  switch (codeOf(error)) {
    case 'ENOENT':
    case 'ENOTDIR':
    case 'ENAMETOOLONG':
    case 'ERR_INVALID_ARG_VALUE':
      return new FileFault('not-found', { zh: '找不到该文件', en: 'there is no such file' }, {}, { cause: error });
    default:
      return new FileFault(
        'not-readable',
        { zh: `无法读取该文件（${codeOf(error)}）`, en: `the file can't be read (${codeOf(error)})` },
        {},
        { cause: error },
      );
  }
};

const refuseUnlessFile = (info: { isFile(): boolean; isDirectory(): boolean }): void => {
  if (info.isDirectory())
    throw new FileFault('is-directory', { zh: '这是文件夹，不是文件', en: 'this is a directory, not a file' });
  if (!info.isFile()) {
    throw new FileFault('not-a-regular-file', {
      zh: '这是管道、设备或套接字，不是普通文件',
      en: 'this is a pipe, device or socket, not a regular file',
    });
  }
};

const openFile = async (path: string): Promise<FileHandle> => {
  try {
    // Asked before opening, because opening a named pipe waits for its writer; O_NONBLOCK for one that appears in between.
    refuseUnlessFile(await stat(path));
    return await open(path, constants.O_RDONLY | (constants.O_NONBLOCK ?? 0));
  } catch (error) {
    throw openingFault(error);
  }
};

export const openSource = async (path: string, { maxBytesInflated, signal }: SourceLimits): Promise<Source> => {
  signal?.throwIfAborted();
  const handle = await openFile(path);
  try {
    const before = await handle.stat({ bigint: true });
    refuseUnlessFile(before);
    const size = Number(before.size);
    const read = async (position: number, length: number): Promise<Buffer> => {
      const { bytesRead, buffer } = await handle.read(Buffer.allocUnsafe(length), 0, length, position).catch((error: unknown) => {
        throw openingFault(error);
      });
      return buffer.subarray(0, bytesRead);
    };
    const head = await read(0, Math.min(size, 512) || 1);
    const gzip = head.length >= 2 && head[0] === 0x1f && head[1] === 0x8b;
    let taken = 0;

    async function* plain(): AsyncGenerator<Buffer, void> {
      taken = 0;
      while (taken < size) {
        signal?.throwIfAborted();
        const block = await read(taken, Math.min(BLOCK, size - taken));
        if (block.length === 0) return;
        taken += block.length;
        yield block;
      }
    }

    async function* inflated(lenient: boolean): AsyncGenerator<Buffer, void> {
      const { Z_SYNC_FLUSH, Z_FINISH } = zlibConstants;
      // With Z_FINISH zlib throws the last block away when it finds the file cut; Z_SYNC_FLUSH gives all there is.
      const inflater = createGunzip({ chunkSize: BLOCK, finishFlush: lenient ? Z_SYNC_FLUSH : Z_FINISH });
      pipeline(Readable.from(plain(), { highWaterMark: 1 }), inflater, () => {});
      let total = 0;
      try {
        for await (const block of inflater as AsyncIterable<Buffer>) {
          total += block.length;
          if (total > maxBytesInflated || (total > RATIO_FROM && total > MAX_RATIO * taken)) {
            throw new FileFault('inflates-too-much', {
              zh: `解压后过大：${taken} 字节已展开为 ${total} 字节以上（上限 ${maxBytesInflated} 字节或 ${MAX_RATIO} 倍）`,
              en: `inflates too much: ${taken} bytes gave more than ${total} (limits: ${maxBytesInflated} bytes, ${MAX_RATIO} times)`,
            });
          }
          yield block;
        }
      } catch (error) {
        // Errors of an aborted read come out of the pipeline as they are.
        if (codeOf(error) === 'Z_BUF_ERROR') {
          throw new FileFault('cut-file', { zh: 'gzip 文件不完整', en: 'the gzip file ends early' }, {}, { cause: error });
        }
        if (codeOf(error).startsWith('Z_')) {
          const reason = (error as Error).message;
          throw new FileFault(
            'wrong-gzip',
            { zh: `gzip 数据损坏（${reason}）`, en: `the gzip data is damaged (${reason})` },
            {},
            { cause: error },
          );
        }
        throw error;
      }
    }

    return {
      size,
      gzip,
      head,
      taken: () => taken,
      blocks: (lenient) => (gzip ? inflated(lenient) : plain()),
      changed: async () => {
        const now = await handle.stat({ bigint: true });
        return now.size !== before.size || now.mtimeNs !== before.mtimeNs;
      },
      close: () => handle.close(),
    };
  } catch (error) {
    await handle.close();
    throw error;
  }
};
