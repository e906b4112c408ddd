import { z } from 'zod';
import type { Text } from '@vigil/vocabulary';
import { route, type Answer, type Call, type Route } from '../route';

const tag = 'health';

const healthSchema = z.object({
  status: z.enum(['ready', 'not-ready']),
  dependencies: z.array(
    z.object({
      name: z.string(),
      status: z.enum(['up', 'down', 'degraded']),
      latencyMs: z.number(),
      detail: z.string().optional(),
    }),
  ),
});

const ready = async ({ engine, language }: Call): Promise<Answer> => {
  const { ready: isReady, dependencies } = await engine.health();
  return {
    status: isReady ? 200 : 503,
    body: {
      status: isReady ? 'ready' : 'not-ready',
      dependencies: dependencies.map(({ detail, ...rest }) => ({ ...rest, ...(detail && { detail: detail[language] }) })),
    },
    ...(!isReady && { headers: { 'Retry-After': '5' } }),
  };
};

const metrics = async ({ engine }: Call): Promise<Answer> => {
  const { queued, running } = engine.jobs.counts();
  engine.metrics.jobs(queued, running);
  const { type, body } = await engine.metrics.text();
  return { status: 200, text: body, type };
};

type Spec = Pick<Route, 'path' | 'summary' | 'answers'> & { readonly handler: (call: Call) => Promise<Answer> };
const about = (zh: string, en: string): Text => ({ zh, en });

const specs: readonly Spec[] = [
  {
    path: '/health/live',
    summary: about('进程是否存活', 'Whether the process lives'),
    answers: { 200: { schema: z.object({ status: z.literal('live') }), about: about('存活', 'it does') } },
    handler: async () => ({ status: 200, body: { status: 'live' } }),
  },
  {
    path: '/health/ready',
    summary: about('能否服务,及每项依赖的延迟', 'Whether it can serve, with each dependency and its latency'),
    answers: {
      200: { schema: healthSchema, about: about('可以服务', 'ready') },
      503: { schema: healthSchema, about: about('不能服务', 'not ready') },
    },
    handler: ready,
  },
  {
    path: '/metrics',
    summary: about('Prometheus 指标', 'Prometheus metrics'),
    answers: { 200: { type: 'text/plain', about: about('Prometheus 文本', 'Prometheus text') } },
    handler: metrics,
  },
];

/** At the root, where probes look, and under the prefix. */
export const healthRoutes: readonly Route[] = specs.flatMap((spec) =>
  [true, false].map((bare) => route({ method: 'GET', tag, bare, ...spec, handler: (call) => spec.handler(call as Call) })),
);
