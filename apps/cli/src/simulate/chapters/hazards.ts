import { chance } from '../chance';
import { dayIn, moment, monthOf, type Minute } from '../clock';
import type { Unit } from '../district';
import { beginKeyed, both, commandsOf, type Command, type File } from './file';
import { placeId, RENTALS } from './places';

const FAULTS = [
  ['疏散通道堆物', 'the escape route is blocked'],
  ['灭火器过期', 'the fire extinguisher is out of date'],
  ['电动自行车在室内充电', 'an e-bike is charged indoors'],
  ['燃气软管老化', 'the gas hose has aged'],
  ['楼梯无扶手', 'the stairs have no handrail'],
  ['私拉电线', 'wires were laid without permission'],
  ['浴室无防滑垫', 'the bathroom floor is slippery'],
] as const;

/** Where the hazards are filed of which one is overdue at the end of any story. */
export const OVERDUE_CLASS_FILE = '整改缓慢 · slow owners';

const at = (month: string, day: number, later = 0, hour = 9): Minute => moment(dayIn(month, day, later), hour);

/**
 * Each month rental housing in one of the units is inspected and three hazards are found: one is rectified in time, one (every
 * other month) late or after an extension, and one stays open past its deadline until the month after, so that at the end of
 * any month exactly one is overdue. A resident tells of another at the month's end, which is put
 * right without an order. Twice a year a building site's is listed for
 * supervision, twice one comes back and is reopened, once a year one was recorded wrongly.
 */
const monthOfHazards = (seed: number, month: string): File[] => {
  const m = monthOf(month);
  const unit: Unit = m % 2 === 0 ? 'S-01' : 'S-02';
  const office = unit === 'S-01' ? 'EX-OFFICE-A' : 'EX-OFFICE-B';
  const luck = chance(`${seed} ${month} hazards`);
  const key = (what: string): string => `simulate-${seed}-${month}-${what}`;
  const on = (day: number, later = 0): string => dayIn(month, day, later);
  const visited = [0, 1, 2, 3].map((i) => placeId(unit, 'RENT', ((m + i * 2) % RENTALS) + 1));

  const inspection = beginKeyed('inspections', key('inspection'), at(month, 1), {
    community: unit,
    domain: 'migrants-and-rental',
    plannedFor: month,
    places: visited,
    by: office,
    purpose: both('出租房屋月度排查', 'monthly inspection of rental housing'),
  });
  const found = (name: string, day: number, rest: Command['body'] = { inspectionId: inspection.id }): File => {
    const [zh, en] = FAULTS[luck.below(FAULTS.length)]!;
    return beginKeyed('hazards', key(name), at(month, day), {
      community: unit,
      domain: 'migrants-and-rental',
      description: both(zh, en),
      identifiedAt: on(day),
      placeId: visited[luck.below(visited.length)]!,
      identifiedBy: office,
      ...rest,
    });
  };
  const classified = (hazard: File, day: number, level: string, classFile = '出租房屋 · rental housing'): File =>
    hazard.then(at(month, day, 0, 10), 'classification', { level, classFile });
  const ordered = (hazard: File, day: number, deadline: number, later = 0): File =>
    hazard.then(at(month, day, later, 11), 'rectification-orders', {
      responsible: both('示例业主', 'the example owner'),
      deadline: on(deadline, later),
    });
  const rectified = (hazard: File, day: number, later = 0): File =>
    hazard.then(at(month, day, later, 14), 'rectifications', { completedAt: on(day, later) });
  const verified = (hazard: File, day: number, later = 0, result = 'passed'): File =>
    hazard.then(at(month, day, later, 16), 'verifications', { result, verifiedAt: on(day, later), verifiedBy: office });

  const files: File[] = [];
  const prompt = ordered(classified(found('prompt', 5), 6, 'general'), 7, 28);
  if (m % 2 === 1)
    verified(rectified(prompt, 27), 3, 1); // waits for its verification at the month's end
  else verified(rectified(prompt, 12 + luck.below(6)), 20);
  if (m % 6 === 2) {
    prompt.then(at(month, 3, 1), 'reopenings', {
      reason: both('问题复发', 'it was found to be back'),
      reopenedAt: on(3, 1),
    });
    verified(rectified(ordered(prompt, 4, 18, 1), 15, 1), 19, 1);
  }
  files.push(prompt);

  const slow = ordered(classified(found('slow', 5), 5, 'major', OVERDUE_CLASS_FILE), 6, 12);
  files.push(verified(rectified(slow, 10, 1), 14, 1));

  if (m % 2 === 0) {
    const late = ordered(classified(found('late', 5), 6, 'general'), 7, 15);
    if (m % 4 === 0) {
      late.then(at(month, 14), 'deadline-extensions', {
        deadline: on(20),
        reason: both('配件未到', 'parts have not arrived'),
      });
      verified(rectified(verified(rectified(late, 16), 17, 0, 'rejected'), 19), 24);
    } else verified(rectified(late, 21), 24);
    files.push(late);
  }

  const told = files.map(({ id }) => id);
  const now = m % 3 === 0 ? visited.slice(0, 3) : visited;
  inspection.then(at(month, 5, 0, 12), 'results', { carriedOutAt: on(5), placesCovered: now, hazardsFound: told });
  if (now.length < visited.length)
    inspection.then(at(month, 9), 'results', { carriedOutAt: on(9), placesCovered: visited.slice(3), hazardsFound: 0 });
  files.push(inspection);

  const [zh, en] = FAULTS[luck.below(FAULTS.length)]!;
  const resident = beginKeyed('hazards', key('resident'), at(month, 27), {
    community: unit,
    domain: 'fire',
    description: both(`居民反映:${zh}`, `a resident says: ${en}`),
    identifiedAt: on(27),
  });
  files.push(verified(rectified(resident, 11, 1), 15, 1));

  if (m % 6 === 5) {
    const site = found('site', 3, {
      domain: 'construction',
      description: both('脚手架未验收即使用', 'the scaffold is used before its inspection'),
      placeId: placeId(unit, 'SITE'),
    });
    ordered(classified(site, 3, 'critical', '建筑工地 · building sites'), 4, 26);
    site.then(at(month, 8), 'supervision-listings', {
      by: both('示例区安委会', 'Example District Safety Committee'),
      listedAt: on(8),
      reason: both('重大隐患', 'a critical hazard'),
    });
    files.push(verified(rectified(site, 22), 25));
  }
  if (m === 4)
    files.push(
      found('mistaken', 8).then(at(month, 10), 'withdrawal', {
        reason: both('登记到了错误的场所', 'it was recorded of the wrong place'),
      }),
    );
  return files;
};

/** Inspections and hazards of these months, `YYYY-MM`. */
export const hazards = (seed: number, months: readonly string[]): Command[] =>
  commandsOf(months.flatMap((month) => monthOfHazards(seed, month)));
