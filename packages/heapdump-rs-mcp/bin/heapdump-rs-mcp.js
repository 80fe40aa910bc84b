#!/usr/bin/env node
// The server on standard input and output. Both belong to the protocol: what a person reads goes to standard error.

import { serveStdio } from '@modelcontextprotocol/server/stdio';

import { createServer } from '../lib/server.js';
import { HELP, readSettings } from '../lib/settings.js';

let settings;
try {
  settings = readSettings(process.argv.slice(2));
} catch (error) {
  console.error(`heapdump-rs-mcp: ${error.message}\n\n${HELP}`);
  process.exit(2);
}
if (settings.help) console.error(HELP);
else serveStdio(() => createServer(settings), { onerror: (error) => console.error(`heapdump-rs-mcp: ${error.message}`) });
