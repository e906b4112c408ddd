import { chance } from '../chance';
import { dayIn, moment } from '../clock';
import { UNIT_CODES, type Unit } from '../district';
import { FALL_PROGRAMME, programmeStarts } from '../truth';
import { beginKeyed, both, commandsOf, type Command } from './file';

const PLAN = [
  { kind: 'training', setting: 'community', topic: ['太极拳与平衡训练', 'tai chi and balance'], group: '65+', most: 60 },
  { kind: 'publicity', setting: 'household', topic: ['入户防跌倒检查', 'home visits against falls'], group: '65+', most: 45 },
  { kind: 'training', setting: 'institution', topic: ['护理员培训', 'training of carers'], group: 'carers', most: 24 },
] as const;

/**
 * The fall programme: designed and its pilot chosen in the autumn before, started in the pilot and a year later rolled out, with an
 * activity a month in each unit that has started. What it truly does is {@link FALL_PROGRAMME}.
 */
export const programme = (seed: number, endYear: number): Command[] => {
  const luck = chance(`${seed} ${endYear} programme`);
  const { pilot, rolledOutTo, dx } = FALL_PROGRAMME;
  const starts = programmeStarts(endYear);
  const autumn = `${endYear - 2}`;
  const file = beginKeyed('interventions', `simulate-${seed}-falls-${endYear}`, moment(`${autumn}-10-12`), {
    name: both('示例防跌倒项目', 'Example fall prevention'),
    domain: 'elderly',
    targetGroup: both('65 岁及以上', '65 and over'),
    outcomes: [dx],
    units: [pilot],
    comparison: [rolledOutTo],
    description: both('入户检查、平衡训练、家具改造', 'home checks, balance training, refitted homes'),
    leader: 'EX-HEALTH',
  });
  file.then(moment(`${autumn}-11-05`), 'pilot-sites', {
    unit: pilot,
    reason: both('老年人口较多', 'more old people live there'),
  });
  file.then(moment(`${autumn}-11-20`), 'activities', {
    kind: 'joint-meeting',
    heldOn: `${autumn}-11-20`,
    topic: both('联席会议:分工', 'joint meeting: who does what'),
    organisations: ['EX-OFFICE-A', 'EX-HEALTH', 'EX-CLINIC'],
  });

  const held = (unit: Unit, month: string, index: number): void => {
    const { kind, setting, topic, group, most } = PLAN[index % PLAN.length]!;
    const expected = most;
    file.then(moment(dayIn(month, 15), unit === pilot ? 9 : 14), 'activities', {
      kind,
      setting,
      heldOn: dayIn(month, 15),
      unit,
      topic: both(topic[0], topic[1]),
      attendance: [{ group, persons: Math.floor(expected * 0.6) + luck.below(Math.ceil(expected * 0.4)), expected }],
      organisations: ['EX-CLINIC', unit === 'S-01' ? 'EX-OFFICE-A' : 'EX-OFFICE-B'],
    });
  };
  for (let index = 0; index < 24; index++) {
    const month = dayIn(`${endYear - 1}-01`, 1, index).slice(0, 7);
    if (index === 0) file.then(moment(starts[pilot]), 'starts', { unit: pilot, startedOn: starts[pilot] });
    if (index === 12)
      file.then(moment(starts[rolledOutTo]), 'roll-outs', { units: [rolledOutTo], startedOn: starts[rolledOutTo] });
    if (index === 2)
      file.then(moment(dayIn(month, 10)), 'activities', {
        kind: 'pledge',
        setting: 'institution',
        heldOn: dayIn(month, 10),
        unit: pilot,
        topic: both('养老院安全责任状', 'safety pledges of care homes'),
        pledges: [{ count: 6, expiresOn: dayIn(month, 9, 12) }],
      });
    if (index === 5)
      file.then(moment(dayIn(month, 10)), 'activities', {
        kind: 'exchange',
        heldOn: dayIn(month, 10),
        topic: both('甲、乙经验交流', 'A shows B how it is done'),
        organisations: ['EX-OFFICE-A', 'EX-OFFICE-B'],
      });
    for (const unit of UNIT_CODES) if (dayIn(month, 1) >= starts[unit]) held(unit, month, index);
  }
  return commandsOf([file]);
};
