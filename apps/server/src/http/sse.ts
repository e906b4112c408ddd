import { PassThrough, type Readable } from 'node:stream';
import type { Answer, Call } from '../route';
import { unavailable } from './problem';

export interface SseEvent {
  readonly id?: string | number;
  readonly event: string;
  readonly data: unknown;
}

const HEARTBEAT_MS = 15_000;
/** Each open stream costs a socket and a timer. */
const MOST_OPEN = 500;
let open = 0;

const frame = ({ id, event, data }: SseEvent): string =>
  `${id === undefined ? '' : `id: ${id}\n`}event: ${event}\ndata: ${JSON.stringify(data)}\n\n`;

/**
 * Server-sent events from a generator. The generator is asked for the next event only when the client has taken the ones before:
 * a slow client holds up nobody and fills no memory. A comment every 15 s tells proxies and us that the line lives.
 */
export const eventStream = (
  call: Pick<Call, 'signal'>,
  source: (signal: AbortSignal) => AsyncGenerator<SseEvent, void>,
): Answer => {
  if (open >= MOST_OPEN)
    throw unavailable(
      'too-many-streams',
      { zh: '打开的事件流太多;请稍后再试', en: 'too many event streams are open; try again later' },
      10,
    );
  open++;
  const stream = new PassThrough();
  const over = new AbortController();
  const abort = (): void => over.abort();
  call.signal.addEventListener('abort', abort);
  if (call.signal.aborted) abort();
  const beat = setInterval(() => stream.writableNeedDrain || stream.write(': alive\n\n'), HEARTBEAT_MS);
  stream.once('close', abort);
  const pump = async (): Promise<void> => {
    try {
      stream.write(': open\n\n'); // the head leaves at once
      for await (const event of source(over.signal)) {
        if (over.signal.aborted) break;
        if (!stream.write(frame(event))) await drained(stream, over.signal);
      }
    } finally {
      clearInterval(beat);
      call.signal.removeEventListener('abort', abort);
      open--;
      stream.end();
    }
  };
  void pump().catch((error: Error) => stream.destroy(error));
  return {
    status: 200,
    type: 'text/event-stream; charset=utf-8',
    stream: stream as Readable,
    headers: { 'X-Accel-Buffering': 'no' },
  };
};

const drained = (stream: PassThrough, signal: AbortSignal): Promise<void> =>
  new Promise((resolve) => {
    const done = (): void => {
      stream.removeListener('drain', done);
      signal.removeEventListener('abort', done);
      resolve();
    };
    stream.once('drain', done);
    signal.addEventListener('abort', done);
    if (signal.aborted) done();
  });
