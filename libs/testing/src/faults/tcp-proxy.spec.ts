import { once } from 'node:events';
import { connect, createServer, type AddressInfo, type Server, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { startTcpProxy, type TcpProxy } from './tcp-proxy';

let proxy: TcpProxy;
let server: Server;
let accepted: Socket[];
let clients: Socket[];

/** A server that answers every chunk with itself, prefixed. */
const echo = async (prefix: string): Promise<Server> => {
  const made = createServer({ allowHalfOpen: true }, (socket) => {
    accepted.push(socket);
    socket.on('error', () => undefined);
    socket.on('data', (chunk) => socket.write(`${prefix}${chunk.toString()}`));
  });
  made.listen(0, '127.0.0.1');
  await once(made, 'listening');
  return made;
};
const portOf = (of: Server): number => (of.address() as AddressInfo).port;

beforeEach(async () => {
  [accepted, clients] = [[], []];
  server = await echo('');
  proxy = await startTcpProxy({ host: '127.0.0.1', port: portOf(server) });
});
afterEach(async () => {
  for (const socket of [...clients, ...accepted]) socket.destroy();
  await proxy.close();
  server.close();
});

interface Client {
  readonly socket: Socket;
  said(): string;
  /** Sends and waits for as much as is due; the milliseconds that took. */
  ask(text: string, due?: number): Promise<number>;
}
const client = async (): Promise<Client> => {
  const socket = connect({ port: proxy.port, host: proxy.host, allowHalfOpen: true });
  clients.push(socket);
  socket.on('error', () => undefined);
  let text = '';
  socket.on('data', (chunk: Buffer) => (text += chunk.toString()));
  await once(socket, 'connect');
  return {
    socket,
    said: () => text,
    ask: async (question, due = question.length) => {
      const [began, until] = [performance.now(), text.length + due];
      socket.write(question);
      while (text.length < until && performance.now() < began + 5_000) await sleep(2);
      return performance.now() - began;
    },
  };
};

test('passes bytes both ways, a megabyte whole', async () => {
  const one = await client();
  await one.ask('hello');
  expect(one.said()).toBe('hello');
  const big = 'x'.repeat(1 << 20);
  await one.ask(big);
  expect(one.said()).toBe(`hello${big}`);
  expect(proxy.bytes).toEqual({ passed: 2 * (big.length + 5), swallowed: 0 });
});

test('latency delays both ways, of open connections too, and keeps the order', async () => {
  const one = await client();
  await one.ask('a');
  proxy.set({ kind: 'latency', ms: 60 });
  expect(await one.ask('b')).toBeGreaterThan(115);
  one.socket.write('c');
  await sleep(5);
  one.socket.write('d');
  expect(await one.ask('e', 3)).toBeGreaterThan(110);
  proxy.set({ kind: 'pass' });
  expect(await one.ask('f')).toBeLessThan(60);
  expect(one.said()).toBe('abcdef');
});

test('a throttled link sends so many bytes a second', async () => {
  const one = await client();
  proxy.set({ kind: 'throttle', bytesPerSecond: 20_000 });
  const took = await one.ask('x'.repeat(5_000));
  expect(took).toBeGreaterThan(200);
  expect(took).toBeLessThan(2_000);
  expect(one.said().length).toBe(5_000);
});

test('a black hole accepts and swallows, and closes nothing; healed, new connections work and those that lost bytes stay dead', async () => {
  const [lost, idle] = [await client(), await client()];
  await Promise.all([lost.ask('a'), idle.ask('a')]);
  proxy.set({ kind: 'black-hole' });
  const born = await client(); // accepted
  lost.socket.write('b');
  born.socket.write('b');
  accepted[0]!.write('from the server');
  await sleep(150);
  expect([lost.said(), born.said()]).toEqual(['a', '']);
  expect([lost.socket.readyState, born.socket.readyState]).toEqual(['open', 'open']);
  proxy.set({ kind: 'pass' });
  lost.socket.write('c');
  await idle.ask('d');
  await sleep(50);
  expect([lost.said(), born.said(), idle.said()]).toEqual(['a', '', 'ad']);
  const after = await client();
  await after.ask('e');
  expect(after.said()).toBe('e');
  expect(proxy.bytes.swallowed).toBeGreaterThan(0);
});

test('in a black hole the end of one side is not heard at the other', async () => {
  const one = await client();
  await one.ask('a');
  proxy.set({ kind: 'black-hole' });
  accepted[0]!.destroy();
  await sleep(100);
  expect(one.socket.readyState).toBe('open');
});

test('a cut resets both ends', async () => {
  const one = await client();
  await one.ask('a');
  const [reset, closed] = [
    new Promise((resolve) => one.socket.once('error', resolve)),
    new Promise((resolve) => accepted[0]!.once('close', resolve)),
  ];
  proxy.cut();
  expect(await reset).toMatchObject({ code: 'ECONNRESET' });
  await closed;
  while (proxy.open > 0) await sleep(1);
  await (await client()).ask('b'); // the link itself is there
});

test('half-closed, one way ends and the other still carries', async () => {
  const one = await client();
  await one.ask('a');
  const ended = once(accepted[0]!, 'end');
  proxy.halfClose('server');
  await ended;
  accepted[0]!.write('still here');
  await sleep(50);
  expect(one.said()).toBe('astill here');
  const heard = once(one.socket, 'end');
  proxy.halfClose('client');
  await heard;
});

test('an end by one side is passed on', async () => {
  const one = await client();
  await one.ask('a');
  const ended = once(accepted[0]!, 'end');
  one.socket.end();
  await ended;
  accepted[0]!.end('bye');
  await once(one.socket, 'end');
  expect(one.said()).toBe('abye');
});

test('retargeted, new connections lead to the other server; while none is there they are closed', async () => {
  const other = await echo('other ');
  const one = await client();
  await one.ask('a');
  proxy.retarget({ host: '127.0.0.1', port: portOf(other) });
  const two = await client();
  await two.ask('b', 7);
  expect([one.said(), two.said()]).toEqual(['a', 'other b']);
  const gone = portOf(other);
  for (const socket of accepted) socket.destroy();
  other.close();
  await once(other, 'close');
  proxy.retarget({ host: '127.0.0.1', port: gone });
  const three = await client();
  while (!three.socket.readableEnded && !three.socket.destroyed) await sleep(5);
});
