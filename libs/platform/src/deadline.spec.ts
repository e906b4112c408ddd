import { withDeadline } from './deadline';

it('passes on what comes in time, value or fault', async () => {
  await expect(withDeadline(1_000, Promise.resolve(1), 'reading')).resolves.toBe(1);
  await expect(withDeadline(1_000, Promise.reject(new Error('broken')), 'reading')).rejects.toThrow('broken');
});

it('names what was late and lets the caller destroy it', async () => {
  const destroy = jest.fn();
  await expect(withDeadline(5, new Promise(() => undefined), 'copying', destroy)).rejects.toMatchObject({
    code: 'deadline-exceeded',
    message: 'copying: not done within 5 ms',
  });
  expect(destroy).toHaveBeenCalledTimes(1);
});
