import { incident, type IncidentState } from '@vigil/domain';
import type { EventLog, RecordedEvent } from '@vigil/event-log';
import { STILL_KNOWN } from '../communities/communities';
import type { ReadModel } from '../runtime/projector';
import { casualtiesOf, type CasualtyFact } from './fact';

export const CASUALTY_FACTS_MIGRATION = {
  id: 'read/009-casualty-facts',
  sql: `
-- A row per casualty of an incident as it was reported, from the position that made it to the one that replaced it; of a
-- retracted incident none stays open. \`severity\` is a code of its own scale; \`death\`: whole days to death. Incidents are
-- in case_files, those without casualties too.
CREATE TABLE read.casualty_facts (
  incident   text COLLATE "C" NOT NULL,
  casualty   text COLLATE "C" NOT NULL,
  known_from bigint NOT NULL,
  known_to   bigint NOT NULL DEFAULT ${STILL_KNOWN},
  kind       text COLLATE "C" NOT NULL,
  day        date NOT NULL,
  community  text COLLATE "C" NOT NULL,
  role       text COLLATE "C" NOT NULL,
  vehicle    text COLLATE "C",
  age        smallint,
  sex        text COLLATE "C" NOT NULL,
  scale      text COLLATE "C",
  severity   text COLLATE "C" NOT NULL,
  death      int,
  injury_id  uuid
);
CREATE UNIQUE INDEX casualty_facts_key ON read.casualty_facts (incident, casualty, known_from);
CREATE INDEX casualty_facts_by_community ON read.casualty_facts (community, day);
CREATE INDEX casualty_facts_by_injury ON read.casualty_facts (injury_id) WHERE injury_id IS NOT NULL;
`,
} as const;

/** Those that say something of casualties; mediation and escalation don't. */
const EVENTS = [
  'IncidentReported',
  'IncidentCorrected',
  'InjuryAttachedToIncident',
  'InjuryDetachedFromIncident',
  'IncidentRetracted',
] as const;
const PREFIX = incident.streamOf('').length;

interface Row extends CasualtyFact {
  readonly incident: string;
  readonly known_from: string;
  known_to: string;
}

/** The casualties of incidents, each version with the positions between which it was known. */
export const casualtyFactsProjector = ({ log, timeZone }: { readonly log: EventLog; readonly timeZone: string }): ReadModel => {
  /** The incident before an event, folded from its stream: a correction needs no copy of the report here. */
  const before = async ({ stream, revision }: RecordedEvent): Promise<IncidentState> => {
    const history = revision === 0 ? [] : await log.readStream(stream, { limit: revision });
    return history.reduce((state, each) => incident.decider.evolve(state, incident.read(each)), incident.initialState);
  };
  return {
    name: 'casualty-facts',
    kind: 'model',
    tables: ['casualty_facts'],
    keys: ['casualty_facts_key'],
    handles: new Set(EVENTS),
    lanes: () => (event) => event.stream,
    apply: async (tx, events) => {
      const states = new Map<string, IncidentState>();
      const open = new Map<string, Row>();
      const rows: Row[] = [];
      const closed: { incident: string; casualty: string; at: string }[] = [];
      for (const event of events) {
        const was = states.get(event.stream) ?? (await before(event));
        const is = incident.decider.evolve(was, incident.read(event));
        states.set(event.stream, is);
        const id = event.stream.slice(PREFIX);
        const at = event.position.toString();
        const old = new Map(casualtiesOf(was, timeZone).map((fact) => [fact.casualty, JSON.stringify(fact)]));
        const fresh: CasualtyFact[] = [];
        for (const fact of casualtiesOf(is, timeZone))
          if (old.get(fact.casualty) === JSON.stringify(fact)) old.delete(fact.casualty);
          else fresh.push(fact);
        for (const casualty of old.keys()) {
          // It ends here: in this page if it began there, else in the table.
          const earlier = open.get(`${id} ${casualty}`);
          if (earlier) earlier.known_to = at;
          else closed.push({ incident: id, casualty, at });
        }
        for (const fact of fresh) {
          const row: Row = { ...fact, incident: id, known_from: at, known_to: STILL_KNOWN };
          open.set(`${id} ${fact.casualty}`, row);
          rows.push(row);
        }
      }
      if (closed.length > 0)
        await tx`
          UPDATE casualty_facts f SET known_to = c.at
          FROM json_to_recordset(${JSON.stringify(closed)}::text::json) AS c(incident text, casualty text, at bigint)
          WHERE f.incident = c.incident AND f.casualty = c.casualty AND f.known_to = ${STILL_KNOWN}`;
      if (rows.length > 0)
        await tx`
          INSERT INTO casualty_facts (incident, casualty, known_from, known_to, kind, day, community, role, vehicle, age, sex, scale,
            severity, death, injury_id)
          SELECT incident, casualty, known_from, known_to, kind, day, community, role, vehicle, age, sex, scale, severity, death, injury_id
          FROM json_to_recordset(${JSON.stringify(rows)}::text::json) AS r(incident text, casualty text, known_from bigint, known_to bigint,
            kind text, day date, community text, role text, vehicle text, age smallint, sex text, scale text, severity text, death int,
            injury_id uuid)`;
    },
  };
};
