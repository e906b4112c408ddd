import { createSimulation } from '@vigil/testing';
import { LogUnavailable } from './event-log';
import { sendUntilKnown } from './send-until-known';

const BROKEN = Object.assign(new Error('broken'), { code: 'CONNECTION_CLOSED' });

/** Sends with the given answers, one per try; how it ended, after how many tries and virtual ms. */
const ended = async (answers: ((ms: (ms: number) => Promise<void>) => Promise<string>)[], deadlineMs = 2_000) => {
  const simulation = createSimulation(1);
  const { clock, within } = simulation.process('sender');
  const start = simulation.now();
  let tries = 0;
  let end: { outcome: unknown; after: number } | undefined;
  const over = (outcome: unknown): void => void (end = { outcome, after: simulation.now() - start });
  const send = (): Promise<string> => answers[Math.min(tries++, answers.length - 1)]!(clock.sleep);
  void sendUntilKnown({ send, deadlineMs, time: { now: clock.now, sleep: clock.sleep, within } }).then(over, over);
  await simulation.run(() => end !== undefined, start + 60_000);
  return { ...end!, tries };
};

it('answers at once what comes at once', async () => {
  expect(await ended([async () => 'done'])).toEqual({ outcome: 'done', after: 0, tries: 1 });
});

it('sends again, each time waiting longer, what a broken connection left unknown', async () => {
  const broken = () => Promise.reject(BROKEN);
  expect(await ended([broken, broken, broken, async () => 'done'])).toEqual({ outcome: 'done', after: 50 + 100 + 200, tries: 4 });
});

it('gives up with an unknown outcome when the deadline would pass, or has passed in silence', async () => {
  const late = await ended([() => Promise.reject(BROKEN)]);
  expect(late.outcome).toBeInstanceOf(LogUnavailable);
  expect((late.outcome as LogUnavailable).cause).toBe(BROKEN);
  expect(late.after).toBeLessThanOrEqual(2_000);
  const silent = await ended([async (sleep) => (await sleep(50_000), 'too late')]);
  expect(silent).toMatchObject({ outcome: expect.any(LogUnavailable), after: 2_000, tries: 1 });
});

it('hands on at once what another try would not mend', async () => {
  const wrong = Object.assign(new Error('wrong'), { code: '42P01' });
  expect(await ended([() => Promise.reject(wrong)])).toEqual({ outcome: wrong, after: 0, tries: 1 });
});
