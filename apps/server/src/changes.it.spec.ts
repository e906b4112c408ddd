import type { ChangesAnswer, RowChange } from '@vigil/indicators';
import { indicatorWorld, type IndicatorWorld } from './indicator-world.fixture';

let world: IndicatorWorld;
let serial = 0;
const idOf = (): string => `00000000-0000-4000-8000-${`${++serial}`.padStart(12, '0')}`;
const report = async (more: object = {}, id = idOf()): Promise<string> => {
  await world.send('injury', id, 'ReportInjury', {
    ...{ feed: 'clinic', recordId: id, community: 'A', occurredAt: '2025-03-01', knownAt: '2025-03-01', visit: 'first' },
    ...{ age: { value: 40, unit: 'year' }, sex: 'F', mechanism: 'fall', disposition: 'treated' },
    ...more,
  });
  return id;
};
const correct = (id: string, replaces: object) => world.send('injury', id, 'CorrectInjury', { replaces, reason: '复核' });
const populate = (persons: number, community = 'A') =>
  world.send('community', community, 'RecordPopulation', {
    year: 2025,
    cells: ['F', 'M'].flatMap((sex) => [
      { sex, ageFrom: 0, ageTo: 64, persons },
      { sex, ageFrom: 65, ageTo: null, persons: persons / 4 },
    ]),
  });
const between = (text: string, from: bigint, to?: bigint): Promise<ChangesAnswer> =>
  world.changes(text, { from: { position: from }, ...(to !== undefined && { to: { position: to } }) });
const told = ({ causes }: RowChange) => causes.map(({ kind, num, events }) => [kind, num, events.length]);

beforeEach(async () => {
  world = await indicatorWorld('changes-spec');
  const named = (code: string) => ({ zh: code, en: code });
  await world.send('community', 'D', 'RegisterCommunity', { code: 'D', name: named('D'), type: 'district' });
  for (const code of ['A', 'B']) {
    await world.send('community', code, 'RegisterCommunity', { code, name: named(code), type: 'community', parent: 'D' });
    await populate(1_000, code);
  }
});
afterEach(() => world.close());

const YEAR = 'dimension=dx:INC-01&dimension=pe:2025&dimension=ou:A';

test('a late report, a correction, a retraction, a link and a new population each take their own part', async () => {
  const [moved, gone, twin] = [await report(), await report(), await report()];
  await report();
  const from = await world.settled();
  await report({ recordId: 'late', occurredAt: '2025-02-01' });
  await correct(moved, { community: 'B' });
  await world.send('injury', gone, 'RetractInjury', { reason: '误报' });
  const again = await report({ feed: 'police', recordId: 'p-1' });
  await world.send('injury', again, 'LinkInjury', { other: twin, decidedBy: 'manual' });
  await populate(2_000);
  const to = await world.settled();

  const { changes, meta } = await between(YEAR, from, to);
  expect(changes).toHaveLength(1);
  const [change] = changes as [RowChange];
  expect(change).toMatchObject({
    dx: 'INC-01',
    pe: '2025',
    ou: 'A',
    before: { num: 4, den: 2_500 },
    after: { num: 3, den: 5_000 },
  });
  expect(told(change)).toEqual([
    ['late', 2, 2],
    ['correction', -1, 1],
    ['retraction', -1, 1],
    ['linkage', -1, 1],
    ['population', 0, 1],
  ]);
  expect(change.causes.reduce((sum, { amount }) => sum + amount!, 0)).toBeCloseTo(
    change.after!.value! - change.before!.value!,
    9,
  );
  expect(meta).toMatchObject({ from: { position: `${from}` }, to: { position: `${to}` } });
  expect(change.causes[1]!.events[0]).toMatchObject({ type: 'InjuryCorrected', stream: `injury-${moved}` });
});

test('nothing moved, nothing told; what came and went is told though the value stands', async () => {
  await report();
  const from = await world.settled();
  expect((await between(YEAR, from)).changes).toEqual([]);
  await report();
  const id = await report();
  await world.send('injury', id, 'RetractInjury', { reason: '误报' });
  const other = await report();
  await world.send('injury', other, 'RetractInjury', { reason: '误报' });
  const to = await world.settled();
  const [change] = (await between(YEAR, from, to)).changes as [RowChange];
  expect(told(change)).toEqual([
    ['late', 3, 3],
    ['retraction', -2, 2],
  ]);
});

test('a share, a standardised rate and an observed-to-expected ratio add up too', async () => {
  for (let i = 0; i < 12; i++)
    await report({ age: { value: 5 * i + 3, unit: 'year' }, disposition: i % 3 === 0 ? 'admitted' : 'treated' });
  for (let i = 0; i < 12; i++) await report({ community: 'B', age: { value: 5 * i + 3, unit: 'year' } });
  const from = await world.settled();
  for (let i = 0; i < 5; i++) await report({ community: i % 2 === 0 ? 'A' : 'B', disposition: 'admitted' });
  const to = await world.settled();
  for (const dx of ['SEV-01', 'INC-06']) {
    const text = `dimension=dx:${dx}&dimension=pe:2025&dimension=ou:A;B`;
    const { changes } = await between(text, from, to);
    const [before, after] = await Promise.all([from, to].map((at) => world.ask(`${text}&asOfPosition=${at}`)));
    for (const { ou, pe } of after!.data) {
      const [first, last] = [before!, after!].map(({ data }) => data.find((row) => row.ou === ou && row.pe === pe)!.value) as [
        number | null,
        number | null,
      ];
      const change = changes.find((each) => each.ou === ou);
      expect(change?.after?.value ?? last).toBe(last);
      if (first !== null && last !== null)
        expect((change?.causes ?? []).reduce((sum, { amount }) => sum + amount!, 0)).toBeCloseTo(last - first, 9);
    }
  }
});

test('a definition revised is a cause of its own', async () => {
  await report({ mechanism: 'burn' });
  await report();
  const document = {
    ...{
      code: 'OWN-01',
      name: { zh: '跌倒', en: 'falls' },
      unit: '%',
      multiplier: 100_000,
      basis: 'occurrence',
      strata: ['pe', 'ou'],
    },
    ...{ method: 'poisson-phe', minEvents: 0, releaseClass: 'standard', validFrom: '2020-01-01' },
    denominator: { fact: 'population', measure: 'person-years' },
  };
  const counting = (filter: object) => ({
    numerator: { fact: 'injury', measure: 'count', filter: { visit: ['first'], ...filter } },
  });
  await world.send('indicator', 'OWN-01', 'DefineIndicator', {
    definition: { ...document, version: 1, ...counting({ mechanism: ['fall'] }) },
  });
  const from = await world.settled();
  await report();
  await world.send('indicator', 'OWN-01', 'ReviseIndicator', {
    definition: { ...document, version: 2, ...counting({}) },
    reason: '全部伤害',
  });
  const to = await world.settled();
  const { changes, meta } = await between('dimension=dx:OWN-01&dimension=pe:2025&dimension=ou:A', from, to);
  expect(changes).toMatchObject([{ before: { num: 1 }, after: { num: 3 } }]);
  expect(told(changes[0]!)).toEqual([
    ['late', 1, 1],
    ['definition', 1, 0],
  ]);
  expect(meta.definitions[0]!.before).not.toBe(meta.definitions[0]!.after);
});

test('a hazard verified moves the rectification rate, one event at a time', async () => {
  const hazard = async (id: string) => {
    await world.send('hazard', id, 'IdentifyHazard', {
      community: 'A',
      domain: 'fire',
      description: '堆物',
      identifiedAt: '2025-01-05',
    });
    await world.send('hazard', id, 'OrderRectification', { responsible: '物业', deadline: '2025-02-01' });
  };
  await hazard('h1');
  await hazard('h2');
  const from = await world.settled();
  await world.send('hazard', 'h1', 'CompleteRectification', { completedAt: '2025-01-20' });
  await world.send('hazard', 'h1', 'VerifyRectification', { result: 'passed', verifiedAt: '2025-01-21' });
  await world.send('hazard', 'h2', 'WithdrawHazard', { reason: '误登' });
  const to = await world.settled();
  const [change] = (await between('dimension=dx:HAZ-01&dimension=pe:2025&dimension=ou:A', from, to)).changes as [RowChange];
  expect(change).toMatchObject({ before: { value: 0, den: 2 }, after: { value: 100, den: 1 } });
  expect(change.causes.map(({ kind, amount, events }) => [kind, amount, events.map(({ type }) => type)])).toEqual([
    ['late', 50, ['RectificationVerified']],
    ['retraction', 50, ['HazardWithdrawn']],
  ]);
});

test('a median with open cases: each event takes its part', async () => {
  const hazard = async (id: string, day: string, ...steps: [string, object][]) => {
    await world.send('hazard', id, 'IdentifyHazard', { community: 'A', domain: 'fire', description: '堆物', identifiedAt: day });
    for (const [type, data] of steps) await world.send('hazard', id, type, data);
  };
  const mended = (day: string): [string, object][] => [
    ['CompleteRectification', { completedAt: day }],
    ['VerifyRectification', { result: 'passed', verifiedAt: day }],
  ];
  await hazard('h1', '2025-01-01', ...mended('2025-01-11'));
  await hazard('h2', '2025-01-01', ...mended('2025-01-31'));
  // Verified on a day that is still to come: open until then.
  await hazard('h3', '2025-01-01', ...mended('2030-01-01'));
  const from = await world.settled();
  const text = 'dimension=dx:HAZ-03&dimension=pe:2025&dimension=ou:A';
  expect((await world.ask(`${text}&asOfPosition=${from}`)).data[0]).toMatchObject({ value: 30, num: 2, den: 3 });
  await hazard('h4', '2025-02-01', ...mended('2025-02-06'));
  const to = await world.settled();
  const [change] = (await between(text, from, to)).changes as [RowChange];
  expect(change.causes.map(({ kind, events }) => [kind, events.length])).toEqual([['late', 1]]);
  expect(change.causes.reduce((sum, { amount }) => sum + amount!, 0)).toBe(change.after!.value! - change.before!.value!);
});

// Whatever happens, the parts add up, and walking through the log gives what the log gives at its end.
test('random reports, corrections, retractions, links and populations', async () => {
  let seed = 12_345;
  const dice = (n: number): number => {
    seed = (seed * 1_103_515_245 + 12_345) % 2_147_483_648;
    return Math.floor((seed / 2_147_483_648) * n);
  };
  const ids: string[] = [];
  const act = async (): Promise<void> => {
    const some = () => ids[dice(ids.length)]!;
    try {
      switch (ids.length < 4 ? 0 : dice(8)) {
        case 4:
          return void (await correct(
            some(),
            [{ community: 'B' }, { sex: 'M' }, { age: { value: dice(90), unit: 'year' } }][dice(3)]!,
          ));
        case 5:
          return void (await world.send('injury', some(), 'RetractInjury', { reason: '误报' }));
        case 6:
          return void (await world.send('injury', some(), 'LinkInjury', { other: some(), decidedBy: 'manual' }));
        case 7:
          return void (await populate(800 + dice(400), ['A', 'B'][dice(2)]));
        default:
          ids.push(
            await report({
              community: ['A', 'B'][dice(2)],
              sex: ['F', 'M'][dice(2)],
              age: { value: dice(90), unit: 'year' },
              occurredAt: `2025-0${1 + dice(9)}-11`,
            }),
          );
      }
    } catch (error) {
      // A command that the deciders refuse is no event.
      if (!(error as Error).message.includes('"code"')) throw error;
    }
  };
  for (let i = 0; i < 60; i++) await act();
  const from = await world.settled();
  for (let i = 0; i < 60; i++) await act();
  const to = await world.settled();
  const text = 'dimension=dx:INC-01;SEV-01;INC-04&dimension=pe:2025;2025-Q1&dimension=ou:A;B;D&dimension=sex';
  const { changes } = await between(text, from, to);
  const [before, after] = await Promise.all([from, to].map((at) => world.ask(`${text}&asOfPosition=${at}`)));
  const key = (row: object) => JSON.stringify(['dx', 'pe', 'ou', 'sex'].map((name) => (row as Record<string, unknown>)[name]));
  const known = new Map(changes.map((each) => [key(each), each]));
  expect(changes.length).toBeGreaterThan(20);
  const was = new Map(before!.data.map((row) => [key(row), row]));
  for (const row of after!.data) {
    const first = was.get(key(row));
    const change = known.get(key(row));
    if (!change) {
      expect([row.value, row.num, row.den]).toEqual([first?.value ?? row.value, first?.num ?? row.num, first?.den ?? row.den]);
      continue;
    }
    expect(change.after).toMatchObject({ value: row.value, num: row.num, den: row.den, status: row.status });
    expect(change.causes.reduce((sum, { num }) => sum + num, 0)).toBe((row.num ?? 0) - (first?.num ?? 0));
    if (row.value !== null && first?.value != null)
      expect(change.causes.reduce((sum, { amount }) => sum + amount!, 0)).toBeCloseTo(row.value - first.value, 9);
  }
});
