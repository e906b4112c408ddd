/**
 * What indicators count. A fact is a relation of the read models whose rows are those known at a position; a definition names
 * one, restricts it by dimensions and by named conditions, and says which of its days puts a row into a period.
 */
import type { Text } from '@vigil/vocabulary';
import type { DimensionName } from '../query/dimensions';

export interface FactSource {
  readonly about: Text;
  /** A FROM item. `:position` stands for the log's position, `:from` and `:to` for the first day and the day after the last of a period. */
  readonly relation: string;
  /** What holds for every row that counts. */
  readonly where: readonly string[];
  /** The read models that it is made of. */
  readonly models: readonly string[];
  /** The column of each dimension that it can be split and restricted by. Age is a number of completed years, null for unknown. */
  readonly columns: Readonly<Partial<Record<DimensionName, string>>>;
  readonly community: string;
  /** Where the injured person lives, when that is known of. */
  readonly residence?: string;
  /** Days on which a row may count; the first is the usual one. None: a stock, counted as it stands at the end of a period. */
  readonly days: Readonly<Record<string, string>>;
  readonly conditions: Readonly<Record<string, { readonly sql: string; readonly about: Text }>>;
  /** Amounts that can be summed instead of rows. */
  readonly amounts: Readonly<Record<string, { readonly sql: string; readonly about: Text }>>;
  /** Times from the row's own day to another, in days: `until` null is an open one. */
  readonly durations: Readonly<Record<string, { readonly from: string; readonly until: string; readonly about: Text }>>;
}

/** What a row that was known at the position says of itself. */
export const KNOWN: readonly string[] = ['known_from <= :position', 'known_to > :position'];

/** Whether a fact's rows carry the positions of their own coming and going. */
export const isVersioned = (name: FactName): boolean => FACTS[name].where.includes(KNOWN[0]!);

const fact = (source: Pick<FactSource, 'about' | 'relation' | 'models' | 'days'> & Partial<FactSource>): FactSource => ({
  where: [],
  columns: {},
  community: 'community',
  conditions: {},
  amounts: {},
  durations: {},
  ...source,
});

const INJURY_COLUMNS = {
  sex: 'sex',
  age: 'age',
  mechanism: 'mechanism',
  intent: 'intent',
  place: 'place',
  activity: 'activity',
  nature: 'nature',
  bodyPart: 'body',
  severity: 'severity',
  disposition: 'disposition',
  residency: 'residency',
  feed: 'feed',
} as const;

/** Fields that a report should hold (NISS report card), each worth one. */
const MANDATORY = ['sex', 'mechanism', 'intent', 'place', 'activity', 'nature', 'disposition'] as const;

/** A register's files as they stood; its own columns besides. */
const files = (register: string, columns: string, more = ''): string => `
  (SELECT f.id, f.community, f.kind, f.state, f.day, ${columns}
   FROM read.case_files f ${more}
   WHERE f.register = '${register}' AND f.known_from <= :position AND f.known_to > :position) AS ${register.replace('-', '_')}`;

const dayIn = (path: string): string => `left(f.body${path}, 10)::date`;

export const FACTS = {
  injury: fact({
    about: {
      zh: '伤害:首诊、未排除、关联报告只计一次',
      en: 'injuries: first visits, not excluded, linked reports of one person counted once',
    },
    relation: 'read.injury_facts',
    where: [...KNOWN, 'counted'],
    models: ['injury-facts'],
    columns: INJURY_COLUMNS,
    residence: 'residence',
    days: { occurred: 'day' },
    conditions: {
      'died-within-30-days': { sql: 'death <= 30', about: { zh: '30 日内死亡', en: 'died within 30 days' } },
      'outcome-known': {
        sql: `(death IS NOT NULL OR disposition NOT IN ('unknown', 'unmapped'))`,
        about: { zh: '转归已知', en: 'the outcome is known' },
      },
    },
    amounts: {
      'years-lost-75': {
        sql: 'CASE WHEN death <= 30 THEN greatest(0, 75 - age) END',
        about: { zh: '75 岁前损失寿命年', en: 'years of life lost before 75' },
      },
    },
  }),
  report: fact({
    about: { zh: '收到的首诊报告,含重复', en: 'reports of first visits as received, duplicates included' },
    relation: 'read.injury_facts',
    where: [...KNOWN, 'eligible'],
    models: ['injury-facts'],
    columns: INJURY_COLUMNS,
    residence: 'residence',
    days: { occurred: 'day' },
    conditions: {
      duplicate: {
        sql: 'NOT counted',
        about: { zh: '与更早的报告为同一人同一次', en: 'the same person and event as an earlier report' },
      },
    },
    amounts: {
      'mandatory-fields': { sql: `${MANDATORY.length}`, about: { zh: '必填项', en: 'mandatory fields' } },
      'mandatory-fields-present': {
        sql: `(${[...MANDATORY.map((column) => `(${column} <> 'unknown')::int`)].join(' + ')})`,
        about: { zh: '已填的必填项', en: 'mandatory fields present' },
      },
    },
  }),
  hazard: fact({
    about: { zh: '隐患(撤销的除外)', en: 'hazards, without those withdrawn' },
    relation: files(
      'hazard',
      `f.kind AS domain, coalesce(f.body->>'level', 'unknown') AS level, f.body->'identification'->>'placeId' AS place_id,
    (f.body->>'deadline')::date AS deadline, (f.body->>'originalDeadline')::date AS original_deadline,
    ${dayIn(`->>'verifiedAt'`)} AS verified, coalesce((f.body->>'reopenings')::int, 0) AS reopenings,
    EXISTS (
      SELECT FROM read.case_files o
      WHERE o.register = 'hazard' AND o.known_from <= :position AND o.known_to > :position AND o.state <> 'withdrawn' AND o.id <> f.id
        AND o.community = f.community AND o.kind = f.kind
        AND o.body->'identification'->>'placeId' = f.body->'identification'->>'placeId'
        AND o.day BETWEEN ${dayIn(`->>'verifiedAt'`)} AND ${dayIn(`->>'verifiedAt'`)} + 90) AS again,
    pl.kind AS place_type`,
      `LEFT JOIN read.case_files pl ON pl.register = 'place' AND pl.id = f.body->'identification'->>'placeId'
       AND pl.known_from <= :position AND pl.known_to > :position`,
    ),
    where: [`state <> 'withdrawn'`],
    models: ['case-files'],
    columns: { domain: 'domain', level: 'level' },
    days: { identified: 'day', due: 'deadline', 'originally-due': 'original_deadline', verified: 'verified' },
    conditions: {
      verified: { sql: `state = 'verified'`, about: { zh: '整改复查通过', en: 'rectified and verified' } },
      'verified-once': {
        sql: `(state = 'verified' OR reopenings > 0)`,
        about: { zh: '曾复查通过', en: 'verified at least once' },
      },
      'on-time': {
        sql: `(state = 'verified' AND verified <= deadline)`,
        about: { zh: '在期限内复查通过', en: 'verified by the deadline' },
      },
      'on-time-originally': {
        sql: `(state = 'verified' AND verified <= original_deadline)`,
        about: { zh: '在原期限内复查通过', en: 'verified by the original deadline' },
      },
      recurred: {
        sql: '(reopenings > 0 OR again)',
        about: {
          zh: '复发:重新打开,或 90 日内同一场所同类隐患再现',
          en: 'back: reopened, or the same place and class within 90 days',
        },
      },
      filed: { sql: `level <> 'unknown'`, about: { zh: '已定级建档', en: 'classified and filed' } },
      'near-school': {
        sql: `(domain = 'school' OR place_type = 'school')`,
        about: { zh: '校园及周边:领域为校园,或场所为学校', en: 'at or near schools: of the school domain, or at a school' },
      },
    },
    durations: {
      'to-verified': {
        from: 'day',
        until: `CASE WHEN state = 'verified' THEN verified END`,
        about: { zh: '自发现至复查通过', en: 'from being found to being verified' },
      },
    },
  }),
  incident: fact({
    about: {
      zh: '事件:事故、火灾、盗窃、纠纷等(撤销的除外)',
      en: 'incidents: crashes, fires, burglaries, disputes …, without those retracted',
    },
    relation: files('incident', `coalesce(f.body->'escalations', '[]') AS escalations`),
    where: [`state <> 'retracted'`],
    models: ['case-files'],
    columns: { incident: 'kind' },
    days: { occurred: 'day' },
    conditions: {
      settled: { sql: `state = 'settled'`, about: { zh: '调解成功', en: 'settled by mediation' } },
      escalated: { sql: `escalations <> '[]'`, about: { zh: '升级移交', en: 'escalated' } },
      'turned-criminal': {
        sql: `escalations @> '[{"nature": "criminal"}]'`,
        about: { zh: '民转刑', en: 'turned into a criminal case' },
      },
    },
  }),
  place: fact({
    about: { zh: '登记的场所(期末仍开放)', en: 'places on the register, open at the end of the period' },
    relation: files(
      'place',
      `(f.body->>'closedOn')::date AS closed,
    EXISTS (
      SELECT FROM read.case_files i
      WHERE i.register = 'inspection' AND i.known_from <= :position AND i.known_to > :position
        AND coalesce(left(i.body->>'lastCarriedOutAt', 10)::date, i.day) >= :from
        AND coalesce(left(i.body->>'lastCarriedOutAt', 10)::date, i.day) < :to AND jsonb_typeof(i.body->'placesCovered') = 'array' AND i.body->'placesCovered' ? f.id) AS inspected`,
    ),
    where: [`(day IS NULL OR day < :to)`, `(state = 'open' OR closed >= :to)`],
    models: ['case-files'],
    columns: { placeType: 'kind' },
    days: {},
    conditions: { inspected: { sql: 'inspected', about: { zh: '期内排查过', en: 'inspected in the period' } } },
  }),
  unit: fact({
    about: { zh: '登记的社区单元', en: 'communities on the register' },
    relation: `
  (SELECT c.code AS id, c.code AS community, c.type, EXISTS (
     SELECT FROM read.case_files i
     WHERE i.register = 'intervention' AND i.known_from <= :position AND i.known_to > :position
       AND (i.body->'starts'->>c.code)::date < :to
       AND (i.body->>'closedOn' IS NULL OR (i.body->>'closedOn')::date >= :from)) AS in_programme
   FROM read.communities c
   WHERE c.known_from <= :position AND c.status <> 'retired'
     AND NOT EXISTS (SELECT FROM read.communities b WHERE b.parent = c.code AND b.known_from <= :position)) AS unit`,
    models: ['communities', 'case-files'],
    days: {},
    conditions: {
      'in-programme': {
        sql: 'in_programme',
        about: { zh: '期内有在实施的安全促进项目', en: 'a project runs there in the period' },
      },
    },
  }),
  'corrective-action': fact({
    about: { zh: '评定中提出的纠正措施', en: 'corrective actions raised in evaluations' },
    relation: `
  (SELECT f.id, coalesce(f.community, f.body->'communities'->>0) AS community, (a->>'deadline')::date AS deadline,
     (a->>'completedOn')::date AS completed, (a->>'verifiedOn')::date AS verified
   FROM read.case_files f CROSS JOIN jsonb_array_elements(coalesce(f.body->'actions', '[]')) AS a
   WHERE f.register = 'evaluation' AND f.known_from <= :position AND f.known_to > :position) AS corrective_action`,
    models: ['case-files'],
    days: { due: 'deadline' },
    conditions: {
      'on-time': { sql: 'completed <= deadline', about: { zh: '按期完成', en: 'completed by the deadline' } },
      verified: { sql: 'verified IS NOT NULL', about: { zh: '已验证', en: 'verified' } },
    },
  }),
  casualty: fact({
    about: { zh: '事件中的人员(警方、消防等所见)', en: 'people in incidents, as police, fire service and others saw them' },
    relation: 'read.casualty_facts',
    where: KNOWN,
    models: ['casualty-facts'],
    columns: { incident: 'kind', role: 'role', sex: 'sex', age: 'age', severity: 'severity' },
    days: { occurred: 'day' },
    conditions: {
      hurt: {
        sql: `(death IS NOT NULL OR severity NOT IN ('kabco-o', 'ga16-none', 'who-none', 'unknown'))`,
        about: { zh: '受伤或死亡', en: 'injured or dead' },
      },
      'died-within-30-days': { sql: 'death <= 30', about: { zh: '30 日内死亡', en: 'died within 30 days' } },
      linked: { sql: 'injury_id IS NOT NULL', about: { zh: '已与伤害记录关联', en: 'linked with an injury record' } },
    },
  }),
  activity: fact({
    about: { zh: '开展的活动', en: 'activities held' },
    relation: `
  (SELECT a.day, coalesce(a.community, i.community) AS community, a.domain, a.kind, a.setting, a.pledged, a.known_from
   FROM read.activity_facts a LEFT JOIN read.case_files i
     ON i.register = 'intervention' AND i.id = a.intervention AND i.known_from <= :position AND i.known_to > :position) AS activity`,
    where: ['known_from <= :position'],
    models: ['activity-facts', 'case-files'],
    columns: { domain: 'domain', activityKind: 'kind', setting: 'setting' },
    days: { held: 'day' },
  }),
  attendance: fact({
    about: { zh: '活动参加者,按人群,人次', en: 'who came to activities, by group; a person who came twice counts twice' },
    relation: `
  (SELECT a.day, coalesce(a.community, i.community) AS community, a.domain, a.kind, a.setting, t."group", t.persons, t.expected, t.known_from
   FROM read.activity_attendance t
   JOIN read.activity_facts a ON a.intervention = t.intervention AND a.revision = t.revision
   LEFT JOIN read.case_files i
     ON i.register = 'intervention' AND i.id = a.intervention AND i.known_from <= :position AND i.known_to > :position) AS attendance`,
    where: ['known_from <= :position'],
    models: ['activity-facts', 'case-files'],
    columns: { domain: 'domain', activityKind: 'kind', setting: 'setting', group: '"group"' },
    days: { held: 'day' },
    conditions: {
      'expected-known': { sql: 'expected IS NOT NULL', about: { zh: '应到人数已知', en: 'it is known how many were expected' } },
    },
    amounts: {
      persons: { sql: 'persons', about: { zh: '参加人次', en: 'persons who came' } },
      expected: { sql: 'expected', about: { zh: '应到人数', en: 'persons expected' } },
    },
  }),
  pledge: fact({
    about: { zh: '期末有效的责任状', en: 'pledges in force at the end of the period' },
    relation: `
  (SELECT coalesce(a.community, i.community) AS community, a.domain, a.setting, (p->>'count')::int AS pledges, (p->>'expiresOn')::date AS expires, a.day
   FROM read.activity_facts a CROSS JOIN jsonb_array_elements(a.pledges) AS p
   LEFT JOIN read.case_files i
     ON i.register = 'intervention' AND i.id = a.intervention AND i.known_from <= :position AND i.known_to > :position
   WHERE a.known_from <= :position) AS pledge`,
    where: ['day < :to', 'expires >= :to'],
    models: ['activity-facts', 'case-files'],
    columns: { domain: 'domain', setting: 'setting' },
    days: {},
    amounts: { pledges: { sql: 'pledges', about: { zh: '责任状份数', en: 'pledges' } } },
  }),
  entry: fact({
    about: {
      zh: '五进:每个社区单元的企业、学校、机关、社区、家庭',
      en: 'the five entries of each community: enterprises, schools, institutions, the community, households',
    },
    relation: `
  (SELECT c.code AS community, s.setting, EXISTS (
     SELECT FROM read.activity_facts a
     WHERE a.kind = 'publicity' AND a.community = c.code AND a.setting = s.setting AND a.day >= :from AND a.day < :to
       AND a.known_from <= :position) AS reached
   FROM read.communities c
   CROSS JOIN unnest(ARRAY['enterprise', 'school', 'institution', 'community', 'household']) AS s(setting)
   WHERE c.known_from <= :position AND c.status <> 'retired'
     AND NOT EXISTS (SELECT FROM read.communities b WHERE b.parent = c.code AND b.known_from <= :position)) AS entry`,
    models: ['communities', 'activity-facts'],
    columns: { setting: 'setting' },
    days: {},
    conditions: { reached: { sql: 'reached', about: { zh: '期内有宣传活动进入', en: 'publicity entered it in the period' } } },
  }),
  organisation: fact({
    about: { zh: '期末参加项目的组织', en: 'organisations taking part at the end of the period' },
    relation: `
  (SELECT f.id, m->>'community' AS community, bool_or(m->>'role' = 'feed') AS shares_data
   FROM read.case_files f CROSS JOIN jsonb_array_elements(coalesce(f.body->'memberships', '[]')) AS m
   WHERE f.register = 'organisation' AND f.known_from <= :position AND f.known_to > :position AND f.state = 'registered'
     AND (m->>'from')::date < :to AND (m->>'until' IS NULL OR (m->>'until')::date >= :to)
   GROUP BY f.id, m->>'community') AS organisation`,
    models: ['case-files'],
    days: {},
    conditions: {
      'shares-data': { sql: 'shares_data', about: { zh: '提供伤害数据', en: 'shares its data with the programme' } },
    },
  }),
} as const satisfies Readonly<Record<string, FactSource>>;

export type FactName = keyof typeof FACTS;
export const FACT_NAMES = Object.keys(FACTS) as FactName[];
export const factSource = (name: FactName): FactSource => FACTS[name];
