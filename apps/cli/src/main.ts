import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Command, CommanderError, Help, Option } from 'commander';
import { EXIT, Failure, problemLines, type ExitCode } from './exit';
import { language, say } from './language';
import { note, out, quietBrokenPipes } from './terminal';

// Only commander is loaded before the command is known: each command's own file, and above all the server, comes when it's run.
/* eslint-disable @typescript-eslint/no-require-imports -- nodenext wants `import()` of our files with `.js`, which jest and swc-node don't find */
const load = {
  serve: () => require('./commands/serve') as typeof import('./commands/serve'),
  demo: () => require('./commands/demo') as typeof import('./commands/demo'),
  import: () => require('./commands/import') as typeof import('./commands/import'),
  query: () => require('./commands/query') as typeof import('./commands/query'),
  log: () => require('./commands/log') as typeof import('./commands/log'),
  rebuild: () => require('./commands/rebuild') as typeof import('./commands/rebuild'),
  projections: () => require('./commands/projections') as typeof import('./commands/projections'),
  simulate: () => require('./commands/simulate') as typeof import('./commands/simulate'),
  doctor: () => require('./commands/doctor') as typeof import('./commands/doctor'),
  verifyLog: () => require('./commands/verify-log') as typeof import('./commands/verify-log'),
  exportLog: () => require('./commands/export-log') as typeof import('./commands/export-log'),
  importLog: () => require('./commands/import-log') as typeof import('./commands/import-log'),
};
/* eslint-enable @typescript-eslint/no-require-imports */

const version = (): string => {
  const { version: own } = JSON.parse(readFileSync(join(__dirname, '../package.json'), 'utf8')) as { version: string };
  return own;
};

const examples = (...lines: readonly string[]): string =>
  `\n${say('示例', 'Examples')}:\n${lines.map((line) => `  ${line}`).join('\n')}`;

/** commander speaks English only; its handful of sentences in Chinese. */
const ERRORS: readonly (readonly [RegExp, string])[] = [
  [/unknown option '(.+?)'/, '没有选项“$1”'],
  [/unknown command '(.+?)'/, '没有命令“$1”'],
  [/missing required argument '(.+?)'/, '缺少参数“$1”'],
  [/required option '(.+?)' not specified/, '缺少必需的选项“$1”'],
  [/option '(.+?)' argument missing/, '选项“$1”缺少值'],
  [/too many arguments for '(.+?)'\. Expected (\d+) arguments? but got (\d+)\./, '“$1”最多 $2 个参数,收到 $3 个'],
  [/too many arguments\. Expected (\d+) arguments? but got (\d+)\./, '最多 $1 个参数,收到 $2 个'],
  [/option '(.+?)' cannot be used with option '(.+?)'/, '选项“$1”不能与“$2”同用'],
  [/\(Did you mean (.+?)\?\)/, '(是否为 $1?)'],
  [/^error: /, '错误:'],
];
const HEADINGS: readonly (readonly [RegExp, string])[] = [
  [/^Usage:/m, '用法:'],
  [/^Arguments:/m, '参数:'],
  [/^Options:/m, '选项:'],
  [/^Commands:/m, '命令:'],
  [/\(default: /g, '(默认:'],
];
const inLanguage = (text: string, rules: readonly (readonly [RegExp, string])[]): string =>
  language() === 'zh' ? rules.reduce((said, [from, to]) => said.replace(from, to), text) : text;

class LocalHelp extends Help {
  override formatHelp(command: Command, helper: Help): string {
    return inLanguage(super.formatHelp(command, helper), HEADINGS);
  }
}
class LocalCommand extends Command {
  override createCommand(name?: string): LocalCommand {
    return new LocalCommand(name);
  }
  override createHelp(): Help {
    return Object.assign(new LocalHelp(), this.configureHelp());
  }
}

/** What `program` learns: the code of the command that ran. */
type Done = (code: ExitCode) => void;

export const createProgram = (done: Done): Command => {
  const program = new LocalCommand('vigil')
    .description(say('守安:安全社区伤害监测与指标引擎', 'Vigil: injury surveillance and indicators for safe communities'))
    .version(version(), '-V, --version', say('显示版本', 'show the version'))
    .helpOption('-h, --help', say('显示帮助', 'show help'))
    .helpCommand('help [command]', say('显示一个命令的帮助', 'show help of a command'))
    .showHelpAfterError(say('(vigil --help 查看用法)', '(vigil --help shows the usage)'))
    .exitOverride()
    .allowExcessArguments(false)
    .configureOutput({
      writeErr: (text) => void process.stderr.write(text),
      outputError: (text, write) => write(inLanguage(text, ERRORS)),
    })
    .addHelpText(
      'after',
      `\n${say(
        '命令使用 VIGIL_URL(默认 http://127.0.0.1:7420)处的服务;无人应答时直接使用数据目录 VIGIL_DATA_DIR(默认 ./.vigil)。\n语言由 VIGIL_LANG 或 LANG 决定。退出码:0 完成,1 部分完成,2 用法有误,3 无法连接,4 被拒绝。',
        'Commands talk to the server at VIGIL_URL (default http://127.0.0.1:7420); when none answers they use the data folder VIGIL_DATA_DIR (default ./.vigil).\nVIGIL_LANG or LANG chooses the language (zh, en). Exit codes: 0 done, 1 partly, 2 usage, 3 unreachable, 4 refused.',
      )}`,
    );
  const json = (): Option => new Option('--json', say('以 JSON 输出', 'print JSON'));
  const story = (command: Command, months: string): Command =>
    command
      .option('--seed <n>', say('随机种子;同一种子与终月得到同一日志', 'seed; the same seed and end give the same log'), '1')
      .option('--months <n>', say('月数', 'how many months'), months)
      .option('--until <YYYY-MM>', say('最后一个月(默认:上一个完整的月)', 'last month (default: the last full month)'));

  program
    .command('serve')
    .description(say('运行服务,就绪后在标准输出打印一行地址', 'run the server; prints one line with its address once it answers'))
    .option('--port <n>', say('端口(默认 PORT 或 7420;0 为任选)', 'port (default PORT or 7420; 0 takes any free one)'))
    .option('--role <roles>', say('角色,逗号分隔:api,projector,feeds', 'roles, by commas: api,projector,feeds'))
    .addOption(json())
    .addHelpText('after', examples('vigil serve', 'vigil serve --port 8080', 'VIGIL_DATA_DIR=/srv/vigil vigil serve'))
    .action(async (options) => done(await load.serve().serve(options)));

  story(
    program
      .command('demo')
      .description(
        say('虚构一个区的两年数据,启动服务并打印伤害率', 'make up two years of a district, serve it and print its rates'),
      )
      .option('--port <n>', say('端口(默认 7420,被占用时取下一个)', 'port (default 7420, the next free one when taken)')),
    '24',
  )
    .option('--no-serve', say('打印后结束', 'end after printing'))
    .option('--once', say('同 --no-serve', 'same as --no-serve'))
    .addOption(json())
    .addHelpText(
      'after',
      `\n${say('数据存放在 ./.vigil-demo(设有 VIGIL_DATA_DIR 时用它),不与 ./.vigil 的真实数据相混。', 'Its data lives in ./.vigil-demo (or VIGIL_DATA_DIR when set), apart from real data in ./.vigil.')}\n${examples('vigil demo', 'vigil demo --once', 'vigil demo --until 2026-03 --seed 7')}`,
    )
    .action(async (options) => done(await load.demo().demo(options)));

  program
    .command('import')
    .description(say('导入文件(CSV 或 TSV,可为 gzip)', 'import a file (CSV or TSV, gzipped or not)'))
    .argument('<file>', say('要导入的文件', 'the file'))
    .requiredOption(
      '--mapping <name>',
      say('映射:niss-card、neiss-under2、population …', 'mapping: niss-card, neiss-under2, population …'),
    )
    .option('--community <code>', say('记录所属的社区', 'community of the records'))
    .option('--dry-run', say('只检查,不写入', 'check only, write nothing'))
    .option('--wait', say('等到统计包含这些行', 'wait until the read models hold the rows'))
    .option(
      '--errors <file>',
      say('被拒绝的行存入此文件(默认 <文件>.errors.csv)', 'where rejected rows go (default <file>.errors.csv here)'),
    )
    .addOption(json())
    .addHelpText(
      'after',
      examples(
        'vigil import cards.csv --mapping niss-card --community S-01',
        'vigil import people.csv --mapping population --community S-01 --dry-run',
        'vigil import neiss.csv.gz --mapping neiss-under2 --wait --json',
      ),
    )
    .action(async (file, options) => done(await load.import().importFile(file, options)));

  program
    .command('query')
    .description(say('查询指标', 'query indicators'))
    .argument('<query>', say('/observations 的查询串', 'the query string of /observations'))
    .addOption(new Option('--csv', say('以 CSV 输出', 'print CSV')).conflicts(['json', 'jsonStat', 'xlsx', 'parquet']))
    .addOption(
      new Option('--json-stat', say('以 JSON-stat 2.0 输出', 'print JSON-stat 2.0')).conflicts(['json', 'xlsx', 'parquet']),
    )
    .addOption(
      new Option('--xlsx <file>', say('存为 Excel 工作簿(- 为标准输出)', 'write an Excel workbook (- is stdout)')).conflicts([
        'json',
        'parquet',
      ]),
    )
    .addOption(
      new Option('--parquet <file>', say('存为 Parquet(- 为标准输出)', 'write Parquet (- is stdout)')).conflicts(['json']),
    )
    .addOption(json())
    .addHelpText(
      'after',
      examples(
        "vigil query 'dimension=dx:INC-01&dimension=pe:LAST_12_MONTHS&dimension=ou:S-01'",
        "vigil query 'dimension=dx:INC-04;INC-05&dimension=pe:2025&dimension=ou:D-DEMO_CHILDREN&dimension=sex' --csv",
        "vigil query 'dimension=dx:INC-01&dimension=pe:2025&filter=age:75+' --json",
        "vigil query 'dimension=dx:INC-01&dimension=pe:2025&dimension=ou:LEVEL-1' --xlsx rates.xlsx",
      ),
    )
    .action(async (query, options) => done(await load.query().query(query, options)));

  const log = program.command('log').description(say('查看事件日志', 'look at the event log'));
  log
    .command('tail')
    .description(say('打印最后的事件', 'print the last events'))
    .option('--after <position>', say('从此位置之后开始', 'begin after this position'))
    .option('--limit <n>', say('至多多少个', 'how many at most'), '20')
    .option('-f, --follow', say('持续打印新事件', 'keep printing new ones'))
    .addOption(json())
    .addHelpText('after', examples('vigil log tail', 'vigil log tail --follow', 'vigil log tail --after 0 --limit 100 --json'))
    .action(async (options) => done(await load.log().tail(options)));

  program
    .command('rebuild')
    .description(
      say(
        '由日志在旁边重建读模型,核对后一次切换',
        'fold the log into new read models beside the live ones, compare, and switch at once',
      ),
    )
    .argument('[projection]', say('只这一个', 'only this one'))
    .option(
      '--check',
      say('不重建:与另一套代码由日志算出的结果逐行比较', 'rebuild nothing: compare row by row with a fold by independent code'),
    )
    .addOption(new Option('--back', say('换回上次重建前的读模型', 'put back what the last rebuild replaced')).conflicts('check'))
    .addOption(json())
    .addHelpText(
      'after',
      examples('vigil rebuild', 'vigil rebuild injury-facts', 'vigil rebuild --check', 'vigil rebuild injury-facts --back'),
    )
    .action(async (projection, options) => done(await load.rebuild().rebuild(projection, options)));

  const projections = program
    .command('projections')
    .description(say('列出投影;再试或跳过使其停止的事件', 'list the projections; retry or pass over the event that halted one'));
  projections
    .command('list', { isDefault: true })
    .description(say('位置、滞后、归属与停止的原因', 'positions, lag, owners, and what halted them'))
    .addOption(json())
    .addHelpText('after', examples('vigil projections', 'vigil projections list --json'))
    .action(async (options) => done(await load.projections().list(options)));
  projections
    .command('retry')
    .description(say('再试一次', 'try again'))
    .argument('<projection>', say('投影名', 'its name'))
    .addOption(json())
    .addHelpText('after', examples('vigil projections retry injury-facts'))
    .action(async (name, options) => done(await load.projections().retry(name, options)));
  projections
    .command('skip')
    .description(
      say('跳过一个事件并记下理由;此后的统计不含它', 'pass over an event and keep the reason; answers will be without it'),
    )
    .argument('<projection>', say('投影名', 'its name'))
    .requiredOption('--position <n>', say('使其停止的事件的位置', 'position of the event that halted it'))
    .requiredOption('--reason <text>', say('理由', 'why'))
    .option('--by <name>', say('由谁决定', 'who decided'))
    .addOption(json())
    .addHelpText(
      'after',
      examples("vigil projections skip injury-facts --position 4711 --reason 'sent by a test system' --by ana"),
    )
    .action(async (name, options) => done(await load.projections().skip(name, options)));

  story(
    program
      .command('simulate')
      .description(
        say(
          '经真实接口上报一个虚构的区:两个街镇、三年的伤害、隐患、事件、项目、调查与评估',
          'report a made-up district through the real interface: two communities, three years of injuries, hazards, incidents, a programme, a survey, evaluations',
        ),
      ),
    '36',
  )
    .addOption(json())
    .addHelpText(
      'after',
      examples(
        'vigil simulate',
        'vigil simulate --seed 7 --months 12 --until 2026-03',
        'VIGIL_DATA_DIR=/tmp/try vigil simulate --json',
      ),
    )
    .action(async (options) => done(await load.simulate().simulate(options)));

  program
    .command('doctor')
    .description(say('检查本机与配置', 'check this machine and the configuration'))
    .addOption(json())
    .addHelpText('after', examples('vigil doctor', 'vigil doctor --json'))
    .action(async (options) => done(await load.doctor().doctor(options)));

  const several = (value: string, before: readonly string[] = []): readonly string[] => [...before, value];
  program
    .command('verify-log')
    .description(
      say(
        '核验日志是否与封存时一致,指出首个不符的位置',
        'compare the log with its signed heads and name the first position that differs',
      ),
    )
    .option(
      '--heads <dir>',
      say(
        '链头所在文件夹(默认 VIGIL_HEADS_DIR 或数据目录下 heads)',
        'folder of the heads (default VIGIL_HEADS_DIR, or heads in the data folder)',
      ),
    )
    .option(
      '--key <pem>',
      say(
        '只信此公钥文件(可多次给出;默认信链头旁边的)',
        'believe this public key only (may be given again; default: those beside the heads)',
      ),
      several,
    )
    .option('--moved', say('日志由另一存储移来,位置号可以不同', 'the log was moved from another store: its positions may differ'))
    .addOption(json())
    .addHelpText(
      'after',
      examples(
        'vigil verify-log',
        'vigil verify-log --heads /mnt/vault/heads --key /mnt/vault/2026.pem',
        'vigil verify-log --json',
      ),
    )
    .action(async (options) => done(await load.verifyLog().verifyLog(options)));

  program
    .command('export-log')
    .description(say('逐字节导出日志(NDJSON)', 'write the log to a file, byte for byte (NDJSON)'))
    .argument('<file>', say('要写的文件;- 为标准输出', 'the file to write; - is stdout'))
    .option('--resume', say('续写中断的文件', 'go on with a file that was broken off'))
    .addOption(json())
    .addHelpText(
      'after',
      examples(
        'vigil export-log vigil-log.ndjson',
        'vigil export-log vigil-log.ndjson --resume',
        'vigil export-log - | gzip > log.gz',
      ),
    )
    .action(async (file, options) => done(await load.exportLog().exportLog(file, options)));

  program
    .command('import-log')
    .description(
      say(
        '把导出的日志读入空的日志(或续完已导入一部分的)',
        'put an exported log into an empty one (or one that holds its beginning)',
      ),
    )
    .argument('<file>', say('export-log 写出的文件;- 为标准输入', 'a file that export-log wrote; - is stdin'))
    .option('--partial', say('接受没有结束行的文件,只取完整的行', 'take a file without its trailer: its whole lines'))
    .addOption(json())
    .addHelpText(
      'after',
      examples(
        'vigil import-log vigil-log.ndjson',
        'gunzip -c log.gz | vigil import-log -',
        'DATABASE_URL=postgres://… vigil import-log vigil-log.ndjson',
      ),
    )
    .action(async (file, options) => done(await load.importLog().importLog(file, options)));

  for (const name of ['snapshot'])
    program
      .command(name)
      .description(say('本版本尚未提供', 'not in this version'))
      .argument('[words...]')
      .allowUnknownOption()
      .action(() => {
        throw new Failure(EXIT.usage, say(`本版本尚未提供 vigil ${name}`, `vigil ${name} is not in this version`));
      });
  return program;
};

/** Runs one command line and answers with its exit code; never throws. */
export const main = async (argv: readonly string[]): Promise<number> => {
  quietBrokenPipes();
  let code: ExitCode = EXIT.done;
  try {
    await createProgram((result) => (code = result)).parseAsync([...argv], { from: 'user' });
    return code;
  } catch (error) {
    return tell(error, argv);
  }
};

const tell = (error: unknown, argv: readonly string[]): number => {
  if (error instanceof CommanderError) return error.exitCode === 0 ? EXIT.done : EXIT.usage; // its words are out already
  if (error instanceof Failure) {
    note(`vigil: ${error.message}`);
    if (error.problem) {
      for (const line of problemLines(error.problem)) note(line);
      if (error.problem.traceId && error.exitCode === EXIT.unreachable) note(`  traceId ${error.problem.traceId}`);
    }
    if (argv.includes('--json')) out(JSON.stringify({ problem: error.problem ?? { code: 'failed', detail: error.message } }));
    return error.exitCode;
  }
  const known = (error as { detail?: { zh?: string; en?: string } } | null)?.detail;
  const line = known?.en ? (known[language()] ?? known.en) : ((error as Error | null)?.message ?? String(error));
  note(`vigil: ${line}`);
  if (!known && process.env['VIGIL_LOG'] === 'debug') note(String((error as Error).stack));
  return EXIT.partly;
};
