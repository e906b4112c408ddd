import { ok, refuse } from '@vigil/vocabulary';
import { given } from './given';

type Counted = { readonly type: 'Counted'; readonly data: { by: number } };
const counter = {
  initialState: { total: 0 },
  decide: (by: number, { total }: { total: number }) =>
    total + by > 3 ? refuse({ code: 'too-many', detail: { zh: '太多', en: 'too many' } }) : ok(by === 0 ? [] : [counted(by)]),
  evolve: ({ total }: { total: number }, { data }: Counted) => ({ total: total + data.by }),
};
const counted = (by: number): Counted => ({ type: 'Counted', data: { by } });

it('tells the events of a command from their absence and from a refusal', () => {
  given(counter)()
    .when(2)
    .then([counted(2)]);
  given(counter)([counted(3)])
    .when(0)
    .thenNothing();
  given(counter)([counted(2), counted(1)])
    .when(1)
    .thenRefused('too-many');
  expect(given(counter)([counted(1), counted(1)]).state).toEqual({ total: 2 });
});

it('fails where decision and expectation differ', () => {
  expect(() =>
    given(counter)()
      .when(2)
      .then([counted(1)]),
  ).toThrow();
  expect(() => given(counter)().when(2).thenNothing()).toThrow();
  expect(() => given(counter)().when(2).thenRefused('too-many')).toThrow();
  expect(() => given(counter)().when(4).thenRefused('other')).toThrow();
  expect(() => given(counter)().when(4).then([])).toThrow();
});

it('catches a decider that changes the state it was given', () => {
  const careless: typeof counter = { ...counter, decide: (_, state) => ok([counted((state.total += 1))]) };
  expect(() => given(careless)([counted(1)]).when(1)).toThrow(TypeError);
});
