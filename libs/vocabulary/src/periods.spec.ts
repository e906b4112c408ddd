import fc from 'fast-check';
import {
  addDays,
  dateRange,
  dayNumber,
  daysInYear,
  fromDayNumber,
  isPeriodError,
  isPlainDate,
  isTimeZone,
  localDate,
  parseInstant,
  parsePeriods,
  periodOf,
  periodsWithin,
  personYearFraction,
  RELATIVE_PERIODS,
  weeksInYear,
  yearShares,
  type Period,
  type PeriodUnit,
} from './periods';

const TODAY = '2026-11-24'; // a Tuesday in ISO week 48
const read = (item: string, today = TODAY): Period[] => {
  const found = parsePeriods(item, today);
  if (isPeriodError(found)) throw new Error(found.detail.en);
  return found;
};
const ids = (item: string, today = TODAY) => read(item, today).map((p) => p.id);
const UNITS: PeriodUnit[] = ['day', 'week', 'month', 'bimonth', 'quarter', 'half', 'year'];
const anyDay = fc.integer({ min: dayNumber('1800-01-08'), max: dayNumber('2199-12-20') });

describe('plain dates', () => {
  test.each([
    '2026-02-30',
    '2025-02-29',
    '1900-02-29',
    '26-03-01',
    '2026-3-1',
    '2026-13-01',
    '2026-00-10',
    '2026-03-00',
    '0000-01-01',
    '2026-03-01T00:00',
    '２０２６-03-01',
    '',
  ])('%s is none', (text) => {
    expect(isPlainDate(text)).toBe(false);
    expect(() => dayNumber(text)).toThrow(RangeError);
  });
  test('day numbers', () => {
    expect(dayNumber('1970-01-01')).toBe(0);
    expect(dayNumber('2000-02-29')).toBe(11016);
    expect(fromDayNumber(-1)).toBe('1969-12-31');
    expect(addDays('2024-02-28', 2)).toBe('2024-03-01');
  });
  test('agree with Date over the centuries', () =>
    fc.assert(
      fc.property(fc.integer({ min: -700_000, max: 2_900_000 }), (day) => {
        const text = new Date(day * 86_400_000).toISOString().slice(0, 10);
        return fromDayNumber(day) === text && dayNumber(text) === day;
      }),
    ));
});

describe('instants', () => {
  test.each([
    ['2026-03-02T09:10:00+08:00', '2026-03-02T01:10:00.000Z'],
    ['2026-03-02T01:10Z', '2026-03-02T01:10:00.000Z'],
    ['2026-03-02T01:10:00.123456Z', '2026-03-02T01:10:00.123Z'],
    ['2026-03-01T23:30:00.5-01:30', '2026-03-02T01:00:00.500Z'],
  ])('%s is %s', (text, expected) => expect(new Date(parseInstant(text)!).toISOString()).toBe(expected));
  test.each([
    '2026-03-02T24:00:00Z',
    '2026-02-30T00:00:00Z',
    '2026-03-02T01:10:00',
    '2026-03-02',
    '2026-03-02 01:10:00Z',
    '2026-03-02T01:60:00Z',
    '2026-03-02T01:10:00+8',
  ])('%s is none', (text) => expect(parseInstant(text)).toBeUndefined());
  test.each([
    ['2026-03-01T16:00:00Z', 'Asia/Shanghai', '2026-03-02'],
    ['2026-03-01T15:59:59Z', 'Asia/Shanghai', '2026-03-01'],
    // Summer time of 1986–91: Shanghai was at +09:00, and an hour before +08:00's midnight is already tomorrow.
    ['1988-07-01T15:30:00Z', 'Asia/Shanghai', '1988-07-02'],
    ['1988-12-01T15:30:00Z', 'Asia/Shanghai', '1988-12-01'],
    ['1992-07-01T15:30:00Z', 'Asia/Shanghai', '1992-07-01'],
    ['1950-01-01T00:00:00Z', 'America/New_York', '1949-12-31'],
    ['2026-03-02T04:59:59Z', 'America/New_York', '2026-03-01'],
    ['2026-03-01T18:15:00Z', 'Asia/Kathmandu', '2026-03-02'],
  ])('%s in %s is %s', (at, zone, expected) => {
    expect(localDate(at, zone)).toBe(expected);
    expect(localDate(parseInstant(at)!, zone)).toBe(expected);
  });
  test('agrees with Intl at any instant, days of clock changes included', () => {
    const zones = ['Asia/Shanghai', 'America/New_York', 'Australia/Lord_Howe', 'Asia/Kathmandu', 'Pacific/Apia', 'Europe/London'];
    const formats = new Map(
      zones.map((timeZone) => [timeZone, new Intl.DateTimeFormat('sv-SE', { timeZone, dateStyle: 'short' })]),
    );
    fc.assert(
      fc.property(
        fc.constantFrom(...zones),
        fc.integer({ min: Date.UTC(1900, 0, 1), max: Date.UTC(2100, 0, 1) }),
        (zone, ms) => localDate(ms, zone) === formats.get(zone)!.format(ms),
      ),
      { numRuns: 300 },
    );
  });
  test('bad instants and zones throw', () => {
    expect(() => localDate('2026-03-02', 'UTC')).toThrow(RangeError);
    expect(() => localDate(NaN, 'UTC')).toThrow(RangeError);
    expect(() => localDate(0, 'Mars/Olympus')).toThrow(RangeError);
    expect([isTimeZone('Asia/Shanghai'), isTimeZone('Mars/Olympus')]).toEqual([true, false]);
  });
});

describe('fixed periods', () => {
  test.each([
    ['2026', '2026', '2026-01-01', '2027-01-01'],
    ['2024', '2024', '2024-01-01', '2025-01-01'],
    ['2026S1', '2026-S1', '2026-01-01', '2026-07-01'],
    ['2026-S2', '2026-S2', '2026-07-01', '2027-01-01'],
    ['2026-Q1', '2026-Q1', '2026-01-01', '2026-04-01'],
    ['2026Q4', '2026-Q4', '2026-10-01', '2027-01-01'],
    ['202606B', '2026-B6', '2026-11-01', '2027-01-01'],
    ['2026-03', '2026-03', '2026-03-01', '2026-04-01'],
    ['202602', '2026-02', '2026-02-01', '2026-03-01'],
    ['2026-W10', '2026-W10', '2026-03-02', '2026-03-09'],
    ['2026W1', '2026-W01', '2025-12-29', '2026-01-05'],
    ['2026W53', '2026-W53', '2026-12-28', '2027-01-04'],
    ['2020-W53', '2020-W53', '2020-12-28', '2021-01-04'],
    ['2026-03-15', '2026-03-15', '2026-03-15', '2026-03-16'],
    ['20240229', '2024-02-29', '2024-02-29', '2024-03-01'],
    ['2026-01-01/2026-06-30', '2026-01-01/2026-06-30', '2026-01-01', '2026-07-01'],
    ['2026-03-15/2026-03-15', '2026-03-15/2026-03-15', '2026-03-15', '2026-03-16'],
    ['2024-Q4/2026', '2024-10-01/2026-12-31', '2024-10-01', '2027-01-01'],
  ])('%s', (item, id, start, end) => {
    expect(read(item)).toMatchObject([{ id, start, end, days: dayNumber(end) - dayNumber(start) }]);
    expect(ids(id)).toEqual([id]);
  });

  test.each([
    ...[
      '26',
      '2026-13',
      '202613',
      '2026-00',
      '2026-Q5',
      '2026Q0',
      '2026-S3',
      '2025-W53',
      '2026-W54',
      '2026-W00',
      '2026-02-30',
      '20250229',
    ],
    ...[
      '0000',
      '1799',
      '2200',
      '2026-06-30/2026-01-01',
      '2026-01-01/',
      '/',
      '2026-01-01/2026-02-30',
      '2026-03-15T24:00',
      '2026--03',
      '',
      'NOW',
      'LAST_0_DAYS',
      'LAST_DAY',
    ],
    ...['LAST_9999_DAYS', 'CONSTRUCTOR', 'LAST_CONSTRUCTOR', '２０２６'],
  ])('%s is refused', (item) => expect(parsePeriods(item, TODAY)).toMatchObject({ code: 'invalid-period', value: item }));

  test('a refusal suggests what was meant', () => {
    expect(parsePeriods('LAST_12_MONTH', TODAY)).toMatchObject({ suggestion: 'LAST_12_MONTHS' });
    expect(parsePeriods('2026-06-30/2026-01-01', TODAY)).toMatchObject({ suggestion: '2026-01-01/2026-06-30' });
  });
  test('an impossible today is refused where it matters', () =>
    expect(parsePeriods('TODAY', '2026-02-30')).toMatchObject({ value: '2026-02-30' }));

  test('long ISO years', () => {
    const long = Array.from({ length: 101 }, (_, i) => 2000 + i).filter((y) => weeksInYear(y) === 53);
    expect(long).toEqual([
      2004, 2009, 2015, 2020, 2026, 2032, 2037, 2043, 2048, 2054, 2060, 2065, 2071, 2076, 2082, 2088, 2093, 2099,
    ]);
  });

  test('an id reads back as its period', () =>
    fc.assert(
      fc.property(fc.constantFrom(...UNITS), anyDay, (unit, day) => {
        const period = periodOf(unit, fromDayNumber(day));
        expect(read(period.id)).toEqual([period]);
      }),
    ));
  test('a range reads back', () =>
    fc.assert(
      fc.property(anyDay, fc.nat(3000), (day, more) => {
        fc.pre(day + more < dayNumber('2199-12-31'));
        const period = dateRange(fromDayNumber(day), fromDayNumber(day + more));
        expect(read(period.id)).toEqual([period]);
      }),
    ));
  test('consecutive periods tile the calendar', () =>
    fc.assert(
      fc.property(fc.constantFrom(...UNITS), anyDay, fc.integer({ min: 1, max: 1500 }), (unit, day, length) => {
        const [start, end] = [fromDayNumber(day), fromDayNumber(day + length)];
        const periods = periodsWithin(unit, start, end);
        expect(periods[0]!.start <= start && end <= periods.at(-1)!.end).toBe(true);
        for (const [i, p] of periods.entries()) {
          expect(p.days).toBe(dayNumber(p.end) - dayNumber(p.start));
          expect(p.days).toBeGreaterThan(0);
          if (i > 0) expect(p.start).toBe(periods[i - 1]!.end);
        }
        expect(new Set(periods.map((p) => p.id)).size).toBe(periods.length);
      }),
    ));
});

describe('relative periods, as DHIS2 means them', () => {
  test.each<[string, string[]]>([
    ['TODAY', ['2026-11-24']],
    ['YESTERDAY', ['2026-11-23']],
    ['LAST_3_DAYS', ['2026-11-21', '2026-11-22', '2026-11-23']],
    ['THIS_WEEK', ['2026-W48']],
    ['LAST_WEEK', ['2026-W47']],
    ['LAST_4_WEEKS', ['2026-W44', '2026-W45', '2026-W46', '2026-W47']],
    ['THIS_MONTH', ['2026-11']],
    ['LAST_MONTH', ['2026-10']],
    ['LAST_3_MONTHS', ['2026-08', '2026-09', '2026-10']],
    ['THIS_BIMONTH', ['2026-B6']],
    ['THIS_QUARTER', ['2026-Q4']],
    ['LAST_4_QUARTERS', ['2025-Q4', '2026-Q1', '2026-Q2', '2026-Q3']],
    ['THIS_SIX_MONTH', ['2026-S2']],
    ['LAST_SIX_MONTH', ['2026-S1']],
    ['LAST_2_SIXMONTHS', ['2025-S2', '2026-S1']],
    ['THIS_YEAR', ['2026']],
    ['LAST_YEAR', ['2025']],
    ['LAST_5_YEARS', ['2021', '2022', '2023', '2024', '2025']],
    ['QUARTERS_THIS_YEAR', ['2026-Q1', '2026-Q2', '2026-Q3', '2026-Q4']],
    ['QUARTERS_LAST_YEAR', ['2025-Q1', '2025-Q2', '2025-Q3', '2025-Q4']],
    ['last_month', ['2026-10']],
  ])('%s', (item, expected) => expect(ids(item)).toEqual(expected));

  test.each([
    ['LAST_12_MONTHS', 12],
    ['LAST_7_DAYS', 7],
    ['LAST_30_DAYS', 30],
    ['LAST_52_WEEKS', 52],
    ['LAST_10_YEARS', 10],
    ['MONTHS_THIS_YEAR', 12],
    ['MONTHS_LAST_YEAR', 12],
    ['WEEKS_THIS_YEAR', 53],
    ['WEEKS_LAST_YEAR', 52],
  ])('%s yields %d periods', (item, count) => expect(read(item)).toHaveLength(count));

  test('across the turn of a year', () => {
    expect(ids('LAST_WEEK', '2027-01-04')).toEqual(['2026-W53']);
    expect(ids('THIS_WEEK', '2027-01-01')).toEqual(['2026-W53']);
    expect(ids('LAST_MONTH', '2026-01-31')).toEqual(['2025-12']);
    expect(ids('YESTERDAY', '2024-03-01')).toEqual(['2024-02-29']);
  });

  test('every offered name is understood, in order and without gaps, on any day', () =>
    fc.assert(
      fc.property(fc.constantFrom(...RELATIVE_PERIODS), anyDay, (item, day) => {
        fc.pre(day > dayNumber('1815-01-01'));
        const periods = read(item, fromDayNumber(day));
        expect(periods.every((p, i) => i === 0 || p.start === periods[i - 1]!.end)).toBe(true);
        if (/^LAST_\d/.test(item)) expect(dayNumber(periods.at(-1)!.end)).toBeLessThanOrEqual(day);
      }),
    ));
});

describe('person-years', () => {
  test('a period over two years weighs each by its own length', () => {
    const period = dateRange('2023-12-30', '2024-03-01');
    expect(yearShares(period)).toEqual([
      { year: 2023, share: 2 / 365 },
      { year: 2024, share: 61 / 366 },
    ]);
  });
  test('whole years are exactly 1', () => {
    for (const year of ['2023', '2024', '1900']) expect(yearShares(read(year)[0]!)).toEqual([{ year: Number(year), share: 1 }]);
    expect(yearShares({ start: '2024-01-01', end: '2024-01-01' })).toEqual([]);
  });
  test('quarters of a year add up to it', () => {
    const total = read('QUARTERS_THIS_YEAR', '2024-05-05').reduce((sum, q) => sum + personYearFraction(q), 0);
    expect(total).toBeCloseTo(1, 12);
  });
  test('shares sum the days', () =>
    fc.assert(
      fc.property(anyDay, fc.integer({ min: 1, max: 2000 }), (day, length) => {
        const shares = yearShares({ start: fromDayNumber(day), end: fromDayNumber(day + length) });
        expect(shares.reduce((sum, { year, share }) => sum + share * daysInYear(year), 0)).toBeCloseTo(length, 6);
        expect(shares.every(({ share }) => share > 0 && share <= 1)).toBe(true);
      }),
    ));
});
