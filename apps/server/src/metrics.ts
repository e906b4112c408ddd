import type { AppendOutcome, AppendRequest, AtomicOutcome, EventLog, Sealer } from '@vigil/event-log';
import { createMetrics } from '@vigil/platform';
import type { Projections } from '@vigil/projections';
import { Counter, Gauge, Histogram, type Registry } from 'prom-client';

export interface EngineMetrics {
  /** For figures of parts that not every process has. */
  readonly registry: Registry;
  /** Prometheus text, with the projections asked now. */
  text(): Promise<{ type: string; body: string }>;
  http(method: string, route: string, status: number, seconds: number): void;
  readonly inFlight: { inc(): void; dec(): void };
  /** The same log, counting what is appended. */
  observe(log: EventLog): EventLog;
  /** `more`: sets further gauges when figures are asked for. */
  watch(projections: Projections, sealer: Sealer, more?: () => void): void;
  jobs(queued: number, running: number): void;
  close(): void;
}

/** The engine's own registry: process figures (event-loop delay among them), HTTP, log, projections, jobs. */
export const createEngineMetrics = (): EngineMetrics => {
  const registry = createMetrics({ processMetrics: true });
  const registers = [registry];
  const http = new Histogram({
    name: 'vigil_http_request_duration_seconds',
    help: 'HTTP requests by method, route and status',
    labelNames: ['method', 'route', 'status'],
    buckets: [0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30],
    registers,
  });
  const inFlight = new Gauge({ name: 'vigil_http_requests_in_flight', help: 'HTTP requests being answered', registers });
  const events = new Counter({ name: 'vigil_log_appended_events_total', help: 'Events appended by this process', registers });
  const appends = new Histogram({
    name: 'vigil_log_append_duration_seconds',
    help: 'From the request to append until it is durable, waiting included',
    buckets: [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 5, 15],
    registers,
  });
  const waiting = new Gauge({ name: 'vigil_log_append_queue', help: 'Append requests waiting or in flight', registers });
  const jobs = new Gauge({ name: 'vigil_jobs', help: 'Jobs by state', labelNames: ['state'], registers });
  const lagEvents = new Gauge({
    name: 'vigil_projection_lag_events',
    help: 'Events not yet projected',
    labelNames: ['projection'],
    registers,
  });
  const lagSeconds = new Gauge({
    name: 'vigil_projection_lag_seconds',
    help: 'Age of the oldest event not yet projected',
    labelNames: ['projection'],
    registers,
  });
  const halted = new Gauge({
    name: 'vigil_projection_halted',
    help: '1 when the projection met an event it cannot apply',
    labelNames: ['projection'],
    registers,
  });
  const heartbeat = new Gauge({
    name: 'vigil_projection_heartbeat_seconds',
    help: 'Since the instance that runs the projection was last heard of; absent when none runs it',
    labelNames: ['projection'],
    registers,
  });
  const parked = new Gauge({
    name: 'vigil_projection_parked_events',
    help: 'Events whose effect failed, or that wait behind one',
    labelNames: ['projection'],
    registers,
  });
  const skipped = new Gauge({
    name: 'vigil_projection_skipped_events',
    help: 'Events passed over by decision',
    labelNames: ['projection'],
    registers,
  });
  const sealedPosition = new Gauge({
    name: 'vigil_log_sealed_position',
    help: 'Everything up to here is in a signed head',
    registers,
  });
  const sealedEvents = new Gauge({ name: 'vigil_log_sealed_events_total', help: 'Events in signed heads', registers });
  const sealLag = new Gauge({
    name: 'vigil_log_seal_lag_seconds',
    help: 'Age of the oldest event that no signed head holds',
    registers,
  });
  const sealBroken = new Gauge({
    name: 'vigil_log_seal_breach',
    help: '1 when the log was found not to be as it was sealed',
    registers,
  });
  let watched: { projections: Projections; sealer: Sealer; more: (() => void) | undefined } | undefined;
  let observed: EventLog | undefined;

  const sealFigures = async ({ sealer }: NonNullable<typeof watched>): Promise<void> => {
    const { position, events: sealed, problem } = sealer.state;
    sealedPosition.set(Number(position));
    sealedEvents.set(sealed);
    sealBroken.set(problem?.kind === 'breach' ? 1 : 0);
    const [oldest] = (await observed?.readAll({ after: position, limit: 1 }).catch(() => undefined)) ?? [];
    sealLag.set(oldest ? Math.max(0, (Date.now() - Date.parse(oldest.recordedAt)) / 1000) : 0);
  };

  const counted = async <T>(
    requests: readonly AppendRequest[],
    append: () => Promise<T>,
    outcomes: (answer: T) => readonly (AppendOutcome | AtomicOutcome)[],
  ): Promise<T> => {
    waiting.inc(requests.length);
    const end = appends.startTimer();
    try {
      const answer = await append();
      let sum = 0;
      outcomes(answer).forEach(({ kind }, index) => (sum += kind === 'appended' ? requests[index]!.events.length : 0));
      if (sum > 0) events.inc(sum);
      return answer;
    } finally {
      end();
      waiting.dec(requests.length);
    }
  };

  return {
    registry,
    text: async () => {
      watched?.more?.();
      if (watched) await sealFigures(watched);
      for (const { name, state, ...at } of (await watched?.projections.status().catch(() => [])) ?? []) {
        lagEvents.set({ projection: name }, at.lagEvents);
        lagSeconds.set({ projection: name }, at.lagSeconds);
        halted.set({ projection: name }, state === 'halted' ? 1 : 0);
        parked.set({ projection: name }, at.parked.length);
        skipped.set({ projection: name }, at.skips.length);
        if (at.heartbeatSeconds === undefined) heartbeat.remove({ projection: name });
        else heartbeat.set({ projection: name }, at.heartbeatSeconds);
      }
      return { type: registry.contentType, body: await registry.metrics() };
    },
    http: (method, route, status, seconds) => http.observe({ method, route, status: String(status) }, seconds),
    inFlight,
    observe: (log) => {
      observed = log;
      return {
        ...log,
        append: (request) =>
          counted(
            [request],
            () => log.append(request),
            (outcome) => [outcome],
          ),
        appendMany: (requests) =>
          counted(
            requests,
            () => log.appendMany(requests),
            (outcomes) => outcomes,
          ),
        appendAtomic: (requests) =>
          counted(
            requests,
            () => log.appendAtomic(requests),
            (outcomes) => outcomes,
          ),
        restore: async (restored) => {
          const answer = await log.restore(restored);
          events.inc(answer.written);
          return answer;
        },
      };
    },
    watch: (projections, sealer, more) => (watched = { projections, sealer, more }),
    jobs: (queued, running) => {
      jobs.set({ state: 'queued' }, queued);
      jobs.set({ state: 'running' }, running);
    },
    close: () => registry.clear(),
  };
};
