#!/usr/bin/env -S node --max-old-space-size=512 --max-semi-space-size=8
'use strict';
// The heap's ceiling is what makes V8 collect early: without it an import's garbage takes 200 MB more than its data.
// In a checkout the sources are run as they are (npx vigil works right after npm ci); a packaged image carries one built file.
const { existsSync } = require('node:fs');
const { join } = require('node:path');

process.env.TZ = 'UTC'; // no answer may depend on the machine's zone; communities have their own (VIGIL_TIME_ZONE)

const source = join(__dirname, '../src/main.ts');
const built = join(__dirname, '../dist/vigil.js');
if (existsSync(source)) {
  const workspace = join(__dirname, '../../..');
  process.env.SWC_NODE_PROJECT = join(workspace, 'tsconfig.base.json');
  require('@swc-node/register');
  run(require(source));
} else run(require(built));

function run({ main }) {
  void main(process.argv.slice(2)).then((code) => {
    process.exitCode = code;
    // Whatever was left open must not keep a finished command from ending.
    setTimeout(() => process.exit(code), 5_000).unref();
  });
}
