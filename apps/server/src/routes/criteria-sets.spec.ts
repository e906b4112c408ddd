import { caseFiles } from '@vigil/domain';
import { criteriaSets, type Criterion } from '@vigil/vocabulary';
import { NOT_BUILT, routes } from './index';

const queries = [
  ...new Set(
    criteriaSets()
      .flatMap(({ criteria }) => criteria.flatMap((each): Criterion[] => [each, ...(each.criteria ?? [])]))
      .flatMap(({ evidence }) => evidence.map(({ query }) => query)),
  ),
];
const values: Record<string, string> = { community: 'S-01', period: '2026', from: '2026-01-01', to: '2026-12-31' };

it.each(queries)('evidence is found at %s', (query) => {
  const url = new URL(`http://localhost${query.replace(/\{(\w+)\}/g, (_, name: string) => values[name]!)}`);
  const path = url.pathname;
  const first = path.split('/')[1]!;
  if (NOT_BUILT.has(first)) return;
  const route = routes.find(
    (each) => each.method === 'GET' && !each.bare && new RegExp(`^${each.path.replace(/\{\w+\}/g, '[^/]+')}$`).test(path),
  );
  expect({ path, found: route !== undefined }).toEqual({ path, found: true });
  if (!route!.freeQuery) {
    const asked = (route!.query?.strict() ?? undefined)?.safeParse(Object.fromEntries(url.searchParams));
    expect(asked?.success ?? url.search === '').toBe(true);
  }
  const state = url.searchParams.get('state');
  const file = caseFiles.find(({ plural }) => plural === first);
  if (state !== null && state !== 'overdue')
    expect(Object.values(file!.steps).flatMap(({ leads }) => Object.values(leads).flat())).toContain(state);
});

it('there are queries', () => expect(queries.length).toBeGreaterThan(20));
