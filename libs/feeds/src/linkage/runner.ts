/** Runs of linkage over what the read models hold, and what a person decides about the pairs that a run was unsure of. */
import { aggregates, incident, type FileCommand, type InjuryCommand } from '@vigil/domain';
import { handleCommand, type AggregateType, type CommandDone, type EventLog } from '@vigil/event-log';
import { addDays, deterministicId, ok, refuse, type Result } from '@vigil/vocabulary';
import { explain, linkPairs, weigh, type LinkedPair, type Linkage as Linked } from './link';
import { DEFAULT_LINKAGE, type LinkageModel, type LinkField } from './model';
import { CASUALTIES, type Candidate, type CasualtyRef, type Compared, type KeptCandidate, type LinkageStore } from './store';

type Pair = readonly [string, string];

export interface LinkageRun {
  readonly id: string;
  /** Reports that changed after `after`, as known at `position`, were compared. */
  readonly after: string;
  readonly position: string;
  readonly records: number;
  readonly fresh: number;
  readonly compared: number;
  /** Events written. */
  readonly linked: number;
  readonly unlinked: number;
  readonly attached: number;
  /** Questions new in the queue, and those that fell away. */
  readonly proposed: number;
  readonly withdrawn: number;
  readonly outdone: number;
  readonly refused: Readonly<Record<string, number>>;
  readonly skipped: Linked['skipped'];
  /** Fields that no report has here. */
  readonly without: readonly string[];
}

export interface RunOptions {
  readonly id: string;
  /** m and the overlap from the data. */
  readonly estimate?: boolean;
  /** All reports anew, not only those changed since the last run. */
  readonly everything?: boolean;
  readonly signal?: AbortSignal;
  readonly onProgress?: (at: { readonly done: number; readonly total: number }) => void;
}

export interface LinkageOptions {
  readonly log: EventLog;
  readonly store: LinkageStore;
  /** What the read models of injuries and casualties hold. */
  readonly position: () => Promise<bigint>;
  readonly communities: () => Promise<readonly { readonly code: string; readonly parent?: string | null | undefined }[]>;
  readonly model?: LinkageModel;
  /** Records compared at once. */
  readonly mostRecords?: number;
}

export interface Decided {
  readonly status: 'linked' | 'rejected';
  /** Of the stream that the decision stands in; absent where it is remembered in the queue alone. */
  readonly done?: CommandDone & { readonly stream: string };
}

export interface LinkageService {
  run(options: RunOptions): Promise<LinkageRun>;
  /** Undefined: no such pair in the queue. */
  decide(id: string, decision: 'link' | 'reject', reason: string | undefined): Promise<Result<Decided> | undefined>;
  readonly list: LinkageStore['list'];
}

const MOST_RECORDS = 100_000;
const IN_FLIGHT = 16;
const pairId = (a: string, b: string): string => deterministicId('linkage-pair', ...[a, b].sort());
const idOf = ({ incident: file, casualty }: CasualtyRef): string => `${file} ${casualty}`;

/** Stretches of days with something fresh in them, each with its margins within `most` records where days allow. */
const slabsOf = (
  days: readonly { day: string; records: number; fresh: number }[],
  margin: number,
  most: number,
): { from: string; to: string }[] => {
  const slabs: { from: string; to: string; records: number }[] = [];
  const around = (from: string, to: string): number =>
    days.reduce(
      (sum, { day, records }) => (day >= addDays(from, -margin) && day <= addDays(to, margin) ? sum + records : sum),
      0,
    );
  for (const { day, fresh } of days) {
    if (fresh === 0) continue;
    const last = slabs.at(-1);
    if (last && day <= addDays(last.to, 2 * margin + 1)) {
      const records = around(last.from, day);
      if (records <= most) {
        slabs[slabs.length - 1] = { from: last.from, to: day, records };
        continue;
      }
    }
    slabs.push({ from: day, to: day, records: around(day, day) });
  }
  return slabs;
};

/** For a person who reads the event: which fields agreed. At most 500 characters. */
const reasonOf = (pair: LinkedPair, { fitted }: Pick<Linked, 'fitted'>, verdict: { zh: string; en: string }): string => {
  const fields = explain(pair, fitted);
  const zh = fields.map(({ label, levelLabel }) => `${label.zh}${levelLabel.zh}`).join('、');
  const en = fields.map(({ label, levelLabel }) => `${label.en} ${levelLabel.en}`).join(', ');
  return `${verdict.zh}(${zh}) / ${verdict.en} (${en})`.slice(0, 500);
};

type Loose<C> = AggregateType<C, { type: string; data: unknown }, unknown>;
const INJURY = aggregates.injury as unknown as Loose<InjuryCommand>;
const INCIDENT = incident as unknown as Loose<FileCommand>;

export const createLinkage = ({
  log,
  store,
  position: heldPosition,
  communities,
  model = DEFAULT_LINKAGE,
  mostRecords = MOST_RECORDS,
}: LinkageOptions): LinkageService => {
  const margin = Math.max(...model.passes.map(({ days }) => days ?? 0));

  const run = async ({ id, estimate, everything, signal, onProgress }: RunOptions): Promise<LinkageRun> => {
    const position = await heldPosition();
    const after = everything ? 0n : await store.checkpoint();
    const parents = new Map((await communities()).map(({ code, parent }) => [code, parent ?? null]));
    const parentOf = (code: string): string | null => parents.get(code) ?? null;
    const slabs = slabsOf(await store.days(after, position), margin, mostRecords);
    const counts = {
      records: 0,
      fresh: 0,
      compared: 0,
      linked: 0,
      unlinked: 0,
      attached: 0,
      proposed: 0,
      withdrawn: 0,
      outdone: 0,
    };
    const refusals: Record<string, number> = {};
    const skipped: Linked['skipped'][number][] = [];
    /** Decided in this run: the read models may not hold it yet when the next stretch is compared. */
    const linkedNow: Pair[] = [];
    const decided = await store.decided();

    const metadata = { source: 'linkage', run: id };
    const send = async <C>(aggregate: Loose<C>, target: string, command: C, commandId: string): Promise<boolean> => {
      const result = await handleCommand(log, aggregate, target, command, { commandId, metadata });
      if (!result.ok) refusals[result.problem.code] = (refusals[result.problem.code] ?? 0) + 1;
      return result.ok && !result.value.repeated;
    };
    const each = async <T>(items: readonly T[], work: (item: T) => Promise<void>): Promise<void> => {
      for (let from = 0; from < items.length; from += IN_FLIGHT) {
        signal?.throwIfAborted();
        await Promise.all(items.slice(from, from + IN_FLIGHT).map(work));
      }
    };

    const compareSlab = async ({ from, to }: { from: string; to: string }): Promise<void> => {
      const records = await store.window(after, position, addDays(from, -margin), addDays(to, margin));
      const byId = new Map(records.map((record) => [record.id, record]));
      const isMine = ({ day, fresh }: Compared): boolean => fresh && day! >= from && day! <= to;
      const fresh = records.filter(isMine);
      const freshIds = new Set(fresh.map((record) => record.id));
      const known = await store.pairs(records.filter(({ casualty }) => !casualty).map((record) => record.id));
      const linked: Pair[] = [
        ...known.filter((pair) => pair.linked).map(({ low, high }): Pair => [low, high]),
        ...records.flatMap((one): Pair[] => (one.attached === undefined ? [] : [[one.id, one.attached]])),
        ...linkedNow,
      ];
      const apart: Pair[] = [
        ...known.filter((pair) => !pair.linked && pair.manual).map(({ low, high }): Pair => [low, high]),
        ...decided
          .filter(({ status }) => status === 'rejected')
          .map(({ a, b }): Pair => [a, typeof b === 'string' ? b : idOf(b)]),
      ];

      const compare = (together: readonly Pair[]): Linked =>
        linkPairs(records, {
          ...{ model, parentOf, linked: together, apart, neverTwice: new Set([CASUALTIES]) },
          fresh: (one) => freshIds.has(one),
          ...(estimate && { estimate }),
        });
      let found = compare(linked);

      // What was linked automatically and, as it now reads, never would be.
      const doubtful = known.filter(
        ({ low, high, linked: is, manual }) => is && !manual && (freshIds.has(low) || freshIds.has(high)),
      );
      const away = doubtful.flatMap(({ low, high }) => [low, high]).filter((one) => !byId.has(one));
      const partners = new Map((await store.injuries(after, position, away)).map((record) => [record.id, record]));
      const undone = new Set<string>();
      await each(doubtful, async ({ low, high }) => {
        const [one, two] = [byId.get(low) ?? partners.get(low), byId.get(high) ?? partners.get(high)];
        if (!one || !two) return; // retracted, or no longer counted: nothing to restore
        const pair = weigh([one, two], found.fitted, { model, parentOf });
        if (pair.probability >= model.thresholds.review) return;
        const reason = reasonOf(pair, found, { zh: '更正后不再相符', en: 'no longer alike after a correction' });
        const data = { other: high, decidedBy: 'automatic' as const, reason };
        const commandId = deterministicId('linkage-unlink', low, high, position.toString());
        // Either report may carry the link: undone where it stands, and where it doesn't nothing happens.
        const here = await send(INJURY, low, { type: 'UnlinkInjury', data }, commandId);
        const there = await send(
          INJURY,
          high,
          { type: 'UnlinkInjury', data: { ...data, other: low } },
          deterministicId(commandId, 'other'),
        );
        if (here || there) counts.unlinked++;
        undone.add(pairId(low, high));
      });
      if (undone.size > 0) found = compare(linked.filter(([a, b]) => !undone.has(pairId(a, b))));
      // Undone by an earlier run, a pair may be linked by a command that isn't the one of that time.
      const parted = new Set(known.filter(({ linked: is }) => !is).map(({ low, high }) => pairId(low, high)));

      const fileOf = (pair: LinkedPair): [injury: Compared, casualty: Compared] | undefined => {
        const [a, b] = [byId.get(pair.a)!, byId.get(pair.b)!];
        return a.casualty ? [b, a] : b.casualty ? [a, b] : undefined;
      };
      await each(found.match, async (pair) => {
        const file = fileOf(pair);
        if (file) {
          const [{ id: injuryId }, { casualty }] = file;
          const { incident: target, casualty: casualtyId } = casualty!;
          const command = { type: 'AttachInjury', data: { injuryId, casualtyId } };
          // By the pair alone: who detached it by hand isn't overruled by a later run.
          if (await send(INCIDENT, target, command, deterministicId('linkage-attach', target, casualtyId, injuryId)))
            counts.attached++;
        } else {
          const reason = reasonOf(pair, found, { zh: '自动关联', en: 'linked automatically' });
          const data = { other: pair.b, decidedBy: 'automatic' as const, score: pair.probability, reason };
          const again = parted.has(pairId(pair.a, pair.b)) ? [position.toString()] : [];
          const commandId = deterministicId('linkage-link', ...contentOf(byId.get(pair.a)!, byId.get(pair.b)!), ...again);
          if (await send(INJURY, pair.a, { type: 'LinkInjury', data }, commandId)) counts.linked++;
        }
        linkedNow.push([pair.a, pair.b]);
      });

      const isDecided = new Set(decided.map(({ a, b }) => pairId(a, typeof b === 'string' ? b : idOf(b))));
      const candidates = found.review
        .map((pair): Candidate => {
          const file = fileOf(pair);
          const [a, b] = file ?? [byId.get(pair.a)!, byId.get(pair.b)!];
          return {
            ...{ id: pairId(a.id, b.id), a: a.id, b: b.casualty ?? b.id, probability: pair.probability, weight: pair.weight },
            fields: explain(pair, found.fitted).map((field) => ({
              ...field,
              a: shown(a, field.field),
              b: shown(b, field.field),
            })),
          };
        })
        .filter((candidate) => !isDecided.has(candidate.id));
      counts.proposed += await store.propose(candidates);
      counts.withdrawn += await store.withdraw(
        [...freshIds],
        candidates.map((candidate) => candidate.id),
      );
      counts.records += records.length;
      counts.fresh += fresh.length;
      counts.compared += found.compared;
      counts.outdone += found.outdone;
      skipped.push(...found.skipped);
    };

    for (const [done, slab] of slabs.entries()) {
      onProgress?.({ done, total: slabs.length });
      await compareSlab(slab);
    }
    const outcome: LinkageRun = {
      id,
      after: after.toString(),
      position: position.toString(),
      ...counts,
      refused: refusals,
      skipped,
      // Read models hold no pseudonymous key: it stays with sealed identities.
      without: ['key'],
    };
    await store.finish(id, position, outcome);
    return outcome;
  };

  const decideInjuries = async (
    { id, a, probability }: KeptCandidate,
    b: string,
    decision: 'link' | 'reject',
    reason: string | undefined,
  ): Promise<Result<CommandDone>> => {
    const by = { other: b, decidedBy: 'manual' as const };
    const command: InjuryCommand =
      decision === 'link'
        ? { type: 'LinkInjury', data: { ...by, score: probability, ...(reason !== undefined && { reason }) } }
        : { type: 'UnlinkInjury', data: { ...by, reason: reason ?? '人工判定为两个人 / declared two different people' } };
    const context = { commandId: deterministicId('linkage-decision', id, decision), metadata: { source: 'linkage', review: id } };
    return handleCommand(log, INJURY, a, command, context);
  };

  const decide: LinkageService['decide'] = async (id, decision, reason) => {
    const candidate = await store.get(id);
    if (!candidate) return undefined;
    const { a, b, status } = candidate;
    const wanted = decision === 'link' ? 'linked' : 'rejected';
    if (status !== 'open' && status !== wanted)
      return refuse({
        code: 'not-allowed-now',
        detail: {
          zh: `这一对已判定为 ${status};如需更改,请在伤害记录上关联或解除关联`,
          en: `this pair was decided before (${status}); to change that, link or unlink the injury records themselves`,
        },
        value: decision,
        allowed: [`injuries/${a}/links`],
      });
    let done: Decided['done'];
    if (typeof b === 'string') {
      const result = await decideInjuries(candidate, b, decision, reason);
      if (!result.ok) return result;
      done = { ...result.value, stream: a };
    } else if (decision === 'link') {
      const command = { type: 'AttachInjury', data: { injuryId: a, casualtyId: b.casualty } };
      const context = {
        commandId: deterministicId('linkage-decision', id, decision),
        metadata: { source: 'linkage', review: id },
      };
      const result = await handleCommand(log, INCIDENT, b.incident, command, context);
      if (!result.ok) return result;
      done = { ...result.value, stream: b.incident };
    }
    await store.settle(id, wanted);
    return ok({ status: wanted, ...(done && { done }) });
  };

  // One run at a time: two would compare the same twice, and write the same once.
  let running: Promise<unknown> = Promise.resolve();
  return {
    run: (options) => {
      const mine = running.then(() => run(options));
      running = mine.catch(() => undefined);
      return mine;
    },
    decide,
    list: store.list,
  };
};

/** What two reports were when they were compared: the same decision on the same content is the same command. */
const contentOf = (a: Compared, b: Compared): string[] =>
  [a, b].map(({ id, day, community, age, sex, mechanism }) => JSON.stringify([id, day, community, age?.value, sex, mechanism]));

const shown = (record: Compared, field: LinkField): unknown =>
  field === 'age' ? (record.age?.value ?? null) : (record[field] ?? null);
