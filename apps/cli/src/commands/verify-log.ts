import { readFile } from 'node:fs/promises';
import { readPublicKey, START, verifyLog as compare, type PublicKeys, type Verification } from '@vigil/event-log';
import { loadServer } from '../connect';
import { EXIT, Failure, type ExitCode } from '../exit';
import { count, language, say } from '../language';
import { openLogSource } from '../log-source';
import { readSettings } from '../settings';
import { note, out, progress, table } from '../terminal';
import type { JsonOption, Run } from './context';

export interface VerifyLogOptions extends JsonOption {
  readonly heads?: string;
  readonly key?: readonly string[];
  readonly moved?: boolean;
}

/** 0: all that is sealed is as it was. 1: nothing is sealed, so nothing is proven. 4: log and heads contradict each other. */
export const verifyExit = ({ breach, heads, unsealed }: Verification): ExitCode =>
  breach ? EXIT.refused : heads === 0 && unsealed !== 0 ? EXIT.partly : EXIT.done;

/** Compares the stored log with its signed heads. Changes nothing. */
export const verifyLog = async (options: VerifyLogOptions): Run => {
  const config = readSettings();
  const keys = options.key && (await readKeys(options.key));
  const heads = options.heads ?? loadServer().headsFolder(config);
  const source = await openLogSource(config);
  const bar = await progress(say('核验', 'verifying'));
  try {
    note(say(`事件取自${source.from},链头取自 ${heads}`, `events from ${source.from}, heads from ${heads}`));
    const found = await compare({
      pages: source.pages(START),
      heads,
      keys,
      moved: options.moved,
      progress: (events) => bar.to(events),
    });
    bar.end();
    if (options.json) out(JSON.stringify(found));
    else await print(found, keys !== undefined);
    return verifyExit(found);
  } finally {
    bar.end();
    await source.close();
  }
};

const readKeys = async (files: readonly string[]): Promise<PublicKeys> =>
  new Map(
    await Promise.all(
      files.map(async (file) => {
        try {
          return readPublicKey(await readFile(file, 'utf8'));
        } catch (error) {
          const why = (error as NodeJS.ErrnoException).code ?? (error as Error).message;
          throw new Failure(
            EXIT.usage,
            say(
              `--key ${file} 不是 Ed25519 公钥(PEM)的文件(${why})`,
              `--key ${file} is no file with an Ed25519 public key in PEM (${why})`,
            ),
          );
        }
      }),
    ),
  );

const print = async (found: Verification, keysGiven: boolean): Promise<void> => {
  const { verified, position, heads, sealedAt, unsealed, digest, keys, breach } = found;
  const rows = [
    [
      say('已核验', 'verified'),
      position === null
        ? say('0 个事件', '0 events')
        : say(`${count(verified)} 个事件,至位置 ${position}`, `${count(verified)} events, up to position ${position}`),
    ],
    [
      say('链头', 'heads'),
      sealedAt === null
        ? say('没有', 'none')
        : say(`${count(heads)} 个,最后一个于 ${sealedAt} 封存`, `${count(heads)}, the last sealed at ${sealedAt}`),
    ],
    ...(keys.length > 0 ? [[say('密钥', 'keys'), keys.join(' ')]] : []),
    ...(unsealed === null
      ? []
      : [[say('尚未封存', 'not yet sealed'), say(`${count(unsealed)} 个事件`, `${count(unsealed)} events`)]]),
    ...(digest === null ? [] : [[say('摘要', 'digest'), digest]]),
    ...(breach
      ? [
          [
            say('首个不符之处', 'first breach'),
            say(
              `位置 ${breach.position ?? '(日志末尾之后)'},第 ${count(breach.event)} 个事件,链头文件第 ${count(breach.line)} 行 [${breach.kind}]`,
              `position ${breach.position ?? '(past the end of the log)'}, event ${count(breach.event)}, line ${count(breach.line)} of the heads [${breach.kind}]`,
            ),
          ],
        ]
      : []),
  ];
  out(await table(['', ''], rows).then((text) => text.split('\n').slice(1).join('\n')));
  if (breach) out(`${say('不符:', 'BREACH: ')}${breach.detail[language()]}`);
  else if (heads === 0)
    out(
      say(
        '没有封存过任何事件,什么也没有证明;服务运行时会封存',
        'nothing has been sealed, so nothing is proven; a running server seals',
      ),
    );
  else out(say('日志与封存时一致', 'the log is as it was sealed'));
  if (!keysGiven && keys.length > 0)
    note(
      say(
        '公钥取自链头旁边;要防能改写链头文件夹的人,请另存公钥并用 --key 指明',
        'the public keys were taken from beside the heads; against those who can rewrite that folder, keep a copy elsewhere and give it with --key',
      ),
    );
};
