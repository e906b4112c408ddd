import { describeFaults, readConfig, type Config } from '@vigil/platform';
import { addDays, localDate, periodOf } from '@vigil/vocabulary';
import { EXIT, Failure } from './exit';
import { language, say } from './language';

/** The environment with a command's options laid over it; every fault at once, exit 2. */
export const readSettings = (over: Readonly<Record<string, string | undefined>> = {}): Config => {
  const read = readConfig({ ...process.env, ...over });
  if (read.ok) return read.value;
  const lines = describeFaults(read.faults, language());
  throw new Failure(EXIT.usage, `${say('配置有误', 'the configuration is not valid')}:\n${lines.replaceAll(/^/gm, '  ')}`);
};

/** `YYYY-MM` of the last month that is over where the communities are. */
export const lastFullMonth = (timeZone: string, now: number = Date.now()): string => {
  const thisMonth = periodOf('month', localDate(now, timeZone));
  return periodOf('month', addDays(thisMonth.start, -1)).id;
};
