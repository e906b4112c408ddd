import type { Result } from '@vigil/vocabulary';

/** An event before it is stored: its wire name and payload. */
export interface DomainEvent<Type extends string = string, Data = unknown> {
  readonly type: Type;
  readonly data: Data;
}

/**
 * An aggregate as three pure things. `decide` answers with the events a command causes (none when it
 * changes nothing) or says why not; `evolve` folds one event into the state.
 */
export interface Decider<Command, Event extends DomainEvent, State> {
  readonly initialState: State;
  readonly decide: (command: Command, state: State) => Result<readonly Event[]>;
  readonly evolve: (state: State, event: Event) => State;
}
