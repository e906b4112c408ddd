import { deterministicId, fingerprint, type Problem } from '@vigil/vocabulary';
import { isIdentityName } from '../identity';
import { MOST_LINE, parseJson } from '../push/body';
import { pointerOf } from '../problems';

/** Where a refused record stood. */
export interface Origin {
  readonly topic: string;
  readonly partition: number;
  readonly offset: bigint;
}

/** A refused record, kept so that a person can mend it. */
export interface DeadLetter {
  /** Of origin and content: a record that is delivered again is the same letter. */
  readonly id: string;
  readonly feed: string;
  readonly origin: Origin;
  /** The record's key where it is text. */
  readonly key: string | null;
  /** The sender's event id where it could be made out. */
  readonly eventId: string | null;
  readonly problem: Problem;
  /** Of the event as JSON where it could be made out, else of the record's value. */
  readonly bytes: number;
  /** SHA-256 of the same, hex. */
  readonly sha256: string;
  /** What came, without identities; null when it is withheld. */
  readonly payload: Uint8Array | null;
  readonly withheld?: 'identity' | 'too-large';
  /** JSON pointers of what was taken out of it. */
  readonly removed: readonly string[];
}

/** Pointers named of one letter; a hostile event has a hundred thousand such fields. */
const MOST_REMOVED = 50;

/** Deeper than any event may nest; beyond it nobody can say what is in it. */
const MOST_DEPTH = 80;

/** A copy without the fields that identities stand in, and where they were. Undefined: nested too deep to be looked through. */
const withoutIdentities = (root: unknown): { readonly value: unknown; readonly removed: string[] } | undefined => {
  const removed: string[] = [];
  const copy = (value: unknown, path: readonly string[]): unknown => {
    if (typeof value !== 'object' || value === null) return value;
    if (path.length > MOST_DEPTH) throw new RangeError('too deep');
    if (Array.isArray(value)) return value.map((each, index) => copy(each, [...path, String(index)]));
    const kept: [string, unknown][] = [];
    for (const [name, each] of Object.entries(value)) {
      if (isIdentityName(name)) removed.push(pointerOf([...path, name.slice(0, 100).toWellFormed()]));
      else kept.push([name, copy(each, [...path, name])]);
    }
    return Object.fromEntries(kept);
  };
  try {
    return { value: copy(root, []), removed };
  } catch {
    return undefined;
  }
};

/** Whether text that is no JSON seems to hold an identity: a field's name, or a number as citizens and telephones have. */
const seemsToIdentify = (text: string): boolean => {
  if (/(?<!\d)\d{17}[\dXx](?!\d)|(?<!\d)1[3-9]\d{9}(?!\d)/.test(text)) return true;
  for (const [, name] of text.matchAll(/["']?([\p{L}\p{N}_\-. ]{2,60})["']?\s*[:=]/gu))
    if (isIdentityName(name!.trim())) return true;
  return /姓名|身份证|证件号|护照|电话|手机|住址/.test(text);
};

const sha256 = async (bytes: Uint8Array): Promise<string> =>
  Buffer.from(await crypto.subtle.digest('SHA-256', bytes as Uint8Array<ArrayBuffer>)).toString('hex');

/** A problem quotes the value it is about, which isn't kept where identities were found. */
const unquoted = ({ value: _value, ...problem }: Problem): Problem => problem;

const NOTHING = new Uint8Array();
const CONTROL = /[\u0000-\u001f\u007f\ufffd]/;

export interface Refused {
  readonly feed: string;
  readonly origin: Origin;
  readonly key: Uint8Array | null;
  /** The event as JSON where it could be made out, else the record's value. */
  readonly content: Uint8Array | null;
  readonly eventId: string | null;
  readonly problem: Problem;
}

/**
 * What may be kept of a refused record. Identities have no place in files and topics, refused or not: fields in which they stand are
 * taken out, and what can't be looked through is withheld when it seems to hold one. The record itself stays where it came from.
 */
export const letterOf = async ({ feed, origin, key, content, eventId, problem }: Refused): Promise<DeadLetter> => {
  const came = content ?? NOTHING;
  const keyText = key === null ? null : Buffer.from(key).toString('utf8');
  const base = {
    id: deterministicId('dead-letter', origin.topic, String(origin.partition), String(origin.offset), fingerprint(came)),
    feed,
    origin,
    key: keyText === null || keyText.length > 256 || CONTROL.test(keyText) ? null : keyText,
    eventId: eventId === null || CONTROL.test(eventId) ? null : eventId,
    problem,
    bytes: came.length,
    sha256: await sha256(came),
    removed: [],
  };
  if (came.length > MOST_LINE) return { ...base, payload: null, withheld: 'too-large' };
  const parsed = parseJson(came);
  if (!parsed.ok)
    return seemsToIdentify(Buffer.from(came).toString('utf8'))
      ? { ...base, problem: unquoted(problem), payload: null, withheld: 'identity' }
      : { ...base, payload: came };
  const clean = withoutIdentities(parsed.value);
  if (!clean) return { ...base, problem: unquoted(problem), payload: null, withheld: 'identity' };
  if (clean.removed.length === 0) return { ...base, payload: came };
  return {
    ...base,
    problem: unquoted(problem),
    payload: Buffer.from(JSON.stringify(clean.value)),
    removed: clean.removed.slice(0, MOST_REMOVED),
  };
};
