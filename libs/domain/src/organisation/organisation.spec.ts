import { given } from '@vigil/testing';
import { diagramOf, type FileCommand } from '../case-file';
import { organisation, organisationNameOn } from './organisation';

const name = (zh: string) => ({ zh, en: `${zh} (en)` });
const registered = {
  type: 'OrganisationRegistered',
  data: { code: 'O-SAFETY', name: name('安监局'), kind: 'government', validFrom: '2003-01-01' },
};
const renamed = (zh: string, validFrom: string) => ({ type: 'OrganisationRenamed', data: { name: name(zh), validFrom } });
const joined = (role = 'feed', on = '2020-01-01', community = 'S-01') => ({
  type: 'OrganisationJoinedProgramme',
  data: { community, role, on },
});
const left = (role = 'feed', on = '2022-01-01', community = 'S-01') => ({
  type: 'OrganisationLeftProgramme',
  data: { community, role, on },
});
const merged = { type: 'OrganisationMerged', data: { into: 'O-EMERGENCY', on: '2018-11-01' } };
const organisationGiven = given(organisation.decider);
const command = (type: string, data: object): FileCommand => ({ type, data });

describe('an organisation', () => {
  it('is registered under its code, renamed, joins, leaves and is merged', () => {
    organisationGiven([]).when(command('RegisterOrganisation', registered.data)).then([registered]);
    organisationGiven([registered])
      .when(command('RenameOrganisation', renamed('应急局', '2018-11-01').data))
      .then([renamed('应急局', '2018-11-01')]);
    organisationGiven([registered]).when(command('JoinProgramme', joined().data)).then([joined()]);
    organisationGiven([registered, joined()]).when(command('LeaveProgramme', left().data)).then([left()]);
    organisationGiven([registered]).when(command('MergeOrganisation', merged.data)).then([merged]);
    expect(organisation.idOf!(registered.data as never)).toBe('O-SAFETY');
  });

  it('keeps its names by date, and puts a renaming that is told late where it belongs', () => {
    const { state } = organisationGiven([registered, renamed('应急局', '2018-11-01'), renamed('安全生产局', '2010-05-01')]);
    expect(organisation.derived!(state)).toEqual({
      name: name('应急局'),
      history: [
        { from: '2003-01-01', until: '2010-05-01', ...name('安监局') },
        { from: '2010-05-01', until: '2018-11-01', ...name('安全生产局') },
        { from: '2018-11-01', ...name('应急局') },
      ],
    });
    expect(organisationNameOn(state, '2018-10-31')).toEqual(name('安全生产局'));
    expect(organisationNameOn(state, '2018-11-01')).toEqual(name('应急局'));
    expect(organisationNameOn(state, '2002-12-31')).toBeUndefined();
  });

  it('is no more from its merger on: its memberships and its last name end, and only an earlier renaming is still taken', () => {
    const before = [registered, joined('feed', '2010-01-01'), joined('partner', '2010-01-01'), left('partner', '2012-01-01')];
    const { state } = organisationGiven([...before, merged]);
    expect(state).toMatchObject({
      state: 'merged',
      mergedInto: 'O-EMERGENCY',
      memberships: [
        { role: 'feed', until: '2018-11-01' },
        { role: 'partner', until: '2012-01-01' },
      ],
    });
    expect(organisation.derived!(state)).toMatchObject({ history: [{ from: '2003-01-01', until: '2018-11-01' }] });
    const late = renamed('安全生产局', '2010-05-01');
    organisationGiven([...before, merged])
      .when(command('RenameOrganisation', late.data))
      .then([late]);
  });

  it('works across departments (跨界合作): several roles, in several communities, and again after it left', () => {
    const police = [registered, joined('feed'), joined('partner'), joined('feed', '2021-01-01', 'S-02')];
    expect(organisationGiven(police).state.memberships).toHaveLength(3);
    organisationGiven([...police, left()])
      .when(command('JoinProgramme', joined('feed', '2022-01-01').data))
      .then([joined('feed', '2022-01-01')]);
  });

  it.each([
    [
      'belonging to itself',
      [],
      'RegisterOrganisation',
      { ...registered.data, department: registered.data.code },
      'own-department',
    ],
    ['a second registration', [registered], 'RegisterOrganisation', registered.data, 'organisation-exists'],
    ['a renaming of what is not there', [], 'RenameOrganisation', renamed('x', '2020-01-01').data, 'organisation-not-found'],
    ['a name before it was', [registered], 'RenameOrganisation', renamed('x', '2002-12-31').data, 'date-too-early'],
    ['another name from its first day', [registered], 'RenameOrganisation', renamed('x', '2003-01-01').data, 'day-taken'],
    [
      'two names from one day',
      [registered, renamed('a', '2010-01-01')],
      'RenameOrganisation',
      renamed('b', '2010-01-01').data,
      'day-taken',
    ],
    ['a name after its merger', [registered, merged], 'RenameOrganisation', renamed('x', '2018-11-01').data, 'after-merger'],
    ['a merger into itself', [registered], 'MergeOrganisation', { into: 'O-SAFETY', on: '2018-11-01' }, 'merged-into-itself'],
    ['a merger before it was', [registered], 'MergeOrganisation', { into: 'O-2', on: '2002-01-01' }, 'date-too-early'],
    [
      'a merger before its last name',
      [registered, renamed('a', '2019-01-01')],
      'MergeOrganisation',
      merged.data,
      'date-too-early',
    ],
    ['a merger before it joined', [registered, joined()], 'MergeOrganisation', merged.data, 'date-too-early'],
    [
      'a merger before it left',
      [registered, joined('feed', '2010-01-01'), left()],
      'MergeOrganisation',
      merged.data,
      'date-too-early',
    ],
    ['joining before it was', [registered], 'JoinProgramme', joined('feed', '2002-01-01').data, 'date-too-early'],
    ['joining twice', [registered, joined()], 'JoinProgramme', joined('feed', '2021-01-01').data, 'already-a-member'],
    [
      'joining within an earlier membership',
      [registered, joined(), left()],
      'JoinProgramme',
      joined('feed', '2021-01-01').data,
      'already-a-member',
    ],
    ['leaving what it never joined', [registered, joined('partner')], 'LeaveProgramme', left('feed').data, 'not-a-member'],
    ['leaving twice', [registered, joined(), left()], 'LeaveProgramme', left('feed', '2023-01-01').data, 'not-a-member'],
    ['leaving before it joined', [registered, joined()], 'LeaveProgramme', left('feed', '2019-12-31').data, 'date-too-early'],
    ['joining after its merger', [registered, merged], 'JoinProgramme', joined().data, 'not-allowed-now'],
    ['leaving after its merger', [registered, merged], 'LeaveProgramme', left().data, 'not-allowed-now'],
    ['a second merger', [registered, merged], 'MergeOrganisation', merged.data, 'not-allowed-now'],
  ])('refuses %s', (_, events, type, data, code) => organisationGiven(events).when(command(type, data)).thenRefused(code));

  it('says what would be allowed', () => {
    const decide = (type: string, data: object, ...events: { type: string; data: object }[]) =>
      organisation.decider.decide(command(type, data), organisationGiven([registered, ...events]).state);
    expect(decide('LeaveProgramme', left('feed').data, joined('partner'))).toMatchObject({
      problem: { pointer: '/community', allowed: ['S-01 partner'] },
    });
    expect(decide('LeaveProgramme', left('feed').data)).toMatchObject({ problem: { allowed: [] } });
    expect(decide('JoinProgramme', joined().data, joined())).toMatchObject({ problem: { allowed: ['departures'] } });
    expect(decide('JoinProgramme', joined().data, joined(), left())).toMatchObject({ problem: { allowed: ['>= 2022-01-01'] } });
    expect(decide('JoinProgramme', joined().data, merged)).toMatchObject({ problem: { allowed: ['renamings'] } });
  });

  it('is listed by kind, by its seat or else where it takes part, and by its first day', () => {
    const facets = (...events: { type: string; data: object }[]) => organisation.facets(organisationGiven(events).state);
    expect(facets(registered)).toEqual({ community: undefined, communities: [], kind: 'government', day: '2003-01-01' });
    expect(facets(registered, joined(), joined('feed', '2021-01-01', 'S-02'), left()).community).toBe('S-02');
    expect(facets(registered, joined(), left()).community).toBe('S-01');
    const seated = { ...registered, data: { ...registered.data, community: 'S-09' } };
    expect(facets(seated, joined())).toMatchObject({ community: 'S-09', communities: ['S-09', 'S-01'] });
    expect(facets(seated, joined(), joined('feed', '2021-01-01', 'S-09')).communities).toEqual(['S-09', 'S-01']);
  });

  it('has no field for a person', () => {
    const { schema } = organisation.steps['RegisterOrganisation']!;
    for (const field of ['contact', 'phone', 'address', 'head'])
      expect(schema.safeParse({ ...registered.data, [field]: 'canary' }).success).toBe(false);
  });

  it('draws itself', () => expect(diagramOf(organisation)).toContain('registered --> merged: OrganisationMerged'));
});
