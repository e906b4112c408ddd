import { connect as dial, type Socket } from 'node:net';

/** What the driver hands to its `socket` option. */
interface DriverOptions {
  readonly host: readonly string[];
  readonly port: readonly number[];
  readonly path?: string | false;
}

const NONE = Buffer.alloc(0);
const [SYNC, QUERY, READY, IDLE] = [...'SQZI'].map((letter) => letter.charCodeAt(0)) as [number, number, number, number];
const SSL_REQUEST = 80_877_103;
/** The driver writes in the next turn of the event loop; by then it has noticed. */
const NEXT_TURNS = 20;
/** A transaction whose callback is busy elsewhere hears of the loss at its next statement; this long it is waited for. */
const TRANSACTION_MS = 5_000;

/** Tells the type of each message in a stream of them (one byte, then a length that counts itself) and its first byte. */
const messages = (meets: (type: number, first: number | undefined) => void): ((chunk: Buffer) => void) => {
  let head = NONE;
  let skip = 0;
  let type: number | undefined;
  return (chunk) => {
    for (let at = 0; at < chunk.length; ) {
      if (skip > 0) {
        if (type !== undefined) meets(type, chunk[at]);
        type = undefined;
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
      type = start[from]!;
      skip = start.readInt32BE(from + 1) - 4;
      if (skip === 0) meets(type, undefined);
    }
  };
};

/**
 * Makes the driver's sockets, and stands between them and two faults of postgres 3.4.9.
 *
 * It has no limit for an answer: on a link that swallows packets a statement holds its connection for ever, and with enough of
 * them the whole pool, healed link or not. Here a connection on which an answer is due and no byte has come for `silenceMs`
 * is given up; an idle one owes nothing and stays.
 *
 * And once a connection has closed, it throws from a timer, where nobody can catch it, when a transaction goes on to its next
 * statement or to its ROLLBACK (porsager/postgres#1208). Here it hears of the loss as an error, and of the close only when
 * nothing more can be written.
 *
 * What was under way rejects with CONNECTION_CLOSED or the socket's own error; its outcome is unknown. Inside TLS nothing can
 * be seen, and neither is done.
 */
export const socketsFor = (silenceMs: number): ((options: DriverOptions) => Socket) => {
  let attempt = 0;
  return ({ host, port, path }) => {
    const at = attempt++ % host.length;
    // Not yet connected when the driver gets it: what it writes waits, and a refusal reaches it as any other end.
    const socket = path ? dial(path) : dial({ host: host[at]!, port: port[at]! });
    const emit = socket.emit.bind(socket) as (event: string, ...args: unknown[]) => boolean;
    const write = socket.write.bind(socket) as (...args: unknown[]) => boolean;
    let state: 'new' | 'greeting' | 'ready' | 'lost' = 'new';
    /** Times that the server has yet to say it is ready: for every Sync and Query. The greeting is the connect timeout's affair. */
    let owed = 0;
    let inTransaction = false;
    let due: NodeJS.Timeout | undefined;
    let closing: NodeJS.Timeout | undefined;
    let released = false;
    let close = (): void => void socket.destroy();

    const settle = (): void => {
      clearTimeout(due);
      due = undefined;
    };
    const tell = (): void => {
      emit('error', Object.assign(new Error('the connection to PostgreSQL is lost'), { code: 'CONNECTION_CLOSED' }));
    };
    const closeIn = (ms: number): void => {
      clearTimeout(closing);
      closing = setTimeout(() => {
        released = true;
        close();
      }, ms);
    };
    const lose = (): void => {
      settle();
      state = 'lost';
      if (owed > 0) tell();
      closeIn(inTransaction && owed === 0 ? TRANSACTION_MS : NEXT_TURNS);
    };

    const sent = messages((type) => void (owed += Number(type === SYNC || type === QUERY)));
    const received = messages((type, status) => {
      if (type !== READY) return;
      if (state === 'ready') owed--;
      else state = 'ready';
      inTransaction = status !== IDLE;
    });
    const hear = (answer: Buffer): void => {
      if (state === 'lost') return;
      received(answer);
      if (owed > 0) due?.refresh();
      else settle();
    };

    socket.write = (chunk: Buffer, ...rest: unknown[]) => {
      if (state === 'lost') {
        setImmediate(tell);
        closeIn(NEXT_TURNS);
        return true;
      }
      if (state === 'new') {
        if (chunk.readInt32BE(4) === SSL_REQUEST) {
          socket.write = write;
          socket.emit = emit;
        } else socket.on('data', hear);
        state = 'greeting';
      } else if (state === 'ready') {
        sent(chunk);
        if (silenceMs > 0) due ??= setTimeout(lose, silenceMs);
      }
      return write(chunk, ...rest);
    };
    socket.emit = (event: string | symbol, ...args: unknown[]) => {
      if (event !== 'close' || (state !== 'ready' && state !== 'lost')) return emit(event as string, ...args);
      close = () => void emit('close', ...args);
      if (state === 'ready') lose();
      else if (released) close();
      return true;
    };
    return socket;
  };
};
