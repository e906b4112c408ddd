import { once } from 'node:events';
import { createServer, connect as dial, type AddressInfo, type Socket } from 'node:net';

/** What the link does to bytes from now on. */
export type LinkMode =
  | { readonly kind: 'pass' }
  /** Both ways, milliseconds each. */
  | { readonly kind: 'latency'; readonly ms: number }
  /**
   * Connections are accepted, bytes swallowed both ways, nothing is ever closed. A connection that lost bytes stays dead after
   * the link has healed: its two ends would no longer understand each other.
   */
  | { readonly kind: 'black-hole' }
  /** Each way of each connection. */
  | { readonly kind: 'throttle'; readonly bytesPerSecond: number };

export interface Target {
  readonly host: string;
  readonly port: number;
}

export interface TcpProxy {
  readonly host: string;
  readonly port: number;
  /** Connections that are open on the client's side. */
  readonly open: number;
  /** Bytes that reached the other end, and bytes that were swallowed. */
  readonly bytes: { readonly passed: number; readonly swallowed: number };
  /** Takes effect at once, on open connections too. */
  set(mode: LinkMode): void;
  /** Where connections made from now on lead: a server that came back on another port. */
  retarget(target: Target): void;
  /** Resets every open connection at both ends. */
  cut(): void;
  /** Ends the sending side towards one end (FIN) and leaves the other way open. */
  halfClose(towards: 'client' | 'server'): void;
  close(): Promise<void>;
}

/** Most that waits on one way of a connection; beyond it the sender is held back, as by a full window. */
const WINDOW = 1 << 20;
/** A throttled link sends this often, ms. */
const TICK = 20;

/** A link of this machine's loopback that can be spoilt while it is in use. */
export const startTcpProxy = async (to: Target): Promise<TcpProxy> => {
  let target = to;
  let mode: LinkMode = { kind: 'pass' };
  const bytes = { passed: 0, swallowed: 0 };
  const links = new Set<Link>();

  interface Link {
    readonly client: Socket;
    readonly server: Socket;
    dead: boolean;
  }

  const lane = (link: Link, from: Socket, into: Socket): void => {
    const queue: { readonly chunk: Buffer; readonly due: number }[] = [];
    let [waiting, ended] = [0, false];
    let timer: NodeJS.Timeout | undefined;
    const pump = (): void => {
      timer = undefined;
      let budget = mode.kind === 'throttle' ? Math.max(1, Math.round((mode.bytesPerSecond * TICK) / 1000)) : Infinity;
      while (queue.length > 0 && budget > 0) {
        const { chunk, due } = queue[0]!;
        const early = due - performance.now();
        if (early > 0.5) return again(early);
        queue.shift();
        const now = chunk.subarray(0, Math.min(chunk.length, budget));
        if (now.length < chunk.length) queue.unshift({ chunk: chunk.subarray(now.length), due });
        budget -= now.length;
        waiting -= now.length;
        if (link.dead) bytes.swallowed += now.length;
        else if (into.writable) {
          into.write(now);
          bytes.passed += now.length;
        }
      }
      if (waiting < WINDOW && from.isPaused()) from.resume();
      if (queue.length > 0) again(TICK);
      else if (ended && !link.dead) into.end();
    };
    const again = (ms: number): void => void (timer ??= setTimeout(pump, ms));
    from.on('data', (chunk: Buffer) => {
      if (mode.kind === 'black-hole') link.dead = true;
      queue.push({ chunk, due: performance.now() + (mode.kind === 'latency' ? mode.ms : 0) });
      waiting += chunk.length;
      if (waiting >= WINDOW) from.pause();
      if (timer === undefined) pump();
    });
    from.on('end', () => {
      ended = true;
      if (mode.kind === 'black-hole') link.dead = true;
      if (timer === undefined) pump();
    });
    from.on('close', () => clearTimeout(timer));
  };

  const server = createServer({ allowHalfOpen: true, noDelay: true }, (client) => {
    const link: Link = {
      client,
      server: dial({ ...target, allowHalfOpen: true, noDelay: true }),
      dead: mode.kind === 'black-hole',
    };
    links.add(link);
    const drop = (other: Socket) => (): void => {
      // In a black hole nobody hears of the other's end.
      if (!link.dead && mode.kind !== 'black-hole') other.destroy();
      if (client.destroyed) {
        links.delete(link);
        link.server.destroy();
      }
    };
    for (const [one, other] of [
      [client, link.server],
      [link.server, client],
    ] as const) {
      one.on('error', () => undefined); // its close follows
      one.on('close', drop(other));
      lane(link, one, other);
    }
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');

  return {
    host: '127.0.0.1',
    port: (server.address() as AddressInfo).port,
    get open() {
      return links.size;
    },
    bytes,
    set: (next) => void (mode = next),
    retarget: (next) => void (target = next),
    cut: () => {
      for (const { client, server: far } of links) {
        client.resetAndDestroy();
        far.resetAndDestroy();
      }
    },
    halfClose: (towards) => {
      for (const link of links) (towards === 'client' ? link.client : link.server).end();
    },
    close: async () => {
      for (const { client, server: far } of links) {
        client.destroy();
        far.destroy();
      }
      server.close();
      await once(server, 'close');
    },
  };
};
