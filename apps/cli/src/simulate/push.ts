import { EXIT, Failure } from '../exit';
import type { Client } from '../http';
import { say } from '../language';
import type { Progress } from '../terminal';
import type { Command } from './chapters/file';
import { RENAMED, renamedOn } from './chapters/organisations';
import type { Step, Story } from './story';

/** What a step writes, as a person would count it. */
export const KINDS = {
  communities: ['社区', 'communities'],
  populations: ['人口', 'populations'],
  organisations: ['组织', 'organisations'],
  places: ['场所', 'places'],
  reports: ['伤害报告', 'injury reports'],
  corrections: ['伤害更正', 'injury corrections'],
  retractions: ['伤害撤回', 'injury retractions'],
  injuries: ['伤害关联', 'injury links'],
  incidents: ['事件', 'incidents'],
  inspections: ['排查', 'inspections'],
  hazards: ['隐患', 'hazards'],
  interventions: ['安全促进项目', 'interventions'],
  surveys: ['调查', 'surveys'],
  evaluations: ['评估', 'evaluations'],
} as const;
export type Kind = keyof typeof KINDS;

export interface Tally {
  readonly accepted: number;
  readonly duplicates: number;
  readonly rejected: number;
}

export interface Pushed extends Tally {
  readonly kinds: Readonly<Partial<Record<Kind, Tally>>>;
  /** Rejected, and not among those that the story knows to be bad. */
  readonly unexpected: number;
  /** Of the last thing written or found written; undefined when the story was empty. */
  readonly position?: Position;
  /** The first few refusals that were not foreseen, as the server put them. */
  readonly problems: readonly unknown[];
  /** The first few that were, one of each kind of fault. */
  readonly foreseen: readonly unknown[];
}

interface Answer {
  readonly results: readonly {
    readonly id: string | null;
    readonly status: 'accepted' | 'duplicate' | 'rejected';
    readonly position?: Position;
    readonly problem?: { readonly code?: string };
  }[];
}

/** As JSON has it: a number while numbers are exact, then text. */
type Position = string | number;
const later = (a: Position | undefined, b: Position | undefined): Position | undefined =>
  b === undefined ? a : a === undefined || BigInt(b) > BigInt(a) ? b : a;

type Outcome = 'accepted' | 'duplicates' | 'rejected';
const COUNTED = { accepted: 'accepted', duplicate: 'duplicates', rejected: 'rejected' } as const;
const MOST_PROBLEMS = 5;

const isRefusal = (error: unknown, ...statuses: number[]): error is Failure =>
  error instanceof Failure && error.exitCode === EXIT.refused && statuses.includes(error.problem?.status ?? 0);

/** Whether everything in `part` is in `whole` too, the same. */
const holds = (whole: unknown, part: unknown): boolean => {
  if (typeof part !== 'object' || part === null) return whole === part;
  if (typeof whole !== 'object' || whole === null || Array.isArray(whole) !== Array.isArray(part)) return false;
  if (Array.isArray(part) && part.length !== (whole as unknown[]).length) return false;
  return Object.entries(part).every(([key, value]) => holds((whole as Record<string, unknown>)[key], value));
};

interface Recorded {
  readonly revision: number;
  readonly position: Position;
  readonly data: unknown;
}

/** The server's registers, as a sender sees them: what is there already isn't sent again. */
const registers = (client: Client) => {
  /** Files that had been begun before, with what was recorded of each. */
  const found = new Map<string, ReadonlyMap<number, Recorded>>();
  const addressOf = ({ register, id }: Pick<Command, 'register' | 'id'>): string => `/api/v1/${register}/${id}`;

  const timelineOf = async (address: string): Promise<ReadonlyMap<number, Recorded>> => {
    const { data } = await client.get<{ data: readonly Recorded[] }>(`${address}/timeline`);
    return new Map(data.map((event) => [event.revision, event]));
  };

  /** Sends a command; one that the file holds already, with the same content, is a duplicate. */
  const send = async (command: Command): Promise<{ outcome: Outcome; position?: Position; problem?: unknown }> => {
    const { path, revision, key, body, lines } = command;
    const address = addressOf(command);
    const before = found.get(address)?.get(revision);
    if (before)
      return holds(before.data, body)
        ? { outcome: 'duplicates', position: before.position }
        : {
            outcome: 'rejected',
            problem: {
              code: 'told-otherwise',
              detail: say(`${address} 的 r${revision} 内容不同`, `${address} holds something else at r${revision}`),
            },
          };
    const items = lines ? (body[lines] as readonly unknown[]) : [];
    try {
      const response = await client.send(path === undefined ? `/api/v1/${command.register}` : `${address}/${path}`, {
        method: 'POST',
        headers: {
          accept: 'application/json',
          'content-type': lines ? 'application/x-ndjson' : 'application/json',
          ...(key && { 'idempotency-key': key }),
          ...(path !== undefined && { 'if-match': `"r${revision - 1}"` }),
        },
        body: lines ? items.map((item) => JSON.stringify(item)).join('\n') : JSON.stringify(body),
      });
      const written = (await response.json()) as { id: string; position: Position };
      const outcome = response.headers.get('idempotency-replayed') === 'true' ? 'duplicates' : 'accepted';
      // Told before: the rest of the file most likely too, and one look tells.
      if (outcome === 'duplicates') found.set(address, await timelineOf(address));
      return { outcome, position: written.position };
    } catch (error) {
      if (!isRefusal(error, 404, 409, 412, 422)) throw error;
      if (isRefusal(error, 409, 412) && !found.has(address)) {
        found.set(address, await timelineOf(address));
        if (found.get(address)!.has(revision)) return send(command);
      }
      return { outcome: 'rejected', problem: error.problem };
    }
  };

  /** @throws Failure when a story is there that ends in another year */
  const refuseAnotherYear = async (endYear: number): Promise<void> => {
    const timeline = await timelineOf(addressOf({ register: 'organisations', id: RENAMED })).catch((error: unknown) => {
      if (isRefusal(error, 404)) return undefined;
      throw error;
    });
    const told = [...(timeline?.values() ?? [])].flatMap(({ revision, data }) =>
      revision > 0 ? ((data as { validFrom?: string }).validFrom ?? []) : [],
    );
    const other = told.find((day) => day !== renamedOn(endYear));
    if (other === undefined) return;
    const year = Number(other.slice(0, 4)) + 1;
    throw new Failure(
      EXIT.refused,
      say(
        `那里已有一个止于 ${year} 年的故事,与止于 ${endYear} 年的相矛盾;请用 --until ${year}-MM,或另用一个空的数据目录`,
        `a story that ends in ${year} is told there already, and one that ends in ${endYear} contradicts it; use --until ${year}-MM or another, empty data folder`,
      ),
    );
  };

  return { send, refuseAnotherYear };
};

const kindOf = (type: string): Kind =>
  type.includes('.corrected.') ? 'corrections' : type.includes('.retracted.') ? 'retractions' : 'reports';

/**
 * Sends a story over HTTP, the way any sender would, one request after the other so that the log has the story's order. What was
 * sent before comes back as a duplicate.
 * @throws Failure when a story is there that ends in another year
 */
export const pushStory = async (client: Client, told: Story, progress: Progress): Promise<Pushed> => {
  const kinds: Partial<Record<Kind, Record<Outcome, number>>> = {};
  const total = { accepted: 0, duplicates: 0, rejected: 0 };
  const problems: unknown[] = [];
  const foreseen = new Map<string, unknown>();
  const known = new Set<string>();
  let unexpected = 0;
  let position: Position | undefined;
  let done = 0;
  const count = (kind: Kind, outcome: Outcome, at?: Position): void => {
    total[outcome]++;
    (kinds[kind] ??= { accepted: 0, duplicates: 0, rejected: 0 })[outcome]++;
    position = later(position, at);
  };
  const refused = (problem: unknown): void => {
    unexpected++;
    if (problems.length < MOST_PROBLEMS) problems.push(problem);
  };

  const { send, refuseAnotherYear } = registers(client);
  await refuseAnotherYear(told.endYear);
  for (const step of told.steps) {
    switch (step.kind) {
      case 'community': {
        const answer = await registered(client, step);
        if (answer === 'before') known.add(step.body.code);
        count('communities', answer === 'before' ? 'duplicates' : 'accepted', answer === 'before' ? undefined : answer.position);
        break;
      }
      case 'population': {
        const before = known.has(step.community) && (await hasPopulation(client, step.community, step.body.year));
        count('populations', before ? 'duplicates' : 'accepted', before ? undefined : await populated(client, step));
        break;
      }
      case 'command': {
        const { outcome, position: at, problem } = await send(step);
        count(step.register, outcome, at);
        if (outcome === 'rejected') refused(problem);
        break;
      }
      case 'events': {
        const { results } = await client.post<Answer>(`/api/v1/feeds/${step.feed}/events`, step.events, {
          headers: { 'content-type': 'application/cloudevents-batch+json' },
        });
        results.forEach(({ id, status, position: at, problem }, i) => {
          count(kindOf(step.events[i]!.type), COUNTED[status], at);
          if (status !== 'rejected') return;
          if (id !== null && told.bad.has(id)) foreseen.set(problem?.code ?? '', foreseen.get(problem?.code ?? '') ?? problem);
          else refused(problem);
        });
      }
    }
    done += step.kind === 'events' ? step.events.length : 1;
    progress.to(done, told.size, step.kind === 'events' ? step.feed : step.kind === 'command' ? step.register : step.kind);
  }
  return {
    ...total,
    kinds,
    unexpected,
    ...(position !== undefined && { position }),
    problems,
    foreseen: [...foreseen.values()],
  };
};

const registered = async (
  client: Client,
  { body }: Extract<Step, { kind: 'community' }>,
): Promise<'before' | { position?: Position }> => {
  try {
    const headers = { 'idempotency-key': `simulate-${body.code}` };
    const response = await client.send('/api/v1/communities', {
      method: 'POST',
      headers: { accept: 'application/json', 'content-type': 'application/json', ...headers },
      body: JSON.stringify(body),
    });
    const answer = (await response.json()) as { position?: Position };
    return response.headers.get('idempotency-replayed') === 'true' ? 'before' : answer;
  } catch (error) {
    if (isRefusal(error, 409)) return 'before';
    throw error;
  }
};

const populated = async (
  client: Client,
  { community, body }: Extract<Step, { kind: 'population' }>,
): Promise<Position | undefined> => {
  const headers = { 'idempotency-key': `simulate-${community}-${body.year}` };
  return (await client.post<{ position?: Position }>(`/api/v1/communities/${community}/populations`, body, { headers })).position;
};

/** Whether a year's people were recorded by an earlier run: recording them again would add an event that says nothing new. */
const hasPopulation = async (client: Client, community: string, year: number): Promise<boolean> => {
  try {
    const { populationYears = [] } = await client.get<{ populationYears?: readonly number[] }>(
      `/api/v1/communities/${community}`,
    );
    return populationYears.includes(year);
  } catch (error) {
    if (isRefusal(error, 404)) return false;
    throw error;
  }
};
