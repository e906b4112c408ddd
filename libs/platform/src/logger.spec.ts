import { createLogger } from './logger';
import { PlatformError } from './platform-error';

const logged = (write: (log: ReturnType<typeof createLogger>) => void): Record<string, unknown>[] => {
  const lines: string[] = [];
  write(createLogger({ program: 'serve', destination: { write: (line: string) => void lines.push(line) } }));
  return lines.map((line) => JSON.parse(line) as Record<string, unknown>);
};

it('lets through only listed fields', () => {
  const [line] = logged((log) => log.info({ rows: 3, patient: '王小明', state: { name: '王小明' }, position: 7n }, 'imported'));
  expect(line).toMatchObject({
    level: 'info',
    msg: 'imported',
    rows: 3,
    patient: '[redacted]',
    state: '[redacted]',
    position: '7',
  });
});

it('redacts a child’s bindings too', () => {
  expect(logged((log) => log.child({ patient: '王小明', feed: 'neiss' }).warn('late'))[0]).toMatchObject({
    patient: '[redacted]',
    feed: 'neiss',
  });
});

it('keeps the kind and place of an error; its message only where it can quote no record', () => {
  const foreign = Object.assign(new Error('invalid input syntax for type date: "王小明"'), { code: '22007' });
  const ours = new PlatformError('no-space', { zh: '满', en: 'full' }, { cause: foreign });
  const lines = logged((log) => {
    log.error({ err: foreign }, 'a');
    log.error(foreign);
    log.error({ err: ours }, 'b');
  });
  expect(JSON.stringify(lines)).not.toContain('王小明');
  expect(lines[0]).toMatchObject({ err: { type: 'Error', code: '22007', stack: expect.stringContaining('logger.spec') } });
  expect(lines[2]).toMatchObject({ err: { code: 'no-space', message: 'full', cause: { code: '22007' } } });
});
