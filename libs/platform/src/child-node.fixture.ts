import { type ChildProcess, spawn } from 'node:child_process';
import { join } from 'node:path';

const root = join(__dirname, '../../..');

/** For specs: another node running `body` (an async function's, with `platform` in scope), told apart by its first stdout line. */
export const childNode = (body: string, options: { uid?: number; gid?: number; env?: NodeJS.ProcessEnv } = {}): ChildNode => {
  const script = `const platform = require(${JSON.stringify(join(__dirname, 'index.ts'))});
    (async () => { ${body} })().catch((e) => { process.stdout.write((e.code ? e.code + ' ' + e.message : e.stack) + '\\n'); process.exit(1); });`;
  const child = spawn(process.execPath, ['-r', join(root, 'node_modules/@swc-node/register'), '-e', script], {
    cwd: root,
    ...options,
    env: { ...process.env, SWC_NODE_PROJECT: join(root, 'tsconfig.base.json'), ...options.env },
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  let [text, said] = ['', (): void => undefined];
  child.stdout!.on('data', (chunk: Buffer) => ((text += chunk.toString()), said()));
  const ended = new Promise<void>((done) => child.once('close', () => (done(), said())));
  const line = async (start: string): Promise<string> => {
    for (;;) {
      const found = text
        .split('\n')
        .slice(0, -1)
        .find((each) => each.startsWith(start));
      if (found !== undefined) return found;
      if (child.exitCode !== null || child.signalCode !== null) throw new Error(`child ended: ${text}`);
      await new Promise<void>((done) => ((said = done), void ended.then(done)));
    }
  };
  return { child, line, ended, kill: async () => (child.kill('SIGKILL'), ended) };
};

export interface ChildNode {
  readonly child: ChildProcess;
  /** The first whole line of stdout that starts so. */
  line(start: string): Promise<string>;
  readonly ended: Promise<void>;
  kill(): Promise<void>;
}
