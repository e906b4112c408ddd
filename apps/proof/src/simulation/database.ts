import { position, START, type AppendOutcome, type AppendRequest, type Position, type RecordedEvent } from '@vigil/event-log';
import {
  CheckpointMoved,
  type Checkpoint,
  type Claim,
  type Move,
  type Parked,
  type Problem,
  type Skip,
} from '@vigil/projections';
import { BROKEN_LINE, type Process, type Simulation } from '@vigil/testing';
import type { MutantName } from './mutants';

/** What a projector writes through; nothing of it is seen before the commit. */
export interface Tx {
  readonly applied: RecordedEvent[];
  readonly parked: Parked[];
}

/** One projection's rows: its checkpoint, its decisions, and what it made of the events. */
export interface ProjectionRows {
  position: Position;
  epoch: bigint;
  owner?: string;
  leaseUntil: number;
  heartbeatAt: number;
  /** Whose connection the lease hangs on, and in which life of the database it was made. */
  holder?: { process: Process; life: number; open: boolean };
  problem?: Problem;
  readonly skips: Skip[];
  parked: Parked[];
  /** Events whose effects are committed, in the order of the commits. */
  readonly applied: RecordedEvent[];
  /** Events counted by stream, as a read model would: adding to what is there. */
  readonly counts: Map<string, number>;
}

interface Append {
  readonly requests: readonly AppendRequest[];
  readonly reply: (outcomes: AppendOutcome[]) => void;
  readonly fail: (error: unknown) => void;
  aborted: boolean;
}

/** How the database behaves. Durations in virtual ms. */
export interface Storage {
  /** Longest usual time from an append's first look at the tables to its commit. */
  readonly commit: number;
  /** Chance that it takes up to twenty times as long. */
  readonly slow: number;
  /** Chance that the server undoes an append for reasons of its own. */
  readonly undone: number;
}

/** Shorter than the product's ten seconds, for a history pays for each beat of the runtime; still several beats. */
const LEASE = 3_000;
const STARTING = Object.assign(new Error('the database system is starting up'), { code: '57P03' });
const SERIALIZATION = Object.assign(new Error('could not serialize access'), { code: '40001' });

/**
 * PostgreSQL as Vigil uses it, by what it promises: one append at a time under a lock, so that positions are the commit order;
 * unique event ids and revisions; transactions whole or not at all; leases by the database's clock. Between an append's commit
 * and its acknowledgement, and between a look and a commit, anything may happen.
 */
export class Database {
  /** By position. */
  readonly events: RecordedEvent[] = [];
  readonly byId = new Map<string, RecordedEvent>();
  readonly streams = new Map<string, RecordedEvent[]>();
  readonly projections = new Map<string, ProjectionRows>();
  /** Promises of the store that were broken, seen as it happened. */
  readonly broken: string[] = [];
  storage: Storage = { commit: 2, slow: 0, undone: 0 };
  downUntil = 0;
  /** Rises with each restart: no connection outlives it. */
  life = 0;

  private readonly waiting: Append[] = [];
  private readonly open = new Set<Append>();
  private locked = false;
  private sequence = 0;
  /** How to take back the commits that no flushed one has followed yet: projections commit without waiting for the disk. */
  private unflushed: (() => void)[] = [];
  private listeners: { readonly process: Process; readonly hear: () => void }[] = [];
  private instant = '';
  private second = -1;

  constructor(
    private readonly simulation: Simulation,
    private readonly mutant: MutantName | undefined,
  ) {}

  /** A request whose work is done in one moment. */
  ask<T>(process: Process, what: string, work: () => T): Promise<T> {
    return process.call(what, (reply, fail) => {
      if (this.isDown()) return fail(STARTING);
      let answer: T;
      try {
        answer = work();
      } catch (error) {
        return fail(error);
      }
      reply(answer);
    });
  }

  isDown(): boolean {
    return this.downUntil > this.simulation.now();
  }

  /** Everything under way is undone; what had committed stays, but for the last projections' commits, which nobody waited for. */
  crash(ms: number): void {
    const { simulation } = this;
    simulation.fault('database restarted');
    simulation.note?.(`database: down for ${ms} ms`);
    this.downUntil = simulation.now() + ms;
    this.life++;
    for (const append of [...this.open, ...this.waiting]) {
      append.aborted = true;
      append.fail(BROKEN_LINE);
    }
    this.open.clear();
    this.waiting.length = 0;
    this.locked = false;
    const kept = simulation.random.below(this.unflushed.length + 1);
    for (const undo of this.unflushed.splice(kept).reverse()) {
      simulation.fault('unflushed commit taken back');
      undo();
    }
    this.unflushed = [];
  }

  // The log

  append(requests: readonly AppendRequest[], reply: Append['reply'], fail: Append['fail']): void {
    if (this.isDown()) return fail(STARTING);
    const append: Append = { requests, reply, fail, aborted: false };
    if (this.mutant === 'high-water-read') return this.begin(append);
    this.waiting.push(append);
    this.next();
  }

  private next(): void {
    if (this.locked) return;
    const append = this.waiting.shift();
    if (append === undefined) return;
    this.locked = true;
    this.begin(append);
  }

  private begin(append: Append): void {
    const { simulation, storage, mutant } = this;
    this.open.add(append);
    const { outcomes, events } = this.judge(append.requests);
    const took =
      simulation.random.below(storage.commit + 1) *
      (simulation.random.chance(storage.slow) ? simulation.random.between(2, 20) : 1);
    const undone = storage.undone > 0 && simulation.random.chance(storage.undone);
    if (mutant === 'ack-before-commit') append.reply(outcomes);
    simulation.after(took, () => {
      if (append.aborted) return;
      this.open.delete(append);
      this.locked = false;
      const clashes = mutant === 'high-water-read' && events.some((event) => this.clashes(event));
      if (undone || clashes) {
        simulation.fault('append undone by the server');
        append.fail(SERIALIZATION);
      } else {
        for (const event of events) this.record(event);
        this.flush();
        append.reply(outcomes);
      }
      this.next();
    });
  }

  private clashes({ id, stream, revision }: RecordedEvent): boolean {
    return this.byId.has(id) || (this.streams.get(stream)?.length ?? 0) > revision;
  }

  private judge(requests: readonly AppendRequest[]): { outcomes: AppendOutcome[]; events: RecordedEvent[] } {
    const events: RecordedEvent[] = [];
    const named = new Set<string>();
    const recordedAt = this.clock();
    const last = this.events.at(-1);
    if (this.mutant !== 'high-water-read') this.sequence = last ? Number(last.position) : 0;
    const outcomes = requests.map((request): AppendOutcome => {
      const { stream } = request;
      if (named.has(stream)) this.broken.push(`a batch names the stream ${stream} twice`);
      named.add(stream);
      const refused = this.refusal(request);
      if (refused) return refused;
      let revision = this.streams.get(stream)?.length ?? 0;
      for (const { id, type, version, data, metadata, fingerprint } of request.events) {
        const at = position(++this.sequence);
        events.push({ id, type, version, data, metadata, fingerprint, stream, revision: revision++, position: at, recordedAt });
      }
      return { kind: 'appended', revision: revision - 1, position: events.at(-1)!.position };
    });
    return { outcomes, events };
  }

  private refusal({ stream, expected, events }: AppendRequest): AppendOutcome | undefined {
    const known = this.mutant === 'no-unique-key' ? [] : events.map(({ id }) => this.byId.get(id));
    const first = known.find((event) => event !== undefined);
    if (first) {
      const same = events.every((event, at) => known[at]?.stream === stream && known[at].fingerprint === event.fingerprint);
      if (!same) return { kind: 'id-conflict', eventId: first.id };
      const last = known.reduce((a, b) => (b!.revision > a!.revision ? b : a))!;
      return { kind: 'duplicate', revision: last.revision, position: last.position };
    }
    const length = this.streams.get(stream)?.length ?? 0;
    const actual = length === 0 ? null : length - 1;
    const moved = expected !== 'any' && (expected === 'none' ? actual !== null : actual !== expected);
    return moved ? { kind: 'conflict', actual } : undefined;
  }

  private record(event: RecordedEvent): void {
    let at = this.events.length;
    while (at > 0 && this.events[at - 1]!.position > event.position) at--;
    this.events.splice(at, 0, event);
    this.byId.set(event.id, event);
    const stream = this.streams.get(event.stream);
    if (stream) stream.push(event);
    else this.streams.set(event.stream, [event]);
    this.simulation.note?.(`database: committed ${event.stream} r${event.revision} at ${event.position}`);
  }

  /** The database's clock, to the second: the same text for many events. */
  private clock(): string {
    const second = Math.floor(this.simulation.now() / 1000);
    if (second !== this.second) {
      this.second = second;
      this.instant = new Date(second * 1000).toISOString();
    }
    return this.instant;
  }

  head(): Position {
    return this.events.at(-1)?.position ?? START;
  }

  /** Index of the first event after a position. */
  private indexAfter(after: Position): number {
    let at = this.events.length;
    while (at > 0 && this.events[at - 1]!.position > after) at--;
    return at;
  }

  readAll(after: Position, limit: number): RecordedEvent[] {
    const from = this.indexAfter(after);
    return this.events.slice(from, from + limit);
  }

  count(after: Position, upTo: Position): number {
    return this.indexAfter(upTo) - this.indexAfter(after);
  }

  /** Whoever listens hears of it, each in his own time. */
  notify(): void {
    const { simulation } = this;
    if (this.isDown()) return;
    for (const { process, hear } of this.listeners) if (process.alive) simulation.after(simulation.delay(), hear, process);
  }

  listen(process: Process, hear: () => void): void {
    this.listeners = this.listeners.filter((each) => each.process.alive);
    this.listeners.push({ process, hear });
  }

  // The projections

  rows(projection: string): ProjectionRows {
    let rows = this.projections.get(projection);
    if (rows === undefined) {
      rows = { position: START, epoch: 0n, leaseUntil: 0, heartbeatAt: 0, skips: [], parked: [], applied: [], counts: new Map() };
      this.projections.set(projection, rows);
    }
    return rows;
  }

  /** Whether somebody runs it: as the lease says, and as long as the connection that took it is there. */
  private isHeld({ owner, leaseUntil, holder }: ProjectionRows): boolean {
    return (
      owner !== undefined &&
      leaseUntil >= this.simulation.now() &&
      holder !== undefined &&
      holder.open &&
      holder.life === this.life
    );
  }

  claim(projection: string, owner: string, process: Process): Claim | undefined {
    const rows = this.rows(projection);
    if (this.isHeld(rows) && rows.owner !== owner) {
      if (this.mutant !== 'lease-ignored') return undefined;
      this.broken.push(`${projection} was given to ${owner} while ${rows.owner} holds it`);
    }
    if (rows.owner !== owner) {
      rows.epoch++;
      this.simulation.note?.(`database: ${owner} owns ${projection}, epoch ${rows.epoch}`);
    }
    rows.owner = owner;
    rows.leaseUntil = this.simulation.now() + LEASE;
    rows.heartbeatAt = this.simulation.now();
    rows.holder = { process, life: this.life, open: true };
    this.flush();
    return { epoch: rows.epoch, position: rows.position, ...(rows.problem && { problem: rows.problem }) };
  }

  release(projection: string, owner: string): void {
    const rows = this.rows(projection);
    if (rows.owner !== owner) return;
    rows.owner = undefined;
    rows.leaseUntil = 0;
    this.flush();
  }

  /** The server has learnt that a process's connections are gone. */
  hangUp(process: Process): void {
    for (const { holder } of this.projections.values()) if (holder?.process === process) holder.open = false;
  }

  look(projection: string): Checkpoint {
    const { position: at, owner, heartbeatAt, problem } = this.rows(projection);
    return {
      position: at,
      ...(owner !== undefined && { owner, heartbeatAge: (this.simulation.now() - heartbeatAt) / 1000 }),
      ...(problem && { problem }),
    };
  }

  commit(move: Move, tx: Tx): void {
    this.mayMove(move);
    const undo = this.write(move.projection, tx);
    const back = this.move(move);
    this.unflushed.push(() => (back(), undo()));
  }

  /** @throws CheckpointMoved */
  mayMove({ projection, epoch, from }: Move): void {
    const { mutant } = this;
    const rows = this.rows(projection);
    const stale = rows.epoch !== epoch;
    if ((stale && mutant !== 'no-epoch' && mutant !== 'unfenced') || (rows.position !== from && mutant !== 'unfenced'))
      throw new CheckpointMoved(`${projection} is no longer at ${from} under epoch ${epoch}`);
    if (stale) this.broken.push(`${projection}: a commit under epoch ${epoch} was taken in epoch ${rows.epoch}`);
  }

  move({ projection, to }: Move): () => void {
    const rows = this.rows(projection);
    const before = rows.position;
    rows.position = to;
    rows.leaseUntil = Math.max(rows.leaseUntil, this.simulation.now() + LEASE);
    return () => void (rows.position = before);
  }

  write(projection: string, { applied, parked }: Tx): () => void {
    const rows = this.rows(projection);
    for (const event of applied) {
      rows.applied.push(event);
      rows.counts.set(event.stream, (rows.counts.get(event.stream) ?? 0) + 1);
    }
    rows.parked = rows.parked.concat(parked);
    this.simulation.note?.(
      `database: ${projection} applied ${applied.map((event) => event.position).join() || 'nothing'}` +
        (parked.length > 0 ? `, parked ${parked.map((each) => each.position).join()}` : ''),
    );
    return () => {
      for (const event of applied) {
        rows.applied.splice(rows.applied.lastIndexOf(event), 1);
        rows.counts.set(event.stream, rows.counts.get(event.stream)! - 1);
      }
      rows.parked = rows.parked.filter((each) => !parked.includes(each));
    };
  }

  note(projection: string, problem: Problem | undefined): void {
    this.rows(projection).problem = problem;
    this.simulation.note?.(`database: ${projection} ${problem ? `has a problem at ${problem.position}` : 'has no problem'}`);
    this.flush();
  }

  skip(projection: string, skip: Skip): void {
    const rows = this.rows(projection);
    const parked = rows.parked.filter((each) => each.position !== skip.position);
    if (parked.length === rows.parked.length && rows.position >= skip.position) return;
    rows.parked = parked;
    if (!rows.skips.some((each) => each.position === skip.position)) rows.skips.push(skip);
    this.simulation.note?.(`database: ${projection} passes over ${skip.position}`);
    this.flush();
  }

  settle(projection: string, epoch: bigint, at: Position, tx: Tx): void {
    const rows = this.rows(projection);
    const parked = rows.parked.find((each) => each.position === at);
    if (!parked || rows.epoch !== epoch)
      throw new CheckpointMoved(`${projection} has no parked event at ${at} under epoch ${epoch}`);
    const undo = this.write(projection, tx);
    rows.parked = rows.parked.filter((each) => each !== parked);
    this.unflushed.push(() => {
      undo();
      rows.parked = [...rows.parked, parked].sort((a, b) => (a.position < b.position ? -1 : 1));
    });
  }

  /** A commit that waits for the disk takes all earlier ones there with it. */
  private flush(): void {
    this.unflushed.length = 0;
  }
}
