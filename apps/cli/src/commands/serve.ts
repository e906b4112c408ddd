import { startHere, untilReady } from '../connect';
import { EXIT, Failure } from '../exit';
import { say } from '../language';
import { readSettings } from '../settings';
import { out, untilSignal } from '../terminal';
import type { JsonOption, Run } from './context';

export interface ServeOptions extends JsonOption {
  readonly port?: string;
  readonly role?: string;
}

/** Serves until SIGINT or SIGTERM. stdout gets one line, once the server answers; everything else is the log on stderr. */
export const serve = async ({ port, role, json }: ServeOptions): Run => {
  const config = readSettings({ ...(port !== undefined && { PORT: port }), ...(role !== undefined && { VIGIL_ROLES: role }) });
  const signalled = untilSignal();
  const starting = startHere({ ...config, logLevel: config.logLevel ?? 'info' }, config.port, EXIT.refused);
  // A signal during the start waits for it: an engine half started is closed whole.
  const running = await starting;
  try {
    if ((await untilReady(running.url)) !== 'ready')
      throw new Failure(
        EXIT.unreachable,
        say(`${running.url} 已启动但未就绪:见日志`, `${running.url} was started but doesn't get ready: see the log`),
      );
    out(json ? JSON.stringify({ url: running.url }) : `listening on ${running.url}`);
    await signalled;
  } finally {
    await running.close();
  }
  return EXIT.done;
};
