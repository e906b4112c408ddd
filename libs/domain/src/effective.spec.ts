import { inForceOn, inserted, spans } from './effective';

const history = [{ name: 'first' }, { from: '2018-11-01', name: 'second' }];

it('puts late news where it belongs', () => {
  const late = { from: '2010-01-01', name: 'between' };
  expect(inserted(history, late).map(({ name }) => name)).toEqual(['first', 'between', 'second']);
  expect(inserted([], late)).toEqual([late]);
});

it('knows what holds on a day, from its first day to the one before the next', () => {
  expect(inForceOn(history, '2018-10-31')?.name).toBe('first');
  expect(inForceOn(history, '2018-11-01')?.name).toBe('second');
  expect(inForceOn([{ from: '2018-11-01' }], '2018-10-31')).toBeUndefined();
  expect(spans(history)).toEqual([
    { name: 'first', until: '2018-11-01' },
    { from: '2018-11-01', name: 'second' },
  ]);
});
