import type { FastifyInstance, FastifyRequest } from 'fastify';
import { HttpProblem } from './problem';

/** Most levels of arrays and objects in a body: ours need six; the recursion of everything behind the parser is bounded by it. */
const MAX_DEPTH = 64;

export const JSON_TYPE = /^application\/(?:[\w.-]+\+)?json$/;

const raw = new WeakMap<FastifyRequest, Buffer>();
/** The bytes of a JSON body as they came. */
export const rawBody = (request: FastifyRequest): Buffer => raw.get(request) ?? Buffer.alloc(0);

const utf8 = new TextDecoder('utf-8', { fatal: true });

const malformed = (zh: string, en: string, code = 'malformed-json'): HttpProblem => new HttpProblem(400, code, { zh, en });

/** Whether brackets nest deeper than `most`, told from the bytes: nothing needs building to see it. */
export const tooDeep = (bytes: Uint8Array, most: number): boolean => {
  let depth = 0;
  let quoted = false;
  for (let at = 0; at < bytes.length; at++) {
    const byte = bytes[at]!;
    if (quoted) {
      if (byte === 0x5c) at++;
      else if (byte === 0x22) quoted = false;
    } else if (byte === 0x22) quoted = true;
    else if (byte === 0x5b || byte === 0x7b) {
      if (++depth > most) return true;
    } else if (byte === 0x5d || byte === 0x7d) depth--;
  }
  return false;
};

/** JSON text as a value. @throws HttpProblem 400 */
export const parseJson = (bytes: Buffer): unknown => {
  if (tooDeep(bytes, MAX_DEPTH))
    throw malformed(`JSON 嵌套超过 ${MAX_DEPTH} 层`, `the JSON nests deeper than ${MAX_DEPTH} levels`, 'json-too-deep');
  let text: string;
  try {
    text = utf8.decode(bytes);
  } catch {
    throw malformed('请求体不是有效的 UTF-8', 'the body is not valid UTF-8', 'invalid-utf8');
  }
  try {
    return JSON.parse(text);
  } catch (error) {
    // V8's message quotes the body; only the place is ours to tell.
    const place = /position (\d+)/.exec((error as Error).message)?.[1];
    throw malformed(
      `请求体不是有效的 JSON${place ? `(第 ${place} 个字符处)` : ''}`,
      `the body is not valid JSON${place ? ` (at character ${place})` : ''}`,
    );
  }
};

/** JSON is read whole, within the body limit; NDJSON and multipart are streams that the handler reads. */
export const registerBodyParsers = (instance: FastifyInstance): void => {
  instance.removeAllContentTypeParsers();
  instance.addContentTypeParser(
    /^application\/(?!cloudevents)(?:[\w.-]+\+)?json(?:\s*;|$)/i,
    { parseAs: 'buffer' },
    (request, body, done) => {
      const bytes = body as Buffer;
      const charset = /charset\s*=\s*"?([\w-]+)/i.exec(request.headers['content-type'] ?? '')?.[1]?.toLowerCase();
      try {
        if (charset !== undefined && !/^utf-?8$/.test(charset))
          throw new HttpProblem(415, 'unsupported-charset', {
            zh: `JSON 应为 UTF-8,而非 ${charset}`,
            en: `JSON is UTF-8, not ${charset}`,
          });
        raw.set(request, bytes);
        done(null, bytes.length === 0 ? undefined : parseJson(bytes));
      } catch (error) {
        done(error as Error);
      }
    },
  );
  // The feeds' own reader tells faults of the envelope from faults of one event, and needs the bytes.
  instance.addContentTypeParser(
    /^application\/cloudevents(?:-batch)?\+json(?:\s*;|$)/i,
    { parseAs: 'buffer' },
    (_request, body, done) => done(null, body),
  );
  instance.addContentTypeParser(/^(?:application\/x-ndjson|multipart\/form-data)(?:\s*;|$)/i, (_request, payload, done) =>
    done(null, payload),
  );
};
