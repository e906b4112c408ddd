import { intervention, type InterventionState } from '@vigil/domain';
import type { EventLog, RecordedEvent } from '@vigil/event-log';
import type { ReadModel } from '../runtime/projector';

export const ACTIVITY_FACTS_MIGRATION = {
  id: 'read/008-activity-facts',
  sql: `
-- A row per activity held: the n-th event of its intervention. Nothing corrects one: the log as of N is known_from <= N.
-- \`pledges\`: [{count, expiresOn, signedBy?}], \`pledged\` their number and \`pledges_expire\` the first day that one runs out.
CREATE TABLE read.activity_facts (
  intervention   text COLLATE "C" NOT NULL,
  revision       bigint NOT NULL,
  known_from     bigint NOT NULL,
  day            date NOT NULL,
  community      text COLLATE "C",
  domain         text COLLATE "C" NOT NULL,
  kind           text COLLATE "C" NOT NULL,
  setting        text COLLATE "C",
  organisations  text[] NOT NULL,
  pledges        jsonb NOT NULL,
  pledged        bigint NOT NULL,
  pledges_expire date
);
CREATE UNIQUE INDEX activity_facts_key ON read.activity_facts (intervention, revision);
CREATE INDEX activity_facts_by_community ON read.activity_facts (community, day);

-- Who came, by group (人次), and how many were expected where that was known.
CREATE TABLE read.activity_attendance (
  intervention text COLLATE "C" NOT NULL,
  revision     bigint NOT NULL,
  known_from   bigint NOT NULL,
  "group"      text COLLATE "C" NOT NULL,
  persons      int NOT NULL,
  expected     int
);
CREATE UNIQUE INDEX activity_attendance_key ON read.activity_attendance (intervention, revision, "group");
`,
} as const;

const EVENT = 'ActivityHeld';
const PREFIX = intervention.streamOf('').length;

/** An activity as its event holds it. */
export interface HeldActivity {
  readonly kind: string;
  readonly setting?: string;
  readonly heldOn: string;
  readonly unit?: string;
  readonly attendance?: readonly { readonly group: string; readonly persons: number; readonly expected?: number }[];
  readonly organisations?: readonly string[];
  readonly pledges?: readonly { readonly count: number; readonly expiresOn: string; readonly signedBy?: string }[];
}

const factOf = (event: RecordedEvent, domain: string) => {
  const { kind, setting, heldOn, unit, organisations = [], pledges = [] } = intervention.read(event).data as HeldActivity;
  return {
    intervention: event.stream.slice(PREFIX),
    revision: event.revision,
    known_from: event.position.toString(),
    day: heldOn,
    community: unit ?? null,
    domain,
    kind,
    setting: setting ?? null,
    organisations: [...new Set(organisations)],
    pledges,
    pledged: pledges.reduce((sum, { count }) => sum + count, 0),
    pledges_expire: pledges.map(({ expiresOn }) => expiresOn).sort()[0] ?? null,
  };
};

/** What was done, where, in which setting, with whom: the activities of interventions, and who came. */
export const activityFactsProjector = ({ log }: { readonly log: EventLog }): ReadModel => {
  /** Of the design, which no later event changes: a stream's first event says it. */
  const domainOf = async (stream: string): Promise<string> => {
    const [first] = await log.readStream(stream, { limit: 1 });
    const { design } = intervention.decider.evolve(intervention.initialState, intervention.read(first!)) as InterventionState;
    return design!.domain;
  };
  return {
    name: 'activity-facts',
    kind: 'model',
    tables: ['activity_facts', 'activity_attendance'],
    keys: ['activity_facts_key', 'activity_attendance_key'],
    handles: new Set([EVENT]),
    lanes: () => (event) => event.stream,
    apply: async (tx, events) => {
      const domains = new Map<string, string>();
      for (const { stream } of events) if (!domains.has(stream)) domains.set(stream, await domainOf(stream));
      const facts = events.map((event) => factOf(event, domains.get(event.stream)!));
      const attendance = events.flatMap((event) =>
        ((intervention.read(event).data as HeldActivity).attendance ?? []).map((group) => ({
          ...group,
          intervention: event.stream.slice(PREFIX),
          revision: event.revision,
          known_from: event.position.toString(),
        })),
      );
      await tx`
        INSERT INTO activity_facts (intervention, revision, known_from, day, community, domain, kind, setting, organisations, pledges,
          pledged, pledges_expire)
        SELECT intervention, revision, known_from, day, community, domain, kind, setting, organisations, pledges, pledged, pledges_expire
        FROM json_to_recordset(${JSON.stringify(facts)}::text::json) AS f(intervention text, revision bigint, known_from bigint, day date,
          community text, domain text, kind text, setting text, organisations text[], pledges jsonb, pledged bigint, pledges_expire date)
        ON CONFLICT (intervention, revision) DO NOTHING`;
      if (attendance.length > 0)
        await tx`
          INSERT INTO activity_attendance (intervention, revision, known_from, "group", persons, expected)
          SELECT intervention, revision, known_from, "group", persons, expected
          FROM json_to_recordset(${JSON.stringify(attendance)}::text::json) AS a(intervention text, revision bigint, known_from bigint,
            "group" text, persons int, expected int)
          ON CONFLICT (intervention, revision, "group") DO NOTHING`;
    },
  };
};
