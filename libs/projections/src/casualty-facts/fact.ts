import type { IncidentState } from '@vigil/domain';
import { ageInYears, canonical, isRefusal, localDate, parseSeverity, UNKNOWN } from '@vigil/vocabulary';

/** A person hurt in an incident as it is counted: canonical codes, completed years, the local day. */
export interface CasualtyFact {
  readonly casualty: string;
  readonly kind: string;
  readonly day: string;
  readonly community: string;
  readonly role: string;
  readonly vehicle: string | null;
  readonly age: number | null;
  readonly sex: string;
  readonly scale: string | null;
  readonly severity: string;
  readonly death: number | null;
  readonly injury_id: string | null;
}

/** The casualties that an incident stands for. Pure; none of a retracted one. */
export const casualtiesOf = ({ state, report, injuries = [] }: IncidentState, timeZone: string): CasualtyFact[] => {
  if (!report || state === 'retracted') return [];
  const { kind, community, occurredAt, knownAt, casualties = [] } = report;
  const time = occurredAt ?? knownAt;
  const day = time.length === 10 ? time : localDate(time, timeZone);
  return casualties.map((one) => {
    const years = one.age ? ageInYears(one.age) : null;
    const grade = one.severity ? parseSeverity(one.severity) : undefined;
    const graded = grade && !isRefusal(grade) ? grade : undefined;
    return {
      casualty: one.id,
      kind,
      day,
      community,
      role: one.role,
      vehicle: one.vehicle ?? null,
      age: typeof years === 'number' ? years : null,
      sex: canonical('sex', one.sex),
      scale: graded?.scale ?? null,
      severity: graded?.code ?? UNKNOWN,
      death: one.daysToDeath ?? null,
      injury_id: injuries.find(({ casualtyId }) => casualtyId === one.id)?.injuryId ?? null,
    };
  });
};
