import type { RecordedEvent } from '@vigil/event-log';
import type { Database, ProjectionRows } from './database';
import { EFFECT, HANDLED, MODEL, UNCOUNTABLE, UNSENDABLE, type Surroundings } from './node';
import type { Answer } from './senders';

/** A broken promise: its number in the list of the design, and what was seen. */
export interface Violation {
  readonly promise: 'I1' | 'I2' | 'I3' | 'I4' | 'I5' | 'I6' | 'I8' | 'I10' | 'lease';
  readonly what: string;
}

/** What the checks know of a finished history. */
export interface Findings {
  readonly violations: Violation[];
  /** Events that a sender was told are durable. */
  readonly acknowledged: number;
  /** Of those, not in the log. */
  readonly lost: number;
  /** In the log more than once. */
  readonly doubled: number;
}

interface Payload {
  readonly wish: number;
  readonly n: number;
}

/** The few payloads there are come back in every history. */
const payloads = new Map<string, Payload>();
const payloadOf = (data: string): Payload => {
  let payload = payloads.get(data);
  if (payload === undefined) payloads.set(data, (payload = JSON.parse(data) as Payload));
  return payload;
};

const spread = (expected: string | number): string => (typeof expected === 'number' ? `r${expected}` : expected);

/** I1, I2, I4, I6: what senders were told, against what the log holds. */
const checkAnswers = (database: Database, answers: readonly Answer[], add: (v: Violation) => void) => {
  const { byId, streams } = database;
  const byWish = new Map<number, RecordedEvent[]>();
  const seen = new Set<number>();
  let doubled = 0;
  for (const event of database.events) {
    const { wish, n } = payloadOf(event.data);
    const part = wish * 1000 + n;
    if (seen.has(part)) {
      doubled++;
      add({ promise: 'I6', what: `part ${n} of wish ${wish} is in the log twice, the second time at ${event.position}` });
    }
    seen.add(part);
    const events = byWish.get(wish);
    if (events) events.push(event);
    else byWish.set(wish, [event]);
  }
  for (const [stream, events] of streams) {
    events.forEach((event, at) => {
      if (event.revision !== at) add({ promise: 'I4', what: `${stream} has r${event.revision} where r${at} is due` });
      if (at > 0 && event.position <= events[at - 1]!.position)
        add({ promise: 'I4', what: `${stream} r${at} stands before its forerunner` });
    });
  }

  const acknowledged = new Set<string>();
  let lost = 0;
  const lose = (of: number, what: string): void => {
    lost++;
    add({ promise: 'I1', what: `wish ${of} was acknowledged, but ${what}` });
  };
  const winners = new Map<string, number>();
  for (const answer of answers) {
    const { of, sure } = answer;
    if (answer.kind === 'command') {
      const { result } = answer;
      const events = byWish.get(of) ?? [];
      if (result.ok) {
        const last = events.at(-1);
        for (const event of events) acknowledged.add(event.id);
        if (last === undefined || last.revision !== result.value.revision || last.position !== result.value.position)
          lose(
            of,
            `at r${result.value.revision} of ${answer.stream} the log has ${last ? `r${last.revision} as its last event` : 'nothing of it'}`,
          );
        if (events.some((event, at) => event.revision !== events[0]!.revision + at))
          add({ promise: 'I4', what: `the events of command ${of} are not side by side` });
      } else if (result.problem.code !== 'stream-moved')
        add({ promise: 'I6', what: `command ${of} was refused: ${result.problem.code}` });
      else if (sure && events.length > 0)
        add({ promise: 'I6', what: `command ${of} was refused for certain, and is in the log` });
      continue;
    }
    const { request, outcome } = answer;
    const { stream, expected, events } = request;
    switch (outcome.kind) {
      case 'appended':
      case 'duplicate': {
        const found = events.map(({ id }) => byId.get(id));
        for (const { id } of events) acknowledged.add(id);
        const last = found.at(-1);
        if (found.includes(undefined)) lose(of, `${stream} r${outcome.revision} is not in the log`);
        else if (last!.revision !== outcome.revision || last!.position !== outcome.position)
          add({ promise: 'I1', what: `wish ${of} was said to be at ${outcome.position}, and is at ${last!.position}` });
        if (outcome.kind === 'appended' && expected !== 'any') {
          const place = `${stream} ${spread(expected)}`;
          const before = winners.get(place);
          if (before !== undefined && before !== of)
            add({ promise: 'I4', what: `wishes ${before} and ${of} were both told they won at ${place}` });
          winners.set(place, of);
        }
        break;
      }
      case 'conflict': {
        const length = streams.get(stream)?.length ?? 0;
        if (outcome.actual === (expected === 'none' ? null : expected))
          add({ promise: 'I4', what: `wish ${of} was refused at ${spread(expected)} of ${stream}, where it stood` });
        if ((outcome.actual ?? -1) >= length)
          add({ promise: 'I4', what: `wish ${of} lost at ${spread(expected)} of ${stream} to an event that is not there` });
        if (sure && events.some(({ id }) => byId.has(id)))
          add({ promise: 'I6', what: `wish ${of} was refused for certain, and is in the log` });
        break;
      }
      case 'id-conflict':
        add({ promise: 'I6', what: `wish ${of} was told that ${outcome.eventId} has another content` });
    }
  }
  return { acknowledged: acknowledged.size, lost, doubled };
};

const list = (events: readonly { readonly position: bigint }[]): string =>
  events.map(({ position }) => position).join() || 'none';

const isSkipped = ({ skips }: ProjectionRows, event: RecordedEvent): boolean =>
  skips.length > 0 && skips.some(({ position }) => position === event.position);

/** The first event that holds the model up, unless it can be applied by now. */
export const holdsUp = (database: Database, cured: boolean): RecordedEvent | undefined =>
  cured ? undefined : database.events.find((event) => event.type === UNCOUNTABLE && !isSkipped(database.rows(MODEL), event));

/** What the effect may not be done for: a bad event, and those that wait behind it in its stream. */
export const mustWait = (database: Database, cured: boolean): RecordedEvent[] => {
  if (cured) return [];
  const rows = database.rows(EFFECT);
  const streams = new Set<string>();
  return database.events.filter((event) => {
    if (!HANDLED.has(event.type) || isSkipped(rows, event)) return false;
    if (event.type === UNSENDABLE) streams.add(event.stream);
    return streams.has(event.stream);
  });
};

/** I2, I3, I5, I8: the model against a fold of the log by code that shares nothing with it. */
const checkModel = (database: Database, cured: boolean, add: (v: Violation) => void): void => {
  const rows = database.rows(MODEL);
  const stop = holdsUp(database, cured);
  const due = database.events.filter(
    (event) => HANDLED.has(event.type) && (stop === undefined || event.position < stop.position) && !isSkipped(rows, event),
  );
  if (list(rows.applied) !== list(due))
    add({ promise: 'I5', what: `${MODEL} applied ${list(rows.applied)}; the log has ${list(due)} for it` });
  const counts = new Map<string, number>();
  for (const { stream } of due) counts.set(stream, (counts.get(stream) ?? 0) + 1);
  for (const stream of new Set([...counts.keys(), ...rows.counts.keys()])) {
    const [is, should] = [rows.counts.get(stream) ?? 0, counts.get(stream) ?? 0];
    if (is !== should)
      add({ promise: is > should ? 'I2' : 'I3', what: `${MODEL} counts ${is} events of ${stream}; the log has ${should}` });
  }
  if (stop === undefined && rows.problem)
    add({ promise: 'I8', what: `${MODEL} is said to be held up at ${rows.problem.position}, and isn't` });
  if (stop !== undefined && rows.problem?.position !== stop.position.toString())
    add({
      promise: 'I8',
      what: `${MODEL} is held up at ${stop.position}, and ${rows.problem ? `names ${rows.problem.position}` : 'says nothing'}`,
    });
};

/** I2, I5, I8: what the effect was done for: once each, in the order of each stream, but for what waits in the park. */
const checkEffect = (database: Database, cured: boolean, add: (v: Violation) => void): void => {
  const rows = database.rows(EFFECT);
  const waiting = mustWait(database, cured);
  const due = database.events.filter((event) => HANDLED.has(event.type) && !isSkipped(rows, event) && !waiting.includes(event));
  const done = [...rows.applied].sort((a, b) => (a.position < b.position ? -1 : 1));
  if (list(done) !== list(due)) add({ promise: 'I5', what: `${EFFECT} were sent for ${list(done)}; due are ${list(due)}` });
  const last = new Map<string, bigint>();
  for (const { stream, position } of rows.applied) {
    const before = last.get(stream);
    if (before !== undefined && before >= position)
      add({ promise: before === position ? 'I2' : 'I8', what: `${EFFECT}: ${position} of ${stream} came after ${before}` });
    last.set(stream, position);
  }
  if (list(rows.parked) !== list(waiting))
    add({ promise: 'I8', what: `${EFFECT}: parked are ${list(rows.parked)}; what must wait is ${list(waiting)}` });
  if (waiting.length > 0 !== (rows.problem !== undefined))
    add({
      promise: 'I8',
      what: `${EFFECT} ${rows.problem ? `name a problem at ${rows.problem.position}, and have none` : 'hide a parked event'}`,
    });
};

/** Everything that must hold once a world has healed and come to rest. */
export const checkWorld = ({ database, projections, cured }: Surroundings, answers: readonly Answer[]): Findings => {
  const violations: Violation[] = [];
  const add = (violation: Violation): void => void violations.push(violation);
  const told = checkAnswers(database, answers, add);
  if (projections.includes(MODEL)) checkModel(database, cured, add);
  if (projections.includes(EFFECT)) checkEffect(database, cured, add);
  for (const what of database.broken) add({ promise: 'lease', what });
  return { violations, ...told };
};
