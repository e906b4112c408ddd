import { readdirSync, readFileSync } from 'node:fs';
import { join, relative, sep } from 'node:path';
import { caseFiles } from './aggregates';

const root = join(__dirname, '../../..');
const sources = ['libs', 'apps'].flatMap((top) =>
  readdirSync(join(root, top), { recursive: true, encoding: 'utf8' })
    .filter((file) => /[/\\]src[/\\].*\.ts$/.test(file) && !/\.(spec|d)\.ts$/.test(file) && !file.includes('node_modules'))
    .map((file) => join(root, top, file)),
);
const folders = readdirSync(__dirname, { withFileTypes: true })
  .filter((entry) => entry.isDirectory())
  .map(({ name }) => name);

it('an aggregate imports no other aggregate', () => {
  for (const folder of folders)
    for (const file of readdirSync(join(__dirname, folder)).filter(
      (name) => name.endsWith('.ts') && !name.endsWith('.spec.ts'),
    )) {
      const imports = [...readFileSync(join(__dirname, folder, file), 'utf8').matchAll(/from '(\.[^']*)'/g)].map(
        ([, from]) => from!,
      );
      const others = imports.filter((from) => from.startsWith('../') && folders.includes(from.split('/')[1]!));
      expect({ folder, file, others }).toEqual({ folder, file, others: [] });
    }
});

// Adding an event touches its folder (decider, schema, golden file, test) and, where it is counted, a projection.
it("an event of a register is named only in the register's own folder and in projections", () => {
  for (const { name, events } of caseFiles) {
    const named = new RegExp(`\\b(${Object.keys(events).join('|')})\\b`);
    const elsewhere = sources
      .filter((file) => named.test(readFileSync(file, 'utf8')))
      .map((file) => relative(root, file).split(sep).join('/'))
      .filter(
        (file) =>
          !/^libs\/domain\/src\/[\w-]+\//.test(file) &&
          !file.startsWith('libs/projections/') &&
          !file.startsWith('apps/cli/src/simulate/'),
      );
    expect({ name, elsewhere }).toEqual({ name, elsewhere: [] });
  }
});
