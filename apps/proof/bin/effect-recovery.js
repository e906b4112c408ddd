'use strict';
const { join } = require('node:path');
process.env.TZ = 'UTC';
process.env.SWC_NODE_PROJECT = join(__dirname, '../../../tsconfig.base.json');
require('@swc-node/register');
require('../src/effect-recovery.ts').main(process.argv.slice(2));
