import { injuryCommands, injuryRecord } from '@vigil/domain';
import { canonical, dayNumber, localDate, parseInstant } from '@vigil/vocabulary';
import { population, UNIT_CODES } from './district';
import { story, type CloudEvent, type Step } from './story';

const OPTIONS = { seed: 1, months: 24, until: '2026-03' };
const told = story(OPTIONS);
const eventsOf = (steps: readonly Step[]): CloudEvent[] => steps.flatMap((step) => (step.kind === 'events' ? step.events : []));
const events = eventsOf(told.steps);
const record = ({ data }: CloudEvent) => injuryRecord.parse({ ...data, feed: 'x' });
const reports = events.filter(({ type }) => type.includes('.reported.'));
const first = reports.filter(({ data }) => data['visit'] === 'first').map(record);
const years = (r: (typeof first)[number]): number => (r.age ? (r.age.unit === 'year' ? r.age.value : 0) : NaN);
const share = <T>(all: readonly T[], holds: (one: T) => boolean): number => all.filter(holds).length / all.length;
const between = (value: number, low: number, high: number): void => {
  expect(value).toBeGreaterThan(low);
  expect(value).toBeLessThan(high);
};

describe('the same seed and end tell the same story', () => {
  const SHORT = { ...OPTIONS, months: 4 };
  const short = story(SHORT);
  const sent = new Map(eventsOf(short.steps).map((event) => [event.id, JSON.stringify(event)]));

  test('byte for byte', () => expect(JSON.stringify(story(SHORT))).toBe(JSON.stringify(short)));

  test('another seed tells another, and no id of the two is the same', () => {
    const other = eventsOf(story({ ...SHORT, seed: 2 }).steps);
    expect(other.length).toBeGreaterThan(2_000);
    expect(other.some(({ id }) => sent.has(id))).toBe(false);
  });

  test('a later end and start send what was sent again, byte for byte, and what has become known since', () => {
    const next = eventsOf(story({ ...SHORT, until: '2026-04' }).steps);
    const again = next.filter(({ id }) => sent.has(id));
    expect(again.length).toBeGreaterThan(1_500);
    expect(again.filter((event) => JSON.stringify(event) !== sent.get(event.id))).toEqual([]);
    // Reported late: they happened in March, and nobody knew before April.
    expect(next.some(({ id, data }) => !sent.has(id) && String(data['occurredAt']).startsWith('2026-03'))).toBe(true);
  });

  test('the log of a known seed', () =>
    expect([told.events, told.first, told.last]).toMatchInlineSnapshot(`
      [
        15692,
        "2024-04-01",
        "2026-03-31",
      ]
    `));
});

describe('what is sent is valid', () => {
  test('communities and populations come first, a year for every year of the story', () => {
    const kinds = told.steps.map(({ kind }) => kind);
    expect(kinds.lastIndexOf('population')).toBeLessThan(kinds.indexOf('events'));
    expect(told.steps.flatMap((step) => (step.kind === 'population' ? [`${step.community} ${step.body.year}`] : []))).toEqual(
      [2024, 2025, 2026].flatMap((year) => UNIT_CODES.map((unit) => `${unit} ${year}`)),
    );
  });

  test('every report is an injury record, every correction and retraction a command', () => {
    const faults = events.filter(({ type, subject, data }) => {
      const { recordId, ...rest } = data;
      const schema = type.includes('.reported.')
        ? injuryRecord
        : type.includes('.corrected.')
          ? injuryCommands.CorrectInjury
          : injuryCommands.RetractInjury;
      return recordId !== subject || !schema.safeParse(type.includes('.reported.') ? { ...data, feed: 'x' } : rest).success;
    });
    expect(faults).toEqual([]);
  });

  test('an id is used once, and batches hold at most 500', () => {
    expect(new Set(events.map(({ source, id }) => `${source} ${id}`)).size).toBe(events.length);
    for (const step of told.steps) if (step.kind === 'events') expect(step.events.length).toBeLessThanOrEqual(500);
  });

  test('in the order in which things became known, nothing before it happened, nothing after the end', () => {
    const last = new Map<string, number>();
    const faults = events.filter(({ source, time }) => {
      const at = parseInstant(time)!;
      const before = last.get(source) ?? 0;
      last.set(source, at);
      return at < before || localDate(at, 'Asia/Shanghai') > told.last;
    });
    expect(faults).toEqual([]);
    const early = first.filter(({ occurredAt, knownAt }) =>
      occurredAt?.length === 10
        ? localDate(knownAt, 'Asia/Shanghai') < occurredAt
        : occurredAt && parseInstant(knownAt)! <= parseInstant(occurredAt)!,
    );
    expect(early).toEqual([]);
  });

  test('a correction or retraction follows its report', () => {
    const known = new Set<string>();
    const lost = events.filter(({ type, subject }) => (type.includes('.reported.') ? !known.add(subject) : !known.has(subject)));
    expect(lost).toEqual([]);
  });
});

describe('what is told could be true', () => {
  test('about 60,000 and 45,000 people, slowly growing, a fifth of them 60 and over', () => {
    const persons = (unit: (typeof UNIT_CODES)[number], year: number) =>
      population(unit, year).reduce((sum, cell) => sum + cell.persons, 0);
    between(persons('S-01', 2025), 60_000, 64_000);
    between(persons('S-02', 2025), 45_000, 49_000);
    expect(persons('S-01', 2026)).toBeGreaterThan(persons('S-01', 2025));
    between(
      share(
        population('S-01', 2025).flatMap((cell) => Array.from({ length: Math.round(cell.persons / 10) }, () => cell)),
        ({ ageFrom }) => ageFrom >= 60,
      ),
      0.15,
      0.28,
    );
  });

  test('some 64 first visits a year per 1,000 people', () => {
    const year = first.filter(({ occurredAt }) => occurredAt?.startsWith('2025'));
    const people = UNIT_CODES.flatMap((unit) => population(unit, 2025)).reduce((sum, { persons }) => sum + persons, 0);
    between((year.length / people) * 1000, 58, 70);
  });

  test('falls dominate among the old, who are women more often; roads in the middle; children get hurt at school and at home', () => {
    const cause = (r: (typeof first)[number]) => canonical('mechanism', r.mechanism);
    const old = first.filter((r) => years(r) >= 65);
    between(
      share(old, (r) => cause(r) === 'fall'),
      0.45,
      0.75,
    );
    between(
      share(
        old.filter((r) => cause(r) === 'fall'),
        ({ sex }) => sex === 'F',
      ),
      0.55,
      0.75,
    );
    const grown = first.filter((r) => years(r) >= 25 && years(r) < 65);
    between(
      share(grown, (r) => cause(r) === 'road-transport'),
      0.2,
      0.42,
    );
    const children = first.filter((r) => years(r) >= 5 && years(r) < 15);
    between(
      share(children, (r) => ['school-public', 'home'].includes(canonical('place', r.place))),
      0.55,
      0.85,
    );
    between(
      share(first, ({ sex }) => sex === 'M'),
      0.5,
      0.62,
    );
  });

  test('winter has more falls, Friday more crashes', () => {
    const month = (r: (typeof first)[number]) => r.occurredAt?.slice(5, 7) ?? '';
    const falls = first.filter((r) => canonical('mechanism', r.mechanism) === 'fall');
    expect(falls.filter((r) => ['12', '01', '02'].includes(month(r))).length).toBeGreaterThan(
      falls.filter((r) => ['05', '06', '07'].includes(month(r))).length,
    );
    const crashes = first.filter((r) => canonical('mechanism', r.mechanism) === 'road-transport' && r.occurredAt);
    const weekday = (r: (typeof first)[number]) => (dayNumber(r.occurredAt!.slice(0, 10)) + 4) % 7;
    expect(crashes.filter((r) => weekday(r) === 5).length).toBeGreaterThan(crashes.filter((r) => weekday(r) === 0).length);
  });

  test('data as it comes: late, blank, unmapped, mended, taken back, from elsewhere', () => {
    const late = share(
      first.filter((r) => r.occurredAt),
      (r) => dayNumber(localDate(r.knownAt, 'Asia/Shanghai')) - dayNumber(r.occurredAt!.slice(0, 10)) >= 7,
    );
    between(late, 0.04, 0.15);
    between(
      share(first, (r) => r.residence !== undefined && r.residence !== r.community),
      0.07,
      0.13,
    );
    between(
      share(first, (r) => canonical('mechanism', r.mechanism) === 'unknown'),
      0.01,
      0.05,
    );
    between(
      share(first, (r) => canonical('mechanism', r.mechanism) === 'unmapped'),
      0.001,
      0.02,
    );
    between(share(reports, ({ data }) => data['visit'] === 'follow-up'), 0.03, 0.12); // prettier-ignore
    between(share(events, ({ type }) => type.includes('.corrected.')), 0.015, 0.05); // prettier-ignore
    between(share(events, ({ type }) => type.includes('.retracted.')), 0.003, 0.015); // prettier-ignore
    between(
      share(first, (r) => canonical('disposition', r.disposition) === 'admitted'),
      0.04,
      0.12,
    );
    const dead = events.filter(
      ({ data }) =>
        data['daysToDeath'] !== undefined ||
        (data['replaces'] as { daysToDeath?: number } | undefined)?.daysToDeath !== undefined,
    );
    between(dead.length, 5, 60);
  });
});
