import { START } from './event-log';
import { eventLogContract, request } from './event-log.contract';
import { createMemoryLog } from './memory/memory-log';

eventLogContract('the log in memory', async () => {
  const log = createMemoryLog();
  return { log, close: () => log.close() };
});

it('never records an earlier instant than before, though the clock goes back', async () => {
  const clock = ['2026-03-01T10:00:00.000Z', '2026-03-01T09:00:00.000Z', '2026-03-01T11:00:00.000Z'];
  const log = createMemoryLog({ now: () => new Date(clock.shift()!) });
  for (let n = 0; n < 3; n++) await log.append(request('a'));
  const events = await log.readAll({ after: START, limit: 9 });
  expect(events.map(({ recordedAt }) => recordedAt.slice(11, 13))).toEqual(['10', '10', '11']);
  expect(await log.positionAt('2026-03-01T09:30:00Z')).toBe(START);
  expect(await log.positionAt('2026-03-01T10:00:00Z')).toBe(events[1]!.position);
  expect(await log.positionAt('2026-03-01T18:59:59+08:00')).toBe(events[1]!.position);
});
