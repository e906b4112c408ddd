import { criteriaSet, isRefusal } from '@vigil/vocabulary';
import { moment } from '../clock';
import { UNIT_CODES } from '../district';
import { beginKeyed, both, commandsOf, type Command, type File } from './file';

const SET = 'AQT-9001-2006';

/** The cycle of a year is opened on 10 January of the next, judged in February and closed on 20 June, its action verified. */
export const CYCLE = { opened: '01-10', closed: '06-20' } as const;

const cycleOf = (seed: number, year: number): File => {
  const set = criteriaSet(SET);
  if (isRefusal(set)) throw new RangeError(set.detail.en);
  const on = (monthDay: string): string => `${year + 1}-${monthDay}`;
  const file = beginKeyed('evaluations', `simulate-${seed}-cycle-${year}`, moment(on(CYCLE.opened)), {
    criteriaSet: SET,
    communities: [...UNIT_CODES],
    period: `${year}`,
    openedOn: on(CYCLE.opened),
  });
  for (const community of UNIT_CODES)
    file.then(moment(on('01-12')), 'targets', { dx: 'INC-04', community, value: 38, direction: 'at-most', baseline: 41 });
  file.then(moment(on('01-12'), 10), 'targets', { dx: 'INC-01', value: 6_200, direction: 'at-most' });
  const judgedBy = both('示例评定组', 'Example assessment group');
  set.criteria.forEach(({ code, evidence }, i) => {
    const weak = code === '3' || code === '11';
    const query = evidence[0]!.query
      .replaceAll('{community}', 'S-01')
      .replaceAll('{period}', `${year}`)
      .replaceAll('{from}', `${year}-01-01`)
      .replaceAll('{to}', `${year}-12-31`);
    file.then(moment(on(`02-${String(5 + i).padStart(2, '0')}`)), 'judgements', {
      criterion: code,
      exists: 'yes',
      traced: weak ? 'mostly' : 'yes',
      effective: weak ? 'partly' : 'mostly',
      evidence: [{ kind: 'query', query }],
      judgedBy,
      judgedOn: on(`02-${String(5 + i).padStart(2, '0')}`),
    });
  });
  return file
    .then(moment(on('02-20')), 'findings', {
      finding: 'F-1',
      criterion: '3',
      text: both('部分隐患逾期未整改', 'some hazards stay open past their deadlines'),
      severity: 'minor',
      raisedOn: on('02-20'),
    })
    .then(moment(on('02-20'), 10), 'findings', {
      finding: 'F-2',
      criterion: '9',
      text: both('船厂医务点的伤害卡到得晚', 'the cards of the works’ first-aid posts come late'),
      severity: 'observation',
      raisedOn: on('02-20'),
    })
    .then(moment(on('03-01')), 'corrective-actions', {
      action: 'A-1',
      finding: 'F-1',
      text: both('逾期隐患每月通报', 'report overdue hazards every month'),
      responsible: both('示例街道甲办事处', 'Example Subdistrict Office A'),
      deadline: on('05-31'),
    })
    .then(moment(on('05-20')), 'corrective-actions/A-1/completion', { completedOn: on('05-20') })
    .then(moment(on('06-10')), 'corrective-actions/A-1/verification', { verifiedOn: on('06-10'), verifiedBy: judgedBy })
    .then(moment(on(CYCLE.closed)), 'closure', { closedOn: on(CYCLE.closed) });
};

/** The evaluation cycles that are opened between two days. */
export const evaluations = (seed: number, first: string, last: string): Command[] => {
  const files: File[] = [];
  for (let year = Number(first.slice(0, 4)) - 1; year < Number(last.slice(0, 4)); year++)
    if (`${year + 1}-${CYCLE.opened}` >= first) files.push(cycleOf(seed, year));
  return commandsOf(files);
};
