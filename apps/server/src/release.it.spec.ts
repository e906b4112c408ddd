import type { ObservationAnswer } from '@vigil/indicators';
import { indicatorWorld, type IndicatorWorld } from './indicator-world.fixture';

let world: IndicatorWorld;
let serial = 0;
const send: IndicatorWorld['send'] = (...command) => world.send(...command);
const injure = async (count: number, community: string, day: string, more: object = {}): Promise<string[]> => {
  const ids = Array.from({ length: count }, () => `00000000-0000-4000-8000-${`${++serial}`.padStart(12, '0')}`);
  for (const id of ids)
    await send('injury', id, 'ReportInjury', {
      ...{ feed: 'clinic', recordId: id, community, occurredAt: day, knownAt: day, visit: 'first' },
      ...{ age: { value: 40, unit: 'year' }, sex: 'F', mechanism: 'fall', disposition: 'treated' },
      ...more,
    });
  await world.settled();
  return ids;
};
const ask = (text: string): Promise<ObservationAnswer> => world.ask(text);
const shown = async (text: string): Promise<Record<string, number | null>> =>
  Object.fromEntries((await ask(text)).data.map(({ pe, ou, sex, num }) => [[pe, ou, sex].filter(Boolean).join(' '), num]));

beforeEach(async () => {
  world = await indicatorWorld('release-spec');
  const named = (code: string) => ({ zh: code, en: code });
  await send('community', 'D', 'RegisterCommunity', { code: 'D', name: named('D'), type: 'district' });
  for (const code of ['A', 'B', 'C']) {
    await send('community', code, 'RegisterCommunity', { code, name: named(code), type: 'community', parent: 'D' });
    await send('community', code, 'RecordPopulation', {
      year: 2025,
      cells: [{ sex: 'total', ageFrom: 0, ageTo: null, persons: 10_000 }],
    });
  }
});
afterEach(() => world.close());

const YEAR = 'dimension=dx:INC-01&dimension=pe:2025';

test('a small count is null with its reason, and a second one hides so that the total doesn’t solve it', async () => {
  await injure(3, 'A', '2025-03-01');
  await injure(40, 'B', '2025-03-01');
  await injure(60, 'C', '2025-03-01');
  const { data, meta } = await ask(`${YEAR}&dimension=ou:A;B;C;D&release=staff`);
  const of = Object.fromEntries(data.map((row) => [row.ou, row]));
  expect(of['A']).toMatchObject({ value: null, num: null, ci: null, status: 'M', conf: 'C', reason: 'suppressed', den: 10_000 });
  expect(of['D']).toMatchObject({ num: 103, conf: 'F' });
  expect([of['B']!.num, of['C']!.num].filter((num) => num === null)).toHaveLength(1);
  expect(of['B']!.reason ?? of['C']!.reason).toBe('suppressed');
  expect(meta.suppression).toMatchObject({ release: 'staff', threshold: 5, sensitive: 10, hidden: 2 });
  // Whoever may see everything does.
  expect(await shown(`${YEAR}&dimension=ou:A;B;C;D`)).toEqual({ '2025 A': 3, '2025 B': 40, '2025 C': 60, '2025 D': 103 });
});

test('asked one at a time, the same rows are hidden', async () => {
  await injure(3, 'A', '2025-03-01');
  await injure(40, 'B', '2025-03-01');
  await injure(60, 'C', '2025-03-01');
  const together = await shown(`${YEAR}&dimension=ou:A;B;C;D&release=staff`);
  for (const ou of ['A', 'B', 'C', 'D'])
    expect(await shown(`${YEAR}&dimension=ou:${ou}&release=staff`)).toEqual({ [`2025 ${ou}`]: together[`2025 ${ou}`] });
});

test('ten for the public, five for staff, none for nought', async () => {
  await injure(7, 'A', '2025-03-01');
  await injure(7, 'B', '2025-03-01');
  expect(await shown(`${YEAR}&dimension=ou:A;B;C&release=staff`)).toEqual({ '2025 A': 7, '2025 B': 7, '2025 C': 0 });
  expect(await shown(`${YEAR}&dimension=ou:A;B;C&release=public`)).toEqual({ '2025 A': null, '2025 B': null, '2025 C': 0 });
});

test('minors and self-harm are hidden below ten from staff too', async () => {
  await injure(7, 'A', '2025-03-01', { age: { value: 10, unit: 'year' } });
  await injure(7, 'A', '2025-03-01', { age: { value: 11, unit: 'year' }, intent: 'self-harm' });
  await injure(50, 'A', '2025-03-01');
  const intents = (await ask(`${YEAR}&dimension=ou:A&dimension=intent&release=staff`)).data;
  expect(intents.find(({ intent }) => intent === 'self-harm')).toMatchObject({ num: null, reason: 'suppressed' });
  expect((await ask(`${YEAR}&dimension=ou:A&filter=intent:self-harm&release=staff`)).data).toMatchObject([{ num: null }]);
});

test('a count that grew by less than five since it was told is held until it has grown enough', async () => {
  await injure(40, 'A', '2025-03-01');
  await injure(50, 'B', '2025-03-01');
  await injure(60, 'C', '2025-03-01');
  const ask3 = () => shown(`${YEAR}&dimension=ou:A;B;C;D&release=staff`);
  expect(await ask3()).toEqual({ '2025 A': 40, '2025 B': 50, '2025 C': 60, '2025 D': 150 });
  await injure(2, 'A', '2025-04-01');
  const second = await ask3();
  expect(second['2025 A']).toBeNull();
  expect(second['2025 D']).toBeNull(); // 152 − 150 would tell the two
  await injure(9, 'A', '2025-05-01');
  expect(await ask3()).toMatchObject({ '2025 A': 51, '2025 D': 161 });
  // As known before, the answer still tells what it told, and no difference of 1 to 4.
  expect((await ask3())['2025 A']).toBe(51);
});

test('filter and dimension name the same count: one can’t be used to get round the other', async () => {
  await injure(40, 'A', '2025-03-01');
  await injure(30, 'A', '2025-03-01', { sex: 'M' });
  expect(await shown(`${YEAR}&dimension=ou:A&dimension=sex&release=staff`)).toMatchObject({ '2025 A F': 40, '2025 A M': 30 });
  await injure(2, 'A', '2025-04-01');
  expect(await shown(`${YEAR}&dimension=ou:A&filter=sex:F&release=staff`)).toEqual({ '2025 A': null });
});

test('months of a year: a hidden month isn’t told by the year', async () => {
  await injure(2, 'A', '2025-01-10');
  for (let month = 2; month <= 12; month++) await injure(6 + month, 'A', `2025-${`${month}`.padStart(2, '0')}-10`);
  const months = await shown('dimension=dx:INC-01&dimension=pe:MONTHS_THIS_YEAR&dimension=ou:A&today=2025-06-01&release=staff');
  expect(months['2025-01 A']).toBeNull();
  expect(Object.values(months).filter((num) => num === null).length).toBeGreaterThanOrEqual(2);
});

test('a share is hidden with its complement', async () => {
  await injure(38, 'A', '2025-03-01');
  await injure(42, 'B', '2025-03-01', { disposition: 'admitted' });
  await injure(2, 'B', '2025-03-01');
  const { data } = await ask('dimension=dx:SEV-01&dimension=pe:2025&dimension=ou:A;B&release=staff');
  expect(data.find(({ ou }) => ou === 'B')).toMatchObject({ value: null, num: null, den: null, conf: 'C' });
});

test('two answers at once remember both', async () => {
  await injure(40, 'A', '2025-03-01');
  const both = await Promise.all([
    shown(`${YEAR}&dimension=ou:A&release=staff`),
    shown(`${YEAR}&dimension=ou:A&dimension=sex&release=staff`),
  ]);
  expect(both[0]).toEqual({ '2025 A': 40 });
});
