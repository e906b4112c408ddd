// Bundles the engine's own sources into dist/vigil.js, and the thread that holds facts into a file beside it; the libraries they use
// stay packages.
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
  entryPoints: { vigil: join(here, 'src/main.ts'), 'fact-columns-worker': join(root, 'libs/indicators/src/columns/worker.ts') },
  outdir: join(here, 'dist'),
  bundle: true,
  platform: 'node',
  target: 'node20',
  format: 'cjs',
  packages: 'external',
  alias,
  sourcemap: true,
});
