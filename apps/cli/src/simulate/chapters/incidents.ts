import { chance, type Chance } from '../chance';
import { dayIn, moment, monthOf, shanghai } from '../clock';
import { UNIT_CODES, type Unit } from '../district';
import { begin, both, commandsOf, incidentIdOf, type Command, type File } from './file';

const compact = (month: string): string => month.replace('-', '');

const fire = (luck: Chance, seed: number, month: string, unit: Unit, number: number): File => {
  const recordId = `${seed}-${compact(month)}-${unit}-F${number}`;
  const day = dayIn(month, 1 + luck.below(28));
  const began = moment(day, luck.below(24), luck.below(60));
  const yuan = 200 + 100 * luck.below(60);
  const one = begin('incidents', incidentIdOf('fire-01', recordId), began + 90, {
    kind: 'fire',
    feed: 'fire-01',
    recordId,
    community: unit,
    occurredAt: shanghai(began),
    knownAt: shanghai(began + 8 + luck.below(20)),
    reportedBy: 'EX-FIRE',
    cause: luck.pick({
      electrical: 38,
      'careless-fire': 30,
      smoking: 10,
      'self-ignition': 6,
      fireworks: 4,
      other: 8,
      unknown: 4,
    }),
    losses: { yuan, households: 1 },
  });
  if (luck.holds(0.06)) return one.then(began + 3 * 1440, 'retraction', { reason: both('误报', 'a false alarm') });
  if (luck.holds(0.4))
    one.then(began + (3 + luck.below(12)) * 1440, 'corrections', {
      replaces: { losses: { yuan: yuan + 100 * (1 + luck.below(40)), households: 1 } },
      reason: both('损失核定', 'the losses were assessed'),
    });
  return one;
};

const dispute = (luck: Chance, seed: number, month: string, unit: Unit, number: number): File => {
  const recordId = `${seed}-${compact(month)}-${unit}-D${number}`;
  const office = unit === 'S-01' ? 'EX-OFFICE-A' : 'EX-OFFICE-B';
  const first = moment(dayIn(month, 1 + luck.below(28)), 10);
  const on = (days: number): string => shanghai(first + days * 1440).slice(0, 10);
  const one = begin('incidents', incidentIdOf('office-01', recordId), first, {
    kind: 'dispute',
    feed: 'office-01',
    recordId,
    community: unit,
    occurredAt: on(0),
    knownAt: on(0),
    reportedBy: office,
    matter: luck.pick({ neighbours: 34, rent: 22, labour: 16, family: 12, 'property-management': 10, traffic: 6 }),
    parties: 2,
  });
  const agreed = luck.holds(0.75);
  const tried = 2 + luck.below(9);
  one.then(first + tried * 1440, 'mediation', { outcome: agreed ? 'agreed' : 'failed', on: on(tried), by: office });
  if (agreed) return one;
  const after = tried + 3 + luck.below(7);
  return luck.holds(0.5)
    ? one.then(first + after * 1440, 'escalation', {
        to: both('示例区法院', 'Example District Court'),
        on: on(after),
        reason: both('调解未成', 'the mediation failed'),
        nature: 'civil-suit',
      })
    : one.then(first + after * 1440, 'mediation', { outcome: 'agreed', on: on(after), by: office });
};

/** Fires, more of them in winter, and disputes that are mediated or escalated, of these months. */
export const incidents = (seed: number, months: readonly string[]): Command[] =>
  commandsOf(
    months.flatMap((month) =>
      UNIT_CODES.flatMap((unit) => {
        const luck = chance(`${seed} ${month} ${unit} incidents`);
        const winter = [12, 1, 2].includes(monthOf(month));
        const fires = Array.from({ length: luck.count(winter ? 0.8 : 0.4) }, (_, i) => fire(luck, seed, month, unit, i + 1));
        const disputes = Array.from({ length: luck.count(0.6) }, (_, i) => dispute(luck, seed, month, unit, i + 1));
        return [...fires, ...disputes];
      }),
    ),
  );
