import {
  handleCommand,
  LogOverloaded,
  LogUnavailable,
  type AggregateType,
  type AppendOutcome,
  type AppendRequest,
  type CommandDone,
  type ExpectedRevision,
  type NewEvent,
} from '@vigil/event-log';
import { ok, type Result } from '@vigil/vocabulary';
import { COUNTED, REMARKED, serve, UNCOUNTABLE, UNSENDABLE, type Node, type Surroundings } from './node';
import type { Plan } from './plan';

/** What a sender was told. */
export type Answer =
  | {
      readonly kind: 'append';
      readonly of: number;
      readonly sure: boolean;
      readonly request: AppendRequest;
      readonly outcome: AppendOutcome;
    }
  | {
      readonly kind: 'command';
      readonly of: number;
      readonly sure: boolean;
      readonly stream: string;
      readonly result: Result<CommandDone>;
    };

/** Something a sender wants to have happened exactly once. */
interface Wish {
  readonly number: number;
  readonly kind: 'append' | 'many' | 'command';
  readonly requests: readonly AppendRequest[];
  /** For a command: whose. */
  readonly aggregate: string;
  /** No attempt so far was left without an answer. */
  sure: boolean;
}

const HOT = ['hot-0', 'hot-1'] as const;
const COUNTERS = ['0', '1'] as const;

/** What a sender must live with; anything else is a fault of the program. */
const isTrouble = (error: unknown): boolean =>
  error instanceof LogUnavailable || error instanceof LogOverloaded || typeof (error as { code?: unknown }).code === 'string';

const hex = (value: number, digits: number): string => value.toString(16).padStart(digits, '0');
/** The same few ids serve every history; making them anew cost a tenth of it. */
const uuids: string[][][] = [];
const uuid = (wish: number, n: number, attempt: number): string =>
  (((uuids[attempt] ??= [])[wish] ??= [])[n] ??= `${hex(wish, 8)}-${hex(attempt, 4)}-8000-8000-${String(n).padStart(12, '0')}`);
const FINGERPRINT = 0xff;
const payloads: string[][] = [];
const payload = (wish: number, n: number): string => ((payloads[wish] ??= [])[n] ??= `{"wish":${wish},"n":${n}}`);

interface Count {
  readonly type: string;
  readonly data: { readonly wish: number; readonly n: number; readonly seen: number };
}

/** What it emits hangs on what it has seen: a decision made on an old state differs from one on the new. */
export const counter: AggregateType<number, Count, number> = {
  streamOf: (id) => `counter-${id}`,
  versions: { [COUNTED]: 1 },
  read: ({ data }) => ({ type: COUNTED, data: JSON.parse(data) as Count['data'] }),
  decider: {
    initialState: 0,
    evolve: (seen) => seen + 1,
    decide: (wish, seen) => {
      const first = { type: COUNTED, data: { wish, n: 0, seen } };
      return ok(seen % 3 === 1 ? [first, { type: COUNTED, data: { wish, n: 1, seen } }] : [first]);
    },
  },
};

/** Senders live outside of every program and don't die: they repeat what they want under the same ids until they hear how it ended. */
export const startSenders = (
  world: Surroundings,
  nodes: readonly Node[],
  { wishes, span, bad }: Plan,
): { answers: Answer[]; unanswered: () => number } => {
  const { simulation, mutant } = world;
  const { random } = simulation;
  const serving = nodes.filter(({ roles }) => roles.serves);
  const sender = simulation.process('senders');
  const answers: Answer[] = [];
  /** What senders last heard of a hot stream. Nobody asks before sending, so that appends meet at one revision. */
  const heard = new Map<string, ExpectedRevision>();
  let unanswered = 0;
  let made = 0;

  const typeOf = (): string => {
    if (bad > 0 && random.chance(bad)) return random.chance(0.5) ? UNCOUNTABLE : UNSENDABLE;
    return random.chance(0.15) ? REMARKED : COUNTED;
  };

  const makeRequest = (wish: number, from: number, stream: string, expected: ExpectedRevision): AppendRequest => {
    const events: NewEvent[] = [];
    const size = random.chance(0.25) ? random.between(2, 3) : 1;
    for (let n = from; n < from + size; n++)
      events.push({
        id: uuid(wish, n, 0),
        type: typeOf(),
        version: 1,
        data: payload(wish, n),
        metadata: '{}',
        fingerprint: uuid(wish, n, FINGERPRINT),
      });
    return { stream, expected, events };
  };

  const makeWish = (): Wish => {
    const number = made++;
    const draw = random.below(10);
    if (draw < 3)
      return { number, kind: 'append', requests: [makeRequest(number, 0, `own-${number}`, 'none')], aggregate: '', sure: true };
    if (draw < 6) {
      const stream = random.pick(HOT);
      const expected = random.chance(0.2) ? 'any' : (heard.get(stream) ?? 'none');
      return { number, kind: 'append', requests: [makeRequest(number, 0, stream, expected)], aggregate: '', sure: true };
    }
    if (draw < 8) {
      const requests: AppendRequest[] = [];
      for (let size = random.between(2, 4), at = 0; at < size; at++)
        requests.push(
          random.chance(0.3)
            ? makeRequest(number, at * 10, random.pick(HOT), 'any')
            : makeRequest(number, at * 10, `own-${number}-${at}`, 'none'),
        );
      return { number, kind: 'many', requests, aggregate: '', sure: true };
    }
    return { number, kind: 'command', requests: [], aggregate: random.pick(COUNTERS), sure: true };
  };

  /** What the mutant makes of a repeat. */
  const renamed = (wish: Wish, request: AppendRequest, tries: number): AppendRequest => ({
    ...request,
    events: request.events.map((event) => ({ ...event, id: uuid(wish.number, Number(event.id.slice(-2)), tries) })),
  });

  /** One attempt at a node, over a network of its own. */
  const attempt = (node: Node, wish: Wish, requests: readonly AppendRequest[], number: number): Promise<unknown> =>
    sender.call(`wish ${wish.number}`, (reply, fail) =>
      serve<unknown>(
        node,
        () => {
          if (wish.kind === 'append') return node.log.append(requests[0]!);
          if (wish.kind === 'many') return node.log.appendMany(requests);
          const again = mutant === 'new-id-on-retry' && number > 0 ? `-${number}` : '';
          return handleCommand(node.log, counter, wish.aggregate, wish.number, {
            commandId: `${wish.number}${again}`,
            metadata: {},
          });
        },
        reply,
        fail,
      ),
    );

  const hear = (request: AppendRequest, outcome: AppendOutcome): void => {
    if (outcome.kind === 'appended' || outcome.kind === 'duplicate') heard.set(request.stream, outcome.revision);
    if (outcome.kind === 'conflict') heard.set(request.stream, outcome.actual ?? 'none');
  };

  const fulfil = async (wish: Wish): Promise<void> => {
    let rebased: AppendRequest | undefined;
    for (let tries = 0; ; tries++) {
      let requests = rebased ? [rebased] : wish.requests;
      if (mutant === 'new-id-on-retry' && tries > 0) requests = requests.map((request) => renamed(wish, request, tries));
      const node = random.pick(serving);
      let outcome: unknown;
      try {
        outcome = await sender.within(3000, attempt(node, wish, requests, tries), 'answer');
      } catch (error) {
        if (!isTrouble(error)) world.database.broken.push(`a program failed wish ${wish.number}: ${String(error)}`);
        wish.sure = false;
        await sender.clock.sleep(random.between(10, 300));
        continue;
      }
      const { number: of, sure, kind } = wish;
      if (kind === 'command') {
        answers.push({ kind, of, sure, stream: counter.streamOf(wish.aggregate), result: outcome as Result<CommandDone> });
        return;
      }
      const outcomes = kind === 'append' ? [outcome as AppendOutcome] : (outcome as AppendOutcome[]);
      outcomes.forEach((each, at) => hear(requests[at]!, each));
      const [first] = outcomes;
      if (kind === 'append' && first!.kind === 'conflict' && tries < 4 && random.chance(0.5)) {
        // Somebody was quicker: again on top of him, as the same event.
        answers.push({ kind: 'append', of, sure: false, request: requests[0]!, outcome: first! });
        rebased = { ...requests[0]!, expected: first!.actual ?? 'none' };
        continue;
      }
      outcomes.forEach((each, at) => answers.push({ kind: 'append', of, sure, request: requests[at]!, outcome: each }));
      return;
    }
  };

  for (let n = 0; n < wishes; n++) {
    unanswered++;
    simulation.after(random.below(span + 1), () => {
      const wish = makeWish();
      simulation.note?.(`senders: want ${wish.kind} ${wish.number}`);
      void fulfil(wish).then(() => {
        simulation.note?.(`senders: know how ${wish.number} ended`);
        unanswered--;
      });
    });
  }
  return { answers, unanswered: () => unanswered };
};
