import { chance } from '../chance';
import { dayIn, dayOf, moment, monthOf, shanghai } from '../clock';
import type { Unit } from '../district';
import { begin, both, commandsOf, incidentIdOf, injuryIdOf, reported, type Command, type File } from './file';
import { cloudEvent, card, type Timed } from './injuries';
import { placeId } from './places';

/** Every third month has one: February, May, August, November. */
export const CRASH_MONTHS = [2, 5, 8, 11];

export const crashRecord = (seed: number, month: string): string => `${seed}-${month.replace('-', '')}-X1`;

/**
 * An e-bike and a car: the police report the crash and its rider, the health centre the rider too and a pedestrian. The month
 * after, the two reports of the rider are linked (they count once) and the health centre's records attached to the crash.
 */
const crashOf = (seed: number, month: string): { files: readonly File[]; events: readonly Timed[] } => {
  const luck = chance(`${seed} ${month} crash`);
  const unit: Unit = monthOf(month) % 2 === 0 ? 'S-01' : 'S-02';
  const recordId = crashRecord(seed, month);
  const began = moment(dayIn(month, 8 + luck.below(10)), 7, luck.below(60));
  const rider = { age: { value: 30 + luck.below(30), unit: 'year' }, sex: luck.pick({ M: 60, F: 40 }) };
  const walker = { age: { value: 66 + luck.below(15), unit: 'year' }, sex: luck.pick({ M: 40, F: 60 }) };
  const [byPolice, byClinic, second] = [`${recordId}-1`, `${recordId}-C1`, `${recordId}-C2`];

  const shared = { visit: 'first', community: unit, residence: unit, mechanism: card('1'), intent: card('1'), place: card('5') };
  const riding = { transport: { mode: 'e-bike', role: 'rider', counterpart: 'car', helmet: 'no' } };
  const walking = { transport: { mode: 'pedestrian', role: 'pedestrian', counterpart: 'e-bike' } };
  const clinical = { ...shared, occurredAt: dayOf(began), activity: card('7'), nature: card('1'), bodyPart: card('3') };
  const knownClinic = began + 70;
  const events: Timed[] = [
    cloudEvent('police-01', byPolice, '1', 'reported', began + 25, {
      ...shared,
      ...rider,
      ...riding,
      occurredAt: shanghai(began),
      knownAt: shanghai(began + 25),
      severity: { scale: 'GA16', value: 'severe' },
    }),
    cloudEvent('clinic-01', byClinic, '1', 'reported', knownClinic, {
      ...clinical,
      ...rider,
      ...riding,
      knownAt: shanghai(knownClinic),
      disposition: card('4'),
      severity: { scale: 'NISS3', value: 'severe' },
    }),
    cloudEvent('clinic-01', second, '1', 'reported', knownClinic + 10, {
      ...clinical,
      ...walker,
      ...walking,
      knownAt: shanghai(knownClinic + 10),
      disposition: card('1'),
      severity: { scale: 'NISS3', value: 'minor' },
    }),
  ];

  const incident = begin('incidents', incidentIdOf('police-01', recordId), began + 40, {
    kind: 'crash',
    feed: 'police-01',
    recordId,
    community: unit,
    occurredAt: shanghai(began),
    knownAt: shanghai(began + 12),
    reportedBy: 'EX-POLICE',
    placeId: placeId(unit, 'ROAD'),
    description: both(
      '电动自行车与小汽车在路口相撞,一名行人被刮倒',
      'an e-bike and a car at a crossing; a pedestrian was knocked over',
    ),
    vehicles: [
      { id: '1', type: 'e-bike' },
      { id: '2', type: 'car' },
    ],
    casualties: [
      { id: '1', role: 'rider', vehicle: '1', severity: { scale: 'GA16', value: 'severe' }, ...rider, injuryId: injuryIdOf('police-01', byPolice) },
      { id: '2', role: 'pedestrian', vehicle: '1', severity: { scale: 'GA16', value: 'minor' }, ...walker },
    ], // prettier-ignore
  });
  const checked = moment(dayIn(month, 4, 1));
  const link = reported('clinic-01', byClinic).then(checked, 'links', {
    other: injuryIdOf('police-01', byPolice),
    decidedBy: 'manual',
    reason: both('同一骑车人', 'the same rider'),
  });
  incident
    .then(checked + 10, 'injuries', { injuryId: injuryIdOf('clinic-01', byClinic), casualtyId: '1' })
    .then(checked + 20, 'injuries', { injuryId: injuryIdOf('clinic-01', second), casualtyId: '2' });
  return { files: [incident, link], events };
};

/** The crashes of these months: commands, and what the feeds report. */
export const crashes = (
  seed: number,
  months: readonly string[],
): { readonly commands: readonly Command[]; readonly events: readonly Timed[] } => {
  const told = months.filter((month) => CRASH_MONTHS.includes(monthOf(month))).map((month) => crashOf(seed, month));
  return { commands: commandsOf(told.flatMap(({ files }) => files)), events: told.flatMap(({ events }) => events) };
};
