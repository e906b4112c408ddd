import { loadServer, startFailure } from '../connect';
import { EXIT } from '../exit';
import { language } from '../language';
import { readSettings } from '../settings';
import { note, out } from '../terminal';
import type { JsonOption, Run } from './context';

export interface ServeOptions extends JsonOption {
  readonly port?: string;
  readonly role?: string;
}

/** Serves until SIGINT or SIGTERM. stdout gets one line, once the server answers; everything else is the log on stderr. */
export const serve = async ({ port, role, json }: ServeOptions): Run => {
  const config = readSettings({ ...(port !== undefined && { PORT: port }), ...(role !== undefined && { VIGIL_ROLES: role }) });
  const print = (line: string): void => out(json ? JSON.stringify({ url: line.replace(/^listening on /, '') }) : line);
  try {
    const code = await loadServer().serve(
      { ...config, logLevel: config.logLevel ?? 'info' },
      { print, complain: note, language: language() },
    );
    return code === 0 ? EXIT.done : EXIT.partly; // what was acknowledged is safe; a supervisor starts it again
  } catch (error) {
    throw startFailure(error, EXIT.refused, config.port);
  }
};
