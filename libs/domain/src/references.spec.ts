import fc from 'fast-check';
import { caseFiles } from './aggregates';
import { referencesIn } from './case-file';
import { hazard } from './hazard/hazard';
import { incident } from './incident/incident';
import { inspection } from './inspection/inspection';

const named = (...all: Parameters<typeof referencesIn>) =>
  referencesIn(...all).map(({ register, id, pointer }) => `${register} ${id} ${pointer}`);

it('names the files of a command with where they stand', () => {
  expect(named(hazard, { community: 'C', placeId: 'p-1', inspectionId: 'i-1' })).toEqual([
    'place p-1 /placeId',
    'inspection i-1 /inspectionId',
  ]);
  const casualties = [{ id: '1', injuryId: 'a' }, { id: '2' }, { id: '3', injuryId: 'b' }];
  expect(named(incident, { casualties, replaces: { casualties: null, placeId: 'p' } })).toEqual([
    'injury a /casualties/0/injuryId',
    'injury b /casualties/2/injuryId',
    'place p /replaces/placeId',
  ]);
});

it('a list names each once; a count in its stead names none', () => {
  expect(named(inspection, { placesCovered: ['a', 'b', 'a'], hazardsFound: 3 })).toEqual([
    'place a /placesCovered/0',
    'place b /placesCovered/1',
  ]);
});

it('whatever the data, it names text at declared fields only', () => {
  const fields = Object.keys(hazard.references!);
  fc.assert(
    fc.property(fc.jsonValue(), fc.dictionary(fc.constantFrom(...fields, 'note', 'community'), fc.jsonValue()), (any, data) => {
      expect(referencesIn({}, any)).toEqual([]);
      referencesIn(hazard, any);
      for (const { register, id, pointer } of referencesIn(hazard, data)) {
        const [field, ...deeper] = pointer.slice(1).split('/');
        expect(hazard.references![field!]).toBe(register);
        expect(deeper.reduce<unknown>((value, at) => (value as unknown[])[Number(at)], data[field!])).toBe(id);
      }
    }),
  );
});

it('every register names only registers that there are', () => {
  const registers = [...caseFiles.map(({ name }) => name), 'injury'];
  for (const { references = {} } of caseFiles)
    for (const register of Object.values(references)) expect(registers).toContain(register);
});
