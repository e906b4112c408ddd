import Table from 'cli-table3';
import { mkdir, writeFile } from 'node:fs/promises';
import { cpus } from 'node:os';
import { join } from 'node:path';
import { benchAppend } from './append';
import { benchHttp } from './http';
import { benchImport } from './import';
import { benchKafka } from './kafka';
import { benchObservations, benchObservationsLarge } from './observations';
import { benchLinkage } from './linkage';
import { benchRead } from './read';
import { benchRebuild } from './rebuild';
import { benchStatistics } from './statistics';
import { benchMemory, benchStart } from './whole-process';
import type { Figure } from './world';

const BENCHES: Readonly<Record<string, (rounds: number) => Promise<Figure[]>>> = {
  append: benchAppend,
  read: benchRead,
  import: benchImport,
  rebuild: benchRebuild,
  linkage: benchLinkage,
  observations: benchObservations,
  'observations-10m': benchObservationsLarge,
  statistics: benchStatistics,
  http: benchHttp,
  kafka: benchKafka,
  memory: benchMemory,
  start: benchStart,
};

/** Too long to be part of every run. */
const ON_DEMAND = new Set(['observations-10m']);

/** `npm run bench [-- name …] [--rounds n]`: measures, prints one table, writes `.bench/<name>.json`. */
export const main = async (args: readonly string[]): Promise<void> => {
  const at = args.indexOf('--rounds');
  const rounds = at >= 0 ? Number(args[at + 1]) : 3;
  const names = args.filter((arg, index) => !arg.startsWith('--') && (at < 0 || index !== at + 1));
  const unknown = names.find((name) => !(name in BENCHES));
  if (unknown !== undefined || !(rounds >= 1 && rounds <= 20)) {
    process.stderr.write(`npm run bench [-- ${Object.keys(BENCHES).join('|')} …] [--rounds 1…20]\n`);
    process.exitCode = 2;
    return;
  }
  const folder = join(__dirname, '../../../.bench');
  await mkdir(folder, { recursive: true });
  const table = new Table({ head: ['what', 'measured', 'aim', ''], style: { head: [], border: [] } });
  for (const name of names.length > 0 ? names : Object.keys(BENCHES).filter((each) => !ON_DEMAND.has(each))) {
    process.stderr.write(`measuring ${name} …\n`);
    const figures = await BENCHES[name]!(rounds);
    for (const { what, value, aim, met } of figures)
      table.push([what, value, aim ?? '', met === undefined ? '' : met ? 'met' : 'MISSED']);
    await writeFile(
      join(folder, `${name}.json`),
      `${JSON.stringify({ name, rounds, node: process.version, cores: cpus().length, figures }, null, 2)}\n`,
    );
  }
  process.stdout.write(`${table.toString()}\n`);
};
