import type { Config } from '@vigil/platform';
import { withEngine } from '../connect';
import { EXIT, Failure, type ExitCode } from '../exit';
import type { Client } from '../http';
import { count, say } from '../language';
import { lastFullMonth, readSettings } from '../settings';
import { COMMUNITIES } from '../simulate/district';
import { KINDS, pushStory, type Kind, type Pushed, type Tally } from '../simulate/push';
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
export const storyOf = ({ seed, months, until }: StoryFlags, { timeZone }: Config, routine?: number): Story => {
  const last = until ?? lastFullMonth(timeZone);
  if (!/^(200[5-9]|20[1-9]\d|21[0-4]\d)-(0[1-9]|1[0-2])$/.test(last))
    throw new Failure(
      EXIT.usage,
      say(`--until 应为 2005 年起的 YYYY-MM,而不是“${last}”`, `--until is a month YYYY-MM from 2005 on, not "${last}"`),
    );
  return story({
    seed: wholeNumber(seed, '--seed', 0, 999_999_999),
    months: wholeNumber(months, '--months', 1, 240),
    until: last,
    ...(routine !== undefined && { routine }),
  });
};

export const send = async (client: Client, told: Story): Promise<Pushed> => {
  const bar = await progress(say('模拟上报', 'simulating'));
  const pushed = await pushStory(client, told, bar).finally(() => bar.end());
  for (const problem of pushed.problems) note(JSON.stringify(problem));
  return pushed;
};

/** What was written, by kind, of a register with how many files that is; nothing is left out of the sums. */
const kindsTable = ({ kinds, accepted, duplicates, rejected }: Pushed, { steps }: Story): Promise<string> => {
  const files = new Map<string, Set<string>>();
  for (const step of steps)
    if (step.kind === 'command' && step.register !== 'injuries')
      files.set(step.register, (files.get(step.register) ?? new Set()).add(step.id));
  const filesOf = (kind: Kind): string => {
    const n = files.get(kind)?.size;
    return n === undefined ? '' : say(`(${count(n)} 份)`, ` (${count(n)} file${n === 1 ? '' : 's'})`);
  };
  const row = (name: string, tally: Tally): string[] => [
    name,
    count(tally.accepted),
    count(tally.duplicates),
    count(tally.rejected),
  ];
  const rows = (Object.entries(KINDS) as [Kind, readonly [string, string]][]).flatMap(([kind, [zh, en]]) =>
    kinds[kind] ? [row(say(zh, en) + filesOf(kind), kinds[kind])] : [],
  );
  return table(
    [say('种类', 'kind'), say('接受', 'accepted'), say('重复', 'duplicates'), say('拒绝', 'rejected')],
    [...rows, row(say('合计', 'all'), { accepted, duplicates, rejected })],
    [1, 2, 3],
  );
};

/** Why records were refused that the story meant to be bad: an example of each. */
const foreseenLines = ({ foreseen }: Pushed): string[] =>
  foreseen.map((problem) => {
    const { code, detail, pointer } = problem as { code: string; detail: string; pointer?: string };
    return `  ${code}${pointer ? ` ${pointer}` : ''}: ${detail}`;
  });

/** Bad records are part of the story; only refusals beyond them are a fault. */
export const exitOf = ({ unexpected, accepted, duplicates }: Pushed): ExitCode =>
  unexpected === 0 ? EXIT.done : accepted + duplicates > 0 ? EXIT.partly : EXIT.refused;

export const simulate = async ({ json, ...flags }: SimulateOptions): Run => {
  const config = readSettings();
  const told = storyOf(flags, config);
  return withEngine(config, async (client) => {
    const began = performance.now();
    const pushed = await send(client, told);
    const { accepted, duplicates, rejected, unexpected, kinds, position } = pushed;
    const seconds = (performance.now() - began) / 1000;
    const { zh, en } = COMMUNITIES[0].name;
    if (json)
      out(
        JSON.stringify({
          accepted,
          duplicates,
          rejected,
          unexpected,
          position: position ?? null,
          first: told.first,
          last: told.last,
          kinds,
          seconds: Number(seconds.toFixed(2)),
        }),
      );
    else {
      out(say(`${zh}(虚构):${told.first} 至 ${told.last}`, `${en} (made up): ${told.first} to ${told.last}`));
      out(await kindsTable(pushed, told));
      if (pushed.foreseen.length > 0)
        out(
          [
            say('有错的记录是故事的一部分,拒绝的理由如:', 'bad records are part of the story; refused for reasons such as:'),
            ...foreseenLines(pushed),
          ].join('\n'),
        );
      out(
        say(
          `用时 ${seconds.toFixed(1)} 秒,每秒 ${count(Math.round(told.size / seconds))} 项`,
          `${seconds.toFixed(1)} s, ${count(Math.round(told.size / seconds))} a second`,
        ),
      );
    }
    return exitOf(pushed);
  });
};
