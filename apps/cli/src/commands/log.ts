import { withEngine } from '../connect';
import { EXIT, Failure } from '../exit';
import type { Client } from '../http';
import { say } from '../language';
import { readSettings } from '../settings';
import { out } from '../terminal';
import type { JsonOption, Run } from './context';

export interface TailOptions extends JsonOption {
  readonly after?: string;
  readonly limit: string;
  readonly follow?: boolean;
}

/** An event of GET /events. */
export interface LogEvent {
  readonly position: string | number;
  readonly recordedAt?: string;
  readonly type?: string;
  readonly stream?: string;
  readonly revision?: number;
  readonly data?: unknown;
  readonly metadata?: unknown;
}
interface Page {
  readonly data: readonly LogEvent[];
  readonly position?: string | number;
  readonly next?: string;
}

const DATA_WIDTH = 120;
const PAGE = 1_000;
const cut = (text: string, most: number): string => (text.length > most ? `${text.slice(0, most - 1)}…` : text);

/** One event on one line: position, when recorded, type, stream and revision, the start of its content. */
export const eventLine = ({ position, recordedAt, type, stream, revision, data }: LogEvent): string =>
  [
    String(position).padStart(8),
    recordedAt ?? '',
    (type ?? '').padEnd(22),
    `${stream ?? ''}@${revision ?? '?'}`,
    cut(JSON.stringify(data) ?? '', DATA_WIDTH),
  ]
    .join('  ')
    .trimEnd();

export const tail = async ({ after, limit, follow, json }: TailOptions): Run => {
  const most = wholeNumber(limit, '--limit', 1, 10_000);
  if (after !== undefined) wholeNumber(after, '--after', 0, Number.MAX_SAFE_INTEGER);
  return withEngine(
    readSettings(),
    async (client) => {
      const print = (events: readonly LogEvent[]): void =>
        events.forEach((event) => out(json ? JSON.stringify(event) : eventLine(event)));
      let last = after ?? '0';
      if (after === undefined) {
        const events = await lastEvents(client, most);
        print(events);
        last = String(events.at(-1)?.position ?? last);
      } else {
        const { data } = await page(client, after, most);
        print(data);
        last = String(data.at(-1)?.position ?? last);
      }
      while (follow) {
        const { data } = await page(client, last, PAGE);
        print(data);
        last = String(data.at(-1)?.position ?? last);
        if (data.length < PAGE) await new Promise((done) => setTimeout(done, 500));
      }
      return EXIT.done;
    },
    { quiet: true },
  );
};

const page = (client: Client, after: string, limit: number): Promise<Page> =>
  client.get<Page>(`/api/v1/events?after=${encodeURIComponent(after)}&limit=${limit}`);

/**
 * The newest `most` events. The log is read forwards only: begin a little before its head, and further back while holes in the
 * positions leave too few.
 */
export const lastEvents = async (client: Client, most: number): Promise<readonly LogEvent[]> => {
  const { data: projections } = await client.get<{ data: readonly { head: string | number }[] }>('/api/v1/projections');
  const head = projections.reduce((high, each) => (BigInt(each.head) > high ? BigInt(each.head) : high), 0n);
  for (let span = BigInt(most) * 2n; ; span *= 8n) {
    const start = head > span ? head - span : 0n;
    let kept: readonly LogEvent[] = [];
    for (let after = String(start); ; ) {
      const { data } = await page(client, after, PAGE);
      kept = [...kept, ...data].slice(-most);
      if (data.length < PAGE) break;
      after = String(data.at(-1)!.position);
    }
    if (kept.length >= most || start === 0n) return kept;
  }
};

export const wholeNumber = (text: string, option: string, least: number, most: number): number => {
  const n = /^\d{1,16}$/.test(text) ? Number(text) : NaN;
  if (!(n >= least && n <= most))
    throw new Failure(
      EXIT.usage,
      say(
        `${option} 应为 ${least} 到 ${most} 的整数,而不是“${text}”`,
        `${option} is a whole number from ${least} to ${most}, not "${text}"`,
      ),
    );
  return n;
};
