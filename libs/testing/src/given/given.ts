import type { Result } from '@vigil/vocabulary';

/** The domain's deciders fit it; named here by shape, so that the domain's own specs can use this. */
interface Decider<Command, Event, State> {
  readonly initialState: State;
  readonly decide: (command: Command, state: State) => Result<readonly Event[]>;
  readonly evolve: (state: State, event: Event) => State;
}

/** As the log would give it back. */
const stored = <E>(event: E): E => JSON.parse(JSON.stringify(event)) as E;

/**
 * `given(decider)(events).when(command).then(events)`, `.thenRefused(code)`; `given(decider)(events).state` is their fold.
 * The given events pass through JSON first, as stored ones do; the state is frozen, so a decider that writes to it fails.
 */
export const given =
  <Command, Event extends { readonly type: string }, State>(decider: Decider<Command, Event, State>) =>
  (events: readonly Event[] = []) => {
    const state = events
      .map(stored)
      .reduce((before, event) => Object.freeze(decider.evolve(before, event)), decider.initialState);
    return {
      state,
      when: (command: Command) => {
        const decision = decider.decide(command, state);
        return {
          then: (expected: readonly Event[]): void => expect(decision).toEqual({ ok: true, value: expected }),
          thenNothing: (): void => expect(decision).toEqual({ ok: true, value: [] }),
          thenRefused: (code: string): void =>
            expect(decision).toMatchObject({
              ok: false,
              problem: { code, detail: { zh: expect.any(String), en: expect.any(String) } },
            }),
        };
      },
    };
  };
