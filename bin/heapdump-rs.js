#!/usr/bin/env node
'use strict';

// The command line: hands its arguments to the addon.

const { addon } = require('../lib/native.js');

process.exitCode = addon.runCommand(process.argv.slice(2));
