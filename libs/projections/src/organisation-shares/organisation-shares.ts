import type { OrganisationState } from '@vigil/domain';
import type { SqlClient } from '@vigil/platform';
import type { Text } from '@vigil/vocabulary';
import { STILL_KNOWN } from '../communities/communities';

export interface ShareQuery {
  /** Days, inclusive. */
  readonly from?: string | undefined;
  readonly to?: string | undefined;
  readonly community?: string | undefined;
  /** What was known at this position; default: now. */
  readonly asOfPosition?: bigint | undefined;
}

const COUNTED = ['injuries', 'incidents', 'hazards', 'inspections', 'activities'] as const;
export type Counted = (typeof COUNTED)[number];
type Counts = Record<Counted, number>;
type Parts = Record<Counted, number | null>;

export interface OrganisationShare {
  /** Null: nobody said whose it is. */
  readonly organisation: string | null;
  /** Whether the register holds it; a feed's code need be no organisation's. */
  readonly registered: boolean;
  readonly name: Text | null;
  readonly kind: string | null;
  readonly department: string | null;
  readonly counts: Counts;
  /** Of all that were counted, 0 to 1; null where there are none. Several may take part in one activity. */
  readonly shares: Parts;
}

export interface Shares {
  /** By code; what nobody owns comes last. */
  readonly data: readonly OrganisationShare[];
  /** By kind of department; null for those not registered, and for what nobody owns. */
  readonly kinds: readonly {
    readonly kind: string | null;
    readonly organisations: number;
    readonly counts: Counts;
    readonly shares: Parts;
  }[];
  readonly totals: {
    /** Members of the programme and others that did something; how many did, and how many shared data. */
    readonly organisations: number;
    readonly participating: number;
    readonly sharing: number;
    readonly counts: Counts;
  };
}

const NONE: Counts = { injuries: 0, incidents: 0, hazards: 0, inspections: 0, activities: 0 };
const plus = (a: Counts, b: Counts): Counts => Object.fromEntries(COUNTED.map((what) => [what, a[what] + b[what]])) as Counts;
const partsOf = (counts: Counts, all: Counts): Parts =>
  Object.fromEntries(COUNTED.map((what) => [what, all[what] === 0 ? null : counts[what] / all[what]])) as Parts;
const shared = ({ activities: _, ...data }: Counts): boolean => Object.values(data).some((n) => n > 0);

/**
 * Who shares data and who takes part (部门参与、数据共享): what each organisation reported, found, inspected and held. An injury counts
 * for the organisation with its feed's code, an incident for who reported it and else for its feed's; a report linked to another
 * one counts for its own sender. Retracted and withdrawn files count for nobody.
 */
export const createShareViews = ({ sql }: { readonly sql: SqlClient }) => ({
  organisationShares: async ({ from, to, community, asOfPosition }: ShareQuery): Promise<Shares> =>
    (await sql.begin('ISOLATION LEVEL REPEATABLE READ READ ONLY', async (tx) => {
      const at = asOfPosition?.toString();
      const known = at === undefined ? tx`known_to = ${STILL_KNOWN}` : tx`known_from <= ${at} AND known_to > ${at}`;
      const days = tx`${from === undefined ? tx`` : tx`AND day >= ${from}`} ${to === undefined ? tx`` : tx`AND day <= ${to}`}`;
      const here = tx`${days} ${community === undefined ? tx`` : tx`AND community = ${community}`}`;
      type Counting = { code: string | null; n: string }[];

      const statements = {
        injuries: tx<Counting>`SELECT feed AS code, count(*) AS n FROM read.injury_facts WHERE ${known} ${here} GROUP BY 1`,
        incidents: tx<Counting>`
          SELECT coalesce(body->'report'->>'reportedBy', body->'report'->>'feed') AS code, count(*) AS n
          FROM read.case_files WHERE register = 'incident' AND state <> 'retracted' AND ${known} ${here} GROUP BY 1`,
        hazards: tx<Counting>`
          SELECT body->'identification'->>'identifiedBy' AS code, count(*) AS n
          FROM read.case_files WHERE register = 'hazard' AND state <> 'withdrawn' AND ${known} ${here} GROUP BY 1`,
        inspections: tx<Counting>`
          SELECT body->'plan'->>'by' AS code, count(*) AS n
          FROM read.case_files WHERE register = 'inspection' AND state IN ('under-way', 'completed') AND ${known} ${here} GROUP BY 1`,
        activities: tx<Counting>`
          SELECT o.code, count(*) AS n FROM read.activity_facts LEFT JOIN LATERAL unnest(organisations) AS o(code) ON true
          WHERE ${at === undefined ? tx`true` : tx`known_from <= ${at}`} ${here} GROUP BY 1`,
      } as const;
      const held = tx<{ n: string }[]>`
        SELECT count(*) AS n FROM read.activity_facts WHERE ${at === undefined ? tx`true` : tx`known_from <= ${at}`} ${here}`;
      const organisations = tx<{ id: string; body: OrganisationState }[]>`
        SELECT id, body FROM read.case_files WHERE register = 'organisation' AND ${known}`;

      const counts = new Map<string | null, Counts>();
      for (const what of COUNTED)
        for (const { code, n } of await statements[what]) counts.set(code, { ...(counts.get(code) ?? NONE), [what]: Number(n) });
      const registered = new Map((await organisations).map(({ id, body }) => [id, body]));
      for (const [id, { memberships = [] }] of registered) {
        const isMember = memberships.some(
          (one) =>
            (community === undefined || one.community === community) &&
            (to === undefined || one.from <= to) &&
            (from === undefined || one.until === undefined || one.until > from),
        );
        if (isMember && !counts.has(id)) counts.set(id, NONE);
      }
      const [{ n: activities }] = (await held) as unknown as [{ n: string }];
      const sum = [...counts.values()].reduce(plus, NONE);
      return sharesOf(counts, registered, { ...sum, activities: Number(activities) });
    })) as Shares,
});
export type ShareViews = ReturnType<typeof createShareViews>;

const sharesOf = (
  counts: ReadonlyMap<string | null, Counts>,
  registered: ReadonlyMap<string, OrganisationState>,
  all: Counts,
): Shares => {
  const codes = [...counts.keys()].sort((a, b) => (a === null ? 1 : b === null ? -1 : a < b ? -1 : 1));
  const data = codes.map((organisation): OrganisationShare => {
    const file = organisation === null ? undefined : registered.get(organisation);
    const name = file?.names?.at(-1);
    const own = counts.get(organisation)!;
    return {
      organisation,
      registered: file !== undefined,
      name: name ? { zh: name.zh, en: name.en } : null,
      kind: file?.registration?.kind ?? null,
      department: file?.registration?.department ?? null,
      counts: own,
      shares: partsOf(own, all),
    };
  });
  const named = data.filter(({ organisation }) => organisation !== null);
  const kinds = [...new Set(data.map(({ kind }) => kind))].sort((a, b) => (a === null ? 1 : b === null ? -1 : a < b ? -1 : 1));
  return {
    data,
    kinds: kinds.map((kind) => {
      const own = data.filter((each) => each.kind === kind);
      const together = own.reduce((total, each) => plus(total, each.counts), NONE);
      return {
        kind,
        organisations: own.filter(({ organisation }) => organisation !== null).length,
        counts: together,
        shares: partsOf(together, all),
      };
    }),
    totals: {
      organisations: named.length,
      participating: named.filter((each) => shared(each.counts) || each.counts.activities > 0).length,
      sharing: named.filter((each) => shared(each.counts)).length,
      counts: all,
    },
  };
};
