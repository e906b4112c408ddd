import type { InjuryRecord } from '@vigil/domain';
import { ageInYears, canonical, excludedFromIncidence, isRefusal, localDate, parseSeverity, UNKNOWN } from '@vigil/vocabulary';

/** An injury as it is counted: canonical codes, completed years, the local day. Short names: hundreds of thousands of rows travel as JSON. */
export interface Fact {
  /** Local day on which it counts: of occurrence, or of becoming known where that is unknown. */
  readonly day: string;
  readonly community: string;
  readonly residence: string | null;
  readonly residency: string;
  readonly age: number | null;
  readonly sex: string;
  readonly mechanism: string;
  readonly intent: string;
  readonly place: string;
  readonly activity: string;
  readonly nature: string;
  readonly body: string;
  readonly disposition: string;
  readonly severity: string;
  readonly feed: string;
  readonly death: number | null;
  readonly frame: string | null;
  readonly weight: number | null;
  readonly stratum: string | null;
  readonly unit: string | null;
  /** A first visit for a new injury; whether it is counted also depends on its links. */
  readonly eligible: boolean;
}

const dayOf = (time: string, timeZone: string): string => (time.length === 10 ? time : localDate(time, timeZone));

/** The fact a record stands for. Pure: the same record gives the same fact for ever. */
export const factOf = (record: InjuryRecord, timeZone: string): Fact => {
  const years = record.age ? ageInYears(record.age) : null;
  const severity = record.severity ? parseSeverity(record.severity) : undefined;
  const { sampling } = record;
  return {
    day: dayOf(record.occurredAt ?? record.knownAt, timeZone),
    community: record.community,
    residence: record.residence ?? null,
    residency: canonical('residency', record.residency),
    age: typeof years === 'number' ? years : null,
    sex: canonical('sex', record.sex),
    mechanism: canonical('mechanism', record.mechanism ?? record.externalCause),
    intent: canonical('intent', record.intent ?? record.externalCause),
    place: canonical('place', record.place),
    activity: canonical('activity', record.activity),
    nature: canonical('nature', record.nature),
    body: canonical('bodyPart', record.bodyPart),
    disposition: canonical('disposition', record.disposition),
    severity: severity && !isRefusal(severity) ? severity.code : UNKNOWN,
    feed: record.feed,
    death: record.daysToDeath ?? null,
    frame: sampling?.frame ?? null,
    weight: sampling?.weight ?? null,
    stratum: sampling?.stratum ?? null,
    unit: sampling?.unit ?? null,
    eligible: (record.visit ?? 'first') === 'first' && !excludedFromIncidence(record.externalCause),
  };
};
