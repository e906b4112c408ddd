import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { crashPointFrom } from './crash-point';

const passes = (setting: string | undefined, names: readonly string[]): string[] => {
  const died: string[] = [];
  let at = '';
  const point = crashPointFrom({ VIGIL_CRASH: setting }, () => died.push(at));
  names.forEach((name, pass) => {
    at = `${name} ${pass}`;
    point(name);
  });
  return died;
};

test('dies at the pass that is named, once, and at no other point', () => {
  expect(passes('a.x:3', ['a.x', 'b', 'a.x', 'a.x-y', 'a.x', 'a.x', 'a.x'])).toEqual(['a.x 4']);
  expect(passes('a.x', ['a.x', 'a.x'])).toEqual(['a.x 0']);
  expect(passes('a:2, b', ['a', 'b', 'a'])).toEqual(['b 1', 'a 2']);
  expect(passes(undefined, ['a'])).toEqual([]);
  expect(passes('', ['a'])).toEqual([]);
});

test.each(['a:0', 'a:x', ':3', 'A', 'a:-1'])('refuses %s', (setting) => {
  expect(() => passes(setting, [])).toThrow(RangeError);
});

test('in a process of its own it is a kill: no exit handler, no more output', () => {
  const root = join(__dirname, '../../../..');
  const script = `
    const { crashPointFrom } = require(${JSON.stringify(join(__dirname, 'crash-point.ts'))});
    const { writeSync } = require('node:fs');
    process.on('exit', () => writeSync(1, 'exit'));
    const point = crashPointFrom();
    for (let n = 1; n <= 5; n++) { writeSync(1, String(n)); point('here'); }`;
  const { signal, stdout } = spawnSync(process.execPath, ['-r', '@swc-node/register', '-e', script], {
    cwd: root,
    env: { ...process.env, SWC_NODE_PROJECT: join(root, 'tsconfig.base.json'), VIGIL_CRASH: 'here:3' },
    encoding: 'utf8',
  });
  expect({ signal, stdout }).toEqual({ signal: 'SIGKILL', stdout: '123' });
});
