import { given } from '@vigil/testing';
import fc from 'fast-check';
import {
  community,
  communityCommands,
  communityStream,
  EXPOSURE_KINDS,
  overlap,
  type CommunityCommand,
  type CommunityEvent,
  type CommunityState,
} from './community';

const registration = {
  code: 'qiaobei',
  name: { zh: '桥北街道', en: 'Qiaobei' },
  type: 'street',
  parent: 'zhenjiang',
  groups: ['GROUP-north'],
};
const square: [number, number][] = [
  [119.4, 32.1],
  [119.5, 32.1],
  [119.5, 32.2],
  [119.4, 32.1],
];
const data = {
  RegisterCommunity: registration,
  DrawBoundary: { referenceSystem: 'CGCS2000' as const, rings: [square], validFrom: '2026-01-01' },
  RecordPopulation: {
    year: 2025,
    cells: [
      { sex: 'F' as const, ageFrom: 0, ageTo: 4, persons: 210 },
      { sex: 'F' as const, ageFrom: 5, persons: 3000 },
    ],
    source: '公安年报',
  },
  RecordExposure: { year: 2025, kind: 'vehicles' as const, amount: 1200 },
  RetireCommunity: { on: '2026-06-30', reason: '并入桥南', successor: 'qiaonan' },
};
const eventOf = {
  RegisterCommunity: 'CommunityRegistered',
  DrawBoundary: 'CommunityBoundaryDrawn',
  RecordPopulation: 'PopulationRecorded',
  RecordExposure: 'ExposureRecorded',
  RetireCommunity: 'CommunityRetired',
} as const;
type Name = keyof typeof data;
const command = (type: Name): CommunityCommand => ({ type, data: data[type] }) as CommunityCommand;
const event = (type: Name): CommunityEvent => ({ type: eventOf[type], data: data[type] }) as CommunityEvent;
const names = Object.keys(data) as Name[];
const registered = event('RegisterCommunity');
const retired = event('RetireCommunity');

describe('a community', () => {
  it('is registered once, also once it is retired', () => {
    given(community)().when(command('RegisterCommunity')).then([registered]);
    given(community)([registered]).when(command('RegisterCommunity')).thenRefused('community-exists');
    given(community)([registered, retired]).when(command('RegisterCommunity')).thenRefused('community-exists');
  });

  it('is not its own parent', () =>
    given(community)()
      .when({ type: 'RegisterCommunity', data: { ...registration, parent: registration.code } })
      .thenRefused('own-parent'));

  it.each(names.slice(1))('takes %s only once registered', (type) => {
    given(community)().when(command(type)).thenRefused('community-not-found');
    given(community)([registered])
      .when(command(type))
      .then([event(type)]);
  });

  it('takes figures of past years after it is retired, and no new boundary or second end', () => {
    for (const type of ['RecordPopulation', 'RecordExposure'] as const)
      given(community)([registered, retired])
        .when(command(type))
        .then([event(type)]);
    for (const type of ['DrawBoundary', 'RetireCommunity'] as const)
      given(community)([registered, retired]).when(command(type)).thenRefused('community-retired');
  });

  it('takes a year again: the later figures stand', () =>
    given(community)([registered, event('RecordPopulation')])
      .when(command('RecordPopulation'))
      .then([event('RecordPopulation')]));

  it('has the stream of its code', () => expect(communityStream('qiaobei')).toBe('community-qiaobei'));

  it('is none, registered or retired, whatever else happens', () => {
    expect(given(community)().state).toEqual({ status: 'none' });
    expect(given(community)(names.slice(0, -1).map(event)).state).toEqual({ status: 'registered' });
    expect(given(community)([registered, retired, event('RecordPopulation')]).state).toEqual({ status: 'retired' });
  });
});

describe('its schemas', () => {
  const accepts = (type: Name, over: object): boolean => communityCommands[type].safeParse({ ...data[type], ...over }).success;
  const cell = (over: object) => ({ sex: 'F', ageFrom: 0, ageTo: 4, persons: 1, ...over });

  it('take the samples, and no field besides', () => {
    for (const type of names) expect([type, accepts(type, {}), accepts(type, { extra: 1 })]).toEqual([type, true, false]);
  });

  it.each<[string, Name, object, boolean]>([
    ['a code with a slash', 'RegisterCommunity', { code: 'a/b' }, false],
    ['a code in Chinese', 'RegisterCommunity', { code: '桥北' }, false],
    ['a name in one language', 'RegisterCommunity', { name: { zh: '桥北' } }, false],
    ['a type in capitals', 'RegisterCommunity', { type: 'Street' }, false],
    ['a boundary that says no reference system', 'DrawBoundary', { referenceSystem: undefined }, false],
    ['a ring of three points', 'DrawBoundary', { rings: [square.slice(1)] }, false],
    ['latitude before longitude', 'DrawBoundary', { rings: [[[32.1, 119.4], ...square.slice(1)]] }, false],
    ['no ring', 'DrawBoundary', { rings: [] }, false],
    ['no cells', 'RecordPopulation', { cells: [] }, false],
    ['the year 1899', 'RecordPopulation', { year: 1899 }, false],
    ['a year and a half', 'RecordPopulation', { year: 2025.5 }, false],
    ['a cell that ends before it begins', 'RecordPopulation', { cells: [cell({ ageFrom: 5 })] }, false],
    ['a cell of one year of age', 'RecordPopulation', { cells: [cell({ ageFrom: 4 })] }, true],
    ['a cell from age 999', 'RecordPopulation', { cells: [cell({ ageFrom: 999, ageTo: null })] }, false],
    ['fewer than no persons', 'RecordPopulation', { cells: [cell({ persons: -1 })] }, false],
    ['no person', 'RecordPopulation', { cells: [cell({ persons: 0 })] }, true],
    ['estimated persons', 'RecordPopulation', { cells: [cell({ persons: 10.5 })] }, true],
    ['a sex of another word', 'RecordPopulation', { cells: [cell({ sex: 'female' })] }, false],
    ['cells side by side', 'RecordPopulation', { cells: [cell({}), cell({ ageFrom: 5, ageTo: 9 })] }, true],
    ['cells that share an age', 'RecordPopulation', { cells: [cell({}), cell({ ageFrom: 4, ageTo: 9 })] }, false],
    [
      'cells that are open above',
      'RecordPopulation',
      { cells: [cell({ ageFrom: 80, ageTo: null }), cell({ ageFrom: 85, ageTo: 90 })] },
      false,
    ],
    ['the same ages of two sexes', 'RecordPopulation', { cells: [cell({}), cell({ sex: 'M' })] }, true],
    [
      'the same ages of two residencies',
      'RecordPopulation',
      { cells: [cell({ residency: 'resident' }), cell({ residency: 'migrant' })] },
      true,
    ],
    [
      'the same ages of one residency',
      'RecordPopulation',
      { cells: [cell({ residency: 'migrant' }), cell({ residency: 'migrant' })] },
      false,
    ],
    ['exposure of another kind', 'RecordExposure', { kind: 'bicycles' }, false],
    ['exposure below nothing', 'RecordExposure', { amount: -1 }, false],
    ['an end on 31 June', 'RetireCommunity', { on: '2026-06-31' }, false],
    ['an end without a reason', 'RetireCommunity', { reason: ' ' }, false],
  ])('%s', (_, type, over, accepted) => expect(accepts(type, over)).toBe(accepted));

  it('take every kind of exposure', () => {
    for (const kind of EXPOSURE_KINDS) expect([kind, accepts('RecordExposure', { kind })]).toEqual([kind, true]);
  });

  it('name the cell that overlaps', () => {
    const issues = communityCommands.RecordPopulation.safeParse({
      year: 2025,
      cells: [cell({}), cell({ ageFrom: 5, ageTo: 9 }), cell({ ageFrom: 9, ageTo: 12 })],
    }).error!.issues;
    expect(issues.map(({ path, message }) => [path, JSON.parse(message).code])).toEqual([[['cells', 2], 'overlapping-cells']]);
  });

  it('find an overlap whichever cell comes first, and exactly where two cells share an age', () => {
    const age = fc.integer({ min: 0, max: 130 });
    const any = fc.tuple(age, fc.option(age)).map(([a, b]) => ({
      sex: 'F' as const,
      ageFrom: b === null ? a : Math.min(a, b),
      ageTo: b === null ? null : Math.max(a, b),
      persons: 1,
    }));
    const ages = (of: { ageFrom: number; ageTo: number | null }) =>
      Array.from({ length: (of.ageTo ?? 130) - of.ageFrom + 1 }, (_, i) => of.ageFrom + i);
    fc.assert(
      fc.property(any, any, (a, b) => {
        const shared = ages(a).some((each) => ages(b).includes(each));
        expect([overlap(a, b), overlap(b, a)]).toEqual([shared, shared]);
      }),
    );
  });
});

it('folds any accepted commands without a throw, and their stored events to the same state', () => {
  fc.assert(
    fc.property(fc.array(fc.constantFrom(...names), { maxLength: 20 }), (sequence) => {
      let state: CommunityState = community.initialState;
      const events: CommunityEvent[] = [];
      for (const type of sequence) {
        const decision = community.decide(command(type), state);
        for (const each of decision.ok ? decision.value : []) {
          events.push(each);
          state = community.evolve(state, each);
        }
      }
      expect(given(community)(events).state).toEqual(state);
      expect(state.status).toBe(
        events.some(({ type }) => type === 'CommunityRetired') ? 'retired' : events.length > 0 ? 'registered' : 'none',
      );
    }),
  );
});
