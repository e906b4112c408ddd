// Bundles the engine's own sources into one file, dist/vigil.js; the libraries it uses stay packages.
import { build } from 'esbuild';
import { readdirSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const here = dirname(fileURLToPath(import.meta.url));
const root = join(here, '../..');
const alias = Object.fromEntries(
  ['libs', 'apps'].flatMap((kind) =>
    readdirSync(join(root, kind)).map((name) => [`@vigil/${name}`, join(root, kind, name, 'src/index.ts')]),
  ),
);

await build({
  entryPoints: [join(here, 'src/main.ts')],
  outfile: join(here, 'dist/vigil.js'),
  bundle: true,
  platform: 'node',
  target: 'node20',
  format: 'cjs',
  packages: 'external',
  alias,
  sourcemap: true,
});
