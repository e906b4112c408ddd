import { openAsStream } from './upload';
import { EXIT, Failure, type ProblemDocument } from './exit';
import { language, say } from './language';

/** HTTP against one Vigil: api.md's shapes in, values or a `Failure` out. */
export interface Client {
  readonly url: string;
  get<T>(path: string, options?: Options): Promise<T>;
  post<T>(path: string, body: unknown, options?: Options): Promise<T>;
  /** The answer itself, checked for success, for what streams. */
  send(path: string, init: RequestInit & { readonly ms?: number }): Promise<Response>;
  upload<T>(path: string, fields: Readonly<Record<string, string>>, file: string, onBytes?: (sent: number) => void): Promise<T>;
  /** Server-sent events, resumed by Last-Event-ID when the line breaks. */
  events(path: string, signal?: AbortSignal): AsyncIterable<ServerEvent>;
}

export interface Options {
  readonly headers?: Readonly<Record<string, string>>;
  readonly ms?: number;
}

export interface ServerEvent {
  readonly event: string;
  readonly data: string;
  readonly id?: string;
}

const DEADLINE_MS = 120_000;

const failureOf = async (response: Response, url: string): Promise<Failure> => {
  const text = await response.text().catch(() => '');
  const problem = parseProblem(text);
  const said = problem?.detail ?? problem?.title ?? (text.slice(0, 200).trim() || `${response.status} ${response.statusText}`);
  // 5xx (and 429) are the server's state, not a verdict on what was asked.
  const code = response.status >= 500 || response.status === 429 ? EXIT.unreachable : EXIT.refused;
  return new Failure(code, said, problem ?? { status: response.status, title: response.statusText, detail: `${said} (${url})` });
};

const parseProblem = (text: string): ProblemDocument | undefined => {
  try {
    const value = JSON.parse(text) as unknown;
    return typeof value === 'object' && value !== null ? (value as ProblemDocument) : undefined;
  } catch {
    return undefined;
  }
};

/** What a failed fetch meant; its own message ("fetch failed") says nothing. */
export const unreachable = (url: string, error: unknown): Failure => {
  const cause = (error as { cause?: { code?: string; message?: string } } | undefined)?.cause;
  const timedOut = (error as Error | undefined)?.name === 'TimeoutError';
  const code = cause?.code ?? cause?.message ?? String((error as Error | undefined)?.message ?? error);
  const brokeOff = /^(UND_ERR_SOCKET|ECONNRESET|EPIPE)$/.test(code) || code === 'terminated';
  const why = timedOut
    ? say('超时', 'timed out')
    : code === 'ECONNREFUSED'
      ? say('无人应答;服务可能已停止', 'nothing answers there; the server may have stopped')
      : brokeOff
        ? say('连接中断;服务可能已停止', 'the connection broke off; the server may have stopped')
        : code;
  return new Failure(EXIT.unreachable, say(`无法连接 ${url}(${why})`, `can't reach ${url} (${why})`));
};

export const createClient = (base: string): Client => {
  const url = base.replace(/\/+$/, '');
  const send: Client['send'] = async (path, { ms = DEADLINE_MS, ...init }) => {
    const address = `${url}${path}`;
    let response: Response;
    try {
      response = await fetch(address, {
        ...init,
        headers: {
          'accept-language': language() === 'zh' ? 'zh-CN' : 'en',
          ...(init.headers as Record<string, string> | undefined),
        },
        signal: init.signal ?? AbortSignal.timeout(ms),
      });
    } catch (error) {
      throw init.signal?.aborted ? error : unreachable(url, error);
    }
    if (!response.ok) throw await failureOf(response, address);
    return response;
  };
  const json = async <T>(response: Response): Promise<T> => {
    const text = await response.text();
    try {
      return (text === '' ? {} : JSON.parse(text)) as T;
    } catch {
      throw new Failure(
        EXIT.unreachable,
        say(`${url} 的应答不是 JSON:那里运行的可能不是守安`, `${url} answered something other than JSON: it may be no Vigil`),
      );
    }
  };
  return {
    url,
    send,
    get: async <T>(path: string, { headers, ms }: Options = {}) =>
      json<T>(await send(path, { headers: { accept: 'application/json', ...headers }, ms })),
    post: async <T>(path: string, body: unknown, { headers, ms }: Options = {}) =>
      json<T>(
        await send(path, {
          method: 'POST',
          headers: { accept: 'application/json', 'content-type': 'application/json', ...headers },
          body: typeof body === 'string' ? body : JSON.stringify(body),
          ms,
        }),
      ),
    upload: async <T>(path: string, fields: Readonly<Record<string, string>>, file: string, onBytes?: (sent: number) => void) => {
      const { body, contentType, fault } = openAsStream(fields, file, onBytes);
      const init = {
        method: 'POST',
        headers: { accept: 'application/json', 'content-type': contentType },
        body,
        duplex: 'half',
        ms: 3_600_000,
      };
      try {
        return await json<T>(await send(path, init as RequestInit & { ms: number }));
      } catch (error) {
        throw fault() ?? error;
      }
    },
    events: (path, signal) => followEvents(send, path, signal),
  };
};

/** Frames of `text/event-stream`, whatever the line ends and however the chunks are cut. */
export async function* parseEventStream(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<ServerEvent> {
  const decoder = new TextDecoder();
  let [rest, event, id] = ['', '', undefined as string | undefined];
  let data: string[] = [];
  for await (const chunk of chunks) {
    const lines = (rest + decoder.decode(chunk, { stream: true })).split(/\r\n|\n|\r(?!$)/);
    rest = lines.pop()!;
    for (const line of lines) {
      if (line === '') {
        if (data.length > 0) yield { event: event || 'message', data: data.join('\n'), ...(id !== undefined && { id }) };
        [event, data] = ['', []];
        continue;
      }
      const colon = line.indexOf(':');
      const [field, value] = colon < 0 ? [line, ''] : [line.slice(0, colon), line.slice(colon + 1).replace(/^ /, '')];
      if (field === 'event') event = value;
      else if (field === 'data') data.push(value);
      else if (field === 'id') id = value;
    }
  }
}

const ATTEMPTS = 5;

async function* followEvents(send: Client['send'], path: string, signal?: AbortSignal): AsyncGenerator<ServerEvent> {
  let last: string | undefined;
  for (let attempt = 0; ; attempt++) {
    try {
      const response = await send(path, {
        headers: { accept: 'text/event-stream', ...(last !== undefined && { 'last-event-id': last }) },
        signal: signal ?? new AbortController().signal,
      });
      for await (const event of parseEventStream(response.body as unknown as AsyncIterable<Uint8Array>)) {
        attempt = 0;
        last = event.id ?? last;
        yield event;
      }
      return;
    } catch (error) {
      const refused = error instanceof Failure && error.exitCode === EXIT.refused;
      if (signal?.aborted || refused || attempt >= ATTEMPTS) throw error;
      await new Promise((done) => setTimeout(done, 200 * 2 ** attempt));
    }
  }
}
