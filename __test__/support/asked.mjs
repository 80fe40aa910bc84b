// Processes that `node-snapshot --pid` is pointed at, and the asking.

import { createRequire } from 'node:module';

import { startApp } from './app.mjs';

const require = createRequire(import.meta.url);
const { bySignal } = require('../../lib/cli/by-signal.js');
const { Output } = require('../../lib/cli/output.js');
const { Target } = require('../../lib/cli/processes.js');

export const loaded = ({ heapdump, fill, say, stayAlive, args }) => {
  stayAlive();
  fill(args.objects ?? 0);
  globalThis.kept = new (Function(`return class MarkOf${args.mark ?? 'App'} {}`)())();
  say('ready', typeof heapdump);
};

/** It answers SIGUSR2 in its own way, which nobody is to set off. */
export const unloaded = ({ say, stayAlive }) => {
  stayAlive();
  process.on('SIGUSR2', () => say('own listener'));
  say('ready');
};

// Any free port: 9229 may be somebody's on this machine.
export const OWN_PORT = ['--inspect-port=0'];

export async function start(t, body, options) {
  const app = startApp(t, body, options);
  await app.says(/ready/);
  return app;
}

/** As the command asks, in this process: a command takes a second to start where others use the machine too. */
export async function askNow(app, file, target = new Target(app.pid), name = 'SIGUSR2') {
  const said = [];
  const output = new Output(file, false);
  try {
    await bySignal(target, name, output, { show() {}, say: (line) => said.push(line) });
  } finally {
    output.close();
  }
  return said;
}
