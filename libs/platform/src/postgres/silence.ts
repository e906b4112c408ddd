import { connect as dial, type Socket } from 'node:net';

/** What the driver hands to its `socket` option. */
interface DriverOptions {
  readonly host: readonly string[];
  readonly port: readonly number[];
  readonly path?: string | false;
}

const NONE = Buffer.alloc(0);
const [SYNC, QUERY, READY] = ['S', 'Q', 'Z'].map((letter) => letter.charCodeAt(0)) as [number, number, number];
const SSL_REQUEST = 80_877_103;

/** Tells the type of each message in a stream of them: one byte, then a length that counts itself. */
const messages = (meets: (type: number) => void): ((chunk: Buffer) => void) => {
  let head = NONE;
  let skip = 0;
  return (chunk) => {
    for (let at = 0; at < chunk.length; ) {
      if (skip > 0) {
        const step = Math.min(skip, chunk.length - at);
        skip -= step;
        at += step;
        continue;
      }
      let start: Buffer = chunk;
      let from = at;
      if (head.length > 0 || chunk.length - at < 5) {
        const missing = 5 - head.length;
        head = Buffer.concat([head, chunk.subarray(at, at + missing)]);
        at += missing;
        if (head.length < 5) return;
        [start, from, head] = [head, 0, NONE];
      } else at += 5;
      meets(start[from]!);
      skip = start.readInt32BE(from + 1) - 4;
    }
  };
};

/**
 * Makes the driver's sockets, and closes one on which an answer is due and no byte has come for `ms`. The driver has no such
 * limit: on a link that swallows packets a statement would hold its connection for ever, and with enough of them the whole
 * pool, healed link or not. What was under way rejects with CONNECTION_CLOSED; its outcome is unknown.
 * An idle connection owes nothing and stays. Inside TLS nothing can be seen, and nothing is closed.
 */
export const socketsWithin = (ms: number): ((options: DriverOptions) => Socket) => {
  let attempt = 0;
  return ({ host, port, path }) => {
    const at = attempt++ % host.length;
    // Not yet connected when the driver gets it: what it writes waits, and a refusal reaches it as any other end.
    const socket = path ? dial(path) : dial({ host: host[at]!, port: port[at]! });
    /** Times that the server has yet to say it is ready: for every Sync and Query. The greeting is the connect timeout's affair. */
    let owed = 0;
    let state: 'new' | 'greeting' | 'ready' = 'new';
    let due: NodeJS.Timeout | undefined;
    const settle = (): void => {
      clearTimeout(due);
      due = undefined;
    };
    const sent = messages((type) => void (owed += Number(type === SYNC || type === QUERY)));
    const received = messages((type) => {
      if (type !== READY) return;
      if (state === 'ready') owed--;
      state = 'ready';
    });
    // The driver hears of it while it still has a socket to write its ROLLBACK to: without one that write throws from a timer,
    // where nobody can catch it (porsager/postgres#1208).
    const giveUp = (): void => {
      socket.emit('error', Object.assign(new Error(`no answer within ${ms} ms`), { code: 'CONNECTION_CLOSED' }));
      setTimeout(() => socket.destroy(), 20);
    };
    const hear = (answer: Buffer): void => {
      received(answer);
      if (owed > 0) due?.refresh();
      else settle();
    };
    const write = socket.write.bind(socket) as (...args: unknown[]) => boolean;
    socket.write = (chunk: Buffer, ...rest: unknown[]) => {
      if (state === 'new') {
        if (chunk.readInt32BE(4) === SSL_REQUEST) socket.write = write;
        else socket.on('data', hear);
        state = 'greeting';
      }
      if (state === 'ready') {
        sent(chunk);
        due ??= setTimeout(giveUp, ms);
      }
      return write(chunk, ...rest);
    };
    socket.on('close', settle);
    return socket;
  };
};
