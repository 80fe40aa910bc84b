// Promise 16 of the design: the application never dies of a dump. Memory control groups, of whichever version the
// machine has, and limits of the process for real; both versions by fixture trees in src/process/linux/memory/tests.rs.

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';

import { validateSnapshot } from '../harness/validate.mjs';
import { startApp } from './support/app.mjs';
import { makeControlGroup, needsRoot, needsTool } from './support/faults.mjs';
import { makeTemporaryDirectory } from './support/files.mjs';
import { childrenOf, waitFor } from './support/processes.mjs';

const MIB = 1 << 20;

/** Dumps a heap, and shows that it is alive afterwards: its event loop and its heap. */
const dumpAndLive = async ({ promises, fill, plain, args }) => {
  fill(args.objects);
  const outcome = await promises.writeSnapshot('a', args.options ?? {}).catch(plain);
  globalThis.more = Array.from({ length: 20_000 }, (_, i) => ({ i }));
  return { outcome, alive: globalThis.more.length, kept: globalThis.kept.length };
};

/** Either a whole file, or ERR_HEAPDUMP_NO_MEMORY and no file; the application lives in any case. */
async function survives(app, directory, objects) {
  const { outcome, alive, kept } = await app.result();
  assert.deepEqual([alive, kept], [20_000, objects]);
  assert.deepEqual(childrenOf(app.pid), []);
  if (outcome.code !== undefined) {
    assert.equal(outcome.code, 'ERR_HEAPDUMP_NO_MEMORY', JSON.stringify(outcome));
    assert.deepEqual(directory.names(), []);
    return { fits: false, message: outcome.message };
  }
  assert.equal(outcome.mode, 'fork');
  assert.deepEqual(directory.names(), [path.basename(outcome.path)]);
  assert.equal((await validateSnapshot(outcome.path)).nodes, outcome.nodes);
  return { fits: true, report: outcome };
}

async function dumpInGroup(t, megabytes, objects, args = {}) {
  const group = makeControlGroup(t, 'memory', { 'memory.limit_in_bytes': megabytes * MIB });
  if (group === undefined) return undefined;
  const directory = makeTemporaryDirectory(t);
  const app = startApp(t, dumpAndLive, { cwd: directory.path, via: group.via, args: { objects, ...args } });
  return survives(app, directory, objects);
}

for (const [megabytes, small, big] of [[256, 4000, 160_000], [384, 15_000, 260_000], [512, 30_000, 360_000]]) {
  test(`in a control group of ${megabytes} MB a heap that fits gives a file`, async (t) => {
    if (!needsRoot(t)) return;
    const ended = await dumpInGroup(t, megabytes, small);
    assert.ok(ended === undefined || ended.fits, ended?.message);
  });

  test(`in a control group of ${megabytes} MB a heap that does not fit gives ERR_HEAPDUMP_NO_MEMORY and no file`, async (t) => {
    if (!needsRoot(t)) return;
    const ended = await dumpInGroup(t, megabytes, big);
    if (ended === undefined) return;
    assert.equal(ended.fits, false, JSON.stringify(ended.report));
    assert.match(ended.message, /\d+ MB|memory killer/);
  });

  test(`in a control group of ${megabytes} MB the application survives whatever the heap`, async (t) => {
    if (!needsRoot(t)) return;
    for (const part of [0.3, 0.5, 0.7]) {
      const ended = await dumpInGroup(t, megabytes, Math.round(big * part), { options: part === 0.5 ? { compress: 'gzip' } : {} });
      if (ended === undefined) return;
      t.diagnostic(`${Math.round(big * part)} objects: ${ended.fits ? 'fits' : ended.message}`);
    }
  });
}

test('Buffers that fill a control group do not refuse the snapshot of a small heap', async (t) => {
  if (!needsRoot(t)) return;
  const group = makeControlGroup(t, 'memory', { 'memory.limit_in_bytes': 512 * MIB });
  if (group === undefined) return;
  const directory = makeTemporaryDirectory(t);
  const app = startApp(t, async ({ promises, fill, plain, args }) => {
    fill(1000);
    const kilobytes = /RssAnon:\s+(\d+)/.exec(require('node:fs').readFileSync('/proc/self/status', 'utf8'))[1];
    const buffers = [Buffer.alloc(args.used - kilobytes * 1024, 1)];
    const outcome = await promises.writeSnapshot('a').catch(plain);
    globalThis.more = Array.from({ length: 20_000 }, (_, i) => ({ i, buffers }));
    return { outcome, alive: globalThis.more.length, kept: globalThis.kept.length };
  }, { cwd: directory.path, via: group.via, args: { used: 400 * MIB } });
  const ended = await survives(app, directory, 1000);
  assert.ok(ended.fits, ended.message);
});

test('an application that allocates while its child works survives', async (t) => {
  if (!needsRoot(t)) return;
  for (const objects of [20_000, 60_000]) {
    const group = makeControlGroup(t, 'memory', { 'memory.limit_in_bytes': 400 * MIB });
    if (group === undefined) return;
    const directory = makeTemporaryDirectory(t);
    const app = startApp(t, async ({ promises, fill, plain, args }) => {
      fill(args.objects);
      const buffers = [];
      // Up to 160 MB more than at the fork, a little in every turn.
      const timer = setInterval(() => buffers.length < 40 && buffers.push(Buffer.alloc(4 << 20, 1)), 10);
      const outcome = await promises.writeSnapshot('a').catch(plain);
      clearInterval(timer);
      globalThis.more = Array.from({ length: 20_000 }, (_, i) => ({ i }));
      return { outcome, alive: globalThis.more.length, kept: globalThis.kept.length };
    }, { cwd: directory.path, via: group.via, args: { objects } });
    const ended = await survives(app, directory, objects);
    t.diagnostic(`${objects} objects: ${ended.fits ? 'fits' : ended.message}`);
  }
});

test('a signal’s dump that does not fit is a line, and the application lives', async (t) => {
  if (!needsRoot(t)) return;
  const group = makeControlGroup(t, 'memory', { 'memory.limit_in_bytes': 256 * MIB });
  if (group === undefined) return;
  const directory = makeTemporaryDirectory(t);
  const app = startApp(t, async ({ heapdump, fill, say, once }) => {
    fill(200_000);
    say('ready', typeof heapdump);
    await require('node:events').once(process.stdin, 'data');
    process.stdin.destroy();
    return 'alive';
  }, { cwd: directory.path, via: group.via, spawn: { stdio: ['pipe', 'pipe', 'pipe'] } });
  await app.says(/ready/);
  app.kill('SIGUSR2');
  await app.says(/SIGUSR2: no heap snapshot: not enough memory/, { on: 'stderr' });
  assert.deepEqual(directory.names(), []);
  app.writeInput('are you there?');
  assert.equal(await app.result(), 'alive');
});

test('a group above the own one limits as well', async (t) => {
  if (!needsRoot(t)) return;
  const group = makeControlGroup(t, 'memory', { 'memory.limit_in_bytes': 256 * MIB, 'memory.use_hierarchy': 1 });
  if (group === undefined) return;
  const inner = makeControlGroup(t, 'memory', {}, group);
  const directory = makeTemporaryDirectory(t);
  const app = startApp(t, dumpAndLive, { cwd: directory.path, via: inner.via, args: { objects: 160_000 } });
  assert.equal((await survives(app, directory, 160_000)).fits, false);
});

/** A limit of the process, so much above what it uses when it has filled its heap. */
async function dumpUnderLimit(t, { limit, used, room, objects }) {
  const directory = makeTemporaryDirectory(t);
  const app = startApp(t, async ({ promises, fill, plain, say, args }) => {
    fill(args.objects);
    await promises.writeSnapshot('/dev/null', { timeout: 1 }).catch(() => {});
    say('filled');
    await require('node:events').once(process.stdin, 'data');
    process.stdin.destroy();
    const outcome = await promises.writeSnapshot('a').catch(plain);
    globalThis.more = Array.from({ length: 20_000 }, (_, i) => ({ i }));
    return { outcome, alive: globalThis.more.length, kept: globalThis.kept.length };
  }, { cwd: directory.path, args: { objects }, spawn: { stdio: ['pipe', 'pipe', 'pipe'] } });
  await app.says(/filled/);
  await waitFor('no child', () => childrenOf(app.pid).length === 0);
  const status = fs.readFileSync(`/proc/${app.pid}/status`, 'utf8');
  const bytes = Number(new RegExp(`^${used}:\\s+(\\d+) kB`, 'm').exec(status)[1]) * 1024 + room * MIB;
  const { status: code, stderr } = spawnSync('prlimit', ['--pid', `${app.pid}`, `--${limit}=${bytes}:`], { encoding: 'utf8' });
  assert.equal(code, 0, stderr);
  app.writeInput('go on');
  return survives(app, directory, objects);
}

for (const [limit, used, name] of [['data', 'VmData', 'RLIMIT_DATA'], ['as', 'VmSize', 'RLIMIT_AS']]) {
  test(`${name}: a heap that does not fit gives ERR_HEAPDUMP_NO_MEMORY, the application lives`, async (t) => {
    if (!needsTool(t, 'prlimit')) return;
    for (const room of [30, 90]) {
      const { fits, message } = await dumpUnderLimit(t, { limit, used, room, objects: 80_000 });
      assert.equal(fits, false);
      assert.match(message, room === 30 ? new RegExp(name) : /\d+ MB/);
    }
  });

  test(`${name}: a heap that fits gives a file`, async (t) => {
    if (!needsTool(t, 'prlimit')) return;
    const { fits, message } = await dumpUnderLimit(t, { limit, used, room: 600, objects: 5000 });
    assert.ok(fits, message);
  });
}
