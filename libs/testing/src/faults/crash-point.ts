/** Kills this process as `kill -9` does: nothing after it runs, not even in another thread's favour. */
const die = (): void => {
  process.kill(process.pid, 'SIGKILL');
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0); // the signal may take a moment; nothing of ours may happen in it
};

/**
 * A `crashPoint` that dies as `VIGIL_CRASH` says: `append.after-commit-before-ack:3` at the third pass of that point,
 * without a number at the first; several points parted by commas. Without the variable it never does.
 * @throws RangeError on a setting that can't be read
 */
export const crashPointFrom = (env: NodeJS.ProcessEnv = process.env, kill: () => void = die): ((name: string) => void) => {
  const left = new Map<string, number>();
  for (const setting of (env['VIGIL_CRASH'] ?? '').split(',').filter(Boolean)) {
    const [, name, pass] = /^([a-z][a-z.-]*?)(?::(\d+))?$/.exec(setting.trim()) ?? [];
    if (name === undefined || pass === '0') throw new RangeError(`VIGIL_CRASH: "${setting}" is not a point:pass`);
    left.set(name, Number(pass ?? 1));
  }
  return (name) => {
    const passes = left.get(name);
    if (passes === undefined) return;
    left.set(name, passes - 1);
    if (passes === 1) kill();
  };
};
