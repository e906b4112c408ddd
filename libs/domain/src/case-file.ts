import { nearest, ok, refuse, type Problem, type Result, type Text } from '@vigil/vocabulary';
import type { ZodType } from 'zod';
import type { Decider, DomainEvent } from './decider';
import { eventReader, eventType, type EventType, type Upcast } from './event-type';

/** Before the first event. */
export const NONE = 'none';
/** As a step's target: it stays where it is. */
export const SAME = '=';

/** What every file's state has. Plain JSON: a read model stores it as it is. */
export interface FileState {
  readonly state: string;
}

/** One command: when it may be given, which event it makes and where that leads. */
export interface Step<S extends FileState = FileState, D = never> {
  /**
   * Below the file's own address, e.g. `rectifications`; absent for the one that begins a file. A part in braces
   * (`waves/{wave}/responses`) fills the field of that name.
   */
  readonly path?: string;
  readonly summary: Text;
  readonly schema: ZodType;
  /** States it is allowed in; {@link NONE} for the one that begins a file. */
  readonly from: readonly string[];
  /** Its events, each with the state it leads to, or those of which the event's fold says which; of several events, `choose` does. */
  readonly leads: Readonly<Record<string, string | readonly string[]>>;
  readonly choose?: (data: D, state: S) => string;
  /** What the states alone don't say. Pure: no clock, nothing but the command and the file. */
  readonly rule?: (data: D, state: S) => Problem | undefined;
  /** A field of the data that is an array and may come as NDJSON, one item per line, any number of them. */
  readonly lines?: { readonly field: string; readonly perEvent: number };
  /** Many may send it at once: `If-Match` isn't asked for. */
  readonly unguarded?: boolean;
  /** Given by the program itself: it has no address of its own. */
  readonly internal?: boolean;
  /** Of its events, when their schema has changed since the first; one step per earlier version. */
  readonly upcasts?: Readonly<Record<string, readonly Upcast[]>>;
}

/** Infers a step's data from its schema: `step<HazardState>()({ schema, … })`. */
export const step =
  <S extends FileState>() =>
  <D>(of: Step<S, D> & { readonly schema: ZodType<D> }): Step<S> =>
    of;

/** What lists are sorted, filtered and coloured by. */
export interface Facets {
  /** The one it lies in; absent for one that lies in several, or in none. */
  readonly community?: string | undefined;
  /** All that it lies in, when they may be several; default: `community`. */
  readonly communities?: readonly string[] | undefined;
  /** Programme domain, kind or type: whatever parts this register. */
  readonly kind?: string | undefined;
  /** When it happened, began or was found: a day, or an instant that a read model puts on the local calendar. */
  readonly day?: string | undefined;
  /** By when something is due; past and not done it is overdue. */
  readonly due?: string | undefined;
}

export interface FileOptions<S extends FileState> {
  /** Singular, kebab-case; the stream is `<name>-<id>`. */
  readonly name: string;
  /** The first part of its address. */
  readonly plural: string;
  readonly title: Text;
  readonly initialState: S;
  readonly steps: Readonly<Record<string, Step<S>>>;
  /** What each event changes besides the state's name. */
  readonly folds: Readonly<Record<string, (state: S, data: never) => S>>;
  readonly facets: (state: S) => Facets;
  /** The id that the first command gives it; absent or undefined: made from the command's own id. */
  readonly idOf?: (data: never) => string | undefined;
  /** Where the clock of the world stands in an event's data: the first of these fields that is there. */
  readonly occurred?: readonly string[];
  /**
   * Fields of commands that name a file of another register (or an `injury`), by their path, through arrays too:
   * `{ 'casualties.injuryId': 'injury' }`. Whether it is there is no matter of a decider, which sees one file.
   */
  readonly references?: Readonly<Record<string, string>>;
  /** Fields of GET that follow from the state. */
  readonly derived?: (state: S) => Readonly<Record<string, unknown>>;
}

export interface FileCommand {
  readonly type: string;
  readonly data: unknown;
}

/** A register's kind of file: hazard, place, survey … Everything else about it follows from this value. */
export interface CaseFile<S extends FileState = FileState> extends FileOptions<S> {
  readonly decider: Decider<FileCommand, DomainEvent, S>;
  readonly streamOf: (id: string) => string;
  readonly events: Readonly<Record<string, EventType>>;
  readonly versions: Readonly<Record<string, number>>;
  readonly read: (stored: { readonly type: string; readonly version: number; readonly data: string }) => DomainEvent;
  /** Commands allowed in a state, by name. */
  readonly allowedIn: (state: string) => string[];
}

/**
 * Makes a file of its steps. `decide` refuses with `<name>-not-found`, `<name>-exists`, `not-allowed-now` (naming what is
 * allowed) or the rule's own problem.
 * @throws RangeError when a step's event has no fold, or two steps give one event different schemas
 */
export const caseFile = <S extends FileState>(options: FileOptions<S>): CaseFile<S> => {
  const { name, title, steps, folds, initialState } = options;
  const target = new Map<string, string | readonly string[]>();
  const events: Record<string, EventType> = {};
  for (const [command, { leads, schema, upcasts }] of Object.entries(steps))
    for (const [event, to] of Object.entries(leads)) {
      if (events[event] && events[event].schema !== schema) throw new RangeError(`${command} gives ${event} another schema`);
      if (!folds[event]) throw new RangeError(`${name} has no fold for ${event}`);
      if (target.has(event) && String(target.get(event)) !== String(to)) throw new RangeError(`${event} leads to two states`);
      target.set(event, to);
      const earlier = upcasts?.[event] ?? [];
      events[event] = eventType(event, earlier.length + 1, schema, ...earlier);
    }

  const allowedIn = (state: string): string[] =>
    Object.entries(steps)
      .filter(([, { from, internal }]) => !internal && from.includes(state))
      .map(([command]) => command);
  /** As a caller knows the command: the last part of its address. */
  const address = (command: string): string => steps[command]!.path ?? options.plural;

  const decide = ({ type, data }: FileCommand, before: S): Result<readonly DomainEvent[]> => {
    const { from, leads, choose, rule } = steps[type]!;
    if (before.state === NONE && !from.includes(NONE))
      return refuse({
        code: `${name}-not-found`,
        detail: { zh: `没有这个${title.zh}`, en: `there is no such ${title.en}` },
      });
    if (before.state !== NONE && from.includes(NONE) && !from.includes(before.state))
      return refuse({
        code: `${name}-exists`,
        detail: { zh: `该${title.zh}已存在`, en: `the ${title.en} exists already` },
      });
    if (!from.includes(before.state)) {
      const allowed = allowedIn(before.state).map(address);
      return refuse({
        code: 'not-allowed-now',
        detail: {
          zh: `${title.zh}处于“${before.state}”,不能 ${address(type)};此时可以:${allowed.join('、') || '(无)'}`,
          en: `the ${title.en} is ${before.state}: ${address(type)} is not possible now; possible are ${allowed.join(', ') || 'none'}`,
        },
        value: before.state,
        allowed,
      });
    }
    const problem = rule?.(data as never, before);
    if (problem) return refuse(problem);
    const made = Object.keys(leads);
    const event = made.length === 1 ? made[0]! : choose!(data as never, before);
    return ok([{ type: event, data }]);
  };

  const evolve = (before: S, { type, data }: DomainEvent): S => {
    const to = target.get(type)!;
    const after = folds[type]!(before, data as never);
    return to === SAME || typeof to !== 'string' ? after : { ...after, state: to };
  };

  return {
    ...options,
    decider: { initialState, decide, evolve },
    streamOf: (id) => `${name}-${id}`,
    events,
    versions: Object.fromEntries(Object.values(events).map((event) => [event.name, event.version])),
    read: eventReader(events as never),
    allowedIn,
  };
};

/** The file's states and steps as a Mermaid state diagram. */
export const diagramOf = ({ steps }: { readonly steps: Readonly<Record<string, Pick<Step, 'from' | 'leads'>>> }): string => {
  const lines = new Set<string>();
  for (const { from, leads } of Object.values(steps))
    for (const state of from)
      for (const [event, to] of Object.entries(leads))
        for (const after of [to].flat())
          lines.add(`  ${state === NONE ? '[*]' : state} --> ${after === SAME ? state : after}: ${event}`);
  return ['stateDiagram-v2', ...lines].join('\n');
};

/** A file that a command names. */
export interface Reference {
  readonly register: string;
  readonly id: string;
  /** Where in the command's data. */
  readonly pointer: string;
}

/** The files that a command's data names, each once, in the order of the file's `references`. Counts in their stead name none. */
export const referencesIn = ({ references = {} }: Pick<FileOptions<never>, 'references'>, data: unknown): Reference[] => {
  const found = new Map<string, Reference>();
  const walk = (value: unknown, path: readonly string[], register: string, pointer: string): void => {
    if (Array.isArray(value)) return value.forEach((item, index) => walk(item, path, register, `${pointer}/${index}`));
    const [field, ...rest] = path;
    if (field !== undefined && typeof value === 'object' && value !== null)
      return walk((value as Record<string, unknown>)[field], rest, register, `${pointer}/${field}`);
    if (field !== undefined || typeof value !== 'string') return;
    const key = `${register} ${value}`;
    if (!found.has(key)) found.set(key, { register, id: value, pointer });
  };
  for (const [path, register] of Object.entries(references)) walk(data, path.split('.'), register, '');
  return [...found.values()];
};

/** A refusal that a rule gives. */
export const problem = (code: string, zh: string, en: string, more: Omit<Problem, 'code' | 'detail'> = {}): Problem => ({
  code,
  detail: { zh, en },
  ...more,
});

/** A refusal of a word that isn't one of those allowed; names the nearest. */
export const notAmong = (code: string, what: Text, value: string, allowed: readonly string[], pointer: string): Problem => {
  const suggestion = nearest(value, allowed);
  const few = allowed.length <= 12 ? allowed.join('、') : undefined;
  return problem(
    code,
    `没有${what.zh} ${value}${suggestion ? `,是否为 ${suggestion}` : ''}${few ? `;可用:${few}` : ''}`,
    `there is no ${what.en} ${value}${suggestion ? `; did you mean ${suggestion}` : ''}${few ? `; there are ${few.replaceAll('、', ', ')}` : ''}`,
    { pointer, value, allowed, ...(suggestion !== undefined && { suggestion }) },
  );
};

/** Days and instants on one line; a day begins at its first moment. Undefined when one of them is absent. */
export const isBefore = (a: string | undefined, b: string | undefined): boolean => {
  if (a === undefined || b === undefined) return false;
  // A day and an instant are compared by their days: which of them came first within it isn't known.
  if (a.length === 10 || b.length === 10) return a.slice(0, 10) < b.slice(0, 10);
  return Date.parse(a) < Date.parse(b);
};
