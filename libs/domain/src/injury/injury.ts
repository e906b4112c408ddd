import { deterministicId, ok, refuse, type Result } from '@vigil/vocabulary';
import { z } from 'zod';
import type { Decider, DomainEvent } from '../decider';
import { eventType } from '../event-type';
import { plainDate, replaced, say, text } from '../fields';
import { injuryRecord, injuryReplacement, type InjuryRecord } from './record';

const reason = text(500);
const decidedBy = z.enum(['automatic', 'manual']);

const correction = z.strictObject({
  replaces: injuryReplacement.refine(
    (fields) => Object.keys(fields).length > 0,
    say('nothing-to-replace', '没有写明要更正的字段', 'the correction names no field to replace'),
  ),
  reason,
});
const outcome = z.strictObject({
  disposition: injuryRecord.shape.disposition,
  severity: injuryRecord.shape.severity,
  daysToDeath: injuryRecord.shape.daysToDeath,
  /** The day the outcome was established. */
  asOf: plainDate,
});
const retraction = z.strictObject({ reason });
// One spelling: a manual decision about an id in capitals is about the same report.
const other = z.uuid().toLowerCase();
const link = z.strictObject({
  other,
  decidedBy: decidedBy.default('manual'),
  score: z.number().min(0).max(1).optional(),
  reason: reason.optional(),
});
const unlink = z.strictObject({ other, decidedBy: decidedBy.default('manual'), reason });

/** The payload a command carries, by command. */
export const injuryCommands = {
  ReportInjury: injuryRecord,
  CorrectInjury: correction,
  UpdateInjuryOutcome: outcome,
  RetractInjury: retraction,
  LinkInjury: link,
  UnlinkInjury: unlink,
} as const;
export type InjuryCommand = {
  [K in keyof typeof injuryCommands]: { readonly type: K; readonly data: z.infer<(typeof injuryCommands)[K]> };
}[keyof typeof injuryCommands];

export const injuryEvents = {
  InjuryReported: eventType('InjuryReported', 1, injuryRecord),
  InjuryCorrected: eventType('InjuryCorrected', 1, correction),
  InjuryOutcomeUpdated: eventType('InjuryOutcomeUpdated', 1, outcome),
  InjuryRetracted: eventType('InjuryRetracted', 1, retraction),
  InjuryLinked: eventType('InjuryLinked', 1, link),
  InjuryUnlinked: eventType('InjuryUnlinked', 1, unlink),
} as const;
export type InjuryEvent =
  | DomainEvent<'InjuryReported', InjuryRecord>
  | DomainEvent<'InjuryCorrected', z.infer<typeof correction>>
  | DomainEvent<'InjuryOutcomeUpdated', z.infer<typeof outcome>>
  | DomainEvent<'InjuryRetracted', z.infer<typeof retraction>>
  | DomainEvent<'InjuryLinked', z.infer<typeof link>>
  | DomainEvent<'InjuryUnlinked', z.infer<typeof unlink>>;

type Decision = { readonly linked: boolean; readonly by: 'automatic' | 'manual' };

export type InjuryState =
  | { readonly status: 'none' }
  | {
      readonly status: 'reported' | 'retracted';
      readonly record: InjuryRecord;
      /** The last decision about each other report this one was compared with. */
      readonly decisions: ReadonlyMap<string, Decision>;
    };

/** The injury a feed's record stands for: the same feed and record number are the same injury for ever. */
export const injuryId = (feed: string, recordId: string): string => deterministicId('injury', feed, recordId);
export const injuryStream = (id: string): string => `injury-${id}`;

const exists = refuse({
  code: 'injury-exists',
  detail: { zh: '该记录已上报;如需更改请提交更正', en: 'this record was reported before; send a correction to change it' },
});
const missing = refuse({ code: 'injury-not-found', detail: { zh: '没有这条伤害记录', en: 'there is no such injury record' } });
const retracted = refuse({
  code: 'injury-retracted',
  detail: {
    zh: '该记录已撤回,不能再更改;请用新的记录号重新上报',
    en: 'this record was retracted and takes no further change; report it anew under another record number',
  },
});
const manualStands = refuse({
  code: 'manual-decision-stands',
  detail: { zh: '人工判定优先,自动判定不能更改它', en: 'a manual decision stands; an automatic one does not change it' },
  allowed: ['decidedBy: manual'],
});

export const injury: Decider<InjuryCommand, InjuryEvent, InjuryState> = {
  initialState: { status: 'none' },

  decide: (command, state): Result<readonly InjuryEvent[]> => {
    if (command.type === 'ReportInjury') {
      if (state.status === 'none') return ok([{ type: 'InjuryReported', data: command.data }]);
      return state.status === 'retracted' ? retracted : exists; // "send a correction" would lead to a second refusal
    }
    if (state.status === 'none') return missing;
    if (state.status === 'retracted') return retracted;
    switch (command.type) {
      case 'CorrectInjury':
        return ok([{ type: 'InjuryCorrected', data: command.data }]);
      case 'UpdateInjuryOutcome':
        return ok([{ type: 'InjuryOutcomeUpdated', data: command.data }]);
      case 'RetractInjury':
        return ok([{ type: 'InjuryRetracted', data: command.data }]);
      case 'LinkInjury': {
        const { other, decidedBy } = command.data;
        if (injuryStream(other) === injuryStream(injuryId(state.record.feed, state.record.recordId)))
          return refuse({
            code: 'link-to-itself',
            detail: { zh: '不能与自身关联', en: 'an injury is not linked to itself' },
            pointer: '/other',
            value: other,
          });
        const before = state.decisions.get(other);
        if (before?.by === 'manual' && decidedBy === 'automatic') return before.linked ? ok([]) : manualStands;
        if (before?.linked && before.by === decidedBy) return ok([]);
        return ok([{ type: 'InjuryLinked', data: command.data }]);
      }
      case 'UnlinkInjury': {
        const { other, decidedBy } = command.data;
        const before = state.decisions.get(other);
        if (!before?.linked)
          return decidedBy === 'manual' && before?.by !== 'manual'
            ? ok([{ type: 'InjuryUnlinked', data: command.data }]) // "these two are different people" is a decision to keep
            : ok([]);
        if (before.by === 'manual' && decidedBy === 'automatic') return manualStands;
        return ok([{ type: 'InjuryUnlinked', data: command.data }]);
      }
    }
  },

  evolve: (state, event): InjuryState => {
    if (event.type === 'InjuryReported') return { status: 'reported', record: event.data, decisions: new Map() };
    if (state.status === 'none') return state;
    switch (event.type) {
      case 'InjuryCorrected':
        return { ...state, record: replaced(state.record, event.data.replaces) };
      case 'InjuryOutcomeUpdated':
        return { ...state, record: withOutcome(state.record, event.data) };
      case 'InjuryRetracted':
        return { ...state, status: 'retracted' };
      case 'InjuryLinked':
      case 'InjuryUnlinked':
        return {
          ...state,
          decisions: new Map(state.decisions).set(event.data.other, {
            linked: event.type === 'InjuryLinked',
            by: event.data.decidedBy,
          }),
        };
    }
  },
};

/** A record with a later established outcome in place of the reported one. */
export const withOutcome = (
  record: InjuryRecord,
  { disposition, severity, daysToDeath }: z.infer<typeof outcome>,
): InjuryRecord => ({
  ...record,
  ...(disposition !== undefined && { disposition }),
  ...(severity !== undefined && { severity }),
  ...(daysToDeath !== undefined && { daysToDeath }),
});
