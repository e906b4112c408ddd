import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createLogger, readConfig } from '@vigil/platform';
import { freshDatabase } from '@vigil/testing';
import { startServer, type Server } from './index';

export type Json = Record<string, any>; // eslint-disable-line @typescript-eslint/no-explicit-any -- answers of any shape; what is read of them is asserted
type Headers = Readonly<Record<string, string>>;

export interface Sent {
  readonly status: number;
  readonly headers: Response['headers'];
  readonly json: Json;
}

/** A server on a port, a database and a folder of its own, and how a caller speaks with it. Paths are those below `/api/v1`. */
export interface Served {
  readonly server: Server;
  readonly databaseUrl: string;
  send(method: string, path: string, body?: unknown, headers?: Headers): Promise<Sent>;
  /** Reads what was written: waits until the read models hold it. */
  get(path: string, headers?: Headers): Promise<Sent>;
  /** What was made. @throws with the answer, unless it says 201. */
  post(path: string, body?: unknown, headers?: Headers): Promise<Json>;
  /** A command to an existing file at the revision that GET shows. @throws as post */
  command(file: string, path: string, body: unknown): Promise<Json>;
  close(): Promise<void>;
}

export const served = async (name: string, environment: Headers = {}): Promise<Served> => {
  const database = await freshDatabase();
  const folder = await mkdtemp(join(tmpdir(), `vigil-${name}-`));
  const read = readConfig({ DATABASE_URL: database.url, VIGIL_DATA_DIR: folder, PORT: '0', ...environment });
  if (!read.ok) throw new Error(JSON.stringify(read.faults));
  const server = await startServer(read.value, { port: 0, logger: createLogger({ level: 'silent', program: 'serve' }) });
  const send: Served['send'] = async (method, path, body, headers = {}) => {
    const response = await fetch(`${server.url}/api/v1${path}`, {
      method,
      ...(body !== undefined && { body: typeof body === 'string' ? body : JSON.stringify(body) }),
      headers: { ...(body !== undefined && { 'content-type': 'application/json' }), ...headers },
    });
    return { status: response.status, headers: response.headers, json: (await response.json()) as Json };
  };
  const get: Served['get'] = (path, headers = {}) => send('GET', path, undefined, { prefer: 'wait=30', ...headers });
  const post: Served['post'] = async (path, body = {}, headers = {}) => {
    const { status, json } = await send('POST', path, body, headers);
    if (status !== 201) throw new Error(`${path}: ${status} ${JSON.stringify(json)}`);
    return json;
  };
  return {
    ...{ server, databaseUrl: database.url, send, get, post },
    command: async (file, path, body) => {
      const { headers } = await get(file);
      return post(`${file}/${path}`, body, { 'if-match': headers.get('etag')! });
    },
    close: async () => {
      await server.close();
      await database.drop();
      await rm(folder, { recursive: true, force: true });
    },
  };
};
