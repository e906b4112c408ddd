import { given } from '@vigil/testing';
import { diagramOf, type FileCommand } from '../case-file';
import { place } from './place';

const registered = {
  type: 'PlaceRegistered',
  data: { community: 'S-01', type: 'rental-housing', name: '幸福公寓', supervisedBy: 'O-FIRE', validFrom: '2020-01-01' },
};
const home = { type: 'PlaceRegistered', data: { community: 'S-01', type: 'home', name: 'H-0001' } };
const reclassified = (type: string, on: string) => ({ type: 'PlaceReclassified', data: { type, on, reason: '一楼改为餐馆' } });
const closed = (on = '2025-12-31') => ({ type: 'PlaceClosed', data: { on, reason: '停业' } });
const reopened = (on = '2026-05-01') => ({ type: 'PlaceReopened', data: { on, reason: '复业' } });
const placeGiven = given(place.decider);
const command = (type: string, data: object): FileCommand => ({ type, data });
const at = (longitude: number, latitude: number) => ({ referenceSystem: 'GCJ-02', longitude, latitude });

describe('a place', () => {
  it('is registered, reclassified, closed and reopened', () => {
    placeGiven([]).when(command('RegisterPlace', registered.data)).then([registered]);
    const restaurant = reclassified('nine-small-place', '2024-01-01');
    placeGiven([registered]).when(command('ReclassifyPlace', restaurant.data)).then([restaurant]);
    placeGiven([registered]).when(command('ClosePlace', closed().data)).then([closed()]);
    placeGiven([registered, closed()]).when(command('ReopenPlace', reopened().data)).then([reopened()]);
    expect(placeGiven([registered, closed(), reopened()]).state).toMatchObject({ state: 'open', reopenedOn: '2026-05-01' });
    expect(placeGiven([registered, closed()]).state).toMatchObject({ state: 'closed', closedOn: '2025-12-31' });
  });

  it('has the id that its code gives it, or one that is made', () => {
    expect(place.idOf!({ ...registered.data, code: 'rental-0017' } as never)).toBe('rental-0017');
    expect(place.idOf!(registered.data as never)).toBeUndefined();
  });

  it('keeps its types by date, late news too', () => {
    const { state } = placeGiven([registered, reclassified('enterprise', '2025-01-01'), reclassified('building', '2022-01-01')]);
    expect(place.derived!(state)).toEqual({
      type: 'enterprise',
      history: [
        { from: '2020-01-01', until: '2022-01-01', type: 'rental-housing' },
        { from: '2022-01-01', until: '2025-01-01', type: 'building' },
        { from: '2025-01-01', type: 'enterprise' },
      ],
    });
  });

  it('without a first day takes any', () => {
    const { validFrom: _, ...always } = registered.data;
    const events = [{ ...registered, data: always }];
    placeGiven(events)
      .when(command('ClosePlace', closed('1999-01-01').data))
      .then([closed('1999-01-01')]);
    expect(place.derived!(placeGiven([...events, reclassified('school', '2001-01-01')]).state)).toMatchObject({
      history: [{ type: 'rental-housing', until: '2001-01-01' }, { type: 'school' }],
    });
  });

  it('that is a home goes by a code and a rough point', () => {
    placeGiven([]).when(command('RegisterPlace', home.data)).then([home]);
    const rough = { ...home.data, coordinates: at(121.473, 31.23) };
    placeGiven([])
      .when(command('RegisterPlace', rough))
      .then([{ ...home, data: rough }]);
    for (const [over, code] of [
      [{ name: '幸福路12号302室' }, 'home-needs-code'],
      [{ coordinates: at(121.4737, 31.23) }, 'home-too-exact'],
      [{ coordinates: at(121.473, 31.2304) }, 'home-too-exact'],
    ] as const)
      placeGiven([])
        .when(command('RegisterPlace', { ...home.data, ...over }))
        .thenRefused(code);
    const toHome = command('ReclassifyPlace', reclassified('home', '2024-01-01').data);
    placeGiven([registered]).when(toHome).thenRefused('home-needs-code');
    const exact = { ...registered, data: { ...registered.data, name: 'R-17', coordinates: at(121.4737, 31.2304) } };
    placeGiven([exact]).when(toHome).thenRefused('home-too-exact');
    expect(place.decider.decide(command('RegisterPlace', { ...home.data, name: '张三家' }), { state: 'none' })).not.toMatchObject(
      {
        problem: { value: expect.anything() },
      },
    );
  });

  it.each([
    ['a second registration', [registered], 'RegisterPlace', registered.data, 'place-exists'],
    ['a closure of what is not there', [], 'ClosePlace', closed().data, 'place-not-found'],
    [
      'a type before its registration',
      [registered],
      'ReclassifyPlace',
      reclassified('school', '2019-12-31').data,
      'date-too-early',
    ],
    ['another type from its first day', [registered], 'ReclassifyPlace', reclassified('school', '2020-01-01').data, 'day-taken'],
    ['the type it has', [registered], 'ReclassifyPlace', reclassified('rental-housing', '2024-01-01').data, 'same-type'],
    ['a closure before its registration', [registered], 'ClosePlace', closed('2019-12-31').data, 'date-too-early'],
    [
      'a closure before its last type',
      [registered, reclassified('school', '2026-01-01')],
      'ClosePlace',
      closed().data,
      'date-too-early',
    ],
    [
      'a closure before its reopening',
      [registered, closed(), reopened()],
      'ClosePlace',
      closed('2026-04-30').data,
      'date-too-early',
    ],
    ['a reopening before its closure', [registered, closed()], 'ReopenPlace', reopened('2025-12-30').data, 'date-too-early'],
    ['a reopening of what is open', [registered], 'ReopenPlace', reopened().data, 'not-allowed-now'],
    ['a second closure', [registered, closed()], 'ClosePlace', closed().data, 'not-allowed-now'],
    [
      'a type of what is closed',
      [registered, closed()],
      'ReclassifyPlace',
      reclassified('school', '2026-01-01').data,
      'not-allowed-now',
    ],
  ])('refuses %s', (_, events, type, data, code) => placeGiven(events).when(command(type, data)).thenRefused(code));

  it('asks for the reference system of a point, and takes no point off the map', () => {
    const { schema } = place.steps['RegisterPlace']!;
    const accepts = (coordinates: object) => schema.safeParse({ ...registered.data, coordinates }).success;
    for (const referenceSystem of ['WGS84', 'CGCS2000', 'GCJ-02', 'BD-09'])
      expect(accepts({ ...at(121.4, 31.2), referenceSystem })).toBe(true);
    expect(accepts({ longitude: 121.4, latitude: 31.2 })).toBe(false);
    expect(accepts({ ...at(121.4, 31.2), referenceSystem: 'local' })).toBe(false);
    expect(accepts(at(181, 31.2))).toBe(false);
    expect(accepts(at(121.4, -91))).toBe(false);
    expect(schema.safeParse({ ...registered.data, address: 'canary' }).success).toBe(false);
  });

  it('is listed by its type of now', () =>
    expect(place.facets(placeGiven([registered, reclassified('school', '2024-01-01')]).state)).toEqual({
      community: 'S-01',
      kind: 'school',
      day: '2020-01-01',
    }));

  it('draws itself', () => expect(diagramOf(place)).toContain('closed --> open: PlaceReopened'));
});
