import { caseFiles, incident, injuryCommands, injuryId, injuryRecord, type FileState } from '@vigil/domain';
import { canonical, dayNumber, localDate, parseInstant } from '@vigil/vocabulary';
import { population, UNIT_CODES } from './district';
import type { Command } from './chapters/file';
import { injuryIdOf } from './chapters/file';
import { OVERDUE_CLASS_FILE } from './chapters/hazards';
import { injuries } from './chapters/injuries';
import { survey } from './chapters/survey';
import { story, type CloudEvent, type Step } from './story';
import { AWARENESS, FALL_PROGRAMME, LATE_BATCH, SILENT } from './truth';

const OPTIONS = { seed: 1, months: 36, until: '2026-03' };
const told = story(OPTIONS);
const eventsOf = (steps: readonly Step[]): CloudEvent[] => steps.flatMap((step) => (step.kind === 'events' ? step.events : []));
const all = eventsOf(told.steps);
const events = all.filter(({ id }) => !told.bad.has(id));
const commands = told.steps.filter((step): step is Command => step.kind === 'command');
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

  test('the registers’ routine can be told of the last months only', () => {
    const half = story({ ...OPTIONS, months: 4, routine: 1 });
    const of = ({ steps }: typeof half): Set<string> =>
      new Set(steps.flatMap((step) => (step.kind === 'command' ? [JSON.stringify(step)] : [])));
    const whole = of(short);
    expect([...of(half)].filter((command) => !whole.has(command))).toEqual([]);
    expect(of(half).size).toBeLessThan(whole.size - 30);
  });

  test('the log of a known seed', () =>
    expect([told.size, told.bad.size, commands.length, told.first, told.last]).toMatchInlineSnapshot(`
      [
        24280,
        78,
        1068,
        "2023-04-01",
        "2026-03-31",
      ]
    `));
});

describe('what is sent is valid', () => {
  test('communities and populations come first, a year for every year of the story', () => {
    const kinds = told.steps.map(({ kind }) => kind);
    expect(kinds.lastIndexOf('population')).toBeLessThan(Math.min(kinds.indexOf('events'), kinds.indexOf('command')));
    expect(told.steps.flatMap((step) => (step.kind === 'population' ? [`${step.community} ${step.body.year}`] : []))).toEqual(
      [2023, 2024, 2025, 2026].flatMap((year) => UNIT_CODES.map((unit) => `${unit} ${year}`)),
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
    expect(new Set(all.map(({ source, id }) => `${source} ${id}`)).size).toBe(all.length);
    for (const step of told.steps) if (step.kind === 'events') expect(step.events.length).toBeLessThanOrEqual(500);
  });

  test('in the order in which things became known, nothing before it happened, nothing after the end', () => {
    const last = new Map<string, number>();
    const late = new Set(told.steps.flatMap((step) => (step.kind === 'events' && step.late ? step.events : [])));
    const faults = events.filter((event) => {
      const { source, time } = event;
      if (late.has(event)) return localDate(time, 'Asia/Shanghai') > told.last;
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

  test('what the story calls bad is refused, and nothing else', () => {
    const bad = all.filter(({ id }) => told.bad.has(id));
    expect(bad.filter(({ data }) => injuryRecord.safeParse({ ...data, feed: 'x' }).success)).toEqual([]);
    between(bad.length / reports.length, 0.002, 0.006);
    const faults = new Set(bad.map(({ data }) => injuryRecord.safeParse({ ...data, feed: 'x' }).error!.issues[0]!.path[0]));
    expect([...faults].sort()).toEqual(['age', 'community', 'occurredAt', 'severity']);
    const subjects = new Set(reports.map(({ source, subject }) => `${source} ${subject}`));
    between(share(bad, ({ source, subject }) => subjects.has(`${source} ${subject}`)), 0.5, 0.95); // prettier-ignore
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
    between(dead.length, 5, 90);
  });
});

/** A file's state, read loosely. */
type Plain = Readonly<Record<string, any>>; // eslint-disable-line @typescript-eslint/no-explicit-any -- eight registers' states

/** The registers as their own deciders have it, after every command of the story. */
const registers = (steps: readonly Step[]) => {
  const files = new Map<string, { register: string; revision: number; state: FileState }>();
  for (const step of steps) {
    if (step.kind !== 'command' || step.register === 'injuries') continue;
    const { register, id, path, revision, body } = step;
    const file = caseFiles.find(({ plural }) => plural === register)!;
    const filled: Record<string, string | number> = {};
    const [type] = Object.entries(file.steps).find(([, { path: pattern }]) => {
      const names = [...(pattern ?? '').matchAll(/\{(\w+)\}/g)].map(([, name]) => name!);
      const found = new RegExp(`^${(pattern ?? '').replaceAll(/\{\w+\}/g, '([^/]+)')}$`).exec(path ?? '');
      found?.slice(1).forEach((part, i) => (filled[names[i]!] = /^\d+$/.test(part) ? Number(part) : part));
      return found && (pattern === undefined) === (path === undefined);
    })!;
    const before = files.get(`${register} ${id}`);
    const data = file.steps[type]!.schema.parse({ ...body, ...filled });
    const decided = file.decider.decide({ type, data }, before?.state ?? file.initialState);
    if (!decided.ok) throw new Error(`${register} ${id} r${revision} ${type}: ${decided.problem.detail.en}`);
    expect([id, revision]).toEqual([id, (before?.revision ?? -1) + decided.value.length]);
    const state = decided.value.reduce((state, event) => file.decider.evolve(state, event), before?.state ?? file.initialState);
    files.set(`${register} ${id}`, { register, revision, state });
  }
  return (register: string): Plain[] =>
    [...files.values()].filter((one) => one.register === register).map(({ state }) => state as Plain);
};

describe('the registers', () => {
  const at = registers(told.steps);
  const count = (register: string, by: (state: Plain) => unknown): Record<string, number> => {
    const tally: Record<string, number> = {};
    for (const one of at(register)) tally[`${by(one)}`] = (tally[`${by(one)}`] ?? 0) + 1;
    return tally;
  };

  test('of this seed', () => {
    expect(count('organisations', ({ names }) => (names as unknown[]).length)).toEqual({ '1': 9, '2': 1 });
    expect(count('places', ({ types }) => types[0]!['type'])).toMatchInlineSnapshot(`
      {
        "care-home": 2,
        "construction-site": 2,
        "enterprise": 1,
        "rental-housing": 16,
        "road-segment": 4,
        "school": 2,
        "water": 2,
      }
    `);
    expect(count('inspections', ({ state }) => state)).toMatchInlineSnapshot(`
      {
        "completed": 36,
      }
    `);
    expect(count('hazards', ({ state }) => state)).toMatchInlineSnapshot(`
      {
        "identified": 1,
        "ordered": 1,
        "rectified": 1,
        "verified": 129,
        "withdrawn": 3,
      }
    `);
    expect(count('incidents', ({ report, state }) => `${report['kind']} ${state}`)).toMatchInlineSnapshot(`
      {
        "crash reported": 12,
        "dispute escalated": 9,
        "dispute settled": 34,
        "fire reported": 26,
        "fire retracted": 1,
      }
    `);
    expect(count('evaluations', ({ period, state }) => `${period} ${state}`)).toMatchInlineSnapshot(`
      {
        "2023 closed": 1,
        "2024 closed": 1,
        "2025 open": 1,
      }
    `);
  });

  test.each(['2025-12', '2026-02', '2026-05'])('take every command; at the end of %s exactly one hazard is overdue', (until) => {
    const ended = story({ seed: 3, months: 5, until });
    const open = registers(ended.steps)('hazards').filter(
      ({ state, deadline }) => ['ordered', 'reopened'].includes(state) && deadline !== undefined,
    );
    expect(open).toEqual([expect.objectContaining({ classFile: OVERDUE_CLASS_FILE, deadline: `${until}-12` })]);
  });

  test('some hazards are late, sent back, back again, supervised, withdrawn', () => {
    const hazards = at('hazards');
    const some = (holds: (state: Plain) => boolean): number => hazards.filter(holds).length;
    expect(some(({ completedAt, originalDeadline }) => completedAt > originalDeadline)).toBeGreaterThan(20);
    for (const field of ['extensions', 'rejections', 'reopenings', 'supervision'])
      expect(some(({ [field]: value }) => value !== undefined)).toBeGreaterThan(2);
    expect(some(({ state }) => state === 'withdrawn')).toBe(3);
  });

  test('a crash has two casualties, two reports of one linked, and all attached', () => {
    const crashes = at('incidents').filter(({ report }) => report['kind'] === 'crash');
    expect(crashes).toHaveLength(12);
    for (const crash of crashes) {
      expect(crash['report']['casualties']).toHaveLength(2);
      expect(crash['injuries']).toHaveLength(3);
    }
    const known = new Set(reports.map(({ source, subject }) => injuryId(source.split('/').at(-1)!, subject)));
    const attached = crashes.flatMap(({ injuries }) => (injuries as { injuryId: string }[]).map(({ injuryId: id }) => id));
    expect(attached.filter((id) => !known.has(id))).toEqual([]);
    const links = commands.filter(({ register }) => register === 'injuries');
    expect(links).toHaveLength(12);
    expect(links.every(({ id, body, revision }) => known.has(id) && known.has(body['other'] as string) && revision === 1)).toBe(
      true,
    );
  });

  test('ids are those that the server will make', () => {
    expect(injuryIdOf('clinic-01', '1')).toBe(injuryId('clinic-01', '1'));
    const named = commands.filter(({ register, path }) => register === 'incidents' && path === undefined);
    expect(named.filter(({ id, body }) => incident.idOf!(body as never) !== id)).toEqual([]);
  });

  test('the programme is piloted and rolled out, the survey asked twice', () => {
    const [programme] = at('interventions');
    expect(programme).toMatchObject({
      state: 'rolled-out',
      design: { outcomes: ['INC-04'], units: ['S-01'], comparison: ['S-02'] },
      starts: { 'S-01': '2025-01-01', 'S-02': '2026-01-01' },
    });
    const [survey] = at('surveys');
    expect(survey).toMatchObject({ state: 'closed', waves: [{ received: 400 }, { received: 400 }] });
  });
});

describe('what is true is in the records', () => {
  const year = (y: number): string[] => Array.from({ length: 12 }, (_, m) => `${y}-${String(m + 1).padStart(2, '0')}`);
  const old = (unit: (typeof UNIT_CODES)[number], y: number): number =>
    population(unit, y).reduce((sum, { ageFrom, persons }) => sum + (ageFrom >= FALL_PROGRAMME.ageFrom ? persons : 0), 0);

  /** First visits of five seeds in the year before the pilot begins and in the one after. */
  const tally = () => ({ 'S-01': 0, 'S-02': 0, others: 0 });
  const cases = { 2024: tally(), 2025: tally() };
  const drownings = { summer: 0, winter: 0 };
  beforeAll(() => {
    for (let seed = 1; seed <= 5; seed++)
      for (const y of [2024, 2025] as const)
        for (const { event, bad } of injuries(seed, year(y), 2026)) {
          const { type, data } = event;
          if (bad || !type.includes('.reported.') || data['visit'] !== 'first') continue;
          const age = data['age'] as { value: number; unit: string } | undefined;
          const { code } = data['mechanism'] as { code: string };
          const isOld = age?.unit === 'year' && age.value >= FALL_PROGRAMME.ageFrom;
          cases[y][code === FALL_PROGRAMME.cause && isOld ? (data['community'] as 'S-01') : 'others']++;
          const month = Number(String(data['occurredAt'] ?? data['knownAt']).slice(5, 7));
          if (code === '9' && month >= 6 && month <= 8) drownings.summer++;
          if (code === '9' && (month <= 2 || month === 12)) drownings.winter++;
        }
  });

  test('the fall programme: 0.7 of the falls at 65 and over in the pilot, nothing else and nowhere else', () => {
    const ratio = (unit: (typeof UNIT_CODES)[number]): number =>
      cases[2025][unit] / old(unit, 2025) / (cases[2024][unit] / old(unit, 2024));
    between(ratio('S-01'), FALL_PROGRAMME.rateRatio - 0.05, FALL_PROGRAMME.rateRatio + 0.05);
    between(ratio('S-02'), 0.92, 1.08);
    between(cases[2025].others / cases[2024].others, 0.98, 1.04);
  });

  test('drownings come in summer', () => {
    expect(drownings.summer).toBeGreaterThan(40);
    expect(drownings.summer).toBeGreaterThan(6 * drownings.winter);
  });

  test('whether it starts changes no other record', () => {
    const with_ = injuries(5, ['2025-03'], 2026).map(({ event }) => JSON.stringify(event));
    const without = new Set(injuries(5, ['2025-03'], 2027).map(({ event }) => JSON.stringify(event)));
    expect(with_.filter((event) => !without.has(event))).toEqual([]);
    expect(without.size).toBeGreaterThan(with_.length);
  });

  test('one feed falls silent', () => {
    const last = (feed: string): string =>
      events
        .filter(({ source }) => source === `/feeds/${feed}`)
        .at(-1)!
        .time.slice(0, 7);
    expect([last(SILENT.feed), last('clinic-01'), last('police-01')]).toEqual(['2025-12', '2026-03', '2026-03']);
    expect(events.filter(({ source }) => source === `/feeds/${SILENT.feed}`).length).toBeGreaterThan(200);
  });

  test('a late batch changes the quarter before', () => {
    const batches = told.steps.filter((step) => step.kind === 'events' && step.late);
    expect(batches.length).toBeGreaterThanOrEqual(11);
    const last = eventsOf(batches.slice(-1)).filter(({ data }) => data['visit'] === 'first');
    expect(last.length).toBeGreaterThan(10);
    expect(last.filter(({ data, source }) => data['community'] !== LATE_BATCH.unit || !source.endsWith(LATE_BATCH.feed))).toEqual(
      [],
    );
    expect(last.every(({ data }) => String(data['knownAt']) > '2026-01-20')).toBe(true);
    between(share(last, ({ data }) => String(data['occurredAt'] ?? '2025-12').startsWith('2025-12')), 0.85, 1.01); // prettier-ignore
  });

  test('awareness rises between the waves, most in the pilot', () => {
    const known = (wave: 1 | 2, unit: 'S-01' | 'S-02'): number => {
      const yes: boolean[] = [];
      for (let seed = 1; seed <= 5; seed++)
        for (const step of survey(seed, 2026))
          if (step.path === `waves/${wave}/responses`)
            for (const { stratum, answers } of step.body['responses'] as { stratum: string; answers: { K1: string } }[])
              if (stratum === unit) yes.push(answers.K1 === 'yes');
      expect(yes).toHaveLength(1_000);
      return share(yes, (one) => one);
    };
    for (const wave of [1, 2] as const)
      for (const unit of UNIT_CODES) between(known(wave, unit), AWARENESS[wave][unit] - 0.05, AWARENESS[wave][unit] + 0.05);
  });
});
