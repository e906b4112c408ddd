/** The kinds of record that feeds push: where one stands in the log, how it is decided, and which events there are of it. */
import {
  aggregates,
  hazard,
  incident,
  injuryCommands,
  injuryId,
  injuryRecord,
  pushedIncident,
  type CaseFile,
  type DomainEvent,
} from '@vigil/domain';
import type { AggregateType } from '@vigil/event-log';
import { deterministicId } from '@vigil/vocabulary';
import type { z } from 'zod';

export interface RecordKind {
  readonly aggregate: AggregateType<DomainEvent, DomainEvent, unknown>;
  /** The same feed and number are the same record for ever. */
  readonly idOf: (feed: string, recordId: string) => string;
  /** Whether a report's payload holds its feed and number; else they stand beside it. */
  readonly keepsNumber: boolean;
}

export interface PushedType {
  readonly kind: RecordKind;
  readonly command: string;
  /** Of `data`, its `recordId` among the fields. Payloads name no feed: the address it was sent to does. */
  readonly schema: z.ZodType;
  /** It begins a record. */
  readonly first: boolean;
}

const recordId = injuryRecord.shape.recordId;
const kindOf = (aggregate: unknown, idOf: RecordKind['idOf'], keepsNumber: boolean): RecordKind => ({
  aggregate: aggregate as RecordKind['aggregate'],
  idOf,
  keepsNumber,
});

const injuries = kindOf(aggregates.injury, injuryId, true);
const incidents = kindOf(incident, (feed, number) => incident.idOf!({ feed, recordId: number } as never)!, true);
const hazards = kindOf(hazard, (feed, number) => deterministicId('hazard', feed, number), false);

/** What begins a record, and what changes one: its command's data and the number of the record. */
const first = (kind: RecordKind, command: string, schema: z.ZodType): PushedType => ({ kind, command, schema, first: true });
const change = (kind: RecordKind, command: string, schema: z.ZodType): PushedType => ({
  kind,
  command,
  schema: (schema as z.ZodObject).extend({ recordId }),
  first: false,
});
const ofFile = (file: unknown, command: string): z.ZodType => (file as CaseFile).steps[command]!.schema;

/** By CloudEvents type. */
export const PUSHED: Readonly<Record<string, PushedType>> = {
  'org.vigil.injury.reported.v1': first(injuries, 'ReportInjury', injuryRecord.omit({ feed: true })),
  'org.vigil.injury.corrected.v1': change(injuries, 'CorrectInjury', injuryCommands.CorrectInjury),
  'org.vigil.injury.outcome-updated.v1': change(injuries, 'UpdateInjuryOutcome', injuryCommands.UpdateInjuryOutcome),
  'org.vigil.injury.retracted.v1': change(injuries, 'RetractInjury', injuryCommands.RetractInjury),
  'org.vigil.incident.reported.v1': first(incidents, 'ReportIncident', pushedIncident),
  'org.vigil.incident.corrected.v1': change(incidents, 'CorrectIncident', ofFile(incident, 'CorrectIncident')),
  'org.vigil.incident.retracted.v1': change(incidents, 'RetractIncident', ofFile(incident, 'RetractIncident')),
  'org.vigil.hazard.identified.v1': first(
    hazards,
    'IdentifyHazard',
    (ofFile(hazard, 'IdentifyHazard') as z.ZodObject).extend({ recordId }),
  ),
};
