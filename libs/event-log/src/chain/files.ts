import { open } from 'node:fs/promises';
import type { Text } from '@vigil/vocabulary';

/** The heads' folder or the signing key can't be read or written. May pass: a full disk is emptied, a folder mounted again. */
export class HeadsUnusable extends Error {
  override readonly name = 'HeadsUnusable';
  constructor(
    readonly detail: Text,
    options?: ErrorOptions,
  ) {
    super(detail.en, options);
  }
}

/** What went wrong with `path`, in words; says nothing of what the file holds. */
export const fileFault = (error: unknown, path: string): HeadsUnusable => {
  if (error instanceof HeadsUnusable) return error;
  const { code } = error as NodeJS.ErrnoException;
  const why: Text =
    code === 'ENOSPC' || code === 'EDQUOT'
      ? { zh: '磁盘空间不足', en: 'no space left' }
      : code === 'EACCES' || code === 'EPERM' || code === 'EROFS'
        ? { zh: '没有权限', en: 'not permitted' }
        : code === 'ENOENT'
          ? { zh: '不存在', en: 'not there' }
          : { zh: code ?? '内容不是有效的密钥', en: code ?? 'not a valid key' };
  return new HeadsUnusable({ zh: `${path} 无法使用:${why.zh}`, en: `${path} can't be used: ${why.en}` }, { cause: error });
};

/** Makes a new name in a folder durable; where folders can't be opened the system sees to it itself. */
export const syncFolder = async (folder: string): Promise<void> => {
  const handle = await open(folder, 'r').catch(() => undefined);
  await handle?.sync().catch(() => undefined);
  await handle?.close();
};
