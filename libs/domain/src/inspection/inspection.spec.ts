import { given } from '@vigil/testing';
import { diagramOf, type FileCommand } from '../case-file';
import { inspection } from './inspection';

const planned = {
  type: 'InspectionPlanned',
  data: {
    community: 'S-01',
    domain: 'migrants-and-rental',
    plannedFor: '2026-03',
    places: ['rental-1', 'rental-2', 'rental-3'],
    by: 'O-FIRE',
  },
};
const counted = { type: 'InspectionPlanned', data: { ...planned.data, places: 40 } };
const part = (placesCovered: number | string[], hazardsFound?: number | string[]) => ({
  type: 'InspectionCarriedOut',
  data: { carriedOutAt: '2026-03-10', placesCovered, ...(hazardsFound !== undefined && { hazardsFound }) },
});
const cancelled = { type: 'InspectionCancelled', data: { reason: '台风' } };
const inspectionGiven = given(inspection.decider);
const command = (type: string, data: object): FileCommand => ({ type, data });
const derived = (...events: { type: string; data: object }[]) => inspection.derived!(inspectionGiven(events).state);

describe('an inspection', () => {
  it('is planned, carried out in parts until every planned place is covered', () => {
    inspectionGiven([]).when(command('PlanInspection', planned.data)).then([planned]);
    const first = part(['rental-1', 'rental-2'], ['h-1', 'h-2']);
    inspectionGiven([planned]).when(command('CarryOutInspection', first.data)).then([first]);
    expect(inspectionGiven([planned, first]).state).toMatchObject({ state: 'under-way', parts: 1 });
    expect(derived(planned, first)).toEqual({
      planned: 3,
      covered: 2,
      coverage: 2 / 3,
      remaining: ['rental-3'],
      unplanned: [],
      hazards: 2,
    });
    const second = part(['rental-3'], ['h-2', 'h-3']);
    inspectionGiven([planned, first]).when(command('CarryOutInspection', second.data)).then([second]);
    expect(inspectionGiven([planned, first, second]).state).toMatchObject({ state: 'completed', parts: 2 });
    expect(derived(planned, first, second)).toMatchObject({ coverage: 1, remaining: [], hazards: 3 });
  });

  it('counts a place once, however often it was visited, and no unplanned place as coverage', () =>
    expect(derived(planned, part(['rental-1', 'rental-9', 'rental-1']), part(['rental-1']))).toMatchObject({
      covered: 1,
      coverage: 1 / 3,
      unplanned: ['rental-9'],
    }));

  it('may count its places and hazards instead of naming them', () => {
    expect(derived(counted)).toEqual({ planned: 40, covered: 0, coverage: 0, hazards: 0 });
    expect(derived(counted, part(25, 3), part(10, ['h-1']))).toEqual({ planned: 40, covered: 35, coverage: 0.875, hazards: 4 });
    expect(inspectionGiven([counted, part(25), part(15)]).state.state).toBe('completed');
  });

  it('that found nothing covers all the same', () =>
    expect(derived(planned, part(planned.data.places))).toMatchObject({ hazards: 0 }));

  it('is cancelled with a reason, or what is left of it is', () => {
    inspectionGiven([planned]).when(command('CancelInspection', cancelled.data)).then([cancelled]);
    const { state } = inspectionGiven([planned, part(['rental-1']), cancelled]);
    expect(state).toMatchObject({ state: 'cancelled', cancelledFor: '台风' });
    expect(inspection.derived!(state)).toMatchObject({ covered: 1 });
  });

  it.each([
    ['a second plan', [planned], 'PlanInspection', planned.data, 'inspection-exists'],
    ['results of no plan', [], 'CarryOutInspection', part(1).data, 'inspection-not-found'],
    ['a count where places are named', [planned], 'CarryOutInspection', part(2).data, 'places-are-named'],
    ['names where places are counted', [counted], 'CarryOutInspection', part(['rental-1']).data, 'places-are-counted'],
    ['more places than were planned', [counted, part(30)], 'CarryOutInspection', part(11).data, 'more-than-planned'],
    ['results of what is completed', [counted, part(40)], 'CarryOutInspection', part(0).data, 'not-allowed-now'],
    ['results of what was cancelled', [planned, cancelled], 'CarryOutInspection', part(['rental-1']).data, 'not-allowed-now'],
    ['cancelling what is completed', [counted, part(40)], 'CancelInspection', cancelled.data, 'not-allowed-now'],
    ['cancelling twice', [planned, cancelled], 'CancelInspection', cancelled.data, 'not-allowed-now'],
  ])('refuses %s', (_, events, type, data, code) => inspectionGiven(events).when(command(type, data)).thenRefused(code));

  it('says how many places are left', () =>
    expect(
      inspection.decider.decide(command('CarryOutInspection', part(11).data), inspectionGiven([counted, part(30)]).state),
    ).toMatchObject({ problem: { pointer: '/placesCovered', value: 11, allowed: ['<= 10'] } }));

  it.each([
    ['2026', true],
    ['2026-Q1', true],
    ['2026-W10', true],
    ['2026-03-15', true],
    ['2026-03-01/2026-03-10', true],
    ['LAST_MONTH', false],
    ['2026-02-30', false],
    ['March', false],
  ])('planned for %s: %s', (plannedFor, accepted) =>
    expect(inspection.steps['PlanInspection']!.schema.safeParse({ ...planned.data, plannedFor }).success).toBe(accepted),
  );

  it('plans something, and has no field for a person', () => {
    const { schema } = inspection.steps['PlanInspection']!;
    for (const over of [{ places: 0 }, { places: [] }, { places: undefined }, { inspector: 'canary' }, { domain: 'volcano' }])
      expect(schema.safeParse({ ...planned.data, ...over }).success).toBe(false);
  });

  it('is due on the last day of its period while it isn’t done', () => {
    const facets = (...events: { type: string; data: object }[]) => inspection.facets(inspectionGiven(events).state);
    expect(facets(planned)).toEqual({
      community: 'S-01',
      kind: 'migrants-and-rental',
      day: '2026-03-01',
      due: '2026-03-31',
    });
    expect(facets({ ...planned, data: { ...planned.data, plannedFor: '2026-03-15' } }).due).toBe('2026-03-15');
    expect(facets(planned, part(['rental-1'])).due).toBe('2026-03-31');
    expect(facets(planned, part(planned.data.places)).due).toBeUndefined();
    expect(facets(planned, cancelled).due).toBeUndefined();
  });

  it('draws itself', () => {
    expect(diagramOf(inspection)).toContain('planned --> completed: InspectionCarriedOut');
    expect(diagramOf(inspection)).toContain('under-way --> under-way: InspectionCarriedOut');
  });
});
