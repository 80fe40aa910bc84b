// Ends of threads and processes in awkward moments: what was accepted is completed or removed, nothing half is left, and
// the exit code is the application's.

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { test } from 'node:test';

import { validateSnapshot } from '../harness/validate.mjs';
import { isBeingWritten } from '../harness/writers.mjs';
import { startApp } from './support/app.mjs';
import { needsRoot, needsTool } from './support/faults.mjs';
import { isSnapshotName, makeTemporaryDirectory } from './support/files.mjs';
import { waitFor } from './support/processes.mjs';

/** Every file gets its own name, or is gone; those that are there are whole. */
async function nothingHalf(directory) {
  const names = await waitFor('nobody writes any more', () => !isBeingWritten(directory.path) && directory.names());
  assert.ok(names.every((name) => !name.startsWith('.')), names.join());
  for (const name of names) await validateSnapshot(directory.at(name));
  return names;
}

test('process.exit() of the main thread while workers have asked: the exit code stays, nothing half is left', async (t) => {
  const directory = makeTemporaryDirectory(t);
  for (let turns = 0; turns < 8; turns++) {
    const app = startApp(t, async ({ worker, once, args, heapdump }) => {
      const ask = ({ heapdump, args, stayAlive }) => {
        stayAlive();
        heapdump.writeSnapshot(args.name);
        require('node:worker_threads').parentPort.postMessage('asked');
      };
      const threads = [1, 2].map((i) => worker(ask, { name: `worker-${args.turns}-${i}` }));
      await Promise.all(threads.map((thread) => once(thread, 'message')));
      for (let i = 0; i < args.turns * 8; i++) await new Promise(setImmediate);
      heapdump.writeSnapshot(`main-${args.turns}`);
      process.exit(9);
    }, { cwd: directory.path, args: { turns } });
    assert.equal((await app.ended()).code, 9);
  }
  const names = await nothingHalf(directory);
  for (let turns = 0; turns < 8; turns++) assert.ok(names.includes(`main-${turns}`), names.join());
});

test('a signal right before process.exit(): a whole file or none', async (t) => {
  const directory = makeTemporaryDirectory(t);
  for (let turns = 0; turns < 8; turns++) {
    const app = startApp(t, async ({ heapdump, args }) => {
      typeof heapdump;
      process.kill(process.pid, 'SIGUSR2');
      for (let i = 0; i < args.turns * 4; i++) await new Promise(setImmediate);
      process.exit(9);
    }, { cwd: directory.path, args: { turns } });
    assert.equal((await app.ended()).code, 9);
  }
  const names = await nothingHalf(directory);
  assert.ok(names.length <= 8 && names.every(isSnapshotName), names.join());
});

test('aborts and time limits at any moment: a whole file or none', async (t) => {
  const directory = makeTemporaryDirectory(t);
  const app = startApp(t, async ({ promises, plain }) => {
    const outcomes = [];
    for (let i = 0; i < 14; i++) {
      const controller = new AbortController();
      const dump = promises.writeSnapshot(`${i}`, { signal: controller.signal, timeout: 5000 }).catch(plain);
      setTimeout(() => controller.abort(), i * 12);
      outcomes.push((({ code, mode }) => code ?? mode)(await dump));
    }
    return { outcomes, names: require('node:fs').readdirSync('.') };
  }, { cwd: directory.path });
  const { outcomes, names } = await app.result();
  assert.ok(outcomes.every((outcome) => outcome === 'fork' || outcome === 'ABORT_ERR'), outcomes.join());
  assert.deepEqual(names.map(Number).sort((a, b) => a - b), outcomes.flatMap((outcome, i) => (outcome === 'fork' ? [i] : [])));
  await nothingHalf(directory);
});

test('a throw in onProgress is an uncaught exception, and the dump goes on', async (t) => {
  const directory = makeTemporaryDirectory(t);
  const app = startApp(t, async ({ promises, fill }) => {
    fill(30_000);
    const messages = new Set();
    process.on('uncaughtException', ({ message }) => messages.add(message));
    const { mode } = await promises.writeSnapshot('a', {
      onProgress: () => {
        throw new Error('from onProgress');
      },
    });
    return [mode, ...messages];
  }, { cwd: directory.path });
  assert.deepEqual(await app.result(), ['fork', 'from onProgress']);
  await nothingHalf(directory);
});

test('a throw of a stream’s onProgress is an uncaught exception too, and the stream goes on', async (t) => {
  const app = startApp(t, async ({ heapdump, fill, once }) => {
    fill(30_000);
    const messages = new Set();
    process.on('uncaughtException', ({ message }) => messages.add(message));
    const stream = heapdump.createSnapshotStream({
      onProgress: () => {
        throw new Error('from onProgress');
      },
    });
    stream.resume();
    const { mode } = await once(stream, 'report');
    return [mode, ...messages];
  });
  assert.deepEqual(await app.result(), ['fork', 'from onProgress']);
});

test('dumps from within callbacks, exit listeners and beforeExit', async (t) => {
  const directory = makeTemporaryDirectory(t);
  const app = startApp(t, ({ heapdump }) => {
    heapdump.writeSnapshot('first', () => heapdump.writeSnapshot('second', () => heapdump.writeSnapshot('third')));
    process.once('beforeExit', () => heapdump.writeSnapshot('before-exit', () => (process.exitCode = 3)));
    process.on('exit', () => heapdump.writeSnapshot('exit'));
  }, { cwd: directory.path });
  assert.equal((await app.ended()).code, 3);
  await waitFor('five files', () => directory.names().join() === 'before-exit,exit,first,second,third');
  await nothingHalf(directory);
});

test('as the first process of a container it waits at its exit for the child, which would die with it', async (t) => {
  if (!needsRoot(t) || !needsTool(t, 'unshare')) return;
  const via = ['unshare', '--pid', '--fork', '--mount-proc'];
  if (spawnSync(via[0], [...via.slice(1), 'true']).status !== 0) return t.diagnostic('not run: no namespace can be made here');
  const directory = makeTemporaryDirectory(t);
  const app = startApp(t, ({ heapdump, fill }) => {
    fill(20_000);
    heapdump.writeSnapshot('a');
    if (process.pid !== 1) throw new Error(`not the first process, but ${process.pid}`);
    process.exit(7);
  }, { cwd: directory.path, via });
  assert.equal((await app.ended()).code, 7);
  assert.deepEqual(directory.names(), ['a']);
  await validateSnapshot(directory.at('a'));
});
