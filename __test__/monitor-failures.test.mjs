// What a monitor tells when there is no snapshot: one error event, and nothing thrown.

import assert from 'node:assert/strict';
import fs from 'node:fs';
import { test } from 'node:test';

import { startApp } from './support/app.mjs';
import { readSidecar } from './support/evidence.mjs';
import { mountReadOnly, mountTmpfs, needsRoot } from './support/faults.mjs';
import { makeTemporaryDirectory } from './support/files.mjs';
import { signalChild, snapshotChildOf } from './support/processes.mjs';

const GC = ['--expose-gc'];

/** What a monitor tells of one crossing, and of the collections after it. */
const failing = async ({ args, plain, say, once, stayAlive }) => {
  const alive = stayAlive();
  const watching = require('../../lib/monitor.js').monitor({ dir: args.dir, threshold: 1, cooldown: 0, ...args.options });
  const told = [];
  watching.on('error', (error) => told.push({ ...plain(error), reason: error.reason }));
  watching.on('snapshot', () => told.push('snapshot'));
  if (args.fill) globalThis.kept = Array.from({ length: args.fill }, (_, i) => ({ i, text: `text ${i}` }));
  const error = once(watching, 'error');
  global.gc();
  say('collected');
  await error;
  for (let i = 0; i < 20; i++) {
    global.gc();
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  clearTimeout(alive);
  return told;
};

const noWholeSnapshot = (directory) => assert.deepEqual(directory.names().filter((name) => !name.endsWith('.json')), []);

test('a full disk is one error event: found before, or while writing', async (t) => {
  if (!needsRoot(t)) return;
  const directory = mountTmpfs(t, '2M');
  const before = await startApp(t, failing, { args: { dir: directory.path }, nodeOptions: GC }).result();
  assert.deepEqual(before.map(({ code, reason, syscall }) => [code, reason, syscall]), [['ENOSPC', 'used', 'statvfs']]);
  noWholeSnapshot(directory);
  const args = { dir: directory.path, options: { free: 0, compress: 'gzip' }, fill: 100_000 };
  const during = await startApp(t, failing, { args, nodeOptions: GC }).result();
  assert.deepEqual(during.map(({ code, reason, syscall }) => [code, reason, syscall]), [['ENOSPC', 'used', 'write']]);
  noWholeSnapshot(directory);
});

test('a read-only directory is one error event', async (t) => {
  if (!needsRoot(t)) return;
  const directory = mountReadOnly(t, makeTemporaryDirectory(t).path);
  const told = await startApp(t, failing, { args: { dir: directory.path }, nodeOptions: GC }).result();
  assert.deepEqual(told.map(({ code, reason }) => [code, reason]), [['EROFS', 'used']]);
});

test('a directory that is gone is one error event, and without a listener a warning', async (t) => {
  const directory = makeTemporaryDirectory(t);
  const app = startApp(t, async ({ args, once, stayAlive }) => {
    const alive = stayAlive();
    require('../../lib/monitor.js').monitor({ dir: args.dir, threshold: 1 });
    require('node:fs').rmdirSync(args.dir);
    const warned = once(process, 'warning');
    global.gc();
    const { name, code, message } = await warned;
    clearTimeout(alive);
    return { name, code, message };
  }, { args: { dir: directory.at('gone') }, nodeOptions: GC });
  const { name, code, message } = await app.result();
  assert.deepEqual([name, code], ['HeapdumpWarning', 'ENOENT']);
  assert.match(message, /^no heap snapshot \(used\): heapdump write error ENOENT$/);
});

test('a killed child is one error event, and its sidecar says so', async (t) => {
  const directory = makeTemporaryDirectory(t);
  const app = startApp(t, failing, { args: { dir: directory.path, fill: 200_000 }, nodeOptions: GC });
  await app.says(/collected/);
  signalChild(await snapshotChildOf(app), 'SIGKILL');
  const told = await app.result();
  assert.deepEqual(told.map(({ code, reason }) => [code, reason]), [['ERR_HEAPDUMP_CHILD_KILLED', 'used']]);
  const [sidecar, ...others] = directory.names();
  assert.deepEqual(others, []);
  const { complete, error } = readSidecar(directory.at(sidecar));
  assert.deepEqual([complete, error.code], [false, 'ERR_HEAPDUMP_CHILD_KILLED']);
});

test('a scheduled snapshot that failed holds nothing back that is due for a limit', async (t) => {
  const directory = makeTemporaryDirectory(t);
  const app = startApp(t, async ({ args, once, stayAlive }) => {
    const alive = stayAlive();
    const fs = require('node:fs');
    const watching = require('../../lib/monitor.js').monitor({ dir: args.dir, every: 1000, threshold: '10MB' });
    fs.rmdirSync(args.dir);
    const { code, reason } = await once(watching, 'error');
    fs.mkdirSync(args.dir);
    const ends = [];
    for (const type of ['snapshot', 'skipped']) {
      watching.on(type, (event) => event.reason === 'used' && event.why !== 'busy' && ends.push([type, event.why]));
    }
    globalThis.kept = Array.from({ length: 120_000 }, (_, i) => ({ i, text: `text ${i}` }));
    while (ends.length === 0) {
      global.gc();
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    watching.stop();
    clearTimeout(alive);
    return { code, reason, first: ends[0] };
  }, { args: { dir: directory.at('gone') }, nodeOptions: GC });
  assert.deepEqual(await app.result(), { code: 'ENOENT', reason: 'schedule', first: ['snapshot', null] });
});

test('options that are wrong throw at once, and say what was expected', async (t) => {
  const wrong = [
    null, { threshold: 'abc' }, { threshold: 0 }, { rss: '80%' }, { cgroup: '1GB' }, { growth: 'x' }, { every: 0 }, { max: 0 },
    { keep: -1 }, { oom: 'never' }, { hysteresis: '100%' }, { metrics: {} }, { compress: 'xz' }, { tresholds: 1 }, { dir: 5 },
  ];
  const app = startApp(t, ({ args }) => {
    const { monitor } = require('../../lib/monitor.js');
    return args.wrong.map((options) => {
      try {
        monitor(options).stop();
        return 'no error';
      } catch (error) {
        return `${error.code} ${error.message}`;
      }
    });
  }, { args: { wrong } });
  const messages = await app.result();
  for (const [index, message] of messages.entries()) {
    assert.match(message, /^ERR_INVALID_ARG_(TYPE|VALUE) The ".*" option must be /, JSON.stringify(wrong[index]));
  }
  assert.match(messages[1], /"threshold" option must be a size such as '1\.5GB' .* a percentage such as '80%' .* Received 'abc'/);
});
