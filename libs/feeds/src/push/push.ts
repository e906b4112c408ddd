import { injuryRecord, type DomainEvent } from '@vigil/domain';
import {
  toNewEvent,
  type AppendRequest,
  type EventLog,
  type NewEvent,
  type Position,
  type RecordedEvent,
} from '@vigil/event-log';
import { ok, refuse, type Problem, type Result } from '@vigil/vocabulary';
import { zodProblems } from '../problems';
import { ndjsonLines, parseJson, wholeBody, type Body } from './body';
import { understand, type Understood } from './cloud-event';

export interface PushResult {
  /** The sender's id; null when the event was too broken to have one. */
  readonly id: string | null;
  readonly status: 'accepted' | 'duplicate' | 'rejected';
  readonly position?: Position;
  readonly problem?: Problem;
  /** Of a stream: which line with content, from 1. */
  readonly row?: number;
}

export interface PushAnswer {
  readonly accepted: number;
  readonly duplicates: number;
  readonly rejected: number;
  /** In order. Of a stream over 1,000 events only the rejected ones, and of these at most 10,000. */
  readonly results: readonly PushResult[];
  /** Highest position met, for a reader that waits; null when nothing stands in the log. */
  readonly position: Position | null;
}

export interface PushRequest {
  readonly feed: string;
  readonly body: Body;
  readonly contentType: string;
  /** All or none; at most 10,000 events. */
  readonly atomic?: boolean;
  readonly signal?: AbortSignal;
}

/** Events taken together, so that a stream costs some megabytes whatever its length. */
const WINDOW = 1000;
const ALL_RESULTS = 1000;
const MOST_RESULTS = 10_000;
const MOST_ATOMIC = 10_000;
const ATTEMPTS = 20;
const ABREAST = 32;

const ID_CONFLICT: Problem = {
  code: 'event-id-conflict',
  detail: { zh: '同一 source 与 id 先前带有不同内容', en: 'this source and id came before with another content' },
  pointer: '/id',
};
const ABORTED: Problem = {
  code: 'atomic-aborted',
  detail: { zh: '同批中有事件未被接受,全部未写入', en: 'another event of this batch was not accepted, so that none was written' },
};
const BUSY: Problem = {
  code: 'stream-moved',
  detail: { zh: '该记录正被频繁更改,请重试', en: 'the record is being changed by others; try again' },
};

type Outcome = Omit<PushResult, 'id' | 'row'>;
const rejected = (problem: Problem): Outcome => ({ status: 'rejected', problem });

/** The decider speaks of its command's data, which stands in `data` of the event. */
const refusedBy = (problem: Problem): Outcome =>
  rejected(problem.pointer === undefined ? problem : { ...problem, pointer: `/data${problem.pointer}` });

const newEvents = ({ aggregate, eventId, metadata, fingerprint }: Understood, decided: readonly DomainEvent[]): NewEvent[] =>
  decided.map((one) => toNewEvent(one, aggregate.versions[one.type]!, eventId, metadata, fingerprint));

const fold = ({ decider, read }: Understood['aggregate'], events: readonly RecordedEvent[]): unknown =>
  events.reduce((state, event) => decider.evolve(state, read(event)), decider.initialState);

/** A few abreast, so that a thousand don't wait for each other's answers. */
const abreast = async <T>(items: readonly T[], work: (item: T) => Promise<void>): Promise<void> => {
  for (let at = 0; at < items.length; at += ABREAST) await Promise.all(items.slice(at, at + ABREAST).map(work));
};

/** First reports need no reading: that the stream doesn't exist is all there is to decide, besides what they say themselves. */
const reportAll = async (log: EventLog, events: readonly Understood[]): Promise<Outcome[]> => {
  const outcomes = new Array<Outcome>(events.length);
  const requests: AppendRequest[] = [];
  const members: number[] = [];
  events.forEach((event, index) => {
    const { decider } = event.aggregate;
    const decision = decider.decide(event.command, decider.initialState);
    if (!decision.ok) return void (outcomes[index] = refusedBy(decision.problem));
    requests.push({ stream: event.stream, expected: 'none', events: newEvents(event, decision.value) });
    members.push(index);
  });
  const known: number[] = [];
  (await log.appendMany(requests)).forEach((outcome, at) => {
    const index = members[at]!;
    if (outcome.kind === 'conflict') known.push(index);
    else if (outcome.kind === 'id-conflict') outcomes[index] = rejected(ID_CONFLICT);
    else outcomes[index] = { status: outcome.kind === 'appended' ? 'accepted' : 'duplicate', position: outcome.position };
  });
  // Of a record that is there the decider says in its own words why it isn't reported again.
  await abreast(known, async (index) => void (outcomes[index] = await change(log, events[index]!)));
  return outcomes;
};

/** Read, decide, append at the revision read. An event id stands for one event here, which `handleCommand`'s ids don't. */
const change = async (log: EventLog, event: Understood): Promise<Outcome> => {
  const { stream, aggregate } = event;
  for (let attempt = 1; attempt <= ATTEMPTS; attempt++) {
    const events = await log.readStream(stream);
    const before = events.find(({ id }) => id === event.eventId);
    if (before)
      return before.fingerprint === event.fingerprint
        ? { status: 'duplicate', position: before.position }
        : rejected(ID_CONFLICT);
    const decision = aggregate.decider.decide(event.command, fold(aggregate, events));
    if (!decision.ok) return refusedBy(decision.problem);
    const outcome = await log.append({
      stream,
      expected: events.length === 0 ? 'none' : events.at(-1)!.revision,
      events: newEvents(event, decision.value),
    });
    if (outcome.kind === 'appended') return { status: 'accepted', position: outcome.position };
    if (outcome.kind === 'duplicate') return { status: 'duplicate', position: outcome.position };
    if (outcome.kind === 'id-conflict') return rejected(ID_CONFLICT);
  }
  return rejected(BUSY);
};

/** Events of one record, or under one id, keep their order: each goes in the wave after the last one it touches. */
const wavesOf = (events: readonly (Understood | undefined)[]): number[][] => {
  const waves: number[][] = [];
  const next = new Map<string, number>();
  events.forEach((event, index) => {
    if (!event) return;
    const wave = Math.max(next.get(event.stream) ?? 0, next.get(event.eventId) ?? 0);
    (waves[wave] ??= []).push(index);
    next.set(event.stream, wave + 1);
    next.set(event.eventId, wave + 1);
  });
  return waves;
};

type Given = { readonly row?: number; readonly parsed: Result<unknown> };
type Read = { readonly id: string | null; readonly row?: number; readonly event?: Understood; readonly problem?: Problem };

const read = ({ row, parsed }: Given, feed: string): Read => {
  if (!parsed.ok) return { id: null, row, problem: parsed.problem };
  const found = understand(parsed.value, feed);
  return 'event' in found ? { id: found.event.id, row, event: found.event } : { ...found, row };
};

const resultOf = ({ id, row }: Read, outcome: Outcome): PushResult => ({ id, ...outcome, ...(row !== undefined && { row }) });

const submit = async (log: EventLog, window: readonly Read[]): Promise<PushResult[]> => {
  const outcomes = window.map(({ problem }) => (problem ? rejected(problem) : undefined));
  for (const wave of wavesOf(window.map(({ event }) => event))) {
    const isReport = (index: number) => window[index]!.event!.first;
    const reports = wave.filter(isReport);
    if (reports.length > 0) {
      const answers = await reportAll(
        log,
        reports.map((index) => window[index]!.event!),
      );
      answers.forEach((answer, at) => (outcomes[reports[at]!] = answer));
    }
    const changes = wave.filter((index) => !isReport(index));
    await abreast(changes, async (index) => void (outcomes[index] = await change(log, window[index]!.event!)));
  }
  return window.map((one, index) => resultOf(one, outcomes[index]!));
};

/** What an all-or-none batch would do, decided stream by stream against the log as read. */
const planAtomic = async (log: EventLog, events: readonly Read[]) => {
  const outcomes = new Array<Outcome | undefined>(events.length);
  const streams = new Map<string, number[]>();
  const ids = new Map<string, Understood>();
  events.forEach(({ event, problem }, index) => {
    if (!event) return void (outcomes[index] = rejected(problem!));
    const twin = ids.get(event.eventId);
    // The same again in one batch: one is enough; its outcome is the first one's, but as a duplicate.
    if (twin)
      return void (outcomes[index] =
        twin.fingerprint === event.fingerprint && twin.stream === event.stream ? { status: 'duplicate' } : rejected(ID_CONFLICT));
    ids.set(event.eventId, event);
    streams.set(event.stream, [...(streams.get(event.stream) ?? []), index]);
  });
  const requests: AppendRequest[] = [];
  const members: number[][] = [];
  const plan = async ([stream, indexes]: [string, number[]]): Promise<void> => {
    const recorded = await log.readStream(stream);
    const { aggregate } = events[indexes[0]!]!.event!;
    let state = fold(aggregate, recorded);
    const fresh: NewEvent[] = [];
    const mine: number[] = [];
    for (const index of indexes) {
      const event = events[index]!.event!;
      const before = recorded.find(({ id }) => id === event.eventId);
      if (before) {
        outcomes[index] =
          before.fingerprint === event.fingerprint ? { status: 'duplicate', position: before.position } : rejected(ID_CONFLICT);
        continue;
      }
      const decision = aggregate.decider.decide(event.command, state);
      if (!decision.ok) {
        outcomes[index] = refusedBy(decision.problem);
        continue;
      }
      state = decision.value.reduce(aggregate.decider.evolve, state);
      fresh.push(...newEvents(event, decision.value));
      mine.push(index);
    }
    if (fresh.length === 0) return;
    requests.push({ stream, expected: recorded.at(-1)?.revision ?? 'none', events: fresh });
    members.push(mine);
  };
  await abreast([...streams], plan);
  return { outcomes, requests, members };
};

const submitAtomic = async (log: EventLog, events: readonly Read[]): Promise<PushResult[]> => {
  const results = (outcomes: readonly (Outcome | undefined)[]): PushResult[] =>
    events.map((one, index) => resultOf(one, outcomes[index] ?? rejected(ABORTED)));
  for (let attempt = 1; ; attempt++) {
    const { outcomes, requests, members } = await planAtomic(log, events);
    const refused = (): boolean => outcomes.some((outcome) => outcome?.status === 'rejected');
    // Nothing of this batch was written: what only repeats a neighbour is refused with it, what is in the log stays a duplicate.
    const aborted = () =>
      results(
        outcomes.map((outcome) => (outcome?.status === 'duplicate' && outcome.position === undefined ? undefined : outcome)),
      );
    if (refused()) return aborted();
    if (requests.length === 0) return results(outcomes);
    const answers = await log.appendAtomic(requests);
    if (answers.some(({ kind }) => kind === 'conflict') && attempt < ATTEMPTS) continue;
    answers.forEach((answer, at) => {
      for (const index of members[at]!) {
        if (answer.kind === 'appended') outcomes[index] = { status: 'accepted', position: answer.position };
        else if (answer.kind === 'duplicate') outcomes[index] = { status: 'duplicate', position: answer.position };
        else if (answer.kind === 'conflict') outcomes[index] = rejected(BUSY);
        else if (answer.kind === 'id-conflict' && events[index]!.event!.eventId === answer.eventId)
          outcomes[index] = rejected(ID_CONFLICT);
      }
    });
    return refused() ? aborted() : results(outcomes);
  }
};

const fault = (code: string, zh: string, en: string, more: Partial<Problem> = {}): Result<never> =>
  refuse<Problem>({ code, detail: { zh, en }, ...more });

const MEDIA_TYPES = ['application/cloudevents+json', 'application/cloudevents-batch+json', 'application/x-ndjson'] as const;

async function* given(kind: (typeof MEDIA_TYPES)[number], body: Body): AsyncGenerator<Given, Result<never> | undefined> {
  if (kind === 'application/x-ndjson') {
    yield* ndjsonLines(body);
    return undefined;
  }
  const parsed = parseJson(await wholeBody(body));
  if (!parsed.ok) return parsed;
  if (kind === 'application/cloudevents+json') {
    yield { parsed };
    return undefined;
  }
  if (!Array.isArray(parsed.value)) return fault('not-an-array', '批量请求应为 JSON 数组', 'a batch is a JSON array');
  for (const value of parsed.value as unknown[]) yield { parsed: ok(value) };
  return undefined;
}

/**
 * Takes one CloudEvent, a batch or an NDJSON stream. Refused as a whole, as a value: `unsupported-media-type`, `invalid-code` (the feed),
 * `invalid-json`, `invalid-encoding`, `too-deep` (of a whole body), `not-an-array`, `too-many-events` (atomic). Anything wrong with one event is in its result.
 * @throws LogUnavailable, LogOverloaded: events before may be durable; sent again they are duplicates
 */
export const pushEvents = async ({ log }: { readonly log: EventLog }, request: PushRequest): Promise<Result<PushAnswer>> => {
  const { feed, body, atomic = false, signal } = request;
  const mediaType = request.contentType.split(';')[0]!.trim().toLowerCase();
  const kind = MEDIA_TYPES.find((type) => type === mediaType);
  if (!kind)
    return fault('unsupported-media-type', '不支持的内容类型', 'this content type is not taken', {
      value: mediaType.slice(0, 200),
      allowed: MEDIA_TYPES,
    });
  const feedCode = injuryRecord.shape.feed.safeParse(feed);
  if (!feedCode.success) return refuse(zodProblems(feedCode.error, feed)[0]!);

  let [accepted, duplicates, refused, total] = [0, 0, 0, 0];
  let position: Position | null = null;
  let results: PushResult[] = [];
  const isStream = kind === 'application/x-ndjson';
  const settle = (settled: readonly PushResult[]): void => {
    for (const result of settled) {
      total++;
      if (result.status === 'accepted') accepted++;
      else if (result.status === 'duplicate') duplicates++;
      else refused++;
      if (result.position !== undefined && (position === null || result.position > position)) position = result.position;
      if (isStream && total > ALL_RESULTS && result.status !== 'rejected') continue;
      if (results.length < MOST_RESULTS || !isStream) results.push(result);
    }
    if (isStream && total > ALL_RESULTS && total - settled.length <= ALL_RESULTS)
      results = results.filter(({ status }) => status === 'rejected');
  };

  let window: Read[] = [];
  const events = given(kind, body);
  for (let next = await events.next(); ; next = await events.next()) {
    if (next.done) {
      if (next.value) return next.value;
      break;
    }
    signal?.throwIfAborted();
    window.push(read(next.value, feed));
    if (atomic && window.length > MOST_ATOMIC) {
      await events.return(undefined);
      return fault(
        'too-many-events',
        `全有或全无的批次至多 ${MOST_ATOMIC} 个事件`,
        `an all-or-none batch holds at most ${MOST_ATOMIC} events`,
      );
    }
    if (!atomic && window.length >= WINDOW) {
      settle(await submit(log, window));
      window = [];
    }
  }
  if (window.length > 0) settle(await (atomic ? submitAtomic(log, window) : submit(log, window)));
  return ok({ accepted, duplicates, rejected: refused, results, position });
};

/**
 * Takes values that were read elsewhere, as a broker's records are: one result each, in order. The same ids, order and refusals as
 * {@link pushEvents}; the feed is one that it would take.
 * @throws LogUnavailable, LogOverloaded: events before may be durable; sent again they are duplicates
 */
export const pushParsed = (
  { log }: { readonly log: EventLog },
  feed: string,
  values: readonly Result<unknown>[],
): Promise<PushResult[]> =>
  submit(
    log,
    values.map((parsed) => read({ parsed }, feed)),
  );
