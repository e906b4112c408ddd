import type { Dimension } from './dimensions';
import type { ObservationQuery, OuItem } from './query';

const ouItem = (item: OuItem): string => {
  switch (item.kind) {
    case 'code':
      return item.code;
    case 'level':
      return `LEVEL-${item.level}`;
    case 'group':
      return `GROUP-${item.group}`;
    case 'children':
      return `${item.code}_CHILDREN`;
  }
};

const dimension = (name: string, items: readonly string[] | 'all') => (items === 'all' ? name : `${name}:${items.join(';')}`);
const role = (isDimension: boolean) => (isDimension ? 'dimension' : 'filter');

// RFC 3986 allows these in a query, and a person reads them better bare. `+` stays escaped: it would be read as a space.
const encode = (text: string) => encodeURIComponent(text).replace(/%(3A|3B|2F)/g, (found) => decodeURIComponent(found));

/**
 * The query string that reads back as this very query. Basis, standard, level and today are written even where they are the
 * defaults, and periods in full, so that it asks the same next year.
 */
export const formatObservationQuery = (query: ObservationQuery): string => {
  const { asOf, ou } = query;
  const named = (kind: 'dimension' | 'filter', all: readonly Dimension[]) =>
    all.map(({ name, items }) => [kind, dimension(name, items)]);
  const parameters = [
    ['dimension', dimension('dx', query.dx)],
    [role(query.peIsDimension), dimension('pe', query.pe.map(({ id }) => id))], // prettier-ignore
    ...(ou === 'all' && !query.ouIsDimension
      ? []
      : [[role(query.ouIsDimension), dimension('ou', ou === 'all' ? ou : ou.map(ouItem))]]),
    ...named('dimension', query.dimensions),
    ...named('filter', query.filters),
    ...(asOf ? ['instant' in asOf ? ['asOf', asOf.instant] : ['asOfPosition', String(asOf.position)]] : []),
    ['basis', query.basis],
    ['standard', query.standard],
    ['ci', String(Number((query.level * 100).toFixed(2)))],
    ['today', query.today],
    ...(query.weighted ? [['weighted', 'true']] : []),
    ...(query.rolling ? [['rolling', `P${query.rolling.years}Y`]] : []),
    ...(query.compare ? [['compare', 'ou' in query.compare ? query.compare.ou : query.compare.pe]] : []),
    ...(query.updatedAfter === undefined ? [] : [['updatedAfter', query.updatedAfter]]),
    ...(query.includeHistory ? [['includeHistory', 'true']] : []),
    ...(query.release ? [['release', query.release]] : []),
    ...(query.explain ? [['explain', 'true']] : []),
    ...(query.bom ? [] : [['bom', 'false']]),
    ...(query.minPosition === undefined ? [] : [['minPosition', String(query.minPosition)]]),
  ];
  return parameters.map(([name, value]) => `${name}=${encode(value!)}`).join('&');
};
