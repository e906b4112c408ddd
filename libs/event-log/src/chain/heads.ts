import { hash, verify } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { join } from 'node:path';
import { position, type Position } from '../event-log';
import { readLines } from '../lines';
import type { PublicKeys, SigningKey } from './keys';

/** Most events of one head. */
export const HEAD_EVENTS = 1_000;
/** Bytes kept of each event's digest: enough to find the event by. Proof is the head's whole hash alone. */
export const MARK_BYTES = 8;

/** What the log held at one place, signed: one line of `heads.ndjson`. */
export interface Head {
  /** From 0; the line's number less one. */
  readonly sequence: number;
  /** In the log, up to and with this head's last event. */
  readonly events: number;
  /** Of this head's events, in order. */
  readonly positions: readonly Position[];
  /** The chain's value after the last of them, hex. */
  readonly hash: string;
  /** SHA-256 of the line before, hex; zeros for the first. */
  readonly previous: string;
  /** When it was sealed, UTC. */
  readonly at: string;
  /** Id of the key it is signed with. */
  readonly key: string;
  /** The first {@link MARK_BYTES} bytes of each event's digest. */
  readonly marks: Buffer;
}

/** Of the line before the first. */
export const NO_LINE = '0'.repeat(64);
const SIGNED_TAG = 'vigil.head.1\n';
const SIGNATURE = /,"signature":"([A-Za-z0-9+/]{86}==)"\}$/;
/** A line of a thousand marks and steps has about 30 KB. */
const MOST_LINE_BYTES = 1 << 20;

export const headsFile = (folder: string): string => join(folder, 'heads.ndjson');
export const lineHash = (line: string): string => hash('sha256', line, 'hex');
export const markOf = (digest: Buffer): Buffer => digest.subarray(0, MARK_BYTES);
export const markAt = ({ marks }: Head, index: number): Buffer => marks.subarray(index * MARK_BYTES, (index + 1) * MARK_BYTES);

/** The line of a head, signed, without line feed. */
export const writeHead = (head: Omit<Head, 'key'>, key: SigningKey): string => {
  const { positions } = head;
  const steps = positions.slice(1).map((at, index) => Number(at - positions[index]!));
  const body = JSON.stringify({
    vigil: 'log-head',
    format: 1,
    sequence: head.sequence,
    events: head.events,
    from: positions[0]!.toString(),
    to: positions.at(-1)!.toString(),
    head: head.hash,
    previous: head.previous,
    at: head.at,
    key: key.id,
    digests: head.marks.toString('base64'),
    ...(steps.some((step) => step !== 1) && { steps }),
  });
  return `${body.slice(0, -1)},"signature":"${key.sign(Buffer.from(SIGNED_TAG + body)).toString('base64')}"}`;
};

const isWhole = (value: unknown, least: number): value is number => Number.isSafeInteger(value) && (value as number) >= least;
const isHex = (value: unknown, digits: number): value is string =>
  typeof value === 'string' && value.length === digits && /^[0-9a-f]*$/.test(value);
const isPosition = (value: unknown): value is string => typeof value === 'string' && /^\d{1,20}$/.test(value);

/** A line that is a head of this format; its signature isn't looked at. */
export const parseHead = (line: string): Head | undefined => {
  let read: Record<string, unknown>;
  try {
    read = JSON.parse(line) as Record<string, unknown>;
  } catch {
    return undefined;
  }
  const { vigil, format, sequence, events, from, to, head, previous, at, key, digests, steps } = read ?? {};
  const known =
    vigil === 'log-head' &&
    format === 1 &&
    isWhole(sequence, 0) &&
    isWhole(events, 1) &&
    isPosition(from) &&
    isPosition(to) &&
    isHex(head, 64) &&
    isHex(previous, 64) &&
    typeof at === 'string' &&
    isHex(key, 32) &&
    typeof digests === 'string' &&
    SIGNATURE.test(line);
  if (!known) return undefined;
  const marks = Buffer.from(digests, 'base64');
  const count = marks.length / MARK_BYTES;
  if (!isWhole(count, 1) || count > HEAD_EVENTS) return undefined;
  if (steps !== undefined && !(Array.isArray(steps) && steps.length === count - 1 && steps.every((step) => isWhole(step, 1))))
    return undefined;
  const positions = [position(from)];
  for (let index = 1; index < count; index++)
    positions.push(position(positions[index - 1]! + BigInt((steps as number[] | undefined)?.[index - 1] ?? 1)));
  if (positions.at(-1)!.toString() !== to) return undefined;
  return { sequence, events, positions, hash: head, previous, at, key, marks };
};

/** Whether a line carries its key's signature; undefined when the key isn't known. */
export const isSigned = (line: string, { key }: Head, keys: PublicKeys): boolean | undefined => {
  const publicKey = keys.get(key);
  if (!publicKey) return undefined;
  const body = `${line.replace(SIGNATURE, '')}}`;
  return verify(null, Buffer.from(SIGNED_TAG + body), publicKey, Buffer.from(SIGNATURE.exec(line)![1]!, 'base64'));
};

/** The lines of a heads file in order; a last one that was torn off counts for nothing. Of a file that isn't there, none. */
export async function* readHeadLines(folder: string): AsyncGenerator<string, void> {
  try {
    for await (const { bytes, ended } of readLines(createReadStream(headsFile(folder)), MOST_LINE_BYTES))
      if (ended) yield bytes.toString('utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
  }
}
