import { workload } from './workload';

const steps = (seed: number, count: number) => Array.from({ length: count }, (_, step) => workload(seed).at(step));

test('the same seed and step give the same command for ever, whatever was asked before', () => {
  const backwards = Array.from({ length: 50 }, (_, at) => workload(3).at(49 - at)).reverse();
  expect(steps(3, 50)).toEqual(backwards);
  expect(steps(4, 50)).not.toEqual(backwards);
});

test('every kind of command comes up, on reports made before', () => {
  const all = steps(1, 2_000);
  expect(new Set(all.map(({ command }) => command.type)).size).toBe(17);
  const reports = new Set(all.filter(({ command }) => command.type === 'ReportInjury').map(({ id }) => id));
  const changes = all.filter(({ command }) => command.type === 'CorrectInjury');
  expect(changes.filter(({ id }) => reports.has(id)).length / changes.length).toBeGreaterThan(0.95);
  expect(new Set(all.map(({ commandId }) => commandId)).size).toBe(2_000);
});
