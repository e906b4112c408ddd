import { createServer, type RequestListener } from 'node:http';
import type { AddressInfo } from 'node:net';
import { untilReady, whoAnswers } from './connect';

const answering = async <T>(listener: RequestListener, ask: (url: string) => Promise<T>): Promise<T> => {
  const server = createServer(listener);
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
  try {
    return await ask(`http://127.0.0.1:${(server.address() as AddressInfo).port}`);
  } finally {
    server.closeAllConnections();
    await new Promise((done) => server.close(done));
  }
};
const saying =
  (status: number, body: string): RequestListener =>
  (_, response) => {
    response.statusCode = status;
    response.end(body);
  };

test.each([
  ['a Vigil', 200, '{"status":"ready"}', 'ready'],
  ['a Vigil that starts', 503, '{"status":"starting"}', 'starting'],
  ['another JSON service', 200, '{"hello":1}', 'stranger'],
  ['a web page', 200, '<html></html>', 'stranger'],
  ['a service without the path', 404, '{"status":404}', 'stranger'],
])('%s', async (_, status, body, who) => expect(await answering(saying(status, body), whoAnswers)).toBe(who));

test('nobody', async () => expect(await whoAnswers('http://127.0.0.1:9')).toBe('nobody'));
test('a listener that never answers', async () => expect(await answering(() => undefined, (url) => whoAnswers(url, 50))).toBe('stranger')); // prettier-ignore

test('waits for a Vigil that is starting', async () => {
  let asked = 0;
  const starting: RequestListener = (request, response) => saying(++asked < 4 ? 503 : 200, '{"status":"x"}')(request, response);
  expect(await answering(starting, (url) => untilReady(url))).toBe('ready');
  expect(asked).toBe(4);
});
