import { EXIT, Failure } from '../exit';
import type { Client } from '../http';
import type { Progress } from '../terminal';
import type { Step, Story } from './story';

export interface Pushed {
  readonly accepted: number;
  readonly duplicates: number;
  readonly rejected: number;
  /** Of the last thing written or found written; undefined when the story was empty. */
  readonly position?: Position;
  /** The first few refusals, as the server put them. */
  readonly problems: readonly unknown[];
}

interface Answer {
  readonly accepted: number;
  readonly duplicates: number;
  readonly rejected: number;
  readonly results: readonly { readonly status: string; readonly position?: Position; readonly problem?: unknown }[];
}

/** As JSON has it: a number while numbers are exact, then text. */
type Position = string | number;
const later = (a: Position | undefined, b: Position | undefined): Position | undefined =>
  b === undefined ? a : a === undefined || BigInt(b) > BigInt(a) ? b : a;

/** Keys made of the content: a repeat of the same step is the same request. */
const keyOf = (step: Extract<Step, { kind: 'community' | 'population' }>): string =>
  step.kind === 'community' ? `simulate-${step.body.code}` : `simulate-${step.community}-${step.body.year}`;

/** Sends a story over HTTP, the way any sender would. What was sent before comes back as a duplicate. */
export const pushStory = async (client: Client, { steps, events }: Story, progress: Progress): Promise<Pushed> => {
  const total = { accepted: 0, duplicates: 0, rejected: 0 };
  const problems: unknown[] = [];
  const known = new Set<string>();
  let position: Position | undefined;
  let done = 0;
  for (const step of steps) {
    if (step.kind === 'community') {
      const answer = await registered(client, step);
      if (answer === 'before') known.add(step.body.code);
      else position = later(position, answer.position);
    } else if (step.kind === 'population') {
      if (known.has(step.community) && (await hasPopulation(client, step.community, step.body.year))) continue;
      const answer = await client.post<{ position?: Position }>(`/api/v1/communities/${step.community}/populations`, step.body, {
        headers: { 'idempotency-key': keyOf(step) },
      });
      position = later(position, answer.position);
    } else {
      const answer = await client.post<Answer>(`/api/v1/feeds/${step.feed}/events`, step.events, {
        headers: { 'content-type': 'application/cloudevents-batch+json' },
      });
      for (const key of ['accepted', 'duplicates', 'rejected'] as const) total[key] += answer[key];
      for (const result of answer.results) {
        position = later(position, result.position);
        if (result.status === 'rejected' && problems.length < 5) problems.push(result.problem);
      }
      progress.to((done += step.events.length), events, step.feed);
    }
  }
  return { ...total, ...(position !== undefined && { position }), problems };
};

const registered = async (
  client: Client,
  step: Extract<Step, { kind: 'community' }>,
): Promise<'before' | { position?: Position }> => {
  try {
    return await client.post<{ position?: Position }>('/api/v1/communities', step.body, {
      headers: { 'idempotency-key': keyOf(step) },
    });
  } catch (error) {
    if (error instanceof Failure && error.exitCode === EXIT.refused && error.problem?.status === 409) return 'before';
    throw error;
  }
};

/** Whether a year's people were recorded by an earlier run: recording them again would add an event that says nothing new. */
const hasPopulation = async (client: Client, community: string, year: number): Promise<boolean> => {
  try {
    const { populationYears = [] } = await client.get<{ populationYears?: readonly number[] }>(
      `/api/v1/communities/${community}`,
    );
    return populationYears.includes(year);
  } catch (error) {
    if (error instanceof Failure && error.exitCode === EXIT.refused) return false;
    throw error;
  }
};
