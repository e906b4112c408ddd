import { hash } from 'node:crypto';

/** Separates the parts of a name; refused inside parts, so that ('a','b c') and ('a b','c') can't collide. */
const SEPARATOR = '\u001f';

const asUuid = (hex: string, at = 0): string =>
  // RFC 9562 version 8 (vendor defined), variant 10: 122 bits of SHA-256 remain.
  `${hex.slice(at, at + 8)}-${hex.slice(at + 8, at + 12)}-8${hex.slice(at + 13, at + 16)}-8${hex.slice(at + 17, at + 20)}-${hex.slice(at + 20, at + 32)}`;

/**
 * The same parts give the same UUID for ever: how a feed's record finds its stream and a repeated
 * message its first copy. Parts are case-sensitive and must not contain U+001F.
 */
export const deterministicId = (...parts: readonly string[]): string => {
  for (const part of parts) if (part.includes(SEPARATOR)) throw new RangeError('an id part contains U+001F');
  return asUuid(hash('sha256', parts.join(SEPARATOR), 'hex'));
};

/** 128 bits of SHA-256 over bytes or text, written as a UUID so that PostgreSQL stores sixteen bytes. */
export const fingerprint = (content: string | Uint8Array): string => asUuid(hash('sha256', content, 'hex'));

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/;
/** Lower-case UUID text of any version. */
export const isUuid = (text: string): boolean => UUID.test(text);
