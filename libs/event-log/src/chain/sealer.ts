import { mkdir, open, type FileHandle } from 'node:fs/promises';
import type { Text } from '@vigil/vocabulary';
import { START, type EventLog, type Position, type RecordedEvent } from '../event-log';
import { createChain, eventDigest, NO_EVENTS } from './digest';
import { fileFault, HeadsUnusable, syncFolder } from './files';
import { HEAD_EVENTS, headsFile, isSigned, lineHash, markAt, markOf, NO_LINE, parseHead, writeHead, type Head } from './heads';
import { loadSigningKey, publishedKeys, publishKey, type SigningKey } from './keys';

export interface SealerOptions {
  readonly log: Pick<EventLog, 'readAll' | 'head'>;
  /** Where `heads.ndjson` and the public keys are, or are to be. */
  readonly folder: string;
  /** The private key; made on first use. */
  readonly keyFile: string;
  /** Between two looks, ms. */
  readonly everyMs?: number;
  /** Most that closing may take to seal what is left, ms. */
  readonly closeMs?: number;
  /** Called when sealing stops for good, or can't go on for now, once for each reason. */
  readonly onProblem?: (problem: SealProblem) => void;
  readonly now?: () => Date;
}

export interface SealProblem {
  /** `breach`: log and heads contradict each other; nothing is sealed any more. `unusable`: tried again at the next look. */
  readonly kind: 'breach' | 'unusable';
  readonly detail: Text;
}

export interface SealState {
  /** Everything up to here is sealed. */
  readonly position: Position;
  readonly events: number;
  /** Heads in the file. */
  readonly heads: number;
  readonly problem?: SealProblem;
}

export interface Sealer {
  readonly state: SealState;
  /** Looks now, and then on schedule. */
  start(): void;
  /** Seals all that the log holds now, without pauses. */
  sealAll(): Promise<SealState>;
  /** Seals what is left, for `closeMs` at most, and ends. */
  close(): Promise<void>;
}

/** Where the heads end. */
interface End {
  readonly size: number;
  readonly heads: number;
  readonly events: number;
  readonly hash: Buffer;
  /** Hash of the last line. */
  readonly line: string;
  readonly position: Position;
  /** Digest of the last sealed event, to know it again; and the position before it, to read it with what follows. */
  readonly last: Buffer | undefined;
  readonly before: Position;
}

class Breach extends Error {
  constructor(readonly detail: Text) {
    super(detail.en);
  }
}

/** While somebody writes, sealing takes a twentieth of one core's time; else half. */
const PAUSE_WHEN_BUSY = 19;
const PAUSE_WHEN_IDLE = 1;
const TAIL_BYTES = 1 << 16;

/**
 * Follows a log and writes its heads, in blocks of up to a thousand events. A head counts once it is synced to disk. Where the log no
 * longer agrees with the last head, it stops and says so: it never seals over a breach. One sealer per folder.
 */
export const createSealer = (options: SealerOptions): Sealer => {
  const { log, folder, keyFile, everyMs = 10_000, closeMs = 2_000, onProblem, now = () => new Date() } = options;
  let end: End | undefined;
  let key: SigningKey | undefined;
  let problem: SealProblem | undefined;
  let closing = false;
  let timer: NodeJS.Timeout | undefined;
  let wakeUp: (() => void) | undefined;

  const report = (next: SealProblem): void => {
    const known = problem?.kind === next.kind && problem.detail.en === next.detail.en;
    problem = next;
    if (!known) onProblem?.(next);
  };

  const pause = (ms: number): Promise<void> =>
    new Promise((resolve) => {
      const waited = setTimeout(resolve, ms);
      wakeUp = () => (clearTimeout(waited), resolve());
    });

  /** Opens the file, cuts off a line that a crash has torn, and makes sure that the log agrees with the last head. */
  const begin = async (file: FileHandle): Promise<End> => {
    const { tail, size } = await lastLines(file);
    const lines = tail.slice(-2);
    if (lines.length === 0)
      return { size, heads: 0, events: 0, hash: NO_EVENTS, line: NO_LINE, position: START, last: undefined, before: START };
    const heads = lines.map(parseHead);
    const last = heads.at(-1);
    const previous = heads.length > 1 ? heads[0] : undefined;
    const keys = await publishedKeys(folder);
    const sound =
      last !== undefined &&
      (lines.length === 1 ? last.sequence === 0 && last.previous === NO_LINE : last.previous === lineHash(lines[0]!)) &&
      (lines.length === 1 || (previous !== undefined && isSigned(lines[0]!, previous, keys) === true)) &&
      isSigned(lines.at(-1)!, last, keys) === true;
    if (!sound) throw new Breach(badHeads(headsFile(folder)));
    const events = await log.readAll({ after: previous?.positions.at(-1) ?? START, limit: last.positions.length });
    const chain = createChain({ head: previous ? Buffer.from(previous.hash, 'hex') : NO_EVENTS, events: previous?.events ?? 0 });
    const digests = events.map(chain.add);
    const differs = last.positions.findIndex(
      (at, index) => events[index]?.position !== at || !markOf(digests[index]!).equals(markAt(last, index)),
    );
    if (differs >= 0 || chain.head.toString('hex') !== last.hash)
      throw new Breach(logDiffers(last.positions[Math.max(differs, 0)]!));
    return {
      size,
      heads: last.sequence + 1,
      events: last.events,
      hash: chain.head,
      line: lineHash(lines.at(-1)!),
      position: last.positions.at(-1)!,
      last: digests.at(-1)!,
      before: last.positions.at(-2) ?? previous?.positions.at(-1) ?? START,
    };
  };

  /** The next events that aren't sealed, after the last one that is, which must still stand where it stood. */
  const unsealed = async (from: End): Promise<readonly RecordedEvent[]> => {
    if (from.last === undefined) return log.readAll({ after: START, limit: HEAD_EVENTS });
    const [last, ...events] = await log.readAll({ after: from.before, limit: HEAD_EVENTS + 1 });
    if (last?.position !== from.position || !eventDigest(last).equals(from.last)) throw new Breach(logDiffers(from.position));
    return events;
  };

  const seal = async (file: FileHandle, from: End, events: readonly RecordedEvent[], by: SigningKey): Promise<End> => {
    const chain = createChain({ head: from.hash, events: from.events });
    const digests = events.map(chain.add);
    const positions = events.map((event) => event.position);
    const head: Omit<Head, 'key'> = {
      sequence: from.heads,
      events: chain.events,
      positions,
      hash: chain.head.toString('hex'),
      previous: from.line,
      at: now().toISOString(),
      marks: Buffer.concat(digests.map(markOf)),
    };
    const line = writeHead(head, by);
    const { size } = await file.stat();
    if (size !== from.size) throw new Breach(twoWriters(headsFile(folder)));
    const bytes = Buffer.from(`${line}\n`);
    try {
      for (let at = 0; at < bytes.length; ) at += (await file.write(bytes, at, bytes.length - at, from.size + at)).bytesWritten;
      await file.datasync();
    } catch (error) {
      await file.truncate(from.size).catch(() => undefined);
      throw fileFault(error, headsFile(folder));
    }
    return {
      size: from.size + bytes.length,
      heads: from.heads + 1,
      events: chain.events,
      hash: chain.head,
      line: lineHash(line),
      position: positions.at(-1)!,
      last: digests.at(-1)!,
      before: positions.at(-2) ?? from.position,
    };
  };

  /** One look: seals block by block until nothing is left, or `until` has passed. */
  const look = async (paced: boolean, until: number): Promise<void> => {
    if (problem?.kind === 'breach') return;
    let file: FileHandle | undefined;
    try {
      seen = await log.head();
      if (seen !== end?.position) {
        key ??= await loadSigningKey(keyFile);
        file = await openHeads(folder, key);
        end ??= await begin(file);
        for (let more = true; more && performance.now() < until && !(paced && closing); ) {
          const began = performance.now();
          const events = await unsealed(end);
          if (events.length > 0) end = await seal(file, end, events, key);
          more = events.length === HEAD_EVENTS;
          if (paced && more) await pause((performance.now() - began) * ((await isBusy()) ? PAUSE_WHEN_BUSY : PAUSE_WHEN_IDLE));
        }
      }
      problem = undefined;
    } catch (error) {
      if (error instanceof Breach) report({ kind: 'breach', detail: error.detail });
      else if (error instanceof HeadsUnusable) report({ kind: 'unusable', detail: error.detail });
      else report({ kind: 'unusable', detail: logUnread((error as { code?: string }).code) });
    } finally {
      await file?.close().catch(() => undefined);
    }
  };

  /** Whether the log has grown since this was last asked. */
  let seen: Position | undefined;
  const isBusy = async (): Promise<boolean> => {
    const [before, at] = [seen, await log.head()];
    seen = at;
    return before !== at;
  };

  /** Looks never overlap. */
  let looking: Promise<void> = Promise.resolve();
  const next = (paced: boolean, until = Infinity): Promise<void> => (looking = looking.then(() => look(paced, until)));

  const schedule = (ms: number): void => {
    timer = setTimeout(() => void next(true).then(() => closing || schedule(everyMs)), ms).unref();
  };

  const sealer: Sealer = {
    get state() {
      return { position: end?.position ?? START, events: end?.events ?? 0, heads: end?.heads ?? 0, ...(problem && { problem }) };
    },
    start: () => schedule(0),
    sealAll: async () => {
      await next(false);
      return sealer.state;
    },
    close: async () => {
      closing = true;
      clearTimeout(timer);
      wakeUp?.();
      await next(false, performance.now() + closeMs);
    },
  };
  return sealer;
};

/** The file, made on first use, with the key's public half beside it. */
const openHeads = async (folder: string, key: SigningKey): Promise<FileHandle> => {
  const path = headsFile(folder);
  let file: FileHandle | undefined;
  try {
    await mkdir(folder, { recursive: true, mode: 0o700 });
    file = await open(path, 'r+').catch(async (error: NodeJS.ErrnoException) => {
      if (error.code !== 'ENOENT') throw error;
      if ((await publishedKeys(folder)).size > 0) throw new Breach(headsGone(path));
      const made = await open(path, 'wx+', 0o600);
      await syncFolder(folder);
      return made;
    });
    await publishKey(folder, key);
    return file;
  } catch (error) {
    await file?.close();
    throw error instanceof Breach ? error : fileFault(error, path);
  }
};

/** The file's last two lines or fewer. A line that no line feed ends was never counted as written: it is cut off. */
const lastLines = async (file: FileHandle): Promise<{ tail: string[]; size: number }> => {
  let { size } = await file.stat();
  for (let span = TAIL_BYTES; ; span *= 4) {
    const start = Math.max(0, size - span);
    const bytes = Buffer.alloc(size - start);
    for (let at = 0; at < bytes.length; ) {
      const { bytesRead } = await file.read(bytes, at, bytes.length - at, start + at);
      if (bytesRead === 0) break;
      at += bytesRead;
    }
    const whole = bytes.lastIndexOf('\n') + 1;
    const lines = bytes.subarray(0, whole).toString('utf8').split('\n').slice(0, -1);
    if (start > 0 && lines.length < 3) continue; // the first of them begins before
    if (whole < bytes.length) {
      size = start + whole;
      await file.truncate(size);
      await file.datasync();
    }
    return { tail: start > 0 ? lines.slice(1) : lines, size };
  }
};

const HELP: Text = {
  zh: '已停止封存;请运行 vigil verify-log 查明,见 docs/how-to/verify-the-log.md',
  en: 'sealing has stopped; run vigil verify-log to see what happened (docs/how-to/verify-the-log.md)',
};
const badHeads = (file: string): Text => ({
  zh: `${file} 的末尾不是由本系统签署的链头;${HELP.zh}`,
  en: `the end of ${file} is no head that was signed here; ${HELP.en}`,
});
const headsGone = (file: string): Text => ({
  zh: `${file} 不见了,而签署它的公钥还在旁边:链头被删除;${HELP.zh}`,
  en: `${file} is gone, and the keys that it was signed with are still beside it: somebody removed the heads; ${HELP.en}`,
});
const logDiffers = (at: Position): Text => ({
  zh: `日志在位置 ${at} 与已封存的链头不符;${HELP.zh}`,
  en: `the log differs at position ${at} from what was sealed; ${HELP.en}`,
});
const twoWriters = (file: string): Text => ({
  zh: `另有程序在写 ${file};请为每个数据目录另设 VIGIL_HEADS_DIR,再重新启动`,
  en: `another program writes ${file}: give each data folder a VIGIL_HEADS_DIR of its own, then start again`,
});
const logUnread = (code = ''): Text => ({
  zh: `暂时读不到日志,封存稍后继续 ${code}`.trim(),
  en: `the log can't be read for now, sealing goes on later ${code}`.trim(),
});
