// npx heapdump-rs, as a program under test.

import path from 'node:path';

import { ROOT, startProgram } from './app.mjs';

export const BIN = path.join(ROOT, 'bin/heapdump-rs.js');

export const startCommand = (t, args, options) => startProgram(t, [process.execPath, BIN, ...args.map(String)], options);

/** Its code, signal and output once it has ended. */
export const runCommand = (t, args, options) => startCommand(t, args, options).ended();
