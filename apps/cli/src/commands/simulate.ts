import type { Config } from '@vigil/platform';
import { withEngine } from '../connect';
import { EXIT, Failure } from '../exit';
import type { Client } from '../http';
import { count, say } from '../language';
import { lastFullMonth, readSettings } from '../settings';
import { pushStory, type Pushed } from '../simulate/push';
import { story, type Story } from '../simulate/story';
import { note, out, progress, table } from '../terminal';
import type { JsonOption, Run } from './context';
import { wholeNumber } from './log';

export interface StoryFlags {
  readonly seed: string;
  readonly months: string;
  readonly until?: string;
}
export interface SimulateOptions extends StoryFlags, JsonOption {}

/** The story that the options name; ends with the last full month unless told otherwise. */
export const storyOf = ({ seed, months, until }: StoryFlags, { timeZone }: Config): Story => {
  const last = until ?? lastFullMonth(timeZone);
  if (!/^(19[5-9]\d|20\d\d|21[0-4]\d)-(0[1-9]|1[0-2])$/.test(last))
    throw new Failure(EXIT.usage, say(`--until 应为 YYYY-MM,而不是“${last}”`, `--until is a month YYYY-MM, not "${last}"`));
  return story({
    seed: wholeNumber(seed, '--seed', 0, 999_999_999),
    months: wholeNumber(months, '--months', 1, 240),
    until: last,
  });
};

export const send = async (client: Client, told: Story): Promise<Pushed> => {
  const bar = await progress(say('模拟上报', 'simulating'));
  const pushed = await pushStory(client, told, bar).finally(() => bar.end());
  for (const problem of pushed.problems) note(JSON.stringify(problem));
  return pushed;
};

export const simulate = async ({ json, ...flags }: SimulateOptions): Run => {
  const config = readSettings();
  const told = storyOf(flags, config);
  return withEngine(config, async (client) => {
    const began = performance.now();
    const pushed = await send(client, told);
    const { accepted, duplicates, rejected, position } = pushed;
    const seconds = (performance.now() - began) / 1000;
    if (json)
      out(
        JSON.stringify({
          accepted,
          duplicates,
          rejected,
          position: position ?? null,
          events: told.events,
          first: told.first,
          last: told.last,
          seconds: Number(seconds.toFixed(2)),
        }),
      );
    else {
      out(
        say(`${told.district}(虚构):${told.first} 至 ${told.last}`, `${told.district} (made up): ${told.first} to ${told.last}`),
      );
      out(
        await table(
          [say('接受', 'accepted'), say('重复', 'duplicates'), say('拒绝', 'rejected'), say('每秒', 'per second')],
          [[count(accepted), count(duplicates), count(rejected), count(Math.round(told.events / seconds))]],
          [0, 1, 2, 3],
        ),
      );
    }
    return rejected === 0 ? EXIT.done : accepted + duplicates > 0 ? EXIT.partly : EXIT.refused;
  });
};
