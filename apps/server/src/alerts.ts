/** Looking for alerts, and the runs that put what was found on the register: on demand, and once a day. */
import { randomUUID } from 'node:crypto';
import {
  alert as register,
  detectionRun,
  MOST_MEMBERS,
  type AlertSighting,
  type AlertState,
  type DetectionOutcome,
  type FileCommand,
  type HazardState,
} from '@vigil/domain';
import { handleCommand, loadAggregate, position as toPosition, type AggregateType } from '@vigil/event-log';
import {
  alertsIn,
  arrange,
  capped,
  detect,
  gather,
  MOST_DAYS,
  overdueHazards,
  unwatchable,
  type Alert,
  type AlertGroup,
  type Capped,
  type Detection,
  type NotLooked,
  type OverdueHazard,
} from '@vigil/indicators';
import { addDays, daysBetween, deterministicId, localDate, nearest, type Problem } from '@vigil/vocabulary';
import type { Engine } from './engine';
import { refusedAll } from './http/problem';

/** Days judged where nobody says which: late reports of the last week count, and every day's run holds one whole ISO week. */
const DAYS = 7;
export const DEFAULT_LIMIT = 20;
const HAZARDS = 'HAZ-02';
/** What the read models named here hold is what a look can see. */
const MODELS = ['communities', 'injury-facts', 'case-files', 'casualty-facts'];

export type AlertEngine = Pick<Engine, 'config' | 'log' | 'projections' | 'readModels' | 'observations' | 'definitionsAt'>;

export interface LookOptions {
  readonly position?: bigint | undefined;
  /** First and last day judged. */
  readonly from?: string | undefined;
  readonly to?: string | undefined;
  readonly dx?: readonly string[] | undefined;
  /** This one and all below it. */
  readonly community?: string | undefined;
  readonly limit?: number | undefined;
  readonly ears?: 'C1' | 'C2' | 'C3' | undefined;
  /** Dismissed ones are shown too. */
  readonly dismissed?: boolean | undefined;
  readonly now: Date;
}

/** A group's file on the register; absent: no run has raised it. */
export interface Standing {
  readonly id: string;
  readonly state: AlertState;
  readonly revision: number;
}

export interface Look extends Capped {
  readonly position: bigint;
  readonly today: string;
  readonly from: string;
  readonly to: string;
  readonly groups: number;
  readonly alerts: number;
  readonly tests: Detection['tests'];
  readonly notLooked: readonly NotLooked[];
  readonly problems: readonly Problem[];
  readonly standing: (group: AlertGroup) => Promise<Standing | undefined>;
}

const problemOf = (code: string, pointer: string, zh: string, en: string, more: Partial<Problem> = {}): Problem => ({
  code,
  detail: { zh, en },
  pointer,
  ...more,
});

const rangeOf = ({ from, to }: LookOptions, today: string): { from: string; to: string } => {
  const last = to ?? addDays(today, -1);
  const first = from ?? addDays(last, 1 - DAYS);
  const problem =
    last > today
      ? problemOf('in-the-future', '/to', `今天是 ${today}`, `today is ${today}`, { value: last })
      : first > last
        ? problemOf('ends-before-it-starts', '/from', 'from 晚于 to', 'from is later than to', { value: first })
        : daysBetween(first, last) >= MOST_DAYS
          ? problemOf('range-too-long', '/from', `一次至多 ${MOST_DAYS} 天`, `at most ${MOST_DAYS} days at once`, {
              value: first,
            })
          : undefined;
  if (problem) throw refusedAll(400, [problem]);
  return { from: first, to: last };
};

/** Where a look stands: the position asked for or the last that the read models hold, and the day it was then. */
const standpoint = async ({ log, projections, config }: AlertEngine, { position, now }: LookOptions) => {
  if (position === undefined) {
    const models = (await projections.status()).filter(({ name }) => MODELS.includes(name));
    const lowest = models.reduce<bigint>((low, each) => (each.position < low ? each.position : low), await log.head());
    return { position: lowest, today: localDate(now.toISOString(), config.timeZone) };
  }
  const [event] = position > 0n ? await log.readAll({ after: toPosition(position - 1n), limit: 1 }) : [];
  return { position, today: localDate(event?.recordedAt ?? now.toISOString(), config.timeZone) };
};

const overdueAt = async (
  { readModels }: AlertEngine,
  { position, today }: { readonly position: bigint; readonly today: string },
): Promise<OverdueHazard[]> => {
  const found: OverdueHazard[] = [];
  const page = 1_000;
  for (let after: string | undefined; ; ) {
    const rows = await readModels.files({
      ...{ register: 'hazard', state: 'overdue', asOfPosition: position, today, after, limit: page },
    });
    for (const { id, due, body } of rows) {
      const { identification, level } = body as HazardState;
      found.push({ id, community: identification!.community, domain: identification!.domain, level, due: due! });
    }
    if (rows.length < page) return found;
    after = rows.at(-1)!.id;
  }
};

/** A group is on the register under the id of whichever of its alerts led it first. */
const standingOf =
  ({ log }: AlertEngine, upTo: bigint | undefined) =>
  async ({ lead, members }: AlertGroup): Promise<Standing | undefined> => {
    const ids = [lead, ...members].slice(0, 1 + MOST_MEMBERS).map(({ id }) => id);
    for (let from = 0; from < ids.length; from += 10) {
      const found = await Promise.all(
        ids.slice(from, from + 10).map(async (id): Promise<Standing | undefined> => {
          const events = (await log.readStream(register.streamOf(id))).filter(
            (event) => upTo === undefined || event.position <= upTo,
          );
          if (events.length === 0) return undefined;
          const state = events.reduce(
            (before, event) => register.decider.evolve(before, register.read(event)),
            register.initialState,
          );
          return { id, state, revision: events.at(-1)!.revision };
        }),
      );
      const first = found.find((each) => each !== undefined);
      if (first) return first;
    }
    return undefined;
  };

/**
 * What calls for attention as of a position: aberrations of the counts, hazards past their deadline; ranked, grouped, capped.
 * The same position, range and filters give the same answer.
 * @throws HttpProblem 400 an unknown indicator or community, a range that can't be judged; 503 read models behind
 */
export const lookForAlerts = async (engine: AlertEngine, options: LookOptions): Promise<Look> => {
  const at = await standpoint(engine, options);
  const range = rangeOf(options, at.today);
  const definitions = await engine.definitionsAt(at.position);
  const watched = options.dx?.filter((code) => code !== HAZARDS);
  const wrong = unwatchable(watched ?? [], definitions);
  if (wrong.length > 0) throw refusedAll(400, wrong);

  const registered = new Map((await engine.readModels.communities()).map(({ code, parent }) => [code, parent]));
  const parentOf = (ou: string) => registered.get(ou);
  const { community } = options;
  const within = (ou: string): boolean => {
    const seen = new Set<string>();
    for (let each: string | null | undefined = ou; each && !seen.has(each); each = parentOf(each)) {
      if (each === community) return true;
      seen.add(each);
    }
    return community === undefined;
  };
  const gathered = await gather({
    ask: engine.observations.answer,
    definitions,
    dx: watched,
    within,
    ...range,
    ...at,
  });
  if (!gathered.ok) throw refusedAll(gathered.status, gathered.problems);
  if (community !== undefined && !registered.has(community) && !gathered.places.includes(community)) {
    const suggestion = nearest(community, [...registered.keys()]);
    const more = { value: community, ...(suggestion !== undefined && { suggestion }) };
    throw refusedAll(400, [
      problemOf('unknown-code', '/community', `没有社区 ${community}`, `there is no community ${community}`, more),
    ]);
  }

  const { alerts, notLooked, tests } = detect(gathered.series, { ...range, ...(options.ears && { ears: options.ears }) });
  const hazards = options.dx === undefined || options.dx.includes(HAZARDS) ? await overdueAt(engine, at) : [];
  const overdue = overdueHazards(
    hazards.filter((each) => within(each.community)),
    at.today,
  );
  const groups = arrange([...alerts, ...overdue], parentOf);
  const known = new Map<AlertGroup, Promise<Standing | undefined>>();
  const lookUp = standingOf(engine, options.position);
  const standing = (group: AlertGroup): Promise<Standing | undefined> => {
    const before = known.get(group) ?? lookUp(group);
    known.set(group, before);
    return before;
  };
  const isDismissed = async (group: AlertGroup): Promise<boolean> => {
    const state = (await standing(group))?.state;
    return !options.dismissed && state?.state === 'dismissed' && group.lead.observed <= state.dismissal!.observed;
  };
  return {
    ...at,
    ...range,
    ...(await capped(groups, options.limit ?? DEFAULT_LIMIT, isDismissed)),
    groups: groups.length,
    alerts: alertsIn(groups),
    tests,
    notLooked: [...gathered.notLooked, ...notLooked],
    problems: gathered.problems,
    standing,
  };
};

const member = ({ id, dx, ou, dims, period, observed, expected }: Alert) => ({ id, dx, ou, dims, period, observed, expected });

const sightingOf = ({ lead, members, score }: AlertGroup, run: string, { today, position }: Look): AlertSighting => {
  const { id: _, cases: __, ...figures } = lead;
  return {
    ...figures,
    score,
    members: members.slice(0, MOST_MEMBERS).map(member),
    more: Math.max(0, members.length - MOST_MEMBERS),
    run,
    seenOn: today,
    asOfPosition: position.toString(),
  };
};

/** Refusals that mean: nothing to write. */
const NOTHING_NEW = new Set(['alert-exists', 'alert-unchanged', 'not-allowed-now']);

type Register = AggregateType<FileCommand, { type: string; data: unknown }, never>;

/** One run: looks, raises what is new, revises what has changed, and records itself. Twice at once it raises nothing twice. */
export const runDetection = async (
  engine: AlertEngine,
  { id, trigger, ...options }: LookOptions & { readonly id: string; readonly trigger: DetectionOutcome['trigger'] },
) => {
  const look = await lookForAlerts(engine, options);
  const metadata = { source: 'detection', run: id };
  const raised: string[] = [];
  const revised: string[] = [];
  let unchanged = 0;
  for (const group of look.shown) {
    const standing = await look.standing(group);
    const type = !standing ? 'RaiseAlert' : standing.state.state === 'dismissed' ? 'ReopenAlert' : 'ReviseAlert';
    const file = standing?.id ?? group.lead.id;
    const command = { type, data: sightingOf(group, id, look) };
    const context = { commandId: randomUUID(), metadata };
    const result = await handleCommand(engine.log, register as unknown as Register, file, command, context);
    if (result.ok) (standing ? revised : raised).push(file);
    else if (NOTHING_NEW.has(result.problem.code)) unchanged++;
    else throw refusedAll(422, [result.problem]);
  }
  const outcome: DetectionOutcome = {
    day: look.today,
    trigger,
    from: look.from,
    to: look.to,
    asOfPosition: look.position.toString(),
    tests: look.tests,
    notLooked: look.notLooked.length,
    groups: look.groups,
    alerts: look.alerts,
    rest: look.rest,
    raised,
    revised,
    unchanged,
  };
  const done = await handleCommand(
    engine.log,
    detectionRun as unknown as Register,
    id,
    { type: 'CompleteDetectionRun', data: outcome },
    { commandId: deterministicId('detection-run', id), fingerprint: deterministicId(id), metadata },
  );
  return { outcome, done };
};

/** Between two looks at the clock. */
const EVERY_MS = 60_000;
/** What the read models may take to reach the log's end before a run is put off to the next look. */
const CATCH_UP_MS = 20_000;

const clockIn = (timeZone: string, at: Date): string =>
  new Intl.DateTimeFormat('en-GB', { timeZone, hour: '2-digit', minute: '2-digit', hourCycle: 'h23' }).format(at);

export interface AlertSchedule {
  /** Runs if the day's hour has come and the day's run isn't on the log. Says whether it ran. */
  tick(): Promise<boolean>;
  start(): void;
  /** Waits for a run under way. */
  stop(): Promise<void>;
}

/**
 * Once a day at `at` (`HH:MM` in the configured time zone), or as soon after as a server is up: looks every minute whether today's run is on
 * the log. Nothing is held in memory: another server's run counts, and two at once write the same.
 */
export const createAlertSchedule = ({
  engine,
  at,
  now = () => new Date(),
  everyMs = EVERY_MS,
}: {
  readonly engine: AlertEngine & Pick<Engine, 'logger'>;
  readonly at: string;
  readonly now?: () => Date;
  readonly everyMs?: number;
}): AlertSchedule => {
  const { config, log, logger, projections } = engine;
  let timer: NodeJS.Timeout | undefined;
  let running: Promise<boolean> = Promise.resolve(false);
  const once = async (): Promise<boolean> => {
    const moment = now();
    if (clockIn(config.timeZone, moment) < at) return false;
    const id = localDate(moment.toISOString(), config.timeZone);
    const { events } = await loadAggregate(log, detectionRun as unknown as Register, id);
    if (events.length > 0) return false;
    if (!(await projections.waitFor(await log.head(), CATCH_UP_MS))) {
      logger.warn({ run: id }, 'the read models are behind: the look for alerts waits');
      return false;
    }
    const { outcome } = await runDetection(engine, { id, trigger: 'schedule', now: moment });
    logger.info({ run: id, raised: outcome.raised.length, revised: outcome.revised.length }, 'looked for alerts');
    return true;
  };
  const tick = (): Promise<boolean> => (running = running.catch(() => false).then(once));
  const look = (): void =>
    void tick().catch((err: unknown) => logger.warn({ err }, 'the look for alerts failed; it is tried again'));
  return {
    tick,
    start: () => {
      look();
      timer = setInterval(look, everyMs);
      timer.unref();
    },
    stop: async () => {
      clearInterval(timer);
      await running.catch(() => false);
    },
  };
};
