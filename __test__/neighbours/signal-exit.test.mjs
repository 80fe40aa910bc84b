// Beside signal-exit, which runs exit hooks and sends the signal again when it sees nobody else who listens.

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { startApp } from '../support/app.mjs';
import { makeTemporaryDirectory } from '../support/files.mjs';
import { wholeSnapshots } from '../support/signals.mjs';

const THREE = 'signal-exit-3';
const FOUR = 'signal-exit';

/** Loads this package and versions of signal-exit in the order of `args.order`; `hook` is a version's first exit hook. */
const application = (tools) => {
  const { args, say, stayAlive } = tools;
  const hook = (name) => {
    const loaded = require(`${args.neighbours}/node_modules/${name}`);
    (loaded.onExit ?? loaded)(() => say('ran', name));
  };
  for (const [what, name] of args.order) {
    if (what === 'heapdump') say(typeof tools.heapdump);
    else if (what === 'load') require(`${args.neighbours}/node_modules/${name}`);
    else hook(name);
  }
  if (args.stay ?? true) stayAlive();
  say('ready', process.listenerCount('SIGUSR2'));
};

function start(t, order, more = {}) {
  const directory = makeTemporaryDirectory(t);
  const args = { neighbours: process.env.NEIGHBOURS, order, ...more };
  return { directory, app: startApp(t, application, { cwd: directory.path, args }) };
}

const ours = ['heapdump'];
const ORDERS = [
  ...[THREE, FOUR].flatMap((name) => [
    [['hook', name], ours],
    [['load', name], ours, ['hook', name]],
    [ours, ['hook', name]],
  ]),
  [['hook', THREE], ours, ['hook', FOUR]],
  [['hook', FOUR], ours, ['hook', THREE]],
];

for (const order of ORDERS) {
  test(`one file and no exit hook: ${order.map((step) => step.join(' ')).join(', ')}`, async (t) => {
    const { app, directory } = start(t, order);
    await app.says(/ready/);
    app.kill('SIGUSR2');
    await wholeSnapshots(app, directory, 1);
    assert.doesNotMatch(app.stdout, /ran/);

    // Its own work it still does.
    app.kill('SIGTERM');
    const { signal, stdout } = await app.ended();
    assert.equal(signal, 'SIGTERM');
    assert.equal(stdout.match(/^ran/gm).length, order.filter(([what]) => what === 'hook').length);
    assert.equal(directory.names().length, 1);
  });
}

test('what we add keeps no process alive', async (t) => {
  const { app } = start(t, [['hook', FOUR], ours], { stay: false });
  const { code, stdout } = await app.ended();
  assert.equal(code, 0);
  assert.match(stdout, /ready 2\nran signal-exit\n/);
});
