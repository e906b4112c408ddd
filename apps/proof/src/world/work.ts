import { aggregates, caseFiles, communityCommands, injuryCommands, injuryId, injuryStream } from '@vigil/domain';
import { handleCommand, toNewEvent, type AppendRequest, type EventLog, type RecordedEvent } from '@vigil/event-log';
import { workload, type Acknowledged } from '@vigil/testing';
import { deterministicId } from '@vigil/vocabulary';

// What a worker does and its supervisor knows: lane by lane, number by number, the same at every asking.

export interface Task {
  /** Every event id that it may ever send. */
  readonly ids: readonly string[];
  /** Appends it, or finds it appended. Resolves to the ids that were there already. @throws LogUnavailable the outcome is unknown */
  readonly run: (log: EventLog) => Promise<readonly Acknowledged[]>;
}

/** Reports in a bulk append; and every so many tasks of a lane are one. */
const BULK = 20;
const EVERY = 12;

const bulkOf = (seed: number, lane: number, index: number, count: number): AppendRequest[] =>
  Array.from({ length: count }, (_, at) => {
    const recordId = `${seed}-${lane}-${index}-${at}`;
    const data = {
      recordId,
      feed: 'bulk',
      occurredAt: `2025-0${1 + (at % 9)}-11`,
      knownAt: '2026-01-02',
      visit: 'first',
      community: `C-${1 + (at % 2)}`,
      sampling: { frame: 'bulk', weight: 1.5 + at, stratum: `s${at % 3}`, unit: `u${lane}` },
    };
    const event = toNewEvent({ type: 'InjuryReported', data }, 1, deterministicId('bulk', recordId), '{"actor":"proof"}');
    return { stream: injuryStream(injuryId('bulk', recordId)), expected: 'none', events: [event] };
  });

export const taskAt = (seed: number, lanes: number, lane: number, index: number): Task => {
  if (index % EVERY === EVERY - 1) {
    const requests = bulkOf(seed, lane, index, BULK);
    const atomic = index % (2 * EVERY) === EVERY - 1;
    return {
      ids: requests.flatMap(({ events }) => events.map(({ id }) => id)),
      run: async (log) => {
        for (const { kind } of await (atomic ? log.appendAtomic(requests) : log.appendMany(requests)))
          if (kind !== 'appended' && kind !== 'duplicate') throw new Error(`a report of a bulk answered ${kind}`);
        return [];
      },
    };
  }
  const { aggregate, id, command, commandId } = workload(seed).at(index * lanes + lane);
  const ownId = deterministicId('command', commandId, '0');
  return {
    ids: [ownId],
    run: async (log) => {
      const file = caseFiles.find(({ name }) => name === aggregate);
      const data = (file?.steps[command.type]?.schema ?? schemas[command.type]!).parse(command.data);
      const kind = file ?? aggregates[aggregate as keyof typeof aggregates];
      const context = { commandId, metadata: { actor: 'proof' } };
      const done = await handleCommand(log, kind as never, id, { type: command.type, data }, context);
      if (!done.ok || !done.value.repeated) return []; // refused, or the log's own answer was told already
      return [{ id: ownId, revision: done.value.revision, position: done.value.position! }];
    },
  };
};

const schemas = { ...injuryCommands, ...communityCommands } as Record<string, { parse(data: unknown): unknown }>;

/** The same log, but every append that it answers is told before its caller hears of it. */
export const tellingLog = (log: EventLog, tell: (acknowledged: Acknowledged) => void): EventLog => {
  const told = (
    request: AppendRequest,
    outcome: { kind: string; revision?: number; position?: RecordedEvent['position'] },
  ): void => {
    if (outcome.kind !== 'appended' && outcome.kind !== 'duplicate') return;
    const last = request.events.length - 1;
    request.events.forEach(({ id }, at) =>
      tell({
        id,
        stream: request.stream,
        revision: outcome.revision! - last + at,
        ...(at === last && { position: outcome.position! }),
      }),
    );
  };
  return {
    ...log,
    append: async (request) => {
      const outcome = await log.append(request);
      told(request, outcome);
      return outcome;
    },
    appendMany: async (requests) => {
      const outcomes = await log.appendMany(requests);
      requests.forEach((request, at) => told(request, outcomes[at]!));
      return outcomes;
    },
    appendAtomic: async (requests) => {
      const outcomes = await log.appendAtomic(requests);
      requests.forEach((request, at) => told(request, outcomes[at]!));
      return outcomes;
    },
  };
};
