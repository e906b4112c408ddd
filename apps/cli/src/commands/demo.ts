import { PortTaken, startHere, untilReady, type Running } from '../connect';
import { EXIT, Failure } from '../exit';
import { createClient, type Client } from '../http';
import { count, say } from '../language';
import { figure, interval, type Answer, type Observation } from '../observations';
import { portIsFree } from '../ports';
import { readSettings } from '../settings';
import { COMMUNITIES } from '../simulate/district';
import { note, out, progress, table, untilSignal } from '../terminal';
import { awaitPosition } from '../wait';
import type { JsonOption, Run } from './context';
import { exitOf, send, storyOf, type StoryFlags } from './simulate';

export interface DemoOptions extends StoryFlags, JsonOption {
  readonly port?: string;
  /** commander's `--no-serve`. */
  readonly serve: boolean;
  readonly once?: boolean;
}

const FOLDER = './.vigil-demo';
const PORTS_TRIED = 20;
/** The registers' routine is hundreds of single requests a year; half of one shows what there is. */
const ROUTINE_MONTHS = 6;

/** A made-up district in a data folder of its own: engine, server, two years of reports, half a year of its registers, the first rates, and where to look. */
export const demo = async ({ port, serve, once, json, ...flags }: DemoOptions): Run => {
  const began = performance.now();
  const config = readSettings({
    VIGIL_DATA_DIR: process.env['VIGIL_DATA_DIR']?.trim() || FOLDER,
    ...(port !== undefined && { PORT: port }),
  });
  const told = storyOf(flags, config, ROUTINE_MONTHS);
  const signalled = untilSignal();
  note(
    say(
      `演示数据存放在 ${config.dataDir}(与 ./.vigil 中的真实数据分开;内容均为虚构)`,
      `demo data goes to ${config.dataDir} (apart from real data in ./.vigil; all of it is made up)`,
    ),
  );
  const running = await startOnFreePort({ ...config, logLevel: config.logLevel ?? 'warn' });
  let interrupted = false;
  const stopped = signalled.then(() => {
    interrupted = true;
    return running.close();
  });
  try {
    if ((await untilReady(running.url)) !== 'ready')
      throw new Failure(EXIT.unreachable, say('服务未就绪', "the server doesn't get ready"));
    const client = createClient(running.url);
    await refuseForeignFolder(client, config.dataDir);
    note(say(`已在 ${running.url} 应答(${seconds(began)} 秒)`, `answering at ${running.url} (${seconds(began)} s)`));
    const pushed = await send(client, told);
    if (pushed.position !== undefined) {
      const waiting = await progress(say('等待统计就绪', 'waiting for the read models'));
      await awaitPosition(client, pushed.position, waiting).finally(() => waiting.end());
    }
    const period = lastTwelveMonths(told.last);
    const rates = await readRates(client, period);
    if (json)
      out(
        JSON.stringify({
          url: running.url,
          dataDir: config.dataDir,
          accepted: pushed.accepted,
          duplicates: pushed.duplicates,
          rejected: pushed.rejected,
          unexpected: pushed.unexpected,
          position: pushed.position ?? null,
          period,
          data: rates,
        }),
      );
    else {
      out(say(`\n示例区伤害率,${period}(虚构数据)`, `\nInjury rates of the example district, ${period} (made-up data)`));
      out(await ratesTable(rates));
      const foreseen = pushed.rejected > 0 && pushed.unexpected === 0;
      out(
        say(
          `${count(pushed.accepted)} 条接受,${count(pushed.duplicates)} 条重复,${count(pushed.rejected)} 条拒绝${foreseen ? '(故事中有错的记录)' : ''};用时 ${seconds(began)} 秒`,
          `${count(pushed.accepted)} accepted, ${count(pushed.duplicates)} duplicates, ${count(pushed.rejected)} rejected${foreseen ? ' (bad records of the story)' : ''}; ${seconds(began)} s in all`,
        ),
      );
      out(addresses(running.url, period, told.last.slice(0, 7), serve && !once));
    }
    if (serve && !once) await Promise.race([stopped, running.failed]);
    return exitOf(pushed);
  } catch (error) {
    if (interrupted) return EXIT.interrupted; // what failed then is the request that Ctrl-C cut off
    throw error;
  } finally {
    await running.close();
  }
};

const seconds = (began: number): string => ((performance.now() - began) / 1000).toFixed(1);

/** The port asked for, or the next free one above it. */
const startOnFreePort = async (config: ReturnType<typeof readSettings>): Promise<Running> => {
  const free = config.port === 0 ? 0 : await freePortFrom(config.port);
  for (let tried = 0; ; tried++) {
    try {
      return await startHere({ ...config, port: free + tried }, free === 0 ? 0 : free + tried, EXIT.refused);
    } catch (error) {
      if (!(error instanceof PortTaken) || tried >= PORTS_TRIED) throw error;
    }
  }
};

/** Looking first saves starting an engine only to find its port taken; `startHere` still decides. */
const freePortFrom = async (port: number): Promise<number> => {
  for (let at = port; at < port + PORTS_TRIED && at <= 65_535; at++) if (await portIsFree(at)) return at;
  return port;
};

/** Made-up records never enter a folder that holds others. */
const refuseForeignFolder = async (client: Client, dataDir: string): Promise<void> => {
  const { data } = await client.get<{ data: readonly { code: string; name?: { zh?: string } }[] }>(
    '/api/v1/communities?limit=10',
  );
  const ours = new Map<string, string>(COMMUNITIES.map(({ code, name }) => [code, name.zh]));
  // A community of ours by another name: a demo of an earlier version, whose records this one's would contradict.
  const foreign = data.find(({ code, name }) => !ours.has(code) || (name?.zh !== undefined && name.zh !== ours.get(code)));
  if (foreign)
    throw new Failure(
      EXIT.refused,
      say(
        `${dataDir} 存有其他社区(${foreign.code})的数据,演示不会写入;请去掉 VIGIL_DATA_DIR 或另指一处`,
        `${dataDir} holds data of other communities (${foreign.code}), and the demo doesn't write there; unset VIGIL_DATA_DIR or choose another folder`,
      ),
    );
};

/** `first/last`, the twelve months that end on `last`. */
export const lastTwelveMonths = (last: string): string => {
  const [year, month] = [Number(last.slice(0, 4)), Number(last.slice(5, 7))];
  const first = month === 12 ? `${year}-01-01` : `${year - 1}-${String(month + 1).padStart(2, '0')}-01`;
  return `${first}/${last}`;
};

const readRates = async (client: Client, period: string): Promise<Observation[]> => {
  const ask = async (dimensions: string): Promise<readonly Observation[]> =>
    (await client.get<Answer>(`/api/v1/observations?${dimensions}&dimension=pe:${period}`, { headers: { prefer: 'wait=5' } }))
      .data;
  const bySex = await ask('dimension=dx:INC-01&dimension=ou:D-DEMO;S-01;S-02&dimension=sex:F;M');
  const others = await ask('dimension=dx:INC-01;INC-02;INC-04;INC-05;SEV-01&dimension=ou:D-DEMO;S-01;S-02');
  return [...bySex, ...others].sort((a, b) => a.dx.localeCompare(b.dx, 'en') || (a.ou ?? '').localeCompare(b.ou ?? '', 'en'));
};

const NAMES: Readonly<Record<string, readonly [string, string]>> = {
  'INC-01': ['伤害发生率', 'injury incidence'],
  'INC-02': ['年龄标化发生率', 'age-standardised incidence'],
  'INC-04': ['65 岁以上跌倒率', 'falls at 65 and over'],
  'INC-05': ['0–14 岁伤害率', 'injuries at 0–14'],
  'SEV-01': ['住院构成', 'admitted share'],
};
const SEX: Readonly<Record<string, readonly [string, string]>> = { F: ['女', 'female'], M: ['男', 'male'] };

const ratesTable = (data: readonly Observation[]): Promise<string> =>
  table(
    [
      say('指标', 'indicator'),
      '',
      say('地区', 'where'),
      say('性别', 'sex'),
      say('值', 'value'),
      say('95% 区间', '95% interval'),
      say('单位', 'unit'),
      say('例数', 'num'),
      say('分母', 'den'),
    ],
    data.map((row) => {
      const place = COMMUNITIES.find(({ code }) => code === row.ou);
      const sex = row['sex'] as string | undefined;
      const [zh, en] = NAMES[row.dx] ?? ['', ''];
      return [
        row.dx,
        say(zh, en),
        place ? say(place.name.zh, place.name.en) : (row.ou ?? ''),
        sex ? say(...(SEX[sex] ?? [sex, sex])) : '',
        figure(row.value),
        interval(row.ci),
        row.unit ?? '',
        figure(row.num),
        figure(row.den),
      ];
    }),
    [4, 5, 7, 8],
  );

const addresses = (url: string, period: string, month: string, serving: boolean): string => {
  const self = __filename.endsWith('.ts') ? 'npx vigil' : 'vigil'; // in a checkout the command isn't on the path
  const example = `/api/v1/observations?dimension=dx:INC-01;INC-04&dimension=pe:${period}&dimension=ou:S-01;S-02&dimension=age`;
  const csv = example.replace('/observations?', '/observations.csv?');
  if (!serving)
    return say(
      `\n再次查看:${self} demo(数据已在演示目录中,很快就绪)`,
      `\nTo look around: ${self} demo (the data is in the demo folder already, so it is quick)`,
    );
  return [
    '',
    say('可打开:', 'Open:'),
    `  ${url}/docs`,
    `  ${url}${example}`,
    `  ${url}${csv}`,
    say('命令行:', 'Or from another terminal:'),
    `  curl -s '${url}${example}'`,
    `  curl -s '${url}/api/v1/observations.csv?dimension=dx:INC-01&dimension=pe:${month}&dimension=ou:D-DEMO_CHILDREN&dimension=mechanism'`,
    `  curl -s '${url}/api/v1/hazards?state=overdue'`,
    `  curl -s '${url}/api/v1/events?after=0&limit=5'`,
    `  VIGIL_URL=${url} ${self} query 'dimension=dx:INC-04&dimension=pe:LAST_12_MONTHS&dimension=ou:D-DEMO'`,
    '',
    say(`正在 ${url} 服务;按 Ctrl-C 结束`, `serving at ${url}; Ctrl-C ends it`),
  ].join('\n');
};
