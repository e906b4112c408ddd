import { deterministicId, fingerprint, ok, refuse, type Result } from '@vigil/vocabulary';
import type { AppendOutcome, EventLog, ExpectedRevision, NewEvent, Position, RecordedEvent } from './event-log';

interface Event {
  readonly type: string;
  readonly data: unknown;
}

/** What the handler needs to know of an aggregate; the names of its events stay its own business. */
export interface AggregateType<Command, E extends Event, State> {
  readonly streamOf: (id: string) => string;
  readonly decider: {
    readonly initialState: State;
    readonly decide: (command: Command, state: State) => Result<readonly E[]>;
    readonly evolve: (state: State, event: E) => State;
  };
  /** A stored event as the decider knows it; throws on one that it doesn't know. */
  readonly read: (stored: { readonly type: string; readonly version: number; readonly data: string }) => E;
  /** Schema version per event type. */
  readonly versions: Readonly<Record<string, number>>;
}

export interface CommandContext {
  /** The same id means the same command: sent again it changes nothing and gets its first answer. */
  readonly commandId: string;
  /** Last revision the caller saw (`If-Match`); absent: whatever it is now. */
  readonly expected?: number;
  /** JSON object kept beside each event: source, actor. */
  readonly metadata: Readonly<Record<string, unknown>>;
  /** Over what the caller sent; default: over each event's data. */
  readonly fingerprint?: string;
}

export interface CommandDone {
  /** -1 and no position when the aggregate doesn't exist and the command changed nothing. */
  readonly revision: number;
  readonly position: Position | null;
  readonly repeated: boolean;
}

/** How often a command without `expected` is decided anew when another writer came between. */
const ATTEMPTS = 20;

export const toNewEvent = (event: Event, version: number, id: string, metadata: string, print?: string): NewEvent => {
  const data = JSON.stringify(event.data);
  return { id, type: event.type, version, data, metadata, fingerprint: print ?? fingerprint(data) };
};

/** An aggregate's state and its events, folded from its stream. */
export const loadAggregate = async <C, E extends Event, S>(
  log: EventLog,
  aggregate: AggregateType<C, E, S>,
  id: string,
): Promise<{ state: S; events: RecordedEvent[] }> => {
  const events = await log.readStream(aggregate.streamOf(id));
  let state = aggregate.decider.initialState;
  for (const event of events) state = aggregate.decider.evolve(state, aggregate.read(event));
  return { state, events };
};

/**
 * Read, decide, append at the revision that was read. Refusals are values: the decider's own,
 * `stream-moved` when `expected` no longer holds, `event-id-conflict` when the id carries another content.
 * @throws LogUnavailable, LogOverloaded
 */
export const handleCommand = async <C, E extends Event, S>(
  log: EventLog,
  aggregate: AggregateType<C, E, S>,
  id: string,
  command: C,
  context: CommandContext,
): Promise<Result<CommandDone>> => {
  const firstId = deterministicId('command', context.commandId, '0');
  const metadata = JSON.stringify(context.metadata);
  const append = (expected: ExpectedRevision, events: readonly E[]): Promise<AppendOutcome> =>
    log.append({
      stream: aggregate.streamOf(id),
      expected,
      events: events.map((event, index) =>
        toNewEvent(
          event,
          aggregate.versions[event.type]!,
          deterministicId('command', context.commandId, `${index}`),
          metadata,
          context.fingerprint,
        ),
      ),
    });

  /** An event of this id is there: read after that, it is in this stream, or the id belongs to another. */
  let isTaken = false;

  // What may begin an aggregate most likely does: its stream isn't read first. If it is there, it is decided below.
  const beginning =
    context.expected === undefined ? aggregate.decider.decide(command, aggregate.decider.initialState) : undefined;
  if (beginning?.ok && beginning.value.length > 0) {
    const outcome = await append('none', beginning.value);
    // A repeat whose events don't begin the stream was decided on another state, perhaps with more events or other content.
    if (outcome.kind === 'appended' || (outcome.kind === 'duplicate' && outcome.revision === beginning.value.length - 1))
      return ok({ revision: outcome.revision, position: outcome.position, repeated: outcome.kind === 'duplicate' });
    isTaken = outcome.kind !== 'conflict';
  }
  for (let attempt = 1; ; attempt++) {
    const { state, events } = await loadAggregate(log, aggregate, id);
    const last = events.at(-1);
    const revision = last?.revision ?? -1;
    const first = events.findIndex((event) => event.id === firstId);
    if (first >= 0) {
      if (context.fingerprint !== undefined && events[first]!.fingerprint !== context.fingerprint)
        return idConflict(context.commandId);
      let end = first;
      while (events[end + 1]?.id === deterministicId('command', context.commandId, `${end + 1 - first}`)) end++;
      return ok({ revision: events[end]!.revision, position: events[end]!.position, repeated: true });
    }
    if (context.expected !== undefined && context.expected !== revision) return moved(context.expected, revision);
    const decision = aggregate.decider.decide(command, state);
    if (!decision.ok) return decision;
    if (decision.value.length === 0) return ok({ revision, position: last?.position ?? null, repeated: false });
    const outcome = await append(revision < 0 ? 'none' : revision, decision.value);
    switch (outcome.kind) {
      case 'appended':
        return ok({ revision: outcome.revision, position: outcome.position, repeated: false });
      case 'duplicate':
      case 'id-conflict':
        // Another run of this command got there after this one had read: its answer counts, and it was decided on another state.
        if (isTaken) return idConflict(context.commandId);
        isTaken = true;
        break;
      case 'conflict':
        if (context.expected !== undefined || attempt >= ATTEMPTS) return moved(revision, outcome.actual ?? -1);
    }
  }
};

const moved = (expected: number, actual: number) =>
  refuse({
    code: 'stream-moved',
    detail: {
      zh: `对象已被他人更改(您看到的是 r${expected},现在是 r${actual});请重新读取后再提交`,
      en: `it was changed meanwhile (you saw r${expected}, now r${actual}); read it again, then send`,
    },
    value: `r${expected}`,
    allowed: [`r${actual}`],
  });

const idConflict = (id: string) =>
  refuse({
    code: 'event-id-conflict',
    detail: { zh: '同一标识先前带有不同内容', en: 'this id came before with another content' },
    value: id,
  });
