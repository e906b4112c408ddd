import { newEvent } from '../event-log.contract';
import { position, START, type Position, type RecordedEvent } from '../event-log';
import { createLandmarks } from './landmarks';

/** Positions as bytes, ten instants to each hundred events. */
const events: RecordedEvent[] = Array.from({ length: 1000 }, (_, n) => ({
  ...newEvent(),
  stream: 's',
  revision: n,
  position: position(500 + n * 37),
  recordedAt: `2020-01-01T00:${String(Math.floor(n / 10))
    .padStart(3, '0')
    .slice(0, 2)}:0${Math.floor(n / 10) % 10}Z`,
}));
const at = (n: number): Position => events[n]!.position;

const walked = () => {
  let reads = 0;
  let log = events.slice(0, 950);
  const landmarks = createLandmarks(async (after, limit) => {
    reads++;
    return log.filter((event) => event.position > after).slice(0, limit);
  }, 20);
  return { landmarks, reads: () => reads, grow: () => (log = events) };
};

it('finds the last event recorded by an instant as a look at every one does', async () => {
  const { landmarks } = walked();
  for (const instant of ['2019-12-31T00:00:00Z', ...events.filter((_, n) => n % 7 === 0).map(({ recordedAt }) => recordedAt)]) {
    const last = events.slice(0, 950).findLast(({ recordedAt }) => recordedAt <= instant);
    expect(await landmarks.at(instant, at(949))).toBe(last?.position ?? START);
  }
});

it('counts as a look at every one does, near and far, and finds the event at or before any position', async () => {
  const { landmarks } = walked();
  const places = [
    START,
    position(1),
    at(0),
    at(5),
    position(at(5) + 1n),
    at(300),
    position(at(800) - 3n),
    at(949),
    position(10n ** 12n),
  ];
  for (const from of places)
    for (const to of places) {
      const within = events.slice(0, 950).filter((event) => event.position > from && event.position <= to).length;
      expect(await landmarks.count(from, to)).toBe(within);
    }
  for (const place of places)
    expect(await landmarks.floor(place)).toBe(
      events.slice(0, 950).findLast((event) => event.position <= place)?.position ?? START,
    );
});

it('reads the log once, then only what is new', async () => {
  const { landmarks, reads, grow } = walked();
  await Promise.all([
    landmarks.count(START, at(949)),
    landmarks.count(START, at(949)),
    landmarks.at(events[500]!.recordedAt, at(949)),
  ]);
  expect(reads()).toBeLessThan(80);
  const before = reads();
  expect(await landmarks.count(START, at(700))).toBe(701);
  expect(reads() - before).toBeLessThan(10);
  grow();
  expect(await landmarks.count(START, at(999))).toBe(1000);
  expect(reads() - before).toBeLessThan(25);
});
