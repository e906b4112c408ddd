import { codeName, dateOrInstant, said, say, text } from './fields';

it('carries a code and both languages through a zod message, and knows zod’s own', () => {
  expect(said(say('too-late', '太晚', 'too "late"').message)).toEqual({
    code: 'too-late',
    detail: { zh: '太晚', en: 'too "late"' },
  });
  expect(said('Invalid input: expected string')).toBeUndefined();
  expect(said(dateOrInstant.safeParse('yesterday').error!.issues[0]!.message)).toMatchObject({ code: 'invalid-date' });
});

it('trims text, keeps line breaks, and refuses what is empty, too long or not storable', () => {
  expect(text(5).parse('  跌倒\n了 ')).toBe('跌倒\n了');
  for (const bad of ['', '   ', '123456', 'a\u0000', 'a\u001b', 'a\u007f', '\ud800', 'a\udc00b'])
    expect(text(5).safeParse(bad).success).toBe(false);
  expect(text(5).parse('🚑é')).toBe('🚑é');
});

it('keeps codes apart from paths, blanks and markup', () => {
  for (const good of ['a', 'A-1', '320111.001', 'x_y']) expect(codeName.parse(good)).toBe(good);
  for (const bad of ['', '.', '-a', '../a', 'a b', 'a\n', '桥', 'a'.repeat(65), 'a\u0000'])
    expect(codeName.safeParse(bad).success).toBe(false);
});

it('tells a date from an instant and takes neither half', () => {
  for (const good of ['2026-03-01', '2026-03-01T08:30:00Z', '2026-03-01T08:30:00+08:00'])
    expect(dateOrInstant.parse(good)).toBe(good);
  for (const bad of [
    '2026-3-1',
    '2026-03',
    '20260301',
    '2026-02-30',
    '2026-03-01T08:30',
    '2026-03-01 08:30:00',
    '2026-13-01T00:00:00Z',
    '2026-02-30T00:00:00Z',
  ])
    expect([bad, dateOrInstant.safeParse(bad).success]).toEqual([bad, false]);
});
