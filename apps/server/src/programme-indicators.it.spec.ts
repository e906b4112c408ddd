import { indicators, type ObservationRow } from '@vigil/indicators';
import { indicatorWorld, type IndicatorWorld } from './indicator-world.fixture';

/*
 * A small town told through its own commands, with every indicator of the programme reckoned by hand from the story.
 * District D with the communities A and B.
 */
let world: IndicatorWorld;
const send: IndicatorWorld['send'] = (...command) => world.send(...command);
const ask = async (text: string): Promise<readonly ObservationRow[]> => (await world.ask(text)).data;
const one = async (dx: string, more = 'ou:A', pe = '2025'): Promise<ObservationRow> => {
  const rows = await ask(`dimension=dx:${dx}&dimension=pe:${pe}&dimension=${more}`);
  expect(rows).toHaveLength(1);
  return rows[0]!;
};

const hazard = async (id: string, found: string, steps: [string, object][], more: object = {}): Promise<void> => {
  const about = { community: 'A', domain: 'fire', description: '楼道堆物', identifiedAt: found, ...more };
  await send('hazard', id, 'IdentifyHazard', about);
  for (const [type, data] of steps) await send('hazard', id, type, data);
};
const order = (deadline: string): [string, object] => ['OrderRectification', { responsible: '物业', deadline }];
const rectified = (day: string): [string, object][] => [
  ['CompleteRectification', { completedAt: day }],
  ['VerifyRectification', { result: 'passed', verifiedAt: day }],
];

let beforeReopening: bigint;

beforeAll(async () => {
  world = await indicatorWorld('programme-spec');
  const named = (code: string) => ({ zh: code, en: code });
  await send('community', 'D', 'RegisterCommunity', { code: 'D', name: named('D'), type: 'district' });
  for (const code of ['A', 'B']) {
    await send('community', code, 'RegisterCommunity', { code, name: named(code), type: 'community', parent: 'D' });
    const amounts = {
      households: 1_000,
      vehicles: 500,
      enterprises: 20,
      'enterprises-at-standard': 15,
      students: 400,
      workers: 800,
    };
    for (const [kind, amount] of Object.entries(amounts))
      await send('community', code, 'RecordExposure', { year: 2025, kind, amount });
    const cells = ['F', 'M'].flatMap((sex) => [
      { sex, ageFrom: 0, ageTo: 64, persons: 900 },
      { sex, ageFrom: 65, ageTo: null, persons: 100 },
    ]);
    await send('community', code, 'RecordPopulation', { year: 2025, cells });
  }

  for (const [code, type] of [
    ['p1', 'rental-housing'],
    ['p2', 'rental-housing'],
    ['p3', 'school'],
    ['p4', 'enterprise'],
  ] as const)
    await send('place', code, 'RegisterPlace', { code, community: 'A', type, name: code, validFrom: '2020-01-01' });
  await send('place', 'p4', 'ClosePlace', { on: '2025-03-01', reason: '停业' });

  await hazard('h1', '2025-01-05', [['ClassifyHazard', { level: 'major' }], order('2025-02-01'), ...rectified('2025-01-25')], {
    placeId: 'p1',
  });
  await hazard('h2', '2025-01-10', [
    order('2025-02-10'),
    ['ExtendDeadline', { deadline: '2025-03-10', reason: '备料' }],
    ...rectified('2025-03-01'),
  ]);
  await hazard('h3', '2025-01-15', [order('2025-02-20')], { domain: 'school', placeId: 'p3' });
  await hazard('h4', '2025-02-01', [['WithdrawHazard', { reason: '登记错误' }]]);
  // Two months after h1 was verified the same place has the same again.
  await hazard('h5', '2025-03-20', [], { placeId: 'p1' });

  await send('inspection', 'i1', 'PlanInspection', {
    community: 'A',
    domain: 'fire',
    plannedFor: '2025-02',
    places: ['p1', 'p2', 'p4'],
  });
  await send('inspection', 'i1', 'CarryOutInspection', { carriedOutAt: '2025-02-10', placesCovered: ['p1', 'p4'] });

  const report = (id: string, kind: string, day: string, more: object = {}) =>
    send('incident', id, 'ReportIncident', { kind, community: 'A', knownAt: day, occurredAt: day, ...more });
  const casualties = [
    {
      id: 'c1',
      role: 'rider',
      severity: { scale: 'GA16', value: 'fatal' },
      daysToDeath: 2,
      sex: 'M',
      age: { value: 70, unit: 'year' },
    },
    {
      id: 'c2',
      role: 'pedestrian',
      severity: { scale: 'GA16', value: 'severe' },
      injuryId: '2d42f69c-8eb0-8a29-89ee-aedfd23d110c',
    },
    { id: 'c3', role: 'driver', severity: { scale: 'GA16', value: 'none' } },
  ];
  await report('k1', 'crash', '2025-05-01', { vehicles: [{ id: 'v1', type: 'car' }], casualties });
  await report('f1', 'fire', '2025-06-01', {
    cause: 'electrical',
    casualties: [{ id: 'c1', role: 'occupant', severity: { scale: 'KABCO', value: 'B' } }],
  });
  await report('f2', 'fire', '2025-07-01', { cause: 'smoking' });
  for (const id of ['d1', 'd2', 'd3', 'd4']) await report(id, 'dispute', '2025-08-01', { matter: 'neighbours' });
  await send('incident', 'd1', 'MediateDispute', { outcome: 'agreed', on: '2025-08-05' });
  await send('incident', 'd2', 'MediateDispute', { outcome: 'failed', on: '2025-08-06' });
  await send('incident', 'd3', 'EscalateDispute', { to: '派出所', on: '2025-08-07', reason: '斗殴', nature: 'criminal' });
  await send('incident', 'd4', 'RetractIncident', { reason: '重复登记' });

  await send('intervention', 'v1', 'DesignIntervention', {
    name: '防跌倒',
    domain: 'elderly',
    targetGroup: '老人',
    outcomes: ['INC-04'],
    units: ['A'],
  });
  await send('intervention', 'v1', 'StartIntervention', { unit: 'A', startedOn: '2025-04-01' });
  const held = (data: object) => send('intervention', 'v1', 'HoldActivity', { unit: 'A', ...data });
  await held({
    kind: 'training',
    setting: 'household',
    heldOn: '2025-04-05',
    attendance: [
      { group: 'elderly', persons: 80, expected: 100 },
      { group: 'staff', persons: 9 },
    ],
  });
  await held({
    kind: 'drill',
    setting: 'school',
    heldOn: '2025-05-05',
    attendance: [{ group: 'students', persons: 190, expected: 200 }],
  });
  await held({ kind: 'publicity', setting: 'enterprise', heldOn: '2025-05-06' });
  await held({ kind: 'publicity', setting: 'school', heldOn: '2025-05-07' });
  await held({ kind: 'joint-meeting', heldOn: '2025-06-07' });
  await held({
    kind: 'pledge',
    setting: 'enterprise',
    heldOn: '2025-07-01',
    pledges: [
      { count: 12, expiresOn: '2026-06-30' },
      { count: 3, expiresOn: '2025-09-30' },
    ],
  });

  for (const [code, role] of [
    ['o1', 'lead'],
    ['o2', 'feed'],
  ] as const) {
    await send('organisation', code, 'RegisterOrganisation', {
      code,
      name: named(code),
      kind: 'government',
      validFrom: '2020-01-01',
    });
    await send('organisation', code, 'JoinProgramme', { community: 'A', role, on: '2025-01-01' });
  }

  const question = (code: string, kind: string) => ({
    ...{ code, kind, text: named(code), type: 'single', correct: ['yes'] },
    options: [{ code: 'yes' }, { code: 'no' }],
  });
  await send('survey', 's1', 'DesignSurvey', {
    ...{ name: '知晓率', communities: ['A'], clusters: true },
    questions: [question('q1', 'awareness'), question('q2', 'knowledge'), question('q3', 'knowledge')],
    strata: [
      { code: 'old', population: 300 },
      { code: 'young', population: 700 },
    ],
  });
  await send('survey', 's1', 'OpenWave', { wave: 1, opensOn: '2025-10-01' });
  const responses = Array.from({ length: 20 }, (_, i) => ({
    ...{ id: `r${i}`, stratum: i < 10 ? 'old' : 'young', cluster: `k${i % 5}` },
    answers: { q1: (i < 10 ? i < 8 : i < 14) ? 'yes' : 'no', q2: 'yes', ...(i % 2 === 0 && { q3: 'no' }) },
  }));
  await send('survey', 's1', 'RecordResponses', { wave: 1, responses });

  await send('evaluation', 'e1', 'OpenCycle', { criteriaSet: 'CN-SITE-TRIAL', communities: ['A'], period: '2025' });
  await send('evaluation', 'e1', 'RaiseFinding', { finding: 'F-1', text: '逾期', severity: 'minor' });
  for (const [action, deadline] of [
    ['C-1', '2025-11-30'],
    ['C-2', '2025-12-15'],
  ] as const)
    await send('evaluation', 'e1', 'AssignAction', {
      action,
      finding: 'F-1',
      text: '整改',
      responsible: '街道',
      deadline,
    });
  await send('evaluation', 'e1', 'CompleteAction', { action: 'C-1', completedOn: '2025-11-20' });

  beforeReopening = await world.log.head();
  await send('hazard', 'h2', 'ReopenHazard', { reason: '再次堆物', reopenedAt: '2025-05-01' });
  await world.settled();
});
afterAll(() => world.close());

describe('hazards', () => {
  test('due in the quarter: the verified ones, by the deadline in force and by the first one', async () => {
    const at = `&asOfPosition=${beforeReopening}`;
    const quarter = (dx: string) => ask(`dimension=dx:${dx}&dimension=pe:2025-Q1&dimension=ou:A${at}`).then(([row]) => row);
    expect(await quarter('HAZ-01')).toMatchObject({ num: 2, den: 3, ci: { method: 'wilson' } });
    expect(await quarter('HAZ-02')).toMatchObject({ num: 2, den: 3 });
    expect(await quarter('HAZ-07')).toMatchObject({ num: 1, den: 3 });
  });
  test('reopened, a hazard has no deadline until it is ordered anew, and no longer counts as rectified', async () =>
    expect(await one('HAZ-01', 'ou:A', '2025-Q1')).toMatchObject({ num: 1, den: 2 }));
  test('median time to rectify: 20 and 50 days of four, two still open', async () => {
    const [row] = await ask(`dimension=dx:HAZ-03&dimension=pe:2025&dimension=ou:A&asOfPosition=${beforeReopening}`);
    expect(row).toMatchObject({ value: 50, num: 2, den: 4, unit: 'days', ci: { method: 'kaplan-meier-log-log', high: null } });
  });
  test('a median that half have not reached is withheld', async () =>
    expect(await one('HAZ-03')).toMatchObject({ value: null, num: 1, den: 4, status: 'M', reason: 'median-not-reached' }));
  test('back again: reopened, or the same place and class within 90 days', async () =>
    expect(await one('HAZ-04')).toMatchObject({ num: 2, den: 2 }));
  test('filed with a class: one of four that stand', async () =>
    expect(await one('HAZ-06')).toMatchObject({ num: 1, den: 4, value: 25 }));
  test('by domain and level', async () => {
    const rows = await ask('dimension=dx:HAZ-06&dimension=pe:2025&dimension=ou:A&dimension=domain');
    expect(rows.map(({ domain, num, den }) => [domain, num, den])).toEqual([
      ['fire', 1, 3],
      ['school', 0, 1],
    ]);
  });
  test('near schools', async () => expect(await one('SCH-02')).toMatchObject({ num: 0, den: 1 }));
  test('places inspected of those open at the end of the period', async () => {
    expect(await one('HAZ-05')).toMatchObject({ num: 1, den: 3 });
    const rows = await ask('dimension=dx:HAZ-05&dimension=pe:2025-02;2025-03&dimension=ou:A&dimension=placeType');
    expect(rows.map(({ pe, placeType, num, den }) => [pe, placeType, num, den])).toEqual(
      [
        ['2025-02', 'rental-housing', 1, 2],
        ['2025-02', 'school', 0, 1],
        ['2025-02', 'enterprise', 1, 1],
        ['2025-03', 'rental-housing', 0, 2],
        ['2025-03', 'school', 0, 1],
        ['2025-03', 'enterprise', null, 0],
      ].map((row) => (row[2] === null ? [row[0], row[1], 0, 0] : row)),
    );
  });
});

describe('incidents and casualties', () => {
  test('fires per household', async () =>
    expect(await one('FIR-01')).toMatchObject({ num: 2, den: 1_000, value: 20, unit: 'per 10,000 household-years' }));
  test('fires of a district over the households of its communities', async () =>
    expect(await one('FIR-01', 'ou:D')).toMatchObject({ num: 2, den: 2_000, value: 10 }));
  test('people hurt in fires', async () => expect(await one('FIR-02')).toMatchObject({ num: 1, den: 2_000, value: 50 }));
  test('deaths per 10,000 vehicles', async () => expect(await one('TRF-02')).toMatchObject({ num: 1, den: 500, value: 20 }));
  test('of the hurt in crashes, those linked with an injury record', async () =>
    expect(await one('TRF-04')).toMatchObject({ num: 1, den: 2, value: 50 }));
  test('disputes mediated, and those that turned criminal; a retracted one is none', async () => {
    expect(await one('SEC-03')).toMatchObject({ num: 1, den: 3 });
    expect(await one('SEC-04')).toMatchObject({ num: 1, den: 3 });
  });
  test('no burglary is a rate of nought, with an upper limit', async () =>
    expect(await one('SEC-01')).toMatchObject({ num: 0, value: 0, ci: { low: 0, high: expect.any(Number) } }));
});

describe('activities and organisations', () => {
  test('training and drills, where it is known who should have come', async () => {
    expect(await one('EDU-01')).toMatchObject({ num: 80, den: 100, value: 80 });
    expect(await one('EDU-03')).toMatchObject({ num: 190, den: 200, value: 95 });
  });
  test('two of the five entries reached', async () => expect(await one('EDU-06')).toMatchObject({ num: 2, den: 5, value: 40 }));
  test('pledges in force at the end of the period', async () => {
    expect(await one('EDU-07')).toMatchObject({ num: 12, den: 20 });
    expect(await one('EDU-07', 'ou:A', '2025-Q3')).toMatchObject({ num: 12, den: 20 });
    expect(await one('EDU-07', 'ou:A', '2025-08')).toMatchObject({ num: 15, den: 20 });
  });
  test('who takes part, and who shares data', async () => {
    expect(await one('PRT-01')).toMatchObject({ value: 2, ci: null });
    expect(await one('PRT-02')).toMatchObject({ num: 1, den: 2 });
    expect(await one('PRT-03')).toMatchObject({ value: 1 });
    expect(await one('PRT-04')).toMatchObject({ value: 0 });
  });
  test('one of two communities has a project', async () => {
    expect(await one('COV-01', 'ou:D')).toMatchObject({ num: 1, den: 2, value: 50 });
    expect(await one('COV-01', 'ou:D', '2025-Q1')).toMatchObject({ num: 0, den: 2 });
  });
  test('corrective actions on time', async () => expect(await one('COR-01')).toMatchObject({ num: 1, den: 2 }));
  test('enterprises at standard: one yearly figure of another', async () => {
    expect(await one('OCC-04', 'ou:D')).toMatchObject({ num: 30, den: 40, value: 75 });
    expect(await one('HOM-02')).toMatchObject({ value: null, status: 'M', reason: 'missing-numerator' });
  });
});

describe('surveys', () => {
  test('awareness weighed by strata, with its design', async () => {
    // old 8 of 10 × 300, young 4 of 10 × 700
    const row = await one('AWR-01');
    expect(row.value).toBeCloseTo(52, 10);
    expect(row).toMatchObject({
      n: 20,
      num: 520,
      den: 1_000,
      ci: { method: 'taylor-logit-t' },
      deff: expect.any(Number),
      nEff: expect.any(Number),
    });
    expect(row.ci!.low).toBeLessThan(52);
    expect(row.ci!.high).toBeGreaterThan(52);
  });
  test('of several questions a person counts with the share answered rightly', async () =>
    expect((await one('AWR-02')).value).toBeCloseTo(75, 10));
  test('nobody asked is no share', async () =>
    expect(await one('AWR-03')).toMatchObject({ value: null, status: 'M', reason: 'no-cases' }));
  test('a survey of one community says nothing of another', async () =>
    expect(await one('AWR-01', 'ou:B')).toMatchObject({ value: null, reason: 'no-cases' }));
});

test('a rate in the year after the last known figure is an estimate, and says so', async () =>
  expect(await one('FIR-01', 'ou:A', '2026')).toMatchObject({ status: 'E', reason: 'extrapolated-denominator', den: 1_000 }));

test('every indicator of the catalogue answers, for all that it can be split by', async () => {
  for (const { code, strata } of indicators()) {
    const dims = strata.filter((name) => name !== 'pe' && name !== 'ou').slice(0, 3);
    const rows = await ask(
      `dimension=dx:${code}&dimension=pe:2025;2025-Q2&dimension=ou:D;A${dims.map((name) => `&dimension=${name}`).join('')}`,
    );
    for (const row of rows) {
      if (row.value === null) expect(row).toMatchObject({ status: 'M', reason: expect.any(String) });
      else expect(Number.isFinite(row.value)).toBe(true);
    }
  }
});

test.each([
  ['dimension=dx:HAZ-01&dimension=pe:2025&dimension=mechanism', 'not-a-stratum'],
  ['dimension=dx:HAZ-01&dimension=pe:2025&filter=mechanism:fall', 'not-a-stratum'],
  ['dimension=dx:HAZ-01&dimension=pe:2025&basis=residence', 'no-residence'],
  ['dimension=dx:HAZ-01&dimension=pe:2025&weighted=true', 'not-weighted'],
])('%s is refused: %s', async (text, code) => expect(ask(text)).rejects.toThrow(code));

test('an instant counts on the local day: a fire at 23:30 UTC on New Year’s Eve is one of the new year in Shanghai', async () => {
  const told = {
    kind: 'fire',
    community: 'B',
    knownAt: '2024-12-31T23:30:00Z',
    occurredAt: '2024-12-31T23:30:00Z',
    cause: 'electrical',
  };
  await send('incident', 'f9', 'ReportIncident', told);
  await world.settled();
  expect(await one('FIR-01', 'ou:B')).toMatchObject({ num: 1 });
});
