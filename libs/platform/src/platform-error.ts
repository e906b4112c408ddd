/** One line each for the person at the keyboard; never carries a password or a record's value. */
export interface Detail {
  readonly zh: string;
  readonly en: string;
}

export type PlatformErrorCode =
  | 'data-folder-in-use'
  | 'data-folder-not-a-folder'
  | 'data-folder-not-writable'
  | 'deadline-exceeded'
  | 'embedded-postgres-failed'
  | 'embedded-postgres-in-use'
  | 'embedded-postgres-unavailable'
  | 'event-store-unavailable'
  | 'foreign-log'
  | 'foreign-postgres-version'
  | 'no-space';

/** A fault of the machine around the engine (disk, process, time). `message` is the English line. */
export class PlatformError extends Error {
  override readonly name = 'PlatformError';

  constructor(
    readonly code: PlatformErrorCode,
    readonly detail: Detail,
    options?: ErrorOptions,
  ) {
    super(detail.en, options);
  }
}

export const systemCode = (error: unknown): string | undefined => (error as NodeJS.ErrnoException | null)?.code;

/** What the operating system said about `path`, as one of our codes; anything unknown is returned as it came. */
export const fileFault = (error: unknown, path: string): unknown => {
  if (error instanceof PlatformError) return error;
  switch (systemCode(error)) {
    case 'EACCES':
    case 'EPERM':
    case 'EROFS':
      return new PlatformError(
        'data-folder-not-writable',
        {
          zh: `数据目录不可写:${path}(请检查权限,或用 VIGIL_DATA_DIR 另指一处)`,
          en: `the data folder can't be written: ${path} (check its permissions, or set VIGIL_DATA_DIR)`,
        },
        { cause: error },
      );
    case 'ENOSPC':
    case 'EDQUOT':
      return noSpace(path, error);
    case 'ENOTDIR':
    case 'EEXIST':
      return new PlatformError(
        'data-folder-not-a-folder',
        { zh: `数据目录不是文件夹:${path}`, en: `the data folder is not a folder: ${path}` },
        { cause: error },
      );
    default:
      return error;
  }
};

export const noSpace = (path: string, cause?: unknown): PlatformError =>
  new PlatformError('no-space', { zh: `磁盘空间不足:${path}`, en: `no space left on the disk that holds ${path}` }, { cause });
