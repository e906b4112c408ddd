import { given } from '@vigil/testing';
import { diagramOf, type FileCommand } from '../case-file';
import { indicator } from './indicator';

const document = (version: number, over: object = {}) => ({
  code: 'LOC-01',
  version,
  name: { zh: '溺水率', en: 'drowning' },
  ...over,
});
const defined = { type: 'IndicatorDefined', data: { definition: document(1) } };
const revised = (version: number, over: object = {}) => ({
  type: 'IndicatorRevised',
  data: { definition: document(version, over), reason: '口径调整' },
});
const withdrawn = { type: 'IndicatorWithdrawn', data: { reason: '不再使用' } };
const indicatorGiven = given(indicator.decider);
const command = (type: string, { data }: { data: object }): FileCommand => ({ type, data });

it('is defined under its code, revised, withdrawn, and brought back by the next version', () => {
  indicatorGiven([]).when(command('DefineIndicator', defined)).then([defined]);
  expect(indicator.idOf!(defined.data as never)).toBe('LOC-01');
  indicatorGiven([defined])
    .when(command('ReviseIndicator', revised(2)))
    .then([revised(2)]);
  indicatorGiven([defined, revised(2)])
    .when(command('WithdrawIndicator', withdrawn))
    .then([withdrawn]);
  indicatorGiven([defined, withdrawn])
    .when(command('ReviseIndicator', revised(2)))
    .then([revised(2)]);
});

it('keeps the document as it was given, and forgets a withdrawal that is over', () => {
  const more = { numerator: { anything: [1, { at: 'all' }] } };
  expect(indicatorGiven([defined, revised(2, more)]).state).toEqual({ state: 'in-force', definition: document(2, more) });
  expect(indicatorGiven([defined, withdrawn]).state).toEqual({
    state: 'withdrawn',
    definition: document(1),
    withdrawnFor: '不再使用',
  });
  expect(indicatorGiven([defined, withdrawn, revised(2)]).state).toEqual({ state: 'in-force', definition: document(2) });
});

it('of one that came with the program the first event is its version 2', () =>
  indicatorGiven([])
    .when(command('ReviseIndicator', revised(2)))
    .then([revised(2)]));

it.each([
  ['a second definition', [defined], 'DefineIndicator', defined.data, 'indicator-exists'],
  ['a definition of one withdrawn', [defined, withdrawn], 'DefineIndicator', defined.data, 'indicator-exists'],
  ['a definition of one shipped and revised', [revised(2)], 'DefineIndicator', defined.data, 'indicator-exists'],
  ['a first version that is not 1', [], 'DefineIndicator', { definition: document(2) }, 'version-not-next'],
  ['a version left out', [defined], 'ReviseIndicator', revised(3).data, 'version-not-next'],
  ['a version twice', [defined, revised(2)], 'ReviseIndicator', revised(2).data, 'version-not-next'],
  ['a first revision that is version 1', [], 'ReviseIndicator', revised(1).data, 'version-not-next'],
  ['another code', [defined], 'ReviseIndicator', revised(2, { code: 'LOC-02' }).data, 'code-differs'],
  ['a withdrawal of nothing', [], 'WithdrawIndicator', withdrawn.data, 'indicator-not-found'],
  ['a second withdrawal', [defined, withdrawn], 'WithdrawIndicator', withdrawn.data, 'not-allowed-now'],
] as const)('%s is refused', (_, events, type, data, code) => indicatorGiven(events).when({ type, data }).thenRefused(code));

it('draws itself', () =>
  expect(diagramOf(indicator).split('\n')).toEqual([
    'stateDiagram-v2',
    '  [*] --> in-force: IndicatorDefined',
    '  [*] --> in-force: IndicatorRevised',
    '  in-force --> in-force: IndicatorRevised',
    '  withdrawn --> in-force: IndicatorRevised',
    '  in-force --> withdrawn: IndicatorWithdrawn',
  ]));
