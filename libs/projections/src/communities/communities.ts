import { communityEvents, readCommunityEvent } from '@vigil/domain';
import type { RecordedEvent } from '@vigil/event-log';
import type { SqlClient } from '@vigil/platform';
import type { Text } from '@vigil/vocabulary';
import type { ReadModel, Transaction } from '../runtime/projector';

/** A known_to that hasn't come yet. */
export const STILL_KNOWN = '9223372036854775807';

export const COMMUNITIES_MIGRATION = {
  id: 'read/002-communities-and-population',
  sql: `
CREATE TABLE read.communities (
  code       text COLLATE "C" PRIMARY KEY,
  name_zh    text NOT NULL,
  name_en    text NOT NULL,
  type       text NOT NULL,
  parent     text COLLATE "C",
  groups     text[] NOT NULL,
  status     text NOT NULL,
  revision   bigint NOT NULL,
  known_from bigint NOT NULL
);

-- Cells are never edited: a later statement about some of the same people closes the earlier one.
CREATE TABLE read.population (
  community  text COLLATE "C" NOT NULL,
  year       smallint NOT NULL,
  sex        text NOT NULL,
  age_from   smallint NOT NULL,
  age_to     smallint,
  residency  text,
  persons    double precision NOT NULL,
  known_from bigint NOT NULL,
  known_to   bigint NOT NULL DEFAULT ${STILL_KNOWN}
);
CREATE INDEX population_by_community_year ON read.population (community, year);

CREATE TABLE read.exposures (
  community  text COLLATE "C" NOT NULL,
  year       smallint NOT NULL,
  kind       text NOT NULL,
  amount     double precision NOT NULL,
  known_from bigint NOT NULL,
  known_to   bigint NOT NULL DEFAULT ${STILL_KNOWN}
);
CREATE INDEX exposures_by_community_year ON read.exposures (community, year, kind);
`,
} as const;

const CATEGORY = 'community-';

const applyOne = async (tx: Transaction, event: RecordedEvent): Promise<void> => {
  const code = event.stream.slice(CATEGORY.length);
  const at = event.position.toString();
  const { type, data } = readCommunityEvent(event);
  switch (type) {
    case 'CommunityRegistered':
      await tx`
        INSERT INTO communities (code, name_zh, name_en, type, parent, groups, status, revision, known_from)
        VALUES (${code}, ${data.name.zh}, ${data.name.en}, ${data.type}, ${data.parent ?? null}, ${data.groups ?? []}, 'registered', ${event.revision}, ${at})`;
      return;
    case 'PopulationRecorded': {
      const cells = JSON.stringify(data.cells);
      await tx`
        UPDATE population p SET known_to = ${at}
        FROM json_to_recordset(${cells}::text::json) AS c(sex text, "ageFrom" int, "ageTo" int, residency text)
        WHERE p.community = ${code} AND p.year = ${data.year} AND p.known_to = ${STILL_KNOWN}
          AND p.sex = c.sex AND p.residency IS NOT DISTINCT FROM c.residency
          AND p.age_from <= coalesce(c."ageTo", 999) AND c."ageFrom" <= coalesce(p.age_to, 999)`;
      await tx`
        INSERT INTO population (community, year, sex, age_from, age_to, residency, persons, known_from)
        SELECT ${code}, ${data.year}, c.sex, c."ageFrom", c."ageTo", c.residency, c.persons, ${at}
        FROM json_to_recordset(${cells}::text::json) AS c(sex text, "ageFrom" int, "ageTo" int, residency text, persons double precision)`;
      break;
    }
    case 'ExposureRecorded':
      await tx`UPDATE exposures SET known_to = ${at} WHERE community = ${code} AND year = ${data.year} AND kind = ${data.kind} AND known_to = ${STILL_KNOWN}`;
      await tx`INSERT INTO exposures (community, year, kind, amount, known_from) VALUES (${code}, ${data.year}, ${data.kind}, ${data.amount}, ${at})`;
      break;
    case 'CommunityRetired':
      await tx`UPDATE communities SET status = 'retired' WHERE code = ${code}`;
      break;
    case 'CommunityBoundaryDrawn':
      break;
  }
  await tx`UPDATE communities SET revision = ${event.revision} WHERE code = ${code}`;
};

/** Registered communities, their population cells and other exposures, each with the positions between which it was known. */
export const communitiesProjector: ReadModel = {
  name: 'communities',
  kind: 'model',
  tables: ['communities', 'population', 'exposures'],
  keys: ['population_by_community_year', 'exposures_by_community_year'],
  handles: new Set(Object.keys(communityEvents)),
  apply: async (tx, events) => {
    for (const event of events) await applyOne(tx, event);
  },
};

export interface CommunityRow {
  readonly code: string;
  readonly name: Text;
  readonly type: string;
  readonly parent: string | null;
  readonly groups: readonly string[];
  readonly status: 'registered' | 'retired';
  readonly revision: number;
}

export interface ReadModels {
  communities(): Promise<CommunityRow[]>;
  community(code: string): Promise<(CommunityRow & { readonly populationYears: readonly number[] }) | undefined>;
}

interface StoredCommunity {
  code: string;
  name_zh: string;
  name_en: string;
  type: string;
  parent: string | null;
  groups: string[];
  status: 'registered' | 'retired';
  revision: string;
}

const fromRow = (row: StoredCommunity): CommunityRow => ({
  code: row.code,
  name: { zh: row.name_zh, en: row.name_en },
  type: row.type,
  parent: row.parent,
  groups: row.groups,
  status: row.status,
  revision: Number(row.revision),
});

/** Looks into the read models that aren't indicators. */
export const createReadModels = ({ sql }: { readonly sql: SqlClient }): ReadModels => ({
  communities: async () =>
    (
      await sql<
        StoredCommunity[]
      >`SELECT code, name_zh, name_en, type, parent, groups, status, revision FROM read.communities ORDER BY code`
    ).map(fromRow),
  community: async (code) => {
    const [row] = await sql<
      StoredCommunity[]
    >`SELECT code, name_zh, name_en, type, parent, groups, status, revision FROM read.communities WHERE code = ${code}`;
    if (!row) return undefined;
    const years = await sql<
      { year: number }[]
    >`SELECT DISTINCT year FROM read.population WHERE community = ${code} AND known_to = ${STILL_KNOWN} ORDER BY year`;
    return { ...fromRow(row), populationYears: years.map(({ year }) => year) };
  },
});
