import type { Text } from '@vigil/vocabulary';
import type { Position, RecordedEvent } from '../event-log';
import { LineTooLong } from '../lines';
import { createChain, eventDigest } from './digest';
import { isSigned, lineHash, markAt, markOf, NO_LINE, parseHead, readHeadLines, type Head } from './heads';
import { publishedKeys, type PublicKeys } from './keys';

export interface VerifyOptions {
  /** The log from its first event on, in order, page by page. */
  readonly pages: AsyncIterable<readonly RecordedEvent[]>;
  /** Folder of `heads.ndjson`. */
  readonly heads: string;
  /** Keys to believe; default those that lie beside the heads, which proves less. */
  readonly keys?: PublicKeys;
  /** The log was moved from another store: its positions may differ from the sealed ones. */
  readonly moved?: boolean;
  /** Called after each head. */
  readonly progress?: (events: number) => void;
}

export type BreachKind =
  /** Of the log. */
  | 'edited'
  | 'missing'
  | 'inserted'
  | 'reordered'
  | 'renumbered'
  | 'tail-cut'
  /** Of the heads: from here on nothing is proven. */
  | 'head-unreadable'
  | 'head-out-of-line'
  | 'head-unknown-key'
  | 'head-signature';

export interface Breach {
  readonly kind: BreachKind;
  /** The first position that isn't as it was sealed, or isn't proven; null where the log ends before it. */
  readonly position: string | null;
  /** Its number in the log, from 1. */
  readonly event: number;
  /** Line of the heads file, from 1. */
  readonly line: number;
  readonly detail: Text;
}

export interface Verification {
  /** Events that are as they were sealed, before the breach if there is one. */
  readonly verified: number;
  /** Of the last of them; null of none. */
  readonly position: string | null;
  readonly heads: number;
  /** When the last head that agrees was made. */
  readonly sealedAt: string | null;
  /** Events after the last head: nothing is proven of them. Null when a breach came before. */
  readonly unsealed: number | null;
  /** The chain over all events read, hex; equal digests mean equal logs, whatever the store. Null when a breach came before. */
  readonly digest: string | null;
  /** Ids of the keys that the heads are signed with, in order. */
  readonly keys: readonly string[];
  readonly breach?: Breach;
}

/**
 * Compares a log with its heads, event by event, up to the first breach. Holds a few blocks at a time.
 * @throws what `pages` throws, and faults of the file system other than a folder that isn't there
 */
export const verifyLog = async ({ pages, heads, keys, moved = false, progress }: VerifyOptions): Promise<Verification> => {
  const known = keys ?? (await publishedKeys(heads).catch((): PublicKeys => new Map()));
  const log = cursor(pages);
  const lines = readHeadLines(heads);
  const chain = createChain();
  const used = new Set<string>();
  let verified = 0;
  let position: Position | undefined;
  let before: { readonly head: Head; readonly line: string } | undefined;

  const result = (unsealed: number | null, breach?: Breach): Verification => ({
    verified,
    position: position?.toString() ?? null,
    heads: before ? before.head.sequence + 1 : 0,
    sealedAt: before?.head.at ?? null,
    unsealed,
    digest: breach ? null : chain.head.toString('hex'),
    keys: [...used],
    ...(breach && { breach }),
  });
  const broken = (kind: BreachKind, at: Position | undefined): Verification => {
    const [line, event] = [(before?.head.sequence ?? -1) + 2, verified + 1];
    return result(null, { kind, position: at?.toString() ?? null, event, line, detail: WORDS[kind](String(at ?? '?'), line) });
  };

  try {
    for (;;) {
      const { done, value: line } = await lines.next();
      if (done) break;
      const head = parseHead(line);
      const fault = head ? headFault(head, line, before, known) : 'head-unreadable';
      if (!head || fault) return broken(fault ?? 'head-unreadable', (await log.take(1))[0]?.position ?? head?.positions[0]);
      const events = await log.take(head.positions.length);
      events.forEach(chain.add);
      const agrees =
        chain.head.toString('hex') === head.hash &&
        (moved || head.positions.every((at, index) => at === events[index]!.position));
      if (!agrees) {
        const following = await lines.next().then(
          (next) => (next.done ? undefined : parseHead(next.value)),
          () => undefined,
        );
        const more = await log.take((following?.positions.length ?? 0) + 1);
        const found = await locate(head, following, [...events, ...more], moved, (mark) => isSealed(heads, mark));
        verified += found.index;
        position = events[found.index - 1]?.position ?? position;
        return broken(found.kind, found.position);
      }
      used.add(head.key);
      verified += events.length;
      position = events.at(-1)!.position;
      before = { head, line };
      progress?.(verified);
    }
    let unsealed = 0;
    for (let events = await log.take(1_000); events.length > 0; events = await log.take(1_000)) {
      events.forEach(chain.add);
      unsealed += events.length;
      progress?.(verified + unsealed);
    }
    return result(unsealed);
  } catch (error) {
    if (error instanceof LineTooLong) return broken('head-unreadable', (await log.take(1))[0]?.position);
    throw error;
  } finally {
    await lines.return();
    await log.end();
  }
};

/** Takes events from pages in any numbers. */
const cursor = (pages: AsyncIterable<readonly RecordedEvent[]>) => {
  const source = pages[Symbol.asyncIterator]();
  let held: readonly RecordedEvent[] = [];
  return {
    /** The next `count` events; fewer only where the log ends. */
    take: async (count: number): Promise<readonly RecordedEvent[]> => {
      while (held.length < count) {
        const next = await source.next();
        if (next.done) break;
        held = held.length === 0 ? next.value : [...held, ...next.value];
      }
      const taken = held.slice(0, count);
      held = held.slice(count);
      return taken;
    },
    end: async (): Promise<void> => void (await source.return?.()),
  };
};

const headFault = (
  head: Head,
  line: string,
  before: { readonly head: Head; readonly line: string } | undefined,
  keys: PublicKeys,
): BreachKind | undefined => {
  const signed = isSigned(line, head, keys);
  if (!signed) return signed === undefined ? 'head-unknown-key' : 'head-signature';
  const follows =
    head.sequence === (before ? before.head.sequence + 1 : 0) &&
    head.previous === (before ? lineHash(before.line) : NO_LINE) &&
    head.events === (before?.head.events ?? 0) + head.positions.length &&
    (!before || head.positions[0]! > before.head.positions.at(-1)!);
  return follows ? undefined : 'head-out-of-line';
};

interface Slot {
  readonly position: Position;
  readonly mark: string;
}
const sealedSlots = (head: Head): Slot[] =>
  head.positions.map((position, index) => ({ position, mark: markAt(head, index).toString('hex') }));

interface Located {
  readonly kind: BreachKind;
  /** In the head's block. */
  readonly index: number;
  readonly position: Position;
}

/** Finds where a block first differs from what its head sealed, and what happened there. */
const locate = async (
  head: Head,
  following: Head | undefined,
  events: readonly RecordedEvent[],
  moved: boolean,
  isSealedElsewhere: (mark: string) => Promise<boolean>,
): Promise<Located> => {
  const sealed = [head, ...(following ? [following] : [])].flatMap(sealedSlots);
  const actual: Slot[] = events.map((event) => ({
    position: event.position,
    mark: markOf(eventDigest(event)).toString('hex'),
  }));
  const index = head.positions.findIndex((at, n) => actual[n]?.mark !== sealed[n]!.mark || (!moved && actual[n].position !== at));
  // All marks agree and the hash doesn't: a digest was forged to the length of a mark. It is in this block; where, nobody can say.
  if (index < 0) return { kind: 'edited', index: 0, position: head.positions[0]! };
  const wanted = sealed[index]!;
  const here = actual[index];
  const found = (kind: BreachKind, position: Position): Located => ({ kind, index, position });
  if (!here) return found('tail-cut', wanted.position);
  const first = moved || here.position < wanted.position ? here.position : wanted.position;
  if (here.mark === wanted.mark) return found('renumbered', wanted.position);
  const comes = actual.some(({ mark }, n) => n > index && mark === wanted.mark);
  const belongsLater = sealed.some(({ mark }, n) => n > index && mark === here.mark);
  if (comes && belongsLater) return found('reordered', first);
  if (belongsLater) return found('missing', moved ? here.position : wanted.position);
  if (await isSealedElsewhere(here.mark)) return found('reordered', first);
  if (comes) return found('inserted', here.position);
  if (moved || here.position === wanted.position) return found('edited', here.position);
  return here.position > wanted.position ? found('missing', wanted.position) : found('inserted', here.position);
};

/** Whether any head holds an event of this mark. */
const isSealed = async (heads: string, mark: string): Promise<boolean> => {
  const wanted = Buffer.from(mark, 'hex');
  for await (const line of readHeadLines(heads)) {
    const head = parseHead(line);
    if (head?.positions.some((_, index) => markAt(head, index).equals(wanted))) return true;
  }
  return false;
};

const WORDS: Readonly<Record<BreachKind, (position: string, line: number) => Text>> = {
  edited: (at) => ({ zh: `位置 ${at} 的事件被改动过`, en: `the event at position ${at} was edited` }),
  missing: (at) => ({ zh: `位置 ${at} 的事件不见了`, en: `the event at position ${at} is missing` }),
  inserted: (at) => ({
    zh: `位置 ${at} 的事件是后来插入的`,
    en: `the event at position ${at} was inserted among sealed ones`,
  }),
  reordered: (at) => ({
    zh: `从位置 ${at} 起事件的次序被改变`,
    en: `from position ${at} on events stand in another order`,
  }),
  renumbered: (at) => ({
    zh: `封存于位置 ${at} 的事件换了位置号`,
    en: `the event sealed at position ${at} has another position`,
  }),
  'tail-cut': (at) => ({
    zh: `日志的末尾被截去:从位置 ${at} 起已封存的事件都不见了`,
    en: `the end of the log was cut off: the sealed events from position ${at} on are gone`,
  }),
  'head-unreadable': (at, line) => ({
    zh: `链头文件第 ${line} 行无法读懂;从位置 ${at} 起无从证明`,
    en: `line ${line} of the heads is not a head; from position ${at} on nothing is proven`,
  }),
  'head-out-of-line': (at, line) => ({
    zh: `链头文件第 ${line} 行与上一行不相接;从位置 ${at} 起无从证明`,
    en: `line ${line} of the heads does not follow the one before; from position ${at} on nothing is proven`,
  }),
  'head-unknown-key': (at, line) => ({
    zh: `链头文件第 ${line} 行由未知的密钥签署;从位置 ${at} 起无从证明`,
    en: `line ${line} of the heads is signed with an unknown key; from position ${at} on nothing is proven`,
  }),
  'head-signature': (at, line) => ({
    zh: `链头文件第 ${line} 行的签名不符;从位置 ${at} 起无从证明`,
    en: `the signature of line ${line} of the heads does not match; from position ${at} on nothing is proven`,
  }),
};
