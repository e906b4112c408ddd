'use strict';
const { join } = require('node:path');
process.env.TZ = 'UTC';
process.env.SWC_NODE_PROJECT = join(__dirname, '../../../tsconfig.base.json');
require('@swc-node/register');
void require('../src/simulate.ts').main(process.argv.slice(2));
