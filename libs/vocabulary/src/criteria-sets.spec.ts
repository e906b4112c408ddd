import {
  criteriaSet,
  criteriaSets,
  GRADES,
  judgedCriteria,
  mostPoints,
  PARTS,
  pointsOf,
  scoreOf,
  type CriteriaSet,
  type Criterion,
} from './criteria-sets';
import evidence = require('./criteria-sets/evidence.json');

const all = (set: CriteriaSet): Criterion[] => set.criteria.flatMap((each) => [each, ...(each.criteria ?? [])]);
const site = criteriaSet('CN-SITE-TRIAL') as CriteriaSet;

describe('shipped criteria sets', () => {
  it.each([
    ['AQT-9001-2006', 12, 12],
    ['CN-SITE-TRIAL', 12, 50],
    ['ISCCC-6', 6, 6],
    ['ISCCC-7', 7, 7],
    ['WHO-6', 6, 6],
  ])('%s has %d criteria of the first level, and %d are judged', (code, first, judged) => {
    const set = criteriaSet(code) as CriteriaSet;
    expect([set.criteria.length, judgedCriteria(set).length]).toEqual([first, judged]);
  });

  it('are the ones above', () => expect(criteriaSets()).toHaveLength(5));

  it.each(criteriaSets().map((set) => [set.code, set] as const))('%s is whole', (_, set) => {
    const codes = all(set).map(({ code }) => code);
    expect(new Set(codes).size).toBe(codes.length);
    for (const text of [set.title, set.source, set.wording, ...all(set), ...set.parts])
      expect([text.zh.length > 0, text.en.length > 0]).toEqual([true, true]);
    expect(set.parts.map(({ code }) => code)).toEqual(PARTS);
    for (const { code, indicators, evidence, criteria = [] } of all(set)) {
      expect([code, indicators.length > 0, evidence.length > 0]).toEqual([code, true, true]);
      for (const dx of indicators) expect(dx).toMatch(/^[A-Z][A-Z0-9]{1,7}-\d{2,3}$/);
      expect(new Set(indicators).size).toBe(indicators.length);
      for (const { query } of evidence) {
        expect(query).toMatch(/^\/[a-z]/);
        for (const [, name] of query.matchAll(/\{(\w+)\}/g)) expect(['community', 'period', 'from', 'to']).toContain(name);
      }
      for (const each of criteria) expect(each.code.startsWith(`${code}.`)).toBe(true);
    }
  });

  it('use every evidence query, and only those there are', () => {
    const used = new Set(criteriaSets().flatMap((set) => all(set).flatMap((each) => each.evidence.map(({ code }) => code))));
    expect([...used].sort()).toEqual(Object.keys(evidence).sort());
  });

  it('the twelve elements are those of the site table, in their order', () =>
    expect(site.criteria.map(({ zh }) => zh)).toEqual(
      (criteriaSet('AQT-9001-2006') as CriteriaSet).criteria.map(({ zh }) => zh),
    ));

  it('says in both languages what is to be confirmed', () => {
    expect(site.toBeConfirmed!.zh).toContain('请对照现行文本确认');
    expect(site.toBeConfirmed!.en).toContain('to be confirmed against the current text');
  });

  it('names the nearest of an unknown one', () =>
    expect(criteriaSet('AQT-9001-2016')).toMatchObject({ code: 'unknown-criteria-set', suggestion: 'AQT-9001-2006' }));
});

describe('the points of the site table', () => {
  const points = (grade: (typeof GRADES)[number]) => pointsOf(site, { exists: grade, traced: grade, effective: grade })!;
  const everywhere = (each: number, except: Record<string, number> = {}) =>
    scoreOf(site, new Map(judgedCriteria(site).map(({ code }) => [code, except[code] ?? each])));

  it('are 3 a criterion and 150 in all', () => {
    expect(mostPoints(site)).toBe(3);
    expect(judgedCriteria(site).length * mostPoints(site)!).toBe(site.points);
    expect(site.grades!.map(({ code }) => code)).toEqual(GRADES);
    expect(GRADES.map(points)).toEqual([3, 2.1, 0.9, 0]);
    expect(pointsOf(site, { exists: 'yes', traced: 'mostly', effective: 'partly' })).toBe(1.86);
  });

  it('pass from 100 and only if no criterion has none, may be rectified from 75', () => {
    expect(everywhere(2)).toEqual({ points: 100, of: 150, outcome: 'passed' });
    expect(everywhere(3, { '7.2': 0 })).toEqual({ points: 147, of: 150, outcome: 'failed' });
    expect(everywhere(2, { '7.2': 1.99 })).toMatchObject({ points: 99.99, outcome: 'to-be-rectified' });
    expect(everywhere(1.5)).toMatchObject({ points: 75, outcome: 'to-be-rectified' });
    expect(everywhere(1.5, { '7.2': 1.4 })).toMatchObject({ outcome: 'failed' });
  });

  it('tell no outcome before every criterion is judged, and a set without points tells none at all', () => {
    expect(scoreOf(site, new Map([['1.1', 3]]))).toEqual({ points: 3, of: 150 });
    const twelve = criteriaSet('AQT-9001-2006') as CriteriaSet;
    expect(scoreOf(twelve, new Map())).toBeUndefined();
    expect(pointsOf(twelve, { exists: 'yes', traced: 'yes', effective: 'no' })).toBeUndefined();
    expect(mostPoints(twelve)).toBeUndefined();
  });
});
